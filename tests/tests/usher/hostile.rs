//! Hostile policies before a real host: rooms are placed all the while, each in its usual time, and what happened is told.
//!
//! | module | holds |
//! |---|---|
//! | `guests` | policies as text, shared with the tests of `usher-policy` |
//! | `crowd` | rooms that come and go, and how long each takes |
//! | `gates` | misdeeds on the way from the file to the first decision |
//! | `calls` | misdeeds in calls: loops, traps, wild pointers, bombs, floods |
//! | `lies` | placements where no room may go |
//! | `orders` | a million launches, and everything retired |
//! | `learned` | what is kept for a policy |

mod calls;
mod crowd;
mod gates;
#[allow(dead_code, reason = "its other users are the tests of usher-policy")]
#[path = "../../../host/policy/src/tests/guests.rs"]
mod guests;
mod learned;
mod lies;
mod orders;

use std::sync::OnceLock;

use serde_json::Value;

use crate::http::Client;
use crate::policies::{built, drop_in};
use crate::site::Site;
use guests::Guest;

/// What a guest may import.
const IMPORTS: &str = r#"(import "usher:policy/host@0.1.0" "log" (func $log (param i32 i32 i32)))
    (import "usher:policy/local-time@0.1.0" "at" (func $at (param i32 i32 i32 i32)))"#;

/// A body that never ends.
const LOOP: &str = "(loop $for_ever (br $for_ever)) unreachable";

/// The module of `tests/guests/hostile`.
fn hostile() -> &'static [u8] {
    static MODULE: OnceLock<Vec<u8>> = OnceLock::new();
    built("tests/guests/hostile", &MODULE)
}

/// Puts that module into the folder, set to a misdeed.
fn set_loose(site: &Site, name: &str, misdeed: &str) {
    drop_in(
        site,
        &format!("{name}.toml"),
        format!("misdeed = \"{misdeed}\"\n").as_bytes(),
    );
    drop_in(site, &format!("{name}.wasm"), hostile());
}

fn with(guest: Guest, more: &str) -> Guest {
    Guest {
        more: more.into(),
        ..guest
    }
}

/// A guest that may also log and ask for the civil time, by `$log` and `$at`.
fn with_imports(guest: Guest) -> Guest {
    Guest {
        imports: IMPORTS.into(),
        ..guest
    }
}

/// Returns the policies of the folder as the host shows them.
async fn shown(client: &Client) -> Vec<Value> {
    let list = client.get("/v1/policies").await.expect(200).json;
    let mut policies = list["policies"].as_array().unwrap().clone();
    policies.retain(|policy| policy["built_in"] == false);
    policies
}
