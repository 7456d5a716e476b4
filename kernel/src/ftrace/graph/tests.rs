//! Several users with filters and data of their own; every entry has its exit; every call is accounted for.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracecore::errno::Errno;

use super::{Call, Graph, MADE, Returned, Verdict, keep, kept};
use crate::ftrace::regs::{Entry, Return};
use crate::ftrace::{FtraceRegs, SiteSet, listeners, site_of, sites};
use crate::ksyms;
use crate::rethook::tests::Greedy;
use crate::rethook::{Listener, MAX_DATA_WORDS, Missed, SHADOW_BYTES};
use crate::selftest::{Load, Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::CpuPin;
use crate::task::{self, Prio};
use crate::workload::{work_add, work_fact, work_fib, work_tail};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "both_ends_are_seen", run: both_ends_are_seen },
    Test { name: "storage_of_each_size", run: storage_of_each_size },
    Test { name: "two_users_overlap", run: two_users_overlap },
    Test { name: "pairs_are_nested", run: pairs_are_nested },
    Test { name: "entry_declines", run: entry_declines },
    Test { name: "registers_are_changed", run: registers_are_changed },
    Test { name: "listener_calls_traced", run: listener_calls_traced },
    Test { name: "stack_is_full", run: stack_is_full },
    Test { name: "tail_call", run: tail_call },
    Test { name: "task_ends_inside", run: task_ends_inside },
    Test { name: "unregistered_inside", run: unregistered_inside },
    Test { name: "refusals", run: refusals },
    Test { name: "ops_are_used_again", run: ops_are_used_again },
    Test { name: "changed_under_load", run: changed_under_load },
    Test { name: "every_function_under_load", run: every_function_under_load },
];

type Fn1 = extern "C" fn(u64) -> u64;

fn one(f: Fn1, n: u64) -> u64 {
    black_box(f)(n)
}

fn add(a: u64, b: u64) -> u64 {
    black_box(work_add as extern "C" fn(u64, u64) -> u64)(a, b)
}

fn set(names: &[&str]) -> SiteSet {
    SiteSet::of(names.iter().filter_map(|name| site_of(ksyms::by_name(name)?.start as usize)))
}

fn on(t: &mut TestCtx<'_>, listener: &Arc<impl Listener + 'static>, names: &[&str]) -> Result<Graph, Stop> {
    Graph::register("graph_test", listener.clone(), set(names))
        .map_err(|e| t.fail(file!(), line!(), format_args!("{names:?}: {e:?}")))
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// How often `work_fib(n)` is called for one result.
fn fib_calls(n: u64) -> u64 {
    if n < 2 { 1 } else { 1 + fib_calls(n - 1) + fib_calls(n - 2) }
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

/// Counts entries and exits, and keeps a number of type `T` between them: the first argument, cut to size.
struct Pairs<T> {
    entries: AtomicU64,
    exits: AtomicU64,
    kept: AtomicU64,
    declined: AtomicU64,
    decline_odd: bool,
    number: PhantomData<T>,
}

impl<T> Pairs<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self::declining(false))
    }

    fn declining(decline_odd: bool) -> Self {
        Self {
            entries: AtomicU64::new(0),
            exits: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            declined: AtomicU64::new(0),
            decline_odd,
            number: PhantomData,
        }
    }

    fn counts(&self) -> (u64, u64) {
        (get(&self.entries), get(&self.exits))
    }
}

impl<T: Into<u64> + TryFrom<u64> + Send + Sync> Listener for Pairs<T> {
    fn enter(&self, _: &Call<'_>, regs: &mut FtraceRegs<Entry>, data: &mut [u64]) -> Verdict {
        let first = regs.arg(0).unwrap_or_default();
        if self.decline_odd && first % 2 == 1 {
            self.declined.fetch_add(1, Ordering::Relaxed);
            return Verdict::Decline;
        }
        self.entries.fetch_add(1, Ordering::Relaxed);
        let mask = u64::MAX >> (64 - 8 * size_of::<T>());
        if let Ok(number) = T::try_from(first & mask) {
            keep(data, number);
        }
        Verdict::Keep
    }

    fn exit(&self, returned: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {
        self.exits.fetch_add(1, Ordering::Relaxed);
        if let Some(number) = kept::<T>(returned) {
            self.kept.fetch_add(number.into(), Ordering::Relaxed);
        }
    }

    fn data_words(&self) -> usize {
        1
    }
}

/// One that keeps nothing.
#[derive(Default)]
struct Count {
    entries: AtomicU64,
    exits: AtomicU64,
    sum: AtomicU64,
}

impl Count {
    fn counts(&self) -> (u64, u64) {
        (get(&self.entries), get(&self.exits))
    }
}

impl Listener for Count {
    #[inline(always)]
    fn enter(&self, _: &Call<'_>, _: &mut FtraceRegs<Entry>, _: &mut [u64]) -> Verdict {
        self.entries.fetch_add(1, Ordering::Relaxed);
        Verdict::Keep
    }

    #[inline(always)]
    fn exit(&self, _: Returned<'_>, regs: &mut FtraceRegs<Return>, _: &CpuPin) {
        self.exits.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(regs.return_value(), Ordering::Relaxed);
    }
}

fn both_ends_are_seen(t: &mut TestCtx<'_>) -> TestResult {
    #[derive(Default)]
    struct See([AtomicU64; 5]);
    impl Listener for See {
        fn enter(&self, call: &Call<'_>, regs: &mut FtraceRegs<Entry>, data: &mut [u64]) -> Verdict {
            let seen = [call.function(), call.parent_ip as u64, regs.arg(1).unwrap_or_default()];
            for (slot, value) in self.0.iter().zip(seen) {
                slot.store(value, Ordering::Relaxed);
            }
            if call.ip as u64 + 4 != regs.pc()
                || call.parent_ip as u64 != regs.lr()
                || call.irqs_were_masked()
            {
                return Verdict::Decline;
            }
            keep(data, regs.sp());
            Verdict::Keep
        }

        fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, _: &CpuPin) {
            if returned.function() == get(&self.0[0]) && kept(returned) == Some(regs.sp()) {
                self.0[3].store(regs.return_value(), Ordering::Relaxed);
                self.0[4].store(regs.pc(), Ordering::Relaxed);
            }
        }

        fn data_words(&self) -> usize {
            1
        }
    }
    let see = Arc::new(See::default());
    let graph = on(t, &see, &["work_add"])?;
    check_eq!(t, add(2, 40), 42);
    let [function, parent, second, value, pc] = see.0.each_ref().map(get);
    check_eq!(t, Some(function), ksyms::by_name("work_add").map(|symbol| symbol.start));
    check_eq!(t, (second, value), (40, 42));
    check_eq!(t, parent, pc);
    check_eq!(t, (graph.missed(), graph.active(), graph.dropped()), (Missed::default(), 0, 0));
    drop(graph);
    check_eq!(t, add(2, 40), 42);
    Ok(())
}

/// Four users of one function, each with a number of another size for each call.
fn storage_of_each_size(t: &mut TestCtx<'_>) -> TestResult {
    let (one_byte, two, four, eight) =
        (Pairs::<u8>::new(), Pairs::<u16>::new(), Pairs::<u32>::new(), Pairs::<u64>::new());
    let names = ["work_fact", "work_add"];
    let graphs =
        [on(t, &one_byte, &names)?, on(t, &two, &names)?, on(t, &four, &names)?, on(t, &eight, &names)?];
    const WIDE: u64 = 0x1234_5678_9abc_def0;
    check_eq!(t, add(WIDE, 1), WIDE + 1);
    check_eq!(t, (get(&one_byte.kept), get(&two.kept)), (0xf0, 0xdef0));
    check_eq!(t, (get(&four.kept), get(&eight.kept)), (0x9abc_def0, WIDE));
    check_eq!(t, one(work_fact, 20), 2_432_902_008_176_640_000);
    check_eq!(t, (get(&one_byte.kept), get(&two.kept)), (0xf0 + 210, 0xdef0 + 210));
    check_eq!(t, (get(&four.kept), get(&eight.kept)), (0x9abc_def0 + 210, WIDE + 210));
    for (pairs, graph) in
        [one_byte.counts(), two.counts(), four.counts(), eight.counts()].into_iter().zip(&graphs)
    {
        check_eq!(t, (pairs, graph.missed(), graph.active()), ((21, 21), Missed::default(), 0));
    }
    Ok(())
}

fn two_users_overlap(t: &mut TestCtx<'_>) -> TestResult {
    let (a, b) = (Pairs::<u64>::new(), Arc::new(Count::default()));
    let first = on(t, &a, &["work_add", "work_fib"])?;
    let second = on(t, &b, &["work_fib", "work_fact"])?;
    let fib = site_of(ksyms::by_name("work_fib").map_or(0, |symbol| symbol.start as usize));
    check_eq!(t, fib.map(|site| listeners(site).len()), Some(2));
    let round = |t: &mut TestCtx<'_>| -> TestResult {
        check_eq!(t, (add(2, 40), one(work_fib, 7), one(work_fact, 5)), (42, 13, 120));
        Ok(())
    };
    let fib = fib_calls(7);
    round(t)?;
    check_eq!(t, (a.counts(), b.counts()), ((1 + fib, 1 + fib), (5 + fib, 5 + fib)));
    // The first goes on with the others' functions, the second stays.
    check_eq!(t, first.set_sites(set(&["work_fact"])), Ok(()));
    round(t)?;
    check_eq!(t, (a.counts(), b.counts()), ((6 + fib, 6 + fib), (10 + 2 * fib, 10 + 2 * fib)));
    check_eq!(t, (first.missed(), second.missed()), (Missed::default(), Missed::default()));
    drop(first);
    round(t)?;
    check_eq!(t, (a.counts(), b.counts()), ((6 + fib, 6 + fib), (15 + 3 * fib, 15 + 3 * fib)));
    drop(second);
    round(t)?;
    check_eq!(t, b.counts(), (15 + 3 * fib, 15 + 3 * fib));
    Ok(())
}

/// Each call knows how deep it is, from what is kept of its caller, and so does its return.
fn pairs_are_nested(t: &mut TestCtx<'_>) -> TestResult {
    #[derive(Default)]
    struct Depths {
        at_entry: AtomicU64,
        wrong: AtomicU64,
        deepest: AtomicU64,
        now: AtomicU64,
    }
    impl Listener for Depths {
        fn enter(&self, call: &Call<'_>, _: &mut FtraceRegs<Entry>, data: &mut [u64]) -> Verdict {
            let depth = call.caller_data().and_then(|data| data.first()).map_or(0, |depth| depth + 1);
            let wrong = depth != call.depth() as u64 || depth != self.now.fetch_add(1, Ordering::Relaxed);
            self.wrong.fetch_add(u64::from(wrong), Ordering::Relaxed);
            self.deepest.fetch_max(depth, Ordering::Relaxed);
            self.at_entry.fetch_add(1, Ordering::Relaxed);
            keep(data, depth);
            Verdict::Keep
        }

        fn exit(&self, returned: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {
            let wrong = kept(returned) != Some(self.now.fetch_sub(1, Ordering::Relaxed) - 1);
            self.wrong.fetch_add(u64::from(wrong), Ordering::Relaxed);
        }

        fn data_words(&self) -> usize {
            1
        }
    }
    let depths = Arc::new(Depths::default());
    // Another user between its entries.
    let other = on(t, &Arc::new(Count::default()), &["work_fib"])?;
    let graph = on(t, &depths, &["work_fib"])?;
    check_eq!(t, one(work_fib, 10), 55);
    check_eq!(t, (get(&depths.at_entry), get(&depths.wrong), get(&depths.now)), (177, 0, 0));
    check_eq!(t, (get(&depths.deepest), graph.missed().sum(), other.missed().sum()), (9, 0, 0));
    Ok(())
}

fn entry_declines(t: &mut TestCtx<'_>) -> TestResult {
    let pairs = Arc::new(Pairs::<u64>::declining(true));
    let graph = on(t, &pairs, &["work_fact"])?;
    check_eq!(t, one(work_fact, 10), 3_628_800);
    check_eq!(t, (pairs.counts(), get(&pairs.declined), get(&pairs.kept)), ((5, 5), 5, 30));
    check_eq!(t, (graph.missed(), graph.active()), (Missed::default(), 0));
    Ok(())
}

fn registers_are_changed(t: &mut TestCtx<'_>) -> TestResult {
    struct Change;
    impl Listener for Change {
        fn enter(&self, _: &Call<'_>, regs: &mut FtraceRegs<Entry>, _: &mut [u64]) -> Verdict {
            regs.set_arg(0, 1000);
            Verdict::Keep
        }

        fn exit(&self, _: Returned<'_>, regs: &mut FtraceRegs<Return>, _: &CpuPin) {
            regs.set_return_value(regs.return_value() * 2);
        }
    }
    let graph = on(t, &Arc::new(Change), &["work_add"])?;
    check_eq!(t, add(2, 40), 2080);
    drop(graph);
    check_eq!(t, add(2, 40), 42);
    Ok(())
}

fn listener_calls_traced(t: &mut TestCtx<'_>) -> TestResult {
    struct Calls;
    impl Listener for Calls {
        fn enter(&self, _: &Call<'_>, _: &mut FtraceRegs<Entry>, _: &mut [u64]) -> Verdict {
            add(1, 1);
            Verdict::Keep
        }

        fn exit(&self, _: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {
            add(1, 1);
            add(1, 1);
        }
    }
    let graph = on(t, &Arc::new(Calls), &["work_add"])?;
    for n in 0..10 {
        check_eq!(t, add(n, 40), n + 40);
    }
    check_eq!(t, graph.missed(), Missed { in_handler: 30, ..Missed::default() });
    // The same account where the guard of several ops is before it.
    let count = Arc::new(Count::default());
    let other = on(t, &count, &["work_add"])?;
    for n in 0..10 {
        check_eq!(t, add(n, 40), n + 40);
    }
    check_eq!(t, graph.missed(), Missed { in_handler: 60, ..Missed::default() });
    check_eq!(t, (count.counts(), other.missed().sum()), ((10, 10), 30));
    Ok(())
}

/// More calls in one another than there is room for: those without room run all the same.
fn stack_is_full(t: &mut TestCtx<'_>) -> TestResult {
    const CALLS: u64 = 200;
    let pairs = Pairs::<u64>::new();
    let graph = on(t, &pairs, &["work_fact"])?;
    let wanted = (1..=CALLS).fold(1, u64::wrapping_mul);
    check_eq!(t, one(work_fact, CALLS), wanted);
    let (entries, exits) = pairs.counts();
    let missed = graph.missed();
    diag!(t, "{entries} of {CALLS} calls in {SHADOW_BYTES} bytes");
    check_eq!(t, (entries, missed.room, missed.sum()), (exits, CALLS - exits, CALLS - exits));
    check!(t, missed.room > 0 && exits > 80);
    // There is room again.
    check_eq!(t, one(work_fact, 10), 3_628_800);
    check_eq!(t, pairs.counts(), (entries + 10, exits + 10));
    Ok(())
}

fn tail_call(t: &mut TestCtx<'_>) -> TestResult {
    let (a, b) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let first = on(t, &a, &["work_tail", "work_tail_end"])?;
    check_eq!(t, one(work_tail, 40), 42);
    check_eq!(t, (a.counts(), get(&a.sum)), ((2, 2), 84));
    let second = on(t, &b, &["work_tail", "work_tail_end"])?;
    check_eq!(t, one(work_tail, 40), 42);
    check_eq!(t, (a.counts(), b.counts()), ((4, 4), (2, 2)));
    check_eq!(t, (first.missed().sum(), second.missed().sum(), first.active()), (0, 0, 0));
    Ok(())
}

/// A task that ends in the midst of hooked functions.
#[inline(never)]
extern "C" fn ends(depth: u64) -> u64 {
    if black_box(depth) == 0 {
        task::exit(7);
    }
    black_box(ends as Fn1)(depth - 1) + 1
}

fn site_of_fn(f: Fn1) -> SiteSet {
    SiteSet::of(site_of((f as *const ()).addr()))
}

fn task_ends_inside(t: &mut TestCtx<'_>) -> TestResult {
    const DEPTH: u64 = 9;
    let count = Arc::new(Count::default());
    let graph = Graph::register("graph_test", count.clone(), site_of_fn(ends));
    let graph = graph.map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
    for round in 1..=20 {
        let work = Box::new(|| {
            one(ends, DEPTH);
        });
        let task = task::spawn("ends", Prio::NORMAL, work).ok();
        check_eq!(t, task.map(|task| task.join()), Some(Ok(7)));
        check_eq!(t, (count.counts(), graph.active()), ((round * (DEPTH + 1), 0), 0));
        check_eq!(t, (graph.dropped(), graph.missed().sum()), (round * (DEPTH + 1), 0));
    }
    Ok(())
}

/// Holds two tasks inside a function while the user goes; they return as they should.
fn unregistered_inside(t: &mut TestCtx<'_>) -> TestResult {
    static LET_GO: AtomicBool = AtomicBool::new(false);
    static INSIDE: AtomicU64 = AtomicU64::new(0);
    #[inline(never)]
    extern "C" fn waits(n: u64) -> u64 {
        INSIDE.fetch_add(1, Ordering::Relaxed);
        while !LET_GO.load(Ordering::Relaxed) {
            task::sleep_ns(1_000_000);
        }
        black_box(n) + 40
    }
    LET_GO.store(false, Ordering::Relaxed);
    INSIDE.store(0, Ordering::Relaxed);
    let (count, right) = (Arc::new(Count::default()), Arc::new(AtomicU64::new(0)));
    let graph = Graph::register("graph_test", count.clone(), site_of_fn(waits));
    let graph = graph.map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
    let mut tasks = Vec::new();
    for n in 0..2 {
        let right = right.clone();
        let work = Box::new(move || {
            right.fetch_add(u64::from(one(waits, n) == n + 40), Ordering::Relaxed);
        });
        tasks.extend(task::spawn("waits", Prio::NORMAL, work).ok());
    }
    check!(t, eventually(|| INSIDE.load(Ordering::Relaxed) == 2));
    check_eq!(t, graph.active(), 2);
    drop(graph);
    LET_GO.store(true, Ordering::Relaxed);
    for task in tasks {
        check_eq!(t, task.join(), Ok(0));
    }
    check_eq!(t, (right.load(Ordering::Relaxed), count.counts()), (2, (2, 0)));
    // The hook has gone with the last of them, and let its listener go.
    check!(t, eventually(|| Arc::strong_count(&count) == 1));
    Ok(())
}

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    let refused = |words| Graph::register("graph_test", Arc::new(Greedy(words)), set(&["work_add"])).err();
    check_eq!(t, refused(MAX_DATA_WORDS), None);
    check_eq!(t, refused(MAX_DATA_WORDS + 1), Some(Errno::E2BIG));
    Ok(())
}

fn ops_are_used_again(t: &mut TestCtx<'_>) -> TestResult {
    let count = Arc::new(Count::default());
    drop(on(t, &count, &["work_add"])?);
    let made = MADE.load(Ordering::Relaxed);
    for n in 0..50 {
        let graph = on(t, &count, &["work_add"])?;
        check_eq!(t, add(n, 40), n + 40);
        drop(graph);
    }
    check_eq!(t, (count.counts(), MADE.load(Ordering::Relaxed)), ((50, 50), made));
    Ok(())
}

/// `work_fib(FIB)` is 9 calls.
const FIB: u64 = 4;

fn load() -> Load {
    Load::start(|_| one(work_fib, FIB) == 3)
}

/// Users come and go, and change their functions, while every CPU calls. One that stays is told of every call.
fn changed_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: u64 = 30;
    let steady = Pairs::<u64>::new();
    let stays = on(t, &steady, &["work_fib"])?;
    let load = load();
    let (mut refused, mut gone) = (None, Vec::new());
    for n in 0..TIMES {
        let pairs = Pairs::<u32>::new();
        match Graph::register("graph_load", pairs.clone(), set(&["work_fib", "work_add"])) {
            Ok(graph) if n % 2 == 0 => refused = refused.or(graph.set_sites(set(&["work_add"])).err()),
            Ok(_) => task::yield_now(),
            Err(e) => refused = Some(e),
        }
        gone.push(pairs);
    }
    let (turns, wrong) = load.end();
    let calls = turns * fib_calls(FIB);
    check_eq!(t, (refused, wrong), (None, 0));
    let (entries, exits) = steady.counts();
    check_eq!(t, (entries, exits + stays.missed().sum()), (exits, calls));
    check!(t, gone.iter().all(|pairs| pairs.counts().0 >= pairs.counts().1));
    diag!(t, "{calls} calls; {} seen by {TIMES} users", gone.iter().map(|p| p.counts().0).sum::<u64>());
    check!(t, eventually(|| gone.iter().all(|pairs| Arc::strong_count(pairs) == 1)));
    Ok(())
}

/// Every function of the kernel, twice, while every CPU works, and tasks come and go.
fn every_function_under_load(t: &mut TestCtx<'_>) -> TestResult {
    let (a, b) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let register = |count: &Arc<Count>| Graph::register("graph_all", count.clone(), SiteSet::all());
    let first = register(&a).map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
    let second = register(&b).map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
    let load = load();
    let mut ends_right = true;
    for _ in 0..50 {
        let work = Box::new(|| {
            one(ends, 3);
        });
        ends_right &= task::spawn("ends", Prio::NORMAL, work).is_ok_and(|task| task.join() == Ok(7));
    }
    let (turns, wrong) = load.end();
    let calls = turns * fib_calls(FIB);
    let (missed, dropped) = ((first.missed(), second.missed()), (first.dropped(), second.dropped()));
    drop((first, second));
    let ((entries, exits), (others, _)) = (a.counts(), b.counts());
    diag!(t, "{} functions, {calls} calls of one of them; {entries} and {others} entries", sites().len());
    diag!(t, "{exits} exits, dropped {dropped:?}, missed {missed:?}");
    check_eq!(t, (wrong, ends_right), (0, true));
    check!(t, exits <= entries && entries >= calls);
    Ok(())
}
