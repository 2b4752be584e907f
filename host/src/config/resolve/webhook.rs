//! Who is told of events.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use hyper::Uri;

use crate::config::problem::{Collector, Place};
use crate::config::raw::RawWebhook;
use crate::config::section::Entry;
use crate::webhook::{Choice, SecretError, Secrets, WebhookConfig};

/// How long the receiver has to answer unless the file says otherwise.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Returns who is told; `None` where nobody is.
pub(super) fn webhook(
    entry: &Entry<RawWebhook>,
    base_dir: &Path,
    problems: &mut Collector<'_>,
) -> Option<WebhookConfig> {
    let raw = entry.get()?;
    let url = raw.url.required("\"https://app.example.com/usher\"", problems);
    if let Some(url) = url {
        check_plain(url, &raw.url.at, problems);
    }
    let file = raw.secret_file.required("\"webhook.secret\"", problems);
    let secret = file.map(|file| base_dir.join(file)).and_then(|path| {
        let secrets = secrets(&path, &raw.secret_file.at, problems)?;
        Some((path, secrets))
    });
    let choice = match raw.events.get() {
        Some(kinds) => Choice::of(kinds.iter().flatten().copied()),
        None => Choice::default(),
    };
    check_choice(&choice, &raw.events, problems);
    let (secret_file, secrets) = secret?;
    Some(WebhookConfig {
        url: url?.clone(),
        secret_file,
        secrets,
        choice,
        timeout: raw.timeout_seconds.or(TIMEOUT_DEFAULT),
    })
}

fn check_plain(url: &Uri, at: &Place, problems: &mut Collector<'_>) {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if url.scheme_str() == Some("http") && !is_here {
        let wrong = "is plain HTTP: nobody can forge a call, but everybody on the way can read it";
        problems.warning(at, wrong, "write https:// if the receiver speaks it");
    }
}

fn secrets(path: &Path, at: &Place, problems: &mut Collector<'_>) -> Option<Secrets> {
    /// What everybody on the machine may do.
    const OTHERS: u32 = 0o007;
    match Secrets::read(path) {
        Ok(secrets) => {
            let mode = std::fs::metadata(path).map_or(0, |found| found.permissions().mode());
            if mode & OTHERS != 0 {
                let wrong = format!("everybody on this machine may open {}", path.display());
                problems.warning(at, wrong, format!("run: chmod o= {}", path.display()));
            }
            Some(secrets)
        }
        Err(error) => {
            let remedy = match error {
                SecretError::Unreadable(_) => format!("make it: usher webhook new-secret {}", path.display()),
                SecretError::NoSecret => "the receiver has the same secret".to_owned(),
            };
            problems.problem(at, format!("{} {error}", path.display()), remedy);
            None
        }
    }
}

fn check_choice(choice: &Choice, events: &Entry<Vec<Vec<&'static str>>>, problems: &mut Collector<'_>) {
    if events.get().is_some_and(Vec::is_empty) {
        let remedy = "name some, such as \"server.lost\", or remove the line for a good choice";
        problems.problem(&events.at, "chooses no events", remedy);
    }
    let has_moves = |kind| choice.has(kind) && !choice.has("room.moved");
    if has_moves("server.lost") && (!events.is_written || events.get().is_some()) {
        let wrong = "has server.lost and not room.moved: rooms that find a new server only later are not told";
        problems.warning(&events.at, wrong, "add \"room.moved\"");
    }
}
