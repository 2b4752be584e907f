//! The table `[webhook]` as written, and the kinds of value that only it has.

use hyper::Uri;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use usher_fleet::event::What;

use crate::config::kind::{Kind, List, Seconds, Simple, Text, not_a, shown};
use crate::config::problem::{Collector, Place};
use crate::config::section::Shown::{Example, Preset, Required};
use crate::config::section::{Entry, Key, Section, section, with_section};
use crate::config::unknown::unknown;
use crate::webhook::Choice;

section! {
    /// Who is told of events as they happen, by signed POSTs after the specification of Standard Webhooks. At least once: what is
    /// not answered 2xx is told again, also after a restart, for as long as events are kept.
    RawWebhook {
        /// Where the calls go.
        url: WebUrl = Required(r#""https://app.example.com/usher""#),
        /// The file with the secret that signs them, as `usher webhook new-secret` makes it. It is read again before each
        /// call; with two, one a line, each call has two signatures.
        secret_file: Text = Required(r#""webhook.secret""#),
        /// Which events: their types, or `group.*`. Without it those that somebody should look at, and rooms that move.
        events: List<EventKinds> = Example(r#"["server.*", "room.moved", "webhook.*"]"#),
        /// How long the receiver has to answer, in seconds.
        timeout_seconds: Seconds<1, 60> = Preset("10"),
    }
}

/// Kinds of events by their name, or a group's. The names are many, so that a wrong one is told what is nearest, too.
pub(in crate::config) struct EventKinds;

impl Kind for EventKinds {
    type Value = Vec<&'static str>;

    fn read(
        value: &Spanned<DeValue<'_>>,
        at: &Place,
        example: &str,
        problems: &mut Collector<'_>,
    ) -> Option<Self::Value> {
        let Some(name) = value.get_ref().as_str() else {
            not_a("the type of an event", value, at, example, problems);
            return None;
        };
        let kinds = Choice::named(name);
        if !kinds.is_empty() {
            return Some(kinds);
        }
        let near = What::KINDS
            .iter()
            .map(|kind| (strsim::osa_distance(name, kind), kind))
            .filter(|(slips, _)| *slips <= 3)
            .min()
            .map_or(String::new(), |(_, kind)| format!("did you mean {kind}? "));
        let wrong = format!("there are no events of the type {}", shown(value.get_ref()));
        let remedy = format!(
            "{near}The types are {}; and \"server.*\" is a group",
            What::KINDS.join(", ")
        );
        problems.problem(at, wrong, remedy);
        None
    }
}

/// The address of something that is called by HTTP.
pub(in crate::config) struct WebUrl;

impl Simple for WebUrl {
    type Value = Uri;

    fn wanted() -> String {
        "an address that begins with http:// or https:// and has no user in it".to_owned()
    }

    fn of(value: &DeValue<'_>) -> Option<Uri> {
        let url: Uri = Text::of(value)?.parse().ok()?;
        let is_web = matches!(url.scheme_str(), Some("http" | "https"));
        let authority = url.authority()?;
        let is_named = !authority.host().is_empty() && !authority.as_str().contains('@');
        (is_web && is_named).then_some(url)
    }
}
