//! Hashes: lists of elements, one list for each bucket.
//!
//! ```text
//!   buckets │ changes, owner, head │──▶ link 4 │ hash, next │──▶ link 9 │ hash, 0 │
//!           │ …                    │        ║                      ║
//!                                  cells │ key │ value of CPU 0 │ of CPU 1 │ … │
//! ```
//!
//! All elements are allocated with the map ([`Pool`]). A lookup takes no lock; an update takes its bucket's ([`Head`]).
//!
//! An update of a key that is there writes into its value: an address that a lookup has given out is that key's value for
//! as long as the key is there. A deleted element may be reused at once, as on Linux: who still has its address sees another
//! key's value, but never memory that is no value of this map.
//!
//! Order of stores in a new element: value, key, link, head. A reader that has been led astray by a reused element can find
//! a key whose value is complete, or none, in which case it sees the bucket changed and begins anew. A key of one word
//! is compared at once. A longer one could be half of one key and half of another, so there even a match counts only
//! if the bucket has not changed.

mod quick;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use super::cells::{Cells, partial, words};
use super::def::{MapDef, Special};
use super::error::MapError;
use super::kind::MapKind;
use super::lock::{Head, Taken};
use super::lru::Clock;
use super::pool::{FREE, Pool};
use super::{EXIST, NOEXIST};

/// In a link: the element is in its bucket's list. With the upper bits of the hash.
const USED: u64 = 1 << 63;
/// The golden ratio's bits (Knuth, The Art of Computer Programming, 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// How often a reader begins anew before it takes the lock.
const TRIES: usize = 16;

pub(crate) struct Hash {
    buckets: Box<[Head]>,
    /// The hash's upper bits are the bucket's number.
    shift: u32,
    /// What keys are multiplied with: odd, and made of the seed.
    factor: u64,
    pub(super) pool: Pool,
    key_size: usize,
    key_words: usize,
    /// Words of a value, of one CPU.
    value_words: usize,
    percpu: bool,
    /// Keys are one word, and there is nothing special about it.
    is_quick: bool,
    stride: usize,
    special: Special,
    pub(super) cells: Cells,
    clock: Option<Clock>,
    /// Lookups that found no end of changes and no lock.
    pub(super) lost: AtomicU32,
}

/// How many buckets: twice as many as elements, so that three of four are first in their lists.
pub(crate) fn buckets_for(entries: u32) -> usize {
    2 * (entries as usize).next_power_of_two()
}

/// A key, its hash, and its word if it has only one.
#[derive(Clone, Copy)]
struct Key<'a> {
    bytes: &'a [u8],
    hash: u64,
    word: Option<u64>,
}

/// Whose values an update writes.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    Cpu(usize),
    All,
}

/// What a walk along a list has come to.
enum Walk {
    /// This element, and the one before it.
    Found(usize, Option<usize>),
    End,
    /// Into the free ones, or round in circles.
    Astray,
}

impl Hash {
    /// All elements free.
    pub(crate) fn new(def: &MapDef, cpus: usize, seed: u64) -> Result<Self, MapError> {
        let count = def.max_entries as usize;
        let wanted = buckets_for(def.max_entries);
        let mut buckets = Vec::new();
        buckets.try_reserve_exact(wanted).map_err(|_| MapError::NoMemory)?;
        buckets.resize_with(wanted, Head::new);
        let key_words = words(def.key_size as usize);
        let value_words = words(def.value_size as usize);
        let stride = key_words + if def.kind.is_percpu() { value_words * cpus } else { value_words };
        let clock = if def.kind.is_lru() { Some(Clock::new(count)?) } else { None };
        Ok(Self {
            shift: 64 - wanted.trailing_zeros(),
            buckets: buckets.into_boxed_slice(),
            factor: (seed ^ GOLDEN) | 1,
            pool: Pool::new(count)?,
            key_size: def.key_size as usize,
            key_words,
            value_words,
            percpu: def.kind.is_percpu(),
            is_quick: def.kind == MapKind::Hash && matches!(def.key_size, 4 | 8),
            stride,
            special: def.special,
            // One more: an element is found by its number as it stands in lists, from 1.
            cells: Cells::new(stride.checked_mul(count + 1).ok_or(MapError::TooBig)?)?,
            clock,
            lost: AtomicU32::new(0),
        })
    }

    #[inline(always)]
    fn of_word<'a>(&self, bytes: &'a [u8], word: u64) -> Key<'a> {
        Key { bytes, hash: word.wrapping_mul(self.factor), word: Some(word) }
    }

    #[inline(always)]
    fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        if bytes.len() <= 8 {
            return self.of_word(bytes, partial(bytes));
        }
        let (whole, rest) = bytes.as_chunks::<8>();
        let mut hash = self.factor;
        for word in whole {
            hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(GOLDEN);
            hash ^= hash >> 29;
        }
        hash = (hash ^ partial(rest)).wrapping_mul(GOLDEN);
        Key { bytes, hash: (hash ^ hash >> 32).wrapping_mul(GOLDEN), word: None }
    }

    /// The first cell of element `n`.
    #[inline(always)]
    fn base(&self, n: usize) -> usize {
        (n + 1) * self.stride
    }

    #[inline(always)]
    fn bucket(&self, hash: u64) -> Option<&Head> {
        self.buckets.get((hash >> self.shift) as usize)
    }

    /// Along the list from `first`.
    #[inline(always)]
    fn walk(&self, first: u32, key: &Key<'_>) -> Walk {
        let mut at = first;
        let mut before = None;
        for _ in 0..=self.pool.len() {
            if at == 0 {
                return Walk::End;
            }
            let n = at as usize - 1;
            let Some(link) = self.pool.link(n) else { return Walk::Astray };
            match key.word {
                Some(word) => {
                    let Some(cell) = self.cells.get(self.base(n)) else { return Walk::Astray };
                    if cell.load(Ordering::Acquire) == word {
                        return Walk::Found(n, before);
                    }
                }
                None => {
                    let same = link.load(Ordering::Acquire) >> 32 == (key.hash | USED) >> 32;
                    if same && self.cells.holds(self.base(n), key.bytes) {
                        return Walk::Found(n, before);
                    }
                }
            }
            at = link.load(Ordering::Acquire) as u32;
            if at & FREE != 0 {
                return Walk::Astray;
            }
            before = Some(n);
        }
        Walk::Astray
    }

    /// The element with this key, without a lock.
    #[inline(always)]
    fn find(&self, cpu: usize, key: &Key<'_>) -> Option<usize> {
        let bucket = self.bucket(key.hash)?;
        let word = bucket.look();
        if let Walk::Found(n, _) = self.walk(word as u32, key)
            && key.word.is_some()
        {
            return Some(n);
        }
        self.find_surely(bucket, cpu, key)
    }

    /// The same, where a first look is not enough.
    fn find_surely(&self, bucket: &Head, cpu: usize, key: &Key<'_>) -> Option<usize> {
        for _ in 0..TRIES {
            let word = bucket.look();
            match self.walk(word as u32, key) {
                Walk::Found(n, _) if key.word.is_some() || bucket.unchanged(word) => return Some(n),
                Walk::End if bucket.unchanged(word) => return None,
                _ => {}
            }
        }
        let Ok(taken) = bucket.take(cpu) else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let walk = self.walk(taken.first(), key);
        taken.release();
        if let Walk::Found(n, _) = walk { Some(n) } else { None }
    }

    /// The word at which the value begins.
    #[inline(always)]
    fn value_at(&self, n: usize) -> usize {
        self.base(n) + self.key_words
    }

    /// Element `n`, whose value is written, gets its key and its place in the list; then the lock is let go.
    #[inline(always)]
    fn publish(&self, n: usize, key: &Key<'_>, words: &[u64], taken: Taken<'_>) {
        fence(Ordering::Release);
        if words.is_empty() {
            self.cells.write(self.base(n), key.bytes);
        } else {
            self.cells.write_words(self.base(n), words);
        }
        if let Some(link) = self.pool.link(n) {
            let hash = (key.hash | USED) & !u64::from(u32::MAX);
            link.store(hash | u64::from(taken.first()), Ordering::Release);
        }
        taken.release_with(n as u32 + 1);
    }

    #[inline(always)]
    pub(crate) fn lookup(&self, cpu: usize, key: &[u8]) -> Option<u64> {
        let n = self.find(cpu, &self.key(key))?;
        if let Some(clock) = &self.clock {
            clock.used(n);
        }
        Some(self.value_addr(n, cpu))
    }

    /// The value of a key, which is one word.
    #[inline(always)]
    pub(crate) fn object(&self, cpu: usize, key: &[u8]) -> Option<u64> {
        let n = self.find(cpu, &self.key(key))?;
        let handle = self.cells.get(self.value_at(n))?.load(Ordering::Acquire);
        (handle != 0).then_some(handle)
    }

    #[inline(always)]
    fn value_addr(&self, n: usize, cpu: usize) -> u64 {
        let of_cpu = if self.percpu { cpu * self.value_words } else { 0 };
        self.cells.addr(self.value_at(n) + of_cpu)
    }

    /// Reads the value, or the values of all CPUs.
    pub(crate) fn read_all(&self, cpu: usize, key: &[u8], out: &mut [u8]) -> Result<(), MapError> {
        let n = self.find(cpu, &self.key(key)).ok_or(MapError::NoEntry)?;
        self.cells.read(self.value_at(n), out);
        Ok(())
    }

    #[inline(always)]
    fn write(&self, n: usize, value: &[u8], whose: Whose) {
        let at = match whose {
            Whose::Cpu(cpu) if self.percpu => self.value_at(n) + cpu * self.value_words,
            _ => self.value_at(n),
        };
        self.cells.write_value(at, value, &self.special);
    }

    /// Makes a new element of `n`, with `next` behind it, and lets go of the lock.
    #[inline(always)]
    fn insert(&self, n: usize, key: &Key<'_>, value: &[u8], whose: Whose, taken: Taken<'_>) {
        if self.percpu || self.special.any() {
            self.cells.clear(self.value_at(n), self.stride - self.key_words);
        }
        self.write(n, value, whose);
        self.publish(n, key, &[], taken);
    }

    #[inline(always)]
    pub(crate) fn update(
        &self,
        cpu: usize,
        key: &[u8],
        value: &[u8],
        whose: Whose,
        flags: u64,
    ) -> Result<(), MapError> {
        if flags > EXIST {
            return Err(MapError::Invalid);
        }
        let key = self.key(key);
        if self.clock.is_some() {
            return self.update_lru(cpu, &key, value, whose, flags);
        }
        let bucket = self.bucket(key.hash).ok_or(MapError::Invalid)?;
        let taken = bucket.take(cpu)?;
        let done = match self.walk(taken.first(), &key) {
            Walk::Found(..) if flags == NOEXIST => Err(MapError::Exists),
            Walk::Found(n, _) => {
                self.write(n, value, whose);
                Ok(())
            }
            _ if flags == EXIST => Err(MapError::NoEntry),
            _ => match self.pool.take() {
                Some(n) => {
                    self.insert(n, &key, value, whose, taken);
                    return Ok(());
                }
                None => Err(MapError::TooBig),
            },
        };
        taken.release();
        done
    }

    /// An element that is free, or that nobody has used for long. Found before the lock is taken: two locks at once
    /// would have to have an order.
    fn update_lru(
        &self,
        cpu: usize,
        key: &Key<'_>,
        value: &[u8],
        whose: Whose,
        flags: u64,
    ) -> Result<(), MapError> {
        let bucket = self.bucket(key.hash).ok_or(MapError::Invalid)?;
        let Some(clock) = &self.clock else { return Err(MapError::Invalid) };
        let mut fresh = None;
        if self.find(cpu, key).is_none() {
            if flags == EXIST {
                return Err(MapError::NoEntry);
            }
            fresh = self.pool.take().or_else(|| clock.evict(self.pool.len(), |n| self.unlink(cpu, n)));
            if fresh.is_none() {
                return Err(MapError::NoMemory);
            }
        }
        let back = |n: Option<usize>| n.into_iter().for_each(|n| self.pool.give(n));
        let taken = match bucket.take(cpu) {
            Ok(taken) => taken,
            Err(busy) => {
                back(fresh);
                return Err(busy);
            }
        };
        let done = match (self.walk(taken.first(), key), fresh) {
            (Walk::Found(..), _) if flags == NOEXIST => Err(MapError::Exists),
            (Walk::Found(n, _), _) => {
                self.write(n, value, whose);
                clock.used(n);
                Ok(())
            }
            (_, Some(n)) => {
                clock.fresh(n);
                self.insert(n, key, value, whose, taken);
                return Ok(());
            }
            // It was there a moment ago.
            (_, None) => Err(if flags == EXIST { MapError::NoEntry } else { MapError::Busy }),
        };
        taken.release();
        back(fresh);
        done
    }

    /// Takes element `n` out of the list it is in, if that can be done now.
    fn unlink(&self, cpu: usize, n: usize) -> bool {
        let Some(link) = self.pool.link(n) else { return false };
        if link.load(Ordering::Acquire) & USED == 0 {
            return false;
        }
        let mut bytes = [0; super::def::KEY_MAX as usize];
        let Some(bytes) = bytes.get_mut(..self.key_size) else { return false };
        self.cells.read(self.base(n), bytes);
        let key = self.key(bytes);
        let Some(taken) = self.bucket(key.hash).and_then(|bucket| bucket.try_take(cpu)) else { return false };
        match self.walk(taken.first(), &key) {
            Walk::Found(found, before) if found == n => {
                self.take_out(n, before, taken);
                true
            }
            _ => {
                taken.release();
                false
            }
        }
    }

    /// Unlinks `n`, which comes after `before`, and lets go of the lock.
    fn take_out(&self, n: usize, before: Option<usize>, taken: Taken<'_>) {
        let Some(link) = self.pool.link(n) else { return taken.release() };
        let next = link.load(Ordering::Relaxed) as u32;
        let first = match before.and_then(|before| self.pool.link(before)) {
            Some(before) => {
                let hash = before.load(Ordering::Relaxed) & !u64::from(u32::MAX);
                before.store(hash | u64::from(next), Ordering::Release);
                taken.first()
            }
            None => next,
        };
        // No longer used, but its way on is as it was: somebody may stand on it.
        link.store(u64::from(next), Ordering::Release);
        taken.release_with(first);
    }

    /// Deletes a key; gives the address of its value.
    pub(crate) fn delete(&self, cpu: usize, key: &[u8]) -> Result<u64, MapError> {
        let key = self.key(key);
        let bucket = self.bucket(key.hash).ok_or(MapError::Invalid)?;
        let taken = bucket.take(cpu)?;
        let Walk::Found(n, before) = self.walk(taken.first(), &key) else {
            taken.release();
            return Err(MapError::NoEntry);
        };
        self.take_out(n, before, taken);
        self.pool.give(n);
        Ok(self.value_addr(n, 0))
    }

    /// Bytes from a key to its value, of the first CPU.
    pub(crate) fn key_bytes(&self) -> usize {
        8 * self.key_words
    }

    /// The next element in use from number `n` on.
    pub(crate) fn used_from(&self, n: usize) -> Option<usize> {
        (n..self.pool.len())
            .find(|n| self.pool.link(*n).is_some_and(|link| link.load(Ordering::Acquire) & USED != 0))
    }

    /// Addresses of element `n`'s key and value.
    pub(crate) fn addresses(&self, n: usize, cpu: usize) -> (u64, u64) {
        (self.cells.addr(self.base(n)), self.value_addr(n, cpu))
    }

    /// Elements come in the order of their places, so that whatever is there all the time comes exactly once.
    pub(crate) fn next_key(&self, cpu: usize, key: Option<&[u8]>, out: &mut [u8]) -> Result<(), MapError> {
        let from = key.and_then(|key| self.find(cpu, &self.key(key))).map_or(0, |n| n + 1);
        let n = self.used_from(from).ok_or(MapError::NoEntry)?;
        self.cells.read(self.base(n), out);
        Ok(())
    }
}
