//! What may be wrong with a certificate and its key: what keeps them from being served, and what is only told.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

/// The largest file that is read, in bytes: a chain of dozens fits, and a wrong path does not.
pub(super) const FILE_BYTES_MAX: u64 = 256 * 1024;

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The certificate.
    Certificate,
    /// The key.
    Key,
}

/// What keeps a pair of files from being served.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is not there, or not for us.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which of the two.
        half: Half,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No certificate or key is that large.
    #[error("{} has more than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// Which of the two.
        half: Half,
        /// The file.
        path: PathBuf,
    },
    /// It begins like a PEM file, and does not go on like one.
    #[error("{} is broken: {why}", path.display())]
    Broken {
        /// Which of the two.
        half: Half,
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// There is nothing between `BEGIN CERTIFICATE` and `END CERTIFICATE`.
    #[error("there is no certificate in {}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key.
    #[error("there is no private key in {}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A passphrase would be needed.
    #[error("the key in {} is encrypted", path.display())]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// A kind of key that cannot be served.
    #[error("the key in {} cannot be used: {why}", path.display())]
    UnusableKey {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The two do not belong together.
    #[error("{} is not the key of the certificate in {}", key.display(), certificate.display())]
    OtherKey {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
}

impl Fault {
    /// Returns which of the two files it is about.
    pub fn half(&self) -> Half {
        match self {
            Fault::Unreadable { half, .. } | Fault::TooLarge { half, .. } | Fault::Broken { half, .. } => *half,
            Fault::NoCertificate { .. } => Half::Certificate,
            Fault::NoKey { .. } | Fault::EncryptedKey { .. } | Fault::UnusableKey { .. } | Fault::OtherKey { .. } => {
                Half::Key
            }
        }
    }

    /// Returns what to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Fault::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "let the user that Usher runs as read it, and enter its folders"
            }
            Fault::Unreadable { .. } => "relative paths count from the config file's folder",
            Fault::TooLarge { half, .. } | Fault::Broken { half, .. } => match half {
                Half::Certificate => {
                    "write the certificate's whole chain into it, in PEM form (`-----BEGIN CERTIFICATE-----`)"
                }
                Half::Key => "write the certificate's key into it, in PEM form (`-----BEGIN PRIVATE KEY-----`)",
            },
            Fault::NoCertificate { .. } => {
                "name the file with the whole chain in PEM form (`-----BEGIN CERTIFICATE-----`), often fullchain.pem"
            }
            Fault::NoKey { .. } => {
                "name the file with the key in PEM form (`-----BEGIN PRIVATE KEY-----`), often privkey.pem"
            }
            Fault::EncryptedKey { .. } => {
                "nobody is there to type its passphrase: decrypt it with `openssl pkey -in KEY -out privkey.pem`, and keep that file to Usher's user"
            }
            Fault::UnusableKey { .. } => "make one of ECDSA (P-256 or P-384), Ed25519, or RSA of 2048 to 4096 bits",
            Fault::OtherKey { .. } => {
                "name the two files of one issue; the server's own certificate comes first in its file, its authorities behind it"
            }
        }
    }
}

/// What lets a certificate be served, and is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Caution {
    /// Clients refuse it already.
    #[error("the certificate has expired on {0}: clients refuse it")]
    Expired(Timestamp),
    /// Clients will refuse it soon.
    #[error("the certificate expires on {0}")]
    NearEnd(Timestamp),
    /// Clients refuse it yet.
    #[error("the certificate is not valid before {0}: clients refuse it")]
    NotYetValid(Timestamp),
    /// Clients look at nothing but alternative names.
    #[error("the certificate names no host (no subject alternative name): clients refuse it")]
    NamesNobody,
    /// It says of itself that it signs others, as one does that `openssl req -x509` makes.
    #[error(
        "the certificate is an authority's (CA:TRUE): Usher's command line, its agents and others refuse it for a host"
    )]
    Authority,
    /// Whoever is on this machine can speak as this host.
    #[error("everybody on this machine can read {}", .0.display())]
    PublicKey(PathBuf),
}

impl Caution {
    /// Returns which of the two files it is about.
    pub fn half(&self) -> Half {
        match self {
            Caution::Expired(_)
            | Caution::NearEnd(_)
            | Caution::NotYetValid(_)
            | Caution::NamesNobody
            | Caution::Authority => Half::Certificate,
            Caution::PublicKey(_) => Half::Key,
        }
    }

    /// Returns what to do.
    pub fn remedy(&self) -> String {
        match self {
            Caution::Expired(_) | Caution::NearEnd(_) => {
                "renew it (`certbot renew`, say); Usher takes over the new files by itself".to_owned()
            }
            Caution::NotYetValid(_) => "is this machine's clock right?".to_owned(),
            Caution::NamesNobody => "have one made for the name in the URL that clients use".to_owned(),
            Caution::Authority => {
                "have one signed by it, or make one with `-addext basicConstraints=critical,CA:FALSE`".to_owned()
            }
            Caution::PublicKey(path) => {
                format!(
                    "chmod 600 {}, or defaultMode: 0400 for a Kubernetes secret",
                    path.display()
                )
            }
        }
    }
}

/// Returns faults as lines.
pub(super) fn told(faults: &[Fault]) -> Vec<String> {
    faults
        .iter()
        .map(|fault| format!("{fault}; {}", fault.remedy()))
        .collect()
}
