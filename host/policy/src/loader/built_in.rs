//! The built-in's settings, `standard.toml`: read like any policy's, for an instance that needs no gates.

use std::sync::Arc;

use usher_fleet::decision::PolicyRef;
use usher_fleet::event::{PolicyEvent, PolicyEventBody};

use super::Loader;
use crate::built_in::BuiltInLink;
use crate::counters::Counters;
use crate::folder::{FileError, Folder};
use crate::loading::LoadError;
use crate::native::MakeBuiltIn;
use crate::scale::ScaleMessage;
use crate::settings::Settings;
use crate::shelf::Shelf;
use crate::status::{Posted, ServingStatus};
use crate::version::Hash;
use crate::wasm::StartError;

/// The built-in as the loader knows it.
pub(crate) struct BuiltInState {
    make: MakeBuiltIn,
    pub(super) policy: PolicyRef,
    settings: Hash,
    /// What is wrong with `standard.toml` as it is now.
    problem: Option<String>,
    counters: Arc<Counters>,
}

impl BuiltInState {
    /// Begins with the folder's settings, or those that were good last, or none, and an instance for each thread. What is wrong with the
    /// folder's, the loader says when it reads them.
    ///
    /// # Panics
    /// If it does not take empty settings.
    pub(crate) fn begin(make: MakeBuiltIn, folder: Option<&Folder>, shelf: &Shelf) -> (BuiltInState, [BuiltInLink; 2]) {
        let counters = Arc::default();
        let written = match folder {
            Some(folder) if folder.dir().is_dir() => folder.built_in_settings().ok().map(Option::unwrap_or_default),
            Some(_) => None,
            None => Some(Vec::new()),
        };
        let (settings, links) = [written, shelf.built_in_settings(), Some(Vec::new())]
            .into_iter()
            .flatten()
            .find_map(|bytes| Some((Hash::of(&bytes), links(make, &bytes, &counters).ok()?)))
            .expect("the built-in takes empty settings");
        let built_in = BuiltInState {
            make,
            policy: links[0].policy(),
            settings,
            problem: None,
            counters,
        };
        (built_in, links)
    }

    /// Returns what is shown of it.
    pub(super) fn posted(&self) -> Posted {
        Posted {
            name: self.policy.name.to_string(),
            built_in: true,
            wanted: None,
            serving: Some(ServingStatus {
                version: self.policy.version.to_string(),
                summary: "the built-in policy, asked last".to_owned(),
                sha256: String::new(),
                settings_sha256: self.settings.to_string(),
                since: None,
                decisions: vec!["place", "scale_up", "scale_down"],
                quarantined: Vec::new(),
                quarantines: Vec::new(),
                on_fault: "next",
            }),
            previous: None,
            rolled_back_at: None,
            note: self.problem.clone(),
            learned_bytes: 0,
            counters: self.counters.clone(),
        }
    }

    /// Makes an instance for each thread; none where the settings are those that serve.
    fn with_settings(&self, bytes: &[u8]) -> Result<Option<(Hash, [BuiltInLink; 2])>, LoadError> {
        let hash = Hash::of(bytes);
        if hash == self.settings {
            return Ok(None);
        }
        Ok(Some((hash, links(self.make, bytes, &self.counters)?)))
    }

    pub(super) fn event(&self, step: &str, reason: &str) -> PolicyEventBody {
        PolicyEventBody {
            policy: self.policy.name.clone(),
            version: self.policy.version.clone(),
            sha256: "".into(),
            step: step.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

fn links(make: MakeBuiltIn, settings: &[u8], counters: &Arc<Counters>) -> Result<[BuiltInLink; 2], LoadError> {
    let settings = Settings::read_built_in(settings).map_err(LoadError::Settings)?;
    let link = |settings| {
        BuiltInLink::new(make, settings, counters).map_err(|error| LoadError::Start(StartError::Configure(error)))
    };
    Ok([link(settings.clone())?, link(settings)?])
}

impl Loader {
    /// Takes in `standard.toml` as it is now; a bad one changes nothing.
    pub(super) fn built_in_settings(&mut self, settings: Result<Option<Vec<u8>>, FileError>) {
        let made = settings.map_err(LoadError::File).and_then(|bytes| {
            let bytes = bytes.unwrap_or_default();
            let made = self.built_in.with_settings(&bytes)?;
            self.shelf.keep_built_in_settings(&bytes);
            Ok(made)
        });
        match made {
            Ok(None) => self.built_in.problem = None,
            Ok(Some((hash, [mut place, scale]))) => {
                if let Some(view) = self.host.snapshot()
                    && let Err(error) = place.feed(view.now, &view)
                {
                    tracing::error!("the built-in policy did not take the view: {error}");
                }
                self.handover.put_built_in(place);
                self.scale.send(ScaleMessage::BuiltIn(scale));
                self.built_in.settings = hash;
                self.built_in.problem = None;
                self.tell_change(PolicyEvent::Loaded(self.built_in.event("", "has new settings")));
            }
            Err(error) => {
                let reason = error.to_string();
                let problem = Some(format!("standard.toml was refused: {reason}"));
                // What cannot be read now is tried at each reading, and told once.
                if error.is_no_fault_of_the_file() && self.built_in.problem == problem {
                    return;
                }
                tracing::error!("standard.toml was refused: {reason}");
                self.built_in.problem = problem;
                self.tell(PolicyEvent::Refused(self.built_in.event(error.step(), &reason)));
            }
        }
    }
}
