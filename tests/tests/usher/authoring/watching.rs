//! `usher policy watch`: what is saved is served.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::desk::{done, usher_in};
use crate::patience::{eventually, seconds};
use crate::policies::{POOL, is, place, policy, started, wanted_serves};
use crate::site::{Site, USHER};

/// `usher policy watch` at work; what it says goes to the file `said`.
struct Watching(Child);

impl Watching {
    fn begin(folder: &Path, url: &str) -> Watching {
        let said = File::create(folder.join("said")).unwrap();
        let child = Command::new(USHER)
            .args(["policy", "watch", "keen"])
            .current_dir(folder)
            .env("USHER_URL", url)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .process_group(0)
            .spawn();
        Watching(child.unwrap())
    }

    /// Returns the processes that it has started and that still run, such as cargo's shell.
    fn children(&self) -> Vec<String> {
        let id = self.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        children.split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_is_saved_is_served_and_what_is_broken_is_not() {
    let site = Site::new(POOL);
    let (_host, client) = started(&site).await;
    let here = site.path(".");
    done(&usher_in(&here, "policy new keen"));
    let mut watching = Watching::begin(&here, &site.url());
    let said = |words: &str| fs::read_to_string(site.path("said")).unwrap().contains(words);
    let says = async |words: &str| {
        eventually(words, seconds(400), async || said(words).then_some(())).await;
    };
    says("the host serves it").await;
    let first = policy(&client, "50-keen").await.unwrap()["serving"]["sha256"].clone();

    let source = site.path("keen/src/lib.rs");
    let save = |old: &str, new: &str| {
        let text = fs::read_to_string(&source).unwrap();
        assert!(text.contains(old), "{text}");
        fs::write(&source, text.replace(old, new)).unwrap();
    };
    save("fullest with seats to spare", "as saved");
    is(&client, "50-keen", "is what was saved", |policy| {
        wanted_serves(policy) && policy["serving"]["sha256"] != first
    })
    .await;
    place(&client, "a-room").await;
    let decisions = client.get("/v1/decisions?room=a-room").await.expect(200).json;
    assert_eq!(decisions["decisions"][0]["reason"], "as saved");
    says(" after the save").await;

    save("as saved", "as \" broken");
    says("50-keen.wasm stays as it is: it does not build").await;
    assert!(said("error"), "cargo's own words");
    assert_eq!(place(&client, "another-room").await.1, "50-keen");

    // While cargo works: whatever it has started ends with it.
    save("as \" broken", "as mended");
    let children = eventually("it builds", seconds(60), async || {
        Some(watching.children()).filter(|children| !children.is_empty())
    })
    .await;
    let pid = Pid::from_child(&watching.0);
    kill_process(pid, Signal::INT).unwrap();
    let ended = eventually("it ends", seconds(30), async || watching.0.try_wait().unwrap()).await;
    assert!(ended.success(), "{ended}");
    eventually("its children end", seconds(30), async || {
        let runs = |child: &&String| Path::new("/proc").join(child).exists();
        children.iter().find(runs).is_none().then_some(())
    })
    .await;
}
