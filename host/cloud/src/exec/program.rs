//! One run of one program, bounded in time, input and output. What the program means by its answer is not known here.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tracing::debug;

use usher_fleet::observation::ProviderError;

/// The longest answer, in bytes: a list of several thousand instances.
const STDOUT_BYTES_MAX: usize = 1024 * 1024;

/// How much of stderr is kept, in bytes, the newest: the message is its last line, the rest goes into the log.
const STDERR_BYTES_MAX: usize = 64 * 1024;

/// The longest message, in characters: it goes into events, which are kept.
const MESSAGE_CHARS_MAX: usize = 500;

/// How long the pipes are still read once the program has ended. All that it wrote lies there already; only something
/// that it left running can hold them open, and that shall not hold us.
const PIPES_GRACE: Duration = Duration::from_secs(1);

/// How long a killed program is waited for, so that it is gone when the next one runs.
const REAP_GRACE: Duration = Duration::from_secs(1);

/// A program, ready to run.
pub(super) struct Program<'a> {
    pub(super) program: &'a str,
    pub(super) arguments: &'a [String],
    /// Where it runs; absolute.
    pub(super) base_dir: &'a Path,
    pub(super) timeout: Duration,
}

/// What is left of a run.
struct Ended {
    status: ExitStatus,
    stdout: Kept,
    stderr: Kept,
}

/// The part of an output that is kept, and whether it was all.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// Kills a process group when dropped, unless its leader has ended by itself: then what it left running is what it was
/// run for.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Group(leader.and_then(Pid::from_raw))
    }

    fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.take() {
            // Its leader has not been waited for, so the number is still its own. It may be gone: that is what is wanted.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Program<'_> {
    /// Runs it with `input` on its stdin, and returns its stdout if it ended with 0.
    ///
    /// # Errors
    ///
    /// The class that its exit code stands for; [`ProviderError::Misconfigured`] if it cannot be started;
    /// [`ProviderError::Unknown`] in every other case.
    pub(super) async fn run(&self, input: Vec<u8>) -> Result<Vec<u8>, ProviderError> {
        let mut child = self.start()?;
        let mut group = Group::of(&child);
        let Some(ended) = converse(&mut child, &mut group, input, self.timeout)
            .await
            .map_err(|error| self.unknown(&format!("could not be waited for: {error}")))?
        else {
            drop(group);
            let _ = timeout(REAP_GRACE, child.wait()).await;
            let seconds = self.timeout.as_secs_f64();
            return Err(self.unknown(&format!("took longer than {seconds} s and was killed")));
        };
        self.judge(ended)
    }

    fn start(&self) -> Result<Child, ProviderError> {
        Command::new(self.path())
            .args(self.arguments)
            .current_dir(self.base_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.not_started(&error))
    }

    /// With a slash it counts from the folder; without, it is looked up in `PATH`, as in a shell.
    fn path(&self) -> OsString {
        if self.program.contains('/') {
            self.base_dir.join(self.program).into_os_string()
        } else {
            self.program.into()
        }
    }

    fn not_started(&self, error: &io::Error) -> ProviderError {
        /// What the kernel says of a file that is neither a binary nor begins with `#!`.
        const EXEC_FORMAT_ERROR: i32 = 8;
        let is_ours_to_mend = matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::InvalidInput
        ) || error.raw_os_error() == Some(EXEC_FORMAT_ERROR);
        let (program, base_dir) = (self.program, self.base_dir.display());
        let place = if program.contains('/') { "" } else { " from PATH" };
        let message = format!("cannot start {program}{place} in {base_dir}: {error}");
        if is_ours_to_mend {
            ProviderError::Misconfigured(message)
        } else {
            // Out of processes or memory: this run did nothing, but an earlier one with the same key may have.
            ProviderError::Unknown(message)
        }
    }

    fn judge(&self, ended: Ended) -> Result<Vec<u8>, ProviderError> {
        let Ended { status, stdout, stderr } = ended;
        let program = self.program;
        if !stderr.bytes.is_empty() {
            let words = String::from_utf8_lossy(&stderr.bytes);
            debug!(program, %status, is_cut = stderr.is_cut, stderr = %words, "a program wrote to stderr");
        }
        let message = last_line(&stderr.bytes).unwrap_or_else(|| format!("{program}: {status}, and no word on stderr"));
        match status.code() {
            Some(0) if stdout.is_cut => Err(self.unknown(&format!("answered with more than {STDOUT_BYTES_MAX} bytes"))),
            Some(0) => Ok(stdout.bytes),
            Some(65) => Err(ProviderError::Refused(message)),
            Some(69) => Err(ProviderError::NoCapacity(message)),
            Some(77 | 78) => Err(ProviderError::Misconfigured(message)),
            Some(_) => Err(ProviderError::Unknown(message)),
            None => Err(self.unknown(&format!("was ended by a signal ({status})"))),
        }
    }

    fn unknown(&self, what: &str) -> ProviderError {
        ProviderError::Unknown(format!("{} {what}", self.program))
    }
}

/// Talks with a child until it has ended and its pipes are read; `None` if it does not end in time.
async fn converse(
    child: &mut Child,
    group: &mut Group,
    input: Vec<u8>,
    patience: Duration,
) -> io::Result<Option<Ended>> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Kept::default(), Kept::default());
    let status = {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program need not read what it does not want to know.
                let _ = stdin.write_all(&input).await;
            }
        };
        let talk = async { tokio::join!(feed, keep_first(stdout, &mut out), keep_last(stderr, &mut err)) };
        tokio::pin!(talk);
        let mut has_talked = false;
        let end = async {
            tokio::select! {
                status = child.wait() => status,
                _ = &mut talk => {
                    has_talked = true;
                    child.wait().await
                }
            }
        };
        let Ok(status) = timeout(patience, end).await else {
            return Ok(None);
        };
        group.leave();
        if !has_talked {
            let _ = timeout(PIPES_GRACE, talk).await;
        }
        status?
    };
    Ok(Some(Ended {
        status,
        stdout: out,
        stderr: err,
    }))
}

/// Reads to the end and keeps the first [`STDOUT_BYTES_MAX`]. The rest is read too: a program that cannot write hangs.
async fn keep_first(from: Option<impl AsyncRead + Unpin>, kept: &mut Kept) {
    let Some(mut from) = from else { return };
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        let room = STDOUT_BYTES_MAX - kept.bytes.len();
        kept.bytes.extend_from_slice(&chunk[..length.min(room)]);
        kept.is_cut |= length > room;
    }
}

/// Reads to the end and keeps at least the last [`STDERR_BYTES_MAX`], at most twice as much.
async fn keep_last(from: Option<impl AsyncRead + Unpin>, kept: &mut Kept) {
    let Some(mut from) = from else { return };
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        kept.bytes.extend_from_slice(&chunk[..length]);
        if kept.bytes.len() > 2 * STDERR_BYTES_MAX {
            kept.bytes.drain(..kept.bytes.len() - STDERR_BYTES_MAX);
            kept.is_cut = true;
        }
    }
}

/// Returns the last line that says something, fit for an event: printable, and of bounded length.
fn last_line(stderr: &[u8]) -> Option<String> {
    let stderr = String::from_utf8_lossy(stderr);
    let line = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    Some(plain.take(MESSAGE_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_the_last_line_that_says_something() {
        assert_eq!(last_line(b"trying\nno quota\n\n"), Some("no quota".to_owned()));
        assert_eq!(last_line(b"\x1b[31mred").as_deref(), Some(" [31mred"));
        assert_eq!(last_line(b"\xff\n").as_deref(), Some("\u{fffd}"));
        assert_eq!(last_line(b" \n"), None);
        assert_eq!(last_line(&[b'x'; 10_000]).unwrap().len(), MESSAGE_CHARS_MAX);
    }

    #[tokio::test]
    async fn the_newest_of_stderr_and_the_oldest_of_stdout_are_kept() {
        let flood = [vec![b'a'; 3 * STDOUT_BYTES_MAX], b"the end".to_vec()].concat();
        let (mut first, mut last) = (Kept::default(), Kept::default());
        keep_first(Some(flood.as_slice()), &mut first).await;
        keep_last(Some(flood.as_slice()), &mut last).await;
        assert!(first.is_cut && last.is_cut);
        assert_eq!(first.bytes.len(), STDOUT_BYTES_MAX);
        assert!(last.bytes.len() >= STDERR_BYTES_MAX && last.bytes.len() <= 2 * STDERR_BYTES_MAX);
        assert!(last.bytes.ends_with(b"the end"));
    }
}
