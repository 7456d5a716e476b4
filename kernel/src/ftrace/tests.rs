//! One, two and overlapping ops, with exact counts; recursion; redirection; changes while every CPU calls.

use core::hint::black_box;
use core::sync::atomic::Ordering;

use tracecore::errno::Errno;

use super::{FtraceRegs, Hit, Ops, SiteSet, listeners, register, site_of};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "one_ops", run: one_ops },
    Test { name: "two_ops_overlap", run: two_ops_overlap },
    Test { name: "recursion", run: recursion },
    Test { name: "arguments", run: arguments },
    Test { name: "redirect", run: redirect },
];

static A: Ops = Ops::new("test_a", count);
static B: Ops = Ops::new("test_b", count);
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
