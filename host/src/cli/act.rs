//! The operator's hand on servers and pools, and an app's on rooms for trying.

use std::io::Write;

use clap::{Args, ValueEnum};
use hyper::Method;
use serde_json::{Map, Value, json};
use usher_fleet::ids::{PoolName, RoomId, ServerName, Tenant};

use super::client::{Answer, Client, block_on};
use super::failure::Failure;
use super::query::Query;
use super::{EXIT_CODES, HostArgs, ServerArgs, columns, table};

/// Arguments of `usher cordon`, `usher uncordon` and `usher lost`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ReasonArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Why, for people: it stands in the events.
    #[arg(long)]
    reason: Option<String>,
}

/// Arguments of `usher drain`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct DrainArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Why, for people: it stands in the events.
    #[arg(long)]
    reason: Option<String>,
    /// After so many seconds it goes with its rooms; without it as the pool's config says, else never before it is empty.
    #[arg(long)]
    deadline_seconds: Option<u32>,
}

/// Arguments of `usher remove`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Also with rooms on it: they are placed again elsewhere.
    #[arg(long)]
    force: bool,
}

/// Arguments of `usher scaling`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ScalingArgs {
    /// The pool.
    pool: PoolName,
    /// Whether policies may launch and retire there.
    switch: Switch,
    #[command(flatten)]
    host: HostArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Arguments of `usher place`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct PlaceArgs {
    /// The rooms.
    #[arg(required = true)]
    rooms: Vec<RoomId>,
    /// Expected participants; without it what the pool says.
    #[arg(long)]
    seats: Option<u32>,
    /// What a room costs a server, in the operator's unit; without it its seats.
    #[arg(long)]
    load: Option<u32>,
    /// How long a room will probably last.
    #[arg(long)]
    expected_minutes: Option<u32>,
    /// Where it should be.
    #[arg(long)]
    region: Option<String>,
    /// To whom it belongs.
    #[arg(long)]
    tenant: Option<Tenant>,
    /// Hold the answer for so many seconds, until the room is placed.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=60))]
    wait_seconds: Option<u32>,
    /// Print the API's JSON as it is, one line a room.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
}

/// Arguments of `usher release`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ReleaseArgs {
    /// The rooms.
    #[arg(required = true)]
    rooms: Vec<RoomId>,
    /// Only this placement: a room that has been placed anew is left alone.
    #[arg(long)]
    placement: Option<u64>,
    #[command(flatten)]
    host: HostArgs,
}

/// Drains a server.
pub(super) fn drain(args: DrainArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let body = fields([
        ("reason", args.reason.map(Value::from)),
        ("deadline_seconds", args.deadline_seconds.map(Value::from)),
    ]);
    order("drain", &args.server, &body, out)
}

/// Cordons a server.
pub(super) fn cordon(args: ReasonArgs, out: &mut dyn Write) -> Result<(), Failure> {
    order(
        "cordon",
        &args.server,
        &fields([("reason", args.reason.map(Value::from))]),
        out,
    )
}

/// Lifts a server's hold.
pub(super) fn uncordon(args: ReasonArgs, out: &mut dyn Write) -> Result<(), Failure> {
    order(
        "uncordon",
        &args.server,
        &fields([("reason", args.reason.map(Value::from))]),
        out,
    )
}

/// Declares a server lost.
pub(super) fn lost(args: ReasonArgs, out: &mut dyn Write) -> Result<(), Failure> {
    order(
        "lost",
        &args.server,
        &fields([("reason", args.reason.map(Value::from))]),
        out,
    )
}

/// Ends a server.
pub(super) fn remove(args: RemoveArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let mut query = Query::default();
    query.add("force", args.force.then_some(true));
    let server = &args.server.server;
    let answer = ask(&args.server.host, Method::DELETE, &query.of(&server_path(server)), None)?;
    match args.server.json {
        true => writeln!(out, "{}", answer.text)?,
        false => writeln!(out, "{server} is being ended")?,
    }
    Ok(())
}

/// Switches a pool's scaling.
pub(super) fn scaling(args: ScalingArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let body = json!({ "enabled": args.switch == Switch::On });
    ask(
        &args.host,
        Method::POST,
        &format!("/v1/pools/{}/scaling", args.pool),
        Some(&body),
    )?;
    match args.switch {
        Switch::On => writeln!(out, "policies launch and retire servers of {} again", args.pool)?,
        Switch::Off => writeln!(
            out,
            "no policy launches or retires servers of {} until `usher scaling {} on`",
            args.pool, args.pool
        )?,
    }
    Ok(())
}

/// Asks for rooms, one after the other; the first refusal ends it.
pub(super) fn place(args: PlaceArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let body = fields([
        ("seats", args.seats.map(Value::from)),
        ("load", args.load.map(Value::from)),
        ("expected_minutes", args.expected_minutes.map(Value::from)),
        ("region", args.region.map(Value::from)),
        ("tenant", args.tenant.map(|tenant| Value::from(tenant.as_str()))),
        ("wait_seconds", args.wait_seconds.map(Value::from)),
    ]);
    let mut placed = Vec::new();
    let asked = block_on(async {
        let client = Client::new(&args.host)?;
        for room in &args.rooms {
            placed.push(client.ask(Method::PUT, &room_path(room), Some(&body)).await?);
        }
        Ok(())
    });
    match args.json {
        true => placed.iter().try_for_each(|answer| writeln!(out, "{}", answer.text))?,
        false if placed.is_empty() => {}
        false => {
            let rows: Vec<Value> = placed.into_iter().map(|answer| answer.json).collect();
            table::write(columns::ROOMS, &rows, "", out)?;
        }
    }
    asked
}

/// Releases rooms.
pub(super) fn release(args: ReleaseArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if args.placement.is_some() && args.rooms.len() > 1 {
        return Err(Failure::Usage(
            "--placement names one placement of one room; release one room at a time".to_owned(),
        ));
    }
    let mut query = Query::default();
    query.add("placement", args.placement);
    block_on(async {
        let client = Client::new(&args.host)?;
        for room in &args.rooms {
            client.ask(Method::DELETE, &query.of(&room_path(room)), None).await?;
            writeln!(out, "{room} is released")?;
        }
        Ok(())
    })
}

fn order(action: &str, args: &ServerArgs, body: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    let path = format!("{}/{action}", server_path(&args.server));
    let answer = ask(&args.host, Method::POST, &path, Some(body))?;
    match args.json {
        true => writeln!(out, "{}", answer.text)?,
        false => table::write(columns::SERVERS, std::slice::from_ref(&answer.json), "", out)?,
    }
    Ok(())
}

fn ask(host: &HostArgs, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
    block_on(async { Client::new(host)?.ask(method, path, body).await })
}

fn server_path(server: &ServerName) -> String {
    format!("/v1/servers/{server}")
}

fn room_path(room: &RoomId) -> String {
    format!("/v1/rooms/{room}")
}

/// Returns an object of the fields that were given.
fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let given = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}
