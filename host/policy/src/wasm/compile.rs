//! From a checked component to machine code.
//!
//! The one place that compiles, and narrow on purpose: bytes in, [`Ready`] out, nothing else known. A compilation can be made
//! to take half a minute and a gigabyte, so it shall move into a child process of our own binary; then this function sends the
//! bytes there and takes machine code back, and nobody else notices.

use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use super::imports::{self, HostState};
use super::module::{Checked, Parts};
use crate::version::Hash;

/// Compiles policies, all for one engine.
pub(crate) struct Compiler {
    engine: Engine,
    linker: Linker<HostState>,
    compilations: AtomicU64,
}

/// A policy that can be started, any number of times.
pub(crate) struct Ready {
    pub(super) hash: Hash,
    pub(super) parts: Parts,
    pub(super) pre: InstancePre<HostState>,
}

impl Ready {
    /// Returns the hash of the file that this was compiled from.
    pub(crate) fn hash(&self) -> Hash {
        self.hash
    }

    /// Returns what it exports.
    pub(crate) fn parts(&self) -> Parts {
        self.parts
    }
}

/// Says why a checked component did not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Validation or code generation failed.
    #[error("it does not compile: {0}")]
    Compile(String),
    /// What it imports has other types than what is offered.
    #[error("its imports do not have the contract's types: {0}")]
    Link(String),
}

impl Compiler {
    /// Makes the engine and what it offers to policies.
    ///
    /// # Errors
    /// The platform has no compiler back end.
    pub(crate) fn new() -> wasmtime::Result<Compiler> {
        let engine = super::engine::new()?;
        let linker = imports::linker(&engine)?;
        Ok(Compiler {
            engine,
            linker,
            compilations: AtomicU64::new(0),
        })
    }

    /// Compiles.
    ///
    /// # Errors
    /// The validator's or the linker's words.
    pub(crate) fn compile(&self, checked: &Checked) -> Result<Ready, CompileError> {
        self.compilations.fetch_add(1, Ordering::Relaxed);
        let component = Component::new(&self.engine, &checked.component)
            .map_err(|error| CompileError::Compile(format!("{error:#}")))?;
        let pre = self
            .linker
            .instantiate_pre(&component)
            .map_err(|error| CompileError::Link(format!("{error:#}")))?;
        Ok(Ready {
            hash: checked.hash,
            parts: checked.parts,
            pre,
        })
    }

    /// Returns how often something was compiled.
    pub(crate) fn compilations(&self) -> u64 {
        self.compilations.load(Ordering::Relaxed)
    }
}
