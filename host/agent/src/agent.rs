//! The loop: look at the media server, report to the host, obey its answer; and hear at once of the end that is coming.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::CannotStart;
use crate::cadence::{BOOTING_WAIT, BackOff, DENIED_WAIT, LEAVING_WAIT, next_turn};
use crate::chance;
use crate::duty::{Duty, Order};
use crate::host::{Answer, Failure, Host, Moved};
use crate::log::Pacer;
use crate::machine::Machine;
use crate::media::{Media, Obeyed, Sight};
use crate::report::{Farewell, Report};
use crate::room::RoomId;
use crate::settings::Settings;
use crate::spot::{self, Notices};
use crate::stop::{Level, Stop};

/// Rooms that are named in the log when they have moved; the others are counted.
const MOVED_TOLD_MAX: usize = 20;

/// An agent with all that it speaks to.
pub(crate) struct Agent {
    server: String,
    interval: Duration,
    drain_limit: Duration,
    watches_only: bool,
    server_url: Option<String>,
    duty: Duty,
    media: Media,
    machine: Machine,
    host: Host,
    back_off: BackOff,
    /// No report is sent before, but for urgent ones.
    next_report: Instant,
    /// How far the server is, in the host's words: told when it changes.
    phase: String,
    /// Rooms that have moved and have been told of.
    moved: BTreeSet<RoomId>,
    troubles: Troubles,
}

/// What goes wrong, each told once and then once a minute.
#[derive(Default)]
struct Troubles {
    media: Pacer,
    host: Pacer,
    order: Pacer,
    ending: Pacer,
    cut: Pacer,
    refusal: Pacer,
}

impl Agent {
    /// Makes one that has not begun yet.
    ///
    /// # Errors
    /// A client for the host or the media server cannot be made.
    pub(crate) fn new(settings: Settings) -> Result<Agent, CannotStart> {
        let media = Media::of(settings.media).map_err(|error| CannotStart::Client {
            url: "the media server".to_owned(),
            why: error.to_string(),
        })?;
        let may_order = !settings.watches_only && media.why_no_orders().is_none();
        Ok(Agent {
            server: settings.server,
            server_url: settings.server_url,
            interval: settings.report_interval,
            drain_limit: settings.drain_limit,
            watches_only: settings.watches_only,
            duty: Duty::new(media.is_there(), may_order).sparing_latecomers(media.turns_latecomers_away()),
            media,
            machine: Machine::new(settings.interface, settings.interface_mbps),
            host: Host::new(settings.host)?,
            back_off: BackOff::default(),
            next_report: Instant::now(),
            phase: String::new(),
            moved: BTreeSet::new(),
            troubles: Troubles::default(),
        })
    }

    /// Takes one turn after the other until it may leave. News of the end interrupts whatever is waited for.
    pub(crate) async fn run(mut self, mut stop: Stop, mut notices: Notices) {
        tracing::info!(
            server = self.server,
            "beside {}, reports every {:?}",
            self.media.name(),
            self.interval
        );
        let mut is_urgent = false;
        loop {
            if self.hear(&mut stop, &mut notices) == Level::Now {
                tracing::info!("leaves at once");
                return;
            }
            tokio::select! {
                biased;
                () = news(&mut stop, &mut notices) => {
                    is_urgent = true;
                    continue;
                }
                () = self.turn(is_urgent) => {}
            }
            let now = Instant::now();
            if self.duty.may_leave(now) {
                tracing::info!("leaves");
                return;
            }
            let interval = if self.duty.is_booting() {
                self.interval.min(BOOTING_WAIT)
            } else if self.duty.leaves_at().is_some() {
                self.interval.min(LEAVING_WAIT)
            } else {
                self.interval
            };
            let next = now + next_turn(interval, chance::draw());
            let next = self.duty.leaves_at().map_or(next, |leaves_at| next.min(leaves_at));
            is_urgent = tokio::select! {
                biased;
                () = news(&mut stop, &mut notices) => true,
                () = sleep_until(next) => false,
            };
        }
    }

    /// Takes in how urgently to leave, and when the machine is taken away.
    fn hear(&mut self, stop: &mut Stop, notices: &mut Notices) -> Level {
        let level = stop.level();
        if level == Level::Drain && self.duty.leaves_at().is_none() {
            let seconds = self.drain_limit.as_secs();
            tracing::info!("drains, and leaves when the host knows and nobody is left, at the latest in {seconds} s");
            self.duty.leaves(Instant::now(), self.drain_limit);
        }
        self.duty.taken_away(*notices.borrow_and_update());
        level
    }

    async fn turn(&mut self, is_urgent: bool) {
        let mut sight = self.look().await;
        self.tell_of_refusal(sight.as_mut());
        let now = Instant::now();
        let machine = self.machine.read(now);
        if self.duty.may_report() && (is_urgent || now >= self.next_report) {
            let farewell = Farewell {
                is_draining: self.duty.is_draining(),
                taken_away_seconds: self.duty.seconds_left(now),
            };
            let report = Report::of(machine, sight, farewell).reached_at(self.server_url.as_deref());
            self.tell_of_cut(&report, now);
            match self.host.report(&report).await {
                Ok(answer) => {
                    self.duty.heard(farewell.is_draining);
                    self.answered(answer).await;
                }
                Err(failure) => self.failed(&failure),
            }
        }
        self.order().await;
    }

    async fn look(&mut self) -> Option<Sight> {
        if !self.media.is_there() {
            return None;
        }
        match self.media.look().await {
            Ok(sight) => {
                self.duty.answered(sight.answered());
                if self.troubles.media.is_over() {
                    tracing::info!("{} answers", self.media.name());
                }
                Some(sight)
            }
            Err(error) => {
                self.duty.missed();
                let text = error.to_string();
                if self.duty.has_just_fallen_silent() {
                    let name = self.media.name();
                    tracing::error!("{name} does not answer, so nothing is reported any more: {text}");
                } else if self.troubles.media.is_due(&text, Instant::now()) {
                    let silence = if self.duty.may_report() {
                        ""
                    } else {
                        "; nothing is reported until it does"
                    };
                    tracing::warn!("{} does not answer: {text}{silence}", self.media.name());
                }
                None
            }
        }
    }

    /// A media server that refuses by somebody else's word is told of by a figure and in the log. `draining` would be too much: Usher
    /// ends an empty server that it has launched and that says so, and this may be a passing mood.
    fn tell_of_refusal(&mut self, sight: Option<&mut Sight>) {
        let Some(sight) = sight else { return };
        let (name, refuses) = (self.media.name(), self.duty.refuses_itself());
        // A figure that is left out stays as it was.
        sight.figures.insert("refuses_rooms".to_owned(), u32::from(refuses));
        if !refuses {
            if self.troubles.refusal.is_over() {
                tracing::info!("{name} takes new rooms again");
            }
            return;
        }
        if self.troubles.refusal.is_due("refuses", Instant::now()) {
            tracing::warn!(
                "{name} takes no new rooms, and was not told so by Usher, which places rooms here: let it accept again, or `usher drain {}`",
                self.server
            );
        }
    }

    fn tell_of_cut(&mut self, report: &Report, now: Instant) {
        if let Some(cut) = report.rooms_cut()
            && cut > 0
            && self.troubles.cut.is_due("cut", now)
        {
            tracing::warn!("{cut} rooms are left out: they are more than a report can hold");
        }
    }

    async fn answered(&mut self, answer: Answer) {
        self.back_off.succeeded();
        self.next_report = Instant::now();
        if self.troubles.host.is_over() {
            tracing::info!("the host takes reports again");
        }
        match self.host.take_token(&answer) {
            Ok(true) => tracing::info!("the host has given a new token"),
            Ok(false) => {}
            Err(error) => tracing::error!("{error}"),
        }
        if self.duty.held(answer.hold.is_some()) {
            match &answer.hold {
                Some(hold) => {
                    tracing::info!(owner = hold.owner, "the host says {}: {}", hold.kind, hold.reason);
                    if let Some(why) = self.media.why_no_orders() {
                        tracing::info!("it places no new rooms here; nobody is told, as {why}");
                    }
                }
                None => tracing::info!("the host places new rooms here again"),
            }
        }
        tracing::debug!(phase = answer.phase, health = answer.health, "the host has answered");
        if answer.phase != self.phase {
            tracing::info!("to the host this server is {}", answer.phase);
            self.phase.clone_from(&answer.phase);
        }
        self.end_moved(&answer.moved).await;
    }

    fn failed(&mut self, failure: &Failure) {
        let now = Instant::now();
        let text = failure.to_string();
        if self.troubles.host.is_due(&text, now) {
            match failure {
                Failure::Away { .. } | Failure::Busy { .. } => tracing::warn!("{text}"),
                Failure::Untrusted { .. }
                | Failure::Denied { .. }
                | Failure::UnknownServer { .. }
                | Failure::Refused { .. }
                | Failure::Unreadable { .. } => tracing::error!("{text}"),
            }
        }
        let wait = match failure {
            Failure::Denied { .. } if self.host.token_refused() => Duration::ZERO,
            Failure::Denied { .. } => DENIED_WAIT,
            Failure::UnknownServer { .. } => {
                // Nothing is placed on a server that it does not know: there is nobody to take leave of.
                self.duty.heard(true);
                Duration::ZERO
            }
            // It answers, and the next report may be a better one.
            Failure::Refused { .. } => Duration::ZERO,
            Failure::Away { .. } | Failure::Untrusted { .. } | Failure::Unreadable { .. } => {
                self.back_off.failed(self.interval, chance::draw())
            }
            Failure::Busy { retry_after, .. } => self
                .back_off
                .failed(self.interval, chance::draw())
                .max(retry_after.unwrap_or_default()),
        };
        self.next_report = now + wait;
    }

    /// Has rooms ended that live elsewhere by now; says of each once that it does.
    async fn end_moved(&mut self, moved: &[Moved]) {
        let ids: Vec<RoomId> = moved.iter().filter_map(Moved::id).collect();
        let may_end = self.media.ends_rooms() && !self.watches_only;
        let fresh = moved
            .iter()
            .filter(|moved| moved.id().is_some_and(|id| !self.moved.contains(&id)));
        let fresh: Vec<&Moved> = fresh.collect();
        for moved in fresh.iter().take(MOVED_TOLD_MAX) {
            let server = moved.server.as_deref().unwrap_or("no server yet");
            let end = if may_end { "ends here" } else { "should be ended here" };
            tracing::warn!("the room {} is on {server} by now: it {end}", moved.room);
        }
        if fresh.len() > MOVED_TOLD_MAX {
            tracing::warn!("and {} more rooms", fresh.len() - MOVED_TOLD_MAX);
        }
        self.moved = ids.iter().cloned().collect();
        if ids.is_empty() || !may_end {
            return;
        }
        if let Err(error) = self.media.end_rooms(&ids).await {
            let text = error.to_string();
            if self.troubles.ending.is_due(&text, Instant::now()) {
                tracing::error!("a room that is elsewhere by now could not be ended: {text}");
            }
        }
    }

    async fn order(&mut self) {
        let Some(order) = self.duty.order_due() else { return };
        match self.media.obey(order).await {
            Ok(Obeyed::Done) => {
                self.duty.obeyed(order);
                self.troubles.order.is_over();
                let what = match order {
                    Order::Accept => "may take new rooms",
                    Order::Refuse => "was told to take no new rooms",
                };
                tracing::info!("{} {what}", self.media.name());
            }
            Ok(Obeyed::CannotBeTold) => {
                self.duty.cannot_order();
                tracing::info!("{} cannot be told to take no new rooms", self.media.name());
            }
            Err(error) => {
                let text = error.to_string();
                if self.troubles.order.is_due(&text, Instant::now()) {
                    tracing::error!("{} does not obey, and is told again: {text}", self.media.name());
                }
            }
        }
    }
}

/// Waits for news of the end.
async fn news(stop: &mut Stop, notices: &mut Notices) {
    tokio::select! {
        () = stop.changed() => {}
        () = spot::changed(notices) => {}
    }
}
