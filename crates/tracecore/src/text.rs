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
//! All of it is Linux's to the byte: people know it by heart, and programs split it into columns. What of it is shown,
//! and whether it is text at all, is a [`Style`], made of `trace_options`; the forms that are no sentences are in `forms`.

mod duration;
mod forms;

pub use duration::duration;

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
    pub time: u64,
    /// Its bytes, from the common header on.
    pub record: &'a [u8],
}

/// What the times of records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Times {
    /// Nanoseconds, shown as seconds.
    #[default]
    Nanoseconds,
    /// Numbers without a unit, shown as they are.
    Counts,
}

/// What is shown of a record's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Form {
    /// The sentence of its class.
    #[default]
    Sentence,
    /// The fields by name, in hexadecimal and decimal.
    Fields,
    /// The number of its class; the columns are bare numbers.
    Raw,
    /// The same in hexadecimal.
    Hex,
    /// The same as bytes.
    Binary,
}

/// How records are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// What times are.
    pub times: Times,
    /// What is shown of the fields.
    pub form: Form,
    /// The columns before the text.
    pub context: bool,
    /// Of them, the five letters.
    pub irqs: bool,
    /// Texts of `trace_marker` without anything before them.
    pub prints_only: bool,
    /// The place in the writer with its offset: `tracing_mark_write+0x0/0x80`.
    pub symbol_offset: bool,
    /// The address behind a name.
    pub symbol_address: bool,
    /// The short columns of a dump, with times in microseconds since this one.
    pub since: Option<u64>,
}

impl Default for Style {
    /// As Linux starts.
    fn default() -> Self {
        Self {
            times: Times::Nanoseconds,
            form: Form::Sentence,
            context: true,
            irqs: true,
            prints_only: false,
            symbol_offset: false,
            symbol_address: false,
            since: None,
        }
    }
}

/// Puts the heading of `trace`: `entries` are there of `written`, from a machine of `cpus`.
pub fn heading(tracer: &str, entries: u64, written: u64, cpus: usize, style: &Style, out: &mut Vec<u8>) {
    put!(out, "# tracer: {tracer}\n#\n");
    if !style.context {
        return;
    }
    put!(out, "# entries-in-buffer/entries-written: {entries}/{written}   #P:{cpus}\n#\n");
    out.extend_from_slice(if style.irqs { COLUMNS_WITH_IRQS } else { COLUMNS });
}

const COLUMNS_WITH_IRQS: &[u8] = b"\
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
";
const COLUMNS: &[u8] = b"\
#           TASK-PID     CPU#     TIMESTAMP  FUNCTION
#              | |         |         |         |
";

/// Puts the line of one record. `comm` is the name that the task of its pid had, `None` if that was forgotten; a
/// record without a class shows the number of its type.
pub fn line(
    found: Found<'_>,
    class: Option<&Class>,
    comm: Option<&[u8]>,
    symbols: &dyn Symbolizer,
    style: &Style,
    out: &mut Vec<u8>,
) {
    let header = Header::of(found.record);
    if style.prints_only
        && let Some(class) = class.filter(|class| forms::is_print(class))
    {
        return forms::print_alone(class, found.record, out);
    }
    if matches!(style.form, Form::Raw | Form::Hex | Form::Binary) {
        return forms::numbers(found, class, symbols, style, out);
    }
    if style.context {
        prefix(found, header, comm, style, out);
    }
    match class {
        Some(class) if style.form == Form::Fields => forms::fields(class, found.record, symbols, out),
        Some(class) => forms::sentence(class, found.record, symbols, style, out),
        None => put!(out, "Unknown type {}\n", header.id),
    }
}

/// Puts the text of a record of `trace_marker`, without the writer's address.
pub(crate) fn message(class: &Class, record: &[u8], out: &mut Vec<u8>) {
    forms::print_alone(class, record, out);
}

/// Puts the columns before the record's own text.
fn prefix(found: Found<'_>, header: Header, comm: Option<&[u8]>, style: &Style, out: &mut Vec<u8>) {
    const COMM_WIDTH: usize = 16;
    const SHORT_COMM_WIDTH: usize = 8;
    let width = if style.since.is_some() { SHORT_COMM_WIDTH } else { COMM_WIDTH };
    let comm = if header.pid == 0 { b"<idle>" } else { comm.unwrap_or(b"<...>") };
    let end = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len()).min(width);
    let comm = comm.get(..end).unwrap_or_default();
    out.resize(out.len() + (width - comm.len()), b' ');
    out.extend_from_slice(comm);
    if let Some(since) = style.since {
        put!(out, "-{:<7} {:3}", header.pid, found.cpu);
        out.extend_from_slice(&context(header));
        return match style.times {
            Times::Nanoseconds => put!(out, " {:4}us : ", found.time.saturating_sub(since) / 1000),
            Times::Counts => put!(out, " {:4}: ", found.time),
        };
    }
    put!(out, "-{:<7} [{:03}] ", header.pid, found.cpu);
    if style.irqs {
        out.extend_from_slice(&context(header));
    }
    match style.times {
        Times::Nanoseconds => {
            put!(out, " ");
            time(found.time, out);
        }
        Times::Counts => put!(out, " {:12}", found.time),
    }
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
pub fn stats(stats: &Stats, times: Times, out: &mut Vec<u8>) {
    put!(out, "entries: {}\noverrun: {}\n", stats.entries, stats.overrun);
    put!(out, "commit overrun: {}\nbytes: {}\n", stats.commit_overrun, stats.bytes);
    let stamp = |at: u64, out: &mut Vec<u8>| match times {
        Times::Nanoseconds => time(at, out),
        Times::Counts => put!(out, "{at}"),
    };
    put!(out, "oldest event ts: ");
    stamp(stats.oldest_ts.unwrap_or(0), out);
    put!(out, "\nnow ts: ");
    stamp(stats.now_ts, out);
    put!(out, "\ndropped events: {}\nread events: {}\n", stats.dropped_events, stats.read_events);
}

/// Puts a line of `kprobe_profile`.
pub fn profile(event: &str, hits: u64, misses: u64, out: &mut Vec<u8>) {
    put!(out, "  {event:<44} {hits:15} {misses:15}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Field, print_class};
    use crate::symbolize::NoSymbols;
    use std::string::String;
    use std::vec;

    fn text(fill: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        fill(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn marker(header: Header, cpu: usize, time_ns: u64, comm: Option<&[u8]>) -> String {
        let mut record = header.to_word().to_le_bytes().to_vec();
        record.extend(0x1000u64.to_le_bytes());
        record.extend(b"x\n");
        let found = Found { cpu, time: time_ns, record: &record };
        text(|out| line(found, Some(&print_class()), comm, &Writer, &Style::default(), out))
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
        assert_eq!(text(|out| heading("nop", 253, 400, 4, &Style::default(), out)), want);
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
        let found = Found { cpu: 0, time: 0, record: &[1, 2, 3] };
        let unknown = text(|out| line(found, None, None, &NoSymbols, &Style::default(), out));
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
        assert_eq!(text(|out| stats(&ring, Times::Nanoseconds, out)), want);
        assert_eq!(
            text(|out| profile("p___arm64_sys_getppid_0", 2, 0, out)),
            "  p___arm64_sys_getppid_0                                    2               0\n"
        );
    }

    /// One symbol, as long as it needs to be.
    struct Writer;

    impl Symbolizer for Writer {
        fn symbol_at(&self, address: u64) -> Option<crate::symbolize::SymbolAt<'_>> {
            let offset = address.checked_sub(0x1000).filter(|offset| *offset < 0x1c0)?;
            Some(crate::symbolize::SymbolAt { name: "tracing_mark_write", offset, size: 0x1c0 })
        }
    }

    fn styled(style: Style, class: &Class, record: &[u8]) -> String {
        let found = Found { cpu: 1, time: 3_804_073_008, record };
        text(|out| line(found, Some(class), Some(b"sh"), &Writer, &style, out))
    }

    fn print_record() -> Vec<u8> {
        let mut record =
            Header { id: 5, flags: 0, preempt_count: 2, pid: 113 }.to_word().to_le_bytes().to_vec();
        record.extend(0x1074u64.to_le_bytes());
        record.extend(b"hi\n\0");
        record
    }

    #[test]
    fn options_change_what_is_shown() {
        let (record, class, all) = (print_record(), print_class(), Style::default());
        for (style, want) in [
            (all, "              sh-113     [001] ...2.     3.804073: tracing_mark_write: hi\n"),
            (
                Style { symbol_offset: true, ..all },
                "              sh-113     [001] ...2.     3.804073: tracing_mark_write+0x74/0x1c0: hi\n",
            ),
            (
                Style { symbol_address: true, ..all },
                "              sh-113     [001] ...2.     3.804073: tracing_mark_write <0000000000001074>: hi\n",
            ),
            (
                Style { irqs: false, ..all },
                "              sh-113     [001]      3.804073: tracing_mark_write: hi\n",
            ),
            (Style { context: false, ..all }, "tracing_mark_write: hi\n"),
            (
                Style { since: Some(3_000_000_999), ..all },
                "      sh-113       1...2. 804072us : tracing_mark_write: hi\n",
            ),
            (Style { prints_only: true, ..all }, "hi\n"),
            (
                Style { times: Times::Counts, ..all },
                "              sh-113     [001] ...2.   3804073008: tracing_mark_write: hi\n",
            ),
            (Style { form: Form::Raw, ..all }, "113 1 3804073008 # 1074 hi\n"),
            (Style { form: Form::Raw, context: false, ..all }, "# 1074 hi\n"),
            (Style { form: Form::Hex, ..all }, "00000071 00000001 00000000e2bd8c30 type: 5\n\n"),
            (
                Style { form: Form::Fields, ..all },
                "              sh-113     [001] ...2.     3.804073: UNKNOWN TYPE 5\n",
            ),
        ] {
            assert_eq!(styled(style, &class, &record), want, "{style:?}");
        }
        let binary = Style { form: Form::Binary, ..all };
        assert_eq!(styled(binary, &class, &record).as_bytes()[..8], *b"q\0\0\0\x01\0\0\0");
    }

    #[test]
    fn fields_are_shown_by_name() {
        let fields = vec![
            Field::new("unsigned long", "__probe_ip", 8, 8, false),
            Field::new("s16", "b", 16, 2, true),
            Field::new("char", "c", 18, 1, false),
            Field::new("u32", "d", 20, 4, false),
            Field::new("__data_loc char[]", "f", 24, 4, false),
            Field::array("char", "g", "[4]", 28, 4, false),
            Field::array("u32", "j", "[3]", 8, 12, false),
        ];
        let class = Class {
            id: 1488,
            system: "kprobes".into(),
            name: "kp".into(),
            fields,
            announced: crate::event::Announced::Text("".into()),
            pieces: vec![],
            style: crate::event::LineStyle::Named,
        };
        let mut record = vec![0; 8];
        record.extend(0x1004u64.to_le_bytes());
        record.extend([0xc0, 0x3e, b'A', 0, 0xc0, 0x3e, 0x47, 0x84, 32, 0, 6, 0]);
        record.extend(b"gold");
        record.extend(b"uname\0");
        let style = Style { form: Form::Fields, context: false, ..Style::default() };
        assert_eq!(
            styled(style, &class, &record),
            "kp: __probe_ip=tracing_mark_write+0x4/0x1c0 (4100) b=0x3ec0 (16064) c='A'(65) d=0x84473ec0 \
             (-2075705664) f=uname g=gold j=<INVALID-SIZE>\n"
        );
    }

    #[test]
    fn headings_have_the_columns_that_lines_have() {
        let all = Style::default();
        let short = text(|out| heading("nop", 1, 2, 4, &Style { irqs: false, ..all }, out));
        assert!(short.ends_with("#\n#           TASK-PID     CPU#     TIMESTAMP  FUNCTION\n#              | |         |         |         |\n"));
        let none = text(|out| heading("nop", 1, 2, 4, &Style { context: false, ..all }, out));
        assert_eq!(none, "# tracer: nop\n#\n");
    }
}
