use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

use usher_fleet::advice::ScaleAsk;
use usher_fleet::advice::{PlaceAdvice, PlaceAnswer, PlaceAsk, Placement};
use usher_fleet::command::{Command, PlaceRoom, RegisterServer, ReleaseRoom};
use usher_fleet::config::{FleetConfig, HealthSource, Labels, Limits as Capacity};
use usher_fleet::decision::PolicyRef;
use usher_fleet::room::RoomWish;
use usher_fleet::view::ViewChange;
use usher_store::{Batch, Snapshot};

use super::*;

/// Places every room on the newest server, if there is one.
#[derive(Default)]
struct OnTheNewest {
    /// How far it was told of the fleet between two inputs.
    told: Arc<AtomicU64>,
}

impl Advisor for OnTheNewest {
    fn place(&mut self, link: usize, fleet: &Fleet, _: &PlaceAsk<'_>) -> Option<PlaceAnswer> {
        let server = |change| match change {
            ViewChange::ServerSet(row) => Some(row.no),
            _ => None,
        };
        let placement = match fleet.changes_since(Cursor::START).filter_map(server).last() {
            Some(server) => Placement::On(server),
            None => Placement::Wait {
                pool: None,
                again_seconds: 0,
            },
        };
        let policy = PolicyRef {
            name: "test".into(),
            version: "1".into(),
        };
        let advice = Ok(PlaceAdvice {
            placement,
            reason: None,
        });
        (link == 0).then_some(PlaceAnswer {
            policy,
            advice,
            isolates: false,
            took: Duration::ZERO,
        })
    }
}

impl Chain for OnTheNewest {
    fn swap(&mut self) -> bool {
        false
    }

    fn keep_up(&mut self, fleet: &Fleet, _: Timestamp) {
        self.told.store(fleet.cursor().0, Ordering::SeqCst);
    }
}

/// Commits only what it is let to, one permission a batch; `false` is a failing disk.
struct Gated {
    permissions: mpsc::Receiver<bool>,
    committed: Arc<Mutex<Vec<Batch>>>,
}

impl Store for Gated {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot {
            records: Vec::new(),
            last: BatchNo(0),
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        match self.permissions.recv() {
            Ok(true) => {
                self.committed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(batch.clone());
                Ok(())
            }
            Ok(false) | Err(_) => Err(StoreError::Poisoned { dir: "test".into() }),
        }
    }

    fn ops_max(&self) -> usize {
        128
    }

    fn bytes_max(&self) -> usize {
        1 << 20
    }
}

/// A world in which nothing happens.
struct Nowhere;

impl World for Nowhere {
    fn run(&self, _: Effect) {}
    fn scale(&self, _: ScaleAsk, _: Cursor, _: Vec<ViewChange>) {}
}

struct Harness {
    mailbox: Mailbox,
    running: Running,
    permit: mpsc::Sender<bool>,
    committed: Arc<Mutex<Vec<Batch>>>,
    told: Arc<AtomicU64>,
}

/// Starts a driver over one external pool; its first batch, which makes the pool, is let through.
fn harness() -> Harness {
    let mut config: FleetConfig = crate::config::Config::without_file(std::path::Path::new("/")).fleet;
    for pool in &mut config.pools {
        pool.health = HealthSource::None;
    }
    let clock = Clock::start(Timestamp(0));
    let (permit, permissions) = mpsc::channel();
    permit.send(true).unwrap();
    let committed = Arc::new(Mutex::new(Vec::new()));
    let mailbox = Mailbox::new();
    let chain = OnTheNewest::default();
    let told = Arc::clone(&chain.told);
    let running = start(Start {
        fleet: Fleet::recover(config, [], clock.now()),
        clock,
        store: Box::new(Gated {
            permissions,
            committed: Arc::clone(&committed),
        }),
        last: BatchNo(0),
        last_event: EventId::new(BatchNo(0), 0),
        chain,
        world: Arc::new(Nowhere),
        mailbox: mailbox.clone(),
    })
    .unwrap();
    Harness {
        mailbox,
        running,
        permit,
        committed,
        told,
    }
}

impl Harness {
    /// Lets everything through from now on.
    fn permit_all(&self) {
        for _ in 0..1000 {
            self.permit.send(true).unwrap();
        }
    }

    fn batches(&self) -> usize {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn register() -> Command {
    Command::RegisterServer(RegisterServer {
        server: "media-1".parse().unwrap(),
        pool: "default".parse().unwrap(),
        url: "ws://127.0.0.1:1".to_owned(),
        endpoints: Default::default(),
        zone: None,
        limits: Capacity::default(),
        labels: Labels::new(),
    })
}

fn place(room: &str) -> PlaceRoom {
    let wish = RoomWish {
        seats: Some(5),
        load: None,
        expected_minutes: None,
        region: None,
        tenant: None,
        labels: Labels::new(),
        require: Labels::new(),
    };
    PlaceRoom {
        room: room.parse().unwrap(),
        wish,
        lease_seconds: None,
    }
}

fn is_placed(answer: &Answer) -> bool {
    matches!(answer, Answer::Reply(Reply::Room(status, _)) if matches!(status.place, RoomPlace::Placed { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_before_its_batch_is_durable_not_even_what_was_only_read() {
    let host = harness();
    host.mailbox.read(|_, _| ()).await.unwrap();
    let before = host.batches();
    let registered = tokio::spawn({
        let mailbox = host.mailbox.clone();
        async move { mailbox.command(register()).await.unwrap() }
    });
    // The job runs when the driver has done with the command, and waits for nothing.
    let (seen, sees) = mpsc::channel();
    loop {
        let seen = seen.clone();
        host.mailbox
            .run(move |fleet, _| seen.send(fleet.servers().len()).unwrap());
        if sees.recv().unwrap() == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let read = tokio::spawn({
        let mailbox = host.mailbox.clone();
        async move { mailbox.read(|fleet, _| fleet.servers().len()).await.unwrap() }
    });
    let (again, then) = mpsc::channel();
    host.mailbox.run(move |_, _| again.send(()).unwrap());
    then.recv().unwrap();
    assert_eq!(host.batches(), before);
    assert!(!registered.is_finished() && !read.is_finished());
    host.permit_all();
    assert!(matches!(registered.await.unwrap(), Reply::Server(..)));
    assert_eq!(read.await.unwrap(), 1);
    assert!(host.batches() > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_places_is_told_of_the_fleet_between_two_inputs_and_not_only_when_asked() {
    let host = harness();
    host.permit_all();
    host.mailbox.command(register()).await.unwrap();
    let told = Cursor(host.told.load(Ordering::SeqCst));
    let news = |fleet: &Fleet, after| {
        fleet
            .changes_since(after)
            .any(|row| matches!(row, ViewChange::ServerSet(_)))
    };
    let read = host
        .mailbox
        .read(move |fleet, _| (news(fleet, Cursor::START), news(fleet, told)));
    assert_eq!(read.await.unwrap(), (true, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_commit_nobody_is_answered_and_the_failure_is_told() {
    let mut host = harness();
    host.mailbox.read(|_, _| ()).await.unwrap();
    host.permit.send(false).unwrap();
    let asked = tokio::spawn({
        let mailbox = host.mailbox.clone();
        async move { mailbox.command(register()).await }
    });
    let failure = (&mut host.running.failure).await.unwrap();
    assert!(matches!(failure, StoreError::Poisoned { .. }));
    let mailbox = host.mailbox.clone();
    let mut read = Box::pin(mailbox.read(|_, _| ()));
    assert!(!is_done(&mut read).await);
    host.mailbox.close();
    tokio::task::spawn_blocking(move || host.running.join()).await.unwrap();
    assert!(!asked.is_finished() && !is_done(&mut read).await);
}

/// Polls once.
async fn is_done(future: &mut (impl Future + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = future => true,
        () = std::future::ready(()) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_answered_when_the_room_is_placed_released_or_time_ends() {
    let host = harness();
    host.permit_all();
    let long = Duration::from_secs(60);
    let asked = |room: &'static str, wait| {
        let mailbox = host.mailbox.clone();
        tokio::spawn(async move { mailbox.place(place(room), wait).await.unwrap() })
    };
    let short = asked("short", Duration::from_millis(20)).await.unwrap();
    assert!(matches!(short, Answer::Reply(Reply::Room(..))) && !is_placed(&short));
    let (placed, released) = (asked("placed", long), asked("released", long));
    while host.mailbox.read(|fleet, _| fleet.room_count()).await.unwrap() < 3 {
        tokio::task::yield_now().await;
    }
    let release = ReleaseRoom {
        room: "released".parse().unwrap(),
        tenant: None,
        placement: None,
    };
    host.mailbox.command(Command::ReleaseRoom(release)).await.unwrap();
    assert_eq!(released.await.unwrap(), Answer::Released("released".parse().unwrap()));
    host.mailbox.command(register()).await.unwrap();
    assert!(is_placed(&placed.await.unwrap()));
    host.mailbox.close();
    assert!(
        tokio::task::spawn_blocking(move || host.running.join())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_driver_answers_who_waits_with_what_is_so() {
    let host = harness();
    host.permit_all();
    let waits = tokio::spawn({
        let mailbox = host.mailbox.clone();
        async move { mailbox.place(place("standup"), Duration::from_secs(60)).await.unwrap() }
    });
    while host.mailbox.read(|fleet, _| fleet.room_count()).await.unwrap() < 1 {
        tokio::task::yield_now().await;
    }
    host.mailbox.close();
    let answer = waits.await.unwrap();
    assert!(matches!(answer, Answer::Reply(Reply::Room(..))) && !is_placed(&answer));
    assert_eq!(host.mailbox.read(|_, _| ()).await, Err(Refused::Stopping));
}
