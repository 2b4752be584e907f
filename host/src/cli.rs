//! The command line: what can be asked, and who does it.
//!
//! `serve` runs the host in this process. Everything else that needs a host asks one over HTTP, with the same calls that
//! any client has; nothing here opens the data folder.

mod act;
mod client;
mod columns;
mod compile_policy;
mod configuration;
mod events;
mod failure;
mod list;
mod policies;
mod policy;
mod query;
mod serving;
mod table;
mod token;
mod webhook;

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use usher_fleet::ids::ServerName;

pub use failure::Failure;

use act::{DrainArgs, PlaceArgs, ReasonArgs, ReleaseArgs, RemoveArgs, ScalingArgs};
pub(crate) use compile_policy::COMPILE_POLICY;
use configuration::ConfigCommand;
use events::EventsArgs;
use list::{DecisionsArgs, RoomsArgs, ServersArgs};
use policies::{PoliciesArgs, RollbackArgs};
use policy::PolicyCommand;
use serving::ServeArgs;
use token::TokenCommand;
use webhook::WebhookCommand;

use crate::demo::{self, DemoArgs};

/// What stands under every `--help`.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed: a file with problems, a broken answer, a host that ended with an error
  2  the command line was not understood
  3  the host refused, and said why
  4  no host was reached";

/// What stands under `usher --help`.
const EXAMPLES: &str = "\
Examples:
  usher demo                             an hour of an office, in a minute and a half
  usher config reference > usher.toml    every key with its meaning and default
  usher config check                     every problem of usher.toml at once
  usher config check --live              and whether the cloud would do as it says; nothing is launched
  usher serve                            serve what usher.toml says
  usher place standup-42                 ask for a room, as an app would
  usher servers                          what stands where, and how full it is
  usher drain media-7 --reason patching  no new rooms; it goes when the last one has left
  usher decisions --room standup-42      why a room is where it is
  usher policy new night                 a policy of your own: a crate whose tests pass
  usher policy watch night               build, check and place it at every save";

/// Places conference rooms on media servers, and has servers launched and ended as the rooms come and go.
#[derive(Debug, Parser)]
#[command(name = "usher", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"), max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: place rooms, watch servers, keep what was promised. Runs until SIGTERM or Ctrl-C.
    Serve(ServeArgs),
    /// Watch an hour of an office on a simulated cloud, in a minute and a half; the API is open beside it.
    Demo(DemoArgs),
    /// Rooms and where they are; with ROOM one of them.
    Rooms(RoomsArgs),
    /// Servers, how full they are and how they do; with SERVER one of them.
    Servers(ServersArgs),
    /// Pools: servers, free room, limits in the way, dollars.
    Pools(ListArgs),
    /// Policies in the order in which they are asked; with POLICY one of them in detail.
    Policies(PoliciesArgs),
    /// Decisions, the newest first: which policy advised what, what became of it, and why.
    Decisions(DecisionsArgs),
    /// Events: those kept, or with --follow those that come.
    Events(EventsArgs),
    /// Dollars now, today and this month, by pool and against the one big server.
    Bill(ListArgs),
    /// Let no new rooms onto a server, and let it go when it is empty.
    Drain(DrainArgs),
    /// Let no new rooms onto a server; it stays.
    Cordon(ReasonArgs),
    /// Lift a cordon or a drain.
    Uncordon(ReasonArgs),
    /// Declare a server lost, without waiting for a second witness: its rooms are placed elsewhere.
    Lost(ReasonArgs),
    /// End a server, or forget an external one; refused while rooms are on it.
    Remove(RemoveArgs),
    /// Switch a pool's scaling by policies on or off.
    Scaling(ScalingArgs),
    /// Have the version before of a policy serve, until its file changes.
    Rollback(RollbackArgs),
    /// Ask for rooms, as an app would: for trying.
    Place(PlaceArgs),
    /// Release a room, as an app would: for trying.
    Release(ReleaseArgs),
    /// Write, build and check a policy of your own.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Tokens for the API.
    #[command(subcommand)]
    Token(TokenCommand),
    /// The secret that signs what a host's webhook sends.
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// The config file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Read a module from stdin and compile it: what a host starts for each policy.
    #[command(name = COMPILE_POLICY, hide = true)]
    CompilePolicy,
}

/// Which host is asked, and as whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The host")]
struct HostArgs {
    /// Where the host's API is.
    #[arg(long, env = "USHER_URL", default_value = "http://127.0.0.1:7070")]
    url: String,
    /// The bearer token; better in the environment than on the command line, where other users can see it.
    #[arg(long, env = "USHER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A PEM file with more authorities to trust over https, besides the system's.
    #[arg(long, env = "USHER_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// A list of the host's.
#[derive(Debug, Clone, Args)]
struct ListArgs {
    /// Print the API's JSON as it is.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
}

/// One server of the host's.
#[derive(Debug, Clone, Args)]
struct ServerArgs {
    /// The server's name, as `usher servers` shows it.
    server: ServerName,
    /// Print the API's JSON as it is.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
}

/// Does what the command line says; what is to be read goes to `out`.
///
/// # Errors
/// It could not be done; the failure has its exit code.
pub fn run(cli: Cli, out: &mut dyn Write) -> Result<(), Failure> {
    match cli.command {
        Command::Serve(args) => serving::serve(args),
        Command::Demo(args) => demo::run(&args, out),
        Command::Rooms(args) => list::rooms(args, out),
        Command::Servers(args) => list::servers(args, out),
        Command::Pools(args) => list::pools(args, out),
        Command::Policies(args) => policies::policies(args, out),
        Command::Decisions(args) => list::decisions(args, out),
        Command::Events(args) => events::events(args, out),
        Command::Bill(args) => list::bill(args, out),
        Command::Drain(args) => act::drain(args, out),
        Command::Cordon(args) => act::cordon(args, out),
        Command::Uncordon(args) => act::uncordon(args, out),
        Command::Lost(args) => act::lost(args, out),
        Command::Remove(args) => act::remove(args, out),
        Command::Scaling(args) => act::scaling(args, out),
        Command::Rollback(args) => policies::rollback(args, out),
        Command::Place(args) => act::place(args, out),
        Command::Release(args) => act::release(args, out),
        Command::Policy(command) => policy::run(command, out),
        Command::Token(command) => token::run(command, out),
        Command::Webhook(command) => webhook::run(command, out),
        Command::Config(command) => configuration::run(command, out),
        Command::CompilePolicy => compile_policy::run(out),
    }
}

#[cfg(test)]
mod tests;
