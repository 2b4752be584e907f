//! Servers' usages as the contract tells them: plain numbers.

use crate::{Health, Hold, Phase, ServerId, Usage};

/// How many numbers a usage is: one for each field.
const NUMBERS: usize = 17;

/// Returns the rows of which a list consists.
///
/// # Errors
/// The last one is cut short.
#[inline(always)]
pub(crate) fn rows(numbers: &[u32]) -> Result<&[[u32; NUMBERS]], String> {
    let (rows, rest) = numbers.as_chunks();
    match rest {
        [] => Ok(rows),
        _ => Err(format!(
            "usages of {} numbers, which is no multiple of {NUMBERS}",
            numbers.len()
        )),
    }
}

/// Reads one row.
///
/// # Errors
/// It has a case that the contract does not have.
#[inline(always)]
pub(crate) fn read(row: &[u32; NUMBERS]) -> Result<Usage, String> {
    let &[
        id,
        phase,
        hold,
        health,
        since,
        rooms,
        seats,
        load,
        seats_largest,
        rooms_open_ended,
        busy_until,
        newest_room,
        empty_since,
        reported,
        participants,
        cpu_permille,
        egress_kbps,
    ] = row;
    let phase = match phase {
        0 => Phase::Starting,
        1 => Phase::Ready,
        2 => Phase::Ending,
        _ => return Err(no_case(id, "phase", phase)),
    };
    let hold = match hold {
        0 => Hold::Free,
        1 => Hold::Cordoned,
        2 => Hold::Draining,
        3 => Hold::Leaving,
        _ => return Err(no_case(id, "hold", hold)),
    };
    let health = match health {
        0 => Health::Unknown,
        1 => Health::Ok,
        2 => Health::Silent,
        _ => return Err(no_case(id, "health", health)),
    };
    Ok(Usage {
        id,
        phase,
        hold,
        health,
        since,
        rooms,
        seats,
        load,
        seats_largest,
        rooms_open_ended,
        busy_until,
        newest_room,
        empty_since,
        reported,
        participants,
        cpu_permille,
        egress_kbps,
    })
}

#[cold]
fn no_case(id: ServerId, field: &str, case: u32) -> String {
    format!("usage of server {id} whose {field} is {case}, which is no case of it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_field_by_field() {
        let numbers = [
            7, 1, 2, 1, 900, 3, 150, 160, 80, 1, 5_000, 880, 0, 990, 140, 310, 42_000,
        ];
        let usage = Usage {
            id: 7,
            phase: Phase::Ready,
            hold: Hold::Draining,
            health: Health::Ok,
            since: 900,
            rooms: 3,
            seats: 150,
            load: 160,
            seats_largest: 80,
            rooms_open_ended: 1,
            busy_until: 5_000,
            newest_room: 880,
            empty_since: 0,
            reported: 990,
            participants: 140,
            cpu_permille: 310,
            egress_kbps: 42_000,
        };
        assert_eq!(read(&numbers), Ok(usage));
        assert_eq!(rows(&[numbers, numbers].concat()), Ok(&[numbers, numbers][..]));
    }

    #[test]
    fn what_the_contract_does_not_have_is_an_error() {
        assert!(rows(&[1; NUMBERS + 1]).is_err());
        for (field, cases) in [(1, 3), (2, 4), (3, 3)] {
            let mut row = [0; NUMBERS];
            row[field] = cases;
            assert!(read(&row).is_err(), "{field}");
            row[field] -= 1;
            assert!(read(&row).is_ok(), "{field}");
        }
    }
}
