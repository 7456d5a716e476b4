//! The options of `function_graph`, in Linux's order.
//!
//! Most say how records are shown, and can be changed before the same trace is read again. Those that say what is recorded are
//! in the second list: they make the recorder look closer ([`super::choice`]).

use tracecore::errno::Errno;
use tracecore::graph::GraphStyle;

use super::choice;
use crate::arch::cpu;
use crate::irq;
use crate::trace::options::Opt;
use crate::trace::tracers::TracerOption;

const fn shown(name: &'static str, on: bool) -> TracerOption {
    const fn nothing() -> Result<(), Errno> {
        Ok(())
    }
    TracerOption::new(name, on, nothing)
}

const fn recorded(name: &'static str, on: bool) -> TracerOption {
    TracerOption::new(name, on, choice::choose)
}

static OVERRUN: TracerOption = shown("funcgraph-overrun", false);
static CPU: TracerOption = shown("funcgraph-cpu", true);
static OVERHEAD: TracerOption = shown("funcgraph-overhead", true);
static PROC: TracerOption = shown("funcgraph-proc", false);
static DURATION: TracerOption = shown("funcgraph-duration", true);
static ABSTIME: TracerOption = shown("funcgraph-abstime", false);
static TAIL: TracerOption = shown("funcgraph-tail", false);
static RETVAL: TracerOption = shown("funcgraph-retval", false);
static RETVAL_HEX: TracerOption = shown("funcgraph-retval-hex", false);

/// Are functions that interrupts call recorded?
pub(super) static IRQS: TracerOption = recorded("funcgraph-irqs", true);
/// Where a call will return to.
pub(super) static RETADDR: TracerOption = recorded("funcgraph-retaddr", false);
/// Registers of arguments.
pub(super) static ARGS: TracerOption = recorded("funcgraph-args", false);
/// Does a call's time go on while its task has no CPU?
pub(super) static SLEEP_TIME: TracerOption = recorded("sleep-time", true);

/// All of them.
pub(super) static OPTIONS: &[&TracerOption] = &[
    &OVERRUN,
    &CPU,
    &OVERHEAD,
    &PROC,
    &DURATION,
    &ABSTIME,
    &IRQS,
    &TAIL,
    &RETVAL,
    &RETVAL_HEX,
    &RETADDR,
    &ARGS,
    &SLEEP_TIME,
];

/// How the graph is to be shown.
pub(in crate::trace) fn style() -> GraphStyle {
    let irq = irq::entry() as u64;
    GraphStyle {
        overrun: OVERRUN.is_on(),
        cpu: CPU.is_on(),
        overhead: OVERHEAD.is_on(),
        proc: PROC.is_on(),
        duration: DURATION.is_on(),
        abstime: ABSTIME.is_on(),
        irqs: IRQS.is_on(),
        tail: TAIL.is_on(),
        retval: RETVAL.is_on(),
        retval_hex: RETVAL_HEX.is_on(),
        context: Opt::Context.is_on(),
        cpus: cpu::online(),
        irq_entries: irq..irq + 1,
    }
}
