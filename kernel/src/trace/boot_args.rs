//! What the boot command line has traced from the start.
//!
//! | argument | as if written to |
//! |---|---|
//! | `trace_event=sched:sched_switch,irq` | `set_event`, each |
//! | `ftrace_filter=work_*,task::*` | `set_ftrace_filter`, each; commands, too |
//! | `ftrace_notrace=…` | `set_ftrace_notrace`, each |
//! | `ftrace=function` | `current_tracer` |
//! | `trace_options=sym-offset,func-args` | `trace_options`, each; behind the tracer, which has options of its own |
//!
//! What is refused is told in the kernel log, and does not keep the rest out. Probes have
//! `kprobe_event=`.

use tracecore::errno::Errno;

use super::{events, functions, options, tracers};
use crate::boot;

/// Each word of an argument; what is refused is told.
fn each(name: &str, mut run: impl FnMut(&str) -> Result<(), Errno>) {
    for word in boot::info().arg(name).into_iter().flat_map(|words| words.split(',')) {
        if !word.is_empty()
            && let Err(e) = run(word)
        {
            log::warn!("{name}={word}: {}", e.strerror());
        }
    }
}

/// Once, when every file of the tracing tree is there.
pub(super) fn run() {
    each("trace_event", events::set_event);
    functions::filter_at_boot(each);
    each("ftrace", tracers::set_current);
    each("trace_options", options::set_by_name);
}
