//! Where a server's URL leads: host, port, path.

use hyper::Uri;

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or an IP address, without brackets.
    pub(super) host: String,
    /// The URL's port, or its scheme's.
    pub(super) port: u16,
    /// Whether clients speak TLS there.
    pub(super) security: Security,
    /// Path and query; at least a slash.
    pub(super) path: String,
    /// Host and port as the URL writes them, for the `host` header.
    pub(super) authority: String,
}

/// Whether clients speak TLS with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    Plain,
    Tls,
}

impl Address {
    /// Reads a URL with any scheme. One that is not `http`, `https`, `ws` or `wss` needs a port, and counts as plain.
    pub(super) fn parse(url: &str) -> Result<Address, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url:?} is no URL: {error}"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("{url:?} has no scheme or no host"));
        };
        let (security, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => (Security::Plain, Some(80)),
            "https" | "wss" => (Security::Tls, Some(443)),
            _ => (Security::Plain, None),
        };
        let port = authority
            .port_u16()
            .or(default_port)
            .ok_or_else(|| format!("{url:?} has no port, and {scheme} has no usual one"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(format!("{url:?} has no host"));
        }
        let (_, without_user) = authority.as_str().rsplit_once('@').unwrap_or(("", authority.as_str()));
        Ok(Address {
            host: host.to_owned(),
            port,
            security,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            authority: without_user.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_leads_to_its_port_or_its_schemes() {
        for (url, host, port, security) in [
            ("http://a.example", "a.example", 80, Security::Plain),
            ("ws://a.example/janus", "a.example", 80, Security::Plain),
            ("https://a.example", "a.example", 443, Security::Tls),
            ("wss://a.example:8443/x?y=1", "a.example", 8443, Security::Tls),
            ("WSS://a.example", "a.example", 443, Security::Tls),
            ("rtmp://10.0.0.1:1935", "10.0.0.1", 1935, Security::Plain),
            ("http://[::1]:8088/janus", "::1", 8088, Security::Plain),
            ("http://user:pass@a.example:81/", "a.example", 81, Security::Plain),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(
                (address.host.as_str(), address.port, address.security),
                (host, port, security),
                "{url}"
            );
        }
    }

    #[test]
    fn what_leads_nowhere_says_why() {
        for url in [
            "",
            "a.example",
            "/path",
            "rtmp://a.example",
            "http://",
            "http://:80",
            "http://ä.example",
            "http://a b",
        ] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
        assert!(Address::parse("rtmp://a").unwrap_err().contains("has no port"));
    }

    #[test]
    fn the_path_has_its_query_and_the_host_header_no_password() {
        let address = Address::parse("http://user:pass@a.example:81/x?y=1").unwrap();
        assert_eq!(
            (address.path.as_str(), address.authority.as_str()),
            ("/x?y=1", "a.example:81")
        );
        assert_eq!(Address::parse("ws://a.example").unwrap().path, "/");
    }
}
