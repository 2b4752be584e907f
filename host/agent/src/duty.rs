//! What the agent owes to whom: whether it may report, what the media server is to be told, when it may leave.
//!
//! No I/O and no clock: what happens comes in by calls, with the time where it matters.

use std::time::Duration;

use tokio::time::Instant;

/// Questions in a row that a media server may miss before the agent becomes silent: a slow moment is not the end, and the
/// host's own patience (15 s) only begins afterwards.
pub const GRACE_QUESTIONS: u32 = 2;

/// What a media server is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Take new rooms.
    Accept,
    /// Take no new rooms.
    Refuse,
}

/// How the agent stands with the host, the media server and its own end.
#[derive(Debug)]
pub(crate) struct Duty {
    /// Whether there is a media server to ask.
    has_media: bool,
    may_order: bool,
    /// Whether a hold of the host's alone is no reason to tell it to refuse.
    spares_latecomers: bool,
    has_answered: bool,
    missed: u32,
    /// Whether the media server says by itself that it takes no more rooms.
    drains_itself: bool,
    /// Looks in a row that showed it refusing new rooms although nobody has told it so through us.
    refusals: u32,
    /// Whether the host keeps new rooms away; unknown until it has answered.
    is_held: Option<bool>,
    /// What the media server was told last, and has confirmed.
    told: Option<Order>,
    /// When the machine is taken away.
    taken_at: Option<Instant>,
    /// Until when the agent stays after it was told to leave.
    leaves_at: Option<Instant>,
    /// Whether the report that the host took last said that this server takes no new rooms any more.
    host_knows: bool,
    /// Whether nobody was in the media server when it was looked at since.
    is_empty: bool,
}

/// What a media server has answered, as far as duties go.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answered {
    pub(crate) participants: Option<u32>,
    /// Whether it says that it is going.
    pub(crate) is_draining: bool,
    /// Whether it takes new rooms, where it can tell.
    pub(crate) accepts: Option<bool>,
}

impl Duty {
    /// Begins with nothing known. Without `has_media` nobody is asked, and reports speak for the machine alone; without
    /// `may_order` the media server is never told anything.
    pub(crate) fn new(has_media: bool, may_order: bool) -> Duty {
        Duty {
            has_media,
            may_order: has_media && may_order,
            spares_latecomers: false,
            has_answered: false,
            missed: 0,
            drains_itself: false,
            refusals: 0,
            is_held: None,
            told: None,
            taken_at: None,
            leaves_at: None,
            host_knows: false,
            is_empty: false,
        }
    }

    /// Returns the same, for a media server that would also turn away people who come late to a room that is there.
    pub(crate) fn sparing_latecomers(self, spares_latecomers: bool) -> Duty {
        Duty {
            spares_latecomers,
            ..self
        }
    }

    /// The media server has answered.
    pub(crate) fn answered(&mut self, answered: Answered) {
        self.has_answered = true;
        self.missed = 0;
        self.is_empty = self.host_knows && answered.participants == Some(0);
        // What we told it to do is not its own wish: counted as one, a cordon would turn into a drain for ever. So its
        // word counts only where it was told to accept, and refuses all the same.
        let is_its_own = self.told == Some(Order::Accept) || !self.may_order;
        self.drains_itself = answered.is_draining && is_its_own;
        self.refusals = match answered.accepts {
            Some(false) if is_its_own => self.refusals.saturating_add(1),
            Some(_) | None => 0,
        };
        if self.told == Some(Order::Refuse) && answered.accepts == Some(true) {
            // It has been started anew since.
            self.told = None;
        }
    }

    /// The media server has not answered, or not in a way that can be read.
    pub(crate) fn missed(&mut self) {
        self.missed = self.missed.saturating_add(1);
        self.is_empty = false;
        // It may have been started anew, and then accepts. To be told so again would undo what others have told it since.
        self.told = self.told.filter(|told| *told == Order::Accept);
    }

    /// Returns whether the media server refuses new rooms, and not because of us. A videobridge's word is some seconds old, so that
    /// one look alone says nothing.
    pub(crate) fn refuses_itself(&self) -> bool {
        self.refusals > GRACE_QUESTIONS
    }

    /// Returns whether the media server has yet to answer for the first time.
    pub(crate) fn is_booting(&self) -> bool {
        self.has_media && !self.has_answered
    }

    /// Returns whether a report would be true as a sign of life.
    pub(crate) fn may_report(&self) -> bool {
        !self.has_media || (self.has_answered && self.missed <= GRACE_QUESTIONS)
    }

    /// Returns whether the media server has just become silent for the host.
    pub(crate) fn has_just_fallen_silent(&self) -> bool {
        self.has_answered && self.missed == GRACE_QUESTIONS + 1
    }

    /// The host has answered; returns whether its hold is news.
    pub(crate) fn held(&mut self, is_held: bool) -> bool {
        self.is_held.replace(is_held).unwrap_or(false) != is_held
    }

    /// The host has taken a report, which said or did not say that this server takes no new rooms any more.
    pub(crate) fn heard(&mut self, is_draining: bool) {
        self.host_knows = is_draining;
    }

    /// The cloud has said when it takes the machine away, or that it will not.
    pub(crate) fn taken_away(&mut self, at: Option<Instant>) {
        self.taken_at = at;
    }

    /// The agent is to leave, at the latest after `limit`.
    pub(crate) fn leaves(&mut self, now: Instant, limit: Duration) {
        self.leaves_at.get_or_insert(now + limit);
    }

    /// Returns when the agent leaves at the latest, if it has been told to.
    pub(crate) fn leaves_at(&self) -> Option<Instant> {
        self.leaves_at
    }

    /// Returns whether the report says that this server takes no new rooms any more.
    pub(crate) fn is_draining(&self) -> bool {
        self.taken_at.is_some() || self.leaves_at.is_some() || self.drains_itself
    }

    /// Returns how many whole seconds are left until the machine is taken away.
    pub(crate) fn seconds_left(&self, now: Instant) -> Option<u32> {
        let left = self.taken_at?.saturating_duration_since(now).as_secs();
        Some(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// Returns what the media server has to be told and has not confirmed yet.
    pub(crate) fn order_due(&self) -> Option<Order> {
        if !self.may_order || self.missed > 0 || !self.has_answered {
            return None;
        }
        let is_leaving = self.taken_at.is_some() || self.leaves_at.is_some();
        let wanted = match self.is_held {
            _ if is_leaving => Order::Refuse,
            Some(true) if !self.spares_latecomers => Order::Refuse,
            Some(_) => Order::Accept,
            None => return None,
        };
        (self.told != Some(wanted)).then_some(wanted)
    }

    /// The media server has confirmed an order.
    pub(crate) fn obeyed(&mut self, order: Order) {
        self.told = Some(order);
        self.refusals = 0;
    }

    /// The media server can be told nothing; it is not tried again.
    pub(crate) fn cannot_order(&mut self) {
        self.may_order = false;
    }

    /// Returns whether the agent has been told to leave and nothing keeps it: its time is over, the media server has died, or the host
    /// knows and nobody is left. Nobody was there before the host knew says nothing: it may have placed a room a moment ago.
    pub(crate) fn may_leave(&self, now: Instant) -> bool {
        let Some(leaves_at) = self.leaves_at else { return false };
        // One that has died will not become emptier, and of a dead one nothing is reported.
        let has_died = self.has_media && !self.may_report();
        has_died || now >= leaves_at || (self.host_knows && (self.is_empty || !self.has_media))
    }
}

#[cfg(test)]
mod tests;
