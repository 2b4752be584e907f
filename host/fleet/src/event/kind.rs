//! The public names of what can happen.

use super::What;

impl What {
    /// All public names, as they stand in an event's `type`.
    pub const KINDS: &[&str] = &[
        "room.placed",
        "room.waiting",
        "room.moved",
        "room.released",
        "room.expired",
        "room.stale",
        "room.unknown",
        "room.unreported",
        "room.unplaceable",
        "server.requested",
        "server.ready",
        "server.silent",
        "server.recovered",
        "server.lost",
        "server.cordoned",
        "server.draining",
        "server.uncordoned",
        "server.left",
        "server.failed",
        "server.terminating",
        "server.terminated",
        "server.unknown",
        "server.adopted",
        "server.reaped",
        "scale.wanted",
        "scale.unwanted",
        "scale.refused",
        "scale.circuit_opened",
        "scale.circuit_closed",
        "scale.frozen",
        "scale.thawed",
        "scale.budget_near",
        "scale.switched",
        "scale.list_failed",
        "scale.list_recovered",
        "policy.loaded",
        "policy.refused",
        "policy.fault",
        "policy.quarantined",
        "policy.rolled_back",
        "policy.removed",
        "webhook.behind",
        "webhook.caught_up",
    ];

    /// Returns the public name.
    pub fn kind(&self) -> &'static str {
        match self {
            What::RoomPlaced(_) => "room.placed",
            What::RoomWaiting(_) => "room.waiting",
            What::RoomMoved(_) => "room.moved",
            What::RoomReleased(_) => "room.released",
            What::RoomExpired(_) => "room.expired",
            What::RoomStale(_) => "room.stale",
            What::RoomUnknown(_) => "room.unknown",
            What::RoomUnreported(_) => "room.unreported",
            What::RoomUnplaceable(_) => "room.unplaceable",
            What::ServerRequested(_) => "server.requested",
            What::ServerReady(_) => "server.ready",
            What::ServerSilent(_) => "server.silent",
            What::ServerRecovered(_) => "server.recovered",
            What::ServerLost(_) => "server.lost",
            What::ServerCordoned(_) => "server.cordoned",
            What::ServerDraining(_) => "server.draining",
            What::ServerUncordoned(_) => "server.uncordoned",
            What::ServerLeft(_) => "server.left",
            What::ServerFailed(_) => "server.failed",
            What::ServerTerminating(_) => "server.terminating",
            What::ServerTerminated(_) => "server.terminated",
            What::ServerUnknown(_) => "server.unknown",
            What::ServerAdopted(_) => "server.adopted",
            What::ServerReaped(_) => "server.reaped",
            What::ScaleWanted(_) => "scale.wanted",
            What::ScaleUnwanted(_) => "scale.unwanted",
            What::ScaleRefused(_) => "scale.refused",
            What::CircuitOpened(_) => "scale.circuit_opened",
            What::CircuitClosed(_) => "scale.circuit_closed",
            What::Frozen(_) => "scale.frozen",
            What::Thawed(_) => "scale.thawed",
            What::BudgetNear(_) => "scale.budget_near",
            What::ScalingSwitched(_) => "scale.switched",
            What::ListFailed(_) => "scale.list_failed",
            What::ListRecovered(_) => "scale.list_recovered",
            What::PolicyLoaded(_) => "policy.loaded",
            What::PolicyRefused(_) => "policy.refused",
            What::PolicyFault(_) => "policy.fault",
            What::PolicyQuarantined(_) => "policy.quarantined",
            What::PolicyRolledBack(_) => "policy.rolled_back",
            What::PolicyRemoved(_) => "policy.removed",
            What::WebhookBehind(_) => "webhook.behind",
            What::WebhookCaughtUp(_) => "webhook.caught_up",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an event of this kind.
    fn of_kind(kind: &str) -> What {
        let with = |servers: serde_json::Value| {
            let mut event = serde_json::json!({
                "type": kind, "room": "r", "server": "s", "pool": "p", "policy": "standard", "from": "s", "reason": "why",
                "receiver": "http://a", "lag_seconds": 1, "placement": 1, "seats": 1, "waited_seconds": 0, "rooms": 0,
                "price_per_hour": 0, "servers_wanted": 1, "before": 0, "asked": 1, "granted": 0, "code": "c", "silent": 1,
                "key": "k", "used": 1, "max": 2, "participants": 1,
            });
            event["servers"] = servers;
            serde_json::from_value(event)
        };
        let what = with(1.into()).or_else(|_| with(serde_json::json!([])));
        what.unwrap_or_else(|error: serde_json::Error| panic!("{kind}: {error}"))
    }

    #[test]
    fn every_kind_has_the_name_that_its_json_has() {
        for kind in What::KINDS {
            let what = of_kind(kind);
            assert_eq!(what.kind(), *kind);
            assert_eq!(serde_json::to_value(what).unwrap()["type"], *kind);
        }
        // What the reader expects instead of an unknown one is the list of all.
        let unknown = serde_json::from_str::<What>(r#"{"type":"?"}"#).unwrap_err().to_string();
        let expected: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
        assert_eq!(expected, What::KINDS);
    }
}
