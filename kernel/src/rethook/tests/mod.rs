//! Every call is accounted for and every caller gets its result, whatever is hooked.

mod inside;
mod load;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use super::storage::{bytes, depth};
use super::{
    EntryRegs, Kretprobe, Listener, MAX_ACTIVE, MAX_DATA_WORDS, Missed, Refusal, Returned, SHADOW_BYTES,
    Verdict,
};
use crate::arch::cpu;
use crate::exception::PtRegs;
use crate::ftrace::regs::{Entry, Return};
use crate::ftrace::{FtraceRegs, Hit, Ops, SiteSet};
use crate::kprobes::{self, Flow, Handler, Kprobe};
use crate::ksyms;
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::CpuPin;
use crate::task;
use crate::workload::{INSN, work_add, work_chain, work_fact, work_fib, work_leaf, work_tail};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "return_is_seen", run: return_is_seen },
    Test { name: "views_say_what_they_have", run: views_say_what_they_have },
    Test { name: "what_is_an_entry", run: what_is_an_entry },
    Test { name: "refusals", run: refusals },
    Test { name: "data_from_entry_to_exit", run: data_from_entry_to_exit },
    Test { name: "entry_declines", run: entry_declines },
    Test { name: "result_is_changed", run: result_is_changed },
    Test { name: "recursion", run: recursion },
    Test { name: "tail_call", run: tail_call },
    Test { name: "several_hooks_and_a_probe", run: several_hooks_and_a_probe },
    Test { name: "by_breakpoint", run: by_breakpoint },
    Test { name: "branch_beside_a_tracer", run: branch_beside_a_tracer },
    Test { name: "off_for_all", run: off_for_all },
    Test { name: "maxactive", run: maxactive },
    Test { name: "room_exhausted", run: room_exhausted },
    Test { name: "handlers_call_probed_functions", run: handlers_call_probed_functions },
    Test { name: "disarmed_inside", run: inside::disarmed_inside },
    Test { name: "removed_inside", run: inside::removed_inside },
    Test { name: "task_ends_inside", run: inside::task_ends_inside },
    Test { name: "backtrace", run: inside::backtrace },
    Test { name: "stack_of_a_sleeper", run: inside::stack_of_a_sleeper },
    Test { name: "toggled_under_load", run: load::toggled_under_load },
    Test { name: "registered_under_load", run: load::registered_under_load },
    Test { name: "scheduler_and_interrupts", run: load::scheduler_and_interrupts },
];

/// Counts returns, and adds up what was returned.
#[derive(Default)]
struct Count {
    exits: AtomicU64,
    sum: AtomicU64,
}

impl Listener for Count {
    fn exit(&self, _: Returned<'_>, regs: &mut FtraceRegs<Return>, _: &CpuPin) {
        self.exits.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(regs.return_value(), Ordering::Relaxed);
    }
}

impl Count {
    fn exits(&self) -> u64 {
        self.exits.load(Ordering::Relaxed)
    }

    fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }
}

/// Made of a function that is told of returns.
struct OnExit<F>(F);

impl<F: Fn(Returned<'_>, &mut FtraceRegs<Return>) + Send + Sync> Listener for OnExit<F> {
    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, _: &CpuPin) {
        (self.0)(returned, regs);
    }
}

fn address(symbol: &str) -> usize {
    ksyms::by_name(symbol).map_or(0, |symbol| symbol.start as usize)
}

/// A return probe on a function, armed.
fn armed_at(
    t: &mut TestCtx<'_>,
    addr: usize,
    max_active: u32,
    listener: Arc<impl Listener + 'static>,
) -> Result<Kretprobe, Stop> {
    match Kretprobe::register(addr, Some(max_active), listener) {
        Ok(probe) => {
            check_eq!(t, probe.arm(), Ok(()));
            Ok(probe)
        }
        Err(refusal) => Err(t.fail(file!(), line!(), format_args!("{addr:#x}: {refusal}"))),
    }
}

fn armed(
    t: &mut TestCtx<'_>,
    symbol: &str,
    listener: Arc<impl Listener + 'static>,
) -> Result<Kretprobe, Stop> {
    armed_at(t, address(symbol), MAX_ACTIVE, listener)
}

// Calls that the optimiser cannot foresee.
fn add(a: u64, b: u64) -> u64 {
    black_box(work_add as extern "C" fn(u64, u64) -> u64)(a, b)
}

fn leaf() -> u64 {
    black_box(work_leaf as extern "C" fn() -> u64)()
}

fn one(f: extern "C" fn(u64) -> u64, n: u64) -> u64 {
    black_box(f)(n)
}

/// Waits for what happens some time after a quiet point.
fn eventually(what: impl Fn() -> bool) -> bool {
    (0..2000).any(|_| {
        if !what() {
            task::sleep_ns(1_000_000);
        }
        what()
    })
}

fn return_is_seen(t: &mut TestCtx<'_>) -> TestResult {
    let seen = Arc::new([const { AtomicU64::new(0) }; 4]);
    let put = seen.clone();
    let see = OnExit(move |returned: Returned<'_>, regs: &mut FtraceRegs<Return>| {
        for (slot, value) in put.iter().zip([returned.function(), regs.sp(), regs.return_value(), regs.pc()])
        {
            slot.store(value, Ordering::Relaxed);
        }
    });
    let probe = armed(t, "work_add", Arc::new(see))?;
    check_eq!(t, add(2, 40), 42);
    let [function, sp, value, return_ip] = seen.each_ref().map(|seen| seen.load(Ordering::Relaxed));
    check_eq!(t, (function, value), (address("work_add") as u64, 42));
    check!(t, task::current().stack().contains(&(sp as usize)));
    let caller = ksyms::by_addr(return_ip as usize).map(|symbol| symbol.name);
    check!(t, caller.is_some_and(|name| name.starts_with("rethook::tests")), "{caller:?}");
    check_eq!(t, (probe.active(), probe.missed(), probe.dropped()), (0, Missed::default(), 0));
    drop(probe);
    check_eq!(t, add(2, 40), 42);
    check_eq!(t, depth(), 0);
    diag!(t, "{} bytes of shadow stacks, {SHADOW_BYTES} a task", bytes());
    check!(t, bytes() >= (task::count() + cpu::online()) * SHADOW_BYTES / 2);
    Ok(())
}

fn views_say_what_they_have(t: &mut TestCtx<'_>) -> TestResult {
    check_eq!(t, alloc::format!("{}", FtraceRegs::<Entry>::PROVIDES), "x0-x8,x29,x30,sp,pc");
    check_eq!(t, alloc::format!("{}", FtraceRegs::<Return>::PROVIDES), "x0-x8,x29,sp,pc");
    Ok(())
}

fn what_is_an_entry(t: &mut TestCtx<'_>) -> TestResult {
    let work = address("work_add");
    for (offset, refused) in [
        (0, None),
        (4, Some(Refusal::Probe(kprobes::Refusal::FtraceSite))),
        (8, None),
        (12, Some(Refusal::NotEntry)),
    ] {
        let count = Arc::new(Count::default());
        let probe = Kretprobe::register(work + offset, None, count.clone());
        check_eq!(t, probe.as_ref().err().copied(), refused, "+{offset}");
        if let Ok(probe) = probe {
            check_eq!(t, probe.arm(), Ok(()));
            check_eq!(t, add(2, 40), 42);
            check_eq!(t, (count.exits(), count.sum()), (1, 42));
            check_eq!(t, probe.disarm(), Ok(()));
            check_eq!(t, add(2, 40), 42);
            check_eq!(t, count.exits(), 1);
            check_eq!(t, probe.max_active(), (2 * cpu::online() as u32).max(10));
        }
    }
    Ok(())
}

/// Wants so many words for each call.
pub(crate) struct Greedy(pub(crate) usize);

impl Listener for Greedy {
    fn exit(&self, _: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {}

    fn data_words(&self) -> usize {
        self.0
    }
}

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    let none = || Arc::new(Count::default());
    fn refused(
        addr: usize,
        max_active: Option<u32>,
        listener: Arc<impl Listener + 'static>,
    ) -> Option<Refusal> {
        Kretprobe::register(addr, max_active, listener).err()
    }
    check_eq!(t, refused(address("work_add"), Some(MAX_ACTIVE + 1), none()), Some(Refusal::MaxActive));
    check_eq!(t, refused(address("task::life::exit"), None, none()), Some(Refusal::NeverReturns));
    check_eq!(t, refused(address("work_add"), None, Arc::new(Greedy(MAX_DATA_WORDS))), None);
    check_eq!(
        t,
        refused(address("work_add"), None, Arc::new(Greedy(MAX_DATA_WORDS + 1))),
        Some(Refusal::Data)
    );
    for blacklisted in ["return_trampoline", "rethook_return", "el1_sync", "task_switch"] {
        let refusal = refused(address(blacklisted), None, none());
        check!(
            t,
            matches!(refusal, Some(Refusal::Probe(kprobes::Refusal::Range(_)))),
            "{blacklisted}: {refusal:?}"
        );
    }
    check!(t, matches!(refused(0, None, none()), Some(Refusal::Probe(kprobes::Refusal::NotText))));
    Ok(())
}

/// Keeps the first argument until the return, and declines what is odd.
#[derive(Default)]
struct Kept {
    declined: AtomicU64,
    exits: AtomicU64,
    sum: AtomicU64,
    decline_odd: bool,
}

impl Listener for Kept {
    fn entry(&self, regs: EntryRegs<'_>, data: &mut [u64], _: &CpuPin) -> Verdict {
        if self.decline_odd && regs.arg(0) % 2 == 1 {
            self.declined.fetch_add(1, Ordering::Relaxed);
            return Verdict::Decline;
        }
        if let [first, sp] = data {
            (*first, *sp) = (regs.arg(0), regs.sp());
        }
        Verdict::Keep
    }

    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, _: &CpuPin) {
        if let &[first, sp] = returned.data()
            && sp == regs.sp()
        {
            self.exits.fetch_add(1, Ordering::Relaxed);
            self.sum.fetch_add(first, Ordering::Relaxed);
        }
    }

    fn has_entry(&self) -> bool {
        true
    }

    fn data_words(&self) -> usize {
        2
    }
}

fn data_from_entry_to_exit(t: &mut TestCtx<'_>) -> TestResult {
    let kept = Arc::new(Kept::default());
    let probe = armed(t, "work_fact", kept.clone())?;
    check_eq!(t, one(work_fact, 10), 3_628_800);
    check_eq!(t, (kept.exits.load(Ordering::Relaxed), kept.sum.load(Ordering::Relaxed)), (10, 55));
    check_eq!(t, (probe.active(), probe.missed_in_all()), (0, 0));
    Ok(())
}

fn entry_declines(t: &mut TestCtx<'_>) -> TestResult {
    let kept = Arc::new(Kept { decline_odd: true, ..Kept::default() });
    let probe = armed(t, "work_fact", kept.clone())?;
    check_eq!(t, one(work_fact, 10), 3_628_800);
    let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
    check_eq!(t, (get(&kept.exits), get(&kept.sum), get(&kept.declined)), (5, 30, 5));
    check_eq!(t, (probe.active(), probe.missed_in_all()), (0, 0));
    Ok(())
}

fn result_is_changed(t: &mut TestCtx<'_>) -> TestResult {
    let more = OnExit(|_: Returned<'_>, regs: &mut FtraceRegs<Return>| {
        let value = regs.return_value();
        regs.set_return_value(value + 1);
    });
    let probe = armed(t, "work_add", Arc::new(more))?;
    check_eq!(t, add(2, 40), 43);
    drop(probe);
    check_eq!(t, add(2, 40), 42);
    Ok(())
}

/// How often `work_fib(n)` is called for one result: 1 + what its two calls take.
fn fib_calls(n: u64) -> u64 {
    if n < 2 { 1 } else { 1 + fib_calls(n - 1) + fib_calls(n - 2) }
}

fn recursion(t: &mut TestCtx<'_>) -> TestResult {
    let count = Arc::new(Count::default());
    let probe = armed(t, "work_fib", count.clone())?;
    check_eq!(t, one(work_fib, 15), 610);
    check_eq!(t, (count.exits(), probe.missed_in_all(), probe.active()), (fib_calls(15), 0, 0));
    drop(probe);
    // Every link of the chain, each with a frame of another size.
    let count = Arc::new(Count::default());
    let mut probes = Vec::new();
    for link in 1..=8 {
        probes.push(armed(t, &alloc::format!("work_chain_{link}"), count.clone())?);
    }
    check_eq!(t, one(work_chain, 40), 5 * (1..=8).sum::<u64>());
    let missed: u64 = probes.iter().map(Kretprobe::missed_in_all).sum();
    check_eq!(t, (count.exits(), missed, depth()), (40, 0, 0));
    Ok(())
}

/// A function that leaves by a branch to another: both return with one `ret`.
fn tail_call(t: &mut TestCtx<'_>) -> TestResult {
    let (outer, inner) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let first = armed(t, "work_tail", outer.clone())?;
    let second = armed(t, "work_tail_end", inner.clone())?;
    check_eq!(t, one(work_tail, 40), 42);
    check_eq!(t, (outer.exits(), outer.sum(), inner.exits(), inner.sum()), (1, 42, 1, 42));
    check_eq!(t, (first.missed_in_all(), second.missed_in_all(), depth()), (0, 0, 0));
    Ok(())
}

/// Counts hits of a kprobe.
#[derive(Default)]
struct Hits(AtomicU64);

impl Handler for Hits {
    fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
        self.0.fetch_add(1, Ordering::Relaxed);
        Flow::Continue
    }
}

fn several_hooks_and_a_probe(t: &mut TestCtx<'_>) -> TestResult {
    let (a, b, c) = (Arc::new(Count::default()), Arc::new(Kept::default()), Arc::new(Count::default()));
    let hits = Arc::new(Hits::default());
    let work = address("work_add");
    let _first = armed(t, "work_add", a.clone())?;
    let probe = Kprobe::register(work, hits.clone());
    check!(t, probe.as_ref().is_ok_and(|probe| probe.arm().is_ok()));
    let second = armed(t, "work_add", b.clone())?;
    // At the other place that counts as the entry: the second breakpoint finds the trampoline in x30.
    let third = armed_at(t, work + 8, 10, c.clone())?;
    for n in 0..100 {
        check_eq!(t, add(n, 40), n + 40);
    }
    let kept = || b.exits.load(Ordering::Relaxed);
    check_eq!(t, (a.exits(), kept(), c.exits(), hits.0.load(Ordering::Relaxed)), (100, 100, 100, 100));
    check_eq!(t, b.sum.load(Ordering::Relaxed), (0..100).sum::<u64>());
    drop(second);
    check_eq!(t, add(2, 40), 42);
    check_eq!(t, third.disarm(), Ok(()));
    check_eq!(t, add(2, 40), 42);
    check_eq!(t, (a.exits(), kept(), c.exits(), hits.0.load(Ordering::Relaxed)), (102, 100, 101, 102));
    drop(probe);
    check_eq!(t, (add(2, 40), depth()), (42, 0));
    Ok(())
}

/// A function in assembly has no patchable entry: a breakpoint is the way in, with all that a listener may ask for.
fn by_breakpoint(t: &mut TestCtx<'_>) -> TestResult {
    let insn = INSN.iter().find(|insn| insn.name == "insn_ret");
    let Some(insn) = insn else { return Err(Stop::Skipped("the function is not there")) };
    check_eq!(t, crate::ftrace::site_of(insn.addr()), None);
    let (count, kept) = (Arc::new(Count::default()), Arc::new(Kept { decline_odd: true, ..Kept::default() }));
    let first = armed_at(t, insn.addr(), 10, count.clone())?;
    let second = armed_at(t, insn.addr(), 10, kept.clone())?;
    for n in 0..100 {
        check_eq!(t, insn.call(n, 40), Some((insn.expect)(n, 40)));
    }
    let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
    check_eq!(t, (count.exits(), get(&kept.exits), get(&kept.declined)), (100, 50, 50));
    check_eq!(t, get(&kept.sum), (0..100).step_by(2).sum::<u64>());
    check_eq!(t, (first.missed_in_all(), second.missed_in_all(), depth()), (0, 0, 0));
    // In a handler the breakpoint counts the miss.
    let calls = OnExit(|_: Returned<'_>, _: &mut FtraceRegs<Return>| {
        if let Some(insn) = INSN.iter().find(|insn| insn.name == "insn_ret") {
            insn.call(1, 1);
        }
    });
    let adds = armed(t, "work_add", Arc::new(calls))?;
    check_eq!(t, add(2, 40), 42);
    check_eq!(t, (count.exits(), first.missed_at_entry(), first.missed().sum()), (100, 1, 0));
    check_eq!(t, adds.missed_in_all(), 0);
    Ok(())
}

static TRACER: Ops = Ops::new("rethook_test", traced);

fn traced(hit: &Hit<'_>, _: &mut FtraceRegs<Entry>) {
    hit.ops.private.fetch_add(1, Ordering::Relaxed);
}

/// Another listener at the same entry sees each call as well, whichever came first, and the true caller.
fn branch_beside_a_tracer(t: &mut TestCtx<'_>) -> TestResult {
    let site = crate::ftrace::site_of(address("work_add"));
    let Some(site) = site else { return Err(t.fail(file!(), line!(), format_args!("work_add has no site"))) };
    let sites = || SiteSet::of([site]);
    TRACER.private.store(0, Ordering::Relaxed);
    let seen = || TRACER.private.load(Ordering::Relaxed);
    let count = Arc::new(Count::default());
    let probe = armed(t, "work_add", count.clone())?;
    for round in 1..=2 {
        let tracer = crate::ftrace::register(&TRACER, sites());
        check!(t, tracer.is_ok());
        for n in 0..10 {
            check_eq!(t, add(n, 40), n + 40);
        }
        check_eq!(t, (seen(), count.exits()), (10 * round, 20 * round - 10));
        check_eq!(t, probe.disarm(), Ok(()));
        check_eq!(t, probe.arm(), Ok(()));
        drop(tracer);
        for n in 0..10 {
            check_eq!(t, add(n, 40), n + 40);
        }
        check_eq!(t, (seen(), count.exits()), (10 * round, 20 * round));
    }
    check_eq!(t, (probe.missed_in_all(), depth()), (0, 0));
    Ok(())
}

fn off_for_all(t: &mut TestCtx<'_>) -> TestResult {
    let count = Arc::new(Count::default());
    let probe = armed(t, "work_add", count.clone())?;
    check_eq!(t, super::set_enabled(false), Ok(()));
    let off = (add(2, 40), count.exits());
    let late = armed(t, "work_leaf", count.clone());
    let leaf_off = (leaf(), count.exits());
    check_eq!(t, super::set_enabled(true), Ok(()));
    check_eq!(t, (off, leaf_off), ((42, 0), (42, 0)));
    check_eq!(t, (add(2, 40), leaf(), count.exits()), (42, 42, 2));
    let listed = super::list();
    let at = address("work_add");
    check!(t, listed.iter().any(|listed| listed.addr == at && listed.armed && listed.name == "kretprobe"));
    drop((probe, late));
    check!(t, !super::list().iter().any(|listed| listed.addr == at));
    Ok(())
}

fn maxactive(t: &mut TestCtx<'_>) -> TestResult {
    let count = Arc::new(Count::default());
    let probe = armed_at(t, address("work_fact"), 3, count.clone())?;
    check_eq!(t, one(work_fact, 10), 3_628_800);
    // The three outermost calls.
    check_eq!(t, (count.exits(), count.sum()), (3, 3_628_800 + 362_880 + 40_320));
    check_eq!(t, probe.missed(), Missed { active: 7, ..Missed::default() });
    check_eq!(t, probe.active(), 0);
    Ok(())
}

/// Deeper than there is room: what finds none runs unhooked.
fn room_exhausted(t: &mut TestCtx<'_>) -> TestResult {
    const DEEP: u64 = 300;
    let count = Arc::new(Count::default());
    let probe = armed(t, "work_fact", count.clone())?;
    let before = super::usage().map_or(0, |usage| usage.exhausted);
    let result = one(work_fact, DEEP);
    let missed = probe.missed();
    check_eq!(t, super::usage().map(|usage| usage.exhausted), Ok(before + missed.room));
    drop(probe);
    check_eq!(t, result, one(work_fact, DEEP));
    diag!(t, "{} calls caught, {} not", count.exits(), missed.room);
    check_eq!(t, count.exits() + missed.room, DEEP);
    check!(t, missed.room > 0 && count.exits() >= SHADOW_BYTES as u64 / 64);
    check_eq!(t, missed, Missed { room: missed.room, ..Missed::default() });
    Ok(())
}

fn handlers_call_probed_functions(t: &mut TestCtx<'_>) -> TestResult {
    let inner = Arc::new(Count::default());
    let leaves = armed(t, "work_leaf", inner.clone())?;
    let outer = OnExit(|_: Returned<'_>, _: &mut FtraceRegs<Return>| {
        leaf();
        add(1, 1);
    });
    let adds = armed(t, "work_add", Arc::new(outer))?;
    for _ in 0..50 {
        check_eq!(t, add(2, 40), 42);
    }
    // Hits in a handler: their entries were not caught.
    check_eq!(t, (inner.exits(), leaves.missed_in_all(), adds.missed_in_all()), (0, 50, 50));
    check_eq!(t, leaves.missed(), Missed { in_handler: 50, ..Missed::default() });
    check_eq!(t, (leaf(), inner.exits(), depth()), (42, 1, 0));
    Ok(())
}
