//! `set_event_pid` and `set_event_notrace_pid`: events of some tasks only, or of all but some.
//!
//! Each list is a bit for every number that a task can have, so it can be changed and asked in any context. While neither
//! file has been written to, they are not asked: they guard a [`gate`](super::gate). With the option `event-fork` the lists follow the
//! tasks: a child of a listed task is listed, and a task that ends no longer is. A list whose last task has ended is empty,
//! but still there: no event passes the first, each passes the second.
//!
//! An event belongs to the task that it happens in. Two that are about another task pass for that one too, as on
//! Linux: `sched_switch` for the next, `sched_waking` and `sched_wakeup` for the one that is woken. What users write to
//! `trace_marker` is no event, and always passes.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::misses::{Cause, Layer, Table};

use super::gate;
use crate::fs::textfs::Text;
use crate::fs::tracefs;
use crate::sync::{Pinned, per_cpu};
use crate::task::{self, Mutex, PID_MAX, events};
use crate::tracepoint::Registration;

/// One of the lists is there, and the gate is guarded.
static GUARDING: AtomicBool = AtomicBool::new(false);
struct List {
    there: AtomicBool,
    bits: [AtomicU64; PID_MAX as usize / 64],
}

static ONLY: List = List::new();
static NOT: List = List::new();
/// Held while lists are replaced.
static CHANGING: Mutex<()> = Mutex::new(());
/// What keeps the lists up to date, while `event-fork` is on.
static FOLLOWING: Mutex<Option<[Registration; 2]>> = Mutex::new(None);

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

    /// Adds the numbers of a write, all or none. One without a number changes nothing.
    fn add(&self, data: &[u8]) -> Result<(), Errno> {
        let words = || data.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        for word in words() {
            pid(word)?;
        }
        if words().next().is_none() {
            return Ok(());
        }
        let _changing = CHANGING.lock();
        words().filter_map(|word| pid(word).ok()).for_each(|pid| self.set(pid, true));
        self.there.store(true, Ordering::Relaxed);
        follow_lists()
    }

    fn clear(&self) -> Result<(), Errno> {
        let _changing = CHANGING.lock();
        self.there.store(false, Ordering::Relaxed);
        self.bits.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        follow_lists()
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

/// The gate is guarded while there is a list. Under the lock.
fn follow_lists() -> Result<(), Errno> {
    let guarding = ONLY.is_there() || NOT.is_there();
    if guarding != GUARDING.load(Ordering::Relaxed) {
        gate::guard(guarding)?;
        GUARDING.store(guarding, Ordering::Relaxed);
    }
    Ok(())
}

/// Is an event of this task to be recorded? `other` names another task that it is about. One that is not is counted.
#[inline(always)]
pub(super) fn wanted(pin: &impl Pinned, other: impl FnOnce() -> Option<u32>) -> bool {
    let wanted = task_wanted(task::current().pid()) || other().is_some_and(task_wanted);
    if !wanted {
        UNWANTED.this_cpu(pin).fetch_add(1, Ordering::Relaxed);
    }
    wanted
}

#[inline(never)]
fn task_wanted(pid: u32) -> bool {
    (!ONLY.is_there() || ONLY.has(pid)) && !(NOT.is_there() && NOT.has(pid))
}

/// Lets the lists follow the tasks, or not.
pub(super) fn follow_forks(on: bool) -> Result<(), Errno> {
    let mut following = FOLLOWING.lock();
    if on == following.is_some() {
        return Ok(());
    }
    *following = if on {
        // Behind those who record: the end of a task is its own event.
        let forks = Arc::new(|parent: &task::Task, child: &task::Task| {
            for list in [&ONLY, &NOT] {
                if list.has(parent.pid()) {
                    list.set(child.pid(), true);
                }
            }
        });
        let exits = Arc::new(|task: &task::Task| {
            [&ONLY, &NOT].iter().for_each(|list| list.set(task.pid(), false));
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

/// Adds the events that were not recorded because of their task.
pub(super) fn misses(table: &mut Table) {
    let unwanted = super::rings::cpus().map(|cpu| UNWANTED.on(cpu).load(Ordering::Relaxed)).sum();
    if unwanted > 0 {
        table.add(Layer::Event, "set_event_pid", Cause::Filtered, unwanted);
    }
}

pub(super) fn init() {
    for (name, list) in [("set_event_pid", &ONLY), ("set_event_notrace_pid", &NOT)] {
        tracefs::tracefs().file(
            name,
            Text::new(0o640)
                .show(|out| {
                    (0..PID_MAX)
                        .filter(|pid| list.has(*pid))
                        .try_for_each(|pid| writeln!(out, "{pid}"))
                        .map_err(|_| Errno::ENOMEM)
                })
                .on_open(|how| if how.truncate { list.clear() } else { Ok(()) })
                .write(|data| {
                    list.add(data)?;
                    Ok(data.len())
                }),
        );
    }
}
