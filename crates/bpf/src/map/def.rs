//! What a map is to be, and whether there can be such a one.
//!
//! | kind | key | value | entries | flags of its own |
//! |---|---|---|---|---|
//! | array, per-CPU array | 4 | any | any | MMAPABLE, INNER_MAP |
//! | hash and its variants | any | any | any | NO_PREALLOC, ZERO_SEED |
//! | program array, perf events, array of maps | 4 | 4 | any | |
//! | hash of maps | any | 4 | any | NO_PREALLOC |
//! | stack trace | 4 | 8 for each frame | any | |
//! | LPM trie | 4 and 1-256 bytes | any | any | NO_PREALLOC, which must be said |
//! | queue, stack, bloom filter | none | any | any | |
//! | ring buffer | none | none | bytes, a power of two of pages | |
//!
//! The rules and the error numbers are Linux's (`map_alloc_check` of each kind). All memory of a map is allocated with it,
//! whatever NO_PREALLOC says: a probe never waits for memory.

use alloc::boxed::Box;
use alloc::string::String;

use super::error::MapError;
use super::kind::MapKind;

/// Bytes of a name at most.
pub const NAME_MAX: usize = 15;
/// Bytes of a key at most; it has to fit on a program's stack.
pub const KEY_MAX: u32 = 512;
/// Bytes of all that is in a map at most: 1 GiB less a little, so that indices of words fit in 32 bits.
pub const BYTES_MAX: u64 = (1 << 30) - 1;
/// Frames of a stack trace at most.
pub const STACK_DEPTH_MAX: u32 = 127;
/// Bytes of an LPM key's bits at most.
pub const LPM_DATA_MAX: u32 = 256;
/// What a ring buffer's size must be a multiple of.
pub const RING_PAGE: u32 = 4096;

/// Flags of a map, with Linux's values.
pub mod flag {
    /// Do not preallocate: accepted, and without an effect.
    pub const NO_PREALLOC: u32 = 1 << 0;
    /// LRU lists of each CPU: accepted, and without an effect.
    pub const NO_COMMON_LRU: u32 = 1 << 1;
    /// Programs only read it from outside.
    pub const RDONLY: u32 = 1 << 3;
    /// It is only written from outside.
    pub const WRONLY: u32 = 1 << 4;
    /// Hash with seed 0.
    pub const ZERO_SEED: u32 = 1 << 6;
    /// Programs cannot write to it.
    pub const RDONLY_PROG: u32 = 1 << 7;
    /// Programs cannot read it.
    pub const WRONLY_PROG: u32 = 1 << 8;
    /// Its memory can be mapped.
    pub const MMAPABLE: u32 = 1 << 10;
    /// As an inner map, it need not have the size of the others.
    pub const INNER_MAP: u32 = 1 << 12;
}

/// Where the value has fields that the kernel owns; an update leaves them as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Special {
    /// Offset of a `struct bpf_spin_lock`, 4 bytes.
    pub spin_lock: Option<u32>,
    /// Offset of a `struct bpf_timer`, 16 bytes.
    pub timer: Option<u32>,
}

/// Bytes of a `struct bpf_spin_lock`.
pub const SPIN_LOCK_BYTES: u32 = 4;
/// Bytes of a `struct bpf_timer`.
pub const TIMER_BYTES: u32 = 16;

impl Special {
    /// Is there any?
    pub const fn any(&self) -> bool {
        self.spin_lock.is_some() || self.timer.is_some()
    }

    /// Is the byte at this offset of the value the kernel's?
    pub fn owns(&self, offset: u32) -> bool {
        let within =
            |begin: Option<u32>, bytes: u32| matches!(begin, Some(b) if offset >= b && offset - b < bytes);
        within(self.spin_lock, SPIN_LOCK_BYTES) || within(self.timer, TIMER_BYTES)
    }
}

/// What a map is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapDef {
    /// Its kind.
    pub kind: MapKind,
    /// At most [`NAME_MAX`] bytes of letters, digits, `_` and `.`.
    pub name: String,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value, of one CPU.
    pub value_size: u32,
    /// How many elements at most; a ring buffer's bytes.
    pub max_entries: u32,
    /// See [`flag`].
    pub flags: u32,
    /// What only some kinds have: a bloom filter's number of hash functions.
    pub extra: u64,
    /// What inner maps must be like.
    pub inner: Option<Box<MapDef>>,
    /// Fields of the value that the kernel owns.
    pub special: Special,
}

impl MapDef {
    /// A map without a name, flags and other extras.
    pub const fn new(kind: MapKind, key_size: u32, value_size: u32, max_entries: u32) -> Self {
        Self {
            kind,
            name: String::new(),
            key_size,
            value_size,
            max_entries,
            flags: 0,
            extra: 0,
            inner: None,
            special: Special { spin_lock: None, timer: None },
        }
    }

    /// With this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = String::from(name);
        self
    }

    /// With these flags.
    #[must_use]
    pub const fn with_flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    /// Bytes of an element's values as they lie in the map and as they go in and out: a CPU's value is rounded up to 8.
    pub const fn value_stride(&self) -> u64 {
        (self.value_size as u64).next_multiple_of(8)
    }

    /// Bytes of a value as it goes in and out: for a per-CPU map the values of all CPUs, each rounded up to 8.
    pub const fn outer_value_size(&self, cpus: usize) -> usize {
        if self.kind.is_percpu() { self.value_stride() as usize * cpus } else { self.value_size as usize }
    }

    /// Can there be such a map?
    ///
    /// # Errors
    /// [`MapError::Invalid`] for what makes no sense, [`MapError::TooBig`] for an element or a number of them that cannot be, and
    /// [`MapError::NoMemory`] for what is larger than [`BYTES_MAX`].
    pub fn check(&self) -> Result<(), MapError> {
        let sane = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
        if self.name.len() > NAME_MAX || !self.name.bytes().all(sane) {
            return Err(MapError::Invalid);
        }
        if self.flags & !self.allowed_flags() != 0 || self.max_entries == 0 {
            return Err(MapError::Invalid);
        }
        let both = flag::RDONLY_PROG | flag::WRONLY_PROG;
        if self.flags & both == both {
            return Err(MapError::Invalid);
        }
        if self.kind != MapKind::BloomFilter && self.extra != 0 || self.extra > 15 {
            return Err(MapError::Invalid);
        }
        if self.kind.holds_maps() != self.inner.is_some() {
            return Err(MapError::Invalid);
        }
        if let Some(inner) = &self.inner {
            // Maps of maps of maps there are not, nor of programs.
            if inner.kind.holds_maps() || inner.kind == MapKind::ProgArray {
                return Err(MapError::Invalid);
            }
            inner.check()?;
        }
        self.check_sizes()?;
        self.check_special()?;
        if self.kind.is_hash() && self.max_entries > 1 << 31 {
            return Err(MapError::TooBig);
        }
        if self.entry_bytes().saturating_mul(u64::from(self.max_entries)) > BYTES_MAX {
            return Err(MapError::NoMemory);
        }
        Ok(())
    }

    fn allowed_flags(&self) -> u32 {
        let access = flag::RDONLY | flag::WRONLY | flag::RDONLY_PROG | flag::WRONLY_PROG;
        match self.kind {
            MapKind::Array => access | flag::MMAPABLE | flag::INNER_MAP,
            MapKind::PercpuArray | MapKind::Queue | MapKind::Stack => access,
            MapKind::Hash | MapKind::PercpuHash => access | flag::NO_PREALLOC | flag::ZERO_SEED,
            MapKind::LruHash | MapKind::LruPercpuHash => access | flag::NO_COMMON_LRU | flag::ZERO_SEED,
            MapKind::HashOfMaps => flag::NO_PREALLOC | flag::ZERO_SEED | flag::RDONLY | flag::WRONLY,
            MapKind::LpmTrie => access | flag::NO_PREALLOC,
            MapKind::BloomFilter => access | flag::ZERO_SEED,
            MapKind::ProgArray | MapKind::PerfEventArray | MapKind::ArrayOfMaps => {
                flag::RDONLY | flag::WRONLY
            }
            MapKind::StackTrace | MapKind::RingBuf => 0,
        }
    }

    fn check_sizes(&self) -> Result<(), MapError> {
        let sensible = match self.kind {
            MapKind::Array | MapKind::PercpuArray => self.key_size == 4 && self.value_size > 0,
            MapKind::ProgArray | MapKind::PerfEventArray | MapKind::ArrayOfMaps => {
                self.key_size == 4 && self.value_size == 4
            }
            MapKind::HashOfMaps => self.key_size > 0 && self.value_size == 4,
            MapKind::Hash | MapKind::PercpuHash | MapKind::LruHash | MapKind::LruPercpuHash => {
                self.key_size > 0 && self.value_size > 0
            }
            MapKind::StackTrace => {
                let depth = self.value_size / 8;
                self.key_size == 4
                    && self.value_size.is_multiple_of(8)
                    && (1..=STACK_DEPTH_MAX).contains(&depth)
            }
            MapKind::LpmTrie => {
                self.flags & flag::NO_PREALLOC != 0
                    && (5..=4 + LPM_DATA_MAX).contains(&self.key_size)
                    && self.value_size > 0
            }
            MapKind::Queue | MapKind::Stack | MapKind::BloomFilter => {
                self.key_size == 0 && self.value_size > 0
            }
            MapKind::RingBuf => {
                self.key_size == 0
                    && self.value_size == 0
                    && self.max_entries.is_power_of_two()
                    && self.max_entries.is_multiple_of(RING_PAGE)
            }
        };
        if !sensible {
            return Err(MapError::Invalid);
        }
        // One element that no heap could hold.
        let size = u64::from(self.key_size) + u64::from(self.value_size);
        if self.key_size > KEY_MAX || size > i32::MAX as u64 { Err(MapError::TooBig) } else { Ok(()) }
    }

    fn check_special(&self) -> Result<(), MapError> {
        if !self.special.any() {
            return Ok(());
        }
        let within = |offset: Option<u32>, bytes: u32, align: u32| {
            offset.is_none_or(|at| {
                at.is_multiple_of(align) && at.checked_add(bytes).is_some_and(|end| end <= self.value_size)
            })
        };
        let has_them = match self.kind {
            MapKind::Hash | MapKind::Array => true,
            // What evicts elements knows nothing of timers.
            MapKind::LruHash => self.special.timer.is_none(),
            _ => false,
        };
        let sound =
            within(self.special.spin_lock, SPIN_LOCK_BYTES, 4) && within(self.special.timer, TIMER_BYTES, 8);
        if has_them && sound { Ok(()) } else { Err(MapError::Invalid) }
    }

    /// Bytes of an element, on one CPU; of a ring buffer's byte: one.
    fn entry_bytes(&self) -> u64 {
        match self.kind {
            MapKind::RingBuf => 1,
            MapKind::BloomFilter => 2,
            _ => u64::from(self.key_size).next_multiple_of(8) + self.value_stride(),
        }
    }

    /// Bytes of memory that such a map takes, of a definition that is sound.
    pub fn memory(&self, cpus: usize) -> u64 {
        let entries = u64::from(self.max_entries);
        let values =
            if self.kind.is_percpu() { self.value_stride() * cpus as u64 } else { self.value_stride() };
        let key = u64::from(self.key_size).next_multiple_of(8);
        let buckets = entries.next_power_of_two();
        match self.kind {
            MapKind::Array | MapKind::PercpuArray | MapKind::Queue | MapKind::Stack => entries * values,
            MapKind::ProgArray | MapKind::PerfEventArray | MapKind::ArrayOfMaps => entries * 8,
            MapKind::Hash | MapKind::PercpuHash | MapKind::HashOfMaps => {
                16 * buckets + 8 * entries + (entries + 1) * (key + values)
            }
            MapKind::LruHash | MapKind::LruPercpuHash => {
                16 * buckets + 9 * entries + (entries + 1) * (key + values)
            }
            MapKind::StackTrace => 8 * buckets + (entries + cpus as u64) * (16 + values),
            MapKind::LpmTrie => {
                2 * entries * (24 + u64::from(self.key_size.saturating_sub(4)).next_multiple_of(8) + values)
            }
            MapKind::RingBuf => 8 * super::ringbuf::words_for(self.max_entries) as u64,
            MapKind::BloomFilter => 8 * super::bloom::words_for(self),
        }
    }
}
