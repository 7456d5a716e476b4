//! Probes come and go while every CPU passes the tracepoint; what they hear is counted exactly.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracecore::errno::Errno;

use super::{MAX_WALKS, raw, trace, trace_enabled, tracepoint};
use crate::arch::cpu;
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::SpinLock;
use crate::task::{self, Prio};
use crate::time::NS_PER_MS;

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "off_costs_no_arguments", run: off_costs_no_arguments },
    Test { name: "probes_by_priority", run: probes_by_priority },
    Test { name: "one_is_called_directly", run: one_is_called_directly },
    Test { name: "one_for_ever", run: one_for_ever },
    Test { name: "one_that_meets_itself", run: one_that_meets_itself },
    Test { name: "raw_words", run: raw_words },
    Test { name: "registered_under_load", run: registered_under_load },
];

tracepoint! {
    /// For these tests.
    selftest:selftest_hit(number: u32, signed: i8, text: &str, flag: bool)
}

tracepoint! {
    /// For the test under load.
    selftest:selftest_load(sequence: u64)
}

#[inline(never)]
fn hit(number: u32) {
    trace!(selftest_hit(number, -2, "text", true));
}

fn off_costs_no_arguments(t: &mut TestCtx<'_>) -> TestResult {
    let evaluated = Cell::new(0);
    let pass = || {
        trace!(selftest_hit(
            {
                evaluated.set(evaluated.get() + 1);
                1
            },
            0,
            "",
            false
        ));
        trace_enabled!(selftest_hit)
    };
    check_eq!(t, (pass(), evaluated.get()), (false, 0));
    let listening = selftest_hit::register(Arc::new(|_: u32, _: i8, _: &str, _: bool| {}), 0);
    check!(t, listening.is_ok());
    check_eq!(t, (pass(), evaluated.get()), (true, 1));
    drop(listening);
    check_eq!(t, (pass(), evaluated.get()), (false, 1));
    Ok(())
}

/// Who was called, in order.
static CALLED: SpinLock<Vec<(char, u32)>> = SpinLock::new(Vec::new());

fn probes_by_priority(t: &mut TestCtx<'_>) -> TestResult {
    let probe = |name: char| {
        Arc::new(move |number: u32, signed: i8, text: &str, flag: bool| {
            if (signed, text, flag) == (-2, "text", true) {
                CALLED.lock().push((name, number));
            }
        })
    };
    let called = |number: u32| {
        hit(number);
        core::mem::take(&mut *CALLED.lock())
    };
    let (a, b, c) = (probe('a'), probe('b'), probe('c'));
    check_eq!(t, called(1), []);
    let first = selftest_hit::register(a.clone(), 0);
    check!(t, first.is_ok());
    check_eq!(t, called(2), [('a', 2)]);
    let more = [selftest_hit::register(b, 10), selftest_hit::register(c, 0)];
    check!(t, more.iter().all(Result::is_ok));
    check_eq!(t, called(3), [('b', 3), ('a', 3), ('c', 3)]);
    // The same function with the same data, of whatever priority.
    check_eq!(t, selftest_hit::register(a.clone(), 5).err(), Some(Errno::EEXIST));
    drop(first);
    check_eq!(t, called(4), [('b', 4), ('c', 4)]);
    drop(more);
    check_eq!(t, called(5), []);
    check!(t, !selftest_hit::KEY.is_enabled());
    // Given back after a quiet point, by whoever frees the old lists.
    for _ in 0..1000 {
        if Arc::strong_count(&a) == 1 {
            break;
        }
        task::sleep_ns(NS_PER_MS);
    }
    check_eq!(t, Arc::strong_count(&a), 1);
    Ok(())
}

/// An event's recorder is the target while it is alone.
fn one_is_called_directly(t: &mut TestCtx<'_>) -> TestResult {
    let Some(point) = super::find("task_rename") else {
        return Err(t.fail(file!(), line!(), format_args!("there is no task_rename")));
    };
    let Some(event) = point.event() else {
        return Err(t.fail(file!(), line!(), format_args!("it has no event")));
    };
    let direct = event.recorder().function;
    check!(t, point.target().function != direct);
    let alone = point.record();
    check!(t, alone.is_ok());
    check!(t, point.target().function == direct);
    let second = raw::attach("task_rename", |_, _| {}, 0, 0);
    check!(t, second.is_ok());
    check!(t, point.target().function != direct);
    drop(second);
    check!(t, point.target().function == direct);
    drop(alone);
    check!(t, point.target().function != direct);
    Ok(())
}

/// A probe that lives for ever: called directly, in a list with others, not twice.
fn one_for_ever(t: &mut TestCtx<'_>) -> TestResult {
    static SUM: AtomicU64 = AtomicU64::new(0);
    static PROBE: selftest_hit::Direct = selftest_hit::Direct::new(add, &SUM);
    fn add(number: u32, _: i8, _: &str, _: bool, sum: &'static AtomicU64) {
        sum.fetch_add(u64::from(number), Ordering::Relaxed);
    }
    let before = SUM.load(Ordering::Relaxed);
    let sum = || SUM.load(Ordering::Relaxed) - before;
    let alone = selftest_hit::attach(&PROBE, 0);
    check!(t, alone.is_ok());
    hit(1);
    check_eq!(t, sum(), 1);
    check_eq!(t, selftest_hit::attach(&PROBE, 0).err(), Some(Errno::EEXIST));
    let other = selftest_hit::register(Arc::new(|_: u32, _: i8, _: &str, _: bool| {}), 0);
    check!(t, other.is_ok());
    hit(10);
    check_eq!(t, sum(), 11);
    drop(other);
    hit(100);
    drop(alone);
    hit(1000);
    check_eq!(t, sum(), 111);
    Ok(())
}

/// A probe that does what it listens to.
fn one_that_meets_itself(t: &mut TestCtx<'_>) -> TestResult {
    static TIMES: AtomicU64 = AtomicU64::new(0);
    let before = (TIMES.load(Ordering::Relaxed), selftest_load::POINT.missed());
    let listening = selftest_load::register(
        Arc::new(|sequence: u64| {
            TIMES.fetch_add(1, Ordering::Relaxed);
            trace!(selftest_load(sequence + 1));
        }),
        0,
    );
    check!(t, listening.is_ok());
    trace!(selftest_load(1));
    drop(listening);
    let after = (TIMES.load(Ordering::Relaxed), selftest_load::POINT.missed());
    check_eq!(t, (after.0 - before.0, after.1 - before.1), (u64::from(MAX_WALKS), 1));
    Ok(())
}

fn raw_words(t: &mut TestCtx<'_>) -> TestResult {
    static HEARD: SpinLock<Vec<(Vec<u64>, usize)>> = SpinLock::new(Vec::new());
    fn hear(words: &[u64], data: usize) {
        HEARD.lock().push((words.to_vec(), data));
    }
    check_eq!(t, raw::attach("no_such_tracepoint", hear, 0, 0).err(), Some(Errno::ENOENT));
    let listening = raw::attach("selftest_hit", hear, 7, 0);
    check!(t, listening.is_ok());
    check_eq!(t, raw::attach("selftest_hit", hear, 7, 1).err(), Some(Errno::EEXIST));
    hit(40);
    drop(listening);
    hit(41);
    let heard = core::mem::take(&mut *HEARD.lock());
    check_eq!(t, heard.len(), 1);
    let (words, data) = &heard[0];
    check_eq!(t, (words.len(), *data), (4, 7));
    check_eq!(t, (words[0], words[1], words[3]), (40, -2i64 as u64, 1));
    check!(t, words[2] > 1 << 63);
    Ok(())
}

/// What one probe heard.
struct Heard {
    times: AtomicU64,
    sum: AtomicU64,
}

impl Heard {
    fn new() -> Arc<Self> {
        Arc::new(Self { times: AtomicU64::new(0), sum: AtomicU64::new(0) })
    }

    fn counts(&self) -> (u64, u64) {
        (self.times.load(Ordering::Relaxed), self.sum.load(Ordering::Relaxed))
    }

    fn probe(self: &Arc<Self>) -> Arc<impl Fn(u64) + Send + Sync + use<>> {
        let heard = self.clone();
        Arc::new(move |sequence: u64| {
            heard.times.fetch_add(1, Ordering::Relaxed);
            heard.sum.fetch_add(sequence, Ordering::Relaxed);
        })
    }
}

/// Tasks on every CPU pass the tracepoint, each time with a number. One probe listens throughout and hears each number
/// once, while others, before and behind it, come and go: the list is replaced under the feet of those who walk it.
/// What has gone hears nothing any more.
fn registered_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const ROUNDS: usize = 100;
    let stop = Arc::new(AtomicBool::new(false));
    let passed = Heard::new();
    let throughout = Heard::new();
    let registration = selftest_load::register(throughout.probe(), 0);
    check!(t, registration.is_ok());
    let tasks: Vec<_> = (0..cpu::online())
        .filter_map(|on| {
            let (stop, passed) = (stop.clone(), passed.clone());
            let work = Box::new(move || {
                let (mut times, mut sum) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    let sequence = times << 4 | on as u64;
                    trace!(selftest_load(sequence));
                    times += 1;
                    sum += sequence;
                }
                passed.times.fetch_add(times, Ordering::Relaxed);
                passed.sum.fetch_add(sum, Ordering::Relaxed);
            });
            task::spawn_on("load", Prio::NORMAL, 1 << on, work).ok()
        })
        .collect();
    let mut wrong = 0;
    let mut visitors = 0;
    for round in 0..ROUNDS {
        let visitor = Heard::new();
        let priority = if round % 2 == 0 { 1 } else { -1 };
        match selftest_load::register(visitor.probe(), priority) {
            Ok(registration) => {
                while visitor.counts().0 == 0 {
                    task::yield_now();
                }
                drop(registration);
            }
            Err(_) => wrong += 1,
        }
        let counts = visitor.counts();
        task::yield_now();
        wrong += u64::from(visitor.counts() != counts);
        visitors += counts.0;
    }
    stop.store(true, Ordering::Relaxed);
    for task in &tasks {
        // Fails for the running task only.
        let _ = task.join();
    }
    diag!(t, "{} passed, {visitors} heard by visitors", passed.counts().0);
    check_eq!(t, wrong, 0);
    check_eq!(t, throughout.counts(), passed.counts());
    drop(registration);
    trace!(selftest_load(1));
    check_eq!(t, throughout.counts(), passed.counts());
    Ok(())
}
