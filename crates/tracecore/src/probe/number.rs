//! Numbers as the probe files have always read them.
//!
//! The base is told by the prefix, as in C: `0x` is hexadecimal, a leading `0` octal, anything else decimal. A
//! number must fill its text to the end, and one that does not fit 64 bits is refused rather than wrapped.

/// Reads an unsigned number with an optional `+` in front.
pub(super) fn unsigned(text: &str) -> Option<u64> {
    whole(text.strip_prefix('+').unwrap_or(text))
}

/// Reads a signed number: `-N`, `N` or `+N`.
pub(super) fn signed(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        // `i64::MIN` has no positive counterpart; `0 - magnitude` reaches it all the same.
        Some(magnitude) => 0_i64.checked_sub_unsigned(whole(magnitude)?),
        None => i64::try_from(unsigned(text)?).ok(),
    }
}

/// Reads a decimal number, digits only.
pub(super) fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Reads the number at the start of `text` and returns it with what follows; `None` where no digit stands or
/// the value does not fit.
pub(super) fn leading(text: &str) -> Option<(u64, &str)> {
    let (radix, digits) = radix_of(text);
    let end = digits.bytes().position(|b| !char::from(b).is_digit(radix)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    Some((u64::from_str_radix(digits, radix).ok()?, rest))
}

fn whole(text: &str) -> Option<u64> {
    match leading(text)? {
        (value, "") => Some(value),
        _ => None,
    }
}

fn radix_of(text: &str) -> (u32, &str) {
    let bytes = text.as_bytes();
    let hex_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    match (bytes.first(), bytes.get(1)) {
        (Some(b'0'), Some(b'x' | b'X')) if hex_digit(2) => (16, &text[2..]),
        (Some(b'0'), _) => (8, text),
        _ => (10, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_tells_the_base() {
        assert_eq!(unsigned("16"), Some(16));
        assert_eq!(unsigned("0x10"), Some(16));
        assert_eq!(unsigned("0X1f"), Some(31));
        assert_eq!(unsigned("010"), Some(8));
        assert_eq!(unsigned("+8"), Some(8));
        assert_eq!(unsigned("0"), Some(0));
    }

    #[test]
    fn a_number_fills_its_text_and_its_width() {
        for bad in ["", "+", "-", "x", "0x", "08", "8 ", "++8", "-8", "1_000", "99999999999999999999", "é"] {
            assert_eq!(unsigned(bad), None, "{bad}");
        }
        assert_eq!(unsigned("0xffffffffffffffff"), Some(u64::MAX));
        assert_eq!(signed("-0x8000000000000000"), Some(i64::MIN));
        assert_eq!(signed("-0x8000000000000001"), None);
        assert_eq!(signed("0x8000000000000000"), None);
        assert_eq!(signed("+-8"), None);
        assert_eq!(signed("-8"), Some(-8));
        assert_eq!(decimal("01"), Some(1));
        assert_eq!(decimal("0x1"), None);
        assert_eq!(decimal("+1"), None);
    }

    #[test]
    fn a_leading_number_leaves_the_rest() {
        assert_eq!(leading("4@2/32"), Some((4, "@2/32")));
        assert_eq!(leading("0x1g"), Some((1, "g")));
        assert_eq!(leading("@"), None);
    }
}
