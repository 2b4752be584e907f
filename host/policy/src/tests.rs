//! The crate as the host sees it: a folder, a chain, a fake fleet. Guests are written as text; no toolchain is needed.

mod chain;
mod fuzz;
mod gates;
pub(crate) mod guests;
mod host;
pub(crate) mod learned;
mod prices;
mod reload;
pub(crate) mod rows;
mod scale;
mod speed;
mod versions;
