//! EC2's error codes, by what to do next. Codes: the EC2 API reference, "Error codes for the Amazon EC2 API".
//!
//! | what to do | codes |
//! |---|---|
//! | the next offer | `InsufficientInstanceCapacity`, `InsufficientHostCapacity`, `InsufficientCapacity`, `SpotMaxPriceTooLow`, `MaxSpotInstanceCountExceeded`, `InstanceLimitExceeded`, `VcpuLimitExceeded`, `Unsupported` (this type is not offered in this zone) |
//! | the next zone | `InsufficientFreeAddressesInSubnet`, `PrivateIpAddressLimitExceeded` |
//! | stop and alarm | `UnauthorizedOperation`, `AuthFailure`, `OptInRequired`, `Blocked`, `PendingVerification`, `InvalidClientTokenId`, `SignatureDoesNotMatch`, `OperationNotPermitted`, and all that begin with `Invalid`, `Missing`, `Malformed`, `Unknown` or `Unsupported` |
//! | the same again | `RequestLimitExceeded`, `Throttling`, `Unavailable`, `InternalError`, `RequestExpired`, `ExpiredToken`, no answer, an answer that cannot be read, and every code that is not known here |
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
    match code {
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientCapacity"
        | "SpotMaxPriceTooLow"
        | "MaxSpotInstanceCountExceeded"
        | "InstanceLimitExceeded"
        | "VcpuLimitExceeded"
        | "Unsupported" => ProviderError::NoCapacity(text),
        "InsufficientFreeAddressesInSubnet" | "PrivateIpAddressLimitExceeded" => ProviderError::NoAddresses(text),
        "UnauthorizedOperation"
        | "AuthFailure"
        | "OptInRequired"
        | "Blocked"
        | "PendingVerification"
        | "SignatureDoesNotMatch"
        | NOT_PERMITTED => ProviderError::Misconfigured(text),
        _ if ["Invalid", "Missing", "Malformed", "Unknown", "Unsupported"]
            .iter()
            .any(|begin| code.starts_with(begin)) =>
        {
            ProviderError::Misconfigured(text)
        }
        _ => ProviderError::Unknown(text),
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

    #[test]
    fn each_code_says_what_to_do_next() {
        let class = |code: &str| match class_of(code, String::new()) {
            ProviderError::NoCapacity(_) => "next offer",
            ProviderError::NoAddresses(_) => "next zone",
            ProviderError::Misconfigured(_) => "stop",
            ProviderError::Unknown(_) => "again",
            ProviderError::Refused(_) => "ends",
        };
        for (codes, what) in [
            (
                &[
                    "InsufficientInstanceCapacity",
                    "VcpuLimitExceeded",
                    "MaxSpotInstanceCountExceeded",
                    "Unsupported",
                ][..],
                "next offer",
            ),
            (&["InsufficientFreeAddressesInSubnet"], "next zone"),
            (
                &[
                    "UnauthorizedOperation",
                    "AuthFailure",
                    "InvalidLaunchTemplateId.NotFound",
                    "InvalidAMIID.NotFound",
                    "InvalidSubnetID.NotFound",
                    "MissingParameter",
                    "UnsupportedOperation",
                ],
                "stop",
            ),
            (
                &[
                    "RequestLimitExceeded",
                    "InternalError",
                    "Unavailable",
                    "RequestExpired",
                    "SomethingNew",
                ],
                "again",
            ),
        ] {
            for code in codes {
                assert_eq!(class(code), what, "{code}");
            }
        }
    }
}
