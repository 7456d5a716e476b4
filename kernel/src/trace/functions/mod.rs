//! The tracer `function`: a record for every function that is entered.
//!
//! ```text
//!   set_ftrace_filter, set_ftrace_notrace ──▶ filter: two sets of functions ──▶ ftrace: which sites call OPS
//!   current_tracer = function ──▶ register(OPS)
//!   a hit ──▶ record: { header, ip, parent_ip } ──▶ this CPU's ring ──▶ " work_add <-main"
//! ```

mod commands;
mod files;
mod filter;

use alloc::sync::Arc;

use tracecore::errno::Errno;
use tracecore::event::{FUNCTION_ID, function_class, stack_class};

use super::tracers::Tracer;
use super::{buffer, comms, events};
use crate::ftrace::{self, FtraceRegs, Hit, Ops, Registered};
use crate::task::Mutex;

pub(super) static TRACER: Tracer = Tracer { name: "function", start, stop };

static OPS: Ops = Ops::new("function", record);
/// The registration, while the tracer is current.
static ON: Mutex<Option<Registered>> = Mutex::new(None);

pub(super) fn init() {
    events::add_builtin(Arc::new(function_class()));
    events::add_builtin(Arc::new(stack_class()));
    files::init();
}

fn start() -> Result<(), Errno> {
    let mut on = ON.lock();
    *on = Some(ftrace::register(&OPS, filter::wanted())?);
    Ok(())
}

fn stop() {
    *ON.lock() = None;
}

/// The filter has changed.
fn refilter() -> Result<(), Errno> {
    ON.lock().as_ref().map_or(Ok(()), |on| on.set_sites(filter::wanted()))
}

/// The callback. Not traced: it would only miss itself.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn record(hit: &Hit<'_>, _: &mut FtraceRegs) {
    comms::note();
    let words = [buffer::header_before_guard(FUNCTION_ID), hit.ip as u64, hit.parent_ip as u64];
    // A record that is not taken is counted by the ring.
    let _ = buffer::write_words(hit, &words);
}
