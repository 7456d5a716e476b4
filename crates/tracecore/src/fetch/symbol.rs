//! The text of an address for `symstr`, made inside a probe.

use super::text::Out;
use crate::symbolize::{SymbolAt, Symbolizer};

/// `name+0x10/0x80`, or the address, without the machinery of `core::fmt`. The numbers are kept whole and the
/// name is cut where the limit is reached.
pub(super) fn symbol_text(symbols: &dyn Symbolizer, address: u64, limit: usize, out: &mut impl Out) -> usize {
    let mut numbers = Hex { bytes: [0; HEX_BYTES], len: 0 };
    let name = match symbols.symbol_at(address) {
        Some(SymbolAt { name, offset, size }) => {
            numbers.text(b"+");
            numbers.number(offset);
            numbers.text(b"/");
            numbers.number(size);
            name.as_bytes()
        }
        None => {
            numbers.number(address);
            b""
        }
    };
    let numbers = numbers.as_bytes();
    let numbers = numbers.get(..limit).unwrap_or(numbers);
    let name = name.get(..limit - numbers.len()).unwrap_or(name);
    put_bytes(name, out);
    put_bytes(numbers, out);
    name.len() + numbers.len()
}

fn put_bytes(bytes: &[u8], out: &mut impl Out) {
    for piece in bytes.chunks(8) {
        let word = piece.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        out.put(word, piece.len());
    }
}

/// Room for `+0x…/0x…` with two numbers of sixteen digits.
const HEX_BYTES: usize = 2 * (3 + 16);

/// Text put together without `core::fmt`.
struct Hex {
    bytes: [u8; HEX_BYTES],
    len: usize,
}

impl Hex {
    fn text(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(slot) = self.bytes.get_mut(self.len) {
                *slot = *byte;
                self.len += 1;
            }
        }
    }

    fn number(&mut self, value: u64) {
        self.text(b"0x");
        let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let nibble = (value >> (digit * 4)) as u8 & 0xf;
            self.text(&[if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }]);
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    struct One(u64, u64);

    impl Symbolizer for One {
        fn symbol_at(&self, _: u64) -> Option<SymbolAt<'_>> {
            (self.1 != 0).then_some(SymbolAt { name: "task::schedule", offset: self.0, size: self.1 })
        }
    }

    fn text(symbols: &One, address: u64, limit: usize) -> String {
        let mut text = Vec::new();
        let length = symbol_text(symbols, address, limit, &mut text);
        assert_eq!(length, text.len());
        String::from_utf8(text).expect("ASCII")
    }

    #[test]
    fn it_is_what_the_formatted_one_is() {
        for (offset, size) in [(0, 1), (8, 0x80), (u64::MAX, u64::MAX), (0x10, 0x1000)] {
            let symbols = One(offset, size);
            let want = std::format!("{}", crate::symbolize::WithOffset(&symbols, 5));
            assert_eq!(text(&symbols, 5, 100), want);
        }
        assert_eq!(text(&One(0, 0), 0xffff_8000_0000_0000, 100), "0xffff800000000000");
        assert_eq!(text(&One(0, 0), 0, 100), "0x0");
    }

    #[test]
    fn the_name_gives_way_first() {
        let symbols = One(8, 0x80);
        assert_eq!(text(&symbols, 5, 14), "task:+0x8/0x80");
        assert_eq!(text(&symbols, 5, 9), "+0x8/0x80");
        assert_eq!(text(&symbols, 5, 3), "+0x");
        assert_eq!(text(&symbols, 5, 0), "");
    }
}
