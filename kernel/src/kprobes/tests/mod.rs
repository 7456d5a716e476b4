//! Probes on everything that can be probed, on all CPUs, with all results right and all hits accounted for.

mod boost;
mod differential;
mod entry;
mod image;
mod life;
mod open;

pub(crate) use boost::TESTS as BOOST_TESTS;
pub(crate) use differential::TESTS as DIFFERENTIAL_TESTS;
pub(crate) use entry::TESTS as ENTRY_TESTS;
pub(crate) use image::TESTS as IMAGE_TESTS;
pub(crate) use life::TESTS as LIFE_TESTS;
pub(crate) use open::TESTS as OPEN_TESTS;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{Flow, Handler, Kprobe, Refusal, arm_all, check, disarm_all};
use crate::arch::{daif, probe_read};
use crate::exception::PtRegs;
use crate::selftest::{Load, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::{CpuPin, quiesce};
use crate::task::{self, Prio};
use crate::text::ranges::Region;
use crate::text::{self, slots};
use crate::workload::{INSN, SAMPLES, work_add, work_fib, work_leaf};
use crate::{ftrace, ksyms};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "hit_sees_arguments", run: hit_sees_arguments },
    Test { name: "handler_changes_registers", run: handler_changes_registers },
    Test { name: "handler_diverts", run: handler_diverts },
    Test { name: "several_on_one_address", run: several_on_one_address },
    Test { name: "nested_hit_is_a_miss", run: nested_hit_is_a_miss },
    Test { name: "daif_is_restored", run: daif_is_restored },
    Test { name: "fault_in_slot", run: fault_in_slot },
    Test { name: "refusals", run: refusals },
    Test { name: "every_instruction", run: every_instruction },
    Test { name: "every_instruction_with_post", run: every_instruction_with_post },
    Test { name: "every_function", run: every_function },
    Test { name: "ten_thousand", run: ten_thousand },
    Test { name: "toggled_under_load", run: toggled_under_load },
    Test { name: "registered_under_load", run: registered_under_load },
];

/// Counts before and after.
#[derive(Default)]
struct Count {
    pre: AtomicU64,
    post: AtomicU64,
    wants_post: bool,
}

impl Handler for Count {
    fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
        self.pre.fetch_add(1, Ordering::Relaxed);
        Flow::Continue
    }

    fn post(&self, _: u64, _: &mut PtRegs, _: &CpuPin) {
        self.post.fetch_add(1, Ordering::Relaxed);
    }

    fn has_post(&self) -> bool {
        self.wants_post
    }
}

impl Count {
    fn hits(&self) -> u64 {
        self.pre.load(Ordering::Relaxed)
    }
}

/// A handler made of a function.
struct Run(fn(&mut PtRegs) -> Flow);

impl Handler for Run {
    fn pre(&self, _: u64, regs: &mut PtRegs, _: &CpuPin) -> Flow {
        (self.0)(regs)
    }
}

/// A probe on `offset` bytes behind a symbol, armed.
fn armed(
    t: &mut TestCtx<'_>,
    symbol: &str,
    offset: usize,
    handler: Arc<dyn Handler>,
) -> Result<Kprobe, crate::selftest::Stop> {
    let found = ksyms::by_name(symbol);
    check!(t, found.is_some(), "{symbol}");
    let addr = found.map_or(0, |symbol| symbol.start as usize) + offset;
    let probe = Kprobe::register(addr, handler);
    check!(t, probe.is_ok(), "{symbol}+{offset}");
    match probe {
        Ok(probe) => {
            check_eq!(t, probe.arm(), Ok(()));
            Ok(probe)
        }
        Err(refusal) => Err(t.fail(file!(), line!(), format_args!("{refusal}"))),
    }
}

/// The first instruction of a function behind its patchable entry.
const BODY: usize = 8;

/// Calls that the optimiser cannot foresee.
fn add(a: u64, b: u64) -> u64 {
    black_box(work_add as extern "C" fn(u64, u64) -> u64)(a, b)
}

fn leaf() -> u64 {
    black_box(work_leaf as extern "C" fn() -> u64)()
}

fn hit_sees_arguments(t: &mut TestCtx<'_>) -> TestResult {
    struct See([AtomicU64; 4]);
    impl Handler for See {
        fn pre(&self, addr: u64, regs: &mut PtRegs, _: &CpuPin) -> Flow {
            for (slot, value) in self.0.iter().zip([regs.user().x[0], regs.user().x[1], regs.pc(), addr]) {
                slot.store(value, Ordering::Relaxed);
            }
            Flow::Continue
        }
    }
    let see = Arc::new(See([const { AtomicU64::new(0) }; 4]));
    let probe = armed(t, "work_add", BODY, see.clone())?;
    check_eq!(t, add(2, 40), 42);
    let at = probe.addr() as u64;
    check_eq!(t, see.0.each_ref().map(|v| v.load(Ordering::Relaxed)), [2, 40, at, at]);
    Ok(())
}

fn handler_changes_registers(t: &mut TestCtx<'_>) -> TestResult {
    let set = Run(|regs| {
        regs.user_mut().x[1] = 100;
        Flow::Continue
    });
    let probe = armed(t, "work_add", BODY, Arc::new(set))?;
    check_eq!(t, add(2, 40), 102);
    drop(probe);
    check_eq!(t, add(2, 40), 42);
    Ok(())
}

fn handler_diverts(t: &mut TestCtx<'_>) -> TestResult {
    let back = Run(|regs| {
        regs.user_mut().x[0] = 7;
        regs.set_pc(regs.lr());
        Flow::Diverted
    });
    // At the symbol itself: nothing has been pushed yet.
    let probe = armed(t, "work_leaf", 0, Arc::new(back))?;
    check_eq!(t, leaf(), 7);
    drop(probe);
    check_eq!(t, leaf(), 42);
    Ok(())
}

fn several_on_one_address(t: &mut TestCtx<'_>) -> TestResult {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let a = armed(t, "work_leaf", 0, first.clone())?;
    let b = armed(t, "work_leaf", 0, second.clone())?;
    leaf();
    check_eq!(t, (first.hits(), second.hits()), (1, 1));
    check_eq!(t, a.disarm(), Ok(()));
    leaf();
    check_eq!(t, (first.hits(), second.hits()), (1, 2));
    check_eq!(t, a.arm(), Ok(()));
    drop(b);
    leaf();
    check_eq!(t, (first.hits(), second.hits()), (2, 2));
    let addr = a.addr();
    drop(a);
    leaf();
    check_eq!(t, (first.hits(), second.hits()), (2, 2));
    check_eq!(t, text::owner_of(addr).is_some_and(|owned| owned.owner.starts_with("kprobe")), false);
    Ok(())
}

fn nested_hit_is_a_miss(t: &mut TestCtx<'_>) -> TestResult {
    let inner = Arc::new(Count::default());
    let nested = armed(t, "work_leaf", 0, inner.clone())?;
    // The word behind is simulated on a nested hit, too.
    let deeper = armed(t, "work_leaf", BODY, Arc::new(Count::default()))?;
    let outer = Run(|_| {
        leaf();
        leaf();
        Flow::Continue
    });
    let probe = armed(t, "work_add", BODY, Arc::new(outer))?;
    for _ in 0..100 {
        check_eq!(t, add(2, 40), 42);
    }
    check_eq!(t, (inner.hits(), nested.missed(), deeper.missed()), (0, 200, 200));
    drop(probe);
    leaf();
    check_eq!(t, (inner.hits(), nested.missed()), (1, 200));
    Ok(())
}

fn daif_is_restored(t: &mut TestCtx<'_>) -> TestResult {
    let probe = armed(t, "work_add", BODY, Arc::new(Count::default()))?;
    let before = daif::save();
    add(1, 1);
    check_eq!(t, daif::save(), before);
    let old = daif::mask_irq();
    let masked = daif::save();
    add(1, 1);
    let after = daif::save();
    daif::restore(old);
    check_eq!(t, after, masked);
    drop(probe);
    Ok(())
}

#[inline(never)]
fn load(addr: u64) -> Result<u64, probe_read::Fault> {
    probe_read::read_u64(black_box(addr))
}

/// A probe on a load that faults: the fault is handled as if there were no probe.
fn fault_in_slot(t: &mut TestCtx<'_>) -> TestResult {
    let here = load as *const () as usize;
    let end = ksyms::by_addr(here).map_or(here, |symbol| (symbol.start + symbol.size) as usize);
    let at = probe_read::loads().find(|at| (here..end).contains(at));
    check!(t, at.is_some(), "load() has a load that may fault");
    let count = Arc::new(Count::default());
    let probe = Kprobe::register(at.unwrap_or(0), count.clone());
    check!(t, probe.as_ref().is_ok_and(|probe| probe.arm().is_ok()));
    let value = 0x0123_4567_89ab_cdef_u64;
    for _ in 0..10 {
        check_eq!(t, load((&raw const value).expose_provenance() as u64), Ok(value));
        check_eq!(t, load(8), Err(probe_read::Fault));
    }
    check_eq!(t, count.hits(), 20);
    Ok(())
}

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    let taken = slots::usage();
    let sum = text_sum();
    let at = |name: &str| ksyms::by_name(name).map_or(0, |symbol| symbol.start as usize);
    let work = at("work_add");
    check_eq!(t, check(work + 2).err(), Some(Refusal::Unaligned));
    check_eq!(t, check(0).err(), Some(Refusal::NotText));
    check_eq!(t, check((&raw const taken).addr()).err(), Some(Refusal::NotText));
    check_eq!(
        t,
        check(Region::Text.range().end.next_multiple_of(4096) + (8 << 20)).err(),
        Some(Refusal::NotText)
    );
    check_eq!(t, check(work + 4).err(), Some(Refusal::FtraceSite));
    check_eq!(t, check(work - 8).err(), Some(Refusal::FtraceSite));
    for (region, why) in Region::REFUSED {
        check_eq!(t, check(region.range().start).err(), Some(Refusal::Range(why)));
        check_eq!(t, check(region.range().end - 4).err(), Some(Refusal::Range(why)));
    }
    let exclusive = INSN.iter().find(|insn| insn.name == "insn_ldxr_stxr");
    check!(t, exclusive.is_some());
    if let Some(insn) = exclusive {
        let between =
            words(insn.addr(), insn.len_bytes()).filter(|at| check(*at).err() == Some(Refusal::Exclusive));
        check!(t, between.count() > 0);
    }
    for addr in [work + 2, 0, work - 8] {
        check!(t, Kprobe::register(addr, Arc::new(Count::default())).is_err());
    }
    // Not more; slots of the tests before may have been freed meanwhile.
    check!(t, slots::usage().taken <= taken.taken);
    check_eq!(t, text_sum(), sum);
    Ok(())
}

fn words(addr: usize, len: usize) -> impl Iterator<Item = usize> {
    (addr..addr + len).step_by(4)
}

/// FNV-1a over all text: equal before and after means that everything was put back.
fn text_sum() -> u64 {
    let range = Region::Text.range();
    words(range.start, range.len()).fold(0xcbf2_9ce4_8422_2325, |hash, at| {
        (hash ^ u64::from(text::read_word(at).map_or(0, |word| word.0))).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What was refused, by reason.
#[derive(Default)]
struct Refused(BTreeMap<String, usize>);

impl Refused {
    fn count(&mut self, refusal: Refusal) {
        *self.0.entry(format!("{refusal}")).or_default() += 1;
    }

    fn report(&self, t: &mut TestCtx<'_>) {
        for (reason, count) in &self.0 {
            diag!(t, "refused {count}: {reason}");
        }
    }
}

fn every_instruction(t: &mut TestCtx<'_>) -> TestResult {
    each_instruction(t, false)
}

fn every_instruction_with_post(t: &mut TestCtx<'_>) -> TestResult {
    each_instruction(t, true)
}

/// A probe on every instruction of every `insn_*` function in turn: all results are right, and each probe is hit as often
/// as its instruction is executed, which for those that are always executed is once a call.
fn each_instruction(t: &mut TestCtx<'_>, wants_post: bool) -> TestResult {
    let (sum, mut refused, mut probed, mut wrong) = (text_sum(), Refused::default(), 0, 0);
    for insn in INSN.iter().filter(|insn| insn.is_supported()) {
        let mut hits = 0;
        for at in words(insn.addr(), insn.len_bytes()) {
            let count = Arc::new(Count { wants_post, ..Count::default() });
            let probe = match Kprobe::register(at, count.clone()) {
                Ok(probe) => probe,
                Err(refusal) => {
                    refused.count(refusal);
                    continue;
                }
            };
            check_eq!(t, probe.arm(), Ok(()), "{} at {at:#x}", insn.name);
            for &(a, b) in SAMPLES {
                let (got, want) = (insn.call(a, b), (insn.expect)(a, b));
                if got != Some(want) {
                    diag!(
                        t,
                        "{}({a:#x}, {b:#x}) with a probe at +{:#x} is {got:x?}, not {want:#x}",
                        insn.name,
                        at - insn.addr()
                    );
                    wrong += 1;
                }
            }
            probed += 1;
            hits += count.hits();
            if wants_post {
                check_eq!(t, count.post.load(Ordering::Relaxed), count.hits(), "{} at {at:#x}", insn.name);
            }
        }
        check!(t, hits >= SAMPLES.len() as u64, "{}: {hits} hits", insn.name);
    }
    diag!(t, "{probed} instructions probed");
    refused.report(t);
    check_eq!(t, wrong, 0);
    check_eq!(t, text_sum(), sum);
    Ok(())
}

/// What runs while everything is probed.
fn exercise(t: &mut TestCtx<'_>) -> TestResult {
    for &(a, b) in SAMPLES {
        check_eq!(t, add(a, b), a.wrapping_add(b));
    }
    check_eq!(t, black_box(work_fib as extern "C" fn(u64) -> u64)(12), 144);
    for insn in INSN {
        for &(a, b) in SAMPLES {
            if let Some(got) = insn.call(a, b) {
                check_eq!(t, got, (insn.expect)(a, b), "{}", insn.name);
            }
        }
    }
    let sum = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..8)
        .filter_map(|i| {
            let sum = sum.clone();
            let work = Box::new(move || {
                task::sleep_ns(1_000_000);
                sum.fetch_add(add(i, 1), Ordering::Relaxed);
            });
            task::spawn("exercise", Prio::NORMAL, work).ok()
        })
        .collect();
    for task in tasks {
        check_eq!(t, task.join(), Ok(0));
    }
    check_eq!(t, sum.load(Ordering::Relaxed), 36);
    Ok(())
}

/// Arms a probe at each of the places that may have one, all by one transaction, exercises the kernel, takes them away.
fn in_bulk(t: &mut TestCtx<'_>, places: impl Iterator<Item = usize>) -> TestResult {
    let (sum, count, mut refused) = (text_sum(), Arc::new(Count::default()), Refused::default());
    let mut probes = Vec::new();
    for at in places {
        match Kprobe::register(at, count.clone()) {
            Ok(probe) => probes.push(probe),
            Err(refusal) => refused.count(refusal),
        }
    }
    let all: Vec<_> = probes.iter().collect();
    let armed = arm_all(&all);
    let exercised = exercise(t);
    let disarmed = disarm_all(&all);
    check_eq!(t, armed, Ok(()));
    check_eq!(t, disarmed, Ok(()));
    exercised?;
    let missed: u64 = all.iter().map(|probe| probe.missed()).sum();
    diag!(t, "{} probed, {} hits, {missed} misses", all.len(), count.hits());
    refused.report(t);
    check!(t, count.hits() > all.len() as u64 / 10);
    check_eq!(t, text_sum(), sum);
    Ok(())
}

/// On the first instruction behind the entry of every function of the kernel.
fn every_function(t: &mut TestCtx<'_>) -> TestResult {
    in_bulk(t, ftrace::sites().map(|site| site.function + BODY))
}

/// Ten thousand at once, wherever the kernel's text allows it.
fn ten_thousand(t: &mut TestCtx<'_>) -> TestResult {
    const PROBES: usize = 10_000;
    let taken = slots::usage().taken;
    let range = Region::Text.range();
    let places: Vec<_> =
        words(range.start, range.len()).filter(|at| check(*at).is_ok()).take(PROBES).collect();
    check_eq!(t, places.len(), PROBES);
    in_bulk(t, places.into_iter())?;
    quiesce::synchronize();
    // What is freed is freed by a worker, some time after the quiet point.
    let freed = (0..1000).any(|_| {
        task::sleep_ns(1_000_000);
        slots::usage().taken <= taken
    });
    check!(t, freed, "{:?} slots are taken, {taken} before", slots::usage());
    Ok(())
}

/// Calls work_add on every CPU until told to stop.
fn adding() -> Load {
    Load::start(|n| add(n, 40) == n + 40)
}

/// While every CPU calls a function, a probe in it is armed and disarmed a thousand times. A second probe, armed all the
/// while, is hit by every call, exactly.
fn toggled_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 1000;
    const TURN: usize = 100;
    let (steady, toggled) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let counter = armed(t, "work_add", BODY, steady.clone())?;
    let probe = armed(t, "work_add", BODY + 4, toggled.clone())?;
    let load = adding();
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
    check_eq!(t, steady.hits() + counter.missed(), calls);
    diag!(t, "{calls} calls, {} hits of the toggled probe", toggled.hits());
    check!(t, toggled.hits() > 0 && toggled.hits() <= calls);
    Ok(())
}

/// The same with a probe that is registered and removed, so that slots and points are freed under the hits.
fn registered_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 300;
    let steady = Arc::new(Count::default());
    let counter = armed(t, "work_add", BODY, steady.clone())?;
    let load = adding();
    let mut refused = None;
    for _ in 0..TIMES {
        match Kprobe::register(counter.addr() + 4, Arc::new(Count::default())) {
            Ok(probe) => refused = refused.or(probe.arm().err()),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    let (calls, wrong) = load.end();
    check_eq!(t, refused, None);
    check_eq!(t, wrong, 0);
    check_eq!(t, steady.hits() + counter.missed(), calls);
    Ok(())
}
