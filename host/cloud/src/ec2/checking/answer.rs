//! What EC2 refuses a question with, as a sentence.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

use super::super::refusal::{self, ENCODED};
use crate::finding::Finding;

/// The code by which EC2 says that a dry run would have succeeded; its status is 412.
const WOULD_HAVE: &str = "DryRunOperation";
/// The code of a call that the policy does not allow.
const FORBIDDEN: &str = "UnauthorizedOperation";
/// Which action a policy lacks stands behind these words; it may be another than the one called.
const LACKING: &str = "is not authorized to perform: ";
/// Where all that Usher needs stands.
const POLICY: &str = "examples/aws/policy.json";

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A permission is missing.
    Forbidden {
        /// Which, as a policy names it.
        action: String,
        /// All that EC2 says.
        words: String,
    },
    /// Something else is wrong.
    Code {
        /// EC2's code.
        code: String,
        /// The code with all that EC2 says.
        words: String,
    },
    /// There is nothing to ask with.
    NoCredentials,
    /// The credentials' source failed.
    BadCredentials(String),
    /// No answer, or none that can be read.
    Silence(String),
    /// A dry run was taken for a call.
    NoDryRun,
    /// Nothing was asked: there is no request to be made of the configuration.
    NoQuestion(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Forbidden { action, words } => {
                write!(
                    f,
                    "the credentials may not {action}: add it to the policy ({POLICY}). EC2 says: {words}"
                )?;
                if words.contains(ENCODED) {
                    f.write_str(" (`aws sts decode-authorization-message --encoded-message …` reads the rest)")?;
                }
                Ok(())
            }
            Refusal::Code { words, .. }
            | Refusal::BadCredentials(words)
            | Refusal::Silence(words)
            | Refusal::NoQuestion(words) => f.write_str(words),
            Refusal::NoCredentials => f.write_str("no credentials were found"),
            Refusal::NoDryRun => f.write_str("the endpoint does not know dry runs"),
        }
    }
}

impl Refusal {
    /// Returns EC2's code, where it has one to decide by.
    pub(super) fn code(&self) -> &str {
        match self {
            Refusal::Code { code, .. } => code,
            Refusal::Forbidden { .. }
            | Refusal::NoCredentials
            | Refusal::BadCredentials(_)
            | Refusal::Silence(_)
            | Refusal::NoDryRun
            | Refusal::NoQuestion(_) => "",
        }
    }

    /// Says that something could not be looked at for this.
    pub(super) fn hides(&self, what: &str) -> Finding {
        Finding::unknown(format!("{what} could not be looked at: {self}"))
    }
}

/// Returns what a failed call of an action says.
pub(super) fn refusal_of<E>(error: &SdkError<E>, action: &str) -> Refusal
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let words = refusal::whole_text(error);
    match (error.code(), refusal::credentials(error)) {
        (Some(FORBIDDEN), _) => Refusal::Forbidden {
            action: lacking(&words).unwrap_or_else(|| format!("ec2:{action}")),
            words,
        },
        (Some(code), _) => Refusal::Code {
            code: code.to_owned(),
            words,
        },
        (None, Some(CredentialsError::CredentialsNotLoaded(_))) => Refusal::NoCredentials,
        (None, Some(_)) => Refusal::BadCredentials(words),
        (None, None) => Refusal::Silence(words),
    }
}

/// Returns whether a dry run would have succeeded.
pub(super) fn of_dry_run<T, E>(answer: Result<T, SdkError<E>>, action: &str) -> Result<(), Refusal>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match answer {
        Ok(_) => Err(Refusal::NoDryRun),
        Err(error) if error.code() == Some(WOULD_HAVE) => Ok(()),
        Err(error) => Err(refusal_of(&error, action)),
    }
}

/// Returns the action that EC2's words name.
fn lacking(words: &str) -> Option<String> {
    let (_, behind) = words.split_once(LACKING)?;
    let action = behind.split_whitespace().next()?.trim_end_matches('.');
    action.contains(':').then(|| action.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_that_is_lacking_may_be_another_than_the_one_called() {
        let words = "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:iam::1:user/u is not \
                     authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/media";
        assert_eq!(lacking(words).as_deref(), Some("iam:PassRole"));
        assert_eq!(lacking("You are not authorized to perform this operation."), None);
    }
}
