//! What happens in the compiling child: it limits itself, reads a file's bytes, checks, encodes and compiles them, and writes one
//! reply. It knows nothing but the bytes, and its parent trusts nothing that it does not write.

use std::io::{self, Read, Write};
use std::thread;

use rustix::process::{Resource, Rlimit};

use super::{MakeError, does_not_compile, reply};
use crate::wasm::module::{Checked, Module, Parts};

/// The most processor time that a compilation has, in seconds: 4 MiB of the code that rustc makes, the largest file that is read,
/// took 7 s on the 2-core machine of the measurements, and other machines have slower cores.
pub(super) const CPU_SECONDS_MAX: u64 = 20;
/// The most address space that a compilation has, in bytes: this program and its stacks take 210 MiB, those 4 MiB of code 80 more,
/// and a host beside which it runs is a small machine.
pub(super) const MEMORY_BYTES_MAX: u64 = 512 << 20;
/// The child gives way to everything else on the machine.
const NICE: i32 = 19;
/// The compiler's stack, in bytes: it recurses over what a module nests, deeper than any tool does.
const STACK_BYTES: usize = 16 << 20;

/// Reads a file's bytes from `input`, checks and compiles them, and writes one reply to `output`: all that the hidden
/// subcommand `compile-policy` does.
///
/// The process lowers its priority, limits its own processor time and memory, and ends with its parent. It is to be a process
/// of its own: none of this is undone.
///
/// # Errors
/// The limits could not be set, the bytes not read, or the reply not written.
pub fn compile_child(input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    limit_itself()?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let compiler = thread::Builder::new().stack_size(STACK_BYTES).spawn(|| made(bytes))?;
    // A panic has said on stderr what it is; the parent reads that.
    let made = compiler
        .join()
        .map_err(|_| io::Error::other("the compiler has panicked"))?;
    reply::write(output, made)
}

/// Checks and compiles, for the engine that every process of this program has.
pub(super) fn made(bytes: Vec<u8>) -> Result<(Parts, Vec<u8>), MakeError> {
    let Checked { component, parts } = Module::new(bytes).check().map_err(MakeError::Check)?;
    let engine = crate::wasm::engine::new().map_err(|error| does_not_compile(&error))?;
    let code = engine.precompile_component(&component);
    Ok((parts, code.map_err(|error| does_not_compile(&error))?))
}

fn limit_itself() -> io::Result<()> {
    end_with_parent()?;
    rustix::process::setpriority_process(None, NICE)?;
    limit(Resource::Cpu, CPU_SECONDS_MAX, CPU_SECONDS_MAX + 1)?;
    limit(Resource::As, MEMORY_BYTES_MAX, MEMORY_BYTES_MAX)?;
    // Whatever a file makes it do, it leaves nothing behind: neither a core dump nor a file.
    limit(Resource::Core, 0, 0)?;
    limit(Resource::Fsize, 0, 0)
}

/// Lowers a limit. At the first number the process is told by a signal that ends it, at the second it is killed.
fn limit(resource: Resource, told: u64, killed: u64) -> io::Result<()> {
    let limits = Rlimit {
        current: Some(told),
        maximum: Some(killed),
    };
    Ok(rustix::process::setrlimit(resource, limits)?)
}

/// Has the kernel end this process with the thread that started it; and if memory runs out, before any other.
#[cfg(target_os = "linux")]
fn end_with_parent() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    std::fs::write("/proc/self/oom_score_adj", "1000")
}

/// Elsewhere a child without a parent ends at its limits.
#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> io::Result<()> {
    Ok(())
}
