//! How instances end: asked for, protected, broken, never up.

use aws_sdk_ec2::types::{AttributeBooleanValue, InstanceAttributeName};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use usher_fake_ec2::{InstanceId, InstanceState, Life, Setup, default_subnet_id};

use crate::setting::{Setting, code, start, still};

async fn protect(setting: &Setting, id: &str, is_protected: bool) {
    let value = AttributeBooleanValue::builder().value(is_protected).build();
    let modify = setting.ec2.modify_instance_attribute().instance_id(id);
    modify.disable_api_termination(value).send().await.unwrap();
}

#[tokio::test]
async fn ending_what_has_ended_succeeds() {
    let setting = start(still()).await;
    let id = setting.one().await;
    setting
        .ec2
        .terminate_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    let again = setting
        .ec2
        .terminate_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    let change = &again.terminating_instances()[0];
    assert_eq!(change.previous_state().unwrap().name().unwrap().as_str(), "terminated");
    assert_eq!(change.current_state().unwrap().name().unwrap().as_str(), "terminated");
}

#[tokio::test]
async fn one_unknown_id_saves_all_of_a_batch() {
    let setting = start(still()).await;
    let id = setting.one().await;
    let batch = setting
        .ec2
        .terminate_instances()
        .instance_ids(&id)
        .instance_ids("i-0123456789abcdef0");
    assert_eq!(code(batch.send().await), "InvalidInstanceID.NotFound");
    assert_eq!(setting.truth(&id).state, InstanceState::Running);
    assert_eq!(code(setting.ec2.terminate_instances().send().await), "MissingParameter");
}

#[tokio::test]
async fn a_protected_instance_saves_those_in_its_zone_and_fails_the_batch() {
    let setting = start(still()).await;
    let in_zone = |number| setting.launch().subnet_id(default_subnet_id(number));
    let protected = setting
        .launched(in_zone(1).disable_api_termination(true))
        .await
        .remove(0);
    let beside = setting.launched(in_zone(1)).await.remove(0);
    let elsewhere = setting.launched(in_zone(2)).await.remove(0);
    let ids = vec![protected.clone(), beside.clone(), elsewhere.clone()];
    let batch = setting
        .ec2
        .terminate_instances()
        .set_instance_ids(Some(ids))
        .send()
        .await;
    assert_eq!(code(batch), "OperationNotPermitted");
    assert_eq!(setting.truth(&protected).state, InstanceState::Running);
    assert_eq!(setting.truth(&beside).state, InstanceState::Running);
    assert_eq!(setting.truth(&elsewhere).state, InstanceState::Terminated);
    setting
        .ec2
        .terminate_instances()
        .instance_ids(&beside)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn protection_is_read_set_and_lifted() {
    let setting = start(still()).await;
    let id = setting.one().await;
    let read = || async {
        let attribute = InstanceAttributeName::DisableApiTermination;
        let output = setting
            .ec2
            .describe_instance_attribute()
            .instance_id(&id)
            .attribute(attribute)
            .send()
            .await;
        output.unwrap().disable_api_termination().unwrap().value().unwrap()
    };
    assert!(!read().await);
    protect(&setting, &id, true).await;
    assert!(read().await);
    let ended = setting.ec2.terminate_instances().instance_ids(&id).send().await;
    assert_eq!(code(ended), "OperationNotPermitted");
    protect(&setting, &id, false).await;
    setting
        .ec2
        .terminate_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    let late = setting.ec2.modify_instance_attribute().instance_id(&id);
    let value = AttributeBooleanValue::builder().value(true).build();
    assert_eq!(
        code(late.disable_api_termination(value).send().await),
        "IncorrectInstanceState"
    );
}

#[tokio::test]
async fn a_shutdown_takes_its_time() {
    let life = Life {
        shutdown_seconds: 40.0,
        ..Life::default()
    };
    let setting = start(Setup { life, ..still() }).await;
    let id = setting.one().await;
    setting
        .ec2
        .terminate_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(setting.seen().await, [(id.clone(), "shutting-down".into())]);
    setting.advance(40);
    assert_eq!(setting.seen().await, [(id, "terminated".into())]);
}

#[tokio::test]
async fn a_failed_boot_ends_terminated_with_a_reason() {
    let life = Life {
        boot_seconds: 20.0,
        ..Life::default()
    };
    let setting = start(Setup { life, ..still() }).await;
    setting.control.fail_boots(1);
    let (fails, boots) = (setting.one().await, setting.one().await);
    setting.advance(19);
    assert_eq!(setting.truth(&fails).state, InstanceState::Pending);
    setting.advance(1);
    let output = setting
        .ec2
        .describe_instances()
        .instance_ids(&fails)
        .send()
        .await
        .unwrap();
    let instance = &output.reservations()[0].instances()[0];
    assert_eq!(instance.state().unwrap().name().unwrap().as_str(), "terminated");
    let reason = instance.state_reason().unwrap();
    assert_eq!(reason.code(), Some("Server.InternalError"));
    assert!(reason.message().unwrap().contains("on launch"));
    let console = setting.control.console(&InstanceId::from(fails.as_str())).unwrap();
    assert!(console.starts_with("Kernel panic"), "{console}");
    assert_eq!(setting.truth(&boots).state, InstanceState::Running);
}

#[tokio::test]
async fn an_instance_dies_by_itself_when_killed_or_when_its_life_is_over() {
    let life = Life {
        mean_life_seconds: Some(600.0),
        ..Life::default()
    };
    let setting = start(Setup { life, ..still() }).await;
    let killed = setting.one().await;
    assert!(setting.control.kill(&InstanceId::from(killed.as_str())));
    assert!(!setting.control.kill(&InstanceId::from(killed.as_str())));
    assert_eq!(setting.truth(&killed).state, InstanceState::Terminated);
    let output = setting
        .ec2
        .terminate_instances()
        .instance_ids(&killed)
        .send()
        .await
        .unwrap();
    assert_eq!(output.terminating_instances().len(), 1);
    let lives = setting.launched(setting.launch().max_count(20)).await;
    let up = || {
        lives
            .iter()
            .filter(|id| setting.truth(id).state == InstanceState::Running)
            .count()
    };
    assert_eq!(up(), 20);
    setting.advance(600);
    let half_way = up();
    assert!((2..15).contains(&half_way), "{half_way}");
    setting.advance(600 * 20);
    assert_eq!(up(), 0);
}

#[tokio::test]
async fn the_console_is_what_was_written_and_its_last_64_kb() {
    let setting = start(still()).await;
    let id = setting.one().await;
    let console = || async {
        let output = setting.ec2.get_console_output().instance_id(&id).send().await.unwrap();
        let decoded = STANDARD.decode(output.output().unwrap_or_default()).unwrap();
        String::from_utf8(decoded).unwrap()
    };
    assert_eq!(console().await, "");
    let instance = InstanceId::from(id.as_str());
    assert!(setting.control.write_console(&instance, &"x".repeat(70_000)));
    assert!(setting.control.write_console(&instance, "login: "));
    let text = console().await;
    assert_eq!(text.len(), 64 * 1024);
    assert!(text.ends_with("xlogin: "));
    let latest = || setting.ec2.get_console_output().instance_id(&id).latest(true);
    assert!(latest().send().await.unwrap().output().is_some());
    let unknown = setting
        .ec2
        .get_console_output()
        .instance_id("i-0123456789abcdef0")
        .send()
        .await;
    assert_eq!(code(unknown), "InvalidInstanceID.NotFound");
}

#[tokio::test]
async fn the_console_of_an_old_type_cannot_be_read_as_it_is_now() {
    let mut setup = still();
    for known in setup.instance_types.values_mut() {
        known.has_live_console = false;
    }
    let setting = start(setup).await;
    let id = setting.one().await;
    let read = || setting.ec2.get_console_output().instance_id(&id);
    assert_eq!(code(read().latest(true).send().await), "UnsupportedOperation");
    read().send().await.unwrap();
}
