//! One running policy: the author's state and the view, apart, so that `&mut` the one and `&` the other are lent together.
//!
//! The glue to WebAssembly and the host's built-in both ask through here, so that there is one way from question to advice.

use crate::policy::Packaged;
#[cfg(target_family = "wasm")]
use crate::usage;
use crate::{
    Change, Demand, Description, Figure, Fleet, Growth, LEARNED_BYTES_MAX, Learned, Level, Moment, Place,
    PlacementAdvice, Policy, RoomRequest, ScaleDown, ScaleUp, Shrinkage, Timestamp, Usage, log, settings,
};

/// A policy with its settings and its view of the fleet.
///
/// The glue does with it what the host asks of a module; a native test does the same.
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
/// instance.update(1_000, vec![Change::ServerRemoved(7)]);
/// instance.usages(&[])?;
/// let advice = instance.place(&RoomRequest::new("standup-42", 50), Moment::at(1_000));
/// assert!(matches!(advice.placement, Placement::Wait(_)));
/// # Ok::<(), String>(())
/// ```
///
/// A policy with figures, scale decisions and something learned:
///
/// ```
/// use usher_sdk::{
///     Change, Demand, Figure, Fleet, Growth, Instance, Learned, Level, Moment, Policy, ScaleDown, ScaleUp, Shrinkage, Want,
///     export_policy,
/// };
///
/// /// Keeps a server for each thousand of the most consumers ever reported, launched in the first pool; lets none go.
/// struct Consumers(u32);
///
/// impl Policy for Consumers {
///     const FIGURES: &'static [&'static str] = &["consumers"];
///     type Settings = ();
///     fn new(_: ()) -> Result<Self, String> {
///         Ok(Consumers(0))
///     }
/// }
///
/// impl ScaleUp for Consumers {
///     fn scale_up(&mut self, _: &Demand, fleet: &Fleet, _: Moment) -> Vec<Growth> {
///         let reported = fleet.servers().filter_map(|server| server.figure(0)).sum();
///         self.0 = self.0.max(reported);
///         // The fleet's servers include those that are starting, so nothing is ordered twice.
///         let servers = self.0.div_ceil(1_000).saturating_sub(fleet.servers_len() as u32);
///         let pool = fleet.pools().find(|_| servers > 0);
///         let reason = format!("{} consumers", self.0);
///         pool.map(|pool| Growth { pool: pool.id, servers, reason }).into_iter().collect()
///     }
/// }
///
/// impl ScaleDown for Consumers {
///     fn scale_down(&mut self, fleet: &Fleet, _: Moment) -> Vec<Shrinkage> {
///         fleet.pools().map(|pool| Shrinkage::keep_all(pool.id)).collect()
///     }
/// }
///
/// impl Learned for Consumers {
///     fn save(&self) -> Vec<u8> {
///         self.0.to_le_bytes().into()
///     }
///     fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
///         self.0 = u32::from_le_bytes(saved.try_into().map_err(|_| "not four bytes")?);
///         Ok(())
///     }
/// }
///
/// export_policy!(Consumers: scale_up, scale_down, learned);
///
/// # fn main() -> Result<(), String> {
/// assert_eq!(Instance::<Consumers>::describe().figures, ["consumers"]);
///
/// let mut instance = Instance::<Consumers>::configure("{}", Level::Info)?;
/// # let there = Fleet::builder().pool("p", |_| {}).server("a", |_| {}).build();
/// # let pool = there.pools().next().cloned().map(Change::PoolSet);
/// # let server = there.servers().next().map(|server| Change::ServerSet(server.row().clone()));
/// # let rows = pool.into_iter().chain(server).collect();
/// instance.update(1_000, rows); // a pool, and in it a server
/// instance.figures(&[Figure { server: 1, figure: 0, value: 2_500 }])?;
/// assert_eq!(instance.fleet().servers_len(), 1);
///
/// let growth = instance.scale_up(&Demand::of(vec![]), Moment::at(1_000));
/// assert_eq!(growth[0].servers, 2, "they need three, and one is there");
/// assert!(instance.scale_down(Moment::at(1_000))[0].servers.is_empty());
///
/// let mut next = Instance::<Consumers>::configure("{}", Level::Info)?;
/// next.restore(&instance.save()?)?;
/// assert_eq!(next.save()?, instance.save()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Instance<P> {
    policy: P,
    fleet: Fleet,
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
        })
    }

    /// Returns the view.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Takes in what changes rarely.
    pub fn update(&mut self, now: Timestamp, changes: Vec<Change>) {
        for change in changes {
            self.fleet.apply(now, change);
        }
    }

    /// Takes in what changes all the time.
    ///
    /// # Errors
    /// A server was never set: a new instance is needed.
    pub fn usages(&mut self, usages: &[Usage]) -> Result<(), String> {
        usages.iter().try_for_each(|usage| self.fleet.set_usage(*usage))
    }

    /// Takes in usages as the contract tells them, as numbers.
    ///
    /// # Errors
    /// They are not the contract's, or a server was never set: a new instance is needed.
    #[cfg(target_family = "wasm")]
    #[doc(hidden)]
    pub fn usage_rows(&mut self, numbers: &[u32]) -> Result<(), String> {
        let mut rows = usage::rows(numbers)?.iter();
        rows.try_for_each(|row| self.fleet.set_usage(usage::read(row)?))
    }

    /// Takes in the reported numbers that the policy asked to see.
    ///
    /// # Errors
    /// A server was never set, or the policy asked for no such figure: a new instance is needed.
    pub fn figures(&mut self, figures: &[Figure]) -> Result<(), String> {
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
}

#[cfg(test)]
mod tests;
