//! fprobe: a handler at the entries and the returns of many functions.
//!
//! The friendly face of this room. A user names functions (by a pattern, or a list of addresses), says which ends it wants to
//! see, and gets both with the registers that there are at each:
//!
//! ```text
//!   ends     way                                                    what it costs beyond the branch
//!   entry    ops ─▶ enter ─▶ Handler::entry                         nothing is kept: no shadow stack
//!   exit     graph ─▶ kept ─▶ … ret ─▶ Handler::exit                an entry on the shadow stack
//!   both     graph ─▶ Handler::entry ─▶ kept, with data, or declined ─▶ … ret ─▶ Handler::exit
//! ```
//!
//! A handler runs as a probe's handler runs: with interrupts masked, allocating nothing, taking no lock that a task may hold,
//! not sleeping. What it calls is not probed in turn: such calls are counted misses. So
//!
//! | | |
//! |---|---|
//! | entry | calls = hits + missed |
//! | both, exit | calls = hits + missed; hits = exits + declined + dropped + still under way |
//!
//! Several fprobes on a function are called in the order of registration at the entry, and in the opposite one at the
//! return; those that want the entry alone have their place in the first order.
//!
//! # `FtraceRegs`, not `PtRegs`
//!
//! A handler that was written for a breakpoint expects every register. A branch has saved the registers of a call, and a
//! hooked return those of a return. Linux at first filled in a `pt_regs` for such handlers, with zeros where it had nothing;
//! since 6.14 they get an `ftrace_regs`. Here there never was another type, and what is not there cannot be read.

pub(crate) mod tests;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::glob;
use tracecore::reentry::OPEN;

use super::entry;
use super::graph::{Call, Graph, Pooled};
use super::ops::{self, Hit, Ops, Registered};
use super::regs::{Entry, FtraceRegs, Return};
use super::site_set::SiteSet;
use super::sites::{Site, site_of, sites};
use crate::arch::daif::{self, Daif};
use crate::rethook::{Listener, MAX_DATA_WORDS, Missed};
use crate::sync::CpuPin;
use crate::{kprobes, ksyms};

pub(crate) use super::graph::{Returned, Verdict};

/// A call at its entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// The address of the entry's branch, in the function.
    pub(crate) ip: usize,
    /// The return address, in its caller.
    pub(crate) parent_ip: usize,
}

impl At {
    /// The function: the branch is its second word.
    pub(crate) fn function(self) -> u64 {
        self.ip as u64 - 4
    }
}

/// Who is called.
pub(crate) trait Handler: Send + Sync {
    /// At the entry. May change the arguments, leave `data` for the return, or decline to be told of it.
    fn entry(&self, _at: At, _regs: &mut FtraceRegs<Entry>, _data: &mut [u64], _pin: &CpuPin) -> Verdict {
        Verdict::Keep
    }

    /// At the return. May change the results.
    fn exit(&self, _returned: Returned<'_>, _regs: &mut FtraceRegs<Return>, _pin: &CpuPin) {}

    /// Words that are kept from entry to return, [`MAX_DATA_WORDS`] at most. Asked once.
    fn data_words(&self) -> usize {
        0
    }

    /// Whether it sees to it itself that it is not called in its own midst: then it can be called in that of others that do,
    /// and they in its. Not for one that wants to see both ends. Asked once.
    fn is_open(&self) -> bool {
        false
    }
}

/// Which ends of a call a handler is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The entry.
    Entry,
    /// The return.
    Exit,
    /// Both.
    Both,
}

/// What lists call it.
const NAME: &str = "fprobe";

/// A registered handler; dropping it unregisters. Of calls that are under way then nobody is told.
#[must_use = "dropping it unregisters"]
pub(crate) struct Fprobe(Way);

enum Way {
    Plain(Plain),
    Graph(Graph),
}

impl Fprobe {
    /// Tells `handler` of calls of these functions, from now on.
    ///
    /// # Errors
    /// ENOENT: no function. E2BIG: it wants to keep more than [`MAX_DATA_WORDS`]. ENOMEM. Those of `ftrace::register`.
    /// Nothing is changed then.
    pub(crate) fn register<H: Handler + 'static>(
        handler: Arc<H>,
        ends: Ends,
        functions: SiteSet,
    ) -> Result<Self, Errno> {
        if functions.is_empty() {
            return Err(Errno::ENOENT);
        }
        if handler.data_words() > MAX_DATA_WORDS {
            return Err(Errno::E2BIG);
        }
        Ok(Self(match ends {
            Ends::Entry => Way::Plain(Plain::register(handler, functions)?),
            Ends::Exit => {
                Way::Graph(Graph::register(NAME, Arc::new(OnGraph::<H, false>(handler)), functions)?)
            }
            Ends::Both => {
                Way::Graph(Graph::register(NAME, Arc::new(OnGraph::<H, true>(handler)), functions)?)
            }
        }))
    }

    /// Goes on with other functions. One in both sets is watched all the time.
    ///
    /// # Errors
    /// As [`Fprobe::register`].
    pub(crate) fn set_functions(&self, functions: SiteSet) -> Result<(), Errno> {
        if functions.is_empty() {
            return Err(Errno::ENOENT);
        }
        match &self.0 {
            Way::Plain(plain) => plain.registered.set_sites(functions),
            Way::Graph(graph) => graph.set_sites(functions),
        }
    }

    /// Calls of which the handler was not told, by cause.
    pub(crate) fn missed(&self) -> Missed {
        match &self.0 {
            Way::Plain(plain) => {
                Missed { in_handler: plain.target.missed.load(Ordering::Relaxed), ..Missed::default() }
            }
            Way::Graph(graph) => graph.missed(),
        }
    }

    /// Calls under way whose return the handler will be told of.
    pub(crate) fn active(&self) -> u32 {
        match &self.0 {
            Way::Plain(_) => 0,
            Way::Graph(graph) => graph.active(),
        }
    }
}

/// A handler as a user of the graph; `ENTRY` says whether it wants to be told of entries.
struct OnGraph<H, const ENTRY: bool>(Arc<H>);

impl<H: Handler, const ENTRY: bool> Listener for OnGraph<H, ENTRY> {
    #[inline(always)]
    fn enter(&self, call: &Call<'_>, regs: &mut FtraceRegs<Entry>, data: &mut [u64]) -> Verdict {
        if !ENTRY {
            return Verdict::Keep;
        }
        // SAFETY: interrupts are masked while there is a `Call`.
        let pin = unsafe { CpuPin::assume() };
        self.0.entry(At { ip: call.ip, parent_ip: call.parent_ip }, regs, data, &pin)
    }

    #[inline(always)]
    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        self.0.exit(returned, regs, pin);
    }

    fn data_words(&self) -> usize {
        self.0.data_words()
    }

    fn is_open(&self) -> bool {
        !ENTRY && self.0.is_open()
    }

    fn name(&self) -> &str {
        NAME
    }
}

/// A handler of entries alone: an ops that names it.
struct Plain {
    // Dropped in this order: a quiet point has passed when the ops is free for others, and the target after that.
    registered: Registered,
    _ops: Pooled,
    target: Box<Target>,
}

/// What such an ops names, by its address and whether it is open.
#[repr(align(8))]
struct Target {
    /// As it is called; `owner` keeps it.
    handler: *const (),
    call: fn(*const (), At, &mut FtraceRegs<Entry>, &CpuPin),
    missed: AtomicU64,
    owner: Arc<dyn Handler>,
}

// SAFETY: `handler` is a shared reference in all but name, to what `owner` shares, and handlers are Send and Sync.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn call<H: Handler>(handler: *const (), at: At, regs: &mut FtraceRegs<Entry>, pin: &CpuPin) {
    // SAFETY: `Plain::register` made the pointer, from a handler of this type, and keeps that. Whether it wants to be told of
    // the return is of no interest.
    let _ = unsafe { &*handler.cast::<H>() }.entry(at, regs, &mut [], pin);
}

impl Plain {
    fn register<H: Handler + 'static>(handler: Arc<H>, functions: SiteSet) -> Result<Self, Errno> {
        let target = Box::new(Target {
            handler: Arc::as_ptr(&handler).cast(),
            call: call::<H>,
            missed: AtomicU64::new(0),
            owner: handler,
        });
        let open = if target.owner.is_open() { OPEN } else { 0 };
        let ops = Pooled::take(NAME, entry::masked_fprobe(), enter_with_others)?;
        let at = core::ptr::from_ref::<Target>(&target).expose_provenance();
        ops.0.private.store(at as u64 | open, Ordering::Release);
        Ok(Self { registered: ops::register(ops.0, functions)?, _ops: ops, target })
    }
}

noinstr! {
    /// What the site of a function calls whose entry alone is wanted; interrupts are masked, and were as `masks` says.
    pub(super) extern "C" fn enter(
        ip: usize,
        parent_ip: usize,
        ops: &'static Ops,
        regs: &mut FtraceRegs<Entry>,
        masks: Daif,
    ) {
        // SAFETY: interrupts are masked.
        let pin = unsafe { CpuPin::assume() };
        let id = ops.private.load(Ordering::Relaxed);
        let target = core::ptr::with_exposed_provenance::<Target>((id & !OPEN) as usize);
        // SAFETY: `register` names a target before the ops is registered, and keeps it until a quiet point after it was
        // unregistered. No task has its ops in hand over one (entry.S).
        let target = unsafe { &*target };
        let ran = kprobes::as_handler(id, &pin, || {
            (target.call)(target.handler, At { ip, parent_ip }, regs, &pin);
        });
        if !ran {
            target.missed.fetch_add(1, Ordering::Relaxed);
        }
        daif::restore(masks);
    }

    /// The same where others listen as well; the hit holds off preemption.
    fn enter_with_others(hit: &Hit<'_>, regs: &mut FtraceRegs<Entry>) {
        enter(hit.ip, hit.parent_ip, hit.ops, regs, daif::mask_irq());
    }
}

/// The functions whose names match `pattern`; without those that match `but`.
pub(crate) fn by_glob(pattern: &str, but: Option<&str>) -> SiteSet {
    let name = |site: &Site| ksyms::by_addr(site.function).map_or("", |symbol| symbol.name);
    if but.is_none() && !is_glob(pattern) {
        let site = |start: u64| site_of(start as usize).filter(|site| site.function as u64 == start);
        return SiteSet::of(ksyms::by_name(pattern).and_then(|symbol| site(symbol.start)));
    }
    let wanted = |name: &str| glob::matches(pattern, name) && but.is_none_or(|but| !glob::matches(but, name));
    SiteSet::of(sites().filter(|site| wanted(name(site))))
}

/// Is it more than a name?
pub(crate) fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// The functions at these addresses.
///
/// # Errors
/// ENOENT: one is not the address of a function with an entry.
pub(crate) fn by_addresses(addresses: &[usize]) -> Result<SiteSet, Errno> {
    let mut functions = SiteSet::none();
    for addr in addresses {
        functions.insert(site_of(*addr).filter(|site| site.function == *addr).ok_or(Errno::ENOENT)?);
    }
    Ok(functions)
}
