//! `fake-ec2`: the fake as a program. It prints its URL and serves until SIGTERM or SIGINT.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use usher_fake_ec2::{ClockSetup, FakeEc2, Setup};

/// A small EC2 that speaks the real query protocol, for tests.
#[derive(Parser)]
struct Arguments {
    /// The port of 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A JSON file with the setup; what it does not say has a default.
    #[arg(long)]
    setup: Option<PathBuf>,
    /// Seconds of the fake in a second of the world.
    #[arg(long)]
    speed: Option<f64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(io::stderr)
        .init();
    let arguments = Arguments::parse();
    let mut setup = match &arguments.setup {
        Some(path) => read_setup(path)?,
        None => Setup::default(),
    };
    if let Some(speed) = arguments.speed {
        setup.clock = ClockSetup::Real { speed };
    }
    // Before the URL is told: who reads it may end this at once.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let fake = FakeEc2::start_at(setup, address).await.context("cannot start")?;
    writeln!(io::stdout(), "{}", fake.url()).context("cannot tell the URL")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    fake.stop().await;
    Ok(())
}

fn read_setup(path: &PathBuf) -> anyhow::Result<Setup> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no setup", path.display()))
}
