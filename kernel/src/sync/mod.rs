//! What the services themselves are built with: guards, locks, per-CPU data, published values, stopping CPUs.
//!
//! Everything here can be used from any task and any interrupt handler. Three questions decide which tool fits:
//!
//! | who else touches the data | tool |
//! |---|---|
//! | only this CPU, also its interrupts | [`PerCpu`] of atomics, under a [`PreemptGuard`] or [`IrqGuard`] |
//! | other CPUs, seldom, short | [`SpinLock`]: masks interrupts, never sleeps |
//! | other CPUs, while interrupting them | [`PreemptLock`]: preemption off, interrupts on |
//! | other CPUs, for long | `task::Mutex`: sleeps, so tasks only |
//! | readers in exception handlers, writers rare | [`Published`]: readers take no lock and write nothing shared |
//!
//! Lock order: a wait queue before a run queue before a timer queue; allocator locks are innermost. Nobody calls
//! out of this room with a spin lock held.
//!
//! This room lies below the scheduler and below the interrupt controller. What it needs of them (rescheduling when
//! preemption is allowed again, sleeping a little, sending an interrupt to a CPU) they put into [`Once`] slots.

pub(crate) mod bench;
mod cross;
pub(crate) mod events;
mod guard;
mod irq_work;
mod list;
mod once;
mod percpu;
mod preempt_lock;
mod published;
pub(crate) mod quiesce;
pub(crate) mod selftest;
mod spin;

pub(crate) use cross::{
    handle_call_ipi, mark_online, on_cpu, on_each_cpu, online_cpus, set_call_ipi, stop_machine,
};
pub(crate) use guard::{
    CpuPin, IrqGuard, Pinned, PreemptGuard, head, may_sleep, preempt_point, set_reschedule,
};
pub(crate) use irq_work::{IrqWork, handle_irq_work_ipi, set_irq_work_ipi};
pub(crate) use list::{Link, Linked, List};
pub(crate) use once::Once;
pub(crate) use percpu::{PerCpu, per_cpu};
pub(crate) use preempt_lock::{PreemptLock, PreemptLockGuard};
pub(crate) use published::{Keeper, Kept, Published};
pub(crate) use spin::{SpinGuard, SpinLock};
