//! One instance under one client token.
//!
//! The token is made of the installation, the server's number and the attempt, and so is the same for the same order over restarts,
//! and never the same for another: an attempt has one offer. EC2 answers a token that it knows with what that one made. When it is
//! not known whether a call arrived, the same call settles it.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::ProvideErrorMetadata as _;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    InstanceInterruptionBehavior, InstanceMarketOptionsRequest, InstanceType, LaunchTemplateSpecification, MarketType,
    ShutdownBehavior, SpotInstanceType, SpotMarketOptions,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use usher_fleet::config::Offer;
use usher_fleet::effect::LaunchOrder;
use usher_fleet::observation::{Instance, OrderKey, ProviderError};

use super::{Ec2, LOCK, once, refusal};
use crate::user_data::{self, USER_DATA_BYTES_MAX, Words};

/// The word of the market in which the cloud may take a machine back.
pub(super) const SPOT: &str = "spot";

impl Ec2 {
    pub(super) async fn launch_now(&self, order: &LaunchOrder) -> Result<Instance, ProviderError> {
        let (turn, client) = self.turn().await;
        let call = self.request(client, order)?;
        let answer = call.customize().config_override(once()).send().await;
        drop(turn);
        match answer {
            Ok(reservation) => {
                let described = reservation.instances().first();
                described
                    .and_then(|described| self.instance(&order.key.server, described))
                    .ok_or_else(|| ProviderError::Unknown("EC2 answered a launch without an instance".to_owned()))
            }
            Err(error) => match error.code() {
                Some(refusal::TOKEN_OF_ANOTHER | refusal::TOKEN_OF_ENDED) => {
                    self.made_before(&order.key, refusal::text(&error)).await
                }
                Some(_) | None => Err(refusal::class(&error)),
            },
        }
    }

    /// Builds the request of an order: for the launch, and for asking whether one would be accepted.
    ///
    /// # Errors
    ///
    /// The configuration has no offer, no subnet or too long a script for it.
    pub(super) fn request(
        &self,
        client: &Client,
        order: &LaunchOrder,
    ) -> Result<RunInstancesFluentBuilder, ProviderError> {
        let offer = order.offer.as_ref().ok_or_else(|| {
            let reason = "the order has no offer: give the pool [pool.ec2] offers".to_owned();
            ProviderError::Misconfigured(reason)
        })?;
        let subnet = self.config.subnets.get(&offer.zone).ok_or_else(|| {
            let reason = format!(
                "zone {} has no subnet any more: put it back into [pool.ec2] subnets",
                offer.zone
            );
            ProviderError::Misconfigured(reason)
        })?;
        Ok(client
            .run_instances()
            .client_token(self.client_token(order))
            .launch_template(
                LaunchTemplateSpecification::builder()
                    .launch_template_id(&self.config.launch_template)
                    .version(self.config.launch_template_version.to_string())
                    .build(),
            )
            .instance_type(InstanceType::from(offer.instance_type.as_str()))
            .subnet_id(subnet)
            .min_count(1)
            .max_count(1)
            .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
            .set_instance_market_options(market_options(offer))
            .set_tag_specifications(Some(self.tags_at_creation(order)))
            .user_data(self.user_data(order, offer)?))
    }

    /// Finds what this order's token has made: it was used, and cannot be used again.
    async fn made_before(&self, key: &OrderKey, why: String) -> Result<Instance, ProviderError> {
        let made = self.under(key).await?;
        let instances = made
            .iter()
            .filter_map(|described| self.instance(&key.server, described));
        let made = instances.min_by_key(|instance| instance.state as u8);
        let now = (self.clock)();
        let mut unseen = self.unseen.lock().expect(LOCK);
        let since = *unseen.entry(key.clone()).or_insert(now);
        let answer = match made {
            Some(instance) => Ok(instance),
            // What has ended is forgotten by EC2 after an hour; what was made just now, whichever of the orders made it, may not be
            // visible yet.
            None if self.is_visible_by_now(since) => Err(ProviderError::Refused(why)),
            None => return Err(ProviderError::Unknown(why)),
        };
        unseen.remove(key);
        answer
    }

    /// Returns the client token of an order: at most 64 characters, says EC2.
    fn client_token(&self, order: &LaunchOrder) -> String {
        format!("{}-{}-{}", self.installation.id, order.no, order.key.attempt)
    }

    fn user_data(&self, order: &LaunchOrder, offer: &Offer) -> Result<String, ProviderError> {
        let words = Words {
            server: order.key.server.as_str(),
            attempt: order.key.attempt.to_string(),
            pool: self.setup.name.as_str(),
            fleet: &self.setup.fleet,
            region: &self.setup.region,
            zone: &offer.zone,
            url: &self.config.host_url,
            token: (self.installation.tokens)(order.no, &order.key.server),
        };
        let script = user_data::rendered(&self.config.user_data, &words);
        if script.len() > USER_DATA_BYTES_MAX {
            let reason = format!("the user data has more than {USER_DATA_BYTES_MAX} bytes with its words replaced");
            return Err(ProviderError::Misconfigured(reason));
        }
        Ok(STANDARD.encode(script))
    }
}

fn market_options(offer: &Offer) -> Option<InstanceMarketOptionsRequest> {
    let spot = SpotMarketOptions::builder()
        .spot_instance_type(SpotInstanceType::OneTime)
        .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
        .build();
    (offer.market == SPOT).then(|| {
        InstanceMarketOptionsRequest::builder()
            .market_type(MarketType::Spot)
            .spot_options(spot)
            .build()
    })
}
