//! Memory that may not be there: reading it from inside a probe.

/// A read that memory refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// Memory as a probe may touch it: any address is allowed to be asked for, none may harm.
pub trait SafeMemory {
    /// Copies `into.len()` bytes from `address`. On a fault `into` may hold anything.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Fault>;
}

/// The longest string that is fetched, with its NUL.
pub const MAX_STRING_BYTES: usize = 1024;

/// Strings are read in pieces that end at multiples of this, so that no piece reaches into a page that the
/// string does not.
const CHUNK: usize = 64;

/// Gives `each` the string at `address` piece by piece, without its NUL, up to `limit` bytes. Returns how many
/// there were. A fault anywhere is a fault of the whole string.
pub(super) fn for_each_piece(
    memory: &dyn SafeMemory,
    address: u64,
    limit: usize,
    mut each: impl FnMut(usize, &[u8]),
) -> Result<usize, Fault> {
    let mut done = 0;
    while done < limit {
        let from = address.wrapping_add(done as u64);
        let room = CHUNK - (from % CHUNK as u64) as usize;
        let mut chunk = [0; CHUNK];
        let piece = chunk.get_mut(..room.min(limit - done)).ok_or(Fault)?;
        memory.read(from, piece)?;
        let end = piece.iter().position(|byte| *byte == 0);
        let text = piece.get(..end.unwrap_or(piece.len())).ok_or(Fault)?;
        each(done, text);
        done += text.len();
        if end.is_some() {
            break;
        }
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

    fn string(memory: &Bytes, address: u64, limit: usize) -> Result<Vec<u8>, Fault> {
        let mut text = Vec::new();
        let length = for_each_piece(memory, address, limit, |at, piece| {
            assert_eq!(at, text.len());
            text.extend_from_slice(piece);
        })?;
        assert_eq!(length, text.len());
        Ok(text)
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
