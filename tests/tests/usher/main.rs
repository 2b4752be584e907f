//! The real host, driven from outside: every claim here is one about the program `usher` as a user runs it, over HTTP, signals,
//! files and exit codes. What can be claimed of one crate alone stands beside that crate.
//!
//! | module | holds |
//! |---|---|
//! | `site`, `http`, `sse`, `patience`, `chance` | a host in a folder of its own, and what talks to it |
//! | the others | one subject each |
//!
//! Every test has its own folder, port and process, so that all run side by side; each waits for facts with a deadline, and
//! prints the host's log where it fails.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod chance;
mod http;
mod patience;
mod site;
mod sse;

mod acknowledged;
mod authoring;
mod calls;
mod command_line;
mod compile_bombs;
mod ec2;
mod ec2_faults;
mod events;
mod example_policies;
mod herding;
mod hostile;
mod keeping_up;
mod live;
mod mistakes;
mod moto;
mod owed;
mod policies;
mod readme;
mod reload;
mod replacing;
mod same_answers;
mod schema;
mod sdk;
mod slow_clients;
mod store;
mod story;
mod tls;
mod tokens;
mod versions;
mod webhook;
