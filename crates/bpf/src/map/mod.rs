//! Maps: what programs remember, and what they share with each other and with the shell.
//!
//! ```text
//!   MapDef ──check──▶ Map::new ──▶ Map ── lookup(key)  ──▶ the address of the value
//!   kind, sizes       all memory      ├── update, delete, push, pop, peek
//!                                     └── next_key, read, write: from outside
//! ```
//!
//! A map is used from any CPU at any moment: by programs in tasks, in interrupts and in breakpoints, also in a breakpoint in
//! the middle of this code. So
//!
//! | rule | how |
//! |---|---|
//! | nothing is allocated after [`Map::new`] | elements come from a [`pool`] |
//! | looking waits for nobody | lists are sound at any moment ([`lock`]) |
//! | changing waits for other CPUs only, and not for ever | [`MapError::Busy`], counted in [`Map::busy`] |
//! | memory is words that all may access | [`cells`]: atomics, and no unsafe code |
//!
//! Who changes a map has interrupts masked, and says on which CPU it runs.
//!
//! A lookup gives an *address*: a program loads and stores there by itself. The memory is the map's for as long as the map
//! lives, and is reused within it.

mod array;
mod cells;
mod def;
mod error;
mod hash;
mod kind;
mod lock;
mod lru;
mod pool;
#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicU64, Ordering};

pub use def::{
    BYTES_MAX, KEY_MAX, LPM_DATA_MAX, MapDef, NAME_MAX, RING_PAGE, SPIN_LOCK_BYTES, STACK_DEPTH_MAX, Special,
    TIMER_BYTES, flag,
};
pub use error::MapError;
pub use kind::MapKind;

use array::Array;
use cells::Cells;
use hash::{Hash, Whose};

/// For an update: the key may be there or not.
pub const ANY: u64 = 0;
/// For an update: the key must not be there.
pub const NOEXIST: u64 = 1;
/// For an update: the key must be there.
pub const EXIST: u64 = 2;
/// For a lookup or update from outside: under the value's spin lock.
pub const LOCK: u64 = 4;

/// A map.
pub struct Map {
    body: Body,
    def: MapDef,
    cpus: usize,
    busy: AtomicU64,
}

enum Body {
    Array(Array),
    Hash(Hash),
}

/// Where a JIT finds the elements of an array without calling anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direct {
    /// The address of element 0.
    pub base: u64,
    /// Bytes from one element to the next.
    pub stride: u64,
    /// How many there are.
    pub entries: u32,
}

impl Map {
    /// A map for this many CPUs, with all its memory.
    ///
    /// # Errors
    /// What [`MapDef::check`] says; [`MapError::NoMemory`].
    pub fn new(def: MapDef, cpus: usize) -> Result<Self, MapError> {
        Self::seeded(def, cpus, 0)
    }

    /// The same with a seed for its hash function, which nobody should be able to guess.
    ///
    /// # Errors
    /// As [`Map::new`].
    pub fn seeded(def: MapDef, cpus: usize, seed: u64) -> Result<Self, MapError> {
        def.check()?;
        let seed = if def.flags & flag::ZERO_SEED != 0 { 0 } else { seed };
        let body = match def.kind {
            MapKind::Array | MapKind::PercpuArray => Body::Array(Array::new(&def, cpus)?),
            kind if kind.is_hash() => Body::Hash(Hash::new(&def, cpus, seed)?),
            _ => return Err(MapError::Unsupported),
        };
        Ok(Self { body, def, cpus, busy: AtomicU64::new(0) })
    }

    /// What it was made from.
    pub fn def(&self) -> &MapDef {
        &self.def
    }

    /// For how many CPUs.
    pub fn cpus(&self) -> usize {
        self.cpus
    }

    /// How often an operation was refused with [`MapError::Busy`].
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    /// Bytes of a value as it goes in and out from outside: a per-CPU map's values of all CPUs, each rounded up to 8.
    pub fn outer_value_size(&self) -> usize {
        self.def.outer_value_size(self.cpus)
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> u64 {
        8 * self.cells().len() as u64
    }

    fn cells(&self) -> &Cells {
        match &self.body {
            Body::Array(array) => &array.cells,
            Body::Hash(hash) => &hash.cells,
        }
    }

    #[inline(always)]
    fn has_key(&self, key: &[u8]) -> bool {
        key.len() == self.def.key_size as usize
    }

    /// The address of the value of `key`, CPU `cpu`'s own in a per-CPU map; aligned to 8.
    #[inline]
    pub fn lookup(&self, cpu: usize, key: &[u8]) -> Option<u64> {
        if !self.has_key(key) || cpu >= self.cpus {
            return None;
        }
        match &self.body {
            Body::Hash(hash) => hash.lookup(cpu, key),
            Body::Array(array) => array.lookup(cpu, key),
        }
    }

    /// Where the elements lie that a lookup finds by multiplication alone, if that is so.
    pub fn direct(&self) -> Option<Direct> {
        match &self.body {
            Body::Array(array) if !self.def.kind.is_percpu() => Some(Direct {
                base: array.cells.addr(0),
                stride: array.stride_bytes() as u64,
                entries: self.def.max_entries,
            }),
            _ => None,
        }
    }

    /// Gives `key` this value; in a per-CPU map on CPU `cpu`, and a new key's other values are 0.
    ///
    /// # Errors
    /// Says why not.
    #[inline]
    pub fn update(&self, cpu: usize, key: &[u8], value: &[u8], flags: u64) -> Result<(), MapError> {
        if !self.has_key(key) || value.len() != self.def.value_size as usize || cpu >= self.cpus {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Hash(hash) => self.counted(hash.update(cpu, key, value, Whose::Cpu(cpu), flags)),
            Body::Array(array) => array.update(cpu, key, value, flags),
        }
    }

    /// Removes `key`; gives the address where its value was.
    ///
    /// # Errors
    /// Says why not.
    pub fn delete(&self, cpu: usize, key: &[u8]) -> Result<u64, MapError> {
        if !self.has_key(key) || cpu >= self.cpus {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Hash(hash) => self.counted(hash.delete(cpu, key)),
            Body::Array(_) => Err(MapError::Invalid),
        }
    }

    /// The key after `key`, or the first one if `key` is not there or not given. What is there throughout a walk comes once.
    ///
    /// # Errors
    /// [`MapError::NoEntry`] behind the last one.
    pub fn next_key(&self, cpu: usize, key: Option<&[u8]>, out: &mut [u8]) -> Result<(), MapError> {
        if !self.has_key(out) || !key.is_none_or(|key| self.has_key(key)) || cpu >= self.cpus {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Hash(hash) => hash.next_key(cpu, key, out),
            Body::Array(_) => array::next_index(self.def.max_entries, key, out),
        }
    }

    /// Reads the value from outside: [`Map::outer_value_size`] bytes.
    ///
    /// # Errors
    /// [`MapError::NoEntry`]; [`MapError::Invalid`] for wrong sizes.
    pub fn read(&self, cpu: usize, key: &[u8], out: &mut [u8]) -> Result<(), MapError> {
        if !self.has_key(key) || out.len() != self.outer_value_size() || cpu >= self.cpus {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Hash(hash) => hash.read_all(cpu, key, out),
            Body::Array(array) => array.read_all(key, out),
        }
    }

    /// Writes the value from outside: [`Map::outer_value_size`] bytes.
    ///
    /// # Errors
    /// As [`Map::update`].
    pub fn write(&self, cpu: usize, key: &[u8], value: &[u8], flags: u64) -> Result<(), MapError> {
        if !self.has_key(key) || value.len() != self.outer_value_size() || cpu >= self.cpus {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Hash(hash) => self.counted(hash.update(cpu, key, value, Whose::All, flags)),
            Body::Array(array) => array.update_all(key, value, flags),
        }
    }

    /// The element in place `at` or behind it: its place, and the addresses of its key and of its value on CPU `cpu`. An
    /// array's keys are its places, and have no address. For `for_each_map_elem`, which may change the map meanwhile.
    pub fn element(&self, at: usize, cpu: usize) -> Option<(usize, Option<u64>, u64)> {
        match &self.body {
            Body::Hash(hash) => {
                let n = hash.used_from(at)?;
                let (key, value) = hash.addresses(n, cpu);
                Some((n, Some(key), value))
            }
            Body::Array(array) => {
                let index = u32::try_from(at).ok()?;
                Some((at, None, array.lookup(cpu, &index.to_le_bytes())?))
            }
        }
    }

    /// The words in which the `len` bytes at `addr` lie, if they lie in this map's memory, and the offset of the first byte
    /// in the first word: for who does not trust a program's addresses.
    pub fn cells_at(&self, addr: u64, len: usize) -> Option<(&[AtomicU64], usize)> {
        let offset = self.cells().offset_of(addr, len)?;
        let (first, shift) = (offset / 8, offset % 8);
        Some((self.cells().slice(first, (shift + len).div_ceil(8)), shift))
    }

    #[inline(always)]
    fn counted<T>(&self, result: Result<T, MapError>) -> Result<T, MapError> {
        if let Err(MapError::Busy) = result {
            self.busy.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}

impl core::fmt::Debug for Map {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Map").field("def", &self.def).field("cpus", &self.cpus).finish_non_exhaustive()
    }
}
