//! The graph of functions as text: each call a line, or a pair of braces around the calls it makes.
//!
//! ```text
//!    0)               |  work_fib() {                 an entry whose exit is not the next record of its CPU
//!    0)   0.152 us    |    work_fib();                one whose exit is: both are one line
//!    0) + 12.300 us   |  }                            an exit: time, mark, brace
//!   CPU  mark, time    two blanks for each call around it
//! ```
//!
//! | mark | longer than | | mark | longer than |
//! |---|---|---|---|---|
//! | `+` | 10 µs | | `*` | 10 ms |
//! | `!` | 100 µs | | `@` | 100 ms |
//! | `#` | 1000 µs | | `$` | 1 s |
//!
//! Unlike other records these mean something together: the text depends on what was printed before for the same CPU, a [`Graph`],
//! and an entry's on the record behind it. All of it is Linux's to the byte (`trace_functions_graph.c`).
//!
//! | between the lines | when |
//! |---|---|
//! | `0)  a-1  =>  b-2` between two rules | the CPU's next record is of another task |
//! | `==========>` and `<==========` | before the entry, and behind the exit, of the function that interrupts come in by |
//! | `/* … */` | a record of an event, in the column of the call in which it was made |

mod columns;
mod returned;
#[cfg(test)]
mod tests;

use crate::event::print::{number, put};
use crate::event::{
    Class, FUNCTION_ID, GRAPH_ENTRY_ID, GRAPH_EXIT_ID, GRAPH_RETADDR_ENTRY_ID, Header, PRINT_ID, STACK_ID,
};
use crate::symbolize::{NameOnly, Symbolizer};
use crate::text::{self, Found};
use alloc::vec::Vec;
use core::ops::Range;

/// What is shown, one switch for each option `funcgraph-…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphStyle {
    /// `overrun`: how many calls the task's shadow stack had no room for.
    pub overrun: bool,
    /// `cpu`: the CPU.
    pub cpu: bool,
    /// `overhead`: the mark before a long time.
    pub overhead: bool,
    /// `proc`: the task.
    pub proc: bool,
    /// `duration`: the time.
    pub duration: bool,
    /// `abstime`: when.
    pub abstime: bool,
    /// `irqs`: what interrupts call.
    pub irqs: bool,
    /// `tail`: the name behind each closing brace.
    pub tail: bool,
    /// `retval`: what was returned.
    pub retval: bool,
    /// `retval-hex`: that in hexadecimal, errors too.
    pub retval_hex: bool,
    /// The columns before the call at all: `context-info`.
    pub context: bool,
    /// CPUs of the machine: how wide their column is.
    pub cpus: usize,
    /// The functions that interrupts come in by.
    pub irq_entries: Range<u64>,
}

impl Default for GraphStyle {
    /// As Linux starts.
    fn default() -> Self {
        Self {
            overrun: false,
            cpu: true,
            overhead: true,
            proc: false,
            duration: true,
            abstime: false,
            irqs: true,
            tail: false,
            retval: false,
            retval_hex: false,
            context: true,
            cpus: 1,
            irq_entries: 0..0,
        }
    }
}

/// Who knows what numbers stand for.
pub struct Names<'a> {
    /// Addresses.
    pub symbols: &'a dyn Symbolizer,
    /// Tasks.
    pub comm: &'a dyn Fn(i32) -> Option<Vec<u8>>,
}

/// As deep as calls are matched with their returns, as on Linux.
const MATCHED_DEPTH: usize = 50;

/// What the lines before say about a CPU.
#[derive(Clone, Debug)]
struct Lane {
    /// Whose records came last.
    pid: Option<i32>,
    /// How deep comments stand.
    depth: i64,
    /// The function that is open at each depth.
    open: [u64; MATCHED_DEPTH],
    /// The depth of the interrupt that is not shown.
    hidden: Option<u64>,
}

/// The text so far.
#[derive(Clone, Debug)]
pub struct Graph {
    /// What is shown; may change between lines.
    pub style: GraphStyle,
    lanes: Vec<Lane>,
}

/// An entry's record.
struct Entry<'a> {
    function: u64,
    depth: u64,
    /// The return address, if it was asked for.
    retaddr: Option<u64>,
    /// The registers of arguments, if they were.
    args: &'a [u8],
}

/// An exit's record.
struct Exit {
    function: u64,
    value: u64,
    depth: u64,
    overrun: u32,
    duration: u64,
}

impl<'a> Entry<'a> {
    fn of(record: &'a [u8]) -> Self {
        let retaddr = Header::of(record).id == GRAPH_RETADDR_ENTRY_ID;
        Self {
            function: number(record, 8, 8),
            depth: number(record, 16, 8),
            retaddr: retaddr.then(|| number(record, 24, 8)),
            args: record.get(if retaddr { 32 } else { 24 }..).unwrap_or_default(),
        }
    }
}

impl Exit {
    fn of(record: &[u8]) -> Self {
        Self {
            function: number(record, 8, 8),
            value: number(record, 16, 8),
            depth: number(record, 24, 4),
            overrun: number(record, 28, 4) as u32,
            duration: number(record, 40, 8).wrapping_sub(number(record, 32, 8)),
        }
    }
}

/// Two columns for each call around it.
fn indent(depth: u64, out: &mut Vec<u8>) {
    const MOST: u64 = 4096;
    out.resize(out.len() + 2 * depth.min(MOST) as usize, b' ');
}

impl Graph {
    /// Nothing has been printed.
    pub fn new(style: GraphStyle) -> Self {
        let lane = Lane { pid: None, depth: 0, open: [0; MATCHED_DEPTH], hidden: None };
        let lanes = core::iter::repeat_n(lane, style.cpus).collect();
        Self { style, lanes }
    }

    fn lane(&mut self, cpu: usize) -> Option<&mut Lane> {
        self.lanes.get_mut(cpu)
    }

    /// Is `next`, the next record of its CPU, the exit of the call that `entry` is about, so that the two are one line?
    pub fn is_leaf(&self, cpu: usize, entry: &[u8], next: &[u8]) -> bool {
        let (header, after) = (Header::of(entry), Header::of(next));
        let hidden = !self.style.irqs
            && (self.lanes.get(cpu).is_some_and(|lane| lane.hidden.is_some())
                || self.style.irq_entries.contains(&number(entry, 8, 8)));
        self.wants_next(header.id)
            && !hidden
            && after.id == GRAPH_EXIT_ID
            && header.pid == after.pid
            && number(entry, 8, 8) == number(next, 8, 8)
    }

    /// Does the line of such a record depend on the one behind it?
    pub fn wants_next(&self, id: u16) -> bool {
        matches!(id, GRAPH_ENTRY_ID | GRAPH_RETADDR_ENTRY_ID)
    }

    /// Puts the line of a record, and the lines before and behind it; `exit` is the one behind an entry if
    /// [`Graph::is_leaf`]. False, and nothing is put: it is not shown as part of the graph.
    pub fn line(
        &mut self,
        found: Found<'_>,
        exit: Option<&[u8]>,
        class: Option<&Class>,
        names: &Names<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        match Header::of(found.record).id {
            GRAPH_ENTRY_ID | GRAPH_RETADDR_ENTRY_ID => {
                self.entry(found, &Entry::of(found.record), exit.map(Exit::of), names, out);
            }
            GRAPH_EXIT_ID => self.exit(found, &Exit::of(found.record), names, out),
            FUNCTION_ID | STACK_ID => return false,
            _ => return class.is_some_and(|class| self.comment(found, class, names, out)),
        }
        true
    }

    fn entry(
        &mut self,
        found: Found<'_>,
        entry: &Entry<'_>,
        exit: Option<Exit>,
        names: &Names<'_>,
        out: &mut Vec<u8>,
    ) {
        if !self.style.irqs {
            let is_irq = self.style.irq_entries.contains(&entry.function);
            match self.lane(found.cpu) {
                Some(lane) if lane.hidden.is_some() => return,
                Some(lane) if is_irq => return lane.hidden = Some(entry.depth),
                _ => {}
            }
        }
        self.switch_line(found, names, out);
        self.irq_line(found, entry.function, "==========>", names, out);
        self.columns(found, names, out);
        self.time(exit.as_ref().map(|exit| exit.duration), out);
        indent(entry.depth, out);
        if let Some(lane) = self.lane(found.cpu) {
            lane.depth = entry.depth as i64 - i64::from(exit.is_some());
            if let Some(open) = lane.open.get_mut(entry.depth as usize) {
                *open = if exit.is_some() { 0 } else { entry.function };
            }
        }
        put!(out, "{}", NameOnly(names.symbols, entry.function));
        self.arguments(entry, names, out);
        match exit {
            Some(exit) => {
                out.push(b';');
                self.leaf_comment(entry, &exit, names, out);
                out.push(b'\n');
                self.irq_line(found, exit.function, "<==========", names, out);
            }
            None => {
                put!(out, " {{");
                if let Some(retaddr) = entry.retaddr {
                    put!(out, " /*");
                    returned::caller(retaddr, names.symbols, out);
                    put!(out, " */");
                }
                out.push(b'\n');
            }
        }
    }

    fn exit(&mut self, found: Found<'_>, exit: &Exit, names: &Names<'_>, out: &mut Vec<u8>) {
        if !self.style.irqs
            && let Some(lane) = self.lane(found.cpu)
            && let Some(depth) = lane.hidden
        {
            // The exit of the interrupt itself may be lost: whatever is less deep ends it too.
            if depth >= exit.depth {
                lane.hidden = None;
            }
            return;
        }
        let mut matches = true;
        if let Some(lane) = self.lane(found.cpu) {
            lane.depth = exit.depth as i64 - 1;
            if let Some(open) = lane.open.get_mut(exit.depth as usize) {
                matches = core::mem::take(open) == exit.function;
            }
        }
        self.switch_line(found, names, out);
        self.columns(found, names, out);
        self.time(Some(exit.duration), out);
        indent(exit.depth, out);
        out.push(b'}');
        if self.style.retval {
            put!(out, " /* {}", NameOnly(names.symbols, exit.function));
            returned::value(exit.value, self.style.retval_hex, out);
            put!(out, " */");
        } else if self.style.tail || !matches {
            // The entry was lost: the name is all that tells whose end this is.
            put!(out, " /* {} */", NameOnly(names.symbols, exit.function));
        }
        out.push(b'\n');
        if self.style.overrun {
            put!(out, " (Overruns: {})\n", exit.overrun);
        }
        self.irq_line(found, exit.function, "<==========", names, out);
    }

    /// A record of something else, as a comment where it was made.
    fn comment(&mut self, found: Found<'_>, class: &Class, names: &Names<'_>, out: &mut Vec<u8>) -> bool {
        if !self.style.irqs && self.lane(found.cpu).is_some_and(|lane| lane.hidden.is_some()) {
            return true;
        }
        self.switch_line(found, names, out);
        self.columns(found, names, out);
        self.time(None, out);
        let depth = self.lane(found.cpu).map_or(0, |lane| lane.depth);
        if depth > 0 {
            indent(depth as u64 + 1, out);
        }
        put!(out, "/* ");
        match class.id {
            PRINT_ID => text::message(class, found.record, out),
            _ => class.print(found.record, names.symbols, out),
        }
        while out.last() == Some(&b'\n') {
            out.pop();
        }
        put!(out, " */\n");
        true
    }

    fn arguments(&self, entry: &Entry<'_>, names: &Names<'_>, out: &mut Vec<u8>) {
        let mut registers = [0; 8];
        let words = entry.args.as_chunks().0;
        for (register, word) in registers.iter_mut().zip(words) {
            *register = u64::from_le_bytes(*word);
        }
        out.push(b'(');
        if words.len() >= registers.len() {
            // Where nothing is known of the function nothing is said.
            let _ = names.symbols.arguments(entry.function, &registers, out);
        }
        out.push(b')');
    }

    fn leaf_comment(&self, entry: &Entry<'_>, exit: &Exit, names: &Names<'_>, out: &mut Vec<u8>) {
        if !self.style.retval && entry.retaddr.is_none() {
            return;
        }
        put!(out, " /*");
        if let Some(retaddr) = entry.retaddr {
            returned::caller(retaddr, names.symbols, out);
        }
        if self.style.retval {
            returned::value(exit.value, self.style.retval_hex, out);
        }
        put!(out, " */");
    }
}
