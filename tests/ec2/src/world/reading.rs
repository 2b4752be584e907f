//! Reads, and how late they are: who reads sees what there was to be seen a while ago.

use jiff::Timestamp;

use super::{Instance, InstanceId, InstanceState, Shown, World, earlier, seconds};
use crate::error::Ec2Error;

/// An instance as a read shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) shown: &'a Shown,
}

impl World {
    /// Returns the moment that a read at `now` shows. Each call is a read of its own.
    pub(crate) fn seen_at(&mut self, now: Timestamp) -> Timestamp {
        let lag = &self.setup.lag;
        let span = match lag.varies {
            true => lag.visibility_seconds * self.lags.unit(),
            false => lag.visibility_seconds,
        };
        earlier(now, seconds(span))
    }

    /// Returns all instances that could be seen at a moment, in the order of their launches.
    pub(crate) fn rows(&self, seen_at: Timestamp) -> Vec<Row<'_>> {
        let mut rows: Vec<Row<'_>> = self
            .instances
            .values()
            .filter_map(|instance| self.row(instance, seen_at))
            .collect();
        rows.sort_unstable_by_key(|row| row.instance.number);
        rows
    }

    /// Returns these instances as they could be seen at a moment.
    ///
    /// # Errors
    ///
    /// Some of them could not.
    pub(crate) fn rows_of(&self, seen_at: Timestamp, ids: &[InstanceId]) -> Result<Vec<Row<'_>>, Ec2Error> {
        let mut missing = Vec::new();
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            match self.instances.get(id).and_then(|instance| self.row(instance, seen_at)) {
                Some(row) => rows.push(row),
                None => missing.push(id.to_string()),
            }
        }
        if missing.is_empty() {
            Ok(rows)
        } else {
            Err(Ec2Error::InstanceNotFound(missing))
        }
    }

    /// Returns these instances as they truly are; those that do not exist are left out.
    pub(crate) fn true_rows(&self, ids: &[InstanceId]) -> Vec<Row<'_>> {
        let rows = ids.iter().filter_map(|id| self.instances.get(id)).map(|instance| Row {
            instance,
            shown: instance.shown(),
        });
        rows.collect()
    }

    /// Says whether a change finds all of these instances.
    ///
    /// # Errors
    ///
    /// Some of them it does not find.
    pub(crate) fn find_for_change(&mut self, now: Timestamp, ids: &[InstanceId]) -> Result<(), Ec2Error> {
        let seen_at = match self.setup.lag.hides_from_changes {
            true => self.seen_at(now),
            false => now,
        };
        self.rows_of(seen_at, ids).map(|_| ())
    }

    fn row<'a>(&self, instance: &'a Instance, seen_at: Timestamp) -> Option<Row<'a>> {
        let shown = instance.shown_at(seen_at)?;
        let shown_until = earlier(seen_at, seconds(self.setup.lag.terminated_seconds));
        let is_gone = shown.state == InstanceState::Terminated && shown.since <= shown_until;
        (!is_gone).then_some(Row { instance, shown })
    }
}
