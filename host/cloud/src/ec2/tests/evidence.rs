//! What is read of instances that never reported.

use super::*;

fn is_denied(action: &str) -> BTreeSet<String> {
    ["RunInstances", "CreateTags", "DescribeInstances", "GetConsoleOutput"]
        .into_iter()
        .filter(|other| *other != action)
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn an_instance_that_failed_to_boot_tells_its_last_words_and_why_it_ended() {
    let setting = Setting::new(Setup::default()).await;
    setting.control.fail_boots(1);
    let ec2 = setting.ec2();
    let failed = ec2.launch(&setting.order(1, 1)).await.unwrap().instance;
    let id = InstanceId::from(failed.as_str());
    setting.pass(60);
    let console = ec2.console_end(&failed).await.unwrap();
    assert!(console.starts_with("Kernel panic - not syncing"), "{console}");
    let reason = ec2.state_reason(&failed).await;
    assert_eq!(
        reason.as_deref(),
        Some("Server.InternalError: Internal error on launch")
    );
    setting
        .control
        .write_console(&id, "\u{1b}[31mjanus: no such file\u{1b}[0m\r\n");
    let console = ec2.console_end(&failed).await.unwrap();
    assert!(console.ends_with("\njanus: no such file"), "{console}");
    let living = ec2.launch(&setting.order(2, 1)).await.unwrap().instance;
    assert_eq!(ec2.console_end(&living).await.as_deref(), Ok(""), "nothing was written");
    assert_eq!(ec2.state_reason(&living).await, None);
}

#[tokio::test]
async fn the_console_of_a_type_that_cannot_be_read_now_is_read_as_it_was_kept() {
    let mut setup = Setup::default();
    setup.instance_types.get_mut(TYPE).unwrap().has_live_console = false;
    let setting = Setting::new(setup).await;
    let ec2 = setting.ec2();
    let launched = ec2.launch(&setting.order(1, 1)).await.unwrap().instance;
    setting
        .control
        .write_console(&InstanceId::from(launched.as_str()), "login: ");
    assert_eq!(ec2.console_end(&launched).await.as_deref(), Ok("login:"));
}

#[tokio::test]
async fn a_console_that_cannot_be_read_is_a_reason_in_words() {
    let setting = Setting::new(Setup::default()).await;
    let ec2 = setting.ec2();
    let launched = ec2.launch(&setting.order(1, 1)).await.unwrap().instance;
    let unknown = ec2.console_end("i-0123456789abcdef0").await.unwrap_err();
    assert_eq!(
        unknown,
        "console output could not be read: InvalidInstanceID.NotFound: The instance ID 'i-0123456789abcdef0' does not exist"
    );
    setting
        .control
        .set_allowed(ACCESS_KEY_ID, Some(is_denied("GetConsoleOutput")));
    let refused = ec2.console_end(&launched).await.unwrap_err();
    assert!(
        refused.starts_with("console output could not be read: UnauthorizedOperation: "),
        "{refused}"
    );
    setting.control.set_allowed(ACCESS_KEY_ID, None);
    // By the fake's clock, which stands still.
    setting.next("GetConsoleOutput", FaultKind::Late { seconds: 60.0 });
    let late = ec2.console_end_within(&launched, Duration::from_millis(100)).await;
    assert_eq!(
        late.unwrap_err(),
        "console output could not be read: EC2 did not answer within 0.1 s"
    );
}
