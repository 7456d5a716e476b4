//! The events of interrupts, of softirqs and of messages between CPUs.

use crate::tracepoint::{event, event_class, trace_event};

trace_event! {
    /// An interrupt's handler is about to run.
    irq:irq_handler_entry(irq: u32, handler: &str) {
        irq: int = irq as i32,
        name: text = handler,
    }
    print r#""irq=%d name=%s", REC->irq, __get_str(name)"#
}

trace_event! {
    /// It has run.
    irq:irq_handler_exit(irq: u32, handled: bool) {
        irq: int = irq as i32,
        ret: int = i32::from(handled),
    }
    print r#""irq=%d ret=%s", REC->irq, REC->ret ? "handled" : "unhandled""#
}

event_class! {
    /// Something about a softirq vector.
    softirq(vec: u32) {
        vec: unsigned_int = vec,
    }
    print r#""vec=%u [action=%s]", REC->vec, __print_symbolic(REC->vec, { 0, "HI" }, { 1, "TIMER" }, { 2, "NET_TX" }, { 3, "NET_RX" }, { 4, "BLOCK" }, { 5, "IRQ_POLL" }, { 6, "TASKLET" }, { 7, "SCHED" }, { 8, "HRTIMER" }, { 9, "RCU" })"#
}

event! {
    /// A softirq is asked for.
    irq:softirq_raise(vec: u32) as softirq
}

event! {
    /// Its function is about to run.
    irq:softirq_entry(vec: u32) as softirq
}

event! {
    /// Its function has run.
    irq:softirq_exit(vec: u32) as softirq
}
