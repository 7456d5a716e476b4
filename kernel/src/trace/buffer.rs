//! The way into this CPU's ring: the header of a record, and room for it.

use core::sync::atomic::Ordering;

use tracecore::event::{BH_OFF, HARDIRQ, Header, IRQS_OFF, NEED_RESCHED, NMI, SOFTIRQ};
use tracecore::fetch::{Hit, Program};
use tracecore::filter::{Context, Filter};
use tracecore::ring::{Refused, Reservation};

use super::{clock, rings};
use crate::arch::thread::{self, HARDIRQ_MASK, NMI_MASK, PREEMPT_OFFSET, SOFTIRQ_MASK, SOFTIRQ_OFFSET};
use crate::arch::{cpu, daif};
use crate::sync::Pinned;
use crate::task;

/// The first word of a record made here and now: which event, in what context, by whom.
#[inline(always)]
pub(super) fn header(id: u16) -> u64 {
    header_with(id, thread::current().count())
}

/// The same for a tracer, which holds off preemption itself: what counts is how it was before.
#[inline(always)]
pub(super) fn header_before_guard(id: u16) -> u64 {
    header_with(id, thread::current().count() - PREEMPT_OFFSET)
}

#[inline(always)]
fn header_with(id: u16, count: u32) -> u64 {
    let head = thread::current();
    let mut flags = 0;
    if daif::irqs_masked() {
        flags |= IRQS_OFF;
    }
    if head.need_resched.load(Ordering::Relaxed) != 0 {
        flags |= NEED_RESCHED;
    }
    if count & (HARDIRQ_MASK | NMI_MASK | SOFTIRQ_MASK) != 0 {
        flags |= context_flags(count);
    }
    let preempt_count = (count & (SOFTIRQ_OFFSET - PREEMPT_OFFSET)) as u8 & 0xf;
    Header { id, flags, preempt_count, pid: task::current().pid() as i32 }.to_word()
}

/// A softirq that runs has an odd count; each guard that holds them off adds two.
#[cold]
fn context_flags(count: u32) -> u8 {
    let flag = |mask, flag| if count & mask != 0 { flag } else { 0 };
    flag(HARDIRQ_MASK, HARDIRQ)
        | flag(NMI_MASK, NMI)
        | flag(SOFTIRQ_OFFSET, SOFTIRQ)
        | flag(SOFTIRQ_MASK & !SOFTIRQ_OFFSET, BH_OFF)
}

/// Writes the record of a probe's hit at `addr`: the [`header`], the address and what the program fetches.
#[inline(always)]
pub(super) fn record_probe(
    pin: &impl Pinned,
    id: u16,
    addr: u64,
    program: &Program,
    hit: &Hit<'_>,
) -> Result<(), Refused> {
    program.write_probe(
        hit,
        Header::from_word(header(id)),
        addr,
        rings::this(pin).ok_or(Refused::Off)?,
        clock::now,
    )
}

/// Writes the record of a return: the [`header`], the function, where it returns to, and what the program fetches.
#[inline(always)]
pub(super) fn record_return(
    pin: &impl Pinned,
    id: u16,
    function: u64,
    return_ip: u64,
    program: &Program,
    hit: &Hit<'_>,
) -> Result<(), Refused> {
    let ring = rings::this(pin).ok_or(Refused::Off)?;
    program.write_return(hit, Header::from_word(header(id)), function, return_ip, ring, clock::now)
}

/// The same, if `filter` wants the record; says whether it does.
#[inline(always)]
pub(super) fn record_return_if(
    pin: &impl Pinned,
    filter: &Filter,
    id: u16,
    function: u64,
    return_ip: u64,
    program: &Program,
    hit: &Hit<'_>,
) -> Result<bool, Refused> {
    let context = Context { cpu: cpu::id(), comm: hit.comm };
    let ring = rings::this(pin).ok_or(Refused::Off)?;
    let header = Header::from_word(header(id));
    program.write_return_if(filter, &context, hit, header, function, return_ip, ring, clock::now)
}

/// [`record_probe`], if `filter` wants the record; says whether it does.
#[inline(always)]
pub(super) fn record_probe_if(
    pin: &impl Pinned,
    filter: &Filter,
    id: u16,
    addr: u64,
    program: &Program,
    hit: &Hit<'_>,
) -> Result<bool, Refused> {
    let context = Context { cpu: cpu::id(), comm: hit.comm };
    let ring = rings::this(pin).ok_or(Refused::Off)?;
    program.write_probe_if(filter, &context, hit, Header::from_word(header(id)), addr, ring, clock::now)
}

/// Writes a record of whole words, which begins with its [`header`].
#[inline(always)]
pub(super) fn write_words(pin: &impl Pinned, words: &[u64]) -> Result<(), Refused> {
    rings::this(pin).ok_or(Refused::Off)?.write_words(words, clock::now)
}

/// Room for a record in this CPU's ring.
#[inline(always)]
pub(super) fn reserve(pin: &impl Pinned, len: usize) -> Result<Reservation<'_>, Refused> {
    rings::this(pin).ok_or(Refused::Off)?.reserve(len, clock::now)
}
