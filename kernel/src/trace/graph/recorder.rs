//! What is recorded of a call, at its entry and at its return.
//!
//! Two words are kept between them: when the call began, and how deep it is, with a mark if it is not shown but only
//! keeps what it calls from being shown.

use tracecore::event::{GRAPH_ENTRY_ID, GRAPH_EXIT_ID, GRAPH_RETADDR_ENTRY_ID};

use super::choice::{self, List, Wants};
use crate::arch::thread::{self, HARDIRQ_MASK};
use crate::ftrace::FtraceRegs;
use crate::ftrace::graph::{Call, Returned, Verdict};
use crate::ftrace::regs::{Entry, Return};
use crate::rethook::{self, Listener};
use crate::sync::CpuPin;
use crate::task;
use crate::time;
use crate::trace::pids::FUNCTIONS;
use crate::trace::{buffer, clock, comms};

/// The tracer's listener.
pub(super) struct Recorder;

/// Words that are kept of a call.
const WORDS: usize = 2;
/// In the second: the depth, and above that marks.
const DEPTH: u64 = u32::MAX as u64;
/// Neither this call is recorded nor what it calls.
const SILENT: u64 = 1 << 32;
/// The first word is of the time that the task had a CPU.
const ON_CPU: u64 = 1 << 33;

/// Registers of arguments.
const ARGUMENTS: usize = 8;

impl Listener for Recorder {
    #[inline(always)]
    fn enter(&self, call: &Call<'_>, regs: &mut FtraceRegs<Entry>, data: &mut [u64]) -> Verdict {
        let &mut [ref mut began, ref mut depth_marks] = data else { return Verdict::Decline };
        let around = call.caller_data().and_then(|data| data.get(1)).copied();
        let depth = around.map_or(0, |around| (around & DEPTH) + 1);
        let wants = Wants::now();
        if wants.is_plain() && around.is_none_or(|around| around & SILENT == 0) {
            comms::note();
            let words = [header(GRAPH_ENTRY_ID, call), call.function(), depth];
            let now = clock::now();
            if buffer::write_words_at(call, &words, now).is_err() {
                // The ring counts what it does not take; a return without an entry would tell nothing.
                return Verdict::Decline;
            }
            *depth_marks = depth;
            *began = now;
            return Verdict::Keep;
        }
        match choosy(wants, around, depth, call, regs) {
            Some(kept) => {
                [*began, *depth_marks] = kept;
                Verdict::Keep
            }
            None => Verdict::Decline,
        }
    }

    #[inline(always)]
    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        let now = clock::now();
        let &[mut began, depth_marks] = returned.data() else { return };
        if depth_marks & (SILENT | ON_CPU) != 0 {
            if depth_marks & SILENT != 0 {
                return;
            }
            began = now.wrapping_sub(on_cpu_ns().wrapping_sub(began));
        }
        let overrun = u64::from(rethook::overruns(pin)) << 32;
        let words = [
            buffer::header_masked(GRAPH_EXIT_ID, regs.irqs_were_masked(), 0),
            returned.function(),
            regs.return_value(),
            depth_marks & DEPTH | overrun,
            began,
            now,
        ];
        // A record that is not taken is counted by the ring.
        let _ = buffer::write_words_at(pin, &words, now);
    }

    fn data_words(&self) -> usize {
        WORDS
    }

    fn name(&self) -> &str {
        super::TRACER.name
    }
}

#[inline(always)]
fn header(id: u16, call: &Call<'_>) -> u64 {
    buffer::header_masked(id, call.irqs_were_masked(), call.guards())
}

/// How long the running task has had a CPU, in all.
fn on_cpu_ns() -> u64 {
    let task = task::current();
    task.ran_ns() + time::local_clock_ns().saturating_sub(task.runs_since_ns())
}

/// The entry of a call of which something is to be asked: what to keep of it, if it is to be told of its return.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
#[inline(never)]
fn choosy(
    wants: Wants,
    around: Option<u64>,
    depth: u64,
    call: &Call<'_>,
    regs: &FtraceRegs<Entry>,
) -> Option<[u64; WORDS]> {
    if around.is_some_and(|around| around & SILENT != 0) {
        return None;
    }
    if wants.has(Wants::NOT) && List::Not.has(call.function(), call) {
        return Some([0, depth | SILENT]);
    }
    let in_irq = || thread::current().count() & HARDIRQ_MASK != 0;
    if wants.has(Wants::ONLY) && around.is_none() && !List::Only.has(call.function(), call)
        || wants.has(Wants::DEPTH) && choice::is_too_deep(depth)
        || wants.has(Wants::NO_IRQS) && in_irq()
        || wants.has(Wants::PIDS) && !FUNCTIONS.want(task::current().pid())
    {
        return None;
    }
    comms::note();
    record(wants, depth, call, regs)?;
    let (began, mark) = if wants.has(Wants::NO_SLEEP) { (on_cpu_ns(), ON_CPU) } else { (clock::now(), 0) };
    Some([began, depth | mark])
}

/// Records the entry with what options ask for; nothing if the ring does not take it.
#[inline(always)]
fn record(wants: Wants, depth: u64, call: &Call<'_>, regs: &FtraceRegs<Entry>) -> Option<()> {
    let mut words = [0; 4 + ARGUMENTS];
    let mut len = 3;
    let id = if wants.has(Wants::RETADDR) { GRAPH_RETADDR_ENTRY_ID } else { GRAPH_ENTRY_ID };
    (words[0], words[1], words[2]) = (header(id, call), call.function(), depth);
    if wants.has(Wants::RETADDR) {
        words[3] = call.returns_to();
        len = 4;
    }
    if wants.has(Wants::ARGS) {
        for n in 0..ARGUMENTS {
            words[len + n] = regs.arg(n).unwrap_or_default();
        }
        len += ARGUMENTS;
    }
    buffer::write_words(call, words.get(..len)?).ok()
}
