//! What is done with maps by others than programs' lookups and updates: reading them out, holding objects, rings, stacks.

use core::sync::atomic::AtomicU64;

use super::array;
use super::hash::Whose;
use super::{ANY, Body, EXIST, Map, MapError, MapKind};

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

/// An element of a map, for who walks over all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// Where to go on after it.
    pub next: usize,
    /// The address of its key; none in an array, where it is the place.
    pub key: Option<u64>,
    /// The address of its value.
    pub value: u64,
}

impl Map {
    /// Bytes of a value as it goes in and out from outside: a per-CPU map's values of all CPUs, each rounded up to 8.
    pub fn outer_value_size(&self) -> usize {
        self.def.outer_value_size(self.cpus)
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> u64 {
        self.def.memory(self.cpus)
    }

    /// Where the elements lie that a lookup finds by multiplication alone, if that is so: an array's values, or the handles of
    /// an array of objects.
    pub fn direct(&self) -> Option<Direct> {
        let (cells, stride) = match &self.body {
            Body::Array(array) if !self.def.kind.is_percpu() => (&array.cells, array.stride_bytes() as u64),
            Body::Objects(objects) => (&objects.cells, 8),
            _ => return None,
        };
        Some(Direct { base: cells.addr(0), stride, entries: self.def.max_entries })
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
            Body::Array(_) | Body::Objects(_) => array::next_index(self.def.max_entries, key, out),
            Body::Lpm(lpm) => self.counted(lpm.next(key, out)),
            Body::Stacks(stacks) => stacks.next(key, out),
            Body::Queue(_) => Err(MapError::Invalid),
            Body::Bloom(_) | Body::Ring(_) => Err(MapError::Unsupported),
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
            Body::Hash(_) if self.def.kind == MapKind::HashOfMaps => Err(MapError::Unsupported),
            Body::Hash(hash) => hash.read_all(cpu, key, out),
            Body::Array(array) => array.read_all(key, out),
            Body::Lpm(lpm) => self.counted(lpm.read(cpu, key, out)),
            Body::Stacks(stacks) => self.counted(stacks.read(key, out)),
            _ => Err(MapError::Unsupported),
        }
    }

    /// Writes the value from outside: [`Map::outer_value_size`] bytes.
    ///
    /// # Errors
    /// As [`Map::update`].
    pub fn write(&self, cpu: usize, key: &[u8], value: &[u8], flags: u64) -> Result<(), MapError> {
        if !self.def.kind.is_percpu() {
            return self.update(cpu, key, value, flags);
        }
        if !self.has_key(key) || value.len() != self.outer_value_size() || cpu >= self.cpus {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Hash(hash) => self.counted(hash.update(cpu, key, value, Whose::All, flags)),
            Body::Array(array) => array.update_all(key, value, flags),
            _ => Err(MapError::Unsupported),
        }
    }

    /// The element in place `at` or behind it, its value on CPU `cpu`. For who calls somebody for each, who may change the
    /// map meanwhile.
    pub fn element(&self, at: usize, cpu: usize) -> Option<Element> {
        match &self.body {
            Body::Hash(hash) => {
                let n = hash.used_from(at)?;
                let (key, value) = hash.addresses(n, cpu);
                Some(Element { next: n + 1, key: Some(key), value })
            }
            Body::Array(array) => {
                let index = u32::try_from(at).ok()?;
                Some(Element { next: at + 1, key: None, value: array.lookup(cpu, &index.to_le_bytes())? })
            }
            _ => None,
        }
    }

    /// The key of the element whose value lies at `value`: its address, or its number in an array.
    pub fn key_of(&self, value: u64) -> Option<(Option<u64>, u32)> {
        match &self.body {
            Body::Hash(hash) => Some((Some(value.checked_sub(hash.key_bytes() as u64)?), 0)),
            Body::Array(array) => {
                let offset = array.cells.offset_of(value, 1)?;
                Some((None, (offset / array.stride_bytes()) as u32))
            }
            _ => None,
        }
    }

    /// The words in which the `len` bytes at `addr` lie, if they lie in this map's memory, and the offset of the first byte
    /// in the first word: for who does not trust a program's addresses.
    pub fn cells_at(&self, addr: u64, len: usize) -> Option<(&[AtomicU64], usize)> {
        let offset = self.cells().offset_of(addr, len)?;
        let (first, shift) = (offset / 8, offset % 8);
        Some((self.cells().slice(first, (shift + len).div_ceil(8)), shift))
    }

    /// The handle of the object that a map of objects holds for this key.
    pub fn object(&self, cpu: usize, key: &[u8]) -> Option<u64> {
        match &self.body {
            Body::Objects(objects) => objects.get(key),
            Body::Hash(hash) if self.def.kind == MapKind::HashOfMaps => hash.object(cpu, key),
            _ => None,
        }
    }

    /// Puts the handle of an object in, and gives the one that was there, or 0. One caller at a time.
    ///
    /// # Errors
    /// As [`Map::update`]; an array takes [`ANY`] only.
    pub fn set_object(&self, cpu: usize, key: &[u8], handle: u64, flags: u64) -> Result<u64, MapError> {
        if !self.has_key(key) || cpu >= self.cpus {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Objects(_) if flags != ANY => Err(MapError::Invalid),
            Body::Objects(objects) => objects.swap(key, handle),
            Body::Hash(hash) if self.def.kind == MapKind::HashOfMaps && flags <= EXIST => {
                let old = hash.object(cpu, key).unwrap_or(0);
                let value = handle.to_le_bytes();
                self.counted(hash.update(cpu, key, &value, Whose::All, flags)).map(|()| old)
            }
            _ => Err(MapError::Invalid),
        }
    }

    /// Takes the handle of an object out.
    ///
    /// # Errors
    /// [`MapError::NoEntry`]: there is none.
    pub fn clear_object(&self, cpu: usize, key: &[u8]) -> Result<u64, MapError> {
        if !self.has_key(key) || cpu >= self.cpus {
            return Err(MapError::Invalid);
        }
        match &self.body {
            Body::Objects(objects) => match objects.swap(key, 0)? {
                0 => Err(MapError::NoEntry),
                old => Ok(old),
            },
            Body::Hash(hash) if self.def.kind == MapKind::HashOfMaps => {
                let old = hash.object(cpu, key).ok_or(MapError::NoEntry)?;
                self.counted(hash.delete(cpu, key)).map(|_| old)
            }
            _ => Err(MapError::Invalid),
        }
    }

    /// The address of `size` bytes of a ring buffer for a record; it is read when [`Map::ring_end`] has ended it.
    #[inline(always)]
    pub fn ring_reserve(&self, size: u64) -> Option<u64> {
        if let Body::Ring(ring) = &self.body { ring.reserve(size) } else { None }
    }

    /// Ends the record whose data are at `addr`: checks that there is one. (Who knows that there is stores
    /// [`super::ringbuf::finished`] in its header.)
    ///
    /// # Errors
    /// [`MapError::Invalid`]: there is none.
    pub fn ring_end(&self, addr: u64, discard: bool) -> Result<(), MapError> {
        if let Body::Ring(ring) = &self.body { ring.end(addr, discard) } else { Err(MapError::Unsupported) }
    }

    /// Writes a record into a ring buffer.
    ///
    /// # Errors
    /// [`MapError::NoSpace`], which is counted.
    pub fn ring_output(&self, data: &[u8]) -> Result<(), MapError> {
        if let Body::Ring(ring) = &self.body { ring.output(data) } else { Err(MapError::Unsupported) }
    }

    /// The same of whole words, compiled into the caller.
    ///
    /// # Errors
    /// As [`Map::ring_output`].
    #[inline(always)]
    pub fn ring_output_words(&self, data: &[u64]) -> Result<(), MapError> {
        if let Body::Ring(ring) = &self.body { ring.output_words(data) } else { Err(MapError::Unsupported) }
    }

    /// Writes a record that begins with a word of its own, such as the time.
    ///
    /// # Errors
    /// As [`Map::ring_output`].
    pub fn ring_output_stamped(&self, stamp: u64, data: &[u8]) -> Result<(), MapError> {
        if let Body::Ring(ring) = &self.body {
            ring.output_stamped(stamp, data)
        } else {
            Err(MapError::Unsupported)
        }
    }

    /// What `ringbuf_query` gives; see [`super::ringbuf::query`].
    pub fn ring_query(&self, what: u64) -> u64 {
        if let Body::Ring(ring) = &self.body { ring.query(what) } else { 0 }
    }

    /// How many records a ring buffer had no room for.
    pub fn ring_dropped(&self) -> u64 {
        if let Body::Ring(ring) = &self.body { ring.dropped() } else { 0 }
    }

    /// Takes the next record out of a ring buffer, as much of it as `out` has room for: its length. None when none is
    /// complete.
    ///
    /// # Errors
    /// [`MapError::Busy`]: somebody else reads it.
    pub fn ring_take(&self, out: &mut [u8]) -> Result<Option<usize>, MapError> {
        if let Body::Ring(ring) = &self.body { ring.take(out) } else { Err(MapError::Unsupported) }
    }

    /// The number of a stack in a map of stack traces; see [`super::stacks::flag`].
    ///
    /// # Errors
    /// [`MapError::Exists`]: another one has the number.
    pub fn stack_number(&self, addresses: &[u64], flags: u64) -> Result<u32, MapError> {
        match &self.body {
            Body::Stacks(stacks) => self.counted(stacks.number(addresses, flags)),
            _ => Err(MapError::Invalid),
        }
    }
}
