//! Every call is accounted for and every caller gets its result, whatever is hooked.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::hook::retired;
use super::storage::{bytes, depth};
use super::{
    EntryRegs, Kretprobe, Listener, MAX_ACTIVE, MAX_DATA_WORDS, Missed, Refusal, Returned, SHADOW_BYTES,
    Verdict, arm_all, disarm_all,
};
use crate::arch::cpu;
use crate::exception::PtRegs;
use crate::ftrace::regs::{Entry, Return};
use crate::ftrace::{FtraceRegs, Hit, Ops, SiteSet};
use crate::kprobes::{self, Flow, Handler, Kprobe};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::{CpuPin, quiesce};
use crate::task::{self, Prio};
use crate::workload::{INSN, work_add, work_chain, work_fact, work_fib, work_leaf, work_sleep, work_tail};
use crate::{ksyms, text, unwind};

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
    Test { name: "disarmed_inside", run: disarmed_inside },
    Test { name: "removed_inside", run: removed_inside },
    Test { name: "task_ends_inside", run: task_ends_inside },
    Test { name: "backtrace", run: backtrace },
    Test { name: "stack_of_a_sleeper", run: stack_of_a_sleeper },
    Test { name: "toggled_under_load", run: toggled_under_load },
    Test { name: "registered_under_load", run: registered_under_load },
    Test { name: "scheduler_and_interrupts", run: scheduler_and_interrupts },
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
    listener: Arc<dyn Listener>,
) -> Result<Kretprobe, Stop> {
    match Kretprobe::register(addr, Some(max_active), listener) {
        Ok(probe) => {
            check_eq!(t, probe.arm(), Ok(()));
            Ok(probe)
        }
        Err(refusal) => Err(t.fail(file!(), line!(), format_args!("{addr:#x}: {refusal}"))),
    }
}

fn armed(t: &mut TestCtx<'_>, symbol: &str, listener: Arc<dyn Listener>) -> Result<Kretprobe, Stop> {
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

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    struct Greedy(usize);
    impl Listener for Greedy {
        fn exit(&self, _: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {}
        fn data_words(&self) -> usize {
            self.0
        }
    }
    let none = || Arc::new(Count::default());
    let refused = |addr, max_active, listener| Kretprobe::register(addr, max_active, listener).err();
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

/// Sleeps in `work_sleep` until it is woken by a kill; counts.
fn sleeper(done: &Arc<AtomicU64>) -> Option<task::TaskRef> {
    const FOR_EVER_MS: u64 = 100_000;
    let done = done.clone();
    task::spawn(
        "sleeper",
        Prio::NORMAL,
        Box::new(move || {
            let left = one(work_sleep, FOR_EVER_MS);
            done.fetch_add(u64::from(left > 0), Ordering::Relaxed);
        }),
    )
    .ok()
}

/// A task that is inside a hooked function, asleep.
fn inside(t: &mut TestCtx<'_>, probe: &Kretprobe, done: &Arc<AtomicU64>) -> Result<task::TaskRef, Stop> {
    let before = probe.active();
    let task = sleeper(done);
    check!(t, task.is_some());
    check!(t, eventually(|| probe.active() == before + 1));
    task.ok_or(Stop::Failed)
}

fn disarmed_inside(t: &mut TestCtx<'_>) -> TestResult {
    let (count, done) = (Arc::new(Count::default()), Arc::new(AtomicU64::new(0)));
    let probe = armed(t, "work_sleep", count.clone())?;
    let task = inside(t, &probe, &done)?;
    check_eq!(t, probe.disarm(), Ok(()));
    task.kill();
    check_eq!(t, task.join(), Ok(0));
    // It had been caught, so it is told of.
    check_eq!(t, (count.exits(), done.load(Ordering::Relaxed), probe.active()), (1, 1, 0));
    Ok(())
}

fn removed_inside(t: &mut TestCtx<'_>) -> TestResult {
    let (count, done) = (Arc::new(Count::default()), Arc::new(AtomicU64::new(0)));
    // Those of the tests before go soon.
    check!(t, eventually(|| retired() == 0));
    let probe = armed(t, "work_sleep", count.clone())?;
    let tasks = [inside(t, &probe, &done)?, inside(t, &probe, &done)?];
    drop(probe);
    quiesce::synchronize();
    check_eq!(t, retired(), 1);
    for task in &tasks {
        task.kill();
        check_eq!(t, task.join(), Ok(0));
    }
    // They returned as they should, nobody was told, and the memory is free.
    check_eq!(t, (count.exits(), done.load(Ordering::Relaxed)), (0, 2));
    check!(t, eventually(|| retired() == 0 && Arc::strong_count(&count) == 1));
    Ok(())
}

/// A task that ends in the middle of hooked functions.
#[inline(never)]
extern "C" fn ends(depth: u64) -> u64 {
    if black_box(depth) == 0 {
        task::exit(7);
    }
    black_box(ends as extern "C" fn(u64) -> u64)(depth - 1) + 1
}

fn task_ends_inside(t: &mut TestCtx<'_>) -> TestResult {
    const DEPTH: u64 = 9;
    let count = Arc::new(Count::default());
    let at = (ends as extern "C" fn(u64) -> u64 as *const ()).addr();
    let probe = armed_at(t, at, MAX_ACTIVE, count.clone())?;
    let before = bytes();
    for round in 1..=20 {
        let task = task::spawn(
            "ends",
            Prio::NORMAL,
            Box::new(|| {
                one(ends, DEPTH);
            }),
        )
        .ok();
        check_eq!(t, task.map(|task| task.join()), Some(Ok(7)));
        check_eq!(t, (count.exits(), probe.active(), probe.missed_in_all()), (0, 0, 0));
        check_eq!(t, probe.dropped(), round * (DEPTH + 1));
    }
    check!(t, eventually(|| bytes() <= before));
    Ok(())
}

/// Names of functions, innermost first.
type Names = Vec<&'static str>;

fn names_here() -> Names {
    let mut names = Vec::new();
    unwind::walk(cpu::frame_pointer(), false, |frame| {
        names.extend(ksyms::by_addr(frame.lookup_pc() as usize).map(|symbol| symbol.name));
        true
    });
    names
}

/// Where a backtrace was taken at the bottom of a recursion of hooked functions.
#[inline(never)]
extern "C" fn bottom(left: u64) -> u64 {
    if black_box(left) == 0 {
        let names = names_here();
        let own = ksyms::by_addr((bottom as extern "C" fn(u64) -> u64 as *const ()).addr());
        let own = own.map_or("", |symbol| symbol.name);
        return names.iter().filter(|name| **name == own).count() as u64 * 1000
            + names.iter().filter(|name| **name == "return_trampoline").count() as u64;
    }
    black_box(bottom as extern "C" fn(u64) -> u64)(left - 1).wrapping_add(black_box(0))
}

fn backtrace(t: &mut TestCtx<'_>) -> TestResult {
    const CALLS: u64 = 5;
    let at = (bottom as extern "C" fn(u64) -> u64 as *const ()).addr();
    let bare = one(bottom, CALLS - 1);
    check_eq!(t, bare, CALLS * 1000);
    let outside = names_here().len();
    let one_hook = armed_at(t, at, MAX_ACTIVE, Arc::new(Count::default()))?;
    check_eq!(t, one(bottom, CALLS - 1), bare);
    // Two on each call.
    let _two = armed_at(t, at, MAX_ACTIVE, Arc::new(Count::default()))?;
    check_eq!(t, one(bottom, CALLS - 1), bare);
    drop(one_hook);
    // In the listener itself: the function has returned, its callers are there.
    let seen = Arc::new(AtomicU64::new(0));
    let put = seen.clone();
    let look = OnExit(move |_: Returned<'_>, regs: &mut FtraceRegs<Return>| {
        let mut frames = [0_u64; 64];
        let mut len = 0;
        unwind::walk(cpu::frame_pointer(), false, |frame| {
            if let Some(slot) = frames.get_mut(len) {
                *slot = frame.pc;
                len += 1;
            }
            true
        });
        let caller = frames[..len].iter().position(|pc| *pc == regs.pc());
        put.store(caller.map_or(0, |at| (len - at) as u64), Ordering::Relaxed);
    });
    let _look = armed_at(t, at, MAX_ACTIVE, Arc::new(look))?;
    check_eq!(t, one(bottom, CALLS - 1), bare);
    // The outermost call returned last: to this function, or to `one` where that was not inlined.
    let frames = seen.load(Ordering::Relaxed);
    check!(t, frames + 2 >= outside as u64 && frames <= outside as u64 + 1, "{frames} of {outside}");
    Ok(())
}

fn stack_of_a_sleeper(t: &mut TestCtx<'_>) -> TestResult {
    let done = Arc::new(AtomicU64::new(0));
    let stack = |task: &task::Task| {
        let mut names = Names::new();
        unwind::walk_task(task, task.saved_context().fp, false, |frame| {
            names.extend(ksyms::by_addr(frame.lookup_pc() as usize).map(|symbol| symbol.name));
            true
        });
        names
    };
    let asleep = |task: &task::Task| eventually(|| task.state() == task::State::Sleeping);
    let Some(bare) = sleeper(&done) else { return Err(Stop::Failed) };
    // Before there is a hook that it could meet.
    check!(t, asleep(&bare));
    let probe = armed(t, "work_sleep", Arc::new(Count::default()))?;
    let switch = armed(t, "task::schedule", Arc::new(Count::default()))?;
    let hooked = inside(t, &probe, &done)?;
    check!(t, asleep(&hooked));
    let (expected, found) = (stack(&bare), stack(&hooked));
    for task in [&bare, &hooked] {
        task.kill();
        check_eq!(t, task.join(), Ok(0));
    }
    check!(t, expected.contains(&"work_sleep"), "{expected:?}");
    check_eq!(t, found, expected);
    drop(switch);
    check_eq!(t, done.load(Ordering::Relaxed), 2);
    Ok(())
}

/// Tasks that call work_fib on every CPU until told to stop, and count.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<task::TaskRef>,
    calls: Arc<AtomicU64>,
    wrong: Arc<AtomicU64>,
}

/// `work_fib(FIB)` is FIB_CALLS calls.
const FIB: u64 = 4;
const FIB_CALLS: u64 = 9;

impl Load {
    fn start() -> Self {
        let (stop, calls, wrong) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..cpu::online())
            .filter_map(|on| {
                let (stop, calls, wrong) = (stop.clone(), calls.clone(), wrong.clone());
                let work = Box::new(move || {
                    let mut n = 0;
                    while !stop.load(Ordering::Relaxed) {
                        if one(work_fib, FIB) != 3 {
                            wrong.fetch_add(1, Ordering::Relaxed);
                        }
                        n += FIB_CALLS;
                    }
                    calls.fetch_add(n, Ordering::Relaxed);
                });
                task::spawn_on("load", Prio::NORMAL, 1 << on, work).ok()
            })
            .collect();
        Self { stop, tasks, calls, wrong }
    }

    /// Ends the tasks: calls, and wrong results.
    fn end(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        for task in &self.tasks {
            // Fails for the running task only.
            let _ = task.join();
        }
        (self.calls.load(Ordering::Relaxed), self.wrong.load(Ordering::Relaxed))
    }
}

/// While every CPU calls a function, its return probe is armed and disarmed a thousand times. A second one, armed all the
/// while, is told of every return, exactly.
fn toggled_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 1000;
    const TURN: usize = 100;
    check_eq!(t, fib_calls(FIB), FIB_CALLS);
    let (steady, toggled) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let counter = armed(t, "work_fib", steady.clone())?;
    let probe = armed(t, "work_fib", toggled.clone())?;
    let load = Load::start();
    let mut result = Ok(());
    for i in 0..TIMES {
        result = result.and_then(|()| probe.disarm()).and_then(|()| probe.arm());
        // On one CPU the callers run only when they are let.
        if i % TURN == 0 {
            task::yield_now();
        }
    }
    let (calls, wrong) = load.end();
    check_eq!(t, result, Ok(()));
    check_eq!(t, wrong, 0);
    check_eq!(t, steady.exits() + counter.missed_in_all(), calls);
    check_eq!(t, (counter.active(), probe.active()), (0, 0));
    diag!(t, "{calls} calls, {} returns of the toggled probe", toggled.exits());
    check!(t, toggled.exits() > 0 && toggled.exits() <= calls);
    Ok(())
}

/// The same with a probe that is registered and removed, so that hooks are freed while calls name them.
fn registered_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 300;
    let steady = Arc::new(Count::default());
    let counter = armed(t, "work_fib", steady.clone())?;
    let load = Load::start();
    let (mut refused, mut gone) = (None, Vec::new());
    for _ in 0..TIMES {
        let count = Arc::new(Count::default());
        match Kretprobe::register(counter.function() as usize, None, count.clone()) {
            Ok(probe) => refused = refused.or(probe.arm().err()),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
        gone.push(count);
    }
    let (calls, wrong) = load.end();
    check_eq!(t, refused, None);
    check_eq!(t, wrong, 0);
    check_eq!(t, steady.exits() + counter.missed_in_all(), calls);
    check!(t, eventually(|| gone.iter().all(|count| Arc::strong_count(count) == 1)));
    Ok(())
}

/// Every function that can be, of the scheduler, the timers and the interrupt path, while tasks switch and sleep.
fn scheduler_and_interrupts(t: &mut TestCtx<'_>) -> TestResult {
    let count = Arc::new(Count::default());
    let mut probes = Vec::new();
    let mut refused = 0;
    let wanted =
        |name: &str| ["task::", "time::", "irq::", "sync::"].iter().any(|room| name.starts_with(room));
    for site in crate::ftrace::sites() {
        if !ksyms::by_addr(site.function).is_some_and(|symbol| wanted(symbol.name)) {
            continue;
        }
        match Kretprobe::register(site.function, Some(MAX_ACTIVE), count.clone()) {
            Ok(probe) => probes.push(probe),
            Err(_) => refused += 1,
        }
    }
    let all: Vec<_> = probes.iter().collect();
    let armed = arm_all(&all);
    let load = Load::start();
    let busy = eventually(|| count.exits() > 2000);
    let (calls, wrong) = load.end();
    let disarmed = disarm_all(&all);
    check_eq!(t, (armed, disarmed), (Ok(()), Ok(())));
    let missed: u64 = probes.iter().map(Kretprobe::missed_in_all).sum();
    diag!(t, "{} functions, {refused} refused, {} returns, {missed} missed", probes.len(), count.exits());
    check!(t, busy && probes.len() > 50 && calls > 0);
    check_eq!(t, wrong, 0);
    let text = text::ranges::Region::Text;
    check!(t, probes.iter().all(|probe| text.range().contains(&(probe.function() as usize))));
    Ok(())
}
