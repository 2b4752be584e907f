//! Whether EC2 would do what the configuration orders: asked by reads and dry runs alone, and told in the operator's words.
//!
//! | file | looks at |
//! |---|---|
//! | `answer` | what EC2 refuses a question with, as a sentence |
//! | `template` | the launch template, its version and its image |
//! | `places` | subnets with their zones and addresses, and types by zone |
//! | `trials` | launches, ends and consoles, as dry runs |
//!
//! It launches nothing, also where an endpoint does not know dry runs: whether it does is asked with a call that only reads.

mod answer;
mod places;
mod template;
mod trials;

use super::Ec2;
use crate::finding::Finding;
use answer::{Refusal, of_dry_run};

/// Whether to go on once EC2 has been asked the first time.
enum First {
    /// It knows the credentials.
    Answered(Finding),
    /// It does not know dry runs.
    NoDryRuns(Finding),
    /// It answers nothing that would help.
    Useless(Finding),
}

impl Ec2 {
    pub(super) async fn check_now(&self) -> Vec<Finding> {
        let (first, has_dry_runs) = match self.first_question().await {
            First::Useless(finding) => return vec![finding],
            First::Answered(finding) => (finding, true),
            First::NoDryRuns(finding) => (finding, false),
        };
        let mut found = vec![first];
        let offers = &self.config.offers;
        let template = self.look_at_template(offers).await;
        let subnets = self.look_at_subnets().await;
        let types = self.look_at_types(offers).await;
        let in_the_way = trials::InTheWay {
            is_template_wrong: template.is_wrong,
            wrong_zones: subnets.wrong_zones,
            offered: types.offered,
        };
        found.extend(template.found);
        found.extend(subnets.found);
        found.extend(types.found);
        if has_dry_runs {
            found.extend(self.try_launches(offers, &in_the_way).await);
            found.extend(self.try_on_an_instance().await);
        }
        found
    }

    /// Asks what any credentials of Usher's must be allowed.
    async fn first_question(&self) -> First {
        const ACTION: &str = "DescribeInstances";
        let region = &self.setup.region;
        let call = self.client().await.describe_instances().dry_run(true);
        match of_dry_run(call.send().await, ACTION) {
            Ok(()) => First::Answered(Finding::well(format!(
                "EC2 in {region} takes the credentials, which may list instances (ec2:{ACTION})"
            ))),
            Err(refusal @ Refusal::Forbidden { .. }) => First::Answered(Finding::problem(format!(
                "EC2 in {region} takes the credentials, and what exists cannot be listed: {refusal}"
            ))),
            Err(Refusal::NoDryRun) => First::NoDryRuns(Finding::unknown(format!(
                "{} does not know dry runs: no launch and no end is tried",
                self.endpoint()
            ))),
            Err(refusal) => First::Useless(self.useless(&refusal)),
        }
    }

    fn useless(&self, refusal: &Refusal) -> Finding {
        let (region, endpoint) = (&self.setup.region, self.endpoint());
        match refusal {
            Refusal::NoCredentials => Finding::problem(
                "no credentials were found: give this machine a role, or set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            ),
            Refusal::BadCredentials(words) => Finding::problem(format!("no credentials could be had: {words}")),
            Refusal::Silence(words) => Finding::problem(format!(
                "EC2 does not answer at {endpoint}: is region = {region:?} spelt right, and does this machine reach it? {words}"
            )),
            Refusal::Code { code, words } => match code.as_str() {
                "AuthFailure"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "SignatureDoesNotMatch"
                | "IncompleteSignature"
                | "MissingAuthenticationToken" => Finding::problem(format!(
                    "EC2 in {region} does not take the credentials: renew them, and see that key, secret and session token \
                     belong together. EC2 says: {words}"
                )),
                "RequestExpired" | "ExpiredToken" | "ExpiredTokenException" => Finding::problem(format!(
                    "the credentials have run out, or this machine's clock is wrong: renew them, or set it. EC2 says: {words}"
                )),
                "OptInRequired" | "Blocked" | "PendingVerification" => Finding::problem(format!(
                    "the account may not use EC2 in {region}: enable the region, or ask AWS. EC2 says: {words}"
                )),
                "RequestLimitExceeded" | "Throttling" | "Unavailable" | "InternalError" => Finding::unknown(format!(
                    "EC2 in {region} answers nobody or us too often just now; ask again in a minute. EC2 says: {words}"
                )),
                _ => Finding::problem(format!("EC2 in {region} does not answer the first question: {words}")),
            },
            Refusal::Forbidden { .. } | Refusal::NoDryRun | Refusal::NoQuestion(_) => {
                Finding::problem(refusal.to_string())
            }
        }
    }

    fn endpoint(&self) -> String {
        let region = &self.setup.region;
        self.config
            .endpoint_url
            .clone()
            .unwrap_or_else(|| format!("https://ec2.{region}.amazonaws.com"))
    }
}
