//! Trace events: what is recorded, where it goes, and the files that show it.
//!
//! ```text
//!   kprobe hit ──▶ Recorder (kprobe_events) ──┐
//!   tracepoint ──▶ Channel (tracepoints) ─────┤
//!   write(2) ────▶ trace_marker ──────────────┼─▶ buffer: this CPU's ring ──▶ trace (output), trace_pipe (pipe)
//!                                             │      header word, fields          merged by time, printed
//!   enable ◀── events/GROUP/EVENT/enable      │                                   by the event's class
//! ```
//!
//! | file | what |
//! |---|---|
//! | `rings`  | a ring per CPU: published, kept, resized, waited for |
//! | `buffer` | the way into this CPU's ring; the header of a record |
//! | `clock`  | what stamps records |
//! | `sizes`  | the files of the rings: sizes, switches, counts |
//! | `options` | how records are shown and made |
//! | `events` | every event there is: its class, its switch, its directory |
//! | `kprobe_events` | probes defined by text |
//! | `tracepoints` | events declared in code |
//! | `filters`, `pids` | which records of an event are kept, and of which tasks |
//! | `gate`   | where both are asked |
//! | `tracers` | who else fills the rings: `current_tracer` |
//! | `functions` | the tracer `function`, its filters, and commands |
//! | `graph` | the tracer `function_graph` |
//! | `stack`  | records of who called |
//! | `dump`   | the rings' records in the kernel log |
//! | `counter` | counts of handlers |
//! | `marker` | records that users write |
//! | `comms`  | names of tasks for records that outlive them |
//! | `output`, `pipe` | records as text |
//! | `readme` | the help |
//! | `errors` | the last refused commands |
//! | `boot_args` | what is traced from the start |
//! | `misses` | what was not recorded |
//! | `nested` | a storm of records, for tests |
//! | `names`  | addresses and names, for those who print and parse |

mod boot_args;
mod buffer;
mod clock;
mod comms;
mod counter;
mod dump;
mod errors;
mod events;
mod filters;
pub(crate) mod functions;
mod gate;
pub(crate) mod graph;
pub(crate) mod kprobe_events;
mod marker;
mod misses;
mod names;
pub(crate) mod nested;
mod options;
mod output;
mod pids;
mod pipe;
mod readme;
mod rings;
pub(crate) mod selftest;
mod sizes;
mod stack;
mod tracepoints;
mod tracers;

use tracecore::errno::Errno;

pub(crate) use kprobe_events::EventProbe;
pub(crate) use misses::misses;
pub(crate) use tracepoints::stage;

/// Switches an event on, `GROUP:EVENT`.
///
/// # Errors
/// EINVAL: there is none; those of its source.
pub(crate) fn enable_event(name: &str) -> Result<(), Errno> {
    events::set_event(name)
}

/// Makes the rings and the files. Once, when there is a heap and tasks can run.
pub(crate) fn init() -> Result<(), Errno> {
    rings::init()?;
    sizes::init();
    clock::init();
    options::init();
    comms::init();
    events::init();
    output::init();
    pids::init();
    readme::init();
    marker::init();
    functions::init();
    graph::init();
    tracers::init();
    errors::init();
    kprobe_events::init();
    tracepoints::init()?;
    boot_args::run();
    Ok(())
}
