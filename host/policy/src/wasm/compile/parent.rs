//! Has a child process compile, and bounds it from outside: its time, and how much it may say.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::{CompileError, MakeError, reply};
use crate::options::ChildProgram;
use crate::wasm::convert::{printable, shortened};
use crate::wasm::module::Parts;

/// The longest that a compilation takes by the clock: the child gives way to all else, so that on a busy machine its seconds of
/// processor time take several times as long.
pub(super) const WALL_MAX: Duration = Duration::from_secs(180);
/// The most bytes of a reply: 4 MiB of the code that rustc makes become 14 MiB of machine code, which stay as long as it serves.
pub(super) const REPLY_BYTES_MAX: usize = 64 << 20;
/// The most bytes that are read of what the child says on stderr: a panic's message, or its runtime's last words.
const LAST_WORDS_BYTES_MAX: u64 = 4_096;
/// As much of them as is shown.
const SHOWN_BYTES_MAX: usize = 300;
/// How much is read at once: as much as a pipe holds.
const PIPE_BYTES: usize = 64 << 10;

/// The children that compile now. Any thread may end them; after that no more are started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Children(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    is_stopped: bool,
    is_interrupted: bool,
    /// By process id, each until it has been waited for: an id is not used again before.
    children: BTreeMap<u32, Child>,
}

/// Our ends of a child's pipes.
struct Pipes {
    input: Option<ChildStdin>,
    output: ChildStdout,
    last_words: ChildStderr,
}

impl Children {
    /// Ends them, and lets no other start.
    pub(crate) fn stop(&self) {
        let mut running = self.lock();
        running.is_stopped = true;
        for child in running.children.values_mut() {
            // One that has ended by itself is only waited for.
            child.kill().ok();
        }
    }

    /// Ends them, and lets no other start until [`resume`](Children::resume): nobody waits for what is in hand.
    pub(crate) fn interrupt(&self) {
        let mut running = self.lock();
        running.is_interrupted = true;
        for child in running.children.values_mut() {
            child.kill().ok();
        }
    }

    /// Lets others start again.
    pub(crate) fn resume(&self) {
        self.lock().is_interrupted = false;
    }

    fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().children.is_empty()
    }

    fn start(&self, program: &ChildProgram) -> Result<(u32, Pipes), CompileError> {
        let mut command = Command::new(&program.program);
        // Its last words are read by people, and a backtrace of exhausted memory or stack says nothing to them.
        command.args(&program.arguments).env("RUST_BACKTRACE", "0");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = self.lock();
        if running.is_stopped {
            return Err(CompileError::Stopped);
        }
        if running.is_interrupted {
            return Err(CompileError::Killed);
        }
        let no_child = |error: io::Error| CompileError::NoChild(error.to_string());
        let mut child = command.spawn().map_err(no_child)?;
        let piped = "it was asked for";
        let pipes = Pipes {
            input: Some(child.stdin.take().expect(piped)),
            output: child.stdout.take().expect(piped),
            last_words: child.stderr.take().expect(piped),
        };
        let id = child.id();
        running.children.insert(id, child);
        Ok((id, pipes))
    }

    /// Waits for a child that has closed its output; any other is killed first.
    fn end(&self, id: u32, has_closed: bool) -> io::Result<ExitStatus> {
        let child = self.lock().children.remove(&id);
        let mut child = child.expect("only who has started it ends it");
        if !has_closed {
            // A child of one's own can be killed until it is waited for.
            child.kill().ok();
        }
        child.wait()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has a child check and compile a file's bytes.
///
/// # Errors
/// What the child says of the file, or how it has ended.
pub(super) fn compile(
    program: &ChildProgram,
    children: &Children,
    engine: &Engine,
    bytes: &[u8],
) -> Result<(Parts, Component), MakeError> {
    let deadline = Instant::now() + WALL_MAX;
    let reply = ask(program, children, bytes, deadline).map_err(MakeError::Compile)?;
    let (parts, code) =
        reply::read(&reply).unwrap_or_else(|| Err(MakeError::Compile(strange("its reply is not whole"))))?;
    let component = component(engine, code).map_err(|error| MakeError::Compile(strange(&format!("{error:#}"))))?;
    Ok((parts, component))
}

/// Takes over machine code.
#[expect(
    unsafe_code,
    reason = "the one place that takes machine code which this process has not made"
)]
fn component(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is what `Engine::precompile_component` has returned in a child of our own program, which `compile` has
    // started a moment ago and heard through a pipe whose other end nobody else had. It never comes from a file, nor from
    // anyone who could write one; that another version of wasmtime has made it, wasmtime itself refuses.
    unsafe { Component::deserialize(engine, code) }
}

/// Returns all that a child says.
pub(super) fn ask(
    program: &ChildProgram,
    children: &Children,
    bytes: &[u8],
    deadline: Instant,
) -> Result<Vec<u8>, CompileError> {
    let (id, mut pipes) = children.start(program)?;
    let heard = pipes.exchange(bytes, deadline);
    let ended = children.end(id, matches!(heard, Ok(Heard::All(_))));
    let failed = |error: io::Error| strange(&error.to_string());
    match (heard.map_err(failed)?, ended.map_err(failed)?) {
        (Heard::All(reply), status) if status.success() => Ok(reply),
        _ if children.is_stopped() => Err(CompileError::Stopped),
        (Heard::All(_), status) => Err(why(status, &pipes.last_words())),
        (Heard::TooMuch, _) => Err(CompileError::TooMuchCode),
        (Heard::Late, _) => Err(CompileError::Starved),
    }
}

enum Heard {
    /// The child has closed its output.
    All(Vec<u8>),
    /// It has said more than it may.
    TooMuch,
    /// Its time is over.
    Late,
}

impl Pipes {
    /// Sends `bytes`, and hears what comes back, until the child has closed its output or it is `deadline`.
    fn exchange(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<Heard> {
        if let Some(input) = &self.input {
            rustix::io::ioctl_fionbio(input, true)?;
        }
        let mut reply = Vec::new();
        let mut chunk = vec![0; PIPE_BYTES];
        loop {
            if bytes.is_empty() {
                self.input = None;
            }
            let (can_write, can_read) = match self.wait(deadline)? {
                Some(ready) => ready,
                None => return Ok(Heard::Late),
            };
            if let (true, Some(input)) = (can_write, &mut self.input) {
                match input.write(bytes) {
                    Ok(written) => bytes = &bytes[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // It does not want to know the rest: it will say why, or has ended.
                    Err(_) => bytes = &[],
                }
            }
            if can_read {
                match self.output.read(&mut chunk)? {
                    0 => return Ok(Heard::All(reply)),
                    read if reply.len() + read > REPLY_BYTES_MAX => return Ok(Heard::TooMuch),
                    read => reply.extend_from_slice(&chunk[..read]),
                }
            }
        }
    }

    /// Waits until one of the pipes is ready, and says which: input, output. None if it is `deadline` before.
    fn wait(&self, deadline: Instant) -> io::Result<Option<(bool, bool)>> {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut pipes = vec![PollFd::new(&self.output, PollFlags::IN)];
        pipes.extend(self.input.as_ref().map(|input| PollFd::new(input, PollFlags::OUT)));
        match poll(&mut pipes, Some(&timeout)) {
            Ok(0) => Ok(None),
            Ok(_) => {
                let is_ready = |pipe: &PollFd<'_>| !pipe.revents().is_empty();
                Ok(Some((pipes.get(1).is_some_and(is_ready), is_ready(&pipes[0]))))
            }
            Err(rustix::io::Errno::INTR) => Ok(Some((false, false))),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the beginning of what an ended child has left on stderr.
    fn last_words(&mut self) -> String {
        let mut words = Vec::new();
        // What cannot be read explains nothing.
        (&mut self.last_words)
            .take(LAST_WORDS_BYTES_MAX)
            .read_to_end(&mut words)
            .ok();
        String::from_utf8_lossy(&words).trim().to_owned()
    }
}

/// Says why a child has ended without a reply.
fn why(status: ExitStatus, last_words: &str) -> CompileError {
    // The words of Rust's runtime before it gives up.
    if last_words.contains("memory allocation of") {
        return CompileError::MemoryLimit;
    }
    if last_words.contains("overflowed its stack") {
        return CompileError::TooDeep;
    }
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => CompileError::TimeLimit,
        Some(Signal::KILL) => CompileError::Killed,
        _ if last_words.is_empty() => strange(&status.to_string()),
        _ => strange(&format!("{status}: {last_words}")),
    }
}

fn strange(how: &str) -> CompileError {
    CompileError::ChildFailed {
        how: shortened(printable(how.to_owned()), SHOWN_BYTES_MAX),
    }
}
