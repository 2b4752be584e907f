//! What is left to be read of an instance that never reported: the end of its console, and why EC2 says that it ended.
//!
//! Both only read, and neither decides anything. What cannot be had is a reason in words, for an operator.

use std::time::Duration;

use aws_sdk_ec2::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_ec2::operation::get_console_output::{GetConsoleOutputError, GetConsoleOutputOutput};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::timeout;

use usher_fleet::observation::Evidence;

use super::{Ec2, refusal};

/// How much of a console is told: some 50 lines, and few enough bytes for an event.
const CONSOLE_BYTES_MAX: usize = 4 << 10;

/// How long a console may take: the failed instance is paid for until it is ended, and ending waits for this.
const CONSOLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The code of an instance type whose console EC2 keeps, and cannot read as it is now.
const NOT_LIVE: &str = "UnsupportedOperation";

impl Ec2 {
    /// Returns what is left to be read of an instance.
    pub(super) async fn evidence_of(&self, instance: &str) -> Evidence {
        let (cause, console) = tokio::join!(self.state_reason(instance), self.console_end(instance));
        let console = match console {
            Ok(end) if end.is_empty() => "nothing was written on its console, as far as EC2 knows".to_owned(),
            Ok(end) | Err(end) => end,
        };
        Evidence {
            cause,
            console: Some(console),
        }
    }

    /// Returns the end of what an instance has written on its console: at most 4 KiB, from a line's start, without colours and
    /// control characters. It is empty where nothing was written, or EC2 has nothing yet: for types that are not on Nitro it keeps
    /// what was written up to a minute ago or more.
    ///
    /// # Errors
    ///
    /// It cannot be read within 15 s; in words.
    pub(super) async fn console_end(&self, instance: &str) -> Result<String, String> {
        self.console_end_within(instance, CONSOLE_TIMEOUT).await
    }

    /// Returns why EC2 says that an instance is in its state: `Server.InternalError: Internal error on launch`. None where it says
    /// nothing, or cannot be asked.
    pub(super) async fn state_reason(&self, instance: &str) -> Option<String> {
        let call = self.client().await.describe_instances().instance_ids(instance);
        let answer = timeout(CONSOLE_TIMEOUT, call.send()).await.ok()?.ok()?;
        let described = answer.reservations().first()?.instances().first()?;
        let message = described.state_reason()?.message()?;
        // A living instance has none, or the name of its state.
        message.contains(':').then(|| message.to_owned())
    }

    pub(super) async fn console_end_within(&self, instance: &str, limit: Duration) -> Result<String, String> {
        let answer = match timeout(limit, self.console(instance)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unreadable(&refusal::text(&error))),
            Err(_) => {
                return Err(unreadable(&format!(
                    "EC2 did not answer within {} s",
                    limit.as_secs_f64()
                )));
            }
        };
        let bytes = STANDARD.decode(answer.output().unwrap_or_default());
        let bytes = bytes.map_err(|error| unreadable(&format!("it is not base64: {error}")))?;
        Ok(end_of(&String::from_utf8_lossy(&bytes)))
    }

    /// Reads the console as it is now, or where the type refuses that, as EC2 keeps it.
    async fn console(&self, instance: &str) -> Result<GetConsoleOutputOutput, SdkError<GetConsoleOutputError>> {
        let call = self.client().await.get_console_output().instance_id(instance);
        match call.clone().latest(true).send().await {
            Err(error) if error.code() == Some(NOT_LIVE) => call.send().await,
            answer => answer,
        }
    }
}

fn unreadable(why: &str) -> String {
    format!("console output could not be read: {why}")
}

/// Returns the last of a console's lines, as plain text.
fn end_of(console: &str) -> String {
    let plain = anstream::adapter::strip_str(console).to_string();
    let plain: String = plain
        .chars()
        .filter(|letter| matches!(letter, '\n' | '\t') || !letter.is_control())
        .collect();
    let plain = plain.trim_end();
    let cut = plain.len().saturating_sub(CONSOLE_BYTES_MAX);
    if cut == 0 {
        return plain.to_owned();
    }
    let cut = plain.ceil_char_boundary(cut);
    let is_line_start = plain[..cut].ends_with('\n');
    let end = &plain[cut..];
    match end.split_once('\n') {
        Some((_, lines)) if !is_line_start => lines.to_owned(),
        // Nothing but one line, or whole ones.
        Some(_) | None => end.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_console_is_plain_text() {
        let console = "\u{1b}[0;32m  OK  \u{1b}[0m Started\r\n\u{7}\tlogin: \u{0}\u{9b}\n\n";
        assert_eq!(end_of(console), "  OK   Started\n\tlogin:");
        assert_eq!(end_of(""), "");
    }

    #[test]
    fn the_end_of_a_console_begins_with_a_line_and_is_bounded() {
        let lines: String = (0..2_000).map(|number| format!("line {number} ü\n")).collect();
        let end = end_of(&lines);
        assert!(
            end.len() <= CONSOLE_BYTES_MAX && end.len() > CONSOLE_BYTES_MAX - 20,
            "{}",
            end.len()
        );
        assert!(end.starts_with("line ") && end.ends_with("line 1999 ü"), "{end}");
        let whole = "x".repeat(15) + "\n";
        assert_eq!(end_of(&whole.repeat(1_000)).lines().next(), Some(&*"x".repeat(15)));
        let one_line = "ü".repeat(5_000);
        assert_eq!(end_of(&one_line), "ü".repeat(CONSOLE_BYTES_MAX / 2));
    }
}
