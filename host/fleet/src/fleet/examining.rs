//! What a server that never became ready leaves to be read, before it is ended; and which ones are kept to be looked at.

use std::time::Duration;

use super::Fleet;
use super::launching;
use super::state::Server;
use crate::effect::{Effect, Examine};
use crate::event::{ServerFailed, What};
use crate::ids::{PoolName, ServerNo};
use crate::observation::{Evidence, Examined};
use crate::server::Phase;

/// The longest that a failed server waits for what its provider finds: a console is read within 15 s, and the server is paid for
/// all the while.
pub(super) const EXAMINED_WITHIN: Duration = Duration::from_secs(20);

impl Fleet {
    /// Has a failed server's provider say what it finds; where there is nothing to find, goes on at once.
    pub(super) fn examine(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let pool = self.pools.get(&server.record.pool);
        let leaves_evidence = pool.is_some_and(|pool| pool.config.leaves_evidence);
        let Some(instance) = server.record.instance.clone().filter(|_| leaves_evidence) else {
            return self.conclude(no, Evidence::default());
        };
        self.out.effects.push(Effect::Examine(Examine {
            key: launching::key(server),
            pool: server.record.pool.clone(),
            instance,
        }));
        self.time_server(no);
    }

    /// A provider has said what it found.
    pub(super) fn examined(&mut self, examined: Examined) {
        if let Some(no) = self.by_key(&examined.key) {
            self.conclude(no, examined.evidence);
        }
    }

    /// Nobody has said in time what there is to find.
    pub(super) fn examined_in_vain(&mut self, no: ServerNo) {
        let console = format!("not read within {} s", EXAMINED_WITHIN.as_secs());
        self.conclude(
            no,
            Evidence {
                cause: None,
                console: Some(console),
            },
        );
    }

    /// Tells that a server has failed, with all that is known of it; then it is ended, or kept.
    fn conclude(&mut self, no: ServerNo, evidence: Evidence) {
        let Some(server) = self.servers.get(&no) else { return };
        let Phase::Failed(failed) = &server.record.phase else {
            return;
        };
        if failed.is_kept {
            return;
        }
        let reason = match &evidence.cause {
            Some(cause) => format!("{}: {cause}", failed.reason),
            None => failed.reason.clone(),
        };
        // One that has ended by itself cannot be looked at.
        let keeps = !failed.has_ended && evidence.cause.is_none() && self.keeps_another(&server.record.pool);
        self.tell(What::ServerFailed(ServerFailed {
            server: self.server_event(server, reason.clone()),
            last_phase: Some(failed.last_phase),
            console: evidence.console,
            is_kept: keeps,
        }));
        if !keeps {
            return self.terminate(no, format!("failed to boot: {reason}"));
        }
        self.change_server(no, |record| {
            if let Phase::Failed(failed) = &mut record.phase {
                failed.is_kept = true;
                failed.reason = format!("{reason}; kept to be looked at until it is removed");
            }
        });
        self.time_server(no);
    }

    fn keeps_another(&self, pool: &PoolName) -> bool {
        let Some(pool) = self.pools.get(pool).filter(|pool| !pool.retired) else {
            return false;
        };
        let kept = self.of(pool).filter(|server| server.is_kept_failed()).count();
        kept < pool.config.keep_failed_servers as usize
    }
}

impl Server {
    /// Whether it never became ready and stays, to be looked at, until an operator ends it.
    pub(super) fn is_kept_failed(&self) -> bool {
        matches!(&self.record.phase, Phase::Failed(failed) if failed.is_kept)
    }
}
