//! Replies that are lost, late or wrong, and what a caller with a token does about them.

use std::time::Duration;

use aws_sdk_ec2::config::Credentials;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

use usher_fake_ec2::{ACCESS_KEY_ID, Fault, FaultKind, InjectedError, SECRET_ACCESS_KEY, Setup};

use crate::setting::{PATIENCE, client_with, code, start, still};

#[tokio::test]
async fn done_but_not_answered_is_found_by_the_same_token() {
    let setting = start(still()).await;
    setting
        .control
        .set_fault(Fault::next("RunInstances", 1, FaultKind::LostAfter));
    let lost = setting.launch().client_token("t").send().await.unwrap_err();
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    assert_eq!(setting.control.instances().len(), 1);
    let found = setting.launched(setting.launch().client_token("t")).await;
    let truth = setting.control.instances();
    assert_eq!(truth.len(), 1);
    assert_eq!(truth[0].id.as_str(), found[0]);
    let calls = setting.control.calls();
    assert!(calls[0].outcome.is_done && !calls[0].outcome.is_answered);
}

#[tokio::test]
async fn not_done_and_not_answered_leaves_nothing() {
    let setting = start(still()).await;
    setting
        .control
        .set_fault(Fault::next("RunInstances", 1, FaultKind::LostBefore));
    let lost = setting.launch().client_token("t").send().await.unwrap_err();
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    assert!(setting.control.instances().is_empty());
    let calls = setting.control.calls();
    assert_eq!(calls.len(), 1, "nobody asked again by himself");
    assert!(!calls[0].outcome.is_done && !calls[0].outcome.is_answered);
    setting.launch().client_token("t").send().await.unwrap();
}

#[tokio::test]
async fn a_late_answer_comes_when_it_is_time() {
    let setting = start(still()).await;
    setting
        .control
        .set_fault(Fault::next("RunInstances", 1, FaultKind::Late { seconds: 90.0 }));
    let late = tokio::spawn(setting.launch().client_token("t").send());
    let control = setting.control.clone();
    let is_done = control.wait_for(|control| control.instances().len() == 1);
    tokio::time::timeout(PATIENCE, is_done).await.unwrap();
    let meanwhile = setting.launched(setting.launch().client_token("t")).await;
    assert!(!late.is_finished());
    setting.advance(90);
    let answer = tokio::time::timeout(PATIENCE, late).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.instances()[0].instance_id(), Some(meanwhile[0].as_str()));
    assert_eq!(setting.control.calls()[0].outcome.late_seconds, 90.0);
}

#[tokio::test]
async fn an_error_may_mean_that_nothing_or_all_was_done() {
    let setting = start(still()).await;
    let before = FaultKind::ErrorBefore {
        error: InjectedError::unavailable(),
    };
    let after = FaultKind::ErrorAfter {
        error: InjectedError::internal_error(),
    };
    setting.control.set_fault(Fault::next("RunInstances", 1, before));
    setting.control.set_fault(Fault::next("RunInstances", 1, after));
    let launch = || setting.launch().client_token("t").send();
    let error = launch().await.unwrap_err();
    assert_eq!(
        (error.code(), error.raw_response().unwrap().status().as_u16()),
        (Some("Unavailable"), 503)
    );
    assert!(setting.control.instances().is_empty());
    let error = launch().await.unwrap_err();
    assert_eq!(
        (error.code(), error.raw_response().unwrap().status().as_u16()),
        (Some("InternalError"), 500)
    );
    assert_eq!(setting.control.instances().len(), 1);
    launch().await.unwrap();
    assert_eq!(setting.control.instances().len(), 1);
}

#[tokio::test]
async fn the_sdk_tries_again_by_itself_and_its_own_token_saves_it() {
    let setting = start(still()).await;
    let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test");
    let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
    let ec2 = client_with(setting.fake.url(), credentials, "eu-central-1", retries);
    let after = FaultKind::ErrorAfter {
        error: InjectedError::internal_error(),
    };
    setting.control.set_fault(Fault::next("RunInstances", 1, after));
    setting
        .control
        .set_fault(Fault::next("RunInstances", 1, FaultKind::LostAfter));
    let launch = setting.launch().as_input().clone();
    launch.send_with(&ec2).await.unwrap();
    assert_eq!(setting.control.calls().len(), 3);
    assert_eq!(setting.control.instances().len(), 1);
}

#[tokio::test]
async fn faults_by_chance_strike_some_calls_of_their_action_only() {
    let setting = start(Setup {
        faults: vec![Fault::by_chance("DescribeInstances", 0.5, FaultKind::LostBefore)],
        ..still()
    })
    .await;
    let mut lost = 0;
    for _ in 0..40 {
        lost += usize::from(setting.ec2.describe_instances().send().await.is_err());
    }
    assert!((8..32).contains(&lost), "{lost}");
    setting.control.clear_faults();
    setting.ec2.describe_instances().send().await.unwrap();
    let made_up = InjectedError {
        code: "Blocked".into(),
        status: 400,
        message: "Your account is blocked.".into(),
    };
    setting.control.set_fault(Fault::next(
        "RunInstances",
        1,
        FaultKind::ErrorBefore { error: made_up },
    ));
    assert_eq!(code(setting.launch().send().await), "Blocked");
}
