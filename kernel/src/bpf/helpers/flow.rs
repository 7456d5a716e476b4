//! loop, and the locks in values.
//!
//! A `bpf_spin_lock` is a word of a map's value: 0, or the number of the CPU that has it and 1. While it is held,
//! interrupts are masked, and the verifier lets the program do nothing but loads and stores. So nobody waits long, and only a
//! breakpoint on one of those could find its own CPU's lock: it waits no longer than [`SPINS`].

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tracecore::errno::Errno;

use super::{callback_at, error, helpers, pinned};
use crate::arch::{cpu, daif};
use crate::sync::per_cpu;

/// How often a loop runs at most, as on Linux.
const LOOPS_MAX: u64 = 1 << 23;
/// How often a lock is looked at.
const SPINS: u32 = 1 << 22;

per_cpu! {
    /// Were interrupts masked before the lock was taken?
    static MASKED: AtomicBool = AtomicBool::new(false);
}

helpers! {
    /// Calls `callback(n, data)` for n from 0 until it gives 1: how often.
    fn bpf_loop(times, callback, data, flags) {
        if flags != 0 {
            return error(Errno::EINVAL);
        }
        let times = times as u32 as u64;
        if times > LOOPS_MAX {
            return error(Errno::E2BIG);
        }
        // SAFETY: r2 is a function of the program.
        let callback = unsafe { callback_at(callback) };
        for n in 0..times {
            if callback(n, data, 0, 0, 0) != 0 {
                return n + 1;
            }
        }
        times
    }

    /// Takes the lock.
    fn spin_lock(lock) {
        let masks = daif::mask_irq();
        // SAFETY: r1 is the lock of a value.
        let lock = unsafe { &*(lock as *const AtomicU32) };
        let me = cpu::id() as u32 + 1;
        for _ in 0..SPINS {
            if lock.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                break;
            }
            cpu::relax();
        }
        MASKED.this_cpu(&pinned()).store(masks.masks_irqs(), Ordering::Relaxed);
        0
    }

    /// Lets it go.
    fn spin_unlock(lock) {
        let masked = MASKED.this_cpu(&pinned()).load(Ordering::Relaxed);
        // SAFETY: r1 is the lock of a value, which this program has taken.
        unsafe { &*(lock as *const AtomicU32) }.store(0, Ordering::Release);
        if !masked {
            daif::unmask_irq();
        }
        0
    }
}
