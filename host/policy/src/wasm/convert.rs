//! Between the fleet's rows and the contract's: the same things in wasm's words, field by field.

use usher_fleet::advice::{
    Demand, Growth, PlaceAdvice, PlaceAsk, Placement, Retirement, ScaleAdvice, Shrinkage, Subject, VerdictOutcome,
    VerdictRow, Want,
};
use usher_fleet::config::Labels;
use usher_fleet::ids::{PoolNo, ServerNo};
use usher_fleet::view::{HealthView, HoldView, PhaseView, PoolRow, PoolStateRow, ServerRow, UsageRow};

use super::bindings::types as w;
use super::limits::{ANSWER_ROWS_MAX, REASON_BYTES_MAX};

fn labels(labels: &Labels) -> Vec<w::Label> {
    let label = |(key, value): (&String, &String)| w::Label {
        key: key.clone(),
        value: value.clone(),
    };
    labels.iter().map(label).collect()
}

pub(super) fn pool(row: &PoolRow) -> w::Pool {
    w::Pool {
        id: row.no.0,
        name: row.name.clone(),
        region: row.region.clone(),
        zones: row.zones.clone(),
        instance_type: row.instance_type.clone(),
        market: row.market.clone(),
        automatic: row.automatic,
        servers_min: row.servers_min,
        servers_max: row.servers_max,
        rooms_per_server: row.rooms_per_server,
        seats_per_server: row.seats_per_server,
        load_per_server: row.load_per_server,
        price_microdollars_per_hour: row.price_microdollars_per_hour,
        labels: labels(&row.labels),
    }
}

pub(super) fn pool_state(row: &PoolStateRow) -> w::PoolState {
    w::PoolState {
        id: row.no.0,
        launchable: row.launchable,
        retirable: row.retirable,
        again: row.again,
        code: row.code.to_owned(),
        boot_seconds: row.boot_seconds,
    }
}

pub(super) fn server(row: ServerRow) -> w::Server {
    w::Server {
        id: row.no.0,
        pool: row.pool.0,
        name: row.name.to_string(),
        zone: row.zone.as_deref().unwrap_or_default().to_owned(),
        rooms_max: row.rooms_max,
        seats_max: row.seats_max,
        load_max: row.load_max,
        price_microdollars_per_hour: row.price_microdollars_per_hour,
        started: row.started,
        labels: labels(&row.labels),
    }
}

/// How many numbers the contract makes of a usage.
pub(super) const USAGE_NUMBERS: usize = 17;

/// Returns a usage's fields in the contract's order.
pub(super) fn usage(row: &UsageRow) -> [u32; USAGE_NUMBERS] {
    let phase = match row.phase {
        PhaseView::Starting => w::Phase::Starting,
        PhaseView::Ready => w::Phase::Ready,
        PhaseView::Ending => w::Phase::Ending,
    };
    let hold = match row.hold {
        HoldView::Free => w::Hold::Free,
        HoldView::Cordoned => w::Hold::Cordoned,
        HoldView::Draining => w::Hold::Draining,
        HoldView::Leaving => w::Hold::Leaving,
    };
    let health = match row.health {
        HealthView::Unknown => w::Health::Unknown,
        HealthView::Ok => w::Health::Ok,
        HealthView::Silent => w::Health::Silent,
    };
    [
        row.no.0,
        phase as u32,
        hold as u32,
        health as u32,
        row.since,
        row.rooms,
        row.seats,
        row.load,
        row.seats_largest,
        row.rooms_open_ended,
        row.busy_until,
        row.newest_room,
        row.empty_since,
        row.reported,
        row.participants,
        row.cpu_permille,
        row.egress_kbps,
    ]
}

pub(super) fn verdict(row: &VerdictRow) -> w::Verdict {
    w::Verdict {
        decision: row.decision.0,
        subject: match row.subject {
            Subject::Launch(pool) => w::Subject::Launch(pool.0),
            Subject::Retire(server) => w::Subject::Retire(server.0),
        },
        outcome: match row.outcome {
            VerdictOutcome::Accepted => w::Outcome::Accepted,
            VerdictOutcome::Clamped => w::Outcome::Clamped,
            VerdictOutcome::Refused => w::Outcome::Refused,
            VerdictOutcome::Failed => w::Outcome::Failed,
        },
        count: row.count,
        code: row.code.to_owned(),
        until: row.until,
    }
}

/// Returns a request with nothing in it, to be filled for each question.
pub(super) fn empty_request() -> w::RoomRequest {
    w::RoomRequest {
        room: String::new(),
        seats: 0,
        load: 0,
        expected_minutes: 0,
        region: String::new(),
        tenant: String::new(),
        labels: Vec::new(),
        waited_seconds: 0,
        avoid: 0,
    }
}

/// Fills a request that was used before: what it has allocated serves again.
pub(super) fn fill_request(request: &mut w::RoomRequest, ask: &PlaceAsk<'_>) {
    fn set(text: &mut String, value: &str) {
        text.clear();
        text.push_str(value);
    }
    set(&mut request.room, ask.room.as_str());
    set(&mut request.region, ask.region);
    set(&mut request.tenant, ask.tenant);
    request.seats = ask.seats;
    request.load = ask.load;
    request.expected_minutes = ask.expected_minutes;
    request.waited_seconds = ask.waited_seconds;
    request.labels.resize_with(ask.labels.len(), || w::Label {
        key: String::new(),
        value: String::new(),
    });
    for (label, (key, value)) in request.labels.iter_mut().zip(ask.labels) {
        set(&mut label.key, key);
        set(&mut label.value, value);
    }
    request.avoid = ask.avoid.map_or(0, |server| server.0);
}

pub(super) fn demand(demand: &Demand) -> w::Demand {
    w::Demand {
        wants: demand.wants.iter().map(want).collect(),
        waiting_rooms: demand.waiting_rooms,
        waiting_seats: demand.waiting_seats,
        rooms_last_minute: demand.rooms_last_minute,
        seats_last_minute: demand.seats_last_minute,
    }
}

fn want(want: &Want) -> w::Want {
    w::Want {
        region: want.region.clone(),
        tenant: want.tenant.clone(),
        labels: labels(&want.labels),
        pool: want.pool.map(|pool| pool.0),
        rooms: want.rooms,
        seats: want.seats,
        load: want.load,
        seats_largest: want.seats_largest,
        load_largest: want.load_largest,
        longest_wait_seconds: want.longest_wait_seconds,
    }
}

pub(super) fn advice(advice: w::PlacementAdvice) -> PlaceAdvice {
    PlaceAdvice {
        placement: match advice.placement {
            w::Placement::On(server) => Placement::On(ServerNo(server)),
            w::Placement::Wait(wait) => Placement::Wait {
                pool: wait.pool.map(PoolNo),
                again_seconds: wait.again_seconds,
            },
            w::Placement::Reject => Placement::Reject,
            w::Placement::Defer => Placement::Defer,
        },
        reason: advice.reason.map(reason),
    }
}

/// Takes in orders for more servers.
///
/// # Errors
/// There are more rows than an answer may have.
pub(super) fn growth(rows: Vec<w::Growth>) -> Result<ScaleAdvice, String> {
    bounded(rows.len())?;
    let growth = |row: w::Growth| Growth {
        pool: PoolNo(row.pool),
        servers: row.servers,
        reason: reason(row.reason),
    };
    Ok(ScaleAdvice::Up(rows.into_iter().map(growth).collect()))
}

/// Takes in the servers that may go.
///
/// # Errors
/// There are more rows than an answer may have.
pub(super) fn shrinkage(rows: Vec<w::Shrinkage>) -> Result<ScaleAdvice, String> {
    bounded(rows.iter().map(|row| 1 + row.servers.len()).sum())?;
    let retirement = |row: w::Retirement| Retirement {
        server: ServerNo(row.server),
        reason: reason(row.reason),
    };
    let shrinkage = |row: w::Shrinkage| Shrinkage {
        pool: PoolNo(row.pool),
        servers: row.servers.into_iter().map(retirement).collect(),
    };
    Ok(ScaleAdvice::Down(rows.into_iter().map(shrinkage).collect()))
}

fn bounded(rows: usize) -> Result<(), String> {
    if rows > ANSWER_ROWS_MAX {
        return Err(format!(
            "an answer of {rows} rows, each pool and each server counted; at most {ANSWER_ROWS_MAX} are taken, the rest can be named \
             at the next turn"
        ));
    }
    Ok(())
}

/// Cuts a text for people to what is kept of it. What would move a terminal's cursor, or begin a line of its own, becomes a
/// space: the words are a stranger's.
///
/// It is cut first: an answer may be a megabyte, whose every character would be looked at on the deciding thread.
pub(super) fn reason(text: String) -> String {
    printable(shortened(text, REASON_BYTES_MAX))
}

/// Returns a text in one line. Most are plain, and seen to be so many bytes at a time.
pub(super) fn printable(text: String) -> String {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match !is_plain && text.contains(char::is_control) {
        true => text.replace(char::is_control, " "),
        false => text,
    }
}

/// Cuts a text behind so many bytes, and shows that it was cut.
pub(super) fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_words_stay_in_one_line_and_do_not_go_on_for_ever() {
        assert_eq!(reason("full\u{1b}[2J\nand more".into()), "full [2J and more");
        let long = reason("ü".repeat(REASON_BYTES_MAX));
        assert!(
            long.len() <= REASON_BYTES_MAX + '…'.len_utf8() && long.ends_with("ü…"),
            "{long}"
        );
    }
}
