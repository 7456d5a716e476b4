//! What excluding others costs. On one CPU: nobody is waited for.

use super::{IrqGuard, PreemptGuard, SpinLock, on_each_cpu, quiesce, stop_machine};
use crate::bench::{Bench, BenchResult, Bencher};
use core::hint::black_box;

/// The rows of this room.
pub(crate) const BENCHES: &[Bench] = &[
    Bench { name: "sync/irq-guard", run: irq_guard },
    Bench { name: "sync/preempt-guard", run: preempt_guard },
    Bench { name: "sync/spin-lock", run: spin_lock },
    Bench { name: "sync/quiet-period", run: quiet_period },
    Bench { name: "sync/on-each-cpu", run: each_cpu },
    Bench { name: "sync/stop-machine", run: stop },
];

fn irq_guard(b: &mut Bencher) -> BenchResult {
    b.iter(1000, || drop(IrqGuard::new()));
    Ok(())
}

fn preempt_guard(b: &mut Bencher) -> BenchResult {
    b.iter(1000, || drop(PreemptGuard::new()));
    Ok(())
}

fn spin_lock(b: &mut Bencher) -> BenchResult {
    let lock = black_box(SpinLock::new(0u64));
    b.iter(1000, || *lock.lock() += 1);
    Ok(())
}

fn quiet_period(b: &mut Bencher) -> BenchResult {
    b.iter(1000, quiesce::synchronize);
    Ok(())
}

fn each_cpu(b: &mut Bencher) -> BenchResult {
    b.iter(1000, || on_each_cpu(&|| {}));
    Ok(())
}

fn stop(b: &mut Bencher) -> BenchResult {
    b.iter(1000, || stop_machine(|| {}));
    Ok(())
}
