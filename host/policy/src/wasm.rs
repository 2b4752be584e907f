//! Everything that names wasmtime. A file passes through four types, and each can only do its own phase's work:
//!
//! `Module` (bytes) → `Checked` (a component that fits the contract) → `Ready` (compiled) → `Serving` (an instance that knows
//! the view and can be asked). In a serving host `Checked` exists only in the compiling child: the host itself never parses a
//! file's bytes.

mod bindings;
mod compile;
mod convert;
mod engine;
mod imports;
mod instance;
mod language;
mod limits;
mod module;
mod overtime;
mod rows;

pub(crate) use compile::{Children, Compiler, MakeError, Ready};
pub use compile::{CompileError, compile_child};
pub use instance::StartError;
pub(crate) use instance::{Pace, Serving};
pub(crate) use limits::Budget;
pub use limits::MEMORY_BYTES_MAX;
pub use module::CheckError;
pub(crate) use module::{Module, imports};
pub(crate) use rows::{PartedView, ViewSource};
