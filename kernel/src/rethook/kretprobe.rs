//! Return probes: a kprobe at a function's entry, and a hook on its return.
//!
//! What counts as the entry: the function's symbol, and the first word behind its patchable entry (`sym+8`). At both x30
//! is still the return address and nothing has been pushed; `sym+4` is ftrace's. A function that was written in assembly
//! has no patchable entry, and the symbol alone counts.
//!
//! A function of which no word can leave it (no `ret`, no `br`, no branch to elsewhere) never returns: a probe on its
//! return would wait for ever, and is refused.

use alloc::sync::Arc;

use a64::{Class, Reason, Sim, classify};
use tracecore::errno::Errno;

use super::entry::EntryRegs;
use super::hook::{self, Hook, Listener, Missed, Slow};
use super::{storage, trampoline};
use crate::arch::cpu;
use crate::exception::PtRegs;
use crate::kprobes::{self, Flow, Handler, Kprobe};
use crate::sync::CpuPin;
use crate::{ftrace, ksyms, text};

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
    function: u64,
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
    probe: Kprobe,
    hook: Owner,
    function: u64,
}

/// A hook until it is dropped.
struct Owner(Arc<Hook>);

impl Drop for Owner {
    fn drop(&mut self) {
        hook::retire(self.0.clone());
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
        listener: Arc<dyn Listener>,
    ) -> Result<Self, Refusal> {
        let function = function_of(addr)?;
        let max_active = max_active.unwrap_or_else(default_max_active);
        if max_active > MAX_ACTIVE {
            return Err(Refusal::MaxActive);
        }
        let hook = Hook::new(listener, max_active).ok_or(Refusal::Data)?;
        storage::provide().map_err(|_| Refusal::NoMemory)?;
        let at_entry = Arc::new(AtEntry { hook: hook.clone(), function });
        let probe = Kprobe::register(addr, at_entry)?;
        Ok(Self { probe, hook: Owner(hook), function })
    }

    /// The kprobe at the entry, to be armed and disarmed with others.
    pub(crate) fn kprobe(&self) -> &Kprobe {
        &self.probe
    }

    /// The function.
    pub(crate) fn function(&self) -> u64 {
        self.function
    }

    /// Arms it: from now on calls are caught.
    pub(crate) fn arm(&self) -> Result<(), Refusal> {
        Ok(self.probe.arm()?)
    }

    /// Disarms it. Of calls that are under way the listener is told still.
    pub(crate) fn disarm(&self) -> Result<(), Refusal> {
        Ok(self.probe.disarm()?)
    }

    /// Calls that were not caught, but for those that [`Kprobe::missed`] has.
    pub(crate) fn missed(&self) -> Missed {
        self.hook.0.missed()
    }

    /// Every call that was not caught, as Linux's `nmissed` of a return probe and of its kprobe.
    pub(crate) fn missed_in_all(&self) -> u64 {
        self.missed().sum() + self.probe.missed()
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

/// The function whose entry is at `addr`, if its return can be caught.
fn function_of(addr: usize) -> Result<u64, Refusal> {
    kprobes::check(addr)?;
    let symbol = ksyms::by_addr(addr).filter(|symbol| symbol.is_text()).ok_or(Refusal::NotEntry)?;
    let start = symbol.start as usize;
    let behind = ftrace::site_of(start).filter(|site| site.function == start).map(|site| site.after());
    if addr != start && Some(addr) != behind {
        return Err(Refusal::NotEntry);
    }
    let end = start + symbol.size as usize;
    if !(start..end).step_by(4).any(|at| may_leave(at, start..end)) {
        return Err(Refusal::NeverReturns);
    }
    Ok(symbol.start)
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
