//! Makes tokens. The host is not asked: the secret goes to whoever runs this, its hash into the config file.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use usher_fleet::ids::{PoolName, Tenant};

use super::EXIT_CODES;
use super::failure::Failure;
use crate::config::TokenHash;

/// Random bytes in a token: 256 bits cannot be guessed, so that a plain hash is enough to keep it.
const TOKEN_BYTES: usize = 32;

/// Commands of `usher token`.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token: prints the secret, and the line for the config file's [auth].
    New(NewArgs),
}

/// Arguments of `usher token new`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct NewArgs {
    /// What it may do.
    #[arg(long)]
    scope: Scope,
    /// Only for this tenant's rooms (scope app).
    #[arg(long)]
    tenant: Option<Tenant>,
    /// Only for servers of this pool (scope register, which needs it).
    #[arg(long)]
    pool: Option<PoolName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// Place, read and release rooms.
    App,
    /// Register and drain servers of one external pool.
    Register,
    /// Everything.
    Admin,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Scope::App => "app",
            Scope::Register => "register",
            Scope::Admin => "admin",
        }
    }
}

/// Does what `usher token` says.
pub(super) fn run(command: TokenCommand, out: &mut dyn Write) -> Result<(), Failure> {
    let TokenCommand::New(args) = command;
    check(&args)?;
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::Ended(anyhow::anyhow!("the system gives no random bytes: {error}")))?;
    let token = token(args.scope, &bytes);
    writeln!(out, "The token, for the client; it is shown only now:\n\n    {token}\n")?;
    writeln!(
        out,
        "Its hash, for usher.toml under [auth], beside those that are there:\n\n    {}",
        line(&args, &token)
    )?;
    Ok(())
}

fn check(args: &NewArgs) -> Result<(), Failure> {
    let wrong = match (args.scope, &args.tenant, &args.pool) {
        (Scope::App, _, None) | (Scope::Register, None, Some(_)) | (Scope::Admin, None, None) => return Ok(()),
        (Scope::Register, None, None) => "a register token makes servers in one pool: add --pool NAME",
        (Scope::App, _, Some(_)) => "an app token may be bound to a tenant, not to a pool",
        (Scope::Register, Some(_), _) => "a register token is bound to a pool, not to a tenant",
        (Scope::Admin, _, _) => "an admin token is bound to nothing",
    };
    Err(Failure::Usage(wrong.to_owned()))
}

/// Returns the secret. Its beginning tells people, and scanners for leaked secrets, what it is.
fn token(scope: Scope, bytes: &[u8; TOKEN_BYTES]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("usher_{}_{digits}", scope.word())
}

/// Returns the line for the config file.
fn line(args: &NewArgs, token: &str) -> String {
    let hash = TokenHash::of(token);
    let entry = match (&args.tenant, &args.pool) {
        (Some(tenant), _) => format!("{{ hash = \"{hash}\", tenant = \"{tenant}\" }}"),
        (None, Some(pool)) => format!("{{ hash = \"{hash}\", pool = \"{pool}\" }}"),
        (None, None) => format!("\"{hash}\""),
    };
    format!("{}_tokens = [{entry}]", args.scope.word())
}
