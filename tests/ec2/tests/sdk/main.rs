//! The real SDK against the fake: each operation, each code, each way in which a call can go wrong.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod setting;

mod ending;
mod launching;
mod reading;
mod region;
mod room;
mod tagging;
mod tokens;

mod calling;
mod faults;

mod chance;
mod metadata;
mod processes;
mod program;
