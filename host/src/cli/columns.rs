//! Which columns each list shows, and how a value from the API reads.

use serde_json::Value;

use super::table::Column;

/// What stands where the API has nothing.
const NOTHING: &str = "-";

pub(super) const ROOMS: &[Column] = &[
    Column::words("ROOM", |room| text(room, "/room")),
    Column::words("STATE", |room| text(room, "/state")),
    Column::words("SERVER", |room| text(room, "/server/name")),
    Column::number("SEATS", |room| text(room, "/seats")),
    Column::words("SINCE", |room| first(room, &["/placed_at", "/waiting_since"])),
    Column::words("WHY", room_why),
];

pub(super) const SERVERS: &[Column] = &[
    Column::words("SERVER", |server| first(server, &["/server", "/name"])),
    Column::words("POOL", |server| text(server, "/pool")),
    Column::words("PHASE", |server| text(server, "/phase")),
    Column::words("HOLD", server_hold),
    Column::words("HEALTH", |server| first(server, &["/health/state", "/health"])),
    Column::number("ROOMS", |server| of_most(server, "rooms")),
    Column::number("SEATS", |server| of_most(server, "seats")),
    Column::number("LOAD", |server| of_most(server, "load")),
    Column::number("CPU", |server| permille(server, "/cpu_permille")),
    Column::words("URL", |server| text(server, "/url")),
];

pub(super) const POOLS: &[Column] = &[
    Column::words("POOL", |pool| first(pool, &["/pool", "/name"])),
    Column::words("PROVIDER", |pool| text(pool, "/provider")),
    Column::words("REGION", |pool| text(pool, "/region")),
    Column::number("READY", |pool| text(pool, "/servers_ready")),
    Column::number("STARTING", |pool| text(pool, "/servers_starting")),
    Column::number("WANTED", |pool| text(pool, "/servers_wanted")),
    Column::number("MAX", |pool| text(pool, "/servers_max")),
    Column::number("ROOMS", |pool| text(pool, "/rooms")),
    Column::number("FREE", |pool| text(pool, "/rooms_free")),
    Column::number("$/HOUR", |pool| {
        first(pool, &["/dollars_per_hour", "/bill/dollars_per_hour"])
    }),
    Column::words("IN THE WAY", pool_obstacle),
];

pub(super) const POLICIES: &[Column] = &[
    Column::words("POLICY", |policy| first(policy, &["/name", "/policy"])),
    Column::words("VERSION", |policy| first(policy, &["/serving/version", "/version"])),
    Column::words("DECIDES", |policy| list(policy, "/decisions")),
    Column::number("ASKED", |policy| text(policy, "/asked")),
    Column::number("DEFERRED", |policy| text(policy, "/deferred")),
    Column::number("FAULTS", |policy| text(policy, "/faults")),
    Column::words("PROBLEM", |policy| {
        first(policy, &["/problem", "/refused/message", "/error"])
    }),
];

pub(super) const DECISIONS: &[Column] = &[
    Column::number("NO", |decision| first(decision, &["/decision", "/no"])),
    Column::words("AT", |decision| text(decision, "/at")),
    Column::words("DECIDES", |decision| first(decision, &["/point", "/kind"])),
    Column::words("SUBJECT", |decision| first(decision, &["/room", "/server", "/pool"])),
    Column::words("POLICY", |decision| first(decision, &["/policy/name", "/policy"])),
    Column::words("ADVICE", |decision| text(decision, "/advice")),
    Column::words("VERDICT", decision_verdict),
    Column::words("WHY", |decision| text(decision, "/reason")),
];

pub(super) const BILL: &[Column] = &[
    Column::words("POOL", |pool| first(pool, &["/pool", "/name"])),
    Column::number("$/HOUR", |pool| dollars(pool, "/dollars_per_hour")),
    Column::number("$ TODAY", |pool| dollars(pool, "/dollars_today")),
    Column::number("$ THIS MONTH", |pool| dollars(pool, "/dollars_this_month")),
];

/// Returns the value at a JSON pointer as people read it.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => NOTHING.to_owned(),
        Some(Value::String(text)) if text.is_empty() => NOTHING.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn first(value: &Value, pointers: &[&str]) -> String {
    let mut found = pointers
        .iter()
        .map(|pointer| text(value, pointer))
        .filter(|text| text != NOTHING);
    found.next().unwrap_or_else(|| NOTHING.to_owned())
}

fn list(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer).and_then(Value::as_array) {
        Some(items) if !items.is_empty() => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            words.join(" ")
        }
        Some(_) | None => NOTHING.to_owned(),
    }
}

/// Returns an amount in dollars and cents.
pub(super) fn dollars(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer).and_then(Value::as_f64) {
        Some(amount) => format!("{amount:.2}"),
        None => NOTHING.to_owned(),
    }
}

fn permille(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer).and_then(Value::as_f64) {
        Some(permille) => format!("{:.0} %", permille / 10.0),
        None => NOTHING.to_owned(),
    }
}

/// Returns `3/10`, or `3` where nothing limits it.
fn of_most(server: &Value, what: &str) -> String {
    let used = text(server, &format!("/{what}"));
    match text(server, &format!("/{what}_max")) {
        most if most == NOTHING => used,
        most => format!("{used}/{most}"),
    }
}

fn room_why(room: &Value) -> String {
    match text(room, "/state").as_str() {
        "placed" => match (text(room, "/decision/policy"), text(room, "/decision/reason")) {
            (policy, reason) if reason == NOTHING => policy,
            (policy, reason) => format!("{policy}: {reason}"),
        },
        _ => {
            let mut why = format!(
                "{} in the queue, waits for {}",
                ordinal(room),
                text(room, "/waiting_for")
            );
            if let Some(seconds) = room.pointer("/expected_seconds").and_then(Value::as_u64) {
                why.push_str(&format!(", about {seconds} s"));
            }
            why
        }
    }
}

fn ordinal(room: &Value) -> String {
    format!("no. {}", text(room, "/position"))
}

fn server_hold(server: &Value) -> String {
    let hold = first(server, &["/hold/state", "/hold/kind", "/hold"]);
    match text(server, "/hold/owner") {
        owner if owner == NOTHING => hold,
        owner => format!("{hold} by {owner}"),
    }
}

fn pool_obstacle(pool: &Value) -> String {
    let flag = |pointer: &str, word: &'static str| {
        pool.pointer(pointer)
            .and_then(Value::as_bool)
            .unwrap_or(false)
            .then_some(word)
    };
    let off = pool.pointer("/scaling_enabled").and_then(Value::as_bool) == Some(false);
    let code = text(pool, "/code");
    let words: Vec<&str> = [
        flag("/retired", "retired"),
        off.then_some("scaling off"),
        flag("/frozen", "frozen"),
        (code != NOTHING).then_some(code.as_str()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if words.is_empty() {
        NOTHING.to_owned()
    } else {
        words.join(", ")
    }
}

fn decision_verdict(decision: &Value) -> String {
    match text(decision, "/code") {
        code if code == NOTHING => text(decision, "/verdict"),
        code => format!("{} ({code})", text(decision, "/verdict")),
    }
}
