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
    /// There is no folder that can be read, at the start.
    NoFolder(String),
    /// What the folder holds does not serve, at the start.
    NotWanted,
    /// The one that served was quarantined.
    Quarantined(String),
    /// Somebody wants it so, instead of what the folder held when that was said.
    Ordered { why: String, held: Option<Version> },
}

/// A version on its way back.
pub(super) struct Return {
    version: Version,
    /// What served when it was sent for; if that has changed, it is not needed any more.
    instead_of: Option<Version>,
    why: Why,
    replies: Vec<Reply>,
    /// Whether the fleet stands in its way, and it is tried again later.
    is_put_off: bool,
}

impl Return {
    /// Returns whether it may serve any moment.
    pub(super) fn is_under_way(&self) -> bool {
        !self.is_put_off
    }

    /// Returns whether it is the version before one that served, as an order wants it.
    fn is_the_one_before(&self) -> bool {
        match self.why {
            Why::Quarantined(_) | Why::Ordered { .. } => true,
            Why::NoFolder(_) | Why::NotWanted => false,
        }
    }

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
    pub(super) fn folder_is_missing(&mut self, problem: &str) {
        let expected = self.shelf.expected();
        for name in expected
            .iter()
            .filter(|name| !self.policies.contains_key(name))
            .cloned()
            .collect::<Vec<_>>()
        {
            tracing::error!(policy = &**name.text(), "{problem}: the last good version shall serve");
            self.serve_last_good(&name, Why::NoFolder(problem.to_owned()));
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
            _ if *self.built_in.policy.name == *policy => Err(RollbackError::BuiltIn),
            None => Err(RollbackError::NoSuchPolicy(policy)),
            Some((known, name)) => {
                // It is in force: the reply to who has ordered it may have been lost.
                let before = self.shelf.previous(&name).map(|good| good.version);
                let is_done = self.shelf.rollback(&name).is_some() || known.is_kept_out() && before.is_none();
                let held = known.wanted_version().or(known.served_version());
                match (&mut known.returning, before) {
                    (Some(returning), _) if returning.is_under_way() && (is_done || returning.is_the_one_before()) => {
                        return returning.replies.push(reply);
                    }
                    _ if is_done => Ok(()),
                    (Some(_), _) => Err(RollbackError::LastGoodReturns(policy)),
                    (None, Some(before)) => {
                        return self.bring_back(&name, before, Why::Ordered { why, held }, vec![reply]);
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
            is_put_off: false,
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
            Ok(Some(contents)) => self.orders.put(Order {
                name: name.clone(),
                errand: Errand::Kept,
                was_good: true,
                contents,
            }),
            Ok(None) => self.stays_away(name, "its kept files are lost"),
            Err(error) => self.kept_prepared(Prepared {
                name: name.clone(),
                errand: Errand::Kept,
                version,
                contents: None,
                made: Err(LoadError::File(error)),
            }),
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
        let is_ordered = matches!(returning.why, Why::Ordered { .. });
        if policy.served_version() != returning.instead_of {
            return self.stays_away(&name, "another version has come meanwhile");
        }
        let recipe = match &prepared.made {
            Ok(recipe) => recipe.clone(),
            // Nothing was decided, and nobody asks any more.
            Err(LoadError::Compile(CompileError::Stopped)) => return,
            // An order is answered at once with what stands in its way.
            Err(error) if error.is_no_fault_of_the_file() && !is_ordered => {
                let problem = error.to_string();
                return self.put_off(prepared, &problem);
            }
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
            // An order that fails leaves what serves. Where nothing else takes the decision, the fleet may be another one soon.
            Err(error) if error.is_of_this_fleet() && !is_ordered => self.put_off(prepared, &error.to_string()),
            Err(error) => self.stays_away(&name, &error.to_string()),
        }
    }

    /// Has a kept version tried again later, as often as it takes: what keeps it away may pass.
    fn put_off(&mut self, prepared: Prepared, problem: &str) {
        if let Some(policy) = self.policies.get_mut(&prepared.name)
            && let Some(returning) = &mut policy.returning
        {
            if !std::mem::replace(&mut returning.is_put_off, true) {
                tracing::error!(
                    policy = &**prepared.name.text(),
                    "the last good version does not serve yet: {problem}"
                );
            }
            policy.note = Some(format!("the last good version does not serve yet: {problem}"));
        }
        self.postpone(prepared, self.retry);
    }

    /// Makes it last: what is decided here holds after a restart.
    fn write_down(&mut self, name: &Name, returning: &Return) {
        match &returning.why {
            Why::NoFolder(_) | Why::NotWanted => {}
            Why::Quarantined(_) => self.shelf.step_back(name),
            Why::Ordered { why, held } => {
                let named = held.and_then(|held| self.shelf.named(name, held));
                self.shelf.step_back(name);
                // It ends where the folder holds something else, which may be so by now.
                if !self.holds_another(name, *held) {
                    self.shelf.hold(
                        name,
                        Rollback {
                            held: *held,
                            named: named.unwrap_or_default(),
                            why: why.clone(),
                            at: Timestamp::now(),
                        },
                    );
                }
            }
        }
    }

    /// Returns whether the folder holds a version that can be read, and not this one.
    fn holds_another(&self, name: &Name, version: Option<Version>) -> bool {
        let wanted = self.policies.get(name).and_then(|policy| policy.wanted_version());
        wanted.is_some() && wanted != version
    }

    /// Shows why it is another version that serves, and returns it for the event.
    fn note_return(&mut self, name: &Name, returning: &Return, recipe: &Arc<Recipe>) -> String {
        let is_another = matches!(&returning.why, Why::Ordered { held, .. } if self.holds_another(name, *held));
        let Some(policy) = self.policies.get_mut(name) else {
            return String::new();
        };
        policy.note = None;
        let wanted = policy.wanted.as_mut();
        match &returning.why {
            Why::NoFolder(problem) => {
                let note = format!("{problem}; the last good version serves");
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
            Why::Ordered { why, .. } => {
                if let Some(wanted) = wanted.filter(|_| !is_another) {
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
        let is_missed = matches!(returning.why, Why::Quarantined(_)) && policy.served_version() == returning.instead_of;
        let was_ordered = matches!(returning.why, Why::Ordered { .. });
        returning.answer(Err(RollbackError::Refused {
            policy: name.text().to_string(),
            problem: problem.to_owned(),
        }));
        if policy.served.is_some() {
            if is_missed {
                policy.note = Some(format!("the good version before it does not serve: {problem}"));
            }
            if was_ordered {
                self.replace_quarantined(name);
            }
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
