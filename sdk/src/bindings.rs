//! What `wit-bindgen` makes of the contract: what every policy has, and one file for each part, so that a module exports only the
//! parts that its author asked for. `tests/bindings.rs` writes the files and holds them against the contract.
//!
//! Private in spirit: what authors use of it, the crate's root re-exports name by name.

#![allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used
)]

/// The types, the imports, and what every policy exports.
#[rustfmt::skip]
pub mod base;

#[cfg(target_family = "wasm")]
#[rustfmt::skip]
pub mod place;

#[cfg(target_family = "wasm")]
#[rustfmt::skip]
pub mod scale_up;

#[cfg(target_family = "wasm")]
#[rustfmt::skip]
pub mod scale_down;

#[cfg(target_family = "wasm")]
#[rustfmt::skip]
pub mod learned;
