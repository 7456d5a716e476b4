//! Queues and stacks: values without keys.
//!
//! ```text
//!   │   │ a │ b │ c │   │        pop of a queue takes a, of a stack c
//!         ▲           ▲
//!        tail        head        counted without end; their place is the rest by the number of places
//! ```
//!
//! Both ends change under one lock: the value has to be there before the next one looks.

use core::sync::atomic::{AtomicU64, Ordering};

use super::cells::{Cells, words};
use super::def::MapDef;
use super::error::MapError;
use super::kind::MapKind;
use super::lock::Head;
use super::{ANY, EXIST};

pub(crate) struct Queue {
    lock: Head,
    /// How many have been pushed and not popped from this end.
    head: AtomicU64,
    /// How many have left at the other end.
    tail: AtomicU64,
    entries: u64,
    words: usize,
    last_in_first_out: bool,
    pub(super) cells: Cells,
}

impl Queue {
    pub(crate) fn new(def: &MapDef) -> Result<Self, MapError> {
        let words = words(def.value_size as usize);
        Ok(Self {
            lock: Head::new(),
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            entries: u64::from(def.max_entries),
            words,
            last_in_first_out: def.kind == MapKind::Stack,
            cells: Cells::new(words.checked_mul(def.max_entries as usize).ok_or(MapError::TooBig)?)?,
        })
    }

    fn at(&self, position: u64) -> usize {
        (position % self.entries) as usize * self.words
    }

    /// Adds a value. With [`EXIST`], a full one loses its oldest.
    pub(crate) fn push(&self, cpu: usize, value: &[u8], flags: u64) -> Result<(), MapError> {
        if flags != ANY && flags != EXIST {
            return Err(MapError::Invalid);
        }
        let taken = self.lock.take(cpu)?;
        let (head, tail) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        let full = head - tail == self.entries;
        if full && flags == ANY {
            taken.release();
            return Err(MapError::TooBig);
        }
        if full {
            self.tail.store(tail + 1, Ordering::Relaxed);
        }
        self.cells.write(self.at(head), value);
        self.head.store(head + 1, Ordering::Relaxed);
        taken.release();
        Ok(())
    }

    /// Reads the next value, and takes it out if `remove`. What there is not reads as zeros.
    pub(crate) fn next(&self, cpu: usize, out: &mut [u8], remove: bool) -> Result<(), MapError> {
        let taken = match self.lock.take(cpu) {
            Ok(taken) => taken,
            Err(busy) => {
                out.fill(0);
                return Err(busy);
            }
        };
        let (head, tail) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        if head == tail {
            taken.release();
            out.fill(0);
            return Err(MapError::NoEntry);
        }
        let position = if self.last_in_first_out { head - 1 } else { tail };
        self.cells.read(self.at(position), out);
        if remove {
            match self.last_in_first_out {
                true => self.head.store(head - 1, Ordering::Relaxed),
                false => self.tail.store(tail + 1, Ordering::Relaxed),
            }
        }
        taken.release();
        Ok(())
    }
}
