//! How servers live and end.

use usher_fleet::command::{Command, HoldAction};
use usher_fleet::config::HealthSource;
use usher_fleet::ids::ServerNo;
use usher_fleet::observation::{OrderKey, ProviderError};
use usher_fleet::server::{Hold, HoldOwner, Phase, ServerRecord};
use usher_fleet::{Input, Observation};

use super::scaling;
use crate::simulation::cloud::Cloud;
use crate::simulation::model::Model;

/// A server's record is about to change; the model is as it was before.
pub(super) fn changed(model: &Model, old: &ServerRecord, new: &ServerRecord, input: Option<&Input>, cloud: &Cloud) {
    invariant_a_server_only_moves_forward(old, new);
    invariant_an_attempt_has_one_offer(old, new, input);
    if old.attempt != new.attempt {
        scaling::invariant_another_offer_stays_within_the_dollars(model, old, new);
    }
    invariant_a_record_names_its_own_instance(new, cloud);
    if matches!(new.phase, Phase::Failed(_)) && !matches!(old.phase, Phase::Failed(_)) {
        invariant_boots_fail_for_a_cause(model, old, input, cloud);
    }
    if is_kept(new) && !is_kept(old) {
        invariant_so_many_that_failed_are_kept(model, new);
    }
    invariant_holds_are_lifted_by_whom_they_belong_to(model, old, new, input);
    let is_ending = |server: &ServerRecord| matches!(server.phase, Phase::Terminating(_));
    let is_let_go = (is_ending(new) && !is_ending(old)) || (new.left && !old.left);
    if is_let_go {
        invariant_no_server_with_rooms_goes_without_cause(model, old, input, cloud);
    }
    let drain = |server: &ServerRecord| match &server.hold {
        Some(Hold::Draining(hold)) if hold.owner == HoldOwner::Policy => Some(hold.since),
        _ => None,
    };
    if drain(new).is_some() && drain(new) != drain(old) {
        scaling::invariant_policies_retire_within_the_guards(model, old, input);
    }
}

fn rank(phase: &Phase) -> u8 {
    match phase {
        Phase::Requested(_) => 0,
        Phase::Launching(_) => 1,
        Phase::Booting(_) => 2,
        Phase::Ready(_) => 3,
        Phase::Failed(_) => 4,
        Phase::Terminating(_) => 5,
    }
}

fn invariant_a_server_only_moves_forward(old: &ServerRecord, new: &ServerRecord) {
    let name = "invariant_a_server_only_moves_forward";
    assert!(rank(&old.phase) <= rank(&new.phase), "{name}: {old:?} -> {new:?}");
    let was_ready = matches!(old.phase, Phase::Ready(_));
    assert!(
        !(was_ready && matches!(new.phase, Phase::Failed(_))),
        "{name}: what was ready has failed to boot: {new:?}"
    );
    let identity = |server: &ServerRecord| (server.name.clone(), server.pool.clone(), server.created);
    assert_eq!(identity(old), identity(new), "{name}");
}

/// Who is asked again is asked for the same; another offer is another attempt, and only after a shortage.
fn invariant_an_attempt_has_one_offer(old: &ServerRecord, new: &ServerRecord, input: Option<&Input>) {
    let name = "invariant_an_attempt_has_one_offer";
    if old.attempt == new.attempt {
        return assert_eq!(old.offer, new.offer, "{name}: {new:?}");
    }
    let is_short = matches!(
        input,
        Some(Input::Observation(Observation::Launched(launched)))
            if launched.key.attempt == old.attempt
                && matches!(&launched.result, Err(ProviderError::NoCapacity(_) | ProviderError::NoAddresses(_)))
    );
    let both_requested = rank(&old.phase) == 0 && rank(&new.phase) == 0;
    assert!(
        is_short && both_requested && new.attempt == old.attempt.next() && new.offer.is_some(),
        "{name}: {old:?} -> {new:?} by {input:?}"
    );
}

fn invariant_holds_are_lifted_by_whom_they_belong_to(
    model: &Model,
    old: &ServerRecord,
    new: &ServerRecord,
    input: Option<&Input>,
) {
    let Some(hold) = &old.hold else { return };
    if new.hold.is_some() {
        return;
    }
    let by_operator = matches!(
        input,
        Some(Input::Command(Command::HoldServer(command)))
            if command.server == old.name && command.action == HoldAction::Uncordon
    );
    let by_itself = matches!(
        input,
        Some(Input::Observation(Observation::Reported(reported)))
            if reported.server == old.name && !reported.report.draining && hold.owner() == HoldOwner::Server
    );
    let has_rested = matches!(hold, Hold::Cordoned(rest) if rest.until.is_some_and(|until| until <= model.now));
    assert!(
        by_operator || by_itself || has_rested || hold.owner() == HoldOwner::Policy,
        "invariant_holds_are_lifted_by_whom_they_belong_to: {old:?} by {input:?}"
    );
}

/// What a server is called by its provider is what was launched for it: never what another installation launched under the same
/// name.
fn invariant_a_record_names_its_own_instance(new: &ServerRecord, cloud: &Cloud) {
    let Some(instance) = &new.instance else { return };
    assert_eq!(
        *instance,
        cloud.name_of(&key_of(new)),
        "invariant_a_record_names_its_own_instance: {new:?}"
    );
}

/// A boot has failed when its time is up, or when its instance has really ended: one that a list lacks may be too new for it.
fn invariant_boots_fail_for_a_cause(model: &Model, old: &ServerRecord, input: Option<&Input>, cloud: &Cloud) {
    let deadline = match &old.phase {
        Phase::Launching(launching) => Some(launching.deadline),
        Phase::Booting(booting) => booting.deadline,
        Phase::Requested(_) | Phase::Ready(_) | Phase::Failed(_) | Phase::Terminating(_) => None,
    };
    let is_late = deadline.is_some_and(|deadline| deadline <= model.now);
    let has_ended = !is_up(old, cloud);
    assert!(
        is_late || has_ended,
        "invariant_boots_fail_for_a_cause: {old:?} by {input:?}: {:?}",
        cloud.instances.get(&key_of(old))
    );
}

fn is_kept(server: &ServerRecord) -> bool {
    matches!(&server.phase, Phase::Failed(failed) if failed.is_kept)
}

/// Each is paid for: never more are kept than the pool says.
fn invariant_so_many_that_failed_are_kept(model: &Model, new: &ServerRecord) {
    let before = model
        .servers
        .values()
        .filter(|server| server.pool == new.pool && is_kept(server))
        .count();
    let pool = model.config.pools.iter().find(|pool| pool.name == new.pool);
    let max = pool.map_or(0, |pool| pool.keep_failed_servers as usize);
    assert!(
        matches!(&new.phase, Phase::Failed(failed) if !failed.has_ended),
        "invariant_what_has_ended_is_not_kept: {new:?}"
    );
    assert!(
        before < max,
        "invariant_so_many_that_failed_are_kept: {new:?} beside {before}"
    );
}

fn is_up(server: &ServerRecord, cloud: &Cloud) -> bool {
    let made = cloud.instances.get(&key_of(server));
    made.is_some_and(|made| made.is_up(cloud.now))
}

fn key_of(server: &ServerRecord) -> OrderKey {
    OrderKey {
        server: server.name.clone(),
        attempt: server.attempt,
    }
}

/// Nobody's conference ends but by the hand of an operator, a deadline that was told, or because its machine is gone.
fn invariant_no_server_with_rooms_goes_without_cause(
    model: &Model,
    old: &ServerRecord,
    input: Option<&Input>,
    cloud: &Cloud,
) {
    let is_removed = match input {
        Some(Input::Command(Command::RemoveServer(command))) if command.server == old.name => {
            command.force || model.is_empty(old.no)
        }
        _ => false,
    };
    let is_ended_behind = matches!(
        input,
        Some(Input::Observation(Observation::Listed(listed))) if listed.pool == old.pool
    ) && matches!(old.phase, Phase::Ready(_))
        && !is_up(old, cloud);
    let heard = &model.heard[&old.no];
    let is_lost = old
        .lost
        .as_ref()
        .is_some_and(|lost| lost.since.max(heard.sign) + model.config.lost_terminate <= model.now);
    let is_drained = match &old.hold {
        Some(Hold::Draining(hold)) => {
            hold.deadline.is_some_and(|deadline| deadline <= model.now) || is_known_empty(model, old)
        }
        Some(Hold::Cordoned(_)) | None => false,
    };
    // What was never answered cannot have rooms.
    let has_failed = matches!(old.phase, Phase::Failed(_) | Phase::Requested(_));
    assert!(
        has_failed || is_removed || is_ended_behind || is_lost || is_drained,
        "invariant_no_server_with_rooms_goes_without_cause: {old:?} with {heard:?} by {input:?}"
    );
}

/// Whether nobody is on a server: the ledger says so, and its last report if it was ever to report.
fn is_known_empty(model: &Model, server: &ServerRecord) -> bool {
    let is_listened_to = model.health(server).is_some_and(|health| health != HealthSource::None);
    let is_heard = model.heard[&server.no].is_heard
        || !is_listened_to
        || !matches!(server.phase, Phase::Ready(_))
        || server.lost.is_some();
    model.is_empty(server.no) && is_heard
}

/// A server's record is about to go.
pub(super) fn invariant_records_go_only_when_nothing_is_left(
    model: &Model,
    no: ServerNo,
    input: Option<&Input>,
    cloud: &Cloud,
) {
    let name = "invariant_records_go_only_when_nothing_is_left";
    let server = &model.servers[&no];
    assert!(model.rooms_on(no).next().is_none(), "{name}: {server:?} has rooms");
    let key = key_of(server);
    if cloud.external.contains(&server.pool) {
        let is_ending = matches!(server.phase, Phase::Terminating(_));
        return assert!(is_ending, "{name}: external {server:?} by {input:?}");
    }
    let is_confirmed = match input {
        Some(Input::Observation(Observation::Terminated(terminated))) => {
            terminated.key == key && terminated.result.is_ok() && matches!(server.phase, Phase::Terminating(_))
        }
        Some(Input::Observation(Observation::Launched(launched))) => {
            let is_refused = matches!(&launched.result, Err(error) if !matches!(error, ProviderError::Unknown(_)));
            launched.key == key && is_refused && matches!(server.phase, Phase::Requested(_))
        }
        _ => false,
    };
    assert!(is_confirmed, "{name}: {server:?} by {input:?}");
    assert!(
        cloud.living(&key, cloud.now).is_none() || cloud.foreign.contains(&key),
        "{name}: {server:?} still exists"
    );
}
