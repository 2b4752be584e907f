//! The curve of a week: how many rooms each slot brings, learned week by week, in whole numbers.

/// Rooms are kept in sixteenths, so that a few weeks of one room less count although each moves the mean by less than one.
const PARTS: u32 = 16;

/// The newest week counts one part in so many: a new habit is two thirds of the mean after four weeks.
const WEEKS: i64 = 4;

/// Stands for a slot that was never seen, where a curve is saved.
const NEVER: u32 = u32::MAX;

/// What saved bytes begin with, so that a later version knows how to read them.
const VERSION: u8 = 1;

const DAY_MINUTES: u32 = 24 * 60;

/// A slot may be no shorter, in minutes: a week of them is saved in 8 KB, and a room that lives for an hour is seen in twelve.
const SLOT_MINUTES_MIN: u32 = 5;

/// The curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Curve {
    slot_minutes: u32,
    /// What was learned, by a slot's place in the week from Monday's midnight; in [`PARTS`] of a room, none where it was never
    /// seen to its end.
    slots: Vec<Option<u32>>,
    /// The slot that is not over yet, and the most rooms in it so far.
    watched: Option<Watched>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Watched {
    slot: u32,
    rooms: u32,
}

impl Curve {
    /// Makes one that has seen nothing.
    ///
    /// # Errors
    /// A week cannot be cut into such slots.
    pub(crate) fn new(slot_minutes: u32) -> Result<Self, String> {
        if !(SLOT_MINUTES_MIN..=DAY_MINUTES).contains(&slot_minutes) || !DAY_MINUTES.is_multiple_of(slot_minutes) {
            return Err(format!(
                "{slot_minutes} is not {SLOT_MINUTES_MIN} to {DAY_MINUTES}, or no whole part of a day"
            ));
        }
        Ok(Curve {
            slot_minutes,
            slots: vec![None; (7 * DAY_MINUTES / slot_minutes) as usize],
            watched: None,
        })
    }

    /// Takes in how many rooms there are in this minute of the week. A slot is learned when another begins.
    pub(crate) fn watch(&mut self, minute: u32, rooms: u32) {
        let slot = minute / self.slot_minutes;
        let most = match self.watched {
            Some(watched) if watched.slot == slot => watched.rooms.max(rooms),
            Some(over) => {
                self.learn(over);
                rooms
            }
            None => rooms,
        };
        self.watched = Some(Watched { slot, rooms: most });
    }

    /// Returns how many rooms this minute's slot brings, to the nearest: what was learned, and at least what it has brought already.
    pub(crate) fn expected(&self, minute: u32) -> u32 {
        let slot = minute / self.slot_minutes;
        let learned = self.slots.get(slot as usize).copied().flatten().unwrap_or(0);
        let seen = self.watched.filter(|watched| watched.slot == slot);
        (learned.saturating_add(PARTS / 2) / PARTS).max(seen.map_or(0, |watched| watched.rooms))
    }

    fn learn(&mut self, over: Watched) {
        let seen = i64::from(over.rooms.saturating_mul(PARTS).min(NEVER - 1));
        if let Some(slot) = self.slots.get_mut(over.slot as usize) {
            let learned = slot.map_or(seen, |mean| i64::from(mean) + (seen - i64::from(mean)) / WEEKS);
            *slot = u32::try_from(learned).ok();
        }
    }

    /// Returns what [`read`](Curve::read) reads for a pool of this name: numbers of four bytes after a header.
    pub(crate) fn to_bytes(&self, pool: &str) -> Vec<u8> {
        let watched = self
            .watched
            .map_or([NEVER, NEVER], |watched| [watched.slot, watched.rooms]);
        let slots = self.slots.iter().map(|slot| slot.unwrap_or(NEVER));
        let numbers = watched.into_iter().chain(slots).flat_map(u32::to_le_bytes);
        header(self.slot_minutes, pool).into_iter().chain(numbers).collect()
    }

    /// Takes over what was saved, if it is a curve of the same pool and the same slots.
    ///
    /// # Errors
    /// What it is instead; the curve stays as it was.
    pub(crate) fn read(&mut self, saved: &[u8], pool: &str) -> Result<(), String> {
        let numbers = saved
            .strip_prefix(&*header(self.slot_minutes, pool))
            .ok_or("it was saved for another pool, with other slots, or by a version that this one does not know")?;
        let (numbers, rest) = numbers.as_chunks::<4>();
        let numbers: Vec<u32> = numbers.iter().copied().map(u32::from_le_bytes).collect();
        let (&[slot, rooms, ref slots @ ..], true) = (&*numbers, rest.is_empty()) else {
            return Err(format!("{} bytes are cut off somewhere", saved.len()));
        };
        if slots.len() != self.slots.len() {
            return Err(format!("it has {} slots instead of {}", slots.len(), self.slots.len()));
        }
        self.slots = slots
            .iter()
            .map(|parts| Some(*parts).filter(|parts| *parts != NEVER))
            .collect();
        self.watched = (slot != NEVER).then_some(Watched { slot, rooms });
        Ok(())
    }
}

/// What makes two curves comparable. The name is ended by its length, so that none is the beginning of another.
fn header(slot_minutes: u32, pool: &str) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(slot_minutes.to_le_bytes());
    bytes.extend((pool.len() as u32).to_le_bytes());
    bytes.extend(pool.as_bytes());
    bytes
}
