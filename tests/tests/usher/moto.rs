//! EC2 as somebody else understands it: `moto` from PyPI checks what the provider sends and parses, which a fake of our own cannot
//! prove. It knows no lag, capacity or client tokens; those stories are in `ec2`.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::site::{Port, Site, python_program, written};
use crate::sse::all_events;

/// The launch template of the example.
const TEMPLATE: &str = include_str!("../../../examples/aws/launch-template.json");

/// Makes a launch template with two versions, the second as in the example, and prints it with the subnets that an account has from
/// the beginning.
const PREPARE: &str = r#"
group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
image = ec2.describe_images()["Images"][0]["ImageId"]
made = ec2.create_launch_template(LaunchTemplateName="media", LaunchTemplateData={"ImageId": image, "KeyName": "old"})
template = made["LaunchTemplate"]["LaunchTemplateId"]
ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData={**example, "ImageId": image, "SecurityGroupIds": [group]})
subnets = {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]}
print(json.dumps({"template": template, "image": image, "subnets": subnets}))
"#;

/// Launches more than a page of instances for the fleet, all under one name but for the last; and prints how many the first page has,
/// and whether there is another. Each has a reservation of its own: that is what moto counts to a page.
const CROWD: &str = r#"
image = ec2.describe_images()["Images"][0]["ImageId"]
def run(server):
    tags = {"usher:fleet": "acme", "usher:pool": "cloud", "usher:server": server, "usher:attempt": "1"}
    tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
for _ in range(1000):
    run("of-the-first-page")
run("of-the-second-page")
page = ec2.describe_instances(MaxResults=1000)
print(json.dumps({"instances": sum(len(one["Instances"]) for one in page["Reservations"]), "is_all": "NextToken" not in page}))
"#;

/// Prints all instances, and their user data.
const INSTANCES: &str = r#"
found = [one for page in ec2.describe_instances()["Reservations"] for one in page["Instances"]]
for one in found:
    data = ec2.describe_instance_attribute(InstanceId=one["InstanceId"], Attribute="userData")
    one["UserData"] = base64.b64decode(data["UserData"].get("Value", "")).decode()
print(json.dumps(found, default=str))
"#;

struct Moto {
    process: Child,
    url: String,
    _port: Port,
}

impl Moto {
    async fn start() -> Moto {
        let port = Port::free();
        let process = Command::new(python_program("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.number.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto is there: tests/prepare.sh installs it");
        let url = format!("http://127.0.0.1:{}", port.number);
        let client = Client::new(&url);
        eventually("moto answers", seconds(60), async || {
            client
                .ask(hyper::Method::GET, "/moto-api/", None)
                .await
                .ok()
                .map(|_| ())
        })
        .await;
        Moto {
            process,
            url,
            _port: port,
        }
    }

    /// Makes a site with a pool in it.
    fn site(&self, made: &Value) -> Site {
        let (template, subnets) = (made["template"].as_str().unwrap(), &made["subnets"]);
        let zone = subnets.as_object().unwrap().keys().next().unwrap();
        let config = format!(
            r#"fleet = "acme"
tick_seconds = 1
[guards]
fleet_dollars_per_hour_max = 10.0
[servers]
reconcile_seconds = 1
[[pool]]
name = "cloud"
provider = "ec2"
region = "eu-central-1"
rooms_per_server = 10
url = "ws://{{private_ip}}:8188"
[pool.ec2]
launch_template = "{template}"
launch_template_version = 2
offers = [{{ instance_type = "c5a.2xlarge", price_per_hour = 0.348 }}]
subnets = {{ {zone} = {subnet} }}
host_url = "http://usher.example:7070"
endpoint_url = "{url}"
"#,
            subnet = subnets[zone],
            url = self.url,
        );
        Site::new(&config)
            .with_variable("AWS_ACCESS_KEY_ID", "a")
            .with_variable("AWS_SECRET_ACCESS_KEY", "b")
    }

    /// Makes what a pool needs, and says what that is.
    fn prepared(&self) -> Value {
        self.ask(&format!("example = json.loads(r'''{TEMPLATE}''')\n{PREPARE}"))
    }

    /// Asks it by AWS's own library for Python.
    fn ask(&self, question: &str) -> Value {
        let client = format!(
            "import base64, boto3, json\nec2 = boto3.client('ec2', region_name='eu-central-1', endpoint_url='{}', \
             aws_access_key_id='a', aws_secret_access_key='b')\n{question}",
            self.url
        );
        let output = Command::new(python_program("python3"))
            .args(["-c", &client])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn an_instance_is_launched_listed_and_ended_as_ec2_has_it() {
    let moto = Moto::start().await;
    let made = moto.prepared();
    let (template, subnets) = (made["template"].as_str().unwrap(), &made["subnets"]);
    let zone = subnets.as_object().unwrap().keys().next().unwrap();
    let site = moto.site(&made);
    let checked = site.usher(&["config", "check", "--live"]);
    let told = written(&checked);
    assert!(checked.status.success(), "{told}");
    for line in [
        format!("the launch template {template} has version 2, with the image "),
        format!("subnet {} is in {zone}, and has ", subnets[zone].as_str().unwrap()),
        format!("c5a.2xlarge is offered in {zone}"),
        format!("EC2 would launch c5a.2xlarge (on-demand) in {zone}: "),
    ] {
        assert!(told.contains(&format!("ok       pool cloud: {line}")), "{line}\n{told}");
    }
    assert_eq!(moto.ask(INSTANCES), json!([]), "a check launches nothing");

    let host = site.start().await;
    let client = host.client();
    client.put("/v1/rooms/standup", json!({})).await.expect(202);
    let server = eventually("the instance runs", seconds(60), async || {
        let server = client.get("/v1/servers/cloud-1").await.json;
        (server["phase"] == "booting").then_some(server)
    })
    .await;

    let instances = moto.ask(INSTANCES);
    let [instance] = instances.as_array().unwrap().as_slice() else {
        panic!("{instances}")
    };
    assert_eq!(server["instance"], instance["InstanceId"]);
    assert_eq!(
        server["url"],
        format!("ws://{}:8188", instance["PrivateIpAddress"].as_str().unwrap())
    );
    assert_eq!(
        (&instance["InstanceType"], &instance["ImageId"]),
        (&json!("c5a.2xlarge"), &made["image"])
    );
    assert_eq!(instance["SubnetId"], subnets[zone]);
    assert_eq!(
        instance.get("KeyName"),
        None,
        "the second version of the template has none"
    );
    let tags = instance["Tags"].as_array().unwrap();
    let tag = |key: &str| {
        tags.iter()
            .find(|tag| tag["Key"] == key)
            .map(|tag| tag["Value"].as_str().unwrap())
    };
    assert_eq!(
        (tag("usher:fleet"), tag("usher:server"), tag("usher:attempt")),
        (Some("acme"), Some("cloud-1"), Some("1"))
    );
    let script = instance["UserData"].as_str().unwrap();
    assert!(
        script.contains("USHER_SERVER=cloud-1") && script.contains("USHER_TOKEN=usher_agent.1.0."),
        "{script}"
    );

    client.delete("/v1/servers/cloud-1?force=true").await.expect(204);
    eventually("nothing is left", seconds(60), async || {
        (client.get("/v1/servers/cloud-1").await.status == 404).then_some(())
    })
    .await;
    let states: Vec<Value> = moto
        .ask(INSTANCES)
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["State"]["Name"].clone())
        .collect();
    assert_eq!(states[0], "terminated");
}

#[tokio::test]
async fn what_is_on_the_second_page_of_a_list_is_seen() {
    let moto = Moto::start().await;
    let made = moto.prepared();
    assert_eq!(moto.ask(CROWD), json!({ "instances": 1000, "is_all": false }));
    let host = moto.site(&made).start().await;
    let client = host.client();
    let seen = eventually("strangers are told", seconds(60), async || {
        let mut events = all_events(&client).await;
        events.retain(|event| event.kind == "server.unknown");
        (!events.is_empty()).then_some(events)
    })
    .await;
    let mut names: Vec<_> = seen
        .iter()
        .map(|event| event.data["server"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["of-the-first-page", "of-the-second-page"]);
}
