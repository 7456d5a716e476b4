//! Trampolines: arguments and results, functions that are not called, forms that change under load, memory given back.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use ::bpf::kind::Attach;

use super::{CALLS, Seen, attach, program};
use crate::bpf::attach::{Wanted, trampoline};
use crate::bpf::link::{self, Link};
use crate::bpf::prog::{Entry, Prog};
use crate::selftest::{Load, Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::quiesce;
use crate::task;
use crate::text::programs;
use crate::workload::{work_add, work_fact, work_sleep};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "arguments_and_results", run: arguments },
    Test { name: "a_result_is_given", run: given },
    Test { name: "arguments_on_the_stack", run: on_the_stack },
    Test { name: "backtraces_and_returns", run: beside_others },
    Test { name: "forms_change_under_load", run: forms },
    Test { name: "given_back_when_nobody_is_inside", run: given_back },
];

/// The words of the last context.
static LAST: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// Sums of the same since they were asked for.
static SUMS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Reads three words of its context.
extern "C" fn reads(ctx: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    for (n, (last, sum)) in LAST.iter().zip(&SUMS).enumerate() {
        // SAFETY: a trampoline's context has nine words.
        let word = unsafe { core::ptr::with_exposed_provenance::<u64>(ctx as usize).add(n).read() };
        last.store(word, Ordering::Relaxed);
        sum.fetch_add(word, Ordering::Relaxed);
    }
    0
}

/// Gives a result for an odd first argument.
extern "C" fn odd(ctx: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: as above.
    let first = unsafe { core::ptr::with_exposed_provenance::<u64>(ctx as usize).read() };
    if first % 2 == 1 { 1000 + first } else { 0 }
}

fn on(t: &mut TestCtx<'_>, kind: Attach, target: &str, entry: Entry) -> Result<(Arc<Link>, Arc<Prog>), Stop> {
    let prog = program(t, kind, target, entry)?;
    let link = link::create(&prog, Wanted { target, cookies: &[] });
    let link = link.map_err(|e| t.fail(file!(), line!(), format_args!("{target}: {e}")))?;
    Ok((link, prog))
}

fn add(a: u64, b: u64) -> u64 {
    black_box(work_add as extern "C" fn(u64, u64) -> u64)(a, b)
}

fn last() -> [u64; 3] {
    LAST.each_ref().map(|word| word.load(Ordering::Relaxed))
}

fn arguments(t: &mut TestCtx<'_>) -> TestResult {
    let (entry, _prog) = on(t, Attach::Fentry, "work_add", reads)?;
    check_eq!(t, (add(2, 40), last()[0], last()[1]), (42, 2, 40));
    drop(entry);
    let (exit, _prog) = on(t, Attach::Fexit, "work_add", reads)?;
    check_eq!(t, (add(3, 50), last()), (53, [3, 50, 53]));
    // Recursion: calls in calls, each with its own frame.
    let fact = on(t, Attach::Fexit, "work_fact", reads)?;
    SUMS.iter().for_each(|sum| sum.store(0, Ordering::Relaxed));
    check_eq!(t, black_box(work_fact as extern "C" fn(u64) -> u64)(5), 120);
    let sums = SUMS.each_ref().map(|sum| sum.load(Ordering::Relaxed));
    check_eq!(t, (sums[0], sums[1]), (5 + 4 + 3 + 2 + 1, 1 + 2 + 6 + 24 + 120));
    check_eq!(t, fact.1.counts().recursion_misses, 0);
    drop(exit);
    Ok(())
}

fn given(t: &mut TestCtx<'_>) -> TestResult {
    let (given, _one) = on(t, Attach::FmodRet, "work_add", odd)?;
    check_eq!(t, (add(2, 40), add(3, 40)), (42, 1003));
    let seen = attach(t, Attach::Fexit, "work_add", Seen::default())?;
    let (exit, _two) = on(t, Attach::Fexit, "work_add", reads)?;
    check_eq!(t, (add(5, 40), last()), (1005, [5, 40, 1005]));
    check_eq!(t, (add(6, 40), last()), (46, [6, 40, 46]));
    check_eq!(t, seen.account(), (2, 0, 0));
    // The first that gives one: the others are not asked.
    let later = attach(t, Attach::FmodRet, "work_add", Seen::default())?;
    check_eq!(t, (add(7, 0), add(8, 0), later.seen.runs()), (1007, 8, 1));
    drop(given);
    check_eq!(t, (add(9, 0), later.seen.runs()), (9, 2));
    drop(exit);
    Ok(())
}

type Ten = extern "C" fn(u64, u64, u64, u64, u64, u64, u64, u64, u64, u64) -> u64;

/// More arguments than there are registers for.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bpf_selftest_ten(
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
    h: u64,
    i: u64,
    j: u64,
) -> u64 {
    black_box(a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j)
}

fn on_the_stack(t: &mut TestCtx<'_>) -> TestResult {
    let f: Ten = black_box(bpf_selftest_ten);
    let call = || f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    let right = call();
    check_eq!(t, right, 385);
    let (entry, _one) = on(t, Attach::Fentry, "bpf_selftest_ten", reads)?;
    check_eq!(t, (call(), last()), (right, [1, 2, 3]));
    let exit = attach(t, Attach::Fexit, "bpf_selftest_ten", Seen::default())?;
    check_eq!(t, (call(), exit.seen.runs()), (right, 1));
    drop(entry);
    check_eq!(t, (call(), exit.seen.runs()), (right, 2));
    Ok(())
}

/// On one function: a trampoline around it, its entry and its return by other ways, a breakpoint inside.
fn beside_others(t: &mut TestCtx<'_>) -> TestResult {
    let kinds = [
        (Attach::Fexit, "work_add"),
        (Attach::KprobeMulti, "work_add"),
        (Attach::KretprobeMulti, "work_add"),
        (Attach::Kretprobe, "work_add"),
        (Attach::Kprobe, "work_add+8"),
        (Attach::Fentry, "work_add"),
    ];
    let mut all = Vec::new();
    for (kind, target) in kinds {
        all.push(attach(t, kind, target, Seen::default())?);
        for n in 0..CALLS {
            check_eq!(t, add(n, 7), n + 7);
        }
    }
    while let Some(one) = all.first() {
        check_eq!(t, (one.link.attach(), one.seen.wrong()), (kinds[kinds.len() - all.len()].0, 0));
        let before: Vec<u64> = all.iter().map(|one| one.seen.runs()).collect();
        for n in 0..CALLS {
            check_eq!(t, add(n, 7), n + 7);
        }
        let runs: Vec<u64> = all.iter().zip(before).map(|(one, before)| one.seen.runs() - before).collect();
        check!(t, runs.iter().all(|runs| *runs == CALLS), "{runs:?}");
        drop(all.remove(0));
    }
    Ok(())
}

/// Programs at the return come and go while four CPUs call: each call returns what it should, and is seen at its entry.
fn forms(t: &mut TestCtx<'_>) -> TestResult {
    let stays = attach(t, Attach::Fentry, "work_add", Seen::default())?;
    let load = Load::start(|n| add(n, 40) == n + 40);
    let (mut exits, mut changes) = (0, 0);
    let end = crate::time::now_ns() + 100_000_000;
    while crate::time::now_ns() < end {
        let exit = attach(t, Attach::Fexit, "work_add", Seen::default())?;
        task::sleep_ns(500_000);
        let seen = exit.seen.clone();
        drop(exit);
        exits += seen.runs();
        check_eq!(t, seen.wrong(), 0);
        changes += 1;
    }
    let (calls, wrong) = load.end();
    diag!(t, "{calls} calls, {changes} changes of form, {exits} returns seen");
    check_eq!(t, (stays.account(), wrong), ((calls, 0, 0), 0));
    Ok(())
}

/// A task sleeps in a function whose trampoline is used no more.
fn given_back(t: &mut TestCtx<'_>) -> TestResult {
    let settled = || {
        for _ in 0..200 {
            quiesce::synchronize();
            if trampoline::waiting() == 0 {
                return true;
            }
            task::sleep_ns(1_000_000);
        }
        false
    };
    check!(t, settled());
    let before = programs::taken();
    let exit = attach(t, Attach::Fexit, "work_sleep", Seen::default())?;
    check!(t, programs::taken() > before);
    let sleeper = task::spawn(
        "sleeper",
        task::Prio::NORMAL,
        alloc::boxed::Box::new(|| {
            black_box(work_sleep as extern "C" fn(u64) -> u64)(60);
        }),
    );
    let Ok(sleeper) = sleeper else { return Err(t.fail(file!(), line!(), format_args!("no task"))) };
    task::sleep_ns(20_000_000);
    let seen = exit.seen.clone();
    drop(exit);
    for _ in 0..3 {
        quiesce::synchronize();
    }
    check_eq!(t, trampoline::waiting(), 1);
    // It returns through the trampoline, where nobody listens any more.
    check_eq!(t, sleeper.join(), Ok(0));
    check!(t, settled());
    check_eq!(t, (programs::taken(), seen.runs()), (before, 0));
    Ok(())
}
