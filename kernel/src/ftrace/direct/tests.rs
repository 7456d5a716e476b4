//! A direct call alone, beside others, modified, and all of it while every CPU calls the function.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::errno::Errno;

use super::{Direct, Trampoline, saving_trampoline};
use crate::ftrace::{self, FtraceRegs, Hit, Ops, SiteSet, site_of};
use crate::selftest::{Load, Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::task;

/// The tests of direct calls.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "alone", run: alone },
    Test { name: "beside_others", run: beside_others },
    Test { name: "behind_a_redirection", run: behind_a_redirection },
    Test { name: "modify", run: modify },
    Test { name: "refusals", run: refusals },
    Test { name: "changes_under_load", run: changes_under_load },
];

static DIRECT: Ops = Ops::direct("test_direct");
static DIRECT_TOO: Ops = Ops::direct("test_direct_too");
static COUNT: Ops = Ops::new("test_beside", count);
static CHANGE: Ops = Ops::new("test_change", adds_one);
static PATCH: Ops = Ops::redirecting("test_direct_patch", to_other);

static FIRST: AtomicU64 = AtomicU64::new(0);
static SECOND: AtomicU64 = AtomicU64::new(0);
static SUM: AtomicU64 = AtomicU64::new(0);

noinstr! {
    extern "C" fn first(x: u64, y: u64) {
        FIRST.fetch_add(1, Ordering::Relaxed);
        SUM.fetch_add(x + y, Ordering::Relaxed);
    }

    extern "C" fn second(x: u64, y: u64) {
        SECOND.fetch_add(1, Ordering::Relaxed);
        SUM.fetch_add(x + y, Ordering::Relaxed);
    }
}

saving_trampoline!("test_trampoline_first", first);
saving_trampoline!("test_trampoline_second", second);

unsafe extern "C" {
    fn test_trampoline_first();
    fn test_trampoline_second();
}

fn to_first() -> Trampoline {
    // SAFETY: made by `saving_trampoline`, and part of the image.
    unsafe { Trampoline::at((test_trampoline_first as *const ()).addr()) }
}

fn to_second() -> Trampoline {
    // SAFETY: as above.
    unsafe { Trampoline::at((test_trampoline_second as *const ()).addr()) }
}

#[inline(never)]
extern "C" fn traced(x: u64, y: u64) -> u64 {
    black_box(x) + black_box(y) + 40
}

#[inline(never)]
extern "C" fn other(x: u64, y: u64) -> u64 {
    black_box(x) + black_box(y) + 1000
}

fn count(hit: &Hit<'_>, _: &mut FtraceRegs) {
    hit.ops.private.fetch_add(1, Ordering::Relaxed);
}

fn adds_one(_: &Hit<'_>, regs: &mut FtraceRegs) {
    let x = regs.arg(0).unwrap_or_default();
    regs.set_arg(0, x + 1);
}

fn to_other(_: &Hit<'_>, regs: &mut FtraceRegs) {
    regs.set_pc((other as extern "C" fn(u64, u64) -> u64 as *const ()).addr() as u64);
}

fn here(functions: &[extern "C" fn(u64, u64) -> u64]) -> SiteSet {
    SiteSet::of(functions.iter().filter_map(|f| site_of((*f as *const ()).addr())))
}

fn failed(t: &mut TestCtx<'_>, e: Errno) -> Stop {
    t.fail(file!(), line!(), format_args!("{e:?}"))
}

fn on(t: &mut TestCtx<'_>, ops: &'static Ops, to: Trampoline, sites: SiteSet) -> Result<Direct, Stop> {
    super::register(ops, to, sites).map_err(|e| failed(t, e))
}

/// Ten calls: what they return beyond their arguments, in all.
fn calls(f: extern "C" fn(u64, u64) -> u64) -> u64 {
    (0..10).map(|x| black_box(f)(x, 2) - x - 2).sum()
}

/// What the trampolines have seen since they were asked last: calls of each, and the sum of the arguments.
fn seen() -> (u64, u64, u64) {
    let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
    (take(&FIRST), take(&SECOND), take(&SUM))
}

/// The sum of the arguments of ten calls.
const ARGS: u64 = 45 + 20;

fn alone(t: &mut TestCtx<'_>) -> TestResult {
    seen();
    let direct = on(t, &DIRECT, to_first(), here(&[traced]))?;
    check_eq!(t, DIRECT.trampoline(), Some(to_first().addr()));
    check_eq!(t, (calls(traced), seen()), (400, (10, 0, ARGS)));
    check_eq!(t, (calls(other), seen()), (10_000, (0, 0, 0)));
    direct.set_sites(here(&[other])).map_err(|e| failed(t, e))?;
    check_eq!(t, (calls(traced), calls(other), seen()), (400, 10_000, (10, 0, ARGS)));
    drop(direct);
    check_eq!(t, (calls(traced), calls(other), seen()), (400, 10_000, (0, 0, 0)));
    check_eq!(t, DIRECT.trampoline(), None);
    Ok(())
}

/// An ops that comes before it and goes after it, and the other way round; one that changes an argument is felt.
fn beside_others(t: &mut TestCtx<'_>) -> TestResult {
    seen();
    let counted = || COUNT.private.swap(0, Ordering::Relaxed);
    counted();
    let direct = on(t, &DIRECT, to_first(), here(&[traced]))?;
    let beside = ftrace::register(&COUNT, here(&[traced, other])).map_err(|e| failed(t, e))?;
    check_eq!(t, (calls(traced), calls(other), seen(), counted()), (400, 10_000, (10, 0, ARGS), 20));
    drop(direct);
    check_eq!(t, (calls(traced), seen(), counted()), (400, (0, 0, 0), 10));
    let direct = on(t, &DIRECT, to_second(), here(&[traced]))?;
    check_eq!(t, (calls(traced), seen(), counted()), (400, (0, 10, ARGS), 10));
    let change = ftrace::register(&CHANGE, here(&[traced])).map_err(|e| failed(t, e))?;
    check_eq!(t, (calls(traced), seen(), counted()), (410, (0, 10, ARGS + 10), 10));
    drop((beside, change));
    check_eq!(t, (calls(traced), seen(), counted()), (400, (0, 10, ARGS), 0));
    drop(direct);
    check_eq!(t, (calls(traced), seen(), counted()), (400, (0, 0, 0), 0));
    Ok(())
}

/// The trampoline goes on where a callback has sent the function.
fn behind_a_redirection(t: &mut TestCtx<'_>) -> TestResult {
    seen();
    let direct = on(t, &DIRECT, to_first(), here(&[traced]))?;
    let patch = ftrace::register(&PATCH, here(&[traced])).map_err(|e| failed(t, e))?;
    check_eq!(t, (calls(traced), seen()), (10_000, (10, 0, ARGS)));
    drop(patch);
    check_eq!(t, (calls(traced), seen()), (400, (10, 0, ARGS)));
    drop(direct);
    Ok(())
}

fn modify(t: &mut TestCtx<'_>) -> TestResult {
    seen();
    let direct = on(t, &DIRECT, to_first(), here(&[traced]))?;
    check_eq!(t, direct.modify(to_second()), Ok(to_first()));
    check_eq!(t, (calls(traced), seen()), (400, (0, 10, ARGS)));
    let beside = ftrace::register(&COUNT, here(&[traced])).map_err(|e| failed(t, e))?;
    check_eq!(t, direct.modify(to_first()), Ok(to_second()));
    check_eq!(t, (calls(traced), seen()), (400, (10, 0, ARGS)));
    drop(beside);
    check_eq!(t, (calls(traced), seen()), (400, (10, 0, ARGS)));
    drop(direct);
    Ok(())
}

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    const FAR: usize = 1 << 30;
    seen();
    // SAFETY: it is refused, and nobody comes there.
    let far = unsafe { Trampoline::at(to_first().addr() + FAR) };
    check_eq!(t, super::register(&DIRECT, far, here(&[traced])).err(), Some(Errno::EINVAL));
    check_eq!(t, (calls(traced), seen()), (400, (0, 0, 0)));
    let direct = on(t, &DIRECT, to_first(), here(&[traced]))?;
    check_eq!(t, direct.modify(far), Err(Errno::EINVAL));
    check_eq!(t, super::register(&DIRECT, to_first(), here(&[other])).err(), Some(Errno::EBUSY));
    let too = super::register(&DIRECT_TOO, to_second(), here(&[traced, other]));
    check_eq!(t, too.err(), Some(Errno::EBUSY));
    let too = on(t, &DIRECT_TOO, to_second(), here(&[other]))?;
    check_eq!(t, too.set_sites(here(&[traced])), Err(Errno::EBUSY));
    check_eq!(t, (calls(traced), calls(other), seen()), (400, 10_000, (10, 10, 2 * ARGS)));
    drop((too, direct));
    Ok(())
}

/// While every CPU calls the function, its trampoline is modified, and another listener comes and goes: each call enters one
/// of the two, once, and returns what it should.
fn changes_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 60;
    seen();
    COUNT.private.store(0, Ordering::Relaxed);
    let direct = on(t, &DIRECT, to_first(), here(&[traced]))?;
    let load = Load::start(|_| calls(traced) == 400);
    let mut result = Ok(());
    for turn in 0..TIMES {
        let beside = (turn % 3 == 0).then(|| ftrace::register(&COUNT, here(&[traced])));
        let to = if turn % 2 == 0 { to_second() } else { to_first() };
        result = result.and(direct.modify(to).map(|_| ()));
        result = result.and(beside.map_or(Ok(()), |beside| beside.map(drop)));
        task::yield_now();
    }
    let (rounds, wrong) = load.end();
    drop(direct);
    let (first, second, sum) = seen();
    let made = 10 * rounds;
    diag!(t, "{made} calls: {first} and {second}, {} beside", COUNT.private.load(Ordering::Relaxed));
    check_eq!(t, result, Ok(()));
    check_eq!(t, wrong, 0);
    check_eq!(t, first + second, made);
    check_eq!(t, sum, made / 10 * ARGS);
    check!(t, first > 0 && second > 0);
    Ok(())
}
