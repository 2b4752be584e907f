use std::fs::Permissions;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::tls::fault::told;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Returns a certificate for these names that is valid from the begin of January for so many days.
fn made(names: &[&str], days: u32) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = rcgen::date_time_ymd(2030, 1, 1);
    params.not_after = params.not_before + DAY * days;
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// Two files in a folder of their own.
struct Files {
    folder: TempDir,
    files: TlsFiles,
}

impl Files {
    fn with(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("fullchain.pem"),
            key: folder.path().join("privkey.pem"),
        };
        fs::write(&files.certificate, certificate).unwrap();
        fs::write(&files.key, key).unwrap();
        Files { folder, files }
    }

    /// Returns what is wrong with them, and what to do, as lines.
    fn faults(&self) -> Vec<String> {
        told(&Certificate::read(&self.files).unwrap_err())
    }
}

/// Checks that these two files have one fault, of this half, which says this.
fn check(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>, half: Half, wrong: &str, remedy: &str) {
    let files = Files::with(certificate, key);
    let faults = Certificate::read(&files.files).unwrap_err();
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(fault.half(), half, "{fault}");
    assert!(fault.to_string().contains(wrong), "{fault}\nwanted: {wrong}");
    assert!(fault.remedy().contains(remedy), "{}\nwanted: {remedy}", fault.remedy());
}

#[test]
fn a_whole_pair_tells_its_names_and_its_end() {
    let (certificate, key) = made(&["usher.example.com", "*.media.example.com", "10.0.0.1", "fe80::1"], 90);
    let files = Files::with(&certificate, &key);
    let read = Certificate::read(&files.files).unwrap();
    assert_eq!(
        read.names(),
        ["usher.example.com", "*.media.example.com", "10.0.0.1", "fe80::1"]
    );
    assert_eq!(read.expires(), at("2030-04-01T00:00:00Z"));
    assert_eq!(read.cautions(at("2030-01-02T00:00:00Z")), []);
}

#[test]
fn the_chain_behind_the_certificate_is_shown_with_it() {
    let (own, key) = made(&["a.example"], 90);
    let (authority, _) = made(&["authority"], 900);
    let files = Files::with(format!("{own}\n# the authority\n{authority}"), &key);
    assert_eq!(Certificate::read(&files.files).unwrap().pair().cert.len(), 2);
    check(
        format!("{authority}{own}"),
        &key,
        Half::Key,
        "is not the key of",
        "comes first",
    );
}

#[test]
fn each_fault_of_a_pair_is_named_with_what_to_do() {
    let (certificate, key) = made(&["a.example"], 90);
    let (_, other) = made(&["a.example"], 90);
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

    check(
        "",
        &key,
        Half::Certificate,
        "there is no certificate in",
        "fullchain.pem",
    );
    check(
        &key,
        &key,
        Half::Certificate,
        "there is no certificate in",
        "fullchain.pem",
    );
    check(half(&certificate), &key, Half::Certificate, "is broken", "whole chain");
    check(not_der, &key, Half::Certificate, "is broken", "whole chain");
    let long = vec![b'\n'; FILE_BYTES_MAX as usize + 1];
    check(long, &key, Half::Certificate, "more than 262144 bytes", "whole chain");
    check(&certificate, "", Half::Key, "there is no private key in", "privkey.pem");
    check(
        &certificate,
        &certificate,
        Half::Key,
        "there is no private key in",
        "privkey.pem",
    );
    check(
        &certificate,
        half(&key),
        Half::Key,
        "it ends in the middle",
        "in PEM form",
    );
    check(&certificate, encrypted, Half::Key, "is encrypted", "openssl pkey");
    check(&certificate, older, Half::Key, "is encrypted", "openssl pkey");
    check(&certificate, nonsense, Half::Key, "cannot be used", "ECDSA");
    check(
        &certificate,
        other,
        Half::Key,
        "is not the key of the certificate in",
        "of one issue",
    );
}

#[test]
fn both_files_are_told_of_at_once() {
    let files = Files::with("", "");
    fs::remove_file(&files.files.certificate).unwrap();
    fs::remove_file(&files.files.key).unwrap();
    let told = files.faults();
    assert!(
        told.len() == 2 && told[0].contains("fullchain.pem cannot be read") && told[1].contains("privkey.pem cannot"),
        "{told:?}"
    );
    drop(files.folder);
}

#[test]
fn no_fault_shows_any_of_the_key() {
    let (certificate, key) = made(&["a.example"], 90);
    let line = key.lines().nth(1).unwrap();
    for broken in [
        key.replace("-----END", "----END"),
        key.replace("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY"),
        key.replacen(line, &format!("{line}!"), 1),
        format!("{line}\n"),
    ] {
        let told = Files::with(&certificate, &broken).faults().join("\n");
        assert!(!told.contains(&line[..8]), "{told}");
    }
}

#[test]
fn an_end_is_near_a_week_before_or_in_the_last_quarter_of_a_short_life() {
    let end = |days: u32, now: &str| {
        let (certificate, key) = made(&["a.example"], days);
        let files = Files::with(certificate, key);
        Certificate::read(&files.files).unwrap().end(at(now))
    };
    let april = at("2030-04-01T00:00:00Z");
    assert_eq!(end(90, "2030-03-24T23:59:59Z"), None);
    assert_eq!(end(90, "2030-03-25T00:00:00Z"), Some(Caution::NearEnd(april)));
    assert_eq!(end(90, "2030-03-31T23:59:59Z"), Some(Caution::NearEnd(april)));
    assert_eq!(end(90, "2030-04-01T00:00:00Z"), Some(Caution::Expired(april)));
    // One of six days, as authorities make them too, is renewed every few days.
    assert_eq!(end(6, "2030-01-05T11:59:59Z"), None);
    assert!(end(6, "2030-01-05T12:00:00Z").is_some());
}

#[test]
fn what_clients_refuse_is_told_before_they_do() {
    let (certificate, key) = made(&[], 90);
    let files = Files::with(certificate, key);
    let read = Certificate::read(&files.files).unwrap();
    assert_eq!(
        read.cautions(at("2029-01-01T00:00:00Z")),
        [Caution::NamesNobody, Caution::NotYetValid(at("2030-01-01T00:00:00Z"))]
    );
}

#[test]
fn a_certificate_that_signs_others_is_told_of() {
    let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let files = Files::with(params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let read = Certificate::read(&files.files).unwrap();
    assert_eq!(read.cautions(at("2030-01-01T00:00:00Z")), [Caution::Authority]);
}

#[test]
fn a_key_that_everybody_can_read_is_told_of() {
    let files = Files::with("", "");
    for (mode, is_told) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
        fs::set_permissions(&files.files.key, Permissions::from_mode(mode)).unwrap();
        assert_eq!(key_caution(&files.files.key).is_some(), is_told, "{mode:o}");
    }
    let caution = key_caution(&files.files.key).unwrap();
    assert!(caution.remedy().contains("chmod 600"), "{}", caution.remedy());
    assert_eq!(key_caution(Path::new("/nowhere")), None);
}

#[test]
fn a_generated_pair_of_any_usual_kind_is_served() {
    for kind in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ] {
        let key = KeyPair::generate_for(kind).unwrap();
        let certificate = CertificateParams::new(vec!["a.example".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let files = Files::with(certificate.pem(), key.serialize_pem());
        assert!(Certificate::read(&files.files).is_ok(), "{kind:?}");
    }
}
