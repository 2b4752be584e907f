//! Claims about the operator's programs, with real ones.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use usher_fleet::observation::InstanceState;

use super::*;
use crate::config::{ProbeConfig, ProviderConfig};
use crate::heard::{launch, setup, terminate};

const LAUNCHED: &str = r#"echo '{"instance": "i-1"}'"#;

/// A folder with a script for each call.
struct Folder(TempDir);

impl Folder {
    /// Writes the same script for each call.
    fn new(script: &str) -> Folder {
        let folder = Folder(TempDir::new().unwrap());
        for call in ["launch", "terminate", "list"] {
            folder.write(call, script);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    fn fifo(&self, name: &str) {
        assert!(
            Command::new("mkfifo")
                .arg(self.0.path().join(name))
                .status()
                .unwrap()
                .success()
        );
    }

    /// Scripts are run by `sh`, not by themselves: a file that this process has just written, another thread's fork may
    /// still hold open, and then it cannot be executed.
    fn exec(&self) -> Exec {
        self.exec_with(|_| {})
    }

    fn exec_with(&self, change: impl FnOnce(&mut ExecConfig)) -> Exec {
        let argv = |call: &str| vec!["/bin/sh".to_owned(), call.to_owned()];
        let mut config = ExecConfig {
            launch: argv("launch"),
            terminate: argv("terminate"),
            list: argv("list"),
            timeout: ExecConfig::TIMEOUT_DEFAULT,
            programs_max: ExecConfig::PROGRAMS_MAX_DEFAULT,
        };
        change(&mut config);
        let mut setup = setup("here", ProviderConfig::Exec(config.clone()), ProbeConfig::None);
        setup.base_dir = self.0.path().to_owned();
        Exec::new(setup, config)
    }

    async fn launch(&self) -> Result<Instance, ProviderError> {
        self.exec().launch(&launch("here", "here-1")).await
    }
}

/// Whether a process runs; one that has ended and that nobody has waited for does not.
fn runs(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Ok(stat) => !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'),
        Err(_) => false,
    }
}

fn ends_soon(pid: &str) -> bool {
    let begun = Instant::now();
    while runs(pid) {
        if begun.elapsed() > Duration::from_secs(10) {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

#[tokio::test]
async fn a_launch_is_told_what_to_launch_and_runs_beside_the_config() {
    let folder = Folder::new(&format!("cat > asked; pwd -P > where; {LAUNCHED}"));
    assert_eq!(folder.launch().await.unwrap().instance, "i-1");
    let asked = json!({
        "fleet": "acme", "server": "here-1", "attempt": 1, "pool": "here", "region": "eu-central-1", "zone": null,
        "instance_type": "8-core", "labels": {"tier": "gold"},
    });
    assert_eq!(folder.json("asked"), asked);
    let here = fs::canonicalize(folder.0.path()).unwrap();
    assert_eq!(folder.read("where").trim(), here.to_str().unwrap());
}

#[tokio::test]
async fn a_termination_is_told_the_instance_or_that_it_is_not_known() {
    let folder = Folder::new("cat > asked");
    let mut order = terminate("here", "here-1");
    folder.exec().terminate(&order).await.unwrap();
    let asked = json!({"fleet": "acme", "server": "here-1", "attempt": 1, "pool": "here", "instance": null});
    assert_eq!(folder.json("asked"), asked);
    order.instance = Some("i-1".to_owned());
    folder.exec().terminate(&order).await.unwrap();
    assert_eq!(folder.json("asked")["instance"], "i-1");
}

#[tokio::test]
async fn a_list_is_told_the_fleet_and_the_pool() {
    let entry = r#"{"server": "here-1", "attempt": 1, "instance": "i-1", "state": "ended"}"#;
    let folder = Folder::new(&format!(r#"cat > asked; echo '{{"instances": [{entry}]}}'"#));
    let list = folder.exec().list().await.unwrap();
    assert_eq!(list[0].key, launch("here", "here-1").key);
    assert_eq!(list[0].instance.state, InstanceState::Ended);
    assert_eq!(folder.json("asked"), json!({"fleet": "acme", "pool": "here"}));
}

#[tokio::test]
async fn each_exit_code_says_what_to_do_next_and_the_last_line_why() {
    for code in [1, 2, 64, 65, 66, 69, 70, 75, 77, 78, 126, 127, 255] {
        let folder = Folder::new(&format!(
            "echo trying >&2; echo 'quota is 3' >&2; {LAUNCHED}; exit {code}"
        ));
        let why = "quota is 3".to_owned();
        let class = match code {
            65 => ProviderError::Refused(why),
            69 => ProviderError::NoCapacity(why),
            77 | 78 => ProviderError::Misconfigured(why),
            _ => ProviderError::Unknown(why),
        };
        assert_eq!(folder.launch().await, Err(class.clone()), "exit code {code}");
        assert_eq!(
            folder.exec().terminate(&terminate("here", "here-1")).await,
            Err(class.clone())
        );
        assert_eq!(folder.exec().list().await, Err(class));
    }
}

#[tokio::test]
async fn a_program_that_says_nothing_is_named() {
    let refusal = Folder::new("exit 69").launch().await.unwrap_err();
    let message = "no capacity: /bin/sh: exit status: 69, and no word on stderr";
    assert_eq!(refusal.to_string(), message);
}

#[tokio::test]
async fn a_program_ended_by_a_signal_leaves_the_outcome_unknown() {
    let error = Folder::new("kill -9 $$").launch().await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unknown(why) if why.contains("signal")),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_the_outcome_unknown() {
    for answer in [
        "echo launched",
        "true",
        "echo '[]'",
        r#"echo '{"instance": "i", "ip": "x"}'"#,
        r"printf '\377'",
    ] {
        let error = Folder::new(answer).launch().await.unwrap_err();
        let ProviderError::Unknown(why) = &error else {
            panic!("{answer}: {error:?}")
        };
        assert!(
            why.starts_with("/bin/sh ended well, but its answer is not as agreed: "),
            "{answer}: {why}"
        );
    }
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_killed_with_all_that_it_started() {
    let folder = Folder::new("sleep 600 & echo $! > child; echo $$ > leader; wait");
    let exec = folder.exec_with(|config| config.timeout = Duration::from_secs(2));
    let error = exec.launch(&launch("here", "here-1")).await.unwrap_err();
    let why = "/bin/sh took longer than 2 s and was killed".to_owned();
    assert_eq!(error, ProviderError::Unknown(why));
    assert!(ends_soon(&folder.read("leader")));
    assert!(ends_soon(&folder.read("child")));
}

#[tokio::test]
async fn a_program_that_closes_its_pipes_and_stays_is_killed_too() {
    let folder = Folder::new("echo $$ > leader; exec <&- >&- 2>&-; sleep 600");
    let exec = folder.exec_with(|config| config.timeout = Duration::from_secs(2));
    let error = exec.launch(&launch("here", "here-1")).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unknown(_)), "{error:?}");
    assert!(ends_soon(&folder.read("leader")));
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_ends_its_program() {
    let folder = Folder::new("echo $$ > started; exec sleep 600");
    folder.fifo("started");
    let exec = folder.exec();
    let order = launch("here", "here-1");
    let started = folder.0.path().join("started");
    let pid = tokio::select! {
        result = exec.launch(&order) => panic!("{result:?}"),
        pid = tokio::fs::read_to_string(started) => pid.unwrap(),
    };
    assert!(ends_soon(&pid));
}

#[tokio::test]
async fn a_daemon_that_keeps_the_pipes_open_neither_holds_us_nor_is_ended() {
    let folder = Folder::new(&format!("sleep 600 & echo $! > daemon; {LAUNCHED}"));
    let begun = Instant::now();
    assert_eq!(folder.launch().await.unwrap().instance, "i-1");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let daemon = folder.read("daemon");
    assert!(runs(&daemon));
    assert!(Command::new("kill").arg(daemon.trim()).status().unwrap().success());
}

#[tokio::test]
async fn too_long_an_answer_leaves_the_outcome_unknown_and_the_program_its_end() {
    let folder = Folder::new("head -c 3000000 /dev/zero; touch ended");
    let error = folder.launch().await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unknown(why) if why.contains("more than 1048576 bytes")),
        "{error:?}"
    );
    assert_eq!(folder.read("ended"), "");
}

#[tokio::test]
async fn a_flood_on_stderr_is_read_and_its_last_line_told() {
    let folder = Folder::new("head -c 3000000 /dev/zero >&2; echo >&2; echo 'no quota' >&2; exit 69");
    assert_eq!(
        folder.launch().await,
        Err(ProviderError::NoCapacity("no quota".to_owned()))
    );
}

#[tokio::test]
async fn a_program_need_not_read_what_it_is_told() {
    let folder = Folder::new(LAUNCHED);
    let mut order = launch("here", "here-1");
    order.labels.insert("long".to_owned(), "x".repeat(1_000_000));
    assert!(folder.exec().launch(&order).await.is_ok());
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_named_as_misconfigured() {
    let folder = Folder::new(LAUNCHED);
    for (program, part) in [
        ("./missing.sh", "cannot start ./missing.sh in /"),
        ("./launch", "Permission denied"),
        ("/", "Permission denied"),
        ("./launch/deeper", "Not a directory"),
        ("usher-has-no-such-program", "from PATH"),
        ("", "cannot start"),
        ("a\0b", "nul byte"),
    ] {
        let exec = folder.exec_with(|config| config.launch = vec![program.to_owned()]);
        let error = exec.launch(&launch("here", "here-1")).await.unwrap_err();
        let ProviderError::Misconfigured(why) = &error else {
            panic!("{program:?}: {error:?}")
        };
        assert!(why.contains(part), "{program:?}: {why}");
    }
    let exec = folder.exec_with(|config| config.launch.clear());
    let error = exec.launch(&launch("here", "here-1")).await.unwrap_err();
    assert_eq!(
        error,
        ProviderError::Misconfigured("no program is configured".to_owned())
    );
    let mut exec = folder.exec();
    exec.base_dir = "/usher/has/no/such/folder".into();
    let error = exec.list().await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Misconfigured(why) if why.contains("/usher/has/no/such/folder")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_program_with_a_slash_counts_from_the_folder_even_if_that_is_a_relative_one() {
    let folder = Folder::new("");
    // Written by another process: see `Folder::exec`.
    let write = format!("printf '#!/bin/sh\\npwd -P > where\\n' > list.sh; chmod +x list.sh; {LAUNCHED} > /dev/null");
    assert!(
        Command::new("/bin/sh")
            .args(["-c", &write])
            .current_dir(folder.0.path())
            .status()
            .unwrap()
            .success()
    );
    let config = ExecConfig {
        launch: vec![],
        terminate: vec!["./list.sh".to_owned()],
        list: vec![],
        timeout: ExecConfig::TIMEOUT_DEFAULT,
        programs_max: 0,
    };
    let mut setup = setup("here", ProviderConfig::Exec(config.clone()), ProbeConfig::None);
    let here = std::env::current_dir().unwrap();
    let up = "../".repeat(here.components().count() - 1);
    setup.base_dir = format!("{up}{}", folder.0.path().strip_prefix("/").unwrap().display()).into();
    assert!(setup.base_dir.is_relative());
    let exec = Exec::new(setup, config);
    exec.terminate(&terminate("here", "here-1")).await.unwrap();
    assert_eq!(
        folder.read("where").trim(),
        fs::canonicalize(folder.0.path()).unwrap().to_str().unwrap()
    );
}

#[tokio::test]
async fn a_program_inherits_none_of_our_files() {
    let folder = Folder::new(&format!("ls -l /proc/$$/fd > files; {LAUNCHED}"));
    folder.write("secret", "");
    let _open = fs::File::open(folder.0.path().join("secret")).unwrap();
    folder.launch().await.unwrap();
    let files = folder.read("files");
    assert!(files.contains("pipe:") && !files.contains("secret"), "{files}");
}

#[tokio::test]
async fn no_more_programs_run_at_once_than_are_allowed() {
    let alone = format!("mkdir alone || {{ echo 'another runs' >&2; exit 3; }}; sleep 0.05; rmdir alone; {LAUNCHED}");
    let folder = Folder::new(&alone);
    let exec = folder.exec_with(|config| config.programs_max = 1);
    let orders = [launch("here", "a"), launch("here", "b"), launch("here", "c")];
    let [a, b, c] = orders.each_ref().map(|order| exec.launch(order));
    let (a, b, c) = tokio::join!(a, b, c);
    assert!(a.is_ok() && b.is_ok() && c.is_ok(), "{a:?} {b:?} {c:?}");
}

#[tokio::test]
async fn a_list_does_not_wait_behind_launches() {
    let folder = Folder::new(&format!("cat gate; {LAUNCHED}"));
    folder.fifo("gate");
    folder.write("list", r#"echo '{"instances": []}'"#);
    let exec = folder.exec_with(|config| config.programs_max = 1);
    let order = launch("here", "here-1");
    let gate = folder.0.path().join("gate");
    let list_first = async {
        assert_eq!(exec.list().await, Ok(vec![]));
        tokio::fs::write(gate, "").await.unwrap();
    };
    let (launched, ()) = tokio::join!(exec.launch(&order), list_first);
    assert!(launched.is_ok(), "{launched:?}");
}

#[tokio::test]
async fn a_check_runs_the_list_and_nothing_else() {
    let folder = Folder::new("touch was-run; exit 1");
    folder.write("list", r#"cat > ask; echo '{"instances": []}'"#);
    assert_eq!(
        folder.exec().check().await,
        [Finding::well("list answers, with 0 servers")]
    );
    assert_eq!(folder.json("ask"), json!({"fleet": "acme", "pool": "here"}));
    assert!(!folder.0.path().join("was-run").exists());
}

#[tokio::test]
async fn a_list_that_does_not_answer_is_told_with_how_to_try_it() {
    let folder = Folder::new("echo 'no login' >&2; exit 77");
    let at = folder.0.path().display();
    let problem = format!(
        "list does not answer as it should: no login; try it by hand in {at}: echo '{{\"fleet\":\"acme\",\"pool\":\"here\"}}' | /bin/sh list"
    );
    assert_eq!(folder.exec().check().await, [Finding::problem(problem)]);
    folder.write("list", "cat");
    let findings = folder.exec().check().await;
    assert!(findings[0].says.contains("/bin/sh ended well, but "), "{findings:?}");
}
