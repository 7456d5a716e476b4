//! One, two and overlapping ops, with exact counts; recursion; redirection; changes while every CPU calls.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracecore::errno::Errno;

use super::{FtraceRegs, Hit, Ops, SiteSet, listeners, register, site_of};
use crate::arch::cpu;
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::task::{self, Prio};
use crate::time::{NS_PER_S, now_ns};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "one_ops", run: one_ops },
    Test { name: "two_ops_overlap", run: two_ops_overlap },
    Test { name: "four_ops_overlap", run: four_ops_overlap },
    Test { name: "changed_while_called", run: changed_while_called },
    Test { name: "recursion", run: recursion },
    Test { name: "recursion_without_guard", run: recursion_without_guard },
    Test { name: "arguments", run: arguments },
    Test { name: "redirect", run: redirect },
];

static A: Ops = Ops::new("test_a", count);
static B: Ops = Ops::new("test_b", count);
static C: Ops = Ops::new("test_c", count);
static D: Ops = Ops::new("test_d", count);
static UNGUARDED: Ops = Ops::bare("test_unguarded", calls_traced_once, calls_traced_beside);
static SELF: Ops = Ops::new("test_self", calls_traced);
static ARGS: Ops = Ops::new("test_args", adds_one);
static PATCH: Ops = Ops::redirecting("test_patch", to_other);
static PATCH_TOO: Ops = Ops::redirecting("test_patch_too", to_other);

fn failed(t: &mut TestCtx<'_>, e: Errno) -> Stop {
    t.fail(file!(), line!(), format_args!("{e:?}"))
}

fn count(hit: &Hit<'_>, _: &mut FtraceRegs) {
    hit.ops.private.fetch_add(1, Ordering::Relaxed);
}

fn calls_traced(hit: &Hit<'_>, _: &mut FtraceRegs) {
    hit.ops.private.fetch_add(1, Ordering::Relaxed);
    black_box(traced as fn(u64) -> u64)(1);
}

/// Called in the midst of itself, so it has to see to it that this ends.
extern "C" fn calls_traced_once(_: usize, _: usize, ops: &'static Ops, _: &mut FtraceRegs) {
    once_more(ops);
}

fn calls_traced_beside(hit: &Hit<'_>, _: &mut FtraceRegs) {
    once_more(hit.ops);
}

fn once_more(ops: &'static Ops) {
    if ops.private.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
        black_box(traced as fn(u64) -> u64)(1);
    }
}

fn adds_one(hit: &Hit<'_>, regs: &mut FtraceRegs) {
    if hit.ip + 4 == regs.pc() as usize && hit.parent_ip as u64 == regs.lr() {
        let x = regs.arg(0).unwrap_or_default();
        regs.set_arg(0, x + 1);
    }
}

fn to_other(_: &Hit<'_>, regs: &mut FtraceRegs) {
    regs.set_pc((other as fn(u64) -> u64 as *const ()).addr() as u64);
}

#[inline(never)]
fn traced(x: u64) -> u64 {
    black_box(x) + 40
}

#[inline(never)]
fn other(x: u64) -> u64 {
    black_box(x) + 1000
}

fn call(f: fn(u64) -> u64, times: u64) -> u64 {
    (0..times).map(|x| black_box(f)(x) - x).sum()
}

fn set(functions: &[fn(u64) -> u64]) -> SiteSet {
    SiteSet::of(functions.iter().filter_map(|f| site_of((*f as *const ()).addr())))
}

fn taken(ops: &'static Ops) -> u64 {
    ops.private.swap(0, Ordering::Relaxed)
}

fn one_ops(t: &mut TestCtx<'_>) -> TestResult {
    let site =
        site_of((traced as fn(u64) -> u64 as *const ()).addr()).ok_or_else(|| failed(t, Errno::ENOENT))?;
    check!(t, !site.is_on());
    let on = register(&A, set(&[traced])).map_err(|e| failed(t, e))?;
    check!(t, site.is_on());
    check!(t, matches!(listeners(site)[..], [ops] if core::ptr::eq(ops, &raw const A)));
    check_eq!(t, call(traced, 100), 4000);
    check_eq!(t, call(other, 100), 100_000);
    check_eq!(t, taken(&A), 100);
    check_eq!(t, register(&A, set(&[other])).err(), Some(Errno::EBUSY));
    on.set_sites(set(&[other])).map_err(|e| failed(t, e))?;
    check_eq!(t, call(traced, 3) + call(other, 2), 2120);
    check_eq!(t, taken(&A), 2);
    drop(on);
    call(other, 5);
    check_eq!(t, taken(&A), 0);
    check!(t, !site.is_on());
    Ok(())
}

fn two_ops_overlap(t: &mut TestCtx<'_>) -> TestResult {
    let a = register(&A, set(&[traced])).map_err(|e| failed(t, e))?;
    let b = register(&B, set(&[traced, other])).map_err(|e| failed(t, e))?;
    call(traced, 10);
    call(other, 7);
    check_eq!(t, (taken(&A), taken(&B)), (10, 17));
    drop(a);
    call(traced, 10);
    check_eq!(t, (taken(&A), taken(&B)), (0, 10));
    drop(b);
    call(traced, 10);
    call(other, 7);
    check_eq!(t, (taken(&A), taken(&B)), (0, 0));
    Ok(())
}

/// Four ops on two functions: every subset is there at one time, and no other is called.
fn four_ops_overlap(t: &mut TestCtx<'_>) -> TestResult {
    // The first two on one function, the next on the other, the last on both.
    let sites = [set(&[traced]), set(&[traced]), set(&[other]), set(&[traced, other])];
    let all: [(&'static Ops, u64); 4] = [(&A, 5), (&B, 5), (&C, 3), (&D, 8)];
    for subset in 0..1u32 << all.len() {
        let is_in = |at: usize| subset & 1 << at != 0;
        let mut on = Vec::new();
        for ((_, (ops, _)), sites) in all.iter().enumerate().zip(&sites).filter(|((at, _), _)| is_in(*at)) {
            on.push(register(ops, sites.clone()).map_err(|e| failed(t, e))?);
        }
        call(traced, 5);
        call(other, 3);
        for (at, (ops, want)) in all.iter().enumerate() {
            check_eq!(t, taken(ops), if is_in(at) { *want } else { 0 });
        }
        // In the other order than they came, every second time.
        if subset % 2 == 0 {
            on.reverse();
        }
        for one in on {
            drop(one);
            call(traced, 1);
        }
        for (ops, _) in all {
            taken(ops);
        }
    }
    let site = site_of((traced as fn(u64) -> u64 as *const ()).addr());
    check!(t, site.is_some_and(|site| !site.is_on()));
    Ok(())
}

/// Every CPU calls, one ops stays, two others come and go: the one that stays sees each call once.
fn changed_while_called(t: &mut TestCtx<'_>) -> TestResult {
    static STOP: AtomicBool = AtomicBool::new(false);
    static CALLS: AtomicU64 = AtomicU64::new(0);
    STOP.store(false, Ordering::SeqCst);
    CALLS.store(0, Ordering::SeqCst);
    let stays = register(&A, set(&[traced])).map_err(|e| failed(t, e))?;
    let (missed, mut tasks) = (A.missed(), Vec::new());
    for cpu in 0..cpu::online() {
        let run = || {
            while !STOP.load(Ordering::Relaxed) {
                call(traced, 100);
                CALLS.fetch_add(100, Ordering::Relaxed);
            }
        };
        let task = task::spawn_on("ftrace-caller", Prio::LOW, 1 << cpu, Box::new(run));
        tasks.push(task.map_err(|e| failed(t, e))?);
    }
    let (mut changes, end) = (0, now_ns() + NS_PER_S);
    while now_ns() < end {
        let one = register(&B, set(&[traced, other])).map_err(|e| failed(t, e))?;
        let two = register(&C, set(&[traced])).map_err(|e| failed(t, e))?;
        one.set_sites(set(&[other])).map_err(|e| failed(t, e))?;
        drop(two);
        drop(one);
        changes += 1;
    }
    STOP.store(true, Ordering::Relaxed);
    for task in tasks {
        task.join().map_err(|e| failed(t, e))?;
    }
    drop(stays);
    let calls = CALLS.load(Ordering::SeqCst);
    diag!(t, "{calls} calls, {changes} rounds; {} and {} seen by the others", taken(&B), taken(&C));
    check_eq!(t, (taken(&A), A.missed() - missed), (calls, 0));
    Ok(())
}

/// Without the guard a callback is called for what it calls, too.
fn recursion_without_guard(t: &mut TestCtx<'_>) -> TestResult {
    let on = register(&UNGUARDED, set(&[traced])).map_err(|e| failed(t, e))?;
    check_eq!(t, call(traced, 10), 400);
    check_eq!(t, (taken(&UNGUARDED), UNGUARDED.missed()), (20, 0));
    let beside = register(&A, set(&[traced])).map_err(|e| failed(t, e))?;
    let missed = A.missed();
    check_eq!(t, call(traced, 10), 400);
    // The one with the guard sees the ten; it misses the ten that the other one makes.
    check_eq!(t, (taken(&UNGUARDED), taken(&A), A.missed() - missed), (20, 10, 10));
    drop(beside);
    drop(on);
    Ok(())
}

fn recursion(t: &mut TestCtx<'_>) -> TestResult {
    let missed = SELF.missed();
    let on = register(&SELF, set(&[traced])).map_err(|e| failed(t, e))?;
    check_eq!(t, call(traced, 10), 400);
    drop(on);
    check_eq!(t, taken(&SELF), 10);
    check_eq!(t, SELF.missed() - missed, 10);
    Ok(())
}

fn arguments(t: &mut TestCtx<'_>) -> TestResult {
    let on = register(&ARGS, set(&[traced])).map_err(|e| failed(t, e))?;
    check_eq!(t, call(traced, 10), 410);
    drop(on);
    check_eq!(t, call(traced, 10), 400);
    Ok(())
}

fn redirect(t: &mut TestCtx<'_>) -> TestResult {
    let on = register(&PATCH, set(&[traced])).map_err(|e| failed(t, e))?;
    check_eq!(t, call(traced, 10), 10_000);
    check_eq!(t, register(&PATCH_TOO, set(&[traced])).err(), Some(Errno::EBUSY));
    drop(register(&PATCH_TOO, set(&[other])).map_err(|e| failed(t, e))?);
    drop(on);
    check_eq!(t, call(traced, 10), 400);
    Ok(())
}
