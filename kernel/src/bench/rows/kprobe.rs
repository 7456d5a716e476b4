//! Probe points with an empty handler, and many of them.

use super::probed;
use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::exception::PtRegs;
use crate::ftrace::regs::Entry;
use crate::ftrace::{self, FtraceRegs};
use crate::kprobes::{self, EntryHandler, Flow, Handler, Kprobe};
use crate::sync::CpuPin;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "kprobe/boosted-empty", run: |b| hit(b, 0, Empty { post: false }) },
    Bench { name: "kprobe/brk-empty", run: |b| hit(b, 0, Empty { post: true }) },
    Bench { name: "kprobe/simulated-empty", run: |b| hit(b, 4, Empty { post: false }) },
    Bench { name: "kprobe/ftrace-empty", run: at_entry },
    Bench { name: "kprobe/arm-1000", run: arm_1000 },
];

/// Does nothing, and needs nothing for it.
struct EmptyAtEntry;

impl Handler for EmptyAtEntry {
    fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
        Flow::Continue
    }

    fn at_entry(&self) -> Option<&(dyn EntryHandler + 'static)> {
        Some(self)
    }
}

impl EntryHandler for EmptyAtEntry {
    fn hit(&self, _: u64, _: &FtraceRegs<Entry>, _: &CpuPin) {}
}

#[inline(never)]
fn traced() {
    black_box(());
}

/// A probe at the entry of a function, by the function's site.
fn at_entry(b: &mut Bencher) -> BenchResult {
    let call = traced as fn();
    b.extra(
        1000,
        || black_box(call)(),
        || {
            let addr = (call as *const ()).addr();
            let probe = Kprobe::register(addr, Arc::new(EmptyAtEntry)).map_err(|_| REFUSED)?;
            probe.arm().map_err(|_| REFUSED)?;
            Ok(probe)
        },
    )
}

/// Does nothing, before the word and perhaps after it.
struct Empty {
    post: bool,
}

impl Handler for Empty {
    fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
        Flow::Continue
    }

    fn has_post(&self) -> bool {
        self.post
    }
}

const REFUSED: Skip = Skip("the probe was refused");

/// What a hit at this offset of the probed function adds to a call of it.
fn hit(b: &mut Bencher, offset: usize, handler: Empty) -> BenchResult {
    let insn = probed().ok_or(Skip("the function is not there"))?;
    let call = || {
        black_box(insn.call(2, 40));
    };
    let handler = Arc::new(handler);
    b.extra(1000, call, || {
        let probe = Kprobe::register(insn.addr() + offset, handler.clone()).map_err(|_| REFUSED)?;
        probe.arm().map_err(|_| REFUSED)?;
        Ok(probe)
    })
}

/// Arms probes on a thousand functions at once; per probe. Some of the functions run meanwhile and are hit.
fn arm_1000(b: &mut Bencher) -> BenchResult {
    const PROBES: usize = 1000;
    let handler: Arc<dyn Handler> = Arc::new(Empty { post: false });
    let probes: Vec<_> = ftrace::sites()
        .filter_map(|site| Kprobe::register(site.after(), handler.clone()).ok())
        .take(PROBES)
        .collect();
    if probes.len() < PROBES {
        return Err(Skip("less than a thousand functions can be probed"));
    }
    let all: Vec<_> = probes.iter().collect();
    let mut armed = Ok(());
    b.once(PROBES as u64, || armed = kprobes::arm_all(&all));
    let disarmed = kprobes::disarm_all(&all);
    armed.and(disarmed).map_err(|_| REFUSED)
}
