//! For an author's native tests: does a policy answer alike, however it came to know what it knows?
//!
//! Usher asks a policy in more than one instance, and builds instances anew. A policy whose answer depends on anything but its
//! settings, the view, the question and the moment (a count in a `Cell`, a `static`, the order of a `HashMap`, the machine's
//! clock) decides otherwise there than it did here. These checks ask the same in different ways, and name the first answer
//! that differs. They find what shows; what never shows on the fleet and rooms of a test, they cannot.
//!
//! [`check`] is for [`Place`], which must be pure; [`check_scale_up`] and [`check_scale_down`] are for decisions that may keep what
//! they saw, but must come to the same from the same.

mod history;

use core::fmt;

use crate::{Demand, Fleet, Instance, Level, Moment, Place, PlacementAdvice, Policy, RoomRequest, ScaleDown, ScaleUp};
use history::History;

/// How often a question is asked of an instance that was made for it alone. Two maps in random order agree on three keys
/// once in six times, so one look would let them pass; eight do not.
const FRESH_INSTANCES: usize = 8;

/// How many turns of a scale decision are compared; enough for what counts turns, or takes turns itself.
const TURNS: u32 = 8;

/// Two answers to the same question; or the question could not be asked.
///
/// It prints alike with `{}` and `{:?}`, so that a test may return it or `unwrap` it.
///
/// ```
/// use usher_sdk::purity::Impure;
///
/// let why = Impure::Unasked("setting `idle_seconds`: invalid type".into());
/// assert_eq!(format!("{why:?}"), why.to_string());
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Impure {
    /// The settings were refused, or the fleet could not be told to the policy.
    Unasked(String),
    /// The policy answered otherwise.
    Differs {
        /// What was asked.
        question: String,
        /// In which circumstances the answer was another.
        when: &'static str,
        /// What a new instance answered at first.
        first: String,
        /// What was answered then.
        then: String,
    },
}

impl fmt::Display for Impure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Impure::Unasked(why) => f.write_str(why),
            Impure::Differs {
                question,
                when,
                first,
                then,
            } => write!(
                f,
                "{question} answers otherwise {when}\n  first: {first}\n  then:  {then}"
            ),
        }
    }
}

impl fmt::Debug for Impure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Impure {}

impl From<String> for Impure {
    fn from(why: String) -> Self {
        Impure::Unasked(why)
    }
}

/// Checks that a policy places each room alike: asked twice, after the other rooms, in new instances, and in one that came to
/// this fleet through many small changes and was asked all the while.
///
/// `settings` is the JSON that the settings file would become, `{}` for none.
///
/// ```
/// use std::cell::Cell;
///
/// use usher_sdk::{Fleet, Moment, Place, PlacementAdvice, Policy, RoomRequest, purity};
///
/// /// Takes turns, and so forgets that it is not alone.
/// struct Turns(Cell<usize>);
///
/// impl Policy for Turns {
///     type Settings = ();
///     fn new(_: ()) -> Result<Self, String> {
///         Ok(Turns(Cell::new(0)))
///     }
/// }
///
/// impl Place for Turns {
///     fn place(&self, _: &RoomRequest, fleet: &Fleet, _: Moment) -> PlacementAdvice {
///         let turn = self.0.replace(self.0.get() + 1);
///         match fleet.servers().nth(turn % fleet.servers_len().max(1)) {
///             Some(server) => PlacementAdvice::on(server.id()),
///             None => PlacementAdvice::wait(None),
///         }
///     }
/// }
///
/// let fleet = Fleet::builder().pool("p", |_| {}).servers("s", 3, |_| {}).build();
/// let rooms = [RoomRequest::new("standup-42", 50)];
/// let impure = purity::check::<Turns>("{}", &fleet, &rooms, Moment::at(1_000)).unwrap_err();
/// assert!(impure.to_string().starts_with("`place` of room \"standup-42\" answers otherwise when it is asked again"));
/// ```
///
/// # Errors
/// The first answer that differs; or the settings or the fleet were refused.
pub fn check<P: Place>(settings: &str, fleet: &Fleet, rooms: &[RoomRequest], moment: Moment) -> Result<(), Impure> {
    let young = told::<P>(settings, fleet, moment)?;
    let mut first = Vec::with_capacity(rooms.len());
    for room in rooms {
        let advice = young.place(room, moment);
        same(room, &advice, young.place(room, moment), "when it is asked again")?;
        first.push((room, advice));
    }
    for (room, advice) in first.iter().rev() {
        let again = young.place(room, moment);
        same(room, advice, again, "when other rooms were asked about in between")?;
    }
    for (room, advice) in first.iter().cycle().take(first.len().max(FRESH_INSTANCES)) {
        let fresh = told::<P>(settings, fleet, moment)?;
        same(room, advice, fresh.place(room, moment), "in a new instance")?;
    }
    let old = lived::<P>(settings, fleet, moment, |instance, then| {
        for room in rooms {
            instance.place(room, then);
        }
    })?;
    first.iter().try_for_each(|(room, advice)| {
        let when = "in an instance that saw the fleet change, and was asked all the while";
        same(room, advice, old.place(room, moment), when)
    })
}

/// Checks like [`check`], for a test that wants a line and no `Result`.
///
/// ```
/// use usher_sdk::{Fleet, Moment, Place, PlacementAdvice, Policy, RoomRequest, purity};
///
/// struct Pack;
///
/// impl Policy for Pack {
///     type Settings = ();
///     fn new(_: ()) -> Result<Self, String> {
///         Ok(Pack)
///     }
/// }
///
/// impl Place for Pack {
///     fn place(&self, room: &RoomRequest, fleet: &Fleet, _: Moment) -> PlacementAdvice {
///         match fleet.fitting(room.size()).next() {
///             Some(server) => PlacementAdvice::on(server.id()),
///             None => PlacementAdvice::wait(None),
///         }
///     }
/// }
///
/// let fleet = Fleet::builder().pool("p", |_| {}).servers("s", 3, |_| {}).build();
/// purity::assert_pure::<Pack>("{}", &fleet, &[RoomRequest::new("standup-42", 50)], Moment::at(1_000));
/// ```
///
/// # Panics
/// An answer differs, or the settings or the fleet were refused.
#[track_caller]
pub fn assert_pure<P: Place>(settings: &str, fleet: &Fleet, rooms: &[RoomRequest], moment: Moment) {
    if let Err(impure) = check::<P>(settings, fleet, rooms, moment) {
        panic!("{impure}");
    }
}

/// Checks that two instances that are asked the same, turn by turn, order the same servers: one that was told the fleet at
/// once, and one that saw it change.
///
/// ```
/// use usher_sdk::{Demand, Fleet, Growth, Moment, Policy, ScaleUp, Want, purity};
///
/// /// One server more for as long as anybody waits.
/// struct OneMore;
///
/// impl Policy for OneMore {
///     type Settings = ();
///     fn new(_: ()) -> Result<Self, String> {
///         Ok(OneMore)
///     }
/// }
///
/// impl ScaleUp for OneMore {
///     fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, _: Moment) -> Vec<Growth> {
///         let servers = demand.waiting_rooms.min(1);
///         let pool = fleet.pools().next();
///         pool.map(|pool| Growth { pool: pool.id, servers, reason: String::new() }).into_iter().collect()
///     }
/// }
///
/// let fleet = Fleet::builder().pool("p", |_| {}).build();
/// purity::check_scale_up::<OneMore>("{}", &fleet, &Demand::of(vec![Want::new(3, 50)]), Moment::at(1_000)).unwrap();
/// ```
///
/// # Errors
/// The first answer that differs; or the settings or the fleet were refused.
pub fn check_scale_up<P: ScaleUp>(
    settings: &str,
    fleet: &Fleet,
    demand: &Demand,
    moment: Moment,
) -> Result<(), Impure> {
    twins::<P, _>("`scale_up`", settings, fleet, moment, |instance, moment| {
        instance.scale_up(demand, moment)
    })
}

/// Checks that two instances that are asked the same, turn by turn, let the same servers go: one that was told the fleet at
/// once, and one that saw it change.
///
/// ```
/// use usher_sdk::{Fleet, Moment, Policy, ScaleDown, Shrinkage, purity};
///
/// struct Keep;
///
/// impl Policy for Keep {
///     type Settings = ();
///     fn new(_: ()) -> Result<Self, String> {
///         Ok(Keep)
///     }
/// }
///
/// impl ScaleDown for Keep {
///     fn scale_down(&mut self, fleet: &Fleet, _: Moment) -> Vec<Shrinkage> {
///         fleet.pools().map(|pool| Shrinkage::keep_all(pool.id)).collect()
///     }
/// }
///
/// let fleet = Fleet::builder().pool("p", |_| {}).servers("s", 3, |_| {}).build();
/// purity::check_scale_down::<Keep>("{}", &fleet, Moment::at(1_000)).unwrap();
/// ```
///
/// # Errors
/// The first answer that differs; or the settings or the fleet were refused.
pub fn check_scale_down<P: ScaleDown>(settings: &str, fleet: &Fleet, moment: Moment) -> Result<(), Impure> {
    twins::<P, _>("`scale_down`", settings, fleet, moment, Instance::scale_down)
}

/// Makes an instance that knows the fleet, told at once.
fn told<P: Policy>(settings: &str, fleet: &Fleet, moment: Moment) -> Result<Instance<P>, Impure> {
    let mut instance = Instance::configure(settings, Level::Error)?;
    History::of(fleet, moment).tell_at_once(&mut instance)?;
    Ok(instance)
}

/// Makes an instance that knows the fleet, and what it was before; it is asked while it learns.
fn lived<P: Policy>(
    settings: &str,
    fleet: &Fleet,
    moment: Moment,
    ask: impl Fn(&Instance<P>, Moment),
) -> Result<Instance<P>, Impure> {
    let mut instance = Instance::configure(settings, Level::Error)?;
    History::of(fleet, moment).live(&mut instance, ask)?;
    Ok(instance)
}

fn same(room: &RoomRequest, first: &PlacementAdvice, then: PlacementAdvice, when: &'static str) -> Result<(), Impure> {
    if *first == then {
        return Ok(());
    }
    Err(Impure::Differs {
        question: format!("`place` of room {:?}", room.room),
        when,
        first: format!("{first:?}"),
        then: format!("{then:?}"),
    })
}

/// Asks pairs of instances the same, a minute apart: one that was told the fleet at once, and one that saw it change. Each pair
/// anew, since a pair may agree by chance.
fn twins<P: Policy, T: PartialEq + fmt::Debug>(
    decision: &str,
    settings: &str,
    fleet: &Fleet,
    moment: Moment,
    ask: impl Fn(&mut Instance<P>, Moment) -> T,
) -> Result<(), Impure> {
    for _ in 0..FRESH_INSTANCES {
        let mut one = told::<P>(settings, fleet, moment)?;
        let mut other = lived::<P>(settings, fleet, moment, |_, _| {})?;
        for turn in 0..TURNS {
            let moment = Moment {
                now: moment.now.saturating_add(60 * turn),
                seed: moment.seed.wrapping_add(turn),
                decision: moment.decision.wrapping_add(turn),
            };
            let (first, then) = (ask(&mut one, moment), ask(&mut other, moment));
            if first != then {
                return Err(Impure::Differs {
                    question: format!("{decision} at turn {}", turn + 1),
                    when: "in a second instance that was asked the same, and saw the fleet change",
                    first: format!("{first:?}"),
                    then: format!("{then:?}"),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
