//! Chance that can be repeated: a number drawn from words alone, the same in every run and on every machine.

/// Returns a number from 0.0 up to, not including, 1.0 that depends on nothing but the arguments.
pub(crate) fn draw(seed: u64, name: &str, number: u64) -> f64 {
    const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
    let name = name.bytes().fold(FNV_OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
    });
    let mixed = mix(mix(mix(seed) ^ name) ^ number);
    // The upper 53 bits are what a double holds exactly.
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

/// The finaliser of splitmix64: every bit of the result depends on every bit of the argument.
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn the_same_words_draw_the_same_number_and_others_another() {
        assert_eq!(draw(1, "demo-1", 1), draw(1, "demo-1", 1));
        assert_ne!(draw(1, "demo-1", 1), draw(2, "demo-1", 1));
        assert_ne!(draw(1, "demo-1", 1), draw(1, "demo-2", 1));
        assert_ne!(draw(1, "demo-1", 1), draw(1, "demo-1", 2));
    }

    #[test]
    fn the_numbers_are_spread_evenly() {
        let mut tenths = [0; 10];
        for number in 0..10_000 {
            tenths[(draw(7, "demo", number) * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
    }
}
