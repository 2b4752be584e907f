//! The one loop that changes the fleet: a thread that takes what waits in the [`Mailbox`], hands it to the fleet one by one,
//! and puts what it came to into the outbox, from where the store's thread lets it out once it is durable.
//!
//! ```text
//! mailbox ──turn──> fleet.handle(now, input, chain) ... fleet.end_batch(now) ──bundle──> outbox ──commit──> replies, effects, events
//! ```
//!
//! It writes no JSON, opens no file and no socket, and waits for nothing but its mailbox and a full outbox.

mod answering;
mod committer;
mod decisions;
mod mailbox;
mod outbox;
mod parked;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use usher_fleet::advice::Advisor;
use usher_fleet::command::{Rejection, Reply, RoomOutcome};
use usher_fleet::ids::{RoomId, ServerName};
use usher_fleet::status::{RoomPlace, RoomStatus};
use usher_fleet::{Cursor, Effect, Fleet, Input, Observation, Outcome, Timestamp};
use usher_store::{BatchNo, EventId, Store, StoreError};

use crate::clock::Clock;
use crate::metrics::Meters;

pub use decisions::{DECISIONS_MAX, DecisionFilter, Decisions};
pub use mailbox::{Answer, COMMANDS_MAX, Mailbox, Moment, MovedRoom, READS_MAX, REPORTS_MAX, Refused, ReportAnswer};
pub use outbox::World;

use mailbox::lanes::{Asked, AskedRoom, Taken, WaitingReport};
use outbox::{Bundle, Ended, Limits, Outbox, Parcel};
use parked::Parked;

/// So long without a turn is a gap: we were suspended, or the disk stalled. Silence that fell into it means nothing. It is
/// below the shortest time after which a server counts as silent (15 s), and far above any turn.
const GAP_MIN: Duration = Duration::from_secs(10);

/// How often figures are published, and the longest that the driver sleeps: much less than [`GAP_MIN`].
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// The driver's stack: policies' wasm runs on it and is promised 2 MiB.
const STACK_BYTES: usize = 8 << 20;

/// The chain of place policies, as the driver needs it.
pub trait Chain: Advisor + Send {
    /// Takes in what has been made ready beside; returns whether the chain has changed.
    fn swap(&mut self) -> bool;
    /// Tells who was not asked for long a part of what has changed in the fleet.
    fn keep_up(&mut self, fleet: &Fleet, now: Timestamp);
}

/// All that the driver starts from.
pub struct Start<C> {
    /// The recovered fleet; it was not resumed yet.
    pub fleet: Fleet,
    /// What time it is.
    pub clock: Clock,
    /// Where batches become durable.
    pub store: Box<dyn Store>,
    /// The last durable batch.
    pub last: BatchNo,
    /// The last durable event.
    pub last_event: EventId,
    /// Who says where rooms go.
    pub chain: C,
    /// Who does what is asked of the world.
    pub world: Arc<dyn World>,
    /// Where questions and observations come in.
    pub mailbox: Mailbox,
}

/// The driver and the store's thread, running.
#[derive(Debug)]
pub struct Running {
    /// The last decisions.
    pub decisions: Decisions,
    /// The newest durable event, for those who follow.
    pub newest: watch::Receiver<EventId>,
    /// Why the store failed; closed without a word when the driver has ended.
    pub failure: oneshot::Receiver<StoreError>,
    threads: [JoinHandle<()>; 2],
}

impl Running {
    /// Waits for both threads, and returns why the store failed if it did; the mailbox must be closed first. It blocks.
    pub fn join(mut self) -> Option<StoreError> {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the driver has panicked");
            }
        }
        self.failure.try_recv().ok()
    }
}

/// Resumes the fleet and runs it on a thread of its own, until the mailbox is closed and empty.
///
/// # Errors
/// The system gives no thread.
pub fn start<C: Chain + 'static>(start: Start<C>) -> std::io::Result<Running> {
    let limits = Limits {
        ops_max: start.store.ops_max(),
        bytes_max: start.store.bytes_max(),
    };
    let outbox = Outbox::new(start.last, start.last_event, limits);
    let decisions = Decisions::default();
    let (newest, follow) = watch::channel(start.last_event);
    let (fail, failure) = oneshot::channel();
    let gate = Arc::new(committer::Gate {
        world: start.world,
        decisions: decisions.clone(),
    });
    let committer = thread::Builder::new().name("usher-store".to_owned()).spawn({
        let (outbox, gate, store) = (Arc::clone(&outbox), Arc::clone(&gate), start.store);
        move || committer::run(&outbox, store, &gate, &newest, fail)
    })?;
    let driver = Driver {
        last_turn: start.clock.now(),
        publish_at: start.clock.now(),
        meters: Meters::default(),
        fleet: start.fleet,
        clock: start.clock,
        chain: start.chain,
        mailbox: start.mailbox,
        outbox: CloseAtEnd(outbox),
        gate,
        bundle: Bundle::default(),
        parked: Parked::default(),
        scale_cursor: Cursor::START,
    };
    let driver = thread::Builder::new()
        .name("usher-driver".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || driver.run())?;
    Ok(Running {
        decisions,
        newest: follow,
        failure,
        threads: [driver, committer],
    })
}

/// Closes the outbox however the driver ends, so that the store's thread ends too.
struct CloseAtEnd(Arc<Outbox>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The loop's own state.
struct Driver<C> {
    fleet: Fleet,
    clock: Clock,
    chain: C,
    mailbox: Mailbox,
    outbox: CloseAtEnd,
    gate: Arc<committer::Gate>,
    /// What this turn has come to so far.
    bundle: Bundle,
    parked: Parked,
    /// Up to where the scale policies' view has been sent.
    scale_cursor: Cursor,
    last_turn: Timestamp,
    publish_at: Timestamp,
    meters: Meters,
}

impl<C: Chain> Driver<C> {
    fn run(mut self) {
        let mut taken = Taken::default();
        let mut result = self.resume();
        while result.is_ok() && !taken.is_last {
            let until = self.wake_at();
            self.mailbox.take(until, &mut taken);
            result = self.turn(&mut taken);
        }
        self.mailbox.leave();
    }

    fn resume(&mut self) -> Result<(), Ended> {
        let now = self.clock.now();
        let outcome = self.fleet.resume(now);
        self.absorb(outcome)?;
        self.hand_over()
    }

    /// Takes everything that came, lane by lane: reads first, as the state is durable or on its way with a known last event.
    fn turn(&mut self, taken: &mut Taken) -> Result<(), Ended> {
        let now = self.clock.now();
        if now.since(std::mem::replace(&mut self.last_turn, now)) > GAP_MIN {
            tracing::warn!("the clock ran on without us: silence and leases start anew");
            self.handle(now, Input::Observation(Observation::Gap))?;
        }
        let moment = Moment {
            now,
            as_of: self.outbox.0.last_event(),
        };
        for read in taken.reads.drain(..) {
            let say = read(&self.fleet, moment);
            self.bundle.parcels.push(Parcel::Say(say));
        }
        for asked in taken.rooms.drain(..) {
            self.read_room(now, asked);
        }
        for job in taken.jobs.drain(..) {
            job(&self.fleet, now);
        }
        if std::mem::take(&mut taken.is_chain_changed) && self.chain.swap() {
            self.handle(now, Input::Observation(Observation::PoliciesChanged))?;
        }
        for observation in taken.observations.drain(..) {
            self.handle(now, Input::Observation(observation))?;
        }
        for waiting in taken.reports.drain(..) {
            self.report(now, waiting)?;
        }
        for asked in taken.releases.drain(..).chain(taken.commands.drain(..)) {
            self.command(now, asked)?;
        }
        if self.fleet.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.handle(now, Input::Tick)?;
        }
        let outcome = self.fleet.end_batch(now);
        self.absorb(outcome)?;
        let end = if std::mem::take(&mut taken.must_answer_parked) {
            Timestamp(u64::MAX)
        } else {
            now
        };
        while let Some((room, tell)) = self.parked.take_due(end) {
            self.answer_as_it_is(&room, tell);
        }
        self.publish(now);
        self.hand_over()
    }

    fn command(&mut self, now: Timestamp, asked: Asked) -> Result<(), Ended> {
        let Some(reply) = self.handle(now, Input::Command(asked.command))? else {
            // Every command has a reply; without one its client would wait for ever.
            tracing::error!("the fleet left a command without a reply");
            return Ok(());
        };
        match reply {
            Reply::Room(status, outcome) => self.answer_room(now, status, outcome, asked.wait, asked.tell),
            Reply::Server(..) | Reply::Done | Reply::Token(_) | Reply::Rejected(_) => {
                self.bundle
                    .parcels
                    .push(Parcel::Answer(asked.tell, Answer::Reply(reply)));
            }
        }
        Ok(())
    }

    fn read_room(&mut self, now: Timestamp, asked: AskedRoom) {
        let is_visible = |status: &RoomStatus| asked.tenant.is_none() || status.tenant == asked.tenant;
        match self.fleet.room(&asked.room).filter(is_visible) {
            Some(status) => self.answer_room(now, status, RoomOutcome::Found, asked.wait, asked.tell),
            None => {
                let reply = Reply::Rejected(Rejection::NoSuchRoom(asked.room));
                self.bundle
                    .parcels
                    .push(Parcel::Answer(asked.tell, Answer::Reply(reply)));
            }
        }
    }

    fn report(&mut self, now: Timestamp, waiting: WaitingReport) -> Result<(), Ended> {
        let server = waiting.reported.server.clone();
        let rooms: Vec<RoomId> = waiting
            .reported
            .report
            .rooms
            .iter()
            .flatten()
            .map(|reported| reported.room.clone())
            .collect();
        self.handle(now, Input::Observation(Observation::Reported(waiting.reported)))?;
        let answer = match self.fleet.server(&server) {
            None => Err(Rejection::NoSuchServer(server)),
            Some(status) => {
                let moved = rooms.into_iter().filter_map(|room| self.moved(room, &server)).collect();
                Ok(Box::new(ReportAnswer { server: status, moved }))
            }
        };
        self.bundle.parcels.push(Parcel::Report(waiting.tell, answer));
        Ok(())
    }

    fn moved(&self, room: RoomId, from: &ServerName) -> Option<MovedRoom> {
        match self.fleet.room(&room)?.place {
            RoomPlace::Placed { server, .. } if server.name != *from => Some(MovedRoom {
                room,
                server: Some(server.name.clone()),
            }),
            RoomPlace::Waiting { moving: Some(_), .. } => Some(MovedRoom { room, server: None }),
            RoomPlace::Placed { .. } | RoomPlace::Waiting { moving: None, .. } => None,
        }
    }

    fn handle(&mut self, now: Timestamp, input: Input) -> Result<Option<Reply>, Ended> {
        let outcome = self.fleet.handle(now, input, &mut self.chain);
        self.chain.keep_up(&self.fleet, now);
        self.bundle.inputs += 1;
        self.absorb(outcome)
    }

    /// Takes what an input came to into the bundle; a bundle that it would make too large for the store goes first.
    fn absorb(&mut self, mut outcome: Outcome) -> Result<Option<Reply>, Ended> {
        let ops = outcome.writes.len() + outcome.events.len();
        if !self
            .outbox
            .0
            .limits
            .let_in(&self.bundle, ops, outbox::bytes_of(&outcome))
        {
            self.hand_over()?;
        }
        for event in &outcome.events {
            self.meters.event(&event.what);
        }
        self.meters.decisions(&outcome.decisions);
        for effect in outcome.effects.drain(..) {
            let parcel = self.parcel(effect);
            self.bundle.parcels.push(parcel);
        }
        if !self.parked.is_empty() {
            self.resolve(&outcome.events);
        }
        self.bundle.keep(&mut outcome);
        Ok(outcome.reply)
    }

    /// A scale policy is asked about the fleet as it was when the ask arose, so the changes are taken now.
    fn parcel(&mut self, effect: Effect) -> Parcel {
        match effect {
            Effect::Scale(ask) => {
                let cursor = self.fleet.cursor();
                let changes = self.fleet.changes_since(self.scale_cursor).collect();
                self.scale_cursor = cursor;
                Parcel::Scale(Box::new(ask), cursor, changes)
            }
            Effect::Launch(_)
            | Effect::Terminate(_)
            | Effect::List(_)
            | Effect::Watch(_)
            | Effect::Unwatch(_)
            | Effect::Probe(_)
            | Effect::Examine(_) => Parcel::Effect(effect),
        }
    }

    fn hand_over(&mut self) -> Result<(), Ended> {
        let bundle = std::mem::take(&mut self.bundle);
        if let Some(at_once) = self.outbox.0.put(bundle)? {
            self.gate.let_out(at_once);
        }
        Ok(())
    }

    fn publish(&mut self, now: Timestamp) {
        if now < self.publish_at {
            return;
        }
        self.publish_at = now + PUBLISH_EVERY;
        self.meters.publish(&self.fleet, now);
        if let Some(millis) = self.clock.stepped_millis() {
            tracing::warn!(millis, "the wall clock was stepped; our time goes on as before");
        }
    }

    fn wake_at(&self) -> Instant {
        let now = self.clock.now();
        let ends = [self.fleet.next_deadline(), self.parked.next_end()];
        let at = ends.into_iter().flatten().fold(self.publish_at, Timestamp::min);
        Instant::now() + at.since(now)
    }
}

#[cfg(test)]
mod tests;
