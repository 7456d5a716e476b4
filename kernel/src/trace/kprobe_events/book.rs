//! Every probe that a line has defined, by event and in order.
//!
//! ```text
//!   events   "kprobes" ─▶ "kp"    ─▶ Defined ─▶ Siblings { 0: ●, 2: ● }
//!                         "other" ─▶ Defined ─▶ Siblings { 1:   ●   }
//!   order    0: kp at f       1: other at g       2: kp at f+16            what the files list
//! ```
//!
//! An event may have several probes; they go one by one, and the event goes with its last. A probe is found by name and
//! taken out in the logarithm of how many there are, so that ten thousand lines cost ten thousand times one.
//!
//! Lock order: the book, then the registry of events, then the siblings of one event. Switching an event and joining it
//! both hold the siblings, so an event that is on has no probe that is not armed.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tracecore::errno::Errno;
use tracecore::event::{Class, PROBE_ARGS_AT, RETURN_ARGS_AT, probe_class};
use tracecore::fetch::Program;
use tracecore::probe::{self, Blame, Definition, ErrorKind, Kind, ProbeError, Removal};

use super::SUBSYSTEM;
use super::functions::{self, FunctionProbe, TracepointProbe};
use super::recorder::{Recorder, Recording};
use super::returns::{self, ReturnRecorder};
use crate::kprobes::{self, Kprobe};
use crate::rethook::{self, Kretprobe};
use crate::task::Mutex;
use crate::trace::events;
use crate::trace::filters::EventFilter;

/// Probes that can be defined at once.
const MAX_PROBES: usize = 16 * 1024;

/// One line of `kprobe_events`.
pub(super) struct Probe {
    pub(super) definition: Definition,
    hook: Hook,
    /// A guard's: only dropping that removes it.
    held: bool,
}

impl Probe {
    pub(super) fn hits(&self) -> u64 {
        match &self.hook {
            Hook::Entry(_, recorder) => recorder.hits(),
            Hook::Return(_, recorder) => recorder.hits(),
            Hook::Function(probe) => probe.hits(),
            Hook::Tracepoint(probe) => probe.hits(),
        }
    }

    /// As the profile shows it: for the probe of a return together with what its entry missed.
    pub(super) fn missed(&self) -> u64 {
        match &self.hook {
            Hook::Entry(kprobe, _) => kprobe.missed(),
            Hook::Return(kretprobe, _) => kretprobe.missed_in_all(),
            Hook::Function(probe) => probe.missed().sum(),
            Hook::Tracepoint(_) => 0,
        }
    }

    fn kprobe(&self) -> Option<&Kprobe> {
        match &self.hook {
            Hook::Entry(kprobe, _) => Some(kprobe),
            _ => None,
        }
    }

    fn kretprobe(&self) -> Option<&Kretprobe> {
        match &self.hook {
            Hook::Return(kretprobe, _) => Some(kretprobe),
            _ => None,
        }
    }

    /// Switches it by itself.
    fn switch(&self, on: bool) -> Result<(), Errno> {
        match &self.hook {
            Hook::Entry(kprobe, _) if on => kprobe.arm().map_err(kprobes::Refusal::errno),
            Hook::Entry(kprobe, _) => kprobe.disarm().map_err(kprobes::Refusal::errno),
            Hook::Return(kretprobe, _) if on => kretprobe.arm().map_err(rethook::Refusal::errno),
            Hook::Return(kretprobe, _) => kretprobe.disarm().map_err(rethook::Refusal::errno),
            Hook::Function(probe) => probe.switch(on),
            Hook::Tracepoint(probe) => probe.switch(on),
        }
    }
}

/// Where a probe sits, and what runs there.
enum Hook {
    Entry(Kprobe, Arc<Recorder>),
    Return(Kretprobe, Arc<ReturnRecorder>),
    Function(FunctionProbe),
    Tracepoint(TracepointProbe),
}

/// What the probes of an event have missed.
#[derive(Default)]
pub(super) struct MissedByEvent {
    /// Hits that ran no handler.
    pub(super) hits: u64,
    /// Returns that were not caught although the entry was hit.
    pub(super) returns: rethook::Missed,
    /// Calls of functions of which an fprobe was not told.
    pub(super) calls: rethook::Missed,
}

impl MissedByEvent {
    fn add(&mut self, probe: &Probe) {
        match &probe.hook {
            Hook::Entry(kprobe, _) => self.hits += kprobe.missed(),
            Hook::Return(kretprobe, _) => {
                self.hits += kretprobe.missed_at_entry();
                self.returns += kretprobe.missed();
            }
            Hook::Function(probe) => self.calls += probe.missed(),
            Hook::Tracepoint(_) => {}
        }
    }
}

/// The probes of one event, by their numbers in the book.
#[derive(Default)]
struct Siblings {
    on: bool,
    /// The last one has been taken out, and the event is about to go.
    gone: bool,
    probes: BTreeMap<u64, Arc<Probe>>,
}

/// What switches an event, and its filter.
struct Switch {
    siblings: Mutex<Siblings>,
    filter: Arc<EventFilter>,
}

impl events::Source for Switch {
    fn switch(&self, on: bool) -> Result<(), Errno> {
        let mut siblings = self.siblings.lock();
        if siblings.gone {
            return Err(Errno::ENODEV);
        }
        switch_all(&siblings.probes, on).inspect_err(|e| log::warn!("{SUBSYSTEM}: {}", e.strerror()))?;
        siblings.on = on;
        Ok(())
    }

    fn filter(&self) -> &EventFilter {
        &self.filter
    }
}

/// Arms or disarms the probes of an event, which are all of one kind.
fn switch_all(probes: &BTreeMap<u64, Arc<Probe>>, on: bool) -> Result<(), Errno> {
    let (mut entries, mut returns) = (Vec::new(), Vec::new());
    entries.try_reserve_exact(probes.len()).map_err(|_| Errno::ENOMEM)?;
    returns.try_reserve_exact(probes.len()).map_err(|_| Errno::ENOMEM)?;
    entries.extend(probes.values().filter_map(|probe| probe.kprobe()));
    returns.extend(probes.values().filter_map(|probe| probe.kretprobe()));
    if entries.is_empty() && returns.is_empty() {
        return switch_each(probes, on);
    }
    if on {
        kprobes::arm_all(&entries).map_err(kprobes::Refusal::errno)?;
        rethook::arm_all(&returns).map_err(rethook::Refusal::errno)
    } else {
        kprobes::disarm_all(&entries).map_err(kprobes::Refusal::errno)?;
        rethook::disarm_all(&returns).map_err(rethook::Refusal::errno)
    }
}

/// The same for those that have no batch: one after the other, and all of them or none.
fn switch_each(probes: &BTreeMap<u64, Arc<Probe>>, on: bool) -> Result<(), Errno> {
    for (at, probe) in probes.values().enumerate() {
        if let Err(e) = probe.switch(on) {
            for done in probes.values().take(at) {
                done.switch(!on)?;
            }
            return Err(e);
        }
    }
    Ok(())
}

/// An event that lines have defined.
struct Defined {
    class: Arc<Class>,
    switch: Arc<Switch>,
}

struct Book {
    events: BTreeMap<String, BTreeMap<String, Defined>>,
    order: BTreeMap<u64, Arc<Probe>>,
    next: u64,
}

/// Which probes a file is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those of `kprobe_events`.
    Kprobes,
    /// Those of `dynamic_events`.
    All,
}

impl Which {
    /// Is it about this one?
    pub(super) fn has(self, definition: &Definition) -> bool {
        self == Self::All || definition.is_kprobe()
    }
}

/// Held while lines are worked on.
static BOOK: Mutex<Book> = Mutex::new(Book { events: BTreeMap::new(), order: BTreeMap::new(), next: 0 });

/// Shows each probe to `look`, in the order in which they were defined, as long as that goes well.
pub(super) fn for_each<E>(look: impl FnMut(&Probe) -> Result<(), E>) -> Result<(), E> {
    BOOK.lock().order.values().map(|probe| &**probe).try_for_each(look)
}

/// Shows each event to `look`: its name, what its probes have missed, and how many records its filter did not want.
pub(super) fn for_each_event(mut look: impl FnMut(&str, MissedByEvent, u64)) {
    for (group, events) in &BOOK.lock().events {
        for (event, defined) in events {
            let mut missed = MissedByEvent::default();
            defined.switch.siblings.lock().probes.values().for_each(|probe| missed.add(probe));
            look(&events::name(group, event), missed, defined.switch.filter.filtered());
        }
    }
}

/// Defines what `line` was read as. Returns its number.
pub(super) fn define(line: &str, mut definition: Definition, held: bool) -> Result<u64, ProbeError> {
    let is_return = definition.is_return();
    if is_return {
        returns::fill_in_maxactive(&mut definition);
        returns::check_needs(line, &definition)?;
    }
    let mut book = BOOK.lock();
    let book = &mut *book;
    if book.order.len() >= MAX_PROBES {
        return Err(ProbeError::silent(Errno::ENOSPC));
    }
    let existing = book.events.get(&definition.group).and_then(|events| events.get(&definition.event));
    match existing {
        Some(defined) => {
            let siblings = defined.switch.siblings.lock();
            let definitions: Vec<_> = siblings.probes.values().map(|probe| &probe.definition).collect();
            // Linux has another number for these.
            let number = |error: ProbeError| match functions::is_one(&definition) {
                true => error.with_errno(Errno::EINVAL),
                false => error,
            };
            probe::join(&definition, &definitions, line).map_err(number)?;
        }
        None if events::exists(&definition.group, &definition.event) => {
            let blame = Blame { kind: ErrorKind::EventExists, column: 0 };
            return Err(ProbeError { errno: Errno::EEXIST, log: Some(blame) });
        }
        None => {}
    }
    let args_at = if is_return { RETURN_ARGS_AT } else { PROBE_ARGS_AT };
    // The arguments of a tracepoint are kept like those of a call that returns.
    let keeps = is_return || matches!(definition.kind, Kind::Tracepoint);
    let program = Program::compile(&definition.args, args_at, keeps)
        .map_err(|_| probe::place_error(line, ErrorKind::EventTooBig))?;
    let (id, filter) = match existing {
        Some(defined) => (defined.class.id, defined.switch.filter.clone()),
        None => (events::new_id().map_err(ProbeError::silent)?, Arc::new(EventFilter::new())),
    };
    let name = events::name(&definition.group, &definition.event);
    // A module's symbol has no address: there are no modules.
    let addr = definition.place.address().ok_or_else(|| probe::place_error(line, ErrorKind::BadProbeAddress));
    let recording = Recording::new(id, program, filter.clone(), name);
    let hook = if matches!(definition.kind, Kind::Tracepoint) {
        Hook::Tracepoint(TracepointProbe::new(line, &definition, recording)?)
    } else if functions::is_one(&definition) {
        Hook::Function(FunctionProbe::new(line, &definition, recording)?)
    } else if is_return {
        let recorder = Arc::new(ReturnRecorder::new(recording));
        Hook::Return(returns::register(line, addr?, &definition, recorder.clone())?, recorder)
    } else {
        let recorder = Arc::new(Recorder::new(recording));
        let kprobe = Kprobe::register(addr? as usize, recorder.clone()).map_err(|refusal| {
            log::warn!("{SUBSYSTEM}: {} cannot be probed: {refusal}", definition.place);
            ProbeError { errno: refusal.errno(), ..probe::place_error(line, ErrorKind::RegistrationFailed) }
        })?;
        Hook::Entry(kprobe, recorder)
    };
    let number = book.next;
    let probe = Arc::new(Probe { definition, hook, held });
    match existing {
        Some(defined) => {
            let mut siblings = defined.switch.siblings.lock();
            if siblings.on {
                probe.switch(true).map_err(ProbeError::silent)?;
            }
            siblings.probes.insert(number, probe.clone());
        }
        None => {
            let class = Arc::new(probe_class(id, &probe.definition));
            let siblings = Siblings { probes: [(number, probe.clone())].into(), ..Siblings::default() };
            let switch = Arc::new(Switch { siblings: Mutex::new(siblings), filter });
            events::add(class.clone(), switch.clone());
            let (group, event) = (probe.definition.group.clone(), probe.definition.event.clone());
            book.events.entry(group).or_default().insert(event, Defined { class, switch });
        }
    }
    book.order.insert(number, probe);
    book.next += 1;
    Ok(number)
}

/// Removes what `removal` matches, one after the other in the order in which they were defined, as Linux does.
///
/// # Errors
/// ENOENT when there is none. EBUSY at the first that is the last of an event that is on, or that a guard holds; those
/// before it are gone then.
pub(super) fn remove(removal: &Removal, which: Which) -> Result<(), Errno> {
    let mut book = BOOK.lock();
    let mut numbers = book.matching(removal);
    numbers.retain(|number| book.order.get(number).is_some_and(|probe| which.has(&probe.definition)));
    if numbers.is_empty() {
        return Err(Errno::ENOENT);
    }
    numbers.into_iter().try_for_each(|number| book.take_out(number, false))
}

/// Removes everything, as opening for writing from the start does.
///
/// # Errors
/// EBUSY when an event is on or a guard holds one; nothing is changed then. (One that is switched on while others are
/// being removed stays, with those behind it.)
pub(super) fn remove_all(which: Which) -> Result<(), Errno> {
    let mut book = BOOK.lock();
    let is_on = |defined: &Defined| {
        let siblings = defined.switch.siblings.lock();
        siblings.on && siblings.probes.values().any(|probe| which.has(&probe.definition))
    };
    let mut meant = book.order.iter().filter(|(_, probe)| which.has(&probe.definition));
    if book.events.values().flat_map(BTreeMap::values).any(is_on)
        || meant.clone().any(|(_, probe)| probe.held)
    {
        return Err(Errno::EBUSY);
    }
    let numbers: Vec<u64> = meant.by_ref().map(|(number, _)| *number).collect();
    numbers.into_iter().try_for_each(|number| book.take_out(number, false))
}

/// Switches the event of a probe.
pub(super) fn switch(number: u64, on: bool) -> Result<(), Errno> {
    let book = BOOK.lock();
    let probe = book.order.get(&number).ok_or(Errno::ENOENT)?;
    let (group, event) = (probe.definition.group.clone(), probe.definition.event.clone());
    events::switch_one(&group, &event, on)
}

/// What a probe has counted: hits, and hits that ran no handler.
pub(super) fn counts(number: u64) -> (u64, u64) {
    BOOK.lock().order.get(&number).map_or((0, 0), |probe| (probe.hits(), probe.missed()))
}

/// Takes a guard's probe out, and its event off and out if it was the last.
pub(super) fn release(number: u64) -> Result<(), Errno> {
    let mut book = BOOK.lock();
    let probe = book.order.get(&number).ok_or(Errno::ENOENT)?.clone();
    let Definition { group, event, .. } = &probe.definition;
    let alone =
        book.find(group, event).is_some_and(|defined| defined.switch.siblings.lock().probes.len() == 1);
    if alone {
        events::switch_one(group, event, false)?;
    }
    book.take_out(number, true)
}

impl Book {
    fn find(&self, group: &str, event: &str) -> Option<&Defined> {
        self.events.get(group)?.get(event)
    }

    /// The numbers of the probes that are meant, in order. Only events that can be meant are looked at.
    fn matching(&self, removal: &Removal) -> Vec<u64> {
        let groups =
            self.events.iter().filter(|(group, _)| removal.group.as_ref().is_none_or(|g| g == *group));
        let mut numbers = Vec::new();
        for (_, events) in groups {
            let one = events.get(&removal.event);
            let all = removal.event.is_empty().then(|| events.values()).into_iter().flatten();
            for defined in one.into_iter().chain(all) {
                let siblings = defined.switch.siblings.lock();
                let meant = siblings.probes.iter().filter(|(_, probe)| removal.matches(&probe.definition));
                numbers.extend(meant.map(|(number, _)| *number));
            }
        }
        numbers.sort_unstable();
        numbers
    }

    /// Takes one probe out, and its event with the last. `release` says that it is its guard who asks.
    fn take_out(&mut self, number: u64, release: bool) -> Result<(), Errno> {
        let probe = self.order.get(&number).ok_or(Errno::ENOENT)?.clone();
        if probe.held && !release {
            return Err(Errno::EBUSY);
        }
        let Definition { group, event, .. } = &probe.definition;
        let switch = self.find(group, event).ok_or(Errno::ENOENT)?.switch.clone();
        let mut siblings = switch.siblings.lock();
        if siblings.probes.len() == 1 {
            if siblings.on {
                return Err(Errno::EBUSY);
            }
            // From here on nobody can switch it on.
            siblings.gone = true;
        }
        siblings.probes.remove(&number);
        let last = siblings.gone;
        drop(siblings);
        self.order.remove(&number);
        if last {
            if let Some(events) = self.events.get_mut(group) {
                events.remove(event);
                if events.is_empty() {
                    self.events.remove(group);
                }
            }
            events::remove(group, event)?;
        }
        Ok(())
    }
}
