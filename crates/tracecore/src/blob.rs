//! What the tables that the build appends to the image have in common: numbers at offsets, halving, a checksum.

use core::cmp::Ordering;

/// The first index below `count` that is not `Less`, or `count`.
///
/// `side` is a `dyn` so that this stays one function of this crate, outside what can be traced.
pub(crate) fn halve(count: usize, side: &mut dyn FnMut(usize) -> Ordering) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let mid = low + (high - low) / 2;
        if side(mid) == Ordering::Less {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    low
}

/// The checksum of a whole blob: of everything but the checksum itself, at `sum_at`, eight bytes at a time.
///
/// It guards against an image that was cut or overwritten, not against an adversary, and it may run at
/// every boot: a multiply and a rotate for eight bytes (FNV-1a's prime and start, taken wordwise).
pub(crate) fn checksum(blob: &[u8], sum_at: usize) -> Option<u64> {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut sum = START;
    for part in [blob.get(..sum_at)?, blob.get(sum_at + 8..)?] {
        let mut words = part.chunks_exact(8);
        for word in &mut words {
            let word = u64::from_le_bytes(word.try_into().ok()?);
            sum = (sum ^ word).wrapping_mul(PRIME).rotate_left(29);
        }
        for byte in words.remainder() {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(PRIME).rotate_left(29);
        }
    }
    Some(sum)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Overwrites bytes of a header.
pub(crate) fn put(blob: &mut [u8], at: usize, bytes: &[u8]) {
    blob[at..at + bytes.len()].copy_from_slice(bytes);
}
