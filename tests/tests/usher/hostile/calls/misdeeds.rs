//! Policies that do well in their trial, and then do not.

use super::super::guests::{Guest, REALLOC};
use super::super::{LOOP, with, with_imports};

/// A policy, the decision in which it faults, the kind, and what is said.
pub(super) struct Faulty {
    pub(super) name: &'static str,
    pub(super) guest: Guest,
    pub(super) step: &'static str,
    pub(super) words: &'static str,
}

fn faulty(name: &'static str, guest: Guest, step: &'static str, words: &'static str) -> Faulty {
    Faulty {
        name,
        guest,
        step,
        words,
    }
}

/// A guest whose `place` does this in every call but the trial, whose room has 11 letters.
fn places(body: &str) -> Guest {
    let body = format!("(if (i32.ne (local.get 4) (i32.const 11)) (then {body})) (call $defer)");
    with_imports(Guest::places(&body))
}

/// A guest whose answer to a room is this after all, with its address left behind.
fn answers(body: &str) -> Guest {
    places(&format!(
        "{body} (global.set $bump (i32.const 65536)) (return (i32.const 1024))"
    ))
}

/// A reason of so many bytes at an address.
fn reason(at: u32, bytes: u32) -> String {
    format!(
        "(drop (call $defer)) (call $store (i32.const 1044) (i32.const 1))
         (call $store (i32.const 1048) (i32.const {at})) (call $store (i32.const 1052) (i32.const {bytes}))"
    )
}

/// A guest that allocates for the host like this from the first question on.
fn allocates(body: &str) -> Guest {
    Guest {
        realloc: format!("(if (global.get $is_asked) (then {body})) {REALLOC}"),
        more: "(global $is_asked (mut i32) (i32.const 0))".into(),
        ..Guest::places("(global.set $is_asked (i32.const 1)) (call $defer)")
    }
}

/// A guest that does this when it is told of changes; the whole view comes in three calls at most.
fn looks(which: usize, body: &str) -> Guest {
    let count = "(global.set $told (i32.add (global.get $told) (i32.const 1)))";
    let mut bodies = [(); 3].map(|()| format!("{count} (call $ok)"));
    bodies[which] = format!("{count} (if (i32.gt_u (global.get $told) (i32.const 3)) (then {body})) (call $ok)");
    Guest {
        view: Some(bodies),
        more: "(global $told (mut i32) (i32.const 0))".into(),
        ..Guest::places("(call $defer)")
    }
}

/// A guest that does this when a question comes with a change.
fn listens(body: &str) -> Guest {
    let place = format!("(if (local.get 2) (then {body})) (call $defer)");
    Guest {
        place: Some(place),
        ..looks(0, "")
    }
}

/// A guest whose `scale-up` does this in every call but the trial, whose decision is 0.
fn up(body: &str) -> Guest {
    Guest {
        scale_up: Some(format!("(if (local.get 1) (then {body})) (call $rows (i32.const 0))")),
        ..Guest::new()
    }
}

fn down(body: &str) -> Guest {
    Guest {
        scale_down: Some(format!("(if (local.get 1) (then {body})) (call $rows (i32.const 0))")),
        ..Guest::new()
    }
}

/// A guest that does this when it is told of usages by themselves: where servers are asked for, as rooms bring theirs along.
fn watches(body: &str) -> Guest {
    Guest {
        place: None,
        scale_up: Some("(call $rows (i32.const 0))".into()),
        ..looks(1, body)
    }
}

/// Misdeeds where a room is to be placed.
pub(super) fn placing() -> Vec<Faulty> {
    let take_all = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))";
    let one = |name, guest, words| faulty(name, guest, "place", words);
    vec![
        one("loops", places(LOOP), "out_of_fuel: used up its fuel of"),
        one("traps", places("unreachable"), "trap: wasm `unreachable`"),
        one("recurses", with(places("(call $deeper)"), "(func $deeper (call $deeper) (call $deeper))"), "trap: call stack exhausted"),
        one("divides-by-zero", places("(drop (i32.rem_s (i32.const 1) (i32.const 0)))"), "trap: integer divide by zero"),
        one("reads-elsewhere", places("(drop (i32.load (i32.const -4)))"), "trap: out of bounds memory access"),
        one("errs", places("(return (call $error))"), "error: oh no"),
        one(
            "errs-at-length",
            answers(
                "(memory.fill (i32.const 65536) (i32.const 97) (i32.const 2000)) (call $store (i32.const 1024) (i32.const 1))
                 (call $store (i32.const 1028) (i32.const 65536)) (call $store (i32.const 1032) (i32.const 1000000))",
            ),
            "error: aaaaaaaa",
        ),
        one("takes-all-memory", places(&format!("{take_all} unreachable")), "it wanted more memory than its 128 MiB"),
        one(
            "takes-all-tables",
            with(
                places("(loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 64)) (i32.const -1)))) unreachable"),
                "(table $t 0 funcref)",
            ),
            "trap: wasm `unreachable`",
        ),
        one(
            "misses-every-cache",
            with(places("(call $miss)"), MISSES),
            "out_of_fuel: used up its time of",
        ),
        one("answers-nowhere", places("(return (i32.const -4))"), "bad_answer: pointer"),
        one("answers-oddly", places("(return (i32.const 1025))"), "bad_answer: return pointer not aligned"),
        one("bad-case", answers("(drop (call $defer)) (call $store (i32.const 1028) (i32.const 9))"), "bad_answer: unexpected discriminant"),
        one("bad-option", answers("(drop (call $defer)) (call $store (i32.const 1044) (i32.const 7))"), "bad_answer: invalid option discriminant"),
        one("reason-of-100-mb", answers(&reason(16, 100_000_000)), "bad_answer: string pointer/length out of bounds"),
        one("reason-of-100-mb-of-its-own", answers(&format!("{take_all} {}", reason(16, 100_000_000))), "bad_answer: too much data"),
        one("reason-no-utf8", answers(&format!("(call $store (i32.const 65536) (i32.const -1)) {}", reason(65536, 4))), "bad_answer: invalid utf-8"),
        one("logs-a-megabyte", places("(call $log (i32.const 3) (i32.const 65536) (i32.const 1000000))"), "trap: a log message of 1000000 bytes; at most 4096"),
        one("logs-for-ever", places("(loop $l (call $log (i32.const 0) (i32.const 16) (i32.const 5)) (br $l))"), "out_of_fuel: used up its fuel"),
        one("logs-elsewhere", places("(call $log (i32.const 1) (i32.const -4) (i32.const 100))"), "out of bounds"),
        one("logs-at-no-level", places("(call $log (i32.const 77) (i32.const 16) (i32.const 5))"), "unexpected discriminant"),
        one("zone-of-a-megabyte", places("(call $at (i32.const 0) (i32.const 65536) (i32.const 1000000) (i32.const 3000))"), "trap: a time zone's name of 1000000 bytes"),
        one("time-for-ever", places("(loop $l (call $at (i32.const -1) (i32.const 31) (i32.const 13) (i32.const 3000)) (br $l))"), "out_of_fuel: used up its fuel"),
        one("realloc-loops", allocates(LOOP), "out_of_fuel: used up its fuel"),
        one("realloc-traps", allocates("unreachable"), "trap: wasm `unreachable`"),
        one("realloc-nowhere", allocates("(return (i32.const -16))"), "realloc return: beyond end of memory"),
        one("realloc-odd", allocates("(return (i32.const 65537))"), "realloc return: result not aligned"),
        one(
            "cleans-up-for-ever",
            with(
                Guest::places("(global.set $asked (i32.add (global.get $asked) (i32.const 1))) (call $defer)"),
                "(global $asked (mut i32) (i32.const 0))
                 (func (export \"cabi_post_usher:policy/place@0.1.0#place\") (param i32)
                   (if (i32.gt_u (global.get $asked) (i32.const 1)) (then (loop $l (br $l)))))",
            ),
            "out_of_fuel: used up its fuel",
        ),
        one("update-loops", looks(0, LOOP), "out_of_fuel: used up its fuel"),
        one("usages-loop", listens(LOOP), "out_of_fuel: used up its fuel"),
        one("figures-loop", looks(2, LOOP), "out_of_fuel: used up its fuel"),
        one("usages-trap", listens("unreachable"), "trap: wasm `unreachable`"),
        one("figures-err", looks(2, "(return (call $error))"), "error: oh no"),
    ]
}

/// Misdeeds where servers are to be launched or retired.
pub(super) fn scaling() -> Vec<Faulty> {
    vec![
        // Of scale-down one alone: its fault keeps all servers, and nobody after it is asked.
        faulty("down-loops", down(LOOP), "scale_down", "out_of_fuel: used up its fuel"),
        faulty("up-loops", up(LOOP), "scale_up", "out_of_fuel: used up its fuel"),
        faulty(
            "up-usages-loop",
            watches(LOOP),
            "scale_up",
            "out_of_fuel: used up its fuel",
        ),
        faulty("up-traps", up("unreachable"), "scale_up", "trap: wasm `unreachable`"),
        faulty(
            "up-1001-rows",
            up("(return (call $rows (i32.const 1001)))"),
            "scale_up",
            "bad_answer: an answer of 1001 rows",
        ),
        faulty(
            "up-65000-rows",
            up("(return (call $rows (i32.const 65000)))"),
            "scale_up",
            "bad_answer: too much data",
        ),
        faulty(
            "up-a-million-rows",
            up("(return (call $rows (i32.const 1000000)))"),
            "scale_up",
            "bad_answer: list pointer/length out of bounds",
        ),
    ]
}

/// Functions that fill 28 MiB with addresses in no order, and then follow them for ever.
const MISSES: &str = "
    (func $address (param $slot i32) (result i32)
      (i32.add (i32.mul (local.get $slot) (i32.const 112)) (i32.const 4194304)))
    (func $prepare (local $slot i32) (local $next i32)
      (drop (memory.grow (i32.const 500)))
      (loop $more
        (local.set $next (i32.add (i32.mul (local.get $slot) (i32.const 1664525)) (i32.const 1013904223)))
        (local.set $next (i32.and (local.get $next) (i32.const 0x3ffff)))
        (i32.store (call $address (local.get $slot)) (call $address (local.get $next)))
        (local.set $slot (i32.add (local.get $slot) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $slot) (i32.const 0x40000)))))
    (func $miss (local $at i32)
      (local.set $at (i32.const 4194304))
      (loop $for_ever
        (local.set $at (i32.load (i32.load (i32.load (i32.load (local.get $at))))))
        (br $for_ever)))
    (start $prepare)";

/// Guests that mean no harm: one lets all that it is told lie at one address, one uses nearly all of its fuel for each room.
pub(super) fn odd() -> [(&'static str, Guest); 2] {
    let works = places(
        "(local.set 0 (i32.const 150000)) (loop $more (br_if $more (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))",
    );
    [
        ("realloc-overlaps", allocates("(return (i32.const 2048))")),
        ("works-hard", works),
    ]
}
