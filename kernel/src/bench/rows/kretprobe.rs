//! Return probes: a call that is caught at its entry and at its return, and what a task pays for that.

use super::probed;
use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::Return;
use crate::rethook::{Kretprobe, Listener, Returned};
use crate::sync::CpuPin;
use crate::workload::work_add;
use alloc::sync::Arc;
use core::hint::black_box;

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "kretprobe/empty", run: empty },
    Bench { name: "kretprobe/brk-empty", run: brk_empty },
    Bench { name: "kretprobe/event-record", run: |b| record(b, "work_add") },
    Bench { name: "kretprobe/event-2-args", run: |b| record(b, "work_add a=$retval b=$arg1") },
];

/// Does nothing.
struct Empty;

impl Listener for Empty {
    fn exit(&self, _: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {}
}

fn armed(addr: usize) -> Result<Kretprobe, Skip> {
    const REFUSED: Skip = Skip("the probe was refused");
    let probe = Kretprobe::register(addr, None, Arc::new(Empty)).map_err(|_| REFUSED)?;
    probe.arm().map_err(|_| REFUSED)?;
    Ok(probe)
}

/// A function with a patchable entry, as every function of the kernel but those in assembly: no exception.
fn empty(b: &mut Bencher) -> BenchResult {
    let f = work_add as extern "C" fn(u64, u64) -> u64;
    let call = || {
        black_box(black_box(f)(2, 40));
    };
    b.extra(1000, call, || armed((f as *const ()).addr()))
}

/// One without: a breakpoint.
fn brk_empty(b: &mut Bencher) -> BenchResult {
    let insn = probed().ok_or(Skip("the function is not there"))?;
    let call = || {
        black_box(insn.call(2, 40));
    };
    b.extra(1000, call, || armed(insn.addr()))
}

/// An event at the return of a function with a patchable entry.
fn record(b: &mut Bencher, probe: &str) -> BenchResult {
    let f = black_box(work_add as extern "C" fn(u64, u64) -> u64);
    super::event::record_calls(b, 'r', probe, || {
        black_box(black_box(f)(2, 40));
    })
}
