use super::*;
use crate::{Outcome, PoolState, Subject, Verdict};

/// Answers with what it was told of its orders.
struct Echo {
    learned: usize,
}

impl Policy for Echo {
    const FIGURES: &'static [&'static str] = &["consumers"];
    type Settings = ();

    fn new(_: ()) -> Result<Self, String> {
        Ok(Echo { learned: 0 })
    }
}

impl ScaleUp for Echo {
    fn scale_up(&mut self, _: &Demand, fleet: &Fleet, _: Moment) -> Vec<Growth> {
        let told = fleet.launch_verdicts();
        told.map(|verdict| Growth {
            pool: 1,
            servers: verdict.count,
            reason: verdict.code.clone(),
        })
        .collect()
    }
}

impl ScaleDown for Echo {
    fn scale_down(&mut self, fleet: &Fleet, _: Moment) -> Vec<Shrinkage> {
        fleet
            .retire_verdicts()
            .map(|verdict| Shrinkage::keep_all(verdict.count))
            .collect()
    }
}

/// What it saves is the last that it restored, so many times.
impl Learned for Echo {
    fn save(&self) -> Vec<u8> {
        vec![0; self.learned]
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.learned = str::from_utf8(saved)
            .ok()
            .and_then(|saved| saved.parse().ok())
            .ok_or("no number")?;
        Ok(())
    }
}

crate::export_policy!(Echo: scale_up, scale_down, learned);

fn echo() -> Instance<Echo> {
    Instance::configure("", Level::Info).unwrap()
}

#[test]
fn a_figure_that_nobody_asked_for_is_an_error() {
    let figure = Figure {
        server: 1,
        figure: 1,
        value: 5,
    };
    assert_eq!(echo().figures(&[figure]).unwrap_err(), "figure 1 was never asked for");
}

#[test]
fn what_was_learned_is_kept_up_to_its_bound() {
    let mut instance = echo();
    assert_eq!(instance.restore(b"?").unwrap_err(), "no number");
    instance.restore(LEARNED_BYTES_MAX.to_string().as_bytes()).unwrap();
    assert_eq!(instance.save().map(|saved| saved.len()), Ok(LEARNED_BYTES_MAX));
    instance.restore(b"65537").unwrap();
    assert_eq!(
        instance.save().unwrap_err(),
        "`save` returned 65537 bytes; at most 65536 are kept"
    );
}

#[test]
fn each_verdict_is_told_once_to_the_decision_that_it_is_about() {
    let mut instance = echo();
    let verdict = |subject, count| {
        let (outcome, code) = (Outcome::Refused, String::from("servers_max"));
        Change::Verdict(Verdict {
            decision: 1,
            subject,
            outcome,
            count,
            code,
            until: 0,
        })
    };
    instance.update(1, vec![verdict(Subject::Launch(1), 3), verdict(Subject::Retire(9), 4)]);
    let demand = Demand::of(vec![]);
    assert_eq!(
        instance
            .scale_up(&demand, Moment::at(1))
            .iter()
            .map(|growth| growth.servers)
            .collect::<Vec<_>>(),
        [3]
    );
    assert!(instance.scale_up(&demand, Moment::at(2)).is_empty());
    assert_eq!(
        instance
            .scale_down(Moment::at(2))
            .iter()
            .map(|it| it.pool)
            .collect::<Vec<_>>(),
        [4]
    );
    assert!(instance.scale_down(Moment::at(3)).is_empty());
}

#[test]
fn what_may_be_done_with_a_pool_may_be_told_before_the_pool() {
    let mut instance = echo();
    let state = PoolState {
        id: 1,
        launchable: 3,
        retirable: 1,
        again: 0,
        code: String::new(),
        boot_seconds: 0,
    };
    instance.update(1, vec![Change::PoolState(state)]);
    assert_eq!(instance.fleet().pool_state(1).map(|state| state.launchable), Some(3));
    instance.update(1, vec![Change::PoolRemoved(1)]);
    assert_eq!(instance.fleet().pool_state(1), None);
}

#[test]
fn a_policy_is_described_by_its_package_unless_it_has_a_name() {
    let description = Instance::<Echo>::describe();
    assert_eq!(
        (description.name.as_str(), description.figures),
        ("usher-sdk", vec![String::from("consumers")])
    );
}
