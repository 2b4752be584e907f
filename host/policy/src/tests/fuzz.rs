//! The loader takes any bytes: it refuses them in words, or runs what they are within its limits, and never panics or hangs.
//!
//! Seeds count up from `USHER_FUZZ_SEED` (1) for `USHER_FUZZ_STEPS` (a minute or two of them); `USHER_FUZZ_CORPUS` names a
//! folder whose `*.wasm` are mutated beside the guests here. A failure says its seed, and one step with that seed repeats it.

mod mutate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use usher_fleet::advice::Direction;

use super::guests::Guest;
use super::learned::counts;
use crate::made_up::MadeUpFleet;
use crate::rehearsal::Rehearsed;
use crate::settings::Settings;
use crate::{LoadError, Snapshot};
use mutate::Mutations;

/// As many as take a minute or two on one core.
const STEPS: u64 = 30_000;
/// Far beyond any file of the corpus: a step that takes so long hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);

#[test]
fn any_bytes_are_refused_in_words_or_run_within_limits() {
    let number = |name: &str, default: u64| {
        let value = std::env::var(name).ok();
        value.map_or(default, |value| {
            value.parse().unwrap_or_else(|_| panic!("{name} is a number"))
        })
    };
    let (first, steps) = (number("USHER_FUZZ_SEED", 1), number("USHER_FUZZ_STEPS", STEPS));
    let (tell, told) = mpsc::channel();
    // On a thread of its own, so that one that hangs is noticed; its stack is the loader's.
    let worker = std::thread::Builder::new().stack_size(16 << 20).spawn(move || {
        let mutations = Mutations::new(corpus());
        let view = MadeUpFleet::new(20).snapshot();
        for seed in first..first + steps {
            let (bytes, settings) = (mutations.bytes(seed), mutations.settings(seed));
            if tell.send((seed, load(&bytes, settings.as_deref(), &view))).is_err() {
                return;
            }
        }
    });
    let worker = worker.unwrap();
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in first..first + steps {
        let again = format!("USHER_FUZZ_SEED={seed} USHER_FUZZ_STEPS=1 cargo test -p usher-policy any_bytes");
        match told.recv_timeout(HANGS_AFTER) {
            Ok((_, Ok(end))) => *ends.entry(end).or_default() += 1,
            Ok((_, Err(error))) => panic!("{error}; again: {again}"),
            Err(error) => panic!("it hangs or has panicked ({error}); again: {again}"),
        }
    }
    worker.join().unwrap();
    if steps >= STEPS {
        for end in [
            "check",
            "compile",
            "settings",
            "configure",
            "fault",
            "answers",
            "learned",
        ] {
            assert!(ends.contains_key(end), "none came as far as `{end}`: {ends:?}");
        }
    }
}

/// Returns how far a file came: the gate that stopped it, or what its instance did.
fn load(bytes: &[u8], settings: Option<&[u8]>, view: &Snapshot) -> Result<&'static str, String> {
    let rehearsed = match Rehearsed::prepare("fuzz.wasm", bytes.to_vec(), settings) {
        Ok(rehearsed) => rehearsed,
        Err(LoadError::Panicked) => return Err("reading it has panicked".to_owned()),
        Err(error) => return in_words(&error),
    };
    let mut rehearsal = match rehearsed.start() {
        Ok(rehearsal) => rehearsal,
        Err(error) => return in_words(&error),
    };
    if rehearsal.feed(view).is_err() {
        return Ok("view");
    }
    let mut fleet = MadeUpFleet::new(20);
    for n in 0..3 {
        let change = fleet.change(n);
        if rehearsal.place(&change, &fleet.room(n).ask(change.now)).advice.is_err() {
            return Ok("fault");
        }
    }
    let scales = [Direction::Up, Direction::Down].map(|direction| fleet.scale_ask(direction, 1));
    if scales.iter().any(|ask| rehearsal.scale(ask).advice.is_err()) {
        return Ok("fault");
    }
    match rehearsal.save() {
        Err(_) => Ok("fault"),
        Ok(None) => Ok("answers"),
        Ok(Some(learned)) => rehearsed
            .start_again(&learned)
            .map_or_else(|error| in_words(&error), |_| Ok("learned")),
    }
}

fn in_words(error: &LoadError) -> Result<&'static str, String> {
    match error.to_string().trim() {
        "" => Err(format!("an error without words: {error:?}")),
        _ => Ok(error.step()),
    }
}

/// Guests that use every part and import, as core modules.
fn corpus() -> Vec<Vec<u8>> {
    let ok = || "(call $ok)".to_owned();
    let whole = Guest {
        view: Some([ok(), ok(), ok()]),
        place: Some("(call $on (i32.const 1))".into()),
        scale_up: Some("(call $growth (i32.const 1) (i32.const 2))".into()),
        scale_down: Some("(call $retire (i32.const 1) (i32.const 2))".into()),
        ..Guest::new()
    };
    let logs = Guest {
        imports: r#"(import "usher:policy/host@0.1.0" "log" (func $log (param i32 i32 i32)))
                    (import "usher:policy/local-time@0.1.0" "at" (func $at (param i32 i32 i32 i32)))"#
            .into(),
        configure: "(if (i32.gt_u (local.get 1) (i32.const 40)) (then (return (call $error)))) (call $ok)".into(),
        place: Some(
            "(call $log (i32.const 3) (i32.const 26) (i32.const 5))
             (call $at (i32.const 1000000) (i32.const 31) (i32.const 13) (i32.const 3072))
             (call $wait)"
                .into(),
        ),
        scale_up: Some("(call $rows (i32.const 0))".into()),
        scale_down: Some("(call $keep_all (i32.const 1))".into()),
        ..Guest::new()
    };
    let loops = Guest::places("(loop $l (br $l)) (call $defer)");
    let learns = Guest {
        scale_down: Some("(call $keep_all (i32.const 1))".into()),
        ..counts()
    };
    let mut corpus: Vec<Vec<u8>> = [whole, logs, Guest::traces(), loops, learns]
        .iter()
        .map(Guest::build)
        .collect();
    if let Some(dir) = std::env::var_os("USHER_FUZZ_CORPUS").map(PathBuf::from) {
        let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let modules = files.filter(|path| path.extension().is_some_and(|end| end == "wasm"));
        corpus.extend(modules.map(|path| std::fs::read(path).unwrap()));
    }
    corpus
}

#[test]
fn settings_of_any_bytes_are_read_or_refused_in_words() {
    let mutations = Mutations::new(corpus());
    for seed in 0..50_000 {
        if let Some(Err(error)) = mutations.settings(seed).map(|bytes| Settings::read(&bytes)) {
            assert!(!error.to_string().is_empty(), "seed {seed}");
        }
    }
}
