//! What changing tasks costs. Each row counts this CPU's instructions, those of the other task included.

use super::{Prio, WaitQueue, schedule, spawn_on, yield_now};
use crate::arch;
use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::sync::PreemptGuard;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The rows of this room.
pub(crate) const BENCHES: &[Bench] = &[
    Bench { name: "task/schedule-alone", run: schedule_alone },
    Bench { name: "task/switch", run: switch },
    Bench { name: "task/wake-and-wait", run: wake_and_wait },
    Bench { name: "task/spawn-join", run: spawn_join },
];

fn here() -> u32 {
    let _pinned = PreemptGuard::new();
    1 << arch::cpu::id()
}

/// The scheduler finds nobody else.
fn schedule_alone(b: &mut Bencher) -> BenchResult {
    b.iter(1000, schedule);
    Ok(())
}

/// One change of tasks: two that give way to each other, so an operation is half of what one of them sees.
fn switch(b: &mut Bencher) -> BenchResult {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let other = spawn_on(
        "other",
        Prio::NORMAL,
        here(),
        Box::new(move || {
            while !seen.load(Ordering::Relaxed) {
                yield_now();
            }
        }),
    )
    .map_err(|_| Skip("no second task"))?;
    yield_now();
    let mut turn = false;
    // Every second operation changes to the other task and back: two switches.
    b.iter(1000, || {
        turn = !turn;
        if turn {
            yield_now();
        }
    });
    stop.store(true, Ordering::Relaxed);
    other.join().map(drop).map_err(|_| Skip("the second task does not end"))
}

/// A request to another task and its answer: two wake-ups, two waits, two switches.
fn wake_and_wait(b: &mut Bencher) -> BenchResult {
    const END: u32 = u32::MAX;
    let shared = Arc::new((AtomicU32::new(0), WaitQueue::new(), WaitQueue::new()));
    let theirs = shared.clone();
    let server = spawn_on(
        "server",
        Prio::NORMAL,
        here(),
        Box::new(move || {
            let (number, requests, answers) = &*theirs;
            loop {
                requests.wait_until(|| !number.load(Ordering::Relaxed).is_multiple_of(2));
                let request = number.load(Ordering::Relaxed);
                if request == END {
                    return;
                }
                number.store(request + 1, Ordering::Relaxed);
                answers.wake_one();
            }
        }),
    )
    .map_err(|_| Skip("no second task"))?;
    let (number, requests, answers) = &*shared;
    yield_now();
    b.iter(1000, || {
        number.fetch_add(1, Ordering::Relaxed);
        requests.wake_one();
        answers.wait_until(|| number.load(Ordering::Relaxed).is_multiple_of(2));
    });
    number.store(END, Ordering::Relaxed);
    requests.wake_one();
    server.join().map(drop).map_err(|_| Skip("the second task does not end"))
}

/// A task from its making to its end, on a stack that was used before.
fn spawn_join(b: &mut Bencher) -> BenchResult {
    let cpu = here();
    b.iter(100, || {
        if let Ok(task) = spawn_on("short", Prio::NORMAL, cpu, Box::new(|| {})) {
            let _ = task.join();
        }
    });
    Ok(())
}
