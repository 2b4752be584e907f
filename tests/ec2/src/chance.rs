//! Chance that can be repeated: streams of numbers, each made from the seed and the stream's name alone.
//!
//! Each kind of question has a stream of its own, so that asking one more question of one kind changes no answer of another.

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    /// Begins the stream `name` of `seed`.
    pub(crate) fn new(seed: u64, name: &str) -> Chance {
        const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
        let name = name.bytes().fold(FNV_OFFSET, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
        });
        Chance {
            state: mix(seed) ^ name,
        }
    }

    /// Draws 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// Draws from 0.0 up to, not including, 1.0.
    pub(crate) fn unit(&mut self) -> f64 {
        // The upper 53 bits are what a double holds exactly.
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Draws whether something with this chance happens.
    pub(crate) fn happens(&mut self, chance: f64) -> bool {
        self.unit() < chance
    }

    /// Draws how long something lasts that ends at any moment alike, `mean` on average.
    pub(crate) fn lasts(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Draws an id as EC2 makes them: the prefix, a dash, 17 hexadecimal digits.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}-0{:016x}", self.bits())
    }

    /// Draws a request's id, in the form of a UUID.
    pub(crate) fn request_id(&mut self) -> String {
        let (high, low) = (self.bits(), self.bits());
        let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0x0fff);
        let (d, e) = ((low >> 48) & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
    }
}

/// The finaliser of splitmix64: every bit of the result depends on every bit of the argument.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn a_stream_repeats_and_differs_by_seed_and_name() {
        let first = |seed, name| Chance::new(seed, name).bits();
        assert_eq!(first(1, "ids"), first(1, "ids"));
        assert_ne!(first(1, "ids"), first(2, "ids"));
        assert_ne!(first(1, "ids"), first(1, "faults"));
    }

    #[test]
    fn draws_are_spread_evenly_and_spans_have_their_mean() {
        let mut chance = Chance::new(7, "any");
        let heads = (0..10_000).filter(|_| chance.happens(0.3)).count();
        assert!((2_800..3_200).contains(&heads), "{heads}");
        let mean = (0..10_000).map(|_| chance.lasts(60.0)).sum::<f64>() / 10_000.0;
        assert!((57.0..63.0).contains(&mean), "{mean}");
    }

    #[test]
    fn ids_look_as_ec2_makes_them() {
        let id = Chance::new(1, "ids").id("i");
        assert!(id.starts_with("i-0") && id.len() == 19, "{id}");
        assert_eq!(Chance::new(1, "requests").request_id().len(), 36);
    }
}
