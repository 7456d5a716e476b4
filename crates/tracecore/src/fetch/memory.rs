//! Memory that may not be there: reading it from inside a probe.

use super::text::Out;

/// A read that memory refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// Memory as a probe may touch it: any address is allowed to be asked for, none may harm.
pub trait SafeMemory {
    /// Copies `into.len()` bytes from `address`. On a fault `into` may hold anything.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Fault>;

    /// The `size` bytes at `address`, at most eight, as a little-endian number.
    fn load(&self, address: u64, size: usize) -> Result<u64, Fault> {
        let mut raw = [0; 8];
        self.read(address, raw.get_mut(..size).ok_or(Fault)?)?;
        Ok(u64::from_le_bytes(raw))
    }
}

/// The longest string that is fetched, with its NUL.
pub const MAX_STRING_BYTES: usize = 1024;

/// How many bytes of a little-endian word come before its first zero byte; 8 if it has none.
#[inline(always)]
pub(super) const fn first_nul(word: u64) -> usize {
    const ONES: u64 = u64::MAX / 255;
    // A borrow out of a byte marks it, and may mark wrong ones above it, never below.
    let marks = word.wrapping_sub(ONES) & !word & (ONES << 7);
    (marks.trailing_zeros() / 8) as usize
}

/// Gives `out` the string at `address`, without its NUL, up to `limit` bytes. Returns how many there were. A fault
/// anywhere is a fault of the whole string.
///
/// It is read by aligned words, so that no read reaches into a page that the string does not.
pub(super) fn for_each_word(
    memory: &dyn SafeMemory,
    address: u64,
    limit: usize,
    out: &mut impl Out,
) -> Result<usize, Fault> {
    let mut at = address & !7;
    let mut before = (address & 7) as usize;
    let mut done = 0;
    while done < limit {
        let word = memory.load(at, 8)? >> (8 * before);
        let room = 8 - before;
        let text = first_nul(word).min(room);
        let taken = text.min(limit - done);
        out.put(word, taken);
        done += taken;
        if text < room {
            break;
        }
        at = at.wrapping_add(8);
        before = 0;
    }
    Ok(done)
}

/// Does the address belong to the user's half? Bit 55 selects the translation table (Arm ARM D8.2).
pub(super) const fn is_user(address: u64) -> bool {
    address >> 55 & 1 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Bytes from `start`; all else faults. Counts what is asked for beyond the end.
    struct Bytes {
        start: u64,
        bytes: &'static [u8],
    }

    impl SafeMemory for Bytes {
        fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
            let at = address.checked_sub(self.start).ok_or(Fault)? as usize;
            into.copy_from_slice(self.bytes.get(at..at + into.len()).ok_or(Fault)?);
            Ok(())
        }
    }

    impl Out for Vec<u8> {
        fn put(&mut self, bytes: u64, len: usize) {
            self.extend_from_slice(&bytes.to_le_bytes()[..len]);
        }
    }

    fn string(memory: &Bytes, address: u64, limit: usize) -> Result<Vec<u8>, Fault> {
        let mut text = Vec::new();
        let length = for_each_word(memory, address, limit, &mut text)?;
        assert_eq!(length, text.len());
        Ok(text)
    }

    #[test]
    fn the_first_nul_is_found_in_any_word() {
        assert_eq!(first_nul(u64::MAX), 8);
        assert_eq!(first_nul(0), 0);
        for at in 0..8 {
            // What lies above a NUL, 1 too, does not matter.
            for above in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = [0x80; 8];
                bytes[at] = 0;
                bytes[at + 1..].fill(above);
                assert_eq!(first_nul(u64::from_le_bytes(bytes)), at, "{bytes:x?}");
            }
        }
        assert_eq!(first_nul(0x0101_0101_0101_0101), 8);
        assert_eq!(first_nul(0x0100_0101_0101_0101), 6);
    }

    #[test]
    fn a_string_ends_at_its_nul_at_the_limit_or_in_a_fault() {
        static LONG: [u8; 256] = {
            let mut bytes = [b'x'; 256];
            bytes[191] = 0;
            bytes
        };
        let memory = Bytes { start: 0x1000, bytes: &LONG };
        assert_eq!(string(&memory, 0x1000, 1024), Ok(LONG[..191].to_vec()));
        assert_eq!(string(&memory, 0x1000 + 70, 1024), Ok(LONG[70..191].to_vec()));
        assert_eq!(string(&memory, 0x1000 + 191, 1024), Ok(Vec::new()));
        assert_eq!(string(&memory, 0x1000, 100), Ok(LONG[..100].to_vec()));
        assert_eq!(string(&memory, 0x1000 + 192, 1024), Err(Fault));
        assert_eq!(string(&memory, 0xfff, 1024), Err(Fault));
        assert_eq!(string(&memory, 0xfff, 0), Ok(Vec::new()));
    }

    #[test]
    fn a_string_before_a_hole_is_read_whole() {
        let memory = Bytes { start: 0x1000, bytes: &[b'a'; 64] };
        static TEXT: [u8; 64] = {
            let mut bytes = [b'a'; 64];
            bytes[63] = 0;
            bytes
        };
        assert_eq!(string(&memory, 0x1003, 1024), Err(Fault));
        let memory = Bytes { start: 0x1000, bytes: &TEXT };
        assert_eq!(string(&memory, 0x1003, 1024).map(|text| text.len()), Ok(60));
    }
}
