//! A request from its form to its answer: who may call, what goes wrong on the way, what is done, and what is logged of it.
//!
//! One file for each thing that is asked about; each turns parameters into a question to the world, and its answer into XML.

mod attributes;
mod filters;
mod instances;
mod launch;
mod launch_templates;
mod pages;
mod region;
mod tagging;
mod terminate;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use crate::calls::{Call, Outcome};
use crate::error::Ec2Error;
use crate::faults::FaultKind;
use crate::query::Query;
use crate::setup::Key;
use crate::world::{InstanceId, World, seconds};
use crate::xml::Xml;

/// An answer, and how it reaches the caller.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) request_id: String,
    pub(crate) delivery: Delivery,
}

/// How an answer reaches the caller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Delivery {
    /// At once.
    Now,
    /// Later, by the fake's clock.
    Late(SignedDuration),
    /// Never: the connection is closed.
    Never,
}

/// A request whose caller is known.
struct Asked<'a> {
    world: &'a mut World,
    now: Timestamp,
    key: Key,
    query: &'a Query,
}

/// What a request that was done has to say.
#[derive(Default)]
struct Answer {
    content: Xml,
    /// The instances that it named, made or showed.
    instances: Vec<InstanceId>,
}

type Act = fn(&mut Asked<'_>) -> Result<Answer, Ec2Error>;

/// The actions that there are.
const ACTIONS: [(&str, Act); 16] = [
    ("RunInstances", launch::run_instances),
    ("DescribeInstances", instances::describe_instances),
    ("TerminateInstances", terminate::terminate_instances),
    ("DescribeInstanceAttribute", attributes::describe_instance_attribute),
    ("ModifyInstanceAttribute", attributes::modify_instance_attribute),
    ("GetConsoleOutput", attributes::get_console_output),
    ("CreateTags", tagging::create_tags),
    ("DeleteTags", tagging::delete_tags),
    ("DescribeTags", tagging::describe_tags),
    ("DescribeLaunchTemplates", launch_templates::describe_launch_templates),
    (
        "DescribeLaunchTemplateVersions",
        launch_templates::describe_launch_template_versions,
    ),
    ("DescribeSubnets", region::describe_subnets),
    ("DescribeImages", region::describe_images),
    (
        "DescribeInstanceTypeOfferings",
        region::describe_instance_type_offerings,
    ),
    ("DescribeAvailabilityZones", region::describe_availability_zones),
    ("DescribeRegions", region::describe_regions),
];

/// Answers a request.
pub(crate) fn answer(world: &mut World, now: Timestamp, form: &[u8], caller: Result<Key, Ec2Error>) -> Reply {
    world.tick(now);
    let request_id = world.requests.request_id();
    let (query, malformed) = match Query::parse(form) {
        Ok(query) => (query, None),
        Err(error) => (Query::default(), Some(error)),
    };
    let mut call = begin_call(now, &query, caller.as_ref().ok());
    let admitted = match malformed {
        Some(error) => Err(error),
        None => caller.and_then(|key| Ok((key, find_action(&query)?))),
    };
    let (result, delivery) = match admitted {
        Err(refused) => (Err(refused), Delivery::Now),
        Ok((key, (action, act))) => {
            let asked = Asked {
                world,
                now,
                key,
                query: &query,
            };
            under_faults(asked, action, act, &mut call)
        }
    };
    call.outcome.is_answered = delivery != Delivery::Never;
    call.outcome.code = result.as_ref().err().map(|error| error.code().to_owned());
    if let Delivery::Late(span) = delivery {
        call.outcome.late_seconds = span.as_secs_f64();
    }
    if let Ok(answer) = &result {
        call.instances.clone_from(&answer.instances);
    }
    let (status, body) = match result {
        Ok(answer) => (200, Xml::response(&call.action, &request_id, &answer.content)),
        Err(error) => (
            error.status(),
            Xml::error(error.code(), &error.to_string(), &request_id),
        ),
    };
    world.log.keep(call);
    Reply {
        status,
        body,
        request_id,
        delivery,
    }
}

/// Does as asked, unless what goes wrong comes before.
fn under_faults(mut asked: Asked<'_>, action: &str, act: Act, call: &mut Call) -> (Result<Answer, Ec2Error>, Delivery) {
    let fault = asked.world.faults.strike(action);
    let mut result = match &fault {
        Some(FaultKind::LostBefore) => Ok(Answer::default()),
        Some(FaultKind::ErrorBefore { error }) => Err(Ec2Error::Injected(error.clone())),
        None | Some(FaultKind::LostAfter | FaultKind::Late { .. } | FaultKind::ErrorAfter { .. }) => {
            let result = asked.perform(action, act);
            call.outcome.is_done = result.is_ok();
            result
        }
    };
    let delivery = match fault {
        None | Some(FaultKind::ErrorBefore { .. }) => Delivery::Now,
        Some(FaultKind::LostBefore | FaultKind::LostAfter) => Delivery::Never,
        Some(FaultKind::Late { seconds: span }) => Delivery::Late(seconds(span)),
        Some(FaultKind::ErrorAfter { error }) => {
            // What was done stands in the log; the caller hears of an error.
            if let Ok(answer) = &result {
                call.instances.clone_from(&answer.instances);
            }
            result = Err(Ec2Error::Injected(error));
            Delivery::Now
        }
    };
    (result, delivery)
}

impl Asked<'_> {
    fn perform(&mut self, action: &str, act: Act) -> Result<Answer, Ec2Error> {
        let world = &mut *self.world;
        if !world.buckets.take_request(&world.setup.throttles, action, self.now) {
            return Err(Ec2Error::RequestLimitExceeded);
        }
        self.permit(action)?;
        act(self)
    }

    /// Says whether the caller may do this.
    fn permit(&self, action: &str) -> Result<(), Ec2Error> {
        let is_allowed = self.key.allowed.as_ref().is_none_or(|allowed| allowed.contains(action));
        if is_allowed && !self.key.denied.contains(action) {
            return Ok(());
        }
        let setup = &self.world.setup;
        let who = format!("arn:aws:iam::{}:user/{}", setup.account, self.key.access_key_id);
        // As long as a real one, which holds the whole request and all statements that were looked at.
        let reasons = format!("{who} {action} ").repeat(10);
        Err(Ec2Error::UnauthorizedOperation {
            who,
            action: action.into(),
            encoded: setup.encodes_refusals.then(|| STANDARD_NO_PAD.encode(reasons)),
        })
    }

    /// Ends here if the caller only wanted to know whether the request would succeed.
    fn end_dry_run(&self) -> Result<(), Ec2Error> {
        if self.is_dry_run()? {
            Err(Ec2Error::DryRunOperation)
        } else {
            Ok(())
        }
    }

    /// Returns whether the caller only wanted to know, and is understood.
    fn is_dry_run(&self) -> Result<bool, Ec2Error> {
        Ok(self.query.is_dry_run()? && !self.world.setup.ignores_dry_runs)
    }

    /// Takes resources of an action from its bucket.
    fn take_resources(&mut self, action: &str, count: u32) -> Result<(), Ec2Error> {
        let world = &mut *self.world;
        match world
            .buckets
            .take_resources(&world.setup.throttles, action, count, self.now)
        {
            true => Ok(()),
            false => Err(Ec2Error::RequestLimitExceeded),
        }
    }
}

fn find_action(query: &Query) -> Result<(&'static str, Act), Ec2Error> {
    let wanted = query.get("Action").ok_or(Ec2Error::MissingAction)?;
    let found = ACTIONS.into_iter().find(|(name, _)| *name == wanted);
    found.ok_or_else(|| Ec2Error::InvalidAction(wanted.into()))
}

fn begin_call(now: Timestamp, query: &Query, key: Option<&Key>) -> Call {
    let has_template = query.has("LaunchTemplate");
    let version = query.get("LaunchTemplate.Version").unwrap_or("$Default");
    Call {
        number: 0,
        at: now,
        action: query.get("Action").unwrap_or_default().to_owned(),
        access_key_id: key.map(|key| key.access_key_id.clone()),
        client_token: query.get("ClientToken").map(str::to_owned),
        is_dry_run: query.is_dry_run().unwrap_or(false),
        template_version: has_template.then(|| version.to_owned()),
        instances: Vec::new(),
        outcome: Outcome {
            is_done: false,
            is_answered: true,
            code: None,
            late_seconds: 0.0,
        },
    }
}

/// Returns instance ids, each in its proper form.
fn instance_ids(texts: &[&str]) -> Result<Vec<InstanceId>, Ec2Error> {
    texts.iter().map(|text| instance_id(text)).collect()
}

fn instance_id(text: &str) -> Result<InstanceId, Ec2Error> {
    let digits = text.strip_prefix("i-").unwrap_or_default();
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    match is_hex && matches!(digits.len(), 8 | 17) {
        true => Ok(InstanceId::from(text)),
        false => Err(Ec2Error::InstanceMalformed(text.into())),
    }
}
