//! Kinds of programs: where they are attached, what they are given in r1, what of it they may read.
//!
//! ```text
//!   SEC("kprobe.multi/work_*")  ─Section::parse─▶  type kprobe, attached as kprobe.multi, to work_*
//!                                                                  │
//!   *(u64 *)(r1 + 256)  ──Context::access──▶  `pc`, a number, ─────┘ which this way in keeps at 88: the access is rewritten
//!   *(u64 *)(r1 + 152)  ──────────────────▶  `x19`, which it does not save: refused, with those that do
//! ```
//!
//! The tables of contexts are in [`Context`].
//!
//! Names of types and sections are libbpf's; `fprobe` is this kernel's own.

mod context;

pub use context::{BadAccess, Context, Field, Gives, MAX_ARGS, MAX_MEMORY, MAX_RECORD, PT_REGS_BYTES, Start};

/// Types of programs, as Linux divides them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProgType {
    /// At kprobes and returns, one or many.
    Kprobe,
    /// At tracepoints, with their record.
    Tracepoint,
    /// At tracepoints, with their arguments.
    RawTracepoint,
    /// At functions and tracepoints, with typed arguments.
    Tracing,
    /// At a sample.
    PerfEvent,
    /// On request.
    Syscall,
    /// At functions, with the registers of a call.
    Fprobe,
}

impl ProgType {
    /// Its name, as libbpf has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
            Self::RawTracepoint => "raw_tracepoint",
            Self::Tracing => "tracing",
            Self::PerfEvent => "perf_event",
            Self::Syscall => "syscall",
            Self::Fprobe => "fprobe",
        }
    }
}

/// Ways to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attach {
    /// At an instruction.
    Kprobe,
    /// At a function's return.
    Kretprobe,
    /// At the entries of many functions.
    KprobeMulti,
    /// At the returns of many functions.
    KretprobeMulti,
    /// At the entries of many functions, with the registers as they are saved there.
    FprobeEntry,
    /// At the returns of many functions, likewise.
    FprobeExit,
    /// At a function's entry, with its arguments.
    Fentry,
    /// At a function's return, with its arguments and its result.
    Fexit,
    /// At a function's entry, to have it return something else.
    FmodRet,
    /// At a tracepoint, with its typed arguments.
    TpBtf,
    /// At a tracepoint, with its record.
    Tracepoint,
    /// At a tracepoint, with its arguments.
    RawTracepoint,
    /// At a sample.
    PerfEvent,
    /// Nowhere: run on request.
    Syscall,
}

impl Attach {
    /// All of them; the name is the first that a section may have.
    pub const ALL: [Self; 14] = [
        Self::Kprobe,
        Self::Kretprobe,
        Self::KprobeMulti,
        Self::KretprobeMulti,
        Self::FprobeEntry,
        Self::FprobeExit,
        Self::Fentry,
        Self::Fexit,
        Self::FmodRet,
        Self::TpBtf,
        Self::Tracepoint,
        Self::RawTracepoint,
        Self::PerfEvent,
        Self::Syscall,
    ];

    /// What a section for it is called, and what else.
    const fn sections(self) -> (&'static str, &'static str) {
        match self {
            Self::Kprobe => ("kprobe", ""),
            Self::Kretprobe => ("kretprobe", ""),
            Self::KprobeMulti => ("kprobe.multi", ""),
            Self::KretprobeMulti => ("kretprobe.multi", ""),
            Self::FprobeEntry => ("fprobe", "fprobe.entry"),
            Self::FprobeExit => ("fprobe.exit", ""),
            Self::Fentry => ("fentry", ""),
            Self::Fexit => ("fexit", ""),
            Self::FmodRet => ("fmod_ret", ""),
            Self::TpBtf => ("tp_btf", ""),
            Self::Tracepoint => ("tracepoint", "tp"),
            Self::RawTracepoint => ("raw_tracepoint", "raw_tp"),
            Self::PerfEvent => ("perf_event", ""),
            Self::Syscall => ("syscall", "test"),
        }
    }

    /// Its name: that of its sections.
    pub const fn name(self) -> &'static str {
        self.sections().0
    }

    /// The type of its programs.
    pub const fn prog_type(self) -> ProgType {
        match self {
            Self::Kprobe | Self::Kretprobe | Self::KprobeMulti | Self::KretprobeMulti => ProgType::Kprobe,
            Self::FprobeEntry | Self::FprobeExit => ProgType::Fprobe,
            Self::Fentry | Self::Fexit | Self::FmodRet | Self::TpBtf => ProgType::Tracing,
            Self::Tracepoint => ProgType::Tracepoint,
            Self::RawTracepoint => ProgType::RawTracepoint,
            Self::PerfEvent => ProgType::PerfEvent,
            Self::Syscall => ProgType::Syscall,
        }
    }

    /// The least and the greatest number that a program may leave in r0, if that matters.
    pub const fn results(self) -> Option<(i64, i64)> {
        match self {
            Self::Fentry | Self::Fexit => Some((0, 0)),
            _ => None,
        }
    }
}

/// What a section's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// The type of the program.
    pub ty: ProgType,
    /// How it is attached.
    pub attach: Attach,
    /// To what; empty if the name does not say.
    pub target: &'a str,
}

impl<'a> Section<'a> {
    /// Reads a name as libbpf does: `kprobe/work_add+8`, `tp/sched/sched_switch`, `syscall`.
    pub fn parse(name: &'a str) -> Option<Self> {
        let (word, target) = match name.split_once('/') {
            Some((_, "")) => return None,
            Some((word, target)) => (word, target),
            None => (name, ""),
        };
        // `?kprobe/…` is one that is not loaded unless asked for.
        let word = word.strip_prefix('?').unwrap_or(word);
        let named = |attach: &Attach| {
            let (first, second) = attach.sections();
            word == first || word == second && !second.is_empty()
        };
        let attach = Attach::ALL.into_iter().find(named)?;
        if attach == Attach::Syscall && !target.is_empty() {
            return None;
        }
        Some(Self { ty: attach.prog_type(), attach, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections() {
        for (name, ty, attach, target) in [
            ("kprobe/work_add", ProgType::Kprobe, Attach::Kprobe, "work_add"),
            ("kprobe.multi/work_*", ProgType::Kprobe, Attach::KprobeMulti, "work_*"),
            ("kretprobe", ProgType::Kprobe, Attach::Kretprobe, ""),
            ("tp/sched/sched_switch", ProgType::Tracepoint, Attach::Tracepoint, "sched/sched_switch"),
            ("tracepoint/a/b", ProgType::Tracepoint, Attach::Tracepoint, "a/b"),
            ("raw_tp/sched_switch", ProgType::RawTracepoint, Attach::RawTracepoint, "sched_switch"),
            ("tp_btf/sched_switch", ProgType::Tracing, Attach::TpBtf, "sched_switch"),
            ("?fexit/f", ProgType::Tracing, Attach::Fexit, "f"),
            ("fprobe.exit/f", ProgType::Fprobe, Attach::FprobeExit, "f"),
            ("perf_event", ProgType::PerfEvent, Attach::PerfEvent, ""),
            ("test", ProgType::Syscall, Attach::Syscall, ""),
        ] {
            assert_eq!(Section::parse(name), Some(Section { ty, attach, target }), "{name}");
        }
        for name in ["", "xdp", "kprobe/", "kprobes/f", ".text", "maps", "syscall/f", "/"] {
            assert_eq!(Section::parse(name), None, "{name}");
        }
        for attach in Attach::ALL {
            assert_eq!(Section::parse(attach.name()).map(|section| section.attach), Some(attach));
        }
    }
}
