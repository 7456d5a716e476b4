//! All tasks, by number.
//!
//! A slot per possible task; the task with number `pid` lives in slot `pid % MAX_TASKS`, so numbers are found without
//! a search and are not reused soon. Numbers rise to PID_MAX and begin anew, as on Linux.

use super::TaskRef;
use crate::sync::SpinLock;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tracecore::errno::Errno;

/// How many tasks there may be, the idle tasks not counted.
pub(crate) const MAX_TASKS: usize = 2048;

/// Task numbers are below this.
pub(crate) const PID_MAX: u32 = 32768;

struct Table {
    slots: [Slot; MAX_TASKS],
    last: u32,
}

#[derive(Clone)]
enum Slot {
    Free,
    /// A number was given out, the task is being made.
    Reserved,
    Taken(TaskRef),
}

static TABLE: SpinLock<Table> = SpinLock::new(Table { slots: [const { Slot::Free }; MAX_TASKS], last: 0 });
static COUNT: AtomicUsize = AtomicUsize::new(0);
static FORKS: AtomicU64 = AtomicU64::new(0);

fn slot_of(pid: u32) -> usize {
    pid as usize % MAX_TASKS
}

/// A number for a new task. EAGAIN when there are MAX_TASKS.
pub(super) fn reserve() -> Result<u32, Errno> {
    let mut table = TABLE.lock();
    for _ in 0..MAX_TASKS {
        let pid = if table.last + 1 >= PID_MAX { 1 } else { table.last + 1 };
        table.last = pid;
        if let Some(slot @ Slot::Free) = table.slots.get_mut(slot_of(pid)) {
            *slot = Slot::Reserved;
            COUNT.fetch_add(1, Ordering::Relaxed);
            return Ok(pid);
        }
    }
    Err(Errno::EAGAIN)
}

/// Gives a reserved number back.
pub(super) fn unreserve(pid: u32) {
    if let Some(slot) = TABLE.lock().slots.get_mut(slot_of(pid)) {
        *slot = Slot::Free;
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Enters the task that was made for a reserved number.
pub(super) fn insert(task: TaskRef) {
    FORKS.fetch_add(1, Ordering::Relaxed);
    if let Some(slot) = TABLE.lock().slots.get_mut(slot_of(task.pid())) {
        *slot = Slot::Taken(task);
    }
}

/// Takes a task out.
pub(super) fn remove(pid: u32) -> Option<TaskRef> {
    let mut table = TABLE.lock();
    let slot = table.slots.get_mut(slot_of(pid))?;
    match core::mem::replace(slot, Slot::Free) {
        Slot::Taken(task) => {
            COUNT.fetch_sub(1, Ordering::Relaxed);
            Some(task)
        }
        other => {
            *slot = other;
            None
        }
    }
}

/// The task with number `pid`.
pub(crate) fn find(pid: u32) -> Option<TaskRef> {
    match TABLE.lock().slots.get(slot_of(pid)) {
        Some(Slot::Taken(task)) if task.pid() == pid => Some(task.clone()),
        _ => None,
    }
}

/// How many tasks there are.
pub(crate) fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// How many tasks were made since boot.
pub(crate) fn spawned() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// All tasks, by number. ENOMEM when there is no room for the list.
pub(crate) fn list() -> Result<Vec<TaskRef>, Errno> {
    let mut tasks = Vec::new();
    tasks.try_reserve(count() + 16).map_err(|_| Errno::ENOMEM)?;
    {
        let table = TABLE.lock();
        for slot in &table.slots {
            if let Slot::Taken(task) = slot
                && tasks.len() < tasks.capacity()
            {
                tasks.push(task.clone());
            }
        }
    }
    tasks.sort_unstable_by_key(|task| task.pid());
    Ok(tasks)
}
