//! The certificate that the API is served with.

use std::path::Path;

use jiff::Timestamp;

use crate::config::problem::Collector;
use crate::config::raw::{Raw, RawTls};
use crate::config::section::Entry;
use crate::tls::{Certificate, Half, TlsFiles, key_caution};

/// Returns where the certificate is; `None` where there is no `[tls]`. It is read and judged, unless it is `served` already.
pub(super) fn tls(
    entry: &Entry<RawTls>,
    base_dir: &Path,
    served: Option<&TlsFiles>,
    problems: &mut Collector<'_>,
) -> Option<TlsFiles> {
    let raw = entry.get()?;
    let certificate = raw.certificate.required("\"fullchain.pem\"", problems);
    let key = raw.key.required("\"privkey.pem\"", problems);
    let files = TlsFiles {
        certificate: base_dir.join(certificate?),
        key: base_dir.join(key?),
    };
    if served != Some(&files) {
        judge(raw, &files, problems);
    }
    Some(files)
}

fn judge(raw: &RawTls, files: &TlsFiles, problems: &mut Collector<'_>) {
    let at = |half: Half| match half {
        Half::Certificate => &raw.certificate.at,
        Half::Key => &raw.key.at,
    };
    let mut cautions = Vec::from_iter(key_caution(&files.key));
    match Certificate::read(files) {
        Ok(certificate) => cautions.extend(certificate.cautions(Timestamp::now())),
        Err(faults) => {
            for fault in faults {
                problems.problem(at(fault.half()), fault.to_string(), fault.remedy());
            }
        }
    }
    for caution in cautions {
        problems.warning(at(caution.half()), caution.to_string(), caution.remedy());
    }
}

/// With `[tls]` nobody is answered in plain HTTP, agents neither.
pub(super) fn check_host_urls(raw: &Raw, problems: &mut Collector<'_>) {
    if !raw.tls.is_written || raw.behind_proxy.or(false) {
        return;
    }
    for ec2 in raw.pool.get().into_iter().flatten().filter_map(|pool| pool.ec2.get()) {
        if ec2.host_url.get().is_some_and(|url| url.starts_with("http://")) {
            let wrong = "begins with http://, and this host speaks HTTPS only: its agents could not report";
            let remedy =
                "write https:// and a name of the certificate, or behind_proxy = true where a proxy takes plain HTTP";
            problems.warning(&ec2.host_url.at, wrong, remedy);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use crate::config::{Config, ConfigProblems, Overrides, Problem, TokenHash};

    const TLS: &str = "[tls]\ncertificate = \"fullchain.pem\"\nkey = \"privkey.pem\"\n";

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["usher.example.com".to_owned()]).unwrap();
        fs::write(folder.path().join("fullchain.pem"), made.cert.pem()).unwrap();
        fs::write(folder.path().join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        folder
    }

    fn parse(text: &str, folder: &TempDir) -> Result<Config, ConfigProblems> {
        Config::parse(text, folder.path(), &Overrides::default())
    }

    fn with_tokens(text: &str) -> String {
        format!("{text}[auth]\nadmin_tokens = [\"{}\"]\n", TokenHash::of("a"))
    }

    fn of<'p>(problems: &'p [Problem], key: &str) -> Vec<&'p str> {
        let those = problems.iter().filter(|problem| problem.key == key);
        those.map(|problem| problem.wrong.as_str()).collect()
    }

    #[test]
    fn the_certificate_counts_from_the_config_file_and_is_judged_with_it() {
        let folder = folder();
        let config = parse(TLS, &folder).unwrap();
        assert_eq!(config.scheme(), "https");
        assert_eq!(config.tls.unwrap().key, folder.path().join("privkey.pem"));
        fs::write(folder.path().join("fullchain.pem"), "").unwrap();
        fs::remove_file(folder.path().join("privkey.pem")).unwrap();
        let problems = parse(TLS, &folder).unwrap_err().problems;
        assert!(
            of(&problems, "tls.certificate")[0].contains("there is no certificate in"),
            "{problems:?}"
        );
        assert!(
            of(&problems, "tls.key")[0].contains("privkey.pem cannot be read"),
            "{problems:?}"
        );
        assert_eq!(
            problems.iter().map(|problem| problem.line).collect::<Vec<_>>(),
            [Some(2), Some(3)]
        );
        let problems = parse("[tls]\n", &folder).unwrap_err().problems;
        assert!(problems.len() == 2 && problems[0].wrong == "is missing", "{problems:?}");
    }

    #[test]
    fn an_expired_certificate_and_a_key_for_everybody_are_warned_of() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(
            folder.path().join("fullchain.pem"),
            params.self_signed(&key).unwrap().pem(),
        )
        .unwrap();
        fs::write(folder.path().join("privkey.pem"), key.serialize_pem()).unwrap();
        fs::set_permissions(folder.path().join("privkey.pem"), fs::Permissions::from_mode(0o644)).unwrap();
        let warnings = parse(TLS, &folder).unwrap().warnings;
        assert!(
            of(&warnings, "tls.certificate")[0].contains("expired on 2020-01-01"),
            "{warnings:?}"
        );
        assert!(
            of(&warnings, "tls.key")[0].contains("everybody on this machine"),
            "{warnings:?}"
        );
    }

    #[test]
    fn a_file_that_is_read_anew_is_not_held_up_by_a_certificate_that_is_half_written() {
        let folder = folder();
        let file = folder.path().join("usher.toml");
        fs::write(&file, TLS).unwrap();
        let served = Config::load(Some(&file)).unwrap();
        fs::write(folder.path().join("privkey.pem"), "").unwrap();
        assert_eq!(Config::load_anew(&file, &served).unwrap().tls, served.tls);
        assert!(Config::load(Some(&file)).is_err());
        fs::write(&file, TLS.replace("fullchain", "other")).unwrap();
        assert!(Config::load_anew(&file, &served).is_err(), "another pair is judged");
        let plain = Config {
            tls: None,
            ..served.clone()
        };
        let check = served.check_reload(&plain);
        assert!(check.warnings.iter().any(|warning| warning.key == "tls"), "{check:?}");
    }

    #[test]
    fn tokens_in_clear_are_warned_of_unless_a_proxy_or_the_host_itself_speaks_tls() {
        let folder = folder();
        let warned = |text: &str| !of(&parse(&with_tokens(text), &folder).unwrap().warnings, "listen").is_empty();
        assert!(warned("listen = \"0.0.0.0:7070\"\n"));
        assert!(warned("behind_proxy = false\nlisten = \"0.0.0.0:7070\"\n"));
        assert!(!warned("behind_proxy = true\nlisten = \"0.0.0.0:7070\"\n"));
        assert!(!warned(&format!("listen = \"0.0.0.0:7070\"\n{TLS}")));
        assert!(!warned("listen = \"127.0.0.1:7070\"\n"));
        let problems = parse(&format!("listen = \"0.0.0.0:7070\"\n{TLS}"), &folder)
            .unwrap_err()
            .problems;
        assert!(
            of(&problems, "listen")[0].contains("without [auth]"),
            "TLS alone lets everybody in"
        );
    }

    #[test]
    fn agents_that_are_sent_to_a_host_of_https_by_http_are_warned_of() {
        let folder = folder();
        let warned = |text: &str, url: &str| {
            let pool = format!("[[pool]]\nname = \"a\"\nprovider = \"ec2\"\n[pool.ec2]\nhost_url = \"{url}\"\n");
            let warnings = match parse(&format!("{text}{pool}"), &folder) {
                Ok(config) => config.warnings,
                Err(problems) => problems.warnings,
            };
            !of(&warnings, "pool[1].ec2.host_url").is_empty()
        };
        assert!(warned(TLS, "http://usher.example.com:7070"));
        assert!(!warned(TLS, "https://usher.example.com:7070"));
        assert!(!warned(
            &format!("behind_proxy = true\n{TLS}"),
            "http://usher.example.com"
        ));
        assert!(!warned("", "http://usher.example.com"));
    }
}
