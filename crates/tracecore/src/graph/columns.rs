//! The heading, and what stands before the call in each line.

use super::{Graph, GraphStyle, Names};
use crate::event::Header;
use crate::event::print::put;
use crate::text::Found;
use alloc::vec::Vec;

/// Columns of a task: its name, cut, and number, in the middle.
const TASK_WIDTH: usize = 14;
/// Letters of the name.
const COMM_WIDTH: usize = 7;

/// From longest to shortest, in nanoseconds.
const MARKS: [(u64, u8); 6] = [
    (1_000_000_000, b'$'),
    (100_000_000, b'@'),
    (10_000_000, b'*'),
    (1_000_000, b'#'),
    (100_000, b'!'),
    (10_000, b'+'),
];

fn mark(duration_ns: u64) -> u8 {
    MARKS.iter().find(|(longer, _)| duration_ns > *longer).map_or(b' ', |(_, mark)| *mark)
}

/// Puts a task's name and number.
fn task(pid: i32, names: &Names<'_>, out: &mut Vec<u8>) {
    let comm = if pid == 0 { Some(b"<idle>".to_vec()) } else { (names.comm)(pid) };
    let comm = comm.unwrap_or_else(|| b"<...>".to_vec());
    let len = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len()).min(COMM_WIDTH);
    let number = alloc::format!("-{pid}");
    let blanks = TASK_WIDTH.saturating_sub(len + number.len());
    out.resize(out.len() + blanks / 2, b' ');
    out.extend_from_slice(comm.get(..len).unwrap_or_default());
    out.extend_from_slice(number.as_bytes());
    out.resize(out.len() + blanks - blanks / 2, b' ');
}

impl GraphStyle {
    fn cpu(&self, cpu: usize, out: &mut Vec<u8>) {
        let width = self.cpus.saturating_sub(1).max(1).ilog10() as usize + 1;
        put!(out, " {cpu:width$}) ");
    }
}

impl Graph {
    /// Puts the heading of `trace`.
    pub fn heading(&self, tracer: &str, out: &mut Vec<u8>) {
        put!(out, "# tracer: {tracer}\n#\n");
        let style = &self.style;
        if !style.context {
            return;
        }
        let columns = [
            (style.abstime, "     TIME       ", "      |         "),
            (style.cpu, " CPU", " |  "),
            (style.proc, "  TASK/PID       ", "   |    |        "),
            (style.duration, "  DURATION   ", "   |   |      "),
            (true, "               FUNCTION CALLS\n", "               |   |   |   |\n"),
        ];
        let shown = || columns.iter().filter(|(shown, ..)| *shown);
        put!(out, "#");
        shown().for_each(|(_, name, _)| put!(out, "{name}"));
        put!(out, "#");
        shown().for_each(|(_, _, line)| put!(out, "{line}"));
    }

    /// Puts time, CPU and task.
    pub(super) fn columns(&self, found: Found<'_>, names: &Names<'_>, out: &mut Vec<u8>) {
        let style = &self.style;
        if !style.context {
            return;
        }
        if style.abstime {
            let us = found.time / 1000;
            put!(out, "{:5}.{:06} |  ", us / 1_000_000, us % 1_000_000);
        }
        if style.cpu {
            style.cpu(found.cpu, out);
        }
        if style.proc {
            task(Header::of(found.record).pid, names, out);
            put!(out, " | ");
        }
    }

    /// Puts the column of times, which is empty where none is known yet.
    pub(super) fn time(&self, duration_ns: Option<u64>, out: &mut Vec<u8>) {
        if !self.style.duration || !self.style.context {
            return;
        }
        match duration_ns {
            None => put!(out, "              |  "),
            Some(duration) => {
                out.push(if self.style.overhead { mark(duration) } else { b' ' });
                out.push(b' ');
                crate::text::duration(duration, out);
                put!(out, "|  ");
            }
        }
    }

    /// Puts the lines between two tasks of a CPU, if this record is of another than the one before.
    pub(super) fn switch_line(&mut self, found: Found<'_>, names: &Names<'_>, out: &mut Vec<u8>) {
        let pid = Header::of(found.record).pid;
        let Some(before) = self.lane(found.cpu).and_then(|lane| lane.pid.replace(pid)) else { return };
        if before == pid {
            return;
        }
        put!(out, " ------------------------------------------\n");
        self.style.cpu(found.cpu, out);
        task(before, names, out);
        put!(out, " => ");
        task(pid, names, out);
        put!(out, "\n ------------------------------------------\n\n");
    }

    /// Puts the mark of an interrupt, if `function` is where they come in.
    pub(super) fn irq_line(
        &self,
        found: Found<'_>,
        function: u64,
        arrow: &str,
        names: &Names<'_>,
        out: &mut Vec<u8>,
    ) {
        if !self.style.irq_entries.contains(&function) {
            return;
        }
        self.columns(found, names, out);
        let timed = self.style.duration && self.style.context;
        let (before, behind) = if timed { ("  ", " |") } else { ("", "") };
        put!(out, "{before}{arrow}{behind}\n");
    }
}
