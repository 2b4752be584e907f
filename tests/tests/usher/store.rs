//! The folder of the records: one process at a time, and an honest end when the disk is full.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use hyper::Method;
use serde_json::json;

use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::site::{Port, Site, USHER, say_skipped, written};

const POOL: &str = r#"
data_dir = "disk/records"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 1000
health = "none"
"#;

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let site = Site::new(POOL);
    let host = site.start().await;
    let port = Port::free();
    let elsewhere = format!("127.0.0.1:{}", port.number);
    let second = site.usher(&["serve", "--config", "usher.toml", "--listen", &elsewhere]);
    assert_eq!(second.status.code(), Some(1));
    let said = written(&second);
    assert!(said.contains("records is in use by another usher"), "{said}");
    host.client().get("/v1/rooms").await.expect(200);
}

/// A disk of some MiB in memory, at `disk` in a site's folder, in a mount namespace that lives as long as this.
struct Disk {
    holder: Child,
    path: PathBuf,
}

impl Disk {
    const MIB: u64 = 160;

    /// `None` where the machine lets us have none.
    fn new(site: &Site) -> Option<Disk> {
        let path = site.path("disk");
        std::fs::create_dir(&path).unwrap();
        let script = r#"mount -t tmpfs -o size="$1"m tmpfs "$2" && echo ready && exec sleep 600"#;
        let mut holder = Command::new("unshare")
            .args([
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                script,
                "sh",
                &Disk::MIB.to_string(),
            ])
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line.trim() != "ready" {
            let _ = holder.wait();
            return None;
        }
        let path = PathBuf::from(format!("/proc/{}/root{}", holder.id(), path.display()));
        Some(Disk { holder, path })
    }

    /// Returns what runs a program where the disk is.
    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &self.holder.id().to_string(),
            "--user",
            "--preserve-credentials",
            "--mount",
        ]);
        command.args(["--", USHER]);
        command
    }

    /// Fills it but for so many MiB; `None` fills it to the last byte.
    fn fill(&self, mib_left: Option<u64>) {
        use std::io::Write;
        let mut ballast = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path.join("ballast"))
            .unwrap();
        let piece = vec![7; 64 * 1024];
        loop {
            let stat = rustix::fs::statvfs(&self.path).unwrap();
            let free = stat.f_bavail * stat.f_frsize;
            if mib_left.is_some_and(|left| free <= left << 20) || ballast.write_all(&piece).is_err() {
                return;
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.path.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

async fn is_ready(client: &Client) -> Option<()> {
    let answer = client.ask(Method::GET, "/readyz", None).await;
    answer.is_ok_and(|answer| answer.status == 200).then_some(())
}

#[tokio::test]
async fn a_full_disk_ends_the_host_and_a_restart_with_space_has_all_that_was_acknowledged() {
    let site = Site::new(POOL);
    let Some(disk) = Disk::new(&site) else {
        say_skipped("this machine gives no mount namespace, so there is no full disk to be had");
        return;
    };
    let mut host = site.spawn(disk.command());
    let client = host.client();
    eventually("the host is ready", seconds(60), async || is_ready(&client).await).await;
    client
        .put("/v1/servers/media-1", json!({ "pool": "media", "url": "ws://a" }))
        .await
        .expect(201);
    for room in 0..100 {
        client
            .put(&format!("/v1/rooms/room-{room}"), json!({}))
            .await
            .expect(201);
    }

    disk.fill(Some(30));
    let refused = eventually("new rooms are refused", seconds(20), async || {
        let answer = client.put("/v1/rooms/new", json!({})).await;
        client.delete("/v1/rooms/new").await.expect(204);
        (answer.status == 503).then_some(answer)
    });
    refused.await.expect_problem(503, "disk_low");
    client.put("/v1/rooms/room-0", json!({})).await.expect(200);
    client.delete("/v1/rooms/room-99").await.expect(204);

    disk.fill(None);
    let mut released = Vec::new();
    for room in 0..99 {
        let path = format!("/v1/rooms/room-{room}");
        match client.ask(Method::DELETE, &path, None).await {
            Ok(answer) => {
                assert_eq!(answer.status, 204, "{}", answer.text);
                released.push(room);
            }
            Err(_) => break,
        }
    }
    assert!(released.len() < 99, "the disk was never full");
    let status = host.end().await;
    assert_eq!(status.code(), Some(1), "{}", host.log());
    assert!(host.log().contains("usher: the store failed"), "{}", host.log());
    assert!(host.log().contains("records"), "it says which folder: {}", host.log());

    disk.free();
    let host = site.spawn(disk.command());
    eventually("the host is ready again", seconds(60), async || is_ready(&client).await).await;
    for room in released.iter().chain(&[99]) {
        client
            .get(&format!("/v1/rooms/room-{room}"))
            .await
            .expect_problem(404, "no_such_room");
    }
    // The release that was never answered may have been kept or not.
    for room in released.len() + 1..99 {
        client.get(&format!("/v1/rooms/room-{room}")).await.expect(200);
    }
    client.put("/v1/rooms/room-after", json!({})).await.expect(201);
    drop(host);
}
