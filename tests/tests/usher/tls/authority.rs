//! An authority of the tests' own, and hosts that show what it signs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http::tls_settings;
use crate::patience::{at_most, seconds};
use crate::site::Site;

/// What a host that speaks HTTPS has in its config.
pub(crate) const TLS: &str = "[tls]\ncertificate = \"certs/fullchain.pem\"\nkey = \"certs/privkey.pem\"\n";

/// Signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM form.
pub(crate) struct Issue {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Signs a certificate for this machine; none is like another.
    pub(crate) fn issue(&self) -> Issue {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &*self.0).unwrap();
        Issue {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
        }
    }

    /// Makes a host's folder with a certificate; `ca.pem` in it is this authority.
    pub(crate) fn site(&self, config: &str) -> (Site, Issue) {
        let site = Site::new("").over_https(self.der());
        site.configure(&format!("{config}\n{TLS}"));
        site.write("ca.pem", &self.0.pem());
        fs::create_dir(site.path("certs")).unwrap();
        let issue = self.issue();
        issue.write(&site);
        (site, issue)
    }
}

impl Issue {
    /// Writes the certificate, and then the key, each at once and whole.
    pub(crate) fn write(&self, site: &Site) {
        site.write("certs/fullchain.pem", &self.certificate);
        self.write_key(site);
    }

    pub(crate) fn write_key(&self, site: &Site) {
        site.write("certs/privkey.pem", &self.key);
        fs::set_permissions(site.path("certs/privkey.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Has two links lead to them, one after the other, as certbot does.
    pub(crate) fn link_files(&self, site: &Site) {
        let archive = self.lay_down(site, "archive");
        for name in ["fullchain.pem", "privkey.pem"] {
            replace_by_link(&archive.join(name), &site.path("certs").join(name));
        }
    }

    /// Has the folder's link lead to another folder, as Kubernetes does.
    pub(crate) fn link_folder(&self, site: &Site, name: &str) {
        let folder = self.lay_down(site, name);
        if site.path("certs").is_symlink() {
            replace_by_link(&folder, &site.path("certs"));
        } else {
            fs::rename(site.path("certs"), site.path("certs-before")).unwrap();
            symlink(&folder, site.path("certs")).unwrap();
        }
    }

    fn lay_down(&self, site: &Site, name: &str) -> PathBuf {
        let folder = site.path(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("fullchain.pem"), &self.certificate).unwrap();
        fs::write(folder.join("privkey.pem"), &self.key).unwrap();
        folder
    }
}

fn replace_by_link(to: &Path, link: &Path) {
    let part = link.with_extension("part");
    symlink(to, &part).unwrap();
    fs::rename(part, link).unwrap();
}

/// Shakes hands with a host that this authority vouches for.
pub(crate) async fn connect(site: &Site, authority: &Authority) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(site.address()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(tls_settings(Some(&authority.der()))));
    let shaken = connector.connect(ServerName::try_from("localhost").unwrap(), stream);
    at_most("hands are shaken", seconds(10), shaken).await.unwrap()
}

/// Returns the certificate that a host shows.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}
