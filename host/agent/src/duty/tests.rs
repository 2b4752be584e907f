use super::*;

const LIMIT: Duration = Duration::from_secs(300);

fn with(participants: u32) -> Answered {
    Answered {
        participants: Some(participants),
        ..Answered::default()
    }
}

fn serving() -> Duty {
    let mut duty = Duty::new(true, true);
    duty.answered(with(3));
    assert!(!duty.held(false));
    duty.obeyed(Order::Accept);
    duty
}

#[test]
fn nothing_is_reported_before_the_media_server_has_answered() {
    let mut duty = Duty::new(true, true);
    assert!(!duty.may_report());
    duty.missed();
    assert!(!duty.may_report() && duty.is_booting() && !duty.has_just_fallen_silent());
    duty.answered(with(0));
    assert!(duty.may_report() && !duty.is_booting());
}

#[test]
fn a_dead_media_server_is_silent_after_two_missed_questions_of_grace() {
    let mut duty = serving();
    for _ in 0..GRACE_QUESTIONS {
        duty.missed();
        assert!(duty.may_report());
    }
    duty.missed();
    assert!(!duty.may_report() && duty.has_just_fallen_silent());
    duty.missed();
    assert!(!duty.may_report() && !duty.has_just_fallen_silent());
    duty.answered(with(0));
    assert!(duty.may_report());
}

#[test]
fn without_a_media_server_the_machine_speaks_for_itself() {
    let duty = Duty::new(false, true);
    assert!(duty.may_report());
    assert_eq!(duty.order_due(), None);
}

#[test]
fn latecomers_are_spared_until_the_server_leaves() {
    let mut duty = Duty::new(true, true).sparing_latecomers(true);
    duty.answered(with(3));
    duty.held(true);
    assert_eq!(duty.order_due(), Some(Order::Accept));
    duty.obeyed(Order::Accept);
    assert_eq!(duty.order_due(), None);
    duty.leaves(Instant::now(), Duration::from_secs(60));
    assert_eq!(duty.order_due(), Some(Order::Refuse));
}

#[test]
fn an_order_is_given_on_changes_and_again_after_failures() {
    let mut duty = serving();
    assert_eq!(duty.order_due(), None);
    assert!(duty.held(true));
    assert!(!duty.held(true));
    assert_eq!(duty.order_due(), Some(Order::Refuse));
    duty.obeyed(Order::Refuse);
    assert_eq!(duty.order_due(), None);
    duty.missed();
    assert_eq!(duty.order_due(), None, "who does not answer is not ordered about");
    duty.answered(with(1));
    assert_eq!(duty.order_due(), Some(Order::Refuse));
    duty.obeyed(Order::Refuse);
    duty.held(false);
    assert_eq!(duty.order_due(), Some(Order::Accept));
}

#[test]
fn a_media_server_that_was_started_anew_is_told_again() {
    let mut duty = serving();
    duty.held(true);
    duty.obeyed(Order::Refuse);
    duty.answered(Answered {
        accepts: Some(false),
        ..with(1)
    });
    assert_eq!(duty.order_due(), None);
    duty.answered(Answered {
        accepts: Some(true),
        ..with(1)
    });
    assert_eq!(duty.order_due(), Some(Order::Refuse));
}

#[test]
fn before_the_host_has_answered_the_media_server_is_left_alone() {
    let mut duty = Duty::new(true, true);
    duty.answered(with(1));
    assert_eq!(duty.order_due(), None);
}

#[test]
fn what_the_host_has_ordered_is_not_reported_as_the_media_servers_own_wish() {
    let drains = Answered {
        is_draining: true,
        ..with(1)
    };
    let mut duty = Duty::new(true, true);
    duty.answered(drains);
    assert!(!duty.is_draining(), "an agent before us may have told it so");
    duty.held(true);
    duty.obeyed(Order::Refuse);
    duty.answered(drains);
    assert!(!duty.is_draining());
    duty.held(false);
    duty.answered(drains);
    assert!(!duty.is_draining(), "it has not been told otherwise yet");
    duty.obeyed(Order::Accept);
    duty.answered(drains);
    assert!(duty.is_draining());
}

#[test]
fn one_that_can_be_told_nothing_speaks_for_itself() {
    let mut duty = Duty::new(true, false);
    duty.held(true);
    duty.answered(Answered {
        is_draining: true,
        ..with(1)
    });
    assert!(duty.is_draining());
    assert_eq!(duty.order_due(), None);
}

#[test]
fn a_spot_notice_drains_until_it_is_taken_back() {
    let now = Instant::now();
    let mut duty = serving();
    duty.taken_away(Some(now + Duration::from_secs(120)));
    assert!(duty.is_draining());
    assert_eq!(duty.seconds_left(now + Duration::from_secs(20)), Some(100));
    assert_eq!(duty.seconds_left(now + Duration::from_secs(200)), Some(0));
    assert_eq!(duty.order_due(), Some(Order::Refuse));
    assert!(!duty.may_leave(now));
    duty.taken_away(None);
    assert!(!duty.is_draining());
}

#[test]
fn being_told_to_leave_it_stays_at_most_its_time() {
    let now = Instant::now();
    let mut duty = serving();
    assert!(!duty.may_leave(now));
    duty.leaves(now, LIMIT);
    duty.leaves(now + Duration::from_secs(100), LIMIT);
    assert_eq!(duty.leaves_at(), Some(now + LIMIT), "being told again gains no time");
    assert!(duty.is_draining());
    assert_eq!(duty.order_due(), Some(Order::Refuse));
    assert!(!duty.may_leave(now));
    duty.missed();
    assert!(!duty.may_leave(now), "nobody knows whether it is empty");
    assert!(duty.may_leave(now + LIMIT));
}

#[test]
fn it_leaves_early_only_when_nobody_is_seen_after_the_host_knows() {
    let now = Instant::now();
    let mut duty = serving();
    duty.leaves(now, LIMIT);
    duty.answered(with(0));
    assert!(!duty.may_leave(now), "the host may place a room here at this moment");
    duty.heard(true);
    assert!(!duty.may_leave(now), "it may have placed one a moment ago");
    duty.answered(with(1));
    assert!(!duty.may_leave(now));
    duty.answered(with(0));
    assert!(duty.may_leave(now));
    duty.missed();
    assert!(!duty.may_leave(now), "nobody knows whether it is empty");
    duty.answered(Answered::default());
    assert!(!duty.may_leave(now), "it does not tell");
    assert!(duty.may_leave(now + LIMIT));
}

#[test]
fn a_report_that_says_nothing_of_leaving_is_no_farewell() {
    let now = Instant::now();
    let mut alone = Duty::new(false, true);
    alone.heard(false);
    alone.leaves(now, LIMIT);
    assert!(!alone.may_leave(now));
    alone.heard(true);
    assert!(alone.may_leave(now));
}

#[test]
fn a_refusal_of_others_is_told_of_and_never_undone() {
    let refuses = Answered {
        accepts: Some(false),
        ..with(1)
    };
    let mut duty = serving();
    for _ in 0..GRACE_QUESTIONS {
        duty.answered(refuses);
        assert!(
            !duty.refuses_itself(),
            "its word may be from before it was told to accept"
        );
    }
    duty.answered(refuses);
    assert!(duty.refuses_itself());
    assert!(!duty.is_draining());
    assert_eq!(duty.order_due(), None);
    duty.missed();
    duty.answered(refuses);
    assert_eq!(duty.order_due(), None, "a question that it missed is no reason either");
    duty.held(true);
    duty.obeyed(Order::Refuse);
    for _ in 0..=GRACE_QUESTIONS {
        duty.answered(refuses);
    }
    assert!(!duty.refuses_itself(), "now it is ours");
}

#[test]
fn it_does_not_wait_for_a_media_server_that_has_died() {
    let now = Instant::now();
    let mut duty = serving();
    duty.leaves(now, LIMIT);
    for _ in 0..=GRACE_QUESTIONS {
        assert!(!duty.may_leave(now));
        duty.missed();
    }
    assert!(duty.may_leave(now));
}
