//! The shadow stack of a task: where its hooked functions really return to.
//!
//! ```text
//!   Task.trace ──▶ ┌─────┐                                        stack of the task (grows down)
//!                  │ top │──────────────┐                         ┌──────────────┐
//!                  ├─────┤              │                         │ caller       │
//!                  │ …   │              │            sp of B ──▶  ├──────────────┤
//!                  │ data of B's hook   │                         │ B: x30 = the │
//!                  │ returns to, sp, hook, function and size      │   trampoline │
//!                  │ data of C's hook   │            sp of C ──▶  ├──────────────┤
//!                  │ returns to, sp, hook, function and size      │ C: x30 = the │
//!                  └─────┘◀─────────────┘                         │   trampoline │
//!                    (grows up)                                   └──────────────┘
//! ```
//!
//! A function that returns finds its entry on top, since whatever was called later has returned before. SP tells: at the
//! `ret` it is what it was at the call (AAPCS64 6.2.2). Interrupts run on the stack of the task, so what they call lies
//! on top and is gone when they return.
//!
//! Two hooks on one call are two entries with one SP. The second found the trampoline in x30, so that is where its
//! entry says the function returns to; the lowest of such a run has the true address. A function that leaves by a
//! branch to another hooked one makes such a run too: the two end with one `ret`.
//!
//! All of this happens with interrupts masked on the CPU that runs the task: nobody sees half an entry, but for the
//! unwinder of another CPU, which believes nothing.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::hook::Hook;
use crate::sync::Pinned;
use crate::task::{self, Task};

/// Memory that a task's shadow stack takes, its two words of account included.
pub(crate) const SHADOW_BYTES: usize = 4096;
const ROOM: usize = (SHADOW_BYTES - size_of::<AtomicPtr<u8>>() - size_of::<AtomicU64>()) / 8;

/// The most words that a hook may keep from a call's entry to its return.
pub(crate) const MAX_DATA_WORDS: usize = 128;

/// A call that is under way. Its hook's data lie before it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Where the function returns to; the trampoline, if the entry below has the true address.
    pub(super) returns_to: u64,
    /// SP at the call.
    pub(super) sp: u64,
    /// Whose it is; kept alive by its count of calls under way.
    pub(super) hook: *const Hook,
    /// The function in the low 48 bits, of which the highest stands for all above; the bytes of data and entry in the rest.
    function_size: u64,
}

const SIZE_SHIFT: u32 = 48;

/// A function as an entry names it: its low 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function(u64);

impl Function {
    /// The function at an address.
    pub(super) const fn at(addr: u64) -> Self {
        Self(addr & ((1 << SIZE_SHIFT) - 1))
    }
}

/// The bytes that a hook's entries take, as an entry says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(u64);

impl Size {
    /// Of an entry with so many words of data.
    pub(super) const fn with(data_words: usize) -> Self {
        Self(((data_words * 8 + size_of::<Entry>()) as u64) << SIZE_SHIFT)
    }
}
const _: () = assert!(MAX_DATA_WORDS * 8 + size_of::<Entry>() < 1 << (u64::BITS - SIZE_SHIFT));

impl Entry {
    /// The hooked function.
    #[inline(always)]
    pub(super) fn function(&self) -> u64 {
        let unused = u64::BITS - SIZE_SHIFT;
        ((self.function_size << unused) as i64 >> unused) as u64
    }

    #[inline(always)]
    fn size(&self) -> usize {
        (self.function_size >> SIZE_SHIFT) as usize
    }
}

/// A task's shadow stack.
#[repr(C)]
pub(super) struct Shadow {
    /// Behind the last entry.
    top: AtomicPtr<u8>,
    /// Functions that ran unhooked because there was no room.
    exhausted: AtomicU64,
    room: UnsafeCell<[u64; ROOM]>,
}

const _: () = assert!(size_of::<Shadow>() == SHADOW_BYTES);

// SAFETY: `room` is written by the CPU that runs the task alone, with interrupts masked, or by whoever takes a dead task
// apart. `peek` reads it from elsewhere, word by word and volatile.
unsafe impl Sync for Shadow {}
// SAFETY: as above.
unsafe impl Send for Shadow {}

impl Shadow {
    /// An empty one, of which `init` must be called where it will stay.
    pub(super) const fn new() -> Self {
        Self {
            top: AtomicPtr::new(core::ptr::null_mut()),
            exhausted: AtomicU64::new(0),
            room: UnsafeCell::new([0; ROOM]),
        }
    }

    /// Makes it ready in its place.
    pub(super) fn init(&self) {
        self.top.store(self.base(), Ordering::Relaxed);
    }

    /// Behind the first entry, which stays: no call has its SP of 0, so who looks at the last entry need not ask whether
    /// there is one.
    #[inline(always)]
    fn base(&self) -> *mut u8 {
        self.room.get().cast::<u8>().wrapping_add(size_of::<Entry>())
    }

    #[inline(always)]
    fn end(&self) -> *mut u8 {
        self.room.get().cast::<u8>().wrapping_add(ROOM * 8)
    }

    /// That of the running task, if it has one.
    #[inline(always)]
    pub(super) fn current(_pin: &impl Pinned) -> Option<&Self> {
        // Relaxed: what is reached through the pointer depends on it, which is order enough on this machine.
        // SAFETY: as in `of`.
        unsafe { task::current().trace.load(Ordering::Relaxed).cast::<Self>().as_ref() }
    }

    /// That of a task. It lives as long as the task.
    #[inline(always)]
    pub(super) fn of<'t>(task: &Task) -> Option<&'t Self> {
        // SAFETY: `storage` alone sets the pointer, to a shadow stack, and frees it with the task.
        unsafe { task.trace.load(Ordering::Acquire).cast::<Self>().as_ref() }
    }

    /// The place of a new entry with so many words of data, if there is room.
    #[inline(always)]
    pub(super) fn room(&self, data_words: usize) -> Option<*mut Entry> {
        let entry = self.top.load(Ordering::Relaxed).wrapping_add(data_words * 8);
        (entry <= self.end().wrapping_sub(size_of::<Entry>())).then(|| entry.cast())
    }

    /// Counts a function that runs unhooked because there is no room.
    pub(super) fn count_exhausted(&self) {
        self.exhausted.fetch_add(1, Ordering::Relaxed);
    }

    /// The data before an entry.
    ///
    /// # Safety
    /// `entry` came from [`Shadow::room`], or is on the stack, with so many words; this CPU runs the task, with interrupts
    /// masked, and nothing else refers to the words.
    #[inline(always)]
    pub(super) unsafe fn data<'d>(entry: *mut Entry, words: usize) -> &'d mut [u64] {
        // SAFETY: the caller's promise; the words were initialised when the stack was made.
        unsafe { core::slice::from_raw_parts_mut(entry.cast::<u64>().wrapping_sub(words), words) }
    }

    /// Puts the entry for which [`Shadow::room`] has found room.
    ///
    /// # Safety
    /// `at` came from [`Shadow::room`] on this stack with the words that `size` is for, and nothing was pushed since.
    #[inline(always)]
    pub(super) unsafe fn push(
        &self,
        at: *mut Entry,
        size: Size,
        returns_to: u64,
        sp: u64,
        hook: &Hook,
        function: Function,
    ) {
        let function_size = size.0 | function.0;
        // SAFETY: the caller's promise.
        unsafe { at.write(Entry { returns_to, sp, hook, function_size }) };
        self.top.store(at.wrapping_add(1).cast(), Ordering::Relaxed);
    }

    /// The entry on top; the one that stays if there is no other.
    #[inline(always)]
    pub(super) fn top(&self) -> *mut Entry {
        self.top.load(Ordering::Relaxed).cast::<Entry>().wrapping_sub(1)
    }

    /// The entry on top, if there is one.
    #[inline(always)]
    pub(super) fn last(&self) -> Option<*mut Entry> {
        let top = self.top.load(Ordering::Relaxed);
        (top != self.base()).then(|| top.cast::<Entry>().wrapping_sub(1))
    }

    /// The entry below `entry`.
    #[inline(always)]
    pub(super) fn below(&self, entry: *mut Entry) -> Option<*mut Entry> {
        // SAFETY: `entry` is on the stack.
        let size = unsafe { (*entry).size() };
        let top = entry.wrapping_add(1).cast::<u8>().wrapping_sub(size);
        (top != self.base()).then(|| top.cast::<Entry>().wrapping_sub(1))
    }

    /// Takes the last entry away.
    ///
    /// # Safety
    /// `last` is the entry on top, and not the one that stays.
    #[inline(always)]
    pub(super) unsafe fn pop(&self, last: *mut Entry) {
        // SAFETY: the caller's promise.
        let size = unsafe { (*last).size() };
        self.top.store(last.wrapping_add(1).cast::<u8>().wrapping_sub(size), Ordering::Relaxed);
    }

    /// Functions that ran unhooked for want of room.
    pub(super) fn exhausted(&self) -> u64 {
        self.exhausted.load(Ordering::Relaxed)
    }

    /// How many entries there are.
    pub(super) fn depth(&self) -> usize {
        core::iter::successors(self.last(), |entry| self.below(*entry)).count()
    }

    /// For the unwinder: where the function returns to whose frame record lies at `record`, and whose caller's at `next`.
    /// Its entry is the lowest of those whose SP is above the one record and not above the other. May be asked of a
    /// task that runs elsewhere; then the answer may be wrong.
    pub(super) fn peek(&self, record: u64, next: u64, trampoline: u64) -> Option<u64> {
        let base = self.base().addr();
        let mut top = self.top.load(Ordering::Relaxed).addr();
        let mut found = None;
        while let Some(entry) = top.checked_sub(size_of::<Entry>()).filter(|entry| *entry >= base) {
            let Some(words) = self.words((entry - self.room.get().addr()) / 8) else { break };
            let [returns_to, sp, _, function_size] = words;
            if sp > next && next != 0 {
                break;
            }
            if sp > record && returns_to != trampoline {
                found = Some(returns_to);
                break;
            }
            let size = (function_size >> SIZE_SHIFT) as usize;
            if size < size_of::<Entry>() || !size.is_multiple_of(8) {
                break;
            }
            top = top.saturating_sub(size);
        }
        found
    }

    /// Four words of the room.
    fn words(&self, index: usize) -> Option<[u64; 4]> {
        if index + 4 > ROOM {
            return None;
        }
        let at = self.room.get().cast::<u64>().wrapping_add(index);
        // SAFETY: inside the room, which is initialised; a race makes them stale, and nothing but numbers is made of them.
        Some(core::array::from_fn(|n| unsafe { at.wrapping_add(n).read_volatile() }))
    }
}
