//! The kinds of maps, with Linux's numbers (`enum bpf_map_type`) and the names by which bpftool knows them.

/// What a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MapKind {
    /// Any keys.
    Hash = 1,
    /// Keys are indices.
    Array = 2,
    /// Programs by index, for tail calls.
    ProgArray = 3,
    /// Buffers of events by index, one for each CPU.
    PerfEventArray = 4,
    /// A hash with a value for each CPU.
    PercpuHash = 5,
    /// An array with a value for each CPU.
    PercpuArray = 6,
    /// Backtraces by their number.
    StackTrace = 7,
    /// A hash that forgets what was not used for long.
    LruHash = 9,
    /// The same with a value for each CPU.
    LruPercpuHash = 10,
    /// Prefixes of bits; the longest that matches is found.
    LpmTrie = 11,
    /// Maps by index.
    ArrayOfMaps = 12,
    /// Maps by any key.
    HashOfMaps = 13,
    /// First in, first out.
    Queue = 22,
    /// Last in, first out.
    Stack = 23,
    /// Records of any length from all CPUs in one buffer.
    RingBuf = 27,
    /// A set that may say yes wrongly, never no.
    BloomFilter = 30,
}

impl MapKind {
    const NAMES: &'static [(Self, &'static str)] = &[
        (Self::Hash, "hash"),
        (Self::Array, "array"),
        (Self::ProgArray, "prog_array"),
        (Self::PerfEventArray, "perf_event_array"),
        (Self::PercpuHash, "percpu_hash"),
        (Self::PercpuArray, "percpu_array"),
        (Self::StackTrace, "stack_trace"),
        (Self::LruHash, "lru_hash"),
        (Self::LruPercpuHash, "lru_percpu_hash"),
        (Self::LpmTrie, "lpm_trie"),
        (Self::ArrayOfMaps, "array_of_maps"),
        (Self::HashOfMaps, "hash_of_maps"),
        (Self::Queue, "queue"),
        (Self::Stack, "stack"),
        (Self::RingBuf, "ringbuf"),
        (Self::BloomFilter, "bloom_filter"),
    ];

    /// All of them, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.iter().map(|(kind, _)| *kind)
    }

    /// Its name, as bpftool prints it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(kind, _)| *kind)
    }

    /// The kind with this number.
    pub fn by_number(number: u32) -> Option<Self> {
        Self::all().find(|kind| *kind as u32 == number)
    }

    /// Is there a value for each CPU?
    pub const fn is_percpu(self) -> bool {
        matches!(self, Self::PercpuHash | Self::PercpuArray | Self::LruPercpuHash)
    }

    /// Are keys found by hashing them?
    pub const fn is_hash(self) -> bool {
        matches!(self, Self::Hash | Self::PercpuHash | Self::LruHash | Self::LruPercpuHash | Self::HashOfMaps)
    }

    /// Does it forget elements by itself?
    pub const fn is_lru(self) -> bool {
        matches!(self, Self::LruHash | Self::LruPercpuHash)
    }

    /// Are its values other objects of the kernel (programs, maps, buffers), which someone has to hold?
    pub const fn holds_objects(self) -> bool {
        matches!(self, Self::ProgArray | Self::PerfEventArray | Self::ArrayOfMaps | Self::HashOfMaps)
    }

    /// Are its values maps?
    pub const fn holds_maps(self) -> bool {
        matches!(self, Self::ArrayOfMaps | Self::HashOfMaps)
    }
}
