//! Tracepoints: places in the kernel's own code at which others may listen, for the price of one NOP.
//!
//! ```text
//!   trace!(sched_switch(preempt, prev, next));
//!
//!   site       nop ──(somebody listens)──▶ b 1f
//!   …                                      1: function, data ◀─ target        out of line, not even the arguments are
//!                                             arguments to registers          evaluated while nobody listens
//!                                             blr function
//!                                             b back
//!
//!              target                       who listens           what it does
//!              ├─ none                      nobody (any more)     returns
//!              ├─ a probe's own             one, never freed      is the probe: the call is direct
//!              └─ walk                      anybody else          pins the task, calls each probe of the list
//! ```
//!
//! The list is replaced whole and published; the old one is freed after a quiet point. So who comes by while it is
//! changed finds the old list or the new one, and each probe of it once. A probe that is dropped was called for the
//! last time when the drop returns: it waits for a quiet point too.
//!
//! The direct call has no pin, so its target and its data live for ever (`&'static`). A task that was preempted between
//! the load of the target and the jump may still get there once after the probe was removed; such a probe looks, pinned,
//! whether it is still wanted. The recorder of events does.
//!
//! A probe may itself do what fires tracepoints. Where that leads back to itself, the walk ends after [`MAX_WALKS`] rounds, and
//! what was not told is counted.
//!
//! | file | what |
//! |---|---|
//! | `point` | the tracepoint: its probes, its key |
//! | `macros` | `trace_event!`, `event_class!`, `event!`, `tracepoint!`, `trace!`, `trace_enabled!` |
//! | `event` | what an event adds: fields, `print fmt`, the record that its function fills |
//! | `c` | the C types of fields |
//! | `raw` | listeners that take the arguments as words |
//!
//! # An event
//!
//! is a tracepoint with a class: the layout of its record, how the record is filled from the arguments, and how it is
//! shown. One declaration says it all, beside the code that fires it:
//!
//! ```ignore
//! trace_event! {
//!     /// A task got another name.
//!     task:task_rename(task: &Task, comm: &[u8; 16]) {
//!         pid: pid_t = task.pid() as i32,
//!         oldcomm: [char; 16] = task.comm(),
//!         newcomm: [char; 16] = *comm,
//!         oom_score_adj: short = 0,
//!     }
//!     print r#""pid=%d oldcomm=%s newcomm=%s oom_score_adj=%hd", REC->pid, REC->oldcomm, REC->newcomm, REC->oom_score_adj"#
//! }
//! ```
//!
//! From it come the call `trace!(task_rename(task, &comm))`, the `format` file, the record and its text. The record is
//! handed to a [`Sink`] that a higher room has put into the event. Names and layouts are Linux's where Linux has the event
//! (`include/trace/events/`), so programs that know those events know ours.

pub(crate) mod c;
mod event;
mod macros;
mod point;
pub(crate) mod raw;
pub(crate) mod selftest;

pub(crate) use event::{Content, Event, EventClass, FieldSpec, Record, Sink, Tail, tap};
pub(crate) use macros::{
    define_class, define_event, define_point, event, event_class, trace, trace_enabled, trace_event,
    tracepoint,
};
pub(crate) use point::{MAX_WALKS, Registration, Target, Tracepoint, all, find, own};
