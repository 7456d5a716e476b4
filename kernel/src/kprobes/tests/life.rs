//! The life of a probe: contexts it is hit in, handlers that misbehave, and its end.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{BODY, Count, Run, add, adding, armed, leaf};
use crate::arch::{cpu, probe_read};
use crate::exception::PtRegs;
use crate::kprobes::{self, Flow, Handler, Kprobe, Refusal};
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq, diag, skip};
use crate::sync::CpuPin;
use crate::task::{self, Prio};
use crate::text::slots::{End, Slot};
use crate::time::now_ns;
use crate::{boot, ksyms};
use a64::encode;
use tracecore::errno::Errno;

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "dropped_is_gone", run: dropped_is_gone },
    Test { name: "handed_over", run: handed_over },
    Test { name: "a_handler_faults", run: a_handler_faults },
    Test { name: "post_changes_registers", run: post_changes_registers },
    Test { name: "nested_twice", run: nested_twice },
    Test { name: "in_interrupts_and_the_scheduler", run: in_interrupts_and_the_scheduler },
    Test { name: "out_of_slots", run: out_of_slots },
    Test { name: "set_and_removed_by_all", run: set_and_removed_by_all },
];

fn dropped_is_gone(t: &mut TestCtx<'_>) -> TestResult {
    let count = Arc::new(Count::default());
    let probe = armed(t, "work_leaf", BODY, count.clone())?;
    let addr = probe.addr();
    let listed = || kprobes::list().iter().filter(|listed| listed.addr == addr).count();
    check_eq!(t, listed(), 1);
    leaf();
    drop(probe);
    leaf();
    check_eq!(t, (count.hits(), listed()), (1, 0));
    // The place is free for another one at once, while the first is still on its way out.
    drop(armed(t, "work_leaf", BODY, count.clone())?);
    check_eq!(t, listed(), 0);
    Ok(())
}

/// One takes over from another: behind the entry, on the same word, and at an entry that has a site.
fn handed_over(t: &mut TestCtx<'_>) -> TestResult {
    let body = ksyms::by_name("work_leaf").map_or(0, |symbol| symbol.start as usize) + BODY;
    let counts: [_; 4] = core::array::from_fn(|_| Arc::new(Count::default()));
    let mut last = armed(t, "work_leaf", BODY, counts[0].clone())?;
    for (n, at) in [body + 4, body + 4, body - BODY].into_iter().enumerate() {
        leaf();
        let next = Kprobe::register(at, counts[n + 1].clone());
        let next = next.map_err(|e| t.fail(file!(), line!(), format_args!("{e}")))?;
        check_eq!(t, kprobes::hand_over(&last, &next), Ok(()));
        last = next;
    }
    leaf();
    drop(last);
    leaf();
    check_eq!(t, counts.each_ref().map(|count| count.hits()), [1; 4]);
    Ok(())
}

/// Reads that fault, in a handler: they are errors, and the hit goes on.
fn a_handler_faults(t: &mut TestCtx<'_>) -> TestResult {
    static FAULTS: AtomicU64 = AtomicU64::new(0);
    let reads = Run(|_| {
        for addr in [0, 8, u64::MAX - 7, 1 << 50] {
            if probe_read::read_u64(addr).is_err() {
                FAULTS.fetch_add(1, Ordering::Relaxed);
            }
        }
        Flow::Continue
    });
    FAULTS.store(0, Ordering::Relaxed);
    let probe = armed(t, "work_add", BODY, Arc::new(reads))?;
    for _ in 0..100 {
        check_eq!(t, add(2, 40), 42);
    }
    drop(probe);
    check_eq!(t, FAULTS.load(Ordering::Relaxed), 400);
    Ok(())
}

/// Sets x0 and the PC, after the word.
struct Returns(u64);

impl Handler for Returns {
    fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
        Flow::Continue
    }

    fn post(&self, _: u64, regs: &mut PtRegs, _: &CpuPin) {
        regs.user_mut().x[0] = self.0;
        regs.set_pc(regs.lr());
    }

    fn has_post(&self) -> bool {
        true
    }
}

fn post_changes_registers(t: &mut TestCtx<'_>) -> TestResult {
    // The first word of the entry leaves SP and x30 alone: from behind it one can return.
    let probe = armed(t, "work_leaf", 0, Arc::new(Returns(7)))?;
    check_eq!(t, leaf(), 7);
    drop(probe);
    check_eq!(t, leaf(), 42);
    Ok(())
}

/// Handlers that call probed functions, before the word and after it, with handlers that would do so too.
struct Calls {
    pre: AtomicU64,
    post: AtomicU64,
}

impl Handler for Calls {
    fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
        self.pre.fetch_add(1, Ordering::Relaxed);
        add(leaf(), 1);
        Flow::Continue
    }

    fn post(&self, _: u64, _: &mut PtRegs, _: &CpuPin) {
        self.post.fetch_add(1, Ordering::Relaxed);
        add(leaf(), 1);
    }

    fn has_post(&self) -> bool {
        true
    }
}

fn nested_twice(t: &mut TestCtx<'_>) -> TestResult {
    let calls = || Arc::new(Calls { pre: AtomicU64::new(0), post: AtomicU64::new(0) });
    let (on_add, on_leaf, boosted) = (calls(), calls(), Arc::new(Count::default()));
    let a = armed(t, "work_add", BODY, on_add.clone())?;
    let b = armed(t, "work_leaf", BODY, on_leaf.clone())?;
    let c = armed(t, "work_leaf", BODY + 4, boosted.clone())?;
    for _ in 0..100 {
        check_eq!(t, add(2, 40), 42);
    }
    // Each call of work_add runs both its handlers, and each of these meets both functions, once.
    let seen = |calls: &Calls| (calls.pre.load(Ordering::Relaxed), calls.post.load(Ordering::Relaxed));
    check_eq!(t, (seen(&on_add), seen(&on_leaf), boosted.hits()), ((100, 100), (0, 0), 0));
    check_eq!(t, (a.missed(), b.missed(), c.missed()), (200, 200, 200));
    check_eq!(t, leaf(), 42);
    // In the handlers of work_leaf it is the others that are missed, work_leaf's own word among them.
    check_eq!(t, (seen(&on_leaf), boosted.hits()), ((1, 1), 1));
    check_eq!(t, (a.missed(), b.missed(), c.missed()), (202, 202, 202));
    Ok(())
}

/// Where an interrupt is handled, and where tasks are switched, hits are hits.
fn in_interrupts_and_the_scheduler(t: &mut TestCtx<'_>) -> TestResult {
    let mut probes = Vec::new();
    for name in ["irq::handle", "task::run_queue::switch", "task::schedule"] {
        if ksyms::by_name(name).is_none() {
            diag!(t, "{name} has been inlined");
            continue;
        }
        let (boosted, stepped) =
            (Arc::new(Count::default()), Arc::new(Count { wants_post: true, ..Count::default() }));
        probes.push((name, boosted.clone(), armed(t, name, BODY, boosted)?));
        probes.push((name, stepped.clone(), armed(t, name, BODY + 4, stepped)?));
    }
    check!(t, !probes.is_empty());
    for _ in 0..50 {
        task::sleep_ns(200_000);
        crate::sync::on_each_cpu(&|| ());
    }
    for (name, count, probe) in &probes {
        check!(t, count.hits() > 0, "{name} at {:#x}", probe.addr());
    }
    Ok(())
}

fn out_of_slots(t: &mut TestCtx<'_>) -> TestResult {
    let addr = ksyms::by_name("work_add").map_or(0, |symbol| symbol.start as usize) + BODY;
    let mut slots = Vec::new();
    while let Ok(slot) = Slot::new(encode::nop(), addr, End::Branch) {
        slots.push(slot);
    }
    let refused = Kprobe::register(addr, Arc::new(Count::default())).err();
    check_eq!(t, refused, Some(Refusal::NoSlot));
    check_eq!(t, refused.map(Refusal::errno), Some(Errno::ENOSPC));
    // What needs none is not refused.
    let simulated = ksyms::by_name("insn_ret").map_or(0, |symbol| symbol.start as usize) + 4;
    check!(t, Kprobe::register(simulated, Arc::new(Count::default())).is_ok());
    slots.clear();
    let count = Arc::new(Count::default());
    let probe = armed(t, "work_add", BODY, count.clone())?;
    check_eq!(t, (add(2, 40), count.hits()), (42, 1));
    drop(probe);
    Ok(())
}

/// Every CPU calls a function, and on every CPU a task sets and removes probes on its words, some of them the same, some with
/// post handlers. Hits and misses of a probe that stays are the calls, exactly.
fn set_and_removed_by_all(t: &mut TestCtx<'_>) -> TestResult {
    const SHORT_NS: u64 = 3_000_000_000;
    const LONG_NS: u64 = 60_000_000_000;
    if cpu::online() < 2 {
        skip!("needs two CPUs");
    }
    let steady = Arc::new(Count::default());
    let counter = armed(t, "work_add", BODY, steady.clone())?;
    let load = adding();
    let stop = Arc::new(AtomicBool::new(false));
    let (set, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..cpu::online())
        .filter_map(|on| {
            let (stop, set, failed, addr) = (stop.clone(), set.clone(), failed.clone(), counter.addr());
            let work = Box::new(move || {
                let mut turn = on;
                while !stop.load(Ordering::Relaxed) {
                    // Three words, the steady one's among them.
                    let place = addr + 4 * (turn % 3);
                    let handler = Arc::new(Count { wants_post: turn % 5 == 0, ..Count::default() });
                    match Kprobe::register(place, handler) {
                        Ok(probe) if probe.arm().is_ok() => set.fetch_add(1, Ordering::Relaxed),
                        _ => failed.fetch_add(1, Ordering::Relaxed),
                    };
                    turn += 1;
                }
            });
            task::spawn_on("setter", Prio::NORMAL, 1 << on, work).ok()
        })
        .collect();
    let time_ns = if boot::info().arg("selftest") == Some("long") { LONG_NS } else { SHORT_NS };
    let end = now_ns() + time_ns;
    while now_ns() < end {
        task::sleep_ns(10_000_000);
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        check_eq!(t, task.join(), Ok(0));
    }
    let (calls, wrong) = load.end();
    let (set, failed) = (set.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    diag!(t, "{calls} calls, {} missed; {set} probes set and removed", counter.missed());
    check_eq!(t, (wrong, failed), (0, 0));
    check!(t, set > 0);
    check_eq!(t, steady.hits() + counter.missed(), calls);
    Ok(())
}
