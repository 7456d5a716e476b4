//! Return probes: a way in at a function's entry, and a hook on its return.
//!
//! The way in is the function's patched branch, or, where the function has none, a kprobe.
//!
//! What counts as the entry: the function's symbol, and the first word behind its patchable entry (`sym+8`). At both x30
//! is still the return address and nothing has been pushed; `sym+4` is ftrace's. A function that was written in assembly
//! has no patchable entry, and the symbol alone counts.
//!
//! A function of which no word can leave it (no `ret`, no `br`, no branch to elsewhere) never returns: a probe on its
//! return would wait for ever, and is refused.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use a64::{Class, Reason, Sim, classify};
use tracecore::errno::Errno;

use super::entry::EntryRegs;
use super::hook::{Hook, Missed, Owner, Slow};
use super::listener::Listener;
use super::shadow::Function;
use super::{branch, storage, trampoline};
use crate::arch::cpu;
use crate::exception::PtRegs;
use crate::ftrace::{self, Site};
use crate::kprobes::{self, Flow, Handler, Kprobe};
use crate::sync::CpuPin;
use crate::task::Mutex;
use crate::{ksyms, text};

/// Calls that one return probe can have under way at most; Linux's bound (`KRETPROBE_MAXACTIVE_MAX`).
pub(crate) const MAX_ACTIVE: u32 = 4096;

/// As many as a return probe has that asks for no number: Linux's formula.
pub(crate) fn default_max_active() -> u32 {
    (2 * cpu::online() as u32).max(10)
}

/// Why a return cannot be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The entry cannot be probed.
    Probe(kprobes::Refusal),
    /// The function's site cannot be used.
    Site(Errno),
    /// Not the entry of a function.
    NotEntry,
    /// The function has no way out.
    NeverReturns,
    /// More calls under way than [`MAX_ACTIVE`].
    MaxActive,
    /// More data per call than fit.
    Data,
    /// No memory for the tasks' shadow stacks.
    NoMemory,
}

impl Refusal {
    /// The error number for a user.
    pub(crate) fn errno(self) -> Errno {
        match self {
            Self::Probe(refusal) => refusal.errno(),
            Self::Site(errno) => errno,
            Self::NotEntry | Self::NeverReturns => Errno::EINVAL,
            Self::MaxActive | Self::Data => Errno::E2BIG,
            Self::NoMemory => Errno::ENOMEM,
        }
    }
}

impl From<kprobes::Refusal> for Refusal {
    fn from(refusal: kprobes::Refusal) -> Self {
        Self::Probe(refusal)
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Probe(refusal) => refusal.fmt(f),
            Self::Site(errno) => write!(f, "the function's entry: {}", errno.strerror()),
            Self::NotEntry => f.write_str("not the entry of a function"),
            Self::NeverReturns => f.write_str("the function never returns"),
            Self::MaxActive => write!(f, "more than {MAX_ACTIVE} calls under way"),
            Self::Data => f.write_str("too much data for each call"),
            Self::NoMemory => f.write_str("no memory"),
        }
    }
}

/// What the kprobe at the entry runs.
struct AtEntry {
    hook: Arc<Hook>,
    function: Function,
}

impl Handler for AtEntry {
    #[inline]
    fn pre(&self, _: u64, regs: &mut PtRegs, pin: &CpuPin) -> Flow {
        match self.hook.catch(self.function, regs.lr(), regs.sp(), pin) {
            Ok(()) => {
                regs.user_mut().x[30] = trampoline::addr();
                Flow::Continue
            }
            Err(why) => self.slowly(why, regs, pin),
        }
    }

    fn is_return(&self) -> bool {
        true
    }

    fn name(&self) -> &str {
        self.hook.name()
    }
}

impl AtEntry {
    #[cold]
    #[inline(never)]
    fn slowly(&self, why: Slow, regs: &mut PtRegs, pin: &CpuPin) -> Flow {
        if self.hook.catch_slowly(why, self.function, regs.lr(), EntryRegs::from(&*regs), pin) {
            regs.user_mut().x[30] = trampoline::addr();
        }
        Flow::Continue
    }
}

/// A registration: a listener for the returns of a function. Dropping it disarms it; calls that are under way then
/// return as they should, and nobody is told.
pub(crate) struct Kretprobe {
    // Dropped in this order: what is caught no more can be waited for.
    way: Way,
    hook: Owner,
    function: u64,
}

/// How a call is noticed.
enum Way {
    Probe(Kprobe),
    Branch(ByBranch),
}

/// The function's site, while it is used.
struct ByBranch {
    function: usize,
    hook: Arc<Hook>,
    armed: Mutex<bool>,
    /// What the site had missed when this was armed, and what it missed the times before.
    missed_at_arm: AtomicU64,
    missed: AtomicU64,
}

impl ByBranch {
    fn new(site: Site, hook: Arc<Hook>) -> Result<Self, Refusal> {
        branch::add(site, &hook).map_err(|_| Refusal::NoMemory)?;
        let (missed_at_arm, missed) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { function: site.function, hook, armed: Mutex::new(false), missed_at_arm, missed })
    }

    fn switch(&self, on: bool) -> Result<(), Refusal> {
        let mut armed = self.armed.lock();
        match (*armed, on) {
            (false, true) => {
                branch::arm(self.function, &self.hook).map_err(Refusal::Site)?;
                self.missed_at_arm.store(branch::missed(self.function), Ordering::Relaxed);
            }
            (true, false) => {
                branch::disarm(self.function, &self.hook);
                self.missed.fetch_add(self.missed_now(), Ordering::Relaxed);
            }
            _ => {}
        }
        *armed = on;
        Ok(())
    }

    fn missed_now(&self) -> u64 {
        branch::missed(self.function) - self.missed_at_arm.load(Ordering::Relaxed)
    }

    fn missed(&self) -> u64 {
        let armed = self.armed.lock();
        self.missed.load(Ordering::Relaxed) + if *armed { self.missed_now() } else { 0 }
    }
}

impl Drop for ByBranch {
    fn drop(&mut self) {
        // To disarm does not fail.
        let _ = self.switch(false);
        branch::remove(self.function, &self.hook);
    }
}

impl Kretprobe {
    /// Puts `listener` on the returns of the function whose entry is at `addr`, disarmed. At most `max_active` calls of it
    /// are caught at once; without a number as many as [`default_max_active`] says.
    ///
    /// # Errors
    /// Why the return cannot be probed; nothing is changed then.
    pub(crate) fn register(
        addr: usize,
        max_active: Option<u32>,
        listener: Arc<impl Listener + 'static>,
    ) -> Result<Self, Refusal> {
        let (function, site) = function_of(addr)?;
        let max_active = max_active.unwrap_or_else(default_max_active);
        if max_active > MAX_ACTIVE {
            return Err(Refusal::MaxActive);
        }
        let hook = Hook::new(listener, max_active).ok_or(Refusal::Data)?;
        storage::provide().map_err(|_| Refusal::NoMemory)?;
        let way = match site {
            Some(site) => Way::Branch(ByBranch::new(site, hook.clone())?),
            None => {
                let function = Function::at(function);
                Way::Probe(Kprobe::register(addr, Arc::new(AtEntry { hook: hook.clone(), function }))?)
            }
        };
        Ok(Self { way, hook: Owner(hook), function })
    }

    /// The kprobe at the entry, if that is the way in.
    fn kprobe(&self) -> Option<&Kprobe> {
        match &self.way {
            Way::Probe(kprobe) => Some(kprobe),
            Way::Branch(_) => None,
        }
    }

    /// Calls that the way in did not see, because a handler, or a tracer's callback, was running.
    pub(crate) fn missed_at_entry(&self) -> u64 {
        match &self.way {
            Way::Probe(kprobe) => kprobe.missed(),
            Way::Branch(branch) => branch.missed(),
        }
    }

    /// The function.
    pub(crate) fn function(&self) -> u64 {
        self.function
    }

    /// Arms it: from now on calls are caught.
    pub(crate) fn arm(&self) -> Result<(), Refusal> {
        switch(core::slice::from_ref(&self), true)
    }

    /// Disarms it. Of calls that are under way the listener is told still.
    pub(crate) fn disarm(&self) -> Result<(), Refusal> {
        switch(core::slice::from_ref(&self), false)
    }

    /// Calls that were not caught, but for those of [`Kretprobe::missed_at_entry`].
    pub(crate) fn missed(&self) -> Missed {
        self.hook.0.missed()
    }

    /// Every call that was not caught, as Linux's `nmissed` of a return probe and of its kprobe.
    pub(crate) fn missed_in_all(&self) -> u64 {
        self.missed().sum() + self.missed_at_entry()
    }

    /// Calls under way.
    pub(crate) fn active(&self) -> u32 {
        self.hook.0.active()
    }

    /// Calls that can be under way at once.
    pub(crate) fn max_active(&self) -> u32 {
        self.hook.0.max_active()
    }

    /// Calls whose task ended before they returned.
    pub(crate) fn dropped(&self) -> u64 {
        self.hook.0.dropped()
    }
}

/// Arms all. Those that have a breakpoint are armed by one change of the text, and all of them or none; if one of the others
/// fails those before it stay armed.
pub(crate) fn arm_all(probes: &[&Kretprobe]) -> Result<(), Refusal> {
    switch(probes, true)
}

/// Disarms all.
pub(crate) fn disarm_all(probes: &[&Kretprobe]) -> Result<(), Refusal> {
    switch(probes, false)
}

fn switch(probes: &[&Kretprobe], on: bool) -> Result<(), Refusal> {
    let mut breakpoints = Vec::new();
    breakpoints.try_reserve_exact(probes.len()).map_err(|_| Refusal::NoMemory)?;
    breakpoints.extend(probes.iter().filter_map(|probe| probe.kprobe()));
    if on {
        kprobes::arm_all(&breakpoints)?;
    } else {
        kprobes::disarm_all(&breakpoints)?;
    }
    probes.iter().try_for_each(|probe| match &probe.way {
        Way::Branch(branch) => branch.switch(on),
        Way::Probe(_) => Ok(()),
    })
}

/// The function whose entry is at `addr`, if its return can be caught, and its site if it has one.
fn function_of(addr: usize) -> Result<(u64, Option<Site>), Refusal> {
    kprobes::check(addr)?;
    let symbol = ksyms::by_addr(addr).filter(|symbol| symbol.is_text()).ok_or(Refusal::NotEntry)?;
    let start = symbol.start as usize;
    let site = ftrace::site_of(start).filter(|site| site.function == start);
    if addr != start && Some(addr) != site.map(Site::after) {
        return Err(Refusal::NotEntry);
    }
    let end = start + symbol.size as usize;
    if !(start..end).step_by(4).any(|at| may_leave(at, start..end)) {
        return Err(Refusal::NeverReturns);
    }
    Ok((symbol.start, site))
}

/// Can the word at `at` end a function of these addresses?
fn may_leave(at: usize, function: core::ops::Range<usize>) -> bool {
    let Some(word) = kprobes::original(at).or_else(|| text::read_word(at)) else { return true };
    let leaves = |offset: i64| !function.contains(&at.wrapping_add_signed(offset as isize));
    match classify(word) {
        Class::Simulate(Sim::JumpReg { .. }) | Class::Reject(Reason::AuthBranch) => true,
        Class::Simulate(
            Sim::Jump { offset } | Sim::JumpIf { offset, .. } | Sim::JumpIfBits { offset, .. },
        ) => leaves(offset),
        _ => false,
    }
}
