//! Makes the secret that the host and the webhook's receiver share. The host is not asked.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::EXIT_CODES;
use super::failure::Failure;
use crate::webhook::new_secret;

/// Commands of `usher webhook`.
#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// Make a secret: writes it to a new file that only you can read, for `secret_file` under [webhook].
    NewSecret(NewSecretArgs),
}

/// Arguments of `usher webhook new-secret`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct NewSecretArgs {
    /// The file to make; one that is there is left alone.
    file: PathBuf,
}

/// Does what `usher webhook` says.
pub(super) fn run(command: WebhookCommand, out: &mut dyn Write) -> Result<(), Failure> {
    let WebhookCommand::NewSecret(NewSecretArgs { file }) = command;
    let made = new_secret().context("the system gives no random bytes");
    let secret = made.map_err(Failure::Undone)?;
    let shown = file.display();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut new| {
            writeln!(new, "{secret}")?;
            new.sync_all()
        });
    written
        .with_context(|| format!("cannot make {shown}"))
        .map_err(Failure::Undone)?;
    writeln!(
        out,
        "{shown} holds the secret; its text goes to the receiver too, which checks signatures with it.\n\n\
         For usher.toml:\n\n    [webhook]\n    url = \"https://app.example.com/usher\"\n    secret_file = {:?}\n\n\
         To change it later: put a second line into the file, give it to the receiver, then remove the first.",
        file.display().to_string()
    )?;
    Ok(())
}
