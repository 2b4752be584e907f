//! The standard policy, compiled into the host: the same crate as the wasm module, asked through the SDK without wasm between.
//!
//! It only translates ([`words`]): the fleet's rows and questions into the SDK's, and its advice back.

pub mod words;

use std::fmt;

use usher_fleet::Timestamp;
use usher_fleet::advice::{Growth, PlaceAdvice, PlaceAsk, ScaleAsk, Shrinkage, VerdictRow};
use usher_fleet::decision::PolicyRef;
use usher_fleet::view::ViewChange;
use usher_policy::Native;
use usher_sdk::{Instance, Level, Moment};
use usher_standard::Standard;
use words::Rows;

/// The standard policy, as the chain asks it.
pub struct BuiltIn {
    policy: PolicyRef,
    figures: Vec<String>,
    instance: Instance<Standard>,
    rows: Rows,
}

impl fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuiltIn")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Makes one for a chain.
///
/// # Errors
/// What is wrong with the settings.
pub fn make(settings_json: &str) -> Result<Box<dyn Native>, String> {
    Ok(Box::new(BuiltIn::new(settings_json)?))
}

impl BuiltIn {
    /// Makes one with settings, a JSON object.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(settings_json: &str) -> Result<BuiltIn, String> {
        usher_sdk::log::listen(log);
        let described = Instance::<Standard>::describe();
        let policy = PolicyRef {
            name: described.name.into(),
            version: described.version.into(),
        };
        Ok(BuiltIn {
            policy,
            figures: described.figures,
            instance: Instance::configure(settings_json, Level::Info)?,
            rows: Rows::default(),
        })
    }

    fn tell(&mut self, now: u32, rows: &mut Rows) -> Result<(), String> {
        if !rows.rare.is_empty() {
            self.instance.update(now, std::mem::take(&mut rows.rare));
        }
        if !rows.usages.is_empty() {
            self.instance.usages(&rows.usages)?;
        }
        if !rows.figures.is_empty() {
            self.instance.figures(&rows.figures)?;
        }
        Ok(())
    }
}

impl Native for BuiltIn {
    fn policy(&self) -> PolicyRef {
        self.policy.clone()
    }

    fn update(&mut self, now: Timestamp, changes: &[ViewChange]) -> Result<(), String> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort(changes, &self.figures);
        let told = self.tell(now.seconds(), &mut rows);
        rows.clear();
        self.rows = rows;
        told
    }

    fn verdicts(&mut self, verdicts: &[VerdictRow]) {
        self.instance.update(0, verdicts.iter().map(words::verdict).collect());
    }

    fn place(&mut self, ask: &PlaceAsk<'_>) -> Result<PlaceAdvice, String> {
        let request = words::request(ask);
        let moment = Moment::of_room(ask.now.seconds(), &request.room);
        let advice = self.instance.place(&request, moment);
        Ok(words::advice(advice))
    }

    fn scale_up(&mut self, ask: &ScaleAsk) -> Result<Vec<Growth>, String> {
        let demand = words::demand(&ask.demand);
        let growths = self.instance.scale_up(&demand, moment(ask));
        Ok(growths.into_iter().map(words::growth).collect())
    }

    fn scale_down(&mut self, ask: &ScaleAsk) -> Result<Vec<Shrinkage>, String> {
        let shrinkages = self.instance.scale_down(moment(ask));
        Ok(shrinkages.into_iter().map(words::shrinkage).collect())
    }
}

/// Puts what it says into the host's log, as a module's words are.
fn log(level: Level, message: &str) {
    let policy = "standard";
    match level {
        Level::Debug => tracing::debug!(policy, "{message}"),
        Level::Info => tracing::info!(policy, "{message}"),
        Level::Warn => tracing::warn!(policy, "{message}"),
        Level::Error => tracing::error!(policy, "{message}"),
    }
}

fn moment(ask: &ScaleAsk) -> Moment {
    Moment::of_decision(ask.now.seconds(), ask.decision.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use usher_fleet::advice;
    use usher_fleet::config::Labels;
    use usher_fleet::ids::{PoolNo, RoomId, ServerNo};
    use usher_fleet::view::{HealthView, HoldView, PhaseView, PoolRow, ServerRow, UsageRow};

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
            name: format!("demo-{no}").parse().unwrap(),
            zone: None,
            rooms_max: 10,
            seats_max: 500,
            load_max: 0,
            price_microdollars_per_hour: 348_000,
            started: 1,
            labels: Default::default(),
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
        let mut built_in = BuiltIn::new("{}").unwrap();
        assert_eq!(&*built_in.policy().name, "standard");
        let [set_1, usage_1] = server_rows(1, 3);
        let [set_2, usage_2] = server_rows(2, 7);
        let rows = [
            ViewChange::PoolSet(Arc::new(pool_row())),
            set_1,
            set_2,
            usage_1,
            usage_2,
        ];
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
        let error = BuiltIn::new(r#"{"idle_second":1}"#).unwrap_err();
        assert!(error.contains("idle_second"), "{error}");
    }
}
