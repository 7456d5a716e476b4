//! The graph of functions: their entries and their returns together, for many functions and several users at once.
//!
//! An entry is a site's branch ([`super::ops`]); a return is caught by the one return hook there is
//! ([`rethook`](crate::rethook)), on the task's shadow stack. This room ties the two: a [`Graph`] is a [`Listener`] with a
//! set of functions.
//!
//! ```text
//!   Graph::register(listener, sites)
//!     │        sites ──▶ an ops of its own, on those sites
//!     │     listener ──▶ a hook, named by the ops and by entries on shadow stacks
//!     ▼
//!   a site ─▶ ftrace_caller ─▶ enter ─▶ Listener::enter(&Call, &mut FtraceRegs<Entry>, &mut data) ─▶ Keep or Decline
//!                                         Keep: entry on the shadow stack, with the data; x30 = return_trampoline
//!   ret ────▶ return_trampoline ─▶ Listener::exit(Returned, &mut FtraceRegs<Return>)     data: Returned::data
//! ```
//!
//! Two users of one function have two ops on its site and two entries for each of its calls. The second finds the
//! trampoline in x30 and notes that; at the return both are told, the last that entered first. So users know nothing of each
//! other, nor of return probes, which are on the same stack.
//!
//! # What a user gets
//!
//! | at the entry | at the return |
//! |---|---|
//! | [`Call`]: `ip`, `parent_ip`, `depth()`, what it keeps of its caller | [`Returned`]: the function, what was kept |
//! | the registers of a call, to read and to change | those of a return |
//! | room for `Listener::data_words` words, or a number through [`keep`] | the same words, or [`kept`] |
//!
//! Both run as a probe's handler runs: interrupts masked, nothing allocated, no lock that a task may hold; what they call is
//! not hooked in turn but counted.
//!
//! # The account
//!
//! calls = exits + declined + [`missed`](Graph::missed) + [`dropped`](Graph::dropped) + [`active`](Graph::active), where a call
//! is dropped when its task ends before it returns. A shadow stack that is full costs the call its exit, and nothing else.
//!
//! # When it goes
//!
//! Dropping a [`Graph`] takes its branches away and waits for a quiet point: nobody is told of an entry any more. Calls that
//! are under way return as they should, and nobody is told; the hook's memory goes with the last. The ops is used
//! again: a task that is preempted on its way from a branch to where interrupts are masked asks again whom to call
//! (`entry.S`), so none has the ops in hand over a quiet point.
//!
//! A combination of ops for a site that has several is made once for each set of ops, so using ops again keeps their number
//! small.

pub(crate) mod tests;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use tracecore::errno::Errno;

use super::entry;
use super::ops::{self, Hit, Ops, Registered};
use super::regs::{Entry, FtraceRegs};
use super::site_set::SiteSet;
use crate::arch::daif::{self, Daif};
use crate::arch::thread::PREEMPT_OFFSET;
use crate::rethook::{Hook, Listener, Missed, Owner};
use crate::sync::CpuPin;
use crate::task::Mutex;

pub(crate) use crate::rethook::{Call, Returned, Verdict};

noinstr! {
    /// What a site of one user calls; interrupts are masked, and were as `masks` says.
    pub(super) extern "C" fn enter(
        ip: usize,
        parent_ip: usize,
        ops: &'static Ops,
        regs: &mut FtraceRegs<Entry>,
        masks: Daif,
    ) {
        pass(ip, parent_ip, ops, regs, masks, 0);
    }

    /// The same where others listen as well; the hit holds off preemption.
    fn enter_with_others(hit: &Hit<'_>, regs: &mut FtraceRegs<Entry>) {
        pass(hit.ip, hit.parent_ip, hit.ops, regs, daif::mask_irq(), PREEMPT_OFFSET);
    }
}

#[inline(always)]
fn pass(
    ip: usize,
    parent_ip: usize,
    ops: &'static Ops,
    regs: &mut FtraceRegs<Entry>,
    masks: Daif,
    guards: u32,
) {
    // SAFETY: interrupts are masked.
    let pin = unsafe { CpuPin::assume() };
    let hook = core::ptr::with_exposed_provenance::<Hook>(ops.private.load(Ordering::Relaxed) as usize);
    // SAFETY: `register` names a hook before the ops is registered, and keeps it until a quiet point after it was
    // unregistered. No task has its ops in hand over one.
    unsafe { &*hook }.catch_asked(ip, parent_ip, masks, guards, regs, &pin);
    daif::restore(masks);
}

/// How many ops there are for users of the graph, and those that nobody uses.
static MADE: AtomicUsize = AtomicUsize::new(0);
static POOL: Mutex<Vec<&'static Ops>> = Mutex::new(Vec::new());

/// An ops, out of the pool while it is used.
pub(super) struct Pooled(pub(super) &'static Ops);

impl Pooled {
    /// One of this name that calls these. There are never more than were used at once.
    pub(super) fn take(
        name: &'static str,
        entry: ops::Entry,
        callback: ops::Callback,
    ) -> Result<Self, Errno> {
        let mut pool = POOL.lock();
        if let Some(at) = pool.iter().rposition(|ops| ops.name() == name && ops.calls(entry)) {
            return Ok(Self(pool.swap_remove(at)));
        }
        // A place for each that there is, so that one that comes back finds it.
        let missing = MADE.load(Ordering::Relaxed) + 1 - pool.len();
        pool.try_reserve(missing).map_err(|_| Errno::ENOMEM)?;
        MADE.fetch_add(1, Ordering::Relaxed);
        Ok(Self(Box::leak(Box::new(Ops::bare(name, entry, callback)))))
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        POOL.lock().push(self.0);
    }
}

/// A user of the graph. Dropping it unregisters.
#[must_use = "dropping it unregisters"]
pub(crate) struct Graph {
    // Dropped in this order: when the ops is registered no more nobody calls the hook.
    registered: Registered,
    ops: Pooled,
    hook: Owner,
    missed_before: u64,
}

impl Graph {
    /// Tells `listener` of calls of the functions in `sites`, from now on. `name` is what lists call it.
    ///
    /// # Errors
    /// E2BIG: it wants to keep more words than [`MAX_DATA_WORDS`](crate::rethook::MAX_DATA_WORDS). ENOMEM. Those of
    /// [`ops::register`]. Nothing is changed then.
    pub(crate) fn register(
        name: &'static str,
        listener: Arc<impl Listener + 'static>,
        sites: SiteSet,
    ) -> Result<Self, Errno> {
        let hook = Owner::new(listener)?;
        let ops = Pooled::take(name, entry::masked(), enter_with_others)?;
        ops.0.private.store(core::ptr::from_ref::<Hook>(&hook).expose_provenance() as u64, Ordering::Release);
        let missed_before = ops.0.missed();
        let registered = ops::register(ops.0, sites)?;
        Ok(Self { registered, ops, hook, missed_before })
    }

    /// Goes on with other functions. A function in both sets is watched all the time; of calls that are under way the listener
    /// is told still.
    ///
    /// # Errors
    /// As [`Graph::register`].
    pub(crate) fn set_sites(&self, sites: SiteSet) -> Result<(), Errno> {
        self.registered.set_sites(sites)
    }

    /// Calls of which the listener was not told, by cause.
    pub(crate) fn missed(&self) -> Missed {
        let mut missed = self.hook.missed();
        // Where others listen too, their callbacks' calls do not come so far.
        missed.in_handler += self.ops.0.missed() - self.missed_before;
        missed
    }

    /// Calls under way.
    pub(crate) fn active(&self) -> u32 {
        self.hook.active()
    }

    /// Calls whose task ended before they returned.
    pub(crate) fn dropped(&self) -> u64 {
        self.hook.dropped()
    }
}

/// Keeps a number of one, two, four or eight bytes until the return.
#[inline(always)]
pub(crate) fn keep(data: &mut [u64], value: impl Into<u64>) {
    if let Some(word) = data.first_mut() {
        *word = value.into();
    }
}

/// The number that was kept, if one was that fits.
#[inline(always)]
pub(crate) fn kept<T: TryFrom<u64>>(returned: Returned<'_>) -> Option<T> {
    T::try_from(*returned.data().first()?).ok()
}
