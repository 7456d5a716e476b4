//! The graph: an entry and a return, with a listener that does nothing, with two, and recorded.

use super::event::write;
use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::ftrace::graph::{Call, Graph, Returned, Verdict};
use crate::ftrace::regs::{Entry, Return};
use crate::ftrace::{FtraceRegs, SiteSet, site_of};
use crate::ksyms;
use crate::rethook::Listener;
use crate::sync::CpuPin;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "fgraph/entry-exit-empty", run: |b| users(b, 1) },
    Bench { name: "fgraph/two-users-empty", run: |b| users(b, 2) },
    Bench { name: "fgraph/record", run: record },
];

/// Does nothing, at both ends.
struct Empty;

impl Listener for Empty {
    #[inline(always)]
    fn enter(&self, _: &Call<'_>, _: &mut FtraceRegs<Entry>, _: &mut [u64]) -> Verdict {
        Verdict::Keep
    }

    #[inline(always)]
    fn exit(&self, _: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {}
}

#[inline(never)]
fn traced() {
    black_box(());
}

fn at() -> usize {
    (traced as fn() as *const ()).addr()
}

fn users(b: &mut Bencher, count: usize) -> BenchResult {
    let site = site_of(at()).ok_or(Skip("the function has no site"))?;
    b.extra(
        1000,
        || black_box(traced as fn())(),
        || {
            (0..count)
                .map(|_| {
                    Graph::register("bench_graph", Arc::new(Empty), SiteSet::of([site]))
                        .map_err(|_| Skip("not registered"))
                })
                .collect::<Result<Vec<_>, _>>()
        },
    )
}

/// The tracer `function_graph`: two records in the ring.
fn record(b: &mut Bencher) -> BenchResult {
    let name = ksyms::by_addr(at()).ok_or(Skip("the function has no name"))?.name;
    b.extra(
        1000,
        || black_box(traced as fn())(),
        || {
            write("set_ftrace_filter", name)?;
            write("current_tracer", "function_graph").map(|()| Undo)
        },
    )
}

/// Leaves no tracer and no filter behind.
struct Undo;

impl Drop for Undo {
    fn drop(&mut self) {
        // What cannot be undone shows in the rows that follow.
        let _ = write("current_tracer", "nop");
        let _ = write("set_ftrace_filter", "!*");
    }
}
