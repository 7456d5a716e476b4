//! Timers: each runs out once, not before its time, unless it is taken back.

use super::{Fault, same};
use crate::mm;
use crate::task::{self, WaitQueue};
use crate::time::{Timer, now_ns};
use crate::workload::random::Random;
use ::alloc::sync::Arc;
use ::alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// Timers of a batch that run out, and timers that are taken back.
const DUE: u64 = 16;
const CANCELLED: u64 = 8;
/// They run out within this time.
const SPAN_NS: u64 = 2_000_000;
/// Those that are taken back have this much time: it does not pass.
const NEVER_NS: u64 = 3_600_000_000_000;
/// How long a sleep is.
const SLEEP_NS: u64 = 200_000;

#[derive(Default)]
struct Seen {
    ran_out: AtomicU64,
    early: AtomicU64,
    cancelled: AtomicU64,
}

fn batch(random: &mut Random) -> Result<u64, Fault> {
    let shared = mm::try_arc((Seen::default(), WaitQueue::new()))?;
    let mut timers = Vec::new();
    for _ in 0..DUE {
        let deadline_ns = now_ns() + random.below(SPAN_NS);
        let theirs = shared.clone();
        let timer = Timer::new(move || {
            let (seen, all) = &*theirs;
            if now_ns() < deadline_ns {
                seen.early.fetch_add(1, Ordering::Relaxed);
            }
            seen.ran_out.fetch_add(1, Ordering::Release);
            all.wake_all();
        });
        timer.arm(deadline_ns);
        timers.push(timer);
    }
    let never: Vec<Arc<Timer>> = (0..CANCELLED)
        .map(|_| {
            let theirs = shared.clone();
            let timer = Timer::new(move || {
                theirs.0.cancelled.fetch_add(1, Ordering::Relaxed);
            });
            timer.arm(now_ns() + NEVER_NS);
            timer
        })
        .collect();

    let before_ns = now_ns();
    task::sleep_ns(SLEEP_NS);
    let slept_ns = now_ns() - before_ns;
    same("a sleep was long enough", u64::from(slept_ns >= SLEEP_NS), 1)?;

    let (seen, all) = &*shared;
    all.wait_until(|| seen.ran_out.load(Ordering::Acquire) >= DUE);
    let taken_back = never.iter().filter(|timer| timer.cancel_sync()).count() as u64;
    for timer in &timers {
        same("a timer that has run out is queued", u64::from(timer.cancel_sync()), 0)?;
    }
    same("timers taken back", taken_back, CANCELLED)?;
    same("timers that ran out though taken back", seen.cancelled.load(Ordering::Relaxed), 0)?;
    same("timers that ran out early", seen.early.load(Ordering::Relaxed), 0)?;
    Ok(seen.ran_out.load(Ordering::Relaxed))
}

pub(super) fn run(rounds: u64) -> Result<u64, Fault> {
    let mut random = Random::new(rounds + 1);
    let mut ran_out = 0;
    for _ in 0..rounds {
        ran_out += batch(&mut random)?;
    }
    same("timers that ran out", ran_out, expect(rounds))?;
    Ok(ran_out)
}

pub(super) fn expect(rounds: u64) -> u64 {
    rounds * DUE
}
