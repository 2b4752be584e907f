//! What the host has: lists, and single things from them.

use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::Value;
use usher_fleet::ids::{RoomId, ServerName};

use super::client::{Answer, Client, block_on};
use super::failure::Failure;
use super::query::Query;
use super::table::{self, Column};
use super::{EXIT_CODES, HostArgs, ListArgs, columns};

/// Arguments of `usher rooms`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct RoomsArgs {
    /// Only this room.
    room: Option<RoomId>,
    /// Only rooms on this server.
    #[arg(long, conflicts_with = "room")]
    server: Option<ServerName>,
    /// Only rooms in this state.
    #[arg(long, conflicts_with = "room")]
    state: Option<RoomState>,
    /// At most so many rooms.
    #[arg(long, default_value_t = 100, conflicts_with = "room")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only rooms after this one, in the order of their names.
    #[arg(long, conflicts_with = "room")]
    after: Option<RoomId>,
    #[command(flatten)]
    list: ListArgs,
}

/// Where a room stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoomState {
    /// In the queue.
    Waiting,
    /// On a server.
    Placed,
    /// In the queue again, because its server was lost.
    Moving,
}

impl RoomState {
    fn word(self) -> &'static str {
        match self {
            RoomState::Waiting => "waiting",
            RoomState::Placed => "placed",
            RoomState::Moving => "moving",
        }
    }
}

/// Arguments of `usher servers`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ServersArgs {
    /// Only this server.
    server: Option<ServerName>,
    #[command(flatten)]
    list: ListArgs,
}

/// Arguments of `usher decisions`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct DecisionsArgs {
    /// Only decisions about this room.
    #[arg(long)]
    room: Option<RoomId>,
    /// Only decisions about this server.
    #[arg(long)]
    server: Option<ServerName>,
    /// Only this decision, by its number.
    #[arg(long)]
    decision: Option<u32>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    list: ListArgs,
}

/// Shows rooms.
pub(super) fn rooms(args: RoomsArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(room) = &args.room {
        return one(&format!("/v1/rooms/{room}"), columns::ROOMS, &args.list, out);
    }
    let mut query = Query::default();
    query.add("server", args.server);
    query.add("state", args.state.map(RoomState::word));
    query.add("limit", Some(args.limit));
    query.add("after", args.after);
    let nothing = "no rooms; ask for one with `usher place ROOM`";
    let answer = list(
        &query.of("/v1/rooms"),
        "rooms",
        columns::ROOMS,
        nothing,
        &args.list,
        out,
    )?;
    if let Some(next) = answer.json.get("next").and_then(Value::as_str)
        && !args.list.json
    {
        writeln!(out, "there are more: usher rooms --after {next}")?;
    }
    Ok(())
}

/// Shows servers.
pub(super) fn servers(args: ServersArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(server) = &args.server {
        return one(&format!("/v1/servers/{server}"), columns::SERVERS, &args.list, out);
    }
    let nothing = "no servers; one is launched when a room asks, or registers with PUT /v1/servers/NAME";
    list("/v1/servers", "servers", columns::SERVERS, nothing, &args.list, out).map(drop)
}

/// Shows pools.
pub(super) fn pools(args: ListArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let nothing = "no pools; add a [[pool]] to the config file (`usher config reference` shows how)";
    list("/v1/pools", "pools", columns::POOLS, nothing, &args, out).map(drop)
}

/// Shows decisions.
pub(super) fn decisions(args: DecisionsArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let mut query = Query::default();
    query.add("room", args.room);
    query.add("server", args.server);
    query.add("decision", args.decision);
    query.add("limit", Some(args.limit));
    let nothing = "no decisions; the host keeps the newest since it started";
    list(
        &query.of("/v1/decisions"),
        "decisions",
        columns::DECISIONS,
        nothing,
        &args.list,
        out,
    )
    .map(drop)
}

/// Shows the bill.
pub(super) fn bill(args: ListArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let answer = list("/v1/bill", "pools", columns::BILL, "no pools, no bill", &args, out)?;
    if args.json {
        return Ok(());
    }
    let bill = &answer.json;
    let amount = |pointer: &str| columns::dollars(bill, pointer);
    let (hour, today, month) = (
        amount("/dollars_per_hour"),
        amount("/dollars_today"),
        amount("/dollars_this_month"),
    );
    writeln!(out, "\nnow ${hour} an hour; today ${today}; this month ${month}")?;
    if bill.get("baseline").is_some_and(|baseline| !baseline.is_null()) {
        let big = amount("/baseline/dollars_per_hour");
        let (today, month) = (
            amount("/baseline/dollars_today"),
            amount("/baseline/dollars_this_month"),
        );
        writeln!(
            out,
            "the one big server: ${big} an hour; today ${today}; this month ${month}"
        )?;
    }
    Ok(())
}

fn list(
    path: &str,
    of: &str,
    columns: &[Column],
    nothing: &str,
    args: &ListArgs,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let answer = get(path, &args.host)?;
    if args.json {
        writeln!(out, "{}", answer.text)?;
        return Ok(answer);
    }
    let rows = answer
        .json
        .get(of)
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    table::write(columns, rows, nothing, out)?;
    Ok(answer)
}

fn one(path: &str, columns: &[Column], args: &ListArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let answer = get(path, &args.host)?;
    if args.json {
        writeln!(out, "{}", answer.text)?;
    } else {
        table::write(columns, std::slice::from_ref(&answer.json), "", out)?;
    }
    Ok(())
}

fn get(path: &str, host: &HostArgs) -> Result<Answer, Failure> {
    block_on(async { Client::new(host)?.get(path).await })
}
