//! The world with its clock and its processes, behind one lock: what the HTTP side and the tests' handle share.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::processes::{ProcessEvent, Processes, STOP_GRACE};
use crate::setup::Setup;
use crate::world::{Effect, World};

/// A running EC2.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) processes: Processes,
    /// Where it is served, without a slash at the end.
    pub(crate) url: String,
    world: Mutex<World>,
    changed: watch::Sender<()>,
    runtime: Handle,
}

impl Shared {
    /// Starts the clock of a new world that is served at `url`. Must be called within a runtime.
    pub(crate) fn new(setup: Setup, url: String, events: mpsc::Sender<ProcessEvent>) -> Shared {
        Shared {
            clock: Clock::start(&setup.clock),
            processes: Processes::new(events),
            url,
            world: Mutex::new(World::new(setup)),
            changed: watch::Sender::new(()),
            runtime: Handle::current(),
        }
    }

    /// Acts upon the world as it is now, and does outside what follows from it.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let mut world = self.world();
        let now = self.clock.now();
        world.tick(now);
        let result = act(&mut world, now);
        world.tick(now);
        // Still under the lock: a process must be started before it is asked to end.
        self.perform(&mut world, now);
        drop(world);
        self.changed.send_replace(());
        result
    }

    /// Looks at the world as it is now. Unless something falls due by that, nobody hears of it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        let mut world = self.world();
        let now = self.clock.now();
        let has_changed = world.tick(now);
        self.perform(&mut world, now);
        let result = look(&world);
        drop(world);
        if has_changed {
            self.changed.send_replace(());
        }
        result
    }

    /// Returns what hears of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nothing panics while it holds this lock")
    }

    fn perform(&self, world: &mut World, now: Timestamp) {
        for effect in world.take_effects() {
            match effect {
                Effect::Run { instance, user_data } => {
                    if let Err(error) = self.processes.run(&instance, &user_data, &self.url) {
                        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                        let words = format!("{error}{cause}\n");
                        world.write_console(&instance, words.as_bytes());
                        world.process_ended(now, &instance);
                        world.tick(now);
                    }
                }
                Effect::Stop { instance } => {
                    self.processes.ask_to_end(&instance);
                    let processes = self.processes.clone();
                    self.runtime.spawn(async move {
                        tokio::time::sleep(STOP_GRACE).await;
                        processes.kill(&instance);
                    });
                }
                Effect::Kill { instance } => self.processes.kill(&instance),
            }
        }
    }
}

/// Lets things happen when they are due, until it is dropped.
pub(crate) async fn keep_time(shared: Arc<Shared>) {
    let mut changes = shared.changes();
    loop {
        changes.borrow_and_update();
        let deadline = shared.world().next_deadline();
        match deadline {
            Some(at) => tokio::select! {
                () = shared.clock.wait_until(at) => shared.act(|_, _| ()),
                _ = changes.changed() => {}
            },
            None => {
                let _ = changes.changed().await;
            }
        }
    }
}

/// Tells the world what becomes of its processes, until it is dropped.
pub(crate) async fn hear_processes(shared: Arc<Shared>, mut events: mpsc::Receiver<ProcessEvent>) {
    while let Some(event) = events.recv().await {
        shared.act(|world, now| match event {
            ProcessEvent::Output(id, text) => {
                world.write_console(&id, &text);
            }
            ProcessEvent::Ended(id) => world.process_ended(now, &id),
        });
    }
}
