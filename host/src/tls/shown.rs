//! The certificate that is shown now, and how TLS is spoken.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// What the API speaks over TLS.
const PROTOCOL: &[u8] = b"http/1.1";

/// The pair that is shown to whoever connects from now on. Connections that stand keep what they have.
#[derive(Debug)]
pub(super) struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    pub(super) fn new(pair: Arc<CertifiedKey>) -> Shown {
        Shown(RwLock::new(pair))
    }

    /// Shows another pair from now on.
    pub(super) fn replace(&self, pair: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Returns how TLS is spoken: versions 1.2 and 1.3, no certificates of clients, tokens say who asks.
///
/// # Errors
/// The cryptography has no suite for these versions; ours has.
pub(super) fn server_config(shown: Arc<Shown>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(super::provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}
