//! What tracing did not record, for the program `misses`.

use alloc::format;
use tracecore::misses::{Cause, Layer, Table};

use super::{functions, gate, graph, kprobe_events, rings, tracepoints};

/// Adds the misses of probes, of events and of each CPU's ring.
pub(crate) fn misses(table: &mut Table) {
    kprobe_events::misses(table);
    tracepoints::misses(table);
    gate::misses(table);
    functions::misses(table);
    graph::misses(table);
    for cpu in rings::cpus() {
        let totals = rings::totals(cpu);
        let causes = [
            (Cause::Overwritten, totals.overrun),
            (Cause::Full, totals.dropped),
            (Cause::Unfinished, totals.commit_overrun),
            (Cause::Contended, totals.contended),
            (Cause::TooLong, totals.too_long),
            (Cause::Discarded, totals.discarded),
        ];
        for (cause, count) in causes {
            table.add(Layer::Ring, &format!("cpu{cpu}"), cause, count);
        }
    }
}
