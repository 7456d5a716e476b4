//! Running a program: numbers into a record.

use super::memory::{Fault, is_user};
use super::sink::Sink;
use super::text::store_comm;
use super::{Field, Hit, Program, STACK_BYTES, Start, Step, Store, Walk};
use crate::filter::{Context, Filter};
use crate::probe::Bits;
use crate::ring::{CpuRing, Refused, Reservation};
use a64::{Reg, Registers};

/// A program that stores registers as they are, one after the other, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(&'a [u8]);

impl Plain<'_> {
    /// Makes a whole record: the header, the addresses, the registers. False, and nothing is written, if that is not
    /// decided by the ring's first try; then [`Program::write`] does it.
    ///
    /// Compiled into its caller, the recorder, with `now` in it: half of what a hit costs would else be calls and the
    /// registers that they save.
    #[inline(always)]
    pub fn write<const N: usize>(
        self,
        regs: Registers<'_>,
        header: u64,
        addresses: [u64; N],
        ring: &CpuRing,
        now: fn() -> u64,
    ) -> bool {
        let Some(record) = ring.reserve_first((1 + N + self.0.len()) * 8, now) else { return false };
        record.put_own(0, header);
        for (index, word) in addresses.into_iter().enumerate() {
            record.put_own(1 + index, word);
        }
        for (index, x) in self.0.iter().enumerate() {
            record.put_own(1 + N + index, regs.x(*x));
        }
        record.commit();
        true
    }

    /// The register of argument `index`; 0 if there are not so many.
    #[inline(always)]
    pub(crate) fn get(self, regs: Registers<'_>, index: usize) -> u64 {
        self.0.get(index).map_or(0, |x| regs.x(*x))
    }
}

impl Program {
    /// This program, if it stores registers as they are and nothing else.
    #[inline(always)]
    pub fn plain(&self) -> Option<Plain<'_>> {
        self.only_plain.as_deref().map(Plain)
    }

    /// Makes a whole record of a hit: the header, the addresses, the arguments.
    #[inline(never)]
    pub fn write(
        &self,
        hit: &Hit<'_>,
        header: u64,
        addresses: &[u64],
        ring: &CpuRing,
        now: fn() -> u64,
    ) -> Result<(), Refused> {
        let len = self.fixed_len + self.text_len(hit);
        match ring.reserve_first(len, now) {
            Some(record) => {
                self.fill(hit, header, addresses, record);
                Ok(())
            }
            None => self.write_slowly(hit, header, addresses, ring, len, now),
        }
    }

    #[cold]
    #[inline(never)]
    fn write_slowly(
        &self,
        hit: &Hit<'_>,
        header: u64,
        addresses: &[u64],
        ring: &CpuRing,
        len: usize,
        now: fn() -> u64,
    ) -> Result<(), Refused> {
        let record = ring.reserve(len, now)?;
        self.fill(hit, header, addresses, record);
        Ok(())
    }

    #[inline(always)]
    fn fill(&self, hit: &Hit<'_>, header: u64, addresses: &[u64], record: Reservation<'_>) {
        put_head(&record, header, addresses);
        self.run(hit, &record);
        record.commit();
    }

    /// The same, if `filter` wants the record: it is judged when it is filled, and taken back if it is not wanted.
    /// Says whether it was kept.
    ///
    /// For filters that ask for memory or texts; others can be asked [before](super::Unwritten).
    #[expect(clippy::too_many_arguments, reason = "a hit, a ring and a filter are that much")]
    #[inline(never)]
    pub fn write_if(
        &self,
        filter: &Filter,
        context: &Context<'_>,
        hit: &Hit<'_>,
        header: u64,
        addresses: &[u64],
        ring: &CpuRing,
        now: fn() -> u64,
    ) -> Result<bool, Refused> {
        let record = ring.reserve_here(self.fixed_len + self.text_len(hit), now)?;
        put_head(&record, header, addresses);
        self.run(hit, &record);
        let wanted = filter.accepts_reserved(&record, context);
        if wanted {
            record.commit();
        } else {
            record.withdraw();
        }
        Ok(wanted)
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
        let mut tail = self.fixed_len;
        for field in &self.fields {
            self.run_field(hit, field, &mut sink, &mut tail);
        }
        // A text that shrank, or that was not there any more, leaves room.
        while tail < sink.len() {
            let room = (sink.len() - tail).min(8);
            sink.put_low(tail, room, 0);
            tail += room;
        }
    }

    #[inline(always)]
    fn run_field<S: Sink>(&self, hit: &Hit<'_>, field: &Field, sink: &mut S, tail: &mut usize) {
        let at = usize::from(field.at);
        match field.store {
            Store::Value { size, bits } => {
                let value = self.value(hit, field.walk).unwrap_or(0);
                sink.put_low(at, usize::from(size), pick(value, bits));
            }
            Store::Memory { size, count, bits } => {
                self.store_memory(hit, field, sink, size, count, bits);
            }
            Store::Comm => store_comm(hit.comm, sink, at, tail),
            Store::String | Store::Slice { .. } | Store::Text { .. } | Store::Symbol => {
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
    pub(super) fn value(&self, hit: &Hit<'_>, walk: Walk) -> Result<u64, Fault> {
        self.walk(hit, walk, walk.steps)
    }

    /// The address that the last step is about.
    pub(super) fn address(&self, hit: &Hit<'_>, walk: Walk) -> Result<u64, Fault> {
        let Some(before) = walk.steps.checked_sub(1) else { return self.value(hit, walk) };
        let value = self.walk(hit, walk, before)?;
        self.steps.get(walk.first_step as usize + usize::from(before)).ok_or(Fault)?.from(value)
    }

    fn walk(&self, hit: &Hit<'_>, walk: Walk, steps: u8) -> Result<u64, Fault> {
        let mut value = match walk.start {
            Start::StackWord(index) => stack_word(hit, index),
            start => start.known(hit.regs, hit.entry_args),
        };
        let first = walk.first_step as usize;
        for step in self.steps.get(first..first + usize::from(steps)).ok_or(Fault)? {
            value = hit.env.memory.load(step.from(value)?, 8)?;
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
        let address = self.address(hit, field.walk);
        let size = usize::from(size);
        for index in 0..usize::from(count) {
            let value = address
                .and_then(|address| hit.env.memory.load(address.wrapping_add((index * size) as u64), size));
            sink.put_low(usize::from(field.at) + index * size, size, pick(value.unwrap_or(0), bits));
        }
    }
}

/// Puts what stands before the arguments: of a probe one address, of a return two. There is room, since a record is
/// never shorter than the program's fixed part, and that begins behind them.
#[inline(always)]
fn put_head(record: &Reservation<'_>, header: u64, addresses: &[u64]) {
    match *addresses {
        [ip] => record.put_words(&[header, ip]),
        [function, return_ip] => record.put_words(&[header, function, return_ip]),
        _ => record.put_words(&[header]),
    };
}

impl Start {
    /// The value, of what needs no memory.
    #[inline(always)]
    pub(super) fn known(self, regs: Registers<'_>, entry_args: &[u64]) -> u64 {
        match self {
            Start::Reg(reg) => regs.get(reg),
            Start::EntryArg(index) => entry_args.get(usize::from(index)).copied().unwrap_or(0),
            Start::Value(value) => value,
            Start::StackWord(_) => 0,
        }
    }
}

impl Step {
    /// The address that this step reads, from the value before it.
    fn from(&self, value: u64) -> Result<u64, Fault> {
        let address = value.wrapping_add_signed(self.offset);
        if self.user && !is_user(address) { Err(Fault) } else { Ok(address) }
    }
}

/// Word `index` above the stack pointer, 0 beyond the end of the stack.
fn stack_word(hit: &Hit<'_>, index: u16) -> u64 {
    let sp = hit.regs.get(Reg::SP);
    let address = sp.wrapping_add(u64::from(index) * 8);
    if (address ^ sp) & !(STACK_BYTES - 1) != 0 {
        return 0;
    }
    hit.env.memory.load(address, 8).unwrap_or(0)
}

/// The bits of a bit field, moved down; the value itself if it is none.
#[inline(always)]
pub(super) fn pick(value: u64, bits: Option<Bits>) -> u64 {
    let Some(Bits { width, offset }) = bits else { return value };
    // Up to the top of the word and down again, which drops what lies above and below.
    let up = 64_u32.saturating_sub(u32::from(offset) + u32::from(width));
    let down = 64_u32.saturating_sub(u32::from(width));
    value.checked_shl(up).and_then(|value| value.checked_shr(down)).unwrap_or(0)
}
