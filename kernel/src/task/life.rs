//! How a task begins and ends.
//!
//! ```text
//!   spawn ─ number, stack, first context ─▶ queued ─▶ begin ─ its function ─▶ exit
//!                                                                              │ Dead, switch
//!   joiners wake ◀─ number free, stack recycled ◀─ reap, in the task that runs next ◀┘
//! ```
//!
//! A task cannot free the stack it runs on: the task that arrives after it does. By then its number is free again, so
//! whoever joined a task can count on the room that it took.

use super::tcb::{Entry, Plan, Prio, State, TaskStack, current};
use super::{Task, TaskRef, events, run_queue, table, tracer};
use crate::arch;
use crate::mm;
use crate::sync::IrqGuard;
use crate::tracepoint::trace;
use core::sync::atomic::Ordering;
use tracecore::errno::Errno;

/// Every CPU.
pub(crate) const ANY_CPU: u32 = u32::MAX;

/// Makes a task that runs `f` and starts it. EAGAIN when there are too many, ENOMEM when there is no memory.
pub(crate) fn spawn(name: &str, prio: Prio, f: Entry) -> Result<TaskRef, Errno> {
    spawn_on(name, prio, ANY_CPU, f)
}

/// As [`spawn`], on the CPUs of a mask. EINVAL when none of them is online.
pub(crate) fn spawn_on(name: &str, prio: Prio, affinity: u32, f: Entry) -> Result<TaskRef, Errno> {
    if affinity & crate::sync::online_cpus() == 0 {
        return Err(Errno::EINVAL);
    }
    let pid = table::reserve()?;
    let made = mm::Stack::new().and_then(|stack| {
        mm::try_arc(Task::new(Plan {
            pid,
            parent: current().pid(),
            name,
            prio,
            cpu: arch::cpu::id(),
            affinity,
            stack: TaskStack::Own(stack),
            idle: false,
            entry: Some(f),
        }))
    });
    match made {
        Ok(task) => {
            table::insert(task.clone());
            tracer::born(&task);
            trace!(events::task_newtask(&task));
            trace!(events::sched_process_fork(&current(), &task));
            run_queue::start(&task);
            Ok(task)
        }
        Err(error) => {
            table::unreserve(pid);
            Err(error)
        }
    }
}

/// The first Rust of a new task, called by switch.S with the task that left.
pub(super) extern "C" fn begin(left: *const Task) -> ! {
    // SAFETY: this is the return of the `task_switch` that led here.
    unsafe { run_queue::arrive(left) };
    arch::daif::unmask_irq();
    super::preempt_if_asked();
    let entry = current().entry.lock().take();
    if let Some(entry) = entry {
        entry();
    }
    exit(0)
}

/// Ends the running task. What its stack still owns is not dropped: tasks end by returning where they can.
pub(crate) fn exit(code: i32) -> ! {
    let task = current();
    assert!(!task.is_idle(), "the idle task cannot end");
    task.set_local(None);
    task.exit_code.store(code, Ordering::Relaxed);
    trace!(events::sched_process_exit(&task));
    // Masked, so that nothing finds it dead and still running.
    let irq = IrqGuard::new();
    task.set_state(State::Dead);
    run_queue::switch(false);
    drop(irq);
    unreachable!("a dead task ran")
}

/// Takes a dead task apart. Interrupts are masked.
///
/// # Safety
/// The task is dead and off its CPU, and this is the only call for it.
pub(super) unsafe fn reap(task: *const Task) {
    // SAFETY: the table still holds it.
    let pid = unsafe { (*task).pid() };
    if let Some(task) = table::remove(pid) {
        trace!(events::sched_process_free(&task));
        tracer::died(&task);
        task.reaped.store(true, Ordering::Release);
        task.exited.wake_all_quietly();
        // Here, if nobody else holds it, goes its stack.
    }
}

impl Task {
    /// Waits for the end of the task; its exit code. EDEADLK when it is the running one.
    pub(crate) fn join(&self) -> Result<i32, Errno> {
        if core::ptr::eq(self, current().as_ptr()) {
            return Err(Errno::EDEADLK);
        }
        trace!(events::sched_process_wait(self));
        self.exited.wait_until(|| self.reaped.load(Ordering::Acquire));
        Ok(self.exit_code.load(Ordering::Relaxed))
    }

    /// Moves the task to the CPUs of a mask. EINVAL when none of them is online.
    pub(crate) fn set_affinity(&self, mask: u32) -> Result<(), Errno> {
        if mask & crate::sync::online_cpus() == 0 {
            return Err(Errno::EINVAL);
        }
        run_queue::set_affinity(self, mask);
        Ok(())
    }

    /// Changes how urgent the task is.
    pub(crate) fn set_prio(&self, prio: Prio) {
        run_queue::set_prio(self, prio);
    }
}
