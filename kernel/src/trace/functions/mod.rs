//! The tracer `function`: a record for every function that is entered.
//!
//! ```text
//!   set_ftrace_filter, set_ftrace_notrace ──▶ filter: two sets of functions ──▶ ftrace: which sites call
//!   current_tracer = function ──▶ register(PLAIN or CHOOSY)
//!   a hit ──▶ record: { header, ip, parent_ip } ──▶ this CPU's ring ──▶ " work_add <-main"
//! ```
//!
//! There are two ops. PLAIN records and asks nothing: guard, record and ring are one function. CHOOSY takes its place while an
//! option is on or a list of tasks is there; it asks in this order, and what it does not record it counts:
//!
//! | asked | |
//! |---|---|
//! | `set_ftrace_pid`, `set_ftrace_notrace_pid` | is this task wanted? |
//! | `func-no-repeats` | is this the call before it once more? ([`repeats`]) |
//! | `func-args` | what the registers of arguments held is recorded too |
//! | `func_stack_trace` | a second record: who called |

mod commands;
mod files;
mod filter;
mod repeats;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::event::{FUNCTION_ID, function_class, repeats_class, stack_class};
use tracecore::misses::{Cause, Layer, Table};

use super::pids::FUNCTIONS;
use super::tracers::{Tracer, TracerOption};
use super::{buffer, comms, events, graph, rings, stack};
use crate::ftrace::{self, FtraceRegs, Hit, Ops, Registered};
use crate::sync::per_cpu;
use crate::task::{self, Mutex};

pub(super) use filter::{name, select, wanted};

pub(super) static TRACER: Tracer =
    Tracer { name: "function", start, stop, options: &[&STACK_TRACE, &NO_REPEATS, &ARGS] };

static STACK_TRACE: TracerOption = TracerOption::new("func_stack_trace", false, choose);
static NO_REPEATS: TracerOption = TracerOption::new("func-no-repeats", false, choose);
static ARGS: TracerOption = TracerOption::new("func-args", false, choose);

static PLAIN: Ops = Ops::guarded_by("function", plain, record_alone);
static CHOOSY: Ops = Ops::new("function", record_chosen);
/// The registration, while the tracer is current.
static ON: Mutex<Option<Registered>> = Mutex::new(None);

per_cpu! {
    /// Calls that were not recorded because of their task.
    static UNWANTED: AtomicU64 = AtomicU64::new(0);
}

/// Registers of arguments.
const ARGUMENTS: usize = 8;

pub(super) fn init() {
    events::add_builtin(Arc::new(function_class()));
    events::add_builtin(Arc::new(stack_class()));
    events::add_builtin(Arc::new(repeats_class()));
    files::init();
}

fn registered() -> Result<Registered, Errno> {
    let choosy =
        FUNCTIONS.are_there() || [&STACK_TRACE, &NO_REPEATS, &ARGS].iter().any(|option| option.is_on());
    ftrace::register(if choosy { &CHOOSY } else { &PLAIN }, filter::wanted())
}

fn start() -> Result<(), Errno> {
    *ON.lock() = Some(registered()?);
    Ok(())
}

fn stop() {
    *ON.lock() = None;
}

/// An option or a list of tasks has changed: the right one of the two ops, if any is registered.
fn choose() -> Result<(), Errno> {
    let mut on = ON.lock();
    if on.take().is_some() {
        *on = Some(registered()?);
    }
    Ok(())
}

/// The lists of tasks are to be asked, or no longer.
pub(super) fn guard(_: bool) -> Result<(), Errno> {
    graph::choose()?;
    choose()
}

/// The filter has changed.
fn refilter() -> Result<(), Errno> {
    graph::refilter()?;
    ON.lock().as_ref().map_or(Ok(()), |on| on.set_sites(filter::wanted()))
}

/// What a site calls that has no other listener. Not traced: it would only miss itself.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn plain(ip: usize, parent_ip: usize, ops: &'static Ops, regs: &mut FtraceRegs) {
    ftrace::guard(ip, parent_ip, ops, regs, |hit, _| record(hit));
}

/// The same for a site that has others.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn record_alone(hit: &Hit<'_>, _: &mut FtraceRegs) {
    record(hit);
}

/// A record that is not taken is counted by the ring.
#[inline(always)]
fn record(hit: &Hit<'_>) {
    comms::note();
    let words = [buffer::header_before_guard(FUNCTION_ID), hit.ip as u64, hit.parent_ip as u64];
    let _ = buffer::write_words_here(hit, &words);
}

/// Not traced: it would only miss itself.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn record_chosen(hit: &Hit<'_>, regs: &mut FtraceRegs) {
    if FUNCTIONS.are_there() && !FUNCTIONS.want(task::current().pid()) {
        UNWANTED.this_cpu(hit).fetch_add(1, Ordering::Relaxed);
        return;
    }
    if NO_REPEATS.is_on() && repeats::is_one(hit) {
        return;
    }
    if ARGS.is_on() {
        record_with_arguments(hit, regs);
    } else {
        record(hit);
    }
    if STACK_TRACE.is_on() {
        stack::of_function(hit, regs);
    }
}

#[inline(always)]
fn record_with_arguments(hit: &Hit<'_>, regs: &FtraceRegs) {
    comms::note();
    let mut words = [0; 3 + ARGUMENTS];
    (words[0], words[1], words[2]) =
        (buffer::header_before_guard(FUNCTION_ID), hit.ip as u64, hit.parent_ip as u64);
    words[3..].copy_from_slice(regs.args());
    let _ = buffer::write_words_here(hit, &words);
}

/// Adds the calls that the tracer saw and did not record.
pub(super) fn misses(table: &mut Table) {
    let unwanted = rings::cpus().map(|cpu| UNWANTED.on(cpu).load(Ordering::Relaxed)).sum();
    for (owner, count) in [("set_ftrace_pid", unwanted), ("func-no-repeats", repeats::untold())] {
        if count > 0 {
            table.add(Layer::Ftrace, owner, Cause::Filtered, count);
        }
    }
}
