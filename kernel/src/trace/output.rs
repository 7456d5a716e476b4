//! Records as text: `trace` looks, `trace_pipe` takes.
//!
//! Both merge the rings by time. A pass holds the right to read each ring only while it makes one piece of text, so a
//! slow reader keeps nobody out; `trace` goes on where its cursors stand, and what is overwritten meanwhile is missing
//! from it, as it should be.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tracecore::errno::Errno;
use tracecore::event::{Class, Header};
use tracecore::ring::{self, Cursor, Lane, Record};
use tracecore::text::{self, Found};

use super::names::Kernel;
use super::{buffer, comms, events, tracers};
use crate::fs::textfs::{Pieces, Text};
use crate::fs::{tracefs, wait};
use crate::time;

/// Records that one piece of text is made of at most.
const BATCH: usize = 64;
/// How often a reader of `trace_pipe` looks whether there is something.
const POLL_NS: u64 = 20_000_000;

/// Which rings a file shows.
type Only = Option<usize>;

pub(super) fn init() {
    let root = tracefs::tracefs();
    add(&|name, file| root.file(name, file), None);
    for (cpu, _) in buffer::rings() {
        let dir = root.dir("per_cpu", 0o750).dir(&format!("cpu{cpu}"), 0o750);
        add(&|name, file| dir.file(name, file), Some(cpu));
    }
    root.file(
        "saved_cmdlines",
        Text::shown(0o440, |out| {
            comms::all()
                .iter()
                .try_for_each(|(pid, name)| writeln!(out, "{pid} {}", String::from_utf8_lossy(name)))
                .map_err(|_| Errno::ENOMEM)
        }),
    );
}

fn add(file: &dyn Fn(&str, Text), only: Only) {
    file(
        "trace",
        Text::new(0o640)
            .seq(move |_| Ok(look(only)))
            .on_open(move |how| {
                if how.truncate {
                    buffer::reset(selected(only));
                }
                Ok(())
            })
            .write(|data| Ok(data.len())),
    );
    file("trace_pipe", Text::new(0o440).stream(move |how| Ok(take(only, how.nonblock))));
}

/// A record and the classes already looked up, kept from piece to piece.
struct Printer {
    record: Box<Record>,
    classes: Vec<Arc<Class>>,
}

impl Printer {
    fn new() -> Self {
        Self { record: Box::new(Record::new()), classes: Vec::new() }
    }

    fn line(&mut self, cpu: usize, out: &mut Vec<u8>) {
        let header = Header::of(self.record.bytes());
        let known = self.classes.iter().find(|class| class.id == header.id).cloned();
        let class = known.or_else(|| {
            let class = events::class(header.id)?;
            self.classes.push(class.clone());
            Some(class)
        });
        let comm = comms::name(header.pid as u32);
        let found = Found { cpu, time_ns: self.record.ts, record: self.record.bytes() };
        text::line(found, class.as_deref(), comm.as_deref(), &Kernel, out);
    }
}

/// `trace`: the heading, then everything that is there, without taking it.
fn look(only: Only) -> Pieces {
    let mut cursors: Option<Vec<(usize, Cursor)>> = None;
    let mut printer = Printer::new();
    Box::new(move |out| {
        let mut text = Vec::new();
        let more = match &mut cursors {
            None => {
                let (mut entries, mut written) = (0, 0);
                let mut start = Vec::new();
                for (cpu, ring) in selected(only) {
                    let Some(reader) = buffer::reader(ring) else { continue };
                    let stats = reader.stats(0);
                    entries += stats.entries;
                    written += stats.entries + stats.overrun;
                    start.push((cpu, reader.cursor()));
                }
                text::heading(tracers::current(), entries, written, crate::arch::cpu::online(), &mut text);
                cursors = Some(start);
                true
            }
            Some(cursors) => {
                let mut lanes = Vec::new();
                for (cpu, cursor) in cursors.iter() {
                    let ring = selected(Some(*cpu)).next().map(|(_, ring)| ring);
                    if let Some(reader) = ring.and_then(buffer::reader) {
                        lanes.push(Lane::looking(*cpu, reader, *cursor));
                    }
                }
                let mut lines = 0;
                while lines < BATCH
                    && let Some(cpu) = ring::next_of(&mut lanes, &mut printer.record)
                {
                    printer.line(cpu, &mut text);
                    lines += 1;
                }
                *cursors = lanes.iter().filter_map(|lane| Some((lane.cpu, lane.cursor()?))).collect();
                lines > 0
            }
        };
        out.push_str(&String::from_utf8_lossy(&text));
        Ok(more)
    })
}

/// `trace_pipe`: takes records as they come, and waits for them.
fn take(only: Only, nonblock: bool) -> Pieces {
    let mut printer = Printer::new();
    Box::new(move |out| {
        loop {
            let mut text = Vec::new();
            let mut lanes: Vec<_> = selected(only)
                .filter_map(|(cpu, ring)| Some(Lane::consuming(cpu, buffer::reader(ring)?)))
                .collect();
            let mut lines = 0;
            while lines < BATCH
                && let Some(cpu) = ring::next_of(&mut lanes, &mut printer.record)
            {
                if printer.record.lost > 0 {
                    text::lost(cpu, printer.record.lost, &mut text);
                }
                printer.line(cpu, &mut text);
                lines += 1;
            }
            drop(lanes);
            if lines > 0 {
                out.push_str(&String::from_utf8_lossy(&text));
                return Ok(true);
            }
            if nonblock {
                return Err(Errno::EAGAIN);
            }
            wait::sleep_until(time::now_ns() + POLL_NS)?;
        }
    })
}

fn selected(only: Only) -> impl Iterator<Item = (usize, &'static ring::CpuRing)> {
    buffer::rings().filter(move |(cpu, _)| only.is_none_or(|only| only == *cpu))
}
