//! Softirqs: their place between tasks and interrupts, their bound, and who runs them beyond it.

use super::softirq::{MAX_ROUNDS, NAMES, SoftirqGuard, VECTORS, Vector, count, in_softirq, raise, register};
use crate::arch::{cpu, daif};
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq};
use crate::sync::{
    IrqGuard, IrqWork, PreemptGuard, SpinLock, head, on_each_cpu, online_cpus, quiesce, stop_machine,
};
use crate::task::{self, Prio};
use crate::time::{NS_PER_MS, Timer, now_ns};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tracecore::errno::Errno;

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "vectors_have_their_numbers", run: vectors_have_their_numbers },
    Test { name: "task_below_softirq_below_irq", run: task_below_softirq_below_irq },
    Test { name: "raised_by_a_task_runs_at_once", run: raised_by_a_task_runs_at_once },
    Test { name: "raised_under_masked_interrupts", run: raised_under_masked_interrupts },
    Test { name: "a_guard_holds_softirqs_off", run: a_guard_holds_softirqs_off },
    Test { name: "ksoftirqd_takes_over", run: ksoftirqd_takes_over },
    Test { name: "no_softirq_on_a_softirq", run: no_softirq_on_a_softirq },
    Test { name: "every_raise_is_followed_by_a_run", run: every_raise_is_followed_by_a_run },
    Test { name: "timers_run_in_a_softirq", run: timers_run_in_a_softirq },
];

/// What the action of the vector that these tests use does; set by each.
static ACTION: SpinLock<Option<fn()>> = SpinLock::new(None);

/// The vector that nobody else uses.
const MINE: Vector = Vector::IrqPoll;

fn action() {
    let action = *ACTION.lock();
    if let Some(action) = action {
        action();
    }
}

/// Has the vector do `f`.
fn set(f: fn()) {
    // A second run of the tests finds it registered.
    let _ = register(MINE, action);
    *ACTION.lock() = Some(f);
}

fn wait_for(counter: &AtomicU32, at_least: u32) -> bool {
    let end = now_ns() + 5_000 * NS_PER_MS;
    while counter.load(Ordering::Acquire) < at_least {
        if now_ns() > end {
            return false;
        }
        task::sleep_ns(NS_PER_MS / 4);
    }
    true
}

fn vectors_have_their_numbers(t: &mut TestCtx<'_>) -> TestResult {
    let numbers = [(Vector::Timer, 1), (Vector::Block, 4), (Vector::IrqPoll, 5)];
    check!(t, numbers.iter().all(|&(vector, number)| vector as usize == number));
    check_eq!(t, (NAMES.len(), NAMES[Vector::Block as usize]), (VECTORS, "BLOCK"));
    set(|| {});
    check_eq!(t, register(MINE, action), Err(Errno::EBUSY));
    Ok(())
}

static SEEN: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);

/// Notes where it runs: the softirq and hardirq bits of the preempt count, and whether interrupts are masked.
fn note(place: u32) {
    let bits = u64::from(head().count() >> 8 & 0xfff) | u64::from(daif::irqs_masked()) << 12;
    SEEN.fetch_or((bits | 1 << 15) << (16 * place), Ordering::Relaxed);
}

fn task_below_softirq_below_irq(t: &mut TestCtx<'_>) -> TestResult {
    SEEN.store(0, Ordering::Relaxed);
    DONE.store(0, Ordering::Relaxed);
    set(|| {
        note(1);
        // An interrupt on top of the softirq, which then goes on.
        ON_TOP.queue(&PreemptGuard::new());
        while SEEN.load(Ordering::Relaxed) >> 47 & 1 == 0 {
            cpu::relax();
        }
        note(1);
        DONE.store(1, Ordering::Release);
    });
    static ON_TOP: IrqWork = IrqWork::new(|| note(2));
    note(0);
    raise(MINE);
    check!(t, wait_for(&DONE, 1));
    let seen = SEEN.load(Ordering::Relaxed);
    // A task; a softirq with interrupts on; an interrupt on top of a softirq.
    check_eq!(t, (seen & 0x7fff, seen >> 16 & 0x7fff, seen >> 32 & 0x7fff), (0, 1, 1 << 12 | 1 << 8 | 1));
    check!(t, !in_softirq());
    Ok(())
}

fn raised_by_a_task_runs_at_once(t: &mut TestCtx<'_>) -> TestResult {
    DONE.store(0, Ordering::Relaxed);
    set(|| {
        DONE.fetch_add(1, Ordering::Release);
    });
    for i in 1..=100 {
        let _here = PreemptGuard::new();
        raise(MINE);
        // The interrupt to this CPU is taken within a few instructions; nothing else is needed.
        let end = now_ns() + 1_000 * NS_PER_MS;
        while DONE.load(Ordering::Acquire) < i && now_ns() < end {
            cpu::relax();
        }
        check_eq!(t, DONE.load(Ordering::Acquire), i);
    }
    Ok(())
}

fn raised_under_masked_interrupts(t: &mut TestCtx<'_>) -> TestResult {
    DONE.store(0, Ordering::Relaxed);
    set(|| {
        DONE.fetch_add(1, Ordering::Release);
    });
    let before = {
        let _masked = IrqGuard::new();
        // Three times raised before it begins is one run.
        (0..3).for_each(|_| raise(MINE));
        DONE.load(Ordering::Acquire)
    };
    check_eq!(t, before, 0);
    check!(t, wait_for(&DONE, 1));
    task::sleep_ns(2 * NS_PER_MS);
    check_eq!(t, DONE.load(Ordering::Acquire), 1);
    Ok(())
}

fn a_guard_holds_softirqs_off(t: &mut TestCtx<'_>) -> TestResult {
    DONE.store(0, Ordering::Relaxed);
    set(|| {
        DONE.fetch_add(1, Ordering::Release);
    });
    static FIRED: AtomicU32 = AtomicU32::new(0);
    FIRED.store(0, Ordering::Relaxed);
    let timer = Timer::new(|| {
        FIRED.fetch_add(1, Ordering::Release);
    });
    let outer = SoftirqGuard::new();
    let inner = SoftirqGuard::new();
    check!(t, !in_softirq());
    check_eq!(t, head().count() >> 8 & 0xff, 4);
    raise(MINE);
    timer.arm(now_ns());
    // Interrupts come, softirqs do not.
    let end = now_ns() + 3 * NS_PER_MS;
    while now_ns() < end {
        cpu::relax();
    }
    drop(inner);
    let held_off = (DONE.load(Ordering::Acquire), FIRED.load(Ordering::Acquire));
    drop(outer);
    let after = (DONE.load(Ordering::Acquire), FIRED.load(Ordering::Acquire));
    check_eq!(t, held_off, (0, 0));
    check_eq!(t, after, (1, 1));
    // Where interrupts are masked the guard cannot run them; they come as soon as those do.
    {
        let _masked = IrqGuard::new();
        let guard = SoftirqGuard::new();
        raise(MINE);
        drop(guard);
        check_eq!(t, DONE.load(Ordering::Acquire), 1);
    }
    check!(t, wait_for(&DONE, 2));
    Ok(())
}

/// Interrupts that this CPU has taken.
fn interrupts(cpu: usize) -> u32 {
    super::lines().map(|(number, _)| super::count(number, cpu)).sum()
}

fn ksoftirqd_takes_over(t: &mut TestCtx<'_>) -> TestResult {
    static IN_DAEMON: AtomicU32 = AtomicU32::new(0);
    const RUNS: u32 = 10_000;
    DONE.store(0, Ordering::Relaxed);
    IN_DAEMON.store(0, Ordering::Relaxed);
    // Raises itself again and again: more rounds than are run at once.
    set(|| {
        if task::current().name().as_str().starts_with("ksoftirqd/") {
            IN_DAEMON.fetch_add(1, Ordering::Relaxed);
        }
        if DONE.fetch_add(1, Ordering::Release) + 1 < RUNS {
            raise(MINE);
        }
    });
    {
        // As long as no other task can run, so many rounds are run at the end of each interrupt, and no more.
        let _here = PreemptGuard::new();
        let before = interrupts(cpu::id());
        raise(MINE);
        let end = now_ns() + NS_PER_MS;
        while now_ns() < end {
            cpu::relax();
        }
        let (done, came) = (DONE.load(Ordering::Acquire), interrupts(cpu::id()) - before);
        check!(t, done > 0 && done <= came * MAX_ROUNDS, "{done} rounds after {came} interrupts");
        check_eq!(t, IN_DAEMON.load(Ordering::Relaxed), 0);
    }
    check!(t, wait_for(&DONE, RUNS));
    check!(t, IN_DAEMON.load(Ordering::Relaxed) > 0, "ksoftirqd ran none of {RUNS}");
    for n in (0..crate::arch::MAX_CPUS).filter(|n| online_cpus() & 1 << n != 0) {
        let name = alloc::format!("ksoftirqd/{n}");
        let tasks = task::list().unwrap_or_default();
        let daemon = tasks.iter().find(|task| task.name().as_str() == name);
        check_eq!(t, daemon.map(|task| task.affinity()), Some(1 << n));
    }
    Ok(())
}

fn no_softirq_on_a_softirq(t: &mut TestCtx<'_>) -> TestResult {
    static DEPTH: AtomicU32 = AtomicU32::new(0);
    static NESTED: AtomicU32 = AtomicU32::new(0);
    DONE.store(0, Ordering::Relaxed);
    NESTED.store(0, Ordering::Relaxed);
    set(|| {
        if DEPTH.fetch_add(1, Ordering::Relaxed) != 0 {
            NESTED.fetch_add(1, Ordering::Relaxed);
        }
        if DONE.load(Ordering::Relaxed) < 4 {
            raise(MINE);
            // Interrupts that return to the softirq must not begin another one.
            let end = now_ns() + NS_PER_MS / 10;
            while now_ns() < end {
                cpu::relax();
            }
        }
        DEPTH.fetch_sub(1, Ordering::Relaxed);
        DONE.fetch_add(1, Ordering::Release);
    });
    let here = PreemptGuard::new();
    raise(MINE);
    drop(here);
    check!(t, wait_for(&DONE, 5));
    check_eq!(t, NESTED.load(Ordering::Relaxed), 0);
    Ok(())
}

/// Four CPUs raise, while others stop them all and wait for quiet periods: a raise is never forgotten, and never are
/// there more runs than raises.
fn every_raise_is_followed_by_a_run(t: &mut TestCtx<'_>) -> TestResult {
    static RAISED: AtomicU32 = AtomicU32::new(0);
    static LAST_SEEN: AtomicU32 = AtomicU32::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    const RAISES: u32 = 2_000;
    DONE.store(0, Ordering::Relaxed);
    RAISED.store(0, Ordering::Relaxed);
    LAST_SEEN.store(0, Ordering::Relaxed);
    STOP.store(false, Ordering::Relaxed);
    set(|| {
        LAST_SEEN.fetch_max(RAISED.load(Ordering::Acquire), Ordering::AcqRel);
        DONE.fetch_add(1, Ordering::Release);
    });
    let runs_before: u32 = (0..cpu::online()).map(|n| count(MINE as usize, n)).sum();
    let mut tasks = Vec::new();
    for n in (0..crate::arch::MAX_CPUS).filter(|n| online_cpus() & 1 << n != 0) {
        let raiser = || {
            for i in 0..RAISES {
                RAISED.fetch_add(1, Ordering::AcqRel);
                match i % 3 {
                    0 => raise(MINE),
                    1 => {
                        let _off = SoftirqGuard::new();
                        raise(MINE);
                    }
                    _ => {
                        let _masked = IrqGuard::new();
                        raise(MINE);
                    }
                }
                if i % 64 == 0 {
                    task::yield_now();
                }
            }
        };
        tasks.extend(task::spawn_on("raiser", Prio::NORMAL, 1 << n, Box::new(raiser)));
    }
    tasks.extend(task::spawn(
        "stopper",
        Prio::NORMAL,
        Box::new(|| {
            while !STOP.load(Ordering::Relaxed) {
                stop_machine(|| ());
                quiesce::synchronize();
                on_each_cpu(&|| ());
            }
        }),
    ));
    let raisers = tasks.len() - 1;
    for task in &tasks[..raisers] {
        let _ = task.join();
    }
    STOP.store(true, Ordering::Relaxed);
    for task in &tasks[raisers..] {
        let _ = task.join();
    }
    let raised = RAISED.load(Ordering::Acquire);
    check_eq!(t, raised, RAISES * raisers as u32);
    // The last raise is followed by a run that begins after it.
    check!(t, wait_for(&LAST_SEEN, raised));
    let runs = (0..cpu::online()).map(|n| count(MINE as usize, n)).sum::<u32>() - runs_before;
    check_eq!(t, runs, DONE.load(Ordering::Acquire));
    check!(t, runs <= raised && runs > 0, "{runs} runs, {raised} raises");
    Ok(())
}

fn timers_run_in_a_softirq(t: &mut TestCtx<'_>) -> TestResult {
    DONE.store(0, Ordering::Relaxed);
    static PLACE: AtomicU32 = AtomicU32::new(0);
    let timer = Timer::new(|| {
        let serving = u32::from(in_softirq()) | u32::from(daif::irqs_masked()) << 1;
        PLACE.store(serving | head().count() >> 16 << 2, Ordering::Relaxed);
        DONE.fetch_add(1, Ordering::Release);
    });
    let before: u32 = (0..cpu::online()).map(|n| count(Vector::Timer as usize, n)).sum();
    timer.arm(now_ns() + NS_PER_MS / 10);
    check!(t, wait_for(&DONE, 1));
    check_eq!(t, PLACE.load(Ordering::Relaxed), 1);
    check!(t, (0..cpu::online()).map(|n| count(Vector::Timer as usize, n)).sum::<u32>() > before);
    Ok(())
}
