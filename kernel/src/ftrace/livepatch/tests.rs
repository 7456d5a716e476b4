//! What live patching promises, while every CPU calls.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::errno::Errno;

use super::{Patch, replacement};
use crate::ftrace::{self, FtraceRegs, Hit, Ops, SiteSet, site_of};
use crate::selftest::{Load, Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::task;

/// The tests of live patching.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "replaced", run: replaced },
    Test { name: "refusals", run: refusals },
    Test { name: "called_by_a_callback", run: called_by_a_callback },
    Test { name: "under_load", run: under_load },
];

#[inline(never)]
fn first(x: u64) -> u64 {
    black_box(x) + 1
}

#[inline(never)]
fn second(x: u64) -> u64 {
    black_box(x) + 2
}

#[inline(never)]
fn new_first(x: u64) -> u64 {
    black_box(x) + 100
}

#[inline(never)]
fn new_second(x: u64) -> u64 {
    black_box(x) + 200
}

static BOTH: Patch = Patch::new(
    "test_both",
    &[replacement!(fn(u64) -> u64: first => new_first), replacement!(fn(u64) -> u64: second => new_second)],
);
static ONE: Patch = Patch::new("test_one", &[replacement!(fn(u64) -> u64: first => new_second)]);
static CALLS: Ops = Ops::new("test_calls_patched", calls_first);

fn failed(t: &mut TestCtx<'_>, e: Errno) -> Stop {
    t.fail(file!(), line!(), format_args!("{e:?}"))
}

/// What the two add, by their addresses: the compiler is not to know whom it calls.
fn added() -> (u64, u64) {
    (black_box(first as fn(u64) -> u64)(7) - 7, black_box(second as fn(u64) -> u64)(7) - 7)
}

const OLD: (u64, u64) = (1, 2);
const NEW: (u64, u64) = (100, 200);

fn here(function: fn(u64) -> u64) -> SiteSet {
    SiteSet::of(site_of((function as *const ()).addr()))
}

fn calls_first(hit: &Hit<'_>, _: &mut FtraceRegs) {
    hit.ops.private.store(black_box(first as fn(u64) -> u64)(0), Ordering::Relaxed);
}

fn replaced(t: &mut TestCtx<'_>) -> TestResult {
    check_eq!(t, added(), OLD);
    for _ in 0..3 {
        BOTH.enable().map_err(|e| failed(t, e))?;
        check!(t, BOTH.is_on());
        check_eq!(t, added(), NEW);
        BOTH.disable().map_err(|e| failed(t, e))?;
        check!(t, !BOTH.is_on());
        check_eq!(t, added(), OLD);
    }
    Ok(())
}

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    check_eq!(t, BOTH.disable(), Err(Errno::EINVAL));
    BOTH.enable().map_err(|e| failed(t, e))?;
    check_eq!(t, BOTH.enable(), Err(Errno::EINVAL));
    check_eq!(t, ONE.enable(), Err(Errno::EBUSY));
    check!(t, !ONE.is_on());
    check_eq!(t, added(), NEW);
    BOTH.disable().map_err(|e| failed(t, e))?;
    ONE.enable().map_err(|e| failed(t, e))?;
    check_eq!(t, BOTH.enable(), Err(Errno::EBUSY));
    check_eq!(t, added(), (200, 2));
    ONE.disable().map_err(|e| failed(t, e))?;
    check_eq!(t, added(), OLD);
    Ok(())
}

/// A call that a tracer's callback makes is replaced too, alone on its function and beside the tracer.
fn called_by_a_callback(t: &mut TestCtx<'_>) -> TestResult {
    for sites in [here(second), here(first).union(&here(second))] {
        BOTH.enable().map_err(|e| failed(t, e))?;
        let on = ftrace::register(&CALLS, sites).map_err(|e| failed(t, e))?;
        check_eq!(t, added(), NEW);
        check_eq!(t, CALLS.private.swap(0, Ordering::Relaxed), 100);
        drop(on);
        BOTH.disable().map_err(|e| failed(t, e))?;
    }
    Ok(())
}

/// Counts the times it was switched on and off: odd while it is being switched on.
static PHASE: AtomicU64 = AtomicU64::new(0);
static NEW_CALLS: AtomicU64 = AtomicU64::new(0);

/// Calls both; says whether what they return could be.
fn one_turn() -> bool {
    let before = PHASE.load(Ordering::SeqCst);
    let (a, b) = added();
    let after = PHASE.load(Ordering::SeqCst);
    if a == NEW.0 {
        NEW_CALLS.fetch_add(1, Ordering::Relaxed);
    }
    let known = matches!(a, 1 | 100) && matches!(b, 2 | 200);
    // While it is only ever switched on, the second is new if the first is.
    let torn = before == after && before % 2 == 1 && a == NEW.0 && b == OLD.1;
    known && !torn
}

fn under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 60;
    PHASE.store(0, Ordering::SeqCst);
    NEW_CALLS.store(0, Ordering::Relaxed);
    let load = Load::start(|_| one_turn());
    let mut result = Ok(());
    let mut wrong_here = 0;
    for _ in 0..TIMES {
        PHASE.fetch_add(1, Ordering::SeqCst);
        result = result.and(BOTH.enable());
        wrong_here += u64::from(added() != NEW);
        task::yield_now();
        PHASE.fetch_add(1, Ordering::SeqCst);
        result = result.and(BOTH.disable());
        wrong_here += u64::from(added() != OLD);
        task::yield_now();
    }
    let (turns, wrong) = load.end();
    let new = NEW_CALLS.load(Ordering::Relaxed);
    diag!(t, "{turns} calls of both, {new} of them new");
    check_eq!(t, result, Ok(()));
    check_eq!(t, (wrong, wrong_here), (0, 0));
    check!(t, new > 0 && new < turns);
    Ok(())
}
