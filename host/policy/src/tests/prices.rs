//! What a unit of fuel takes, by the instruction: `cargo test -p usher-policy prices -- --nocapture` prints the table that
//! `wasm/limits.rs` cites.
//!
//! Each guest here does one thing until its fuel is used up. The machine code is the same in every profile.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use usher_fleet::advice::FaultKind;

use super::guests::Guest;
use crate::made_up::MadeUpFleet;
use crate::rehearsal::{Asked, Rehearsal, Rehearsed};

/// The fuel of a placement in a small fleet.
const FUEL: u64 = 1_000_000;
/// What a million units may take, of what stays in the processor's caches: the time that they have at most.
const MILLION_MAX: Duration = Duration::from_millis(10);
/// The best of so many runs counts.
const RUNS: usize = 9;
/// What a megabyte's answer may take: to look at each of its characters takes several times as long.
const MEGABYTE_MAX: Duration = Duration::from_millis(4);
/// The longest that a call may take by the clock whose fuel would last for half a second: several times what is stated, for a
/// machine that runs all tests at once.
const STALL_MAX: Duration = Duration::from_millis(200);

/// A guest whose `place` does something for ever.
fn forever(locals: &str, body: &str) -> Guest {
    Guest::places(&format!("{locals} (loop $for_ever {body} (br $for_ever)) unreachable"))
}

/// A guest whose `place` applies instructions to one value, again and again.
fn applies(kind: &str, first: &str, instructions: &str) -> Guest {
    let body = instructions.repeat(64);
    forever(
        &format!("(local $x {kind}) (local.set $x ({kind}.const {first}))"),
        &format!("(local.get $x) {body} (local.set $x)"),
    )
}

/// A guest whose `place` does this again and again; `$n` is a local of no known value, and 0.
fn repeats(instructions: &str) -> Guest {
    forever("(local $n i32)", &instructions.repeat(16))
}

fn with(guest: Guest, more: &str) -> Guest {
    Guest {
        more: more.into(),
        ..guest
    }
}

/// What can be done at the least price, as far as it stays in the caches.
fn cheap() -> Vec<(&'static str, Guest)> {
    let denormal = |op: &str| applies("f64", "1e-310", &format!("(f64.const 1.0000001) ({op})"));
    let v128 = |ops: &str| applies("v128", "i64x2 0x7fefffffffffffff 3", ops);
    let table = "(table $t 1000 funcref) (elem $e func $ok) (data $d \"abc\")";
    let log = |call: &str| Guest {
        imports: r#"(import "usher:policy/host@0.1.0" "log" (func $log (param i32 i32 i32)))
            (import "usher:policy/local-time@0.1.0" "at" (func $at (param i32 i32 i32 i32)))"#
            .into(),
        ..repeats(call)
    };
    vec![
        ("an empty loop", forever("", "")),
        ("i64.mul", applies("i64", "3", "(local.get $x) (i64.mul)")),
        (
            "i64.div_u",
            applies("i64", "-1", "(i64.const 3) (local.get $x) (i64.or) (i64.div_u)"),
        ),
        ("f64.mul of subnormals", denormal("f64.mul")),
        ("f64.add of subnormals", denormal("f64.add")),
        ("f64.sqrt", applies("f64", "1e300", "(f64.sqrt)")),
        ("f64.floor", applies("f64", "1e10", "(f64.floor)")),
        ("f64.min", applies("f64", "1e10", "(f64.const 7) (f64.min)")),
        (
            "f64 to f32 and back",
            applies("f64", "1e10", "(f32.demote_f64) (f64.promote_f32)"),
        ),
        (
            "f64 to i64 and back",
            applies("f64", "1e10", "(i64.trunc_f64_u) (f64.convert_i64_u)"),
        ),
        ("i64x2.mul", v128("(local.get $x) (i64x2.mul)")),
        ("i8x16.popcnt", v128("(i8x16.popcnt)")),
        (
            "i8x16.shuffle",
            v128("(local.get $x) (i8x16.shuffle 1 17 3 19 5 21 7 23 9 25 11 27 13 29 15 31)"),
        ),
        ("f64x2 to u32x4", v128("(i32x4.trunc_sat_f64x2_u_zero)")),
        (
            "f32x4 to u32x4 and back",
            v128("(i32x4.trunc_sat_f32x4_u) (f32x4.convert_i32x4_u)"),
        ),
        ("f32x4.min", v128("(local.get $x) (f32x4.min)")),
        (
            "i32.load of one place",
            applies("i32", "0", "(i32.const 4095) (i32.and) (i32.load)"),
        ),
        (
            "a store, and a load across it",
            repeats("(i64.store (i32.const 4093) (i64.load (i32.const 4092)))"),
        ),
        (
            "memory.copy of nothing",
            repeats("(memory.copy (i32.const 64) (i32.const 0) (local.get $n))"),
        ),
        (
            "memory.fill of nothing",
            repeats("(memory.fill (i32.const 900000) (i32.const 0) (local.get $n))"),
        ),
        (
            "memory.copy of 64 KiB",
            repeats("(memory.copy (i32.const 65536) (i32.const 3) (i32.const 65536))"),
        ),
        (
            "memory.fill of 64 KiB",
            repeats("(memory.fill (i32.const 65536) (i32.const 3) (i32.const 65536))"),
        ),
        ("memory.grow by nothing", repeats("(drop (memory.grow (local.get $n)))")),
        ("memory.grow by a page", repeats("(drop (memory.grow (i32.const 1)))")),
        (
            "memory.init of nothing",
            with(
                repeats("(memory.init $d (i32.const 0) (i32.const 0) (local.get $n))"),
                table,
            ),
        ),
        ("data.drop", with(repeats("(data.drop $d)"), table)),
        ("ref.func", with(repeats("(drop (ref.func $ok))"), table)),
        (
            "table.get",
            with(repeats("(drop (table.get $t (local.get $n)))"), table),
        ),
        (
            "table.grow by nothing",
            with(repeats("(drop (table.grow $t (ref.null func) (local.get $n)))"), table),
        ),
        (
            "table.fill",
            with(
                repeats("(table.fill $t (i32.const 0) (ref.null func) (i32.const 1000))"),
                table,
            ),
        ),
        (
            "table.copy",
            with(
                repeats("(table.copy $t $t (i32.const 0) (i32.const 500) (i32.const 500))"),
                table,
            ),
        ),
        (
            "table.init of nothing",
            with(
                repeats("(table.init $t $e (i32.const 0) (i32.const 0) (local.get $n))"),
                table,
            ),
        ),
        ("elem.drop", with(repeats("(elem.drop $e)"), table)),
        ("call", with(repeats("(call $f)"), "(func $f)")),
        (
            "call_indirect",
            with(
                repeats("(call_indirect (local.get $n))"),
                "(func $f) (table funcref (elem $f))",
            ),
        ),
        (
            "return_call",
            with(Guest::places("(call $f) unreachable"), "(func $f (return_call $f))"),
        ),
        (
            "a log line",
            log("(call $log (i32.const 2) (i32.const 65536) (i32.const 1))"),
        ),
        (
            "a log line of 4 KiB",
            log("(call $log (i32.const 2) (i32.const 65536) (i32.const 4096))"),
        ),
        (
            "a civil time",
            log("(call $at (i32.const -5) (i32.const 31) (i32.const 13) (i32.const 3000))"),
        ),
        (
            "a zone that is none",
            log("(call $at (i32.const 5) (i32.const 31) (i32.const 12) (i32.const 3000))"),
        ),
    ]
}

/// A guest whose answer has a reason of a megabyte, all of it line ends.
fn talks() -> Guest {
    Guest {
        configure: "(memory.fill (i32.const 65536) (i32.const 10) (i32.const 1048576)) (call $ok)".into(),
        ..Guest::places(
            "(drop (call $defer)) (call $store (i32.const 1044) (i32.const 1))
             (call $store (i32.const 1048) (i32.const 65536)) (call $store (i32.const 1052) (i32.const 1048576))
             (i32.const 1024)",
        )
    }
}

/// A guest that has taken 112 MiB and filled them with a chain of addresses in no order; `place` follows it.
fn misses() -> Guest {
    let slots = 1 << 20;
    let address = |slot: &str| format!("(i32.add (i32.mul {slot} (i32.const 112)) (i32.const 4194304))");
    let (this, next) = (address("(local.get $slot)"), address("(local.get $next)"));
    let fill = format!(
        "(local $slot i32) (local $next i32)
         (drop (memory.grow (i32.const 1900)))
         (loop $more
           (local.set $next (i32.and (i32.const {mask}) (i32.add (i32.const 1013904223)
             (i32.mul (local.get $slot) (i32.const 1664525)))))
           (i32.store {this} {next})
           (local.set $slot (i32.add (local.get $slot) (i32.const 1)))
           (br_if $more (i32.lt_u (local.get $slot) (i32.const {slots}))))
         (call $ok)",
        mask = slots - 1
    );
    Guest {
        configure: fill,
        ..applies("i32", "4194304", "(i32.load)")
    }
}

/// A guest that has memory and touches it for the first time in `place`.
fn touches() -> Guest {
    Guest {
        configure: "(drop (memory.grow (i32.const 1900))) (call $ok)".into(),
        ..forever(
            "(local $x i32)",
            "(i32.store8 (local.get $x) (i32.const 1))
             (local.set $x (i32.rem_u (i32.add (local.get $x) (i32.const 4096)) (i32.const 128000000)))",
        )
    }
}

fn prepared(guest: &Guest) -> Rehearsed {
    Rehearsed::prepare("guest.wasm", guest.build(), None).unwrap()
}

fn place(rehearsal: &mut Rehearsal) -> Asked<usher_fleet::advice::PlaceAdvice> {
    let fleet = MadeUpFleet::new(1);
    rehearsal.place(&fleet.snapshot(), &fleet.room(1).ask(fleet.now()))
}

#[test]
fn a_function_that_could_not_be_stopped_is_refused() {
    let long = |loads: usize| {
        with(
            Guest::places("(call $defer)"),
            &format!("(func $long (i32.const 0) {} (drop))", "(i32.load)".repeat(loads)),
        )
    };
    assert!(Rehearsed::prepare("a.wasm", long(40_000).build(), None).is_ok());
    let error = Rehearsed::prepare("a.wasm", long(50_000).build(), None).unwrap_err();
    assert_eq!(error.step(), "check");
    assert!(
        error.to_string().contains("one of its functions has 150005 bytes"),
        "{error}"
    );
}

/// How long this thread has had a processor: what others have meanwhile is no instruction's price.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

#[test]
#[expect(clippy::print_stdout, reason = "a table for whoever asks for it")]
fn no_instruction_is_far_cheaper_than_the_time_it_takes() {
    for (what, guest) in cheap() {
        let guest = prepared(&guest);
        // A run that a busy machine lets end by its time says nothing; if all do, the instruction is too cheap.
        let runs = (0..RUNS).filter_map(|_| {
            let mut rehearsal = guest.start().unwrap();
            let before = processor_time();
            let asked = place(&mut rehearsal);
            let took = processor_time().saturating_sub(before);
            let fault = asked.advice.unwrap_err();
            assert_eq!(fault.kind, FaultKind::OutOfFuel, "{what}: {}", fault.message);
            (asked.fuel >= FUEL).then_some(took)
        });
        let took = runs.min().unwrap_or(Duration::MAX);
        println!("{what:32} {:6.2} ms per million", took.as_secs_f64() * 1e3);
        assert!(took < MILLION_MAX, "{what}: {took:?} for a million units");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a figure for whoever asks for it")]
fn an_answer_of_a_megabyte_costs_no_more_than_its_copy() {
    let guest = prepared(&talks());
    let runs = (0..RUNS).map(|_| {
        let asked = place(&mut guest.start().unwrap());
        assert!(asked.advice.unwrap().reason.unwrap().len() < 1_000);
        asked.took
    });
    let took = runs.min().unwrap();
    println!("{:32} {took:?}", "an answer of a megabyte");
    assert!(took < MEGABYTE_MAX, "{took:?}");
}

#[test]
#[expect(clippy::print_stdout, reason = "a figure for whoever asks for it")]
fn what_no_price_can_bound_is_bounded_by_its_time() {
    for (what, guest, ends_by) in [
        ("loads that miss every cache", misses(), "used up its time of 10 ms"),
        // They are over when all is touched; which comes first is the machine's affair.
        ("first touches", touches(), "used up its "),
    ] {
        let guest = prepared(&guest);
        let runs = (0..RUNS).map(|_| {
            let asked = place(&mut guest.start().unwrap());
            let message = asked.advice.unwrap_err().message;
            assert!(message.contains(ends_by), "{what}: {message}");
            asked.took
        });
        let took = runs.min().unwrap();
        println!("{what:32} end after {took:?}");
        assert!(took < STALL_MAX, "{what}: {took:?}");
    }
}
