//! EC2: what to launch, where, and what an instance is told.

use usher_cloud::{Ec2Config, USER_DATA_BYTES_MAX};
use usher_fleet::config::Offer;
use usher_fleet::units::Microdollars;

use super::pool::Around;
use crate::config::problem::{Collector, Place};
use crate::config::raw::{Market, RawOffer, RawPool};
use crate::config::section::Entry;

/// The words for a launched server's addresses, in a URL.
const ADDRESSES: [&str; 2] = ["{public_ip}", "{private_ip}"];

/// Whether only the instance itself knows what is in a URL.
pub(super) fn has_address(url: &str) -> bool {
    ADDRESSES.iter().any(|word| url.contains(word))
}

/// Returns the provider's settings; `None` with a problem where something is missing.
pub(super) fn ec2(
    raw: &RawPool,
    offers: &[Offer],
    around: &Around<'_>,
    problems: &mut Collector<'_>,
) -> Option<Ec2Config> {
    if cfg!(not(feature = "ec2")) {
        let remedy = "build it with the feature `ec2`, which is on unless somebody turned it off";
        problems.problem(&raw.provider.at, "is not in this build of usher", remedy);
    }
    let Some(ec2) = raw.ec2.get() else {
        let wrong = "is missing: provider = \"ec2\" launches from your launch template";
        problems.problem(
            &raw.ec2.at,
            wrong,
            "add [pool.ec2] with launch_template, offers and subnets",
        );
        return None;
    };
    check_fleet(raw, around, problems);
    if !raw.region.is_written {
        problems.problem(
            &raw.region.at,
            "is missing",
            "write for example region = \"eu-central-1\"",
        );
    }
    let launch_template = ec2
        .launch_template
        .required("\"lt-0123456789abcdef0\"", problems)
        .cloned();
    let version = ec2.launch_template_version.required("1", problems).copied();
    let subnets = ec2
        .subnets
        .required("{ eu-central-1a = \"subnet-0123456789abcdef0\" }", problems);
    if subnets.is_some_and(std::collections::BTreeMap::is_empty) {
        let remedy = "write subnets = { eu-central-1a = \"subnet-…\" }";
        problems.problem(&ec2.subnets.at, "names no zone", remedy);
    }
    let host_url = ec2.host_url.required("\"https://usher.example.com\"", problems);
    check_url(&ec2.host_url, problems);
    check_url(&ec2.endpoint_url, problems);
    Some(Ec2Config {
        launch_template: launch_template?,
        launch_template_version: version?.into(),
        offers: offers.to_vec(),
        subnets: subnets?.clone(),
        url: raw.url.get().filter(|url| has_address(url)).cloned(),
        user_data: user_data(&ec2.user_data, around, problems)?,
        host_url: host_url?.trim_end_matches('/').to_owned(),
        tags: ec2.tags.or(Default::default()),
        endpoint_url: ec2.endpoint_url.get().cloned(),
    })
}

/// Returns what may be ordered: each type in each zone, the cheapest first, then as written.
pub(super) fn offers(raw: &RawPool, problems: &mut Collector<'_>) -> Vec<Offer> {
    let Some(ec2) = raw.ec2.get() else { return Vec::new() };
    let written = ec2.offers.get().map_or(&[][..], Vec::as_slice);
    if written.is_empty() {
        let remedy = "write for example offers = [{ instance_type = \"c5a.2xlarge\", price_per_hour = 0.348 }]";
        problems.problem(&ec2.offers.at, "names nothing to launch", remedy);
    }
    let pools_market = raw.market.get().copied().unwrap_or(Market::OnDemand);
    let zones: Vec<&String> = ec2
        .subnets
        .get()
        .into_iter()
        .flat_map(|subnets| subnets.keys())
        .collect();
    let mut offers = Vec::new();
    for offer in written {
        let market = offer.market.get().copied().unwrap_or(pools_market);
        let Some((instance_type, price_per_hour)) = kind(offer, problems) else {
            continue;
        };
        offers.extend(zones.iter().map(|zone| Offer {
            instance_type: instance_type.clone(),
            market: market.word().to_owned(),
            zone: (*zone).clone(),
            price_per_hour,
        }));
    }
    offers.sort_by_key(|offer| offer.price_per_hour);
    offers
}

fn kind(offer: &RawOffer, problems: &mut Collector<'_>) -> Option<(String, Microdollars)> {
    let instance_type = offer.instance_type.required("\"c5a.2xlarge\"", problems).cloned();
    let price = offer.price_per_hour.required("0.348", problems).copied();
    Some((instance_type?, price?))
}

/// Without a ceiling a mistake could cost any amount.
fn check_fleet(raw: &RawPool, around: &Around<'_>, problems: &mut Collector<'_>) {
    if around.fleet.guards.price_per_hour_max.is_none() {
        let wrong = "launches servers that cost money, and nothing says how much they may cost at most";
        let remedy = "write fleet_dollars_per_hour_max = 50.0 under [guards]";
        problems.problem(&raw.provider.at, wrong, remedy);
    }
}

fn check_url(url: &Entry<String>, problems: &mut Collector<'_>) {
    let is_web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    if url.get().is_some_and(|url| !is_web(url)) {
        problems.problem(
            &url.at,
            "begins with neither http:// nor https://",
            "write the whole address",
        );
    }
}

fn user_data(entry: &Entry<String>, around: &Around<'_>, problems: &mut Collector<'_>) -> Option<String> {
    let Some(file) = entry.get() else {
        return Some(usher_cloud::USER_DATA.to_owned());
    };
    let path = around.base_dir.join(file);
    let size = std::fs::metadata(&path).map(|found| found.len());
    if let Ok(bytes) = size
        && bytes > USER_DATA_BYTES_MAX as u64
    {
        let wrong = format!(
            "{} has {bytes} bytes, and EC2 takes {USER_DATA_BYTES_MAX} at most",
            path.display()
        );
        problems.problem(&entry.at, wrong, "have it fetch the rest, or put it into the image");
        return None;
    }
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            check_words(&text, &entry.at, problems);
            Some(text)
        }
        Err(error) => {
            let wrong = format!("{} cannot be read: {error}", path.display());
            problems.problem(&entry.at, wrong, "relative paths count from the config file's folder");
            None
        }
    }
}

fn check_words(text: &str, at: &Place, problems: &mut Collector<'_>) {
    for word in usher_cloud::unknown_words(text) {
        let wrong = format!("{{{{{word}}}}} in it stands for nothing");
        problems.problem(at, wrong, format!("write one of {}", usher_cloud::WORDS.join(", ")));
    }
}
