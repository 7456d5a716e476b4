//! The tracer `function_graph`: a record at the entry and one at the return of every function, shown as a tree.
//!
//! ```text
//!   set_ftrace_filter, set_ftrace_notrace ──▶ which sites ──▶ ftrace::graph: RECORDER is told of entries and returns
//!   set_graph_function, set_graph_notrace,
//!   max_graph_depth, options ─────────────▶ choice: which of these calls are recorded, and how
//!
//!   entry ──▶ { header, func, depth }                                     funcgraph_entry ─┐
//!   return ─▶ { header, func, retval, depth, overrun, calltime, rettime } funcgraph_exit ──┴▶ tracecore::graph: text
//! ```
//!
//! How deep a call is, and when it began, is kept on the task's shadow stack from its entry to its return. A call's depth
//! is that of the innermost call under way and one more; so it is right wherever tracing began.
//!
//! | file | what |
//! |---|---|
//! | `recorder` | the two records |
//! | `choice` | which calls are recorded; the files that say so |
//! | `options` | `funcgraph-…`, `sleep-time` |

mod choice;
mod options;
mod recorder;
pub(crate) mod selftest;

use alloc::sync::Arc;

use tracecore::errno::Errno;
use tracecore::event::{graph_entry_class, graph_exit_class, graph_retaddr_entry_class};
use tracecore::misses::{Cause, Layer, Table};

use super::tracers::Tracer;
use super::{events, functions};
use crate::ftrace::graph::Graph;
use crate::rethook::Missed;
use crate::task::Mutex;
use recorder::Recorder;

pub(super) use choice::choose;
pub(super) use options::style;

pub(super) static TRACER: Tracer = Tracer { name: "function_graph", start, stop, options: options::OPTIONS };

/// The registration, while the tracer is current, and what those before missed.
static ON: Mutex<(Option<Graph>, Missed)> =
    Mutex::new((None, Missed { active: 0, room: 0, storage: 0, in_handler: 0 }));

pub(super) fn init() {
    for class in [graph_entry_class(), graph_retaddr_entry_class(), graph_exit_class()] {
        events::add_builtin(Arc::new(class));
    }
    choice::init();
}

fn start() -> Result<(), Errno> {
    choose()?;
    let graph = Graph::register(TRACER.name, Arc::new(Recorder), functions::wanted())?;
    ON.lock().0 = Some(graph);
    Ok(())
}

fn stop() {
    let mut on = ON.lock();
    if let Some(graph) = on.0.take() {
        let missed = graph.missed();
        on.1 += missed;
    }
}

/// `set_ftrace_filter` or `set_ftrace_notrace` has changed.
pub(super) fn refilter() -> Result<(), Errno> {
    ON.lock().0.as_ref().map_or(Ok(()), |graph| graph.set_sites(functions::wanted()))
}

/// Adds the calls that it was not told of.
pub(super) fn misses(table: &mut Table) {
    let on = ON.lock();
    let mut missed = on.1;
    missed += on.0.as_ref().map(Graph::missed).unwrap_or_default();
    for (cause, count) in [
        (Cause::NoInstance, missed.no_instance()),
        (Cause::NoMemory, missed.storage),
        (Cause::InHandler, missed.in_handler),
    ] {
        table.add(Layer::Ftrace, TRACER.name, cause, count);
    }
}
