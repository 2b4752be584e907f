//! Which columns each list shows, and how a value from the API reads.

use serde_json::Value;

use super::table::Column;

/// What stands where the API has nothing.
pub(super) const NOTHING: &str = "-";

pub(super) const ROOMS: &[Column] = &[
    Column::words("ROOM", |room| text(room, "/room")),
    Column::words("STATE", |room| text(room, "/state")),
    Column::words("SERVER", |room| text(room, "/server/name")),
    Column::number("SEATS", |room| text(room, "/seats")),
    Column::words("SINCE", |room| first(room, &["/placed_at", "/waiting_since"])),
    Column::words("WHY", room_why),
];

pub(super) const SERVERS: &[Column] = &[
    Column::words("SERVER", |server| text(server, "/name")),
    Column::words("POOL", |server| text(server, "/pool")),
    Column::words("PHASE", |server| text(server, "/phase")),
    Column::words("HOLD", server_hold),
    Column::words("HEALTH", |server| text(server, "/health")),
    Column::number("ROOMS", |server| of_most(server, "rooms")),
    Column::number("SEATS", |server| of_most(server, "seats")),
    Column::number("LOAD", |server| of_most(server, "load")),
    Column::number("CPU", |server| permille(server, "/cpu_permille")),
    Column::words("URL", |server| text(server, "/url")),
];

pub(super) const POOLS: &[Column] = &[
    Column::words("POOL", |pool| text(pool, "/name")),
    Column::words("PROVIDER", |pool| text(pool, "/provider")),
    Column::words("REGION", |pool| text(pool, "/region")),
    Column::number("READY", |pool| text(pool, "/servers_ready")),
    Column::number("STARTING", |pool| text(pool, "/servers_starting")),
    Column::number("HELD", |pool| text(pool, "/servers_held")),
    Column::number("SILENT", |pool| text(pool, "/servers_silent")),
    Column::number("WANTED", |pool| text(pool, "/servers_wanted")),
    Column::number("MAX", |pool| text(pool, "/servers_max")),
    Column::number("ROOMS", |pool| text(pool, "/rooms")),
    Column::number("FREE", |pool| text(pool, "/rooms_free")),
    Column::number("$/HOUR", |pool| dollars(pool, "/dollars_per_hour")),
    Column::words("IN THE WAY", pool_obstacle),
];

pub(super) const DECISIONS: &[Column] = &[
    Column::number("NO", |decision| text(decision, "/decision")),
    Column::words("AT", |decision| text(decision, "/at")),
    Column::words("DECIDES", |decision| text(decision, "/point")),
    Column::words("ABOUT", |decision| first(decision, &["/room", "/server", "/pool"])),
    Column::words("POLICY", |decision| text(decision, "/policy")),
    Column::words("ADVICE", |decision| text(decision, "/advice")),
    Column::words("VERDICT", decision_verdict),
    Column::words("WHY", |decision| text(decision, "/reason")),
    Column::number("µs", |decision| text(decision, "/took_microseconds")),
];

pub(super) const BILL: &[Column] = &[
    Column::words("POOL", |pool| text(pool, "/pool")),
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
    if text(room, "/state") == "placed" {
        return match (text(room, "/decision/policy"), text(room, "/decision/reason")) {
            (policy, reason) if reason == NOTHING => policy,
            (policy, reason) => format!("{policy}: {reason}"),
        };
    }
    let mut why = format!(
        "no. {} in the queue, waits for {}",
        text(room, "/position"),
        text(room, "/waiting_for")
    );
    if let Some(seconds) = room.get("expected_seconds").and_then(Value::as_u64) {
        why.push_str(&format!(", about {seconds} s"));
    }
    match text(room, "/moving_from") {
        server if server == NOTHING => why,
        server => format!("{why}; its server {server} was lost"),
    }
}

fn server_hold(server: &Value) -> String {
    match text(server, "/hold/kind") {
        kind if kind == NOTHING => kind,
        kind => format!("{kind} by {}", text(server, "/hold/owner")),
    }
}

/// Returns the guard that lets nothing be launched now; one that only says how many is none.
fn pool_obstacle(pool: &Value) -> String {
    if pool.get("launchable").and_then(Value::as_u64).unwrap_or(0) > 0 {
        return NOTHING.to_owned();
    }
    match (text(pool, "/code"), text(pool, "/circuit_open_until")) {
        (code, until) if until == NOTHING => code,
        (code, until) => format!("{code} until {until}"),
    }
}

fn decision_verdict(decision: &Value) -> String {
    match text(decision, "/code") {
        code if code == NOTHING => text(decision, "/verdict"),
        code => format!("{} ({code})", text(decision, "/verdict")),
    }
}
