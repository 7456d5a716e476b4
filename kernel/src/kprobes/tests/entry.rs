//! Probes at the entry of a function: by its site, by a breakpoint, and from the one to the other.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{Count, add, leaf};
use crate::exception::PtRegs;
use crate::ftrace::regs::Entry;
use crate::ftrace::{self, FtraceRegs, Hit, Ops, SiteSet, site_of};
use crate::kprobes::{self, EntryHandler, Flavour, Flow, Handler, Kprobe, arm_all};
use crate::ksyms;
use crate::selftest::{Load, Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::CpuPin;
use crate::task;
use crate::text;
use crate::workload::work_add;

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "by_the_site", run: by_the_site },
    Test { name: "falls_back", run: falls_back },
    Test { name: "both_at_once", run: both_at_once },
    Test { name: "off_for_all", run: off_for_all },
    Test { name: "nested_is_a_miss", run: nested_is_a_miss },
    Test { name: "beside_a_tracer", run: beside_a_tracer },
    Test { name: "toggled_under_load", run: toggled_under_load },
    Test { name: "falls_under_load", run: falls_under_load },
];

/// Counts hits by the way they come, and sums the first argument; wrong are those whose address is not the probe's.
#[derive(Default)]
struct Ways {
    by_site: AtomicU64,
    by_brk: AtomicU64,
    sum: AtomicU64,
    wrong: AtomicU64,
    calls_leaf: bool,
}

impl Handler for Ways {
    fn pre(&self, addr: u64, regs: &mut PtRegs, _: &CpuPin) -> Flow {
        self.by_brk.fetch_add(1, Ordering::Relaxed);
        self.count(regs.user().x[0], regs.pc() == addr);
        Flow::Continue
    }

    fn at_entry(&self) -> Option<&(dyn EntryHandler + 'static)> {
        Some(self)
    }
}

impl EntryHandler for Ways {
    fn hit(&self, addr: u64, regs: &FtraceRegs<Entry>, _: &CpuPin) {
        self.by_site.fetch_add(1, Ordering::Relaxed);
        self.count(regs.arg(0).unwrap_or_default(), site_of(addr as usize).is_some());
        if self.calls_leaf {
            leaf();
        }
    }
}

impl Ways {
    fn count(&self, argument: u64, right: bool) {
        self.sum.fetch_add(argument, Ordering::Relaxed);
        self.wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
    }

    /// Hits by the site and by the breakpoint since it was asked last.
    fn hits(&self) -> (u64, u64) {
        (self.by_site.swap(0, Ordering::Relaxed), self.by_brk.swap(0, Ordering::Relaxed))
    }
}

fn at(symbol: &str) -> usize {
    ksyms::by_name(symbol).map_or(0, |symbol| symbol.start as usize)
}

fn probe(t: &mut TestCtx<'_>, addr: usize, handler: Arc<dyn Handler>) -> Result<Kprobe, Stop> {
    Kprobe::register(addr, handler).map_err(|e| t.fail(file!(), line!(), format_args!("{e}")))
}

/// How the probes on `work_add` are listed.
fn flavour() -> Option<Flavour> {
    kprobes::list().iter().find(|listed| listed.addr == at("work_add")).map(|listed| listed.flavour)
}

/// What ftrace makes of the first word of an entry.
const MOV_X9_X30: a64::Insn = a64::Insn(0xaa1e_03e9);

/// Is the function's first word its own, and is its branch taken?
fn words() -> (bool, bool) {
    let addr = at("work_add");
    let own = text::read_word(addr) == Some(MOV_X9_X30);
    (own, site_of(addr).is_some_and(ftrace::Site::is_on))
}

fn adds(n: u64) {
    for i in 0..n {
        add(i, 1);
    }
}

fn by_the_site(t: &mut TestCtx<'_>) -> TestResult {
    for offset in [0, 4] {
        let ways = Arc::new(Ways::default());
        let probe = probe(t, at("work_add") + offset, ways.clone())?;
        check_eq!(t, probe.addr(), at("work_add"));
        check_eq!(t, flavour(), Some(Flavour::Entry));
        check_eq!(t, words(), (true, false));
        check_eq!(t, probe.arm(), Ok(()));
        check_eq!(t, (flavour(), words()), (Some(Flavour::Entry), (true, true)));
        adds(10);
        check_eq!(t, ways.hits(), (10, 0));
        check_eq!(t, (ways.sum.load(Ordering::Relaxed), ways.wrong.load(Ordering::Relaxed)), (45, 0));
        check_eq!(t, probe.disarm(), Ok(()));
        check_eq!(t, words(), (true, false));
        adds(10);
        check_eq!(t, ways.hits(), (0, 0));
        check_eq!(t, probe.arm(), Ok(()));
        adds(3);
        drop(probe);
        adds(3);
        check_eq!(t, (ways.hits(), words().1), ((3, 0), false));
    }
    Ok(())
}

/// A handler that wants all registers comes, and goes.
fn falls_back(t: &mut TestCtx<'_>) -> TestResult {
    let (ways, full) = (Arc::new(Ways::default()), Arc::new(Count::default()));
    let first = probe(t, at("work_add"), ways.clone())?;
    check_eq!(t, first.arm(), Ok(()));
    adds(5);
    let second = probe(t, at("work_add"), full.clone())?;
    adds(5);
    check_eq!(t, (ways.hits(), full.hits()), ((10, 0), 0));
    check_eq!(t, second.arm(), Ok(()));
    check!(t, flavour() != Some(Flavour::Entry));
    check_eq!(t, words(), (false, false));
    adds(5);
    check_eq!(t, (ways.hits(), full.hits()), ((0, 5), 5));
    check_eq!(t, second.disarm(), Ok(()));
    adds(5);
    check_eq!(t, (ways.hits(), full.hits()), ((0, 5), 5));
    // It decides anew when the first is armed.
    check_eq!(t, first.disarm(), Ok(()));
    check_eq!(t, first.arm(), Ok(()));
    adds(5);
    check_eq!(t, (ways.hits(), full.hits(), words()), ((5, 0), 5, (true, true)));
    drop((first, second));
    check_eq!(t, words(), (true, false));
    check_eq!(t, ways.wrong.load(Ordering::Relaxed), 0);
    Ok(())
}

/// Two that can do without a breakpoint, and two of which one cannot, armed by one change.
fn both_at_once(t: &mut TestCtx<'_>) -> TestResult {
    let (a, b, full) = (Arc::new(Ways::default()), Arc::new(Ways::default()), Arc::new(Count::default()));
    let first = probe(t, at("work_add"), a.clone())?;
    let second = probe(t, at("work_add") + 4, b.clone())?;
    check_eq!(t, arm_all(&[&first, &second]), Ok(()));
    adds(4);
    check_eq!(t, (a.hits(), b.hits()), ((4, 0), (4, 0)));
    check_eq!(t, kprobes::disarm_all(&[&first, &second]), Ok(()));
    let third = probe(t, at("work_add"), full.clone())?;
    check_eq!(t, arm_all(&[&first, &third]), Ok(()));
    adds(4);
    check_eq!(t, (a.hits(), b.hits(), full.hits()), ((0, 4), (0, 0), 4));
    Ok(())
}

fn off_for_all(t: &mut TestCtx<'_>) -> TestResult {
    let ways = Arc::new(Ways::default());
    let probe = probe(t, at("work_add"), ways.clone())?;
    check_eq!(t, probe.arm(), Ok(()));
    check_eq!(t, kprobes::set_enabled(false), Ok(()));
    adds(5);
    let off = (ways.hits(), words());
    let on = kprobes::set_enabled(true);
    check_eq!(t, (off, on), (((0, 0), (true, false)), Ok(())));
    adds(5);
    check_eq!(t, ways.hits(), (5, 0));
    // One that is armed while all are off.
    check_eq!(t, probe.disarm(), Ok(()));
    check_eq!(t, kprobes::set_enabled(false), Ok(()));
    let armed = probe.arm();
    adds(5);
    let off = ways.hits();
    check_eq!(t, kprobes::set_enabled(true), Ok(()));
    check_eq!(t, (armed, off), (Ok(()), (0, 0)));
    adds(5);
    check_eq!(t, ways.hits(), (5, 0));
    Ok(())
}

fn nested_is_a_miss(t: &mut TestCtx<'_>) -> TestResult {
    let outer = Arc::new(Ways { calls_leaf: true, ..Ways::default() });
    let inner = Arc::new(Ways::default());
    let first = probe(t, at("work_add"), outer.clone())?;
    let second = probe(t, at("work_leaf"), inner.clone())?;
    check_eq!(t, arm_all(&[&first, &second]), Ok(()));
    adds(7);
    leaf();
    check_eq!(t, (outer.hits(), inner.hits()), ((7, 0), (1, 0)));
    check_eq!(t, (first.missed(), second.missed()), (0, 7));
    Ok(())
}

static BEFORE: Ops = Ops::redirecting("test_entry_redirect", to_leaf);

/// Has `work_add` return what its second argument is.
fn to_leaf(_: &Hit<'_>, regs: &mut FtraceRegs) {
    regs.set_pc((other as extern "C" fn(u64, u64) -> u64 as *const ()).addr() as u64);
}

#[inline(never)]
extern "C" fn other(_: u64, b: u64) -> u64 {
    core::hint::black_box(b)
}

/// Where another listener has sent the function it goes.
fn beside_a_tracer(t: &mut TestCtx<'_>) -> TestResult {
    let ways = Arc::new(Ways::default());
    let probe = probe(t, at("work_add"), ways.clone())?;
    let sites = SiteSet::of(site_of(at("work_add")));
    let on = ftrace::register(&BEFORE, sites).map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
    check_eq!(t, probe.arm(), Ok(()));
    check_eq!(t, (add(2, 40), ways.hits()), (40, (1, 0)));
    drop(on);
    check_eq!(t, (add(2, 40), ways.hits()), (42, (1, 0)));
    check_eq!(t, ways.wrong.load(Ordering::Relaxed), 0);
    Ok(())
}

fn calls_work_add() -> Load {
    Load::start(|turn| core::hint::black_box(work_add as extern "C" fn(u64, u64) -> u64)(turn, 1) == turn + 1)
}

/// While every CPU calls the function, one probe on its entry is armed and disarmed; another, armed all the while, counts
/// every call.
fn toggled_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 60;
    let (steady, toggled) = (Arc::new(Ways::default()), Arc::new(Ways::default()));
    let counter = probe(t, at("work_add"), steady.clone())?;
    check_eq!(t, counter.arm(), Ok(()));
    let other = probe(t, at("work_add"), toggled.clone())?;
    let load = calls_work_add();
    let mut result = Ok(());
    for _ in 0..TIMES {
        result = result.and(other.arm());
        task::yield_now();
        result = result.and(other.disarm());
    }
    let (calls, wrong) = load.end();
    let (hits, brk) = steady.hits();
    diag!(t, "{calls} calls, {} hits of the other", toggled.hits().0);
    check_eq!(t, (result, wrong, brk), (Ok(()), 0, 0));
    check_eq!(t, hits + counter.missed(), calls);
    Ok(())
}

/// While every CPU calls the function, its hits go over to a breakpoint and back. No call is counted twice.
fn falls_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 40;
    let (ways, full) = (Arc::new(Ways::default()), Arc::new(Count::default()));
    let first = probe(t, at("work_add"), ways.clone())?;
    let second = probe(t, at("work_add"), full.clone())?;
    let load = calls_work_add();
    let mut result = Ok(());
    for _ in 0..TIMES {
        result = result.and(first.arm()).and(second.arm());
        task::yield_now();
        result = result.and(second.disarm()).and(first.disarm());
    }
    let (calls, wrong) = load.end();
    let (by_site, by_brk) = ways.hits();
    diag!(t, "{calls} calls, {by_site} hits by the site, {by_brk} by the breakpoint");
    check_eq!(t, (result, wrong), (Ok(()), 0));
    check!(t, by_site + by_brk <= calls && by_brk >= full.hits());
    check_eq!(t, words(), (true, false));
    Ok(())
}
