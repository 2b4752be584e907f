//! One running instance: told the view, asked for advice. The only place that calls into a guest, and that fills its fuel.
//!
//! An instance that has faulted is not to be asked again: any trap leaves a wasmtime store poisoned, so its owner drops it
//! and has another one made.

mod exports;
mod learning;

use std::sync::Arc;

use usher_fleet::Timestamp;
use usher_fleet::advice::{
    Demand, Direction, Fault, FaultKind, PlaceAdvice, PlaceAsk, ScaleAdvice, ScaleAsk, VerdictRow,
};
use usher_fleet::view::Cursor;
use wasmtime::{Store, Trap};

use super::bindings::{Description, base, types as w};
use super::compile::Ready;
use super::convert::{self, USAGE_NUMBERS};
use super::imports::HostState;
use super::limits::{
    ANSWER_BYTES_MAX, Budget, DESCRIPTION_BYTES_MAX, FIGURES_MAX, MEMORY_BYTES_MAX, Purse, QUESTION_ROWS_MAX,
    VIEW_ROWS_MAX,
};
use super::overtime::{self, Overtime, TimeUp};
use super::rows::{Rows, ViewSource};
use crate::options::LogLevel;
use exports::Exports;

/// A started, configured instance.
pub(crate) struct Serving {
    store: Store<HostState>,
    description: Description,
    exports: Exports,
    rows: Rows,
    request: w::RoomRequest,
    fuel_used: u64,
    /// See [`Serving::forgot`].
    forgot: Option<String>,
}

/// Says why an instance did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// It could not be instantiated, or its exports have other types than the contract's.
    #[error("it does not start: {0}")]
    Instantiate(String),
    /// `describe` failed, or says too much.
    #[error("`describe` failed: {0}")]
    Describe(String),
    /// `configure` did not take the settings.
    #[error("the settings were refused: {0}")]
    Configure(String),
}

/// Says which thread waits while rows are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The deciding one: few rows, little fuel.
    Live,
    /// Another one: maybe the whole view.
    Whole,
}

impl Ready {
    /// Starts an instance: instantiates, describes, configures.
    ///
    /// # Errors
    /// Which of the three failed, in the guest's words.
    pub(crate) fn start(&self, policy: Arc<str>, settings: &str, log: LogLevel) -> Result<Serving, StartError> {
        let overtime = Overtime::new(Arc::clone(&self.ticks));
        let mut store = Store::new(self.pre.engine(), HostState::new(policy, log, overtime));
        store.limiter(|state| &mut state.allowance);
        overtime::watch(&mut store);
        let unfit = |error: wasmtime::Error| StartError::Instantiate(convert::reason(format!("{error:#}")));
        let made = run(&mut store, Budget::Start, |store| self.pre.instantiate(store).map(Ok));
        let instance = made.result.map_err(|fault| StartError::Instantiate(fault.message))?;

        let info = base::Base::new(&mut store, &instance).map_err(unfit)?;
        let info = info.usher_policy_policy_info();
        let description = run(&mut store, Budget::Start, |store| info.call_describe(store))
            .result
            .map_err(|fault| StartError::Describe(fault.message))
            .and_then(bounded_description)?;
        let level = match log {
            LogLevel::Debug => w::Level::Debug,
            LogLevel::Info => w::Level::Info,
            LogLevel::Warn => w::Level::Warn,
            LogLevel::Error => w::Level::Error,
        };
        run(&mut store, Budget::Configure, |store| {
            info.call_configure(store, settings, level)
        })
        .result
        .map_err(|fault| StartError::Configure(fault.message))?;

        let exports = Exports::of(self.parts, &mut store, &instance).map_err(unfit)?;
        Ok(Serving {
            store,
            description,
            exports,
            rows: Rows::default(),
            request: convert::empty_request(),
            fuel_used: 0,
            forgot: None,
        })
    }
}

impl Serving {
    /// Returns what the author says of it: version and summary.
    pub(crate) fn description(&self) -> &Description {
        &self.description
    }

    /// Returns the fuel that the last question took, and the bytes of its memories.
    pub(crate) fn used(&self) -> (u64, usize) {
        (self.fuel_used, self.store.data().allowance.memory_bytes())
    }

    /// Returns whether it wants to know of the fleet.
    pub(crate) fn is_told(&self) -> bool {
        self.exports.view.is_some()
    }

    /// Returns how far it has read the view.
    pub(crate) fn cursor(&self) -> Cursor {
        self.rows.cursor
    }

    /// Tells what has changed since it was last told, and verdicts. A source that is not ahead of it tells nothing.
    ///
    /// # Errors
    /// The guest faulted.
    pub(crate) fn feed(
        &mut self,
        now: Timestamp,
        source: &impl ViewSource,
        verdicts: &[VerdictRow],
        pace: Pace,
    ) -> Result<(), Fault> {
        let mut purse = (pace == Pace::Whole).then(Purse::default);
        let (mut rows, told) = self.tell_all_but_last(now, source, &mut purse);
        if self.is_told() {
            let verdicts = verdicts.iter().map(|row| w::Change::Verdict(convert::verdict(row)));
            rows.changes.extend(verdicts);
        }
        let told = told.and_then(|()| self.tell(now, &rows, &rows.usages, &mut purse));
        rows.clear();
        self.rows = rows;
        told
    }

    /// Asks where a room goes, and tells what has changed with the question.
    ///
    /// # Errors
    /// The guest faulted, or does not take this decision.
    pub(crate) fn place(&mut self, source: &impl ViewSource, ask: &PlaceAsk<'_>) -> Result<PlaceAdvice, Fault> {
        let (mut rows, told) = self.tell_all_but_last(ask.now, source, &mut None);
        let goes_beside = rows.usages.len() <= QUESTION_ROWS_MAX * USAGE_NUMBERS;
        let (before, beside) = rows.usages.split_at(if goes_beside { 0 } else { rows.usages.len() });
        let answer = told
            .and_then(|()| self.tell(ask.now, &rows, before, &mut None))
            .and_then(|()| self.ask_place(rows.servers(), beside, ask));
        rows.clear();
        self.rows = rows;
        answer
    }

    /// Tells what has changed, a call's rows at a time, and returns the last of them, which are still to be told.
    fn tell_all_but_last(
        &mut self,
        now: Timestamp,
        source: &impl ViewSource,
        purse: &mut Option<Purse>,
    ) -> (Rows, Result<(), Fault>) {
        // What a question took that is never asked.
        self.fuel_used = 0;
        let mut rows = std::mem::take(&mut self.rows);
        let since = rows.cursor;
        rows.cursor = since.max(source.cursor());
        let wants = self.is_told() && since < rows.cursor;
        let mut changes = wants.then(|| source.changes_since(since)).into_iter().flatten();
        while !rows.take_in(&mut changes, &self.description.figures) {
            if let Err(fault) = self.tell(now, &rows, &rows.usages, purse) {
                return (rows, Err(fault));
            }
            rows.clear();
        }
        (rows, Ok(()))
    }

    /// Tells rows, of the usages only these.
    fn tell(&mut self, now: Timestamp, rows: &Rows, usages: &[u32], purse: &mut Option<Purse>) -> Result<(), Fault> {
        let Some(part) = &self.exports.view else { return Ok(()) };
        let now = now.seconds();
        let view = part.usher_policy_view();
        let servers = rows.servers();
        let store = &mut self.store;
        for some in rows.changes.chunks(VIEW_ROWS_MAX) {
            let size = (some.len(), servers);
            tell_some(store, size, purse, |store| view.call_update(store, now, some))?;
        }
        for some in usages.chunks(VIEW_ROWS_MAX * USAGE_NUMBERS) {
            let size = (some.len() / USAGE_NUMBERS, servers);
            tell_some(store, size, purse, |store| view.call_usages(store, now, some))?;
        }
        for some in rows.figures.chunks(VIEW_ROWS_MAX) {
            let size = (some.len(), servers);
            tell_some(store, size, purse, |store| view.call_figures(store, now, some))?;
        }
        Ok(())
    }

    fn ask_place(&mut self, servers: usize, usages: &[u32], ask: &PlaceAsk<'_>) -> Result<PlaceAdvice, Fault> {
        let Some(part) = &self.exports.place else {
            return Err(not_exported("place"));
        };
        convert::fill_request(&mut self.request, ask);
        let (request, now) = (&self.request, ask.now.seconds());
        let budget = Budget::Place {
            rows: usages.len() / USAGE_NUMBERS,
            servers,
        };
        let ran = run(&mut self.store, budget, |store| {
            part.usher_policy_place().call_place(store, now, usages, request)
        });
        self.fuel_used = ran.fuel;
        ran.result.map(convert::advice)
    }

    /// Asks for more or fewer servers.
    ///
    /// # Errors
    /// The guest faulted, or does not take this decision.
    pub(crate) fn scale(&mut self, ask: &ScaleAsk) -> Result<ScaleAdvice, Fault> {
        match ask.direction {
            Direction::Up => self.scale_up(ask, &ask.demand),
            Direction::Down => self.scale_down(ask),
        }
    }

    fn scale_up(&mut self, ask: &ScaleAsk, demand: &Demand) -> Result<ScaleAdvice, Fault> {
        let Some(part) = &self.exports.scale_up else {
            return Err(not_exported("scale-up"));
        };
        let (now, demand) = (ask.now.seconds(), convert::demand(demand));
        let ran = run(
            &mut self.store,
            Budget::Scale {
                servers: self.rows.servers(),
            },
            |store| {
                part.usher_policy_scale_up()
                    .call_scale_up(store, now, ask.decision.0, &demand)
            },
        );
        self.fuel_used = ran.fuel;
        convert::growth(ran.result?).map_err(bad_answer)
    }

    fn scale_down(&mut self, ask: &ScaleAsk) -> Result<ScaleAdvice, Fault> {
        let Some(part) = &self.exports.scale_down else {
            return Err(not_exported("scale-down"));
        };
        let now = ask.now.seconds();
        let ran = run(
            &mut self.store,
            Budget::Scale {
                servers: self.rows.servers(),
            },
            |store| {
                part.usher_policy_scale_down()
                    .call_scale_down(store, now, ask.decision.0)
            },
        );
        self.fuel_used = ran.fuel;
        convert::shrinkage(ran.result?).map_err(bad_answer)
    }
}

fn not_exported(part: &str) -> Fault {
    Fault {
        kind: FaultKind::Unavailable,
        message: format!("the policy does not export `{part}`"),
    }
}

fn bad_answer(message: String) -> Fault {
    Fault {
        kind: FaultKind::BadAnswer,
        message,
    }
}

fn bounded_description(description: Description) -> Result<Description, StartError> {
    let texts = [&description.name, &description.version, &description.summary];
    if texts
        .into_iter()
        .chain(&description.figures)
        .any(|text| text.len() > DESCRIPTION_BYTES_MAX)
    {
        return Err(StartError::Describe(format!(
            "a text is longer than {DESCRIPTION_BYTES_MAX} bytes"
        )));
    }
    if description.figures.len() > FIGURES_MAX {
        return Err(StartError::Describe(format!("more than {FIGURES_MAX} figures")));
    }
    Ok(Description {
        name: convert::printable(description.name),
        version: convert::printable(description.version),
        summary: convert::printable(description.summary),
        figures: description.figures,
    })
}

/// Runs one call of the view with so many rows, in an instance that knows so many servers then.
fn tell_some(
    store: &mut Store<HostState>,
    (rows, servers): (usize, usize),
    purse: &mut Option<Purse>,
    call: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<Result<(), String>>,
) -> Result<(), Fault> {
    let Some(purse) = purse else {
        return run(store, Budget::View { rows, servers }, call).result;
    };
    let began = overtime::processor_time();
    let ran = run(store, purse.open(rows, servers), call);
    purse.pay(ran.fuel, overtime::processor_time().saturating_sub(began));
    ran.result
}

struct Ran<T> {
    result: Result<T, Fault>,
    fuel: u64,
}

/// Runs one call within its budget and puts every way to fail into the same words.
fn run<T>(
    store: &mut Store<HostState>,
    budget: Budget,
    call: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<Result<T, String>>,
) -> Ran<T> {
    let granted = budget.fuel();
    store.data_mut().begin_call();
    store.set_hostcall_fuel(ANSWER_BYTES_MAX);
    overtime::begin(store, budget.time());
    let called = store.set_fuel(granted).and_then(|()| call(store));
    let fuel = granted.saturating_sub(store.get_fuel().unwrap_or(0));
    let result = match called {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(message)) => Err(Fault {
            kind: FaultKind::Error,
            message: convert::reason(message),
        }),
        Err(error) => Err(fault(&error, store.data_mut(), granted)),
    };
    Ran { result, fuel }
}

fn fault(error: &wasmtime::Error, state: &mut HostState, granted: u64) -> Fault {
    let trap = error.downcast_ref::<Trap>();
    let kind = match trap {
        Some(Trap::OutOfFuel) => FaultKind::OutOfFuel,
        None if error.is::<TimeUp>() => FaultKind::OutOfFuel,
        Some(_) => FaultKind::Trap,
        None if error.is::<super::imports::ImportError>() => FaultKind::Trap,
        // What is neither a trap nor ours came up while an answer was taken from the guest's memory.
        None => FaultKind::BadAnswer,
    };
    let what = match trap {
        Some(Trap::OutOfFuel) => format!("used up its fuel of {granted}"),
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    let memory = if state.allowance.was_refused() {
        format!("; it wanted more memory than its {} MiB", MEMORY_BYTES_MAX >> 20)
    } else {
        String::new()
    };
    let message = match state.take_last_error() {
        Some(last) => format!("{last} ({what}{memory})"),
        None => format!("{what}{memory}"),
    };
    Fault {
        kind,
        message: convert::reason(message),
    }
}
