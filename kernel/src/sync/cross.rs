//! Making other CPUs do something: calls, and stopping them all.
//!
//! A call is a node on the caller's stack, pushed on the target's list and announced by an interrupt:
//!
//! ```text
//!   caller                              target
//!   push node on CALLS[cpu]
//!   send the call interrupt   ───────▶  take the whole list (one swap)
//!   wait for node.done        ◀───────  run each, oldest first; done = true; wake the caller if it sleeps
//! ```
//!
//! The lists are Treiber stacks of which only whole lists are taken, so there is no ABA question. Callers have
//! interrupts on while they wait: two CPUs that call each other serve each other.
//!
//! [`stop_machine`] is a call that does not return before it is allowed to:
//!
//! ```text
//!   caller       │ wait for all parked │ mask, run f │ release │
//!   every other  │ …interrupt: parked ─┼─ sleeps, masked ──────┤ goes on
//! ```
//!
//! `f` may change any code but what the parked CPUs execute meanwhile. That is one function, [`parked`], which no probe is
//! accepted in; it says when a CPU has come there.
//!
//! One caller at a time: the others wait with interrupts on, so that they can be parked. A parked CPU was
//! interruptible, so it holds no spin lock, and `f` may take any.

use super::{IrqGuard, Once, PreemptGuard, head, per_cpu};
use crate::arch;
use core::arch::asm;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering, fence};
use tracecore::errno::Errno;

const _: () = assert!(arch::MAX_CPUS <= 32, "sets of CPUs are 32-bit masks");

/// The CPUs that take part.
static ONLINE: AtomicU32 = AtomicU32::new(0);

/// Sends the call interrupt to one CPU.
static SEND: Once<fn(usize)> = Once::new();

/// One CPU stops the others at a time.
static STOPPING: AtomicBool = AtomicBool::new(false);

struct Call<'a> {
    next: AtomicPtr<Call<'static>>,
    f: &'a (dyn Fn() + Sync),
    /// The CPU that waits for `done`.
    from: usize,
    done: AtomicBool,
}

per_cpu! {
    static CALLS: AtomicPtr<Call<'static>> = AtomicPtr::new(null_mut());
    /// This CPU sleeps until what it waits for has happened on another one.
    static ASLEEP: AtomicBool = AtomicBool::new(false);
    /// A quiet point is wanted of this CPU.
    static KICKED: AtomicBool = AtomicBool::new(false);
}

/// Tells this room how to interrupt a CPU. Only the first call counts.
pub(crate) fn set_call_ipi(send: fn(usize)) {
    let _ = SEND.set(send);
}

/// CPU `cpu` takes interrupts from now on.
pub(crate) fn mark_online(cpu: usize) {
    ONLINE.fetch_or(1 << cpu, Ordering::AcqRel);
}

/// The CPUs that take part, as a mask.
#[inline]
pub(crate) fn online_cpus() -> u32 {
    ONLINE.load(Ordering::Acquire)
}

/// True when CPU `cpu` takes part.
pub(crate) fn cpu_is_online(cpu: usize) -> bool {
    cpu < arch::MAX_CPUS && online_cpus() & (1 << cpu) != 0
}

/// The CPUs of a mask.
fn each(mask: u32) -> impl Iterator<Item = usize> {
    (0..arch::MAX_CPUS).filter(move |cpu| mask & (1 << cpu) != 0)
}

/// Makes the CPUs in `mask`, except this one, call their scheduler, for the sake of the quiet point in it.
pub(super) fn kick(mask: u32) {
    let _here = PreemptGuard::new();
    if let Some(send) = SEND.get() {
        for cpu in each(mask & !(1 << arch::cpu::id())) {
            KICKED.on(cpu).store(true, Ordering::Release);
            send(cpu);
        }
    }
}

/// Looks at something that another CPU is about to do before this one goes to sleep over it.
const LOOKS_BEFORE_SLEEP: usize = 200;

/// Waits for another CPU, which calls [`wake`] once `ready` holds. The caller is pinned.
///
/// It spins a little and then sleeps: a CPU that spins takes time from the one it waits for when there are fewer CPUs
/// than it seems, as under an emulator. With interrupts masked in between, the interrupt of `wake` cannot come between
/// the last look and WFI, which ends for a masked interrupt, too (Arm ARM D1.6.2).
///
/// ```text
///   sleeper                       waker
///   ASLEEP = true                 what is waited for
///   ── fence ──                   ── fence ──
///   what is waited for?           ASLEEP?
/// ```
///
/// One of the two sees the other's store. The fences stand there although sequentially consistent accesses would do by
/// the architecture: STLR, then LDAR of another address are not reordered (Arm ARM B2.3, Load-Acquire and
/// Store-Release). QEMU does reorder them: it
/// makes the store release and the load acquire, and an x86 host lets the load pass the store.
fn sleep_until(ready: impl Fn() -> bool) {
    for _ in 0..LOOKS_BEFORE_SLEEP {
        if ready() {
            return;
        }
        arch::cpu::relax();
    }
    loop {
        let irq = IrqGuard::new();
        let asleep = ASLEEP.this_cpu(&irq);
        asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let done = ready();
        if !done {
            arch::cpu::wfi();
        }
        asleep.store(false, Ordering::Relaxed);
        if done {
            return;
        }
    }
}

/// What CPU `cpu` waits for has happened (the caller has stored it).
fn wake(cpu: usize) {
    fence(Ordering::SeqCst);
    if ASLEEP.on(cpu).load(Ordering::Relaxed)
        && let Some(send) = SEND.get()
    {
        send(cpu);
    }
}

impl<'a> Call<'a> {
    /// A call by the CPU that this runs on.
    fn new(f: &'a (dyn Fn() + Sync)) -> Self {
        Self { next: AtomicPtr::new(null_mut()), f, from: arch::cpu::id(), done: AtomicBool::new(false) }
    }

    /// Hands the call to `cpu`.
    ///
    /// # Safety
    /// The call stays where it is until `wait` has returned.
    unsafe fn send(&self, cpu: usize) {
        let node = core::ptr::from_ref(self).cast_mut().cast::<Call<'static>>();
        let list = CALLS.on(cpu);
        // From the push to the interrupt nothing may come between: others rely on the interrupt, and one of them
        // might have parked this CPU in that moment.
        let _irq = IrqGuard::new();
        let mut first = list.load(Ordering::Relaxed);
        loop {
            self.next.store(first, Ordering::Relaxed);
            match list.compare_exchange_weak(first, node, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => first = now,
            }
        }
        // Who finds the list not empty knows that an interrupt is on its way.
        if first.is_null()
            && let Some(send) = SEND.get()
        {
            send(cpu);
        }
    }

    fn wait(&self) {
        sleep_until(|| self.done.load(Ordering::Acquire));
    }
}

/// The call interrupt: runs what others have asked for.
pub(crate) fn handle_call_ipi() {
    let here = IrqGuard::new();
    if KICKED.this_cpu(&here).swap(false, Ordering::AcqRel) {
        head().need_resched.store(1, Ordering::Relaxed);
    }
    let mut taken = CALLS.this_cpu(&here).swap(null_mut(), Ordering::Acquire);
    let mut oldest: *mut Call<'static> = null_mut();
    // SAFETY: callers keep their nodes until `done`; each node is read before `done` is set and not after.
    unsafe {
        while let Some(call) = taken.as_ref() {
            let next = call.next.load(Ordering::Relaxed);
            call.next.store(oldest, Ordering::Relaxed);
            oldest = taken;
            taken = next;
        }
        while let Some(call) = oldest.as_ref() {
            oldest = call.next.load(Ordering::Relaxed);
            (call.f)();
            let from = call.from;
            call.done.store(true, Ordering::Release);
            wake(from);
        }
    }
}

/// Callers wait for other CPUs, which may wait for them: only with interrupts on is that no deadlock.
#[track_caller]
fn assert_may_wait(others: u32) {
    assert!(others == 0 || !arch::daif::irqs_masked(), "a call to another CPU with interrupts masked");
}

/// Runs `f` on CPU `cpu` with interrupts masked and waits for its end. ENXIO when the CPU is not there.
pub(crate) fn on_cpu(cpu: usize, f: &(dyn Fn() + Sync)) -> Result<(), Errno> {
    if !cpu_is_online(cpu) {
        return Err(Errno::ENXIO);
    }
    let _here = PreemptGuard::new();
    if cpu == arch::cpu::id() {
        let _irq = IrqGuard::new();
        f();
    } else {
        assert_may_wait(1 << cpu);
        let call = Call::new(f);
        // SAFETY: waited for before `call` goes away.
        unsafe { call.send(cpu) };
        call.wait();
    }
    Ok(())
}

/// Runs `f` on every CPU, this one included, with interrupts masked, and waits for all.
pub(crate) fn on_each_cpu(f: &(dyn Fn() + Sync)) {
    let _here = PreemptGuard::new();
    let others = online_cpus() & !(1 << arch::cpu::id());
    if others == 0 {
        let _irq = IrqGuard::new();
        f();
        return;
    }
    with_others(others, f);
}

/// Runs `f` on `others` and here. Apart, since the calls want a large frame.
#[inline(never)]
fn with_others(others: u32, f: &(dyn Fn() + Sync)) {
    assert_may_wait(others);
    let calls: [Call<'_>; arch::MAX_CPUS] = core::array::from_fn(|_| Call::new(f));
    for cpu in each(others) {
        // SAFETY: all are waited for below.
        unsafe { calls[cpu].send(cpu) };
    }
    {
        let _irq = IrqGuard::new();
        f();
    }
    each(others).for_each(|cpu| calls[cpu].wait());
}

/// Runs `f` while every other CPU waits with interrupts masked. Each of them passes a context synchronisation
/// event before it goes on, so `f` may change code.
pub(crate) fn stop_machine<R>(f: impl FnOnce() -> R) -> R {
    let _here = loop {
        // The guard is taken before the flag: who has the flag is not preempted, so waiting for it is bounded.
        let here = PreemptGuard::new();
        if STOPPING.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            break here;
        }
        drop(here);
        arch::cpu::relax();
    };
    let others = online_cpus() & !(1 << arch::cpu::id());
    let result = if others == 0 {
        let _irq = IrqGuard::new();
        f()
    } else {
        with_parked(others, f)
    };
    STOPPING.store(false, Ordering::Release);
    result
}

/// Where CPUs are parked.
struct Park {
    /// How many execute nothing but [`parked`].
    inside: AtomicU32,
    /// They may go on.
    release: AtomicBool,
}

noinstr! {
    /// What a parked CPU executes while code changes: all of it, so everything else may change. `asleep` is this CPU's.
    ///
    /// It waits as [`sleep_until`] does, with interrupts masked. Behind the barrier at the end it executes new code.
    #[inline(never)]
    fn parked(park: &Park, asleep: &AtomicBool) {
        park.inside.fetch_add(1, Ordering::Release);
        let mut looks = 0;
        while !park.release.load(Ordering::Acquire) {
            if looks < LOOKS_BEFORE_SLEEP {
                looks += 1;
                arch::cpu::relax();
                continue;
            }
            asleep.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if !park.release.load(Ordering::Acquire) {
                arch::cpu::wfi();
            }
            asleep.store(false, Ordering::Relaxed);
        }
        // SAFETY: a barrier.
        unsafe { asm!("isb", options(nostack, preserves_flags)) };
    }
}

/// Runs `f` while `others` are parked. The caller has the flag.
#[inline(never)]
fn with_parked<R>(others: u32, f: impl FnOnce() -> R) -> R {
    assert_may_wait(others);
    let arrived = AtomicU32::new(0);
    let park = Park { inside: AtomicU32::new(0), release: AtomicBool::new(false) };
    let stopper = arch::cpu::id();
    let stop = || {
        if arrived.fetch_add(1, Ordering::AcqRel) + 1 == others.count_ones() {
            wake(stopper);
        }
        parked(&park, ASLEEP.on(arch::cpu::id()));
    };
    let calls: [Call<'_>; arch::MAX_CPUS] = core::array::from_fn(|_| Call::new(&stop));
    for cpu in each(others) {
        // SAFETY: all are waited for below.
        unsafe { calls[cpu].send(cpu) };
    }
    sleep_until(|| arrived.load(Ordering::Acquire) == others.count_ones());
    // A few instructions more, of which the last to arrive sends an interrupt.
    while park.inside.load(Ordering::Acquire) != others.count_ones() {
        arch::cpu::relax();
    }
    let result = {
        let _irq = IrqGuard::new();
        let result = f();
        park.release.store(true, Ordering::Release);
        each(others).for_each(wake);
        result
    };
    each(others).for_each(|cpu| calls[cpu].wait());
    result
}
