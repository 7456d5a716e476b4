//! Tests of probes that Rust defines, beside those that a user types.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

use tracecore::errno::Errno;
use tracecore::probe::ErrorKind;

use super::{EventProbe, book, command};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq};
use crate::trace::events;
use crate::workload::{work_add, work_fib};

pub(crate) const TESTS: &[Test] = &[
    Test { name: "guard_removes_its_probe", run: guard_removes_its_probe },
    Test { name: "guard_is_not_removed_by_lines", run: guard_is_not_removed_by_lines },
    Test { name: "joined_while_on", run: joined_while_on },
    Test { name: "many_are_found_by_name", run: many_are_found_by_name },
];

fn add(n: u64) {
    black_box(black_box(work_add as extern "C" fn(u64, u64) -> u64)(n, 1));
}

fn fib(n: u64) {
    black_box(black_box(work_fib as extern "C" fn(u64) -> u64)(n));
}

/// The probes of the group `test`, as they are listed.
fn listed() -> Vec<String> {
    let mut all = Vec::new();
    let _: Result<(), Errno> = book::for_each(|probe| {
        if probe.definition.group == "test" {
            all.push(format!("{}", probe.definition));
        }
        Ok(())
    });
    all
}

fn guard(t: &mut TestCtx<'_>, line: &str) -> Result<EventProbe, Stop> {
    let guard = EventProbe::define(line);
    check!(t, guard.is_ok(), "{line}: {:?}", guard.as_ref().err());
    guard.map_err(|_| Stop::Failed)
}

/// A guard's event is there, counts hits while it is on, and is gone with the guard, on or off.
fn guard_removes_its_probe(t: &mut TestCtx<'_>) -> TestResult {
    let probe = guard(t, "p:test/add work_add+8 a=%x0")?;
    check!(t, events::exists("test", "add"));
    add(1);
    check_eq!(t, probe.counts(), (0, 0));
    check_eq!(t, probe.enable(), Ok(()));
    (0..5).for_each(add);
    check_eq!(t, probe.counts(), (5, 0));
    check_eq!(t, probe.disable(), Ok(()));
    add(1);
    check_eq!(t, probe.counts(), (5, 0));
    check_eq!(t, probe.enable(), Ok(()));
    drop(probe);
    check!(t, !events::exists("test", "add"));
    check_eq!(t, listed(), Vec::<String>::new());
    let refused = EventProbe::define("p:test/add nosuch").map_err(|e| (e.errno, e.log));
    let (errno, log) = refused.err().ok_or(Stop::Failed)?;
    check_eq!(t, errno, Errno::EINVAL);
    check_eq!(t, log.map(|blame| (blame.kind, blame.column)), Some((ErrorKind::BadProbeAddress, 11)));
    check_eq!(t, EventProbe::define("# nothing").map_err(|e| e.errno).err(), Some(Errno::EINVAL));
    Ok(())
}

/// Lines remove what lines have defined, not what a guard holds, also where both are probes of one event.
fn guard_is_not_removed_by_lines(t: &mut TestCtx<'_>) -> TestResult {
    let probe = guard(t, "p:test/both work_add+8")?;
    check_eq!(t, command("p:test/both work_fib+8"), Ok(()));
    check_eq!(t, command("-:test/both work_add+8"), Err(Errno::EBUSY));
    check_eq!(t, book::remove_all(), Err(Errno::EBUSY));
    check_eq!(t, listed().len(), 2);
    check_eq!(t, command("-:test/both work_fib+8"), Ok(()));
    check_eq!(t, command("-:test/both"), Err(Errno::EBUSY));
    // The guard goes first: the event stays for the line's probe.
    check_eq!(t, command("p:test/both work_fib+8"), Ok(()));
    check_eq!(t, probe.enable(), Ok(()));
    drop(probe);
    check_eq!(t, listed(), ["p:test/both work_fib+8"]);
    check_eq!(t, command("-:test/both"), Err(Errno::EBUSY));
    check_eq!(t, events::switch_one("test", "both", false), Ok(()));
    check_eq!(t, command("-:test/both"), Ok(()));
    check!(t, !events::exists("test", "both"));
    Ok(())
}

/// A probe that joins an event that is on is armed; one of several may be removed while it is on, the last may not.
fn joined_while_on(t: &mut TestCtx<'_>) -> TestResult {
    let first = guard(t, "p:test/joined work_add+8")?;
    check_eq!(t, first.enable(), Ok(()));
    let second = guard(t, "p:test/joined work_fib+8")?;
    add(1);
    fib(1);
    check_eq!(t, (first.counts(), second.counts()), ((1, 0), (1, 0)));
    drop(first);
    add(1);
    fib(1);
    check_eq!(t, second.counts(), (2, 0));
    check_eq!(t, listed(), ["p:test/joined work_fib+8"]);
    Ok(())
}

/// Events of many names; one is found and removed, and the rest stay in the order in which they were defined.
fn many_are_found_by_name(t: &mut TestCtx<'_>) -> TestResult {
    const MANY: usize = 300;
    let line = |n: usize| format!("p:test/e{} work_add+8", (n * 7) % MANY);
    for n in 0..MANY {
        check_eq!(t, command(&line(n)), Ok(()));
    }
    check_eq!(t, listed(), (0..MANY).map(line).collect::<Vec<_>>());
    check_eq!(t, command("-:test/e7"), Ok(()));
    check_eq!(t, command("-:test/e7"), Err(Errno::ENOENT));
    check_eq!(t, listed(), (0..MANY).filter(|n| *n != 1).map(line).collect::<Vec<_>>());
    check_eq!(t, command("-:test/"), Ok(()));
    check_eq!(t, listed(), Vec::<String>::new());
    Ok(())
}
