//! The events of timers.
//!
//! Linux has two kinds of timers, and so has this kernel: those that run in the softirq are its `timer`, those that run in
//! the interrupt its `hrtimer`. All times are nanoseconds since boot; there are no jiffies.

use super::timer::TimerNode;
use crate::tracepoint::{event, event_class, trace_event};

event_class! {
    /// Something about a timer.
    timer_class(timer: *const TimerNode) {
        timer: ptr = timer.addr(),
    }
    print r#""timer=%p", REC->timer"#
}

event! {
    /// A timer is made.
    timer:timer_init(timer: *const TimerNode) as timer_class
}

trace_event! {
    /// A timer is armed.
    timer:timer_start(timer: *const TimerNode, function: *const (), expires: u64, now: u64, cpu: u32) {
        timer: ptr = timer.addr(),
        function: ptr = function.addr(),
        expires: unsigned_long = expires,
        bucket_expiry: unsigned_long = expires,
        now: unsigned_long = now,
        flags: unsigned_int = cpu,
    }
    print r#""timer=%p function=%ps expires=%lu [timeout=%ld] bucket_expiry=%lu cpu=%u idx=%u flags=%s", REC->timer, REC->function, REC->expires, (long)REC->expires - REC->now, REC->bucket_expiry, REC->flags & 0x0003FFFF, REC->flags >> 22, __print_flags(REC->flags & (0x00040000 | 0x00080000 | 0x00100000 | 0x00200000), "|", { 0x00040000, "M" }, { 0x00080000, "D" }, { 0x00100000, "P" }, { 0x00200000, "I" })"#
}

trace_event! {
    /// Its function is about to be called.
    timer:timer_expire_entry(timer: *const TimerNode, function: *const (), now: u64) {
        timer: ptr = timer.addr(),
        now: unsigned_long = now,
        function: ptr = function.addr(),
        baseclk: unsigned_long = now,
    }
    print r#""timer=%p function=%ps now=%lu baseclk=%lu", REC->timer, REC->function, REC->now, REC->baseclk"#
}

event! {
    /// Its function has returned. The timer may be gone.
    timer:timer_expire_exit(timer: *const TimerNode) as timer_class
}

event! {
    /// A timer is taken back before its time.
    timer:timer_cancel(timer: *const TimerNode) as timer_class
}

event_class! {
    /// Something about a timer of the interrupt.
    hrtimer_class(timer: *const TimerNode) {
        hrtimer: ptr = timer.addr(),
    }
    print r#""hrtimer=%p", REC->hrtimer"#
}

trace_event! {
    /// A timer of the interrupt is armed.
    timer:hrtimer_start(timer: *const TimerNode, function: *const (), expires: u64, was_armed: bool) {
        hrtimer: ptr = timer.addr(),
        function: ptr = function.addr(),
        expires: s64 = expires as i64,
        softexpires: s64 = expires as i64,
        mode: hrtimer_mode = ABS_HARD,
        was_armed: bool_ = was_armed,
    }
    print r#""hrtimer=%p function=%ps expires=%llu softexpires=%llu mode=%s was_armed=%d", REC->hrtimer, REC->function, (unsigned long long) REC->expires, (unsigned long long) REC->softexpires, __print_symbolic(REC->mode, { 0x8, "ABS|HARD" }), REC->was_armed"#
}

/// Linux's `HRTIMER_MODE_ABS_HARD`.
const ABS_HARD: u32 = 0x8;

trace_event! {
    /// Its function is about to be called.
    timer:hrtimer_expire_entry(timer: *const TimerNode, function: *const (), now: u64) {
        hrtimer: ptr = timer.addr(),
        now: s64 = now as i64,
        function: ptr = function.addr(),
    }
    print r#""hrtimer=%p function=%ps now=%llu", REC->hrtimer, REC->function, (unsigned long long) REC->now"#
}

event! {
    /// Its function has returned. The timer may be gone.
    timer:hrtimer_expire_exit(timer: *const TimerNode) as hrtimer_class
}

event! {
    /// It is taken back before its time.
    timer:hrtimer_cancel(timer: *const TimerNode) as hrtimer_class
}
