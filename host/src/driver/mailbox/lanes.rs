//! The lanes themselves, and what the driver takes of them at once.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use usher_fleet::command::{Command, Rejection};
use usher_fleet::ids::{RoomId, ServerName, Tenant};
use usher_fleet::observation::{Observation, Reported};
use usher_fleet::{Fleet, Timestamp};

use super::{Answer, Moment, REPORTS_MAX, Refused, ReportAnswer};

/// What the driver takes of each lane at once: some milliseconds of work, so that no lane waits long for the others.
pub(super) const TAKE_MAX: usize = 512;

/// Reports of one server that wait for an answer at the same time; more means that its agent does not wait for any.
pub(super) const REPORT_WAITERS_MAX: usize = 8;

pub(in crate::driver) type Tell = oneshot::Sender<Answer>;
pub(in crate::driver) type TellReport = oneshot::Sender<Result<ReportAnswer, Rejection>>;
/// Sends what was read to whoever asked, once that may be known.
pub(in crate::driver) type Say = Box<dyn FnOnce() + Send>;
pub(in crate::driver) type Read = Box<dyn FnOnce(&Fleet, Moment) -> Say + Send>;
pub(in crate::driver) type Job = Box<dyn FnOnce(&Fleet, Timestamp) + Send>;

/// A command, how long its answer may wait for a server, and whom to tell.
#[derive(Debug)]
pub(in crate::driver) struct Asked {
    pub(in crate::driver) command: Command,
    pub(in crate::driver) wait: Duration,
    pub(in crate::driver) tell: Tell,
}

/// A question where a room is, how long its answer may wait for a server, and whom to tell.
#[derive(Debug)]
pub(in crate::driver) struct AskedRoom {
    pub(in crate::driver) room: RoomId,
    pub(in crate::driver) tenant: Option<Tenant>,
    pub(in crate::driver) wait: Duration,
    pub(in crate::driver) tell: Tell,
}

/// A server's newest report, and all who wait for the answer.
#[derive(Debug)]
pub(in crate::driver) struct WaitingReport {
    pub(in crate::driver) reported: Reported,
    pub(in crate::driver) tell: Vec<TellReport>,
}

/// What the driver takes at once, lane by lane.
#[derive(Default)]
pub(in crate::driver) struct Taken {
    pub(in crate::driver) reads: Vec<Read>,
    pub(in crate::driver) rooms: Vec<AskedRoom>,
    pub(in crate::driver) jobs: Vec<Job>,
    pub(in crate::driver) is_chain_changed: bool,
    pub(in crate::driver) observations: Vec<Observation>,
    pub(in crate::driver) reports: Vec<WaitingReport>,
    pub(in crate::driver) releases: Vec<Asked>,
    pub(in crate::driver) commands: Vec<Asked>,
    pub(in crate::driver) must_answer_parked: bool,
    /// Nothing comes any more, and all that came has been taken.
    pub(in crate::driver) is_last: bool,
}

/// All lanes.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) reads: VecDeque<Read>,
    pub(super) rooms: VecDeque<AskedRoom>,
    pub(super) jobs: VecDeque<Job>,
    pub(super) is_chain_changed: bool,
    pub(super) observations: VecDeque<Observation>,
    pub(super) reports: HashMap<ServerName, WaitingReport>,
    pub(super) reports_order: VecDeque<ServerName>,
    pub(super) releases: VecDeque<Asked>,
    pub(super) commands: VecDeque<Asked>,
    pub(super) must_answer_parked: bool,
    pub(super) is_closed: bool,
    pub(super) does_driver_sleep: bool,
}

impl Lanes {
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
            && self.releases.is_empty()
            && self.reads.is_empty()
            && self.rooms.is_empty()
            && self.reports.is_empty()
            && self.observations.is_empty()
            && self.jobs.is_empty()
            && !self.is_chain_changed
            && !self.must_answer_parked
    }

    pub(super) fn take(&mut self, taken: &mut Taken) {
        fn some<T>(lane: &mut VecDeque<T>, to: &mut Vec<T>) {
            to.extend(lane.drain(..lane.len().min(TAKE_MAX)));
        }
        some(&mut self.reads, &mut taken.reads);
        some(&mut self.rooms, &mut taken.rooms);
        some(&mut self.jobs, &mut taken.jobs);
        some(&mut self.observations, &mut taken.observations);
        some(&mut self.releases, &mut taken.releases);
        some(&mut self.commands, &mut taken.commands);
        let reports = self.reports_order.len().min(TAKE_MAX);
        let reports = self
            .reports_order
            .drain(..reports)
            .filter_map(|server| self.reports.remove(&server));
        taken.reports.extend(reports);
        taken.is_chain_changed = std::mem::take(&mut self.is_chain_changed);
        taken.must_answer_parked = std::mem::take(&mut self.must_answer_parked);
        taken.is_last = self.is_closed && self.is_empty();
    }

    pub(super) fn put_report(&mut self, reported: Reported, tell: TellReport) -> Result<(), Refused> {
        if let Some(waiting) = self.reports.get_mut(&reported.server) {
            if waiting.tell.len() >= REPORT_WAITERS_MAX {
                return Err(Refused::Busy);
            }
            waiting.reported = reported;
            waiting.tell.push(tell);
            return Ok(());
        }
        if self.reports.len() >= REPORTS_MAX {
            return Err(Refused::Busy);
        }
        self.reports_order.push_back(reported.server.clone());
        self.reports.insert(
            reported.server.clone(),
            WaitingReport {
                reported,
                tell: vec![tell],
            },
        );
        Ok(())
    }
}
