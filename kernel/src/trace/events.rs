//! Every event there is: its class, its switch, its directory.
//!
//! ```text
//!   events/enable                    all            0, 1, or X where some are on
//!   events/GROUP/enable              all of a group
//!   events/GROUP/EVENT/enable        one: its Source arms or disarms
//!   events/GROUP[/EVENT]/filter      which records are kept: `filters`
//!   events/GROUP/EVENT/{id,format}   read off the class
//! ```
//!
//! An event may be in *soft mode*: somebody who cannot arm anything, being in a handler, wants to switch it. Then it is
//! armed all the time, and whether it records is a flag. Its `enable` file shows a star behind what it does:
//!
//! | written, or done in a handler | armed | muted | shown |
//! |---|---|---|---|
//! | soft mode begins, event off | yes | yes | `0*` |
//! | soft mode begins, event on | yes | no | `1*` |
//! | a handler, or a writer, switches it | yes | as told | `0*`, `1*` |
//! | soft mode ends | if it was not muted | no | `0`, `1` |
//!
//! Lock order: this registry before kprobes. A source is told to switch under the registry's lock, so that two writers
//! cannot undo each other half way.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tracecore::errno::Errno;
use tracecore::event::Class;
use tracecore::raw_page::{HEADER_EVENT, HEADER_PAGE};

use super::filters::EventFilter;
use super::{filters, gate, rings};
use crate::fs::textfs::{Text, value};
use crate::fs::tracefs;
use crate::task::Mutex;

/// What makes an event's records.
pub(super) trait Source: Send + Sync {
    /// Starts or stops making records. Called only when that is a change.
    fn switch(&self, on: bool) -> Result<(), Errno>;
    /// Which of them are kept.
    fn filter(&self) -> &EventFilter;
}

/// What an event's files are about.
pub(super) struct Found {
    pub(super) class: Arc<Class>,
    pub(super) source: Arc<dyn Source>,
}

/// An event that can be switched.
struct Event {
    class: Arc<Class>,
    source: Arc<dyn Source>,
    /// Its source makes records, which are kept unless it is muted.
    armed: bool,
    /// Was it ever armed? Then there may be records of it.
    was_armed: bool,
    /// How many want it in soft mode.
    soft: usize,
}

impl Event {
    fn arm(&mut self, on: bool) -> Result<(), Errno> {
        if self.armed != on {
            self.source.switch(on)?;
            self.armed = on;
            self.was_armed |= on;
        }
        Ok(())
    }

    fn is_muted(&self) -> bool {
        self.source.filter().is_muted()
    }

    fn switch(&mut self, on: bool) -> Result<(), Errno> {
        if self.soft == 0 {
            return self.arm(on);
        }
        self.source.filter().mute(!on);
        Ok(())
    }

    fn soften(&mut self) -> Result<(), Errno> {
        if self.soft == 0 {
            gate::guard(true)?;
            if !self.armed {
                self.source.filter().mute(true);
                if let Err(e) = self.arm(true) {
                    self.source.filter().mute(false);
                    let _ = gate::guard(false);
                    return Err(e);
                }
            }
        }
        self.soft += 1;
        Ok(())
    }

    fn harden(&mut self) -> Result<(), Errno> {
        self.soft = self.soft.saturating_sub(1);
        if self.soft > 0 {
            return Ok(());
        }
        let result = if self.is_muted() { self.arm(false) } else { Ok(()) };
        self.source.filter().mute(false);
        result.and(gate::guard(false))
    }

    /// What its file shows.
    fn state(&self) -> &'static str {
        match (self.armed && !self.is_muted(), self.soft > 0) {
            (false, false) => "0",
            (true, false) => "1",
            (false, true) => "0*",
            (true, true) => "1*",
        }
    }
}

/// An event that is in soft mode while this lives.
pub(super) struct Soft {
    group: String,
    event: String,
    source: Arc<dyn Source>,
}

impl Soft {
    /// Puts an event into soft mode.
    ///
    /// # Errors
    /// EINVAL when there is none of this name; those of arming it.
    pub(super) fn new(group: &str, event: &str) -> Result<Self, Errno> {
        let mut registry = REGISTRY.lock();
        let found = registry.by_name.get_mut(&(group.into(), event.into())).ok_or(Errno::EINVAL)?;
        found.soften()?;
        Ok(Self { group: group.into(), event: event.into(), source: found.source.clone() })
    }

    /// Does it record? Asked in any context.
    pub(super) fn is_on(&self) -> bool {
        !self.source.filter().is_muted()
    }

    /// Switches it; in any context.
    pub(super) fn switch(&self, on: bool) {
        self.source.filter().mute(!on);
    }
}

impl Drop for Soft {
    fn drop(&mut self) {
        let mut registry = REGISTRY.lock();
        let key = (core::mem::take(&mut self.group), core::mem::take(&mut self.event));
        // An armed event is not removed, so it is there.
        let Some(found) = registry.by_name.get_mut(&key) else { return };
        if let Err(e) = found.harden() {
            log::warn!("{}: stays armed: {}", name(&key.0, &key.1), e.strerror());
        }
    }
}

/// The first number of an event that is declared in code; below are Linux's for what is built in.
pub(super) const FIRST_DECLARED_ID: u16 = 20;
/// The first number of an event that is defined at run time.
pub(super) const FIRST_DYNAMIC_ID: u16 = 1024;

struct Registry {
    by_name: BTreeMap<(String, String), Event>,
    classes: BTreeMap<u16, Arc<Class>>,
    next_id: u16,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { by_name: BTreeMap::new(), classes: BTreeMap::new(), next_id: FIRST_DYNAMIC_ID });

impl Registry {
    /// Is there an event of this group?
    fn has_group(&self, group: &str) -> bool {
        let from_there = (String::from(group), String::new())..;
        self.by_name.range(from_there).next().is_some_and(|((g, _), _)| g == group)
    }

    /// A number that no class has. Numbers come round again after tens of thousands, when old records are long gone.
    fn new_id(&mut self) -> Result<u16, Errno> {
        for _ in FIRST_DYNAMIC_ID..=u16::MAX {
            let id = self.next_id;
            self.next_id = if id == u16::MAX { FIRST_DYNAMIC_ID } else { id + 1 };
            if !self.classes.contains_key(&id) {
                return Ok(id);
            }
        }
        Err(Errno::ENODEV)
    }
}

/// Which events an `enable` file is about.
#[derive(Clone)]
enum Scope {
    All,
    Group(String),
    One(String, String),
}

impl Scope {
    fn contains(&self, group: &str, event: &str) -> bool {
        match self {
            Self::All => true,
            Self::Group(g) => g == group,
            Self::One(g, e) => g == group && e == event,
        }
    }
}

/// Adds a class whose records others make, with no switch and no directory.
pub(super) fn add_builtin(class: Arc<Class>) {
    REGISTRY.lock().classes.insert(class.id, class);
}

/// A number for a new class.
///
/// # Errors
/// ENODEV when all are taken, as on Linux.
pub(super) fn new_id() -> Result<u16, Errno> {
    REGISTRY.lock().new_id()
}

/// Is there an event of this name?
pub(super) fn exists(group: &str, event: &str) -> bool {
    REGISTRY.lock().by_name.contains_key(&(group.into(), event.into()))
}

/// Adds an event, off, with its directory.
pub(super) fn add(class: Arc<Class>, source: Arc<dyn Source>) {
    let (group, event) = (class.system.clone().into_owned(), class.name.clone().into_owned());
    let mut registry = REGISTRY.lock();
    let first = !registry.has_group(&group);
    registry.classes.insert(class.id, class.clone());
    registry.by_name.insert(
        (group.clone(), event.clone()),
        Event { class: class.clone(), source, armed: false, was_armed: false, soft: 0 },
    );
    drop(registry);
    let events = tracefs::tracefs().dir("events", 0o755);
    let dir = events.dir(&group, 0o750);
    if first {
        let scope = Arc::new(Scope::Group(group.clone()));
        dir.file("enable", enable_file(scope.clone()));
        dir.file("filter", filters::group_file(move || found(&scope)));
    }
    let dir = dir.dir(&event, 0o750);
    let scope = Arc::new(Scope::One(group, event));
    dir.file("enable", enable_file(scope.clone()));
    dir.file("filter", filters::event_file(move || found(&scope).pop().ok_or(Errno::ENODEV)));
    let id = class.id;
    dir.file("id", Text::shown(0o440, move |out| writeln!(out, "{id}").map_err(|_| Errno::ENOMEM)));
    dir.file(
        "format",
        Text::shown(0o440, move |out| out.write_str(&class.format()).map_err(|_| Errno::ENOMEM)),
    );
}

/// The events that are meant.
fn found(scope: &Scope) -> Vec<Found> {
    let registry = REGISTRY.lock();
    let clone = |event: &Event| Found { class: event.class.clone(), source: event.source.clone() };
    if let Scope::One(group, event) = scope {
        return registry.by_name.get(&(group.clone(), event.clone())).map(clone).into_iter().collect();
    }
    let meant = registry.by_name.iter().filter(|((group, event), _)| scope.contains(group, event));
    meant.map(|(_, event)| clone(event)).collect()
}

/// Takes an event out with its directory.
///
/// # Errors
/// EBUSY while it is on. Nothing is changed then.
pub(super) fn remove(group: &str, event: &str) -> Result<(), Errno> {
    let mut registry = REGISTRY.lock();
    let key = (String::from(group), String::from(event));
    let Some(found) = registry.by_name.get(&key) else { return Err(Errno::ENOENT) };
    if found.armed {
        return Err(Errno::EBUSY);
    }
    let (id, was_armed) = (found.class.id, found.was_armed);
    registry.by_name.remove(&key);
    registry.classes.remove(&id);
    let last = !registry.has_group(group);
    drop(registry);
    if was_armed {
        // Its records have lost their class; as on Linux, they go with it.
        rings::reset(None);
    }
    let events = tracefs::tracefs().dir("events", 0o755);
    events.dir(group, 0o750).remove(event);
    if last {
        events.remove(group);
    }
    Ok(())
}

/// The class of a record's number.
pub(super) fn class(id: u16) -> Option<Arc<Class>> {
    REGISTRY.lock().classes.get(&id).cloned()
}

/// Switches one event. Found by its name, however many there are.
pub(super) fn switch_one(group: &str, event: &str, on: bool) -> Result<(), Errno> {
    let mut registry = REGISTRY.lock();
    let found = registry.by_name.get_mut(&(group.into(), event.into())).ok_or(Errno::ENOENT)?;
    found.switch(on)
}

fn enable_file(scope: Arc<Scope>) -> Text {
    let (shown, set) = (scope.clone(), scope);
    Text::new(0o640).show(move |out| writeln!(out, "{}", state(&shown)).map_err(|_| Errno::ENOMEM)).write(
        move |data| {
            match value::number(data)? {
                0 => switch(&set, false)?,
                1 => switch(&set, true)?,
                _ => return Err(Errno::EINVAL),
            }
            Ok(data.len())
        },
    )
}

/// `0`, `1`, or `X` where some are on and some are off; `?` where there is none.
fn state(scope: &Scope) -> &'static str {
    let registry = REGISTRY.lock();
    if let Scope::One(group, event) = scope {
        return registry.by_name.get(&(group.clone(), event.clone())).map_or("?", Event::state);
    }
    let on = registry.by_name.iter().filter(|((g, e), _)| scope.contains(g, e)).map(|(_, event)| event.armed);
    let (mut any, mut all) = (None, true);
    for on in on {
        any = Some(any.unwrap_or(false) | on);
        all &= on;
    }
    match any {
        None => "?",
        Some(false) => "0",
        Some(true) if all => "1",
        Some(true) => "X",
    }
}

/// Switches all that are meant; one that refuses does not keep the others from switching, and its error is returned.
fn switch(scope: &Scope, on: bool) -> Result<(), Errno> {
    if let Scope::One(group, event) = scope {
        return switch_one(group, event, on);
    }
    let mut registry = REGISTRY.lock();
    let mut result = Ok(());
    for ((group, event), found) in &mut registry.by_name {
        if scope.contains(group, event)
            && let Err(e) = found.switch(on)
        {
            result = Err(e);
        }
    }
    result
}

pub(super) fn init() {
    let root = tracefs::tracefs();
    let dir = root.dir("events", 0o755);
    dir.file("enable", enable_file(Arc::new(Scope::All)));
    for (name, text) in [("header_page", HEADER_PAGE), ("header_event", HEADER_EVENT)] {
        dir.file(name, Text::shown(0o440, move |out| out.write_str(text).map_err(|_| Errno::ENOMEM)));
    }
    root.file(
        "available_events",
        Text::shown(0o440, |out| {
            REGISTRY
                .lock()
                .by_name
                .keys()
                .try_for_each(|(group, event)| writeln!(out, "{group}:{event}"))
                .map_err(|_| Errno::ENOMEM)
        }),
    );
    root.file(
        "set_event",
        Text::new(0o640)
            .show(|out| {
                let registry = REGISTRY.lock();
                let on: Vec<_> =
                    registry.by_name.iter().filter(|(_, event)| event.armed).map(|(name, _)| name).collect();
                on.iter()
                    .try_for_each(|(group, event)| writeln!(out, "{group}:{event}"))
                    .map_err(|_| Errno::ENOMEM)
            })
            .on_open(|how| if how.truncate { switch(&Scope::All, false) } else { Ok(()) })
            .write(set_events),
    );
}

/// The longest word of `set_event`, as on Linux.
const MAX_WORD: usize = 127;

/// Words of `set_event`, one after the other: those before one that is refused have done their work.
fn set_events(data: &[u8]) -> Result<usize, Errno> {
    for word in data.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        if word.len() > MAX_WORD {
            return Err(Errno::EINVAL);
        }
        set_event(core::str::from_utf8(word).map_err(|_| Errno::EINVAL)?)?;
    }
    Ok(data.len())
}

/// One word: `GROUP:EVENT` with `*` or nothing for all, or a name, of a group or an event. Behind `!`: off.
pub(super) fn set_event(word: &str) -> Result<(), Errno> {
    let (on, word) = match word.strip_prefix('!') {
        Some(rest) => (false, rest),
        None => (true, word),
    };
    let means = |pattern: &str, name: &str| matches!(pattern, "" | "*") || pattern == name;
    let meant = |group: &str, event: &str| match word.split_once(':') {
        Some((g, e)) => means(g, group) && means(e, event),
        None => word == "*" || word == group || word == event,
    };
    let mut registry = REGISTRY.lock();
    let mut result = Err(Errno::EINVAL);
    for ((group, event), found) in &mut registry.by_name {
        if meant(group, event) {
            let switched = found.switch(on);
            result = if result == Err(Errno::EINVAL) { switched } else { result.and(switched) };
        }
    }
    result
}

/// The name of a group and event as messages have it.
pub(super) fn name(group: &str, event: &str) -> String {
    format!("{group}/{event}")
}
