//! Listeners: who is told of a function's returns, and what such a one is told.
//!
//! A listener is a type with methods, and each of those is a function with an entry, which may be traced. A user of every
//! function of the kernel would be told of its own being told: a miss for each hit, and as much time again. So a hook
//! calls functions without an entry, into which the methods are compiled where they say `#[inline(always)]`.

use alloc::sync::Arc;
use core::marker::PhantomData;

use super::call::Call;
use super::entry::EntryRegs;
use super::shadow::{self, Shadow};
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::{Entry, Return};
use crate::sync::CpuPin;

/// What an entry listener wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To be told of the return.
    Keep,
    /// Not to be.
    Decline,
}

/// A call that has returned: its entry on the shadow stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned<'a> {
    entry: *mut shadow::Entry,
    data_words: usize,
    stays: PhantomData<&'a ()>,
}

impl<'a> Returned<'a> {
    /// The call whose entry this is, of a hook that keeps so many words.
    #[inline(always)]
    pub(super) fn new(entry: *mut shadow::Entry, data_words: usize) -> Self {
        Self { entry, data_words, stays: PhantomData }
    }

    /// The function.
    #[inline(always)]
    pub(crate) fn function(self) -> u64 {
        // SAFETY: the entry is on the running task's stack until the listener has returned.
        unsafe { (*self.entry).function() }
    }

    /// What the entry listener left; what it did not write holds anything.
    #[inline(always)]
    pub(crate) fn data(self) -> &'a [u64] {
        // SAFETY: as above, and nobody else refers to the words.
        unsafe { Shadow::data(self.entry, self.data_words) }
    }
}

/// Who is told of a function's returns.
///
/// Runs as a probe's handler runs: with interrupts masked, allocating nothing, taking no lock that a task may hold, not
/// sleeping; probes that are hit in it are counted misses.
pub(crate) trait Listener: Send + Sync {
    /// At the entry, if [`Listener::has_entry`] says so: may leave `data` for the return.
    fn entry(&self, _regs: EntryRegs<'_>, _data: &mut [u64], _pin: &CpuPin) -> Verdict {
        Verdict::Keep
    }

    /// The same for a user of [`ftrace::graph`](crate::ftrace::graph), who is always asked: the registers are those that the
    /// function will have, and may be changed.
    fn enter(&self, _call: &Call<'_>, _regs: &mut FtraceRegs<Entry>, _data: &mut [u64]) -> Verdict {
        Verdict::Keep
    }

    /// At the return. May change the results.
    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, pin: &CpuPin);

    /// Whether [`Listener::entry`] does anything. Asked once.
    fn has_entry(&self) -> bool {
        false
    }

    /// Whether it sees to it itself that it is not called in its own midst, and can be called in that of others that do. It has
    /// nothing to do at an entry. Asked once.
    fn is_open(&self) -> bool {
        false
    }

    /// Words that are kept from entry to return, `MAX_DATA_WORDS` at most. Asked once.
    fn data_words(&self) -> usize {
        0
    }

    /// What lists call it.
    fn name(&self) -> &str {
        "kretprobe"
    }
}

/// A listener of any type, and how it is called.
pub(super) struct ErasedListener {
    /// As it is called; `owner` keeps it. (An `Arc` would take five more instructions to find its value.)
    listener: *const (),
    enter: fn(*const (), &Call<'_>, &mut FtraceRegs<Entry>, &mut [u64]) -> Verdict,
    exit: fn(*const (), Returned<'_>, &mut FtraceRegs<Return>, &CpuPin),
    owner: Arc<dyn Listener>,
}

// SAFETY: `listener` is a shared reference in all but name, to what `owner` shares, and listeners are Send and Sync.
unsafe impl Send for ErasedListener {}
// SAFETY: as above.
unsafe impl Sync for ErasedListener {}

impl ErasedListener {
    pub(super) fn new<L: Listener + 'static>(listener: Arc<L>) -> Self {
        Self { listener: Arc::as_ptr(&listener).cast(), enter: enter::<L>, exit: exit::<L>, owner: listener }
    }

    /// See [`Listener::entry`].
    pub(super) fn entry(&self, regs: EntryRegs<'_>, data: &mut [u64], pin: &CpuPin) -> Verdict {
        self.owner.entry(regs, data, pin)
    }

    /// See [`Listener::enter`].
    #[inline(always)]
    pub(super) fn enter(&self, call: &Call<'_>, regs: &mut FtraceRegs<Entry>, data: &mut [u64]) -> Verdict {
        (self.enter)(self.listener, call, regs, data)
    }

    /// See [`Listener::exit`].
    #[inline(always)]
    pub(super) fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        (self.exit)(self.listener, returned, regs, pin);
    }

    /// See [`Listener::name`].
    pub(super) fn name(&self) -> &str {
        self.owner.name()
    }
}

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn enter<L: Listener>(
    listener: *const (),
    call: &Call<'_>,
    regs: &mut FtraceRegs<Entry>,
    data: &mut [u64],
) -> Verdict {
    // SAFETY: `ErasedListener::new` made the pointer, from a listener of this type, and keeps that.
    unsafe { &*listener.cast::<L>() }.enter(call, regs, data)
}

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn exit<L: Listener>(
    listener: *const (),
    returned: Returned<'_>,
    regs: &mut FtraceRegs<Return>,
    pin: &CpuPin,
) {
    // SAFETY: as in `enter`.
    unsafe { &*listener.cast::<L>() }.exit(returned, regs, pin);
}
