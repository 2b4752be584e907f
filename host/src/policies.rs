//! What the policies' threads need of the host: the view between two inputs, and somewhere to leave what they have to say.

use std::sync::mpsc;

use usher_fleet::advice::ScaleAnswer;
use usher_fleet::event::PolicyEvent;
use usher_fleet::{Cursor, Observation};
use usher_policy::{PlaceChain, PolicyHost, Snapshot};

use crate::driver::{Chain, Mailbox};

/// Passes on between the policies' threads and the driver.
#[derive(Debug)]
pub struct BetweenInputs(pub Mailbox);

impl PolicyHost for BetweenInputs {
    fn snapshot(&self) -> Option<Snapshot> {
        let (tell, told) = mpsc::sync_channel(1);
        self.0.run(move |fleet, now| {
            let snapshot = Snapshot {
                cursor: fleet.cursor(),
                now,
                rows: fleet.changes_since(Cursor::START).collect(),
            };
            // The loader may have ended while it waited.
            let _ = tell.send(snapshot);
        });
        told.recv().ok()
    }

    fn event(&self, event: PolicyEvent) {
        self.0.observe(Observation::Policy(event));
    }

    fn scaled(&self, answer: ScaleAnswer) {
        self.0.observe(Observation::Scaled(answer));
    }

    fn chain_changed(&self) {
        self.0.chain_changed();
    }
}

impl Chain for PlaceChain {
    fn swap(&mut self) -> bool {
        PlaceChain::swap(self)
    }
}
