//! In-kernel tests: what only the machine can answer.
//!
//! Pure code is tested on the host, by `cargo test`. What needs the real exception vectors, caches, interrupts or
//! CPUs is tested here, by `selftest [FILTER]` at the shell. Each room keeps its tests beside its code in a table
//! and is named once, in [`GROUPS`]:
//!
//! ```ignore
//! pub(crate) const TESTS: &[Test] = &[Test { name: "adds", run: adds }];
//!
//! fn adds(t: &mut TestCtx<'_>) -> TestResult {
//!     check_eq!(t, 40 + 2, 42);
//!     check!(t, 42 < 43, "{} and {}", 42, 43);
//!     Ok(())
//! }
//! ```
//!
//! The report is KTAP, version 1 (`Documentation/dev-tools/ktap.rst` of Linux): a group is a test with subtests one
//! level deeper, and each line is one result that the harness on the host counts.
//!
//! ```text
//! KTAP version 1
//! 1..1
//!     KTAP version 1
//!     # Subtest: workload
//!     1..2
//!     ok 1 results
//!     # kernel/src/workload/tests.rs:31: 41 == 42 does not hold
//!     not ok 2 tail_call
//! # workload: pass:1 fail:1 skip:0 total:2
//! not ok 1 workload
//! ```
//!
//! A check that fails writes its diagnostic at once, before the result line, and returns an error: a test never
//! panics by itself. A test that does panic, or hangs, leaves the plan incomplete, and the harness reports that as
//! the failure of the run, with the last lines of the console; a test that runs for long is named there.

mod ktap;
mod load;
#[expect(unsafe_code, reason = "exceptions and debug registers, on purpose")]
mod machine;
mod page;
mod tests;

pub(crate) use load::Load;
pub(crate) use page::Page;

use crate::time::{NS_PER_S, Timer, now_ns};
use crate::{bench, fs, shell, workload};
use alloc::sync::Arc;
use core::fmt;

/// One test of the kernel.
pub(crate) struct Test {
    /// Its name within the group: lower case, `_` between words.
    pub(crate) name: &'static str,
    /// The test itself.
    pub(crate) run: fn(&mut TestCtx<'_>) -> TestResult,
}

/// The tests of one room.
pub(crate) struct Group {
    /// The room's name.
    pub(crate) name: &'static str,
    /// Its tests, in the order they are run.
    pub(crate) tests: &'static [Test],
}

/// Every room that has tests. They are run in this order: what others stand on comes first.
pub(crate) const GROUPS: &[Group] = &[
    Group { name: "selftest", tests: tests::TESTS },
    Group { name: "machine", tests: machine::TESTS },
    Group { name: "sync", tests: crate::sync::selftest::TESTS },
    Group { name: "mm", tests: crate::mm::selftest::TESTS },
    Group { name: "softirq", tests: crate::irq::selftest::TESTS },
    Group { name: "time", tests: crate::time::selftest::TESTS },
    Group { name: "task", tests: crate::task::selftest::TESTS },
    Group { name: "block", tests: crate::block::selftest::TESTS },
    Group { name: "workload", tests: workload::TESTS },
    Group { name: "text", tests: crate::text::tests::TESTS },
    Group { name: "jump_label", tests: crate::jump_label::tests::TESTS },
    Group { name: "ftrace", tests: crate::ftrace::tests::TESTS },
    Group { name: "fprobe", tests: crate::ftrace::fprobe::tests::TESTS },
    Group { name: "livepatch", tests: crate::ftrace::livepatch::tests::TESTS },
    Group { name: "ftrace_direct", tests: crate::ftrace::direct::tests::TESTS },
    Group { name: "tracepoint", tests: crate::tracepoint::selftest::TESTS },
    Group { name: "kprobes", tests: crate::kprobes::tests::TESTS },
    Group { name: "kprobes_entry", tests: crate::kprobes::tests::ENTRY_TESTS },
    Group { name: "kprobes_life", tests: crate::kprobes::tests::LIFE_TESTS },
    Group { name: "bpf_attach", tests: crate::bpf::attach::tests::TESTS },
    Group { name: "bpf_attach_nested", tests: crate::bpf::attach::tests::NESTED_TESTS },
    Group { name: "bpf_attach_typed", tests: crate::bpf::attach::tests::TYPED_TESTS },
    Group { name: "bpf_attach_load", tests: crate::bpf::attach::tests::LOAD_TESTS },
    Group { name: "kprobes_open", tests: crate::kprobes::tests::OPEN_TESTS },
    Group { name: "kprobes_differential", tests: crate::kprobes::tests::DIFFERENTIAL_TESTS },
    Group { name: "bpf", tests: crate::bpf::tests::TESTS },
    Group { name: "bpf_load", tests: crate::bpf::load::tests::TESTS },
    Group { name: "bpf_maps", tests: crate::bpf::maps::tests::TESTS },
    Group { name: "bpf_jit", tests: crate::bpf::jit::tests::TESTS },
    Group { name: "bpf_helpers", tests: crate::bpf::helpers::tests::TESTS },
    Group { name: "kprobes_image", tests: crate::kprobes::tests::IMAGE_TESTS },
    Group { name: "kprobes_boost", tests: crate::kprobes::tests::BOOST_TESTS },
    Group { name: "graph", tests: crate::ftrace::graph::tests::TESTS },
    Group { name: "rethook", tests: crate::rethook::tests::TESTS },
    Group { name: "bench", tests: bench::TESTS },
    Group { name: "fs", tests: fs::selftest::TESTS },
    Group { name: "fat", tests: fs::fat::selftest::TESTS },
    Group { name: "trace", tests: crate::trace::selftest::TESTS },
    Group { name: "function_graph", tests: crate::trace::graph::selftest::TESTS },
    Group { name: "ring", tests: crate::trace::nested::selftest::TESTS },
    Group { name: "function_tracers", tests: crate::trace::functions::selftest::TESTS },
    Group { name: "kprobe_events", tests: crate::trace::kprobe_events::selftest::TESTS },
    Group { name: "shell", tests: shell::selftest::TESTS },
];

/// Why a test did not pass. What was wrong has been written as a diagnostic already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A check did not hold.
    Failed,
    /// The test cannot run on this machine; says why.
    Skipped(&'static str),
}

/// What a test returns: `Ok(())` is a pass.
pub(crate) type TestResult = Result<(), Stop>;

/// What a running test may talk to.
pub(crate) struct TestCtx<'a> {
    out: ktap::Diagnostics<'a>,
}

impl TestCtx<'_> {
    /// Writes a diagnostic; each of its lines becomes a KTAP comment. See also the macro [`diag!`].
    pub(crate) fn diag(&mut self, text: fmt::Arguments<'_>) {
        self.out.write(text);
    }

    /// Reports a check that did not hold. The macros call it; a test has no need to.
    pub(crate) fn fail(&mut self, file: &str, line: u32, text: fmt::Arguments<'_>) -> Stop {
        self.out.write(format_args!("{file}:{line}: {text}"));
        Stop::Failed
    }
}

/// `check!(t, condition)` or `check!(t, condition, "format", …)`: fails the test unless the condition holds.
macro_rules! check {
    ($t:expr, $cond:expr $(,)?) => {
        if !$cond {
            return Err($t.fail(file!(), line!(), format_args!("{} does not hold", stringify!($cond))));
        }
    };
    ($t:expr, $cond:expr, $($text:tt)+) => {
        if !$cond {
            let what = stringify!($cond);
            return Err($t.fail(file!(), line!(), format_args!("{what} does not hold: {}", format_args!($($text)+))));
        }
    };
}

/// `check_eq!(t, left, right)`, with an optional format: fails the test unless both are equal, and shows both.
macro_rules! check_eq {
    ($t:expr, $left:expr, $right:expr $(,)?) => {
        match (&$left, &$right) {
            (left, right) => {
                if *left != *right {
                    let what = stringify!($left == $right);
                    let text = format_args!("{what} does not hold\n left: {left:?}\nright: {right:?}");
                    return Err($t.fail(file!(), line!(), text));
                }
            }
        }
    };
    ($t:expr, $left:expr, $right:expr, $($text:tt)+) => {
        match (&$left, &$right) {
            (left, right) => {
                if *left != *right {
                    let what = stringify!($left == $right);
                    let note = format_args!($($text)+);
                    let text = format_args!("{what} does not hold: {note}\n left: {left:?}\nright: {right:?}");
                    return Err($t.fail(file!(), line!(), text));
                }
            }
        }
    };
}

/// `skip!("why")`: ends the test, saying why this machine cannot run it.
macro_rules! skip {
    ($why:expr) => {
        return Err($crate::selftest::Stop::Skipped($why))
    };
}

/// `diag!(t, "format", …)`: a diagnostic line.
macro_rules! diag {
    ($t:expr, $($text:tt)+) => { $t.diag(format_args!($($text)+)) };
}

pub(crate) use {check, check_eq, diag, skip};

/// How many tests ended which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Passed.
    pub(crate) pass: usize,
    /// Failed.
    pub(crate) fail: usize,
    /// Skipped.
    pub(crate) skip: usize,
}

impl Counts {
    fn total(self) -> usize {
        self.pass + self.fail + self.skip
    }

    fn add(&mut self, other: Self) {
        self.pass += other.pass;
        self.fail += other.fail;
        self.skip += other.skip;
    }
}

/// Whether `filter` picks this test: it is a part of `group/name`; no filter picks all.
fn picked(filter: Option<&str>, group: &str, test: &str) -> bool {
    let Some(filter) = filter else { return true };
    match filter.split_once('/') {
        // Only the end of the group's name and the start of the test's can lie on the two sides of the slash.
        Some((left, right)) => group.ends_with(left) && test.starts_with(right),
        None => group.contains(filter) || test.contains(filter),
    }
}

/// A test that takes longer is named in the kernel log, while it runs: a run that hangs then says where.
const WATCH_NS: u64 = 10_000_000_000;

/// Has the kernel log name a test that takes too long.
fn watch(group: &'static str, test: &'static str) -> Arc<Timer> {
    let watch = Timer::new(move || {
        log::warn!("selftest: {group}/{test} has run for {} s", WATCH_NS / NS_PER_S);
    });
    watch.arm(now_ns() + WATCH_NS);
    watch
}

/// Runs the picked tests of `groups` and writes the report. An error is that of the output, and ends the run.
pub(crate) fn run_groups(
    groups: &[Group],
    filter: Option<&str>,
    out: &mut dyn fmt::Write,
) -> Result<Counts, fmt::Error> {
    let picked_in = |g: &Group| g.tests.iter().filter(|t| picked(filter, g.name, t.name)).count();
    let mut all = Counts::default();
    writeln!(out, "{}", ktap::VERSION)?;
    writeln!(out, "1..{}", groups.iter().filter(|g| picked_in(g) > 0).count())?;
    let mut number = 0;
    for group in groups {
        let planned = picked_in(group);
        if planned == 0 {
            continue;
        }
        number += 1;
        ktap::open_group(out, group.name, planned)?;
        let mut counts = Counts::default();
        for test in group.tests.iter().filter(|t| picked(filter, group.name, t.name)) {
            let watch = watch(group.name, test.name);
            let result = (test.run)(&mut TestCtx { out: ktap::Diagnostics::new(out) });
            watch.cancel_sync();
            match result {
                Ok(()) => counts.pass += 1,
                Err(Stop::Failed) => counts.fail += 1,
                Err(Stop::Skipped(_)) => counts.skip += 1,
            }
            ktap::result(out, ktap::INDENT, counts.total(), test.name, result)?;
        }
        let Counts { pass, fail, skip } = counts;
        writeln!(out, "# {}: pass:{pass} fail:{fail} skip:{skip} total:{}", group.name, counts.total())?;
        let verdict = match counts {
            Counts { fail: 1.., .. } => Err(Stop::Failed),
            Counts { pass: 0, .. } => Err(Stop::Skipped("all of its tests were skipped")),
            _ => Ok(()),
        };
        ktap::result(out, "", number, group.name, verdict)?;
        all.add(counts);
    }
    Ok(all)
}

/// The program `selftest [FILTER]`. Status 0: all picked tests passed or were skipped; 1: one failed; 2: bad usage
/// or nothing picked.
pub(crate) fn run(args: &[&str], out: &mut dyn fmt::Write, err: &mut dyn fmt::Write) -> i32 {
    let filter = match args {
        [] => None,
        [filter] => Some(*filter),
        _ => {
            // The error stream is the last resort: nothing is left to tell about its own failure.
            let _ = writeln!(err, "usage: selftest [FILTER]");
            return 2;
        }
    };
    match run_groups(GROUPS, filter, out) {
        Ok(Counts { pass: 0, fail: 0, skip: 0 }) => {
            let _ = writeln!(err, "selftest: no test matches {}", filter.unwrap_or_default());
            2
        }
        Ok(Counts { fail: 0, .. }) => 0,
        Ok(_) | Err(fmt::Error) => 1,
    }
}
