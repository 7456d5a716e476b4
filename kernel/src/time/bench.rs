//! What timers cost.

use super::{NS_PER_S, Timer, now_ns};
use crate::bench::{Bench, BenchResult, Bencher};

/// The rows of this room.
pub(crate) const BENCHES: &[Bench] = &[Bench { name: "time/timer-arm-cancel", run: timer_arm_cancel }];

/// A timer that never fires.
fn timer_arm_cancel(b: &mut Bencher) -> BenchResult {
    let timer = Timer::new(|| {});
    let deadline = now_ns() + 3600 * NS_PER_S;
    b.iter(1000, || {
        timer.arm(deadline);
        timer.cancel();
    });
    Ok(())
}
