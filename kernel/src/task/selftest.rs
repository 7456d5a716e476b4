//! The scheduler: who runs, who waits, who moves, and who is gone.

use super::run_queue::SLICE_NS;
use super::work::{MAX_PENDING, WorkQueue};
use super::{
    ANY_CPU, MAX_TASKS, Mutex, Prio, State, TaskRef, Wait, WaitQueue, count, cpu_stats, current, find, list,
    sleep_interruptible, sleep_ns, spawn, spawn_on, yield_now,
};
use crate::arch;
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq, skip};
use crate::sync::{PreemptGuard, SpinLock, online_cpus};
use crate::time::{NS_PER_MS, now_ns};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use tracecore::errno::Errno;

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "join_gives_exit_code", run: join_gives_exit_code },
    Test { name: "comm_is_cut", run: comm_is_cut },
    Test { name: "urgent_first", run: urgent_first },
    Test { name: "slices_are_fair", run: slices_are_fair },
    Test { name: "timer_wakes_over_a_busy_task", run: timer_wakes_over_a_busy_task },
    Test { name: "sleepers_wake_in_order", run: sleepers_wake_in_order },
    Test { name: "no_wake_up_is_lost", run: no_wake_up_is_lost },
    Test { name: "wait_ends_three_ways", run: wait_ends_three_ways },
    Test { name: "wake_one_wakes_one", run: wake_one_wakes_one },
    Test { name: "mutex_excludes", run: mutex_excludes },
    Test { name: "affinity_moves", run: affinity_moves },
    Test { name: "load_is_spread", run: load_is_spread },
    Test { name: "priority_changes", run: priority_changes },
    Test { name: "works_run_in_order", run: works_run_in_order },
    Test { name: "thousand_tasks", run: thousand_tasks },
    Test { name: "too_many_tasks_is_eagain", run: too_many_tasks_is_eagain },
];

fn cpus() -> impl Iterator<Item = usize> {
    (0..arch::MAX_CPUS).filter(|cpu| online_cpus() & 1 << cpu != 0)
}

fn join_all(tasks: Vec<TaskRef>) {
    for task in tasks {
        // Fails for the running task only.
        let _ = task.join();
    }
}

fn join_gives_exit_code(t: &mut TestCtx<'_>) -> TestResult {
    let returns = spawn("returns", Prio::NORMAL, Box::new(|| {}));
    check_eq!(t, returns.and_then(|task| task.join()), Ok(0));
    let exits = spawn("exits", Prio::NORMAL, Box::new(|| super::exit(42)));
    check!(t, exits.is_ok());
    if let Ok(exits) = exits {
        check_eq!(t, exits.parent(), current().pid());
        check_eq!(t, exits.join(), Ok(42));
        check_eq!(t, exits.state(), State::Dead);
        check!(t, find(exits.pid()).is_none());
        // Joining again is no wait.
        check_eq!(t, exits.join(), Ok(42));
    }
    check_eq!(t, current().join(), Err(Errno::EDEADLK));
    check_eq!(t, find(current().pid()).map(|task| task.pid()), Some(current().pid()));
    check!(t, find(MAX_TASKS as u32 + current().pid()).is_none());
    Ok(())
}

fn comm_is_cut(t: &mut TestCtx<'_>) -> TestResult {
    let old = current().name();
    current().set_comm("fifteen-bytes-é");
    let cut = current().name();
    current().set_comm("a-name-that-is-far-too-long");
    let long = current().name();
    current().set_comm(old.as_str());
    check_eq!(t, cut.as_str(), "fifteen-bytes-");
    check_eq!(t, long.as_str(), "a-name-that-is-");
    check_eq!(t, current().name().as_str(), old.as_str());
    Ok(())
}

/// Of tasks that become runnable together the most urgent runs first, equals in order.
fn urgent_first(t: &mut TestCtx<'_>) -> TestResult {
    let order = Arc::new(SpinLock::new(Vec::with_capacity(8)));
    let tasks: Vec<_> = {
        let _together = PreemptGuard::new();
        let here = 1 << arch::cpu::id();
        [
            (5, Prio::LOW),
            (2, Prio::NORMAL),
            (0, Prio::HIGH),
            (4, Prio::nice(5)),
            (3, Prio::NORMAL),
            (1, Prio::nice(-5)),
        ]
        .into_iter()
        .map(|(mark, prio)| {
            let order = order.clone();
            spawn_on("ordered", prio, here, Box::new(move || order.lock().push(mark)))
        })
        .collect()
    };
    for task in tasks {
        check!(t, task.is_ok_and(|task| task.join().is_ok()));
    }
    check_eq!(t, *order.lock(), [0, 1, 2, 3, 4, 5]);
    Ok(())
}

/// Tasks that never give way, each waiting for all: only slices bring them to an end. And a slice is a slice: however
/// slow the host, a task is not taken off for an equal before its time.
fn slices_are_fair(t: &mut TestCtx<'_>) -> TestResult {
    const N: u32 = 4;
    /// Times that somebody else may have taken the CPU meanwhile.
    const OTHERS: u64 = 2;
    let started = Arc::new(AtomicU32::new(0));
    let cpu = cpus().last().unwrap_or(0);
    let begin = now_ns();
    let end = begin + 12 * SLICE_NS;
    let tasks: Result<Vec<_>, _> = (0..N)
        .map(|_| {
            let started = started.clone();
            spawn_on(
                "spinner",
                Prio::NORMAL,
                1 << cpu,
                Box::new(move || {
                    started.fetch_add(1, Ordering::Relaxed);
                    while started.load(Ordering::Relaxed) < N || now_ns() < end {
                        arch::cpu::relax();
                    }
                }),
            )
        })
        .collect();
    check!(t, tasks.is_ok());
    let tasks = tasks.unwrap_or_default();
    join_all(tasks.clone());
    let elapsed = now_ns() - begin;
    check_eq!(t, started.load(Ordering::Relaxed), N);
    let taken = tasks.iter().map(|task| task.switches().1).sum::<u64>();
    check!(t, taken >= u64::from(N) - 1, "{taken} times preempted");
    check!(t, taken <= elapsed / SLICE_NS + OTHERS, "{taken} times preempted in {elapsed} ns");
    Ok(())
}

fn timer_wakes_over_a_busy_task(t: &mut TestCtx<'_>) -> TestResult {
    let woke = Arc::new(AtomicBool::new(false));
    let (set, see) = (woke.clone(), woke.clone());
    let cpu = cpus().last().unwrap_or(0);
    let sleeper = spawn_on(
        "sleeper",
        Prio::HIGH,
        1 << cpu,
        Box::new(move || {
            sleep_ns(2 * NS_PER_MS);
            set.store(true, Ordering::Relaxed);
        }),
    );
    let busy = spawn_on(
        "busy",
        Prio::NORMAL,
        1 << cpu,
        Box::new(move || {
            while !see.load(Ordering::Relaxed) {
                arch::cpu::relax();
            }
        }),
    );
    for task in [sleeper, busy] {
        check!(t, task.is_ok_and(|task| task.join().is_ok()));
    }
    Ok(())
}

/// Tasks of one CPU with different deadlines wake in the order of these. How late the host lets them is its affair: who
/// was not asleep before the first deadline makes the round void, and the next one begins later. The earlier a
/// deadline, the more urgent the task, so that those who wake in one interrupt still run in order.
fn sleepers_wake_in_order(t: &mut TestCtx<'_>) -> TestResult {
    const N: u64 = 8;
    for lead_ms in [5, 50, 500, 5000] {
        let order = Arc::new(SpinLock::new(Vec::with_capacity(N as usize)));
        let (early, late) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let base = now_ns() + lead_ms * NS_PER_MS;
        let cpu = arch::cpu::id();
        let tasks: Result<Vec<_>, _> = (0..N)
            .map(|i| {
                let place = i * 3 % N;
                let (order, early, late) = (order.clone(), early.clone(), late.clone());
                let prio = Prio::new(Prio::HIGH.number() - N as u8 + place as u8).unwrap_or(Prio::HIGH);
                spawn_on(
                    "sleeper",
                    prio,
                    1 << cpu,
                    Box::new(move || {
                        let deadline = base + place * NS_PER_MS;
                        late.fetch_add(u32::from(now_ns() >= base), Ordering::Relaxed);
                        super::sleep_until(deadline);
                        early.fetch_add(u32::from(now_ns() < deadline), Ordering::Relaxed);
                        order.lock().push(place);
                    }),
                )
            })
            .collect();
        check!(t, tasks.is_ok());
        join_all(tasks.unwrap_or_default());
        check_eq!(t, early.load(Ordering::Relaxed), 0, "somebody woke before the time");
        if late.load(Ordering::Relaxed) == 0 {
            check!(t, order.lock().is_sorted(), "{:?}", *order.lock());
            return Ok(());
        }
    }
    skip!("the host is too slow")
}

/// A token goes to and fro between tasks on all CPUs; one lost wake-up would stop it for ever.
fn no_wake_up_is_lost(t: &mut TestCtx<'_>) -> TestResult {
    const ROUNDS: u32 = 1000;
    struct Table {
        token: AtomicU32,
        queues: [WaitQueue; 2],
    }
    let mut tasks = Vec::new();
    for pair in 0..3u32 {
        let table =
            Arc::new(Table { token: AtomicU32::new(0), queues: [WaitQueue::new(), WaitQueue::new()] });
        for side in 0..2u32 {
            let table = table.clone();
            let player = spawn(
                "player",
                if pair == 0 { Prio::HIGH } else { Prio::NORMAL },
                Box::new(move || {
                    let [even, odd] = &table.queues;
                    let (mine, other) = if side == 0 { (even, odd) } else { (odd, even) };
                    for round in 0..ROUNDS {
                        let turn = 2 * round + side;
                        mine.wait_until(|| table.token.load(Ordering::Relaxed) == turn);
                        table.token.store(turn + 1, Ordering::Relaxed);
                        if round % 2 == 0 {
                            other.wake_one();
                        } else {
                            other.wake_all();
                        }
                    }
                }),
            );
            check!(t, player.is_ok());
            tasks.extend(player);
        }
    }
    join_all(tasks);
    Ok(())
}

fn wait_ends_three_ways(t: &mut TestCtx<'_>) -> TestResult {
    let queue = Arc::new(WaitQueue::new());
    let deadline = now_ns() + NS_PER_MS;
    check_eq!(t, queue.wait(true, Some(deadline), || false), Wait::TimedOut);
    check!(t, now_ns() >= deadline);
    check_eq!(t, queue.wait(true, Some(deadline), || true), Wait::Done);
    check!(t, !queue.has_waiters());
    let (q, results) = (queue.clone(), Arc::new(SpinLock::new(Vec::with_capacity(2))));
    let r = results.clone();
    let victim = spawn(
        "victim",
        Prio::NORMAL,
        Box::new(move || {
            let first = q.wait_interruptible(|| false);
            let second = sleep_interruptible(3600 * crate::time::NS_PER_S);
            r.lock().extend([first, second]);
        }),
    );
    check!(t, victim.is_ok());
    if let Ok(victim) = victim {
        while !queue.has_waiters() {
            yield_now();
        }
        check!(t, !victim.interrupted());
        victim.kill();
        check_eq!(t, victim.join(), Ok(0));
    }
    check_eq!(t, *results.lock(), [Err(Errno::EINTR), Err(Errno::EINTR)]);
    check!(t, !queue.has_waiters());
    Ok(())
}

fn wake_one_wakes_one(t: &mut TestCtx<'_>) -> TestResult {
    const N: usize = 6;
    let (queue, tickets, through) =
        (Arc::new(WaitQueue::new()), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Result<Vec<_>, _> = (0..N)
        .map(|_| {
            let (queue, tickets, through) = (queue.clone(), tickets.clone(), through.clone());
            spawn(
                "guest",
                Prio::NORMAL,
                Box::new(move || {
                    queue.wait_until(|| {
                        tickets.try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
                    });
                    through.fetch_add(1, Ordering::Relaxed);
                }),
            )
        })
        .collect();
    check!(t, tasks.is_ok());
    for i in 1..=N {
        tickets.fetch_add(1, Ordering::Relaxed);
        queue.wake_one();
        while through.load(Ordering::Relaxed) < i {
            yield_now();
        }
        check_eq!(t, through.load(Ordering::Relaxed), i);
    }
    join_all(tasks.unwrap_or_default());
    Ok(())
}

fn mutex_excludes(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: u64 = 300;
    let mutex = Arc::new(Mutex::new(0u64));
    let n = cpus().count() as u64 + 2;
    let tasks: Result<Vec<_>, _> = (0..n)
        .map(|i| {
            let mutex = mutex.clone();
            spawn(
                "locker",
                Prio::NORMAL,
                Box::new(move || {
                    for round in 0..TIMES {
                        let mut value = mutex.lock();
                        let old = *value;
                        if (round + i).is_multiple_of(16) {
                            yield_now();
                        }
                        *value = old + 1;
                    }
                }),
            )
        })
        .collect();
    check!(t, tasks.is_ok());
    join_all(tasks.unwrap_or_default());
    let held = mutex.lock();
    check_eq!(t, *held, TIMES * n);
    check!(t, mutex.try_lock().is_none());
    drop(held);
    check!(t, mutex.try_lock().is_some());
    Ok(())
}

fn affinity_moves(t: &mut TestCtx<'_>) -> TestResult {
    let task = current();
    let all = task.affinity();
    for _ in 0..5 {
        for cpu in cpus() {
            check_eq!(t, task.set_affinity(1 << cpu), Ok(()));
            let here = PreemptGuard::new();
            let now = arch::cpu::id();
            drop(here);
            check_eq!(t, now, cpu);
            check_eq!(t, task.cpu(), cpu);
        }
    }
    check_eq!(t, task.set_affinity(0), Err(Errno::EINVAL));
    check_eq!(t, task.set_affinity(all), Ok(()));
    check_eq!(t, spawn_on("x", Prio::NORMAL, !online_cpus(), Box::new(|| {})).err(), Some(Errno::EINVAL));
    // Another task, while it sleeps and while it spins.
    let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (s, c) = (stop.clone(), seen.clone());
    let moved = spawn(
        "moved",
        Prio::NORMAL,
        Box::new(move || {
            while !s.load(Ordering::Relaxed) {
                c.store(arch::cpu::id(), Ordering::Relaxed);
                arch::cpu::relax();
            }
        }),
    );
    check!(t, moved.is_ok());
    if let Ok(moved) = moved {
        for cpu in cpus().chain(cpus()) {
            check_eq!(t, moved.set_affinity(1 << cpu), Ok(()));
            while seen.load(Ordering::Relaxed) != cpu {
                yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
        check_eq!(t, moved.join(), Ok(0));
    }
    Ok(())
}

/// As many busy tasks as CPUs, started on one: each CPU gets one.
fn load_is_spread(t: &mut TestCtx<'_>) -> TestResult {
    let n = cpus().count();
    if n < 2 {
        skip!("one CPU");
    }
    let seen = Arc::new(AtomicU32::new(0));
    let tasks: Result<Vec<_>, _> = (0..n)
        .map(|_| {
            let seen = seen.clone();
            spawn(
                "spread",
                Prio::NORMAL,
                Box::new(move || {
                    while seen.load(Ordering::Relaxed).count_ones() < n as u32 {
                        seen.fetch_or(1 << arch::cpu::id(), Ordering::Relaxed);
                        arch::cpu::relax();
                    }
                }),
            )
        })
        .collect();
    check!(t, tasks.is_ok());
    join_all(tasks.unwrap_or_default());
    check_eq!(t, seen.load(Ordering::Relaxed), online_cpus());
    check!(t, cpus().all(|cpu| cpu_stats(cpu).switches > 0));
    Ok(())
}

fn priority_changes(t: &mut TestCtx<'_>) -> TestResult {
    let order = Arc::new(SpinLock::new(Vec::with_capacity(4)));
    let tasks: Vec<_> = {
        let _together = PreemptGuard::new();
        let here = 1 << arch::cpu::id();
        let tasks: Vec<_> = (0..3)
            .map(|i| {
                let order = order.clone();
                spawn_on("changed", Prio::nice(i), here, Box::new(move || order.lock().push(i)))
            })
            .collect();
        if let Some(Ok(last)) = tasks.last() {
            last.set_prio(Prio::HIGH);
        }
        tasks
    };
    for task in tasks {
        check!(t, task.is_ok_and(|task| task.join().is_ok()));
    }
    check_eq!(t, *order.lock(), [2, 0, 1]);
    check_eq!(t, Prio::nice(-100).number(), 100);
    check_eq!(t, Prio::nice(100).number(), 139);
    check_eq!(t, (Prio::new(75), Prio::new(140)), (None, None));
    Ok(())
}

static WORKS: WorkQueue = WorkQueue::new("test");
static WORKER: crate::sync::Once<()> = crate::sync::Once::new();

fn works_run_in_order(t: &mut TestCtx<'_>) -> TestResult {
    const N: u64 = 100;
    let done = Arc::new(SpinLock::new(Vec::with_capacity(N as usize)));
    for i in 0..N {
        let done = done.clone();
        check_eq!(t, WORKS.queue(Box::new(move || done.lock().push(i))), Ok(()));
    }
    check!(t, done.lock().is_empty() || WORKER.get().is_some());
    // The worker is made once, however often the test runs.
    if WORKER.set(()).is_ok() {
        for _ in N as usize..MAX_PENDING {
            check_eq!(t, WORKS.queue(Box::new(|| {})), Ok(()));
        }
        check_eq!(t, WORKS.queue(Box::new(|| {})), Err(Errno::EAGAIN));
        check!(t, WORKS.start("test-worker", Prio::NORMAL).is_ok());
    }
    WORKS.flush();
    check!(t, done.lock().iter().copied().eq(0..N));
    Ok(())
}

fn thousand_tasks(t: &mut TestCtx<'_>) -> TestResult {
    const N: u64 = 1000;
    let before = count();
    let (gate, open, sum) =
        (Arc::new(WaitQueue::new()), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::with_capacity(N as usize);
    for i in 0..N {
        let (gate, open, sum) = (gate.clone(), open.clone(), sum.clone());
        let task = spawn(
            "many",
            Prio::NORMAL,
            Box::new(move || {
                gate.wait_until(|| open.load(Ordering::Relaxed));
                sum.fetch_add(i, Ordering::Relaxed);
            }),
        );
        check!(t, task.is_ok(), "task {i}: {:?}", task.err());
        tasks.extend(task);
    }
    check_eq!(t, count(), before + N as usize);
    let listed = list();
    check!(t, listed.is_ok_and(|l| l.len() >= N as usize && l.is_sorted_by_key(|task| task.pid())));
    open.store(true, Ordering::Relaxed);
    gate.wake_all();
    join_all(tasks);
    check_eq!(t, sum.load(Ordering::Relaxed), N * (N - 1) / 2);
    check_eq!(t, count(), before);
    Ok(())
}

fn too_many_tasks_is_eagain(t: &mut TestCtx<'_>) -> TestResult {
    let before = count();
    let (gate, open) = (Arc::new(WaitQueue::new()), Arc::new(AtomicBool::new(false)));
    let mut tasks = Vec::with_capacity(MAX_TASKS);
    let refused = loop {
        let (g, o) = (gate.clone(), open.clone());
        match spawn_on(
            "flood",
            Prio::NORMAL,
            ANY_CPU,
            Box::new(move || g.wait_until(|| o.load(Ordering::Relaxed))),
        ) {
            Ok(task) => tasks.push(task),
            Err(error) => break error,
        }
    };
    let most = count();
    open.store(true, Ordering::Relaxed);
    gate.wake_all();
    join_all(tasks);
    if refused == Errno::ENOMEM {
        skip!("not enough memory for so many stacks");
    }
    check_eq!(t, refused, Errno::EAGAIN);
    check_eq!(t, most, MAX_TASKS);
    check_eq!(t, count(), before);
    check!(t, spawn("again", Prio::NORMAL, Box::new(|| {})).is_ok_and(|task| task.join() == Ok(0)));
    Ok(())
}
