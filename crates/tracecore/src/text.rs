//! The text of a trace: its heading, one line for each record, the lines between.
//!
//! ```text
//!             gold-509     [000] d..1.    12.487541: kr: (invoke_syscall+0xa4/0x120 <- __arm64_sys_getppid)
//!  └── task ─────┘ │        CPU  │││││     │         └── Class::print
//!                 pid            │││││   seconds, microseconds of the trace clock
//!                                ││││└ migration held off, how deep
//!                                │││└─ preemption held off, how deep
//!                                ││└── h hard, s soft, H hard in soft interrupt, z Z the same in an NMI
//!                                │└─── N n p B b L l: what sort of rescheduling is due
//!                                └──── d interrupts off, b software interrupts off, D both
//! ```
//!
//! All of it is Linux's to the byte: people know it by heart, and programs split it into columns.

use crate::event::print::put;
use crate::event::{
    BH_OFF, Class, HARDIRQ, Header, IRQS_OFF, NEED_RESCHED, NEED_RESCHED_LAZY, NMI, PREEMPT_RESCHED, SOFTIRQ,
};
use crate::ring::Stats;
use crate::symbolize::Symbolizer;
use alloc::vec::Vec;

/// Where a record was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The CPU whose ring it is from.
    pub cpu: usize,
    /// When it was made.
    pub time_ns: u64,
    /// Its bytes, from the common header on.
    pub record: &'a [u8],
}

/// Puts the heading of `trace`: `entries` are there of `written`, from a machine of `cpus`.
pub fn heading(tracer: &str, entries: u64, written: u64, cpus: usize, out: &mut Vec<u8>) {
    put!(
        out,
        "# tracer: {tracer}\n\
         #\n\
         # entries-in-buffer/entries-written: {entries}/{written}   #P:{cpus}\n\
         #\n\
         #                                _-----=> irqs-off/BH-disabled\n\
         #                               / _----=> need-resched\n\
         #                              | / _---=> hardirq/softirq\n\
         #                              || / _--=> preempt-depth\n\
         #                              ||| / _-=> migrate-disable\n\
         #                              |||| /     delay\n\
         #           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n\
         #              | |         |   |||||     |         |\n"
    );
}

/// Puts the line of one record. `comm` is the name that the task of its pid had, `None` if that was forgotten; a
/// record without a class shows the number of its type.
pub fn line(
    found: Found<'_>,
    class: Option<&Class>,
    comm: Option<&[u8]>,
    symbols: &dyn Symbolizer,
    out: &mut Vec<u8>,
) {
    let header = Header::of(found.record);
    prefix(found.cpu, found.time_ns, header, comm, out);
    match class {
        Some(class) => class.print(found.record, symbols, out),
        None => put!(out, "Unknown type {}\n", header.id),
    }
}

/// Puts the columns before the record's own text.
fn prefix(cpu: usize, time_ns: u64, header: Header, comm: Option<&[u8]>, out: &mut Vec<u8>) {
    const COMM_WIDTH: usize = 16;
    let comm = if header.pid == 0 { b"<idle>" } else { comm.unwrap_or(b"<...>") };
    let end = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len()).min(COMM_WIDTH);
    let comm = comm.get(..end).unwrap_or_default();
    out.resize(out.len() + (COMM_WIDTH - comm.len()), b' ');
    out.extend_from_slice(comm);
    put!(out, "-{:<7} [{cpu:03}] ", header.pid);
    out.extend_from_slice(&context(header));
    put!(out, " ");
    time(time_ns, out);
    put!(out, ": ");
}

/// The five columns of the context.
fn context(header: Header) -> [u8; 5] {
    let has = |bit| header.flags & bit != 0;
    let masked = match (has(IRQS_OFF), has(BH_OFF)) {
        (true, true) => b'D',
        (true, false) => b'd',
        (false, true) => b'b',
        (false, false) => b'.',
    };
    let resched = match (has(NEED_RESCHED), has(PREEMPT_RESCHED), has(NEED_RESCHED_LAZY)) {
        (true, true, true) => b'B',
        (true, true, false) => b'N',
        (false, true, true) => b'L',
        (true, false, true) => b'b',
        (true, false, false) => b'n',
        (false, false, true) => b'l',
        (false, true, false) => b'p',
        (false, false, false) => b'.',
    };
    let interrupt = match (has(NMI), has(HARDIRQ), has(SOFTIRQ)) {
        (true, true, _) => b'Z',
        (true, false, _) => b'z',
        (false, true, true) => b'H',
        (false, true, false) => b'h',
        (false, false, true) => b's',
        (false, false, false) => b'.',
    };
    let depth = |count: u8| match count {
        0 => b'.',
        1..=9 => b'0' + count,
        _ => b'a' + (count - 10),
    };
    [masked, resched, interrupt, depth(header.preempt_count & 0xf), depth(header.preempt_count >> 4)]
}

/// Puts a time as seconds and rounded microseconds.
fn time(time_ns: u64, out: &mut Vec<u8>) {
    let time_us = time_ns.saturating_add(500) / 1000;
    put!(out, "{:5}.{:06}", time_us / 1_000_000, time_us % 1_000_000);
}

/// Puts the line that says how many records a reader missed.
pub fn lost(cpu: usize, records: u64, out: &mut Vec<u8>) {
    put!(out, "CPU:{cpu} [LOST {records} EVENTS]\n");
}

/// Puts the line before the first record of a CPU whose older ones were overwritten.
pub fn cpu_started(cpu: usize, out: &mut Vec<u8>) {
    put!(out, "##### CPU {cpu} buffer started ####\n");
}

/// Puts the text of `per_cpu/cpuN/stats`.
pub fn stats(stats: &Stats, out: &mut Vec<u8>) {
    put!(out, "entries: {}\noverrun: {}\n", stats.entries, stats.overrun);
    put!(out, "commit overrun: {}\nbytes: {}\n", stats.commit_overrun, stats.bytes);
    put!(out, "oldest event ts: ");
    time(stats.oldest_ts.unwrap_or(0), out);
    put!(out, "\nnow ts: ");
    time(stats.now_ts, out);
    put!(out, "\ndropped events: {}\nread events: {}\n", stats.dropped_events, stats.read_events);
}

/// Puts a line of `kprobe_profile`.
pub fn profile(event: &str, hits: u64, misses: u64, out: &mut Vec<u8>) {
    put!(out, "  {event:<44} {hits:15} {misses:15}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::print_class;
    use crate::symbolize::NoSymbols;
    use std::string::String;

    fn text(fill: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        fill(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn marker(header: Header, cpu: usize, time_ns: u64, comm: Option<&[u8]>) -> String {
        let mut record = header.to_word().to_le_bytes().to_vec();
        record.extend([0; 8]);
        record.extend(b"x\n");
        let found = Found { cpu, time_ns, record: &record };
        text(|out| line(found, Some(&print_class()), comm, &NoSymbols, out))
    }

    #[test]
    fn the_heading_is_that_of_linux() {
        let want = "# tracer: nop
#
# entries-in-buffer/entries-written: 253/400   #P:4
#
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
";
        assert_eq!(text(|out| heading("nop", 253, 400, 4, out)), want);
    }

    #[test]
    fn columns_stand_where_linux_has_them() {
        let header = Header { id: 5, flags: 0, preempt_count: 2, pid: 1 };
        assert_eq!(
            marker(header, 0, 15_657_733_000, Some(b"init\0\0\0")),
            "            init-1       [000] ...2.    15.657733: tracing_mark_write: x\n"
        );
        let header = Header { flags: IRQS_OFF | HARDIRQ | SOFTIRQ, preempt_count: 0x1a, pid: 0, ..header };
        assert_eq!(
            marker(header, 12, 1_499, None),
            "          <idle>-0       [012] d.Ha1     0.000001: tracing_mark_write: x\n"
        );
        let header = Header { flags: BH_OFF | NEED_RESCHED | PREEMPT_RESCHED, pid: 123_456_789, ..header };
        assert_eq!(
            marker(header, 3, 123_456_000_000_500, None),
            "           <...>-123456789 [003] bN.a1 123456.000001: tracing_mark_write: x\n"
        );
        assert_eq!(marker(header, 3, 0, Some(b"a_name_of_sixteen_and_more"))[..17], *"a_name_of_sixtee-");
    }

    #[test]
    fn every_context_has_a_letter() {
        let letters =
            |flags| String::from_utf8_lossy(&context(Header { flags, ..Header::default() })).into_owned();
        let resched = NEED_RESCHED | PREEMPT_RESCHED | NEED_RESCHED_LAZY;
        for (flags, want) in [
            (0, "....."),
            (IRQS_OFF, "d...."),
            (BH_OFF, "b...."),
            (IRQS_OFF | BH_OFF, "D...."),
            (resched, ".B..."),
            (NEED_RESCHED, ".n..."),
            (PREEMPT_RESCHED, ".p..."),
            (NEED_RESCHED_LAZY, ".l..."),
            (NEED_RESCHED | NEED_RESCHED_LAZY, ".b..."),
            (PREEMPT_RESCHED | NEED_RESCHED_LAZY, ".L..."),
            (SOFTIRQ, "..s.."),
            (HARDIRQ, "..h.."),
            (NMI, "..z.."),
            (NMI | HARDIRQ | SOFTIRQ, "..Z.."),
        ] {
            assert_eq!(letters(flags), want);
        }
    }

    #[test]
    fn the_lines_between() {
        assert_eq!(text(|out| lost(0, 147, out)), "CPU:0 [LOST 147 EVENTS]\n");
        assert_eq!(text(|out| cpu_started(2, out)), "##### CPU 2 buffer started ####\n");
        let found = Found { cpu: 0, time_ns: 0, record: &[1, 2, 3] };
        let unknown = text(|out| line(found, None, None, &NoSymbols, out));
        assert_eq!(unknown, "          <idle>-0       [000] .....     0.000000: Unknown type 0\n");
    }

    #[test]
    fn stats_and_profile() {
        let ring = Stats {
            entries: 253,
            overrun: 147,
            commit_overrun: 0,
            bytes: 7104,
            oldest_ts: Some(15_676_071_000),
            now_ts: 15_688_698_000,
            dropped_events: 0,
            read_events: 0,
        };
        let want = "entries: 253
overrun: 147
commit overrun: 0
bytes: 7104
oldest event ts:    15.676071
now ts:    15.688698
dropped events: 0
read events: 0
";
        assert_eq!(text(|out| stats(&ring, out)), want);
        assert_eq!(
            text(|out| profile("p___arm64_sys_getppid_0", 2, 0, out)),
            "  p___arm64_sys_getppid_0                                    2               0\n"
        );
    }
}
