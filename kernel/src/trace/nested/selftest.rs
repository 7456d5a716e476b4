//! The books of a storm balance, whatever else is done to the rings.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use tracecore::errno::Errno;
use tracecore::ring::{Record, Totals};

use super::super::rings;
use super::{Found, LEVELS, NUMBERS, Storm, take};
use crate::arch::cpu;
use crate::fs::vfs::{self, How};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::task::{self, Mutex, Prio};

pub(crate) const TESTS: &[Test] = &[
    Test { name: "nested_records_while_read_and_resized", run: overwriting },
    Test { name: "nested_records_into_full_rings", run: keeping },
    Test { name: "bad_input_under_load", run: bad_input },
];

fn write(file: &str, text: &str) -> Result<(), Errno> {
    let path = format!("/sys/kernel/tracing/{file}");
    vfs::open("/", &path, How { create: false, ..How::APPEND })?.write_all(text.as_bytes())
}

fn overwriting(t: &mut TestCtx<'_>) -> TestResult {
    storm(t, "overwrite\n", &|round| {
        let kb = [8, 256, 28, 1024, 12, 64][round % 6];
        match round % 3 {
            0 => write(&format!("per_cpu/cpu{}/buffer_size_kb", round % cpu::online()), &format!("{kb}\n")),
            _ => write("buffer_size_kb", &format!("{kb}\n")),
        }
    })
}

fn keeping(t: &mut TestCtx<'_>) -> TestResult {
    let result =
        storm(t, "nooverwrite\n", &|round| write("buffer_size_kb", ["8\n", "64\n", "20\n"][round % 3]));
    check_eq!(t, write("trace_options", "overwrite\n"), Ok(()));
    result
}

/// What the files answer to what they cannot take. `None`: they take it.
const BAD: &[(&str, &str, Option<Errno>)] = &[
    ("buffer_size_kb", "0\n", Some(Errno::EINVAL)),
    ("buffer_size_kb", "1\n", None),
    ("buffer_size_kb", "99999999\n", Some(Errno::ENOMEM)),
    ("buffer_size_kb", "18446744073709551615\n", Some(Errno::ENOMEM)),
    ("buffer_size_kb", "18446744073709551616\n", Some(Errno::ERANGE)),
    ("buffer_size_kb", "junk\n", Some(Errno::EINVAL)),
    ("per_cpu/cpu0/buffer_size_kb", "0\n", Some(Errno::EINVAL)),
    ("per_cpu/cpu0/buffer_size_kb", "-1\n", Some(Errno::EINVAL)),
    ("per_cpu/cpu0/buffer_size_kb", "300\n", None),
    ("buffer_subbuf_size_kb", "1000\n", Some(Errno::EINVAL)),
    ("trace_clock", "perf\n", Some(Errno::EINVAL)),
    ("trace_clock", "\n", Some(Errno::EINVAL)),
    ("trace_options", "nosuch\n", Some(Errno::EINVAL)),
    ("options/raw", "2\n", Some(Errno::EINVAL)),
    ("tracing_cpumask", "100000000\n", Some(Errno::EOVERFLOW)),
    ("tracing_cpumask", "x\n", Some(Errno::EINVAL)),
    ("set_event", "nosuch:event\n", Some(Errno::EINVAL)),
    ("set_event_pid", "junk\n", Some(Errno::EINVAL)),
    ("set_event_pid", "99999999\n", Some(Errno::EINVAL)),
    ("events/enable", "2\n", Some(Errno::EINVAL)),
    ("events/sched/sched_switch/filter", "nosuch == 1\n", Some(Errno::EINVAL)),
    ("events/sched/sched_switch/filter", "0\n", None),
    ("current_tracer", "nosuch\n", Some(Errno::EINVAL)),
    ("saved_cmdlines_size", "0\n", Some(Errno::EINVAL)),
    ("trace_marker_raw", "abc", Some(Errno::EINVAL)),
    ("available_events", "x\n", Some(Errno::EINVAL)),
];

fn bad_input(t: &mut TestCtx<'_>) -> TestResult {
    let wrong: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let result = storm(t, "overwrite\n", &|round| {
        for (index, (file, text, want)) in BAD.iter().enumerate() {
            let got = write(file, text).err();
            // Twenty bad definitions in a row are not different from one.
            if got != *want && round == 0 {
                wrong.lock().push(index);
            }
        }
        Ok(())
    });
    for index in wrong.lock().iter() {
        let (file, text, want) = BAD[*index];
        diag!(t, "{file} <{text}>: {:?} expected", want);
    }
    check!(t, wrong.lock().is_empty());
    result
}

/// A storm with a reader, while `change` is called again and again; then the books.
fn storm(t: &mut TestCtx<'_>, mode: &str, change: &dyn Fn(usize) -> Result<(), Errno>) -> TestResult {
    let result = balanced(t, mode, change);
    check_eq!(t, write("buffer_size_kb", "1408\n"), Ok(()));
    rings::reset(None);
    result
}

fn balanced(t: &mut TestCtx<'_>, mode: &str, change: &dyn Fn(usize) -> Result<(), Errno>) -> TestResult {
    const ROUNDS: usize = 9;
    check_eq!(t, write("buffer_size_kb", "64\n"), Ok(()));
    check_eq!(t, write("trace_options", mode), Ok(()));
    rings::reset(None);
    let before: Vec<Totals> = rings::cpus().map(rings::totals).collect();
    let next = |cpu| core::array::from_fn(|level| NUMBERS.on(cpu)[level].load(Ordering::Relaxed));
    let start = |cpu| Found { next: next(cpu), ..Found::default() };
    let found: Arc<Mutex<Vec<Found>>> = Arc::new(Mutex::new(rings::cpus().map(start).collect()));
    let stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (stop, found) = (stop.clone(), found.clone());
        let work = Box::new(move || {
            let mut record = Box::new(Record::new());
            while !stop.load(Ordering::Relaxed) {
                take(&mut found.lock(), &mut record);
                task::yield_now();
            }
        });
        task::spawn("storm-reader", Prio::NORMAL, work)
    };
    let storm = Storm::begin();
    let mut result = Ok(());
    if storm.is_ok() {
        for round in 0..ROUNDS {
            result = result.and_then(|()| change(round));
            // On one CPU the writers run only when they are let.
            task::sleep_ns(2_000_000);
        }
    }
    let attempts = storm.map(Storm::end);
    stop.store(true, Ordering::Relaxed);
    if let Ok(reader) = reader {
        // Fails for the running task only.
        let _ = reader.join();
    }
    let mut found = found.lock();
    take(&mut found, &mut Box::new(Record::new()));
    let attempts = match attempts {
        Ok(attempts) => attempts,
        Err(e) => return Err(t.fail(file!(), line!(), format_args!("no storm: {e:?}"))),
    };
    check_eq!(t, result, Ok(()));
    for (cpu, found) in found.iter().enumerate() {
        books(t, cpu, attempts[cpu], before[cpu], rings::totals(cpu), found)?;
    }
    let levels: [u64; LEVELS] =
        core::array::from_fn(|level| found.iter().map(|found| found.next[level]).sum());
    diag!(t, "{attempts:?} tried; task, softirq, irq, exception, of all storms: {levels:?}");
    check!(t, levels.iter().all(|level| *level > 0));
    Ok(())
}

/// Nothing is missing from one CPU's books.
fn books(
    t: &mut TestCtx<'_>,
    cpu: usize,
    attempts: u64,
    before: Totals,
    after: Totals,
    found: &Found,
) -> Result<(), Stop> {
    let written = after.written - before.written;
    let refused = (after.dropped - before.dropped)
        + (after.commit_overrun - before.commit_overrun)
        + (after.contended - before.contended);
    let overrun = after.overrun - before.overrun;
    diag!(t, "cpu{cpu}: {written} written, {refused} refused, {overrun} overwritten, {} read", found.read);
    check_eq!(t, found.wrong, None);
    check_eq!(t, after.entries, 0);
    check_eq!(t, written + refused, attempts);
    check_eq!(t, found.read + overrun, written);
    check_eq!(t, after.read - before.read, found.read);
    // And whoever reads is told.
    check_eq!(t, found.lost, overrun);
    check_eq!(t, (after.too_long, after.discarded), (before.too_long, before.discarded));
    Ok(())
}
