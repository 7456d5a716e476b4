//! What softirqs cost.

use super::softirq::{SoftirqGuard, Vector, raise, register};
use crate::arch::cpu;
use crate::bench::{Bench, BenchResult, Bencher};
use core::sync::atomic::{AtomicU32, Ordering};

/// The rows of this room.
pub(crate) const BENCHES: &[Bench] =
    &[Bench { name: "softirq/guard", run: guard }, Bench { name: "softirq/raise-run", run: raise_run }];

/// Holding softirqs off and letting them go, with nothing raised meanwhile.
fn guard(b: &mut Bencher) -> BenchResult {
    b.iter(1000, || drop(SoftirqGuard::new()));
    Ok(())
}

/// A task raises one, which runs: the interrupt to this CPU, its exit, the action.
fn raise_run(b: &mut Bencher) -> BenchResult {
    static RAN: AtomicU32 = AtomicU32::new(0);
    // A second run finds it registered.
    let _ = register(Vector::Tasklet, || {
        RAN.fetch_add(1, Ordering::Relaxed);
    });
    b.iter(1000, || {
        let before = RAN.load(Ordering::Relaxed);
        raise(Vector::Tasklet);
        while RAN.load(Ordering::Relaxed) == before {
            cpu::relax();
        }
    });
    Ok(())
}
