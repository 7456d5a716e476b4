//! Commands of `set_ftrace_filter`: something to do when a function is entered.
//!
//! ```text
//!   echo 'work_fib:traceoff:1' > set_ftrace_filter
//!     GIVEN   traceoff, counted ─▶ work_fib: 1 left            what the file lists, the newest first
//!     TABLE   work_fib ─▶ [●]                                  what a hit looks up: sorted by address
//!     OPS     { work_fib }                                     which functions are traced for it
//! ```
//!
//! All commands share one ops. A hit finds its function among those that have commands by halving the table, and carries out
//! each. Everything that a hit may do needs no lock: it changes an atomic, writes a record, or asks a task to do the rest.
//!
//! The same command with and without a count are two, as on Linux; a function has each once. Unlike on Linux, a function may
//! switch several events.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::function_command::{Action, Command};
use tracecore::glob::Pattern;

use super::filter;
use crate::arch::cpu;
use crate::ftrace::{self, FtraceRegs, Hit, Ops, Registered, Site, SiteSet};
use crate::sync::Published;
use crate::task::Mutex;
use crate::trace::events::Soft;
use crate::trace::{dump, rings, stack};

static OPS: Ops = Ops::new("commands", hit);
static TABLE: Published<Table> = Published::empty();
static GIVEN: Mutex<Given> = Mutex::new(Given { commands: Vec::new(), on: None });

/// What is to be done, with what it takes to do it.
enum Doing {
    Trace(bool),
    StackTrace,
    Dump,
    CpuDump,
    Event { soft: Soft, on: bool },
}

/// What makes two commands the same one.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    name: &'static str,
    /// Group and name.
    event: Option<(Box<str>, Box<str>)>,
    counted: bool,
}

impl Key {
    fn of(command: &Command<'_>) -> Self {
        let (name, event) = match command.action {
            Action::Trace(true) => ("traceon", None),
            Action::Trace(false) => ("traceoff", None),
            Action::StackTrace => ("stacktrace", None),
            Action::Dump => ("dump", None),
            Action::CpuDump => ("cpudump", None),
            Action::Event { on, group, event } => {
                (if on { "enable_event" } else { "disable_event" }, Some((group.into(), event.into())))
            }
        };
        Self { name, event, counted: command.count.is_some() }
    }
}

/// A command at one function.
struct Order {
    doing: Arc<Doing>,
    /// How often it is still to be carried out.
    left: Option<AtomicU64>,
}

impl Order {
    /// Is there one time left? Then it is taken.
    fn take(&self) -> bool {
        let one_less = |left: &AtomicU64| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        };
        self.left.as_ref().is_none_or(one_less)
    }

    /// A switch that stands as it is wanted is no time.
    fn carry_out(&self, hit: &Hit<'_>, regs: &FtraceRegs) {
        match &*self.doing {
            Doing::Trace(on) if rings::is_on() != *on && self.take() => rings::set_on(*on),
            Doing::StackTrace if rings::is_on() && self.take() => stack::of_caller(hit, regs),
            Doing::Event { soft, on } if soft.is_on() != *on && self.take() => soft.switch(*on),
            Doing::Dump if self.take() => dump::ask(hit, None),
            Doing::CpuDump if self.take() => dump::ask(hit, Some(cpu::id())),
            _ => {}
        }
    }
}

/// A command and where it is given.
#[derive(Clone)]
struct Entry {
    key: Key,
    at: BTreeMap<Site, Arc<Order>>,
}

struct Given {
    /// The newest first.
    commands: Vec<Entry>,
    on: Option<Registered>,
}

/// The functions that have commands, by address.
struct Table(Vec<(usize, Vec<Arc<Order>>)>);

/// The callback. Not traced: it would only miss itself.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn hit(hit: &Hit<'_>, regs: &mut FtraceRegs) {
    let Some(Table(functions)) = TABLE.read(hit) else { return };
    let Ok(at) = functions.binary_search_by_key(&hit.function(), |(function, _)| *function) else { return };
    for order in functions.get(at).into_iter().flat_map(|(_, orders)| orders) {
        order.carry_out(hit, regs);
    }
}

/// Gives a command, or takes it back.
///
/// # Errors
/// EINVAL when no function is meant, or all have it already, or there is no such event. ENODEV when a command that is to be
/// taken back is nowhere given. Those of tracing the functions; nothing has changed then.
pub(super) fn run(command: &Command<'_>) -> Result<(), Errno> {
    let sites = filter::select(&Pattern::new(command.functions))?;
    let key = Key::of(command);
    let mut given = GIVEN.lock();
    let known = given.commands.iter().position(|entry| entry.key == key);
    let mut commands = given.commands.clone();
    if command.remove {
        let at = known.ok_or(Errno::ENODEV)?;
        let entry = commands.get_mut(at).ok_or(Errno::ENODEV)?;
        let before = entry.at.len();
        entry.at.retain(|site, _| !sites.contains(*site));
        if entry.at.len() == before {
            return Err(Errno::EINVAL);
        }
        if entry.at.is_empty() {
            commands.remove(at);
        }
    } else {
        let at = known.unwrap_or_else(|| {
            commands.insert(0, Entry { key, at: BTreeMap::new() });
            0
        });
        let entry = commands.get_mut(at).ok_or(Errno::EINVAL)?;
        let doing = match entry.at.values().next() {
            Some(order) => order.doing.clone(),
            None => Arc::new(doing(&command.action)?),
        };
        let before = entry.at.len();
        for site in sites.iter() {
            let order = || Arc::new(Order { doing: doing.clone(), left: command.count.map(AtomicU64::new) });
            entry.at.entry(site).or_insert_with(order);
        }
        if entry.at.len() == before {
            return Err(Errno::EINVAL);
        }
    }
    given.become_(commands)
}

fn doing(action: &Action<'_>) -> Result<Doing, Errno> {
    Ok(match *action {
        Action::Trace(on) => Doing::Trace(on),
        Action::StackTrace => Doing::StackTrace,
        Action::Dump => Doing::Dump,
        Action::CpuDump => Doing::CpuDump,
        Action::Event { on, group, event } => Doing::Event { soft: Soft::new(group, event)?, on },
    })
}

impl Given {
    /// Publishes the table first: a function that is traced then has its commands. One that goes finds none.
    fn become_(&mut self, commands: Vec<Entry>) -> Result<(), Errno> {
        let mut by_function: BTreeMap<Site, Vec<Arc<Order>>> = BTreeMap::new();
        for entry in &commands {
            for (site, order) in &entry.at {
                by_function.entry(*site).or_default().push(order.clone());
            }
        }
        let sites = SiteSet::of(by_function.keys().copied());
        let table = Table(by_function.into_iter().map(|(site, orders)| (site.function, orders)).collect());
        let old = TABLE.replace(Some(Box::new(table)));
        let traced = match &self.on {
            _ if sites.is_empty() => {
                self.on = None;
                Ok(())
            }
            Some(on) => on.set_sites(sites),
            None => ftrace::register(&OPS, sites).map(|on| self.on = Some(on)),
        };
        if let Err(e) = traced {
            drop(TABLE.replace(old));
            return Err(e);
        }
        self.commands = commands;
        Ok(())
    }
}

/// Lists them, as the file does.
pub(super) fn show(out: &mut dyn fmt::Write) -> fmt::Result {
    for Entry { key, at } in &GIVEN.lock().commands {
        for (site, order) in at {
            write!(out, "{}:{}", filter::name(*site), key.name)?;
            if let Some((group, event)) = &key.event {
                write!(out, ":{group}:{event}")?;
            }
            match &order.left {
                Some(left) => writeln!(out, ":count={}", left.load(Ordering::Relaxed))?,
                None => writeln!(out, ":unlimited")?,
            }
        }
    }
    Ok(())
}
