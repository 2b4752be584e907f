//! What a rehearsal found, for people and for programs.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use usher_policy::LoadError;

use crate::cli::table::{self, Column};

/// A policy that has passed every gate, and how it does on a made-up fleet.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// The file, as it was named.
    pub(super) file: String,
    /// What it says of itself.
    pub(super) name: String,
    pub(super) version: String,
    pub(super) summary: String,
    pub(super) sha256: String,
    pub(super) decisions: Vec<&'static str>,
    /// The interfaces that it imports.
    pub(super) imports: Vec<String>,
    /// The reported numbers that it wants to see.
    pub(super) figures: Vec<String>,
    /// The settings that it was given; none where there is no file.
    pub(super) settings: Option<String>,
    pub(super) wasm_bytes: usize,
    pub(super) wasm_bytes_max: u64,
    /// After all questions.
    pub(super) memory_bytes: usize,
    pub(super) memory_bytes_max: usize,
    /// How many servers the made-up fleet has.
    pub(super) servers: usize,
    /// What the questions cost, for each decision that it takes.
    pub(super) prices: Vec<Price>,
    pub(super) rooms: Option<Rooms>,
    pub(super) growth: Option<Growth>,
    pub(super) shrinkage: Option<Vec<Shrinkage>>,
    /// What is allowed and probably not meant.
    pub(super) warnings: Vec<String>,
}

/// What one kind of question cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Price {
    pub(super) decision: &'static str,
    pub(super) asked: usize,
    pub(super) fuel: Spread<u64>,
    /// What one question may use in a fleet of this size.
    pub(super) fuel_max: u64,
    pub(super) microseconds: Spread<f64>,
}

/// The middle, the 99th of a hundred, and the dearest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread<T> {
    pub(super) p50: T,
    pub(super) p99: T,
    pub(super) max: T,
}

/// What became of the rooms that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Rooms {
    pub(super) asked: usize,
    pub(super) placed: usize,
    pub(super) waiting: usize,
    pub(super) deferred: usize,
    pub(super) rejected: usize,
    /// Without an answer.
    pub(super) faults: usize,
    pub(super) examples: Vec<Example>,
}

/// One room and its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Example {
    pub(super) room: String,
    pub(super) seats: u32,
    /// Empty = any.
    pub(super) region: String,
    pub(super) answer: String,
    pub(super) reason: Option<String>,
}

/// Servers that it orders while rooms wait.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Growth {
    pub(super) waiting_rooms: u32,
    pub(super) orders: Vec<Ordered>,
}

/// Servers that it orders in one pool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Ordered {
    pub(super) pool: String,
    pub(super) servers: u32,
    pub(super) reason: String,
}

/// Servers of a pool that it lets go; none = all stay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Shrinkage {
    pub(super) pool: String,
    pub(super) servers: Vec<Retired>,
}

/// One server that it lets go.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Retired {
    pub(super) server: String,
    pub(super) reason: String,
}

/// How many retirements of a pool people are shown.
const RETIREMENTS_SHOWN: usize = 3;

impl<T: Copy> Spread<T> {
    /// Returns the spread of what was measured, in ascending order; none of nothing.
    pub(super) fn of(ascending: &[T]) -> Option<Spread<T>> {
        let at =
            |percent: usize| ascending.get((ascending.len() * percent / 100).min(ascending.len().saturating_sub(1)));
        Some(Spread {
            p50: *at(50)?,
            p99: *at(99)?,
            max: *ascending.last()?,
        })
    }
}

/// Returns what a refusal is as JSON.
pub(super) fn refusal_json(file: &str, refusal: &LoadError) -> Value {
    json!({ "file": file, "refused": { "step": refusal.step(), "problem": refusal.to_string() } })
}

/// Returns a refusal in words: which gate, and why.
pub(super) fn refusal(file: &str, refusal: &LoadError) -> String {
    format!("{file} is refused at the gate `{}`: {refusal}", refusal.step())
}

/// The columns of the table of prices.
const PRICES: &[Column] = &[
    Column::words("DECISION", |price| shown(price, "/decision")),
    Column::number("ASKED", |price| shown(price, "/asked")),
    Column::number("FUEL p50", |price| grouped(price, "/fuel/p50")),
    Column::number("p99", |price| grouped(price, "/fuel/p99")),
    Column::number("MAX", |price| grouped(price, "/fuel/max")),
    Column::number("OF", |price| grouped(price, "/fuel_max")),
    Column::number("µs p50", |price| shown(price, "/microseconds/p50")),
    Column::number("p99", |price| shown(price, "/microseconds/p99")),
    Column::number("MAX", |price| shown(price, "/microseconds/max")),
];

impl Report {
    /// Writes it for people.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_itself(out)?;
        writeln!(
            out,
            "\non a made-up fleet of {} servers",
            thousands(self.servers as u64)
        )?;
        let prices: Vec<Value> = self.prices.iter().map(|price| json!(price)).collect();
        for line in table::table(PRICES, &prices, None).lines() {
            writeln!(out, "  {line}")?;
        }
        self.write_decided(out)?;
        for warning in &self.warnings {
            writeln!(out, "\nwarning: {warning}")?;
        }
        writeln!(out, "\n{} passes every gate", self.file)
    }

    fn write_itself(&self, out: &mut dyn Write) -> io::Result<()> {
        let list = |words: &[String]| match words.is_empty() {
            true => "nothing".to_owned(),
            false => words.join(", "),
        };
        writeln!(out, "{} {}: {}", self.name, self.version, self.summary)?;
        writeln!(out, "  decides   {}", self.decisions.join(", "))?;
        writeln!(out, "  imports   {}", list(&self.imports))?;
        if !self.figures.is_empty() {
            writeln!(out, "  figures   {}", list(&self.figures))?;
        }
        writeln!(
            out,
            "  settings  {}",
            self.settings.as_deref().unwrap_or("none: its defaults")
        )?;
        writeln!(
            out,
            "  size      {} of wasm (at most {}), {} of memory (at most {})",
            size(self.wasm_bytes as u64),
            size(self.wasm_bytes_max),
            size(self.memory_bytes as u64),
            size(self.memory_bytes_max as u64)
        )?;
        writeln!(out, "  sha256    {}", self.sha256)
    }

    fn write_decided(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(rooms) = &self.rooms {
            let asked = thousands(rooms.asked as u64);
            writeln!(out, "\nof {asked} rooms, each asked for alone, {}", rooms.tally())?;
            let rows: Vec<Value> = rooms.examples.iter().map(|example| json!(example)).collect();
            for line in table::table(EXAMPLES, &rows, None).lines().skip(1) {
                writeln!(out, "  {line}")?;
            }
        }
        if let Some(growth) = &self.growth {
            writeln!(
                out,
                "\nwhile {} rooms wait and every server is full it would launch",
                growth.waiting_rooms
            )?;
            growth.write(out)?;
        }
        if let Some(shrinkage) = &self.shrinkage {
            writeln!(out, "\nwhile nothing waits it would let go")?;
            for it in shrinkage {
                it.write(out)?;
            }
            if shrinkage.is_empty() {
                writeln!(out, "  {LEFT_ALONE}")?;
            }
        }
        Ok(())
    }
}

/// What is said where a scale decision names no pool.
const LEFT_ALONE: &str = "nothing, and leaves every pool to the next policy";

/// The columns of the rooms that are shown; without a header.
const EXAMPLES: &[Column] = &[
    Column::words("", |example| shown(example, "/room")),
    Column::number("", |example| format!("{} seats", shown(example, "/seats"))),
    Column::words("", |example| match shown(example, "/region") {
        region if region.is_empty() => "anywhere".to_owned(),
        region => region,
    }),
    Column::words("", |example| shown(example, "/answer")),
    Column::words("", |example| shown(example, "/reason")),
];

impl Rooms {
    fn tally(&self) -> String {
        let parts = [
            (self.placed, "go to a server"),
            (self.waiting, "wait"),
            (self.deferred, "are left to the next policy"),
            (self.rejected, "are rejected"),
            (self.faults, "get no answer"),
        ];
        let told = parts.iter().filter(|(count, _)| *count > 0);
        let told = told.map(|(count, what)| format!("{} {what}", thousands(*count as u64)));
        let told: Vec<String> = told.collect();
        told.join(", ")
    }
}

impl Growth {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (some, none): (Vec<&Ordered>, Vec<&Ordered>) = self.orders.iter().partition(|it| it.servers > 0);
        for it in some {
            writeln!(out, "  {} in {}: {}", it.servers, it.pool, it.reason)?;
        }
        match none.is_empty() {
            true if self.orders.is_empty() => writeln!(out, "  {LEFT_ALONE}"),
            true => Ok(()),
            false => {
                let pools: Vec<&str> = none.iter().map(|it| it.pool.as_str()).collect();
                writeln!(out, "  none in {}, whatever later policies say", pools.join(", "))
            }
        }
    }
}

impl Shrinkage {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.servers.is_empty() {
            return writeln!(out, "  none of {}, whatever later policies say", self.pool);
        }
        writeln!(out, "  {} of {}", self.servers.len(), self.pool)?;
        for it in self.servers.iter().take(RETIREMENTS_SHOWN) {
            writeln!(out, "    {}: {}", it.server, it.reason)?;
        }
        match self.servers.len().saturating_sub(RETIREMENTS_SHOWN) {
            0 => Ok(()),
            more => writeln!(out, "    and {more} more"),
        }
    }
}

fn shown(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn grouped(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .map_or_else(String::new, thousands)
}

/// Returns a number with its thousands set apart: `1,200,000`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Returns a size in the unit that people would take.
pub(super) fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{} KiB", bytes / KIB),
        _ if bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ => format!("{:.1} MiB", bytes as f64 / MIB as f64),
    }
}

/// Returns a duration in the unit that people would take.
pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..1_000 => format!("{millis} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 999, 1_000, 1_200_000].map(thousands),
            ["0", "999", "1,000", "1,200,000"]
        );
        assert_eq!(
            [12, 2_048, 4 << 20, 3 << 19].map(size),
            ["12 bytes", "2 KiB", "4 MiB", "1.5 MiB"]
        );
        assert_eq!(
            [12, 2_345].map(|millis| seconds(Duration::from_millis(millis))),
            ["12 ms", "2.3 s"]
        );
    }

    #[test]
    fn a_spread_is_of_what_was_measured() {
        let hundred: Vec<u64> = (1..=100).collect();
        let spread = Spread::of(&hundred).unwrap();
        assert_eq!((spread.p50, spread.p99, spread.max), (51, 100, 100));
        assert_eq!(Spread::of(&[7]).map(|spread| spread.p99), Some(7));
        assert_eq!(Spread::<u64>::of(&[]), None);
    }
}
