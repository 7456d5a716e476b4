//! `kprobe_events`: probes defined by text, recorded in the ring.
//!
//! ```text
//!   p:first work_add+8 a=%x0 b=%x1
//!      │        │           │
//!      │        │           └─▶ fetch program: which registers and memory go where in the record
//!      │        └─▶ Kprobe, registered disarmed
//!      └─▶ event: class (format, text), directory, enable ─▶ arms all Kprobes of the event
//! ```
//!
//! An event may have several probes: lines with its name and the same arguments at other places join it. At a hit the
//! [`Recorder`] counts, reserves room in this CPU's ring, stores the header, the address and the arguments, and
//! commits; if the event has a filter, only what that wants ([`filters`](super::filters)).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tracecore::errno::Errno;
use tracecore::event::{Class, PROBE_ARGS_AT, probe_class};
use tracecore::fetch::{Env, Hit, Program, STACK_BYTES};
use tracecore::filter::Filter;
use tracecore::misses;
use tracecore::probe::{self, Blame, Command, Definition, ErrorKind, ProbeError, Removal};

use super::counter::Counter;
use super::filters::EventFilter;
use super::names::Kernel;
use super::{buffer, comms, errors, events};
use crate::arch::STACK_SIZE;
use crate::exception::PtRegs;
use crate::fs::textfs::Text;
use crate::fs::tracefs;
use crate::kprobes::{self, Flow, Handler, Kprobe};
use crate::sync::CpuPin;
use crate::task::{self, Mutex};

/// Who speaks in `error_log`; Linux's name.
const SUBSYSTEM: &str = "trace_kprobe";
/// Probes that can be defined at once.
const MAX_PROBES: usize = 16 * 1024;

// What `$stackN` takes for the end of a stack is the end of one.
const _: () = assert!(STACK_BYTES == STACK_SIZE as u64);

const ENV: Env<'static> = Env { memory: &Kernel, symbols: &Kernel };

/// What runs at a hit.
struct Recorder {
    id: u16,
    program: Program,
    hits: Counter,
    filter: Arc<EventFilter>,
    name: String,
}

impl Recorder {
    /// A hit of an event that has a filter.
    #[inline(never)]
    fn judge(&self, filter: &Filter, addr: u64, regs: &PtRegs, pin: &CpuPin) {
        let needs_comm = self.program.has_texts() || filter.needs_comm();
        let comm = if needs_comm { task::current().comm() } else { [0; task::COMM_LEN] };
        let hit = Hit { regs: regs.user().into(), comm: &comm, entry_args: &[], env: &ENV };
        match buffer::record_probe_if(pin, filter, self.id, addr, &self.program, &hit) {
            Ok(true) => comms::note(),
            Ok(false) => self.filter.count(),
            // Counted by the ring.
            Err(_) => {}
        }
    }
}

impl Handler for Recorder {
    #[inline]
    fn pre(&self, addr: u64, regs: &mut PtRegs, pin: &CpuPin) -> Flow {
        self.hits.count();
        if let Some(filter) = self.filter.active(pin) {
            self.judge(filter, addr, regs, pin);
            return Flow::Continue;
        }
        let comm = if self.program.has_texts() { task::current().comm() } else { [0; task::COMM_LEN] };
        let hit = Hit { regs: regs.user().into(), comm: &comm, entry_args: &[], env: &ENV };
        // A record that is refused is counted by the ring.
        if buffer::record_probe(pin, self.id, addr, &self.program, &hit).is_ok() {
            comms::note();
        }
        Flow::Continue
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// One line of `kprobe_events`.
struct Probe {
    definition: Definition,
    recorder: Arc<Recorder>,
    kprobe: Kprobe,
}

/// The probes of one event, and the filter of them all.
struct Probes(Mutex<Vec<Probe>>, Arc<EventFilter>);

impl events::Source for Probes {
    fn switch(&self, on: bool) -> Result<(), Errno> {
        let probes = self.0.lock();
        let mut all = Vec::new();
        all.try_reserve_exact(probes.len()).map_err(|_| Errno::ENOMEM)?;
        all.extend(probes.iter().map(|probe| &probe.kprobe));
        let done = if on { kprobes::arm_all(&all) } else { kprobes::disarm_all(&all) };
        done.map_err(|e| {
            log::warn!("{SUBSYSTEM}: {e}");
            e.errno()
        })
    }

    fn filter(&self) -> &EventFilter {
        &self.1
    }
}

/// An event that lines have defined.
struct Defined {
    group: String,
    event: String,
    class: Arc<Class>,
    probes: Arc<Probes>,
}

/// All of them, in the order in which they were defined; held while lines are worked on.
static DEFINED: Mutex<Vec<Defined>> = Mutex::new(Vec::new());

pub(super) fn init() {
    let root = tracefs::tracefs();
    for name in ["kprobe_events", "dynamic_events"] {
        root.file(
            name,
            Text::new(0o640)
                .show(show)
                .on_open(|how| if how.truncate { remove_all() } else { Ok(()) })
                .commands(|line| command(line).map_err(|e| errors::refuse(SUBSYSTEM, line, e))),
        );
    }
    root.file("kprobe_profile", Text::shown(0o440, profile));
}

fn show(out: &mut dyn core::fmt::Write) -> Result<(), Errno> {
    for defined in DEFINED.lock().iter() {
        for probe in defined.probes.0.lock().iter() {
            writeln!(out, "{}", probe.definition).map_err(|_| Errno::ENOMEM)?;
        }
    }
    Ok(())
}

fn profile(out: &mut dyn core::fmt::Write) -> Result<(), Errno> {
    let mut text = Vec::new();
    for defined in DEFINED.lock().iter() {
        for probe in defined.probes.0.lock().iter() {
            tracecore::text::profile(
                &defined.event,
                probe.recorder.hits.sum(),
                probe.kprobe.missed(),
                &mut text,
            );
        }
    }
    out.write_str(&String::from_utf8_lossy(&text)).map_err(|_| Errno::ENOMEM)
}

/// Adds the hits of each probe that ran no handler, and the records of each event that its filter did not want.
pub(super) fn misses(table: &mut misses::Table) {
    for defined in DEFINED.lock().iter() {
        let owner = events::name(&defined.group, &defined.event);
        let missed = defined.probes.0.lock().iter().map(|probe| probe.kprobe.missed()).sum();
        table.add(misses::Layer::Kprobe, &owner, misses::Cause::InHandler, missed);
        table.add(misses::Layer::Event, &owner, misses::Cause::Filtered, defined.probes.1.filtered());
    }
}

fn command(line: &str) -> Result<(), ProbeError> {
    match probe::parse_line(line, &Kernel)? {
        Command::Nothing => Ok(()),
        Command::Define(definition) => define(line, definition),
        Command::Remove(removal) => remove(&removal).map_err(ProbeError::silent),
    }
}

fn define(line: &str, definition: Definition) -> Result<(), ProbeError> {
    if definition.is_return() {
        log::warn!("{SUBSYSTEM}: return probes are not there yet: {line}");
        return Err(ProbeError::silent(Errno::EOPNOTSUPP));
    }
    let mut all = DEFINED.lock();
    if all.iter().map(|defined| defined.probes.0.lock().len()).sum::<usize>() >= MAX_PROBES {
        return Err(ProbeError::silent(Errno::ENOSPC));
    }
    let existing = all.iter().find(|d| d.group == definition.group && d.event == definition.event);
    if let Some(existing) = existing {
        let probes = existing.probes.0.lock();
        let definitions: Vec<_> = probes.iter().map(|probe| &probe.definition).collect();
        probe::join(&definition, &definitions, line)?;
    } else if events::exists(&definition.group, &definition.event) {
        let blame = Blame { kind: ErrorKind::EventExists, column: 0 };
        return Err(ProbeError { errno: Errno::EEXIST, log: Some(blame) });
    }
    let program = Program::compile(&definition.args, PROBE_ARGS_AT, false)
        .map_err(|_| probe::place_error(line, ErrorKind::EventTooBig))?;
    let id = match existing {
        Some(existing) => existing.class.id,
        None => events::new_id().map_err(ProbeError::silent)?,
    };
    let filter = existing.map_or_else(|| Arc::new(EventFilter::new()), |existing| existing.probes.1.clone());
    let recorder = Arc::new(Recorder {
        filter: filter.clone(),
        id,
        program,
        hits: Counter::new(),
        name: events::name(&definition.group, &definition.event),
    });
    // A module's symbol has no address: there are no modules.
    let addr =
        definition.place.address().ok_or_else(|| probe::place_error(line, ErrorKind::BadProbeAddress))?;
    let kprobe = Kprobe::register(addr as usize, recorder.clone()).map_err(|refusal| {
        log::warn!("{SUBSYSTEM}: {} cannot be probed: {refusal}", definition.place);
        ProbeError { errno: refusal.errno(), ..probe::place_error(line, ErrorKind::RegistrationFailed) }
    })?;
    match existing {
        Some(existing) => {
            if events::is_on(&existing.group, &existing.event) {
                kprobe.arm().map_err(|e| ProbeError::silent(e.errno()))?;
            }
            existing.probes.0.lock().push(Probe { definition, recorder, kprobe });
        }
        None => {
            let class = Arc::new(probe_class(id, &definition));
            let (group, event) = (definition.group.clone(), definition.event.clone());
            let probes =
                Arc::new(Probes(Mutex::new(alloc::vec![Probe { definition, recorder, kprobe }]), filter));
            events::add(class.clone(), probes.clone());
            all.push(Defined { group, event, class, probes });
        }
    }
    Ok(())
}

/// Removes what `removal` matches.
///
/// # Errors
/// ENOENT when there is none, EBUSY when one of them is on; nothing is changed then.
fn remove(removal: &Removal) -> Result<(), Errno> {
    let mut all = DEFINED.lock();
    let matching =
        |defined: &Defined| defined.probes.0.lock().iter().any(|probe| removal.matches(&probe.definition));
    let hit: Vec<usize> = all.iter().enumerate().filter(|(_, d)| matching(d)).map(|(i, _)| i).collect();
    if hit.is_empty() {
        return Err(Errno::ENOENT);
    }
    if hit.iter().any(|&i| events::is_on(&all[i].group, &all[i].event)) {
        return Err(Errno::EBUSY);
    }
    for &i in &hit {
        all[i].probes.0.lock().retain(|probe| !removal.matches(&probe.definition));
    }
    take_out_empty(&mut all)
}

/// Removes everything, as opening for writing from the start does.
fn remove_all() -> Result<(), Errno> {
    let mut all = DEFINED.lock();
    if all.iter().any(|defined| events::is_on(&defined.group, &defined.event)) {
        return Err(Errno::EBUSY);
    }
    for defined in all.iter() {
        defined.probes.0.lock().clear();
    }
    take_out_empty(&mut all)
}

fn take_out_empty(all: &mut Vec<Defined>) -> Result<(), Errno> {
    let mut result = Ok(());
    all.retain(|defined| {
        if !defined.probes.0.lock().is_empty() {
            return true;
        }
        if let Err(e) = events::remove(&defined.group, &defined.event) {
            result = Err(e);
        }
        false
    });
    result
}
