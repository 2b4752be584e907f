//! From a file to an instance that may decide: the gates in their order, each with its own error in the author's words.
//!
//! check → compile → settings: a [`Kitchen`]'s work, in a thread of its own. start (`describe`, `configure`) → the whole view →
//! a trial decision: the [trial](crate::trial), on the loader's thread.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use usher_fleet::advice::Direction;
use usher_fleet::decision::DecisionPoint;

use crate::counters::decision;
use crate::folder::{Contents, FileError};
use crate::options::LogLevel;
use crate::recipe::Recipe;
use crate::settings::{Settings, SettingsError};
use crate::version::{Hash, Name, Version};
use crate::wasm::{CheckError, CompileError, Compiler, MakeError, Module, Ready, StartError};

/// Says at which gate a version was stopped, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file was not read.
    #[error("{0}")]
    File(FileError),
    /// It is no policy for this host.
    #[error("{0}")]
    Check(CheckError),
    /// Its settings are no settings.
    #[error("{0}")]
    Settings(SettingsError),
    /// It was not compiled.
    #[error("{0}")]
    Compile(CompileError),
    /// It does not start.
    #[error("{0}")]
    Start(StartError),
    /// It did not take the view.
    #[error("it failed while it was told of the fleet: {0}")]
    View(String),
    /// It failed when asked for the first time.
    #[error("its trial decision `{decision}` failed: {message}")]
    Trial {
        /// Which decision.
        decision: &'static str,
        /// The fault's message.
        message: String,
    },
    /// The tools that read it have failed; a bug of ours, and no reason to stop.
    #[error("reading it has failed within Usher; please report this together with the file")]
    Panicked,
}

impl LoadError {
    /// Returns the gate's stable word.
    pub fn step(&self) -> &'static str {
        match self {
            LoadError::File(_) => "read",
            LoadError::Check(_) => "check",
            LoadError::Settings(_) => "settings",
            LoadError::Compile(_) | LoadError::Panicked => "compile",
            LoadError::Start(StartError::Instantiate(_)) => "start",
            LoadError::Start(StartError::Describe(_)) => "describe",
            LoadError::Start(StartError::Configure(_)) => "configure",
            LoadError::View(_) => "view",
            LoadError::Trial { .. } => "trial",
        }
    }

    /// Returns whether the file may pass without a change: the machine had no time or memory for it, or could not read it.
    pub(crate) fn is_no_fault_of_the_file(&self) -> bool {
        use CompileError as E;
        match self {
            LoadError::Compile(error) => match error {
                E::Starved | E::Killed | E::NoChild(_) | E::Stopped => true,
                E::Compile(_)
                | E::Link(_)
                | E::TimeLimit
                | E::MemoryLimit
                | E::TooDeep
                | E::TooMuchCode
                | E::ChildFailed { .. } => false,
            },
            LoadError::File(FileError::Read { .. }) | LoadError::Settings(SettingsError::NoThread(_)) => true,
            LoadError::File(_)
            | LoadError::Check(_)
            | LoadError::Settings(_)
            | LoadError::Start(_)
            | LoadError::View(_)
            | LoadError::Trial { .. }
            | LoadError::Panicked => false,
        }
    }

    /// Returns whether the same module may pass in another fleet.
    pub(crate) fn is_of_this_fleet(&self) -> bool {
        matches!(self, LoadError::View(_) | LoadError::Trial { .. })
    }

    /// Returns whether the same file cannot pass, whatever else changes.
    pub(crate) fn is_for_good(&self) -> bool {
        !self.is_no_fault_of_the_file() && !self.is_of_this_fleet()
    }
}

/// Makes recipes from files; compiles each module once.
pub(crate) struct Kitchen {
    compiler: Compiler,
    log: LogLevel,
    /// What is in use anywhere: other settings, or another file name, need no other code.
    compiled: BTreeMap<Hash, Weak<Ready>>,
    /// The newest, in use or not: where its settings were refused, better ones are on their way.
    newest: Option<Arc<Ready>>,
}

impl Kitchen {
    /// Takes a compiler.
    pub(crate) fn new(compiler: Compiler, log: LogLevel) -> Kitchen {
        Kitchen {
            compiler,
            log,
            compiled: BTreeMap::new(),
            newest: None,
        }
    }

    /// Returns how often something was compiled.
    pub(crate) fn compilations(&self) -> u64 {
        self.compiler.compilations()
    }

    /// Passes a file through every gate before it runs.
    ///
    /// # Errors
    /// The first gate that it did not pass.
    pub(crate) fn prepare(&mut self, name: &Name, contents: &Contents) -> Result<Recipe, LoadError> {
        let version = version(contents);
        // The readers are made for trusted tools; whatever a file makes them do must not end the kitchen.
        let ready = catch_unwind(AssertUnwindSafe(|| self.ready(Module::new(contents.wasm.clone()))))
            .unwrap_or(Err(LoadError::Panicked))?;
        let settings = match &contents.settings {
            Some(bytes) => Settings::read(bytes).map_err(LoadError::Settings)?,
            None => Settings::default(),
        };
        Ok(Recipe {
            name: name.clone(),
            version,
            ready,
            settings,
            log: self.log,
        })
    }

    fn ready(&mut self, module: Module) -> Result<Arc<Ready>, LoadError> {
        if let Some(ready) = self.compiled.get(&module.hash()).and_then(Weak::upgrade) {
            return Ok(ready);
        }
        let ready = self.compiler.make(module).map_err(|error| match error {
            MakeError::Check(error) => LoadError::Check(error),
            MakeError::Compile(error) => LoadError::Compile(error),
        })?;
        let ready = Arc::new(ready);
        self.newest = Some(ready.clone());
        self.compiled.retain(|_, ready| ready.strong_count() > 0);
        self.compiled.insert(ready.hash(), Arc::downgrade(&ready));
        Ok(ready)
    }
}

/// Returns which version a file is.
pub(crate) fn version(contents: &Contents) -> Version {
    Version {
        wasm: Hash::of(&contents.wasm),
        settings: Hash::of(contents.settings.as_deref().unwrap_or_default()),
    }
}

/// Returns the decisions that a recipe's module takes.
pub(crate) fn decisions(recipe: &Recipe) -> Vec<DecisionPoint> {
    let parts = recipe.ready.parts();
    let scales = [(parts.scale_up, Direction::Up), (parts.scale_down, Direction::Down)];
    let place = parts.place.then_some(DecisionPoint::Place);
    place
        .into_iter()
        .chain(scales.into_iter().filter(|(has, _)| *has).map(|(_, way)| decision(way)))
        .collect()
}
