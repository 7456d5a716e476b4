//! Bloom filters: "never seen", or "probably seen".
//!
//! ```text
//!   push v:   set bits    h1(v)  h2(v)  …  hk(v)
//!   peek v:   are they all set?
//! ```
//!
//! With k functions and n elements, k·n·7/5 bits (rounded up to a power of two) leave few chances for a wrong yes; Linux
//! takes the same. The number of functions is the lower four bits of `map_extra`, 5 when it is 0.

use core::sync::atomic::Ordering;

use super::ANY;
use super::cells::{Cells, partial};
use super::def::MapDef;
use super::error::MapError;

const FUNCTIONS: u64 = 5;

pub(crate) struct Bloom {
    functions: u64,
    mask: u64,
    seed: u64,
    pub(super) cells: Cells,
}

/// How many words of bits.
pub(crate) fn words_for(def: &MapDef) -> u64 {
    let functions = if def.extra == 0 { FUNCTIONS } else { def.extra };
    let bits = u64::from(def.max_entries) * functions * 7 / 5;
    bits.clamp(64, 1 << 31).next_power_of_two() / 64
}

impl Bloom {
    pub(crate) fn new(def: &MapDef, seed: u64) -> Result<Self, MapError> {
        let words = words_for(def);
        Ok(Self {
            functions: if def.extra == 0 { FUNCTIONS } else { def.extra },
            mask: 64 * words - 1,
            seed,
            cells: Cells::new(words as usize)?,
        })
    }

    /// The numbers of a value's bits: two hashes make as many as one wants (Kirsch and Mitzenmacher, 2006).
    fn bits(&self, value: &[u8]) -> impl Iterator<Item = u64> + use<> {
        let mut hash = self.seed ^ value.len() as u64;
        for part in value.chunks(8) {
            hash = (hash ^ partial(part)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 32;
        }
        let step = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let (step, mask) = ((step ^ step >> 32) | 1, self.mask);
        (0..self.functions).map(move |n| hash.wrapping_add(n.wrapping_mul(step)) & mask)
    }

    pub(crate) fn push(&self, value: &[u8], flags: u64) -> Result<(), MapError> {
        if flags != ANY {
            return Err(MapError::Invalid);
        }
        for bit in self.bits(value) {
            if let Some(cell) = self.cells.get((bit / 64) as usize) {
                cell.fetch_or(1 << (bit % 64), Ordering::Relaxed);
            }
        }
        Ok(())
    }

    pub(crate) fn peek(&self, value: &[u8]) -> Result<(), MapError> {
        let set = |bit: u64| {
            let cell = self.cells.get((bit / 64) as usize);
            cell.is_some_and(|cell| cell.load(Ordering::Relaxed) >> (bit % 64) & 1 != 0)
        };
        if self.bits(value).all(set) { Ok(()) } else { Err(MapError::NoEntry) }
    }
}
