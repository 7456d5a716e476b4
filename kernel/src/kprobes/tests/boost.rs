//! Boosted slots: who interrupts one sees the probed place, who is stopped in one keeps it, and a post handler may come
//! and go while every CPU runs through.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::{BODY, Count, add, adding, armed};
use crate::arch::{cpu, gic};
use crate::exception::PtRegs;
use crate::kprobes::{self, Flavour, Flow, Handler, Kprobe};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, diag, skip};
use crate::sync::CpuPin;
use crate::task::{self, Prio, WaitQueue};
use crate::text::slots;
use crate::{boot, irq, unwind};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "flavours", run: flavours },
    Test { name: "interrupted_in_a_slot", run: interrupted_in_a_slot },
    Test { name: "stopped_in_a_slot", run: stopped_in_a_slot },
    Test { name: "post_comes_and_goes_under_load", run: post_comes_and_goes_under_load },
];

/// How hits at `addr` execute the word.
fn flavour(addr: usize) -> Option<Flavour> {
    kprobes::list().iter().find(|listed| listed.addr == addr).map(|listed| listed.flavour)
}

fn with_post() -> Arc<Count> {
    Arc::new(Count { wants_post: true, ..Count::default() })
}

fn flavours(t: &mut TestCtx<'_>) -> TestResult {
    let pre = Arc::new(Count::default());
    let probe = armed(t, "work_add", BODY, pre.clone())?;
    check_eq!(t, flavour(probe.addr()), Some(Flavour::Boosted));
    let post = with_post();
    let other = armed(t, "work_add", BODY, post.clone())?;
    check_eq!(t, flavour(probe.addr()), Some(Flavour::Stepped));
    check_eq!(t, add(2, 40), 42);
    check_eq!(t, (pre.hits(), post.hits(), post.post.load(Ordering::Relaxed)), (1, 1, 1));
    drop(other);
    check_eq!(t, flavour(probe.addr()), Some(Flavour::Boosted));
    // The slot may still end in a breakpoint.
    check_eq!(t, add(2, 40), 42);
    crate::sync::quiesce::synchronize();
    check_eq!(t, add(2, 40), 42);
    check_eq!(t, (pre.hits(), post.hits(), post.post.load(Ordering::Relaxed)), (3, 1, 1));
    Ok(())
}

/// A software-generated interrupt that only these tests use.
const SGI: u32 = 13;
/// The probe in whose slot the interrupt comes.
static EXPECTED: AtomicU64 = AtomicU64::new(0);
/// How many interrupts saw it, and how many came.
static SEEN: AtomicU32 = AtomicU32::new(0);
static CAME: AtomicU32 = AtomicU32::new(0);
/// Whether the interrupt lets somebody else run.
static WAKES: AtomicBool = AtomicBool::new(false);
static WAITING: WaitQueue = WaitQueue::new();
static WOKEN: AtomicBool = AtomicBool::new(false);

/// Looks at the code that it interrupts: is it at the probe, for a backtrace?
fn interrupt(_: u32) {
    CAME.fetch_add(1, Ordering::Relaxed);
    let mut seen = false;
    unwind::walk(cpu::frame_pointer(), false, |frame| {
        seen |= frame.exact && frame.pc == EXPECTED.load(Ordering::Relaxed);
        true
    });
    SEEN.fetch_add(u32::from(seen), Ordering::Relaxed);
    if WAKES.load(Ordering::Relaxed) {
        WOKEN.store(true, Ordering::Relaxed);
        WAITING.wake_one();
    }
}

/// Interrupts its own CPU. A hit is masked, its slot is not: the interrupt comes before the word has executed.
struct Interrupt {
    hits: AtomicUsize,
}

impl Handler for Interrupt {
    fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
        let this = cpu::id();
        if self.hits.fetch_add(1, Ordering::Relaxed) == 0
            && let Some(&mpidr) = boot::info().cpus().get(this)
        {
            gic::send_sgi(SGI, mpidr, this);
        }
        Flow::Continue
    }
}

fn interrupting(t: &mut TestCtx<'_>) -> Result<(Kprobe, Arc<Interrupt>), Stop> {
    // A second run finds its own handler there.
    let _ = irq::register(SGI, "Selftest interrupts", interrupt);
    let handler = Arc::new(Interrupt { hits: AtomicUsize::new(0) });
    let probe = armed(t, "work_add", BODY, handler.clone())?;
    EXPECTED.store(probe.addr() as u64, Ordering::Relaxed);
    SEEN.store(0, Ordering::Relaxed);
    CAME.store(0, Ordering::Relaxed);
    Ok((probe, handler))
}

fn interrupted_in_a_slot(t: &mut TestCtx<'_>) -> TestResult {
    let (probe, handler) = interrupting(t)?;
    WAKES.store(false, Ordering::Relaxed);
    let sum = Arc::new(AtomicU64::new(0));
    let result = sum.clone();
    let work = Box::new(move || {
        // The interrupt is this CPU's own.
        if irq::enable(SGI).is_ok() {
            result.store(add(2, 40), Ordering::Relaxed);
        }
    });
    let on = 1 << cpu::id();
    check!(t, task::spawn_on("interrupted", Prio::NORMAL, on, work).is_ok_and(|task| task.join() == Ok(0)));
    check_eq!(t, sum.load(Ordering::Relaxed), 42);
    check_eq!(t, handler.hits.load(Ordering::Relaxed), 1);
    check_eq!(t, (CAME.load(Ordering::Relaxed), SEEN.load(Ordering::Relaxed)), (1, 1));
    drop(probe);
    Ok(())
}

/// A task is preempted inside the slot of a probe, by one that removes the probe. The slot is kept until it is left.
fn stopped_in_a_slot(t: &mut TestCtx<'_>) -> TestResult {
    const TIMEOUT_MS: u32 = 2000;
    if cpu::online() < 2 {
        skip!("needs two CPUs: one to free slots while the other is kept busy");
    }
    let (probe, handler) = interrupting(t)?;
    let slot = probe.slot_addr();
    check!(t, slot.is_some());
    WAKES.store(true, Ordering::Relaxed);
    WOKEN.store(false, Ordering::Relaxed);
    let before = slots::usage();
    let on = cpu::id();
    let kept = Arc::new(AtomicUsize::new(0));
    let limbo = kept.clone();
    // More urgent: once it runs, the task in the slot does not, until it ends.
    let remover = task::spawn_on(
        "remover",
        Prio::HIGH,
        1 << on,
        Box::new(move || {
            WAITING.wait_until(|| WOKEN.load(Ordering::Relaxed));
            drop(probe);
            for _ in 0..TIMEOUT_MS {
                limbo.store(slots::usage().limbo, Ordering::Relaxed);
                if limbo.load(Ordering::Relaxed) > before.limbo {
                    break;
                }
                let until = crate::time::now_ns() + 1_000_000;
                while crate::time::now_ns() < until {
                    cpu::relax();
                }
            }
        }),
    );
    let sum = Arc::new(AtomicU64::new(0));
    let result = sum.clone();
    let victim = task::spawn_on(
        "victim",
        Prio::NORMAL,
        1 << on,
        Box::new(move || {
            while !WAITING.has_waiters() {
                task::yield_now();
            }
            if irq::enable(SGI).is_ok() {
                result.store(add(2, 40), Ordering::Relaxed);
            }
        }),
    );
    check!(t, victim.is_ok_and(|task| task.join() == Ok(0)));
    check!(t, remover.is_ok_and(|task| task.join() == Ok(0)));
    check_eq!(t, sum.load(Ordering::Relaxed), 42);
    check_eq!(t, handler.hits.load(Ordering::Relaxed), 1);
    check_eq!(t, (CAME.load(Ordering::Relaxed), SEEN.load(Ordering::Relaxed)), (1, 1));
    check_eq!(t, kept.load(Ordering::Relaxed), before.limbo + 1);
    // Left, it is free after two more looks.
    let free = (0..TIMEOUT_MS).any(|_| {
        task::sleep_ns(1_000_000);
        slots::usage().limbo == before.limbo
    });
    check!(t, free, "{:?}, before {before:?}", slots::usage());
    Ok(())
}

fn post_comes_and_goes_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 100;
    const TURN: usize = 20;
    let (steady, posts) = (Arc::new(Count::default()), with_post());
    let counter = armed(t, "work_add", BODY, steady.clone())?;
    let load = adding();
    let mut refused = None;
    for i in 0..TIMES {
        match Kprobe::register(counter.addr(), posts.clone()) {
            Ok(probe) => refused = refused.or(probe.arm().err()),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
        // On one CPU the callers run only when they are let.
        if i % TURN == 0 {
            task::yield_now();
        }
    }
    let (calls, wrong) = load.end();
    check_eq!(t, refused, None);
    check_eq!(t, wrong, 0);
    check_eq!(t, steady.hits() + counter.missed(), calls);
    let (pre, post) = (posts.hits(), posts.post.load(Ordering::Relaxed));
    diag!(t, "{calls} calls; {pre} hits of the other, {post} of them followed up");
    check!(t, post <= calls);
    Ok(())
}
