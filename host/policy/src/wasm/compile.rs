//! From a file's bytes to machine code.
//!
//! The one place that compiles, and narrow on purpose: bytes in, [`Ready`] out, nothing else known. Whoever wrote the bytes can
//! make their readers take half a minute and a gigabyte, or find a bug in them. So a serving host has a child process of its
//! own binary do it all ([`child`]), and takes back what the child has written, within bounds ([`parent`]). In this process it
//! is done for benchmarks and tests, where the bytes are the caller's own.

mod child;
mod parent;
mod reply;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use super::convert::{printable, shortened};
use super::imports::{self, HostState};
use super::module::{CheckError, Checked, Module, Parts};
use super::overtime::Ticks;
use crate::options::CompileIn;
use crate::version::Hash;
pub use child::compile_child;
use child::{CPU_SECONDS_MAX, MEMORY_BYTES_MAX};
pub(crate) use parent::Children;
use parent::{REPLY_BYTES_MAX, WALL_MAX};

/// The most bytes of the compiler's words that are kept: its first lines say what is wrong, and the file's own names are in them.
const MESSAGE_BYTES_MAX: usize = 2_048;

/// What the author of a module can do that costs its compiler too much.
const SMALLER: &str = "look for code that a tool has generated, such as a large table or parser, and build with `opt-level = 3` and `lto = true`";

/// Compiles policies, all for one engine.
pub(crate) struct Compiler {
    engine: Engine,
    ticks: Arc<Ticks>,
    linker: Linker<HostState>,
    place: CompileIn,
    children: Children,
    compilations: AtomicU64,
}

/// A policy that can be started, any number of times.
pub(crate) struct Ready {
    pub(super) hash: Hash,
    pub(super) parts: Parts,
    pub(super) pre: InstancePre<HostState>,
    pub(super) ticks: Arc<Ticks>,
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

/// Says why a file did not become machine code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum MakeError {
    /// It is no policy for this host.
    #[error("{0}")]
    Check(CheckError),
    /// It was not compiled.
    #[error("{0}")]
    Compile(CompileError),
}

/// Says why a checked component did not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CompileError {
    /// Validation or code generation failed.
    #[error("it does not compile: {0}")]
    Compile(String),
    /// What it imports has other types than what is offered.
    #[error("its imports do not have the contract's types: {0}")]
    Link(String),
    /// The compiler ran for too long.
    #[error(
        "compiling it takes longer than the {CPU_SECONDS_MAX} s of the processor that a policy has for it: {SMALLER}"
    )]
    TimeLimit,
    /// The compiler got too little of the processor.
    #[error(
        "it was not compiled within {} s: this machine was too busy, or it takes very long to compile",
        WALL_MAX.as_secs()
    )]
    Starved,
    /// The compiler wanted too much memory.
    #[error(
        "compiling it takes more than the {} MiB of memory that a policy has for it: {SMALLER}",
        MEMORY_BYTES_MAX >> 20
    )]
    MemoryLimit,
    /// The readers recurse over what is nested.
    #[error("its types or functions are nested too deeply to be read")]
    TooDeep,
    /// What came out is too large.
    #[error("it becomes more than {} MiB of machine code: {SMALLER}", REPLY_BYTES_MAX >> 20)]
    TooMuchCode,
    /// The compiling process ended in a way that is a mistake of ours.
    #[error("the process that compiles it has failed ({how}); please report this together with the file")]
    ChildFailed {
        /// How it ended, and its last words.
        how: String,
    },
    /// Somebody else ended the compiling process.
    #[error("the process that compiles it was killed from outside, as happens where a machine runs out of memory")]
    Killed,
    /// There is no compiling process.
    #[error("the process that compiles policies cannot be started: {0}")]
    NoChild(String),
    /// The host is going down; nothing was decided about the file.
    #[error("the host stops")]
    Stopped,
}

impl Compiler {
    /// Makes the engine and what it offers to policies.
    ///
    /// # Errors
    /// The platform has no compiler back end.
    pub(crate) fn new(place: CompileIn) -> wasmtime::Result<Compiler> {
        let engine = super::engine::new()?;
        let ticks = Ticks::of(&engine)?;
        let linker = imports::linker(&engine)?;
        Ok(Compiler {
            engine,
            ticks,
            linker,
            place,
            children: Children::default(),
            compilations: AtomicU64::new(0),
        })
    }

    /// Returns the compiling processes, so that others can end them.
    pub(crate) fn children(&self) -> Children {
        self.children.clone()
    }

    /// Checks a module and compiles it.
    ///
    /// # Errors
    /// What the file is instead of a policy; the validator's or the linker's words; or which limit it met.
    pub(crate) fn make(&self, module: Module) -> Result<Ready, MakeError> {
        let hash = module.hash();
        let made = match &self.place {
            CompileIn::ThisProcess => self.in_this_process(module),
            CompileIn::Child(program) => parent::compile(program, &self.children, &self.engine, module.bytes()),
        };
        let is_undone = matches!(
            made,
            Err(MakeError::Check(_) | MakeError::Compile(CompileError::Killed))
        );
        if !is_undone {
            self.compilations.fetch_add(1, Ordering::Relaxed);
        }
        let (parts, component) = made?;
        let pre = self.linker.instantiate_pre(&component);
        let pre = pre.map_err(|error| MakeError::Compile(CompileError::Link(words(&error))))?;
        let ticks = Arc::clone(&self.ticks);
        Ok(Ready {
            hash,
            parts,
            pre,
            ticks,
        })
    }

    fn in_this_process(&self, module: Module) -> Result<(Parts, Component), MakeError> {
        let Checked { component, parts } = module.check().map_err(MakeError::Check)?;
        let component = Component::new(&self.engine, component).map_err(|error| does_not_compile(&error))?;
        Ok((parts, component))
    }

    /// Returns how often something was compiled.
    pub(crate) fn compilations(&self) -> u64 {
        self.compilations.load(Ordering::Relaxed)
    }
}

fn does_not_compile(error: &wasmtime::Error) -> MakeError {
    MakeError::Compile(CompileError::Compile(words(error)))
}

fn words(error: &wasmtime::Error) -> String {
    shortened(printable(format!("{error:#}")), MESSAGE_BYTES_MAX)
}

#[cfg(test)]
mod tests;
