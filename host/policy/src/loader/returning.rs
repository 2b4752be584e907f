//! How a version that was good comes to serve again: after a restart, a quarantine, or an operator's order.
//!
//! A version is one piece: the one before comes back with all its decisions, also where only one was quarantined. Half of one
//! version beside half of another is a policy that nobody has written or tested.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use jiff::Timestamp;
use usher_fleet::event::PolicyEvent;

use super::policy::WantedNow;
use super::{Loader, SNAPSHOT_RETRY, body};
use crate::kitchen::{Errand, Order, Prepared};
use crate::loading::LoadError;
use crate::policies::RollbackError;
use crate::recipe::Recipe;
use crate::shelf::Rollback;
use crate::version::{Name, Version};
use crate::wasm::CompileError;

/// An order to serve the version before.
pub(crate) struct RollbackOrder {
    pub(crate) policy: String,
    pub(crate) why: String,
    pub(crate) reply: Reply,
}

type Reply = SyncSender<Result<(), RollbackError>>;

/// Why a version comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// The folder is missing, at the start.
    NoFolder,
    /// What the folder holds does not serve, at the start.
    NotWanted,
    /// The one that served was quarantined.
    Quarantined(String),
    /// Somebody wants it so.
    Ordered(String),
}

/// A version on its way back.
pub(super) struct Return {
    version: Version,
    /// What served when it was sent for; if that has changed, it is not needed any more.
    instead_of: Option<Version>,
    why: Why,
    replies: Vec<Reply>,
}

impl Return {
    /// Tells those who wait what has come of it.
    pub(super) fn answer(self, answer: Result<(), RollbackError>) {
        for reply in self.replies {
            // Who does not wait any more does not hear it.
            reply.send(answer.clone()).ok();
        }
    }
}

impl Loader {
    /// Has every policy serve that did when the host ended, if nothing is known of the folder.
    pub(super) fn folder_is_missing(&mut self) {
        let expected = self.shelf.expected();
        for name in expected
            .iter()
            .filter(|name| !self.policies.contains_key(name))
            .cloned()
            .collect::<Vec<_>>()
        {
            tracing::error!(
                policy = &**name.text(),
                "the policies' folder is missing: the last good version shall serve"
            );
            self.serve_last_good(&name, Why::NoFolder);
        }
    }

    /// Has the last good version serve where none does.
    pub(super) fn serve_last_good(&mut self, name: &Name, why: Why) {
        let policy = self.policies.entry(name.clone()).or_default();
        if policy.served.is_some() || policy.returning.is_some() {
            return;
        }
        let refused = policy.wanted.as_ref().filter(|wanted| wanted.is_refused());
        let refused = refused.and_then(|wanted| wanted.version);
        if let Some(good) = self.shelf.current(name).filter(|good| Some(good.version) != refused) {
            self.bring_back(name, good.version, why, Vec::new());
        }
    }

    /// Takes an order to serve the version before. One that is in force already is answered as done.
    pub(super) fn roll_back(&mut self, order: RollbackOrder) {
        let RollbackOrder { policy, why, reply } = order;
        let known =
            Name::of_file(&format!("{policy}.wasm")).and_then(|name| Some((self.policies.get_mut(&name)?, name)));
        let answer = match known {
            None if *self.built_in.policy.name == *policy => Err(RollbackError::BuiltIn),
            None => Err(RollbackError::NoSuchPolicy(policy)),
            Some((known, name)) => {
                // It is in force: the reply to who has ordered it may have been lost.
                let is_done = self.shelf.rollback(&name).is_some() || known.is_kept_out();
                let before = self.shelf.previous(&name).map(|good| good.version);
                match (&mut known.returning, before) {
                    (Some(returning), _) => return returning.replies.push(reply),
                    (None, _) if is_done => Ok(()),
                    (None, Some(before)) if known.served.is_some() => {
                        return self.bring_back(&name, before, Why::Ordered(why), vec![reply]);
                    }
                    (None, _) => Err(RollbackError::NoEarlierVersion(policy)),
                }
            }
        };
        // Who does not wait any more does not hear it.
        reply.send(answer).ok();
    }

    /// Sends for a good version.
    pub(super) fn bring_back(&mut self, name: &Name, version: Version, why: Why, replies: Vec<Reply>) {
        let policy = self.policies.entry(name.clone()).or_default();
        policy.returning = Some(Return {
            version,
            instead_of: policy.served_version(),
            why,
            replies,
        });
        let at_hand = policy.previous.as_ref().filter(|recipe| recipe.version == version);
        if let Some(recipe) = at_hand.cloned() {
            return self.kept_prepared(Prepared {
                name: name.clone(),
                errand: Errand::Kept,
                version,
                contents: None,
                made: Ok(recipe),
            });
        }
        self.send_for(name, version);
    }

    /// Has the kitchen prepare a good version that is not at hand.
    pub(super) fn send_for(&mut self, name: &Name, version: Version) {
        match self.shelf.contents(name, version) {
            Some(contents) => self.orders.put(Order {
                name: name.clone(),
                errand: Errand::Kept,
                was_good: true,
                contents,
            }),
            None => self.stays_away(name, "its kept files are lost"),
        }
    }

    /// Takes in what the kitchen has made of a kept version.
    pub(super) fn kept_prepared(&mut self, prepared: Prepared) {
        let (name, version) = (prepared.name.clone(), prepared.version);
        let Some(policy) = self.policies.get(&name) else {
            return;
        };
        let Some(returning) = policy
            .returning
            .as_ref()
            .filter(|returning| returning.version == version)
        else {
            return;
        };
        if policy.served_version() != returning.instead_of {
            return self.stays_away(&name, "another version has come meanwhile");
        }
        let recipe = match &prepared.made {
            Ok(recipe) => recipe.clone(),
            // Nothing was decided, and nobody asks any more.
            Err(LoadError::Compile(CompileError::Stopped)) => return,
            Err(error) if error.is_no_fault_of_the_file() => return self.postpone(prepared, self.retry),
            Err(error) => return self.stays_away(&name, &error.to_string()),
        };
        let Some(view) = self.host.snapshot() else {
            return self.postpone(prepared, SNAPSHOT_RETRY);
        };
        match self.try_out(&recipe, &view) {
            Ok(tried) => {
                let Some(returning) = self.policies.get_mut(&name).and_then(|policy| policy.returning.take()) else {
                    return;
                };
                self.write_down(&name, &returning);
                let reason = self.note_return(&name, &returning, &recipe);
                let policy = self.serve(recipe, tried);
                tracing::warn!(policy = &**name.text(), version = &*policy.version, "{reason}");
                let event = body(&name, Some(&policy), Some(version), "", &reason);
                self.tell_change(PolicyEvent::RolledBack(event));
                returning.answer(Ok(()));
            }
            Err(error) => self.stays_away(&name, &error.to_string()),
        }
    }

    /// Makes it last: what is decided here holds after a restart.
    fn write_down(&mut self, name: &Name, returning: &Return) {
        match &returning.why {
            Why::NoFolder | Why::NotWanted => {}
            Why::Quarantined(_) => self.shelf.step_back(name),
            Why::Ordered(why) => {
                let wanted = self.policies.get(name).and_then(|policy| policy.wanted_version());
                let held = wanted.or(returning.instead_of);
                let named = held.and_then(|held| self.shelf.named(name, held));
                self.shelf.step_back(name);
                self.shelf.hold(
                    name,
                    Rollback {
                        held,
                        named: named.unwrap_or_default(),
                        why: why.clone(),
                        at: Timestamp::now(),
                    },
                );
            }
        }
    }

    /// Shows why it is another version that serves, and returns it for the event.
    fn note_return(&mut self, name: &Name, returning: &Return, recipe: &Arc<Recipe>) -> String {
        let Some(policy) = self.policies.get_mut(name) else {
            return String::new();
        };
        let wanted = policy.wanted.as_mut();
        match &returning.why {
            Why::NoFolder => {
                let note = "the policies' folder is missing; the last good version serves".to_owned();
                policy.note = Some(note.clone());
                note
            }
            Why::NotWanted => {
                let is_same = policy.wanted_version() == Some(recipe.version);
                let note = "the last good version serves, as before the restart".to_owned();
                policy.note = (!is_same).then(|| note.clone());
                note
            }
            Why::Quarantined(why) => {
                if let Some(wanted) = wanted.filter(|wanted| wanted.version == returning.instead_of) {
                    wanted.now = WantedNow::Quarantined;
                }
                format!("the good version before it serves again: {why}")
            }
            Why::Ordered(why) => {
                if let Some(wanted) = wanted {
                    wanted.now = WantedNow::RolledBack;
                }
                ordered(why)
            }
        }
    }

    /// Gives up on a version that was to come back.
    fn stays_away(&mut self, name: &Name, problem: &str) {
        let Some(policy) = self.policies.get_mut(name) else {
            return;
        };
        let Some(returning) = policy.returning.take() else {
            return;
        };
        tracing::error!(
            policy = &**name.text(),
            "the good version before does not come back: {problem}"
        );
        returning.answer(Err(RollbackError::Refused {
            policy: name.text().to_string(),
            problem: problem.to_owned(),
        }));
        if policy.served.is_some() {
            return;
        }
        policy.note = Some(format!("the last good version does not serve: {problem}"));
        // With no good version left there is no reason to keep the folder's out.
        let is_kept_out = policy.wanted.take_if(|wanted| wanted.is_kept_out()).is_some();
        if is_kept_out {
            self.shelf.release(name);
            self.shelf.forget_versions(name);
            if let Some((folder, _)) = &mut self.folder {
                folder.tell_again(name);
            }
        }
    }
}

/// Says that an operator wants it so, and why if that was said.
pub(super) fn ordered(why: &str) -> String {
    match why {
        "" => "an operator has ordered the version before".to_owned(),
        why => format!("an operator has ordered the version before: {why}"),
    }
}
