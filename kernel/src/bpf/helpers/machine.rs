//! Clocks, the CPU, random numbers.
//!
//! There is one clock, [`now_ns_c`](crate::time::now_ns_c), which counts from the machine's start and is never set: the boot clock, the coarse one and the
//! atomic one are it.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{helpers, pinned};
use crate::arch::cpu;
use crate::sync::per_cpu;
use crate::time::now_ns;

/// What Linux calls a jiffy, at its 250 Hz.
const JIFFY_NS: u64 = 4_000_000;

per_cpu! {
    static RANDOM: AtomicU64 = AtomicU64::new(0);
}

helpers! {
    /// The time in ticks of a clock that this kernel does not have.
    fn jiffies64() {
        now_ns() / JIFFY_NS
    }

    /// This CPU.
    fn get_smp_processor_id() {
        cpu::id() as u64
    }

    /// Its node: there is one.
    fn get_numa_node_id() {
        0
    }

    /// A number that looks random, of a sequence of this CPU's (xorshift64*, Vigna 2016).
    fn get_prandom_u32() {
        let pinned = pinned();
        let state = RANDOM.this_cpu(&pinned);
        let mut x = state.load(Ordering::Relaxed);
        if x == 0 {
            x = now_ns() << 8 | cpu::id() as u64 | 1;
        }
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        state.store(x, Ordering::Relaxed);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}
