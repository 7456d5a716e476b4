//! A probed address: how its word executes, and who handles its hits.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU64;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use a64::{Insn, Quick, SimOp, encode};
use tracecore::errno::Errno;
use tracecore::reentry::OPEN;

use super::entry::{self, EntryHandler};
use super::place::{Execution, Refusal, check};
use super::register::LOCK;
use super::{BRK_PROBE, BRK_STEP_DONE};
use crate::exception::PtRegs;
use crate::ftrace::Site;
use crate::sync::{CpuPin, Pinned, PreemptLockGuard, Published, quiesce};
use crate::text::Patch;
use crate::text::slots::{BYTES_PER_SLOT, End, Slot};

/// What a handler has done to the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Nothing: the probed word executes.
    Continue,
    /// It has set the PC: the word is not executed and no further handler runs.
    Diverted,
}

/// Who is called at a hit.
///
/// Runs in exception context with DAIF masked: it allocates nothing, takes no lock that a task may hold, does not sleep.
pub(crate) trait Handler: Send + Sync {
    /// Before the word executes. May change registers and the PC.
    fn pre(&self, addr: u64, regs: &mut PtRegs, pin: &CpuPin) -> Flow;

    /// After it, if [`Handler::has_post`] says so.
    fn post(&self, _addr: u64, _regs: &mut PtRegs, _pin: &CpuPin) {}

    /// Whether [`Handler::post`] does anything. Asked once, at registration.
    fn has_post(&self) -> bool {
        false
    }

    /// The same for a hit of which there are only the registers of a call; `None` if it wants more. Asked once, at
    /// registration. A probe at the entry of a function all of whose handlers have this needs no breakpoint.
    fn at_entry(&self) -> Option<&(dyn EntryHandler + 'static)> {
        None
    }

    /// Whether it sees to it itself that it is not called in its own midst, and can be called in that of others that do. A
    /// point is open if all of its handlers are.
    fn is_open(&self) -> bool {
        false
    }

    /// Whether it hooks the return of the function that it is at the entry of.
    fn is_return(&self) -> bool {
        false
    }

    /// What `xray` and the list of probes call it.
    fn name(&self) -> &str {
        "kprobe"
    }
}

/// How the hit path executes the word of a point that is not boosted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Run {
    /// Resume here: the word and BRK #6.
    Slot(u64),
    /// Carry it out on the saved registers.
    Simulate(SimOp),
}

/// A handler at a point.
pub(super) struct Entry {
    handler: Arc<dyn Handler>,
    /// The same; the way from an `Arc<dyn …>` to what it holds is six instructions.
    at: NonNull<dyn Handler>,
    /// What it gave for the entry of a function; lies in `handler`.
    at_entry: Option<NonNull<dyn EntryHandler>>,
    /// Set when the BRK is in place, cleared before it is taken away.
    armed: AtomicBool,
    /// Misses of the point when it was armed, and those of the times before.
    missed_at_arm: AtomicU64,
    missed: AtomicU64,
}

// SAFETY: `at` and `at_entry` are what `handler` holds, which is Send and Sync.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Entry {
    pub(super) fn new(handler: Arc<dyn Handler>) -> Arc<Self> {
        Arc::new(Self {
            at: NonNull::from(&*handler),
            at_entry: handler.at_entry().map(NonNull::from),
            handler,
            armed: AtomicBool::new(false),
            missed_at_arm: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        })
    }

    #[inline(always)]
    pub(super) fn handler(&self) -> &dyn Handler {
        // SAFETY: what `handler` holds lives as long as `self`, and nobody has it to themselves.
        unsafe { self.at.as_ref() }
    }

    /// For the entry of a function, if it can be called there.
    #[inline(always)]
    pub(super) fn entry_handler(&self) -> Option<&dyn EntryHandler> {
        // SAFETY: as above.
        self.at_entry.map(|at| unsafe { at.as_ref() })
    }

    #[inline(always)]
    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Relaxed)
    }

    /// Armed or disarmed from now on; under the lock.
    pub(super) fn set_armed(&self, arm: bool, point: &Point) {
        if arm {
            self.missed_at_arm.store(point.missed.load(Ordering::Relaxed), Ordering::Relaxed);
        } else {
            self.missed.store(self.missed(point), Ordering::Relaxed);
        }
        self.armed.store(arm, Ordering::Release);
    }

    /// Misses of the point while this one was armed.
    pub(super) fn missed(&self, point: &Point) -> u64 {
        let before = self.missed.load(Ordering::Relaxed);
        if !self.is_armed() {
            return before;
        }
        before + point.missed.load(Ordering::Relaxed) - self.missed_at_arm.load(Ordering::Relaxed)
    }
}

/// A probed address. Lives from the first registration to a quiet point after the last.
#[repr(C, align(8))]
pub(crate) struct Point {
    addr: u64,
    next: AtomicPtr<Point>,
    /// The handler, when there is but one and hits come by the breakpoint: it is armed whenever the word is BRK.
    only: AtomicPtr<Entry>,
    /// The same for hits that come by the function's site.
    only_at_site: AtomicPtr<Entry>,
    /// The slot, while it ends in a branch for everybody who goes there from now on; else 0.
    boosted: AtomicU64,
    /// A function that simulates the word and all that there is to do, or null: [`Quick::run`]; and its operand.
    quick: AtomicPtr<()>,
    operand: u64,
    missed: AtomicU64,
    /// The point as the re-entry state machine knows its handlers: its address, and whether they are open.
    handling: AtomicU64,
    /// How the word executes when it is not boosted.
    run: Run,
    /// All handlers, in order of registration; replaced whole.
    entries: Published<Vec<Arc<Entry>>>,
    /// Whether any of them wants to be called after the word.
    post: AtomicBool,
    /// How many of them are armed; changed under the lock. The word is BRK while it is not zero.
    armed: AtomicU64,
    original: Insn,
    /// The slot that `run` names.
    slot: Option<Slot>,
    /// A branch leads from the slot to behind the word.
    boostable: bool,
    /// How often hits have begun to step; changed under the lock.
    steps: AtomicU64,
    /// Of a function's entry: its site.
    site: Option<Site>,
    /// Hits come by the site. Changed under the lock, and only by who has the ways: see `entry`.
    at_site: AtomicBool,
}

impl Point {
    /// The point of a word that nobody has probed; `post` when a handler wants to be called afterwards.
    pub(super) fn new(addr: u64, post: bool) -> Result<Self, Refusal> {
        let (original, execution) = check(addr as usize)?;
        let (run, slot, boostable) = match execution {
            Execution::Simulate(sim) => (Run::Simulate(sim.at(addr)), None, false),
            Execution::Step => {
                let (slot, boostable) = new_slot(original, addr as usize, post)?;
                (Run::Slot(slot.addr() as u64), Some(slot), boostable)
            }
        };
        let boosted = slot.as_ref().filter(|_| boostable && !post).map_or(0, |slot| slot.addr() as u64);
        Ok(Self {
            addr,
            next: AtomicPtr::new(core::ptr::null_mut()),
            only: AtomicPtr::new(core::ptr::null_mut()),
            only_at_site: AtomicPtr::new(core::ptr::null_mut()),
            boosted: AtomicU64::new(boosted),
            quick: AtomicPtr::new(core::ptr::null_mut()),
            operand: match &run {
                Run::Simulate(op) => op.quick().map_or(0, |quick| quick.operand),
                Run::Slot(_) => 0,
            },
            missed: AtomicU64::new(0),
            handling: AtomicU64::new(0),
            run,
            entries: Published::empty(),
            post: AtomicBool::new(false),
            armed: AtomicU64::new(0),
            original,
            slot,
            boostable,
            steps: AtomicU64::new(0),
            site: entry::site_at(addr as usize),
            at_site: AtomicBool::new(false),
        })
    }

    #[inline(always)]
    pub(super) fn addr(&self) -> u64 {
        self.addr
    }

    #[inline(always)]
    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    #[inline(always)]
    pub(super) fn boosted(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.boosted.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(super) fn quick(&self) -> Option<Quick> {
        let run = NonNull::new(self.quick.load(Ordering::Relaxed))?;
        // SAFETY: `set_quick` alone stores there, functions of this type.
        let run = unsafe { core::mem::transmute::<*mut (), a64::simulate::Run>(run.as_ptr()) };
        Some(Quick { run, operand: self.operand })
    }

    /// The word is simulated in the short way, unless somebody wants to be called afterwards.
    fn set_quick(&self, post: bool) {
        if let Run::Simulate(op) = &self.run
            && let Some(quick) = op.quick()
        {
            let run = if post { core::ptr::null_mut() } else { quick.run as *mut () };
            self.quick.store(run, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    pub(super) fn next(&self) -> &AtomicPtr<Point> {
        &self.next
    }

    /// A hit that ran no handler.
    #[cold]
    #[inline(always)]
    pub(super) fn count_miss(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    /// What the re-entry state machine calls its handlers.
    #[inline(always)]
    pub(super) fn handling(&self) -> u64 {
        self.handling.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(super) fn has_post(&self) -> bool {
        self.post.load(Ordering::Relaxed)
    }

    /// Runs the armed handlers in the order in which they were registered.
    #[inline(always)]
    pub(super) fn run_pre(&self, regs: &mut PtRegs, pin: &CpuPin) -> Flow {
        // Relaxed, as in `table::lookup`.
        // SAFETY: entries are freed after every CPU has passed a quiet point since they were taken out, and the caller is
        // pinned.
        match unsafe { self.only.load(Ordering::Relaxed).as_ref() } {
            Some(entry) => entry.handler().pre(self.addr, regs, pin),
            None => run_all(self, regs, pin),
        }
    }

    /// The handler of hits that come by the site, if there is but one.
    #[inline(always)]
    pub(super) fn only_at_site(&self) -> Option<&Entry> {
        // SAFETY: as in `run_pre`.
        unsafe { self.only_at_site.load(Ordering::Relaxed).as_ref() }
    }

    /// Do hits come by the site?
    #[inline(always)]
    pub(super) fn is_at_site(&self) -> bool {
        self.at_site.load(Ordering::Relaxed)
    }

    pub(super) fn site(&self) -> Option<Site> {
        self.site
    }

    /// Handlers that are armed, for the holder of the lock.
    pub(super) fn armed(&self) -> u64 {
        self.armed.load(Ordering::Relaxed)
    }

    /// Has the handlers run by hits of the site, or of the breakpoint. For the holder of the lock.
    pub(super) fn set_way(&self, at_site: bool, lock: &PreemptLockGuard<'_, ()>) {
        self.at_site.store(at_site, Ordering::Relaxed);
        self.name_only(self.entries(lock));
    }

    /// Has hits find the handler, if there is but one; by the way that they come.
    fn name_only(&self, entries: &[Arc<Entry>]) {
        let one = match entries {
            [one] => Arc::as_ptr(one).cast_mut(),
            _ => core::ptr::null_mut(),
        };
        let none = core::ptr::null_mut();
        let (here, there) = if self.is_at_site() { (none, one) } else { (one, none) };
        self.only.store(here, Ordering::Release);
        self.only_at_site.store(there, Ordering::Release);
    }

    /// Counts a handler in or out of the armed ones, under the lock; the word must change when this says so.
    pub(super) fn count(&self, arm: bool) -> bool {
        let armed = self.armed();
        let now = if arm { armed + 1 } else { armed - 1 };
        self.armed.store(now, Ordering::Relaxed);
        (armed == 0) != (now == 0)
    }

    /// The word that was compiled there.
    pub(super) fn original(&self) -> Insn {
        self.original
    }

    /// The slot of a word that is stepped.
    pub(super) fn slot(&self) -> Option<&Slot> {
        self.slot.as_ref()
    }

    pub(super) fn patch(&self, arm: bool) -> Patch {
        let brk = encode::brk(BRK_PROBE);
        let (expected, new) = if arm { (self.original, brk) } else { (brk, self.original) };
        Patch { addr: self.addr as usize, expected, new }
    }

    /// How a hit executes the word, at this moment.
    pub(super) fn flavour(&self, pin: &impl Pinned) -> Flavour {
        let at_site = match self.armed() {
            0 => entry::can_be_at_site(self, pin, |_| true),
            _ => self.is_at_site(),
        };
        if at_site {
            return Flavour::Entry;
        }
        match self.run {
            Run::Simulate(_) => Flavour::Simulated,
            Run::Slot(_) if self.boosted().is_some() => Flavour::Boosted,
            Run::Slot(_) => Flavour::Stepped,
        }
    }

    /// The handlers as they are.
    #[inline(always)]
    pub(super) fn entries<'p>(&self, pin: &'p impl Pinned) -> &'p [Arc<Entry>] {
        self.entries.read(pin).map_or(&[], Vec::as_slice)
    }

    /// Replaces the handlers, for the holder of the lock. See the room's head for the order.
    pub(super) fn set_entries(self: &Arc<Self>, entries: Vec<Arc<Entry>>) {
        let post = entries.iter().any(|entry| entry.handler.has_post());
        if post && !self.has_post() {
            self.step();
        }
        self.set_quick(post);
        let open = if entries.iter().all(|entry| entry.handler.is_open()) { OPEN } else { 0 };
        self.handling.store(core::ptr::from_ref::<Self>(self).addr() as u64 | open, Ordering::Relaxed);
        // A hit that finds neither runs no handler; so what is there is there first.
        let (some, more) = (!entries.is_empty(), entries.len() > 1);
        if !more {
            self.name_only(&entries);
        }
        self.post.store(post, Ordering::Relaxed);
        self.entries.publish(some.then(|| Box::new(entries)));
        if more {
            self.name_only(&[]);
        }
        // Of a point without handlers the slot goes, as it is.
        if !post && some && self.boostable && self.boosted().is_none() {
            self.boost();
        }
    }

    /// From now on hits step.
    fn step(&self) {
        if let Some(slot) = &self.slot
            && self.boosted().is_some()
            && slot.set_end(End::Break(BRK_STEP_DONE)).is_ok()
        {
            self.steps.fetch_add(1, Ordering::Relaxed);
            self.boosted.store(0, Ordering::Release);
        }
    }

    /// From now on hits boost; the slot's end follows when nobody steps any more. If hits have stepped again meanwhile, the
    /// quiet point was not theirs, and the end is left to the next one who boosts.
    fn boost(self: &Arc<Self>) {
        let Some(slot) = &self.slot else { return };
        self.boosted.store(slot.addr() as u64, Ordering::Release);
        let (point, steps) = (self.clone(), self.steps.load(Ordering::Relaxed));
        quiesce::defer(Box::new(move || {
            let _lock = LOCK.lock();
            if let Some(slot) = &point.slot
                && point.boosted().is_some()
                && point.steps.load(Ordering::Relaxed) == steps
            {
                // It does reach: it was a branch before.
                let _ = slot.set_end(End::Branch);
            }
        }));
    }
}

noinstr! {
    /// The armed ones of several handlers, in the order in which they were registered.
    #[cold]
    #[inline(never)]
    fn run_all(point: &Point, regs: &mut PtRegs, pin: &CpuPin) -> Flow {
        if point.is_at_site() {
            // The breakpoint is about to take over.
            return Flow::Continue;
        }
        if let Some(entries) = point.entries.read(pin) {
            for entry in entries {
                if entry.armed.load(Ordering::Relaxed)
                    && entry.handler().pre(point.addr, regs, pin) == Flow::Diverted
                {
                    return Flow::Diverted;
                }
            }
        }
        Flow::Continue
    }

    /// The armed ones of those that want to be called after the word.
    pub(super) fn run_post(point: &Point, regs: &mut PtRegs, pin: &CpuPin) {
        // SAFETY: as in `run_pre`.
        if let Some(entry) = unsafe { point.only.load(Ordering::Relaxed).as_ref() } {
            entry.handler().post(point.addr, regs, pin);
            return;
        }
        if let Some(entries) = point.entries.read(pin) {
            for entry in entries {
                if entry.armed.load(Ordering::Relaxed) {
                    entry.handler().post(point.addr, regs, pin);
                }
            }
        }
    }
}

/// What a probe on an address of its own takes, in bytes: its slot, the point, the entry, the list of one and the lists'
/// counts. The heap rounds up.
pub(crate) const BYTES_PER_PROBE: usize = BYTES_PER_SLOT
    + (ARC_COUNTS + size_of::<Point>())
    + (ARC_COUNTS + size_of::<Entry>())
    + size_of::<Vec<Arc<Entry>>>()
    + size_of::<Arc<Entry>>();
/// The two counts before what an `Arc` holds.
const ARC_COUNTS: usize = 2 * size_of::<usize>();

/// How a hit executes the probed word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// In its place: the probe is at the entry of a function, and hits come by the function's site.
    Entry,
    /// On the saved registers.
    Simulated,
    /// In a slot that ends in a branch.
    Boosted,
    /// In a slot that ends in a breakpoint: a handler wants to be called afterwards, or a branch does not reach.
    Stepped,
}

impl Flavour {
    /// One word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Entry => "ftrace",
            Self::Simulated => "simulated",
            Self::Boosted => "boosted",
            Self::Stepped => "stepped",
        }
    }
}

/// A slot for the word, and whether it can be boosted: whether a branch reaches back. It is not if somebody wants to be
/// called afterwards.
fn new_slot(insn: Insn, addr: usize, post: bool) -> Result<(Slot, bool), Refusal> {
    if !post {
        match Slot::new(insn, addr, End::Branch) {
            Err(Errno::ERANGE) => {}
            slot => return slot.map(|slot| (slot, true)).map_err(|_| Refusal::NoSlot),
        }
    }
    let slot = Slot::new(insn, addr, End::Break(BRK_STEP_DONE)).map_err(|_| Refusal::NoSlot)?;
    let boostable = slot.can_branch();
    Ok((slot, boostable))
}
