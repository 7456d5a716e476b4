//! fprobes: a handler at a function's entry, at its return, and at both.

use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::ftrace::FtraceRegs;
use crate::ftrace::fprobe::{At, Ends, Fprobe, Handler, Returned, Verdict, by_glob};
use crate::ftrace::regs::{Entry, Return};
use crate::sync::CpuPin;
use crate::workload::work_add;
use alloc::sync::Arc;
use core::hint::black_box;

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "fprobe/entry-empty", run: |b| hit(b, Ends::Entry) },
    Bench { name: "fprobe/exit-empty", run: |b| hit(b, Ends::Exit) },
    Bench { name: "fprobe/both", run: |b| hit(b, Ends::Both) },
    Bench { name: "fprobe/event-record", run: |b| record(b, "work_add") },
    Bench { name: "fprobe/event-record-return", run: |b| record(b, "work_add%return") },
];

/// Does nothing.
struct Empty;

impl Handler for Empty {
    #[inline(always)]
    fn entry(&self, _: At, _: &mut FtraceRegs<Entry>, _: &mut [u64], _: &CpuPin) -> Verdict {
        Verdict::Keep
    }

    #[inline(always)]
    fn exit(&self, _: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {}
}

fn hit(b: &mut Bencher, ends: Ends) -> BenchResult {
    let f = black_box(work_add as extern "C" fn(u64, u64) -> u64);
    let call = || {
        black_box(black_box(f)(2, 40));
    };
    b.extra(1000, call, || {
        Fprobe::register(Arc::new(Empty), ends, by_glob("work_add", None)).map_err(|_| Skip("not registered"))
    })
}

/// An event of a function.
fn record(b: &mut Bencher, place: &str) -> BenchResult {
    let f = black_box(work_add as extern "C" fn(u64, u64) -> u64);
    super::event::record_calls(b, 'f', place, || {
        black_box(black_box(f)(2, 40));
    })
}
