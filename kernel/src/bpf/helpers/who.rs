//! The task, the function and the attachment that a program runs for.

use tracecore::errno::Errno;

use super::{error, helpers, pinned, room_at};
use crate::bpf::run::{self, Running, Way};
use crate::task;

helpers! {
    /// The task's number, twice: a task is a process of its own.
    fn get_current_pid_tgid() {
        let pid = u64::from(task::current().pid());
        pid << 32 | pid
    }

    /// Everybody is root.
    fn get_current_uid_gid() {
        0
    }

    /// The task's name, zeros behind it.
    fn get_current_comm(to, size) {
        // SAFETY: r1 is memory of the size in r2.
        let to = unsafe { room_at(to, size) };
        let comm = task::current().comm();
        for (n, byte) in to.iter_mut().enumerate() {
            *byte = comm.get(n).copied().unwrap_or(0);
        }
        if let Some(last) = to.last_mut() {
            *last = 0;
        }
        0
    }

    /// The address of the task.
    fn get_current_task() {
        core::ptr::from_ref::<task::Task>(&task::current()).addr() as u64
    }

    /// The function that was entered or left.
    fn get_func_ip() {
        running(|running| running.ip).unwrap_or(0)
    }

    /// What was said when the program was attached here.
    fn get_attach_cookie() {
        running(|running| running.cookie).unwrap_or(0)
    }

    /// How many arguments the function has.
    fn get_func_arg_cnt() {
        arguments().map_or(0, |(_, count, _)| count)
    }

    /// Argument `n` of the function.
    fn get_func_arg(_context, n, to) {
        let found = arguments().filter(|(_, count, _)| n < *count);
        // SAFETY: the context holds so many words; r3 is room for one.
        let value = found.map(|(ctx, ..)| unsafe { *((ctx + 8 * n) as *const u64) });
        give(to, value, Errno::EINVAL)
    }

    /// What the function has returned.
    fn get_func_ret(_context, to) {
        let found = arguments().filter(|(.., result)| *result);
        // SAFETY: behind the arguments stands the result.
        let value = found.map(|(ctx, count, _)| unsafe { *((ctx + 8 * count) as *const u64) });
        give(to, value, Errno::EOPNOTSUPP)
    }
}

/// Asks the record of the program that runs.
#[inline(always)]
fn running<R>(ask: impl FnOnce(&Running<'_>) -> R) -> Option<R> {
    run::with(&pinned(), ask)
}

/// The context of a program at a function with typed arguments: its address, how many there are, and whether a result is behind
/// them.
#[inline(always)]
fn arguments() -> Option<(u64, u64, bool)> {
    running(|running| match running.way {
        Way::Args { count, result } => Some((running.ctx, u64::from(count), result)),
        _ => None,
    })
    .flatten()
}

/// Writes a word, or 0 and the error.
#[inline(always)]
fn give(to: u64, value: Option<u64>, otherwise: Errno) -> u64 {
    // SAFETY: it is room for 8 bytes.
    unsafe { *(to as *mut u64) = value.unwrap_or(0) };
    if value.is_some() { 0 } else { error(otherwise) }
}
