//! Everything at once: all functions, all events, a probe and a listener on the hottest function, every job on every CPU,
//! and tracers that come and go every few milliseconds.
//!
//! What each layer has to account for, to the last one:
//!
//! | layer | law |
//! |---|---|
//! | jobs | every result is right |
//! | the probe | hits + misses = calls of the function |
//! | the listener | calls of its callback + misses = calls of the function |
//! | each ring | read + overwritten + erased by a change of tracers + left = written |
//! | the reader | what it has read is what the rings say was read |
//! | each caller's own records | come in the order in which they were written, whole |

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::event::{Header, RAW_DATA_ID};
use tracecore::ring::{Record, Totals};

use crate::arch::cpu;
use crate::ftrace::{self, FtraceRegs, Hit, Ops, SiteSet, site_of};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::PreemptGuard;
use crate::task::{self, Prio, TaskRef};
use crate::time::{NS_PER_MS, NS_PER_S, now_ns};
use crate::trace::{EventProbe, buffer, events, rings, tracers};
use crate::workload;
use crate::{boot, ksyms};

pub(crate) const TESTS: &[Test] = &[Test { name: "everything_at_once", run: everything_at_once }];

/// How long, and with the boot argument `selftest=long`.
const SHORT_NS: u64 = 3 * NS_PER_S;
const LONG_NS: u64 = 60 * NS_PER_S;
/// How long a tracer is current.
const TURN_NS: u64 = 3 * NS_PER_MS;
/// Calls between two records of a caller.
const CALLS: u64 = 50;
/// What a caller's records have behind their number: its complement.
const MARK: u64 = 0x6576_6572_7974_6869;

static LISTENER: Ops = Ops::new("everything", |hit: &Hit<'_>, _: &mut FtraceRegs| {
    hit.ops.private.fetch_add(1, Ordering::Relaxed);
});

/// The hottest function. Nobody else calls it.
#[inline(never)]
extern "C" fn hot(a: u64, b: u64) -> u64 {
    black_box(a) + b
}

/// What the tasks of a test have in common.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Callers are done, and the reader may stop when nothing is left.
    drained: AtomicBool,
    calls: AtomicU64,
    wrong: AtomicU64,
    read: AtomicU64,
    disorder: AtomicU64,
}

impl Shared {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Calls the hottest function, checks what it returns, and leaves numbered records.
fn call(shared: &Shared) {
    let mut number = 0;
    while !shared.is_over() {
        for n in 0..CALLS {
            if black_box(hot as extern "C" fn(u64, u64) -> u64)(n, number) != n + number {
                shared.wrong.fetch_add(1, Ordering::Relaxed);
            }
        }
        shared.calls.fetch_add(CALLS, Ordering::Relaxed);
        number += 1;
        let pin = PreemptGuard::new();
        // One that is refused is counted by the ring, and missing in the row.
        let _ = buffer::write_words(&pin, &[buffer::header(RAW_DATA_ID), MARK, number, !number]);
    }
}

/// Takes what there is out of all rings, and looks at the callers' records.
fn read(shared: &Shared) {
    let mut last = vec![0; rings::cpus().len()];
    let mut record = Box::new(Record::new());
    loop {
        let done = shared.drained.load(Ordering::SeqCst);
        let mut any = false;
        for cpu in rings::cpus() {
            let held = rings::hold(cpu);
            let Some(mut reader) = held.reader() else { continue };
            for _ in 0..1000 {
                if !reader.read(&mut record) {
                    break;
                }
                any = true;
                shared.read.fetch_add(1, Ordering::Relaxed);
                let words: Vec<u64> =
                    record.bytes().as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
                if Header::of(record.bytes()).id == RAW_DATA_ID
                    && let [_, MARK, number, complement] = words[..]
                    && let Some(last) = last.get_mut(cpu)
                {
                    if complement != !number || number <= *last {
                        shared.disorder.fetch_add(1, Ordering::Relaxed);
                    }
                    *last = number;
                }
            }
        }
        if !any && done {
            return;
        }
        if !any {
            task::sleep_ns(NS_PER_MS);
        }
    }
}

/// Every job, again and again; each checks its own results.
fn work(shared: &Shared) {
    while !shared.is_over() {
        let (mut out, mut err) = (String::new(), String::new());
        if workload::run(&["all"], &mut out, &mut err) != 0 {
            log::error!("everything_at_once: {err}");
            shared.wrong.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// All below whoever switches the tracers, and alike: what the reader does are events, too, so it always has something to
/// read.
fn spawn(
    shared: &Arc<Shared>,
    cpus: u32,
    run: impl FnOnce(&Shared) + Send + 'static,
) -> Result<TaskRef, Errno> {
    let shared = shared.clone();
    task::spawn_on("everything", Prio::LOW, cpus, Box::new(move || run(&shared)))
}

fn totals() -> Vec<Totals> {
    rings::cpus().map(rings::totals).collect()
}

fn everything_at_once(t: &mut TestCtx<'_>) -> TestResult {
    let failed = |t: &mut TestCtx<'_>, e: Errno| t.fail(file!(), line!(), format_args!("{e:?}"));
    let result = run(t, failed);
    // Whatever came of it, nothing of it stays on.
    let nop = tracers::set_current("nop");
    let _ = events::set_event("!*");
    nop.map_err(|e| failed(t, e))?;
    result
}

fn run(t: &mut TestCtx<'_>, failed: impl Fn(&mut TestCtx<'_>, Errno) -> Stop) -> TestResult {
    let long = boot::info().arg("selftest") == Some("long");
    let all_cpus = ((1u64 << cpu::online()) - 1) as u32;
    rings::reset(None);
    let before = totals();
    let function = (hot as extern "C" fn(u64, u64) -> u64 as *const ()).addr();
    let name = ksyms::by_addr(function).map_or("", |symbol| symbol.name);
    let probe = EventProbe::define(&format!("p:everything/hot {name} a=%x0"))
        .map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
    let hot = SiteSet::of([site_of(function).ok_or_else(|| failed(t, Errno::ENOENT))?]);
    LISTENER.private.store(0, Ordering::Relaxed);
    let missed_before = LISTENER.missed();
    let listening = ftrace::register(&LISTENER, hot).map_err(|e| failed(t, e))?;
    probe.enable().map_err(|e| failed(t, e))?;
    let shared = Arc::new(Shared::default());
    let mut tasks = Vec::new();
    for cpu in 0..cpu::online() {
        tasks.push(spawn(&shared, 1 << cpu, call).map_err(|e| failed(t, e))?);
    }
    tasks.push(spawn(&shared, all_cpus, work).map_err(|e| failed(t, e))?);
    let reader = spawn(&shared, all_cpus, read).map_err(|e| failed(t, e))?;
    events::set_event("*").map_err(|e| failed(t, e))?;
    let (mut turns, end) = (0, now_ns() + if long { LONG_NS } else { SHORT_NS });
    while now_ns() < end {
        for tracer in ["function", "function_graph", "nop"] {
            tracers::set_current(tracer).map_err(|e| failed(t, e))?;
            task::sleep_ns(TURN_NS);
            turns += 1;
        }
    }
    shared.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.join().map_err(|e| failed(t, e))?;
    }
    events::set_event("!*").map_err(|e| failed(t, e))?;
    shared.drained.store(true, Ordering::SeqCst);
    reader.join().map_err(|e| failed(t, e))?;
    drop(listening);

    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (calls, (hits, misses)) = (get(&shared.calls), probe.counts());
    let (seen, missed) = (get(&LISTENER.private), LISTENER.missed() - missed_before);
    diag!(t, "{calls} calls, {turns} turns; probe {hits} + {misses}, listener {seen} + {missed}");
    check_eq!(t, get(&shared.wrong), 0);
    check_eq!(t, hits + misses, calls);
    check_eq!(t, seen + missed, calls);
    let (mut read, mut written, mut lost) = (0, 0, 0);
    for (cpu, (now, then)) in totals().iter().zip(&before).enumerate() {
        let since = |of: fn(&Totals) -> u64| of(now) - of(then);
        let gone = [since(|t| t.read), since(|t| t.overrun), since(|t| t.erased)];
        let left = [now.entries, then.entries];
        if gone.iter().sum::<u64>() + left[0] != since(|t| t.written) + left[1] {
            diag!(t, "cpu{cpu}: {gone:?} left {left:?} of {}", since(|t| t.written));
            check!(t, false);
        }
        read += gone[0];
        lost += gone[1] + gone[2];
        written += since(|t| t.written);
    }
    diag!(t, "{written} records: {read} read, {lost} overwritten or erased");
    check_eq!(t, get(&shared.read), read);
    check_eq!(t, get(&shared.disorder), 0);
    check!(t, read > 0 && hits > 0);
    Ok(())
}
