//! One running policy: the author's state and the view, apart, so that `&mut` the one and `&` the other are lent together.
//!
//! The glue to WebAssembly and the host's built-in both ask through here, so that there is one way from question to advice.

use crate::policy::Packaged;
use crate::{
    Change, Demand, Description, Figure, Fleet, Growth, LEARNED_BYTES_MAX, Learned, Level, Moment, Place,
    PlacementAdvice, Policy, RoomRequest, ScaleDown, ScaleUp, Shrinkage, Timestamp, Usage, log, settings,
};

/// A policy with its settings and its view of the fleet.
///
/// ```
/// # use usher_sdk::{Fleet, Moment, Place, PlacementAdvice, Policy, RoomRequest};
/// # struct Pack;
/// # impl Policy for Pack { type Settings = (); fn new(_: ()) -> Result<Self, String> { Ok(Pack) } }
/// # impl Place for Pack {
/// #     fn place(&self, _: &RoomRequest, _: &Fleet, _: Moment) -> PlacementAdvice { PlacementAdvice::wait(None) }
/// # }
/// use usher_sdk::{Change, Instance, Level, Placement};
///
/// let mut instance = Instance::<Pack>::configure("{}", Level::Info)?;
/// instance.update(1_000, 1, vec![Change::ServerRemoved(7)])?;
/// instance.usages(1_000, 2, &[])?;
/// let advice = instance.place(&RoomRequest::new("standup-42", 50), Moment::at(1_000));
/// assert!(matches!(advice.placement, Placement::Wait(_)));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Instance<P> {
    policy: P,
    fleet: Fleet,
    /// The number of the last call that changed the view; none before the first.
    seq: Option<u32>,
}

impl<P: Policy> Instance<P> {
    /// Returns what the policy says of itself; it must be exported with `export_policy!`.
    pub fn describe() -> Description
    where
        P: Packaged,
    {
        Description {
            name: P::NAME.unwrap_or(P::PACKAGE.name).into(),
            version: P::PACKAGE.version.into(),
            summary: P::PACKAGE.summary.into(),
            figures: P::FIGURES.iter().map(|name| (*name).into()).collect(),
        }
    }

    /// Makes an instance from the settings, a JSON object, with an empty view. New settings need a new instance.
    ///
    /// # Errors
    /// What is wrong with the settings, naming the key.
    pub fn configure(settings: &str, log: Level) -> Result<Self, String> {
        log::set_wanted(log);
        Ok(Instance {
            policy: P::new(settings::read(settings)?)?,
            fleet: Fleet::default(),
            seq: None,
        })
    }

    /// Returns the view.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Takes in what changes rarely. `seq` grows by one with each call of this, [`usages`](Self::usages) and
    /// [`figures`](Self::figures); the first may have any number.
    ///
    /// # Errors
    /// A call is missing: the view is wrong from here on, and a new instance is needed.
    pub fn update(&mut self, now: Timestamp, seq: u32, changes: Vec<Change>) -> Result<(), String> {
        self.follow(seq)?;
        for change in changes {
            self.fleet.apply(now, change);
        }
        Ok(())
    }

    /// Takes in what changes all the time.
    ///
    /// # Errors
    /// A call is missing, or a server was never set: a new instance is needed.
    pub fn usages(&mut self, _now: Timestamp, seq: u32, usages: &[Usage]) -> Result<(), String> {
        self.follow(seq)?;
        usages.iter().try_for_each(|usage| self.fleet.set_usage(*usage))
    }

    /// Takes in the reported numbers that the policy asked to see.
    ///
    /// # Errors
    /// A call is missing, a server was never set, or the policy asked for no such figure: a new instance is needed.
    pub fn figures(&mut self, _now: Timestamp, seq: u32, figures: &[Figure]) -> Result<(), String> {
        self.follow(seq)?;
        for figure in figures {
            if figure.figure as usize >= P::FIGURES.len() {
                return Err(format!("figure {} was never asked for", figure.figure));
            }
            self.fleet.set_figure(*figure)?;
        }
        Ok(())
    }

    /// Asks where a room goes.
    pub fn place(&self, room: &RoomRequest, moment: Moment) -> PlacementAdvice
    where
        P: Place,
    {
        self.policy.place(room, &self.fleet, moment)
    }

    /// Asks how many servers more are needed; what became of earlier launches has then been told.
    pub fn scale_up(&mut self, demand: &Demand, moment: Moment) -> Vec<Growth>
    where
        P: ScaleUp,
    {
        let advice = self.policy.scale_up(demand, &self.fleet, moment);
        self.fleet.forget_launch_verdicts();
        advice
    }

    /// Asks which servers may go; what became of earlier retirements has then been told.
    pub fn scale_down(&mut self, moment: Moment) -> Vec<Shrinkage>
    where
        P: ScaleDown,
    {
        let advice = self.policy.scale_down(&self.fleet, moment);
        self.fleet.forget_retire_verdicts();
        advice
    }

    /// Returns what the policy wants kept.
    ///
    /// # Errors
    /// It is more than [`LEARNED_BYTES_MAX`].
    pub fn save(&self) -> Result<Vec<u8>, String>
    where
        P: Learned,
    {
        let saved = self.policy.save();
        if saved.len() > LEARNED_BYTES_MAX {
            return Err(format!(
                "`save` returned {} bytes; at most {LEARNED_BYTES_MAX} are kept",
                saved.len()
            ));
        }
        Ok(saved)
    }

    /// Gives the policy what was kept; before it is told or asked anything.
    ///
    /// # Errors
    /// What the policy says is wrong with it: a new instance is needed, which starts without.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), String>
    where
        P: Learned,
    {
        self.policy.restore(saved)
    }

    fn follow(&mut self, seq: u32) -> Result<(), String> {
        match self.seq {
            Some(last) if seq != last.wrapping_add(1) => {
                Err(format!("a gap in the view: call {seq} came after {last}"))
            }
            Some(_) | None => {
                self.seq = Some(seq);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn a_call_that_is_missing_is_an_error_in_whichever_function() {
        let mut instance = echo();
        instance.update(1, 7, vec![]).unwrap();
        instance.usages(1, 8, &[]).unwrap();
        instance.figures(1, 9, &[]).unwrap();
        assert_eq!(
            instance.update(1, 11, vec![]).unwrap_err(),
            "a gap in the view: call 11 came after 9"
        );
        assert!(instance.usages(1, 9, &[]).is_err(), "the same call twice");
        assert!(echo().figures(1, u32::MAX, &[]).is_ok());
    }

    #[test]
    fn a_figure_that_nobody_asked_for_is_an_error() {
        let figure = Figure {
            server: 1,
            figure: 1,
            value: 5,
        };
        assert_eq!(
            echo().figures(1, 1, &[figure]).unwrap_err(),
            "figure 1 was never asked for"
        );
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
        instance
            .update(
                1,
                1,
                vec![verdict(Subject::Launch(1), 3), verdict(Subject::Retire(9), 4)],
            )
            .unwrap();
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
        instance.update(1, 1, vec![Change::PoolState(state)]).unwrap();
        assert_eq!(instance.fleet().pool_state(1).map(|state| state.launchable), Some(3));
        instance.update(1, 2, vec![Change::PoolRemoved(1)]).unwrap();
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
}
