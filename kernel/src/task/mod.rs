//! Tasks: kernel threads, the scheduler, and everything that makes a task wait or go on.
//!
//! | file | what |
//! |---|---|
//! | `tcb` | what a task is; `current` |
//! | `life` | spawn, exit, join |
//! | `table` | all tasks by number |
//! | `run_queue` | who runs: priorities, slices, wake-ups, moving between CPUs |
//! | `switch` | the change of stacks |
//! | `idle` | nothing to do |
//! | `wait`, `mutex` | waiting for each other, and for a time |
//! | `tracer` | what tracers keep per task, and when they are told of it |
//! | `stats` | how long tasks wait for a CPU |
//! | `work` | functions run later by a worker |
//! | `ksoftirqd` | softirqs that were too many to run after an interrupt |
//! | `events` | what tracers can be told of all that |
//!
//! Preemption is by priority, and by slices among equals. It happens where an interrupt returns to a task that holds
//! off nothing, and where a task lets its last guard go:
//!
//! ```text
//!   put a more urgent task on the queue ─▶ need_resched of the running task ─▶ interrupt to its CPU
//!                        interrupt returns ─▶ switch          PreemptGuard dropped ─▶ switch
//! ```
//!
//! What the CPU runs after boot becomes its idle task; the first task that is spawned is number 1.

pub(crate) mod bench;
pub(crate) mod events;
mod idle;
pub(crate) mod ksoftirqd;
mod life;
mod mutex;
mod run_queue;
pub(crate) mod selftest;
pub(crate) mod stats;
mod switch;
mod table;
mod tcb;
mod tracer;
mod wait;
pub(crate) mod work;

pub(crate) use life::{ANY_CPU, exit, spawn, spawn_on};
pub(crate) use mutex::{Mutex, MutexGuard};
pub(crate) use run_queue::{cpu_stats, idle_tasks, slice_expired};
pub(crate) use table::{MAX_TASKS, PID_MAX, count, find, list, spawned};
pub(crate) use tcb::{COMM_LEN, Prio, State, Task, TaskRef, current};
pub(crate) use tracer::{Tracer, set_tracer};
pub(crate) use wait::{Wait, WaitQueue, sleep_interruptible, sleep_ns, sleep_until};

use crate::arch::thread::ThreadHead;
use crate::arch::{self, STACK_SIZE};
use crate::exception;
use crate::irq::{self, Ipi};
use crate::jump_label;
use crate::mm;
use crate::sync::{self, may_sleep, quiesce};
use crate::text::{programs, ranges, slots};
use core::sync::atomic::Ordering;
use tcb::{Plan, TaskStack};
use tracecore::errno::Errno;

/// Lets go of the CPU: sleeps if the task's state says so, else gives the others a turn.
#[inline(never)]
pub(crate) fn schedule() {
    let task = current();
    assert!(
        may_sleep(),
        "schedule() where no task may sleep: {:?}, preempt count {:#x}",
        &*task,
        task.head.count()
    );
    loop {
        run_queue::switch(false);
        if task.head.need_resched.load(Ordering::Relaxed) == 0 {
            break;
        }
    }
}

/// Gives tasks of the same priority a turn.
pub(crate) fn yield_now() {
    schedule();
}

/// Preempts the running task if that was asked for. Called where that is allowed, interrupts on. Not traced: a tracer's
/// callback that ends calls it.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn preempt_if_asked() {
    while current().head.need_resched.load(Ordering::Relaxed) != 0 {
        run_queue::switch(true);
    }
}

/// Exit slot of interrupts: they return to a task that may be preempted and was asked to. Interrupts are masked. If the task
/// is in the slot of a probe, that slot is kept until the task is back. If it is on
/// its way from a patched branch to what that calls, it will ask again whom to call, since that one may be gone by then.
fn preempt_from_interrupt(regs: &mut exception::PtRegs) {
    if let Some(again) = ranges::restart_of(regs.pc() as usize, regs.lr() as usize) {
        regs.set_pc(again as u64);
    }
    while current().head.need_resched.load(Ordering::Relaxed) != 0 {
        let (hold, stop) = (slots::hold(regs), programs::stop(regs.pc() as usize));
        preempt_if_asked();
        // This may wake who frees slots, or trampolines.
        drop((hold, stop));
    }
}

/// Makes what the boot CPU runs its idle task, and fills the slots of lower rooms. Once, after `irq::init`.
pub(crate) fn init() -> Result<(), Errno> {
    let cpu = arch::cpu::id();
    // Any address on the boot stack; stacks are aligned to their size.
    let base = (&raw const cpu).addr() & !(STACK_SIZE - 1);
    let idle = new_idle(cpu, TaskStack::Boot { base, top: base + STACK_SIZE })?;
    // SAFETY: idle tasks are never freed; the head's count of 1 is that of the boot thread.
    unsafe { arch::thread::set_current(idle) };

    sync::set_reschedule(preempt_if_asked);
    sync::set_call_ipi(|cpu| irq::send_ipi(cpu, Ipi::CallFunction));
    sync::set_irq_work_ipi(|| irq::send_ipi(arch::cpu::id(), Ipi::IrqWork));
    jump_label::set_later(work::disable_later)?;
    quiesce::set_hooks(quiesce::Hooks { sleep_ns, wake_worker: wake_quiesce_worker });
    irq::set_ipi_handler(Ipi::Reschedule, |_| run_queue::handle_reschedule_ipi())?;
    irq::set_ipi_handler(Ipi::CallFunction, |_| sync::handle_call_ipi())?;
    irq::set_ipi_handler(Ipi::IrqWork, |_| sync::handle_irq_work_ipi())?;
    exception::set_irq_exit(preempt_from_interrupt).map_err(|_| Errno::EBUSY)?;
    give_overflow_stack(cpu)?;
    sync::mark_online(cpu);
    Ok(())
}

/// Gives CPU `cpu` the stack on which it reports that another one has overflowed.
fn give_overflow_stack(cpu: usize) -> Result<(), Errno> {
    let stack = mm::Stack::new()?;
    exception::set_overflow_stack(cpu, stack.top());
    // For as long as the CPU runs.
    core::mem::forget(stack);
    Ok(())
}

/// The idle task of CPU `cpu`.
fn new_idle(cpu: usize, stack: TaskStack) -> Result<*const ThreadHead, Errno> {
    // As Linux names them: swapper/N.
    let mut name = *b"swapper/00";
    let digits = if cpu < 10 { 1 } else { 2 };
    name[8] = b'0' + (if digits == 2 { cpu / 10 } else { cpu }) as u8;
    name[9] = b'0' + (cpu % 10) as u8;
    let task = mm::try_arc(Task::new(Plan {
        pid: 0,
        parent: 0,
        name: core::str::from_utf8(&name[..8 + digits]).unwrap_or("swapper"),
        prio: Prio::LOW,
        cpu,
        affinity: 1 << cpu,
        stack,
        idle: true,
        entry: None,
    }))?;
    // An idle task lives as long as its CPU.
    let task = alloc::sync::Arc::into_raw(task);
    run_queue::adopt_idle(cpu, task);
    Ok(task.cast())
}

/// What a secondary CPU begins with, for `boot::start_cpus`: the top of its first stack, and its idle task.
pub(crate) fn prepare_cpu(cpu: usize) -> Option<(usize, *const ThreadHead)> {
    give_overflow_stack(cpu).ok()?;
    let stack = mm::Stack::new().ok()?;
    let top = stack.top();
    Some((top, new_idle(cpu, TaskStack::Own(stack)).ok()?))
}

/// What a CPU does for the rest of its life: as its idle task it runs others. The last line of its init list.
pub(crate) fn cpu_start() -> ! {
    sync::mark_online(arch::cpu::id());
    arch::daif::unmask_irq();
    idle::run()
}

/// Who runs what was put off until after a quiet period.
static QUIESCE_WORKER: WaitQueue = WaitQueue::new();

fn wake_quiesce_worker() {
    QUIESCE_WORKER.wake_one();
}

/// Starts the kernel's own tasks. Called by the first task.
pub(crate) fn start_workers() -> Result<(), Errno> {
    work::SYSTEM.start("kworker", Prio::NORMAL)?;
    spawn(
        "quiesce",
        Prio::NORMAL,
        alloc::boxed::Box::new(|| {
            loop {
                QUIESCE_WORKER.wait_for_work(quiesce::has_deferred);
                quiesce::run_deferred();
            }
        }),
    )?;
    Ok(())
}
