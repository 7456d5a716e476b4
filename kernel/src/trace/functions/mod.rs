//! The tracer `function`: a record for every function that is entered.
//!
//! ```text
//!   set_ftrace_filter, set_ftrace_notrace ──▶ filter: two sets of functions ──▶ ftrace: which sites call
//!   current_tracer = function ──▶ register(PLAIN or CHOOSY)
//!   a hit ──▶ record: { header, ip, parent_ip } ──▶ this CPU's ring ──▶ " work_add <-main"
//! ```
//!
//! There are three ops. PLAIN records and asks nothing: guard, record and ring are one function. CHOOSY takes its place while an
//! option is on or a list of tasks is there, and ARGUED where that option is `func-args` alone. CHOOSY asks in this order, and what it does not record it counts:
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
mod profile;
mod repeats;
pub(crate) mod selftest;

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
static ARGUED: Ops = Ops::guarded_by("function", argued, argued_beside);
static CHOOSY: Ops = Ops::new("function", record_chosen);
/// The registration, while the tracer is current.
static ON: Mutex<Option<Registered>> = Mutex::new(None);

per_cpu! {
    /// Calls that were not recorded because of their task.
    static UNWANTED: AtomicU64 = AtomicU64::new(0);
}

pub(super) fn init() {
    events::add_builtin(Arc::new(function_class()));
    events::add_builtin(Arc::new(stack_class()));
    events::add_builtin(Arc::new(repeats_class()));
    files::init();
    profile::init();
}

/// Takes the filters of the boot command line; `each` gives every word of an argument.
pub(super) fn filter_at_boot(each: impl Fn(&str, fn(&str) -> Result<(), Errno>)) {
    each("ftrace_filter", |word| filter::List::Filter.add_word(word));
    each("ftrace_notrace", |word| filter::List::Notrace.add_word(word));
}

fn registered() -> Result<Registered, Errno> {
    let choosy = FUNCTIONS.are_there() || STACK_TRACE.is_on() || NO_REPEATS.is_on();
    let ops = match (choosy, ARGS.is_on()) {
        (false, false) => &PLAIN,
        (false, true) => &ARGUED,
        (true, _) => &CHOOSY,
    };
    ftrace::register(ops, filter::wanted())
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
    ON.lock().as_ref().map_or(Ok(()), |on| on.set_sites(filter::wanted()))?;
    profile::refilter()?;
    graph::refilter()
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

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn argued(ip: usize, parent_ip: usize, ops: &'static Ops, regs: &mut FtraceRegs) {
    ftrace::guard(ip, parent_ip, ops, regs, |hit, regs| record_with_arguments(hit, regs));
}

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn argued_beside(hit: &Hit<'_>, regs: &mut FtraceRegs) {
    record_with_arguments(hit, regs);
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
    let header = buffer::header_before_guard(FUNCTION_ID);
    let &[a, b, c, d, e, f, g, h] = regs.args();
    let words = [header, hit.ip as u64, hit.parent_ip as u64, a, b, c, d, e, f, g, h];
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
