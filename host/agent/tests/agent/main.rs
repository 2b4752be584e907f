//! The agent against real HTTP servers on loopback: a host and media servers that do what a test tells them.
//!
//! Time is paused, so that minutes take no time; only what runs as a process of its own takes as long as it takes.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod fakes;

mod host;
mod leaving;
mod media;
mod process;
mod real_janus;
mod reports;
mod spot;
mod unit;
