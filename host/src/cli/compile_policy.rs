//! What a serving host starts for each module that it has to read: a process that reads it in its stead, and compiles it.

use std::io::Write;

use super::failure::Failure;

/// The hidden subcommand. Nobody types it; a host calls it of itself.
pub(crate) const COMPILE_POLICY: &str = "compile-policy";

/// Reads a module from stdin and writes machine code, or what is wrong with it, to `out`.
pub(super) fn run(out: &mut dyn Write) -> Result<(), Failure> {
    usher_policy::compile_child(&mut std::io::stdin().lock(), out).map_err(|error| Failure::Ended(error.into()))
}
