//! Addresses that clients will use: what is taken for one, as code and as the OpenAPI document's pattern.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::super::respond::Problem;

/// The longest URL, in characters.
pub(in crate::api) const URL_CHARS_MAX: usize = 2048;

/// Four hexadecimal digits of an IPv6 address, in a pattern.
macro_rules! group {
    () => {
        "[0-9A-Fa-f]{1,4}"
    };
}

/// So many groups, each with its colon before or behind it.
macro_rules! groups {
    (: $times:literal) => {
        concat!("(:", group!(), "){", $times, "}")
    };
    ($times:literal :) => {
        concat!("(", group!(), ":){", $times, "}")
    };
}

/// What [`url`] takes, as the OpenAPI document says it. An IPv6 address stands in brackets, without an IPv4 one at its end.
#[rustfmt::skip]
pub(in crate::api) const URL_PATTERN: &str = concat!(
    r"^(https?|wss?)://(\[(",
    groups!("7":), group!(), "|",
    groups!("1,7":), ":|",
    groups!("1,6":), groups!(:"1"), "|",
    groups!("1,5":), groups!(:"1,2"), "|",
    groups!("1,4":), groups!(:"1,3"), "|",
    groups!("1,3":), groups!(:"1,4"), "|",
    groups!("1,2":), groups!(:"1,5"), "|",
    groups!("1":), groups!(:"1,6"), "|",
    ":(", groups!(:"1,7"), "|:)",
    r")\]|[A-Za-z0-9._-]{1,253})",
    r"(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?",
    r"([/?][!-~]*)?$"
);

/// Checks an address that clients will use.
pub(in crate::api) fn url(field: &str, text: String) -> Result<String, Problem> {
    if text.len() <= URL_CHARS_MAX && is_url(&text) {
        return Ok(text);
    }
    let detail: Cow<'static, str> = format!(
        "`{field}` is a URL such as wss://media-1.example.com:8188/janus: http, https, ws or wss, a host, perhaps a port \
         and a path, at most {URL_CHARS_MAX} characters"
    )
    .into();
    Err(Problem::field(field, detail))
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    if !["http", "https", "ws", "wss"].contains(&scheme) {
        return false;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let is_address = !address.contains('.') && address.parse::<Ipv6Addr>().is_ok();
            (is_address, port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            ((1..=253).contains(&host.len()) && host.bytes().all(is_plain), port)
        }
    };
    let is_port = |digits: &str| !digits.starts_with(['0', '+']) && digits.parse::<u16>().is_ok();
    host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        && path.bytes().all(|b| b.is_ascii_graphic())
}
