//! The way into this CPU's ring: the header of a record, and room for it.

use core::sync::atomic::Ordering;

use tracecore::event::{BH_OFF, HARDIRQ, Header, IRQS_OFF, NEED_RESCHED, NMI, SOFTIRQ};
use tracecore::ring::{Refused, Reservation};

use super::{clock, rings};
use crate::arch::daif;
use crate::arch::thread::{self, HARDIRQ_MASK, NMI_MASK, PREEMPT_OFFSET, SOFTIRQ_MASK, SOFTIRQ_OFFSET};
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

/// The same where interrupts were masked, or not, before what calls this masked them, and where it holds so many of
/// [`PREEMPT_OFFSET`] itself.
#[inline(always)]
pub(super) fn header_masked(id: u16, masked: bool, guards: u32) -> u64 {
    header_in(id, thread::current().count() - guards, masked)
}

#[inline(always)]
fn header_with(id: u16, count: u32) -> u64 {
    header_in(id, count, daif::irqs_masked())
}

#[inline(always)]
fn header_in(id: u16, count: u32, masked: bool) -> u64 {
    let head = thread::current();
    let mut flags = 0;
    if masked {
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
#[inline(always)]
fn context_flags(count: u32) -> u8 {
    let flag = |mask, flag| if count & mask != 0 { flag } else { 0 };
    flag(HARDIRQ_MASK, HARDIRQ)
        | flag(NMI_MASK, NMI)
        | flag(SOFTIRQ_OFFSET, SOFTIRQ)
        | flag(SOFTIRQ_MASK & !SOFTIRQ_OFFSET, BH_OFF)
}

/// Writes a record of whole words, which begins with its [`header`].
#[inline(always)]
pub(super) fn write_words(pin: &impl Pinned, words: &[u64]) -> Result<(), Refused> {
    rings::this(pin).ok_or(Refused::Off)?.write_words(words, clock::now)
}

/// The same, compiled into the caller: for the one that is called most.
#[inline(always)]
pub(super) fn write_words_here<const N: usize>(pin: &impl Pinned, words: &[u64; N]) -> Result<(), Refused> {
    rings::this(pin).ok_or(Refused::Off)?.write_words_here(words, clock::now)
}

/// The same where interrupts are masked and the clock has just been read.
#[inline(always)]
pub(super) fn write_words_at<const N: usize>(
    pin: &impl Pinned,
    words: &[u64; N],
    at: u64,
) -> Result<(), Refused> {
    rings::this(pin).ok_or(Refused::Off)?.write_words_at(words, at, clock::now)
}

/// Room for a record in this CPU's ring.
#[inline(always)]
pub(super) fn reserve(pin: &impl Pinned, len: usize) -> Result<Reservation<'_>, Refused> {
    rings::this(pin).ok_or(Refused::Off)?.reserve(len, clock::now)
}

/// The same, compiled into the caller: for the one that is called most.
#[inline(always)]
pub(super) fn reserve_here(pin: &impl Pinned, len: usize) -> Result<Reservation<'_>, Refused> {
    rings::this(pin).ok_or(Refused::Off)?.reserve_here(len, clock::now)
}
