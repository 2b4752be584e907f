//! A scale decision, some turns long, while the fleet changes.

use std::time::{Duration, Instant};

use usher_fleet::advice::{Direction, Fault, ScaleAdvice};
use usher_policy::{LoadError, Rehearsed};

use super::bill::Bill;
use super::stage::Stage;
use super::{FAULTS_MAX, Findings, told};
use crate::cli::policy::report::{Growth, Shrinkage};

/// How many turns it is asked.
const TURNS: u32 = 100;
/// How long it is asked at most.
const ASKING_MAX: Duration = Duration::from_secs(5);

/// Asks for more servers. Says what it orders where every server is full, and what the turns cost.
///
/// # Errors
/// No instance could be made, or it did not answer there.
pub(super) fn rehearse_growth(
    rehearsed: &Rehearsed,
    stage: &mut Stage,
    found: &mut Findings,
) -> Result<(Growth, Bill), LoadError> {
    let full = stage.filled();
    let ordered = first(rehearsed, &full, Direction::Up, found)?;
    let bill = turns(rehearsed, stage, Direction::Up, found)?;
    Ok((full.growth(ordered), bill))
}

/// Asks for fewer servers. Says which it lets go, and what the turns cost.
///
/// # Errors
/// No instance could be made, or it did not answer when asked for the first time.
pub(super) fn rehearse_shrinkage(
    rehearsed: &Rehearsed,
    stage: &mut Stage,
    found: &mut Findings,
) -> Result<(Vec<Shrinkage>, Bill), LoadError> {
    let let_go = first(rehearsed, stage, Direction::Down, found)?;
    let let_go = stage.shrinkage(let_go);
    let bill = turns(rehearsed, stage, Direction::Down, found)?;
    Ok((let_go, bill))
}

/// Asks two fresh instances the same, and returns their answer.
fn first(
    rehearsed: &Rehearsed,
    stage: &Stage,
    direction: Direction,
    found: &mut Findings,
) -> Result<ScaleAdvice, LoadError> {
    let fresh = || {
        let answer = told(rehearsed, stage)?.scale(&stage.scale_ask(direction, 0)).advice;
        answered(direction, answer)
    };
    let (one, other) = (fresh()?, fresh()?);
    if one != other {
        found.warn(format!(
            "`{}` is not pure: two instances that know the same answer the same question otherwise",
            word(direction)
        ));
    }
    if let Some(stranger) = stage.stranger(&one) {
        found.warn(format!(
            "`{}` names {stranger}, which is not in the fleet",
            word(direction)
        ));
    }
    Ok(one)
}

/// Takes the first answer of an instance. One that has none fails its trial, as it would in a fleet like this one: to say that it orders
/// nothing would hide it.
fn answered(direction: Direction, answer: Result<ScaleAdvice, Fault>) -> Result<ScaleAdvice, LoadError> {
    answer.map_err(|fault| LoadError::Trial {
        decision: word(direction),
        message: match direction {
            Direction::Up => format!("where every server is full: {}", fault.message),
            Direction::Down => fault.message,
        },
    })
}

/// Asks turn by turn, while the fleet changes.
fn turns(
    rehearsed: &Rehearsed,
    stage: &mut Stage,
    direction: Direction,
    found: &mut Findings,
) -> Result<Bill, LoadError> {
    let mut instance = told(rehearsed, stage)?;
    let mut bill = Bill::default();
    let mut faults = Vec::new();
    let end = Instant::now() + ASKING_MAX;
    for turn in 0..TURNS {
        if Instant::now() > end || faults.len() == FAULTS_MAX {
            break;
        }
        let fed = instance.feed(&stage.change());
        let answer = fed.and_then(|()| {
            let asked = instance.scale(&stage.scale_ask(direction, turn));
            bill.add(&asked);
            asked.advice
        });
        if let Err(fault) = answer {
            faults.push(fault.message);
            instance = told(rehearsed, stage)?;
        }
    }
    if let Some(fault) = faults.first() {
        found.warn(format!("`{}` failed, {} times: {fault}", word(direction), faults.len()));
    }
    found.see_memory(&instance);
    Ok(bill)
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "scale_up",
        Direction::Down => "scale_down",
    }
}

#[cfg(test)]
mod tests {
    use usher_fleet::advice::FaultKind;

    use super::*;

    #[test]
    fn a_fault_is_no_answer_but_a_trial_that_failed() {
        let refused = |direction| {
            let (kind, message) = (FaultKind::Trap, "panicked at src/lib.rs:7:9".to_owned());
            let error = answered(direction, Err(Fault { kind, message })).unwrap_err();
            (error.step(), error.to_string())
        };
        let why = "its trial decision `scale_up` failed: where every server is full: panicked at src/lib.rs:7:9";
        assert_eq!(refused(Direction::Up), ("trial", why.to_owned()));
        let why = "its trial decision `scale_down` failed: panicked at src/lib.rs:7:9";
        assert_eq!(refused(Direction::Down), ("trial", why.to_owned()));
        assert_eq!(
            answered(Direction::Up, Ok(ScaleAdvice::Up(Vec::new()))),
            Ok(ScaleAdvice::Up(Vec::new())),
            "to leave all to the next policy is an answer"
        );
    }
}
