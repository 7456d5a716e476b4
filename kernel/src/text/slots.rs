//! Slots: executable memory, a few words each, in which a probed instruction is executed out of line.
//!
//! They lie in the image's `.xol` section, so that they are mapped executable from the start, never writable, and near
//! enough for a branch to any probe. A slot holds the instruction and an *end*:
//!
//! ```text
//!   boosted   add x0, x0, x1          stepped   add x0, x0, x1
//!             b   behind the probe              brk #6
//! ```
//!
//! A boosted slot is ordinary code: it runs with whatever the interrupted code had masked, so an interrupt may come inside,
//! and its return may give the CPU to another task. So the two questions are *where does that code think it is?* and *when
//! is nobody inside any more?*
//!
//! # Where it is
//!
//! Each slot knows its *origin*, the address of the probed word. [`seen_pc`] says for a PC in a slot what it would be
//! without the probe: the origin at the first word, four more behind it. Whoever shows or keeps an interrupted PC asks
//! it (oops, backtraces); an abort's PC is put back before anybody looks ([`repair`]).
//!
//! # When nobody is inside
//!
//! A slot is dropped after its probe is out of the text and every CPU has then passed a quiet point. Nobody enters it any
//! more. Who was inside has left it at its CPU's quiet point, since that is a change of tasks, with one exception: the
//! change of tasks was made by an interrupt that hit inside the slot. So the way out of an interrupt, when it gives the
//! CPU away, *holds* the slot of the interrupted PC until it has the CPU back:
//!
//! ```text
//!   task in slot, word not yet executed          worker that frees slots
//!   ── interrupt ─▶ hold: holds += 1, held += 1
//!                   switch (a quiet point)       quiet period over: holds != 0 ─▶ limbo
//!                   … others run …               sweep: held != 0 ─▶ stays in limbo
//!                   switched back
//!                   release: held -= 1, limbo? ─▶ sweep: held == 0, remember holds
//!   ◀─ eret ──────                               a quiet period
//!   word, b behind the probe                     sweep: held == 0 and holds as remembered ─▶ free
//! ```
//!
//! The second look is why `holds` is counted beside `held`: a task that has just been switched back may still be in the
//! slot, and after one more quiet period it has either left it, or been switched away in it again, and then `holds` has
//! grown. A slot that was never held, nearly every one, is free at once. At the second word there is nothing to hold: the
//! interrupt returns to where the branch leads.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering};

use a64::{Insn, encode};
use alloc::boxed::Box;
use tracecore::errno::Errno;

use super::{patch, ranges::Region};
use crate::arch::mmu::KIMAGE_VADDR;
use crate::exception::PtRegs;
use crate::sync::{SpinLock, quiesce};

/// Words of a slot.
pub(crate) const SLOT_WORDS: usize = 2;
const SLOT_BYTES: usize = SLOT_WORDS * 4;
/// How many there are: more than ten thousand probes.
const SLOTS: usize = 24 * 1024;
const MAP_WORDS: usize = SLOTS / 64;

/// What an unused word holds: a breakpoint that nobody handles.
const UNUSED: Insn = encode::brk(0x800);

/// Which slots are taken, and which of these wait until nobody is inside.
struct Map {
    taken: [u64; MAP_WORDS],
    limbo: [u64; MAP_WORDS],
    /// No word before this one has a free bit.
    first_free: usize,
}

static MAP: SpinLock<Map> =
    SpinLock::new(Map { taken: [0; MAP_WORDS], limbo: [0; MAP_WORDS], first_free: 0 });

/// How many slots are in limbo; changed under the lock of the map.
static LIMBO: AtomicU32 = AtomicU32::new(0);

/// What is known of a slot, beside its words.
struct Use {
    /// The probed word, in bytes from the start of the image; 0 (the image's header) for a slot that is free.
    origin: AtomicU32,
    /// Tasks that an interrupt has taken the CPU from inside the slot.
    held: AtomicU32,
    /// How often that has happened since the slot was taken.
    holds: AtomicU32,
    /// `holds` at the last sweep, if nobody held the slot then.
    seen: AtomicU32,
}

/// A value that `Use::holds` never has, for [`Use::seen`].
const NOT_SEEN: u32 = u32::MAX;

static USES: [Use; SLOTS] = [const {
    Use {
        origin: AtomicU32::new(0),
        held: AtomicU32::new(0),
        holds: AtomicU32::new(0),
        seen: AtomicU32::new(0),
    }
}; SLOTS];

/// How a slot ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By a branch behind the probed word.
    Branch,
    /// By this breakpoint.
    Break(u16),
}

/// A slot that is taken. It is dropped when no CPU can enter it any more and every CPU has passed a quiet point since;
/// that nobody is inside is then seen to here.
#[derive(Debug)]
pub(crate) struct Slot(usize);

impl Slot {
    /// Takes a slot and fills it for the word `insn` of the image, at `origin`.
    ///
    /// # Errors
    /// ENOSPC when all are taken; ERANGE when a branch does not reach the word behind `origin`.
    pub(crate) fn new(insn: Insn, origin: usize, end: End) -> Result<Self, Errno> {
        let slot = Self(take().ok_or(Errno::ENOSPC)?);
        let used = &USES[slot.0];
        used.holds.store(0, Ordering::Relaxed);
        used.origin.store(origin.wrapping_sub(KIMAGE_VADDR) as u32, Ordering::Release);
        let end = slot.end(origin, end).ok_or(Errno::ERANGE)?;
        patch::fill(slot.addr(), &[insn, end]);
        Ok(slot)
    }

    /// Address of its first word.
    pub(crate) fn addr(&self) -> usize {
        slots_start() + self.0 * SLOT_BYTES
    }

    /// Changes the end of a slot that CPUs may be executing: they see the one or the other, and when this returns the new
    /// one.
    ///
    /// # Errors
    /// ERANGE when a branch does not reach.
    pub(crate) fn set_end(&self, end: End) -> Result<(), Errno> {
        let origin = self.origin().ok_or(Errno::EINVAL)?;
        let end = self.end(origin as usize, end).ok_or(Errno::ERANGE)?;
        patch::rewrite(self.addr() + 4, end);
        Ok(())
    }

    /// Does a branch reach from its end to behind the probed word?
    pub(crate) fn can_branch(&self) -> bool {
        self.origin().is_some_and(|origin| self.end(origin as usize, End::Branch).is_some())
    }

    fn origin(&self) -> Option<u64> {
        origin_of(self.0)
    }

    fn end(&self, origin: usize, end: End) -> Option<Insn> {
        match end {
            End::Branch => encode::b(origin as i64 - self.addr() as i64).ok(),
            End::Break(imm) => Some(encode::brk(imm)),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut map = MAP.lock();
        if USES[self.0].holds.load(Ordering::Acquire) == 0 {
            map.give_back(self.0);
            return;
        }
        map.limbo[self.0 / 64] |= 1 << (self.0 % 64);
        USES[self.0].seen.store(NOT_SEEN, Ordering::Relaxed);
        LIMBO.fetch_add(1, Ordering::SeqCst);
        drop(map);
        quiesce::defer(Box::new(sweep));
    }
}

impl Map {
    fn give_back(&mut self, slot: usize) {
        USES[slot].origin.store(0, Ordering::Relaxed);
        let word = slot / 64;
        self.taken[word] &= !(1 << (slot % 64));
        self.first_free = self.first_free.min(word);
    }
}

/// Frees what in limbo nobody has been in since the last sweep, a quiet period ago. Run between quiet periods, by their
/// worker alone.
fn sweep() {
    let mut again = false;
    let mut map = MAP.lock();
    for word in 0..MAP_WORDS {
        let mut left = map.limbo[word];
        while left != 0 {
            let bit = left.trailing_zeros() as usize;
            left &= left - 1;
            let slot = word * 64 + bit;
            let used = &USES[slot];
            // `held` first: a hold counts itself in `holds` before.
            let (held, holds) = (used.held.load(Ordering::SeqCst), used.holds.load(Ordering::SeqCst));
            if held != 0 {
                // Its release calls for the next sweep.
                used.seen.store(NOT_SEEN, Ordering::Relaxed);
            } else if used.seen.load(Ordering::Relaxed) == holds {
                map.limbo[word] &= !(1 << bit);
                LIMBO.fetch_sub(1, Ordering::SeqCst);
                map.give_back(slot);
            } else {
                used.seen.store(holds, Ordering::Relaxed);
                again = true;
            }
        }
    }
    drop(map);
    if again {
        quiesce::defer(Box::new(sweep));
    }
}

fn take() -> Option<usize> {
    let mut map = MAP.lock();
    let map = &mut *map;
    for (word, taken) in map.taken.iter_mut().enumerate().skip(map.first_free) {
        if *taken != u64::MAX {
            let bit = taken.trailing_ones() as usize;
            *taken |= 1 << bit;
            map.first_free = word;
            return Some(word * 64 + bit);
        }
    }
    map.first_free = MAP_WORDS;
    None
}

/// Slots, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Taken, those in limbo among them.
    pub(crate) taken: usize,
    /// No longer used, but a task may be stopped inside.
    pub(crate) limbo: usize,
    /// All there are.
    pub(crate) all: usize,
}

/// How many slots there are, and what for.
pub(crate) fn usage() -> Usage {
    let map = MAP.lock();
    let count = |bits: &[u64]| bits.iter().map(|word| word.count_ones() as usize).sum();
    Usage { taken: count(&map.taken), limbo: count(&map.limbo), all: SLOTS }
}

/// Bytes that a slot takes, and its bookkeeping.
pub(crate) const BYTES_PER_SLOT: usize = SLOT_BYTES + size_of::<Use>();

#[inline(always)]
fn slots_start() -> usize {
    Region::Slots.range().start
}

/// Slot and word of an address.
#[inline(always)]
fn find(pc: u64) -> Option<(usize, usize)> {
    let offset = (pc as usize).wrapping_sub(slots_start());
    (offset < SLOTS * SLOT_BYTES).then_some((offset / SLOT_BYTES, offset % SLOT_BYTES / 4))
}

#[inline(always)]
fn origin_of(slot: usize) -> Option<u64> {
    match USES.get(slot)?.origin.load(Ordering::Acquire) {
        0 => None,
        offset => Some(KIMAGE_VADDR as u64 + u64::from(offset)),
    }
}

/// Where a PC inside a slot would be without the probe; nothing for a PC elsewhere.
#[inline(always)]
pub(crate) fn origin(pc: u64) -> Option<u64> {
    let (slot, word) = find(pc)?;
    Some(origin_of(slot)? + 4 * word as u64)
}

/// A PC as it would be without probes.
#[inline(always)]
pub(crate) fn seen_pc(pc: u64) -> u64 {
    origin(pc).unwrap_or(pc)
}

/// Puts a PC that an exception has found in a slot back to where it would be without the probe.
#[inline(always)]
pub(crate) fn repair(regs: &mut PtRegs) {
    if let Some(pc) = origin(regs.pc()) {
        regs.set_pc(pc);
    }
}

/// A slot that a task is stopped in, for as long as it is.
#[derive(Debug)]
pub(crate) struct Hold(usize);

/// For the way out of an interrupt that gives the CPU away: keeps the slot that was interrupted. Behind the word there
/// is nothing to keep; then the interrupt returns behind the probe.
#[inline]
pub(crate) fn hold(regs: &mut PtRegs) -> Option<Hold> {
    let (slot, word) = find(regs.pc())?;
    if word != 0 {
        repair(regs);
        return None;
    }
    let used = USES.get(slot)?;
    used.holds.fetch_add(1, Ordering::SeqCst);
    used.held.fetch_add(1, Ordering::SeqCst);
    Some(Hold(slot))
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(used) = USES.get(self.0) {
            used.held.fetch_sub(1, Ordering::SeqCst);
        }
        if LIMBO.load(Ordering::SeqCst) != 0 {
            quiesce::defer(Box::new(sweep));
        }
    }
}

global_asm!(
    ".pushsection .xol, \"ax\", %progbits",
    ".balign 4096",
    ".fill {words}, 4, {unused}",
    ".popsection",
    words = const SLOTS * SLOT_WORDS,
    unused = const UNUSED.0,
);
