//! What there is to show: the office's clock, the host as it was last seen, and what the hour has come to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::app_server::Tally;
use super::costs::Costs;
use super::office::OfficeTime;
use super::pace::Pace;
use super::watcher::{Decision, Look, Server};

/// Points that the hour is remembered in: more than a wide screen has columns.
const POINTS: usize = 240;

/// How far the demo is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// The host loads its policies; the office's clock stands still.
    Opening,
    /// The hour.
    Office,
    /// Everybody has left; the last servers go.
    Closing,
}

/// What does not change while the demo runs.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) pace: Pace,
    pub(super) closes: OfficeTime,
    pub(super) url: String,
    /// The folder that the host watches.
    pub(super) policies_dir: String,
    /// How this program is called.
    pub(super) program: String,
}

/// All that the faces of the demo show.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) setting: Setting,
    pub(super) act: Act,
    pub(super) now: OfficeTime,
    pub(super) is_paused: bool,
    pub(super) look: Look,
    pub(super) tally: Tally,
    pub(super) costs: Costs,
    pub(super) history: History,
    pub(super) most: Most,
    pub(super) decided: Decided,
}

/// The most that there was at once, and what there was altogether.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Most {
    pub(super) servers: u32,
    pub(super) rooms: u32,
    launched: BTreeSet<String>,
}

impl Most {
    /// Returns how many servers were launched altogether.
    pub(super) fn launched(&self) -> usize {
        self.launched.len()
    }
}

/// What each policy has decided so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Decided {
    by_policy: BTreeMap<String, Deeds>,
    /// The newest decision that was counted.
    last: Option<u32>,
}

/// What a policy has decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Deeds {
    pub(super) rooms_placed: u32,
    pub(super) launches: u32,
    pub(super) retirements: u32,
    /// Advice that a guard stood against, wholly or in part.
    pub(super) against_guards: u32,
}

impl Decided {
    /// Returns each policy with what it has decided.
    pub(super) fn by_policy(&self) -> impl Iterator<Item = (&str, Deeds)> {
        self.by_policy.iter().map(|(policy, deeds)| (policy.as_str(), *deeds))
    }

    /// Counts those decisions that were not there the last time; the newest come first.
    fn count(&mut self, decisions: &[Decision]) {
        let last = self.last;
        let fresh = decisions
            .iter()
            .take_while(|decision| last.is_none_or(|last| decision.no > last));
        for decision in fresh.filter(|decision| decision.is_about_change()) {
            let deeds = self.by_policy.entry(decision.policy.clone()).or_default();
            match (decision.verdict.as_str(), decision.point.as_str()) {
                ("accepted", "place") if decision.server.is_some() => deeds.rooms_placed += 1,
                ("accepted", "place") => {}
                ("accepted", "scale_up") => deeds.launches += 1,
                ("accepted", _) => deeds.retirements += 1,
                (_, _) => deeds.against_guards += 1,
            }
        }
        self.last = decisions.first().map(|decision| decision.no).max(last);
    }
}

impl Scene {
    /// Returns the scene before anything was seen.
    pub(super) fn new(setting: Setting) -> Scene {
        Scene {
            setting,
            act: Act::Opening,
            now: OfficeTime::default(),
            is_paused: false,
            look: Look::default(),
            tally: Tally::default(),
            costs: Costs::default(),
            history: History::default(),
            most: Most::default(),
            decided: Decided::default(),
        }
    }

    /// Lets so much real time pass; while it is paused, or not open yet, none of the office's does.
    pub(super) fn pass(&mut self, here: Duration) {
        if self.is_paused || self.act == Act::Opening {
            return;
        }
        let span = self.setting.pace.office(here);
        if self.act == Act::Office {
            let left = self.setting.closes.0.saturating_sub(self.now.0);
            self.costs.add(span.min(left), self.look.dollars_per_hour);
        }
        self.now = self.now + span;
        if self.now >= self.setting.closes {
            self.act = Act::Closing;
        }
    }

    /// Takes in what was seen of the host, and what the app server tells.
    pub(super) fn see(&mut self, look: Look, tally: Tally) {
        let (servers, rooms) = (count(look.servers.iter()), look.rooms_placed);
        self.most.servers = self.most.servers.max(servers);
        self.most.rooms = self.most.rooms.max(rooms);
        for server in &look.servers {
            if !self.most.launched.contains(&server.name) {
                self.most.launched.insert(server.name.clone());
            }
        }
        if self.act == Act::Office {
            let waiting = count(look.waiting.iter());
            self.history.note(
                self.now,
                self.setting.closes,
                Point {
                    servers,
                    rooms,
                    waiting,
                },
            );
        }
        self.decided.count(&look.decisions);
        self.look = look;
        self.tally = tally;
    }

    /// Returns how much of the hour has gone, from 0.0 to 1.0.
    pub(super) fn progress(&self) -> f64 {
        (self.now.0.as_secs_f64() / self.setting.closes.0.as_secs_f64()).clamp(0.0, 1.0)
    }

    /// Counts the servers by what they are to a spectator.
    pub(super) fn servers(&self) -> Counts {
        let mut counts = Counts::default();
        for server in &self.look.servers {
            match server.stage() {
                Stage::Starting => counts.starting += 1,
                Stage::Open => counts.open += 1,
                Stage::Going => counts.going += 1,
            }
        }
        counts
    }
}

/// How many servers there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) starting: u32,
    /// Ready, and nothing held against them.
    pub(super) open: u32,
    /// Held, ending or failed.
    pub(super) going: u32,
}

/// What a server is to a spectator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Starting,
    Open,
    Going,
}

impl Server {
    /// Returns what the server is to a spectator.
    pub(super) fn stage(&self) -> Stage {
        match self.phase.as_str() {
            "requested" | "launching" | "booting" => Stage::Starting,
            "ready" if self.hold.is_none() => Stage::Open,
            _ => Stage::Going,
        }
    }
}

/// What there was at a moment of the hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) servers: u32,
    pub(super) rooms: u32,
    pub(super) waiting: u32,
}

/// The hour so far, in [`POINTS`] equal parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct History(Vec<Point>);

impl History {
    /// Notes what there is now; parts that nobody looked at are as the one before.
    fn note(&mut self, now: OfficeTime, closes: OfficeTime, point: Point) {
        let part = now.0.as_secs_f64() / closes.0.as_secs_f64() * POINTS as f64;
        let part = (part as usize).min(POINTS - 1);
        let last = self.0.last().copied().unwrap_or(point);
        while self.0.len() < part {
            self.0.push(last);
        }
        match self.0.get_mut(part) {
            None => self.0.push(point),
            // A queue that came and went between two points is what one wants to see.
            Some(noted) => {
                *noted = Point {
                    waiting: noted.waiting.max(point.waiting),
                    ..point
                }
            }
        }
    }

    /// Returns the hour in so many columns, each with the most that there was in it; those to come are left out.
    pub(super) fn columns(&self, width: usize, of: impl Fn(&Point) -> u32) -> Vec<u64> {
        let width = width.max(1);
        let column = |at: usize| {
            let (from, to) = (at * POINTS / width, ((at + 1) * POINTS).div_ceil(width));
            let points = self.0.get(from..to.min(self.0.len()))?;
            points.iter().map(|point| u64::from(of(point))).max()
        };
        (0..width).map_while(column).collect()
    }
}

fn count(things: impl Iterator) -> u32 {
    u32::try_from(things.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(super) mod tests;
