//! Events that are recorded, driven by the files that a user writes to.

use super::probed;
use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::fs::vfs::{self, How};
use crate::ftrace;
use crate::trace::EventProbe;
use alloc::format;
use alloc::vec::Vec;
use core::hint::black_box;
use tracecore::errno::Errno;

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "kprobe/event-record", run: |b| record(b, 'p', "insn_ret") },
    Bench { name: "kprobe/event-record-simulated", run: |b| record(b, 'p', "insn_ret+4") },
    Bench { name: "kprobe/event-2-args", run: |b| record(b, 'p', "insn_ret a=%x0 b=%x1") },
    Bench { name: "kprobe/event-string", run: |b| record(b, 'p', "insn_ret $comm:string") },
    Bench { name: "kprobe/event-filter-reject", run: reject },
    Bench { name: "kprobe/register-1", run: register },
    Bench { name: "kprobe/register-1-beside-5000", run: register_beside_many },
    Bench { name: "trace_marker/write", run: marker },
];

const TRACING: &str = "/sys/kernel/tracing";

/// Opened for writing, and what is there stays: what the shell does for `>>`.
const WRITE: How = How { create: false, ..How::APPEND };

/// Writes a line to a file of tracefs.
pub(super) fn write(file: &str, text: &str) -> Result<(), Skip> {
    let written = vfs::open(TRACING, file, WRITE).and_then(|file| file.write_all(text.as_bytes()));
    written.map_err(|_: Errno| Skip("a file of the tracing tree refused a line"))
}

/// An event of this kind on this place with these arguments, on until it is dropped.
fn event(kind: char, probe: &str) -> Result<EventProbe, Skip> {
    let event = EventProbe::define(&format!("{kind}:bench/hit {probe}"))
        .map_err(|_| Skip("the probe was refused"))?;
    event.enable().map_err(|_| Skip("the event cannot be switched on"))?;
    Ok(event)
}

/// What recording an event adds to the call of a function.
fn record(b: &mut Bencher, kind: char, probe: &str) -> BenchResult {
    let insn = probed().ok_or(Skip("the function is not there"))?;
    record_calls(b, kind, probe, || {
        black_box(insn.call(2, 40));
    })
}

/// The same for a call of another one.
pub(super) fn record_calls(b: &mut Bencher, kind: char, probe: &str, call: impl Fn()) -> BenchResult {
    b.extra(1000, call, || event(kind, probe))
}

/// What an event adds to the call of a function when its filter wants none of the records.
fn reject(b: &mut Bencher) -> BenchResult {
    let insn = probed().ok_or(Skip("the function is not there"))?;
    let call = || {
        black_box(insn.call(2, 40));
    };
    b.extra(1000, call, || {
        let event = event('p', "insn_ret a=%x0")?;
        write("events/bench/hit/filter", "a == 1\n")?;
        Ok(event)
    })
}

/// Creates one event: the line is read, its symbol found, the event made and shown in the tree, disarmed.
fn register(b: &mut Bencher) -> BenchResult {
    let file = vfs::open(TRACING, "kprobe_events", WRITE).map_err(|_| Skip("there is no kprobe_events"))?;
    let mut written = Ok(());
    b.once(1, || written = file.write_all(b"p:bench/one work_add\n"));
    written.map_err(|_: Errno| Skip("the line was refused"))?;
    write("kprobe_events", "-:bench/one\n")
}

/// The same while five thousand others are defined, each an event of its own at a place of its own.
fn register_beside_many(b: &mut Bencher) -> BenchResult {
    const MANY: usize = 5000;
    let places = ftrace::sites().flat_map(|site| (site.after()..).step_by(4).take(8));
    let others: Vec<_> = places
        .enumerate()
        .filter_map(|(n, place)| EventProbe::define(&format!("p:many/e{n} {place:#x}")).ok())
        .take(MANY)
        .collect();
    if others.len() < MANY {
        return Err(Skip("less than five thousand places can be probed"));
    }
    register(b)
}

/// A text of six bytes into the trace, less the same into `/dev/null`.
fn marker(b: &mut Bencher) -> BenchResult {
    let open = |path| vfs::open(TRACING, path, WRITE).map_err(|_| Skip("a file is missing"));
    let (marker, null) = (open("trace_marker")?, open("/dev/null")?);
    let mut failed = false;
    let mut failed_null = false;
    b.iter_over(
        1000,
        || failed_null |= null.write(b"hello\n").is_err(),
        || failed |= marker.write(b"hello\n").is_err(),
    );
    if failed || failed_null { Err(Skip("a write failed")) } else { Ok(()) }
}
