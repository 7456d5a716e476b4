//! `ksoftirqd/N`: the task of each CPU that runs softirqs when there are too many to run at once.
//!
//! It is a task as any other, at nice 0: what it runs takes turns with the rest, which is the point of it
//! (`irq::softirq` says when it is woken).

use super::life::spawn_on;
use super::tcb::Prio;
use super::wait::WaitQueue;
use crate::irq::softirq;
use crate::sync::{Pinned, online_cpus, per_cpu};
use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, Ordering};
use tracecore::errno::Errno;

per_cpu! {
    static IDLE: WaitQueue = WaitQueue::new();
    /// Something was left to this CPU's task.
    static WANTED: AtomicBool = AtomicBool::new(false);
}

/// One for every CPU that runs by now.
pub(crate) fn start() -> Result<(), Errno> {
    for cpu in (0..crate::arch::MAX_CPUS).filter(|cpu| online_cpus() & 1 << cpu != 0) {
        spawn_on(&alloc::format!("ksoftirqd/{cpu}"), Prio::NORMAL, 1 << cpu, Box::new(move || serve(cpu)))?;
    }
    Ok(())
}

/// Leaves what is pending on this CPU to its task. Interrupts are masked; the scheduler looks when they return.
pub(crate) fn wake(here: &impl Pinned) {
    WANTED.this_cpu(here).store(true, Ordering::Relaxed);
    IDLE.this_cpu(here).wake_all_quietly();
}

/// The life of CPU `cpu`'s, which its affinity keeps there.
fn serve(cpu: usize) {
    loop {
        IDLE.on(cpu).wait_for_work(|| WANTED.on(cpu).swap(false, Ordering::Relaxed));
        while softirq::run_in_task() {}
    }
}
