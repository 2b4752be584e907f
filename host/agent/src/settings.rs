//! The options with their meaning: checked, with defaults filled in, and all problems told at once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use reqwest::{Certificate, Url};

use crate::options::{MediaKind, Options, RoomFrom};
use crate::report::is_client_url;
use crate::room::is_id;
use crate::token::Token;

/// Seconds between reports; above a minute every host would think the server dead.
const REPORT_SECONDS: std::ops::RangeInclusive<u64> = 1..=60;
/// A day, as the longest drain of a videobridge is.
const DRAIN_SECONDS_MAX: u64 = 86_400;
/// The fastest interface, in Mbit/s: a terabit.
const INTERFACE_MBPS: std::ops::RangeInclusive<u32> = 1..=1_000_000;
/// The longest secret that is read from a file, in bytes.
const SECRET_BYTES_MAX: u64 = 4096;
/// The largest file of authorities: the system's own has a quarter of that.
const CA_BYTES_MAX: u64 = 1024 * 1024;
/// The longest name of an interface that Linux has.
const INTERFACE_BYTES_MAX: usize = 15;

/// Says what is wrong with the options: everything at once.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the options are not right:\n  {}", problems.join("\n  "))]
pub struct Wrong {
    problems: Vec<String>,
}

/// What a secret's path begins with where systemd has the file by `LoadCredential=`: a file of variables cannot have its folder filled in.
const CREDENTIALS: &str = "${CREDENTIALS_DIRECTORY}/";

/// A secret as it is written: the text itself, or `file:` and where it lies, perhaps below `${CREDENTIALS_DIRECTORY}`. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Secret, Self::Err> {
        Ok(Secret(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Everything that an agent has to know.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) server: String,
    /// Where clients reach the media server, if the host is to be told.
    pub(crate) server_url: Option<String>,
    pub(crate) report_interval: Duration,
    pub(crate) drain_limit: Duration,
    pub(crate) watches_only: bool,
    pub(crate) host: HostSettings,
    pub(crate) media: MediaSettings,
    pub(crate) interface: Option<String>,
    pub(crate) interface_mbps: Option<u32>,
    /// The base of EC2's instance metadata, if notices are watched for.
    pub(crate) spot: Option<Url>,
}

/// Where the host is, and as whom it is spoken to.
#[derive(Debug)]
pub(crate) struct HostSettings {
    /// Where reports go.
    pub(crate) report_url: Url,
    pub(crate) token: Token,
    pub(crate) authorities: Vec<Certificate>,
}

/// The media server, with all that is needed to ask it.
#[derive(Debug)]
pub(crate) enum MediaSettings {
    Janus(JanusSettings),
    LiveKit(LiveKitSettings),
    Jvb { url: Url },
    HttpJson { url: Url },
    None,
}

/// See [`MediaSettings::Janus`].
#[derive(Debug)]
pub(crate) struct JanusSettings {
    pub(crate) url: Url,
    pub(crate) admin_secret: Option<String>,
    pub(crate) admin_key: Option<String>,
    pub(crate) room_secret: Option<String>,
    pub(crate) room_from: RoomFrom,
    pub(crate) has_audiobridge: bool,
}

/// See [`MediaSettings::LiveKit`].
#[derive(Debug)]
pub(crate) struct LiveKitSettings {
    pub(crate) url: Url,
    pub(crate) api_key: String,
    pub(crate) api_secret: String,
    pub(crate) metrics_url: Option<Url>,
    pub(crate) is_cluster: bool,
}

impl Settings {
    /// Finds out what the options mean; reads the files that they name.
    ///
    /// # Errors
    /// All that is wrong with them, each with what to write instead.
    pub(crate) fn of(options: Options) -> Result<Settings, Wrong> {
        let mut check = Check::default();
        let settings = check.settings(options);
        match settings {
            Some(settings) if check.problems.is_empty() => Ok(settings),
            _ => Err(Wrong {
                problems: check.problems,
            }),
        }
    }
}

/// Collects problems. What is wrong becomes `None`, so that the rest is checked all the same.
#[derive(Debug, Default)]
struct Check {
    problems: Vec<String>,
}

impl Check {
    fn settings(&mut self, options: Options) -> Option<Settings> {
        self.ranges(&options);
        let media = self.media(&options);
        let spot = if options.spot_notices {
            self.url("USHER_AGENT_IMDS", &options.imds)
        } else {
            None
        };
        let host = self.host(&options);
        Some(Settings {
            report_interval: Duration::from_secs(options.report_seconds),
            drain_limit: Duration::from_secs(options.drain_seconds),
            watches_only: options.watch_only,
            host: host?,
            media: media?,
            server: options.server,
            server_url: options.server_url,
            interface: options.interface,
            interface_mbps: options.interface_mbps,
            spot,
        })
    }

    fn ranges(&mut self, options: &Options) {
        let seconds = options.report_seconds;
        self.ask(REPORT_SECONDS.contains(&seconds), || {
            format!("--report-seconds is from 1 to 60, not {seconds}")
        });
        let seconds = options.drain_seconds;
        self.ask(seconds <= DRAIN_SECONDS_MAX, || {
            format!("--drain-seconds is at most {DRAIN_SECONDS_MAX}, not {seconds}")
        });
        if let Some(mbps) = options.interface_mbps {
            self.ask(INTERFACE_MBPS.contains(&mbps), || {
                format!("--interface-mbps is from 1 to 1000000, not {mbps}")
            });
        }
        if let Some(url) = &options.server_url {
            self.ask(is_client_url(url), || {
                format!(
                    "--server-url is an address such as wss://media-7.example.com:8188/janus: http, https, ws or wss, a host, perhaps a port and a path, not {url:?}"
                )
            });
        }
        if let Some(name) = &options.interface {
            self.ask(is_interface(name), || {
                format!("--interface: {name:?} cannot be an interface; `ip -brief link` shows those that are here")
            });
        }
        // A name of dots alone would change the path of the address it stands in.
        let is_good = is_id(&options.server) && options.server.bytes().any(|byte| byte != b'.');
        self.ask(is_good, || {
            format!(
                "--server has 1 to 128 of the characters A-Z a-z 0-9 . _ : -, not {:?}; `usher servers` shows the names",
                options.server
            )
        });
    }

    fn host(&mut self, options: &Options) -> Option<HostSettings> {
        let url = self.url("--url (USHER_URL)", &options.url);
        let token = match Token::of(options.token.as_deref(), options.token_file.clone()) {
            Ok(token) => Some(token),
            Err(error) => {
                self.problems.push(error.to_string());
                None
            }
        };
        let authorities = match &options.ca_file {
            Some(path) => self.authorities(path),
            None => Some(Vec::new()),
        };
        let mut report_url = url?;
        if is_id(&options.server) {
            let path = format!(
                "{}/v1/servers/{}/report",
                report_url.path().trim_end_matches('/'),
                options.server
            );
            report_url.set_path(&path);
        }
        Some(HostSettings {
            report_url,
            token: token?,
            authorities: authorities?,
        })
    }

    fn media(&mut self, options: &Options) -> Option<MediaSettings> {
        let url = |check: &mut Check, default: &str| {
            let written = options.media_url.as_deref().unwrap_or(default);
            check.url("--media-url (USHER_AGENT_MEDIA_URL)", written)
        };
        match options.media {
            MediaKind::Janus => {
                let url = url(self, "http://127.0.0.1:7088/admin");
                self.janus(options, url).map(MediaSettings::Janus)
            }
            MediaKind::Livekit => {
                let url = url(self, "http://127.0.0.1:7880");
                self.livekit(options, url).map(MediaSettings::LiveKit)
            }
            MediaKind::Jvb => url(self, "http://127.0.0.1:8080").map(|url| MediaSettings::Jvb { url }),
            MediaKind::HttpJson if options.media_url.is_none() => {
                self.problems
                    .push("--media http-json needs --media-url, such as http://127.0.0.1:3000/usher".to_owned());
                None
            }
            MediaKind::HttpJson => url(self, "").map(|url| MediaSettings::HttpJson { url }),
            MediaKind::None => Some(MediaSettings::None),
        }
    }

    fn janus(&mut self, options: &Options, url: Option<Url>) -> Option<JanusSettings> {
        let admin_secret = self.secret("--janus-admin-secret", options.janus_admin_secret.as_ref());
        let admin_key = self.secret("--janus-admin-key", options.janus_admin_key.as_ref());
        let room_secret = self.secret("--janus-room-secret", options.janus_room_secret.as_ref());
        Some(JanusSettings {
            url: url?,
            admin_secret,
            admin_key,
            room_secret,
            room_from: options.janus_room_from,
            has_audiobridge: options.janus_audiobridge,
        })
    }

    fn livekit(&mut self, options: &Options, url: Option<Url>) -> Option<LiveKitSettings> {
        let api_secret = self.secret("--livekit-api-secret", options.livekit_api_secret.as_ref());
        let metrics_url = options
            .livekit_metrics_url
            .as_deref()
            .and_then(|url| self.url("--livekit-metrics-url", url));
        let has_keys = options.livekit_api_key.is_some() && options.livekit_api_secret.is_some();
        self.ask(has_keys || options.livekit_cluster, || {
            "--media livekit needs --livekit-api-key and --livekit-api-secret: a pair of `keys` in LiveKit's config"
                .to_owned()
        });
        self.ask(
            !options.livekit_cluster || options.livekit_metrics_url.is_some(),
            || "--livekit-cluster needs --livekit-metrics-url, such as http://127.0.0.1:6789/metrics".to_owned(),
        );
        Some(LiveKitSettings {
            url: url?,
            api_key: options.livekit_api_key.clone().unwrap_or_default(),
            api_secret: api_secret.unwrap_or_default(),
            metrics_url,
            is_cluster: options.livekit_cluster,
        })
    }

    fn ask(&mut self, is_good: bool, problem: impl FnOnce() -> String) {
        if !is_good {
            self.problems.push(problem());
        }
    }

    fn url(&mut self, option: &str, text: &str) -> Option<Url> {
        let url = Url::parse(text)
            .ok()
            .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host() && url.username().is_empty());
        self.ask(url.is_some(), || {
            format!("{option} is an address such as http://127.0.0.1:7070 without a user's name, not {text:?}")
        });
        url
    }

    fn secret(&mut self, option: &str, secret: Option<&Secret>) -> Option<String> {
        let Secret(written) = secret?;
        let text = match written.strip_prefix("file:") {
            Some(path) => match path_of(path).and_then(|path| read_text(&path, SECRET_BYTES_MAX)) {
                Ok(text) => text.trim().to_owned(),
                Err(why) => {
                    self.problems.push(format!("{option}: {why}"));
                    return None;
                }
            },
            None => written.clone(),
        };
        self.ask(!text.is_empty(), || format!("{option} is empty"));
        Some(text)
    }

    fn authorities(&mut self, path: &Path) -> Option<Vec<Certificate>> {
        let read = read_text(path, CA_BYTES_MAX).and_then(|pem| {
            let found = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
            if found.is_empty() {
                return Err(format!("{} holds no certificate in PEM form", path.display()));
            }
            Ok(found)
        });
        read.map_err(|why| self.problems.push(format!("--ca-file (USHER_CA_FILE): {why}")))
            .ok()
    }
}

/// Returns where a secret lies, with the folder of systemd's credentials filled in.
fn path_of(written: &str) -> Result<PathBuf, String> {
    let Some(name) = written.strip_prefix(CREDENTIALS) else {
        return Ok(PathBuf::from(written));
    };
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
    let folder = folder.ok_or_else(|| {
        format!("there is no CREDENTIALS_DIRECTORY; write LoadCredential={name}:PATH into the agent's unit")
    })?;
    Ok(Path::new(&folder).join(name))
}

fn is_interface(name: &str) -> bool {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    (1..=INTERFACE_BYTES_MAX).contains(&name.len()) && is_plain && name != "." && name != ".."
}

/// Reads a small file of text.
///
/// # Errors
/// It is not there, not readable, too large or no text; the message says which, without what was in it.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    use std::io::Read;
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mut text = String::new();
    file.take(bytes_max + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot read {shown}: {error}"))?;
    if text.len() as u64 > bytes_max {
        return Err(format!("{shown} has more than {bytes_max} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
