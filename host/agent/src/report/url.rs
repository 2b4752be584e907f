//! Where clients reach a server: what the host takes for such an address, so that no report is refused for it.

use std::net::Ipv6Addr;

/// The longest address, in characters, as the host takes it.
const URL_CHARS_MAX: usize = 2048;

/// Returns whether the host takes this for an address of clients: http, https, ws or wss, a host, perhaps a port, a path.
pub(crate) fn is_client_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (is_host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let is_address = !address.contains('.') && address.parse::<Ipv6Addr>().is_ok();
            (is_address, port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            ((1..=253).contains(&host.len()) && host.bytes().all(is_plain), port)
        }
    };
    let is_number = |digits: &str| !digits.starts_with(['0', '+']) && digits.parse::<u16>().is_ok();
    text.len() <= URL_CHARS_MAX
        && ["http", "https", "ws", "wss"].contains(&scheme)
        && is_host
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_number))
        && path.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_takes_is_taken_and_nothing_else() {
        for good in [
            "ws://a",
            "wss://media-1.example.com:8188/janus?x=1#y",
            "http://127.0.0.1:65535",
            "https://[::1]:1/",
            "ws://[2001:DB8::7]:8188",
            "ws://a?x",
        ] {
            assert!(is_client_url(good), "{good}");
        }
        let long = format!("ws://a/{}", "x".repeat(URL_CHARS_MAX));
        for bad in [
            "",
            "media-7",
            "media-7:8188",
            "://",
            "ftp://a",
            "WS://a",
            "ws://",
            "ws:///a",
            "ws://a:0",
            "ws://a:65536",
            "ws://a:",
            "ws://a b",
            "ws://a/ b",
            "ws://é",
            "ws://u@a",
            "ws://[::1",
            "ws://[::1]x",
            "ws://[::ffff:10.0.0.1]",
            "ws://a/é",
            &long,
        ] {
            assert!(!is_client_url(bad), "{bad}");
        }
    }
}
