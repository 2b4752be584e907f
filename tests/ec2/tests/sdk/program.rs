//! The program `fake-ec2`: its URL, its setup, the handle over HTTP, and its end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use usher_fake_ec2::IMAGE;

use crate::setting::{client, code, encode};

struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(setup: &Value) -> Program {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("setup.json");
        std::fs::write(&file, setup.to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_fake-ec2"))
            .arg("--setup")
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        Program {
            child,
            url: url.trim().to_owned(),
        }
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/control/{path}", self.url))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))
            .unwrap();
        let response = client.request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn terminate(&mut self) -> bool {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_program_serves_and_is_controlled_from_outside() {
    let setup = json!({
        "clock": { "kind": "manual", "starts_at": "2026-01-01T00:00:00Z" },
        "life": { "boot_seconds": 30.0 },
        "capacity": [{ "market": "on-demand", "instance_type": "c7i.xlarge", "zone": "eu-central-1a", "instances": 0 }],
    });
    let mut program = Program::start(&setup);
    let ec2 = client(&program.url);
    let launch = || {
        ec2.run_instances()
            .image_id(IMAGE)
            .min_count(1)
            .max_count(1)
            .instance_type("c7i.large".into())
    };
    launch().client_token("t").send().await.unwrap();
    let (_, instances) = program.control(Method::GET, "instances", Value::Null).await;
    assert_eq!(instances[0]["state"], "pending");
    let (status, now) = program
        .control(Method::POST, "advance", json!({ "seconds": 30.0 }))
        .await;
    assert_eq!((status, &now["now"]), (200, &json!("2026-01-01T00:00:30Z")));
    let id = instances[0]["id"].clone();
    let (_, instances) = program.control(Method::GET, "instances", Value::Null).await;
    assert_eq!(instances[0]["state"], "running");
    let fault =
        json!({ "action": "RunInstances", "what": { "kind": "lost-after" }, "when": { "kind": "next", "calls": 1 } });
    assert_eq!(program.control(Method::POST, "faults", fault).await.0, 204);
    launch().client_token("u").send().await.unwrap_err();
    let (_, tokens) = program.control(Method::GET, "tokens", Value::Null).await;
    assert_eq!(tokens["u"].as_array().unwrap().len(), 1);
    let capacity =
        json!({ "market": "on-demand", "instance_type": "c7i.large", "zone": "eu-central-1a", "instances": 0 });
    assert_eq!(program.control(Method::POST, "capacity", capacity).await.0, 204);
    let subnet = usher_fake_ec2::default_subnet_id(1);
    assert_eq!(
        code(launch().subnet_id(subnet).send().await),
        "InsufficientInstanceCapacity"
    );
    assert_eq!(
        program.control(Method::POST, "kill", json!({ "instance": id })).await.0,
        204
    );
    assert_eq!(
        program.control(Method::POST, "kill", json!({ "instance": id })).await.0,
        404
    );
    let (_, calls) = program.control(Method::GET, "calls", Value::Null).await;
    assert_eq!(calls.as_array().unwrap().len(), 3);
    assert!(program.terminate());
}

#[tokio::test]
async fn the_program_takes_its_processes_with_it() {
    let mut program = Program::start(&json!({ "run_user_data": true }));
    let ec2 = client(&program.url);
    let folder = tempfile::tempdir().unwrap();
    let (named, pipe) = (folder.path().join("named"), folder.path().join("pipe"));
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let script = format!(
        "#!/bin/sh\necho $$ > {}\necho up > {}\nexec sleep 600\n",
        named.display(),
        pipe.display()
    );
    let launch = ec2
        .run_instances()
        .image_id(IMAGE)
        .min_count(1)
        .max_count(1)
        .instance_type("c7i.large".into());
    launch.user_data(encode(&script)).send().await.unwrap();
    let up = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe).unwrap())
        .await
        .unwrap();
    assert_eq!(up, "up\n");
    let number = std::fs::read_to_string(named).unwrap();
    let process = Path::new("/proc").join(number.trim());
    assert!(process.exists());
    assert!(program.terminate());
    assert!(!process.exists());
}

#[test]
fn a_setup_with_a_misspelt_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("setup.json");
    std::fs::write(&file, json!({ "regoin": "eu-central-1" }).to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fake-ec2"))
        .arg("--setup")
        .arg(&file)
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("regoin"));
}
