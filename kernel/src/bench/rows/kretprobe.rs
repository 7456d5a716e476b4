//! Return probes: a call that is caught at its entry and at its return, and what a task pays for that.

use super::probed;
use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::Return;
use crate::rethook::{Kretprobe, Listener, Returned};
use crate::sync::CpuPin;
use alloc::sync::Arc;
use core::hint::black_box;

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "kretprobe/empty", run: empty },
    Bench { name: "kretprobe/event-record", run: |b| super::event::record(b, 'r', "insn_ret") },
    Bench {
        name: "kretprobe/event-2-args",
        run: |b| super::event::record(b, 'r', "insn_ret a=$retval b=$arg1"),
    },
];

/// Does nothing.
struct Empty;

impl Listener for Empty {
    fn exit(&self, _: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {}
}

fn empty(b: &mut Bencher) -> BenchResult {
    const REFUSED: Skip = Skip("the probe was refused");
    let insn = probed().ok_or(Skip("the function is not there"))?;
    let call = || {
        black_box(insn.call(2, 40));
    };
    b.extra(1000, call, || {
        let probe = Kretprobe::register(insn.addr(), None, Arc::new(Empty)).map_err(|_| REFUSED)?;
        probe.arm().map_err(|_| REFUSED)?;
        Ok(probe)
    })
}
