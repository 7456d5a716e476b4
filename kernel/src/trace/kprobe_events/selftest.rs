//! Tests of probes that Rust defines, beside those that a user types.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::fetch::MAX_STRING_BYTES;
use tracecore::probe::ErrorKind;

use super::{EventProbe, book, command};
use crate::arch::{STACK_SIZE, probe_read};
use crate::fs::vfs::{self, How};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, skip};
use crate::task::{self, Prio};
use crate::trace::{events, rings};
use crate::workload::{work_add, work_fib};

pub(crate) const TESTS: &[Test] = &[
    Test { name: "guard_removes_its_probe", run: guard_removes_its_probe },
    Test { name: "guard_is_not_removed_by_lines", run: guard_is_not_removed_by_lines },
    Test { name: "joined_while_on", run: joined_while_on },
    Test { name: "functions_at_both_ends", run: functions_at_both_ends },
    Test { name: "many_are_found_by_name", run: many_are_found_by_name },
    Test { name: "bad_pointers_are_faults", run: bad_pointers_are_faults },
    Test { name: "texts_are_bounded", run: texts_are_bounded },
    Test { name: "a_text_that_changes_while_it_is_read", run: a_text_that_changes_while_it_is_read },
];

/// Every call of a function is a hit or a miss at each end, and lines of `kprobe_events` do not touch these.
fn functions_at_both_ends(t: &mut TestCtx<'_>) -> TestResult {
    let define = |t: &mut TestCtx<'_>, line: &str| {
        EventProbe::define(line).map_err(|e| t.fail(file!(), line!(), format_args!("{line}: {e}")))
    };
    let entry = define(t, "f:test/entry work_fib n=$arg1")?;
    let exit = define(t, "f:test/exit work_fib%return r=$retval n=$arg1")?;
    let some = define(t, "f:test/some work_fi?")?;
    for probe in [&entry, &exit, &some] {
        check_eq!(t, probe.enable(), Ok(()));
    }
    fib(10);
    for probe in [&entry, &exit, &some] {
        check_eq!(t, probe.counts(), (177, 0));
        check_eq!(t, probe.disable(), Ok(()));
    }
    fib(10);
    check_eq!(t, exit.counts(), (177, 0));
    check_eq!(t, book::remove_all(book::Which::Kprobes), Ok(()));
    check_eq!(t, book::remove_all(book::Which::All), Err(Errno::EBUSY));
    let other = EventProbe::define("p:test/entry work_fib+8 n=%x0").map_err(|e| e.errno);
    check_eq!(t, other.err(), Some(Errno::EEXIST));
    let lines = listed();
    check!(t, lines.iter().any(|line| line == "f:test/exit work_fib%return r=$retval n=$arg1"));
    drop((entry, exit, some));
    check!(t, listed().is_empty());
    Ok(())
}

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
    check_eq!(t, book::remove_all(book::Which::All), Err(Errno::EBUSY));
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

/// What stands behind the place in the lines of the trace for the probe `test/NAME`; the trace is empty then.
fn recorded(t: &mut TestCtx<'_>, name: &str) -> Result<Vec<String>, Stop> {
    let text = read("trace");
    check!(t, text.is_ok(), "trace: {:?}", text.as_ref().err());
    rings::reset(None);
    let mark = format!(" {name}: (");
    let text = text.map_err(|_| Stop::Failed)?;
    let lines = String::from_utf8_lossy(&text);
    let values = lines.lines().filter_map(|line| line.split_once(mark.as_str())?.1.split_once(") "));
    Ok(values.map(|(_, values)| String::from(values)).collect())
}

fn read(file: &str) -> Result<Vec<u8>, Errno> {
    let file = vfs::open("/sys/kernel/tracing", file, How::READ)?;
    let mut text = Vec::new();
    let mut piece = [0; 512];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(text),
            n => text.extend_from_slice(piece.get(..n).unwrap_or_default()),
        }
    }
}

fn call(a: u64, b: u64) {
    black_box(black_box(work_add as extern "C" fn(u64, u64) -> u64)(a, b));
}

/// Chains through addresses where nothing is: each step may be the one that fails, and a number is 0 then, a text a
/// fault. Nothing else happens.
fn bad_pointers_are_faults(t: &mut TestCtx<'_>) -> TestResult {
    let line = "p:test/bad work_add+8 n=+0(%x0):u64 b=+0(%x0):b4@2/32 a=+0(%x0):u16[2] c=+8(+0(+0(%x0))):x32 \
                s=+0(%x0):string d=+0(+0(%x1)):string p=+0(%x0):string[2] u=+u0(%x1):u32 t=+0(%x1):ustring";
    let probe = guard(t, line)?;
    // x1 is good: a pointer to a pointer to a text.
    let text = *b"good\0...";
    let pointers = [text.as_ptr() as u64, 0];
    let good = pointers.as_ptr() as u64;
    rings::reset(None);
    check_eq!(t, probe.enable(), Ok(()));
    let bad = [
        0,
        7,
        // The user's half, with nobody in it; between the halves; the end of everything.
        0x40_0000,
        0x0080_0000_0000_0000,
        0xff7f_ffff_ffff_fff8,
        u64::MAX - 3,
        // Behind the last page that could be there.
        u64::MAX << 12,
    ];
    bad.iter().for_each(|bad| call(*bad, good));
    check_eq!(t, probe.disable(), Ok(()));
    let want = "n=0 b=0 a={0,0} c=0x0 s=(fault) d=\"good\" p={(fault),(fault)} u=0 t=(fault)";
    check_eq!(t, recorded(t, "bad")?, vec![want; bad.len()]);
    check_eq!(t, probe.counts(), (bad.len() as u64, 0));
    drop(probe);
    // The end of this task's stack: the page behind it is not there. What lies across the end is not there either.
    let probe = guard(t, "p:test/end work_add+8 w=-4(%x0):u64 l=+4(%x0):u32 s=-1(%x0):string")?;
    let end = (&raw const text as u64 | (STACK_SIZE as u64 - 1)) + 1;
    if probe_read::read_u8(end).is_ok() {
        skip!("something lies behind the stack");
    }
    check_eq!(t, probe.enable(), Ok(()));
    call(end, 0);
    check_eq!(t, probe.disable(), Ok(()));
    let lines = recorded(t, "end")?;
    check_eq!(t, lines.len(), 1);
    check!(t, lines.iter().all(|line| line.starts_with("w=0 l=0 s=")), "{lines:?}");
    Ok(())
}

/// A text has at most 1,023 bytes and its NUL, and all of a record's together what a record holds.
fn texts_are_bounded(t: &mut TestCtx<'_>) -> TestResult {
    let args: String = (0..6).map(|n| format!(" s{n}=+0(%x0):string")).collect();
    let probe = guard(t, &format!("p:test/long work_add+8{args}"))?;
    let endless = vec![b'x'; 2 * MAX_STRING_BYTES];
    rings::reset(None);
    check_eq!(t, probe.enable(), Ok(()));
    call(endless.as_ptr() as u64, 0);
    check_eq!(t, probe.disable(), Ok(()));
    let lines = recorded(t, "long")?;
    check_eq!(t, lines.len(), 1);
    let line = lines.first().map_or("", String::as_str);
    let lengths: Vec<_> = line.split(' ').map(|value| value.matches('x').count()).collect();
    let whole = MAX_STRING_BYTES - 1;
    check_eq!(t, lengths.get(..3), Some(&[whole; 3][..]));
    check!(t, lengths.get(3).is_some_and(|cut| *cut < whole), "{lengths:?}");
    check!(t, line.ends_with("s4=(fault) s5=(fault)"), "{}", &line[line.len().saturating_sub(40)..]);
    Ok(())
}

/// Another task makes a text longer and shorter while it is fetched. A record has what was there at some moment, or a
/// beginning of it: never a byte that was not there, and never a byte of another record.
fn a_text_that_changes_while_it_is_read(t: &mut TestCtx<'_>) -> TestResult {
    const HITS: usize = 3000;
    let probe = guard(t, "p:test/moving work_add+8 before=%x1 s=+0(%x0):string after=%x1")?;
    // Thirty-one words of letters; a NUL wanders through the first bytes of them.
    let text: Arc<[AtomicU64]> =
        (0..32).map(|n| AtomicU64::new(if n == 31 { 0 } else { u64::from_ne_bytes([b'a'; 8]) })).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (text, stop) = (text.clone(), stop.clone());
        task::spawn_on(
            "writer",
            Prio::NORMAL,
            task::ANY_CPU,
            Box::new(move || {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    if let Some(word) = text.get(n % 31) {
                        word.store(u64::from_ne_bytes(*b"\0bbbbbbb"), Ordering::Relaxed);
                        word.store(u64::from_ne_bytes(*b"aaaaaaaa"), Ordering::Relaxed);
                    }
                    n += 1;
                    if n % 64 == 0 {
                        task::yield_now();
                    }
                }
            }),
        )
    };
    check!(t, writer.is_ok());
    rings::reset(None);
    check_eq!(t, probe.enable(), Ok(()));
    let mut seen = 0;
    let mut wrong = Vec::new();
    for _ in 0..HITS / 100 {
        for n in 0..100 {
            call(text.as_ptr() as u64, n);
        }
        task::yield_now();
        for line in recorded(t, "moving")? {
            seen += 1;
            let Some((before, rest)) = line.split_once(" s=\"") else {
                wrong.push(line);
                continue;
            };
            let Some((text, after)) = rest.split_once("\" after=") else {
                wrong.push(line);
                continue;
            };
            let same = before.strip_prefix("before=") == Some(after);
            if !same || text.len() > 31 * 8 || !text.bytes().all(|byte| matches!(byte, b'a' | b'b')) {
                wrong.push(line);
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    if let Ok(writer) = writer {
        // Fails for the running task only.
        let _ = writer.join();
    }
    check_eq!(t, wrong, Vec::<String>::new());
    check_eq!(t, seen, HITS);
    Ok(())
}
