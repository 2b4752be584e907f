//! A policy outside of any chain: passed through every gate, started and asked, with what each answer cost.
//!
//! For `usher policy check`, for benchmarks, and for tests that compare answers. Nothing here serves: advice is shown, and
//! nobody acts on it.

use std::path::Path;
use std::time::{Duration, Instant};

use usher_fleet::advice::{Fault, PlaceAdvice, PlaceAsk, ScaleAdvice, ScaleAsk};
use usher_fleet::decision::DecisionPoint;

use crate::folder::{self, Contents};
use crate::loading::{self, Kitchen, LoadError};
use crate::options::{CompileIn, LogLevel, Snapshot};
use crate::recipe::Recipe;
use crate::trial;
use crate::version::Name;
use crate::wasm::{Budget, Compiler, Pace, Serving, imports};

/// A module that has passed every gate before it runs.
pub struct Rehearsed {
    recipe: Recipe,
    wasm_bytes: usize,
    imports: Vec<String>,
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

/// Returns the fuel that a question has in a fleet of so many servers.
pub fn fuel_budget(point: DecisionPoint, servers: usize) -> u64 {
    match point {
        DecisionPoint::Place => Budget::Place { rows: 0, servers },
        DecisionPoint::ScaleUp | DecisionPoint::ScaleDown => Budget::Scale { servers },
    }
    .fuel()
}

impl Rehearsed {
    /// Reads a file, and its settings from another, as a host reads them from its folder, and passes them through the gates.
    ///
    /// # Errors
    /// The first gate that it did not pass, in words for its author.
    ///
    /// # Panics
    /// If the platform has no compiler back end.
    pub fn read(wasm: &Path, settings: Option<&Path>, compile: CompileIn) -> Result<Rehearsed, LoadError> {
        let contents = folder::read_once(wasm, settings).map_err(LoadError::File)?;
        let file = wasm.file_name().unwrap_or_default().to_string_lossy();
        Rehearsed::pass(&file, contents, compile)
    }

    /// Passes a file through the gates, in this process: checking, compiling, reading its settings. What `file` is called
    /// only names the policy in its log.
    ///
    /// # Errors
    /// The first gate that it did not pass, in words for its author.
    ///
    /// # Panics
    /// If the platform has no compiler back end.
    pub fn prepare(file: &str, wasm: Vec<u8>, settings: Option<&[u8]>) -> Result<Rehearsed, LoadError> {
        let contents = Contents {
            wasm,
            settings: settings.map(<[u8]>::to_vec),
        };
        Rehearsed::pass(file, contents, CompileIn::ThisProcess)
    }

    fn pass(file: &str, contents: Contents, compile: CompileIn) -> Result<Rehearsed, LoadError> {
        let name = Name::of_file(file).or_else(|| Name::of_file("policy.wasm"));
        let name = name.expect("the second is a name that counts");
        let compiler = Compiler::new(compile).expect("wasmtime compiles for this platform");
        let recipe = Kitchen::new(compiler, LogLevel::Warn).prepare(&name, &contents)?;
        Ok(Rehearsed {
            recipe,
            wasm_bytes: contents.wasm.len(),
            imports: imports(&contents.wasm),
        })
    }

    /// Returns the module's sha256, in hex.
    pub fn sha256(&self) -> String {
        self.recipe.version.wasm.to_string()
    }

    /// Returns the module's size, in bytes.
    pub fn wasm_bytes(&self) -> usize {
        self.wasm_bytes
    }

    /// Returns the interfaces that the module imports, each once.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Returns the decisions that it takes.
    pub fn decisions(&self) -> Vec<DecisionPoint> {
        loading::decisions(&self.recipe)
    }

    /// Passes it through the last gates: a fresh instance starts, is told the whole view and asked once for each decision.
    ///
    /// # Errors
    /// The first gate that it did not pass, in the guest's words.
    pub fn try_out(&self, view: &Snapshot) -> Result<Rehearsal, LoadError> {
        let instance = trial::try_out(&self.recipe, None, view, &self.decisions())?;
        Ok(Rehearsal { instance })
    }

    /// Starts a fresh instance: instantiates, describes, configures. It knows nothing of any fleet yet.
    ///
    /// # Errors
    /// Which of the three failed, in the guest's words.
    pub fn start(&self) -> Result<Rehearsal, LoadError> {
        self.start_with(None)
    }

    /// Starts a fresh instance that is given what another has [saved](Rehearsal::save), as after a restart. One that does not take it
    /// starts without.
    #[cfg(test)]
    pub(crate) fn start_again(&self, learned: &[u8]) -> Result<Rehearsal, LoadError> {
        self.start_with(Some(learned))
    }

    fn start_with(&self, learned: Option<&[u8]>) -> Result<Rehearsal, LoadError> {
        let instance = self.recipe.start(learned).map_err(LoadError::Start)?;
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
        self.instance.feed(view.now, view, &[], Pace::Whole)
    }

    /// Asks where a room goes, and tells the rows of a view that is ahead of what it knows with the question.
    pub fn place(&mut self, view: &Snapshot, ask: &PlaceAsk<'_>) -> Asked<PlaceAdvice> {
        self.ask(|instance| instance.place(view, ask))
    }

    /// Asks for more or fewer servers.
    pub fn scale(&mut self, ask: &ScaleAsk) -> Asked<ScaleAdvice> {
        self.ask(|instance| instance.scale(ask))
    }

    /// Returns what it has learned, as the host keeps it; none where it keeps nothing.
    #[cfg(test)]
    pub(crate) fn save(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        self.instance.save()
    }

    /// Returns the bytes of its memories.
    pub fn memory_bytes(&self) -> usize {
        self.instance.used().1
    }

    fn ask<T>(&mut self, question: impl FnOnce(&mut Serving) -> Result<T, Fault>) -> Asked<T> {
        let asked = Instant::now();
        let advice = question(&mut self.instance);
        Asked {
            advice,
            took: asked.elapsed(),
            fuel: self.instance.used().0,
        }
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
    use usher_fleet::advice::{Direction, FaultKind, Placement};
    use usher_fleet::ids::ServerNo;

    use super::*;
    use crate::made_up::MadeUpFleet;
    use crate::tests::guests::Guest;
    use crate::tests::learned::counts;

    #[test]
    fn it_is_told_the_view_and_its_changes_and_each_answer_has_its_price() {
        let guest = Guest::places("(call $on (i32.const 7))").build();
        let rehearsed = Rehearsed::prepare("50-guest.wasm", guest, None).unwrap();
        assert_eq!(rehearsed.decisions(), [DecisionPoint::Place]);
        let mut rehearsal = rehearsed.start().unwrap();
        assert_eq!(rehearsal.description().name, "guest");
        let mut fleet = MadeUpFleet::new(100);
        rehearsal.feed(&fleet.snapshot()).unwrap();
        let asked = rehearsal.place(&fleet.change(3), &fleet.room(1).ask(fleet.now()));
        assert_eq!(asked.advice.unwrap().placement, Placement::On(ServerNo(7)));
        assert!(asked.fuel > 0 && rehearsal.memory_bytes() > 0);
    }

    #[test]
    fn what_it_has_learned_is_given_to_the_next() {
        let rehearsed = Rehearsed::prepare("a.wasm", counts().build(), None).unwrap();
        let (mut rehearsal, fleet) = (rehearsed.start().unwrap(), MadeUpFleet::new(9));
        rehearsal.scale(&fleet.scale_ask(Direction::Up, 7)).advice.unwrap();
        let learned = rehearsal.save().unwrap().unwrap();
        let on = |mut rehearsal: Rehearsal| {
            let asked = rehearsal.place(&fleet.snapshot(), &fleet.room(1).ask(fleet.now()));
            asked.advice.unwrap().placement
        };
        assert_eq!(on(rehearsed.start().unwrap()), Placement::Defer);
        assert_eq!(on(rehearsed.start_again(&learned).unwrap()), Placement::On(ServerNo(1)));
    }

    #[test]
    fn a_file_is_read_as_a_host_reads_it_and_passes_every_gate() {
        let folder = tempfile::tempdir().unwrap();
        let read = |file: &str| Rehearsed::read(&folder.path().join(file), None, CompileIn::ThisProcess);
        let error = read("50-guest.wasm").unwrap_err();
        assert_eq!(
            (error.step(), error.to_string().contains("no such file")),
            ("read", true)
        );

        let module = folder.path().join("50-guest.wasm");
        std::fs::write(&module, Guest::places("(call $on (i32.const 7))").build()).unwrap();
        let rehearsed = read("50-guest.wasm").unwrap();
        assert_eq!(rehearsed.sha256().len(), 64);
        assert_eq!(rehearsed.wasm_bytes() as u64, std::fs::metadata(&module).unwrap().len());
        let fleet = MadeUpFleet::new(10);
        rehearsed.try_out(&fleet.snapshot()).unwrap();
        assert!(fuel_budget(DecisionPoint::Place, 10) < fuel_budget(DecisionPoint::ScaleUp, 10));

        std::fs::write(&module, Guest::places("unreachable").build()).unwrap();
        let error = read("50-guest.wasm").unwrap().try_out(&fleet.snapshot()).unwrap_err();
        assert_eq!(error.step(), "trial");
        std::fs::write(&module, vec![0; crate::WASM_BYTES_MAX as usize + 1]).unwrap();
        assert_eq!(read("50-guest.wasm").unwrap_err().step(), "read");
    }

    #[test]
    fn a_fault_says_its_kind_and_a_bad_file_its_gate() {
        let guest = Guest::places("unreachable").build();
        let mut rehearsal = Rehearsed::prepare("a.wasm", guest, None).unwrap().start().unwrap();
        let fleet = MadeUpFleet::new(1);
        let asked = rehearsal.place(&fleet.snapshot(), &fleet.room(1).ask(fleet.now()));
        assert_eq!(asked.advice.unwrap_err().kind, FaultKind::Trap);
        let error = Rehearsed::prepare("a.wasm", b"fn main() {}".to_vec(), None).unwrap_err();
        assert_eq!(error.step(), "check");
    }
}
