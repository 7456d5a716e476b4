//! Time: one clock for all CPUs, and timers that cost nothing while none is due.
//!
//! The kernel has no tick. Each CPU keeps its timers in a heap by deadline and tells its comparator only the
//! earliest one; a CPU with one task and no timer is never interrupted.
//!
//! ```text
//!   sleeps of this CPU ─┐
//!   timers of this CPU ─┼─ earliest ─▶ comparator ─▶ interrupt: end sleeps, set the next
//!   end of the slice  ──┘                                └────▶ TIMER softirq: run the timers that are due
//! ```
//!
//! Nanoseconds count from the machine's start (the generic timer's counter 0); the counter is the same on all CPUs.

pub(crate) mod bench;
mod clock;
mod events;
mod heap;
pub(crate) mod selftest;
mod timer;

pub(crate) use clock::{local_clock_ns, now_ns, now_ns_c, ns_per_tick};
pub(crate) use timer::{Timer, TimerNode, set_slice};

use crate::irq;
use crate::irq::softirq::{self, Vector};
use tracecore::errno::Errno;

/// Nanoseconds in a millisecond.
pub(crate) const NS_PER_MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub(crate) const NS_PER_S: u64 = 1_000_000_000;

/// Measures the counter. Once, on the boot CPU, before anyone asks the time.
pub(crate) fn init() {
    clock::init();
}

/// Takes the timer interrupt of this CPU, number `intid` on all of them.
pub(crate) fn init_cpu(intid: u32) -> Result<(), Errno> {
    // Another CPU may have registered it for all.
    let _ = softirq::register(Vector::Timer, timer::run_soft);
    match irq::register(intid, "arch_timer", |_| timer::run_due()) {
        // Another CPU has registered it for all.
        Ok(()) | Err(Errno::EBUSY) => irq::enable(intid),
        Err(error) => Err(error),
    }
}

/// How many timer callbacks have run, all CPUs together.
pub(crate) fn expired_timers() -> u64 {
    timer::expired()
}
