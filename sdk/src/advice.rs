//! Short ways to say what a policy answers.

use crate::{Placement, PlacementAdvice, PoolId, Retirement, ServerId, Shrinkage, Wait};

/// ```
/// use usher_sdk::{Placement, PlacementAdvice, Wait};
///
/// assert_eq!(PlacementAdvice::wait(None).placement, Placement::Wait(Wait { pool: None, again_seconds: 0 }));
/// assert_eq!(PlacementAdvice::reject().placement, Placement::Reject);
/// assert_eq!(PlacementAdvice::defer().placement, Placement::Defer);
/// ```
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
    ///
    /// ```
    /// use usher_sdk::{Moment, PlacementAdvice, RoomRequest};
    ///
    /// /// Holds out for a cheap server for a minute.
    /// fn hold_out(room: &RoomRequest, cheap: u32) -> PlacementAdvice {
    ///     match 60_u32.saturating_sub(room.waited_seconds) {
    ///         0 => PlacementAdvice::defer(),
    ///         left => PlacementAdvice::wait_and_ask_again(Some(cheap), left).because("a cheap server may come"),
    ///     }
    /// }
    /// # assert!(hold_out(&RoomRequest::new("a", 1), 1).reason.is_some());
    /// ```
    pub fn wait_and_ask_again(pool: Option<PoolId>, again_seconds: u32) -> Self {
        Placement::Wait(Wait { pool, again_seconds }).into()
    }

    /// Says that the room is refused: the app gets 409 `rejected`. A room that waits, or has lost its server, ends (`room.expired`).
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
    ///
    /// ```
    /// use usher_sdk::{Retirement, Shrinkage};
    ///
    /// let night = Shrinkage { pool: 1, servers: vec![Retirement::new(7, "the night needs two fewer")] };
    /// assert_eq!(night.servers[0].reason, "the night needs two fewer");
    /// ```
    pub fn new(server: ServerId, reason: impl Into<String>) -> Self {
        Retirement {
            server,
            reason: reason.into(),
        }
    }
}
