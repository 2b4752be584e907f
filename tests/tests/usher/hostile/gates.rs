//! Misdeeds on the way from the file to the first decision: each is refused at its step, in words for its author.

use super::crowd::{Crowd, usual};
use super::guests::{Guest, REALLOC};
use super::{LOOP, set_loose, shown, with};
use crate::patience::{eventually, seconds};
use crate::policies::{POOL, drop_in, started};
use crate::site::Site;
use crate::sse::all_events;

/// A policy, the step at which it is stopped, and what is said.
struct Stopped {
    name: &'static str,
    guest: Guest,
    step: &'static str,
    words: &'static str,
}

fn stopped(name: &'static str, guest: Guest, step: &'static str, words: &'static str) -> Stopped {
    Stopped {
        name,
        guest,
        step,
        words,
    }
}

fn defers() -> Guest {
    Guest::places("(call $defer)")
}

fn describes(body: &str) -> Guest {
    Guest {
        describe: body.into(),
        ..defers()
    }
}

fn configures(body: &str) -> Guest {
    Guest {
        configure: body.into(),
        ..defers()
    }
}

fn allocates(body: &str) -> Guest {
    Guest {
        realloc: body.into(),
        ..defers()
    }
}

/// A guest whose `update`, `usages` and `figures` do this.
fn looks(bodies: [&str; 3]) -> Guest {
    Guest {
        view: Some(bodies.map(Into::into)),
        ..defers()
    }
}

/// Fills the answer of `describe`: a text at an address for its version, and so many figures.
fn description(version: &str, figures: u32) -> String {
    format!(
        "(drop (call $description)) {version}
         (call $store (i32.const 1056) (i32.const {figures})) (i32.const 1024)"
    )
}

fn all() -> Vec<Stopped> {
    let fuel = "used up its fuel of";
    let text = |at: u32, bytes: u32| {
        format!("(call $store (i32.const 1036) (i32.const {at})) (call $store (i32.const 1040) (i32.const {bytes}))")
    };
    let begins = |body: &str| with(defers(), &format!("(func $begin {body}) (start $begin)"));
    let memories = "(memory 1) ".repeat(20);
    let long_error = "(call $store (i32.const 1024) (i32.const 1)) (call $store (i32.const 1028) (i32.const 65536))
        (call $store (i32.const 1032) (i32.const 1000000)) (memory.fill (i32.const 65536) (i32.const 97) (i32.const 1000000))
        (i32.const 1024)";
    let up = |body: &str| Guest {
        scale_up: Some(body.into()),
        ..Guest::new()
    };
    let down = |body: &str| Guest {
        scale_down: Some(body.into()),
        ..Guest::new()
    };
    let fine = "(call $ok)";
    vec![
        stopped("start-loops", begins("(loop $l (br $l))"), "start", fuel),
        stopped("start-traps", begins("unreachable"), "start", "unreachable"),
        stopped(
            "start-recurses",
            with(defers(), "(func $begin (call $begin)) (start $begin)"),
            "start",
            "call stack exhausted",
        ),
        stopped(
            "start-takes-all-memory",
            begins("(loop $l (br_if $l (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable"),
            "start",
            "it wanted more memory than its 128 MiB",
        ),
        stopped("memory-bomb", with(defers(), "(memory $bomb 65536)"), "start", "memory"),
        stopped("twenty-memories", with(defers(), &memories), "start", "memory"),
        stopped(
            "table-bomb",
            with(defers(), "(table 10000000 funcref)"),
            "start",
            "table",
        ),
        stopped(
            "forty-tables",
            with(defers(), &"(table 1 funcref) ".repeat(40)),
            "start",
            "table",
        ),
        stopped("describe-loops", describes(LOOP), "describe", fuel),
        stopped("describe-traps", describes("unreachable"), "describe", "unreachable"),
        stopped(
            "describe-errs-at-length",
            describes(long_error),
            "describe",
            "aaaaaaaa…",
        ),
        stopped(
            "describe-at-length",
            describes(&description(&text(65536, 2_000), 1)),
            "describe",
            "a text is longer than 1024 bytes",
        ),
        stopped(
            "describe-100-mb",
            describes(&description(&text(16, 100_000_000), 1)),
            "describe",
            "out of bounds",
        ),
        stopped(
            "describe-no-utf8",
            describes(&description(
                &format!("{} (call $store (i32.const 65536) (i32.const -1))", text(65536, 4)),
                1,
            )),
            "describe",
            "utf-8",
        ),
        stopped(
            "describe-figures",
            describes(&description("", 100)),
            "describe",
            "more than 64 figures",
        ),
        stopped(
            "describe-bad-result",
            describes("(drop (call $description)) (call $store (i32.const 1024) (i32.const 7)) (i32.const 1024)"),
            "describe",
            "invalid expected discriminant",
        ),
        stopped("describe-nowhere", describes("(i32.const -4)"), "describe", "pointer"),
        stopped("configure-loops", configures(LOOP), "configure", fuel),
        stopped(
            "configure-traps",
            configures("(drop (i32.div_u (i32.const 1) (i32.const 0))) unreachable"),
            "configure",
            "divide by zero",
        ),
        stopped(
            "configure-errs-at-length",
            configures(long_error),
            "configure",
            "aaaaaaaa…",
        ),
        stopped("realloc-loops", allocates(LOOP), "configure", fuel),
        stopped("realloc-traps", allocates("unreachable"), "configure", "unreachable"),
        stopped(
            "realloc-nowhere",
            allocates("(i32.const -16)"),
            "configure",
            "realloc return",
        ),
        stopped(
            "realloc-odd",
            Guest {
                realloc: format!("{REALLOC} (i32.const 1) i32.or"),
                ..looks([fine; 3])
            },
            "view",
            "realloc return: result not aligned",
        ),
        stopped("update-loops", looks([LOOP, fine, fine]), "view", fuel),
        stopped("usages-trap", looks([fine, "unreachable", fine]), "view", "unreachable"),
        stopped("update-errs", looks(["(call $error)", fine, fine]), "view", "oh no"),
        stopped("place-loops", Guest::places(LOOP), "trial", fuel),
        stopped(
            "place-on-nobody",
            Guest::places("(call $on (i32.const -5))"),
            "trial",
            "it names server 4294967291",
        ),
        stopped(
            "place-bad-case",
            Guest::places("(call $placement (i32.const 9) (i32.const 0))"),
            "trial",
            "unexpected discriminant",
        ),
        stopped(
            "up-1001-rows",
            up("(call $rows (i32.const 1001))"),
            "trial",
            "an answer of 1001 rows",
        ),
        stopped(
            "up-a-million-rows",
            up("(call $rows (i32.const 1000000))"),
            "trial",
            "pointer",
        ),
        stopped(
            "up-odd-list",
            up("(drop (call $rows (i32.const 1))) (call $store (i32.const 1028) (i32.const 4097)) (i32.const 1024)"),
            "trial",
            "not aligned",
        ),
        stopped("down-traps", down("unreachable"), "trial", "unreachable"),
        stopped(
            "down-elsewhere",
            down("(call $retire (i32.const 77) (i32.const 1))"),
            "trial",
            "it names pool 77",
        ),
        stopped(
            "globals-without-end",
            with(defers(), &"(global i64 (i64.const 0))".repeat(100_000)),
            "check",
            "globals, imports, exports, segments and elements of them; at most 20000",
        ),
        stopped(
            "without-a-break",
            with(
                defers(),
                &format!("(func (i32.const 0) {} drop)", "i32.load ".repeat(50_000)),
            ),
            "check",
            "one of its functions has 150005 bytes",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_means_harm_before_its_first_decision_is_refused_in_its_own_words_and_no_room_waits_for_it() {
    let site = Site::new(POOL);
    let (host, client) = started(&site).await;
    let usual = usual(&client).await;
    let memory_kib = host.memory_kib();

    let crowd = Crowd::begin(&client);
    let stopped = all();
    for one in &stopped {
        drop_in(&site, &format!("{}.wasm", one.name), &one.guest.build());
    }
    set_loose(&site, "misdeed-nobody-knows", "nonsense");
    let policies = eventually("each is decided upon", seconds(60), async || {
        let policies = shown(&client).await;
        let is_refused = |policy: &&serde_json::Value| policy["wanted"]["state"] == "refused";
        (policies.iter().filter(is_refused).count() == stopped.len() + 1).then_some(policies)
    })
    .await;
    crowd.end().await.are_like(&usual);

    let events = all_events(&client).await;
    for Stopped { name, step, words, .. } in &stopped {
        let policy = policies.iter().find(|policy| policy["name"] == *name).unwrap();
        let problem = policy["problem"].as_str().unwrap();
        assert_eq!(policy["wanted"]["step"], *step, "{name}: {problem}");
        assert!(problem.contains(words), "{name}: {problem}");
        assert!(problem.len() < 1_000, "{name} says {} bytes", problem.len());
        let told = events
            .iter()
            .find(|event| event.kind == "policy.refused" && event.data["policy"] == *name);
        let told = &told.unwrap_or_else(|| panic!("nobody was told of {name}")).data;
        assert_eq!(
            (&told["step"], told["reason"].as_str()),
            (&(*step).into(), Some(problem))
        );
    }
    let grown = host.memory_kib().saturating_sub(memory_kib);
    assert!(grown < 64 << 10, "the host has grown by {grown} KiB");
}
