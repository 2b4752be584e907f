//! Who calls: AWS's signature, version 4, checked whole.
//!
//! EC2 answers `AuthFailure` to an unknown key, a wrong secret and a foreign region alike, and `RequestExpired` to old
//! requests and to temporary keys that have run out.

use hyper::HeaderMap;
use hyper::http::HeaderValue;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::error::Ec2Error;
use crate::setup::{Key, Setup};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What of a request is signed.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// The words of an `Authorization` header.
struct Authorization<'a> {
    access_key_id: &'a str,
    /// Date, region, service and the last word of the scope.
    scope: [&'a str; 4],
    signed_headers: &'a str,
    signature: &'a str,
}

/// Returns the key that a request is signed with. Signatures are made with the time of the world, so `wall` is it, too.
///
/// # Errors
///
/// There is no signature, or it is not one that this account's keys make for this request here and now.
pub(crate) fn check(setup: &Setup, request: &Signed<'_>, wall: Timestamp) -> Result<Key, Ec2Error> {
    let header = text(request.headers.get("authorization")).ok_or(Ec2Error::MissingAuthenticationToken)?;
    let authorization = parse(header)?;
    let date = text(request.headers.get("x-amz-date")).ok_or_else(|| incomplete("there is no X-Amz-Date"))?;
    let found = setup
        .keys
        .iter()
        .find(|key| key.access_key_id == authorization.access_key_id);
    let key = found.ok_or(Ec2Error::AuthFailure)?;
    let [day, region, service, last] = authorization.scope;
    if region != setup.region || service != "ec2" || last != "aws4_request" || !date.starts_with(day) {
        return Err(Ec2Error::AuthFailure);
    }
    let signed_at = DateTime::strptime("%Y%m%dT%H%M%SZ", date)
        .and_then(|civil| civil.to_zoned(TimeZone::UTC))
        .map_err(|_| incomplete("X-Amz-Date is no date"))?
        .timestamp();
    let age = wall.duration_since(signed_at).abs().as_secs_f64();
    if age > setup.signature_age_seconds_max || key.is_expired {
        return Err(Ec2Error::RequestExpired);
    }
    if text(request.headers.get("x-amz-security-token")) != key.session_token.as_deref() {
        return Err(Ec2Error::AuthFailure);
    }
    let canonical = canonical(request, authorization.signed_headers)?;
    let to_sign = format!(
        "{ALGORITHM}\n{date}\n{}\n{}",
        authorization.scope.join("/"),
        hex(&hash(canonical.as_bytes()))
    );
    let mut signing_key = format!("AWS4{}", key.secret_access_key).into_bytes();
    for word in authorization.scope {
        signing_key = keyed_hash(&signing_key, word.as_bytes()).to_vec();
    }
    match hex(&keyed_hash(&signing_key, to_sign.as_bytes())) == authorization.signature {
        true => Ok(key.clone()),
        false => Err(Ec2Error::AuthFailure),
    }
}

fn parse(header: &str) -> Result<Authorization<'_>, Ec2Error> {
    let rest = header
        .strip_prefix(ALGORITHM)
        .ok_or_else(|| incomplete("it is not AWS4-HMAC-SHA256"))?;
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in rest.split(',') {
        match part.trim().split_once('=') {
            Some(("Credential", value)) => credential = Some(value),
            Some(("SignedHeaders", value)) => signed_headers = Some(value),
            Some(("Signature", value)) => signature = Some(value),
            Some(_) | None => return Err(incomplete("a part of it is unknown")),
        }
    }
    let credential = credential.ok_or_else(|| incomplete("there is no Credential"))?;
    let words: Vec<&str> = credential.split('/').collect();
    let [access_key_id, day, region, service, last] = words[..] else {
        return Err(incomplete("Credential needs five parts"));
    };
    Ok(Authorization {
        access_key_id,
        scope: [day, region, service, last],
        signed_headers: signed_headers.ok_or_else(|| incomplete("there are no SignedHeaders"))?,
        signature: signature.ok_or_else(|| incomplete("there is no Signature"))?,
    })
}

fn canonical(request: &Signed<'_>, signed_headers: &str) -> Result<String, Ec2Error> {
    let names: Vec<&str> = signed_headers.split(';').collect();
    if !names.contains(&"host") || !names.contains(&"x-amz-date") {
        return Err(incomplete("host and x-amz-date must be signed"));
    }
    let mut headers = String::new();
    for name in names {
        let value = text(request.headers.get(name)).ok_or_else(|| incomplete("a signed header is missing"))?;
        let value: Vec<&str> = value.split_whitespace().collect();
        headers.push_str(&format!("{name}:{}\n", value.join(" ")));
    }
    let mut parameters: Vec<&str> = request
        .query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .collect();
    parameters.sort_unstable();
    let (method, path) = (request.method, request.path);
    let (query, body) = (parameters.join("&"), hex(&hash(request.body)));
    Ok(format!(
        "{method}\n{path}\n{query}\n{headers}\n{signed_headers}\n{body}"
    ))
}

fn incomplete(why: &str) -> Ec2Error {
    Ec2Error::IncompleteSignature(why.into())
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// HMAC-SHA256, as RFC 2104 has it.
fn keyed_hash(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK_BYTES: usize = 64;
    let mut block = [0u8; BLOCK_BYTES];
    match key.len() > BLOCK_BYTES {
        true => block[..32].copy_from_slice(&hash(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let keyed = |pad: u8, parts: &[u8]| {
        let padded: Vec<u8> = block.iter().map(|byte| byte ^ pad).collect();
        hash(&[padded.as_slice(), parts].concat())
    };
    keyed(0x5c, &keyed(0x36, message))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{hex, keyed_hash};

    #[test]
    fn the_keyed_hash_is_that_of_rfc_4231() {
        let cases: [(&[u8], &[u8], &str); 2] = [
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, message, expected) in cases {
            assert_eq!(hex(&keyed_hash(key, message)), expected);
        }
    }
}
