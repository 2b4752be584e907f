//! Short ways to say what a policy answers.

use crate::{Placement, PlacementAdvice, PoolId, Retirement, ServerId, Shrinkage, Wait};

impl PlacementAdvice {
    /// Says that the room goes to this server.
    ///
    /// ```
    /// use usher_sdk::{Placement, PlacementAdvice};
    ///
    /// let advice = PlacementAdvice::on(7).because("fullest server with room");
    /// assert!(matches!(advice.placement, Placement::On(7)));
    /// ```
    pub fn on(server: ServerId) -> Self {
        Placement::On(server).into()
    }

    /// Says that the room waits, and which pool's server would do if the policy knows.
    pub fn wait(pool: Option<PoolId>) -> Self {
        Placement::Wait(Wait { pool, again_seconds: 0 }).into()
    }

    /// Says that the room waits, to be asked again after so many seconds even if nothing changes.
    pub fn wait_and_ask_again(pool: Option<PoolId>, again_seconds: u32) -> Self {
        Placement::Wait(Wait { pool, again_seconds }).into()
    }

    /// Says that the room is refused: the app gets 409 `rejected`.
    pub fn reject() -> Self {
        Placement::Reject.into()
    }

    /// Leaves the room to the next policy in the chain.
    pub fn defer() -> Self {
        Placement::Defer.into()
    }

    /// Adds the reason that people will read beside the decision.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

impl From<Placement> for PlacementAdvice {
    fn from(placement: Placement) -> Self {
        PlacementAdvice {
            placement,
            reason: None,
        }
    }
}

impl Shrinkage {
    /// Says that all servers of this pool stay, whatever later policies think.
    ///
    /// ```
    /// use usher_sdk::Shrinkage;
    ///
    /// assert!(Shrinkage::keep_all(3).servers.is_empty());
    /// ```
    pub fn keep_all(pool: PoolId) -> Self {
        Shrinkage {
            pool,
            servers: Vec::new(),
        }
    }
}

impl Retirement {
    /// Says that this server may go, and why.
    pub fn new(server: ServerId, reason: impl Into<String>) -> Self {
        Retirement {
            server,
            reason: reason.into(),
        }
    }
}
