//! What the fleet asks of the world, once the state that it follows from is durable. Every effect may be repeated.

use crate::advice::ScaleAsk;
use crate::config::{Labels, Offer};
use crate::ids::{PoolName, ServerName, ServerNo};
use crate::observation::OrderKey;
use crate::units::Timestamp;

/// What the fleet asks of the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Launch a server; answered by [`Observation::Launched`](crate::Observation::Launched).
    Launch(LaunchOrder),
    /// End whatever exists under a key; answered by [`Observation::Terminated`](crate::Observation::Terminated).
    Terminate(TerminateOrder),
    /// List a pool's instances; answered by [`Observation::Listed`](crate::Observation::Listed).
    List(PoolName),
    /// Probe a server's URL regularly from now on, with the pool's health check; answered by
    /// [`Observation::Probed`](crate::Observation::Probed), each time.
    Watch(Watch),
    /// Stop probing it.
    Unwatch(ServerName),
    /// Probe a server's URL once: the second witness of its loss; answered by
    /// [`Observation::Probed`](crate::Observation::Probed).
    Probe(Watch),
    /// Find out why a server never became ready; answered by [`Observation::Examined`](crate::Observation::Examined).
    Examine(Examine),
    /// Ask a scale policy; answered by [`Observation::Scaled`](crate::Observation::Scaled).
    Scale(ScaleAsk),
}

/// See [`Effect::Launch`]. Idempotent by its key.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchOrder {
    /// The key.
    pub key: OrderKey,
    /// The fleet's number for the server: a second attempt has the same, another server of this name has not.
    pub no: ServerNo,
    /// The pool, whose configuration says how.
    pub pool: PoolName,
    /// The words that the server carries.
    pub labels: Labels,
    /// What to order; none where the provider chooses.
    pub offer: Option<Offer>,
    /// Which order of this key it is since the process started, from 1 on: its answer says so too.
    pub nth: u32,
}

/// See [`Effect::Terminate`]. Idempotent by its key.
#[derive(Debug, Clone, PartialEq)]
pub struct TerminateOrder {
    /// The key.
    pub key: OrderKey,
    /// The pool, whose configuration says how.
    pub pool: PoolName,
    /// The provider's own name for it, if known.
    pub instance: Option<String>,
    /// Since when its end is ordered: what was launched a moment before may not be visible yet.
    pub since: Timestamp,
}

/// See [`Effect::Examine`]. It changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examine {
    /// Which launch.
    pub key: OrderKey,
    /// The pool, whose configuration says how.
    pub pool: PoolName,
    /// The provider's own name for it.
    pub instance: String,
}

/// See [`Effect::Watch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The server.
    pub server: ServerName,
    /// Its pool, whose configuration says how to probe.
    pub pool: PoolName,
    /// Where.
    pub url: String,
}
