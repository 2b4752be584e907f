//! Every gate between a file and a decision, and what is said at it.

use wit_component::ComponentEncoder;

use super::guests::Guest;
use super::host::Stage;
use crate::wasm::{CheckError, Module};

/// Drops a file into the folder and expects it to be refused at this step, with these words; what served before still does.
fn check(bytes: &[u8], settings: Option<&str>, step: &str, words: &str) {
    let mut stage = Stage::serving(&[("a.wasm", &Guest::places("(call $reject)").version("0.9.0").build())]);
    if let Some(settings) = settings {
        stage.rename_in("a.toml", settings.as_bytes());
    }
    stage.rename_in("a.wasm", bytes);
    let (found_step, reason) = loop {
        // The settings may come to rest before the module does.
        match stage.event() {
            usher_fleet::event::PolicyEvent::Refused(body) => break (body.step, body.reason),
            usher_fleet::event::PolicyEvent::Loaded(_) if settings.is_some() => {}
            other => panic!("expected a refusal, not {other:?}"),
        }
    };
    assert_eq!(found_step, step, "{reason}");
    assert!(reason.contains(words), "{reason}");
    stage.chain.swap();
    assert_eq!(stage.ask(0, "room").unwrap().policy.version.as_ref(), "0.9.0");
    stage.stop();
}

#[test]
fn what_is_no_webassembly_is_named() {
    check(b"fn main() {}", None, "check", "this is text");
    check(b"(module)", None, "check", "text format");
    check(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", None, "check", "ELF");
    check(b"PK\x03\x04\0\0\0\0\0\0", None, "check", "it begins with 50 4b 03 04");
}

#[test]
fn a_file_that_is_too_large_is_not_even_read() {
    check(
        &vec![0; (4 << 20) + 1],
        None,
        "read",
        "has 4194305 bytes; at most 4194304",
    );
}

#[test]
fn a_module_without_its_type_section_is_told_how_to_build_one() {
    check(&wat::parse_str("(module)").unwrap(), None, "check", "export_policy!");
    let wasi = wat::parse_str(
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (@producers (language "Rust" "")))"#,
    );
    check(
        &wasi.unwrap(),
        None,
        "check",
        "wasm32-unknown-unknown`, not for `wasm32-wasip1`",
    );
}

#[test]
fn wasi_imports_get_a_hint_in_the_authors_language() {
    let mut guest = Guest::places("(call $defer)");
    guest.imports = r#"(import "wasi_snapshot_preview1" "clock_time_get" (func))"#.into();
    guest.more = r#"(@producers (processed-by "TinyGo" "0.40"))"#.into();
    check(
        &guest.build(),
        None,
        "check",
        "`wasi_snapshot_preview1`, but a policy has no clock, files, network or randomness: build with TinyGo",
    );
    let component = wat::parse_str(r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#).unwrap();
    check(&component, None, "check", "`wasi:cli/environment@0.2.0`");
}

/// What each language's tools note, as they write it: an interpreter brings its own language along, before or after.
#[test]
fn every_language_gets_its_own_hint() {
    let engine =
        r#"(@producers (language "C_plus_plus_17" "") (language "Rust" "1.90") (processed-by "clang" "19.1"))"#;
    let script = |producers: &str| format!("(@producers {producers}) (core module {engine})");
    let module = |producers: &str| format!("(core module (@producers {producers}))");
    let hints = [
        (
            module(r#"(language "Rust" "") (processed-by "rustc" "1.95")"#),
            "build for `wasm32-unknown-unknown`, not",
        ),
        (
            module(r#"(language "Go" "go1.26") (processed-by "TinyGo" "0.40")"#),
            "build with TinyGo and",
        ),
        (
            module(r#"(language "C11" "") (processed-by "clang" "19.1")"#),
            "build with `--target=wasm32-unknown-unknown -nostdlib`",
        ),
        (
            script(r#"(language "JavaScript" "") (processed-by "ComponentizeJS" "0.19")"#),
            "build with `jco componentize --disable all`",
        ),
        (
            script(r#"(processed-by "ComponentizeJS" "0.19")"#),
            "build with `jco componentize --disable all`",
        ),
        (
            script(r#"(processed-by "componentize-py" "0.17")"#),
            "build with `componentize-py componentize --stub-wasi`",
        ),
        (
            format!("(core module {engine}) (@producers (language \"Python\" \"3.14\"))"),
            "build with `componentize-py componentize --stub-wasi`",
        ),
        (module(r#"(language "Zig" "0.16")"#), "build it without WASI"),
    ];
    for (producers, hint) in hints {
        let text = format!(r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)) {producers})"#);
        let error = Module::new(wat::parse_str(text).unwrap())
            .check()
            .unwrap_err()
            .to_string();
        let words =
            format!("`wasi:clocks/wall-clock@0.2.0`, but a policy has no clock, files, network or randomness: {hint}");
        assert!(error.contains(&words), "{producers}: {error}");
    }
}

#[test]
fn imports_that_nobody_offers_are_named() {
    let component = wat::parse_str(r#"(component (import "acme:billing/prices@1.0.0" (instance)))"#).unwrap();
    check(
        &component,
        None,
        "check",
        "`acme:billing/prices@1.0.0`, which Usher does not offer",
    );
    let component = wat::parse_str(r#"(component (import "usher:policy/secrets@0.1.0" (instance)))"#).unwrap();
    check(&component, None, "check", "`usher:policy/secrets@0.1.0`");
}

#[test]
fn another_version_of_the_contract_gets_a_sentence() {
    let guest = Guest {
        contract: "0.2.0",
        ..Guest::places("(call $defer)")
    };
    check(
        &guest.build(),
        None,
        "check",
        "built for version 0.2.0 of the contract, this Usher speaks 0.1.0",
    );
}

#[test]
fn a_policy_must_take_a_decision() {
    check(&Guest::new().build(), None, "check", "it takes no decision");
    check(&wat::parse_str("(component)").unwrap(), None, "check", "policy-info");
}

#[test]
fn what_is_broken_inside_is_said_by_the_validator() {
    // A function that must leave a number and does not.
    let bytes = wat::parse_str("(module (func (result i32)))").unwrap();
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.extend([1, u8::try_from(bytes.len()).unwrap()]);
    component.extend(&bytes);
    check(&component, None, "check", "policy-info");
    let mut garbled = Guest::places("(call $defer)").build();
    let at = garbled.len() / 3;
    garbled[at..at + 8].fill(0xff);
    let mut stage = Stage::new(&[("a.wasm", &garbled)]);
    let (step, _) = stage.refused();
    assert!(["check", "compile"].contains(&step.as_str()), "{step}");
    assert_eq!(&*stage.ask(0, "room").unwrap().policy.name, "last");
    stage.stop();
}

#[test]
fn a_policy_that_cannot_describe_itself_is_refused() {
    let guest = |describe: &str| {
        Guest {
            describe: describe.into(),
            ..Guest::places("(call $defer)")
        }
        .build()
    };
    check(&guest("(call $error)"), None, "describe", "oh no");
    check(&guest("unreachable"), None, "describe", "unreachable");
    check(
        &guest("(loop $for_ever (br $for_ever)) (i32.const 0)"),
        None,
        "describe",
        "used up its fuel",
    );
}

#[test]
fn a_start_function_that_loops_is_stopped() {
    let mut guest = Guest::places("(call $defer)");
    guest.more = "(func $loop (loop $for_ever (br $for_ever))) (start $loop)".into();
    check(&guest.build(), None, "start", "used up its fuel");
}

#[test]
fn more_memory_than_allowed_is_refused_at_the_start() {
    let mut guest = Guest::places("(call $defer)");
    guest.more = "(memory $bomb 4000)".into();
    check(&guest.build(), None, "start", "memory");
}

#[test]
fn more_declarations_than_allowed_are_refused_of_whatever_kind_and_in_whichever_module() {
    let check = |more: &str| {
        let guest = Guest {
            more: more.into(),
            ..Guest::places("(call $defer)")
        };
        Module::new(guest.build()).check()
    };
    let elements = |mode: &str, count: usize| format!("(elem {mode} {})", "$ok ".repeat(count));
    let exports = |count: usize| {
        (0..count)
            .map(|n| format!("(export \"{n}\" (func $ok))"))
            .collect::<String>()
    };
    let many = [
        "(global i32 (i32.const 0))".repeat(20_000),
        "(global funcref (ref.func $ok))".repeat(20_000),
        "(data \"\")".repeat(20_000),
        elements("func", 20_000),
        "(elem funcref (ref.func $ok) (ref.null func))".repeat(7_000),
        format!("(table 20000 funcref) {}", elements("(i32.const 0) func", 20_000)),
        exports(20_000),
    ];
    for more in &many {
        let error = check(more).unwrap_err();
        let CheckError::TooManyDeclarations(count) = error else {
            panic!("{}: {error}", &more[..40]);
        };
        assert!((20_001..22_000).contains(&count), "{}: {count}", &more[..40]);
    }
    // Several times what a policy of 4 MiB would have.
    let fair = [
        "(global i32 (i32.const 0))".repeat(6_000),
        elements("func", 6_000),
        "(data \"\")".repeat(6_000),
    ];
    check(&fair.concat()).unwrap();

    let module = format!("(core module {})", "(global i32 (i32.const 0))".repeat(7_000));
    let component = inside(
        &Guest::places("(call $defer)"),
        &format!("(component {})", module.repeat(3)),
    );
    let error = Module::new(component).check().unwrap_err();
    assert!(matches!(error, CheckError::TooManyDeclarations(21_001..)), "{error}");
}

/// Text goes from one component to another by a function of the runtime, which knows neither fuel nor time.
#[test]
fn what_is_composed_of_components_is_refused() {
    let guest = Guest::places("(call $defer)");
    let speaks = inside(&guest, SPEAKS);
    assert_eq!(Module::new(speaks).check().unwrap_err(), CheckError::Composed);
    let many_times = "(component (core module $m) (core instance (instantiate $m)))";
    assert_eq!(
        Module::new(inside(&guest, many_times)).check().unwrap_err(),
        CheckError::Composed
    );
    let in_between = "(component (component $nothing) (instance (instantiate $nothing)))";
    assert_eq!(
        Module::new(inside(&guest, in_between)).check().unwrap_err(),
        CheckError::Composed
    );
}

/// A component in which one says 58 MB of text to another, in another encoding, as it starts.
const SPEAKS: &str = r#"(component
  (component $hears
    (core module $m
      (memory (export "memory") 1000)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
      (func (export "hear") (param i32 i32)))
    (core instance $m (instantiate $m))
    (func (export "hear") (param "text" string)
      (canon lift (core func $m "hear") (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
  (component $says
    (import "hear" (func $hear (param "text" string)))
    (core module $memory (memory (export "memory") 900))
    (core instance $memory (instantiate $memory))
    (core func $say (canon lower (func $hear) (memory (core memory $memory "memory")) string-encoding=utf16))
    (core module $m
      (import "" "say" (func $say (param i32 i32)))
      (func $begin (loop $more (call $say (i32.const 0) (i32.const 29000000)) (br $more)))
      (start $begin))
    (core instance (instantiate $m (with "" (instance (export "say" (func $say)))))))
  (instance $hears (instantiate $hears))
  (instance (instantiate $says (with "hear" (func $hears "hear")))))"#;

/// A guest as a component, with another component inside that is instantiated after it.
fn inside(guest: &Guest, component: &str) -> Vec<u8> {
    let mut bytes = encoded(guest);
    let payloads = wasmparser::Parser::new(0).parse_all(&bytes).map(Result::unwrap);
    // None of them has another one inside.
    let before = payloads.filter(|payload| matches!(payload, wasmparser::Payload::ComponentSection { .. }));
    let number = u8::try_from(before.count()).unwrap();
    let component = wat::parse_str(component).unwrap();
    bytes.push(4);
    bytes.extend(leb(component.len()));
    bytes.extend(component);
    // One instance, of that component, without arguments.
    bytes.extend([5, 4, 1, 0, number, 0]);
    bytes
}

fn leb(number: usize) -> [u8; 4] {
    let part = |shift: usize| u8::try_from((number >> shift) & 0x7f).unwrap();
    [part(0) | 0x80, part(7) | 0x80, part(14) | 0x80, part(21)]
}

fn encoded(guest: &Guest) -> Vec<u8> {
    let encoder = ComponentEncoder::default().module(&guest.build()).unwrap();
    encoder.validate(true).encode().unwrap()
}

#[test]
fn settings_are_refused_in_the_policys_words() {
    let picky = Guest {
        // Takes only `{}`.
        configure: "(if (i32.ne (local.get 1) (i32.const 2)) (then (return (call $error)))) (call $ok)".into(),
        ..Guest::places("(call $defer)")
    }
    .build();
    check(
        &picky,
        Some("spare = 1"),
        "configure",
        "the settings were refused: oh no",
    );
    check(&picky, Some("spare ="), "settings", "not TOML");
    let deep = format!("a{} = 1", ".a".repeat(70));
    check(
        &picky,
        Some(&deep),
        "settings",
        "more than 64 tables and lists in each other",
    );
    check(
        &picky,
        Some("on_fault = \"panic\""),
        "settings",
        "`on_fault` is \"next\" or \"wait\"",
    );
    // The host's own key never reaches the policy.
    let mut stage = Stage::serving(&[("a.toml", b"on_fault = \"wait\""), ("a.wasm", &picky)]);
    assert_eq!(stage.policies.status()[0].serving.clone().unwrap().on_fault, "wait");
    assert_eq!(&*stage.ask(0, "room").unwrap().policy.name, "a");
    stage.stop();
}

#[test]
fn a_trial_decision_that_fails_is_the_last_gate() {
    check(&Guest::places("unreachable").build(), None, "trial", "`place` failed");
    check(
        &Guest::places("(loop $for_ever (br $for_ever)) (call $defer)").build(),
        None,
        "trial",
        "used up its fuel",
    );
    let scales = |body: &str| {
        Guest {
            scale_up: Some(body.into()),
            ..Guest::new()
        }
        .build()
    };
    check(&scales("(call $error)"), None, "trial", "`scale_up` failed: oh no");
    check(&scales("(call $rows (i32.const 1001))"), None, "trial", "at most 1000");
}

#[test]
fn a_first_answer_that_names_what_nobody_has_told_it_of_is_nonsense() {
    let known = "none of the 60 servers of its view has this id";
    check(
        &Guest::places("(call $on (i32.const -1))").build(),
        None,
        "trial",
        &format!("it names server 4294967295, but {known}"),
    );
    let wait_for = "(call $placement (i32.const 1) (i32.const 0)) drop
        (i32.store8 (i32.const 1032) (i32.const 1)) (call $store (i32.const 1036) (i32.const 9)) (i32.const 1024)";
    let no_pool = "it names pool 9, but none of the 1 pools of its view has this id";
    check(&Guest::places(wait_for).build(), None, "trial", no_pool);
    let up = |body: &str| Guest {
        scale_up: Some(body.into()),
        ..Guest::new()
    };
    let down = |body: &str| Guest {
        scale_down: Some(body.into()),
        ..Guest::new()
    };
    check(
        &up("(call $growth (i32.const 9) (i32.const 1))").build(),
        None,
        "trial",
        no_pool,
    );
    check(&down("(call $keep_all (i32.const 9))").build(), None, "trial", no_pool);
    check(
        &down("(call $retire (i32.const 1) (i32.const 61))").build(),
        None,
        "trial",
        &format!("it names server 61, but {known}"),
    );
}

#[test]
fn a_policy_that_does_not_take_the_view_is_refused() {
    let mut stage = Stage::new(&[]);
    *stage.host.world.lock().unwrap() = super::rows::World::with([super::rows::pool(1)]);
    let broken = ["(call $error)"; 3].map(String::from);
    stage.rename_in(
        "a.wasm",
        &Guest {
            view: Some(broken),
            ..Guest::places("(call $defer)")
        }
        .build(),
    );
    assert_eq!(
        stage.refused(),
        ("view".into(), "it failed while it was told of the fleet: oh no".into())
    );
    assert_eq!(&*stage.ask(0, "room").unwrap().policy.name, "last");
    stage.stop();
}

#[test]
fn a_ready_component_is_taken_as_it_is() {
    let component = encoded(&Guest::places("(call $on (i32.const 4))"));
    let mut stage = Stage::serving(&[("a.wasm", &component)]);
    assert_eq!(stage.decide("room").0, "a");
    stage.stop();
}
