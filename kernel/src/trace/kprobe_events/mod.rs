//! `kprobe_events`: probes defined by text, recorded in the ring.
//!
//! ```text
//!   p:first work_add+8 a=%x0 b=%x1
//!      │        │           │
//!      │        │           └─▶ fetch program: which registers and memory go where in the record     recorder
//!      │        └─▶ Kprobe, registered disarmed
//!      └─▶ event: class (format, text), directory, enable ─▶ arms all Kprobes of the event           book
//! ```
//!
//! An event may have several probes: lines with its name and the same arguments at other places join it. At a hit the
//! [`Recorder`](recorder::Recorder) counts, reserves room in this CPU's ring, stores the header, the address and the
//! arguments, and commits; if the event has a filter, only what that wants ([`filters`](super::filters)).
//!
//! A line that begins with `r`, or whose place ends in `%return`, is about a function's return: [`returns`].
//!
//! Lines come from four places, and mean the same in each:
//!
//! | where | |
//! |---|---|
//! | `kprobe_events` | `>` removes all probes first, `>>` adds; lists all |
//! | `dynamic_events` | the same, and lines about functions and tracepoints, [`functions`]; a line that is of no kind is told in `error_log` too |
//! | `kprobe_event=` on the boot command line | lines with `;` between and `,` for blanks; what they define is on |
//! | [`EventProbe`] in Rust | a guard: removed when it is dropped, and by nothing else |

mod book;
mod functions;
mod guard;
mod recorder;
mod returns;
pub(crate) mod selftest;

use alloc::string::String;
use alloc::vec::Vec;

use tracecore::errno::Errno;
use tracecore::misses;
use tracecore::probe::{self, Command, ProbeError};

pub(crate) use guard::EventProbe;

use book::Which;

use super::errors;
use super::names::Kernel;
use crate::boot;
use crate::fs::textfs::Text;
use crate::fs::tracefs;

/// Who speaks in `error_log`; Linux's names.
const SUBSYSTEM: &str = "trace_kprobe";
const FUNCTIONS: &str = "trace_fprobe";
const DYNAMIC: &str = "dynevent";

/// Linux's sentence for a line that is of no kind, in `dynamic_events`.
const NO_KIND: &str = "No matching dynamic event type";

pub(super) fn init() {
    let root = tracefs::tracefs();
    let file = |which: Which| {
        Text::new(0o640)
            .show(move |out| show(which, out))
            .on_open(move |how| if how.truncate { book::remove_all(which) } else { Ok(()) })
    };
    root.file("kprobe_events", file(Which::Kprobes).commands(command));
    root.file("dynamic_events", file(Which::All).commands(dynamic_command));
    root.file("kprobe_profile", Text::shown(0o440, profile));
    if let Some(lines) = boot::info().arg("kprobe_event") {
        define_at_boot(lines);
    }
}

/// The probes of the boot command line, on from the start. One that is refused does not keep the others out.
fn define_at_boot(lines: &str) {
    for line in probe::boot_lines(lines) {
        let done = define(&line, false).and_then(|number| match number {
            Some(number) => book::switch(number, true).map_err(ProbeError::silent),
            None => Ok(()),
        });
        if let Err(e) = done {
            log::warn!("{SUBSYSTEM}: kprobe_event={line}: {e}");
            errors::refuse(SUBSYSTEM, &line, e);
        }
    }
}

fn show(which: Which, out: &mut dyn core::fmt::Write) -> Result<(), Errno> {
    book::for_each(|probe| match which.has(&probe.definition) {
        true => writeln!(out, "{}", probe.definition).map_err(|_| Errno::ENOMEM),
        false => Ok(()),
    })
}

fn profile(out: &mut dyn core::fmt::Write) -> Result<(), Errno> {
    let mut text = Vec::new();
    let _: Result<(), Errno> = book::for_each(|probe| {
        if probe.definition.is_kprobe() {
            tracecore::text::profile(&probe.definition.event, probe.hits(), probe.missed(), &mut text);
        }
        Ok(())
    });
    out.write_str(&String::from_utf8_lossy(&text)).map_err(|_| Errno::ENOMEM)
}

/// Adds the hits of each event that ran no handler, and the records that its filter did not want.
pub(super) fn misses(table: &mut misses::Table) {
    book::for_each_event(|owner, missed, filtered| {
        table.add(misses::Layer::Kprobe, owner, misses::Cause::InHandler, missed.hits);
        table.add(misses::Layer::Kretprobe, owner, misses::Cause::NoInstance, missed.returns.no_instance());
        table.add(misses::Layer::Kretprobe, owner, misses::Cause::NoMemory, missed.returns.storage);
        table.add(misses::Layer::Kretprobe, owner, misses::Cause::InHandler, missed.returns.in_handler);
        table.add(misses::Layer::Fprobe, owner, misses::Cause::NoInstance, missed.calls.no_instance());
        table.add(misses::Layer::Fprobe, owner, misses::Cause::NoMemory, missed.calls.storage);
        table.add(misses::Layer::Fprobe, owner, misses::Cause::InHandler, missed.calls.in_handler);
        table.add(misses::Layer::Event, owner, misses::Cause::Filtered, filtered);
    });
}

/// One line of `kprobe_events`.
fn command(line: &str) -> Result<(), Errno> {
    define(line, false).map(|_| ()).map_err(|e| errors::refuse(SUBSYSTEM, line, e))
}

/// One line of `dynamic_events`, which says of a line of no kind that it is one.
fn dynamic_command(line: &str) -> Result<(), Errno> {
    let words = probe::command_text(line);
    let of_functions = words.starts_with(['f', 't']);
    // As Linux has it: a line of two words is somebody's.
    if of_functions && words.contains(' ') || words.starts_with('-') {
        let done = define_any(line, false);
        let subsystem = if of_functions { FUNCTIONS } else { SUBSYSTEM };
        return done.map(|_| ()).map_err(|e| errors::refuse(subsystem, line, e));
    }
    if !of_functions && words.starts_with(['p', 'r']) || words.is_empty() {
        return command(line);
    }
    errors::push(DYNAMIC, NO_KIND, line.into(), 0);
    Err(Errno::EINVAL)
}

/// Does what a line of `kprobe_events` asks for. Returns the number of the probe that it has defined, if it has.
fn define(line: &str, held: bool) -> Result<Option<u64>, ProbeError> {
    carry_out(line, probe::parse_line(line, &Kernel)?, held, Which::Kprobes)
}

/// The same for a line of `dynamic_events`.
fn define_any(line: &str, held: bool) -> Result<Option<u64>, ProbeError> {
    carry_out(line, probe::parse_dynamic_line(line, &Kernel)?, held, Which::All)
}

fn carry_out(line: &str, command: Command, held: bool, which: Which) -> Result<Option<u64>, ProbeError> {
    match command {
        Command::Nothing => Ok(None),
        Command::Define(definition) => book::define(line, definition, held).map(Some),
        Command::Remove(removal) => book::remove(&removal, which).map(|()| None).map_err(ProbeError::silent),
    }
}
