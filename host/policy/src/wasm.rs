//! Everything that names wasmtime. A file passes through four types, and each can only do its own phase's work:
//!
//! `Module` (bytes) → `Checked` (a component that fits the contract) → `Ready` (compiled) → `Serving` (an instance that knows
//! the view and can be asked).

mod bindings;
mod compile;
mod convert;
mod engine;
mod imports;
mod instance;
mod language;
mod limits;
mod module;
mod rows;

pub use compile::CompileError;
pub(crate) use compile::{Compiler, Ready};
pub use instance::StartError;
pub(crate) use instance::{CallFault, Pace, Serving};
pub use module::CheckError;
pub(crate) use module::Module;
pub(crate) use rows::ViewSource;
