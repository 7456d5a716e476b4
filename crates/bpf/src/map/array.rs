//! Arrays: every element is always there, and a lookup is an addition.
//!
//! ```text
//!   array           │ value 0 │ value 1 │ …                     each rounded up to 8 bytes
//!   per-CPU array   │ value 0 of CPU 0 │ of CPU 1 │ … │ value 1 of CPU 0 │ …
//! ```
//!
//! Nothing is inserted or removed, so nothing is locked. An update stores word by word.

use super::cells::{Cells, words};
use super::def::{MapDef, Special};
use super::error::MapError;
use super::{EXIST, NOEXIST};

pub(crate) struct Array {
    entries: u32,
    /// Words of a value.
    words: usize,
    /// Words from one element to the next.
    stride: usize,
    special: Special,
    pub(super) cells: Cells,
}

impl Array {
    pub(crate) fn new(def: &MapDef, cpus: usize) -> Result<Self, MapError> {
        let words = words(def.value_size as usize);
        let stride = if def.kind.is_percpu() { words * cpus } else { words };
        let cells = Cells::new(stride.checked_mul(def.max_entries as usize).ok_or(MapError::TooBig)?)?;
        Ok(Self { entries: def.max_entries, words, stride, special: def.special, cells })
    }

    pub(crate) fn stride_bytes(&self) -> usize {
        8 * self.stride
    }

    /// The word at which the element begins.
    #[inline(always)]
    fn at(&self, key: &[u8]) -> Option<usize> {
        let index = index(key)?;
        (index < self.entries).then(|| index as usize * self.stride)
    }

    #[inline(always)]
    pub(crate) fn lookup(&self, cpu: usize, key: &[u8]) -> Option<u64> {
        self.lookup_index(cpu, index(key)?)
    }

    #[inline(always)]
    pub(crate) fn lookup_index(&self, cpu: usize, index: u32) -> Option<u64> {
        let at = (index < self.entries).then(|| index as usize * self.stride)?;
        // Without CPUs the stride is one value.
        let of_cpu = if self.stride == self.words { 0 } else { cpu * self.words };
        Some(self.cells.addr(at + of_cpu))
    }

    fn place(&self, key: &[u8], flags: u64) -> Result<usize, MapError> {
        if flags > EXIST {
            return Err(MapError::Invalid);
        }
        let at = self.at(key).ok_or(MapError::TooBig)?;
        if flags == NOEXIST { Err(MapError::Exists) } else { Ok(at) }
    }

    /// Writes the value of CPU `cpu`.
    #[inline(always)]
    pub(crate) fn update(&self, cpu: usize, key: &[u8], value: &[u8], flags: u64) -> Result<(), MapError> {
        let at = self.place(key, flags)?;
        let of_cpu = if self.stride == self.words { 0 } else { cpu * self.words };
        self.cells.write_value(at + of_cpu, value, &self.special);
        Ok(())
    }

    /// Writes the values of all CPUs.
    pub(crate) fn update_all(&self, key: &[u8], values: &[u8], flags: u64) -> Result<(), MapError> {
        let at = self.place(key, flags)?;
        self.cells.write_value(at, values, &self.special);
        Ok(())
    }

    pub(crate) fn read_all(&self, key: &[u8], out: &mut [u8]) -> Result<(), MapError> {
        let at = self.at(key).ok_or(MapError::NoEntry)?;
        self.cells.read(at, out);
        Ok(())
    }
}

/// The index that a key of 4 bytes is.
#[inline(always)]
pub(crate) fn index(key: &[u8]) -> Option<u32> {
    key.try_into().ok().map(u32::from_le_bytes)
}

/// The index after `key`; the first when it is none of these.
pub(crate) fn next_index(entries: u32, key: Option<&[u8]>, out: &mut [u8]) -> Result<(), MapError> {
    let next = match key.and_then(index) {
        Some(index) if index < entries => index + 1,
        _ => 0,
    };
    if next >= entries {
        return Err(MapError::NoEntry);
    }
    let Ok(out) = <&mut [u8; 4]>::try_from(out) else { return Err(MapError::Invalid) };
    *out = next.to_le_bytes();
    Ok(())
}
