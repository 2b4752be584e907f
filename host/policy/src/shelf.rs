//! What is kept of each policy, and outlives the process: its last two good versions, what was quarantined, a rollback in
//! force, and what it has learned.
//!
//! ```text
//! data_dir/policies/50-main/state.json          which versions, why, when
//!                           <sha256>.wasm       a module, by its hash
//!                           <sha256>.toml       its settings
//!                           <sha256>.learned    what it has learned
//!                   standard/standard.toml      the built-in's last good settings
//! ```
//!
//! Files named by hash are written before the state that names them, and removed after one that does not: a power cut between
//! any two steps leaves the state from before, whole. What cannot be read, or is not what its hash says, is told in the log and
//! treated as absent; a shelf that cannot write forgets at the end of the process and disturbs nobody until then. One thread
//! uses it, the loader's.

mod files;
mod record;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;
use usher_fleet::decision::DecisionPoint;

use crate::folder::{self, Contents, FileError, WASM_BYTES_MAX};
use crate::settings::SETTINGS_BYTES_MAX;
use crate::version::{Hash, Name, Version};
use files::{Files, folder_of};
use record::{FORMAT, Record, learned_file, module_file, settings_file};
pub(crate) use record::{Good, Quarantined, Rollback};

/// The most that a policy may have learned, in bytes, as the contract says.
pub(crate) const LEARNED_BYTES_MAX: usize = 64 << 10;
/// The most policies without a file whose quarantines and learning are kept, the last that went: for files that come back.
const GONE_MAX: usize = 64;
/// The most policies that are read at the start: as many as a folder may have, and as many that went.
const POLICIES_MAX: usize = folder::POLICIES_MAX + GONE_MAX;
/// The longest `state.json`, in bytes: some hundred for each of 64 quarantines.
const STATE_BYTES_MAX: u64 = 256 << 10;
const STATE: &str = "state.json";
/// Where the built-in's settings are kept: its folder has no state.
const BUILT_IN: (&str, &str) = (folder::BUILT_IN, folder::BUILT_IN_SETTINGS);

/// The kept versions and states.
#[derive(Debug)]
pub(crate) struct Shelf {
    files: Files,
    records: BTreeMap<Name, Record>,
}

impl Shelf {
    /// Reads what is kept in a folder; without one, keeps it in memory.
    pub(crate) fn open(dir: Option<&Path>) -> Shelf {
        let files = Files::open(dir);
        let folders = files.folders().unwrap_or_else(|error| {
            tracing::error!("what was kept of the policies cannot be read: {error}");
            Vec::new()
        });
        let mut records = BTreeMap::new();
        for folder in &folders {
            if records.len() == POLICIES_MAX {
                tracing::error!(
                    folder,
                    "what was kept of this policy and of those after it is too much, and left out"
                );
                break;
            }
            match read_state(&files, folder) {
                Ok(Some((name, record))) => {
                    records.insert(name, record);
                }
                Ok(None) => {}
                Err(error) => tracing::error!(folder, "what was kept of a policy is lost: {error}"),
            }
        }
        Shelf { files, records }
    }

    /// Returns the built-in's last good settings.
    pub(crate) fn built_in_settings(&self) -> Option<Vec<u8>> {
        let (folder, file) = BUILT_IN;
        self.files.read(folder, file, SETTINGS_BYTES_MAX).ok().flatten()
    }

    /// Keeps settings that the built-in has taken.
    pub(crate) fn keep_built_in_settings(&mut self, bytes: &[u8]) {
        let (folder, file) = BUILT_IN;
        if self.built_in_settings().as_deref() == Some(bytes) {
            return;
        }
        if let Err(error) = self.files.write(folder, file, bytes) {
            tracing::error!("cannot be kept for a restart: `{file}`: {error}");
        }
    }

    /// Returns the policies whose file was there when the host ended.
    pub(crate) fn expected(&self) -> Vec<Name> {
        let expected = self.records.keys().filter(|name| self.current(name).is_some());
        expected.cloned().collect()
    }

    /// Returns those of them for which rooms wait until they are back.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = (&Name, &Good)> {
        let goods = self.records.keys().filter_map(|name| Some((name, self.current(name)?)));
        goods.filter(|(_, good)| good.rooms_wait)
    }

    /// Returns the last good version; none while the file is gone.
    pub(crate) fn current(&self, name: &Name) -> Option<&Good> {
        self.present(name)?.current.as_ref()
    }

    /// Returns the good version before the last; none while the file is gone.
    pub(crate) fn previous(&self, name: &Name) -> Option<&Good> {
        self.present(name)?.previous.as_ref()
    }

    fn present(&self, name: &Name) -> Option<&Record> {
        self.records.get(name).filter(|record| record.gone.is_none())
    }

    /// Returns the rollback in force.
    pub(crate) fn rollback(&self, name: &Name) -> Option<&Rollback> {
        self.records.get(name)?.rollback.as_ref()
    }

    /// Returns what a version says its version is, if it has ever been started.
    pub(crate) fn named(&self, name: &Name, version: Version) -> Option<String> {
        let record = self.records.get(name)?;
        let good = [&record.current, &record.previous].into_iter().flatten();
        let good = good.map(|good| (Some(good.version), &good.named));
        let held = record.rollback.iter().map(|rollback| (rollback.held, &rollback.named));
        let out = record.quarantined.iter().map(|out| (Some(out.version), &out.named));
        let mut all = good.chain(held).chain(out);
        let (_, named) = all.find(|(of, named)| *of == Some(version) && !named.is_empty())?;
        Some(named.clone())
    }

    /// Returns which decisions a version may not take, and why.
    pub(crate) fn quarantined(&self, name: &Name, version: Version) -> impl Iterator<Item = &Quarantined> {
        let all = self.records.get(name).map_or(&[][..], |record| &record.quarantined);
        all.iter().filter(move |out| out.version == version)
    }

    /// Returns whether a version may not take a decision.
    pub(crate) fn is_out(&self, name: &Name, version: Version, decision: DecisionPoint) -> bool {
        self.quarantined(name, version).any(|out| out.decision == decision)
    }

    /// Returns the files of a good version; none where they are lost.
    ///
    /// # Errors
    /// They cannot be read now.
    pub(crate) fn contents(&self, name: &Name, version: Version) -> Result<Option<Contents>, FileError> {
        let folder = folder_of(name);
        let wasm = self.verified(&folder, &module_file(version.wasm), version.wasm, WASM_BYTES_MAX)?;
        let settings = match version.settings {
            none if none == Hash::of(b"") => Some(None),
            hash => self
                .verified(&folder, &settings_file(hash), hash, SETTINGS_BYTES_MAX)?
                .map(Some),
        };
        let both = wasm.zip(settings);
        Ok(both.map(|(wasm, settings)| Contents { wasm, settings }))
    }

    /// Notes that a version serves: it is the last good one from now on. `contents` are its files, where they may not be here
    /// yet.
    pub(crate) fn serves(&mut self, name: &Name, good: Good, contents: Option<&Contents>) {
        let version = good.version;
        if let Some(contents) = contents {
            let settings = contents.settings.as_deref().unwrap_or_default();
            self.put(name, &module_file(version.wasm), &contents.wasm);
            if !settings.is_empty() {
                self.put(name, &settings_file(version.settings), settings);
            }
        }
        self.change(name, |record| record.serves(good));
        self.save(name);
    }

    /// Makes the version before the last good one again.
    pub(crate) fn step_back(&mut self, name: &Name) {
        self.change(name, Record::step_back);
        self.save(name);
    }

    /// Notes an order to go back.
    pub(crate) fn hold(&mut self, name: &Name, rollback: Rollback) {
        self.change(name, |record| record.rollback = Some(rollback));
        self.save(name);
    }

    /// Ends a rollback. Versions that outlived their file for its sake go with it.
    pub(crate) fn release(&mut self, name: &Name) {
        if self.rollback(name).is_some() {
            self.change(name, |record| {
                record.rollback = None;
                if record.gone.is_some() {
                    record.current = None;
                    record.previous = None;
                }
            });
            self.save(name);
        }
    }

    /// Notes that the file is back which a rollback holds.
    pub(crate) fn is_back(&mut self, name: &Name) {
        if self.present(name).is_none() {
            self.change(name, |record| record.gone = None);
            self.save(name);
        }
    }

    /// Notes that a version may not take a decision any more.
    pub(crate) fn quarantine(&mut self, name: &Name, out: Quarantined) {
        self.change(name, |record| record.quarantine(out));
        self.save(name);
    }

    /// Forgets good versions that are lost.
    pub(crate) fn forget_versions(&mut self, name: &Name) {
        self.change(name, |record| {
            record.current = None;
            record.previous = None;
        });
        self.save(name);
    }

    /// Forgets the versions of a policy whose file is gone. What was quarantined stays so, and what it has learned is kept,
    /// should the file come back; so is a rollback. With either stays the version that serves instead, for a deployment that deletes
    /// and copies changes nothing.
    pub(crate) fn gone(&mut self, name: &Name, at: Timestamp) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let serves_instead = |good: &Good| !record.quarantined.is_empty() && !record.is_quarantined(good.version);
        let is_held = record.rollback.is_some() || record.current.as_ref().is_some_and(serves_instead);
        *record = Record {
            current: record.current.take().filter(|_| is_held),
            previous: record.previous.take().filter(|_| is_held),
            rollback: record.rollback.take(),
            quarantined: std::mem::take(&mut record.quarantined),
            learned: record.learned,
            gone: Some(at),
            ..Record::new(name.text())
        };
        self.save(name);
        self.forget_oldest();
    }

    /// Returns what a policy has learned.
    pub(crate) fn learned(&self, name: &Name) -> Option<Vec<u8>> {
        let hash = self.records.get(name)?.learned?;
        let learned = self.verified(&folder_of(name), &learned_file(hash), hash, LEARNED_BYTES_MAX as u64);
        learned.unwrap_or_default()
    }

    /// Returns how many bytes it has learned, without reading them.
    pub(crate) fn learned_bytes(&self, name: &Name) -> u64 {
        let hash = self.records.get(name).and_then(|record| record.learned);
        hash.map_or(0, |hash| self.files.size(&folder_of(name), &learned_file(hash)))
    }

    /// Keeps what a policy has learned. More than [`LEARNED_BYTES_MAX`] is refused, with a word in the log.
    pub(crate) fn keep_learned(&mut self, name: &Name, bytes: &[u8]) {
        if bytes.len() > LEARNED_BYTES_MAX {
            let (policy, length) = (&**name.text(), bytes.len());
            tracing::warn!(
                policy,
                length,
                "it has learned more than {LEARNED_BYTES_MAX} bytes: not kept"
            );
            return;
        }
        let hash = Hash::of(bytes);
        if self.records.get(name).and_then(|record| record.learned) == Some(hash) {
            return;
        }
        // What was learned before is better than nothing.
        if !self.put(name, &learned_file(hash), bytes) {
            return;
        }
        self.change(name, |record| {
            record.learned = Some(hash);
            // It may come after the policy has gone.
            if record.current.is_none() && record.gone.is_none() {
                record.gone = Some(Timestamp::now());
            }
        });
        self.save(name);
        self.forget_oldest();
    }

    fn change(&mut self, name: &Name, change: impl FnOnce(&mut Record)) {
        let record = self.records.entry(name.clone());
        change(record.or_insert_with(|| Record::new(name.text())));
    }

    /// Writes a file that is not there yet, and returns whether it is there now.
    fn put(&mut self, name: &Name, file: &str, bytes: &[u8]) -> bool {
        let folder = folder_of(name);
        if self.files.has(&folder, file) {
            return true;
        }
        let written = self.files.write(&folder, file, bytes);
        if let Err(error) = &written {
            tracing::error!(
                policy = &**name.text(),
                "cannot be kept for a restart: `{file}`: {error}"
            );
        }
        written.is_ok()
    }

    /// Writes a policy's state down, then lets go of what it names no more.
    fn save(&mut self, name: &Name) {
        let folder = folder_of(name);
        let Some(record) = self.records.get(name) else {
            return self.files.retain(&folder, &[]);
        };
        if record.is_empty() {
            self.records.remove(name);
            return self.files.retain(&folder, &[]);
        }
        let state = serde_json::to_vec_pretty(record).expect("a record has text keys and serialises without fail");
        match self.files.write(&folder, STATE, &state) {
            Ok(()) => {
                let mut keep = record.files();
                keep.push(STATE.to_owned());
                self.files.retain(&folder, &keep);
            }
            Err(error) => tracing::error!(policy = &**name.text(), "its state is not kept for a restart: {error}"),
        }
    }

    fn forget_oldest(&mut self) {
        let gone = |(name, record): (&Name, &Record)| Some((record.gone?, name.clone()));
        let mut gone: Vec<(Timestamp, Name)> = self.records.iter().filter_map(gone).collect();
        gone.sort();
        let too_many = gone.len().saturating_sub(GONE_MAX);
        for (_, name) in gone.into_iter().take(too_many) {
            self.records.remove(&name);
            self.save(&name);
        }
    }

    fn verified(&self, folder: &str, file: &str, hash: Hash, bytes_max: u64) -> Result<Option<Vec<u8>>, FileError> {
        let problem = match self.files.read(folder, file, bytes_max) {
            Ok(Some(bytes)) if Hash::of(&bytes) == hash => return Ok(Some(bytes)),
            Ok(Some(_)) => "its content is not what was kept",
            Ok(None) => "it is not there",
            Err(error) if error.kind() == ErrorKind::FileTooLarge => "it is longer than what was kept",
            Err(error) => {
                tracing::error!(folder, file, "a kept file of a policy cannot be read: {error}");
                return Err(FileError::Read {
                    file: file.to_owned(),
                    error: error.to_string(),
                });
            }
        };
        tracing::error!(folder, file, "a kept file of a policy is lost: {problem}");
        Ok(None)
    }
}

/// Reads a policy's state; none where the folder holds none.
fn read_state(files: &Files, folder: &str) -> Result<Option<(Name, Record)>, String> {
    let read = files.read(folder, STATE, STATE_BYTES_MAX);
    let Some(bytes) = read.map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let format = json.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(FORMAT.into()) {
        return Err(format!("`{STATE}` has not the form {FORMAT}, which this Usher knows"));
    }
    let record: Record = serde_json::from_value(json).map_err(|error| error.to_string())?;
    let name = Name::of_file(&format!("{}.wasm", record.policy)).filter(|name| folder_of(name) == folder);
    let name = name.ok_or_else(|| format!("`{STATE}` is of the policy `{}`", record.policy))?;
    Ok(Some((name, record)))
}

#[cfg(test)]
mod tests;
