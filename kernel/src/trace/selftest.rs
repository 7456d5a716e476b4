//! Tests of events while they fire.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::event::{BH_OFF, HARDIRQ, Header, IRQS_OFF, NEED_RESCHED, SOFTIRQ};
use tracecore::misses::{Layer, Table};

use super::{buffer, kprobe_events, rings};
use crate::arch::cpu;
use crate::fs::vfs::{self, How};
use crate::irq::softirq::SoftirqGuard;
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::{IrqWork, PreemptGuard};
use crate::task::{self, Prio};
use crate::time::{NS_PER_S, Timer, now_ns};
use crate::workload::work_add;

pub(crate) const TESTS: &[Test] = &[
    Test { name: "filter_changed_under_load", run: filter_changed_under_load },
    Test { name: "records_know_their_context", run: records_know_their_context },
];

/// The flags of records made in a task, with softirqs held off, in a softirq, in an interrupt on top of one, and in one
/// on top of a task.
fn records_know_their_context(t: &mut TestCtx<'_>) -> TestResult {
    const PLACES: usize = 5;
    const NONE: u64 = u64::MAX;
    static FLAGS: [AtomicU64; PLACES] = [const { AtomicU64::new(NONE) }; PLACES];
    static ON_SOFTIRQ: IrqWork = IrqWork::new(|| note(3));
    static ON_TASK: IrqWork = IrqWork::new(|| note(4));
    fn note(place: usize) {
        let header = Header::from_word(buffer::header(1));
        FLAGS[place].store(u64::from(header.flags & !NEED_RESCHED), Ordering::Release);
    }
    fn seen(place: usize) -> u64 {
        let end = now_ns() + NS_PER_S;
        while FLAGS[place].load(Ordering::Acquire) == NONE && now_ns() < end {
            cpu::relax();
        }
        FLAGS[place].load(Ordering::Acquire)
    }
    FLAGS.iter().for_each(|flags| flags.store(NONE, Ordering::Relaxed));
    note(0);
    {
        let _off = SoftirqGuard::new();
        note(1);
    }
    let timer = Timer::new(|| {
        note(2);
        ON_SOFTIRQ.queue(&PreemptGuard::new());
        seen(3);
    });
    timer.arm(now_ns());
    seen(3);
    timer.cancel_sync();
    ON_TASK.queue(&PreemptGuard::new());
    seen(4);
    let flags = FLAGS.each_ref().map(|flags| flags.load(Ordering::Acquire));
    let want = [0, BH_OFF, SOFTIRQ, SOFTIRQ | HARDIRQ | IRQS_OFF, HARDIRQ | IRQS_OFF].map(u64::from);
    check_eq!(t, flags, want);
    Ok(())
}

fn write(file: &str, text: &str) -> Result<(), Errno> {
    let path = format!("/sys/kernel/tracing/{file}");
    vfs::open("/", &path, How { create: false, ..How::APPEND })?.write_all(text.as_bytes())
}

/// Records that were made since the buffer was cleared: those that are there and those that were overwritten.
fn recorded() -> u64 {
    let stats = |cpu| rings::hold(cpu).reader().map(|reader| reader.stats(0)).unwrap_or_default();
    rings::cpus().map(stats).map(|stats| stats.entries + stats.overrun).sum()
}

/// Its event, gone with it.
struct Event;

impl Event {
    fn new(t: &mut TestCtx<'_>) -> Result<Self, Stop> {
        check_eq!(t, write("kprobe_events", "p:test/add work_add+8 a=%x0\n"), Ok(()));
        Ok(Self)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // If it cannot be removed the next run of the test says so.
        let _ = write("events/test/add/enable", "0\n");
        let _ = write("kprobe_events", "-:test/add\n");
    }
}

/// Tasks on every CPU call a function while its event's filter is set, replaced and cleared. Each call is a hit, each hit
/// is recorded, filtered or missed, and no call is without one of them.
fn filter_changed_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: u64 = 200;
    let event = Event::new(t)?;
    check_eq!(t, write("events/test/add/filter", "a & 1\n"), Ok(()));
    rings::reset(None);
    let before = recorded();
    check_eq!(t, write("events/test/add/enable", "1\n"), Ok(()));
    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..cpu::online())
        .filter_map(|on| {
            let (stop, calls) = (stop.clone(), calls.clone());
            let work = Box::new(move || {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    black_box(black_box(work_add as extern "C" fn(u64, u64) -> u64)(n, 1));
                    n += 1;
                }
                calls.fetch_add(n, Ordering::Relaxed);
            });
            task::spawn_on("load", Prio::NORMAL, 1 << on, work).ok()
        })
        .collect();
    let filters =
        ["a == 3 || comm == \"load\" && a & 2", "0", "common_pid > 0 && !(a < 100)", "comm ~ \"x*\""];
    let mut result = Ok(());
    for (_, filter) in (0..TIMES).zip(filters.iter().cycle()) {
        result = result.and_then(|()| write("events/test/add/filter", filter));
        // On one CPU the callers run only when they are let.
        if cpu::online() < 2 {
            task::yield_now();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for task in &tasks {
        // Fails for the running task only.
        let _ = task.join();
    }
    check_eq!(t, write("events/test/add/enable", "0\n"), Ok(()));
    check_eq!(t, result, Ok(()));
    let mut table = Table::default();
    kprobe_events::misses(&mut table);
    let mut rest = 0;
    for row in table.rows().iter().filter(|row| row.owner == "test/add") {
        check!(t, matches!(row.layer, Layer::Kprobe | Layer::Event));
        rest += row.count;
    }
    let (calls, recorded) = (calls.load(Ordering::Relaxed), recorded() - before);
    diag!(t, "{calls} calls, {recorded} recorded, {rest} filtered or missed");
    check!(t, rest > 0 && recorded > 0);
    check_eq!(t, recorded + rest, calls);
    // A refused filter leaves none.
    check_eq!(t, write("events/test/add/filter", "b == 1\n"), Err(Errno::EINVAL));
    drop(event);
    Ok(())
}
