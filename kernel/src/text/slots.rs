//! Slots: executable memory, a few words each, in which a probed instruction is stepped out of line.
//!
//! They lie in the image's `.xol` section, so that they are mapped executable from the start, never writable, and near
//! enough for a branch to any probe. A slot is written before it is reachable; it may be freed once its probe is
//! disarmed and every CPU has passed a quiet point: slots run with interrupts masked, so a CPU that has passed one
//! is in none.

use core::arch::global_asm;

use a64::Insn;
use tracecore::errno::Errno;

use super::{patch, ranges::Region};
use crate::sync::SpinLock;

/// Words of a slot.
pub(crate) const SLOT_WORDS: usize = 4;
const SLOT_BYTES: usize = SLOT_WORDS * 4;
/// How many there are: more than ten thousand probes.
const SLOTS: usize = 24 * 1024;
const MAP_WORDS: usize = SLOTS / 64;

/// What an unused word holds: a breakpoint that nobody handles.
const UNUSED: Insn = a64::encode::brk(0x800);

/// Which slots are taken.
struct Map {
    taken: [u64; MAP_WORDS],
    /// No word before this one has a free bit.
    first_free: usize,
}

static MAP: SpinLock<Map> = SpinLock::new(Map { taken: [0; MAP_WORDS], first_free: 0 });

/// A slot that is taken. Dropping it gives it back, so its owner must have made sure that no CPU is in it.
#[derive(Debug)]
pub(crate) struct Slot(usize);

impl Slot {
    /// Takes a slot and fills it.
    ///
    /// # Errors
    /// ENOSPC when all are taken.
    pub(crate) fn new(words: &[Insn]) -> Result<Self, Errno> {
        let slot = Self(take().ok_or(Errno::ENOSPC)?);
        let mut filled = [UNUSED; SLOT_WORDS];
        for (to, from) in filled.iter_mut().zip(words) {
            *to = *from;
        }
        patch::fill(slot.addr(), &filled);
        Ok(slot)
    }

    /// Address of its first word.
    pub(crate) fn addr(&self) -> usize {
        Region::Slots.range().start + self.0 * SLOT_BYTES
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut map = MAP.lock();
        let word = self.0 / 64;
        map.taken[word] &= !(1 << (self.0 % 64));
        map.first_free = map.first_free.min(word);
    }
}

fn take() -> Option<usize> {
    let mut map = MAP.lock();
    let map = &mut *map;
    for (word, taken) in map.taken.iter_mut().enumerate().skip(map.first_free) {
        if *taken != u64::MAX {
            let bit = taken.trailing_ones() as usize;
            *taken |= 1 << bit;
            map.first_free = word;
            return Some(word * 64 + bit);
        }
    }
    map.first_free = MAP_WORDS;
    None
}

/// How many slots are taken, and how many there are.
pub(crate) fn usage() -> (usize, usize) {
    (MAP.lock().taken.iter().map(|word| word.count_ones() as usize).sum(), SLOTS)
}

global_asm!(
    ".pushsection .xol, \"ax\", %progbits",
    ".balign 4096",
    ".fill {words}, 4, {unused}",
    ".popsection",
    words = const SLOTS * SLOT_WORDS,
    unused = const UNUSED.0,
);
