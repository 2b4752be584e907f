//! A certificate and its key: read from their files, checked against each other, and judged.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::InconsistentKeys;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};

use super::fault::{Caution, FILE_BYTES_MAX, Fault, Half};

/// So long before its end a certificate should have been renewed: certbot renews 30 days before.
const NEAR_END: Duration = Duration::from_secs(7 * 24 * 3600);

/// For one that lives shorter than a month the last quarter of its life: cert-manager renews after two thirds.
const NEAR_END_SHARE: u32 = 4;

/// The bits of a file's mode that let everybody read it.
const READABLE_BY_EVERYBODY: u32 = 0o004;

/// Where a certificate and its key are, absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with those that lead to its authority behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A certificate that can be served: it is whole, and its key is its own.
#[derive(Debug, Clone)]
pub struct Certificate {
    pair: Arc<CertifiedKey>,
    names: Vec<String>,
    is_authority: bool,
    begins: Timestamp,
    expires: Timestamp,
}

impl Certificate {
    /// Reads the two files.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(files: &TlsFiles) -> Result<Certificate, Vec<Fault>> {
        match (chain(&files.certificate), key(&files.key)) {
            (Ok(chain), Ok(key)) => pair(chain, key, files).map_err(|fault| vec![fault]),
            (Err(fault), Ok(_)) | (Ok(_), Err(fault)) => Err(vec![fault]),
            (Err(certificate), Err(key)) => Err(vec![certificate, key]),
        }
    }

    /// Returns what TLS is spoken with.
    pub(super) fn pair(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.pair)
    }

    /// Returns the names and addresses that it is good for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns from when on clients refuse it.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Returns what clients refuse it for at `now`, or soon.
    pub fn cautions(&self, now: Timestamp) -> Vec<Caution> {
        let mut cautions = Vec::new();
        if self.names.is_empty() {
            cautions.push(Caution::NamesNobody);
        }
        if self.is_authority {
            cautions.push(Caution::Authority);
        }
        if now < self.begins {
            cautions.push(Caution::NotYetValid(self.begins));
        }
        cautions.extend(self.end(now));
        cautions
    }

    /// Returns that it has expired at `now`, or will soon.
    pub(super) fn end(&self, now: Timestamp) -> Option<Caution> {
        let left = Duration::try_from(self.expires.duration_since(now)).unwrap_or_default();
        let life = Duration::try_from(self.expires.duration_since(self.begins)).unwrap_or_default();
        match left {
            Duration::ZERO => Some(Caution::Expired(self.expires)),
            left if left <= NEAR_END.min(life / NEAR_END_SHARE) => Some(Caution::NearEnd(self.expires)),
            _ => None,
        }
    }
}

/// Returns that a key's file lets everybody read it.
pub fn key_caution(path: &Path) -> Option<Caution> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & READABLE_BY_EVERYBODY != 0).then(|| Caution::PublicKey(path.to_owned()))
}

fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    files: &TlsFiles,
) -> Result<Certificate, Fault> {
    let broken = |why: String| Fault::Broken {
        half: Half::Certificate,
        path: files.certificate.clone(),
        why,
    };
    let first = chain.first().expect("a chain that was read has a certificate");
    let own = x509_cert::Certificate::from_der(first).map_err(|error| broken(error.to_string()))?;
    let validity = own.tbs_certificate().validity();
    let moment = |time: x509_cert::time::Time| Timestamp::try_from(time.to_system_time());
    let begins = moment(validity.not_before).map_err(|error| broken(error.to_string()))?;
    let expires = moment(validity.not_after).map_err(|error| broken(error.to_string()))?;
    let is_authority = is_authority(&own).map_err(|error| broken(error.to_string()))?;
    let names = names(&own).map_err(|error| broken(error.to_string()))?;

    let usable = super::provider().key_provider.load_private_key(key);
    let usable = usable.map_err(|error| Fault::UnusableKey {
        path: files.key.clone(),
        why: error.to_string(),
    })?;
    let pair = CertifiedKey::new(chain, usable);
    match pair.keys_match() {
        // `Unknown` is said by keys that cannot tell; those of files can.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Certificate {
            pair: Arc::new(pair),
            names,
            is_authority,
            begins,
            expires,
        }),
        Err(rustls::Error::InconsistentKeys(_)) => Err(Fault::OtherKey {
            key: files.key.clone(),
            certificate: files.certificate.clone(),
        }),
        Err(error) => Err(broken(error.to_string())),
    }
}

fn is_authority(certificate: &x509_cert::Certificate) -> Result<bool, x509_cert::der::Error> {
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>()?;
    Ok(constraints.is_some_and(|(_, constraints)| constraints.ca))
}

fn names(certificate: &x509_cert::Certificate) -> Result<Vec<String>, x509_cert::der::Error> {
    let Some((_, SubjectAltName(names))) = certificate.tbs_certificate().get_extension()? else {
        return Ok(Vec::new());
    };
    let shown = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => address(bytes.as_bytes()),
        // Of mailboxes, directories and the like; no client of ours looks for them.
        _ => None,
    };
    Ok(names.iter().filter_map(shown).collect())
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
    four.or(sixteen).ok().map(|address| address.to_string())
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let pem = read(Half::Certificate, path)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| broken(Half::Certificate, path, &error))?;
    if chain.is_empty() {
        return Err(Fault::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    let pem = read(Half::Key, path)?;
    if is_encrypted(&pem) {
        return Err(Fault::EncryptedKey { path: path.to_owned() });
    }
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(Fault::NoKey { path: path.to_owned() }),
        Err(error) => Err(broken(Half::Key, path, &error)),
    }
}

/// Says whether the key is PKCS #8 with a passphrase, or OpenSSL's older form of it.
fn is_encrypted(pem: &[u8]) -> bool {
    let is_so = |line: &[u8]| line.starts_with(b"-----BEGIN ENCRYPTED ") || line.starts_with(b"Proc-Type: 4,ENCRYPTED");
    pem.split(|byte| *byte == b'\n').any(is_so)
}

fn broken(half: Half, path: &Path, error: &pem::Error) -> Fault {
    // What the error quotes may be a part of the key.
    let why = match (half, error) {
        (Half::Certificate, error) => error.to_string(),
        (Half::Key, pem::Error::MissingSectionEnd { .. }) => "it ends in the middle".to_owned(),
        (Half::Key, _) => "it is no PEM file".to_owned(),
    };
    Fault::Broken {
        half,
        path: path.to_owned(),
        why,
    }
}

fn read(half: Half, path: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable = |source: io::Error| Fault::Unreadable {
        half,
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Fault::TooLarge {
            half,
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
