//! Chance, so that a fleet of agents does not report in step.

/// Returns a number from 0.0 up to, not including, 1.0.
pub(crate) fn draw() -> f64 {
    // Without randomness jitter is a nicety that we can do without.
    let bits = getrandom::u64().unwrap_or(1 << 63);
    // The upper 53 bits are what a double holds exactly.
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Returns 16 hexadecimal digits that nobody can guess twice: the mark of one question.
pub(crate) fn mark() -> String {
    format!("{:016x}", getrandom::u64().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_below_one_and_marks_differ() {
        assert!((0..1000).map(|_| draw()).all(|number| (0.0..1.0).contains(&number)));
        assert_ne!(mark(), mark());
    }
}
