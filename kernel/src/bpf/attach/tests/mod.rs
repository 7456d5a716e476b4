//! Programs on every hook: exact counts, alone and under four CPUs; themselves and each other; order, replacement, refusals.
//!
//! The programs are functions of this file, entered as compiled ones are. The cookie of an attachment is the address of a
//! [`Seen`], where they note what they were given.

mod load;
mod nested;
mod typed;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use ::bpf::helper::HelperNames;
use ::bpf::kind::{Attach, Gives, Section};
use ::bpf::text;
use tracecore::errno::Errno;

use super::{Refused, Wanted, context};
use crate::bpf::link::{self, Link};
use crate::bpf::prog::{Engine, Entry, Parts, Prog};
use crate::bpf::run::{self, Running, Way};
use crate::ksyms;
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq};
use crate::sync::{CpuPin, SpinLock, quiesce};
use crate::workload::{work_add, work_leaf, work_text};

pub(crate) use load::TESTS as LOAD_TESTS;
pub(crate) use nested::TESTS as NESTED_TESTS;
pub(crate) use typed::TESTS as TYPED_TESTS;

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "every_way", run: every_way },
    Test { name: "cookies", run: cookies },
    Test { name: "samples", run: samples },
    Test { name: "order", run: order },
    Test { name: "replaced", run: replaced },
    Test { name: "detached_while_held", run: detached },
    Test { name: "names", run: names },
    Test { name: "contexts", run: contexts },
    Test { name: "refusals", run: refusals },
    Test { name: "a_thousand_on_one_hook", run: thousand },
];

/// What a program has seen, and what it does.
#[derive(Default)]
struct Seen {
    runs: AtomicU64,
    wrong: AtomicU64,
    /// The function that it expects to be told of; 0: it does not know.
    ip: u64,
    calls: Option<fn()>,
    log: Option<(&'static SpinLock<String>, char)>,
}

impl Seen {
    fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    fn wrong(&self) -> u64 {
        self.wrong.load(Ordering::Relaxed)
    }

    fn run(&self, running: &Running<'_>, ctx: u64) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let kind = running.prog.parts().attach;
        let right = running.ctx == ctx
            && (self.ip == 0 || running.ip == self.ip)
            && match running.way {
                Way::Regs(regs) => {
                    matches!(kind, Attach::Kprobe | Attach::PerfEvent) && running.ip == regs.pc()
                }
                Way::Entry(_) => matches!(kind, Attach::KprobeMulti | Attach::FprobeEntry),
                Way::Return(_) => {
                    matches!(kind, Attach::Kretprobe | Attach::KretprobeMulti | Attach::FprobeExit)
                }
                Way::Args { result, .. } => match kind {
                    Attach::RawTracepoint | Attach::TpBtf | Attach::Fentry => !result,
                    _ => matches!(kind, Attach::Fexit | Attach::FmodRet) && result,
                },
                Way::Memory => kind == Attach::Tracepoint,
            };
        self.wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
        if let Some((log, name)) = self.log {
            log.lock().push(name);
        }
        if let Some(f) = self.calls {
            f();
        }
    }
}

/// Notes the run in the `Seen` of its cookie.
extern "C" fn note(ctx: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: programs are run pinned.
    let pin = unsafe { CpuPin::assume() };
    run::with(&pin, |running| {
        // SAFETY: the tests give such cookies, and keep what they are about.
        let seen = unsafe { core::ptr::with_exposed_provenance::<Seen>(running.cookie as usize).as_ref() };
        seen.inspect(|seen| seen.run(running, ctx));
    });
    0
}

fn cookie_of(seen: &Arc<Seen>) -> u64 {
    Arc::as_ptr(seen).expose_provenance() as u64
}

/// A program of this kind.
fn program(t: &mut TestCtx<'_>, attach: Attach, target: &str, entry: Entry) -> Result<Arc<Prog>, Stop> {
    // What it is made of matters in one thing: that it asks for its cookie.
    let made = text::parse("call get_attach_cookie\nr0 = 0\nexit", &HelperNames);
    let made = made.map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
    let parts = parts(attach, target, made, Engine::Code(entry, Box::new(())));
    Prog::register(parts).map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))
}

fn parts(attach: Attach, target: &str, program: ::bpf::Program, engine: Engine) -> Parts {
    Parts {
        name: "test".into(),
        attach,
        section: format!("{}/{target}", attach.name()),
        gpl: true,
        tag: [0; 8],
        program,
        engine,
        maps: Vec::new(),
        context_bytes: 0,
        btf: None,
        lines: Vec::new(),
    }
}

/// Attaches a program that notes its runs.
fn attach(t: &mut TestCtx<'_>, kind: Attach, target: &str, seen: Seen) -> Result<Attached, Stop> {
    let seen = Arc::new(seen);
    let prog = program(t, kind, target, note)?;
    let link = link::create(&prog, Wanted { target, cookies: &[cookie_of(&seen)] });
    let link = link.map_err(|e| t.fail(file!(), line!(), format_args!("{target}: {e}")))?;
    Ok(Attached { link, prog, seen })
}

/// A program at its hook.
struct Attached {
    // Dropped first: then nobody notes anything.
    link: Arc<Link>,
    prog: Arc<Prog>,
    seen: Arc<Seen>,
}

impl Attached {
    /// Runs, and hits that did not become runs.
    fn account(&self) -> (u64, u64, u64) {
        (self.seen.runs(), self.prog.counts().recursion_misses, self.link.missed())
    }
}

fn add() {
    black_box(work_add as extern "C" fn(u64, u64) -> u64)(black_box(2), 40);
}

fn leaf() {
    black_box(work_leaf as extern "C" fn() -> u64)();
}

fn start_of(name: &str) -> u64 {
    ksyms::by_name(name).map_or(0, |symbol| symbol.start)
}

fn fire() {
    black_box(work_text as extern "C" fn(u64) -> u64)(c"seven".as_ptr().addr() as u64);
}

/// Each way to attach: what it is attached to, and what hits that once.
const WAYS: &[(Attach, &str, fn())] = &[
    (Attach::Kprobe, "work_add", add),
    (Attach::Kprobe, "work_add+8", add),
    (Attach::Kretprobe, "work_add", add),
    (Attach::KprobeMulti, "work_add", add),
    (Attach::KretprobeMulti, "work_add", add),
    (Attach::FprobeEntry, "work_add", add),
    (Attach::FprobeExit, "work_add", add),
    (Attach::Tracepoint, "workload/work_text", fire),
    (Attach::RawTracepoint, "work_text", fire),
    (Attach::TpBtf, "work_text", fire),
    (Attach::Fentry, "work_add", add),
    (Attach::Fexit, "work_add", add),
    (Attach::FmodRet, "work_add", add),
];

const CALLS: u64 = 100;

fn every_way(t: &mut TestCtx<'_>) -> TestResult {
    let before = (link::all().len(), link::totals());
    for (kind, target, hit) in WAYS {
        let ip = match kind {
            Attach::Tracepoint | Attach::RawTracepoint | Attach::TpBtf => 0,
            _ if target.ends_with("+8") => start_of("work_add") + 8,
            _ => start_of("work_add"),
        };
        let on = attach(t, *kind, target, Seen { ip, ..Seen::default() })?;
        (0..CALLS).for_each(|_| hit());
        check_eq!(t, (kind, on.account(), on.seen.wrong()), (kind, (CALLS, 0, 0), 0));
        check_eq!(t, (on.link.attach(), on.link.target()), (*kind, *target));
        check_eq!(t, (on.link.shown().prog, on.link.shown().places), (Some(on.prog.id()), 1));
        check!(t, link::by_id(on.link.id()).is_some());
        let Attached { link, prog, seen } = on;
        drop(link);
        (0..CALLS).for_each(|_| hit());
        check_eq!(t, (seen.runs(), Arc::strong_count(&seen)), (CALLS, 1));
        drop(prog);
    }
    let after = (link::all().len(), link::totals());
    check_eq!(t, after.0, before.0);
    check_eq!(t, after.1.0 - before.1.0, WAYS.len() as u64);
    check_eq!(t, after.1.1 - before.1.1, WAYS.len() as u64);
    Ok(())
}

/// One cookie for each function of a list.
fn cookies(t: &mut TestCtx<'_>) -> TestResult {
    for kind in [Attach::KprobeMulti, Attach::KretprobeMulti, Attach::FprobeEntry, Attach::FprobeExit] {
        let of = |name| Arc::new(Seen { ip: start_of(name), ..Seen::default() });
        let (adds, leaves) = (of("work_add"), of("work_leaf"));
        let prog = program(t, kind, "", note)?;
        // In an order that is not that of their addresses.
        for target in [("work_add,work_leaf", [&adds, &leaves]), ("work_leaf, work_add", [&leaves, &adds])] {
            let cookies = target.1.map(cookie_of);
            let link = link::create(&prog, Wanted { target: target.0, cookies: &cookies });
            check!(t, link.is_ok(), "{:?}", link.err());
            (0..3).for_each(|_| add());
            (0..5).for_each(|_| leaf());
        }
        check_eq!(t, (kind, adds.runs(), leaves.runs()), (kind, 6, 10));
        check_eq!(t, (adds.wrong(), leaves.wrong()), (0, 0));
    }
    Ok(())
}

/// Samples of four CPUs, busy and idle.
fn samples(t: &mut TestCtx<'_>) -> TestResult {
    let begin = crate::time::now_ns();
    let on = attach(t, Attach::PerfEvent, "1000", Seen::default())?;
    let load = crate::selftest::Load::start(|_| {
        add();
        true
    });
    crate::task::sleep_ns(50_000_000);
    load.end();
    let Attached { link, prog, seen } = on;
    let late = link.missed();
    drop(link);
    let (runs, cpus) = (seen.runs(), crate::arch::cpu::online() as u64);
    // As many turns as there was time for have come, or were late; a CPU may not have begun.
    let turns = (crate::time::now_ns() - begin) / 1_000_000;
    crate::selftest::diag!(t, "{turns} turns on {cpus} CPUs, {runs} runs, {late} late");
    check!(t, runs >= cpus && runs + late <= (turns + 2) * cpus);
    check_eq!(t, (seen.wrong(), prog.counts().recursion_misses), (0, 0));
    crate::task::sleep_ns(10_000_000);
    check_eq!(t, (seen.runs(), Arc::strong_count(&seen)), (runs, 1));
    for target in ["0", "x", "100000000", "-1"] {
        let refused = link::create(&prog, Wanted { target, cookies: &[] }).map(|link| link.id());
        check_eq!(t, refused.map_err(|e| e.errno), Err(Errno::EINVAL));
    }
    Ok(())
}

static LOG: SpinLock<String> = SpinLock::new(String::new());

/// Does it see returns?
fn returns(kind: Attach) -> bool {
    matches!(kind, Attach::Kretprobe | Attach::KretprobeMulti | Attach::FprobeExit)
}

/// Several programs on one hook run in the order in which they were attached; at shared returns in the opposite one.
fn order(t: &mut TestCtx<'_>) -> TestResult {
    for (kind, target, hit) in WAYS {
        LOG.lock().clear();
        let mut all = Vec::new();
        for name in ['a', 'b', 'c'] {
            all.push(attach(t, *kind, target, Seen { log: Some((&LOG, name)), ..Seen::default() })?);
        }
        hit();
        let backwards = returns(*kind);
        let (said, expected) = (LOG.lock().clone(), if backwards { "cba" } else { "abc" });
        check_eq!(t, (kind, said.as_str()), (kind, expected));
        drop(all.remove(1));
        LOG.lock().clear();
        hit();
        let (said, expected) = (LOG.lock().clone(), if backwards { "ca" } else { "ac" });
        check_eq!(t, (kind, said.as_str()), (kind, expected));
    }
    Ok(())
}

fn replaced(t: &mut TestCtx<'_>) -> TestResult {
    for (kind, target, hit) in WAYS {
        let on = attach(t, *kind, target, Seen::default())?;
        hit();
        let other = program(t, *kind, target, note)?;
        let old = on.link.replace(&other);
        check!(t, old.as_ref().is_ok_and(|old| old.id() == on.prog.id()), "{:?}", old.err());
        check_eq!(t, on.link.shown().prog, Some(other.id()));
        hit();
        check_eq!(t, on.seen.runs(), 2);
        let wrong = if *kind == Attach::Kprobe { Attach::Kretprobe } else { Attach::Kprobe };
        let wrong = program(t, wrong, target, note)?;
        check_eq!(t, on.link.replace(&wrong).map_err(|e| e.errno).err(), Some(Errno::EINVAL));
    }
    Ok(())
}

/// A link that is detached is there, without a hook, until nobody holds it.
fn detached(t: &mut TestCtx<'_>) -> TestResult {
    for (kind, target, hit) in WAYS {
        let on = attach(t, *kind, target, Seen::default())?;
        hit();
        check!(t, on.link.detach());
        hit();
        check_eq!(t, on.seen.runs(), 1);
        check!(t, !on.link.detach());
        check_eq!(t, on.link.shown().prog, None);
        check_eq!(t, on.link.replace(&on.prog).map_err(|e| e.errno).err(), Some(Errno::ENOLINK));
        check!(t, link::by_id(on.link.id()).is_some());
    }
    Ok(())
}

fn names(t: &mut TestCtx<'_>) -> TestResult {
    let on = attach(t, Attach::KprobeMulti, "work_add", Seen::default())?;
    let path = "/sys/fs/bpf/selftest_link";
    check_eq!(t, on.link.pin(path), Ok(()));
    check_eq!(t, on.link.pin(path), Err(Errno::EEXIST));
    check_eq!(t, on.link.pin("/sys/fs/bpf/no/such"), Err(Errno::ENOENT));
    check_eq!(t, on.link.paths(), [path]);
    let Attached { link, prog: _prog, seen } = on;
    let id = link.id();
    drop(link);
    add();
    check_eq!(t, seen.runs(), 1);
    let Some(link) = link::pinned("selftest_link") else {
        return Err(t.fail(file!(), line!(), format_args!("no such name")));
    };
    check_eq!(t, link.id(), id);
    check!(t, link::release(&link));
    drop(link);
    check!(t, link::by_id(id).is_none() && link::pinned("selftest_link").is_none());
    add();
    check_eq!(t, seen.runs(), 1);
    Ok(())
}

/// What programs are given, as it is known when they are loaded.
fn contexts(t: &mut TestCtx<'_>) -> TestResult {
    let of = |section: &'static str| {
        let section = Section::parse(section).ok_or(Errno::EINVAL)?;
        context::of(&section).map_err(|e| e.errno)
    };
    // Readable: offset, size, and whether a type comes out.
    for (section, off, size, typed) in [
        ("tp/workload/work_text", 8, 8, false),
        ("tp/sched/sched_switch", 24, 4, false),
        ("raw_tp/work_text", 0, 8, false),
        ("fentry/work_add", 8, 8, false),
        ("fexit/work_add", 16, 8, false),
        ("fentry/work_struct", 0, 8, true),
        ("fmod_ret/work_sum", 0, 8, true),
        ("kprobe.multi/work_*", 0, 8, false),
    ] {
        let read = of(section).map(|context| context.access(off, size, false));
        let expected = matches!(&read, Ok(Ok((gives, at)))
            if i64::from(*at) == off && matches!(gives, Gives::Pointer(_)) == typed);
        check!(t, expected, "{section} {off}: {read:?}");
    }
    for (section, off) in [
        ("tp/workload/work_text", 0),
        ("tp/workload/work_text", 24),
        ("raw_tp/work_text", 8),
        ("fentry/work_add", 16),
        ("fexit/work_add", 24),
        ("kprobe.multi/work_*", 19 * 8),
    ] {
        let read = of(section).map(|context| context.access(off, 8, false));
        check!(t, matches!(read, Ok(Err(_))), "{section} {off}: {read:?}");
    }
    check_eq!(t, of("tp/sched/no_such").err(), Some(Errno::ENOENT));
    check_eq!(t, of("fentry/no_such").err(), Some(Errno::ENOENT));
    check_eq!(t, of("tp_btf/no_such").err(), Some(Errno::ENOENT));
    Ok(())
}

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    let before = (link::all().len(), link::totals());
    for (kind, target, errno) in [
        (Attach::Kprobe, "", Errno::EINVAL),
        (Attach::Kprobe, "no_such_function", Errno::ENOENT),
        (Attach::Kprobe, "work_add+x", Errno::EINVAL),
        (Attach::Kprobe, "work_add+4096", Errno::EINVAL),
        (Attach::Kprobe, "work_add+1", Errno::EINVAL),
        (Attach::Kprobe, "kprobes::hit::brk", Errno::EINVAL),
        (Attach::Kprobe, "0x1000", Errno::EINVAL),
        (Attach::Kretprobe, "work_add+12", Errno::EINVAL),
        (Attach::Kretprobe, "", Errno::EINVAL),
        (Attach::KprobeMulti, "", Errno::EINVAL),
        (Attach::KprobeMulti, "no_such_*", Errno::ENOENT),
        (Attach::KprobeMulti, "work_add,no_such", Errno::ENOENT),
        (Attach::KprobeMulti, "kprobes::hit::brk", Errno::EINVAL),
        (Attach::FprobeExit, " , ", Errno::EINVAL),
        (Attach::Tracepoint, "sched/no_such", Errno::ENOENT),
        (Attach::Tracepoint, "task/sched_switch", Errno::ENOENT),
        (Attach::Tracepoint, "", Errno::EINVAL),
        (Attach::RawTracepoint, "no_such", Errno::ENOENT),
        (Attach::TpBtf, "no_such", Errno::ENOENT),
        (Attach::Fentry, "work_add+8", Errno::EINVAL),
        (Attach::Fentry, "no_such_function", Errno::ENOENT),
        (Attach::Fentry, "insn_ret", Errno::EINVAL),
        (Attach::Fexit, "", Errno::EINVAL),
        (Attach::FmodRet, "bpf_selftest_woken", Errno::EINVAL),
        (Attach::Syscall, "", Errno::EINVAL),
    ] {
        let prog = program(t, kind, target, note)?;
        let refused = link::create(&prog, Wanted { target, cookies: &[] }).map(|link| link.id());
        check_eq!(t, (kind, target, refused.map_err(|e: Refused| e.errno)), (kind, target, Err(errno)));
    }
    let prog = program(t, Attach::KprobeMulti, "", note)?;
    for (target, cookies) in [("work_add,work_leaf", &[1, 2, 3][..]), ("work_add,work_*", &[1, 2])] {
        let refused = link::create(&prog, Wanted { target, cookies }).map(|link| link.id());
        check_eq!(t, refused.map_err(|e| e.errno), Err(Errno::EINVAL));
    }
    // Verified for another one, or for none.
    for (kind, section, target) in [
        (Attach::Tracepoint, "sched/sched_switch", "workload/work_text"),
        (Attach::Tracepoint, "", "workload/work_text"),
        (Attach::TpBtf, "sched_switch", "work_text"),
        (Attach::Fentry, "work_leaf", "work_add"),
        (Attach::Fexit, "", "work_add"),
    ] {
        let prog = program(t, kind, section, note)?;
        let refused = link::create(&prog, Wanted { target, cookies: &[] }).map(|link| link.id());
        check_eq!(t, (section, refused.map_err(|e| e.errno)), (section, Err(Errno::EINVAL)));
    }
    // Nobody has verified it.
    let sandboxed = Prog::register(parts(Attach::Kprobe, "", prog.parts().program.clone(), Engine::Sandbox));
    let sandboxed = sandboxed.map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
    let refused = link::create(&sandboxed, Wanted { target: "work_add", cookies: &[] }).map(|link| link.id());
    check_eq!(t, refused.map_err(|e| e.errno), Err(Errno::EACCES));
    check_eq!(t, (link::all().len(), link::totals()), before);
    Ok(())
}

/// Many programs on one hook. Sets of listeners of one function's entry are kept for ever (`ftrace`): of those there are fewer.
fn thousand(t: &mut TestCtx<'_>) -> TestResult {
    const MANY: u64 = 1000;
    const MANY_SETS: u64 = 40;
    for (kind, target, hit) in WAYS {
        let prog = program(t, *kind, target, note)?;
        let seen = Arc::new(Seen::default());
        let mut links = Vec::new();
        let refused = loop {
            let sets = matches!(
                kind,
                Attach::KprobeMulti | Attach::KretprobeMulti | Attach::FprobeEntry | Attach::FprobeExit
            );
            if links.len() as u64 == if sets { MANY_SETS } else { MANY } {
                break None;
            }
            match link::create(&prog, Wanted { target, cookies: &[cookie_of(&seen)] }) {
                Ok(link) => links.push(link),
                Err(e) => break Some(e),
            }
        };
        hit();
        let runs = links.len() as u64;
        crate::selftest::diag!(t, "{}: {runs} programs, {refused:?}", kind.name());
        check!(t, refused.is_none());
        // A call that so many programs want to see the return of finds no room on its task's shadow stack for all.
        let (ran, missed) = (seen.runs(), links.iter().map(|link| link.missed()).sum::<u64>());
        check_eq!(t, (kind, ran + missed, prog.counts().recursion_misses), (kind, runs, 0));
        check!(t, missed == 0 || returns(*kind));
        // The last first: the next test's listeners come in the same sets.
        while links.pop().is_some() {}
        quiesce::synchronize();
        hit();
        check_eq!(t, seen.runs(), ran);
    }
    Ok(())
}
