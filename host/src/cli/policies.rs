//! Policies: the chain as an operator reads it, one policy in detail, and the way back to the version before.

use std::io::{self, Write};

use clap::Args;
use hyper::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, block_on};
use super::columns::{NOTHING, text};
use super::failure::Failure;
use super::table::{self, Column};
use super::{EXIT_CODES, HostArgs, ListArgs};

/// As much of a hash as tells versions apart for people, in characters.
const HASH_CHARS: usize = 8;
/// The sha256 of nothing: that of settings where there is no file.
const NO_SETTINGS: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const DECISIONS: [&str; 3] = ["place", "scale_up", "scale_down"];

/// Arguments of `usher policies`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct PoliciesArgs {
    /// Only this policy, in detail: its file's name without `.wasm`.
    policy: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Arguments of `usher rollback`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct RollbackArgs {
    /// The policy: its file's name without `.wasm`.
    policy: String,
    /// Why, for people: it stands in the events, and with the policy.
    #[arg(long)]
    reason: Option<String>,
    /// Print the API's JSON as it is.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
}

/// Shows the chain, or one policy.
pub(super) fn policies(args: PoliciesArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let path = args.policy.as_deref().map_or("/v1/policies".to_owned(), path_of);
    let answer = block_on(async { Client::new(&args.list.host)?.get(&path).await })?;
    if args.list.json {
        writeln!(out, "{}", answer.text)?;
    } else if args.policy.is_some() {
        write_one(&answer.json, out)?;
    } else {
        write_chain(&answer.json, out)?;
    }
    Ok(())
}

/// Has the version before serve.
pub(super) fn rollback(args: RollbackArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let path = format!("{}/rollback", path_of(&args.policy));
    let body: Map<_, _> = args
        .reason
        .into_iter()
        .map(|reason| ("reason".to_owned(), json!(reason)))
        .collect();
    let body = Value::Object(body);
    let answer = block_on(async { Client::new(&args.host)?.ask(Method::POST, &path, Some(&body)).await })?;
    if args.json {
        writeln!(out, "{}", answer.text)?;
        return Ok(());
    }
    let (policy, shown) = (&args.policy, &answer.json);
    writeln!(
        out,
        "{policy} serves {} until its file or its settings change (the folder holds {})",
        version(shown, "/serving"),
        version(shown, "/wanted"),
    )?;
    Ok(())
}

/// Returns a policy's path. Its name may have any character, so all but the plainest are written as `%` and their number.
fn path_of(policy: &str) -> String {
    let mut path = "/v1/policies/".to_owned();
    for byte in policy.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => path.push(char::from(byte)),
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

const CHAIN: &[Column] = &[
    Column::words("POLICY", |policy| text(policy, "/name")),
    Column::words("STATE", state),
    Column::words("SERVES", |policy| version(policy, "/serving")),
    Column::words("FOLDER HOLDS", in_folder),
    Column::words("DECIDES", decides),
    Column::number("ASKED", |policy| text(policy, "/asked")),
    Column::number("DEFERRED", |policy| text(policy, "/deferred")),
    Column::number("FAULTS", |policy| text(policy, "/faults")),
    Column::number("p50 µs", |policy| microseconds(policy, "/place/microseconds_p50")),
    Column::number("p99 µs", |policy| microseconds(policy, "/place/microseconds_p99")),
    Column::number("MEMORY", |policy| mebibytes(policy, "/memory_bytes")),
];

/// Writes a row for each policy, and below what is wrong, in full.
fn write_chain(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let rows = answer.get("policies").and_then(Value::as_array);
    let rows = rows.map_or(&[][..], Vec::as_slice);
    table::write(CHAIN, rows, "no policies", out)?;
    for policy in rows {
        if let Some(problem) = problem(policy) {
            writeln!(out, "\n{}: {problem}", text(policy, "/name"))?;
        }
    }
    Ok(())
}

/// Writes all that is known of one policy.
fn write_one(policy: &Value, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |title: &str, value: String| match value.as_str() {
        NOTHING => Ok(()),
        value => writeln!(out, "{title:<14}{value}"),
    };
    line("policy", text(policy, "/name"))?;
    line("state", state(policy))?;
    line("problem", problem(policy).unwrap_or_else(|| NOTHING.to_owned()))?;
    line("serves", version(policy, "/serving"))?;
    line("  since", text(policy, "/serving/since"))?;
    line("  does", text(policy, "/serving/summary"))?;
    line("  sha256", text(policy, "/serving/sha256"))?;
    line("  settings", settings(policy, "/serving"))?;
    line("  decides", decides(policy))?;
    line("  on fault", text(policy, "/serving/on_fault"))?;
    if in_folder(policy) != SAME {
        line("folder holds", in_folder(policy))?;
        line("  sha256", text(policy, "/wanted/sha256"))?;
        line("  settings", settings(policy, "/wanted"))?;
    }
    line("before it", version(policy, "/previous"))?;
    line("  sha256", text(policy, "/previous/sha256"))?;
    line("  settings", settings(policy, "/previous"))?;
    line("rolled back", text(policy, "/rolled_back_at"))?;
    line("memory", mebibytes(policy, "/memory_bytes"))?;
    let learned = text(policy, "/learned_bytes");
    if learned != "0" {
        line("learned", format!("{learned} bytes"))?;
    }
    let rows: Vec<Value> = DECISIONS
        .iter()
        .filter_map(|decision| {
            let mut tally = policy.get(*decision)?.as_object()?.clone();
            tally.insert("decision".to_owned(), json!(decision));
            Some(Value::Object(tally))
        })
        .collect();
    if !rows.is_empty() {
        writeln!(out)?;
        table::write(TALLIES, &rows, "", out)?;
    }
    Ok(())
}

const TALLIES: &[Column] = &[
    Column::words("DECISION", |tally| text(tally, "/decision")),
    Column::number("ASKED", |tally| text(tally, "/asked")),
    Column::number("ANSWERED", |tally| text(tally, "/answered")),
    Column::number("DEFERRED", |tally| text(tally, "/deferred")),
    Column::words("FAULTS", faults),
    Column::number("p50 µs", |tally| microseconds(tally, "/microseconds_p50")),
    Column::number("p99 µs", |tally| microseconds(tally, "/microseconds_p99")),
    Column::number("p50 FUEL", |tally| text(tally, "/fuel_p50")),
    Column::number("p99 FUEL", |tally| text(tally, "/fuel_p99")),
    Column::number("MOST FUEL", |tally| text(tally, "/fuel_max")),
];

/// What stands where the folder holds what serves.
const SAME: &str = "the same";

fn state(policy: &Value) -> String {
    if policy.get("built_in") == Some(&Value::Bool(true)) {
        return "built-in".to_owned();
    }
    match text(policy, "/wanted/state") {
        // There is no such file, and yet it is shown: the folder is missing.
        state if state == NOTHING => "no folder".to_owned(),
        state => state,
    }
}

/// Returns what a version says it is, with the first characters of its hash.
fn version(policy: &Value, pointer: &str) -> String {
    let named = text(policy, &format!("{pointer}/version"));
    let hash: String = text(policy, &format!("{pointer}/sha256"))
        .chars()
        .take(HASH_CHARS)
        .collect();
    match (named.as_str(), hash.as_str()) {
        (_, NOTHING) => named,
        (NOTHING, _) => hash,
        // One without a version is called by its hash already.
        (named, hash) if named == hash => hash.to_owned(),
        (named, hash) => format!("{named} {hash}"),
    }
}

fn settings(policy: &Value, pointer: &str) -> String {
    match text(policy, &format!("{pointer}/settings_sha256")) {
        none if none == NO_SETTINGS => NOTHING.to_owned(),
        hash => hash,
    }
}

/// Returns what the folder holds, beside what serves.
fn in_folder(policy: &Value) -> String {
    let same = |field: &str| {
        let [wanted, serving] = ["wanted", "serving"].map(|of| text(policy, &format!("/{of}/{field}")));
        wanted == serving
    };
    if policy.get("wanted").is_none_or(Value::is_null) {
        return NOTHING.to_owned();
    }
    match version(policy, "/wanted") {
        nothing if nothing == NOTHING => "not readable".to_owned(),
        _ if same("sha256") && same("settings_sha256") => SAME.to_owned(),
        version if same("sha256") => format!("{version}, other settings"),
        version => version,
    }
}

fn decides(policy: &Value) -> String {
    let words = |pointer: &str| -> Vec<&str> {
        let words = policy.pointer(pointer).and_then(Value::as_array);
        words.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let out = words("/serving/quarantined");
    let decisions: Vec<String> = words("/serving/decisions")
        .into_iter()
        .map(|decision| match out.contains(&decision) {
            true => format!("{decision} (out)"),
            false => decision.to_owned(),
        })
        .collect();
    match decisions.is_empty() {
        true => NOTHING.to_owned(),
        false => decisions.join(" "),
    }
}

fn problem(policy: &Value) -> Option<String> {
    let problem = policy.get("problem")?.as_str()?;
    match text(policy, "/wanted/step") {
        step if step == NOTHING => Some(problem.to_owned()),
        step => Some(format!("{step}: {problem}")),
    }
}

fn faults(tally: &Value) -> String {
    let kinds = tally.get("faults").and_then(Value::as_object);
    let faults: Vec<String> = kinds
        .into_iter()
        .flatten()
        .filter(|(_, count)| count.as_u64().unwrap_or(0) > 0)
        .map(|(kind, count)| format!("{count} {}", kind.replace('_', " ")))
        .collect();
    match faults.is_empty() {
        true => NOTHING.to_owned(),
        false => faults.join(", "),
    }
}

fn microseconds(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer).and_then(Value::as_f64) {
        Some(number) if number > 0.0 => format!("{number:.1}"),
        Some(_) | None => NOTHING.to_owned(),
    }
}

fn mebibytes(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer).and_then(Value::as_f64) {
        Some(bytes) if bytes > 0.0 => format!("{:.1} MiB", bytes / f64::from(1 << 20)),
        Some(_) | None => NOTHING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(asked: u64) -> Value {
        json!({ "asked": asked, "answered": asked, "deferred": 0, "fuel_p50": 5, "fuel_max": 900,
            "faults": { "trap": 1, "out_of_fuel": 2, "error": 0 }, "microseconds_p50": 1.25, "microseconds_p99": 10.0 })
    }

    fn rolled_back() -> Value {
        let version = |version: &str, digit: &str| {
            json!({ "version": version, "sha256": digit.repeat(64), "settings_sha256": NO_SETTINGS, "summary": "packs",
                "decisions": ["place", "scale_up"], "quarantined": ["scale_up"], "on_fault": "next", "since": "T" })
        };
        let mut wanted = version("2.0.0", "b");
        wanted["state"] = json!("rolled_back");
        json!({ "name": "50-main", "built_in": false, "wanted": wanted, "serving": version("1.0.0", "a"), "previous": null,
            "rolled_back_at": "T", "problem": "an operator has ordered the version before: too slow", "asked": 12, "deferred": 0,
            "faults": 3, "memory_bytes": 1_572_864, "learned_bytes": 17, "place": tally(9), "scale_up": tally(3),
            "scale_down": null })
    }

    fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_chain_has_a_row_for_each_policy_and_problems_in_full_below() {
        let refused = json!({ "name": "60-next", "built_in": false, "serving": null, "asked": 0, "deferred": 0, "faults": 0,
            "wanted": { "version": null, "sha256": "cd".repeat(32), "state": "refused", "step": "check" }, "problem": "this is text",
            "memory_bytes": 0 });
        let built_in = json!({ "name": "standard", "built_in": true, "wanted": null, "asked": 7, "deferred": 0, "faults": 0,
            "serving": { "version": "0.1.0", "sha256": "", "decisions": ["place"], "quarantined": [] }, "memory_bytes": 0 });
        let answer = json!({ "policies": [rolled_back(), refused, built_in] });
        let expected = "\
POLICY    STATE        SERVES          FOLDER HOLDS    DECIDES               ASKED  DEFERRED  FAULTS  p50 µs  p99 µs   MEMORY
50-main   rolled_back  1.0.0 aaaaaaaa  2.0.0 bbbbbbbb  place scale_up (out)     12         0       3     1.2    10.0  1.5 MiB
60-next   refused      -               cdcdcdcd        -                         0         0       0       -       -        -
standard  built-in     0.1.0           -               place                     7         0       0       -       -        -

50-main: an operator has ordered the version before: too slow

60-next: check: this is text
";
        assert_eq!(written(|out| write_chain(&answer, out)), expected);
    }

    #[test]
    fn one_policy_is_shown_with_its_versions_and_what_came_of_each_decision() {
        let shown = written(|out| write_one(&rolled_back(), out));
        for line in [
            "state         rolled_back".to_owned(),
            "serves        1.0.0 aaaaaaaa".to_owned(),
            "folder holds  2.0.0 bbbbbbbb".to_owned(),
            format!("  sha256      {}", "b".repeat(64)),
            "learned       17 bytes".to_owned(),
        ] {
            assert!(shown.contains(&format!("{line}\n")), "{line}\n{shown}");
        }
        assert!(
            shown.contains("2 out of fuel, 1 trap") && !shown.contains("before it"),
            "{shown}"
        );
        let tallies = shown.lines().skip_while(|line| !line.is_empty()).skip(1).count();
        assert_eq!(tallies, 3, "{shown}");
    }

    #[test]
    fn a_version_that_differs_only_by_its_settings_says_so() {
        let mut policy = rolled_back();
        policy["wanted"]["sha256"] = policy["serving"]["sha256"].clone();
        assert_eq!(in_folder(&policy), SAME);
        policy["wanted"]["settings_sha256"] = json!("1".repeat(64));
        assert_eq!(in_folder(&policy), "2.0.0 aaaaaaaa, other settings");
    }

    #[test]
    fn any_name_of_a_file_makes_a_path() {
        assert_eq!(path_of("50-main"), "/v1/policies/50-main");
        assert_eq!(path_of("a b/ä?"), "/v1/policies/a%20b%2F%C3%A4%3F");
    }
}
