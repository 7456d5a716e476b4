//! Lists of tasks: only these, or all but those.
//!
//! | files | what | follows children with |
//! |---|---|---|
//! | `set_event_pid`, `set_event_notrace_pid` | events | `event-fork` |
//! | `set_ftrace_pid`, `set_ftrace_notrace_pid` | what tracers of functions record | `function-fork` |
//!
//! Each list is a bit for every number that a task can have, so it can be changed and asked in any context. While neither
//! file of a pair has been written to, its lists are not asked: events have a [`super::gate`] that they guard, and the
//! tracer `function` another callback. With the option the lists follow the
//! tasks: a child of a listed task is listed, and a task that ends no longer is. A list whose last task has ended is empty,
//! but still there: nothing passes the first, everything passes the second.
//!
//! An event belongs to the task that it happens in. Two that are about another task pass for that one too, as on
//! Linux: `sched_switch` for the next, `sched_waking` and `sched_wakeup` for the one that is woken. What users write to
//! `trace_marker` is no event, and always passes.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::misses::{Cause, Layer, Table};

use super::{functions, gate};
use crate::fs::textfs::Text;
use crate::fs::tracefs;
use crate::sync::{Pinned, per_cpu};
use crate::task::{self, Mutex, PID_MAX, events};
use crate::tracepoint::Registration;

/// For events.
pub(super) static EVENTS: Lists = Lists::new(["set_event_pid", "set_event_notrace_pid"], "", gate::guard);
/// For functions.
pub(super) static FUNCTIONS: Lists =
    Lists::new(["set_ftrace_pid", "set_ftrace_notrace_pid"], "no pid\n", functions::guard);

struct List {
    there: AtomicBool,
    bits: [AtomicU64; PID_MAX as usize / 64],
}

/// A pair of lists.
pub(super) struct Lists {
    only: List,
    not: List,
    /// The files of both.
    files: [&'static str; 2],
    /// What a file shows when there is no list.
    none: &'static str,
    /// Has the lists asked, or no longer.
    guard: fn(bool) -> Result<(), Errno>,
    /// Are they asked? Held while lists are replaced.
    guarding: Mutex<bool>,
    /// What keeps the lists up to date, while the option is on.
    following: Mutex<Option<[Registration; 2]>>,
}

per_cpu! {
    /// Events that were not recorded because of their task.
    static UNWANTED: AtomicU64 = AtomicU64::new(0);
}

impl List {
    const fn new() -> Self {
        Self { there: AtomicBool::new(false), bits: [const { AtomicU64::new(0) }; PID_MAX as usize / 64] }
    }

    fn word(&self, pid: u32) -> Option<(&AtomicU64, u64)> {
        Some((self.bits.get(pid as usize / 64)?, 1 << (pid % 64)))
    }

    fn has(&self, pid: u32) -> bool {
        self.word(pid).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    fn set(&self, pid: u32, on: bool) {
        match self.word(pid) {
            Some((word, bit)) if on => word.fetch_or(bit, Ordering::Relaxed),
            Some((word, bit)) => word.fetch_and(!bit, Ordering::Relaxed),
            None => return,
        };
    }

    fn is_there(&self) -> bool {
        self.there.load(Ordering::Relaxed)
    }
}

impl Lists {
    const fn new(files: [&'static str; 2], none: &'static str, guard: fn(bool) -> Result<(), Errno>) -> Self {
        Self {
            only: List::new(),
            not: List::new(),
            files,
            none,
            guard,
            guarding: Mutex::new(false),
            following: Mutex::new(None),
        }
    }

    /// Adds the numbers of a write, all or none. One without a number changes nothing.
    fn add(&self, list: &List, data: &[u8]) -> Result<(), Errno> {
        let words = || data.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        for word in words() {
            pid(word)?;
        }
        if words().next().is_none() {
            return Ok(());
        }
        let mut guarding = self.guarding.lock();
        words().filter_map(|word| pid(word).ok()).for_each(|pid| list.set(pid, true));
        list.there.store(true, Ordering::Relaxed);
        self.follow_lists(&mut guarding)
    }

    fn clear(&self, list: &List) -> Result<(), Errno> {
        let mut guarding = self.guarding.lock();
        list.there.store(false, Ordering::Relaxed);
        list.bits.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        self.follow_lists(&mut guarding)
    }

    /// The lists are asked while there is one.
    fn follow_lists(&self, guarding: &mut bool) -> Result<(), Errno> {
        let there = self.are_there();
        if there != *guarding {
            (self.guard)(there)?;
            *guarding = there;
        }
        Ok(())
    }

    /// Is there one?
    pub(super) fn are_there(&self) -> bool {
        self.only.is_there() || self.not.is_there()
    }

    /// Is this task wanted?
    #[inline(always)]
    pub(super) fn want(&self, pid: u32) -> bool {
        (!self.only.is_there() || self.only.has(pid)) && !(self.not.is_there() && self.not.has(pid))
    }

    /// Lets the lists follow the tasks, or not.
    pub(super) fn follow_forks(&'static self, on: bool) -> Result<(), Errno> {
        let mut following = self.following.lock();
        if on == following.is_some() {
            return Ok(());
        }
        *following = if on {
            // Behind those who record: the end of a task is its own event.
            let forks = Arc::new(|parent: &task::Task, child: &task::Task| {
                for list in [&self.only, &self.not] {
                    if list.has(parent.pid()) {
                        list.set(child.pid(), true);
                    }
                }
            });
            let exits = Arc::new(|task: &task::Task| {
                [&self.only, &self.not].iter().for_each(|list| list.set(task.pid(), false));
            });
            Some([
                events::sched_process_fork::register(forks, i32::MIN)?,
                events::sched_process_exit::register(exits, i32::MIN)?,
            ])
        } else {
            None
        };
        Ok(())
    }

    fn add_files(&'static self) {
        for (name, list) in self.files.into_iter().zip([&self.only, &self.not]) {
            let show = |out: &mut dyn core::fmt::Write| {
                if !list.is_there() {
                    return out.write_str(self.none);
                }
                (0..PID_MAX).filter(|pid| list.has(*pid)).try_for_each(|pid| writeln!(out, "{pid}"))
            };
            tracefs::tracefs().file(
                name,
                Text::new(0o640)
                    .show(move |out| show(out).map_err(|_| Errno::ENOMEM))
                    .on_open(|how| if how.truncate { self.clear(list) } else { Ok(()) })
                    .write(|data| {
                        self.add(list, data)?;
                        Ok(data.len())
                    }),
            );
        }
    }
}

/// A number that a task can have.
fn pid(word: &[u8]) -> Result<u32, Errno> {
    let text = core::str::from_utf8(word).map_err(|_| Errno::EINVAL)?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Errno::EINVAL);
    }
    text.parse().ok().filter(|pid| *pid < PID_MAX).ok_or(Errno::EINVAL)
}

/// Is an event of this task to be recorded? `other` names another task that it is about. One that is not is counted.
#[inline(never)]
pub(super) fn wanted(pin: &impl Pinned, other: Option<u32>) -> bool {
    let wanted = EVENTS.want(task::current().pid()) || other.is_some_and(|pid| EVENTS.want(pid));
    if !wanted {
        UNWANTED.this_cpu(pin).fetch_add(1, Ordering::Relaxed);
    }
    wanted
}

/// Adds the events that were not recorded because of their task.
pub(super) fn misses(table: &mut Table) {
    let unwanted = super::rings::cpus().map(|cpu| UNWANTED.on(cpu).load(Ordering::Relaxed)).sum();
    if unwanted > 0 {
        table.add(Layer::Event, "set_event_pid", Cause::Filtered, unwanted);
    }
}

pub(super) fn init() {
    EVENTS.add_files();
    FUNCTIONS.add_files();
}
