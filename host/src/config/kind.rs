//! The kinds of value that a key may have: how each is read, and how it is called when it is wrong.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;
use usher_fleet::units::Microdollars;

use super::problem::{Collector, Place};
use super::section::Section;
use super::token::TokenHash;

/// The longest text that is taken, in characters: enough for a URL with placeholders, short enough for a log line.
const TEXT_CHARS_MAX: usize = 512;

/// A kind of value.
pub(super) trait Kind {
    /// What it becomes.
    type Value;

    /// The keys within, where the value is a table of keys or a list of such tables.
    const SECTION: Option<&'static Section> = None;

    /// Whether it is written as `[[key]]`.
    const IS_LIST: bool = false;

    /// Returns the value, or `None` and at least one problem. `example` shows a good one.
    fn read(
        value: &Spanned<DeValue<'_>>,
        at: &Place,
        example: &str,
        problems: &mut Collector<'_>,
    ) -> Option<Self::Value>;
}

/// A kind of value that is good or bad as a whole.
pub(super) trait Simple {
    /// What it becomes.
    type Value;

    /// Returns what is wanted, to stand after "must be".
    fn wanted() -> String;

    /// Returns the value, or `None` if it is not of this kind.
    fn of(value: &DeValue<'_>) -> Option<Self::Value>;
}

impl<K: Simple> Kind for K {
    type Value = K::Value;

    fn read(value: &Spanned<DeValue<'_>>, at: &Place, example: &str, problems: &mut Collector<'_>) -> Option<K::Value> {
        let read = K::of(value.get_ref());
        if read.is_none() {
            not_a(&K::wanted(), value, at, example, problems);
        }
        read
    }
}

/// Says that a value is of the wrong kind.
pub(super) fn not_a(
    wanted: &str,
    value: &Spanned<DeValue<'_>>,
    at: &Place,
    example: &str,
    problems: &mut Collector<'_>,
) {
    let wrong = format!("must be {wanted}, not {}", shown(value.get_ref()));
    problems.problem(at, wrong, format!("write for example {example}"));
}

/// A whole number within bounds.
pub(super) struct Whole<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Simple for Whole<MIN, MAX> {
    type Value = u64;

    fn wanted() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn of(value: &DeValue<'_>) -> Option<u64> {
        let integer = value.as_integer()?;
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
        (MIN..=MAX).contains(&number).then_some(number)
    }
}

/// A small whole number within bounds.
pub(super) struct Count<const MIN: u32, const MAX: u32>;

impl<const MIN: u32, const MAX: u32> Simple for Count<MIN, MAX> {
    type Value = u32;

    fn wanted() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn of(value: &DeValue<'_>) -> Option<u32> {
        let number = u32::try_from(Whole::<0, { u32::MAX as u64 }>::of(value)?).ok()?;
        (MIN..=MAX).contains(&number).then_some(number)
    }
}

/// Whole seconds within bounds.
pub(super) struct Seconds<const MIN: u32, const MAX: u32>;

impl<const MIN: u32, const MAX: u32> Simple for Seconds<MIN, MAX> {
    type Value = Duration;

    fn wanted() -> String {
        format!("whole seconds from {MIN} to {MAX}")
    }

    fn of(value: &DeValue<'_>) -> Option<Duration> {
        Count::<MIN, MAX>::of(value).map(|seconds| Duration::from_secs(seconds.into()))
    }
}

fn real(value: &DeValue<'_>) -> Option<f64> {
    let number = match value {
        DeValue::Float(float) => f64::from_str(float.as_str()).ok()?,
        DeValue::Integer(_) => Whole::<0, { u32::MAX as u64 }>::of(value)? as f64,
        DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            return None;
        }
    };
    number.is_finite().then_some(number)
}

/// A number with a fraction, from 0 to `MAX`.
pub(super) struct Real<const MAX: u32>;

impl<const MAX: u32> Simple for Real<MAX> {
    type Value = f64;

    fn wanted() -> String {
        format!("a number from 0.0 to {MAX}.0")
    }

    fn of(value: &DeValue<'_>) -> Option<f64> {
        real(value).filter(|number| (0.0..=f64::from(MAX)).contains(number))
    }
}

/// An amount in dollars.
pub(super) struct Dollars;

/// The largest amount that is taken; more is a slip of the keyboard.
const DOLLARS_MAX: f64 = 10_000_000.0;

impl Simple for Dollars {
    type Value = Microdollars;

    fn wanted() -> String {
        format!("dollars, a number from 0.0 to {DOLLARS_MAX:.1}")
    }

    fn of(value: &DeValue<'_>) -> Option<Microdollars> {
        let dollars = real(value).filter(|dollars| (0.0..=DOLLARS_MAX).contains(dollars))?;
        Some(Microdollars((dollars * 1e6).round() as u64))
    }
}

/// A text of one line.
pub(super) struct Text;

impl Simple for Text {
    type Value = String;

    fn wanted() -> String {
        format!("a text of 1 to {TEXT_CHARS_MAX} characters in one line")
    }

    fn of(value: &DeValue<'_>) -> Option<String> {
        let text = value.as_str()?;
        let fits = (1..=TEXT_CHARS_MAX).contains(&text.chars().count());
        (fits && !text.contains(char::is_control)).then(|| text.to_owned())
    }
}

/// Yes or no.
pub(super) struct Flag;

impl Simple for Flag {
    type Value = bool;

    fn wanted() -> String {
        "true or false".to_owned()
    }

    fn of(value: &DeValue<'_>) -> Option<bool> {
        value.as_bool()
    }
}

/// An id, as API and config have them.
pub(super) struct Id<T>(PhantomData<T>);

impl<T: FromStr> Simple for Id<T> {
    type Value = T;

    fn wanted() -> String {
        format!(
            "a text of 1 to {} of the characters A-Z a-z 0-9 . _ : -",
            usher_fleet::ids::ID_BYTES_MAX
        )
    }

    fn of(value: &DeValue<'_>) -> Option<T> {
        value.as_str()?.parse().ok()
    }
}

/// An IP address and a port.
pub(super) struct Address;

impl Simple for Address {
    type Value = SocketAddr;

    fn wanted() -> String {
        "an IP address and a port".to_owned()
    }

    fn of(value: &DeValue<'_>) -> Option<SocketAddr> {
        value.as_str()?.parse().ok()
    }
}

/// One of a few words.
pub(super) trait Words: Copy + 'static {
    /// The words and what they mean.
    const WORDS: &'static [(&'static str, Self)];
}

/// One of the words of `W`.
pub(super) struct Word<W>(PhantomData<W>);

impl<W: Words> Simple for Word<W> {
    type Value = W;

    fn wanted() -> String {
        let words: Vec<String> = W::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("one of {}", words.join(", "))
    }

    fn of(value: &DeValue<'_>) -> Option<W> {
        let text = value.as_str()?;
        W::WORDS
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, meaning)| *meaning)
    }
}

/// Several values of one kind, each read for itself.
pub(super) struct List<K>(PhantomData<K>);

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    const SECTION: Option<&'static Section> = K::SECTION;
    const IS_LIST: bool = true;

    fn read(
        value: &Spanned<DeValue<'_>>,
        at: &Place,
        example: &str,
        problems: &mut Collector<'_>,
    ) -> Option<Self::Value> {
        let Some(items) = value.get_ref().as_array() else {
            not_a("a list", value, at, example, problems);
            return None;
        };
        let read = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
            K::read(item, &at.item(index, item.span()), example, problems)
        };
        // A list with a wrong item is no list: its good items would be judged as if they were all.
        let read: Vec<Option<K::Value>> = items.iter().enumerate().map(read).collect();
        read.into_iter().collect()
    }
}

/// Values of one kind by free names.
pub(super) struct ByName<K>(PhantomData<K>);

impl<K: Kind> Kind for ByName<K> {
    type Value = BTreeMap<String, K::Value>;

    fn read(
        value: &Spanned<DeValue<'_>>,
        at: &Place,
        example: &str,
        problems: &mut Collector<'_>,
    ) -> Option<Self::Value> {
        let Some(table) = value.get_ref().as_table() else {
            not_a("a table", value, at, example, problems);
            return None;
        };
        let read: Vec<Option<(String, K::Value)>> = table
            .iter()
            .map(|(name, value)| {
                let read = K::read(value, &at.key(name.get_ref(), name.span()), example, problems);
                read.map(|read| (name.get_ref().to_string(), read))
            })
            .collect();
        read.into_iter().collect()
    }
}

/// The hash of a token. What is written instead is never shown: it may be the token.
pub(super) struct Hash;

impl Kind for Hash {
    type Value = TokenHash;

    fn read(value: &Spanned<DeValue<'_>>, at: &Place, _: &str, problems: &mut Collector<'_>) -> Option<TokenHash> {
        let hash = value.get_ref().as_str().and_then(|text| text.parse().ok());
        if hash.is_none() {
            let wrong = "must be a token's hash: `sha256:` and 64 hexadecimal digits";
            let remedy =
                "`usher token new` prints a token and its hash; the token itself does not belong into the file";
            problems.problem(at, wrong, remedy);
        }
        hash
    }
}

/// Returns a value as a message shows it: short, and on one line.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    /// Enough to recognise what one wrote.
    const CHARS_MAX: usize = 40;
    match value {
        DeValue::String(text) if text.chars().count() > CHARS_MAX => {
            format!("{:?}…", text.chars().take(CHARS_MAX).collect::<String>())
        }
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
