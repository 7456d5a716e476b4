//! The rows, by mechanism.

mod bpf;
mod bpf_attach;
mod bpf_maps;
mod event;
mod fgraph;
mod filter;
mod fprobe;
mod ftrace;
mod kprobe;
mod kretprobe;
pub(super) mod machine;
mod ring;
mod static_key;
mod text;
mod tracepoint;

use super::Bench;
use crate::workload::{INSN, InsnWorkload};

/// Every table of rows.
pub(super) const ROOMS: &[&[Bench]] = &[
    machine::BENCHES,
    text::BENCHES,
    static_key::BENCHES,
    tracepoint::BENCHES,
    ring::BENCHES,
    ftrace::BENCHES,
    fgraph::BENCHES,
    fprobe::BENCHES,
    kprobe::BENCHES,
    kretprobe::BENCHES,
    bpf::BENCHES,
    bpf_maps::BENCHES,
    bpf_attach::BENCHES,
    event::BENCHES,
    filter::BENCHES,
    crate::sync::bench::BENCHES,
    crate::mm::bench::BENCHES,
    crate::time::bench::BENCHES,
    crate::task::bench::BENCHES,
    crate::irq::bench::BENCHES,
    crate::block::bench::BENCHES,
];

/// The function that is probed: an `add`, which is stepped out of line, and a `ret`, which is simulated.
fn probed() -> Option<&'static InsnWorkload> {
    INSN.iter().find(|insn| insn.name == "insn_ret")
}
