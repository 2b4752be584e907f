//! The standard policy, compiled into the host: the same crate as the wasm module, asked through the SDK without wasm between.
//!
//! It only translates: the fleet's rows and questions into the SDK's, and its advice back, field by field.

use std::fmt;

use usher_fleet::Timestamp;
use usher_fleet::advice::{
    self, Growth, PlaceAdvice, PlaceAsk, ScaleAsk, Shrinkage, Subject, VerdictOutcome, VerdictRow,
};
use usher_fleet::config::Labels;
use usher_fleet::decision::PolicyRef;
use usher_fleet::ids::{PoolNo, ServerNo};
use usher_fleet::view::{HealthView, HoldView, PhaseView, PoolRow, PoolStateRow, ServerRow, UsageRow, ViewChange};
use usher_policy::Native;
use usher_sdk::{self as sdk, Instance, Level, Moment};
use usher_standard::Standard;

/// The standard policy, as the chain asks it.
pub struct BuiltIn {
    policy: PolicyRef,
    figures: Vec<String>,
    instance: Option<Instance<Standard>>,
    seq: u32,
}

impl fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuiltIn")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Default for BuiltIn {
    fn default() -> BuiltIn {
        BuiltIn::new()
    }
}

/// What an instance that was never configured answers.
const NOT_CONFIGURED: &str = "the built-in policy was not configured";

impl BuiltIn {
    /// Makes one that was not configured yet.
    pub fn new() -> BuiltIn {
        let described = Instance::<Standard>::describe();
        let policy = PolicyRef {
            name: described.name.into(),
            version: described.version.into(),
        };
        BuiltIn {
            policy,
            figures: described.figures,
            instance: None,
            seq: 0,
        }
    }

    fn instance(&mut self) -> Result<&mut Instance<Standard>, String> {
        self.instance.as_mut().ok_or_else(|| NOT_CONFIGURED.to_owned())
    }

    fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }
}

impl Native for BuiltIn {
    fn policy(&self) -> PolicyRef {
        self.policy.clone()
    }

    fn configure(&mut self, settings_json: &str) -> Result<(), String> {
        self.instance = Some(Instance::configure(settings_json, Level::Info)?);
        Ok(())
    }

    fn update(&mut self, now: Timestamp, changes: &[ViewChange]) -> Result<(), String> {
        let (mut rare, mut usages, mut figures) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            match change {
                ViewChange::PoolSet(row) => rare.push(sdk::Change::PoolSet(pool(row))),
                ViewChange::PoolState(row) => rare.push(sdk::Change::PoolState(pool_state(row))),
                ViewChange::PoolRemoved(pool) => rare.push(sdk::Change::PoolRemoved(pool.0)),
                ViewChange::ServerSet(row) => rare.push(sdk::Change::ServerSet(server(row))),
                ViewChange::ServerRemoved(server) => rare.push(sdk::Change::ServerRemoved(server.0)),
                ViewChange::Usage(row) => usages.push(usage(row)),
                ViewChange::Figure(row) => {
                    let wanted = self.figures.iter().position(|name| *name == row.name);
                    if let Some(figure) = wanted.and_then(|at| u32::try_from(at).ok()) {
                        figures.push(sdk::Figure {
                            server: row.server.0,
                            figure,
                            value: row.value,
                        });
                    }
                }
            }
        }
        if !rare.is_empty() {
            let seq = self.next_seq();
            self.instance()?.update(now.seconds(), seq, rare)?;
        }
        if !usages.is_empty() {
            let seq = self.next_seq();
            self.instance()?.usages(now.seconds(), seq, &usages)?;
        }
        if !figures.is_empty() {
            let seq = self.next_seq();
            self.instance()?.figures(now.seconds(), seq, &figures)?;
        }
        Ok(())
    }

    fn verdicts(&mut self, verdicts: &[VerdictRow]) {
        let told = verdicts.iter().map(|row| sdk::Change::Verdict(verdict(row))).collect();
        let seq = self.next_seq();
        if let Some(instance) = &mut self.instance
            && let Err(error) = instance.update(0, seq, told)
        {
            tracing::error!(error, "the built-in policy did not take its verdicts");
        }
    }

    fn place(&mut self, ask: &PlaceAsk<'_>) -> Result<PlaceAdvice, String> {
        let request = sdk::RoomRequest {
            room: ask.room.as_str().to_owned(),
            seats: ask.seats,
            load: ask.load,
            expected_minutes: ask.expected_minutes,
            region: ask.region.to_owned(),
            tenant: ask.tenant.to_owned(),
            labels: labels(ask.labels),
            waited_seconds: ask.waited_seconds,
            ties: ask
                .avoid
                .iter()
                .map(|server| sdk::Tie {
                    server: server.0,
                    relation: sdk::Relation::Avoid,
                })
                .collect(),
        };
        let moment = Moment {
            now: ask.now.seconds(),
            seed: ask.seed,
            decision: 0,
        };
        let advice = self.instance()?.place(&request, moment);
        let placement = match advice.placement {
            sdk::Placement::On(server) => advice::Placement::On(ServerNo(server)),
            sdk::Placement::Wait(wait) => advice::Placement::Wait {
                pool: wait.pool.map(PoolNo),
                again_seconds: wait.again_seconds,
            },
            sdk::Placement::Reject => advice::Placement::Reject,
            sdk::Placement::Defer => advice::Placement::Defer,
        };
        Ok(PlaceAdvice {
            placement,
            reason: advice.reason,
        })
    }

    fn scale_up(&mut self, ask: &ScaleAsk) -> Result<Vec<Growth>, String> {
        let demand = demand(&ask.demand);
        let growths = self.instance()?.scale_up(&demand, moment(ask));
        Ok(growths.into_iter().map(growth).collect())
    }

    fn scale_down(&mut self, ask: &ScaleAsk) -> Result<Vec<Shrinkage>, String> {
        let shrinkages = self.instance()?.scale_down(moment(ask));
        Ok(shrinkages.into_iter().map(shrinkage).collect())
    }
}

fn moment(ask: &ScaleAsk) -> Moment {
    Moment {
        now: ask.now.seconds(),
        seed: ask.seed,
        decision: ask.decision.0,
    }
}

fn labels(labels: &Labels) -> Vec<sdk::Label> {
    labels.iter().map(|(key, value)| sdk::Label::new(key, value)).collect()
}

fn pool(row: &PoolRow) -> sdk::Pool {
    sdk::Pool {
        id: row.no.0,
        name: row.name.clone(),
        region: row.region.clone(),
        zones: row.zones.clone(),
        instance_type: row.instance_type.clone(),
        market: row.market.clone(),
        automatic: row.automatic,
        servers_min: row.servers_min,
        servers_max: row.servers_max,
        rooms_per_server: row.rooms_per_server,
        seats_per_server: row.seats_per_server,
        load_per_server: row.load_per_server,
        price_microdollars_per_hour: row.price_microdollars_per_hour,
        labels: labels(&row.labels),
    }
}

fn pool_state(row: &PoolStateRow) -> sdk::PoolState {
    sdk::PoolState {
        id: row.no.0,
        launchable: row.launchable,
        retirable: row.retirable,
        again: row.again,
        code: row.code.to_owned(),
        boot_seconds: row.boot_seconds,
    }
}

fn server(row: &ServerRow) -> sdk::ServerRow {
    sdk::ServerRow {
        id: row.no.0,
        pool: row.pool.0,
        name: row.name.clone(),
        zone: row.zone.clone(),
        rooms_max: row.rooms_max,
        seats_max: row.seats_max,
        load_max: row.load_max,
        price_microdollars_per_hour: row.price_microdollars_per_hour,
        started: row.started,
        labels: labels(&row.labels),
    }
}

fn usage(row: &UsageRow) -> sdk::Usage {
    sdk::Usage {
        id: row.no.0,
        phase: match row.phase {
            PhaseView::Starting => sdk::Phase::Starting,
            PhaseView::Ready => sdk::Phase::Ready,
            PhaseView::Ending => sdk::Phase::Ending,
        },
        hold: match row.hold {
            HoldView::Free => sdk::Hold::Free,
            HoldView::Cordoned => sdk::Hold::Cordoned,
            HoldView::Draining => sdk::Hold::Draining,
            HoldView::Leaving => sdk::Hold::Leaving,
        },
        health: match row.health {
            HealthView::Unknown => sdk::Health::Unknown,
            HealthView::Ok => sdk::Health::Ok,
            HealthView::Silent => sdk::Health::Silent,
        },
        since: row.since,
        rooms: row.rooms,
        seats: row.seats,
        load: row.load,
        seats_largest: row.seats_largest,
        rooms_open_ended: row.rooms_open_ended,
        busy_until: row.busy_until,
        newest_room: row.newest_room,
        empty_since: row.empty_since,
        reported: row.reported,
        participants: row.participants,
        cpu_permille: row.cpu_permille,
        egress_kbps: row.egress_kbps,
    }
}

fn verdict(row: &VerdictRow) -> sdk::Verdict {
    sdk::Verdict {
        decision: row.decision.0,
        subject: match row.subject {
            Subject::Launch(pool) => sdk::Subject::Launch(pool.0),
            Subject::Retire(server) => sdk::Subject::Retire(server.0),
        },
        outcome: match row.outcome {
            VerdictOutcome::Accepted => sdk::Outcome::Accepted,
            VerdictOutcome::Clamped => sdk::Outcome::Clamped,
            VerdictOutcome::Refused => sdk::Outcome::Refused,
            VerdictOutcome::Failed => sdk::Outcome::Failed,
        },
        count: row.count,
        code: row.code.to_owned(),
        until: row.until,
    }
}

fn demand(demand: &advice::Demand) -> sdk::Demand {
    let want = |want: &advice::Want| sdk::Want {
        region: want.region.clone(),
        tenant: want.tenant.clone(),
        labels: labels(&want.labels),
        pool: want.pool.map(|pool| pool.0),
        rooms: want.rooms,
        seats: want.seats,
        load: want.load,
        seats_largest: want.seats_largest,
        load_largest: want.load_largest,
        longest_wait_seconds: want.longest_wait_seconds,
    };
    sdk::Demand {
        wants: demand.wants.iter().map(want).collect(),
        waiting_rooms: demand.waiting_rooms,
        waiting_seats: demand.waiting_seats,
        rooms_last_minute: demand.rooms_last_minute,
        seats_last_minute: demand.seats_last_minute,
    }
}

fn growth(growth: sdk::Growth) -> Growth {
    Growth {
        pool: PoolNo(growth.pool),
        servers: growth.servers,
        reason: growth.reason,
    }
}

fn shrinkage(shrinkage: sdk::Shrinkage) -> Shrinkage {
    let servers = shrinkage
        .servers
        .into_iter()
        .map(|retirement| advice::Retirement {
            server: ServerNo(retirement.server),
            reason: retirement.reason,
        })
        .collect();
    Shrinkage {
        pool: PoolNo(shrinkage.pool),
        servers,
    }
}

#[cfg(test)]
mod tests {
    use usher_fleet::ids::{DecisionNo, RoomId};

    use super::*;

    fn pool_row() -> PoolRow {
        PoolRow {
            no: PoolNo(1),
            name: "demo".to_owned(),
            region: "eu".to_owned(),
            zones: Vec::new(),
            instance_type: String::new(),
            market: String::new(),
            automatic: true,
            servers_min: 0,
            servers_max: 20,
            rooms_per_server: 10,
            seats_per_server: 500,
            load_per_server: 0,
            price_microdollars_per_hour: 348_000,
            labels: Labels::new(),
        }
    }

    fn server_rows(no: u32, rooms: u32) -> [ViewChange; 2] {
        let row = ServerRow {
            no: ServerNo(no),
            pool: PoolNo(1),
            name: format!("demo-{no}"),
            zone: String::new(),
            rooms_max: 10,
            seats_max: 500,
            load_max: 0,
            price_microdollars_per_hour: 348_000,
            started: 1,
            labels: Labels::new(),
        };
        let usage = UsageRow {
            no: ServerNo(no),
            phase: PhaseView::Ready,
            hold: HoldView::Free,
            health: HealthView::Ok,
            since: 1,
            rooms,
            seats: rooms * 50,
            load: rooms * 50,
            seats_largest: 50,
            rooms_open_ended: rooms,
            busy_until: 0,
            newest_room: 1,
            empty_since: 0,
            reported: 1,
            participants: 0,
            cpu_permille: 0,
            egress_kbps: 0,
        };
        [ViewChange::ServerSet(row), ViewChange::Usage(usage)]
    }

    fn place(built_in: &mut BuiltIn) -> advice::Placement {
        let room: RoomId = "standup".parse().unwrap();
        let labels = Labels::new();
        let ask = PlaceAsk {
            now: Timestamp(10_000),
            seed: 1,
            decision: DecisionNo(1),
            room: &room,
            seats: 50,
            load: 50,
            expected_minutes: 0,
            region: "",
            tenant: "",
            labels: &labels,
            waited_seconds: 0,
            avoid: None,
        };
        built_in.place(&ask).unwrap().placement
    }

    #[test]
    fn it_packs_by_the_view_that_it_is_told() {
        let mut built_in = BuiltIn::new();
        assert_eq!(&*built_in.policy().name, "standard");
        assert!(
            built_in
                .update(Timestamp(0), &[ViewChange::PoolSet(pool_row())])
                .is_err(),
            "not configured yet"
        );
        built_in.configure("{}").unwrap();
        let [set_1, usage_1] = server_rows(1, 3);
        let [set_2, usage_2] = server_rows(2, 7);
        let rows = [ViewChange::PoolSet(pool_row()), set_1, set_2, usage_1, usage_2];
        built_in.update(Timestamp(10_000), &rows).unwrap();
        assert_eq!(
            place(&mut built_in),
            advice::Placement::On(ServerNo(2)),
            "the fullest with room"
        );
        let [_, full] = server_rows(2, 10);
        built_in.update(Timestamp(11_000), &[full]).unwrap();
        assert_eq!(place(&mut built_in), advice::Placement::On(ServerNo(1)));
        built_in
            .update(Timestamp(12_000), &[ViewChange::ServerRemoved(ServerNo(1))])
            .unwrap();
        assert!(matches!(place(&mut built_in), advice::Placement::Wait { .. }));
    }

    #[test]
    fn a_wrong_setting_is_refused_by_name() {
        let error = BuiltIn::new().configure(r#"{"idle_second":1}"#).unwrap_err();
        assert!(error.contains("idle_second"), "{error}");
    }
}
