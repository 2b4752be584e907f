//! What the design says of servers, pools, rooms and guards, claim by claim, in virtual time.
//!
//! Each module takes one part of the design; [`world`] is the small world in which all of them happen.

#[path = "claims/world.rs"]
mod world;

#[path = "claims/matrix.rs"]
mod matrix;
