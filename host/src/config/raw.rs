//! The config file as written. Every key stands here, once: its documentation, its kind, and its default or an example.
//!
//! From these lines come the reader, the suggestion for an unknown key, and the reference that `usher config reference`
//! prints. Nothing is decided here; see `resolve`.

mod webhook;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use usher_fleet::ids::{PoolName, Tenant};

use super::kind::{
    Address, ByName, Count, Dollars, Flag, Hash, Id, Kind, List, Real, Seconds, Text, Whole, Word, Words, not_a,
};
use super::problem::{Collector, Place};
use super::section::Shown::{Example, Preset, Required};
use super::section::{Entry, Key, Section, section, with_section};
use super::unknown::unknown;
pub(super) use webhook::RawWebhook;

section! {
    /// Usher's configuration. Relative paths count from this file's folder. Pools and guards are read again when the
    /// file
    /// changes; a file with any problem changes nothing. `usher config check` names every problem at once.
    Raw {
        /// The installation's name: it marks every server that Usher launches, so that no other installation takes it
        /// for its own.
        fleet: Id<PoolName> = Preset(r#""default""#),
        /// Where the API listens. Without [auth] only a loopback address is allowed.
        listen: Address = Preset(r#""127.0.0.1:7070""#),
        /// Whether a proxy in front of Usher speaks TLS with those outside. Without it and without [tls] Usher warns where it
        /// listens to other machines, since tokens would pass in clear.
        behind_proxy: Flag = Preset("false"),
        /// The folder of the durable records.
        data_dir: Text = Preset(r#""usher-data""#),
        /// The folder that is watched for policies (`*.wasm`, and `*.toml` with their settings).
        policies_dir: Text = Preset(r#""policies""#),
        /// How often policies are asked for scale decisions, in seconds; they are also asked when a room begins to
        /// wait.
        tick_seconds: Seconds<1, 3600> = Preset("5"),
        /// Who may call the API.
        auth: RawAuth = Example(""),
        /// With it the API speaks HTTPS only.
        tls: RawTls = Example(""),
        /// What is true whatever a policy says.
        guards: RawGuards = Preset(""),
        /// How long rooms are kept without a word.
        rooms: RawRooms = Preset(""),
        /// When a server counts as silent or lost.
        servers: RawServers = Preset(""),
        /// How long events can be read again.
        events: RawEvents = Preset(""),
        /// Who is told of events as they happen.
        webhook: RawWebhook = Example(""),
        /// What the bill is compared with.
        bill: RawBill = Preset(""),
        /// The pools.
        pool: List<RawPool> = Required("[[pool]]"),
    }
}

section! {
    /// Who may call the API: hashes of bearer tokens, by scope; several, so that they can be rotated. Without this
    /// table
    /// there are no tokens, and Usher listens on loopback only. `usher token new --scope app` prints both halves.
    RawAuth {
        /// May do everything.
        admin_tokens: List<TokenEntry> = Example(r#"["sha256:0000000000000000000000000000000000000000000000000000000000000001"]"#),
        /// May place, read and release rooms; with `tenant` only that tenant's.
        app_tokens: List<TokenEntry> = Example(r#"[{ hash = "sha256:0000000000000000000000000000000000000000000000000000000000000002", tenant = "acme" }]"#),
        /// May register and drain the servers of one external pool. Each server reports with a token of its own, which its registration answers.
        register_tokens: List<TokenEntry> = Example(r#"[{ hash = "sha256:0000000000000000000000000000000000000000000000000000000000000003", pool = "example" }]"#),
    }
}

section! {
    /// With it the API speaks HTTPS only. The files are watched: a renewed certificate is taken over within seconds, and no
    /// connection is cut.
    RawTls {
        /// The certificate in PEM form, with those that lead to its authority behind it.
        certificate: Text = Required(r#""fullchain.pem""#),
        /// Its private key in PEM form, without a passphrase.
        key: Text = Required(r#""privkey.pem""#),
    }
}

section! {
    /// A token.
    RawToken {
        /// Its hash.
        hash: Hash = Required(""),
        /// The tenant that it is bound to.
        tenant: Id<Tenant> = Example(r#""acme""#),
        /// The pool that it is bound to.
        pool: Id<PoolName> = Example(r#""example""#),
    }
}

/// A token: its hash alone, or a table with what it is bound to.
pub(super) struct TokenEntry;

impl Kind for TokenEntry {
    type Value = RawToken;

    fn read(value: &Spanned<DeValue<'_>>, at: &Place, example: &str, problems: &mut Collector<'_>) -> Option<RawToken> {
        if value.get_ref().is_table() {
            return RawToken::read(value, at, example, problems);
        }
        let hash = Hash::read(value, at, example, problems)?;
        let hash = Entry::written(at.clone(), Some(hash));
        Some(RawToken {
            hash,
            ..RawToken::empty(at)
        })
    }
}

section! {
    /// What is true whatever a policy says. The first keys are the whole fleet's; those that can also stand under
    /// [pool.guards] are here the default for all pools.
    RawGuards, with pools: RawPoolGuards {
        /// The most servers of all pools, from `requested` to `ready`.
        fleet_servers_max: Count<1, 100_000> = Preset("100"),
        /// What all that may be billed may cost an hour, in dollars. Without it there is no limit.
        fleet_dollars_per_hour_max: Dollars = Example("50.0"),
        /// What a calendar month (UTC) may cost, in dollars. Without it there is no limit.
        fleet_dollars_per_month_max: Dollars = Example("5000.0"),
        /// The most rooms that wait at the same time; one more is answered 503 `queue_full`.
        waiting_rooms_max: Count<1, 1_000_000> = Preset("10000"),
        /// The longest that a room waits, in seconds; must exceed every pool's boot_seconds_max.
        waiting_seconds_max: Seconds<1, 86_400> = Preset("1200"),
        /// So many percent of a pool or the fleet silent at once is our own problem: nothing is declared lost or
        /// scaled down.
        freeze_silent_percent: Count<1, 100> = Preset("45"),
    }
}

section! {
    /// Guards of this pool alone, over those under [guards].
    RawPoolGuards {
        /// The most launches that have not been answered.
        launches_in_flight_max: Count<1, 1000> = Preset("10"),
        /// The most launches started within a minute.
        launches_per_minute_max: Count<1, 10_000> = Preset("60"),
        /// The most drains, at the same time, that policies began on servers with rooms. Without it a tenth of the
        /// pool's servers, at least 1.
        drains_in_flight_max: Count<0, 10_000> = Example("1"),
        /// The least life of a server, in seconds from `ready`, before a policy may take it down.
        server_life_seconds_min: Seconds<0, 604_800> = Preset("300"),
        /// The least time between two turns in which policies launch in a pool, in seconds. One turn may bring many.
        scale_up_cooldown_seconds: Seconds<0, 86_400> = Preset("0"),
        /// The least time between two turns in which policies retire servers of a pool, in seconds. One turn may take many.
        scale_down_cooldown_seconds: Seconds<0, 86_400> = Preset("60"),
        /// So many failed boots of the last `boot_failures_window` stop the launches for a while.
        boot_failures_max: Count<1, 100> = Preset("2"),
        /// How many boots are looked at for that.
        boot_failures_window: Count<1, 100> = Preset("4"),
        /// The longest from launch to ready, in seconds.
        boot_seconds_max: Seconds<1, 86_400> = Preset("900"),
        /// No new room above this reported CPU, in thousandths of all cores.
        cpu_permille_max: Count<1, 1000> = Preset("900"),
        /// No new room above this reported outgoing traffic, in kbit/s. Without it there is no limit.
        egress_kbps_max: Count<1, { u32::MAX }> = Example("900000"),
        /// So many rooms that could not be created on one server, or died young there, within ten minutes, and twice as
        /// often as on the others of its pool, drain it; 0 turns that off.
        room_failures_max: Count<0, 50> = Preset("5"),
        /// A drain's deadline where its command gives none, in seconds. Without it a drain waits for its rooms.
        drain_deadline_seconds: Seconds<0, 604_800> = Example("3600"),
    }
}

section! {
    /// How long rooms are kept without a word.
    RawRooms {
        /// With figures for so long, in seconds, a room counts what it uses × 1.25 instead of what it reserved; 0
        /// turns that off.
        settle_seconds: Seconds<0, 86_400> = Preset("600"),
        /// A room that reports nobody in it for so long, in seconds, is released.
        empty_seconds: Seconds<1, 604_800> = Preset("300"),
        /// A room of which nothing at all was heard for so long, in seconds, is released.
        room_seconds_max: Seconds<60, 31_536_000> = Preset("86400"),
    }
}

section! {
    /// When a server counts as silent or lost.
    RawServers {
        /// A server without a sign for so long, in seconds, is silent: it gets no new rooms.
        silent_seconds: Seconds<1, 3600> = Preset("15"),
        /// A server silent for so long, in seconds, is lost if a probe of its URL fails too: its rooms are placed
        /// again.
        lost_seconds: Seconds<1, 86_400> = Preset("60"),
        /// A lost server without any sign for so long, in seconds, is terminated.
        lost_terminate_seconds: Seconds<1, 604_800> = Preset("900"),
        /// How often each provider is asked what really exists, in seconds.
        reconcile_seconds: Seconds<1, 3600> = Preset("60"),
    }
}

section! {
    /// How long events can be read again; whichever limit is reached first drops the oldest.
    RawEvents {
        /// Hours.
        retention_hours: Count<1, 8760> = Preset("72"),
        /// Their size on disk, in MiB.
        size_mib_max: Count<16, 1_048_576> = Preset("1024"),
    }
}

section! {
    /// What the bill is compared with.
    RawBill {
        /// What the one big server costs an hour, in dollars.
        baseline_per_hour: Dollars = Example("3.492"),
    }
}

section! {
    /// Servers of one kind; write one [[pool]] for each.
    RawPool {
        /// The pool's name, once in the file.
        name: Id<PoolName> = Required(r#""example""#),
        /// Who makes its servers: "external" = somebody else, who registers them; "ec2" = Usher, on AWS; "exec" = your
        /// own programs; "simulated" = nobody, for trying.
        provider: Word<Provider> = Required(r#""external""#),
        /// Where its servers stand: what a room may ask for.
        region: Text = Preset(r#""default""#),
        /// The zones in the region, if they matter.
        zones: List<Text> = Preset("[]"),
        /// The type of machine, for people and policies.
        instance_type: Text = Example(r#""8-core""#),
        /// How the machines are bought, for people and policies.
        market: Word<Market> = Example(r#""on-demand""#),
        /// Rooms that a server holds. A server needs at least one of the three limits.
        rooms_per_server: Count<1, 100_000> = Required("10"),
        /// Seats that a server holds, over all its rooms. Without it they are no limit.
        seats_per_server: Count<1, 10_000_000> = Example("500"),
        /// Load that a server holds, in your own unit. Without it load is no limit.
        load_per_server: Count<1, { u32::MAX }> = Example("20000"),
        /// Seats of a room that does not say.
        seats_default: Count<1, 100_000> = Preset("50"),
        /// What a server costs an hour, in dollars.
        price_per_hour: Dollars = Preset("0.0"),
        /// Usher keeps so many servers itself.
        servers_min: Count<0, 10_000> = Preset("0"),
        /// Never more servers than this, from `requested` to `ready`.
        servers_max: Count<0, 10_000> = Preset("10"),
        /// Words that every server of the pool carries.
        labels: ByName<Text> = Example(r#"{ tier = "standard" }"#),
        /// Which rooms may come here, whatever a policy says: for `tenant`, or for a label of the room, the values
        /// that are let in.
        only: ByName<List<Text>> = Example(r#"{ tenant = ["acme"] }"#),
        /// Whether rooms with people in them that a server reports and nobody asked for are taken into the books, as if they had
        /// been placed there. Such a room has no tenant.
        adopt_rooms: Flag = Preset("false"),
        /// Whether rooms that their server reported, and has reported no more for `[rooms] empty_seconds`, are released.
        release_unreported_rooms: Flag = Preset("false"),
        /// So many servers that were launched and never became ready are kept, and paid for, to be looked at until an operator
        /// removes them. They do not count against `servers_max`.
        keep_failed_servers: Count<0, 10> = Preset("0"),
        /// How its servers' health is known: "tcp" or "http" = Usher probes their URL; "report" = they report; "none"
        /// = nobody looks. Without it "tcp"; simulated servers report.
        health: Word<Health> = Example(r#""tcp""#),
        /// The path that health "http" asks, instead of the URL's own.
        health_path: Text = Example(r#""/healthz""#),
        /// From one probe to the next, in seconds.
        health_interval_seconds: Seconds<1, 3600> = Preset("4"),
        /// After which a probe has failed, in seconds.
        health_timeout_seconds: Seconds<1, 60> = Preset("3"),
        /// The URL of a launched server, where the program's answer has none; `{server}` is its name. With "ec2" also
        /// {public_ip} and {private_ip}; without it the agent says it.
        url: Text = Example(r#""wss://{server}.media.example.com""#),
        /// Guards of this pool alone.
        guards: RawPoolGuards = Example(""),
        /// For provider "simulated".
        simulated: RawSimulated = Example(""),
        /// For provider "exec".
        exec: RawExec = Example(""),
        /// For provider "ec2".
        ec2: RawEc2 = Example(""),
    }
}

section! {
    /// For provider "simulated": servers that exist in this process only.
    RawSimulated {
        /// From launch to the first report, in seconds.
        boot_seconds: Real<86_400> = Preset("3.0"),
        /// How many of the launched servers never become ready, from 0.0 (none) to 1.0 (all).
        boot_failure_rate: Real<1> = Preset("0.0"),
        /// The most servers at the same time; a launch beyond it finds no capacity.
        capacity: Count<0, 100_000> = Preset("50"),
        /// Two runs with the same seed see the same servers fail.
        seed: Whole<0, { i64::MAX as u64 }> = Preset("1"),
        /// From one report of a server to the next, in seconds.
        report_seconds: Real<3600> = Preset("5.0"),
    }
}

section! {
    /// For provider "exec": your own programs, each with its arguments. A program with a slash in its name counts
    /// from this
    /// file's folder; one without is looked up in PATH. They get an order as JSON on stdin and answer with JSON on
    /// stdout.
    RawExec {
        /// Launches a server.
        launch: List<Text> = Required(r#"["./launch.sh"]"#),
        /// Ends one.
        terminate: List<Text> = Required(r#"["./terminate.sh"]"#),
        /// Lists those that exist.
        list: List<Text> = Required(r#"["./list.sh"]"#),
        /// How long a program may take, in seconds; after that its outcome is unknown, and it is asked again.
        timeout_seconds: Seconds<1, 3600> = Preset("30"),
        /// How many launches and terminations run at the same time.
        programs_max: Count<1, 1000> = Preset("8"),
    }
}

section! {
    /// For provider "ec2": AWS. Credentials come from where AWS's own tools look for them: the environment, a profile, the machine's
    /// role. examples/aws has the permissions, the launch template and the steps.
    RawEc2 {
        /// The launch template: image, security groups, instance profile. It names no network interfaces.
        launch_template: Text = Required(r#""lt-0123456789abcdef0""#),
        /// Its version, a number: what is launched changes only with this file.
        launch_template_version: Count<1, 1_000_000> = Required("1"),
        /// What to launch; the cheapest comes first, and after a shortage the next. `market` is the pool's unless it is given.
        offers: List<RawOffer> = Required(""),
        /// The subnet of each zone that servers may stand in.
        subnets: ByName<Text> = Required(r#"{ eu-central-1a = "subnet-0123456789abcdef0" }"#),
        /// Where the agents on the servers reach this host.
        host_url: Text = Required(r#""https://usher.example.com""#),
        /// A file with what an instance runs first, at most 16 KiB; {{server}}, {{attempt}}, {{pool}}, {{fleet}},
        /// {{region}}, {{zone}}, {{url}} and {{token}} are replaced. Without it a script writes /etc/usher/agent.env and
        /// starts usher-agent.service.
        user_data: Text = Example(r#""./user-data.sh""#),
        /// More tags for every instance.
        tags: ByName<Text> = Example(r#"{ team = "video" }"#),
        /// Another address of EC2's API, for tests and private endpoints.
        endpoint_url: Text = Example(r#""http://127.0.0.1:5000""#),
    }
}

section! {
    /// A type of machine, and its price.
    RawOffer {
        /// The instance type.
        instance_type: Text = Required(r#""c5a.2xlarge""#),
        /// How it is bought; by default as the pool says.
        market: Word<Market> = Example(r#""spot""#),
        /// What it costs an hour, in dollars.
        price_per_hour: Dollars = Required("0.348"),
    }
}

/// Who makes a pool's servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    External,
    Simulated,
    Exec,
    Ec2,
}

impl Provider {
    /// Returns the word in the file.
    pub(super) fn word(self) -> &'static str {
        match self {
            Provider::External => "external",
            Provider::Simulated => "simulated",
            Provider::Exec => "exec",
            Provider::Ec2 => "ec2",
        }
    }
}

impl Words for Provider {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("external", Provider::External),
        ("simulated", Provider::Simulated),
        ("exec", Provider::Exec),
        ("ec2", Provider::Ec2),
    ];
}

/// How a server's health is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Tcp,
    Http,
    Report,
    None,
}

impl Words for Health {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("tcp", Health::Tcp),
        ("http", Health::Http),
        ("report", Health::Report),
        ("none", Health::None),
    ];
}

/// How machines are bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Market {
    OnDemand,
    Spot,
}

impl Words for Market {
    const WORDS: &'static [(&'static str, Self)] = &[("on-demand", Market::OnDemand), ("spot", Market::Spot)];
}

/// The whole file's keys.
pub(super) const FILE: &Section = &Raw::KEYS;

/// Reads the text: what is good of it as values, the rest as problems.
pub(super) fn read(text: &str, problems: &mut Collector<'_>) -> Raw {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = Place {
            key: String::new(),
            span: error.span(),
        };
        problems.problem(
            &at,
            format!("this is no TOML: {}", error.message().replace('\n', "; ")),
            "",
        );
    }
    Raw::read_table(table.get_ref(), &Place::default(), problems)
}
