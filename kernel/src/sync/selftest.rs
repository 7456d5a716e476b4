//! What only several CPUs and real interrupts can show of this room.

use super::{
    IrqGuard, IrqWork, Once, PreemptGuard, Published, SpinLock, head, on_cpu, on_each_cpu, online_cpus,
    per_cpu, quiesce, stop_machine,
};
use crate::arch;
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq, skip};
use crate::task::{self, Prio, TaskRef};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "once_is_set_once", run: once_is_set_once },
    Test { name: "per_cpu_copies_are_apart", run: per_cpu_copies_are_apart },
    Test { name: "spin_lock_excludes", run: spin_lock_excludes },
    Test { name: "preempt_guard_holds_off", run: preempt_guard_holds_off },
    Test { name: "on_cpu_runs_there", run: on_cpu_runs_there },
    Test { name: "calls_cross", run: calls_cross },
    Test { name: "one_of_two_sees_the_other", run: one_of_two_sees_the_other },
    Test { name: "a_caller_that_falls_asleep_is_woken", run: a_caller_that_falls_asleep_is_woken },
    Test { name: "stop_machine_stops_all", run: stop_machine_stops_all },
    Test { name: "stop_machine_callers_queue_up", run: stop_machine_callers_queue_up },
    Test { name: "synchronize_waits_for_readers", run: synchronize_waits_for_readers },
    Test { name: "published_under_readers", run: published_under_readers },
    Test { name: "deferred_runs", run: deferred_runs },
    Test { name: "irq_work_runs_after_unmask", run: irq_work_runs_after_unmask },
];

fn cpus() -> impl Iterator<Item = usize> {
    (0..arch::MAX_CPUS).filter(|cpu| online_cpus() & 1 << cpu != 0)
}

/// A part of `total` for each CPU: every interrupt between CPUs waits for the host to run the other one, so the more
/// CPUs, the fewer rounds.
fn share(total: u32) -> u32 {
    let n = cpus().count() as u32;
    (total / (n * n)).max(5)
}

/// A task on each CPU that runs `f(cpu)`.
fn task_on_each_cpu(
    f: impl Fn(usize) + Send + Sync + 'static,
) -> Result<Vec<TaskRef>, tracecore::errno::Errno> {
    let f = Arc::new(f);
    cpus()
        .map(|cpu| {
            let f = f.clone();
            task::spawn_on("test", Prio::NORMAL, 1 << cpu, Box::new(move || f(cpu)))
        })
        .collect()
}

fn join_all(tasks: Vec<TaskRef>) {
    for task in tasks {
        // Fails for the running task only.
        let _ = task.join();
    }
}

fn once_is_set_once(t: &mut TestCtx<'_>) -> TestResult {
    let once = Once::new();
    check!(t, once.get().is_none());
    check_eq!(t, once.set(1), Ok(()));
    check_eq!(t, once.set(2), Err(2));
    check_eq!(t, *once.get_or_init(|| 3), 1);
    Ok(())
}

per_cpu! {
    static HITS: AtomicU64 = AtomicU64::new(7);
}

fn per_cpu_copies_are_apart(t: &mut TestCtx<'_>) -> TestResult {
    cpus().for_each(|cpu| HITS.on(cpu).store(7, Ordering::Relaxed));
    on_each_cpu(&|| {
        HITS.with(|hits| hits.fetch_add(arch::cpu::id() as u64 + 1, Ordering::Relaxed));
    });
    for cpu in cpus() {
        check_eq!(t, HITS.on(cpu).load(Ordering::Relaxed), 7 + cpu as u64 + 1);
    }
    Ok(())
}

fn spin_lock_excludes(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: u64 = 5000;
    let count = Arc::new(SpinLock::new((0u64, 0u64)));
    let shared = count.clone();
    let tasks = task_on_each_cpu(move |_| {
        for _ in 0..TIMES {
            let mut both = shared.lock();
            both.0 += 1;
            let first = both.0;
            both.1 = first;
        }
    });
    check!(t, tasks.is_ok());
    join_all(tasks.unwrap_or_default());
    let total = TIMES * cpus().count() as u64;
    check_eq!(t, *count.lock(), (total, total));
    let held = count.lock();
    check!(t, count.try_lock().is_none());
    check!(t, arch::daif::irqs_masked());
    drop(held);
    check!(t, count.try_lock().is_some());
    check!(t, !arch::daif::irqs_masked());
    Ok(())
}

fn preempt_guard_holds_off(t: &mut TestCtx<'_>) -> TestResult {
    let ran = Arc::new(AtomicBool::new(false));
    let flag = ran.clone();
    let guard = PreemptGuard::new();
    let here = 1 << arch::cpu::id();
    let urgent =
        task::spawn_on("urgent", Prio::HIGH, here, Box::new(move || flag.store(true, Ordering::Relaxed)));
    check!(t, urgent.is_ok());
    check!(t, !ran.load(Ordering::Relaxed), "it ran although preemption was held off");
    drop(guard);
    check!(t, ran.load(Ordering::Relaxed), "it did not run when preemption was allowed again");
    Ok(())
}

fn on_cpu_runs_there(t: &mut TestCtx<'_>) -> TestResult {
    for cpu in cpus() {
        let seen = AtomicUsize::new(usize::MAX);
        let masked = AtomicBool::new(false);
        let result = on_cpu(cpu, &|| {
            seen.store(arch::cpu::id(), Ordering::Relaxed);
            masked.store(arch::daif::irqs_masked(), Ordering::Relaxed);
        });
        check_eq!(t, result, Ok(()));
        check_eq!(t, seen.load(Ordering::Relaxed), cpu);
        check!(t, masked.load(Ordering::Relaxed));
    }
    check_eq!(t, on_cpu(arch::MAX_CPUS, &|| {}), Err(tracecore::errno::Errno::ENXIO));
    Ok(())
}

/// Every CPU calls every CPU at once.
fn calls_cross(t: &mut TestCtx<'_>) -> TestResult {
    let times = share(800);
    let calls = Arc::new(AtomicU32::new(0));
    let shared = calls.clone();
    let tasks = task_on_each_cpu(move |_| {
        for _ in 0..times {
            on_each_cpu(&|| {
                shared.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    check!(t, tasks.is_ok());
    join_all(tasks.unwrap_or_default());
    let n = cpus().count() as u32;
    check_eq!(t, calls.load(Ordering::Relaxed), times * n * n);
    Ok(())
}

/// What every sleeper and its waker stand on: of two CPUs that each store, fence and look at what the other stores, one
/// sees it. (Under QEMU this does not hold without the fence, see [`super::cross`].)
fn one_of_two_sees_the_other(t: &mut TestCtx<'_>) -> TestResult {
    const ROUNDS: u32 = 100_000;
    if cpus().count() < 2 {
        skip!("one CPU");
    }
    #[derive(Default)]
    struct Side {
        arrived: AtomicU32,
        stored: AtomicU32,
        missed: AtomicBool,
    }
    let sides = Arc::new([Side::default(), Side::default()]);
    let meet = |side: &Side, other: &Side, round| {
        side.arrived.store(round, Ordering::Release);
        while other.arrived.load(Ordering::Acquire) < round {
            arch::cpu::relax();
        }
    };
    let both = Arc::new(AtomicU32::new(0));
    let run = |me: usize| {
        let (sides, both) = (sides.clone(), both.clone());
        move || {
            let (mine, other) = (&sides[me], &sides[1 - me]);
            for round in (1..=2 * ROUNDS).step_by(2) {
                meet(mine, other, round);
                mine.stored.store(round, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                let missed = other.stored.load(Ordering::Relaxed) < round;
                mine.missed.store(missed, Ordering::Relaxed);
                meet(mine, other, round + 1);
                if me == 0 && missed && other.missed.load(Ordering::Relaxed) {
                    both.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    let mut cpus = cpus();
    let tasks: Result<Vec<_>, _> = [0, 1]
        .into_iter()
        .zip(&mut cpus)
        .map(|(me, cpu)| task::spawn_on("test", Prio::NORMAL, 1 << cpu, Box::new(run(me))))
        .collect();
    check!(t, tasks.is_ok());
    join_all(tasks.unwrap_or_default());
    check_eq!(t, both.load(Ordering::Relaxed), 0);
    Ok(())
}

/// Calls that end just when the caller goes to sleep over them. A wake that is lost leaves it asleep for ever.
fn a_caller_that_falls_asleep_is_woken(t: &mut TestCtx<'_>) -> TestResult {
    if cpus().count() < 2 {
        skip!("one CPU calls nobody");
    }
    let _here = PreemptGuard::new();
    let other = cpus().find(|&cpu| cpu != arch::cpu::id()).unwrap_or_default();
    let ran = AtomicU32::new(0);
    let rounds = 10_000;
    for round in 0..rounds {
        let call = || {
            (0..round % 400).for_each(|_| arch::cpu::relax());
            ran.fetch_add(1, Ordering::Relaxed);
        };
        check_eq!(t, on_cpu(other, &call), Ok(()));
    }
    check_eq!(t, ran.load(Ordering::Relaxed), rounds);
    Ok(())
}

fn stop_machine_stops_all(t: &mut TestCtx<'_>) -> TestResult {
    if cpus().count() < 2 {
        skip!("one CPU");
    }
    let counts: Arc<[AtomicU64; arch::MAX_CPUS]> = Arc::new([const { AtomicU64::new(0) }; arch::MAX_CPUS]);
    let stop = Arc::new(AtomicBool::new(false));
    let (shared, ended) = (counts.clone(), stop.clone());
    let tasks = task_on_each_cpu(move |cpu| {
        while !ended.load(Ordering::Relaxed) {
            shared[cpu].fetch_add(1, Ordering::Relaxed);
            arch::cpu::relax();
        }
    });
    check!(t, tasks.is_ok());
    let snapshot =
        || -> [u64; arch::MAX_CPUS] { core::array::from_fn(|cpu| counts[cpu].load(Ordering::Relaxed)) };
    let mut moved = 0;
    for _ in 0..share(400) {
        moved += stop_machine(|| {
            let before = snapshot();
            for _ in 0..200 {
                arch::cpu::relax();
            }
            u32::from(snapshot() != before)
        });
    }
    stop.store(true, Ordering::Relaxed);
    join_all(tasks.unwrap_or_default());
    check_eq!(t, moved, 0, "a CPU went on while the machine was stopped");
    Ok(())
}

fn stop_machine_callers_queue_up(t: &mut TestCtx<'_>) -> TestResult {
    let times = share(320);
    let inside = Arc::new(AtomicU32::new(0));
    let (total, twice) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU32::new(0)));
    let (count, collisions) = (total.clone(), twice.clone());
    let tasks = task_on_each_cpu(move |_| {
        for _ in 0..times {
            stop_machine(|| {
                collisions.fetch_add(inside.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
                // Not atomic on purpose: only exclusion makes the sum right.
                count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                inside.fetch_sub(1, Ordering::Relaxed);
            });
            on_each_cpu(&|| {});
        }
    });
    check!(t, tasks.is_ok());
    join_all(tasks.unwrap_or_default());
    check_eq!(t, twice.load(Ordering::Relaxed), 0);
    check_eq!(t, total.load(Ordering::Relaxed), u64::from(times) * cpus().count() as u64);
    Ok(())
}

fn synchronize_waits_for_readers(t: &mut TestCtx<'_>) -> TestResult {
    let Some(other) = cpus().find(|&cpu| cpu != 0) else { skip!("one CPU") };
    let (reading, release, synchronized) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    // The reader lets nobody else onto its CPU, this task least of all: it must not be there.
    let moved = task::current().set_affinity(1);
    let (r, go) = (reading.clone(), release.clone());
    let reader = task::spawn_on(
        "reader",
        Prio::NORMAL,
        1 << other,
        Box::new(move || {
            let _pinned = PreemptGuard::new();
            r.store(true, Ordering::Release);
            while !go.load(Ordering::Acquire) {
                arch::cpu::relax();
            }
        }),
    );
    while !reading.load(Ordering::Acquire) {
        task::yield_now();
    }
    let s = synchronized.clone();
    let writer = task::spawn_on(
        "writer",
        Prio::NORMAL,
        1,
        Box::new(move || {
            quiesce::synchronize();
            s.store(true, Ordering::Release);
        }),
    );
    task::sleep_ns(3_000_000);
    let too_early = synchronized.load(Ordering::Acquire);
    release.store(true, Ordering::Release);
    join_all([reader, writer].into_iter().flatten().collect());
    let back = task::current().set_affinity(task::ANY_CPU);
    check_eq!(t, (moved, back), (Ok(()), Ok(())));
    check!(t, !too_early, "a reader was still there");
    check!(t, synchronized.load(Ordering::Acquire));
    Ok(())
}

static ALIVE: AtomicU32 = AtomicU32::new(0);

/// A value that knows whether it was dropped.
struct Canary(AtomicU64);

const SINGING: u64 = 0x5117_c0de;

impl Canary {
    fn new() -> Box<Self> {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Box::new(Self(AtomicU64::new(SINGING)))
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

fn published_under_readers(t: &mut TestCtx<'_>) -> TestResult {
    ALIVE.store(0, Ordering::Relaxed);
    let place = Arc::new(Published::empty());
    let (stop, dead) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let (p, s, d) = (place.clone(), stop.clone(), dead.clone());
    let readers = task_on_each_cpu(move |_| {
        while !s.load(Ordering::Relaxed) {
            let pinned = PreemptGuard::new();
            let canary: Option<&Canary> = p.read(&pinned);
            for _ in 0..50 {
                if canary.is_some_and(|canary| canary.0.load(Ordering::Relaxed) != SINGING) {
                    d.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    check!(t, readers.is_ok());
    for i in 0..share(3200) {
        if i % 3 == 0 {
            drop(place.replace(Some(Canary::new())));
        } else {
            place.publish(Some(Canary::new()));
        }
    }
    drop(place.replace(None));
    stop.store(true, Ordering::Relaxed);
    join_all(readers.unwrap_or_default());
    while quiesce::has_deferred() || ALIVE.load(Ordering::Relaxed) != 0 {
        task::sleep_ns(100_000);
    }
    check_eq!(t, dead.load(Ordering::Relaxed), 0, "a reader saw a dropped value");
    Ok(())
}

fn deferred_runs(t: &mut TestCtx<'_>) -> TestResult {
    let ran = Arc::new(AtomicU32::new(0));
    for _ in 0..10 {
        let ran = ran.clone();
        quiesce::defer(Box::new(move || {
            ran.fetch_add(1, Ordering::Relaxed);
        }));
    }
    while ran.load(Ordering::Relaxed) < 10 {
        task::sleep_ns(100_000);
    }
    check_eq!(t, ran.load(Ordering::Relaxed), 10);
    Ok(())
}

static WORK_RUNS: AtomicU32 = AtomicU32::new(0);
static WORK_IN_IRQ: AtomicBool = AtomicBool::new(false);

fn irq_work_runs_after_unmask(t: &mut TestCtx<'_>) -> TestResult {
    static WORK: IrqWork = IrqWork::new(|| {
        WORK_RUNS.fetch_add(1, Ordering::Relaxed);
        WORK_IN_IRQ.store(head().count() & arch::thread::HARDIRQ_MASK != 0, Ordering::Relaxed);
    });
    WORK_RUNS.store(0, Ordering::Relaxed);
    {
        let masked = IrqGuard::new();
        check!(t, WORK.queue(&masked));
        check!(t, !WORK.queue(&masked), "queued twice");
        check_eq!(t, WORK_RUNS.load(Ordering::Relaxed), 0);
    }
    while WORK_RUNS.load(Ordering::Relaxed) == 0 {
        arch::cpu::relax();
    }
    check_eq!(t, WORK_RUNS.load(Ordering::Relaxed), 1);
    check!(t, WORK_IN_IRQ.load(Ordering::Relaxed));
    Ok(())
}
