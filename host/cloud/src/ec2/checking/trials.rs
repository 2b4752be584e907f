//! Dry runs of what Usher orders: the very requests, which EC2 checks for permissions and parameters and does not do.

use std::collections::BTreeSet;

use usher_fleet::config::{Labels, Offer};
use usher_fleet::effect::LaunchOrder;
use usher_fleet::ids::{Attempt, ServerNo};
use usher_fleet::observation::OrderKey;

use super::super::listing::by_tag;
use super::super::{Ec2, refusal, tags};
use super::answer::{Refusal, of_dry_run};
use crate::finding::{Finding, listed};

/// An instance that nobody has.
const NOBODYS: &str = "i-00000000000000000";

/// The fewest instances that a page may be asked to hold.
const FEW: i32 = 5;

/// What was found before, with which no launch can succeed.
pub(super) struct InTheWay {
    pub(super) is_template_wrong: bool,
    pub(super) wrong_zones: BTreeSet<String>,
    /// Each type with each zone that offers it, where EC2 tells.
    pub(super) offered: Option<BTreeSet<(String, String)>>,
}

impl InTheWay {
    fn lets(&self, offer: &Offer) -> bool {
        let is_offered = |offered: &BTreeSet<_>| offered.contains(&(offer.instance_type.clone(), offer.zone.clone()));
        !self.is_template_wrong
            && !self.wrong_zones.contains(&offer.zone)
            && self.offered.as_ref().is_none_or(is_offered)
    }
}

/// A permission that trials lack.
struct Lack {
    action: String,
    refusal: Refusal,
    trials: Vec<String>,
}

impl Ec2 {
    /// Tries a launch in each zone, and one of each type in each market.
    pub(super) async fn try_launches(&self, offers: &[Offer], in_the_way: &InTheWay) -> Vec<Finding> {
        let trials = covering(offers.iter().filter(|offer| in_the_way.lets(offer)));
        if trials.is_empty() {
            return vec![Finding::unknown(
                "no launch was tried: what is said above is in its way",
            )];
        }
        let mut found = Vec::new();
        let mut lacks: Vec<Lack> = Vec::new();
        for (attempt, offer) in (1..).zip(trials) {
            let trial = format!("{} ({}) in {}", offer.instance_type, offer.market, offer.zone);
            match self.try_launch(attempt, offer).await {
                Ok(()) => found.push(Finding::well(format!(
                    "EC2 would launch {trial}: permissions, tags and user data suffice"
                ))),
                Err(Refusal::Forbidden { action, words }) => {
                    match lacks.iter_mut().find(|lack| lack.action == action) {
                        Some(known) => known.trials.push(trial),
                        None => lacks.push(Lack {
                            action: action.clone(),
                            refusal: Refusal::Forbidden { action, words },
                            trials: vec![trial],
                        }),
                    }
                }
                Err(refusal @ (Refusal::Code { .. } | Refusal::NoQuestion(_))) if !is_for_now(refusal.code()) => {
                    found.push(Finding::problem(format!("EC2 would not launch {trial}: {refusal}")));
                }
                Err(refusal) => found.push(Finding::unknown(format!(
                    "a launch of {trial} could not be tried: {refusal}"
                ))),
            }
        }
        // The same lack is told once, and not for each zone and type.
        found.extend(lacks.into_iter().map(|Lack { refusal, trials, .. }| {
            Finding::problem(format!("EC2 would not launch {}: {refusal}", listed(trials)))
        }));
        found
    }

    async fn try_launch(&self, attempt: u32, offer: &Offer) -> Result<(), Refusal> {
        const ACTION: &str = "RunInstances";
        let pool = &self.setup.name;
        let server = format!("{pool}-1");
        let server = server
            .parse()
            .map_err(|_| Refusal::NoQuestion(format!("{server} is no name for a server")))?;
        let order = LaunchOrder {
            key: OrderKey {
                server,
                attempt: Attempt(attempt),
            },
            no: ServerNo(1),
            pool: pool.clone(),
            labels: Labels::new(),
            offer: Some(offer.clone()),
            nth: 1,
        };
        let request = self.request(self.client().await, &order);
        let request = request.map_err(|error| Refusal::NoQuestion(error.to_string()))?;
        of_dry_run(request.dry_run(true).send().await, ACTION)
    }

    /// Tries to end an instance, and to read its console: one of the fleet's if there is one.
    pub(super) async fn try_on_an_instance(&self) -> [Finding; 2] {
        let own = self.any_of_the_fleet().await;
        let client = self.client().await;
        let id = own.as_deref().unwrap_or(NOBODYS);
        let end = client.terminate_instances().instance_ids(id).dry_run(true).send();
        let read = client.get_console_output().instance_id(id).dry_run(true).send();
        [
            judged(
                of_dry_run(end.await, "TerminateInstances"),
                "end instances",
                "TerminateInstances",
                own.as_deref(),
            ),
            judged(
                of_dry_run(read.await, "GetConsoleOutput"),
                "read what a failed boot has written",
                "GetConsoleOutput",
                own.as_deref(),
            ),
        ]
    }

    /// Returns a living instance of the pool, if one can be seen.
    async fn any_of_the_fleet(&self) -> Option<String> {
        let living = aws_sdk_ec2::types::Filter::builder()
            .name("instance-state-name")
            .values("pending")
            .values("running")
            .build();
        let call = self.client().await.describe_instances();
        let call = call
            .filters(by_tag(tags::FLEET, &self.setup.fleet))
            .filters(by_tag(tags::POOL, self.setup.name.as_str()))
            .filters(living);
        let mut pages = call.into_paginator().page_size(FEW).send();
        while let Some(Ok(page)) = pages.next().await {
            let mut instances = page.reservations().iter().flat_map(|one| one.instances());
            if let Some(id) = instances.find_map(|instance| instance.instance_id()) {
                return Some(id.to_owned());
            }
        }
        None
    }
}

/// Says whether something may be done with the fleet's instances, by what EC2 says of one of them or of nobody's. A policy that
/// allows it for the fleet's tag alone says nothing of nobody's.
fn judged(answer: Result<(), Refusal>, what: &str, action: &str, own: Option<&str>) -> Finding {
    match (answer, own) {
        (Ok(()), Some(id)) => Finding::well(format!("Usher may {what} (ec2:{action}): {id} would do")),
        (Ok(()), None) => Finding::well(format!("Usher may {what} (ec2:{action})")),
        (Err(refusal), Some(id)) if refusal.code() == refusal::NOT_PERMITTED => Finding::well(format!(
            "Usher may {what} (ec2:{action}); not {id}, which is protected from termination: only a human may lift that"
        )),
        (Err(refusal @ Refusal::Forbidden { .. }), Some(id)) => {
            Finding::problem(format!("Usher could not {what}, such as {id}: {refusal}"))
        }
        (Err(refusal @ Refusal::Forbidden { .. }), None) => Finding::unknown(format!(
            "whether Usher may {what} (ec2:{action}) shows only on an instance of the fleet, and there is none yet; look again when \
             one runs. Of one that nobody has EC2 says: {refusal}"
        )),
        (Err(refusal), None) if refusal.code() == refusal::NOT_FOUND => Finding::unknown(format!(
            "whether Usher may {what} (ec2:{action}) shows only on an instance of the fleet, and there is none yet; look again when \
             one runs"
        )),
        (Err(refusal), Some(_) | None) => refusal.hides(&format!("whether Usher may {what} (ec2:{action})")),
    }
}

/// Whether a refusal says nothing of the configuration: EC2 had too much to do, or no machine.
fn is_for_now(code: &str) -> bool {
    matches!(
        code,
        "RequestLimitExceeded"
            | "Throttling"
            | "Unavailable"
            | "InternalError"
            | "InsufficientInstanceCapacity"
            | "InsufficientHostCapacity"
            | "InsufficientCapacity"
    )
}

/// Returns the first offers by which each zone, and each type in each market, comes once at least.
fn covering<'a>(offers: impl Iterator<Item = &'a Offer>) -> Vec<&'a Offer> {
    let (mut zones, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    offers
        .filter(|offer| {
            let is_new_zone = zones.insert(&offer.zone);
            let is_new_kind = kinds.insert((&offer.instance_type, &offer.market));
            is_new_zone || is_new_kind
        })
        .collect()
}
