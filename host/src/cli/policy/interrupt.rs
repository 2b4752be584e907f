//! Ctrl-C and SIGTERM, for what has children to end.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for `work`; none if we are told to stop first. `work` is then dropped, and with it what it has started.
///
/// # Errors
/// The system gives us no signals.
pub(super) async fn until_interrupted<T>(work: impl Future<Output = T>) -> io::Result<Option<T>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        done = work => Ok(Some(done)),
        _ = tokio::signal::ctrl_c() => Ok(None),
        _ = terminate.recv() => Ok(None),
        _ = hang_up.recv() => Ok(None),
    }
}
