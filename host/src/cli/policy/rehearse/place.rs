//! Many rooms, one after the other, while the fleet changes; then some of them again.

use std::time::{Duration, Instant};

use usher_fleet::advice::{Fault, PlaceAdvice, PlaceAsk, Placement};
use usher_policy::{LoadError, Rehearsal, Rehearsed};

use super::bill::Bill;
use super::stage::Stage;
use super::{FAULTS_MAX, Findings, told};
use crate::cli::policy::report::{Example, Rooms};

/// How many rooms are asked for: enough for a 99th of a hundred.
const ROOMS: u64 = 1_000;
/// How long they are asked for at most: a slow policy is to be reported, not waited for.
const ASKING_MAX: Duration = Duration::from_secs(5);
/// How many rooms are asked for again, in the same instance and in a fresh one.
const REPEATS: u32 = 100;
/// How many rooms are shown, one of each kind of answer among them.
const EXAMPLES: usize = 6;

/// The kinds of answers, in the order in which they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Placed,
    Waiting,
    Deferred,
    Rejected,
    Fault,
}

/// What came of the rooms so far.
#[derive(Debug, Default)]
struct Answers {
    rooms: Rooms,
    shown: Vec<(Kind, Example)>,
    /// How many answers the fleet would refuse, and the first of them.
    refused: usize,
    refusal: Option<String>,
    fault: Option<String>,
}

/// Asks for rooms. Says what became of them, and what that cost.
///
/// # Errors
/// No instance could be made.
pub(super) fn rehearse(
    rehearsed: &Rehearsed,
    stage: &mut Stage,
    found: &mut Findings,
) -> Result<(Rooms, Bill), LoadError> {
    let mut instance = told(rehearsed, stage)?;
    let (mut answers, mut bill) = (Answers::default(), Bill::default());
    let end = Instant::now() + ASKING_MAX;
    for n in 0..ROOMS {
        if Instant::now() > end || answers.rooms.faults == FAULTS_MAX {
            break;
        }
        let room = stage.room(n);
        let change = stage.change();
        let ask = stage.ask(&room);
        let asked = instance.place(&change, &ask);
        bill.add(&asked);
        answers.take(stage, &ask, &asked.advice);
        if asked.advice.is_err() {
            instance = told(rehearsed, stage)?;
        }
    }
    if answers.rooms.faults == 0 {
        found.warnings.extend(impurity(rehearsed, &mut instance, stage)?);
    }
    found.see_memory(&instance);
    Ok((answers.sum_up(found), bill))
}

impl Answers {
    fn take(&mut self, stage: &Stage, ask: &PlaceAsk<'_>, answer: &Result<PlaceAdvice, Fault>) {
        let room = ask.room;
        let (kind, answer, reason) = match answer {
            Ok(advice) => {
                let answer = stage.answer(advice.placement);
                if let Some(why) = stage.objection(ask, advice.placement) {
                    self.refused += 1;
                    self.refusal
                        .get_or_insert_with(|| format!("{room} {answer}, which {why}"));
                }
                (Kind::of(advice.placement), answer, advice.reason.clone())
            }
            Err(fault) => {
                self.fault.get_or_insert_with(|| format!("{room}: {}", fault.message));
                (Kind::Fault, "gets no answer".to_owned(), Some(fault.message.clone()))
            }
        };
        self.rooms.asked += 1;
        *kind.count(&mut self.rooms) += 1;
        let example = Example {
            room: room.to_string(),
            seats: ask.seats,
            region: ask.region.to_owned(),
            answer,
            reason,
        };
        self.shown.push((kind, example));
    }

    fn sum_up(self, found: &mut Findings) -> Rooms {
        let rooms = Rooms {
            examples: chosen(&self.shown),
            ..self.rooms
        };
        if let Some(fault) = self.fault {
            found.warn(format!(
                "`place` failed for {} of {} rooms, such as {fault}",
                rooms.faults, rooms.asked
            ));
        }
        if let Some(refusal) = self.refusal {
            found.warn(format!(
                "the fleet would refuse {} of {} placements, such as {refusal}",
                self.refused, rooms.asked
            ));
        }
        if rooms.asked > 0 && rooms.asked == rooms.deferred {
            let deferred =
                "`place` leaves every room to the next policy: it costs a question, and decides nothing here";
            found.warn(deferred.to_owned());
        }
        rooms
    }
}

/// Says where the same question got two answers, if it did: at once, or in an instance that was made a moment ago.
fn impurity(rehearsed: &Rehearsed, instance: &mut Rehearsal, stage: &Stage) -> Result<Option<String>, LoadError> {
    let (view, mut fresh) = (stage.view(), told(rehearsed, stage)?);
    let mut fresh_answers = Vec::new();
    for n in (0..REPEATS).rev() {
        let room = stage.room(n.into());
        fresh_answers.push(fresh.place(&view, &stage.ask(&room)).advice.ok());
    }
    for (n, in_fresh) in (0..REPEATS).rev().zip(fresh_answers).rev() {
        let room = stage.room(n.into());
        let ask = stage.ask(&room);
        let first = instance.place(&view, &ask).advice.ok();
        let again = instance.place(&view, &ask).advice.ok();
        let told = |when: &str, other: Option<PlaceAdvice>| {
            Some(format!(
                "`place` is not pure: {} {}, and {when} it {}. An instance that is built anew would decide otherwise: \
                 nothing but the settings, the view, the room and the moment may count",
                ask.room,
                in_words(stage, first.as_ref()),
                in_words(stage, other.as_ref())
            ))
        };
        if first != again {
            return Ok(told("asked again", again));
        }
        if first != in_fresh {
            return Ok(told("in a fresh instance", in_fresh));
        }
    }
    Ok(None)
}

fn in_words(stage: &Stage, advice: Option<&PlaceAdvice>) -> String {
    match advice {
        Some(advice) => match &advice.reason {
            Some(reason) => format!("{} ({reason})", stage.answer(advice.placement)),
            None => stage.answer(advice.placement),
        },
        None => "gets no answer".to_owned(),
    }
}

impl Kind {
    fn of(placement: Placement) -> Kind {
        match placement {
            Placement::On(_) => Kind::Placed,
            Placement::Wait { .. } => Kind::Waiting,
            Placement::Reject => Kind::Rejected,
            Placement::Defer => Kind::Deferred,
        }
    }

    fn count(self, rooms: &mut Rooms) -> &mut usize {
        match self {
            Kind::Placed => &mut rooms.placed,
            Kind::Waiting => &mut rooms.waiting,
            Kind::Deferred => &mut rooms.deferred,
            Kind::Rejected => &mut rooms.rejected,
            Kind::Fault => &mut rooms.faults,
        }
    }
}

/// Returns the first of each kind, then those that differ, then the first ones; in the order in which they were asked.
fn chosen(shown: &[(Kind, Example)]) -> Vec<Example> {
    let before = |at: usize| shown[..at].iter();
    let rank = |at: &usize| {
        let (kind, example) = &shown[*at];
        let is_known = before(*at).any(|(_, other)| other.answer == example.answer);
        (before(*at).any(|(other, _)| other == kind), is_known, *at)
    };
    let mut places: Vec<usize> = (0..shown.len()).collect();
    places.sort_by_cached_key(rank);
    places.truncate(EXAMPLES);
    places.sort_unstable();
    places.into_iter().map(|at| shown[at].1.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_of_answer_one_is_shown_and_then_those_that_differ() {
        let example = |(n, (kind, answer)): (usize, &(Kind, &str))| {
            let example = Example {
                room: n.to_string(),
                seats: 1,
                region: String::new(),
                answer: (*answer).to_owned(),
                reason: None,
            };
            (*kind, example)
        };
        let mut answers = vec![(Kind::Placed, "a"); 8];
        answers.extend([
            (Kind::Placed, "b"),
            (Kind::Waiting, "waits"),
            (Kind::Deferred, "deferred"),
        ]);
        let shown: Vec<(Kind, Example)> = answers.iter().enumerate().map(example).collect();
        let rooms: Vec<String> = chosen(&shown).into_iter().map(|example| example.room).collect();
        assert_eq!(rooms, ["0", "1", "2", "8", "9", "10"]);
    }
}
