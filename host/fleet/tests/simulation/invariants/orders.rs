//! What leaves for the providers, against what a crash would leave behind.

use std::collections::BTreeMap;

use std::time::Duration;

use usher_fleet::effect::TerminateOrder;
use usher_fleet::observation::{Listed, OrderKey};
use usher_fleet::server::Phase;
use usher_fleet::units::Timestamp;
use usher_fleet::{Effect, Input, Observation, Outcome, Record, RecordKey};

use crate::simulation::cloud::Cloud;
use crate::simulation::model::Model;

/// An instance that no record knows is seen for so long before it is ended.
const SEEN_FOR: Duration = Duration::from_secs(120);

/// An effect is about to leave; all that it follows from is durable.
pub(crate) fn run(effect: &Effect, durable: &BTreeMap<RecordKey, Record>, cloud: &mut Cloud, now: Timestamp) {
    match effect {
        Effect::Launch(order) => {
            // The record may have gone in the same batch: then there was nothing left to order for.
            let is_new = !cloud.ordered.contains_key(&order.key);
            assert!(
                !is_new || phase_of(&order.key, durable, cloud).is_some(),
                "invariant_launches_follow_durable_intents: {order:?}"
            );
        }
        Effect::Terminate(order) => match phase_of(&order.key, durable, cloud) {
            Some(phase) => assert!(
                matches!(phase, Phase::Terminating(_)),
                "invariant_ends_follow_durable_intents: {order:?} while {phase:?}"
            ),
            // The record went while its end was ordered once more.
            None if cloud.ended.contains(&order.key) => {}
            None => invariant_only_our_own_orphans_are_ended(order, cloud, now),
        },
        Effect::Examine(examine) => {
            let phase = phase_of(&examine.key, durable, cloud);
            // Its time may have passed before it was asked for.
            assert!(
                phase.is_none_or(|phase| matches!(phase, Phase::Failed(_) | Phase::Terminating(_))),
                "invariant_only_what_has_failed_is_examined: {examine:?} while {phase:?}"
            );
        }
        Effect::List(_) | Effect::Watch(_) | Effect::Unwatch(_) | Effect::Probe(_) | Effect::Scale(_) => {}
    }
}

/// Returns how far the server is that was launched under a key; one of the same name that somebody else made is another.
fn phase_of<'a>(key: &OrderKey, durable: &'a BTreeMap<RecordKey, Record>, cloud: &Cloud) -> Option<&'a Phase> {
    durable.values().find_map(|record| match record {
        Record::Server(server) if server.name == key.server && server.attempt == key.attempt => {
            (!cloud.external.contains(&server.pool)).then_some(&server.phase)
        }
        Record::Server(_) | Record::Room(_) | Record::Pool(_) | Record::Meta(_) => None,
    })
}

/// What a list says is to be kept is not ended for being in it.
pub(super) fn invariant_what_is_to_be_kept_is_kept(model: &Model, input: Option<&Input>, outcome: &Outcome) {
    let Some(Input::Observation(Observation::Listed(Listed { result: Ok(found), .. }))) = input else {
        return;
    };
    for found in found
        .iter()
        .filter(|found| found.is_kept && model.server(&found.key.server).is_none())
    {
        let ends = |effect: &Effect| matches!(effect, Effect::Terminate(order) if order.key == found.key);
        assert!(
            !outcome.effects.iter().any(ends),
            "invariant_what_is_to_be_kept_is_kept: {found:?}"
        );
    }
}

/// Without a record only that is ended which this installation launched, and which was there for long.
fn invariant_only_our_own_orphans_are_ended(order: &TerminateOrder, cloud: &mut Cloud, now: Timestamp) {
    let name = "invariant_only_our_own_orphans_are_ended";
    let Some(made) = cloud.instances.get(&order.key) else {
        panic!("{name}: {order:?}, and it is not ours")
    };
    let own = cloud.name_of(&order.key);
    assert_eq!(order.instance.as_ref(), Some(&own), "{name}: {order:?}");
    assert!(
        made.made_at + SEEN_FOR <= now,
        "{name}: {order:?}, and it is new: {made:?}"
    );
    cloud.met.count("orphan.ended");
}
