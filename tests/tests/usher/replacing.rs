//! Reload under load: a thousand times policies are replaced, broken, half-written, renamed, removed and brought back while
//! rooms are placed.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::chance::Chance;
use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::policies::{built, drop_in};
use crate::site::Site;
use crate::sse::all_events;

const POOL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 1000
health = "none"
"#;

const POLICIES: usize = 16;
const CHANGES: usize = 1_000;
/// As many modules: what is compiled once and still in use is not compiled again.
const VARIANTS: u8 = 4;
/// What the host may grow by from a third of the run to its end, in KiB. It grows by 4 to 8 MiB, most of it rooms and events in the
/// store's memtables; where replaced instances are never dropped it grows by 29 MiB.
const GROWTH_KIB_MAX: u64 = 16 << 10;
/// From one room to the next of a placing task: each stays in a memtable until that is flushed, which must not hide what policies leave
/// behind.
const PLACED_EVERY: Duration = Duration::from_millis(20);

/// The module of `tests/guests/versioned`.
fn versioned() -> &'static [u8] {
    static MODULE: OnceLock<Vec<u8>> = OnceLock::new();
    built("tests/guests/versioned", &MODULE)
}

/// The same module under another hash: a custom section is added.
fn variant(number: u8) -> Vec<u8> {
    let section = [0, 5, 3, b't', b'a', b'g', number];
    [versioned(), &section].concat()
}

/// What the test has done with one file, and what the placing tasks may rely on.
struct File {
    name: String,
    /// The newest version that is known to have taken over.
    serves: AtomicU32,
    /// Whether it may be out of the chain now.
    may_be_gone: AtomicBool,
}

/// More than any version: after a removal that was taken in no version decides.
const NO_VERSION: u32 = u32::MAX;

/// What is done with a file, and how it then stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Settings,
    Module,
    /// Written in place up to the middle; later completed.
    HalfWritten,
    Broken,
    /// Renamed away and back.
    Renamed,
    Removed,
}

struct Folder<'a> {
    site: &'a Site,
    files: Arc<Vec<File>>,
    versions: Vec<u32>,
    /// How each stands: the last change.
    last: Vec<Change>,
}

impl Folder<'_> {
    fn settings(&self, at: usize) -> String {
        format!("name = \"{}\"\nversion = {}\n", self.files[at].name, self.versions[at])
    }

    fn path(&self, at: usize, end: &str) -> PathBuf {
        self.site
            .path("policies")
            .join(format!("{}.{end}", self.files[at].name))
    }

    /// Puts a new version there: settings first, since a module without its settings would serve nobody's rooms.
    fn put(&mut self, at: usize) {
        self.versions[at] += 1;
        let (settings, name) = (self.settings(at), format!("{}.toml", self.files[at].name));
        drop_in(self.site, &name, settings.as_bytes());
    }

    fn change(&mut self, at: usize, change: Change, variant_of: u8) {
        let wasm = self.path(at, "wasm");
        let name = format!("{}.wasm", self.files[at].name);
        if self.last[at] == Change::Removed {
            self.files[at].serves.store(self.versions[at], Ordering::SeqCst);
        }
        match change {
            Change::Settings if wasm.exists() && self.last[at] != Change::Broken => self.put(at),
            Change::Settings | Change::Module => {
                self.put(at);
                drop_in(self.site, &name, &variant(variant_of));
            }
            Change::HalfWritten => {
                self.put(at);
                fs::write(&wasm, &versioned()[..versioned().len() / 2]).unwrap();
            }
            Change::Broken => drop_in(self.site, &name, b"\0asm\x01\0\0\0\x01\x02\x01\xff"),
            Change::Renamed => {
                self.put(at);
                self.files[at].may_be_gone.store(true, Ordering::SeqCst);
                if wasm.exists() {
                    fs::rename(&wasm, self.path(at, "away")).unwrap();
                }
                drop_in(self.site, &name, &variant(variant_of));
            }
            Change::Removed => {
                self.files[at].may_be_gone.store(true, Ordering::SeqCst);
                fs::remove_file(&wasm).ok();
            }
        }
        self.last[at] = change;
    }

    /// Writes the rest of what was written by half.
    fn complete(&mut self, variant_of: u8) {
        for at in 0..POLICIES {
            if self.last[at] == Change::HalfWritten {
                fs::write(self.path(at, "wasm"), variant(variant_of)).unwrap();
                self.last[at] = Change::Module;
            }
        }
    }

    /// Whether the host shows a file as it now stands.
    fn is_taken_in(&self, at: usize, shown: &[Value]) -> bool {
        let policy = shown.iter().find(|policy| policy["name"] == *self.files[at].name);
        let hash = || -> String {
            Sha256::digest(self.settings(at))
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        };
        match self.last[at] {
            Change::Removed => policy.is_none(),
            // What served before serves on, or nothing does if there was nothing.
            Change::Broken => policy.is_some_and(|policy| policy["wanted"]["state"] == "refused"),
            // It is waited for, and nobody is blamed.
            Change::HalfWritten => policy.is_some_and(|policy| policy["wanted"]["state"] == "waiting"),
            Change::Settings | Change::Module | Change::Renamed => policy.is_some_and(|policy| {
                policy["wanted"]["state"] == "serving" && policy["serving"]["settings_sha256"] == *hash()
            }),
        }
    }
}

async fn taken_in(client: &Client, folder: &Folder<'_>) {
    eventually("the folder is taken in as it stands", seconds(60), async || {
        let shown = client.get("/v1/policies").await.expect(200).json;
        let shown = shown["policies"].as_array().unwrap();
        (0..POLICIES).all(|at| folder.is_taken_in(at, shown)).then_some(())
    })
    .await;
}

/// Places rooms until told to stop; returns how many were decided by a policy of the folder.
async fn place(client: Client, files: Arc<Vec<File>>, seed: u64, must_end: Arc<AtomicBool>) -> u64 {
    let (mut chance, mut by_the_folder) = (Chance::new(seed), 0);
    let mut pace = tokio::time::interval(PLACED_EVERY);
    for room in 0_u64.. {
        pace.tick().await;
        if must_end.load(Ordering::SeqCst) {
            break;
        }
        let file = &files[chance.below(POLICIES)];
        let path = format!("/v1/rooms/{seed}-{room}");
        let (least, was_there) = (
            file.serves.load(Ordering::SeqCst),
            !file.may_be_gone.load(Ordering::SeqCst),
        );
        let placed = client
            .put(&path, json!({ "labels": { "policy": file.name } }))
            .await
            .expect(201)
            .json;
        let is_there = was_there && !file.may_be_gone.load(Ordering::SeqCst);
        let (by, reason) = (
            &placed["decision"]["policy"],
            placed["decision"]["reason"].as_str().unwrap_or_default(),
        );
        if *by == file.name {
            let version: u32 = reason.parse().unwrap();
            assert!(
                version >= least,
                "{by} {version} has decided, but {least} had taken over before: {placed}"
            );
            by_the_folder += 1;
        } else {
            assert_eq!(*by, "standard", "{placed}");
            assert!(!is_there, "{} serves, and did not decide: {placed}", file.name);
        }
        client.delete(&path).await.expect(204);
    }
    by_the_folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_changes_of_the_folder_fail_no_request_and_no_old_version_decides() {
    let site = Site::new(POOL);
    let file = |at| File {
        name: format!("p{at:02}"),
        serves: AtomicU32::new(0),
        may_be_gone: AtomicBool::new(true),
    };
    let files: Arc<Vec<File>> = Arc::new((0..POLICIES).map(file).collect());
    let mut folder = Folder {
        site: &site,
        files: Arc::clone(&files),
        versions: vec![0; POLICIES],
        last: vec![Change::Removed; POLICIES],
    };
    let host = site.start().await;
    let client = host.client();
    let server = json!({ "pool": "media", "url": "ws://media" });
    client.put("/v1/servers/media", server).await.expect(201);
    let must_end = Arc::new(AtomicBool::new(false));
    let placers: Vec<_> = (0..2)
        .map(|seed| tokio::spawn(place(client.clone(), Arc::clone(&files), seed, Arc::clone(&must_end))))
        .collect();

    let mut chance = Chance::new(7);
    let mut memory_kib = Vec::new();
    for _ in 0..CHANGES.div_ceil(POLICIES) {
        for at in 0..POLICIES {
            let change = [
                Change::Settings,
                Change::Settings,
                Change::Settings,
                Change::Module,
                Change::Module,
                Change::HalfWritten,
                Change::Broken,
                Change::Renamed,
                Change::Removed,
            ][chance.below(9)];
            folder.change(at, change, u8::try_from(chance.below(VARIANTS.into())).unwrap());
        }
        if folder.last.contains(&Change::HalfWritten) {
            taken_in(&client, &folder).await;
            folder.complete(u8::try_from(chance.below(VARIANTS.into())).unwrap());
        }
        taken_in(&client, &folder).await;
        for (at, file) in files.iter().enumerate() {
            match folder.last[at] {
                Change::Removed => file.serves.store(NO_VERSION, Ordering::SeqCst),
                Change::Broken => {}
                _ => {
                    file.serves.store(folder.versions[at], Ordering::SeqCst);
                    file.may_be_gone.store(false, Ordering::SeqCst);
                }
            }
        }
        memory_kib.push(host.memory_kib());
        assert!(
            placers.iter().all(|placer| !placer.is_finished()),
            "a placing task has failed"
        );
    }
    must_end.store(true, Ordering::SeqCst);
    let mut decided = 0;
    for placer in placers {
        decided += placer.await.unwrap();
    }
    assert!(
        decided > 1_000,
        "only {decided} rooms were decided by the folder's policies"
    );
    let (third, end) = (memory_kib[memory_kib.len() / 3], memory_kib[memory_kib.len() - 1]);
    assert!(end < third + GROWTH_KIB_MAX, "the memory grew, in KiB: {memory_kib:?}");
    let events = all_events(&client).await;
    let faults: Vec<_> = events.iter().filter(|event| event.kind == "policy.fault").collect();
    assert!(faults.is_empty(), "{faults:?}");
}
