//! EC2's error codes, by what to do next. Codes: the EC2 API reference, "Error codes for the Amazon EC2 API". The table for people
//! stands in `examples/aws/README.md`, and a test here holds it.
//!
//! `IdempotentParameterMismatch` and `IdempotentInstanceTerminated` say that the client token was used: what it made is looked for
//! ([`super::launching`]).

use std::error::Error;
use std::fmt::Write as _;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

use usher_fleet::observation::ProviderError;

/// The code of a client token that was used with other parameters.
pub(super) const TOKEN_OF_ANOTHER: &str = "IdempotentParameterMismatch";
/// The code of a client token whose instance has ended.
pub(super) const TOKEN_OF_ENDED: &str = "IdempotentInstanceTerminated";
/// The code of an instance that is protected from termination, or of a call that this account may not make.
pub(super) const NOT_PERMITTED: &str = "OperationNotPermitted";
/// The code of an instance id that EC2 does not know, or does not show yet.
pub(super) const NOT_FOUND: &str = "InvalidInstanceID.NotFound";

/// This type is not to be had in this zone and market now, or not at all.
const NEXT_OFFER: [&str; 8] = [
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientCapacity",
    "SpotMaxPriceTooLow",
    "MaxSpotInstanceCountExceeded",
    "InstanceLimitExceeded",
    "VcpuLimitExceeded",
    "Unsupported",
];
/// This zone's subnet takes no more, whatever the type.
const NEXT_ZONE: [&str; 2] = ["InsufficientFreeAddressesInSubnet", "PrivateIpAddressLimitExceeded"];
/// Only a human can help.
const STOP: [&str; 7] = [
    "UnauthorizedOperation",
    "OptInRequired",
    "Blocked",
    "PendingVerification",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    NOT_PERMITTED,
];
/// What begins so is as [`STOP`]; `AuthFailure.ServiceLinkedRoleCreationNotPermitted` is what the first spot order of an account may get.
const STOP_BEGINNINGS: [&str; 6] = [
    "AuthFailure",
    "Invalid",
    "Missing",
    "Malformed",
    "Unknown",
    "Unsupported",
];

/// Reasons that only AWS can read stand behind these words.
pub(super) const ENCODED: &str = "Encoded authorization failure message:";

/// The longest text of an error that is kept, in bytes: AWS encodes whole policies into some.
const TEXT_BYTES_MAX: usize = 600;

/// Sorts what a call failed with.
pub(super) fn class<E>(error: &SdkError<E>) -> ProviderError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let text = text(error);
    match error.code() {
        Some(code) => class_of(code, text),
        None if is_without_credentials(error) => ProviderError::Misconfigured(text),
        None => ProviderError::Unknown(text),
    }
}

fn class_of(code: &str, text: String) -> ProviderError {
    if NEXT_OFFER.contains(&code) {
        ProviderError::NoCapacity(text)
    } else if NEXT_ZONE.contains(&code) {
        ProviderError::NoAddresses(text)
    } else if STOP.contains(&code) || STOP_BEGINNINGS.iter().any(|begin| code.starts_with(begin)) {
        ProviderError::Misconfigured(text)
    } else {
        ProviderError::Unknown(text)
    }
}

/// Whether a call never left for want of credentials.
fn is_without_credentials<E: Error + 'static>(error: &SdkError<E>) -> bool {
    matches!(credentials(error), Some(CredentialsError::CredentialsNotLoaded(_)))
}

/// Returns why there were no credentials to call with, if that is it.
pub(super) fn credentials<E: Error + 'static>(error: &SdkError<E>) -> Option<&CredentialsError> {
    let mut cause = Some(error as &(dyn Error + 'static));
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Returns what an error says, as far as an event keeps it: its code and message, or all its causes.
pub(super) fn text<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let mut text = whole_text(error);
    // What follows is another text for each call, of no use to people: an event would be told again with each try.
    if let Some(at) = text.find(ENCODED) {
        text.truncate(text[..at].trim_end().len());
    }
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

/// Returns all that an error says.
pub(super) fn whole_text<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                write!(text, ": {error}").expect("a string takes all");
                cause = error.source();
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the example's README tells people, a row for each class.
    const TABLE: &str = include_str!("../../../../examples/aws/README.md");

    fn row_of(code: &str) -> &'static str {
        match class_of(code, String::new()) {
            ProviderError::NoCapacity(_) => "orders the next offer",
            ProviderError::NoAddresses(_) => "orders in the next zone",
            ProviderError::Misconfigured(_) => "stops and tells",
            ProviderError::Unknown(_) => "asks the same again",
            ProviderError::Refused(_) => "gives up",
        }
    }

    #[test]
    fn each_code_does_what_people_are_told_and_they_are_told_of_each() {
        let (_, table) = TABLE
            .split_once("| what Usher does | codes |\n")
            .expect("it has the table");
        let rows: Vec<(&str, Vec<&str>)> = table
            .lines()
            .skip(1)
            .map_while(|line| line.strip_prefix("| ")?.split_once(" | "))
            .map(|(what, codes)| (what, codes.split('`').skip(1).step_by(2).collect()))
            .collect();
        for (what, codes) in &rows {
            for code in codes {
                let example = code.replace('*', "Anything.AtAll");
                assert_eq!(row_of(&example), *what, "{code}");
            }
        }
        let beginnings = STOP_BEGINNINGS.map(|begin| format!("{begin}*"));
        let all = NEXT_OFFER.iter().chain(&NEXT_ZONE).chain(&STOP).copied();
        for code in all.chain(beginnings.iter().map(String::as_str)) {
            let is_told = rows.iter().any(|(_, codes)| codes.contains(&code));
            assert!(is_told, "{code} is missing in the README's table");
        }
        assert_eq!(row_of("SomethingNew"), "asks the same again");
    }
}
