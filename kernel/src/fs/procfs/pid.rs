//! `/proc/<pid>`: one directory per task, made when somebody looks.
//!
//! All tasks are kernel threads so far, so the columns about memory and signals hold what Linux shows for one.

use super::system::TICK_NS;
use crate::arch::cpu;
use crate::fs::textfs::dir::{Link, More, Refusals};
use crate::fs::textfs::{Dir, Text};
use crate::fs::vfs::{DirEntry, Kind, Node, Stat};
use crate::task::{self, State, TaskRef};
use crate::{ksyms, unwind};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use tracecore::errno::Errno;

/// Linux's number for a kernel thread among the flags in `stat` (`PF_KTHREAD`).
const PF_KTHREAD: u32 = 0x0020_0000;
/// Linux's number of an ordinary task's priority, and of the least urgent real-time one.
const NICE_0: i32 = 120;
const RT_END: i32 = 100;
/// Priority that `stat` shows for nice 0.
const SHOWN_NICE_0: i32 = 20;

/// The directories of all tasks.
pub(super) struct Pids;

impl More for Pids {
    fn lookup(&self, name: &str) -> Option<Arc<dyn Node>> {
        let pid: u32 = name.parse().ok()?;
        // One name for each task: not "+1", not "01".
        if pid.to_string() != name {
            return None;
        }
        Some(directory(task::find(pid)?))
    }

    fn list(&self) -> Vec<DirEntry> {
        let stat = Stat::new(Kind::Dir, 0o555);
        let tasks = task::list().unwrap_or_default();
        tasks.iter().map(|task| DirEntry { name: task.pid().to_string(), stat }).collect()
    }
}

/// Adds what is there besides the tasks themselves.
pub(super) fn add(root: &Arc<Dir>) {
    root.add("self", Arc::new(Link(|| task::current().pid().to_string())));
}

fn directory(task: TaskRef) -> Arc<dyn Node> {
    let dir = Dir::new(0o555, Refusals::PROCFS);
    type Show = fn(&task::Task, &mut dyn Write) -> fmt::Result;
    let files: [(&str, Show); 4] =
        [("stat", stat), ("status", status), ("schedstat", schedstat), ("cmdline", |_, _| Ok(()))];
    for (name, show) in files {
        let task = task.clone();
        dir.file(name, Text::shown(0o444, move |out| show(&task, out).map_err(|_| Errno::ENOMEM)));
    }
    let traced = task.clone();
    dir.file("stack", Text::shown(0o400, move |out| stack(&traced, out).map_err(|_| Errno::ENOMEM)));
    let shown = task.clone();
    let comm = Text::shown(0o644, move |out| writeln!(out, "{}", shown.name()).map_err(|_| Errno::ENOMEM));
    // A task may rename itself alone.
    dir.file(
        "comm",
        comm.store(move |name| {
            if task.pid() != task::current().pid() {
                return Err(Errno::EINVAL);
            }
            task.set_comm(name);
            Ok(())
        }),
    );
    dir
}

/// Time on a CPU and time waiting for one in nanoseconds, and how often it ran. The wait is measured while
/// `/proc/sys/kernel/sched_schedstats` is 1.
fn schedstat(task: &task::Task, out: &mut dyn Write) -> fmt::Result {
    let (voluntary, involuntary) = task.switches();
    writeln!(out, "{} {} {}", task.ran_ns(), task.run_delay_ns(), voluntary + involuntary)
}

/// Where the task is, innermost first: `[<0>] function+offset/size`. Of a task that runs on another CPU nothing is
/// known, so nothing is said; of one that starts to run meanwhile a part may be wrong, and the walk notices what
/// cannot be true.
fn stack(task: &task::Task, out: &mut dyn Write) -> fmt::Result {
    let mut result = Ok(());
    let mut frame = |pc: u64, lookup: u64| {
        result = match ksyms::by_addr(lookup as usize) {
            Some(symbol) => {
                writeln!(out, "[<0>] {}+{:#x}/{:#x}", symbol.name, pc - symbol.start, symbol.size)
            }
            None => writeln!(out, "[<0>] {pc:#x}"),
        };
        result.is_ok()
    };
    if task.pid() == task::current().pid() {
        unwind::walk(cpu::frame_pointer(), false, |at| frame(at.pc, at.lookup_pc()));
    } else if task.state() != State::Running {
        let context = task.saved_context();
        if frame(context.pc, context.pc) {
            unwind::walk_task(task, context.fp, false, |at| frame(at.pc, at.lookup_pc()));
        }
    }
    result
}

/// The columns of `stat` about scheduling: priority, nice level, real-time priority, policy.
fn scheduling(prio: i32) -> (i32, i32, i32, i32) {
    if prio < RT_END {
        (prio - RT_END, 0, RT_END - 1 - prio, 1)
    } else {
        let nice = prio - NICE_0;
        (SHOWN_NICE_0 + nice, nice, 0, 0)
    }
}

fn stat(task: &task::Task, out: &mut dyn Write) -> fmt::Result {
    let (priority, nice, rt_priority, policy) = scheduling(task.prio().number().into());
    let (pid, name, state, parent) = (task.pid(), task.name(), task.state().letter(), task.parent());
    let (ran, started) = (task.ran_ns() / TICK_NS, task.started_ns() / TICK_NS);
    // Columns 1 to 22, 23 to 38 (memory, signals, where it waits), 39 to 41, 42 to 52.
    write!(out, "{pid} ({name}) {state} {parent} 0 0 0 -1 {PF_KTHREAD} 0 0 0 0 0 {ran} 0 0 ")?;
    write!(out, "{priority} {nice} 1 0 {started} ")?;
    write!(out, "0 0 {} 0 0 0 0 0 0 0 {} 0 1 0 0 0 ", u64::MAX, i32::MAX)?;
    writeln!(out, "{} {rt_priority} {policy} 0 0 0 0 0 0 0 0 0 0 0", task.cpu())
}

fn status(task: &task::Task, out: &mut dyn Write) -> fmt::Result {
    let state = match task.state() {
        State::Running => "running",
        State::Sleeping => "sleeping",
        State::Blocked => "disk sleep",
        State::Dead => "dead",
        State::Idle => "idle",
    };
    let (pid, (voluntary, involuntary)) = (task.pid(), task.switches());
    writeln!(out, "Name:\t{}", task.name())?;
    writeln!(out, "State:\t{} ({state})", task.state().letter())?;
    writeln!(out, "Tgid:\t{pid}\nPid:\t{pid}\nPPid:\t{}\nTracerPid:\t0", task.parent())?;
    writeln!(out, "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nKthread:\t1\nThreads:\t1")?;
    writeln!(out, "Cpus_allowed:\t{:x}", task.affinity())?;
    writeln!(out, "voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}")
}
