//! Fetch programs: what a probe records, compiled once, run at every hit.
//!
//! A definition's arguments become two lists. Most arguments are a plain register stored as eight bytes; those
//! are a table of (register, offset) that a loop of a dozen instructions empties. The rest are fields with a
//! source, steps through memory, and a way to be stored.
//!
//! ```text
//!                      p:x SYM  a=%x0  b=+8(+0(%x1)):u32  c=$comm  d=%x2
//!                                 │                │          │       │
//!   plain   (x0, 16) ◀────────────┘                │          │       │
//!           (x2, 32) ◀─────────────────────────────┼──────────┼───────┘
//!   fields  at 24: x1 ─▶ [+0] ─▶ 4 bytes at +8 ◀───┘          │
//!           at 28: comm ─▶ text ◀─────────────────────────────┘
//!
//!   record  ┌────────┬────┬───┬───┬─────┬───┬──────────────┐
//!           │ common │ ip │ a │ b │ c ● │ d │ "sh\0"       │
//!           └────────┴────┴───┴───┴───┼─┴───┴▲─────────────┘
//!             fixed part              └──────┘ length << 16 | offset
//! ```
//!
//! Before a record is reserved its length must be known: [`Program::text_len`] says how many bytes the texts
//! take, and is zero without looking for a program without texts. A text that has grown between the two looks
//! is cut to what was reserved, one that has shrunk leaves zeros behind.
//!
//! Memory that cannot be read gives a value of 0, as on Linux; a text that cannot be read has the length zero
//! and is printed as `(fault)`. An array is read element by element once its whole could not be.
//!
//! Everything here may run inside a probe: it allocates nothing, takes no lock, cannot panic, and its work is
//! bounded by the program, [`MAX_STRING_BYTES`] and [`MAX_RECORD_BYTES`].

mod compile;
mod memory;
mod sink;
mod symbol;
#[cfg(test)]
mod tests;

pub use compile::{REGISTER_ARGS, TooBig};
pub use memory::{Fault, MAX_STRING_BYTES, SafeMemory};

use crate::event::Header;
use crate::filter::{Context, Filter};
use crate::probe::Bits;
use crate::ring::{CpuRing, MAX_RECORD_BYTES, Refused, Reservation};
use crate::symbolize::Symbolizer;
use a64::{Reg, RegSet, Registers};
use alloc::boxed::Box;
use memory::{for_each_piece, is_user};
use sink::Sink;
use symbol::symbol_text;

/// Bytes of a task's name.
pub const COMM_LEN: usize = 16;
/// Size and alignment of a kernel stack: `$stackN` beyond it reads as 0.
pub const STACK_BYTES: u64 = 32 << 10;

/// What does not change from hit to hit.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// The memory that dereferences read.
    pub memory: &'a dyn SafeMemory,
    /// Names for `symstr`.
    pub symbols: &'a dyn Symbolizer,
}

/// What one hit is about.
#[derive(Clone, Copy)]
pub struct Hit<'a> {
    /// The registers; those in [`Program::needs`] must have been saved.
    pub regs: Registers<'a>,
    /// The name of the current task.
    pub comm: &'a [u8; COMM_LEN],
    /// The arguments in [`Program::entry_args`], saved at the entry, for a return probe; else empty.
    pub entry_args: &'a [u64],
    /// Memory and symbols.
    pub env: &'a Env<'a>,
}

/// A register stored as it is, at a multiple of eight.
#[derive(Clone, Copy, Debug)]
struct Plain {
    /// Its number, 0 to 30.
    x: u8,
    /// Where in the record, in words.
    word: u16,
}

/// Where a field's value starts from.
#[derive(Clone, Copy, Debug)]
enum Start {
    Reg(Reg),
    EntryArg(u16),
    StackWord(u16),
    Value(u64),
}

/// One read of eight bytes at the value so far plus `offset`, or the last such address.
#[derive(Clone, Copy, Debug)]
struct Step {
    offset: i64,
    user: bool,
}

/// How a field's value gets into the record.
#[derive(Clone, Copy, Debug)]
enum Store {
    /// The low bytes of the value.
    Value { size: u8, bits: Option<Bits> },
    /// Memory at the last step's address: `count` elements in a row.
    Memory { size: u8, count: u8, bits: Option<Bits> },
    /// The string at the last step's address.
    String,
    /// An array of pointers to strings at the last step's address.
    Strings { count: u8, user: bool },
    /// The current task's name.
    Comm,
    /// A constant text, a range of the program's.
    Text { from: u32, len: u32 },
    /// The symbol of the value, as text.
    Symbol,
}

/// An argument that is more than a register.
#[derive(Clone, Copy, Debug)]
struct Field {
    start: Start,
    /// The steps, a range of the program's.
    first_step: u32,
    steps: u8,
    at: u16,
    store: Store,
}

/// A compiled list of fetch arguments.
#[derive(Debug)]
pub struct Program {
    plain: Box<[Plain]>,
    fields: Box<[Field]>,
    steps: Box<[Step]>,
    texts: Box<[u8]>,
    entry_args: Box<[u16]>,
    fixed_len: usize,
    needs: RegSet,
    has_texts: bool,
}

impl Program {
    /// The registers that it reads: what the way in must save.
    pub const fn needs(&self) -> RegSet {
        self.needs
    }

    /// The arguments of the function, by number from 0, that must be saved at its entry for the end of it.
    pub const fn entry_args(&self) -> &[u16] {
        &self.entry_args
    }

    /// The length of the fixed part, with the common header and what else stands before the arguments.
    pub const fn fixed_len(&self) -> usize {
        self.fixed_len
    }

    /// Can a record be longer than the fixed part?
    pub const fn has_texts(&self) -> bool {
        self.has_texts
    }

    /// How many bytes of text this hit adds to the fixed part.
    #[inline(always)]
    pub fn text_len(&self, hit: &Hit<'_>) -> usize {
        if self.has_texts { self.measure(hit) } else { 0 }
    }

    /// Makes a whole record of a probe's hit: the common header, the address, the arguments.
    pub fn write_probe(
        &self,
        hit: &Hit<'_>,
        header: Header,
        ip: u64,
        ring: &CpuRing,
        now: fn() -> u64,
    ) -> Result<(), Refused> {
        self.write(hit, [header.to_word(), ip], ring, now)
    }

    /// The same, if `filter` wants the record: it is judged when it is filled, and taken back if it is not wanted.
    /// Says whether it was kept.
    #[expect(clippy::too_many_arguments, reason = "a hit, a ring and a filter are that much")]
    pub fn write_probe_if(
        &self,
        filter: &Filter,
        context: &Context<'_>,
        hit: &Hit<'_>,
        header: Header,
        ip: u64,
        ring: &CpuRing,
        now: fn() -> u64,
    ) -> Result<bool, Refused> {
        self.write_if(filter, context, hit, [header.to_word(), ip], ring, now)
    }

    /// [`Program::write_return`], if `filter` wants the record.
    #[expect(clippy::too_many_arguments, reason = "a return, a ring and a filter are that much")]
    pub fn write_return_if(
        &self,
        filter: &Filter,
        context: &Context<'_>,
        hit: &Hit<'_>,
        header: Header,
        function: u64,
        return_ip: u64,
        ring: &CpuRing,
        now: fn() -> u64,
    ) -> Result<bool, Refused> {
        self.write_if(filter, context, hit, [header.to_word(), function, return_ip], ring, now)
    }

    #[inline(always)]
    fn write_if<const N: usize>(
        &self,
        filter: &Filter,
        context: &Context<'_>,
        hit: &Hit<'_>,
        head: [u64; N],
        ring: &CpuRing,
        now: fn() -> u64,
    ) -> Result<bool, Refused> {
        let record = ring.reserve(self.fixed_len + self.text_len(hit), now)?;
        record.put_words(&head);
        self.run(hit, &record);
        let wanted = filter.accepts_reserved(&record, context);
        if wanted {
            record.commit();
        } else {
            record.withdraw();
        }
        Ok(wanted)
    }

    /// Makes a whole record of a return: the common header, the function, where it returns to, the arguments.
    pub fn write_return(
        &self,
        hit: &Hit<'_>,
        header: Header,
        function: u64,
        return_ip: u64,
        ring: &CpuRing,
        now: fn() -> u64,
    ) -> Result<(), Refused> {
        self.write(hit, [header.to_word(), function, return_ip], ring, now)
    }

    #[inline(always)]
    fn write<const N: usize>(
        &self,
        hit: &Hit<'_>,
        head: [u64; N],
        ring: &CpuRing,
        now: fn() -> u64,
    ) -> Result<(), Refused> {
        let len = self.fixed_len + self.text_len(hit);
        match ring.reserve_first(len, now) {
            Some(record) => {
                self.fill(hit, head, record);
                Ok(())
            }
            None => self.write_slowly(hit, head, ring, len, now),
        }
    }

    #[cold]
    #[inline(never)]
    fn write_slowly<const N: usize>(
        &self,
        hit: &Hit<'_>,
        head: [u64; N],
        ring: &CpuRing,
        len: usize,
        now: fn() -> u64,
    ) -> Result<(), Refused> {
        let record = ring.reserve(len, now)?;
        self.fill(hit, head, record);
        Ok(())
    }

    #[inline(always)]
    fn fill<const N: usize>(&self, hit: &Hit<'_>, head: [u64; N], record: Reservation<'_>) {
        record.put_words(&head);
        self.run(hit, &record);
        record.commit();
    }

    /// Runs the program and puts the arguments into a record of `fixed_len() + text_len()` bytes. What stands
    /// before the arguments is the caller's to put.
    pub fn record(&self, hit: &Hit<'_>, record: &Reservation<'_>) {
        self.run(hit, record);
    }

    /// The same into a slice.
    pub fn store(&self, hit: &Hit<'_>, record: &mut [u8]) {
        self.run(hit, record);
    }

    #[inline(always)]
    fn run<S: Sink>(&self, hit: &Hit<'_>, mut sink: S) {
        for plain in &self.plain {
            sink.put_word(usize::from(plain.word), hit.regs.x(plain.x));
        }
        if !self.fields.is_empty() {
            self.run_fields(hit, sink);
        }
    }

    #[inline(never)]
    fn run_fields<S: Sink>(&self, hit: &Hit<'_>, mut sink: S) {
        let mut tail = self.fixed_len;
        for field in &self.fields {
            self.run_field(hit, field, &mut sink, &mut tail);
        }
        // A text that shrank, or that was not there any more, leaves room.
        while tail < sink.len() {
            let room = (sink.len() - tail).min(8);
            sink.put_bytes(tail, [0; 8].get(..room).unwrap_or_default());
            tail += room;
        }
    }

    fn run_field<S: Sink>(&self, hit: &Hit<'_>, field: &Field, sink: &mut S, tail: &mut usize) {
        let at = usize::from(field.at);
        match field.store {
            Store::Value { size, bits } => {
                let value = self.value(hit, field).unwrap_or(0);
                put_value(sink, at, size, pick(value, bits));
            }
            Store::Memory { size, count, bits } => {
                self.store_memory(hit, field, sink, size, count, bits);
            }
            Store::String | Store::Comm | Store::Text { .. } | Store::Symbol => {
                self.store_text(hit, field, sink, at, tail, 0);
            }
            Store::Strings { count, .. } => {
                for index in 0..count {
                    self.store_text(hit, field, sink, at + usize::from(index) * 4, tail, index);
                }
            }
        }
    }

    /// The value after all steps were read.
    fn value(&self, hit: &Hit<'_>, field: &Field) -> Result<u64, Fault> {
        self.walk(hit, field, field.steps)
    }

    /// The address that the last step is about.
    fn address(&self, hit: &Hit<'_>, field: &Field) -> Result<u64, Fault> {
        let Some(before) = field.steps.checked_sub(1) else { return self.value(hit, field) };
        let value = self.walk(hit, field, before)?;
        self.steps.get(field.first_step as usize + usize::from(before)).ok_or(Fault)?.from(value)
    }

    fn walk(&self, hit: &Hit<'_>, field: &Field, steps: u8) -> Result<u64, Fault> {
        let mut value = match field.start {
            Start::Reg(reg) => hit.regs.get(reg),
            Start::EntryArg(index) => hit.entry_args.get(usize::from(index)).copied().unwrap_or(0),
            Start::StackWord(index) => stack_word(hit, index),
            Start::Value(value) => value,
        };
        let first = field.first_step as usize;
        for step in self.steps.get(first..first + usize::from(steps)).ok_or(Fault)? {
            value = read_u64(hit, step.from(value)?)?;
        }
        Ok(value)
    }

    fn store_memory<S: Sink>(
        &self,
        hit: &Hit<'_>,
        field: &Field,
        sink: &mut S,
        size: u8,
        count: u8,
        bits: Option<Bits>,
    ) {
        let address = self.address(hit, field);
        for index in 0..u64::from(count) {
            let mut raw = [0; 8];
            let value = address.and_then(|address| {
                let into = raw.get_mut(..usize::from(size)).ok_or(Fault)?;
                let from = address.wrapping_add(index * u64::from(size));
                hit.env.memory.read(from, into)
            });
            let value = if value.is_ok() { u64::from_le_bytes(raw) } else { 0 };
            let at = usize::from(field.at) + index as usize * usize::from(size);
            put_value(sink, at, size, pick(value, bits));
        }
    }

    /// Puts one text behind the fixed part and its location into it.
    fn store_text<S: Sink>(
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
            let text = self.text(hit, field, index, limit, &mut |from, piece| {
                sink.put_bytes(start + from, piece);
            });
            if let Ok(text_len) = text {
                sink.put_bytes(start + text_len, &[0]);
                length = text_len + 1;
            }
        }
        *tail += length;
        sink.put_bytes(at, &((length as u32) << 16 | start as u32).to_le_bytes());
    }

    /// Gives `each` the pieces of a field's text, at most `limit` bytes in all. Returns how many there were.
    fn text(
        &self,
        hit: &Hit<'_>,
        field: &Field,
        index: u8,
        limit: usize,
        each: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<usize, Fault> {
        let limit = limit.min(MAX_STRING_BYTES - 1);
        let mut whole = |text: &[u8]| {
            let text = text.get(..limit).unwrap_or(text);
            each(0, text);
            text.len()
        };
        match field.store {
            Store::Comm => {
                let end = hit.comm.iter().position(|byte| *byte == 0).unwrap_or(COMM_LEN);
                Ok(whole(hit.comm.get(..end).ok_or(Fault)?))
            }
            Store::Text { from, len } => {
                let (from, len) = (from as usize, len as usize);
                Ok(whole(self.texts.get(from..from + len).ok_or(Fault)?))
            }
            Store::Symbol => {
                let value = self.value(hit, field)?;
                Ok(symbol_text(hit.env.symbols, value, limit, each))
            }
            Store::String => {
                let address = self.address(hit, field)?;
                for_each_piece(hit.env.memory, address, limit, each)
            }
            Store::Strings { user, .. } => {
                let base = self.address(hit, field)?;
                let pointer = read_u64(hit, base.wrapping_add(u64::from(index) * 8))?;
                if user && !is_user(pointer) {
                    return Err(Fault);
                }
                for_each_piece(hit.env.memory, pointer, limit, each)
            }
            Store::Value { .. } | Store::Memory { .. } => Err(Fault),
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
                Store::String | Store::Comm | Store::Text { .. } | Store::Symbol => 1,
            };
            for index in 0..count {
                if let Ok(length) = self.text(hit, field, index, MAX_STRING_BYTES, &mut |_, _| {}) {
                    total += length + 1;
                }
            }
        }
        total.min(room)
    }
}

impl Step {
    /// The address that this step reads, from the value before it.
    fn from(&self, value: u64) -> Result<u64, Fault> {
        let address = value.wrapping_add_signed(self.offset);
        if self.user && !is_user(address) { Err(Fault) } else { Ok(address) }
    }
}

fn read_u64(hit: &Hit<'_>, address: u64) -> Result<u64, Fault> {
    let mut raw = [0; 8];
    hit.env.memory.read(address, &mut raw)?;
    Ok(u64::from_le_bytes(raw))
}

/// Word `index` above the stack pointer, 0 beyond the end of the stack.
fn stack_word(hit: &Hit<'_>, index: u16) -> u64 {
    let sp = hit.regs.get(Reg::SP);
    let address = sp.wrapping_add(u64::from(index) * 8);
    if (address ^ sp) & !(STACK_BYTES - 1) != 0 {
        return 0;
    }
    read_u64(hit, address).unwrap_or(0)
}

fn put_value<S: Sink>(sink: &mut S, at: usize, size: u8, value: u64) {
    let bytes = value.to_le_bytes();
    sink.put_bytes(at, bytes.get(..usize::from(size)).unwrap_or_default());
}

/// The bits of a bit field, moved down; the value itself if it is none.
fn pick(value: u64, bits: Option<Bits>) -> u64 {
    let Some(Bits { width, offset }) = bits else { return value };
    // Up to the top of the word and down again, which drops what lies above and below.
    let up = 64_u32.saturating_sub(u32::from(offset) + u32::from(width));
    let down = 64_u32.saturating_sub(u32::from(width));
    value.checked_shl(up).and_then(|value| value.checked_shr(down)).unwrap_or(0)
}
