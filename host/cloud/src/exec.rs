//! The operator's own programs as a provider: any cloud with a command line, or plain processes on this machine.
//!
//! Each call is one run of a program: one JSON object on its stdin, one on its stdout, and its exit code says what to do
//! next. It refuses to guess: whatever is not a clear answer is an unknown outcome, and the fleet asks again.
//!
//! | exit code | says |
//! |---|---|
//! | 0 | done |
//! | 65 | refused for good |
//! | 69 | no capacity: another offer, or a later time, may do |
//! | 77, 78 | a permission or the configuration is wrong: stop and alarm |
//! | any other, a signal, no end in time, an answer that cannot be read | unknown |
//!
//! The message is the last line on stderr.
//!
//! A program runs in the folder of `usher.toml`, in a process group of its own, with our environment and none of our open
//! files. Out of time, the whole group is killed. What a program leaves running when it ends by itself is left alone, but
//! its pipes are closed a second later: a daemon had better not write to them.

mod program;
mod protocol;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Semaphore;

use usher_fleet::effect::{LaunchOrder, TerminateOrder};
use usher_fleet::observation::{Found, Instance, ProviderError};

use crate::config::{ExecConfig, PoolSetup};
use crate::finding::Finding;
use crate::provider::{Answer, Findings, Provider};
use program::Program;
use protocol::{LaunchAsk, ListAsk, TerminateAsk, Unreadable};

/// The provider `exec`.
pub struct Exec {
    setup: PoolSetup,
    config: ExecConfig,
    /// The setup's folder, made absolute once: a program must be found the same from wherever it is started.
    base_dir: PathBuf,
    /// Launches and terminations that may run now. Lists do not queue behind them; there is at most one a pool.
    programs: Semaphore,
}

impl Exec {
    /// Makes the provider of one pool. Nothing is run, and nothing is checked until it is.
    pub fn new(setup: PoolSetup, config: ExecConfig) -> Exec {
        let base_dir = std::path::absolute(&setup.base_dir).unwrap_or_else(|_| setup.base_dir.clone());
        let programs = Semaphore::new(config.programs_max.max(1));
        Exec {
            setup,
            config,
            base_dir,
            programs,
        }
    }

    /// Runs one program, in its turn where it must wait for one.
    async fn run_in_turn(&self, argv: &[String], ask: &impl Serialize) -> Result<Vec<u8>, ProviderError> {
        let _turn = self.programs.acquire().await.expect("nobody closes it");
        run(argv, &self.base_dir, self.config.timeout, ask).await
    }

    async fn launch_now(&self, order: &LaunchOrder) -> Result<Instance, ProviderError> {
        let ask = LaunchAsk {
            fleet: &self.setup.fleet,
            server: &order.key.server,
            attempt: order.key.attempt,
            pool: &order.pool,
            region: &self.setup.region,
            zone: None,
            instance_type: &self.setup.instance_type,
            labels: &order.labels,
        };
        let output = self.run_in_turn(&self.config.launch, &ask).await?;
        protocol::launched(&output).map_err(|reason| unreadable(&self.config.launch, &reason))
    }

    async fn terminate_now(&self, order: &TerminateOrder) -> Result<(), ProviderError> {
        let ask = TerminateAsk {
            fleet: &self.setup.fleet,
            server: &order.key.server,
            attempt: order.key.attempt,
            pool: &order.pool,
            instance: order.instance.as_deref(),
        };
        let output = self.run_in_turn(&self.config.terminate, &ask).await?;
        protocol::terminated(&output).map_err(|reason| unreadable(&self.config.terminate, &reason))
    }

    async fn list_now(&self) -> Result<Vec<Found>, ProviderError> {
        let ask = ListAsk {
            fleet: &self.setup.fleet,
            pool: &self.setup.name,
        };
        let output = run(&self.config.list, &self.base_dir, self.config.timeout, &ask).await?;
        protocol::listed(&output).map_err(|reason| unreadable(&self.config.list, &reason))
    }

    /// Runs the program that only reads. That the others are there is seen where the configuration is read.
    async fn check_now(&self) -> Finding {
        match self.list_now().await {
            Ok(found) => Finding::well(match found.len() {
                1 => "list answers, with 1 server".to_owned(),
                servers => format!("list answers, with {servers} servers"),
            }),
            Err(error) => {
                let ask = ListAsk {
                    fleet: &self.setup.fleet,
                    pool: &self.setup.name,
                };
                let ask = serde_json::to_string(&ask).expect("words become JSON");
                let (list, base_dir) = (self.config.list.join(" "), self.base_dir.display());
                Finding::problem(format!(
                    "list does not answer as it should: {error}; try it by hand in {base_dir}: echo '{ask}' | {list}"
                ))
            }
        }
    }
}

impl Provider for Exec {
    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> Answer<'a, Instance> {
        Box::pin(self.launch_now(order))
    }

    fn terminate<'a>(&'a self, order: &'a TerminateOrder) -> Answer<'a, ()> {
        Box::pin(self.terminate_now(order))
    }

    fn list(&self) -> Answer<'_, Vec<Found>> {
        Box::pin(self.list_now())
    }

    fn check(&self) -> Findings<'_> {
        Box::pin(async { vec![self.check_now().await] })
    }
}

async fn run(
    argv: &[String],
    base_dir: &Path,
    timeout: Duration,
    ask: &impl Serialize,
) -> Result<Vec<u8>, ProviderError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(ProviderError::Misconfigured("no program is configured".to_owned()));
    };
    let input = serde_json::to_vec(ask).expect("words and numbers become JSON");
    let program = Program {
        program,
        arguments,
        base_dir,
        timeout,
    };
    program.run(input).await
}

fn unreadable(argv: &[String], reason: &Unreadable) -> ProviderError {
    let program = argv.first().map_or("", String::as_str);
    ProviderError::Unknown(format!("{program} ended well, but {reason}"))
}

#[cfg(test)]
mod tests;
