//! What to try next: commands that work as they stand, while the demo runs.

use super::scene::{Setting, Stage};
use super::watcher::Look;

/// Where `usher` looks for a host unless it is told.
const URL_DEFAULT: &str = "http://127.0.0.1:7070";

/// A command, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) command: String,
    pub(super) what: &'static str,
}

/// Returns what can be tried now, what is most worth it first.
pub(super) fn tries(setting: &Setting, look: &Look) -> Vec<Try> {
    let url = &setting.url;
    let program = &setting.program;
    let at = if url == URL_DEFAULT {
        String::new()
    } else {
        format!(" --url {url}")
    };
    let open = look.servers.iter().rev().find(|server| server.stage() == Stage::Open);
    let server = open.map_or("cloud-1", |server| server.name.as_str());
    let lines = [
        (format!("curl -X PUT {url}/v1/rooms/mine"), "a room of your own"),
        (
            format!("{program} drain {server}{at}"),
            "no new rooms there; it goes when empty",
        ),
        (format!("{program} decisions{at}"), "who decided what, and why"),
        (
            format!("cp YOUR-POLICY.wasm {}/", setting.policies_dir),
            "it is asked from then on",
        ),
    ];
    lines.into_iter().map(|(command, what)| Try { command, what }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::scene::tests::midst;
    use super::*;

    #[test]
    fn the_commands_name_the_host_where_it_is_not_where_it_is_looked_for() {
        let mut scene = midst();
        let drain = |scene: &super::super::scene::Scene| tries(&scene.setting, &scene.look)[1].command.clone();
        assert_eq!(drain(&scene), "usher drain cloud-2", "the newest that is open");
        scene.setting.url = "http://127.0.0.1:40123".to_owned();
        assert_eq!(drain(&scene), "usher drain cloud-2 --url http://127.0.0.1:40123");
    }
}
