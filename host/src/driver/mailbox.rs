//! What waits for the driver, in lanes: what must never be refused has its own, and what frees capacity goes first.
//!
//! | lane | who | full |
//! |---|---|---|
//! | reads | lists and single things; they see the state of the batch before | refused at [`READS_MAX`] |
//! | jobs | the policies' loader asks for the view | never refused: it asks one at a time |
//! | observations | providers, probes, policies | never refused |
//! | reports | agents; the newest of each server is kept | refused at [`REPORTS_MAX`] servers |
//! | releases | apps that give capacity back | refused at [`COMMANDS_MAX`] |
//! | commands | everyone else who asks for something | refused at [`COMMANDS_MAX`] |

pub(super) mod lanes;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use usher_fleet::command::{Command, PlaceRoom, Rejection, Reply};
use usher_fleet::ids::{RoomId, ServerName, Tenant};
use usher_fleet::observation::{Observation, Reported};
use usher_fleet::status::ServerStatus;
use usher_fleet::{Fleet, Timestamp};
use usher_store::EventId;

use lanes::{Asked, AskedRoom, Lanes, Read, Taken};

/// Commands that wait at the same time, and as many releases beside them. The driver takes tens of thousands a second, so a
/// full lane is a wait of a fraction of a second; beyond it a client does better to come again.
pub const COMMANDS_MAX: usize = 8192;

/// Reads that wait at the same time; a list of many things takes the driver longer than a placement.
pub const READS_MAX: usize = 4096;

/// Servers whose reports wait at the same time: twice the fleet that Usher is made for.
pub const REPORTS_MAX: usize = 20_000;

/// Says why a question was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its lane is full.
    #[error("too many requests wait already")]
    Busy,
    /// The process is ending.
    #[error("the host is stopping")]
    Stopping,
}

/// What a question about a room is answered.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every answer is the large one; a box would cost each an allocation"
)]
pub enum Answer {
    /// What the fleet said.
    Reply(Reply),
    /// The room is gone: it waited too long, or a policy rejected it at last; and which.
    Expired(RoomId, String),
    /// The room was released while the question waited.
    Released(RoomId),
}

/// What a report is answered: the server as it stands now, and the rooms in the report that are elsewhere by now.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportAnswer {
    /// The server.
    pub server: ServerStatus,
    /// Rooms that it reported and that have moved.
    pub moved: Vec<MovedRoom>,
}

/// A reported room that is not the reporting server's any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedRoom {
    /// The room.
    pub room: RoomId,
    /// Where it is; `None` while it waits for a server.
    pub server: Option<ServerName>,
}

/// When a read was answered.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The fleet's time.
    pub now: Timestamp,
    /// The newest event that the state contains.
    pub as_of: EventId,
}

#[derive(Default)]
struct Shared {
    lanes: Mutex<Lanes>,
    filled: Condvar,
}

/// Where everyone leaves what the driver shall do; cheap to clone.
#[derive(Clone, Default)]
pub struct Mailbox(Arc<Shared>);

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

impl Mailbox {
    /// Makes an empty one.
    pub fn new() -> Mailbox {
        Mailbox::default()
    }

    /// Asks for something; the answer comes when all that it speaks of is durable.
    ///
    /// # Errors
    /// [`Refused`]: nothing was done.
    pub async fn command(&self, command: Command) -> Result<Reply, Refused> {
        match self.ask(command, Duration::ZERO)?.await {
            Ok(Answer::Reply(reply)) => Ok(reply),
            Ok(Answer::Expired(room, _) | Answer::Released(room)) => Ok(Reply::Rejected(Rejection::NoSuchRoom(room))),
            Err(_) => never_answered().await,
        }
    }

    /// Asks for a place for a room, and waits so long for a server.
    ///
    /// # Errors
    /// [`Refused`]: nothing was done.
    pub async fn place(&self, place: PlaceRoom, wait: Duration) -> Result<Answer, Refused> {
        match self.ask(Command::PlaceRoom(place), wait)?.await {
            Ok(answer) => Ok(answer),
            Err(_) => never_answered().await,
        }
    }

    /// Asks where a room is, and waits so long for it to be placed. A room of another tenant is not there.
    ///
    /// # Errors
    /// [`Refused`]: nothing was read.
    pub async fn room(&self, room: RoomId, tenant: Option<Tenant>, wait: Duration) -> Result<Answer, Refused> {
        let (tell, told) = oneshot::channel();
        self.put(|lanes| {
            bounded(
                &mut lanes.rooms,
                READS_MAX,
                AskedRoom {
                    room,
                    tenant,
                    wait,
                    tell,
                },
            )
        })?;
        match told.await {
            Ok(answer) => Ok(answer),
            Err(_) => never_answered().await,
        }
    }

    /// Reads the fleet between two inputs; the answer comes when all that was seen is durable.
    ///
    /// # Errors
    /// [`Refused`]: nothing was read.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Fleet, Moment) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let (tell, told) = oneshot::channel();
        let read: Read = Box::new(move |fleet, moment| {
            let seen = read(fleet, moment);
            // The client may have gone; then nobody is told.
            Box::new(move || drop(tell.send(seen)))
        });
        self.put(|lanes| bounded(&mut lanes.reads, READS_MAX, read))?;
        match told.await {
            Ok(seen) => Ok(seen),
            Err(_) => never_answered().await,
        }
    }

    /// Leaves a server's report; an older one of the same server that still waits is dropped, and both are told the same.
    ///
    /// # Errors
    /// [`Refused`]: the report was not taken.
    pub async fn report(&self, reported: Reported) -> Result<Result<ReportAnswer, Rejection>, Refused> {
        let (tell, told) = oneshot::channel();
        self.put(|lanes| lanes.put_report(reported, tell))?;
        match told.await {
            Ok(answer) => Ok(answer),
            Err(_) => never_answered().await,
        }
    }

    /// Leaves an observation; it is never refused. After the end it is dropped: the next start asks the world again.
    pub fn observe(&self, observation: Observation) {
        let _ = self.put(|lanes| {
            lanes.observations.push_back(observation);
            Ok(())
        });
    }

    /// Runs something on the driver's thread between two inputs, without waiting for what it sees to be durable: only for
    /// what can be built anew, such as policies' views. It is dropped if the driver has ended.
    pub fn run(&self, job: impl FnOnce(&Fleet, Timestamp) + Send + 'static) {
        let _ = self.put(|lanes| {
            lanes.jobs.push_back(Box::new(job));
            Ok(())
        });
    }

    /// Says that the chain of place policies has changed.
    pub fn chain_changed(&self) {
        let _ = self.put(|lanes| {
            lanes.is_chain_changed = true;
            Ok(())
        });
    }

    /// Has all who wait for a server answered at once, with what is so.
    pub fn answer_parked(&self) {
        let _ = self.put(|lanes| {
            lanes.must_answer_parked = true;
            Ok(())
        });
    }

    /// Takes nothing more; the driver ends when it has done what was left before.
    pub fn close(&self) {
        let mut lanes = self.lanes();
        lanes.is_closed = true;
        lanes.must_answer_parked = true;
        self.0.filled.notify_all();
    }

    /// Takes nothing more, and lets go of the jobs that nobody will do: who waits for one waits no more.
    pub(super) fn leave(&self) {
        let mut lanes = self.lanes();
        lanes.is_closed = true;
        let jobs = std::mem::take(&mut lanes.jobs);
        drop(lanes);
        drop(jobs);
    }

    /// Waits for something to do, at most until `until`, and takes it.
    pub(super) fn take(&self, until: Instant, taken: &mut Taken) {
        let mut lanes = self.lanes();
        while lanes.is_empty() && !lanes.is_closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            lanes.does_driver_sleep = true;
            (lanes, _) = self
                .0
                .filled
                .wait_timeout(lanes, left)
                .unwrap_or_else(PoisonError::into_inner);
            lanes.does_driver_sleep = false;
        }
        lanes.take(taken);
    }

    fn ask(&self, command: Command, wait: Duration) -> Result<oneshot::Receiver<Answer>, Refused> {
        let (tell, told) = oneshot::channel();
        let asked = Asked { command, wait, tell };
        self.put(|lanes| {
            let lane = if matches!(asked.command, Command::ReleaseRoom(_)) {
                &mut lanes.releases
            } else {
                &mut lanes.commands
            };
            bounded(lane, COMMANDS_MAX, asked)
        })?;
        Ok(told)
    }

    fn put(&self, put: impl FnOnce(&mut Lanes) -> Result<(), Refused>) -> Result<(), Refused> {
        let mut lanes = self.lanes();
        if lanes.is_closed {
            return Err(Refused::Stopping);
        }
        put(&mut lanes)?;
        let must_wake = lanes.does_driver_sleep;
        drop(lanes);
        if must_wake {
            self.0.filled.notify_one();
        }
        Ok(())
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounded<T>(lane: &mut VecDeque<T>, max: usize, item: T) -> Result<(), Refused> {
    if lane.len() >= max {
        return Err(Refused::Busy);
    }
    lane.push_back(item);
    Ok(())
}

/// The driver has ended with the question in its hands: what became of it may not be durable, so nobody may be told
/// anything. The process ends now, and with it this wait.
async fn never_answered<T>() -> T {
    std::future::pending().await
}

#[cfg(test)]
mod tests;
