//! What the design says of servers, pools, rooms and guards, claim by claim, in virtual time.
//!
//! Each module takes one part of the design; [`world`] is the small world in which all of them happen.

#[path = "claims/world.rs"]
mod world;

#[path = "claims/matrix.rs"]
mod matrix;

#[path = "claims/rooms.rs"]
mod rooms;

#[path = "claims/queue.rs"]
mod queue;

#[path = "claims/ledger.rs"]
mod ledger;

#[path = "claims/figures.rs"]
mod figures;

#[path = "claims/health.rs"]
mod health;

#[path = "claims/disagreeing.rs"]
mod disagreeing;

#[path = "claims/failing.rs"]
mod failing;

#[path = "claims/launches.rs"]
mod launches;

#[path = "claims/examining.rs"]
mod examining;

#[path = "claims/offers.rs"]
mod offers;

#[path = "claims/farewells.rs"]
mod farewells;

#[path = "claims/tokens.rs"]
mod tokens;

#[path = "claims/strangers.rs"]
mod strangers;

#[path = "claims/guards.rs"]
mod guards;

#[path = "claims/circuit.rs"]
mod circuit;

#[path = "claims/external.rs"]
mod external;

#[path = "claims/scaling.rs"]
mod scaling;

#[path = "claims/placing.rs"]
mod placing;

#[path = "claims/configuring.rs"]
mod configuring;
