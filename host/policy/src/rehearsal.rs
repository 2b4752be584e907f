//! A policy outside of any chain: passed through every gate, started and asked, with what each answer cost.
//!
//! For `usher policy check`, for benchmarks, and for tests that compare answers. Nothing here serves: advice is shown, and
//! nobody acts on it.

use std::time::{Duration, Instant};

use usher_fleet::advice::{Fault, PlaceAdvice, PlaceAsk, ScaleAdvice, ScaleAsk};
use usher_fleet::decision::DecisionPoint;

use crate::folder::Contents;
use crate::loading::{self, Kitchen, LoadError};
use crate::options::{CompileIn, LogLevel, Snapshot};
use crate::recipe::Recipe;
use crate::version::Name;
use crate::wasm::{CallFault, Compiler, Pace, Serving};

/// A module that has passed every gate before it runs.
pub struct Rehearsed {
    recipe: Recipe,
}

/// One running instance of it.
pub struct Rehearsal {
    instance: Serving,
}

/// What a policy says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name; the chain goes by the file's.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// The reported numbers that it wants to see.
    pub figures: Vec<String>,
}

/// An answer and its price.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked<T> {
    /// The advice, or why there is none. After a fault the instance is not to be asked again.
    pub advice: Result<T, Fault>,
    /// Fuel, in units of about an instruction.
    pub fuel: u64,
    /// The time that it took, on this machine.
    pub took: Duration,
}

impl Rehearsed {
    /// Passes a file through the gates, in this process: checking, compiling, reading its settings. What `file` is called
    /// only names the policy in its log.
    ///
    /// # Errors
    /// The first gate that it did not pass, in words for its author.
    ///
    /// # Panics
    /// If the platform has no compiler back end.
    pub fn prepare(file: &str, wasm: Vec<u8>, settings: Option<&[u8]>) -> Result<Rehearsed, LoadError> {
        let name = Name::of_file(file).or_else(|| Name::of_file("policy.wasm"));
        let name = name.expect("the second is a name that counts");
        let contents = Contents {
            wasm,
            settings: settings.map(<[u8]>::to_vec),
        };
        let compiler = Compiler::new(CompileIn::ThisProcess).expect("wasmtime compiles for this platform");
        let recipe = Kitchen::new(compiler, LogLevel::Warn).prepare(&name, &contents)?;
        Ok(Rehearsed { recipe })
    }

    /// Returns the decisions that it takes.
    pub fn decisions(&self) -> Vec<DecisionPoint> {
        loading::decisions(&self.recipe)
    }

    /// Starts a fresh instance: instantiates, describes, configures. It knows nothing of any fleet yet.
    ///
    /// # Errors
    /// Which of the three failed, in the guest's words.
    pub fn start(&self) -> Result<Rehearsal, LoadError> {
        let instance = self.recipe.start().map_err(LoadError::Start)?;
        Ok(Rehearsal { instance })
    }
}

impl Rehearsal {
    /// Returns what it says of itself.
    pub fn description(&self) -> Described {
        let description = self.instance.description();
        Described {
            name: description.name.clone(),
            version: description.version.clone(),
            summary: description.summary.clone(),
            figures: description.figures.clone(),
        }
    }

    /// Tells the rows of a view that is ahead of what it knows: the whole one first, then only what has changed.
    ///
    /// # Errors
    /// It did not take them.
    pub fn feed(&mut self, view: &Snapshot) -> Result<(), Fault> {
        self.instance.feed(view.now, view, &[], Pace::Whole).map_err(fault)
    }

    /// Asks where a room goes.
    pub fn place(&mut self, ask: &PlaceAsk<'_>) -> Asked<PlaceAdvice> {
        self.ask(|instance| instance.place(ask))
    }

    /// Asks for more or fewer servers.
    pub fn scale(&mut self, ask: &ScaleAsk) -> Asked<ScaleAdvice> {
        self.ask(|instance| instance.scale(ask))
    }

    /// Returns the bytes of its memories.
    pub fn memory_bytes(&self) -> usize {
        self.instance.used().1
    }

    fn ask<T>(&mut self, question: impl FnOnce(&mut Serving) -> Result<T, CallFault>) -> Asked<T> {
        let asked = Instant::now();
        let advice = question(&mut self.instance).map_err(fault);
        Asked {
            advice,
            took: asked.elapsed(),
            fuel: self.instance.used().0,
        }
    }
}

fn fault(CallFault { kind, message }: CallFault) -> Fault {
    Fault {
        kind,
        message,
        wait: false,
    }
}

impl std::fmt::Debug for Rehearsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rehearsed")
            .field("name", &self.recipe.name)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rehearsal")
            .field("is", &self.description())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use usher_fleet::advice::{FaultKind, Placement};
    use usher_fleet::ids::ServerNo;

    use super::*;
    use crate::made_up::MadeUpFleet;
    use crate::tests::guests::Guest;

    #[test]
    fn it_is_told_the_view_and_its_changes_and_each_answer_has_its_price() {
        let guest = Guest::places("(call $on (i32.const 7))").build();
        let rehearsed = Rehearsed::prepare("50-guest.wasm", guest, None).unwrap();
        assert_eq!(rehearsed.decisions(), [DecisionPoint::Place]);
        let mut rehearsal = rehearsed.start().unwrap();
        assert_eq!(rehearsal.description().name, "guest");
        let mut fleet = MadeUpFleet::new(100);
        rehearsal.feed(&fleet.snapshot()).unwrap();
        rehearsal.feed(&fleet.change(3)).unwrap();
        let asked = rehearsal.place(&fleet.room(1).ask(fleet.now()));
        assert_eq!(asked.advice.unwrap().placement, Placement::On(ServerNo(7)));
        assert!(asked.fuel > 0 && rehearsal.memory_bytes() > 0);
    }

    #[test]
    fn a_fault_says_its_kind_and_a_bad_file_its_gate() {
        let guest = Guest::places("unreachable").build();
        let mut rehearsal = Rehearsed::prepare("a.wasm", guest, None).unwrap().start().unwrap();
        let fleet = MadeUpFleet::new(1);
        let asked = rehearsal.place(&fleet.room(1).ask(fleet.now()));
        assert_eq!(asked.advice.unwrap_err().kind, FaultKind::Trap);
        let error = Rehearsed::prepare("a.wasm", b"fn main() {}".to_vec(), None).unwrap_err();
        assert_eq!(error.step(), "check");
    }
}
