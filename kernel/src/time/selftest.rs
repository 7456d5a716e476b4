//! The clock, the heap against a model, and timers under cancellation.

use super::heap::{Heap, Node};
use super::{NS_PER_MS, NS_PER_S, Timer, expired_timers, local_clock_ns, now_ns};
use crate::arch;
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq, skip};
use crate::sync::{IrqGuard, SpinLock, on_each_cpu, online_cpus};
use crate::task::{self, Prio};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "clock_never_goes_back", run: clock_never_goes_back },
    Test { name: "heap_against_a_model", run: heap_against_a_model },
    Test { name: "timers_fire_in_order", run: timers_fire_in_order },
    Test { name: "cancelled_timer_is_silent", run: cancelled_timer_is_silent },
    Test { name: "timer_arms_itself_again", run: timer_arms_itself_again },
    Test { name: "cancel_races_with_firing", run: cancel_races_with_firing },
];

fn clock_never_goes_back(t: &mut TestCtx<'_>) -> TestResult {
    // One clock for all: each CPU in turn must see a later time than the one before.
    let last = AtomicU64::new(0);
    let back = AtomicU32::new(0);
    let lock = SpinLock::new(());
    for _ in 0..50 {
        on_each_cpu(&|| {
            let _one = lock.lock();
            let now = now_ns();
            if now < last.swap(now, Ordering::Relaxed) {
                back.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    check_eq!(t, back.load(Ordering::Relaxed), 0);
    let (a, b) = (local_clock_ns(), local_clock_ns());
    check!(t, b >= a);
    let hz = arch::timer::freq_hz();
    let (ticks, ns) = (arch::timer::ticks(), now_ns());
    let exact = (u128::from(ticks) * 1_000_000_000 / u128::from(hz)) as u64;
    check!(t, ns >= exact.saturating_sub(1), "{ns} ns for {ticks} ticks of {hz} Hz, exactly {exact}");
    Ok(())
}

fn heap_against_a_model(t: &mut TestCtx<'_>) -> TestResult {
    const NODES: usize = 100;
    let nodes: Box<[Node; NODES]> = Box::new([const { Node::new() }; NODES]);
    let mut heap = Heap::new();
    let mut model: Vec<(u64, usize)> = Vec::new();
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for _ in 0..20_000 {
        let i = next() as usize % NODES;
        let queued = model.iter().position(|&(_, node)| node == i);
        match (queued, next() % 3) {
            (None, _) => {
                let deadline = next() % 1000;
                // SAFETY: in no heap; the box keeps it in place.
                unsafe { heap.insert(&raw const nodes[i], deadline) };
                model.push((deadline, i));
            }
            (Some(at), 0) => {
                // SAFETY: in this heap.
                unsafe { heap.remove(&raw const nodes[i]) };
                model.swap_remove(at);
            }
            (Some(_), _) => {
                let earliest = model.iter().map(|&(deadline, _)| deadline).min();
                check_eq!(t, heap.first().map(Node::deadline), earliest);
                let popped = heap.pop();
                let at = model.iter().position(|&(d, i)| {
                    Some(d) == earliest && popped.is_some_and(|node| core::ptr::eq(node, &raw const nodes[i]))
                });
                check!(t, at.is_some(), "popped a node that is not the earliest");
                if let Some(at) = at {
                    model.swap_remove(at);
                }
            }
        }
    }
    let mut last = 0;
    while let Some(first) = heap.first() {
        check!(t, first.deadline() >= last);
        last = first.deadline();
        heap.pop();
        model.pop();
    }
    check!(t, model.is_empty());
    Ok(())
}

fn timers_fire_in_order(t: &mut TestCtx<'_>) -> TestResult {
    const N: usize = 24;
    let fired = Arc::new(SpinLock::new(Vec::with_capacity(N)));
    let timers: Vec<_> = (0..N)
        .map(|i| {
            let fired = fired.clone();
            Timer::new(move || {
                let mut fired = fired.lock();
                if fired.len() < N {
                    fired.push(i);
                }
            })
        })
        .collect();
    {
        // All on this CPU, none before all are armed.
        let _here = IrqGuard::new();
        let base = now_ns();
        for i in 0..N {
            // Every fifth: an order that is not theirs.
            let place = i * 5 % N;
            timers[place].arm(base + place as u64 * NS_PER_MS / 4);
        }
    }
    while fired.lock().len() < N {
        task::sleep_ns(NS_PER_MS);
    }
    check!(t, fired.lock().iter().copied().eq(0..N), "{:?}", *fired.lock());
    check!(t, timers.iter().all(|timer| !timer.is_queued()));
    Ok(())
}

fn cancelled_timer_is_silent(t: &mut TestCtx<'_>) -> TestResult {
    const FAR: u64 = 3600 * NS_PER_S;
    let fired = Arc::new(AtomicU32::new(0));
    let count = fired.clone();
    let timer = Timer::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    check!(t, !timer.arm(now_ns() + FAR));
    check!(t, timer.arm(now_ns() + FAR + 1), "arming anew replaces");
    check!(t, timer.is_queued());
    check!(t, timer.cancel());
    check!(t, !timer.cancel());
    check_eq!(t, Arc::strong_count(&timer), 1, "the queue keeps no reference");
    // So near that it would fire; if the host was slow it has.
    timer.arm(now_ns() + 2 * NS_PER_MS);
    let silenced = u32::from(timer.cancel());
    task::sleep_ns(4 * NS_PER_MS);
    check_eq!(t, fired.load(Ordering::Relaxed) + silenced, 1);
    timer.arm(0);
    while fired.load(Ordering::Relaxed) + silenced == 1 {
        task::yield_now();
    }
    timer.cancel_sync();
    check_eq!(t, fired.load(Ordering::Relaxed) + silenced, 2);
    check_eq!(t, Arc::strong_count(&timer), 1);
    Ok(())
}

fn timer_arms_itself_again(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: u32 = 20;
    let count = Arc::new(AtomicU32::new(0));
    let slot: Arc<SpinLock<Option<Arc<Timer>>>> = Arc::new(SpinLock::new(None));
    let (c, s) = (count.clone(), slot.clone());
    let timer = Timer::new(move || {
        let n = c.fetch_add(1, Ordering::Relaxed) + 1;
        if n < TIMES
            && let Some(timer) = s.lock().clone()
        {
            // Some for the past: each is another interrupt's, or this one would never end.
            timer.arm(if n % 2 == 0 { 0 } else { now_ns() + NS_PER_MS / 10 });
        }
    });
    *slot.lock() = Some(timer.clone());
    let before = expired_timers();
    timer.arm(now_ns());
    while count.load(Ordering::Relaxed) < TIMES {
        task::sleep_ns(NS_PER_MS);
    }
    check!(t, expired_timers() >= before + u64::from(TIMES));
    timer.cancel_sync();
    *slot.lock() = None;
    Ok(())
}

/// One CPU arms, another cancels at about the deadline; what is cancelled for good never runs afterwards.
fn cancel_races_with_firing(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: u64 = 300;
    let Some(other) = (1..arch::MAX_CPUS).find(|cpu| online_cpus() & 1 << cpu != 0) else { skip!("one CPU") };
    let (fired, cancelled, late) =
        (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (f, c, l) = (fired.clone(), cancelled.clone(), late.clone());
    let racer = task::spawn_on(
        "racer",
        Prio::NORMAL,
        1 << other,
        Box::new(move || {
            for i in 0..TIMES {
                let over = Arc::new(AtomicBool::new(false));
                let (f, l, o) = (f.clone(), l.clone(), over.clone());
                let timer = Timer::new(move || {
                    f.fetch_add(1, Ordering::Relaxed);
                    if o.load(Ordering::Acquire) {
                        l.fetch_add(1, Ordering::Relaxed);
                    }
                });
                // Armed on CPU 0, cancelled here.
                let _ = crate::sync::on_cpu(0, &|| {
                    timer.arm(now_ns() + i % 64 * 250);
                });
                for _ in 0..i % 50 {
                    arch::cpu::relax();
                }
                if timer.cancel_sync() {
                    c.fetch_add(1, Ordering::Relaxed);
                }
                over.store(true, Ordering::Release);
            }
        }),
    );
    check!(t, racer.is_ok_and(|racer| racer.join().is_ok()));
    check_eq!(t, late.load(Ordering::Relaxed), 0, "callbacks after cancel_sync");
    check_eq!(t, fired.load(Ordering::Relaxed) + cancelled.load(Ordering::Relaxed), TIMES);
    Ok(())
}
