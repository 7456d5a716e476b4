//! How long something took, as tracers of functions show it: microseconds, in a column of at most eight characters.

use alloc::vec::Vec;

use crate::event::print::put;

/// Characters of the column, the unit not among them.
const WIDTH: usize = 8;
/// What has as many digits of microseconds is shown without a part of one.
const FULL: usize = 7;

/// Puts nanoseconds as `1.234 us` and the blanks that fill the column; digits that do not fit are cut off.
pub fn duration(ns: u64, out: &mut Vec<u8>) {
    let start = out.len();
    put!(out, "{}", ns / 1000);
    let len = out.len() - start;
    if len < FULL {
        put!(out, ".{:03}", ns % 1000);
        // One less than the column: the point is a character, too.
        out.truncate(start + WIDTH.min(len + 4));
    }
    let len = out.len() - start;
    out.extend_from_slice(b" us ");
    out.resize(out.len() + WIDTH.saturating_sub(len), b' ');
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn durations_fill_their_column() {
        for (ns, want) in [
            (0, "0.000 us    "),
            (999, "0.999 us    "),
            (1_234, "1.234 us    "),
            (1_234_567, "1234.567 us "),
            (12_345_678, "12345.67 us "),
            (123_456_789, "123456.7 us "),
            (1_234_567_890, "1234567 us  "),
            (12_345_678_901, "12345678 us "),
            (123_456_789_012, "123456789 us "),
        ] {
            let mut out = Vec::new();
            duration(ns, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), want, "{ns}");
        }
    }
}
