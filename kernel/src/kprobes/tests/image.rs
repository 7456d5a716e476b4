//! Every instruction of the image: one by one, and in bulk, while every CPU does all that there is to do.
//!
//! A run that lands has some seconds for this, so it takes a share of the words: every so many, all over the image. With the
//! boot argument `selftest=long` it takes every word.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::{Count, Refused, text_sum, words};
use crate::arch::cpu;
use crate::exception::PtRegs;
use crate::kprobes::{Flow, Handler, Kprobe, Refusal, arm_all, disarm_all, hand_over};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, diag, skip};
use crate::sync::{CpuPin, quiesce, stop_machine};
use crate::task::{self, Prio};
use crate::text::ranges::Region;
use crate::time::now_ns;
use crate::workload;
use crate::{boot, ksyms};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "parked_cpus_hit_none", run: parked_cpus_hit_none },
    Test { name: "in_bulk", run: in_bulk },
    Test { name: "one_by_one", run: one_by_one },
];

/// Every how many words a short run takes; primes, so that they fall anywhere in functions and lines.
const BULK_STRIDE: usize = 41;
const SINGLE_STRIDE: usize = 1009;
/// Probes that are armed at once, by a long run: most of the slots.
const BATCH: usize = 20_000;
/// How often to wait for slots that are about to be freed.
const PATIENCE: usize = 1000;

fn is_long() -> bool {
    boot::info().arg("selftest") == Some("long")
}

/// Does everything once, on all CPUs: what it prints, or nothing when a result is wrong.
fn work_all() -> Option<String> {
    let (mut out, mut err) = (String::new(), String::new());
    let status = workload::run(&["all"], &mut out, &mut err);
    (status == 0).then_some(out)
}

/// A probe at `at`. Slots of probes that have gone are freed some time later: that is waited for.
fn register(at: usize, count: &Arc<Count>) -> Result<Kprobe, Refusal> {
    for _ in 0..PATIENCE {
        match Kprobe::register(at, count.clone()) {
            Err(Refusal::NoSlot) => task::sleep_ns(1_000_000),
            done => return done,
        }
    }
    Err(Refusal::NoSlot)
}

fn places(stride: usize) -> impl Iterator<Item = usize> {
    let range = Region::Text.range();
    words(range.start, range.len()).step_by(if is_long() { 1 } else { stride })
}

fn expected(t: &mut TestCtx<'_>) -> Result<String, Stop> {
    let expected = work_all();
    check!(t, expected.is_some(), "without a probe");
    Ok(expected.unwrap_or_default())
}

fn in_bulk(t: &mut TestCtx<'_>) -> TestResult {
    let (sum, expected) = (text_sum(), expected(t)?);
    let (mut refused, mut places) = (Refused::default(), places(BULK_STRIDE).peekable());
    let (mut all, mut hits, mut missed) = (0, 0, 0);
    while places.peek().is_some() {
        let count = Arc::new(Count::default());
        let mut probes = Vec::new();
        while probes.len() < BATCH
            && let Some(at) = places.next()
        {
            match register(at, &count) {
                Ok(probe) => probes.push(probe),
                Err(refusal) => refused.count(refusal),
            }
        }
        let batch: Vec<_> = probes.iter().collect();
        let armed = arm_all(&batch);
        let result = work_all();
        let disarmed = disarm_all(&batch);
        check_eq!(t, (armed, disarmed), (Ok(()), Ok(())));
        check_eq!(t, result.as_ref(), Some(&expected), "with {} probes", batch.len());
        all += batch.len();
        hits += count.hits();
        missed += batch.iter().map(|probe| probe.missed()).sum::<u64>();
        drop(probes);
        quiesce::synchronize();
    }
    diag!(t, "{all} words probed, {hits} hits, {missed} misses");
    refused.report(t);
    check_eq!(t, refused.total(Refusal::NoSlot) + refused.total(Refusal::NoMemory), 0);
    check!(t, hits > all as u64 / 10);
    check_eq!(t, text_sum(), sum);
    Ok(())
}

fn one_by_one(t: &mut TestCtx<'_>) -> TestResult {
    let (sum, expected) = (text_sum(), expected(t)?);
    let (stop, runs, wrong) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let worker = {
        let (stop, runs, wrong) = (stop.clone(), runs.clone(), wrong.clone());
        let work = Box::new(move || {
            while !stop.load(Ordering::Relaxed) {
                if work_all().as_ref() != Some(&expected) {
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
                runs.fetch_add(1, Ordering::Relaxed);
            }
        });
        task::spawn("work", Prio::NORMAL, work)
    };
    let (mut refused, mut all, mut failed) = (Refused::default(), 0, None);
    let count = Arc::new(Count::default());
    // One is armed at any time, but for the moment in which the next one takes over at a function's entry.
    let mut last: Option<Kprobe> = None;
    for at in places(SINGLE_STRIDE) {
        match register(at, &count) {
            Ok(probe) => {
                let armed = last.as_ref().map_or_else(|| probe.arm(), |last| hand_over(last, &probe));
                failed = failed.or(armed.err());
                last = Some(probe);
                all += 1;
            }
            Err(refusal) => refused.count(refusal),
        }
    }
    drop(last);
    stop.store(true, Ordering::Relaxed);
    check!(t, worker.is_ok_and(|task| task.join() == Ok(0)));
    diag!(
        t,
        "{all} words probed, {} hits, all work done {} times",
        count.hits(),
        runs.load(Ordering::Relaxed)
    );
    refused.report(t);
    check_eq!(t, failed, None);
    check_eq!(t, refused.total(Refusal::NoSlot) + refused.total(Refusal::NoMemory), 0);
    check_eq!(t, wrong.load(Ordering::Relaxed), 0);
    check_eq!(t, text_sum(), sum);
    Ok(())
}

/// Counts hits of other CPUs than the one that has stopped them.
struct WhileStopped {
    stopper: AtomicUsize,
    hits: AtomicU64,
    others: AtomicU64,
}

const NOBODY: usize = usize::MAX;

impl Handler for WhileStopped {
    fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
        let stopper = self.stopper.load(Ordering::Acquire);
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.others.fetch_add(u64::from(![NOBODY, cpu::id()].contains(&stopper)), Ordering::Relaxed);
        Flow::Continue
    }
}

/// What a CPU executes while it is stopped cannot be changed, since it is stopped for changes: there is no probe in it. All
/// that may be about it is probed, and of the stopped CPUs nobody hits anything.
fn parked_cpus_hit_none(t: &mut TestCtx<'_>) -> TestResult {
    const ROUNDS: usize = 20;
    // Longer than a tick: a tick that is due ends every sleep at once.
    const LOOK_NS: u64 = 12_000_000;
    if cpu::online() < 2 {
        skip!("needs two CPUs");
    }
    let handler = Arc::new(WhileStopped {
        stopper: AtomicUsize::new(NOBODY),
        hits: AtomicU64::new(0),
        others: AtomicU64::new(0),
    });
    let near = |at: &usize| {
        let symbol = ksyms::by_addr(*at);
        symbol.is_some_and(|symbol| symbol.name.contains("::cross::") || symbol.name.contains("gic"))
    };
    let range = Region::Text.range();
    let probes: Vec<_> = words(range.start, range.len())
        .filter(near)
        .filter_map(|at| Kprobe::register(at, handler.clone()).ok())
        .collect();
    let batch: Vec<_> = probes.iter().collect();
    check_eq!(t, arm_all(&batch), Ok(()));
    for _ in 0..ROUNDS {
        stop_machine(|| {
            handler.stopper.store(cpu::id(), Ordering::Release);
            let until = now_ns() + LOOK_NS;
            while now_ns() < until {}
            handler.stopper.store(NOBODY, Ordering::Release);
        });
    }
    check_eq!(t, disarm_all(&batch), Ok(()));
    diag!(t, "{} words probed, {} hits", batch.len(), handler.hits.load(Ordering::Relaxed));
    check!(t, handler.hits.load(Ordering::Relaxed) > ROUNDS as u64);
    check_eq!(t, handler.others.load(Ordering::Relaxed), 0);
    Ok(())
}

impl Refused {
    fn total(&self, refusal: Refusal) -> usize {
        self.0.get(&format!("{refusal}")).copied().unwrap_or(0)
    }
}
