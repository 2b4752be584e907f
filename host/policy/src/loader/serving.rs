//! A version's last gates, which need the fleet, and its way into the chains.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use usher_fleet::decision::{DecisionPoint, PolicyRef};
use usher_fleet::event::PolicyEvent;

use super::policy::{Served, WantedNow};
use super::{LearningFault, Loader, SNAPSHOT_RETRY, body};
use crate::backoff::Backoff;
use crate::chain::PlaceLink;
use crate::counters::Counters;
use crate::kitchen::Prepared;
use crate::loading::{self, LoadError};
use crate::options::Snapshot;
use crate::policies::RollbackError;
use crate::recipe::Recipe;
use crate::scale::{Part, ScaleLink, ScaleMessage};
use crate::shelf::Good;
use crate::trial;
use crate::wasm::Serving;

/// An instance that has passed every gate.
pub(super) struct Tried {
    instance: Serving,
    policy: PolicyRef,
    /// Whether it is asked to place rooms.
    places: bool,
    /// What it has learned and still takes.
    learned: Option<Vec<u8>>,
}

impl Loader {
    /// Tries out what the folder holds, and lets it serve.
    pub(super) fn install(&mut self, prepared: Prepared) {
        let Ok(recipe) = &prepared.made else { return };
        let (name, recipe) = (prepared.name.clone(), recipe.clone());
        let Some(view) = self.host.snapshot() else {
            return self.postpone(prepared, SNAPSHOT_RETRY);
        };
        let tried = match self.try_out(&recipe, &view) {
            Ok(tried) => tried,
            Err(error) => {
                let is_of_this_fleet = error.is_of_this_fleet();
                self.refuse(&name, Some(recipe.version), error);
                if is_of_this_fleet {
                    self.postpone(prepared, self.retry);
                }
                return;
            }
        };
        let good = Good {
            version: recipe.version,
            named: tried.policy.version.to_string(),
            since: Timestamp::now(),
            rooms_wait: recipe.waits() && recipe.ready.parts().place,
        };
        self.shelf.serves(&name, good, prepared.contents.as_ref());
        let policy = self.policies.entry(name.clone()).or_default();
        policy.refused = None;
        if let Some(returning) = policy.returning.take() {
            returning.answer(Err(RollbackError::Refused {
                policy: name.text().to_string(),
                problem: "another version has come meanwhile".to_owned(),
            }));
        }
        self.want(&name, Some(recipe.version), WantedNow::Serving);
        let policy = self.serve(recipe.clone(), tried);
        let event = body(&name, Some(&policy), Some(recipe.version), "", "serves");
        self.tell_change(PolicyEvent::Loaded(event));
    }

    /// Passes a recipe through the gates that need the fleet, for the decisions that it may take.
    pub(super) fn try_out(&self, recipe: &Recipe, view: &Snapshot) -> Result<Tried, LoadError> {
        let is_in = |point: &DecisionPoint| !self.shelf.is_out(&recipe.name, recipe.version, *point);
        let decisions: Vec<DecisionPoint> = loading::decisions(recipe).into_iter().filter(is_in).collect();
        let (place, scale): (Vec<_>, Vec<_>) = decisions.into_iter().partition(|point| *point == DecisionPoint::Place);
        let learned = self.shelf.learned(&recipe.name);
        // Scale decisions may learn from being asked, so they are tried in an instance that nobody is asked again.
        let scaling = match scale.is_empty() {
            true => None,
            false => Some(trial::try_out(recipe, learned.as_deref(), view, &scale)?),
        };
        let instance = match place.is_empty() {
            true => trial::try_out(recipe, learned.as_deref(), view, &[])?,
            false => trial::try_out_placing(&*self.host, recipe, learned.as_deref(), view)?,
        };
        let policy = recipe.policy_ref(&instance);
        let forgot = scaling.as_ref().and_then(Serving::forgot).or(instance.forgot());
        if let Some(why) = forgot {
            self.learning_faulted(LearningFault::starts_without(recipe, &policy, why));
        }
        Ok(Tried {
            policy,
            learned: learned.filter(|_| forgot.is_none()),
            instance,
            places: !place.is_empty(),
        })
    }

    /// Hands a version to the chains, and returns as what it is known there.
    pub(super) fn serve(&mut self, recipe: Arc<Recipe>, tried: Tried) -> PolicyRef {
        let Tried {
            instance,
            policy: policy_ref,
            places,
            learned,
        } = tried;
        let name = recipe.name.clone();
        let policy = self.policies.entry(name.clone()).or_default();
        let before = policy.served.replace(Served {
            recipe: recipe.clone(),
            policy: policy_ref.clone(),
            summary: instance.description().summary.clone(),
        });
        let good_before = self.shelf.previous(&name).map(|good| good.version);
        let at_hand = [before.map(|before| before.recipe), policy.previous.take()];
        policy.previous = at_hand
            .into_iter()
            .flatten()
            .find(|recipe| Some(recipe.version) == good_before);
        policy.rebuild = None;
        policy.backoff = Backoff::default();
        let counters = policy.counters.clone();
        self.quarantine.forget_counts(&name, Some(recipe.version));
        self.hand_over(
            &recipe,
            &policy_ref,
            &counters,
            places.then(|| Box::new(instance)),
            learned,
        );
        tracing::info!(
            policy = &**name.text(),
            version = &*policy_ref.version,
            "the policy serves"
        );
        policy_ref
    }

    fn hand_over(
        &mut self,
        recipe: &Arc<Recipe>,
        policy: &PolicyRef,
        counters: &Arc<Counters>,
        placing: Option<Box<Serving>>,
        learned: Option<Vec<u8>>,
    ) {
        let name = &recipe.name;
        let is_out = |point| self.shelf.is_out(name, recipe.version, point);
        let keeps_waiting = recipe.waits() && is_out(DecisionPoint::Place);
        let link = (placing.is_some() || keeps_waiting).then(|| place_link(recipe, policy, counters, placing));
        self.handover.put(name.clone(), link);
        let part = |has: bool, point: DecisionPoint| match has {
            false => Part::Absent,
            true if is_out(point) => Part::Quarantined,
            true => Part::Asked,
        };
        let parts = recipe.ready.parts();
        let (up, down) = (
            part(parts.scale_up, DecisionPoint::ScaleUp),
            part(parts.scale_down, DecisionPoint::ScaleDown),
        );
        self.scale.send(match parts.scales() {
            true => ScaleMessage::Install(ScaleLink::new(
                recipe.clone(),
                policy.clone(),
                counters.clone(),
                [up, down],
                learned,
            )),
            false => ScaleMessage::Remove(name.clone()),
        });
    }
}

pub(super) fn place_link(
    recipe: &Recipe,
    policy: &PolicyRef,
    counters: &Arc<Counters>,
    instance: Option<Box<Serving>>,
) -> PlaceLink {
    PlaceLink {
        name: recipe.name.clone(),
        version: recipe.version,
        policy: policy.clone(),
        waits: recipe.waits(),
        counters: counters.clone(),
        instance,
        spared: BTreeMap::new(),
    }
}
