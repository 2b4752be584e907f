//! The built-in policy: plain Rust behind the same questions, with neither fuel nor memory limits. It is our own code.

use usher_fleet::Timestamp;
use usher_fleet::advice::{Growth, PlaceAdvice, PlaceAsk, ScaleAsk, Shrinkage, VerdictRow};
use usher_fleet::decision::PolicyRef;
use usher_fleet::view::ViewChange;

/// Makes an instance of the built-in policy with settings, a JSON object; an error says what is wrong with them.
pub type MakeBuiltIn = fn(settings_json: &str) -> Result<Box<dyn Native>, String>;

/// A policy that is compiled into the host.
///
/// Like a guest it is made with its settings, told the whole view and then its changes, and asked. An error is a fault, after which
/// another one is made. It must not panic.
pub trait Native: Send {
    /// Returns its name and version.
    fn policy(&self) -> PolicyRef;

    /// Takes the newest row of each thing that changed, in the fleet's order.
    ///
    /// # Errors
    /// Why its view is broken.
    fn update(&mut self, now: Timestamp, changes: &[ViewChange]) -> Result<(), String>;

    /// Takes what became of its orders.
    fn verdicts(&mut self, verdicts: &[VerdictRow]);

    /// Says where a room goes.
    ///
    /// # Errors
    /// Why it cannot tell.
    fn place(&mut self, ask: &PlaceAsk<'_>) -> Result<PlaceAdvice, String>;

    /// Says how many servers more are wanted.
    ///
    /// # Errors
    /// Why it cannot tell.
    fn scale_up(&mut self, ask: &ScaleAsk) -> Result<Vec<Growth>, String>;

    /// Says which servers may go.
    ///
    /// # Errors
    /// Why it cannot tell.
    fn scale_down(&mut self, ask: &ScaleAsk) -> Result<Vec<Shrinkage>, String>;
}
