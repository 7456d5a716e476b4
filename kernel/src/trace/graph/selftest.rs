//! The text of a graph of everything: every entry has its return, at its depth, on every CPU at once.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

use tracecore::errno::Errno;

use crate::arch::cpu;
use crate::fs::vfs::{self, How};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::task::{self, Prio};
use crate::trace::rings;
use crate::workload::work_fib;

pub(crate) const TESTS: &[Test] = &[
    Test { name: "everything_is_nested", run: everything_is_nested },
    Test { name: "switched", run: switched },
];

/// `work_fib(FIB)` is so many calls.
const FIB: u64 = 8;
const CALLS: usize = 67;
const ROUNDS: usize = 20;

fn write(file: &str, text: &str) -> Result<(), Errno> {
    vfs::open("/sys/kernel/tracing", file, How { create: false, ..How::APPEND })?.write_all(text.as_bytes())
}

fn read(file: &str) -> Result<String, Errno> {
    let file = vfs::open("/sys/kernel/tracing", file, How::READ)?;
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match file.read(&mut piece)? {
            0 => return String::from_utf8(text).map_err(|_| Errno::EILSEQ),
            n => text.extend_from_slice(piece.get(..n).unwrap_or_default()),
        }
    }
}

/// Leaves everything as it was at boot.
struct Undo;

impl Drop for Undo {
    fn drop(&mut self) {
        for (file, text) in [
            ("current_tracer", "nop"),
            ("tracing_on", "1"),
            ("options/funcgraph-proc", "0"),
            ("options/funcgraph-tail", "0"),
        ] {
            // What cannot be undone shows in the tests that follow.
            let _ = write(file, text);
        }
    }
}

fn overruns() -> u64 {
    rings::cpus().map(|cpu| rings::totals(cpu).overrun).sum()
}

/// Calls of the workload on every CPU, by tasks that stay there: how many tasks there were.
fn load() -> usize {
    let work = || {
        for _ in 0..ROUNDS {
            black_box(black_box(work_fib as extern "C" fn(u64) -> u64)(FIB));
        }
    };
    let start = |on: usize| task::spawn_on("gload", Prio::NORMAL, 1 << on, Box::new(work)).ok();
    let tasks: Vec<_> = (0..cpu::online()).filter_map(start).collect();
    // Fails for the running task only.
    tasks.iter().filter(|task| task.join().is_ok()).count()
}

/// What is read of a task: the functions that are open.
type Open = BTreeMap<String, Vec<String>>;

/// Checks a line against what is open in its task, if it is one of the load's; whether it begins a call of the workload.
fn line(line: &str, open: &mut Open) -> Result<bool, &'static str> {
    let Some((_, columns)) = line.split_once(") ") else { return Ok(false) };
    let mut columns = columns.splitn(3, '|');
    let (Some(task), Some(_), Some(body)) = (columns.next(), columns.next(), columns.next()) else {
        return Ok(false);
    };
    if !task.trim().starts_with("gload-") || body.trim().is_empty() {
        return Ok(false);
    }
    let stack = open.entry(String::from(task.trim())).or_default();
    let call = body.trim_start();
    let depth = (body.len() - call.len()).saturating_sub(2) / 2;
    let begins = if let Some(rest) = call.strip_prefix("} /* ") {
        let name = stack.pop().ok_or("a return without an entry")?;
        if rest.strip_suffix(" */") != Some(name.as_str()) {
            return Err("the return of another function");
        }
        false
    } else if let Some(name) = call.strip_suffix("() {") {
        stack.push(String::from(name));
        return if stack.len() == depth + 1 {
            Ok(name == "work_fib")
        } else {
            Err("an entry at a wrong depth")
        };
    } else {
        call == "work_fib();"
    };
    if stack.len() == depth { Ok(begins) } else { Err("a line at a wrong depth") }
}

fn everything_is_nested(t: &mut TestCtx<'_>) -> TestResult {
    let _undo = Undo;
    for (file, text) in [("options/funcgraph-proc", "1"), ("options/funcgraph-tail", "1")] {
        check_eq!(t, write(file, text), Ok(()));
    }
    check_eq!(t, write("current_tracer", "function_graph"), Ok(()));
    let before = overruns();
    let tasks = load();
    check_eq!(t, write("tracing_on", "0"), Ok(()));
    let text = read("trace").map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
    if overruns() != before {
        return Err(Stop::Skipped("the rings were too small for what happened meanwhile"));
    }
    let mut open = Open::new();
    let (mut lines, mut calls) = (0, 0);
    for (at, text) in text.lines().enumerate() {
        match line(text, &mut open) {
            Ok(begins) => calls += usize::from(begins),
            Err(what) => return Err(t.fail(file!(), line!(), format_args!("line {at}: {what}: {text}"))),
        }
        lines += 1;
    }
    diag!(t, "{lines} lines, {} tasks, {calls} calls of work_fib", open.len());
    check_eq!(t, (tasks, open.len(), calls), (cpu::online(), tasks, tasks * ROUNDS * CALLS));
    Ok(())
}

/// The tracer comes and goes while every CPU calls: nothing of it stays behind.
fn switched(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 5;
    let _undo = Undo;
    for _ in 0..TIMES {
        for tracer in ["function_graph", "function", "nop"] {
            check_eq!(t, write("current_tracer", tracer), Ok(()));
            check_eq!(t, load(), cpu::online());
        }
    }
    check!(t, read("enabled_functions").is_ok_and(|text| !text.contains("function")));
    Ok(())
}
