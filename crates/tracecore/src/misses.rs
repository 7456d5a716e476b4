//! What was not recorded, and why: one table for every layer that can miss or drop.
//!
//! A layer never loses anything silently. It counts under its own name, the name of the thing that missed (a probe,
//! a ring, a program) and a cause from the list below. The counters themselves are where the layer is, one for
//! each CPU; for the `misses` program each layer adds its sums to a [`Table`], and this is what it prints:
//!
//! ```text
//! LAYER   OWNER          CAUSE               COUNT
//! kprobe  kprobes/first  in-handler              3
//! ring    cpu0           overwritten           147
//! total                                        150
//! ```
//!
//! With it goes the law that tests hold every layer to: calls = recorded + misses.

use crate::event::print::put;
use alloc::string::String;
use alloc::vec::Vec;

/// The widest column; what is longer moves the rest of its line.
const MAX_WIDTH: usize = 64;

/// Who missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// A probe was hit but its handlers did not run.
    Kprobe,
    /// A return was not caught.
    Kretprobe,
    /// A call of a watched function was not told.
    Fprobe,
    /// A function's entry was not traced.
    Ftrace,
    /// An event was to be recorded but was not.
    Event,
    /// A BPF program did not run.
    Bpf,
    /// A record was lost.
    Ring,
    /// A line of the kernel log was lost.
    Log,
    /// A key was typed for which there was no room.
    Tty,
}

impl Layer {
    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::Kprobe => "kprobe",
            Layer::Kretprobe => "kretprobe",
            Layer::Fprobe => "fprobe",
            Layer::Ftrace => "ftrace",
            Layer::Event => "event",
            Layer::Bpf => "bpf",
            Layer::Ring => "ring",
            Layer::Log => "log",
            Layer::Tty => "tty",
        }
    }
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Hit while a handler was running on the same CPU.
    InHandler,
    /// Reached from itself.
    Recursion,
    /// No room was left to keep what the return needs.
    NoInstance,
    /// Recording was switched off for the moment.
    Off,
    /// Newer records took its place.
    Overwritten,
    /// The ring was full and keeps the oldest.
    Full,
    /// The ring was full of records that were not yet complete.
    Unfinished,
    /// Interrupts got in between at every try.
    Contended,
    /// Longer than a record can be.
    TooLong,
    /// Begun and given up.
    Discarded,
    /// The event's filter did not want it.
    Filtered,
    /// The next one was due before it came.
    Late,
    /// There was no memory.
    NoMemory,
}

impl Cause {
    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::InHandler => "in-handler",
            Cause::Recursion => "recursion",
            Cause::NoInstance => "no-instance",
            Cause::Off => "off",
            Cause::Overwritten => "overwritten",
            Cause::Full => "full",
            Cause::Unfinished => "unfinished",
            Cause::Contended => "contended",
            Cause::TooLong => "too-long",
            Cause::Discarded => "discarded",
            Cause::Filtered => "filtered",
            Cause::Late => "late",
            Cause::NoMemory => "no-memory",
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Who missed.
    pub layer: Layer,
    /// Which of them.
    pub owner: String,
    /// Why.
    pub cause: Cause,
    /// How often, over all CPUs.
    pub count: u64,
}

/// The misses of all layers.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// An empty table.
    pub const fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a sum; one of zero is left out.
    pub fn add(&mut self, layer: Layer, owner: &str, cause: Cause, count: u64) {
        if count != 0 {
            self.rows.push(Row { layer, owner: owner.into(), cause, count });
        }
    }

    /// The lines, by layer, owner and cause.
    pub fn rows(&self) -> Vec<&Row> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort();
        rows
    }

    /// The sum of all.
    pub fn total(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.count))
    }

    /// Puts the table.
    pub fn print(&self, out: &mut Vec<u8>) {
        let rows = self.rows();
        let width = |least: usize, of: &dyn Fn(&Row) -> usize| {
            rows.iter().map(|row| of(row)).max().unwrap_or(0).clamp(least, MAX_WIDTH)
        };
        let layer = width(5, &|row| row.layer.name().len());
        let owner = width(5, &|row| row.owner.chars().count());
        let cause = width(5, &|row| row.cause.name().len());
        put!(out, "{:layer$}  {:owner$}  {:cause$}  {:>12}\n", "LAYER", "OWNER", "CAUSE", "COUNT");
        for row in rows {
            let (name, why) = (row.layer.name(), row.cause.name());
            put!(out, "{name:layer$}  {:owner$}  {why:cause$}  {:12}\n", row.owner, row.count);
        }
        put!(out, "{:layer$}  {:owner$}  {:cause$}  {:12}\n", "total", "", "", self.total());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_summed() {
        let mut table = Table::new();
        table.add(Layer::Ring, "cpu1", Cause::Full, 0);
        table.add(Layer::Ring, "cpu0", Cause::Overwritten, 147);
        table.add(Layer::Kprobe, "kprobes/first", Cause::InHandler, 3);
        let mut out = Vec::new();
        table.print(&mut out);
        let want = "\
LAYER   OWNER          CAUSE               COUNT
kprobe  kprobes/first  in-handler              3
ring    cpu0           overwritten           147
total                                        150
";
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn an_empty_table_is_a_sum_of_nothing() {
        let mut out = Vec::new();
        Table::new().print(&mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "LAYER  OWNER  CAUSE         COUNT\ntotal                           0\n"
        );
    }
}
