//! Hooks that change while a task is inside what they hooked, and what its stack shows then.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{Count, OnExit, armed, armed_at, eventually, one};
use crate::arch::cpu;
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::Return;
use crate::rethook::hook::retired;
use crate::rethook::storage::bytes;
use crate::rethook::{Kretprobe, MAX_ACTIVE, Returned};
use crate::selftest::{Stop, TestCtx, TestResult, check, check_eq};
use crate::sync::quiesce;
use crate::task::{self, Prio};
use crate::workload::work_sleep;
use crate::{ksyms, unwind};

/// Sleeps in `work_sleep` until it is woken by a kill; counts.
fn sleeper(done: &Arc<AtomicU64>) -> Option<task::TaskRef> {
    const FOR_EVER_MS: u64 = 100_000;
    let done = done.clone();
    task::spawn(
        "sleeper",
        Prio::NORMAL,
        Box::new(move || {
            let left = one(work_sleep, FOR_EVER_MS);
            done.fetch_add(u64::from(left > 0), Ordering::Relaxed);
        }),
    )
    .ok()
}

/// A task that is inside a hooked function, asleep.
fn inside(t: &mut TestCtx<'_>, probe: &Kretprobe, done: &Arc<AtomicU64>) -> Result<task::TaskRef, Stop> {
    let before = probe.active();
    let task = sleeper(done);
    check!(t, task.is_some());
    check!(t, eventually(|| probe.active() == before + 1));
    task.ok_or(Stop::Failed)
}

pub(super) fn disarmed_inside(t: &mut TestCtx<'_>) -> TestResult {
    let (count, done) = (Arc::new(Count::default()), Arc::new(AtomicU64::new(0)));
    let probe = armed(t, "work_sleep", count.clone())?;
    let task = inside(t, &probe, &done)?;
    check_eq!(t, probe.disarm(), Ok(()));
    task.kill();
    check_eq!(t, task.join(), Ok(0));
    // It had been caught, so it is told of.
    check_eq!(t, (count.exits(), done.load(Ordering::Relaxed), probe.active()), (1, 1, 0));
    Ok(())
}

pub(super) fn removed_inside(t: &mut TestCtx<'_>) -> TestResult {
    let (count, done) = (Arc::new(Count::default()), Arc::new(AtomicU64::new(0)));
    // Those of the tests before go soon.
    check!(t, eventually(|| retired() == 0));
    let probe = armed(t, "work_sleep", count.clone())?;
    let tasks = [inside(t, &probe, &done)?, inside(t, &probe, &done)?];
    drop(probe);
    quiesce::synchronize();
    check_eq!(t, retired(), 1);
    for task in &tasks {
        task.kill();
        check_eq!(t, task.join(), Ok(0));
    }
    // They returned as they should, nobody was told, and the memory is free.
    check_eq!(t, (count.exits(), done.load(Ordering::Relaxed)), (0, 2));
    check!(t, eventually(|| retired() == 0 && Arc::strong_count(&count) == 1));
    Ok(())
}

/// A task that ends in the middle of hooked functions.
#[inline(never)]
extern "C" fn ends(depth: u64) -> u64 {
    if black_box(depth) == 0 {
        task::exit(7);
    }
    black_box(ends as extern "C" fn(u64) -> u64)(depth - 1) + 1
}

pub(super) fn task_ends_inside(t: &mut TestCtx<'_>) -> TestResult {
    const DEPTH: u64 = 9;
    let count = Arc::new(Count::default());
    let at = (ends as extern "C" fn(u64) -> u64 as *const ()).addr();
    let probe = armed_at(t, at, MAX_ACTIVE, count.clone())?;
    let before = bytes();
    for round in 1..=20 {
        let task = task::spawn(
            "ends",
            Prio::NORMAL,
            Box::new(|| {
                one(ends, DEPTH);
            }),
        )
        .ok();
        check_eq!(t, task.map(|task| task.join()), Some(Ok(7)));
        check_eq!(t, (count.exits(), probe.active(), probe.missed_in_all()), (0, 0, 0));
        check_eq!(t, probe.dropped(), round * (DEPTH + 1));
    }
    check!(t, eventually(|| bytes() <= before));
    Ok(())
}

/// Names of functions, innermost first.
type Names = Vec<&'static str>;

fn names_here() -> Names {
    let mut names = Vec::new();
    unwind::walk(cpu::frame_pointer(), false, |frame| {
        names.extend(ksyms::by_addr(frame.lookup_pc() as usize).map(|symbol| symbol.name));
        true
    });
    names
}

/// Where a backtrace was taken at the bottom of a recursion of hooked functions.
#[inline(never)]
extern "C" fn bottom(left: u64) -> u64 {
    if black_box(left) == 0 {
        let names = names_here();
        let own = ksyms::by_addr((bottom as extern "C" fn(u64) -> u64 as *const ()).addr());
        let own = own.map_or("", |symbol| symbol.name);
        return names.iter().filter(|name| **name == own).count() as u64 * 1000
            + names.iter().filter(|name| **name == "return_trampoline").count() as u64;
    }
    black_box(bottom as extern "C" fn(u64) -> u64)(left - 1).wrapping_add(black_box(0))
}

pub(super) fn backtrace(t: &mut TestCtx<'_>) -> TestResult {
    const CALLS: u64 = 5;
    let at = (bottom as extern "C" fn(u64) -> u64 as *const ()).addr();
    let bare = one(bottom, CALLS - 1);
    check_eq!(t, bare, CALLS * 1000);
    let outside = names_here().len();
    let one_hook = armed_at(t, at, MAX_ACTIVE, Arc::new(Count::default()))?;
    check_eq!(t, one(bottom, CALLS - 1), bare);
    // Two on each call.
    let _two = armed_at(t, at, MAX_ACTIVE, Arc::new(Count::default()))?;
    check_eq!(t, one(bottom, CALLS - 1), bare);
    drop(one_hook);
    // In the listener itself: the function has returned, its callers are there.
    let seen = Arc::new(AtomicU64::new(0));
    let put = seen.clone();
    let look = OnExit(move |_: Returned<'_>, regs: &mut FtraceRegs<Return>| {
        let mut frames = [0_u64; 64];
        let mut len = 0;
        unwind::walk(cpu::frame_pointer(), false, |frame| {
            if let Some(slot) = frames.get_mut(len) {
                *slot = frame.pc;
                len += 1;
            }
            true
        });
        let caller = frames[..len].iter().position(|pc| *pc == regs.pc());
        put.store(caller.map_or(0, |at| (len - at) as u64), Ordering::Relaxed);
    });
    let _look = armed_at(t, at, MAX_ACTIVE, Arc::new(look))?;
    check_eq!(t, one(bottom, CALLS - 1), bare);
    // The outermost call returned last: to this function, or to `one` where that was not inlined.
    let frames = seen.load(Ordering::Relaxed);
    check!(t, frames + 2 >= outside as u64 && frames <= outside as u64 + 1, "{frames} of {outside}");
    Ok(())
}

pub(super) fn stack_of_a_sleeper(t: &mut TestCtx<'_>) -> TestResult {
    let done = Arc::new(AtomicU64::new(0));
    let stack = |task: &task::Task| {
        let mut names = Names::new();
        unwind::walk_task(task, task.saved_context().fp, false, |frame| {
            names.extend(ksyms::by_addr(frame.lookup_pc() as usize).map(|symbol| symbol.name));
            true
        });
        names
    };
    let asleep = |task: &task::Task| eventually(|| task.state() == task::State::Sleeping);
    let Some(bare) = sleeper(&done) else { return Err(Stop::Failed) };
    // Before there is a hook that it could meet.
    check!(t, asleep(&bare));
    let probe = armed(t, "work_sleep", Arc::new(Count::default()))?;
    let switch = armed(t, "task::schedule", Arc::new(Count::default()))?;
    let hooked = inside(t, &probe, &done)?;
    check!(t, asleep(&hooked));
    let (expected, found) = (stack(&bare), stack(&hooked));
    for task in [&bare, &hooked] {
        task.kill();
        check_eq!(t, task.join(), Ok(0));
    }
    check!(t, expected.contains(&"work_sleep"), "{expected:?}");
    check_eq!(t, found, expected);
    drop(switch);
    check_eq!(t, done.load(Ordering::Relaxed), 2);
    Ok(())
}
