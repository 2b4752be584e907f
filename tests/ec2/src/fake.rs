//! A fake that runs: its address, its tasks, and its end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::control::Control;
use crate::processes::STOP_GRACE;
use crate::server;
use crate::setup::{Setup, SetupError};
use crate::shared::{Shared, hear_processes, keep_time};

/// How many events of processes may wait; a process that writes faster than they are heard waits with its output.
const PROCESS_EVENTS_MAX: usize = 256;

/// How often a graceful end looks whether the processes have ended.
const STOP_LOOK: Duration = Duration::from_millis(20);

/// Why a fake could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The setup contradicts itself.
    #[error("the setup cannot be")]
    Setup(#[source] SetupError),
    /// The address is taken, or none of this machine's.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// A running EC2. Dropped, it ends, and with it all processes that it started.
#[derive(Debug)]
pub struct FakeEc2 {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl FakeEc2 {
    /// Starts one at a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// The setup contradicts itself, or there is no free port.
    pub async fn start(setup: Setup) -> Result<FakeEc2, StartError> {
        FakeEc2::start_at(setup, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts one at an address.
    ///
    /// # Errors
    ///
    /// The setup contradicts itself, or the address cannot be had.
    pub async fn start_at(setup: Setup, address: SocketAddr) -> Result<FakeEc2, StartError> {
        setup.check().map_err(StartError::Setup)?;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        let (events, heard) = mpsc::channel(PROCESS_EVENTS_MAX);
        let shared = Arc::new(Shared::new(setup, format!("http://{bound}"), events));
        let tasks = vec![
            tokio::spawn(server::serve(listener, shared.clone())),
            tokio::spawn(keep_time(shared.clone())),
            tokio::spawn(hear_processes(shared.clone(), heard)),
        ];
        Ok(FakeEc2 {
            shared,
            address: bound,
            tasks,
        })
    }

    /// Returns where it is served: the endpoint for an SDK.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns where an instance finds its metadata, instead of at `http://169.254.169.254`.
    pub fn metadata_url(&self, instance: &crate::InstanceId) -> String {
        format!("{}/imds/{instance}", self.shared.url)
    }

    /// Returns a handle for tests.
    pub fn control(&self) -> Control {
        Control::new(self.shared.clone())
    }

    /// Ends it, and gives the processes that it started two seconds to end themselves.
    pub async fn stop(self) {
        let up: Vec<_> = self
            .control()
            .instances()
            .into_iter()
            .filter(|instance| instance.has_process)
            .collect();
        for instance in &up {
            self.shared.processes.ask_to_end(&instance.id);
        }
        let began = Instant::now();
        let is_running = || up.iter().any(|instance| self.shared.processes.is_running(&instance.id));
        while is_running() && began.elapsed() < STOP_GRACE {
            tokio::time::sleep(STOP_LOOK).await;
        }
    }
}

impl Drop for FakeEc2 {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.processes.kill_all();
    }
}
