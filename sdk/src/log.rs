//! What a policy says aloud: lines for Usher's log, from a level on that the operator sets.
//!
//! Natively they go to standard error, of which `cargo test` shows what a failing test said; or to whoever [`listen`]s.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(target_family = "wasm"))]
use std::sync::OnceLock;

use crate::Level;

/// The longest message, in bytes; a longer one would be a fault, so it is cut here. The contract says 4 KiB.
#[doc(hidden)]
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// The level from which on messages are wanted. A module has one thread, so no ordering is at stake.
static WANTED: AtomicU8 = AtomicU8::new(Level::Info as u8);

#[cfg(not(target_family = "wasm"))]
static LISTENER: OnceLock<fn(Level, &str)> = OnceLock::new();

/// Has what policies say natively told to somebody else than standard error; the first who asks is heard.
///
/// ```
/// usher_sdk::log::listen(|level, message| println!("{level:?}: {message}"));
/// usher_sdk::warn!("no pool suits region {}", "eu");
/// ```
#[cfg(not(target_family = "wasm"))]
pub fn listen(listener: fn(Level, &str)) {
    LISTENER.get_or_init(|| listener);
}

/// Remembers from which level on messages are wanted.
pub(crate) fn set_wanted(level: Level) {
    WANTED.store(level as u8, Ordering::Relaxed);
}

/// Returns whether a message of this level is wanted; if not, it need not be formatted.
#[doc(hidden)]
pub fn is_wanted(level: Level) -> bool {
    level as u8 >= WANTED.load(Ordering::Relaxed)
}

/// Says a message; the macros ask [`is_wanted`] first.
#[doc(hidden)]
pub fn say(level: Level, message: fmt::Arguments<'_>) {
    let mut text = message.to_string();
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
    #[cfg(target_family = "wasm")]
    crate::bindings::base::usher::policy::host::log(level, &text);
    #[cfg(not(target_family = "wasm"))]
    match LISTENER.get() {
        Some(listener) => listener(level, &text),
        None => eprintln!("{level:?}: {text}"),
    }
}

/// Lets a panic say its message, file and line before the module traps.
#[cfg(target_family = "wasm")]
pub(crate) fn say_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        match panic.location() {
            Some(at) => say(
                Level::Error,
                format_args!("panicked at {}:{}: {message}", at.file(), at.line()),
            ),
            None => say(Level::Error, format_args!("panicked: {message}")),
        }
    }));
}

#[doc(hidden)]
#[macro_export]
macro_rules! say {
    ($level:ident, $($message:tt)+) => {
        if $crate::log::is_wanted($crate::Level::$level) {
            $crate::log::say($crate::Level::$level, ::core::format_args!($($message)+));
        }
    };
}

/// Logs what only the policy's author needs.
///
/// ```
/// usher_sdk::debug!("{} candidates", 3);
/// ```
#[macro_export]
macro_rules! debug { ($($message:tt)+) => { $crate::say!(Debug, $($message)+) }; }

/// Logs what an operator may like to know.
///
/// ```
/// usher_sdk::info!("the day begins");
/// ```
#[macro_export]
macro_rules! info { ($($message:tt)+) => { $crate::say!(Info, $($message)+) }; }

/// Logs what an operator should look at.
///
/// ```
/// usher_sdk::warn!("no pool suits region {}", "eu");
/// ```
#[macro_export]
macro_rules! warn { ($($message:tt)+) => { $crate::say!(Warn, $($message)+) }; }

/// Logs what went wrong.
///
/// ```
/// usher_sdk::error!("lost count at {}", 7);
/// ```
#[macro_export]
macro_rules! error { ($($message:tt)+) => { $crate::say!(Error, $($message)+) }; }
