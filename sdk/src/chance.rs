//! Chance that can be repeated: numbers that follow from a decision's seed and nothing else.

use crate::{Moment, Timestamp};

/// A small generator of numbers that look random; made by [`Moment::chance`].
///
/// It is SplitMix64: a counter that starts at the seed and grows by the odd number nearest to 2⁶⁴/φ, of which each value is mixed by
/// two multiplications and three shifts ([`Chance::number`] takes the upper half). The algorithm is part of what this crate promises:
/// the same seed gives the same numbers natively, in a module, and in a replay years later. It is no secret, so it
/// must not make any.
///
/// ```
/// use usher_sdk::Moment;
///
/// let moment = Moment { seed: 42, ..Moment::at(1_000) };
/// let mut chance = moment.chance();
/// let zones = ["a", "b", "c"];
/// assert_eq!(chance.pick(&zones), Some(&"c"));
/// assert_eq!(chance.below(100), 15);
///
/// let mut again = moment.chance();
/// assert_eq!(again.pick(&zones), Some(&"c"), "the same moment begins anew");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chance {
    counter: u64,
}

impl Chance {
    /// Makes a generator from a seed of one's own: a room's size mixed with a setting, say. Most policies want
    /// [`Moment::chance`].
    ///
    /// ```
    /// use usher_sdk::Chance;
    ///
    /// assert_eq!(Chance::new(7).number(), Chance::new(7).number());
    /// assert_ne!(Chance::new(7).number(), Chance::new(8).number());
    /// ```
    pub fn new(seed: u64) -> Self {
        Chance { counter: seed }
    }

    /// Returns the next number, of all 2³² equally likely.
    ///
    /// ```
    /// let mut chance = usher_sdk::Chance::new(0);
    /// assert_eq!([chance.number(), chance.number()], [0xe220_a839, 0x6e78_9e6a]);
    /// ```
    pub fn number(&mut self) -> u32 {
        (self.mixed() >> 32) as u32
    }

    /// Returns a number from 0 to `n - 1`, each exactly as likely as the others; 0 where `n` is 0.
    ///
    /// ```
    /// let mut chance = usher_sdk::Chance::new(1);
    /// assert!((0..1_000).all(|_| chance.below(6) < 6));
    /// assert_eq!(chance.below(0), 0);
    /// ```
    pub fn below(&mut self, n: u32) -> u32 {
        // Lemire's way: the number's place in n equal parts of 2³². The first few of each part are too many to divide evenly;
        // a number among them is drawn again.
        let too_many = n.wrapping_neg().checked_rem(n).unwrap_or(0);
        loop {
            let product = u64::from(self.number()) * u64::from(n);
            if product as u32 >= too_many {
                return (product >> 32) as u32;
            }
        }
    }

    /// Returns one of these, each as likely as the others; none where there are none.
    ///
    /// ```
    /// let mut chance = usher_sdk::Chance::new(1);
    /// let servers = ["a", "b"];
    /// assert!(chance.pick(&servers).is_some());
    /// assert_eq!(chance.pick::<u32>(&[]), None);
    /// ```
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        // More than 2³² of anything does not fit into a module's memory.
        let len = u32::try_from(of.len()).unwrap_or(u32::MAX);
        of.get(self.below(len) as usize)
    }

    /// Steps the counter and mixes it; the constants are Steele, Lea and Flood's.
    fn mixed(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.counter;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Moment {
    /// Makes the moment at which a room is asked about: its seed follows from the room's name and the time.
    ///
    /// ```
    /// use usher_sdk::Moment;
    ///
    /// let moment = Moment::of_room(1_000, "standup-42");
    /// assert_eq!(moment, Moment::of_room(1_000, "standup-42"));
    /// assert_ne!(moment.seed, Moment::of_room(1_000, "standup-43").seed);
    /// assert_ne!(moment.seed, Moment::of_room(1_001, "standup-42").seed);
    /// ```
    pub fn of_room(now: Timestamp, room: &str) -> Self {
        let (words, rest) = room.as_bytes().as_chunks();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
        let seed = words.fold(now.into(), |seed, word| Chance::new(seed ^ word).mixed());
        Moment {
            now,
            seed: (seed >> 32) as u32,
            decision: 0,
        }
    }

    /// Makes the moment at which a scale decision is asked for: its seed follows from the decision's number.
    ///
    /// ```
    /// use usher_sdk::Moment;
    ///
    /// let moment = Moment::of_decision(1_000, 7);
    /// assert_eq!(moment.decision, 7);
    /// assert_ne!(moment.seed, Moment::of_decision(1_000, 8).seed);
    /// ```
    pub fn of_decision(now: Timestamp, decision: u32) -> Self {
        Moment {
            now,
            seed: Chance::new(decision.into()).number(),
            decision,
        }
    }

    /// Makes the chance of this decision, from its seed; asked again it begins anew, so keep it in a variable.
    ///
    /// Each room in each second, and each turn of a scale decision, has a seed of its own, so different questions get different numbers.
    ///
    /// ```
    /// use usher_sdk::Moment;
    ///
    /// let mut chance = Moment { seed: 9, ..Moment::at(0) }.chance();
    /// let one_in_ten = chance.below(10) == 0;
    /// # let _ = one_in_ten;
    /// ```
    pub fn chance(self) -> Chance {
        Chance::new(self.seed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_algorithm() {
        let mut chance = Chance::new(1_234_567);
        let numbers: Vec<_> = (0..5).map(|_| chance.mixed()).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn every_number_below_is_as_likely_as_the_others() {
        for n in [1, 2, 3, 7, 10, 64] {
            let (mut chance, each) = (Chance::new(n.into()), 10_000);
            let mut seen = vec![0_u32; n as usize];
            (0..n * each).for_each(|_| seen[chance.below(n) as usize] += 1);
            // Ten thousand draws stray by a hundred; five times that is not chance.
            assert!(
                seen.iter().all(|count| count.abs_diff(each) < 500),
                "below {n}: {seen:?}"
            );
        }
    }

    /// Of 2³² numbers each one below 3·2³⁰ gets one, and every third a second: without drawing again it came up twice as often.
    #[test]
    fn a_large_bound_is_not_biased() {
        let n = 3 << 30;
        let mut chance = Chance::new(3);
        let mut thirds = [0_u32; 3];
        (0..30_000).for_each(|_| thirds[(chance.below(n) % 3) as usize] += 1);
        assert!(thirds.iter().all(|count| count.abs_diff(10_000) < 500), "{thirds:?}");
        assert!((0..1_000).all(|_| chance.below(u32::MAX) < u32::MAX));
    }

    #[test]
    fn neighbouring_seeds_have_nothing_in_common() {
        let firsts: Vec<_> = (0..1_000).map(|seed| Chance::new(seed).below(2)).collect();
        let ones: u32 = firsts.iter().sum();
        assert!(ones.abs_diff(500) < 80, "{ones} of 1000");
        assert_eq!(Chance::new(1).below(1), 0);
        assert_eq!(Chance::new(1).below(0), 0);
    }
}
