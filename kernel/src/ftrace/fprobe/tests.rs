//! Entries and exits in pairs, two handlers on one function in either order, declining, misses; every call accounted for.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::errno::Errno;

use super::{At, Ends, Fprobe, Handler, Returned, Verdict, by_addresses, by_glob};
use crate::ftrace::regs::{Entry, Return};
use crate::ftrace::{FtraceRegs, SiteSet, site_of};
use crate::ksyms;
use crate::rethook::MAX_DATA_WORDS;
use crate::selftest::{Load, Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::{CpuPin, SpinLock};
use crate::task;
use crate::workload::{work_add, work_fact, work_fib, work_leaf};

/// The tests of fprobes.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "each_end", run: each_end },
    Test { name: "two_in_either_order", run: two_in_either_order },
    Test { name: "pairs", run: pairs },
    Test { name: "declines", run: declines },
    Test { name: "changes_both_ways", run: changes_both_ways },
    Test { name: "nested_is_a_miss", run: nested_is_a_miss },
    Test { name: "functions", run: functions },
    Test { name: "refusals", run: refusals },
    Test { name: "under_load", run: under_load },
];

/// Counts, keeps the first argument, and compares what comes back.
#[derive(Default)]
struct Count {
    entries: AtomicU64,
    exits: AtomicU64,
    wrong: AtomicU64,
    /// Calls with an odd first argument are declined.
    declines_odd: bool,
    calls_leaf: bool,
}

impl Handler for Count {
    fn entry(&self, at: At, regs: &mut FtraceRegs<Entry>, data: &mut [u64], _: &CpuPin) -> Verdict {
        self.entries.fetch_add(1, Ordering::Relaxed);
        let first = regs.arg(0).unwrap_or_default();
        let known = site_of(at.function() as usize).is_some_and(|site| site.branch_at() == at.ip);
        self.wrong.fetch_add(u64::from(!known), Ordering::Relaxed);
        if let [argument, function] = data {
            (*argument, *function) = (first, at.function());
        }
        if self.calls_leaf {
            black_box(work_leaf as extern "C" fn() -> u64)();
        }
        if self.declines_odd && first % 2 == 1 { Verdict::Decline } else { Verdict::Keep }
    }

    fn exit(&self, returned: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {
        self.exits.fetch_add(1, Ordering::Relaxed);
        if self.declines_odd && returned.data().first().is_none_or(|first| first % 2 == 1) {
            self.wrong.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn data_words(&self) -> usize {
        2
    }
}

impl Count {
    /// Entries and exits since it was asked last, and what was wrong.
    fn take(&self) -> (u64, u64, u64) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        (take(&self.entries), take(&self.exits), take(&self.wrong))
    }
}

fn set(names: &[&str]) -> SiteSet {
    names.iter().fold(SiteSet::none(), |all, name| all.union(&by_glob(name, None)))
}

fn on<H: Handler + 'static>(
    t: &mut TestCtx<'_>,
    handler: &Arc<H>,
    ends: Ends,
    names: &[&str],
) -> Result<Fprobe, Stop> {
    Fprobe::register(handler.clone(), ends, set(names))
        .map_err(|e| t.fail(file!(), line!(), format_args!("{names:?}: {e:?}")))
}

fn add(a: u64, b: u64) -> u64 {
    black_box(work_add as extern "C" fn(u64, u64) -> u64)(a, b)
}

fn one(f: extern "C" fn(u64) -> u64, n: u64) -> u64 {
    black_box(f)(n)
}

fn each_end(t: &mut TestCtx<'_>) -> TestResult {
    let handler = Arc::new(Count::default());
    for (ends, seen) in [(Ends::Entry, (10, 0, 0)), (Ends::Exit, (0, 10, 0)), (Ends::Both, (10, 10, 0))] {
        let probe = on(t, &handler, ends, &["work_add", "work_fact"])?;
        for i in 0..9 {
            check_eq!(t, add(i, 2), i + 2);
        }
        check_eq!(t, one(work_fact, 1), 1);
        check_eq!(t, handler.take(), seen, "{ends:?}");
        probe
            .set_functions(set(&["work_fact"]))
            .map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
        add(1, 2);
        check_eq!(t, handler.take(), (0, 0, 0), "{ends:?}");
        check_eq!(t, (probe.missed().sum(), probe.active()), (0, 0));
        drop(probe);
        one(work_fact, 1);
        check_eq!(t, handler.take(), (0, 0, 0), "{ends:?}");
    }
    Ok(())
}

/// Writes its letters down.
struct Letters(&'static SpinLock<Vec<u8>>, [u8; 2]);

impl Handler for Letters {
    fn entry(&self, _: At, _: &mut FtraceRegs<Entry>, _: &mut [u64], _: &CpuPin) -> Verdict {
        self.0.lock().push(self.1[0]);
        Verdict::Keep
    }

    fn exit(&self, _: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {
        self.0.lock().push(self.1[1]);
    }
}

static WRITTEN: SpinLock<Vec<u8>> = SpinLock::new(Vec::new());

/// Registered in one order and in the other, and taken away in either.
fn two_in_either_order(t: &mut TestCtx<'_>) -> TestResult {
    let (a, b) = (Arc::new(Letters(&WRITTEN, *b"Aa")), Arc::new(Letters(&WRITTEN, *b"Bb")));
    WRITTEN.lock().reserve(64);
    let written = || core::mem::replace(&mut *WRITTEN.lock(), Vec::with_capacity(64));
    for a_first in [true, false] {
        for drop_a_first in [true, false] {
            written();
            let (first, second) = if a_first { (&a, &b) } else { (&b, &a) };
            let first = on(t, first, Ends::Both, &["work_add"])?;
            let second = on(t, second, Ends::Both, &["work_add"])?;
            check_eq!(t, add(2, 40), 42);
            check_eq!(t, written(), if a_first { b"ABba" } else { b"BAab" });
            let (one_a, one_b) = if a_first { (first, second) } else { (second, first) };
            let (left, letters) = if drop_a_first {
                drop(one_a);
                (one_b, b"Bb")
            } else {
                drop(one_b);
                (one_a, b"Aa")
            };
            check_eq!(t, add(2, 40), 42);
            check_eq!(t, written(), letters);
            drop(left);
            add(2, 40);
            check_eq!(t, written(), b"");
        }
    }
    // Beside one that wants the entry alone, and one that wants the return.
    let entry = on(t, &a, Ends::Entry, &["work_add"])?;
    let exit = on(t, &b, Ends::Exit, &["work_add"])?;
    add(2, 40);
    check_eq!(t, written(), b"Ab");
    drop((entry, exit));
    Ok(())
}

/// Each exit has the entry's data, at any depth.
struct Pairs {
    pairs: AtomicU64,
    wrong: AtomicU64,
}

impl Handler for Pairs {
    fn entry(&self, at: At, regs: &mut FtraceRegs<Entry>, data: &mut [u64], _: &CpuPin) -> Verdict {
        // Nobody else has hooked the return.
        self.wrong.fetch_add(u64::from(at.parent_ip as u64 != regs.lr()), Ordering::Relaxed);
        if let [n, sp] = data {
            (*n, *sp) = (regs.arg(0).unwrap_or_default(), regs.sp());
        }
        Verdict::Keep
    }

    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, _: &CpuPin) {
        self.pairs.fetch_add(1, Ordering::Relaxed);
        let fib = |n: u64| (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0;
        let right = matches!(returned.data(), [n, sp] if *sp == regs.sp() && fib(*n) == regs.return_value());
        self.wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
    }

    fn data_words(&self) -> usize {
        2
    }
}

fn pairs(t: &mut TestCtx<'_>) -> TestResult {
    let handler = Arc::new(Pairs { pairs: AtomicU64::new(0), wrong: AtomicU64::new(0) });
    let probe = on(t, &handler, Ends::Both, &["work_fib"])?;
    check_eq!(t, one(work_fib, 10), 55);
    check_eq!(t, handler.pairs.load(Ordering::Relaxed) + probe.missed().sum(), 177);
    check_eq!(t, handler.wrong.load(Ordering::Relaxed), 0);
    check_eq!(t, (probe.missed().sum(), probe.active()), (0, 0));
    Ok(())
}

fn declines(t: &mut TestCtx<'_>) -> TestResult {
    let handler = Arc::new(Count { declines_odd: true, ..Count::default() });
    let probe = on(t, &handler, Ends::Both, &["work_add"])?;
    for i in 0..11 {
        check_eq!(t, add(i, 1), i + 1);
    }
    check_eq!(t, handler.take(), (11, 6, 0));
    check_eq!(t, (probe.missed().sum(), probe.active()), (0, 0));
    Ok(())
}

/// Adds one to the first argument, and a hundred to the result.
struct Changes;

impl Handler for Changes {
    fn entry(&self, _: At, regs: &mut FtraceRegs<Entry>, _: &mut [u64], _: &CpuPin) -> Verdict {
        let first = regs.arg(0).unwrap_or_default();
        regs.set_arg(0, first + 1);
        Verdict::Keep
    }

    fn exit(&self, _: Returned<'_>, regs: &mut FtraceRegs<Return>, _: &CpuPin) {
        let result = regs.return_value();
        regs.set_return_value(result + 100);
    }
}

fn changes_both_ways(t: &mut TestCtx<'_>) -> TestResult {
    for (ends, result) in [(Ends::Entry, 43), (Ends::Exit, 142), (Ends::Both, 143)] {
        let probe = on(t, &Arc::new(Changes), ends, &["work_add"])?;
        check_eq!(t, add(2, 40), result, "{ends:?}");
        drop(probe);
        check_eq!(t, add(2, 40), 42);
    }
    Ok(())
}

/// What a handler calls is a miss of whoever watches that, at each of its ends.
fn nested_is_a_miss(t: &mut TestCtx<'_>) -> TestResult {
    let outer = Arc::new(Count { calls_leaf: true, ..Count::default() });
    let inner = Arc::new(Count::default());
    for ends in [Ends::Entry, Ends::Exit, Ends::Both] {
        let outer_probe = on(t, &outer, Ends::Both, &["work_add"])?;
        let inner_probe = on(t, &inner, ends, &["work_leaf"])?;
        for _ in 0..5 {
            add(1, 1);
        }
        check_eq!(t, (outer.take(), inner.take()), ((5, 5, 0), (0, 0, 0)), "{ends:?}");
        check_eq!(t, (outer_probe.missed().sum(), inner_probe.missed().sum()), (0, 5), "{ends:?}");
        black_box(work_leaf as extern "C" fn() -> u64)();
        let (entries, exits, _) = inner.take();
        check_eq!(t, (entries, exits), (u64::from(ends != Ends::Exit), u64::from(ends != Ends::Entry)));
    }
    Ok(())
}

fn functions(t: &mut TestCtx<'_>) -> TestResult {
    let at = |name: &str| ksyms::by_name(name).map_or(0, |symbol| symbol.start as usize);
    check_eq!(t, by_glob("work_add", None).len(), 1);
    check_eq!(t, by_glob("work_fi?", None), by_glob("work_fib", None));
    let all = by_glob("work_*", None);
    check!(t, all.len() > 8 && all.iter().all(|site| site.function != at("insn_ret")));
    check_eq!(t, by_glob("work_*", Some("work_f*")).len() + by_glob("work_f*", None).len(), all.len());
    check!(t, by_glob("no_such_function", None).is_empty() && by_glob("no_such_*", None).is_empty());
    let two = by_addresses(&[at("work_add"), at("work_fib")]);
    check_eq!(t, two.map(|set| set == by_glob("work_add", None).union(&by_glob("work_fib", None))), Ok(true));
    check_eq!(t, by_addresses(&[at("work_add"), at("work_fib") + 8]).err(), Some(Errno::ENOENT));
    // A function written in assembly has no entry.
    check_eq!(t, by_addresses(&[at("insn_ret")]).err(), Some(Errno::ENOENT));
    Ok(())
}

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    struct Greedy;
    impl Handler for Greedy {
        fn data_words(&self) -> usize {
            MAX_DATA_WORDS + 1
        }
    }
    let handler = Arc::new(Count::default());
    check_eq!(t, Fprobe::register(handler.clone(), Ends::Both, SiteSet::none()).err(), Some(Errno::ENOENT));
    check_eq!(
        t,
        Fprobe::register(Arc::new(Greedy), Ends::Both, set(&["work_add"])).err(),
        Some(Errno::E2BIG)
    );
    let probe = on(t, &handler, Ends::Entry, &["work_add"])?;
    check_eq!(t, probe.set_functions(SiteSet::none()), Err(Errno::ENOENT));
    add(1, 2);
    check_eq!(t, handler.take(), (1, 0, 0));
    Ok(())
}

/// While every CPU calls the function, fprobes of each kind come and go; one of each that stays counts every call.
fn under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 30;
    let (entries, both, passing) =
        (Arc::new(Count::default()), Arc::new(Count::default()), Arc::new(Count::default()));
    let entry_probe = on(t, &entries, Ends::Entry, &["work_add"])?;
    let both_probe = on(t, &both, Ends::Both, &["work_add"])?;
    let load = Load::start(|turn| add(turn, 1) == turn + 1);
    let mut result = Ok(());
    for turn in 0..TIMES {
        let ends = [Ends::Entry, Ends::Exit, Ends::Both][turn % 3];
        let probe = Fprobe::register(passing.clone(), ends, set(&["work_add", "work_fact"]));
        task::yield_now();
        result = result.and(probe.map(drop));
    }
    let (calls, wrong) = load.end();
    check_eq!(t, (result, wrong), (Ok(()), 0));
    let (hits, _, wrong) = entries.take();
    check_eq!(t, (hits + entry_probe.missed().sum(), wrong), (calls, 0));
    let (hits, exits, wrong) = both.take();
    check_eq!(t, (hits + both_probe.missed().sum(), exits, wrong), (calls, hits, 0));
    check_eq!(t, both_probe.active(), 0);
    diag!(t, "{calls} calls, {} entries of those that came and went", passing.take().0);
    Ok(())
}
