//! The events of locks: who waits, for which lock, and for how long.

use crate::tracepoint::trace_event;

/// Bits of `flags`, as Linux has them.
pub(crate) const SPIN: u32 = 1 << 0;
/// A lock that sleeps.
pub(crate) const MUTEX: u32 = 1 << 5;

trace_event! {
    /// A lock is taken by another: the wait begins.
    lock:contention_begin(lock: *const (), flags: u32) {
        lock_addr: ptr = lock.addr(),
        flags: unsigned_int = flags,
    }
    print r#""%p (flags=%s)", REC->lock_addr, __print_flags(REC->flags, "|", { (1U << 0), "SPIN" }, { (1U << 1), "READ" }, { (1U << 2), "WRITE" }, { (1U << 3), "RT" }, { (1U << 4), "PERCPU" }, { (1U << 5), "MUTEX" } )"#
}

trace_event! {
    /// The wait is over, and the lock is the waiter's.
    lock:contention_end(lock: *const (), ret: i32) {
        lock_addr: ptr = lock.addr(),
        ret: int = ret,
    }
    print r#""%p (ret=%d)", REC->lock_addr, REC->ret"#
}
