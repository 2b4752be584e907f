//! The options as they are written on the command line or in the environment.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::settings::Secret;

/// What stands under `usher-agent --help`.
const EXAMPLES: &str = "\
Examples:
  usher-agent --server media-7 --media none
      say that the machine lives, and how busy it is
  usher-agent --server media-7 --media janus --janus-admin-secret file:/etc/usher/janus-secret
      ask the Janus on this machine for its rooms
  usher-agent --server media-7 --media http-json --media-url http://127.0.0.1:3000/usher
      ask an app of your own, say one with mediasoup

Every option can be given by its variable, so that systemd needs an environment file and nothing else. Secrets are better
in a file than in a variable, and better there than on the command line, where every user can see them. A file that systemd
brings by LoadCredential=NAME:PATH is written file:${CREDENTIALS_DIRECTORY}/NAME. SIGTERM drains:
the agent says so, and leaves when the host knows and the media server is empty; a second one leaves at once. SIGHUP
leaves at once and says nothing: for who starts it anew with other settings.

Exit codes:
  0  left as it was told
  1  could not start
  2  the options were not understood";

/// Runs beside one media server: reports to Usher how it does, and tells it what Usher has decided.
#[derive(Debug, Clone, Parser)]
#[command(name = "usher-agent", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Options {
    /// Where the host's API is.
    #[arg(
        long,
        env = "USHER_URL",
        default_value = "http://127.0.0.1:7070",
        help_heading = "The host"
    )]
    pub url: String,
    /// The name by which the host knows this server.
    #[arg(long, env = "USHER_SERVER", help_heading = "The host")]
    pub server: String,
    /// The bearer token; a file is better. With both, the file counts once it is there; where the host refuses one, the other is tried.
    #[arg(long, env = "USHER_TOKEN", hide_env_values = true, help_heading = "The host")]
    pub token: Option<String>,
    /// A file with the token. It is read again when the host refuses the token, and written when the host gives a new one.
    #[arg(long, env = "USHER_AGENT_TOKEN_FILE", value_name = "FILE", help_heading = "The host")]
    pub token_file: Option<PathBuf>,
    /// A PEM file with more authorities to trust over https, besides the system's.
    #[arg(long, env = "USHER_CA_FILE", value_name = "FILE", help_heading = "The host")]
    pub ca_file: Option<PathBuf>,
    /// Seconds between reports, from 1 to 60; each is moved by up to a tenth at random.
    #[arg(
        long,
        env = "USHER_AGENT_REPORT_SECONDS",
        default_value_t = 5,
        help_heading = "The host"
    )]
    pub report_seconds: u64,

    /// Where clients reach the media server, if neither the host's configuration nor its cloud says it.
    #[arg(long, env = "USHER_AGENT_SERVER_URL", value_name = "URL", help_heading = "The host")]
    pub server_url: Option<String>,

    /// What runs here. `none` watches the machine only.
    #[arg(long, env = "USHER_AGENT_MEDIA", value_enum, help_heading = "The media server")]
    pub media: MediaKind,
    /// Where it answers [default: janus http://127.0.0.1:7088/admin, livekit http://127.0.0.1:7880, jvb
    /// http://127.0.0.1:8080]
    #[arg(
        long,
        env = "USHER_AGENT_MEDIA_URL",
        value_name = "URL",
        help_heading = "The media server"
    )]
    pub media_url: Option<String>,
    /// Only ask the media server: never tell it to drain, never end a room in it.
    #[arg(long, env = "USHER_AGENT_WATCH_ONLY", help_heading = "The media server")]
    pub watch_only: bool,

    /// The admin_secret of janus.jcfg, or file:PATH.
    #[arg(
        long,
        env = "USHER_AGENT_JANUS_ADMIN_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        help_heading = "Janus"
    )]
    pub janus_admin_secret: Option<Secret>,
    /// The plugins' admin_key, or file:PATH: lists private rooms too, and lets rooms be ended that live elsewhere by now.
    #[arg(
        long,
        env = "USHER_AGENT_JANUS_ADMIN_KEY",
        value_name = "SECRET",
        hide_env_values = true,
        help_heading = "Janus"
    )]
    pub janus_admin_key: Option<Secret>,
    /// The secret that the app gives its rooms, or file:PATH: Janus ends no room that has one without it.
    #[arg(
        long,
        env = "USHER_AGENT_JANUS_ROOM_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        help_heading = "Janus"
    )]
    pub janus_room_secret: Option<Secret>,
    /// What of a Janus room is Usher's room id.
    #[arg(
        long,
        env = "USHER_AGENT_JANUS_ROOM_FROM",
        value_enum,
        default_value = "room",
        help_heading = "Janus"
    )]
    pub janus_room_from: RoomFrom,
    /// Ask the audiobridge plugin too. A room in both counts once, with the larger number of participants.
    #[arg(long, env = "USHER_AGENT_JANUS_AUDIOBRIDGE", help_heading = "Janus")]
    pub janus_audiobridge: bool,

    /// The API key.
    #[arg(
        long,
        env = "USHER_AGENT_LIVEKIT_API_KEY",
        value_name = "KEY",
        help_heading = "LiveKit"
    )]
    pub livekit_api_key: Option<String>,
    /// The API secret, or file:PATH.
    #[arg(
        long,
        env = "USHER_AGENT_LIVEKIT_API_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        help_heading = "LiveKit"
    )]
    pub livekit_api_secret: Option<Secret>,
    /// Its Prometheus metrics, such as http://127.0.0.1:6789/metrics: adds figures of this node.
    #[arg(
        long,
        env = "USHER_AGENT_LIVEKIT_METRICS_URL",
        value_name = "URL",
        help_heading = "LiveKit"
    )]
    pub livekit_metrics_url: Option<String>,
    /// LiveKit runs on several nodes, so that its list of rooms is that of all of them: report this node's participants by
    /// its metrics, and no rooms.
    #[arg(long, env = "USHER_AGENT_LIVEKIT_CLUSTER", help_heading = "LiveKit")]
    pub livekit_cluster: bool,

    /// The interface whose outgoing traffic counts [default: the one of the default route, else the busiest]
    #[arg(
        long,
        env = "USHER_AGENT_INTERFACE",
        value_name = "NAME",
        help_heading = "The machine"
    )]
    pub interface: Option<String>,
    /// What that interface can do in Mbit/s: adds the figure egress_permille.
    #[arg(
        long,
        env = "USHER_AGENT_INTERFACE_MBPS",
        value_name = "MBPS",
        help_heading = "The machine"
    )]
    pub interface_mbps: Option<u32>,
    /// On EC2: watch for the notice that this spot instance is taken away, and drain when it comes.
    #[arg(long, env = "USHER_AGENT_SPOT_NOTICES", help_heading = "The machine")]
    pub spot_notices: bool,
    /// Where EC2's instance metadata is: for tests.
    #[arg(
        long,
        env = "USHER_AGENT_IMDS",
        default_value = "http://169.254.169.254",
        hide = true
    )]
    pub imds: String,
    /// After SIGTERM: how many seconds to wait for the media server to become empty, at most 86400.
    #[arg(
        long,
        env = "USHER_AGENT_DRAIN_SECONDS",
        default_value_t = 300,
        help_heading = "The machine"
    )]
    pub drain_seconds: u64,

    /// Write log lines as JSON. USHER_LOG=usher_agent=debug says more.
    #[arg(long, env = "USHER_AGENT_LOG_JSON")]
    pub log_json: bool,
}

/// Which media server runs beside the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MediaKind {
    /// Janus with its admin API: rooms and participants of the videoroom plugin.
    Janus,
    /// LiveKit: rooms and participants. It drains by SIGTERM only, so that is left to you.
    Livekit,
    /// Jitsi's videobridge: participants and stress. It does not know its rooms' names.
    Jvb,
    /// An app of your own, mediasoup for instance, that answers a GET with JSON; README has the form.
    HttpJson,
    /// Nothing that could be asked: reports say how the machine does.
    None,
}

/// Which field of a Janus room is Usher's room id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoomFrom {
    /// Its id, a number or a text.
    Room,
    /// Its description.
    Description,
}
