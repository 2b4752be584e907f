//! What every provider can do, whoever it is.

use std::pin::Pin;
use std::time::Duration;

use usher_fleet::effect::{LaunchOrder, TerminateOrder};
use usher_fleet::ids::ServerName;
use usher_fleet::observation::{Evidence, Found, Instance, ProviderError};
use usher_fleet::status::ServerStatus;

use crate::config::PoolSetup;
use crate::finding::Finding;

/// What a provider will say once it knows.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// What a provider will say of the world once it has looked.
pub type Findings<'a> = Pin<Box<dyn Future<Output = Vec<Finding>> + Send + 'a>>;

/// What a provider will have found out about an instance.
pub type Examination<'a> = Pin<Box<dyn Future<Output = Evidence> + Send + 'a>>;

/// Makes, ends and lists the servers of one pool.
///
/// Whoever calls keeps the order per key: two orders for one key never run at the same time. A provider bounds its own
/// time and its own parallelism, never repeats a call by itself, and sorts what went wrong into the four classes of
/// [`ProviderError`], by what is to be done next. When in doubt the outcome is unknown.
pub trait Provider: Send + Sync {
    /// Launches a server. Idempotent by the order's key: asked again it answers with what was made before.
    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> Answer<'a, Instance>;

    /// Ends whatever exists under the order's key; `Ok` only when nothing is left.
    fn terminate<'a>(&'a self, order: &'a TerminateOrder) -> Answer<'a, ()>;

    /// Lists all that exists in the pool under the fleet's name.
    fn list(&self) -> Answer<'_, Vec<Found>>;

    /// Looks whether it could do as it would be ordered, and changes nothing.
    fn check(&self) -> Findings<'_> {
        Box::pin(async { Vec::new() })
    }

    /// Says what there is to be known of an instance that never served, and changes nothing. It bounds its own time.
    fn examine<'a>(&'a self, _instance: &'a str) -> Examination<'a> {
        Box::pin(async { Evidence::default() })
    }

    /// How far its list may lag behind: what was made within that time may be missing from it rightly.
    fn list_lag(&self) -> Duration {
        Duration::ZERO
    }

    /// Takes in a changed setup of its pool and keeps what it knows; false if it cannot, and a new one must be made.
    fn reconfigure(&self, _setup: &PoolSetup) -> bool {
        false
    }

    /// Rebuilds what only this process knew, from the pool's servers as they were recorded.
    fn recover(&self, _servers: &[&ServerStatus]) {}

    /// Says how a server does, where its address leads nowhere because it exists in this process only; `None` leaves it
    /// to the network.
    fn probe(&self, _server: &ServerName) -> Option<Result<(), String>> {
        None
    }
}
