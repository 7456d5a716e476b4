//! Stack traces: each different one is kept once, and known by a number.
//!
//! ```text
//!   addresses ──hash──▶ number ─▶ table │ turn, element │──▶ │ hash, length │ address │ address │ …
//! ```
//!
//! The number is the hash's lower bits. Two stacks with the same number are a collision: the second is refused with EEXIST,
//! or takes the first one's place (`BPF_F_REUSE_STACKID`). Nothing is locked: an element is filled before it is put into the
//! table, and who reads one looks afterwards whether it is still there.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use super::array::index;
use super::cells::Cells;
use super::def::MapDef;
use super::error::MapError;
use super::pool::Pool;

/// Flags of `get_stackid` and `get_stack`, with Linux's values.
pub mod flag {
    /// How many frames to leave out.
    pub const SKIP: u64 = 0xff;
    /// The user's stack.
    pub const USER: u64 = 1 << 8;
    /// The hash alone says that two are the same.
    pub const FAST_CMP: u64 = 1 << 9;
    /// In a collision the new one stays.
    pub const REUSE: u64 = 1 << 10;
}

const TRIES: usize = 8;

pub(crate) struct Stacks {
    /// A turn and the element's number + 1, or 0 in place of it.
    table: Cells,
    pool: Pool,
    depth: usize,
    pub(super) cells: Cells,
}

impl Stacks {
    pub(crate) fn new(def: &MapDef, cpus: usize) -> Result<Self, MapError> {
        let numbers = (def.max_entries as usize).checked_next_power_of_two().ok_or(MapError::TooBig)?;
        let depth = def.value_size as usize / 8;
        // A stack that takes another one's place is there before the other is gone.
        let count = def.max_entries as usize + cpus;
        Ok(Self {
            table: Cells::new(numbers)?,
            pool: Pool::new(count)?,
            depth,
            cells: Cells::new((depth + 1).checked_mul(count).ok_or(MapError::TooBig)?)?,
        })
    }

    fn at(&self, slot: u64) -> Option<usize> {
        Some(((slot as u32).checked_sub(1)? as usize) * (self.depth + 1))
    }

    fn head(hash: u32, addresses: &[u64]) -> u64 {
        u64::from(hash) << 32 | addresses.len() as u64
    }

    /// The number of this stack, which is kept from now on.
    pub(crate) fn number(&self, addresses: &[u64], flags: u64) -> Result<u32, MapError> {
        let addresses = addresses.get(..self.depth.min(addresses.len())).unwrap_or(&[]);
        let mut hash = 0_u64;
        for address in addresses {
            hash = (hash ^ address).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 32;
        }
        let hash = hash as u32;
        let number = hash as usize & (self.table.len() - 1);
        let word = self.table.get(number).ok_or(MapError::Invalid)?;
        for _ in 0..TRIES {
            let slot = word.load(Ordering::Acquire);
            if let Some(at) = self.at(slot) {
                let same = self.is(at, hash, addresses, flags);
                fence(Ordering::Acquire);
                if word.load(Ordering::Relaxed) != slot {
                    continue;
                }
                if same {
                    return Ok(number as u32);
                }
                if flags & flag::REUSE == 0 {
                    return Err(MapError::Exists);
                }
            }
            let n = self.pool.take().ok_or(MapError::NoMemory)?;
            let at = n * (self.depth + 1);
            // Who still compares it with something and sees any of this sees the table changed.
            fence(Ordering::Release);
            for (place, value) in core::iter::once(&Self::head(hash, addresses)).chain(addresses).enumerate()
            {
                if let Some(cell) = self.cells.get(at + place) {
                    cell.store(*value, Ordering::Relaxed);
                }
            }
            let new = (slot >> 32).wrapping_add(1) << 32 | (n as u64 + 1);
            if word.compare_exchange(slot, new, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.give(slot);
                return Ok(number as u32);
            }
            self.pool.give(n);
        }
        Err(MapError::Busy)
    }

    fn give(&self, slot: u64) {
        if let Some(n) = (slot as u32).checked_sub(1) {
            self.pool.give(n as usize);
        }
    }

    fn is(&self, at: usize, hash: u32, addresses: &[u64], flags: u64) -> bool {
        let load = |at| self.cells.get(at).map_or(0, |cell| cell.load(Ordering::Relaxed));
        if flags & flag::FAST_CMP != 0 {
            return load(at) >> 32 == u64::from(hash);
        }
        load(at) == Self::head(hash, addresses)
            && addresses.iter().enumerate().all(|(n, address)| load(at + 1 + n) == *address)
    }

    fn slot(&self, key: &[u8]) -> Result<(&AtomicU64, u64), MapError> {
        let number = index(key).ok_or(MapError::Invalid)?;
        let word = self.table.get(number as usize).ok_or(MapError::NoEntry)?;
        let slot = word.load(Ordering::Acquire);
        if slot as u32 == 0 { Err(MapError::NoEntry) } else { Ok((word, slot)) }
    }

    /// Reads the stack with this number, zeros behind it.
    pub(crate) fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), MapError> {
        for _ in 0..TRIES {
            let (word, slot) = self.slot(key)?;
            let at = self.at(slot).ok_or(MapError::NoEntry)?;
            let length = self.cells.get(at).map_or(0, |cell| cell.load(Ordering::Relaxed) as u32) as usize;
            let (stack, rest) = out.split_at_mut(out.len().min(8 * length));
            self.cells.read(at + 1, stack);
            rest.fill(0);
            fence(Ordering::Acquire);
            if word.load(Ordering::Relaxed) == slot {
                return Ok(());
            }
        }
        Err(MapError::Busy)
    }

    pub(crate) fn delete(&self, key: &[u8]) -> Result<(), MapError> {
        let (word, slot) = self.slot(key)?;
        let gone = (slot >> 32).wrapping_add(1) << 32;
        if word.compare_exchange(slot, gone, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Err(MapError::Busy);
        }
        self.give(slot);
        Ok(())
    }

    /// The next number in use.
    pub(crate) fn next(&self, key: Option<&[u8]>, out: &mut [u8]) -> Result<(), MapError> {
        let from = key.and_then(index).map(|n| n as usize).filter(|n| *n < self.table.len());
        let used =
            |n: &usize| self.table.get(*n).is_some_and(|word| word.load(Ordering::Acquire) as u32 != 0);
        let next = (from.map_or(0, |n| n + 1)..self.table.len()).find(used).ok_or(MapError::NoEntry)?;
        let Ok(out) = <&mut [u8; 4]>::try_from(out) else { return Err(MapError::Invalid) };
        *out = (next as u32).to_le_bytes();
        Ok(())
    }
}
