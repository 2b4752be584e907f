//! A task that ends with its owner.

use tokio::task::JoinHandle;

/// A running task, aborted when this is dropped.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    /// Takes over a running task.
    pub(crate) fn new(running: JoinHandle<()>) -> Task {
        Task(running)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
