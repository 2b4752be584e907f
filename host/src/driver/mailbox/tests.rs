use usher_fleet::command::{ReleaseRoom, SetScaling};
use usher_fleet::observation::Report;

use super::lanes::{REPORT_WAITERS_MAX, TAKE_MAX};
use super::*;

fn scaling() -> Command {
    Command::SetScaling(SetScaling {
        pool: "demo".parse().unwrap(),
        enabled: true,
    })
}

fn release() -> Command {
    Command::ReleaseRoom(ReleaseRoom {
        room: "standup".parse().unwrap(),
        tenant: None,
        placement: None,
    })
}

fn report(server: &str, cpu: u32) -> Reported {
    Reported {
        server: server.parse().unwrap(),
        report: Report {
            cpu_permille: Some(cpu),
            ..Report::default()
        },
    }
}

fn taken(mailbox: &Mailbox) -> Taken {
    let mut taken = Taken::default();
    mailbox.take(Instant::now(), &mut taken);
    taken
}

#[test]
fn a_full_command_lane_refuses_commands_and_nothing_else() {
    let mailbox = Mailbox::new();
    let waiting: Vec<_> = (0..COMMANDS_MAX)
        .map(|_| mailbox.ask(scaling(), Duration::ZERO).unwrap())
        .collect();
    assert_eq!(mailbox.ask(scaling(), Duration::ZERO).unwrap_err(), Refused::Busy);
    assert!(mailbox.ask(release(), Duration::ZERO).is_ok());
    mailbox.observe(Observation::Gap);
    mailbox.run(|_, _| ());
    let taken = taken(&mailbox);
    assert_eq!((taken.commands.len(), taken.releases.len()), (TAKE_MAX, 1));
    assert_eq!((taken.observations.len(), taken.jobs.len()), (1, 1));
    assert!(mailbox.ask(scaling(), Duration::ZERO).is_ok());
    drop(waiting);
}

#[test]
fn of_a_servers_reports_the_newest_is_kept_and_all_are_answered() {
    let mailbox = Mailbox::new();
    let mut told = Vec::new();
    for cpu in 0..REPORT_WAITERS_MAX as u32 {
        let (tell, wait) = oneshot::channel();
        mailbox.put(|lanes| lanes.put_report(report("a", cpu), tell)).unwrap();
        told.push(wait);
    }
    let (tell, _wait) = oneshot::channel();
    assert_eq!(
        mailbox.put(|lanes| lanes.put_report(report("a", 99), tell)),
        Err(Refused::Busy)
    );
    let (tell, _wait) = oneshot::channel();
    mailbox.put(|lanes| lanes.put_report(report("b", 1), tell)).unwrap();
    let reports = taken(&mailbox).reports;
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0].reported, report("a", REPORT_WAITERS_MAX as u32 - 1));
    assert_eq!(reports[0].tell.len(), told.len());
    assert!(taken(&mailbox).reports.is_empty());
}

#[test]
fn a_closed_mailbox_takes_nothing_and_hands_out_what_it_has() {
    let mailbox = Mailbox::new();
    let waiting: Vec<_> = (0..TAKE_MAX + 1)
        .map(|_| mailbox.ask(release(), Duration::ZERO).unwrap())
        .collect();
    mailbox.close();
    assert_eq!(mailbox.ask(release(), Duration::ZERO).unwrap_err(), Refused::Stopping);
    let first = taken(&mailbox);
    assert!(first.releases.len() == TAKE_MAX && first.must_answer_parked && !first.is_last);
    let second = taken(&mailbox);
    assert!(second.releases.len() == 1 && second.is_last);
    drop(waiting);
}

#[test]
fn a_sleeping_driver_is_woken_by_what_comes() {
    let mailbox = Mailbox::new();
    let driver = std::thread::spawn({
        let mailbox = mailbox.clone();
        move || {
            let mut taken = Taken::default();
            mailbox.take(Instant::now() + Duration::from_secs(60), &mut taken);
            taken.is_chain_changed
        }
    });
    mailbox.chain_changed();
    assert!(driver.join().unwrap());
}
