//! What handling one input came to: persist, then act, then answer, as data.

use crate::command::Reply;
use crate::decision::Decision;
use crate::effect::Effect;
use crate::event::Event;
use crate::record::Write;

/// What handling one input came to.
///
/// The writes and events belong into one atomic, durable batch; only then may effects start and the reply leave. That
/// holds for a reply without writes too: the state that it speaks of must be durable.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What becomes durable; the fleet has applied it to itself already.
    pub writes: Vec<Write>,
    /// What happened, for those who follow.
    pub events: Vec<Event>,
    /// What the world is asked to do.
    pub effects: Vec<Effect>,
    /// What policies were asked, and what became of their advice.
    pub decisions: Vec<Decision>,
    /// The answer, if the input was a command.
    pub reply: Option<Reply>,
}
