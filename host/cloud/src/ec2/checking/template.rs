//! The launch template: whether its version is there, and whether what it says goes with what Usher says.

use aws_sdk_ec2::types::{ImageState, MarketType, ResponseLaunchTemplateData};

use usher_fleet::config::Offer;

use super::super::Ec2;
use super::super::launching::SPOT;
use super::answer::refusal_of;
use crate::finding::{Finding, Verdict, listed};

/// How many versions of a template are looked through for one that is missing: a page of EC2's.
const VERSIONS_MAX: i32 = 200;

/// What an image begins with that is looked up at each launch.
const LOOKED_UP: &str = "resolve:";

/// What was found of the template.
#[derive(Default)]
pub(super) struct Template {
    pub(super) found: Vec<Finding>,
    /// Whether no launch can succeed with it.
    pub(super) is_wrong: bool,
}

impl Template {
    fn wrong(found: Vec<Finding>) -> Template {
        Template { found, is_wrong: true }
    }
}

impl Ec2 {
    pub(super) async fn look_at_template(&self, offers: &[Offer]) -> Template {
        const ACTION: &str = "DescribeLaunchTemplateVersions";
        let (id, number) = (&self.config.launch_template, self.config.launch_template_version);
        let call = self.client().await.describe_launch_template_versions();
        let answer = call.launch_template_id(id).versions(number.to_string()).send().await;
        let version = match answer {
            Ok(answer) => answer.launch_template_versions.unwrap_or_default().into_iter().next(),
            Err(error) => {
                let refusal = refusal_of(&error, ACTION);
                match refusal.code() {
                    "InvalidLaunchTemplateId.VersionNotFound" => None,
                    code if code.starts_with("InvalidLaunchTemplate") => {
                        return Template::wrong(vec![Finding::problem(format!(
                            "there is no launch template {id} in {}: write one that `aws ec2 describe-launch-templates` lists",
                            self.setup.region
                        ))]);
                    }
                    _ => {
                        let found = vec![refusal.hides(&format!("the launch template {id}"))];
                        return Template { found, is_wrong: false };
                    }
                }
            }
        };
        let Some(version) = version else {
            return Template::wrong(vec![self.missing_version().await]);
        };
        let data = version
            .launch_template_data
            .unwrap_or_else(|| ResponseLaunchTemplateData::builder().build());
        let problems = contradictions(id, number, &data, offers);
        if !problems.is_empty() {
            return Template::wrong(problems);
        }
        let image = data.image_id().unwrap_or_default();
        let well = Finding::well(format!(
            "the launch template {id} has version {number}, with the image {image}"
        ));
        let image = self.look_at_image(image).await;
        Template {
            is_wrong: image.verdict == Verdict::Problem,
            found: vec![well, image],
        }
    }

    async fn missing_version(&self) -> Finding {
        let (id, number) = (&self.config.launch_template, self.config.launch_template_version);
        let call = self.client().await.describe_launch_template_versions();
        let answer = call.launch_template_id(id).max_results(VERSIONS_MAX).send().await;
        let those = match answer {
            Ok(answer) => {
                let versions = answer.launch_template_versions().iter();
                let numbers = versions.filter_map(|version| version.version_number()).collect();
                let has = if answer.next_token().is_some_and(|token| !token.is_empty()) {
                    "its newest are"
                } else {
                    "it has"
                };
                format!("{has} {}", ranges(numbers))
            }
            Err(_) => "`aws ec2 describe-launch-template-versions` lists those that it has".to_owned(),
        };
        Finding::problem(format!("the launch template {id} has no version {number}: {those}"))
    }

    async fn look_at_image(&self, image: &str) -> Finding {
        const ACTION: &str = "DescribeImages";
        if image.starts_with(LOOKED_UP) {
            return Finding::unknown(format!(
                "the image is looked up at each launch ({image}): another may be launched without a change of this file"
            ));
        }
        let missing = || {
            Finding::problem(format!(
                "there is no image {image} that this account may launch in {}: copy it there, share it with the account, or name \
                 another in a new version of the launch template",
                self.setup.region
            ))
        };
        let call = self.client().await.describe_images();
        let answer = match call.image_ids(image).include_deprecated(true).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let refusal = refusal_of(&error, ACTION);
                return match refusal.code().starts_with("InvalidAMIID") {
                    true => missing(),
                    false => refusal.hides(&format!("the image {image}")),
                };
            }
        };
        let Some(found) = answer.images().first() else {
            return missing();
        };
        match found.state() {
            None | Some(ImageState::Available) => {
                let architecture = found.architecture().map_or("", |architecture| architecture.as_str());
                let kind = [found.name().unwrap_or_default(), architecture];
                let kind = listed(kind.iter().filter(|word| !word.is_empty()));
                Finding::well(format!("the image {image} is there ({kind})"))
            }
            Some(state) => Finding::problem(format!(
                "the image {image} is {state}, and cannot be launched: wait until it is available, or name another in a new \
                 version of the launch template"
            )),
        }
    }
}

/// Returns what a version says that does not go with what Usher says at each launch.
fn contradictions(id: &str, number: u64, data: &ResponseLaunchTemplateData, offers: &[Offer]) -> Vec<Finding> {
    let is_spot = data
        .instance_market_options()
        .is_some_and(|options| options.market_type() == Some(&MarketType::Spot));
    let wants_other = offers.iter().any(|offer| offer.market != SPOT);
    let wrong = [
        (data.image_id().is_none(), "names no image: add ImageId"),
        (
            !data.network_interfaces().is_empty(),
            "names network interfaces, with which EC2 refuses the subnet that Usher names: take NetworkInterfaces out, and name the \
             firewall in SecurityGroupIds",
        ),
        (
            data.disable_api_termination() == Some(true),
            "protects instances from termination, so that Usher could end none: take DisableApiTermination out",
        ),
        (
            is_spot && wants_other,
            "asks for spot, also where an offer is on demand: take InstanceMarketOptions out, and write market = \"spot\" \
             where you mean it",
        ),
    ];
    wrong
        .into_iter()
        .filter(|(is_so, _)| *is_so)
        .map(|(_, what)| {
            Finding::problem(format!(
                "version {number} of the launch template {id} {what}, make a new version of it, and write its number into \
                 launch_template_version"
            ))
        })
        .collect()
}

/// Returns numbers as `1 to 5 and 7`.
fn ranges(mut numbers: Vec<i64>) -> String {
    numbers.sort_unstable();
    numbers.dedup();
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    listed(runs.map(|run| match run {
        [first, .., last] => format!("{first} to {last}"),
        [only] => only.to_string(),
        [] => String::new(),
    }))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        LaunchTemplateInstanceMarketOptions, LaunchTemplateInstanceNetworkInterfaceSpecification as Interface,
    };
    use usher_fleet::units::Microdollars;

    use super::*;

    #[test]
    fn versions_are_told_as_ranges() {
        assert_eq!(ranges(vec![5, 4, 2, 1]), "1 to 2 and 4 to 5");
        assert_eq!(ranges(vec![7]), "7");
        assert_eq!(ranges(vec![9, 3, 2, 1, 7]), "1 to 3, 7 and 9");
    }

    #[test]
    fn what_a_version_says_against_usher_is_told() {
        let offer = |market: &str| Offer {
            instance_type: "c7i.large".to_owned(),
            market: market.to_owned(),
            zone: "eu-central-1a".to_owned(),
            price_per_hour: Microdollars(1),
        };
        let good = || ResponseLaunchTemplateData::builder().image_id("ami-1");
        let told = |data: ResponseLaunchTemplateData, market| {
            let found = contradictions("lt-1", 7, &data, &[offer(market)]);
            found
                .into_iter()
                .map(|finding| finding.says)
                .collect::<Vec<_>>()
                .join("\n")
        };
        let spot = LaunchTemplateInstanceMarketOptions::builder()
            .market_type(MarketType::Spot)
            .build();
        for (data, word) in [
            (ResponseLaunchTemplateData::builder(), "names no image"),
            (
                good().network_interfaces(Interface::builder().build()),
                "SecurityGroupIds",
            ),
            (good().disable_api_termination(true), "could end none"),
            (good().instance_market_options(spot.clone()), "asks for spot"),
        ] {
            let told = told(data.build(), "on-demand");
            assert!(
                told.starts_with("version 7 of the launch template lt-1 ") && told.contains(word),
                "{told}"
            );
            assert_eq!(told.lines().count(), 1, "{told}");
        }
        assert_eq!(told(good().build(), "on-demand"), "");
        assert_eq!(told(good().instance_market_options(spot).build(), SPOT), "");
    }
}
