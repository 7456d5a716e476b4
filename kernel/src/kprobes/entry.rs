//! Probes at the entry of a function: no breakpoint, if their handlers can do without.
//!
//! The word at a function's symbol can be probed like any other. But the function has a site there (`ftrace`), and a branch
//! costs a fraction of an exception. It saves less: the registers of a call, no others, and no PSTATE; and the PC is where the
//! function goes on, not where the probe is. So it is a question of what the handlers read, and they say it by their types:
//! one that has an [`EntryHandler`] wants no more than [`PROVIDES`].
//!
//! ```text
//!   all armed handlers have one      symbol      mov x9, x30
//!                                    symbol + 4  bl ftrace_caller ─▶ enter ─▶ table ─▶ the point's handlers
//!   one of them has none             symbol      brk #4 ─▶ hit::brk ─▶ the point's handlers, with all registers
//!                                    symbol + 4  nop
//! ```
//!
//! A probe on `symbol + 4` is one on `symbol`: the word is ftrace's, and nothing that can be told has changed between the two.
//!
//! # From one to the other
//!
//! A point decides when the first of its handlers is armed. One that wants more, armed later, has it fall back to the
//! breakpoint; it stays there until none is armed. In the fall both ways are open, and a flag of the point says whose hits
//! count:
//!
//! | step | word at symbol | site | whose hits run handlers |
//! |---|---|---|---|
//! | before | `mov` | on | the site's |
//! | 1 | BRK | on | the site's |
//! | 2 | BRK | on | the breakpoint's |
//! | 3 | BRK | off | the breakpoint's |
//!
//! A call that is between the two words at step 2 runs no handler. None runs them twice.
//!
//! All of them share one ops; which point was hit is looked up, as a breakpoint does it. Handlers run with interrupts masked
//! and under the same rule as others: a probe that is hit in one is a miss.
//!
//! Lock order: the ways, then ftrace's registry; the ways, then the lock of the points. Never the registry under that lock,
//! for it sleeps.

use alloc::sync::Arc;
use alloc::vec::Vec;

use a64::{Reg, RegSet};

use super::hit::as_handler;
use super::place::Refusal;
use super::point::{Entry, Point};
use super::register::{Kprobe, LOCK, enabled};
use super::table;
use crate::arch::daif;
use crate::ftrace::regs;
use crate::ftrace::{self, FtraceRegs, Hit, Ops, Registered, Site, SiteSet};
use crate::sync::{CpuPin, Pinned};
use crate::task::{Mutex, MutexGuard};

/// Who is called at the entry of a function, with the registers of a call.
///
/// Runs with interrupts masked: it allocates nothing, takes no lock that a task may hold, does not sleep.
pub(crate) trait EntryHandler: Send + Sync {
    /// At the entry.
    fn hit(&self, addr: u64, regs: &FtraceRegs<regs::Entry>, pin: &CpuPin);
}

/// The registers of the probed place that there are.
pub(crate) const PROVIDES: RegSet = FtraceRegs::<regs::Entry>::PROVIDES.minus(RegSet::of(Reg::PC));

static OPS: Ops = Ops::bare("kprobe", enter, enter_with_others);

/// The function's first word behind which its site lies.
const BRANCH_AT: usize = 4;

noinstr! {
    /// What the site of a probed function calls.
    extern "C" fn enter(ip: usize, _: usize, _: &'static Ops, regs: &mut FtraceRegs) {
        let masks = daif::mask_irq();
        // SAFETY: interrupts are masked.
        let pin = unsafe { CpuPin::assume() };
        // Nothing there: the probe was removed while this call was on its way.
        if let Some(point) = table::lookup((ip - BRANCH_AT) as u64) {
            hit(point, regs, &pin);
        }
        daif::restore(masks);
    }

    /// The same where others listen.
    fn enter_with_others(hit: &Hit<'_>, regs: &mut FtraceRegs) {
        enter(hit.ip, hit.parent_ip, hit.ops, regs);
    }

    /// The armed ones of several handlers, in the order in which they were registered.
    #[cold]
    #[inline(never)]
    fn run_all(point: &Point, regs: &FtraceRegs, pin: &CpuPin) {
        for entry in point.entries(pin) {
            if entry.is_armed() && let Some(handler) = entry.entry_handler() {
                handler.hit(point.addr(), regs, pin);
            }
        }
    }
}

#[inline(always)]
fn hit(point: &Point, regs: &FtraceRegs, pin: &CpuPin) {
    if !point.is_at_site() {
        return;
    }
    let ran =
        as_handler(point.handling(), pin, || match point.only_at_site().and_then(Entry::entry_handler) {
            Some(handler) => handler.hit(point.addr(), regs, pin),
            None => run_all(point, regs, pin),
        });
    if !ran {
        point.count_miss();
    }
}

/// The site of the function that begins at `addr`.
pub(super) fn site_at(addr: usize) -> Option<Site> {
    ftrace::site_of(addr).filter(|site| site.function == addr)
}

/// Could the point do without a breakpoint, if those handlers are armed that `armed` says?
pub(super) fn can_be_at_site(point: &Point, pin: &impl Pinned, armed: impl Fn(&Entry) -> bool) -> bool {
    let mut handlers = point.entries(pin).iter().filter(|entry| armed(entry));
    point.site().is_some() && handlers.all(|entry| entry.entry_handler().is_some())
}

/// Which points have their hits by their sites.
pub(super) struct Ways {
    registered: Option<Registered>,
    sites: Option<SiteSet>,
}

/// Held while a probe at a function's entry is armed or disarmed.
static WAYS: Mutex<Ways> = Mutex::new(Ways { registered: None, sites: None });

/// The right to change them.
pub(super) fn ways() -> MutexGuard<'static, Ways> {
    WAYS.lock()
}

/// What arming or disarming some probes means for the sites.
pub(super) struct Change {
    /// Points whose hits come by the site from now on.
    rising: Vec<Arc<Point>>,
    /// Points whose hits go over to the breakpoint.
    falling: Vec<Arc<Point>>,
    /// Points that may be left by their last handler.
    leaving: Vec<Arc<Point>>,
}

impl Change {
    pub(super) fn falling(&self) -> &[Arc<Point>] {
        &self.falling
    }
}

impl Ways {
    /// Finds out what will change, and switches the sites on that are to be on. Nothing is armed or disarmed yet.
    pub(super) fn begin(
        &mut self,
        probes: &[&Kprobe],
        arm: bool,
        changes: impl Fn(&Kprobe) -> bool,
    ) -> Result<Change, Refusal> {
        let mut change = Change { rising: Vec::new(), falling: Vec::new(), leaving: Vec::new() };
        for list in [&mut change.rising, &mut change.falling, &mut change.leaving] {
            list.try_reserve_exact(probes.len()).map_err(|_| Refusal::NoMemory)?;
        }
        let mut sites = self.sites.take().unwrap_or_else(SiteSet::none);
        let before = sites.clone();
        let lock = LOCK.lock();
        let with_site = |probe: &&&Kprobe| changes(probe) && probe.point.site().is_some();
        for probe in probes.iter().filter(with_site) {
            let (point, Some(site)) = (&probe.point, probe.point.site()) else { continue };
            if !arm {
                change.leaving.push(point.clone());
                continue;
            }
            let here = |entry: &Entry| {
                entry.is_armed() || probes.iter().any(|probe| core::ptr::eq(&raw const *probe.entry, entry))
            };
            let can = can_be_at_site(point, &lock, here);
            if point.armed() == 0 {
                if can && !sites.contains(site) {
                    point.set_way(true, &lock);
                    sites.insert(site);
                    change.rising.push(point.clone());
                }
            } else if point.is_at_site()
                && !can
                && !change.falling.iter().any(|known| Arc::ptr_eq(known, point))
            {
                change.falling.push(point.clone());
            }
        }
        drop(lock);
        self.sites = Some(sites);
        if change.rising.is_empty() {
            return Ok(change);
        }
        if let Err(e) = self.settle() {
            self.sites = Some(before);
            let lock = LOCK.lock();
            change.rising.iter().for_each(|point| point.set_way(false, &lock));
            return Err(e);
        }
        Ok(change)
    }

    /// Switches the sites off that are not needed any more. `done` says whether the change came about.
    pub(super) fn end(&mut self, change: Change, done: bool) {
        let mut gone = SiteSet::none();
        let lock = LOCK.lock();
        let left = if done { &change.leaving } else { &change.rising };
        for point in left.iter().filter(|point| point.armed() == 0 && point.is_at_site()) {
            point.set_way(false, &lock);
            point.site().inspect(|site| gone.insert(*site));
        }
        let fallen = change.falling.iter().filter(|_| done);
        fallen.filter_map(|point| point.site()).for_each(|site| gone.insert(site));
        drop(lock);
        if gone.is_empty() {
            return;
        }
        self.sites = self.sites.take().map(|sites| sites.minus(&gone));
        if let Err(e) = self.settle() {
            // They stay on, and find that nobody is there.
            log::error!("kprobes: {e}");
        }
    }

    /// Makes the sites what they should be.
    pub(super) fn settle(&mut self) -> Result<(), Refusal> {
        let sites = match &self.sites {
            Some(sites) if enabled() => sites.clone(),
            _ => SiteSet::none(),
        };
        match &self.registered {
            Some(registered) => registered.set_sites(sites).map_err(Refusal::Site),
            None if sites.is_empty() => Ok(()),
            None => {
                self.registered = Some(ftrace::register(&OPS, sites).map_err(Refusal::Site)?);
                Ok(())
            }
        }
    }
}
