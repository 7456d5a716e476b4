//! Programs in the midst of programs: themselves, each other, and the scenario for which protection is per program.
//!
//! ```text
//!   wake-up ─▶ wake() ─▶ A ── its output raises an interrupt ──┐
//!                                                              ▼
//!                                   interrupt ─▶ arrived() ─▶ B
//! ```
//!
//! Where programs are protected per CPU, B is lost whenever the interrupt comes while A runs. Here it runs each time.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{CALLS, Seen, WAYS, add, attach, fire, leaf};
use ::bpf::kind::Attach;

use crate::selftest::{Test, TestCtx, TestResult, check, check_eq};
use crate::sync::{CpuPin, IrqWork};
use crate::task;

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "itself_is_counted", run: itself },
    Test { name: "each_in_the_path_of_the_other", run: each_other },
    Test { name: "the_interrupt_of_an_output", run: scenario },
];

/// A program whose own path hits it: one run and one miss for each call.
fn itself(t: &mut TestCtx<'_>) -> TestResult {
    for (kind, target, hit) in WAYS {
        let on = attach(t, *kind, target, Seen { calls: Some(*hit), ..Seen::default() })?;
        (0..CALLS).for_each(|_| hit());
        check_eq!(t, (kind, on.account()), (kind, (CALLS, CALLS, 0)));
    }
    Ok(())
}

/// The first program's path hits the second, by every pair of ways; then the second's path hits the first as well.
fn each_other(t: &mut TestCtx<'_>) -> TestResult {
    for (first, at, hit) in WAYS {
        for second in [Attach::Kprobe, Attach::Kretprobe, Attach::KprobeMulti, Attach::KretprobeMulti] {
            let outer = attach(t, *first, at, Seen { calls: Some(leaf), ..Seen::default() })?;
            let inner = attach(t, second, "work_leaf", Seen::default())?;
            (0..CALLS).for_each(|_| hit());
            let seen = (first, second, outer.account(), inner.account());
            check_eq!(t, seen, (first, second, (CALLS, 0, 0), (CALLS, 0, 0)));
            drop(inner);
            let inner = attach(t, second, "work_leaf", Seen { calls: Some(*hit), ..Seen::default() })?;
            (0..CALLS).for_each(|_| hit());
            let seen = (first, second, outer.account(), inner.account());
            check_eq!(t, seen, (first, second, (2 * CALLS, CALLS, 0), (CALLS, 0, 0)));
        }
    }
    // At tracepoints in the path of programs at functions.
    for second in [Attach::Tracepoint, Attach::RawTracepoint, Attach::TpBtf] {
        let outer =
            attach(t, Attach::KprobeMulti, "work_add", Seen { calls: Some(fire), ..Seen::default() })?;
        let inner = attach(t, second, "work_text", Seen::default())?;
        (0..CALLS).for_each(|_| add());
        check_eq!(t, (outer.account(), inner.account()), ((CALLS, 0, 0), (CALLS, 0, 0)));
    }
    Ok(())
}

/// Interrupts that have come.
static ARRIVED: AtomicU64 = AtomicU64::new(0);

static OUTPUT: IrqWork = IrqWork::new(arrive);

/// The interrupt that the output raises.
fn arrive() {
    black_box(bpf_selftest_arrived as extern "C" fn())();
}

/// B is on this.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bpf_selftest_arrived() {
    ARRIVED.fetch_add(1, Ordering::Relaxed);
}

/// A is on this; a wake-up's path calls it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bpf_selftest_woken() {
    black_box(());
}

fn woken() {
    black_box(bpf_selftest_woken as extern "C" fn())();
}

/// A's output: has this CPU interrupted as soon as it may be.
fn output() {
    // SAFETY: programs are run pinned.
    OUTPUT.queue(&unsafe { CpuPin::assume() });
}

fn scenario(t: &mut TestCtx<'_>) -> TestResult {
    let firsts: [(Attach, &str, fn()); 5] = [
        (Attach::Kprobe, "bpf_selftest_woken+8", woken),
        (Attach::KprobeMulti, "bpf_selftest_woken", woken),
        (Attach::KretprobeMulti, "bpf_selftest_woken", woken),
        // Interrupts are on while these run: B runs in the midst of A.
        (Attach::RawTracepoint, "work_text", fire),
        (Attach::Tracepoint, "workload/work_text", fire),
    ];
    for (first, at, hit) in firsts {
        for second in [Attach::Kprobe, Attach::KprobeMulti, Attach::KretprobeMulti, Attach::FprobeExit] {
            let a = attach(t, first, at, Seen { calls: Some(output), ..Seen::default() })?;
            let b = attach(t, second, "bpf_selftest_arrived", Seen::default())?;
            let before = ARRIVED.load(Ordering::Relaxed);
            let arrived = || ARRIVED.load(Ordering::Relaxed) - before;
            for n in 1..=CALLS {
                hit();
                while arrived() < n {
                    task::yield_now();
                }
            }
            check_eq!(t, (first, a.account()), (first, (CALLS, 0, 0)));
            check_eq!(t, (first, second, b.account(), arrived()), (first, second, (CALLS, 0, 0), CALLS));
            check!(t, a.seen.wrong() + b.seen.wrong() == 0);
        }
    }
    Ok(())
}
