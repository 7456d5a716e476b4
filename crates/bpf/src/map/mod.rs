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
//! | nothing is allocated after [`Map::new`] | elements come from a `pool` |
//! | looking waits for nobody | lists are sound at any moment (`lock`) |
//! | changing waits for other CPUs only, and not for ever | [`MapError::Busy`], counted in [`Map::busy`] |
//! | memory is words that all may access | `cells`: atomics, and no unsafe code |
//!
//! Who changes a map has interrupts masked, and says on which CPU it runs.
//!
//! A lookup gives an *address*: a program loads and stores there by itself. The memory is the map's for as long as the map
//! lives, and is reused within it.

mod array;
mod bloom;
mod cells;
mod def;
mod error;
mod hash;
mod kind;
mod lock;
mod lpm;
mod lru;
mod objects;
mod outside;
mod pool;
mod queue;
pub mod ringbuf;
pub mod stacks;
#[cfg(test)]
mod tests;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

pub use def::{
    BYTES_MAX, KEY_MAX, LPM_DATA_MAX, MapDef, NAME_MAX, RING_PAGE, SPIN_LOCK_BYTES, STACK_DEPTH_MAX, Special,
    TIMER_BYTES, flag,
};
pub use error::MapError;
pub use kind::MapKind;
pub use outside::{Direct, Element};

use array::Array;
use bloom::Bloom;
use cells::Cells;
use hash::{Hash, Whose};
use lpm::Lpm;
use objects::Objects;
use queue::Queue;
use ringbuf::Ring;
use stacks::Stacks;

/// For an update: the key may be there or not.
pub const ANY: u64 = 0;
/// For an update: the key must not be there.
pub const NOEXIST: u64 = 1;
/// For an update: the key must be there. For a push: the oldest may go.
pub const EXIST: u64 = 2;
/// For a lookup or update from outside: under the value's spin lock.
pub const LOCK: u64 = 4;

/// A map.
#[repr(C)]
pub struct Map {
    body: Body,
    def: MapDef,
    cpus: usize,
    busy: AtomicU64,
}

#[repr(u32)]
enum Body {
    Array(Array),
    Hash(Hash),
    Queue(Queue),
    Bloom(Bloom),
    Ring(Ring),
    Stacks(Stacks),
    Lpm(Lpm),
    Objects(Objects),
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
            MapKind::Hash
            | MapKind::PercpuHash
            | MapKind::LruHash
            | MapKind::LruPercpuHash
            | MapKind::HashOfMaps => Body::Hash(Hash::new(&def, cpus, seed)?),
            MapKind::Queue | MapKind::Stack => Body::Queue(Queue::new(&def)?),
            MapKind::BloomFilter => Body::Bloom(Bloom::new(&def, seed)?),
            MapKind::RingBuf => Body::Ring(Ring::new(&def)?),
            MapKind::StackTrace => Body::Stacks(Stacks::new(&def, cpus)?),
            MapKind::LpmTrie => Body::Lpm(Lpm::new(&def)?),
            MapKind::ProgArray | MapKind::PerfEventArray | MapKind::ArrayOfMaps => {
                Body::Objects(Objects::new(&def)?)
            }
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

    /// How often an operation was refused with [`MapError::Busy`], or a lookup found the map in too much change to tell.
    pub fn busy(&self) -> u64 {
        let lost = if let Body::Hash(hash) = &self.body { hash.lost.load(Ordering::Relaxed) } else { 0 };
        self.busy.load(Ordering::Relaxed) + u64::from(lost)
    }

    /// The memory of its values.
    fn cells(&self) -> &Cells {
        match &self.body {
            Body::Array(array) => &array.cells,
            Body::Hash(hash) => &hash.cells,
            Body::Queue(queue) => &queue.cells,
            Body::Bloom(bloom) => &bloom.cells,
            Body::Ring(ring) => &ring.cells,
            Body::Stacks(stacks) => &stacks.cells,
            Body::Lpm(lpm) => &lpm.cells,
            Body::Objects(objects) => &objects.cells,
        }
    }

    #[inline(always)]
    fn has_key(&self, key: &[u8]) -> bool {
        key.len() == self.def.key_size as usize
    }

    /// The address of the value of `key`, CPU `cpu`'s own in a per-CPU map; aligned to 8. In a map of maps, the handle of the
    /// inner map.
    pub fn lookup(&self, cpu: usize, key: &[u8]) -> Option<u64> {
        if !self.has_key(key) || cpu >= self.cpus {
            return None;
        }
        match &self.body {
            Body::Hash(hash) if self.def.kind == MapKind::HashOfMaps => hash.object(cpu, key),
            Body::Hash(hash) => hash.lookup(cpu, key),
            Body::Array(array) => array.lookup(cpu, key),
            Body::Lpm(lpm) => lpm.lookup(cpu, key),
            Body::Objects(objects) if self.def.kind == MapKind::ArrayOfMaps => objects.get(key),
            _ => None,
        }
    }

    /// The same with a key of 4 or 8 bytes as a word. Compiled into the caller: what is found at first sight costs no call.
    #[inline(always)]
    pub fn lookup_word(&self, cpu: impl FnOnce() -> usize, word: u64) -> Option<u64> {
        if let Body::Hash(hash) = &self.body
            && let Some(value) = hash.quick(word)
        {
            return Some(value);
        }
        self.lookup_word_slowly(cpu(), word)
    }

    #[inline(never)]
    fn lookup_word_slowly(&self, cpu: usize, word: u64) -> Option<u64> {
        match &self.body {
            Body::Hash(hash) if self.def.kind != MapKind::HashOfMaps && cpu < self.cpus => {
                hash.lookup_word(cpu, word)
            }
            Body::Array(array) if cpu < self.cpus => array.lookup_index(cpu, word as u32),
            _ => {
                let bytes = word.to_le_bytes();
                self.lookup(cpu, bytes.get(..self.def.key_size as usize)?)
            }
        }
    }

    /// As [`Map::update`], with a key of 4 or 8 bytes as a word and a value of whole words. `None`: this map's updates take
    /// more than that.
    #[inline(always)]
    pub fn update_words(
        &self,
        cpu: usize,
        word: u64,
        value: &[u64],
        flags: u64,
    ) -> Option<Result<(), MapError>> {
        match &self.body {
            Body::Hash(hash) if cpu < self.cpus => {
                hash.update_words(cpu, word, value, flags).map(|done| self.counted(done))
            }
            _ => None,
        }
    }

    /// Gives `key` this value; in a per-CPU map on CPU `cpu`, and a new key's other values are 0.
    ///
    /// # Errors
    /// Says why not.
    pub fn update(&self, cpu: usize, key: &[u8], value: &[u8], flags: u64) -> Result<(), MapError> {
        if !self.has_key(key) || value.len() != self.def.value_size as usize || cpu >= self.cpus {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Hash(_) if self.def.kind == MapKind::HashOfMaps => Err(MapError::Unsupported),
            Body::Hash(hash) => self.counted(hash.update(cpu, key, value, Whose::Cpu(cpu), flags)),
            Body::Array(array) => array.update(cpu, key, value, flags),
            Body::Lpm(lpm) => self.counted(lpm.update(cpu, key, value, flags)),
            Body::Stacks(_) => Err(MapError::Invalid),
            _ => Err(MapError::Unsupported),
        }
    }

    /// Removes `key`; gives the address where its value was, if one can know.
    ///
    /// # Errors
    /// Says why not.
    pub fn delete(&self, cpu: usize, key: &[u8]) -> Result<Option<u64>, MapError> {
        if !self.has_key(key) || cpu >= self.cpus {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Hash(_) if self.def.kind == MapKind::HashOfMaps => Err(MapError::Unsupported),
            Body::Hash(hash) => self.counted(hash.delete(cpu, key)).map(Some),
            Body::Array(_) => Err(MapError::Invalid),
            Body::Lpm(lpm) => self.counted(lpm.delete(cpu, key)).map(|()| None),
            Body::Stacks(stacks) => self.counted(stacks.delete(key)).map(|()| None),
            _ => Err(MapError::Unsupported),
        }
    }

    /// Adds a value to a queue, a stack or a bloom filter.
    ///
    /// # Errors
    /// [`MapError::TooBig`]: it is full, and [`EXIST`] was not said.
    pub fn push(&self, cpu: usize, value: &[u8], flags: u64) -> Result<(), MapError> {
        if value.len() != self.def.value_size as usize {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Queue(queue) => self.counted(queue.push(cpu, value, flags)),
            Body::Bloom(bloom) => bloom.push(value, flags),
            _ => Err(MapError::Unsupported),
        }
    }

    /// Takes the next value of a queue or stack out; `out` is zeros when there is none.
    ///
    /// # Errors
    /// [`MapError::NoEntry`]: it is empty.
    pub fn pop(&self, cpu: usize, out: &mut [u8]) -> Result<(), MapError> {
        self.next_value(cpu, out, true)
    }

    /// Reads the next value of a queue or stack; asks a bloom filter whether it has seen the value in `out`.
    ///
    /// # Errors
    /// [`MapError::NoEntry`]: it is empty; it has not.
    pub fn peek(&self, cpu: usize, out: &mut [u8]) -> Result<(), MapError> {
        match &self.body {
            Body::Bloom(bloom) if out.len() == self.def.value_size as usize => bloom.peek(out),
            _ => self.next_value(cpu, out, false),
        }
    }

    fn next_value(&self, cpu: usize, out: &mut [u8], remove: bool) -> Result<(), MapError> {
        match &self.body {
            Body::Queue(_) if out.len() != self.def.value_size as usize => Err(MapError::Invalid),
            Body::Queue(queue) => self.counted(queue.next(cpu, out, remove)),
            _ => Err(MapError::Unsupported),
        }
    }

    #[inline(always)]
    fn counted<T>(&self, result: Result<T, MapError>) -> Result<T, MapError> {
        if let Err(MapError::Busy) = result {
            self.busy.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("def", &self.def).field("cpus", &self.cpus).finish_non_exhaustive()
    }
}
