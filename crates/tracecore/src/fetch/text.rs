//! Texts of a record: measured before it is reserved, put behind its fixed part.
//!
//! They are handled by words: the end of a string is found eight bytes at a time, and a piece of at most eight bytes is
//! put at any offset by at most two stores. A byte at a time costs more than all the rest of a hit.

use super::memory::{Fault, for_each_word, is_user};
use super::sink::Sink;
use super::symbol::symbol_text;
use super::{COMM_LEN, Comm, Field, Hit, MAX_STRING_BYTES, Program, Store};
use crate::ring::MAX_RECORD_BYTES;

/// What takes the pieces of a text.
pub(super) trait Out {
    /// Takes the low `len` bytes, at most eight.
    fn put(&mut self, bytes: u64, len: usize);
}

/// Only counts.
struct Measure;

impl Out for Measure {
    fn put(&mut self, _: u64, _: usize) {}
}

/// Puts them into a record.
struct Put<'s, S> {
    sink: &'s mut S,
    at: usize,
}

impl<S: Sink> Out for Put<'_, S> {
    #[inline(always)]
    fn put(&mut self, bytes: u64, len: usize) {
        self.sink.put_low(self.at, len, bytes);
        self.at += len;
    }
}

/// Texts whose length needs no look at memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// How often the name of the task is recorded.
    pub(super) names: usize,
    /// Bytes of the others, their NULs with them.
    pub(super) constant: usize,
}

impl Known {
    /// With one more; `None` if that lies in memory, or is the text of a symbol.
    pub(super) fn with(self, store: Store) -> Option<Self> {
        match store {
            Store::Value { .. } | Store::Memory { .. } => Some(self),
            Store::Comm => Some(Self { names: self.names + 1, ..self }),
            Store::Text { len, .. } => {
                let len = (len as usize).min(MAX_STRING_BYTES - 1);
                Some(Self { constant: self.constant + len + 1, ..self })
            }
            Store::String | Store::Slice { .. } | Store::Strings { .. } | Store::Symbol => None,
        }
    }
}

impl Program {
    /// How many bytes of text this hit adds to the fixed part.
    #[inline(always)]
    pub fn text_len(&self, hit: &Hit<'_>) -> usize {
        if !self.has_texts {
            return 0;
        }
        // Names and constants are measured without a look at anything else.
        match self.known_texts {
            Some(Known { names, constant }) => {
                let room = MAX_RECORD_BYTES.saturating_sub(self.fixed_len);
                (constant + names * (hit.comm.len + 1)).min(room)
            }
            None => self.measure(hit),
        }
    }

    /// The first of the two looks at texts.
    #[inline(never)]
    fn measure(&self, hit: &Hit<'_>) -> usize {
        let room = MAX_RECORD_BYTES.saturating_sub(self.fixed_len);
        let mut total = 0;
        for field in &self.fields {
            let count = match field.store {
                Store::Value { .. } | Store::Memory { .. } => 0,
                Store::Strings { count, .. } => count,
                Store::String | Store::Slice { .. } | Store::Comm | Store::Text { .. } | Store::Symbol => 1,
            };
            if matches!(field.store, Store::Comm) {
                total += hit.comm.len + 1;
                continue;
            }
            for index in 0..count {
                if let Ok(length) = self.text(hit, field, index, MAX_STRING_BYTES, &mut Measure) {
                    total += length + 1;
                }
            }
        }
        total.min(room)
    }

    /// Puts one text behind the fixed part and its location into it.
    pub(super) fn store_text<S: Sink>(
        &self,
        hit: &Hit<'_>,
        field: &Field,
        sink: &mut S,
        at: usize,
        tail: &mut usize,
        index: u8,
    ) {
        let start = *tail;
        let room = sink.len().saturating_sub(start);
        let mut length = 0;
        // One byte is kept for the NUL.
        if let Some(limit) = room.checked_sub(1) {
            let mut out = Put { sink, at: start };
            if let Ok(text_len) = self.text(hit, field, index, limit, &mut out) {
                sink.put_low(start + text_len, 1, 0);
                length = text_len + 1;
            }
        }
        *tail += length;
        sink.put_low(at, 4, (length << 16 | start) as u64);
    }

    /// Gives `out` the pieces of a field's text, at most `limit` bytes in all. Returns how many there were.
    #[inline(always)]
    fn text(
        &self,
        hit: &Hit<'_>,
        field: &Field,
        index: u8,
        limit: usize,
        out: &mut impl Out,
    ) -> Result<usize, Fault> {
        let limit = limit.min(MAX_STRING_BYTES - 1);
        match field.store {
            Store::Text { from, len } => {
                let len = (len as usize).min(limit);
                let words = self.texts.get(from as usize..).ok_or(Fault)?;
                for (index, word) in words.iter().take(len.div_ceil(8)).enumerate() {
                    out.put(*word, (len - index * 8).min(8));
                }
                Ok(len)
            }
            Store::Symbol => {
                let value = self.value(hit, field.walk)?;
                Ok(symbol_text(hit.env.symbols, value, limit, out))
            }
            Store::String => {
                let address = self.address(hit, field.walk)?;
                for_each_word(hit.env.memory, address, limit, out)
            }
            Store::Slice { length } => {
                let length = self.value(hit, *self.lengths.get(length as usize).ok_or(Fault)?)?;
                let limit = usize::try_from(length).map_or(limit, |length| length.min(limit));
                for_each_word(hit.env.memory, self.address(hit, field.walk)?, limit, out)
            }
            Store::Strings { user, .. } => {
                let base = self.address(hit, field.walk)?;
                let pointer = hit.env.memory.load(base.wrapping_add(u64::from(index) * 8), 8)?;
                if user && !is_user(pointer) {
                    return Err(Fault);
                }
                for_each_word(hit.env.memory, pointer, limit, out)
            }
            // Not texts, and the one that is put without this.
            Store::Value { .. } | Store::Memory { .. } | Store::Comm => Err(Fault),
        }
    }
}

/// Puts the name of the task behind the fixed part and its location into it. Zeros follow the name in its words, so
/// its NUL goes with it.
#[inline(always)]
pub(super) fn store_comm<S: Sink>(comm: Comm, sink: &mut S, at: usize, tail: &mut usize) {
    let start = *tail;
    let length = (comm.len + 1).min(sink.len().saturating_sub(start));
    if length == 0 {
        return sink.put_low(at, 4, start as u64);
    }
    let [low, high] = comm.words;
    sink.put_low(start, length.min(8), low);
    if length > 8 {
        sink.put_low(start + 8, (length - 8).min(8), high);
    }
    // A name without an end, or one that was cut.
    if length > COMM_LEN || length <= comm.len {
        sink.put_low(start + length - 1, 1, 0);
    }
    *tail += length;
    sink.put_low(at, 4, (length << 16 | start) as u64);
}
