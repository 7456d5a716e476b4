//! The events of interrupts, of softirqs and of messages between CPUs.

use core::ffi::CStr;

use crate::tracepoint::{event, event_class, trace_event};

trace_event! {
    /// An interrupt's handler is about to run.
    irq:irq_handler_entry(irq: u32, handler: &str) {
        irq: int = irq as i32,
        name: string = handler,
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

trace_event! {
    /// CPUs are about to be sent a message.
    ipi:ipi_raise(mask: u64, reason: &CStr) {
        target_cpus: cpu_mask = mask,
        reason: c_str = reason.as_ptr().addr(),
    }
    print r#""target_mask=%s (%s)", __get_cpumask(target_cpus), REC->reason"#
}

trace_event! {
    /// One CPU is sent a message: by whom, and what it will run.
    ipi:ipi_send_cpu(cpu: usize, callsite: usize, callback: *const ()) {
        cpu: unsigned_int = cpu as u32,
        callsite: ptr = callsite,
        callback: ptr = callback.addr(),
    }
    print r#""cpu=%u callsite=%pS callback=%pS", REC->cpu, REC->callsite, REC->callback"#
}

event_class! {
    /// A message is handled.
    ipi_handler(reason: &CStr) {
        reason: c_str = reason.as_ptr().addr(),
    }
    print r#""(%s)", REC->reason"#
}

event! {
    /// Its handler is about to run.
    ipi:ipi_entry(reason: &CStr) as ipi_handler
}

event! {
    /// It has run.
    ipi:ipi_exit(reason: &CStr) as ipi_handler
}
