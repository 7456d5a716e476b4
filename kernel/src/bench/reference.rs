//! What the rows cost in Linux, and what they shall cost here.
//!
//! Linux 7.2.12 (a distribution's kernel) on QEMU 7.2 `-M virt,gic-version=3 -cpu max -smp 1 -icount
//! shift=0,sleep=off`: the same machine as ours, so the figures compare.

use core::fmt;

/// Figures to hold a row against, in instructions per operation.
pub(super) struct Reference {
    name: &'static str,
    /// In Linux, where it has the operation.
    pub(super) linux: Option<Tenths>,
    /// What it shall cost here at most.
    pub(super) target: Tenths,
}

/// A tenth of an instruction: some operations are one or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenths(u64);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, tenth) = (self.0 / 10, self.0 % 10);
        if tenth == 0 { write!(f, "{whole}") } else { write!(f, "{whole}.{tenth}") }
    }
}

const fn row(name: &'static str, linux: u64, target: u64) -> Reference {
    Reference { name, linux: Some(Tenths(10 * linux)), target: Tenths(10 * target) }
}

const fn tenths(name: &'static str, linux: u64, target: u64) -> Reference {
    Reference { name, linux: Some(Tenths(linux)), target: Tenths(target) }
}

const fn ours(name: &'static str, target: u64) -> Reference {
    Reference { name, linux: None, target: Tenths(10 * target) }
}

const REFERENCES: &[Reference] = &[
    row("boot/to-shell", 1_148_890_576, 20_000_000),
    ours("exception/brk-roundtrip", 80),
    ours("text/patch-1", 150),
    row("static_key/off", 1, 1),
    row("static_key/flip-1-site", 2_112, 250),
    row("tracepoint/off", 1, 1),
    row("tracepoint/1-probe-empty", 80, 15),
    row("tracepoint/record", 879, 180),
    row("tracepoint/record-filter-reject", 519, 90),
    row("bpf/interp-alu", 11, 11),
    tenths("bpf/jit-alu", 14, 11),
    tenths("bpf/jit-mem", 12, 11),
    row("bpf/jit-map-lookup-array", 15, 12),
    row("bpf/jit-map-lookup-hash", 121, 60),
    row("bpf/jit-map-update-hash", 426, 150),
    row("bpf/jit-ktime", 75, 12),
    row("bpf/ringbuf-8B", 246, 70),
    row("bpf/kprobe-empty", 751, 220),
    row("bpf/kretprobe", 1_238, 300),
    row("bpf/kprobe-multi-empty", 253, 90),
    row("bpf/kretprobe-multi", 861, 200),
    row("bpf/fentry-empty", 91, 60),
    row("bpf/fexit", 177, 110),
    row("bpf/tracepoint-empty", 500, 110),
    row("bpf/raw-tp", 159, 60),
    row("bpf/verify-per-insn", 13_114, 4_000),
    row("ring/reserve-commit-8B", 449, 60),
    row("time/trace-clock-local", 79, 10),
    row("kprobe/brk-empty", 548, 170),
    ours("kprobe/boosted-empty", 110),
    row("kprobe/simulated-empty", 360, 120),
    ours("kprobe/ftrace-empty", 50),
    row("kprobe/event-record", 1_287, 300),
    row("kprobe/event-record-simulated", 1_098, 250),
    row("kprobe/event-2-args", 1_541, 330),
    row("kprobe/event-string", 1_890, 420),
    row("kprobe/event-filter-reject", 1_058, 260),
    row("kretprobe/empty", 1_033, 150),
    row("kretprobe/event-record", 1_786, 400),
    row("trace_marker/write", 1_099, 300),
    row("kprobe/register-1", 418_000, 20_000),
    row("kprobe/arm-1000", 3_900, 150),
    row("ftrace/ops-empty", 40, 38),
    row("ftrace/two-ops-empty", 220, 80),
    row("ftrace/direct-empty", 18, 18),
    row("ftrace/function-record", 669, 150),
    row("ftrace/function-args-record", 705, 190),
    row("ftrace/function-stack-record", 2_300, 600),
    row("fprobe/entry-empty", 179, 50),
    row("fprobe/exit-empty", 794, 120),
    row("fprobe/both", 806, 150),
    row("fgraph/entry-exit-empty", 607, 140),
    row("fgraph/record", 1_972, 360),
    row("fprobe/event-record", 932, 200),
    row("fprobe/event-record-return", 1_553, 380),
    row("ftrace/enable-all-per-site", 1_439, 80),
    row("ftrace/set-filter-one", 112_000_000, 1_000_000),
];

/// The figures for a row, if there are any.
pub(super) fn of(name: &str) -> Option<&'static Reference> {
    REFERENCES.iter().find(|reference| reference.name == name)
}

/// The rows that have figures.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    REFERENCES.iter().map(|reference| reference.name)
}
