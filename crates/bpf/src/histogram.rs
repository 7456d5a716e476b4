//! Histograms of powers of two, in the form that users of BPF tools know.
//!
//! ```text
//!      nsecs               : count     distribution
//!          4 -> 7          : 3        |********************                    |
//!          8 -> 15         : 6        |****************************************|
//! ```
//!
//! Slot 0 counts 0 and 1, slot *n* what lies from 2ⁿ to 2ⁿ⁺¹ - 1. Lines begin with the first slot that counts and end with the last.

use alloc::string::String;
use core::fmt::Write;

/// How many stars the greatest count has.
const STARS: u64 = 40;
/// The last slot whose bounds are written with ten digits.
const NARROW: usize = 31;

/// The lines of a histogram; none if nothing was counted. `unit` stands over the bounds.
pub fn print(slots: &[u64], unit: &str) -> String {
    let counts = |count: &u64| *count > 0;
    let (Some(first), Some(last)) = (slots.iter().position(counts), slots.iter().rposition(counts)) else {
        return String::new();
    };
    let most = slots.iter().copied().max().unwrap_or(0).max(1);
    let digits = if last <= NARROW { 10 } else { 20 };
    let mut text = String::new();
    let bounds = 2 * digits - 1;
    let _ = writeln!(text, "     {unit:<bounds$} : count     distribution");
    for (slot, count) in slots.iter().enumerate().take(last + 1).skip(first) {
        let low = if slot == 0 { 0 } else { 1_u64.checked_shl(slot as u32).unwrap_or(u64::MAX) };
        let high = u64::MAX >> 63_u32.saturating_sub(slot as u32);
        let stars = (u128::from(*count) * u128::from(STARS) / u128::from(most)) as usize;
        let _ = writeln!(
            text,
            "{low:digits$} -> {high:<digits$} : {count:<8} |{:<width$}|",
            "*".repeat(stars),
            width = STARS as usize
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_stars() {
        assert_eq!(print(&[0, 0], "usecs"), "");
        assert_eq!(
            print(&[1, 0, 4, 0], "nsecs"),
            "     nsecs               : count     distribution\n         \
             0 -> 1          : 1        |**********                              |\n         \
             2 -> 3          : 0        |                                        |\n         \
             4 -> 7          : 4        |****************************************|\n"
        );
        let mut slots = [0; 64];
        slots[63] = u64::MAX;
        let text = print(&slots, "n");
        assert!(
            text.contains("9223372036854775808 -> 18446744073709551615 : 18446744073709551615 |***"),
            "{text}"
        );
        assert_eq!(print(&[7; 80], "n").lines().count(), 81);
    }

    #[test]
    fn a_slot_ends_where_the_next_begins() {
        let text = print(&[1; 64], "n");
        let bound =
            |line: &str, at| line.split_whitespace().nth(at).and_then(|word| word.parse::<u64>().ok());
        let lines: alloc::vec::Vec<_> = text.lines().skip(1).collect();
        assert_eq!(lines.len(), 64);
        for pair in lines.windows(2) {
            assert_eq!(bound(pair[0], 2).map(|high| high + 1), bound(pair[1], 0), "{pair:?}");
        }
        assert_eq!(bound(lines[63], 2), Some(u64::MAX));
    }
}
