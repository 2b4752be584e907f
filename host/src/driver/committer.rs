//! The store's thread: makes what has gathered durable, and only then lets it out.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{oneshot, watch};
use usher_store::{Batch, EventId, Store, StoreError};

use super::decisions::Decisions;
use super::outbox::{Bundle, Outbox, Parcel, World};
use crate::metrics;

/// Where everything leaves.
pub(super) struct Gate {
    pub(super) world: Arc<dyn World>,
    pub(super) decisions: Decisions,
}

impl Gate {
    /// Lets out what a bundle holds; all that it speaks of is durable.
    pub(super) fn let_out(&self, bundle: Bundle) {
        self.decisions.add(bundle.decisions);
        for parcel in bundle.parcels {
            // Whoever asked may have gone; then nobody is told.
            match parcel {
                Parcel::Answer(tell, answer) => drop(tell.send(answer)),
                Parcel::Report(tell, answer) => {
                    for tell in tell {
                        drop(tell.send(answer.clone().map(|answer| *answer)));
                    }
                }
                Parcel::Say(say) => say(),
                Parcel::Effect(effect) => self.world.run(effect),
                Parcel::Scale(ask, cursor, changes) => self.world.scale(*ask, cursor, changes),
            }
        }
    }
}

/// Commits until the outbox is closed, or the store fails. After a failure nothing is let out any more: what became of the
/// batch is unknown, so its questions stay without an answer and the process ends.
pub(super) fn run(
    outbox: &Outbox,
    mut store: Box<dyn Store>,
    gate: &Gate,
    newest: &watch::Sender<EventId>,
    fail: oneshot::Sender<StoreError>,
) {
    while let Some(mut bundle) = outbox.take() {
        if let Some(no) = bundle.no {
            let writes = std::mem::take(&mut bundle.writes);
            let batch = Batch {
                no,
                writes,
                events: std::mem::take(&mut bundle.events),
            };
            let began = Instant::now();
            if let Err(error) = store.commit(&batch) {
                outbox.fail();
                drop(fail.send(error));
                return;
            }
            metrics::batch_committed(began.elapsed(), bundle.inputs);
            if let Some(index) = batch.events.len().checked_sub(1) {
                newest.send_replace(EventId::new(no, u32::try_from(index).unwrap_or(u32::MAX)));
            }
        }
        gate.let_out(bundle);
        outbox.done();
    }
}
