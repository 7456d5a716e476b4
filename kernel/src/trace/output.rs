//! Records as text: `trace` looks, [`trace_pipe`](super::pipe) takes.
//!
//! Both merge the rings by time. A pass holds the right to read each ring only while it makes one piece of text, so a
//! slow reader keeps nobody out; `trace` goes on where its cursors stand, and what is overwritten meanwhile is missing
//! from it, with a line that says how much.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tracecore::event::{Class, Header};
use tracecore::graph::{Graph, Names};
use tracecore::ring::{self, Cursor, Lane, Record};
use tracecore::text::{self, Found, Style};

use super::names::Kernel;
use super::options::{self, Opt};
use super::rings::{self, Pause};
use super::{comms, events, graph, pipe, tracers};
use crate::arch::cpu;
use crate::fs::textfs::{Out, Pieces, Text};
use crate::fs::tracefs;

/// Records that one piece of text is made of at most.
pub(super) const BATCH: usize = 64;

/// Which rings a file shows.
type Only = Option<usize>;

pub(super) fn init() {
    let root = tracefs::tracefs();
    add(&|name, file| root.file(name, file), None);
    for cpu in rings::cpus() {
        let dir = root.dir("per_cpu", 0o750).dir(&format!("cpu{cpu}"), 0o750);
        add(&|name, file| dir.file(name, file), Some(cpu));
        dir.file("trace_pipe_raw", pipe::raw_file(cpu));
    }
}

fn add(file: &dyn Fn(&str, Text), only: Only) {
    file(
        "trace",
        Text::new(0o640)
            .seq(move |_| Ok(look(only)))
            .on_open(move |how| {
                if how.truncate {
                    rings::reset(only);
                }
                Ok(())
            })
            .write(|data| Ok(data.len())),
    );
    file("trace_pipe", pipe::file(only));
}

/// A record, the classes already looked up, and how to show them, kept from piece to piece.
pub(super) struct Printer {
    pub(super) record: Box<Record>,
    classes: Vec<Arc<Class>>,
    style: Style,
    /// While `function_graph` is current: its text, and the record behind an entry.
    graph: Option<Graph>,
    behind: Box<Record>,
}

impl Printer {
    pub(super) fn new() -> Self {
        let (record, behind) = (Box::new(Record::new()), Box::new(Record::new()));
        let mut new = Self { record, classes: Vec::new(), style: options::style(), graph: None, behind };
        new.look_up_style();
        new
    }

    /// For lines in the kernel log.
    pub(super) fn for_dump() -> Self {
        let mut printer = Self::new();
        printer.style.since = Some(rings::emptied_at());
        printer
    }

    /// From here on as the options are now.
    pub(super) fn look_up_style(&mut self) {
        self.style = options::style();
        if !tracers::is_current(&graph::TRACER) {
            self.graph = None;
            return;
        }
        match &mut self.graph {
            Some(graph) => graph.style = graph::style(),
            None => self.graph = Some(Graph::new(graph::style())),
        }
    }

    /// Puts the heading of `trace`: so many records are there, of so many.
    fn heading(&self, entries: u64, written: u64, out: &mut Vec<u8>) {
        match &self.graph {
            Some(graph) => graph.heading(tracers::current(), out),
            None => text::heading(tracers::current(), entries, written, cpu::online(), &self.style, out),
        }
    }

    /// Puts the text of the record, which `lanes` have given for this CPU. Of a graph that of the next may be in the same line:
    /// then it is taken, too.
    pub(super) fn text(&mut self, cpu: usize, lanes: &mut [Lane<'_>], out: &mut Vec<u8>) {
        let Some(graph) = self.graph.take() else { return self.line(cpu, out) };
        let lane = lanes.iter_mut().find(|lane| lane.cpu == cpu);
        let mut is_leaf = false;
        let mut other = false;
        if let Some(lane) = lane
            && graph.wants_next(Header::of(self.record.bytes()).id)
            && lane.peek(&mut self.behind)
            && graph.is_leaf(cpu, self.record.bytes(), self.behind.bytes())
        {
            let ts = self.behind.ts;
            let taken = lane.take(&mut self.behind);
            // It may have been overwritten since, and then another was taken.
            is_leaf = taken && self.behind.ts == ts && self.behind.lost == 0;
            other = taken && !is_leaf;
        }
        self.graph = Some(graph);
        self.graph_line(cpu, is_leaf, out);
        if other {
            core::mem::swap(&mut self.record, &mut self.behind);
            if self.record.lost > 0 {
                text::lost(cpu, self.record.lost, out);
            }
            self.graph_line(cpu, false, out);
        }
    }

    fn graph_line(&mut self, cpu: usize, is_leaf: bool, out: &mut Vec<u8>) {
        let class = self.class(Header::of(self.record.bytes()).id);
        let Some(graph) = &mut self.graph else { return };
        let names = Names { symbols: &Kernel, comm: &|pid| comms::name(pid as u32) };
        let found = Found { cpu, time: self.record.ts, record: self.record.bytes() };
        let exit = is_leaf.then(|| self.behind.bytes());
        if !graph.line(found, exit, class.as_deref(), &names, out) {
            self.line(cpu, out);
        }
    }

    /// The class of this number.
    fn class(&mut self, id: u16) -> Option<Arc<Class>> {
        self.classes.iter().find(|class| class.id == id).cloned().or_else(|| {
            let class = events::class(id)?;
            self.classes.push(class.clone());
            Some(class)
        })
    }

    /// Puts the text of the record as a line by itself.
    pub(super) fn line(&mut self, cpu: usize, out: &mut Vec<u8>) {
        let header = Header::of(self.record.bytes());
        let class = self.class(header.id);
        let comm = comms::name(header.pid as u32);
        let found = Found { cpu, time: self.record.ts, record: self.record.bytes() };
        text::line(found, class.as_deref(), comm.as_deref(), &Kernel, &self.style, out);
    }
}

/// Which CPUs' first records are to be announced: in a trace of which something is lost, all but the first.
struct Announced {
    wanted: bool,
    cpus: u32,
}

impl Announced {
    fn before(&mut self, cpu: usize, out: &mut Vec<u8>) {
        let first_of_all = self.cpus == 0;
        if self.wanted && self.cpus & 1 << cpu == 0 && !first_of_all {
            text::cpu_started(cpu, out);
        }
        self.cpus |= 1 << cpu;
    }
}

/// `trace`: the heading, then everything that is there, without taking it.
fn look(only: Only) -> Pieces {
    let pause = Opt::PauseOnTrace.is_on().then(Pause::new);
    let mut cursors: Option<Vec<(usize, Cursor)>> = None;
    let mut announced = Announced { wanted: Opt::Annotate.is_on(), cpus: 0 };
    let mut printer = Printer::new();
    Box::new(move |out: &mut Out| {
        let _paused = &pause;
        let out = out.bytes();
        match &mut cursors {
            None => {
                let (mut entries, mut overrun) = (0, 0);
                let mut start = Vec::new();
                for held in rings::hold_all(only) {
                    let Some(reader) = held.reader() else { continue };
                    let stats = reader.stats(0);
                    entries += stats.entries;
                    overrun += stats.overrun;
                    start.push((held.cpu, reader.cursor()));
                }
                printer.heading(entries, entries + overrun, out);
                cursors = Some(start);
                Ok(true)
            }
            Some(cursors) => {
                let held: Vec<_> = cursors.iter().map(|(cpu, cursor)| (rings::hold(*cpu), *cursor)).collect();
                let mut lanes: Vec<_> = held
                    .iter()
                    .filter_map(|(held, cursor)| Some(Lane::looking(held.cpu, held.reader()?, *cursor)))
                    .collect();
                let mut lines = 0;
                while lines < BATCH
                    && let Some(cpu) = ring::next_of(&mut lanes, &mut printer.record)
                {
                    if printer.graph.is_none() {
                        announced.before(cpu, out);
                    }
                    if printer.record.lost > 0 {
                        text::lost(cpu, printer.record.lost, out);
                    }
                    printer.text(cpu, &mut lanes, out);
                    lines += 1;
                }
                *cursors = lanes.iter().filter_map(|lane| Some((lane.cpu, lane.cursor()?))).collect();
                Ok(lines > 0)
            }
        }
    })
}
