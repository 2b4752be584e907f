//! Whom a client believes over HTTPS: the system's authorities, and those of a file.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, ConfigBuilder, InvalidMessage, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

use crate::cli::failure::Failure;
use crate::tls;

/// Returns how TLS is spoken with a host that the system's authorities vouch for, or those in `ca_file`.
pub(super) fn settings(ca_file: Option<&Path>) -> Result<ClientConfig, Failure> {
    let more = ca_file.map(authorities).transpose()?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(more, tls::provider()).map_err(|error| {
        let remedy = "install them (ca-certificates), or name some with --ca-file or USHER_CA_FILE";
        Failure::Usage(format!(
            "this machine has no authorities to check certificates by: {error}; {remedy}"
        ))
    })?;
    Ok(begun()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Returns how TLS is spoken by a client that is never to speak it: it believes nobody.
pub(super) fn nobody() -> Result<ClientConfig, Failure> {
    Ok(begun()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn begun() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Failure> {
    let begun = ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions();
    begun.map_err(|error| Failure::Undone(error.into()))
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let wrong = |why: String| Failure::Usage(format!("--ca-file {}: {why}", path.display()));
    let pem = fs::read(path).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(wrong("it holds no certificate in PEM form".to_owned())),
    }
}

/// Returns what failed, where a host is there and was asked wrongly.
pub(super) fn refusal(url: &str, error: &(dyn Error + 'static)) -> Option<Failure> {
    match tls_error(error)? {
        rustls::Error::InvalidCertificate(why) => Some(Failure::Untrusted {
            url: url.to_owned(),
            why: shown(why),
        }),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some(Failure::NoTls { url: url.to_owned() })
        }
        _ => None,
    }
}

/// Returns why a certificate is refused, in the word of who judged it.
fn shown(why: &CertificateError) -> String {
    match why {
        CertificateError::Other(other) => other.0.to_string(),
        why => why.to_string(),
    }
}

/// Finds what TLS came to among the causes of an error.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    std::iter::successors(Some(error), |error| cause(*error)).find_map(|error| error.downcast_ref())
}

/// Returns what an error came of. An I/O error's source is not what it holds, but the source of that.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}
