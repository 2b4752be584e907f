use std::path::Path;

use usher_cloud::{ProbeConfig, ProviderConfig};
use usher_fleet::config::{FleetConfig, FleetGuards, HealthSource, PoolGuards};

use usher_fleet::units::Microdollars;

use super::*;

const POOL: &str = "[[pool]]\nname = \"a\"\nprovider = \"external\"\nrooms_per_server = 10\n";

fn parse(text: &str) -> Result<Config, ConfigProblems> {
    Config::parse(text, Path::new("/etc/usher"), &Overrides::default())
}

/// Checks that a text has exactly these problems: each `(line, key, what is wrong, what to write)`, the last two in part.
fn check(text: &str, expected: &[(usize, &str, &str, &str)]) {
    let problems = match parse(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.problems,
    };
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), expected.len(), "{text}\n{lines:#?}");
    for (problem, (line, key, wrong, remedy)) in problems.iter().zip(expected) {
        assert_eq!((problem.line, problem.key.as_str()), (Some(*line), *key), "{problem}");
        assert!(problem.wrong.contains(wrong), "{problem}\nwanted: {wrong}");
        assert!(problem.remedy.contains(remedy), "{problem}\nwanted: {remedy}");
    }
}

fn check_warning(text: &str, key: &str, wrong: &str) {
    let config = parse(text).unwrap_or_else(|problems| panic!("{problems}"));
    let found = config
        .warnings
        .iter()
        .any(|warning| warning.key == key && warning.wrong.contains(wrong));
    assert!(found, "{:#?}", config.warnings);
}

#[test]
fn every_problem_is_named_at_once_in_the_order_of_the_lines() {
    check(
        "listne = \"127.0.0.1:1\"\ntick_seconds = \"5\"\n[guards]\nfleet_servers_max = 0\n\
         [[pool]]\nname = \"a b\"\nprovider = \"aws\"\nrooms_per_server = 10\n",
        &[
            (1, "listne", "no such key", "did you mean listen?"),
            (
                2,
                "tick_seconds",
                "must be whole seconds from 1 to 3600, not \"5\"",
                "tick_seconds = 5",
            ),
            (
                4,
                "guards.fleet_servers_max",
                "from 1 to 100000, not 0",
                "fleet_servers_max = 100",
            ),
            (6, "pool[1].name", "characters A-Z", "name = \"example\""),
            (
                7,
                "pool[1].provider",
                "one of \"external\", \"simulated\", \"exec\", \"ec2\", not \"aws\"",
                "provider = \"external\"",
            ),
        ],
    );
}

#[test]
fn broken_toml_is_a_problem_with_its_line() {
    check("fleet = \"a\"\nlisten =\n", &[(2, "", "no TOML", "")]);
    check("fleet = \"a\"\nfleet = \"b\"\n", &[(2, "", "duplicate key", "")]);
}

#[test]
fn an_unknown_key_is_told_where_it_belongs() {
    check(
        "servers_max = 3\n",
        &[(1, "servers_max", "no such key", "servers_max stands under [[pool]]")],
    );
    check(
        "[guards]\nservers_min = 3\n",
        &[(2, "guards.servers_min", "no such key", "stands under [[pool]]")],
    );
    check(
        &format!("{POOL}[pool.guards]\nfleet_servers_max = 3\n"),
        &[(
            6,
            "pool[1].guards.fleet_servers_max",
            "no such key",
            "stands under [guards]",
        )],
    );
    check(
        &format!("{POOL}data_dir = \"x\"\n"),
        &[(5, "pool[1].data_dir", "no such key", "top of the file")],
    );
    check(
        "[rooms]\nxyzzy = 1\n",
        &[(2, "rooms.xyzzy", "no such key", "the keys here are settle_seconds")],
    );
}

#[test]
fn a_key_with_another_name_is_told_its_name() {
    check(
        &format!("{POOL}seats_max = 5\n"),
        &[(5, "pool[1].seats_max", "no such key", "it is called seats_per_server")],
    );
    check(
        "[[pools]]\nname = \"a\"\n",
        &[(1, "pools", "no such key", "it is called pool")],
    );
}

#[test]
fn wrong_kinds_are_named() {
    check(
        "[pool]\nname = \"a\"\n",
        &[(1, "pool", "must be a list, not a table", "[[pool]]")],
    );
    check("guards = 5\n", &[(1, "guards", "must be a table, not 5", "")]);
    check(
        "listen = \"localhost\"\n",
        &[(
            1,
            "listen",
            "an IP address and a port, not \"localhost\"",
            "listen = \"127.0.0.1:7070\"",
        )],
    );
    check(
        "[guards]\nfleet_dollars_per_hour_max = -1.0\n",
        &[(2, "guards.fleet_dollars_per_hour_max", "not -1.0", "50.0")],
    );
    check(
        "[guards]\nfleet_dollars_per_hour_max = inf\n",
        &[(2, "guards.fleet_dollars_per_hour_max", "not inf", "50.0")],
    );
    check(
        &format!("{POOL}labels = {{ tier = 1 }}\nzones = [\"a\", 2]\n"),
        &[
            (5, "pool[1].labels.tier", "must be a text", "labels = "),
            (6, "pool[1].zones[2]", "must be a text", "zones = "),
        ],
    );
}

#[test]
fn a_pool_needs_a_name_a_provider_and_a_limit() {
    check(
        "[[pool]]\nregion = \"r\"\n",
        &[
            (1, "pool[1].name", "is missing", "name = "),
            (1, "pool[1].provider", "is missing", "provider = "),
            (
                1,
                "pool[1].rooms_per_server",
                "at least one limit",
                "rooms_per_server = 10",
            ),
        ],
    );
}

#[test]
fn pool_names_are_unique() {
    check(
        &format!("{POOL}{POOL}"),
        &[(6, "pool[2].name", "a is the name of pool[1] too", "another name")],
    );
}

#[test]
fn contradictions_in_a_pool_are_problems() {
    let simulated = POOL.replace("external", "simulated");
    check(
        &format!("{POOL}servers_min = 11\n"),
        &[(
            5,
            "pool[1].servers_min",
            "more than servers_max = 10",
            "servers_max = 11",
        )],
    );
    check(
        &format!("{POOL}seats_per_server = 20\n"),
        &[(5, "pool[1].seats_per_server", "takes 50", "seats_default = 20")],
    );
    check(
        &format!("{simulated}health = \"tcp\"\n"),
        &[(5, "pool[1].health", "report by themselves", "remove")],
    );
    check(
        &format!("{POOL}[pool.simulated]\nseed = 2\n"),
        &[(5, "pool[1].simulated", "is for provider", "remove one")],
    );
    check(
        &format!("{simulated}[pool.simulated]\nreport_seconds = 20\nboot_failure_rate = 1.5\n"),
        &[
            (6, "pool[1].simulated.report_seconds", "below silent_seconds", "5.0"),
            (
                7,
                "pool[1].simulated.boot_failure_rate",
                "from 0.0 to 1.0, not 1.5",
                "0.0",
            ),
        ],
    );
    check(
        &format!("{POOL}health_path = \"x\"\n"),
        &[
            (5, "pool[1].health_path", "only asked with health", ""),
            (5, "pool[1].health_path", "begin with a slash", "/healthz"),
        ],
    );
    check(
        &format!("{POOL}url = \"media.example.com\"\n"),
        &[
            (5, "pool[1].url", "is for launched servers", "remove"),
            (5, "pool[1].url", "has no scheme", "wss://"),
            (5, "pool[1].url", "has no {server}", "wss://{server}"),
        ],
    );
    check(
        &format!("{POOL}only = {{ tenant = [] }}\n"),
        &[(5, "pool[1].only", "lets nothing in", "at least one value")],
    );
}

#[test]
fn a_room_must_outwait_a_boot() {
    check(
        "[guards]\nwaiting_seconds_max = 900\n",
        &[(2, "guards.waiting_seconds_max", "give up", "waiting_seconds_max = 1200")],
    );
    check(
        "[guards]\nboot_seconds_max = 1200\n",
        &[(2, "guards.boot_seconds_max", "give up", "waiting_seconds_max = 1500")],
    );
    let own = format!("{POOL}[pool.guards]\nboot_seconds_max = 2000\n");
    check(
        &own,
        &[(
            6,
            "pool[1].guards.boot_seconds_max",
            "give up",
            "waiting_seconds_max = 2300",
        )],
    );
    assert!(parse(&format!("[guards]\nwaiting_seconds_max = 2400\n{own}")).is_ok());
}

#[test]
fn guards_that_can_never_hold_are_problems() {
    check(
        "[guards]\nboot_failures_max = 5\n",
        &[(2, "guards.boot_failures_max", "never open", "boot_failures_window = 10")],
    );
    let kept = POOL.replace("external", "simulated") + "servers_min = 9\n";
    check(
        &format!("[guards]\nfleet_servers_max = 8\n{kept}"),
        &[(2, "guards.fleet_servers_max", "9 together", "raise")],
    );
    check(
        "[servers]\nlost_seconds = 10\n",
        &[(2, "servers.lost_seconds", "lost before it is silent", "60")],
    );
}

#[test]
fn without_tokens_only_loopback_is_listened_on() {
    check(
        "listen = \"0.0.0.0:7070\"\n",
        &[(1, "listen", "without [auth]", "listen = \"127.0.0.1:7070\"")],
    );
    assert!(parse("listen = \"[::1]:7070\"\n").is_ok());
    let text = format!(
        "listen = \"0.0.0.0:7070\"\n[auth]\nadmin_tokens = [\"{}\"]\n",
        TokenHash::of("a")
    );
    assert!(parse(&text).is_ok());
    let overrides = Overrides {
        listen: "0.0.0.0:1".parse().ok(),
        data_dir: None,
    };
    let problems = Config::parse(POOL, Path::new("/"), &overrides).unwrap_err();
    assert!(problems.to_string().contains("without [auth]"), "{problems}");
}

#[test]
fn tokens_are_hashes_bound_as_their_scope_says() {
    let hash = |token: &str| TokenHash::of(token).to_string();
    let (a, b, c, d) = (hash("a"), hash("b"), hash("c"), hash("d"));
    let config = parse(&format!(
        "[auth]\nadmin_tokens = [\"{a}\"]\napp_tokens = [\"{b}\", {{ hash = \"{c}\", tenant = \"acme\" }}]\n\
         register_tokens = [{{ hash = \"{d}\", pool = \"a\" }}]\n{POOL}"
    ));
    let auth = config.unwrap().auth.unwrap();
    assert_eq!(auth.admin, [TokenHash::of("a")]);
    assert_eq!(
        auth.app[0],
        AppToken {
            hash: TokenHash::of("b"),
            tenant: None
        }
    );
    assert_eq!(
        auth.app[1],
        AppToken {
            hash: TokenHash::of("c"),
            tenant: "acme".parse().ok()
        }
    );
    assert_eq!(
        auth.register,
        [RegisterToken {
            hash: TokenHash::of("d"),
            pool: "a".parse().unwrap()
        }]
    );
    check("[auth]\n", &[(1, "auth", "no tokens", "admin_tokens")]);
    check(
        &format!("[auth]\nadmin_tokens = [\"{a}\", \"{a}\"]\n"),
        &[(2, "auth.admin_tokens[2]", "same token as", "one scope")],
    );
    check(
        &format!("[auth]\nadmin_tokens = [\"{a}\"]\nregister_tokens = [\"{b}\", {{ hash = \"{c}\", pool = \"z\" }}]\n"),
        &[
            (3, "auth.register_tokens[1].pool", "is missing", "pool = "),
            (3, "auth.register_tokens[2].pool", "no pool z", "[[pool]]"),
        ],
    );
}

#[test]
fn a_token_written_instead_of_its_hash_is_never_repeated() {
    let problems = parse("[auth]\nadmin_tokens = [\"secret-secret\"]\n").unwrap_err();
    assert!(problems.to_string().contains("64 hexadecimal digits"), "{problems}");
    assert!(!problems.to_string().contains("secret-secret"), "{problems}");
}

#[test]
fn programs_must_exist_and_be_executable() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plain.sh"), "").unwrap();
    let text = "[[pool]]\nname = \"a\"\nprovider = \"exec\"\nrooms_per_server = 1\n[pool.exec]\n\
                launch = [\"./missing.sh\"]\nterminate = [\"./plain.sh\"]\nlist = [\"sh\", \"list.sh\"]\n";
    let problems = Config::parse(text, folder.path(), &Overrides::default())
        .unwrap_err()
        .problems;
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(
        problems[0].wrong.contains("missing.sh cannot be found"),
        "{}",
        problems[0]
    );
    assert!(problems[1].remedy.contains("chmod +x"), "{}", problems[1]);
    check(
        "[[pool]]\nname = \"a\"\nprovider = \"exec\"\nrooms_per_server = 1\n",
        &[(1, "pool[1].exec", "is missing", "[pool.exec]")],
    );
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    check_warning(POOL, "policies_dir", "no folder /etc/usher/policies");
    check_warning(&format!("{POOL}health = \"none\"\n"), "pool[1].health", "nobody looks");
    check_warning(
        &format!("{POOL}health_interval_seconds = 20\n"),
        "pool[1].health_interval_seconds",
        "late probe",
    );
    let dear = format!(
        "[guards]\nfleet_dollars_per_hour_max = 5\n{}",
        POOL.replace("external", "simulated")
    );
    check_warning(&dear, "pool[1].price_per_hour", "count these servers as free");
    let app = format!("[auth]\napp_tokens = [\"{}\"]\n", TokenHash::of("a"));
    check_warning(&app, "auth.admin_tokens", "nobody can drain");
}

#[test]
fn pools_take_guards_from_the_file_and_put_their_own_over_them() {
    let config = parse(&format!(
        "[guards]\nlaunches_in_flight_max = 3\nserver_life_seconds_min = 30\n{POOL}servers_max = 4\n\
         [pool.guards]\nserver_life_seconds_min = 40\n"
    ));
    let guards = &config.unwrap().fleet.pools[0].guards;
    assert_eq!((guards.launches_in_flight_max, guards.servers_max), (3, 4));
    assert_eq!(guards.server_life_min, Duration::from_secs(40));
    assert_eq!(guards.boot_max, PoolGuards::default().boot_max);
}

#[test]
fn health_is_probed_unless_the_servers_report() {
    let config = parse(&format!(
        "{POOL}{}",
        POOL.replace("\"a\"", "\"b\"").replace("external", "simulated")
    ))
    .unwrap();
    assert_eq!(config.fleet.pools[0].health, HealthSource::Probe);
    assert!(matches!(config.pools[0].probe, ProbeConfig::Tcp(_)));
    assert_eq!(config.fleet.pools[1].health, HealthSource::Report);
    assert!(matches!(config.pools[1].provider, ProviderConfig::Simulated(_)));
}

#[test]
fn without_a_file_there_is_one_external_pool() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::without_file(folder.path());
    assert_eq!(config.fleet.pools.len(), 1);
    assert_eq!(config.fleet.pools[0].name.as_str(), "default");
    assert!(!config.fleet.pools[0].automatic);
    assert_eq!(config.data_dir, folder.path().join("usher-data"));
    assert!(config.listen.ip().is_loopback());
}

#[test]
fn the_reference_is_a_file_that_means_the_defaults() {
    let config = parse(&reference()).unwrap_or_else(|problems| panic!("{problems}\n{}", reference()));
    let default = parse(POOL).unwrap();
    assert_eq!(config.fleet.guards, FleetGuards::default());
    assert_eq!(config.fleet.pools[0].guards, PoolGuards::default());
    assert_eq!(
        FleetConfig {
            pools: Vec::new(),
            ..config.fleet.clone()
        },
        FleetConfig::default()
    );
    assert_eq!(
        (&config.events, &config.bill, &config.auth),
        (&default.events, &default.bill, &default.auth)
    );
    assert_eq!((config.listen, &config.data_dir), (default.listen, &default.data_dir));
    let renamed = |name: &str| usher_fleet::config::PoolConfig {
        name: name.parse().unwrap(),
        ..config.fleet.pools[0].clone()
    };
    assert_eq!(renamed("a"), default.fleet.pools[0]);
    assert_eq!(config.pools[0].probe, default.pools[0].probe);
}

#[test]
fn every_example_in_the_reference_is_of_its_keys_kind() {
    let uncommented: Vec<String> = reference()
        .lines()
        .map(|line| {
            if line.starts_with("# ") {
                line
            } else {
                line.trim_start_matches('#')
            }
            .to_owned()
        })
        .collect();
    let text = uncommented.join("\n");
    let mut problems = problem::Collector::new(&text);
    raw::read(&text, &mut problems);
    let found = problems.finish(parse(POOL).unwrap());
    assert!(found.is_ok(), "{}\n{text}", found.unwrap_err());
}

#[test]
fn every_key_is_in_the_reference() {
    fn names(section: &'static section::Section, found: &mut Vec<&'static str>) {
        for key in section.all_keys() {
            found.push(key.name);
            if let Some(within) = key.section {
                names(within, found);
            }
        }
    }
    let mut keys = Vec::new();
    names(raw::FILE, &mut keys);
    assert!(keys.len() > 70, "{}", keys.len());
    let text = reference();
    for key in keys {
        let written = [
            format!("\n{key} = "),
            format!("\n#{key} = "),
            format!("{key}]"),
            format!(" {key} = "),
        ];
        assert!(
            written.iter().any(|written| text.contains(written)),
            "{key} is missing in\n{text}"
        );
    }
}

#[test]
fn the_examples_in_the_repository_have_no_problem() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/aws/usher.toml");
    let config = Config::load(Some(&file)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.fleet.pools[0].offers.len(), 6);
    let keys: Vec<&str> = config.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert!(keys == ["policies_dir"] || keys.is_empty(), "{:?}", config.warnings);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/janus/usher.toml");
    let config = Config::load(Some(&file)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.fleet_name, "janus-example");
    let ProviderConfig::Exec(exec) = &config.pools[0].provider else {
        panic!("{:?}", config.pools[0])
    };
    assert_eq!(exec.launch, ["./launch.sh"]);
}

#[test]
fn a_file_that_cannot_be_read_says_what_to_do() {
    let problems = Config::load(Some(Path::new("/nowhere/usher.toml"))).unwrap_err();
    assert!(problems.to_string().contains("/nowhere/usher.toml"), "{problems}");
    assert!(problems.to_string().contains("usher config reference"), "{problems}");
}

#[test]
fn a_reload_keeps_provider_and_region_of_a_pool() {
    let older = parse(POOL).unwrap();
    assert_eq!(older.check_reload(&older), ReloadCheck::default());
    let moved = parse(&format!("{POOL}region = \"elsewhere\"\n").replace("external", "simulated")).unwrap();
    let keys: Vec<String> = older
        .check_reload(&moved)
        .problems
        .into_iter()
        .map(|problem| problem.key)
        .collect();
    assert_eq!(keys, ["pool a.provider", "pool a.region"]);
    let other = parse(&format!("listen = \"127.0.0.1:1\"\n{}", POOL.replace("\"a\"", "\"b\""))).unwrap();
    let check = older.check_reload(&other);
    assert_eq!((check.problems.len(), check.warnings.len()), (0, 1), "{check:#?}");
    assert!(
        check.warnings[0].to_string().contains("restart"),
        "{}",
        check.warnings[0]
    );
}

#[test]
fn the_summary_says_what_holds_and_what_is_missing() {
    let text = summary(&parse(POOL).unwrap()).join("\n");
    for part in [
        "listening on http://127.0.0.1:7070",
        "no [auth]: loopback only",
        "at most 100 servers, no limit an hour",
        "pool a: external in default, servers register, 10 rooms each, $0.000 an hour, probed",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let missing_with = |text: &str| missing(&parse(text).unwrap()).join("\n");
    assert!(missing_with(POOL).contains("nobody launches servers of the pool a"));
    assert!(missing_with("").contains("there is no pool"));
    assert_eq!(missing_with(&POOL.replace("external", "simulated")), "");
}

/// A pool on EC2, as short as it can be.
const EC2: &str = r#"fleet = "acme"
[guards]
fleet_dollars_per_hour_max = 10.0
[[pool]]
name = "frankfurt"
provider = "ec2"
region = "eu-central-1"
rooms_per_server = 10
[pool.ec2]
launch_template = "lt-0123456789abcdef0"
launch_template_version = 7
offers = [{ instance_type = "c5.2xlarge", price_per_hour = 0.388 }, { instance_type = "c5a.2xlarge", price_per_hour = 0.348, market = "spot" }]
subnets = { eu-central-1b = "subnet-b", eu-central-1a = "subnet-a" }
host_url = "https://usher.example.com/"
"#;

#[test]
fn what_may_be_ordered_on_ec2_is_every_type_in_every_zone_the_cheapest_first() {
    let config = parse(EC2).unwrap_or_else(|problems| panic!("{problems}"));
    let pool = &config.fleet.pools[0];
    let offers: Vec<_> = pool
        .offers
        .iter()
        .map(|offer| (offer.instance_type.as_str(), offer.market.as_str(), offer.zone.as_str()))
        .collect();
    assert_eq!(
        offers,
        [
            ("c5a.2xlarge", "spot", "eu-central-1a"),
            ("c5a.2xlarge", "spot", "eu-central-1b"),
            ("c5.2xlarge", "on-demand", "eu-central-1a"),
            ("c5.2xlarge", "on-demand", "eu-central-1b"),
        ]
    );
    assert_eq!(pool.price_per_hour, Microdollars(348_000), "policies see the cheapest");
    assert_eq!(
        (pool.health, pool.automatic, &pool.url),
        (HealthSource::Report, true, &None)
    );
    let ProviderConfig::Ec2(ec2) = &config.pools[0].provider else {
        panic!()
    };
    assert_eq!(
        (ec2.launch_template_version, ec2.host_url.as_str()),
        (7, "https://usher.example.com")
    );
    assert_eq!(ec2.user_data, usher_cloud::USER_DATA);
}

#[test]
fn an_address_that_only_the_instance_knows_is_its_providers_to_say() {
    let with = |url: &str| EC2.replace("rooms_per_server", &format!("url = \"{url}\"\nrooms_per_server"));
    let urls = |text: &str| {
        let config = parse(text).unwrap_or_else(|problems| panic!("{problems}"));
        let ProviderConfig::Ec2(ec2) = &config.pools[0].provider else {
            panic!()
        };
        (config.fleet.pools[0].url.clone(), ec2.url.clone())
    };
    let named = "wss://{server}.media.example.com";
    assert_eq!(urls(&with(named)), (Some(named.to_owned()), None));
    let addressed = "wss://{public_ip}:8188";
    assert_eq!(urls(&with(addressed)), (None, Some(addressed.to_owned())));
}

#[test]
fn what_is_missing_for_ec2_is_named_at_once() {
    let text = "fleet = \"acme\"\n[[pool]]\nname = \"a\"\nprovider = \"ec2\"\nrooms_per_server = 10\n[pool.ec2]\n";
    let problems = parse(text).unwrap_err().problems;
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    for key in [
        "pool[1].provider",
        "pool[1].region",
        "pool[1].ec2.launch_template",
        "pool[1].ec2.launch_template_version",
        "pool[1].ec2.offers",
        "pool[1].ec2.subnets",
        "pool[1].ec2.host_url",
    ] {
        assert!(keys.contains(&key), "{key} is not among {keys:?}");
    }
    let ceiling = |problem: &Problem| problem.remedy.contains("fleet_dollars_per_hour_max");
    assert!(problems.iter().any(ceiling), "{problems:?}");
}

#[test]
fn user_data_is_read_when_the_file_is_and_its_words_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let with = |file: &str| format!("{EC2}user_data = \"{file}\"\n");
    let read = |text: &str| Config::parse(text, folder.path(), &Overrides::default());
    std::fs::write(folder.path().join("good.sh"), "#!/bin/sh\necho {{server}} ${HOME}\n").unwrap();
    std::fs::write(folder.path().join("typo.sh"), "{{sever}}").unwrap();
    std::fs::write(folder.path().join("long.sh"), "x".repeat(16_385)).unwrap();
    let config = read(&with("good.sh")).unwrap_or_else(|problems| panic!("{problems}"));
    let ProviderConfig::Ec2(ec2) = &config.pools[0].provider else {
        panic!()
    };
    assert!(ec2.user_data.contains("{{server}}"));
    for (file, wrong) in [
        ("typo.sh", "{{sever}} in it stands for nothing"),
        ("long.sh", "has 16385 bytes"),
        ("none.sh", "cannot be read"),
    ] {
        let problems = read(&with(file)).unwrap_err().problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].wrong.contains(wrong), "{}", problems[0]);
    }
}

/// Returns what a `[webhook]` with these lines is read as, beside a file `good` with a secret and others.
fn webhook(lines: &str) -> Result<Config, ConfigProblems> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good");
    std::fs::write(&good, format!("{}\n", crate::webhook::new_secret().unwrap())).unwrap();
    std::fs::set_permissions(&good, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(folder.path().join("bad"), "whsec_secret").unwrap();
    let text = format!("[webhook]\n{lines}");
    Config::parse(&text, folder.path(), &Overrides::default())
}

#[test]
fn a_webhook_is_whom_to_call_with_a_secret_about_what() {
    let config = webhook("url = \"https://app.example.com/usher?a=b\"\nsecret_file = \"good\"\n").unwrap();
    let read = config.webhook.clone().unwrap();
    assert_eq!(read.receiver(), "https://app.example.com");
    assert_eq!(read.timeout.as_secs(), 10);
    assert!(read.choice.has("server.lost") && !read.choice.has("room.placed"));
    assert!(
        summary(&config)
            .iter()
            .any(|line| line.starts_with("webhook: https://app.example.com is told 13 of"))
    );
    let chosen = webhook(
        "url = \"http://[::1]:9/\"\nsecret_file = \"good\"\nevents = [\"policy.*\", \"room.moved\"]\ntimeout_seconds = 3\n",
    );
    let config = chosen.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(
        !config.warnings.iter().any(|warning| warning.key.starts_with("webhook")),
        "{:?}",
        config.warnings
    );
    assert_eq!(config.webhook.unwrap().choice.count(), 7);
    assert!(parse(POOL).unwrap().webhook.is_none());
}

#[test]
fn what_is_wrong_with_a_webhook_is_named_at_once_and_its_secret_is_not_shown() {
    let cases: [(&str, &[(&str, &str)]); 6] = [
        (
            "",
            &[("webhook.url", "is missing"), ("webhook.secret_file", "is missing")],
        ),
        (
            "url = \"ftp://a\"\nsecret_file = \"bad\"\nevents = [\"server.lots\"]\n",
            &[
                ("webhook.url", "must be an address that begins with http:// or https://"),
                (
                    "webhook.secret_file",
                    "must hold a secret as `usher webhook new-secret` makes it",
                ),
                (
                    "webhook.events[1]",
                    "did you mean server.lost? The types are room.placed, ",
                ),
            ],
        ),
        (
            "url = \"https://me:word@a\"\nsecret_file = \"none\"\nevents = []\n",
            &[
                ("webhook.url", "has no user in it"),
                ("webhook.secret_file", "usher webhook new-secret /"),
                ("webhook.events", "chooses no events"),
            ],
        ),
        (
            "url = \"https://a\"\nsecret_file = \"good\"\nevents = [7]\n",
            &[("webhook.events[1]", "must be the type of an event")],
        ),
        (
            "url = \"https://a\"\nsecret_file = \"good\"\nevents = [\"xyzzy.*\"]\ntimeout_seconds = 0\n",
            &[
                ("webhook.events[1]", "\"server.*\" is a group"),
                ("webhook.timeout_seconds", "from 1 to 60"),
            ],
        ),
        (
            "url = \"https://a\"\nsecret = \"whsec_word\"\nsecret_file = \"good\"\n",
            &[("webhook.secret", "it is called secret_file")],
        ),
    ];
    for (lines, expected) in cases {
        let problems = webhook(lines).unwrap_err().problems;
        assert_eq!(problems.len(), expected.len(), "{lines}\n{problems:#?}");
        for (problem, (key, said)) in problems.iter().zip(expected) {
            let text = problem.to_string();
            assert_eq!(problem.key, *key, "{text}");
            assert!(text.contains(said), "{text}\nwanted: {said}");
            assert!(!text.contains("whsec_secret") && !text.contains("whsec_word"), "{text}");
        }
    }
}

#[test]
fn a_webhook_that_is_allowed_and_probably_not_meant_is_warned_of() {
    for (lines, key, wrong) in [
        (
            "url = \"http://example.com/\"\nsecret_file = \"good\"\n",
            "webhook.url",
            "everybody on the way can read it",
        ),
        (
            "url = \"https://a/\"\nsecret_file = \"good\"\nevents = [\"server.*\"]\n",
            "webhook.events",
            "has server.lost and not room.moved",
        ),
    ] {
        let warnings = webhook(lines).unwrap().warnings;
        let found = warnings
            .iter()
            .any(|warning| warning.key == key && warning.wrong.contains(wrong));
        assert!(found, "{lines}\n{warnings:#?}");
    }
}
