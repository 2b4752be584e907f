//! The standard policy over hours and days, and with the settings that it is shipped with as examples.

#![expect(clippy::unwrap_used, reason = "all of this crate is a test")]

mod cloud;
mod day;
mod examples;
mod office_hours;
