//! The maps of a tool as text: histograms, tables, stacks, streams.
//!
//! Tables and stacks are sorted by their last number, so that what counts most stands last, beside the prompt.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;

use ::bpf::histogram;
use ::bpf::map::MapDef;
use sh::Ctx;

use super::Running;
use crate::bpf::maps::{Entry, MAX_DATA, here};
use crate::time::NS_PER_S;
use crate::{ksyms, task};

/// What a tool prints.
#[derive(Clone, Copy)]
pub(super) enum Shows {
    /// An array of counts by powers of two, of all CPUs together.
    Histogram {
        map: &'static str,
        /// Of what.
        unit: &'static str,
    },
    /// The elements of a map.
    Table { map: &'static str, columns: &'static [Column] },
    /// Counts by stack.
    Stacks { counts: &'static str, stacks: &'static str },
    /// What comes out of a ring buffer: when, which task, whether it begins, its name.
    Lives { map: &'static str },
    /// The lines that the tool has printed to the trace.
    Printed,
    /// The first number of the tool's data.
    Data { what: &'static str },
}

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) at: At,
    /// How many bytes it has: 4 or 8.
    pub(super) bytes: usize,
    pub(super) what: What,
}

/// Where a number lies.
#[derive(Clone, Copy)]
pub(super) enum At {
    Key(usize),
    Value(usize),
}

/// What a number is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Number,
    /// It is divided by the first number of the value.
    PerCount,
    /// An address in a function.
    Function,
    /// An address of anything.
    Symbol,
    /// A task, which has a name while it lives.
    Task,
}

/// The number of `bytes` at `at`.
fn number(from: &[u8], at: usize, bytes: usize) -> u64 {
    let mut word = [0; 8];
    let found = from.get(at..).unwrap_or_default().iter().take(bytes);
    word.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(word)
}

/// All elements: key and value.
fn elements(map: &Entry) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut all, mut key) = (Vec::new(), None);
    // A map that grew meanwhile would not end.
    for _ in 0..map.def().max_entries {
        let mut next = vec![0; map.def().key_size as usize];
        if map.key_after(key.as_deref(), &mut next).is_err() {
            break;
        }
        if let Some(value) = value(map, &next) {
            all.push((next.clone(), value));
        }
        key = Some(next);
    }
    all
}

/// The value of a key, or those of all CPUs one behind the other.
fn value(map: &Entry, key: &[u8]) -> Option<Vec<u8>> {
    let mut value = vec![0; bytes_of_value(map.def(), map.cpus())];
    map.read_value(key, &mut value).ok().map(|()| value)
}

fn bytes_of_value(def: &MapDef, cpus: usize) -> usize {
    if def.kind.is_percpu() { def.value_stride() as usize * cpus } else { def.value_size as usize }
}

/// A symbol, with how far behind it if it is not its beginning.
fn symbol(addr: u64) -> String {
    match ksyms::by_addr(addr as usize) {
        Some(symbol) if symbol.start == addr => symbol.name.to_string(),
        Some(symbol) => format!("{}+{:#x}", symbol.name, addr - symbol.start),
        None => format!("{addr:#x}"),
    }
}

/// Prints what came since it was last looked.
pub(super) fn stream(ctx: &mut Ctx, tool: &Running, shows: &Shows) {
    let Shows::Lives { map } = shows else { return };
    let Some(map) = tool.map(map) else { return };
    let mut data = [0; MAX_DATA];
    while let Ok(Some(len)) = here(|_| map.ring_take(&mut data)) {
        let record = data.get(..len).unwrap_or_default();
        let (time, pid) = (number(record, 0, 8), number(record, 8, 4));
        let what = if number(record, 12, 4) == 1 { "begins" } else { "ends" };
        let name = record.get(16..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
        ctx.print(&format!(
            "{:>5}.{:06} {pid:<6} {what:<7} {}\n",
            time / NS_PER_S,
            time % NS_PER_S / 1000,
            String::from_utf8_lossy(name)
        ));
    }
    ctx.flush();
}

/// Prints what is known in the end.
pub(super) fn print(ctx: &mut Ctx, tool: &Running, shows: &Shows) {
    let text = match *shows {
        Shows::Histogram { map, unit } => tool.map(map).map(|map| slots(map, unit)),
        Shows::Table { map, columns } => tool.map(map).map(|map| table(map, columns)),
        Shows::Stacks { counts, stacks } => {
            tool.map(counts).zip(tool.map(stacks)).map(|(counts, stacks)| by_stack(counts, stacks))
        }
        Shows::Data { what } => tool.map(".bss").and_then(|map| {
            let value = value(map, &0_u32.to_le_bytes())?;
            Some(format!("{what}: {}\n", number(&value, 0, 8)))
        }),
        Shows::Printed => printed(ctx),
        Shows::Lives { .. } => None,
    };
    ctx.print(&text.unwrap_or_default());
}

fn slots(map: &Arc<Entry>, unit: &str) -> String {
    let sum = |value: &Vec<u8>| value.chunks(8).map(|count| number(count, 0, 8)).sum();
    let slots: Vec<u64> = elements(map).iter().map(|(_, value)| sum(value)).collect();
    histogram::print(&slots, unit)
}

fn table(map: &Arc<Entry>, columns: &[Column]) -> String {
    let cell = |key: &[u8], value: &[u8], column: &Column| {
        let number = match column.at {
            At::Key(at) => number(key, at, column.bytes),
            At::Value(at) => number(value, at, column.bytes),
        };
        let text = match column.what {
            What::Number => number.to_string(),
            What::PerCount => (number / self::number(value, 0, 8).max(1)).to_string(),
            What::Function | What::Symbol => symbol(number),
            What::Task => task::find(number as u32).map_or(String::from("-"), |task| task.name().to_string()),
        };
        (number, text)
    };
    let mut rows: Vec<Vec<(u64, String)>> = elements(map)
        .iter()
        .map(|(key, value)| columns.iter().map(|column| cell(key, value, column)).collect())
        .collect();
    rows.sort_by_key(|row| row.last().map(|(number, _)| *number));
    let mut widths: Vec<usize> = columns.iter().map(|column| column.title.len()).collect();
    for row in &rows {
        widths.iter_mut().zip(row).for_each(|(width, (_, text))| *width = (*width).max(text.chars().count()));
    }
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (n, (cell, width)) in cells.zip(&widths).enumerate() {
            // The first is what the line is about; numbers stand under one another.
            let _ = if n == 0 { write!(text, "{cell:<width$}") } else { write!(text, " {cell:>width$}") };
        }
        text.push('\n');
    };
    line(&mut columns.iter().map(|column| column.title));
    rows.iter().for_each(|row| line(&mut row.iter().map(|(_, text)| text.as_str())));
    text
}

/// Each stack, its innermost function first, and how often it was met.
fn by_stack(counts: &Arc<Entry>, stacks: &Arc<Entry>) -> String {
    let mut all: Vec<(u64, Vec<u8>)> =
        elements(counts).into_iter().map(|(key, value)| (number(&value, 0, 8), key)).collect();
    all.sort();
    let mut text = String::new();
    for (count, id) in all {
        for frame in value(stacks, &id).unwrap_or_default().chunks(8) {
            let addr = number(frame, 0, 8);
            if addr != 0 {
                let _ = writeln!(text, "  {}", symbol(addr));
            }
        }
        let _ = writeln!(text, "    {count}\n");
    }
    text
}

/// The lines of the trace that programs have printed.
fn printed(ctx: &mut Ctx) -> Option<String> {
    const TRACE: &str = "/sys/kernel/tracing/trace";
    const MARK: &str = "bpf_trace_printk: ";
    let trace = ctx.read_file(TRACE).inspect_err(|errno| ctx.fail(TRACE, *errno)).ok()?;
    let trace = String::from_utf8_lossy(&trace);
    let mut text = String::new();
    for (_, said) in trace.lines().filter_map(|line| line.split_once(MARK)) {
        let _ = writeln!(text, "{said}");
    }
    Some(text)
}
