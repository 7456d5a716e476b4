//! Longest prefix match: a trie of bits.
//!
//! ```text
//!   key: │ length in bits : 32 │ bits, most significant first … │
//!
//!                 10.0.0.0/8                a lookup of 10.1.2.3/32 walks down as long as nodes match,
//!                /          \               and keeps the last one that is a key
//!      (10.0.0.0/15)         10.128.0.0/9
//!       /         \                         a node in brackets only branches: both children, no value
//!   10.0.0.0/16   10.1.0.0/16
//! ```
//!
//! A change takes the lock at the root and shows itself by one store: a child that is complete, or the mark of a node that only
//! branches. So who looks, without a lock, is always in a sound trie, and looks again if it has changed meanwhile.
//! A walk is no longer than the key has bits. There are twice as many nodes as entries: each entry needs at most one more to branch.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use super::cells::{Cells, words};
use super::def::MapDef;
use super::error::MapError;
use super::lock::{Head, Taken};
use super::pool::Pool;
use super::{EXIST, NOEXIST};

/// In a node's first word: it only branches.
const BRANCH: u64 = 1 << 32;
const TRIES: usize = 16;

/// Cells of a node: length and mark, children, bits, value.
const META: usize = 0;
const CHILDREN: usize = 1;
const BITS: usize = 2;

pub(crate) struct Lpm {
    root: Head,
    pool: Pool,
    entries: u32,
    used: AtomicU32,
    data_size: usize,
    data_words: usize,
    stride: usize,
    pub(super) cells: Cells,
}

/// A key: so many of these bits.
#[derive(Clone, Copy)]
struct Prefix<'a> {
    length: u32,
    bits: &'a [u8],
}

impl Prefix<'_> {
    /// Bit `n`, from the most significant one of the first byte.
    fn bit(&self, n: u32) -> usize {
        usize::from(self.bits.get(n as usize / 8).is_some_and(|byte| byte >> (7 - n % 8) & 1 != 0))
    }
}

/// Where the walk for a key ended.
struct Place {
    /// The last node that it came through, and its side on which it went on.
    parents: [Option<(usize, usize)>; 2],
    /// The node there, if any, and how many bits of it are the key's.
    node: Option<(usize, u32)>,
}

impl Lpm {
    pub(crate) fn new(def: &MapDef) -> Result<Self, MapError> {
        let nodes = (def.max_entries as usize).checked_mul(2).ok_or(MapError::TooBig)?;
        let data_size = def.key_size as usize - 4;
        let data_words = words(data_size);
        let stride = BITS + data_words + words(def.value_size as usize);
        Ok(Self {
            root: Head::new(),
            pool: Pool::new(nodes)?,
            entries: def.max_entries,
            used: AtomicU32::new(0),
            data_size,
            data_words,
            stride,
            cells: Cells::new(stride.checked_mul(nodes).ok_or(MapError::TooBig)?)?,
        })
    }

    fn bits_max(&self) -> u32 {
        8 * self.data_size as u32
    }

    fn prefix<'a>(&self, key: &'a [u8]) -> Option<Prefix<'a>> {
        let (length, bits) = key.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length);
        (length <= self.bits_max() && bits.len() == self.data_size).then_some(Prefix { length, bits })
    }

    fn load(&self, node: usize, field: usize) -> u64 {
        self.cells.get(node * self.stride + field).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    fn store(&self, node: usize, field: usize, word: u64) {
        if let Some(cell) = self.cells.get(node * self.stride + field) {
            cell.store(word, Ordering::Release);
        }
    }

    fn length(&self, node: usize) -> u32 {
        self.load(node, META) as u32
    }

    fn branches_only(&self, node: usize) -> bool {
        self.load(node, META) & BRANCH != 0
    }

    fn child(&self, node: usize, side: usize) -> Option<usize> {
        let both = self.load(node, CHILDREN);
        ((both >> (32 * side)) as u32).checked_sub(1).map(|n| n as usize)
    }

    fn set_child(&self, node: usize, side: usize, child: Option<usize>) {
        let shift = 32 * side;
        let both = self.load(node, CHILDREN) & !(u64::from(u32::MAX) << shift);
        self.store(node, CHILDREN, both | link(child) << shift);
    }

    fn value(&self, node: usize) -> usize {
        node * self.stride + BITS + self.data_words
    }

    /// How many bits of the node are the prefix's, of as many as both have.
    fn matching(&self, node: usize, prefix: &Prefix<'_>) -> u32 {
        let limit = self.length(node).min(prefix.length);
        for (n, part) in prefix.bits.chunks(8).enumerate() {
            let mut word = [0; 8];
            word.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            let differ =
                u64::from_be_bytes(word) ^ u64::from_be_bytes(self.load(node, BITS + n).to_le_bytes());
            let same = 64 * n as u32 + differ.leading_zeros();
            if differ != 0 || same >= limit {
                return same.min(limit);
            }
        }
        limit
    }

    /// The node with the longest prefix of the key, from the trie as it is under `first`.
    fn longest(&self, first: u32, prefix: &Prefix<'_>) -> Option<usize> {
        let mut best = None;
        let mut at = first.checked_sub(1).map(|n| n as usize);
        for _ in 0..=self.bits_max() {
            let Some(node) = at else { break };
            let (length, matching) = (self.length(node), self.matching(node, prefix));
            if matching < length {
                break;
            }
            if !self.branches_only(node) {
                best = Some(node);
            }
            at = if length < prefix.length { self.child(node, prefix.bit(length)) } else { None };
        }
        best
    }

    fn find(&self, cpu: usize, key: &[u8]) -> Result<usize, MapError> {
        let prefix = self.prefix(key).ok_or(MapError::NoEntry)?;
        for _ in 0..TRIES {
            let word = self.root.look();
            let found = self.longest(word as u32, &prefix);
            if self.root.unchanged(word) {
                return found.ok_or(MapError::NoEntry);
            }
        }
        let taken = self.root.take(cpu)?;
        let found = self.longest(taken.first(), &prefix);
        taken.release();
        found.ok_or(MapError::NoEntry)
    }

    pub(crate) fn lookup(&self, cpu: usize, key: &[u8]) -> Option<u64> {
        self.find(cpu, key).ok().map(|node| self.cells.addr(self.value(node)))
    }

    pub(crate) fn read(&self, cpu: usize, key: &[u8], out: &mut [u8]) -> Result<(), MapError> {
        let node = self.find(cpu, key)?;
        self.cells.read(self.value(node), out);
        Ok(())
    }

    /// Down to the node that is the prefix, or in whose place it would be.
    fn place(&self, first: u32, prefix: &Prefix<'_>) -> Place {
        let mut place = Place { parents: [None, None], node: None };
        let mut at = first.checked_sub(1).map(|n| n as usize);
        for _ in 0..=self.bits_max() {
            let Some(node) = at else { break };
            let (length, matching) = (self.length(node), self.matching(node, prefix));
            place.node = Some((node, matching));
            if matching < length || length == prefix.length {
                break;
            }
            let side = prefix.bit(length);
            place.parents = [Some((node, side)), place.parents[0]];
            place.node = None;
            at = self.child(node, side);
        }
        place
    }

    /// A node of its own, linked to nothing.
    fn fill(&self, node: usize, prefix: &Prefix<'_>, length: u32, meta: u64) {
        // Who still stands on it and sees any of this sees the root changed.
        fence(Ordering::Release);
        self.cells.clear(node * self.stride, BITS + self.data_words);
        self.cells.write(node * self.stride + BITS, prefix.bits);
        self.store(node, META, meta | u64::from(length));
    }

    /// Puts `node` where the walk came from, and lets go of the lock.
    fn hang(&self, parent: Option<(usize, usize)>, node: Option<usize>, taken: Taken<'_>) {
        match parent {
            Some((parent, side)) => {
                fence(Ordering::Release);
                self.set_child(parent, side, node);
                let first = taken.first();
                taken.release_with(first);
            }
            None => taken.release_with(link(node) as u32),
        }
    }

    pub(crate) fn update(&self, cpu: usize, key: &[u8], value: &[u8], flags: u64) -> Result<(), MapError> {
        if flags > EXIST {
            return Err(MapError::Invalid);
        }
        let prefix = self.prefix(key).ok_or(MapError::Invalid)?;
        let taken = self.root.take(cpu)?;
        let place = self.place(taken.first(), &prefix);
        let exact = place.node.filter(|(node, _)| self.length(*node) == prefix.length);
        let exact = exact.filter(|(_, matching)| *matching == prefix.length).map(|(node, _)| node);
        let there = exact.is_some_and(|node| !self.branches_only(node));
        let refusal = match flags {
            NOEXIST if there => Some(MapError::Exists),
            EXIST if !there => Some(MapError::NoEntry),
            _ if !there && self.used.load(Ordering::Relaxed) == self.entries => Some(MapError::NoSpace),
            _ => None,
        };
        if let Some(error) = refusal {
            taken.release();
            return Err(error);
        }
        if let Some(node) = exact {
            self.cells.write(self.value(node), value);
            self.store(node, META, u64::from(prefix.length));
            self.used.fetch_add(u32::from(!there), Ordering::Relaxed);
            let first = taken.first();
            taken.release_with(first);
            return Ok(());
        }
        let Some(new) = self.pool.take() else {
            taken.release();
            return Err(MapError::NoMemory);
        };
        self.fill(new, &prefix, prefix.length, 0);
        self.cells.write(self.value(new), value);
        let top = match place.node {
            None => new,
            // The new one lies above the node, or beside it under one that branches.
            Some((node, matching)) if matching == prefix.length => {
                self.set_child(new, self.bit(node, matching), Some(node));
                new
            }
            Some((node, matching)) => {
                let Some(branch) = self.pool.take() else {
                    self.pool.give(new);
                    taken.release();
                    return Err(MapError::NoMemory);
                };
                self.fill(branch, &prefix, matching, BRANCH);
                self.set_child(branch, prefix.bit(matching), Some(new));
                self.set_child(branch, 1 - prefix.bit(matching), Some(node));
                branch
            }
        };
        self.used.fetch_add(1, Ordering::Relaxed);
        self.hang(place.parents[0], Some(top), taken);
        Ok(())
    }

    /// Bit `n` of a node.
    fn bit(&self, node: usize, n: u32) -> usize {
        let bytes = self.load(node, BITS + n as usize / 64).to_le_bytes();
        Prefix { length: 64, bits: &bytes }.bit(n % 64)
    }

    pub(crate) fn delete(&self, cpu: usize, key: &[u8]) -> Result<(), MapError> {
        let prefix = self.prefix(key).ok_or(MapError::Invalid)?;
        let taken = self.root.take(cpu)?;
        let place = self.place(taken.first(), &prefix);
        let found = place.node.filter(|(node, matching)| {
            *matching == prefix.length && self.length(*node) == prefix.length && !self.branches_only(*node)
        });
        let Some((node, _)) = found else {
            taken.release();
            return Err(MapError::NoEntry);
        };
        self.used.fetch_sub(1, Ordering::Relaxed);
        let [parent, grandparent] = place.parents;
        match ([self.child(node, 0), self.child(node, 1)], parent) {
            ([Some(_), Some(_)], _) => {
                self.store(node, META, BRANCH | u64::from(prefix.length));
                let first = taken.first();
                taken.release_with(first);
            }
            // With a leaf goes the parent that only branched to it.
            ([None, None], Some((above, side))) if self.branches_only(above) => {
                self.hang(grandparent, self.child(above, 1 - side), taken);
                self.pool.give(above);
                self.pool.give(node);
            }
            ([left, right], _) => {
                self.hang(parent, left.or(right), taken);
                self.pool.give(node);
            }
        }
        Ok(())
    }

    /// The key after this one, deeper ones before those above them; see [`Lpm::after`].
    pub(crate) fn next(&self, key: Option<&[u8]>, out: &mut [u8]) -> Result<(), MapError> {
        for _ in 0..TRIES {
            let word = self.root.look();
            let next = self.after(word as u32, key.and_then(|key| self.prefix(key)))?;
            if let Some(node) = next {
                let Some((length, bits)) = out.split_first_chunk_mut::<4>() else {
                    return Err(MapError::Invalid);
                };
                *length = self.length(node).to_le_bytes();
                self.cells.read(node * self.stride + BITS, bits);
            }
            if self.root.unchanged(word) {
                return next.map(drop).ok_or(MapError::NoEntry);
            }
        }
        Err(MapError::Busy)
    }

    /// The node after the prefix; the first one if that is not there.
    fn after(&self, first: u32, prefix: Option<Prefix<'_>>) -> Result<Option<usize>, MapError> {
        let root = first.checked_sub(1).map(|n| n as usize);
        let Some(prefix) = prefix else { return Ok(self.deepest(root)) };
        let mut path = Vec::new();
        path.try_reserve_exact(self.bits_max() as usize + 1).map_err(|_| MapError::NoMemory)?;
        let mut at = root;
        while let Some(node) = at
            && path.len() <= self.bits_max() as usize
        {
            let length = self.length(node);
            if self.matching(node, &prefix) < length {
                break;
            }
            path.push(node);
            at = if length < prefix.length { self.child(node, prefix.bit(length)) } else { None };
        }
        match path.last() {
            Some(node) if self.length(*node) == prefix.length && !self.branches_only(*node) => {}
            _ => return Ok(self.deepest(root)),
        }
        while let Some(node) = path.pop() {
            let Some(above) = path.last().copied() else { break };
            if self.child(above, 0) == Some(node) && self.child(above, 1).is_some() {
                return Ok(self.deepest(self.child(above, 1)));
            }
            if !self.branches_only(above) {
                return Ok(Some(above));
            }
        }
        Ok(None)
    }

    /// The first node below `at`, itself included, in that order: the leftmost without children.
    fn deepest(&self, at: Option<usize>) -> Option<usize> {
        let mut at = at?;
        for _ in 0..=self.bits_max() {
            match self.child(at, 0).or_else(|| self.child(at, 1)) {
                Some(below) => at = below,
                None => break,
            }
        }
        Some(at)
    }
}

/// A child in a word: its number + 1.
fn link(node: Option<usize>) -> u64 {
    node.map_or(0, |n| n as u64 + 1)
}
