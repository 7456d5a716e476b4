//! Executable memory for code that is made while the kernel runs: compiled programs.
//!
//! It is a part of the image, so that it is executable and never writable from the start, and near enough for a call of
//! any function of the kernel. What is free holds breakpoints. A program takes a run of *grains* and is written through the
//! alias, like all text:
//!
//! ```text
//!   grains   ┌─┬─┬─┬─┬─┬─┬─┬─┬─ …        OWNER, a number for each grain: 0 free, n block n - 1
//!            │a a a│b│     │c c            BLOCKS, for each block: first grain, words, name
//! ```
//!
//! Who has an address ([`find`]) takes no lock: two loads lead to the block. It may be the last look before the memory is
//! given back, and then what it says is stale; it is never out of bounds, and names live for ever.
//!
//! A [`Code`] is given back when no CPU can be inside: its owner drops it after a quiet point.

use core::arch::global_asm;
use core::ops::Range;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use a64::{Insn, encode};
use alloc::boxed::Box;
use alloc::string::String;
use tracecore::errno::Errno;

use super::patch;
use super::ranges::{self, Region};
use crate::arch::{PAGE_SIZE, cache, cpu};
use crate::sync::{self, Once, SpinLock};

/// All of it.
pub(crate) const BYTES: usize = 1 << 20;
/// What is taken at once.
const GRAIN_BYTES: usize = 64;
const GRAINS: usize = BYTES / GRAIN_BYTES;
/// How many programs there may be at a time.
pub(crate) const BLOCKS: usize = 4096;
/// How many different names are remembered; what comes later is called [`NAMELESS`].
const NAMES: usize = 4096;
const NAMELESS: &str = "bpf_prog";

/// What an unused word holds: a breakpoint that nobody handles.
const UNUSED: Insn = encode::brk(0x801);

struct Block {
    first: AtomicU32,
    /// 0: not in use.
    words: AtomicU32,
    /// Index into `NAMED`, or beyond.
    name: AtomicU32,
}

static BLOCK: [Block; BLOCKS] =
    [const { Block { first: AtomicU32::new(0), words: AtomicU32::new(0), name: AtomicU32::new(0) } }; BLOCKS];
static OWNER: [AtomicU16; GRAINS] = [const { AtomicU16::new(0) }; GRAINS];
static NAMED: [Once<&'static str>; NAMES] = [const { Once::new() }; NAMES];
/// Who takes and gives back.
static TAKING: SpinLock<()> = SpinLock::new(());

/// Executable memory that is taken.
#[derive(Debug)]
pub(crate) struct Code {
    block: usize,
    first: usize,
    words: usize,
}

/// What an address lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its first address.
    pub(crate) start: usize,
    /// How many words it has.
    pub(crate) words: usize,
    /// What it is called.
    pub(crate) name: &'static str,
}

impl Found {
    /// The word `n`, if it is inside.
    pub(crate) fn word(&self, n: usize) -> Option<Insn> {
        (n < self.words).then(|| patch::read_filled(self.start + 4 * n)).flatten()
    }
}

impl Code {
    /// Takes memory for so many words.
    ///
    /// # Errors
    /// ENOSPC when there is no run of so many; EINVAL for none at all; ENOMEM.
    pub(crate) fn take(words: usize, name: &str) -> Result<Self, Errno> {
        if words == 0 {
            return Err(Errno::EINVAL);
        }
        let name = name_index(name)?;
        let grains = (4 * words).div_ceil(GRAIN_BYTES);
        let taking = TAKING.lock();
        let free = |block: &Block| block.words.load(Ordering::Relaxed) == 0;
        let block = BLOCK.iter().position(free).ok_or(Errno::ENOSPC)?;
        let first = free_run(grains).ok_or(Errno::ENOSPC)?;
        let about = &BLOCK[block];
        about.first.store(first as u32, Ordering::Relaxed);
        about.name.store(name as u32, Ordering::Relaxed);
        about.words.store(words as u32, Ordering::Relaxed);
        OWNER[first..first + grains]
            .iter()
            .for_each(|owner| owner.store(block as u16 + 1, Ordering::Release));
        drop(taking);
        Ok(Self { block, first, words })
    }

    /// Its first address, a multiple of 64.
    pub(crate) fn addr(&self) -> usize {
        region().start + self.first * GRAIN_BYTES
    }

    /// Writes it; every CPU fetches what is written when this returns. Not again after somebody has been told the address.
    pub(crate) fn fill(&mut self, words: &[Insn]) {
        write(self.addr(), words.iter().take(self.words).copied());
        if cpu::online() > 1 {
            sync::on_each_cpu(&cache::isb);
        }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        let grains = (4 * self.words).div_ceil(GRAIN_BYTES);
        write(self.addr(), core::iter::repeat_n(UNUSED, self.words));
        let _taking = TAKING.lock();
        OWNER[self.first..self.first + grains].iter().for_each(|owner| owner.store(0, Ordering::Relaxed));
        BLOCK[self.block].words.store(0, Ordering::Release);
    }
}

/// Writes words from an address on, some at a time, and never over the end of a page.
fn write(mut addr: usize, words: impl Iterator<Item = Insn>) {
    const AT_A_TIME: usize = 128;
    let mut some = [UNUSED; AT_A_TIME];
    let mut words = words.peekable();
    while words.peek().is_some() {
        let room = (PAGE_SIZE - addr % PAGE_SIZE) / 4;
        let mut len = 0;
        for (to, word) in some.iter_mut().zip(words.by_ref().take(room.min(AT_A_TIME))) {
            *to = word;
            len += 1;
        }
        patch::fill(addr, &some[..len]);
        addr += 4 * len;
    }
}

/// Where so many free grains are side by side. Under the lock.
fn free_run(grains: usize) -> Option<usize> {
    let mut run = 0;
    for (grain, owner) in OWNER.iter().enumerate() {
        run = if owner.load(Ordering::Relaxed) == 0 { run + 1 } else { 0 };
        if run == grains {
            return Some(grain + 1 - grains);
        }
    }
    None
}

/// A name is kept for ever, once.
fn name_index(name: &str) -> Result<usize, Errno> {
    let known = |name: &str| NAMED.iter().map_while(Once::get).position(|known| *known == name);
    if let Some(index) = known(name) {
        return Ok(index);
    }
    let mut kept = String::new();
    kept.try_reserve_exact(name.len()).map_err(|_| Errno::ENOMEM)?;
    kept.push_str(name);
    let _taking = TAKING.lock();
    if let Some(index) = known(name) {
        return Ok(index);
    }
    match NAMED.iter().position(|place| place.get().is_none()) {
        Some(free) => {
            // It is free: names are given under the lock.
            let _ = NAMED[free].set(Box::leak(kept.into_boxed_str()));
            Ok(free)
        }
        None => Ok(NAMES),
    }
}

fn region() -> Range<usize> {
    Region::Programs.range()
}

/// The program that an address lies in.
pub(crate) fn find(addr: usize) -> Option<Found> {
    let offset = addr.checked_sub(region().start)?;
    let owner = OWNER.get(offset / GRAIN_BYTES)?.load(Ordering::Acquire);
    found(usize::from(owner).checked_sub(1)?).filter(|found| addr < found.start + 4 * found.words)
}

fn found(block: usize) -> Option<Found> {
    let block = BLOCK.get(block)?;
    let words = block.words.load(Ordering::Acquire) as usize;
    let start = region().start + block.first.load(Ordering::Relaxed) as usize * GRAIN_BYTES;
    let name = NAMED.get(block.name.load(Ordering::Relaxed) as usize).and_then(Once::get);
    (words != 0).then_some(Found { start, words, name: name.copied().unwrap_or(NAMELESS) })
}

/// All programs, in no order.
pub(crate) fn all() -> impl Iterator<Item = Found> {
    (0..BLOCKS).filter_map(found)
}

/// Bytes that are taken.
pub(crate) fn taken() -> usize {
    OWNER.iter().filter(|owner| owner.load(Ordering::Relaxed) != 0).count() * GRAIN_BYTES
}

/// Tasks that were preempted inside of code that is made while the kernel runs, and how often one was.
static STOPPED: AtomicU32 = AtomicU32::new(0);
static STOPS: AtomicU32 = AtomicU32::new(0);
/// How many wait for the last of them, and who is told.
static WAITED_FOR: AtomicU32 = AtomicU32::new(0);
static WAITER: Once<fn()> = Once::new();

/// A task that is stopped inside, for as long as it is.
#[derive(Debug)]
pub(crate) struct Stop(());

/// For the way out of an interrupt that gives the CPU away: is the interrupted task inside, or about to go there with the address
/// in hand? A program runs with preemption held off; a trampoline, which leads to one, does not.
#[inline]
pub(crate) fn stop(pc: usize) -> Option<Stop> {
    if !region().contains(&pc) && !ranges::is_before_trampoline(pc) {
        return None;
    }
    STOPS.fetch_add(1, Ordering::SeqCst);
    STOPPED.fetch_add(1, Ordering::SeqCst);
    Some(Stop(()))
}

impl Drop for Stop {
    fn drop(&mut self) {
        STOPPED.fetch_sub(1, Ordering::SeqCst);
        if WAITED_FOR.load(Ordering::SeqCst) != 0
            && let Some(waiter) = WAITER.get()
        {
            waiter();
        }
    }
}

/// How many tasks are stopped inside, and how often one was.
pub(crate) fn stopped() -> (u32, u32) {
    let stopped = STOPPED.load(Ordering::SeqCst);
    (stopped, STOPS.load(Ordering::SeqCst))
}

/// Has `waiter` called whenever a task that was stopped goes on: one more waits for that, or one less. There is one waiter.
pub(crate) fn wait_for_stopped(on: bool, waiter: fn()) {
    let _ = WAITER.set(waiter);
    if on {
        WAITED_FOR.fetch_add(1, Ordering::SeqCst);
    } else {
        WAITED_FOR.fetch_sub(1, Ordering::SeqCst);
    }
}

global_asm!(
    ".pushsection .programs, \"ax\", %progbits",
    ".balign 4096",
    ".fill {words}, 4, {unused}",
    ".popsection",
    words = const BYTES / 4,
    unused = const UNUSED.0,
);
