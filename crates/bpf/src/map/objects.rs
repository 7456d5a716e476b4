//! Arrays of objects of the kernel: programs, maps, buffers.
//!
//! ```text
//!   │ 0 │ handle │ 0 │ handle │ …      a word each: 0, or what the kernel knows the object by
//! ```
//!
//! The map knows nothing of what it holds. Whoever puts a handle in keeps the object until the handle is out again and
//! no CPU can be using it.

use core::sync::atomic::Ordering;

use super::array::index;
use super::cells::Cells;
use super::def::MapDef;
use super::error::MapError;

pub(crate) struct Objects {
    pub(super) cells: Cells,
}

impl Objects {
    pub(crate) fn new(def: &MapDef) -> Result<Self, MapError> {
        Ok(Self { cells: Cells::new(def.max_entries as usize)? })
    }

    /// What is there.
    #[inline(always)]
    pub(crate) fn get(&self, key: &[u8]) -> Option<u64> {
        let word = self.cells.get(index(key)? as usize)?;
        match word.load(Ordering::Acquire) {
            0 => None,
            handle => Some(handle),
        }
    }

    /// Puts a handle, or 0, in place of what is there.
    pub(crate) fn swap(&self, key: &[u8], handle: u64) -> Result<u64, MapError> {
        let index = index(key).ok_or(MapError::Invalid)?;
        let word = self.cells.get(index as usize).ok_or(MapError::TooBig)?;
        Ok(word.swap(handle, Ordering::AcqRel))
    }
}
