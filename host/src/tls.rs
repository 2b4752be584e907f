//! TLS: the certificate that the host shows, from its files to the one who connects, and anew whenever the files change.
//!
//! | file | holds |
//! |---|---|
//! | `certificate` | the pair of files, read and checked against each other |
//! | `fault` | what may be wrong with them, and what to do |
//! | `shown` | the pair that is shown now, and how TLS is spoken |
//! | `renewal` | what watches the files, takes over a new pair, and warns before the end |
//!
//! A pair that is not whole never replaces one that is. Nothing here opens a port, and no key is ever shown.

mod certificate;
mod fault;
mod renewal;
mod shown;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;

pub use certificate::{Certificate, TlsFiles, key_caution};
pub use fault::{Caution, Fault, Half};
pub use renewal::Renewal;

use crate::watched::Watched;

/// Reads the certificate, and returns how TLS is spoken with it, and what renews it.
///
/// # Errors
/// All that is wrong with the files.
pub async fn open(files: TlsFiles) -> anyhow::Result<(Arc<ServerConfig>, Renewal)> {
    // Before they are read: a change in between is then seen as one.
    let watched = Watched::begin(vec![files.certificate.clone(), files.key.clone()]).await;
    let certificate = read(files.clone()).await.map_err(|faults| {
        anyhow::anyhow!(
            "the certificate cannot be served:\n  {}",
            fault::told(&faults).join("\n  ")
        )
    })?;
    let shown = Arc::new(shown::Shown::new(certificate.pair()));
    let config = shown::server_config(Arc::clone(&shown))?;
    Ok((config, Renewal::new(files, watched, shown, certificate)))
}

async fn read(files: TlsFiles) -> Result<Certificate, Vec<Fault>> {
    match tokio::task::spawn_blocking(move || Certificate::read(&files)).await {
        Ok(read) => read,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends, and with it who asked.
        Err(_) => std::future::pending().await,
    }
}

/// Returns the cryptography that Usher uses, in hosts and clients alike.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
