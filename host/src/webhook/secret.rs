//! Secrets and signatures after the specification of Standard Webhooks (standardwebhooks.com), for which receivers have libraries
//! in every language.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// What a secret begins with, so that people and scanners know it.
const BEGIN: &str = "whsec_";
/// The bytes that a secret may have, by the specification.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The bytes of a new one: as many as the signature has.
const NEW_BYTES: usize = 32;
/// The most secrets at the same time: the old and the new one while receivers change over.
const SECRETS_MAX: usize = 2;
/// The longest file, in bytes: two secrets with room for blanks.
const FILE_BYTES_MAX: u64 = 1024;

/// Says why there is no secret; never shows what was read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// It holds something else.
    #[error(
        "must hold a secret as `usher webhook new-secret` makes it: `{BEGIN}` and the Base64 of 24 to 64 bytes; or two, one a line, while \
         receivers change from one to the other"
    )]
    NoSecret,
}

/// What calls are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets(Vec<Vec<u8>>);

impl fmt::Debug for Secrets {
    /// Never shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Reads the file that the operator keeps them in.
    ///
    /// # Errors
    /// It cannot be read, or holds none.
    pub fn read(path: &Path) -> Result<Secrets, SecretError> {
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(SecretError::Unreadable)?;
        match file.take(FILE_BYTES_MAX).read_to_string(&mut text) {
            Ok(_) => Secrets::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(SecretError::NoSecret),
            Err(error) => Err(SecretError::Unreadable(error)),
        }
    }

    fn parse(text: &str) -> Result<Secrets, SecretError> {
        let secret = |line: &str| {
            let bytes = BASE64.decode(line.strip_prefix(BEGIN)?).ok()?;
            BYTES.contains(&bytes.len()).then_some(bytes)
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Option<Vec<_>> = lines.map(secret).collect();
        match secrets {
            Some(secrets) if (1..=SECRETS_MAX).contains(&secrets.len()) => Ok(Secrets(secrets)),
            Some(_) | None => Err(SecretError::NoSecret),
        }
    }

    /// Returns what the header `webhook-signature` says of a call: a signature a secret.
    pub(super) fn signatures(&self, id: &str, unix_seconds: u64, body: &[u8]) -> String {
        let signed = |secret: &Vec<u8>| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length will do");
            mac.update(format!("{id}.{unix_seconds}.").as_bytes());
            mac.update(body);
            format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
        };
        self.0.iter().map(signed).collect::<Vec<_>>().join(" ")
    }
}

/// Makes a secret.
///
/// # Errors
/// The system gives no random bytes.
pub(crate) fn new_secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; NEW_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{BEGIN}{}", BASE64.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_the_specifications_libraries_expect() {
        let secrets = Secrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            secrets.signatures("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn with_two_secrets_a_call_has_two_signatures() {
        let (old, new) = (new_secret().unwrap(), new_secret().unwrap());
        let one = |secret: &str| Secrets::parse(secret).unwrap().signatures("msg_1", 1, b"{}");
        let both = Secrets::parse(&format!("{new}\n\n {old}\n")).unwrap();
        assert_eq!(
            both.signatures("msg_1", 1, b"{}"),
            format!("{} {}", one(&new), one(&old))
        );
        assert_ne!(one(&new), one(&old));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_shown() {
        let good = new_secret().unwrap();
        let three = format!("{good}\n{good}\n{good}");
        for text in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            &good[6..],
            &good[..20],
            &three,
            &format!("{good} {good}"),
        ] {
            let error = Secrets::parse(text).unwrap_err().to_string();
            assert!(text.len() < 8 || !error.contains(text), "{error}");
        }
    }
}
