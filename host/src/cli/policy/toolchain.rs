//! Has the toolchain's script build a module, and ends all that it started when it is not waited for any more.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

/// What finds a compiler and builds with it; the repository's own.
const SCRIPT: &str = include_str!("../../../../sdk/toolchain.sh");

/// The script's exit status where nothing builds for WebAssembly.
const NO_TOOLCHAIN: i32 = 3;

/// How a module is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Toolchain {
    /// Whether to install what is missing, rather than to say what it is.
    pub(super) is_installing: bool,
    /// Whether cargo is silent unless something is wrong.
    pub(super) is_quiet: bool,
}

/// Says why there is no module. What the tools had to say they have said, on stderr.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error(
        "nothing here builds for WebAssembly; what to install is said above, or let `usher policy build --install` do it"
    )]
    NoToolchain,
    #[error("it does not build; cargo says why above")]
    Refused,
    #[error("the build cannot be started")]
    Start(#[source] std::io::Error),
}

impl Toolchain {
    /// Builds the policy in the folder `policy` to the file `module`. When the future is dropped, cargo and rustc end.
    pub(super) async fn build(self, policy: &Path, module: &Path) -> Result<(), BuildError> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "toolchain", "--quiet"]);
        if !self.is_installing {
            command.arg("--no-install");
        }
        if self.is_quiet {
            command.env("CARGO_TERM_QUIET", "true");
        }
        command.arg("build").arg(policy).arg(module);
        // All of it is one group, of which we are not: it can be ended without ending ourselves.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.spawn().map_err(BuildError::Start)?;
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let status = child.wait().await.map_err(BuildError::Start)?;
        group.0 = None;
        judged(status)
    }
}

fn judged(status: ExitStatus) -> Result<(), BuildError> {
    match status.code() {
        Some(0) => Ok(()),
        Some(NO_TOOLCHAIN) => Err(BuildError::NoToolchain),
        Some(_) | None => Err(BuildError::Refused),
    }
}

/// A group of processes that is ended with this, unless it has ended by itself.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // They may have ended just now.
            kill_process_group(group, Signal::TERM).ok();
        }
    }
}
