//! The rings themselves: one for each CPU, published for its writer, kept by whoever may replace it.
//!
//! ```text
//!   RING, per CPU     ◀── writers, pinned to the CPU: one load
//!   KEEPER, per CPU   ◀── readers and resizers, one at a time: a lock that sleeps
//! ```
//!
//! Whoever [holds](hold) a CPU's keeper has the right to read its ring, and the ring stays where it is meanwhile. What
//! needs the writer to stand still, another size or another clock, is done [there](on_its_cpu): in a task on that CPU
//! with interrupts masked. No record is half made then, since a record is made with preemption held off.
//!
//! A ring records while tracing is on and its CPU is in `tracing_cpumask`. Both are set without a lock; a new ring
//! is published first and then looks at both, so it cannot miss a change.
//!
//! Lock order: keepers by CPU.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use tracecore::errno::Errno;
use tracecore::ring::{self, CpuRing, Mode, Reader, SizeError, Totals};

use super::clock;
use crate::boot;
use crate::fs::wait;
use crate::mm;
use crate::sync::{self, IrqGuard, IrqWork, Keeper, Kept, Pinned, PreemptGuard, per_cpu};
use crate::task::{self, Mutex, MutexGuard, Prio, WaitQueue};

/// Size of each CPU's ring, as `buffer_size_kb` counts it. Linux's default.
const DEFAULT_KB: usize = 1408;

/// What part of the free memory a new ring may take: the rest must do for everything else, and the old ring is
/// freed only when the new one is there.
const MEMORY_SHARE: usize = 2;

per_cpu! {
    /// This CPU's ring.
    static RING: Kept<CpuRing> = Kept::empty();
    /// Who may replace it.
    static KEEPER: Mutex<Option<Keeper<CpuRing>>> = Mutex::new(None);
}

/// `tracing_on`.
static ON: AtomicBool = AtomicBool::new(true);
/// `tracing_cpumask`.
static CPUS: AtomicU32 = AtomicU32::new(u32::MAX);
/// Open `trace` files for which recording pauses.
static PAUSES: AtomicU32 = AtomicU32::new(0);
/// Held while sizes or the clock are changed: one such change at a time.
static CHANGING: Mutex<()> = Mutex::new(());

/// Who waits for records, and how often they were woken.
static WAITING: WaitQueue = WaitQueue::new();
static WAKEUPS: AtomicU64 = AtomicU64::new(0);
static WAKE: IrqWork = IrqWork::new(wake_readers);

fn wake_readers() {
    WAKEUPS.fetch_add(1, Ordering::SeqCst);
    WAITING.wake_all();
}

/// Called by a writer that finds its ring armed; in any context, so the waking is left to an interrupt.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn wake() {
    WAKE.queue(&PreemptGuard::new());
}

/// Makes a ring for every CPU of the machine.
pub(super) fn init() -> Result<(), Errno> {
    for cpu in cpus() {
        let ring = made(DEFAULT_KB * 1024 / ring::PAGE_BYTES)?;
        *KEEPER.on(cpu).lock() = Some(RING.on(cpu).keep(ring).ok_or(Errno::EBUSY)?);
    }
    Ok(())
}

fn made(pages: usize) -> Result<Box<CpuRing>, Errno> {
    let errno = |e| match e {
        SizeError::OutOfRange | SizeError::NoMemory => Errno::ENOMEM,
        SizeError::Busy => Errno::EBUSY,
    };
    mm::try_box(CpuRing::new(pages, Mode::Overwrite).map_err(errno)?.with_wake(wake))
}

/// Every CPU that has a ring.
pub(super) fn cpus() -> core::ops::Range<usize> {
    0..boot::info().cpus().len()
}

/// This CPU's ring.
#[inline(always)]
pub(super) fn this(pin: &impl Pinned) -> Option<&CpuRing> {
    RING.this_cpu(pin).read(pin)
}

/// The right to read a CPU's ring, and to keep it where it is.
pub(super) struct Held {
    /// Whose.
    pub(super) cpu: usize,
    keeper: MutexGuard<'static, Option<Keeper<CpuRing>>>,
}

impl Held {
    /// The ring.
    pub(super) fn ring(&self) -> Option<&CpuRing> {
        self.keeper.as_ref().map(Keeper::get)
    }

    /// Its reader.
    pub(super) fn reader(&self) -> Option<Reader<'_>> {
        self.ring()?.reader()
    }
}

/// Waits for the right to read a CPU's ring. Readers hold it for a batch of records, no longer.
pub(super) fn hold(cpu: usize) -> Held {
    Held { cpu, keeper: KEEPER.on(cpu).lock() }
}

/// The same for one CPU, or for all.
pub(super) fn hold_all(only: Option<usize>) -> Vec<Held> {
    selected(only).map(hold).collect()
}

/// One CPU, or all.
pub(super) fn selected(only: Option<usize>) -> impl Iterator<Item = usize> {
    cpus().filter(move |cpu| only.is_none_or(|only| only == *cpu))
}

/// When the rings were last emptied, by the trace clock.
static EMPTIED_AT: AtomicU64 = AtomicU64::new(0);

/// When the rings were last emptied.
pub(super) fn emptied_at() -> u64 {
    EMPTIED_AT.load(Ordering::Relaxed)
}

/// Throws away what one CPU's ring holds, or all hold.
pub(super) fn reset(only: Option<usize>) {
    EMPTIED_AT.store(clock::now(), Ordering::Relaxed);
    for cpu in selected(only) {
        if let Some(mut reader) = hold(cpu).reader() {
            reader.reset();
        }
    }
}

/// A reader that found nothing, and waits for more.
///
/// ```text
///   reader                                  writer, pinned
///   arm: limit = 0                          limit ≠ 0: reserve … commit      (1) begun before the arming
///   quiet point: no record half made        limit = 0: disarm, ask to wake   (2) begun after it
///   look: sees all of (1)
///   sleep until woken: (2)
/// ```
///
/// A writer asks before its record is complete; so whoever was woken and finds nothing arms again, and the quiet point
/// makes it wait for that record. Writers pay one comparison, which they make anyway.
pub(super) struct Armed(u64);

impl Armed {
    /// Arms the rings. Then look again, and wait if there is still nothing.
    pub(super) fn new(only: Option<usize>) -> Self {
        let seen = WAKEUPS.load(Ordering::SeqCst);
        let pin = PreemptGuard::new();
        selected(only).filter_map(|cpu| RING.on(cpu).read(&pin)).for_each(CpuRing::arm);
        drop(pin);
        sync::quiesce::synchronize();
        Self(seen)
    }

    /// Sleeps until a record came after the arming, or with EINTR until the task is to stop.
    pub(super) fn wait(self) -> Result<(), Errno> {
        wait::wait_until(&WAITING, || WAKEUPS.load(Ordering::SeqCst) != self.0)
    }
}

/// Recording pauses while it lives.
pub(super) struct Pause(());

impl Pause {
    pub(super) fn new() -> Self {
        PAUSES.fetch_add(1, Ordering::SeqCst);
        follow_switches();
        Self(())
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        PAUSES.fetch_sub(1, Ordering::SeqCst);
        follow_switches();
    }
}

/// The counts of a CPU's ring since boot.
pub(super) fn totals(cpu: usize) -> Totals {
    hold(cpu).reader().map(|reader| reader.totals()).unwrap_or_default()
}

/// Is tracing on?
pub(super) fn is_on() -> bool {
    ON.load(Ordering::SeqCst)
}

/// Switches tracing on or off, without a lock.
pub(super) fn set_on(on: bool) {
    ON.store(on, Ordering::SeqCst);
    follow_switches();
}

/// Which CPUs record.
pub(super) fn cpumask() -> u32 {
    CPUS.load(Ordering::SeqCst) & ((1u64 << cpus().len()) - 1) as u32
}

/// Sets which CPUs record, without a lock.
pub(super) fn set_cpumask(mask: u32) {
    CPUS.store(mask, Ordering::SeqCst);
    follow_switches();
}

/// Sets what full rings do.
pub(super) fn set_mode(mode: Mode) {
    for cpu in cpus() {
        if let Some(ring) = hold(cpu).ring() {
            ring.set_mode(mode);
        }
    }
}

fn follow_switches() {
    // The change before the look at the rings, as a new ring is published before it looks at the switches.
    fence(Ordering::SeqCst);
    let pin = PreemptGuard::new();
    for cpu in cpus() {
        if let Some(ring) = RING.on(cpu).read(&pin) {
            follow_switch(cpu, ring);
        }
    }
}

/// Switches a ring as the three switches stand. Of two CPUs that do this at once, the one that is last has looked at the
/// switches after its own doing.
fn follow_switch(cpu: usize, ring: &CpuRing) {
    let wanted = || is_on() && PAUSES.load(Ordering::SeqCst) == 0 && cpumask() & 1 << cpu != 0;
    loop {
        let on = wanted();
        ring.set_on(on);
        fence(Ordering::SeqCst);
        if on == wanted() {
            return;
        }
    }
}

/// Pages of each CPU's ring.
pub(super) fn pages(cpu: usize) -> usize {
    hold(cpu).ring().map_or(0, CpuRing::pages)
}

/// Gives the rings of one CPU, or of all, another size. Events go on meanwhile.
///
/// # Errors
/// ENOMEM when there is no room for so much. Rings already changed stay so, as on Linux.
pub(super) fn resize(only: Option<usize>, pages: usize) -> Result<(), Errno> {
    let changing = CHANGING.lock();
    let pages = pages.max(ring::MIN_PAGES);
    let bytes = pages.checked_mul(ring::PAGE_BYTES * selected(only).count()).ok_or(Errno::ENOMEM)?;
    if pages > ring::MAX_PAGES || bytes > mm::stats().free_bytes / MEMORY_SHARE {
        return Err(Errno::ENOMEM);
    }
    for cpu in selected(only) {
        if hold(cpu).ring().is_some_and(|ring| ring.pages() == pages) {
            continue;
        }
        let new = made(pages)?;
        on_its_cpu(cpu, move |keeper| replace(cpu, keeper, new))?;
    }
    drop(changing);
    // Who waited was waiting on the old ring.
    wake_readers();
    Ok(())
}

/// Puts a new ring in place of the old one; on its CPU.
fn replace(cpu: usize, keeper: &mut Keeper<CpuRing>, mut new: Box<CpuRing>) -> Result<(), Errno> {
    let still = IrqGuard::new();
    let old = keeper.get().reader().ok_or(Errno::EBUSY)?;
    new.adopt(&old).map_err(|_| Errno::EBUSY)?;
    drop(old);
    let leaving = keeper.swap(new);
    drop(still);
    fence(Ordering::SeqCst);
    follow_switch(cpu, keeper.get());
    if let Some(old) = leaving.wait() {
        keeper.get().settle(&old);
    }
    Ok(())
}

/// Starts all rings anew, after the clock has changed: no time of the old clock stays.
pub(super) fn restart(change: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let _changing = CHANGING.lock();
    change()?;
    for cpu in cpus() {
        on_its_cpu(cpu, |keeper| {
            let _still = IrqGuard::new();
            let mut reader = keeper.get().reader().ok_or(Errno::EBUSY)?;
            reader.restart(clock::now()).map_err(|_| Errno::EBUSY)
        })?;
    }
    Ok(())
}

/// Runs `f` in a task on a CPU, with that CPU's keeper. For a CPU that is not online: here, since nothing writes to its
/// ring.
fn on_its_cpu(
    cpu: usize,
    f: impl FnOnce(&mut Keeper<CpuRing>) -> Result<(), Errno> + Send + 'static,
) -> Result<(), Errno> {
    let run = move || KEEPER.on(cpu).lock().as_mut().map_or(Ok(()), f);
    if sync::online_cpus() & 1 << cpu == 0 {
        return run();
    }
    let result = Arc::new(Mutex::new(Err(Errno::EBUSY)));
    let told = result.clone();
    let task = task::spawn_on("trace-ring", Prio::HIGH, 1 << cpu, Box::new(move || *told.lock() = run()))?;
    task.join()?;
    *result.lock()
}
