//! The demo in words: how it begins, a line every few seconds where there is no terminal, and what it came to.

use std::time::Duration;

use super::costs::BIG_SERVER;
use super::office::OfficeTime;
use super::pace::Pace;
use super::scene::{Act, Deeds, Scene};
use super::stage::Stage;
use super::tries::tries;
use super::watcher::Policy;

/// Returns what is said before the demo begins.
pub(super) fn opening(scene: &Scene, stage: &Stage, taken: Option<u16>, seed: u64) -> Vec<String> {
    let setting = &scene.setting;
    let taken = taken
        .map(|port| format!("   (port {port} is taken by somebody else)"))
        .unwrap_or_default();
    let policies = match stage.policies.as_slice() {
        [] => format!(
            "the built-in standard policy: no *.wasm in {}",
            stage.policies_from.display()
        ),
        named => format!("{}, copied from {}", named.join(", "), stage.policies_from.display()),
    };
    vec![
        format!(
            "usher demo: an office, {} to {}, seed {seed}, {}: {}",
            OfficeTime::default(),
            setting.closes,
            setting.pace,
            setting.pace.explained(),
        ),
        format!("  API       {}{taken}", setting.url),
        format!("  policies  {policies}"),
        format!("            drop others into {}/", setting.policies_dir),
        "  time      the clock is real: boots, cool-downs and the policy's patience".to_owned(),
        format!(
            "            (idle_seconds = {}) are shortened like the meetings",
            stage.idle_seconds
        ),
        "  servers   simulated: 8 cores, 10 rooms, 500 seats, $0.348/h, 90 s to boot".to_owned(),
        format!(
            "  against   one big server: 72 cores, ${:.3} an hour, day and night",
            BIG_SERVER.dollars()
        ),
    ]
}

/// What stands above the lines of progress.
pub(super) const PROGRESS_HEAD: &str = "\
time   ready  starting  going   rooms  waiting   $/h now  $ so far   one big";

/// Returns one line about the moment.
pub(super) fn progress(scene: &Scene) -> String {
    let counts = scene.servers();
    let act = match scene.act {
        Act::Opening => "   policies are being loaded",
        Act::Office => "",
        Act::Closing => "   all leave",
    };
    format!(
        "{:<5}  {:>5}  {:>8}  {:>5}   {:>5}  {:>7}   {:>7.2}  {:>8.2}  {:>8.2}{act}",
        scene.now.to_string(),
        counts.open,
        counts.starting,
        counts.going,
        scene.look.rooms_placed,
        scene.look.waiting.len(),
        scene.look.dollars_per_hour,
        scene.costs.servers(),
        scene.costs.big_server(),
    )
}

/// Returns what it came to.
pub(super) fn summary(scene: &Scene) -> Vec<String> {
    let (tally, most, costs) = (&scene.tally, &scene.most, &scene.costs);
    let until = scene.now.min(scene.setting.closes);
    let mut lines = vec![
        format!("The office from {} to {until}:", OfficeTime::default()),
        format!(
            "  rooms     {} asked, {} placed; {} waited{}",
            tally.asked,
            tally.placed,
            tally.waited,
            longest(tally.longest_wait, scene.setting.pace),
        ),
        format!(
            "  servers   {} at most, for {} rooms at most; {} launched altogether",
            most.servers,
            most.rooms,
            most.launched()
        ),
    ];
    lines.extend(
        scene
            .decided
            .by_policy()
            .map(|(policy, deeds)| decided(policy, deeds, &scene.look.policies)),
    );
    lines.push(format!(
        "  cost      ${:.2} for the office's time; one big server ${:.2}: {}",
        costs.servers(),
        costs.big_server(),
        costs.saved()
    ));
    if scene.act == Act::Closing && scene.look.servers.is_empty() {
        let after = (scene.now.0.saturating_sub(scene.setting.closes.0)).as_secs() / 60;
        lines.push(format!(
            "  after     the last server went within {} min: the night costs nothing",
            after + 1
        ));
    }
    if tally.never_placed > 0 {
        let why = tally.problem.as_deref().unwrap_or("no server in time");
        lines.push(format!(
            "  MISSED    {} meetings were over before there was a room: {why}",
            tally.never_placed
        ));
    }
    lines
}

/// Returns what to do after the demo.
pub(super) fn next(program: &str) -> Vec<String> {
    let commands = [
        (
            "Try next",
            format!("{program} serve"),
            "a host of your own; see README.md",
        ),
        ("", format!("{program} demo --seed 2 --speed 10"), "another day, slower"),
    ];
    let width = commands.iter().map(|(_, command, _)| command.len()).max().unwrap_or(0);
    let lines = commands.map(|(word, command, what)| format!("{word:<10}{command:<width$}  {what}"));
    std::iter::once(String::new()).chain(lines).collect()
}

/// Returns what to try while it plays, for those who have only lines.
pub(super) fn beside(scene: &Scene) -> Vec<String> {
    let tries = tries(&scene.setting, &scene.look).into_iter().take(2);
    (0..)
        .zip(tries)
        .map(|(at, line)| format!("  {:<9} {}", if at == 0 { "try" } else { "" }, line.command))
        .collect()
}

fn longest(waited: Duration, pace: Pace) -> String {
    if waited.is_zero() {
        return String::new();
    }
    let (here, office) = (waited.as_secs_f64(), pace.office(waited).as_secs_f64());
    format!(", at most {office:.0} s ({here:.1} s here)")
}

/// Returns what a policy has decided.
fn decided(name: &str, deeds: Deeds, policies: &[Policy]) -> String {
    let policy = policies.iter().find(|policy| policy.name == name);
    let kind = match policy {
        Some(Policy { built_in: false, .. }) => " (wasm)",
        Some(Policy { built_in: true, .. }) => " (built in)",
        None => "",
    };
    let Deeds {
        rooms_placed,
        launches,
        retirements,
        against_guards,
    } = deeds;
    let faults = policy.map_or(0, |policy| policy.faults);
    let faults = if faults > 0 {
        format!("; {faults} faults")
    } else {
        String::new()
    };
    format!(
        "  decided   {name}{kind}: {rooms_placed} rooms, {launches} up, {retirements} down; \
         {against_guards} stopped by guards{faults}"
    )
}

#[cfg(test)]
mod tests {
    use super::super::scene::tests::midst;
    use super::*;

    fn has(lines: &[String], part: &str) {
        assert!(
            lines.iter().any(|line| line.contains(part)),
            "{part:?} is missing: {lines:#?}"
        );
    }

    #[test]
    fn a_line_tells_the_moment() {
        let line = progress(&midst());
        let figures: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(figures, ["09:25", "2", "1", "1", "18", "2", "1.39", "0.70", "1.75"]);
        assert_eq!(line.len(), PROGRESS_HEAD.len(), "each figure stands under its word");
        assert!(line.len() <= 79);
    }

    #[test]
    fn the_summary_has_rooms_waits_servers_policies_and_the_price_of_the_whole_hour() {
        let mut scene = midst();
        scene.pass(Duration::from_secs(60));
        let lines = summary(&scene);
        has(&lines, "from 08:55 to 09:55");
        has(&lines, "33 asked, 31 placed; 9 waited, at most 92 s (2.3 s here)");
        has(&lines, "4 at most, for 18 rooms at most; 4 launched");
        has(&lines, "90-standard (wasm): 2 rooms, 1 up, 0 down; 1 stopped by guards");
        has(&lines, "$1.39 for the office's time; one big server $3.49: 60 % less");
        assert!(
            !lines
                .iter()
                .any(|line| line.contains("MISSED") || line.contains("the night")),
            "{lines:#?}"
        );
    }

    #[test]
    fn meetings_without_a_room_and_an_empty_night_are_told() {
        let mut scene = midst();
        scene.tally.never_placed = 2;
        scene.tally.problem = Some("503: queue_full".to_owned());
        scene.look.servers.clear();
        scene.act = Act::Closing;
        scene.now = OfficeTime(Duration::from_secs(70 * 60));
        let lines = summary(&scene);
        has(&lines, "MISSED    2 meetings");
        has(&lines, "503: queue_full");
        has(&lines, "the last server went within 11 min");
    }
}
