//! Open handlers: what one's path hits runs, whatever way in it has, down to a bound; everything else is a miss.
//!
//! Handlers call a function that the next one is on: `work_leaf` by a breakpoint, by the function's site, by an fprobe, by a
//! return. Every pair of ways is tried.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::reentry::MAX_NESTED;

use super::{add, leaf};
use crate::exception::PtRegs;
use crate::ftrace::fprobe::{self, At, Ends, Fprobe, by_glob};
use crate::ftrace::regs::{Entry, Return};
use crate::ftrace::{FtraceRegs, site_of};
use crate::kprobes::{EntryHandler, Flow, Handler, Kprobe};
use crate::ksyms;
use crate::rethook::{Kretprobe, Listener, Returned, Verdict};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check_eq};
use crate::sync::CpuPin;

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "every_pair_of_ways", run: every_pair },
    Test { name: "closed_ones_stay_apart", run: closed },
    Test { name: "down_to_a_bound", run: bound },
];

/// Counts, and calls a function at most so deep.
#[derive(Default)]
struct Calls {
    ran: AtomicU64,
    closed: bool,
    at_site: bool,
    calls: Option<fn()>,
    /// Runs inside of itself that it allows.
    depth: u64,
    inside: AtomicU64,
}

impl Calls {
    fn run(&self) {
        self.ran.fetch_add(1, Ordering::Relaxed);
        let inside = self.inside.fetch_add(1, Ordering::Relaxed);
        if let Some(f) = self.calls
            && inside <= self.depth
        {
            f();
        }
        self.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handler for Calls {
    fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
        self.run();
        Flow::Continue
    }

    fn at_entry(&self) -> Option<&(dyn EntryHandler + 'static)> {
        if self.at_site { Some(self) } else { None }
    }

    fn is_open(&self) -> bool {
        !self.closed
    }
}

impl EntryHandler for Calls {
    fn hit(&self, _: u64, _: &FtraceRegs<Entry>, _: &CpuPin) {
        self.run();
    }
}

impl fprobe::Handler for Calls {
    fn entry(&self, _: At, _: &mut FtraceRegs<Entry>, _: &mut [u64], _: &CpuPin) -> Verdict {
        self.run();
        Verdict::Keep
    }

    fn exit(&self, _: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {
        self.run();
    }

    fn is_open(&self) -> bool {
        !self.closed
    }
}

impl Listener for Calls {
    fn exit(&self, _: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {
        self.run();
    }

    fn is_open(&self) -> bool {
        !self.closed
    }
}

/// A way in, while it is open, and what it has missed.
enum Way {
    Probe(Kprobe),
    Functions(Fprobe),
    Return(Kretprobe),
}

const WAYS: [&str; 5] = ["brk", "site", "fprobe", "fprobe.exit", "return"];

impl Way {
    fn open(
        t: &mut TestCtx<'_>,
        way: &str,
        function: &str,
        calls: Option<fn()>,
        closed: bool,
    ) -> Result<(Self, Arc<Calls>), Stop> {
        let handler = Arc::new(Calls { calls, closed, at_site: way == "site", ..Calls::default() });
        let at = ksyms::by_name(function).map_or(0, |symbol| symbol.start as usize);
        let end = if way == "fprobe" { Ends::Entry } else { Ends::Exit };
        let opened = match way {
            "brk" | "site" => {
                let behind = site_of(at).map_or(at, |site| site.after());
                let probe = Kprobe::register(if way == "brk" { behind } else { at }, handler.clone());
                probe.and_then(|probe| probe.arm().map(|()| Self::Probe(probe))).map_err(|e| e.errno())
            }
            "return" => Kretprobe::register(at, None, handler.clone())
                .and_then(|probe| probe.arm().map(|()| Self::Return(probe)))
                .map_err(|e| e.errno()),
            _ => Fprobe::register(handler.clone(), end, by_glob(function, None)).map(Self::Functions),
        };
        let opened = opened
            .map_err(|e| t.fail(file!(), line!(), format_args!("{way} on {function}: {}", e.strerror())))?;
        Ok((opened, handler))
    }

    fn missed(&self) -> u64 {
        match self {
            Self::Probe(probe) => probe.missed(),
            Self::Functions(probe) => probe.missed().sum(),
            Self::Return(probe) => probe.missed_in_all(),
        }
    }
}

const CALLS: u64 = 10;

fn calls_leaf() {
    leaf();
}

fn ran(calls: &Calls) -> u64 {
    calls.ran.load(Ordering::Relaxed)
}

/// The first is on a function that is called, and calls what the second is on.
fn pair(t: &mut TestCtx<'_>, first: &str, second: &str, closed: (bool, bool)) -> TestResult {
    let (outer, calls) = Way::open(t, first, "work_add", Some(calls_leaf), closed.0)?;
    let (inner, called) = Way::open(t, second, "work_leaf", None, closed.1)?;
    for n in 0..CALLS {
        add(n, 1);
    }
    let (runs, misses) = if closed == (false, false) { (CALLS, 0) } else { (0, CALLS) };
    let seen = (first, second, ran(&calls), outer.missed(), ran(&called), inner.missed());
    check_eq!(t, seen, (first, second, CALLS, 0, runs, misses));
    leaf();
    check_eq!(t, ran(&called), runs + 1);
    Ok(())
}

fn every_pair(t: &mut TestCtx<'_>) -> TestResult {
    WAYS.iter()
        .try_for_each(|first| WAYS.iter().try_for_each(|second| pair(t, first, second, (false, false))))
}

/// A handler that is not open runs in the midst of none, and none in its.
fn closed(t: &mut TestCtx<'_>) -> TestResult {
    WAYS.iter().try_for_each(|first| {
        WAYS.iter().try_for_each(|second| {
            pair(t, first, second, (true, false))?;
            pair(t, first, second, (false, true))?;
            pair(t, first, second, (true, true))
        })
    })
}

/// A handler that hits itself runs as often as open handlers nest, and the next hit is a miss.
fn bound(t: &mut TestCtx<'_>) -> TestResult {
    for way in ["brk", "site", "fprobe"] {
        let handler =
            Calls { calls: Some(calls_leaf), at_site: way == "site", depth: 100, ..Calls::default() };
        let handler = Arc::new(handler);
        let at = ksyms::by_name("work_leaf").map_or(0, |symbol| symbol.start as usize);
        let at = if way == "brk" { site_of(at).map_or(at, |site| site.after()) } else { at };
        let mut ways: Vec<Box<dyn Fn() -> u64>> = Vec::new();
        if way == "fprobe" {
            let probe = Fprobe::register(handler.clone(), Ends::Entry, by_glob("work_leaf", None));
            let probe = probe.map_err(|e| t.fail(file!(), line!(), format_args!("{e:?}")))?;
            ways.push(Box::new(move || probe.missed().sum()));
        } else {
            let probe = Kprobe::register(at, handler.clone()).and_then(|probe| probe.arm().map(|()| probe));
            let probe = probe.map_err(|e| t.fail(file!(), line!(), format_args!("{e}")))?;
            ways.push(Box::new(move || probe.missed()));
        }
        for _ in 0..CALLS {
            black_box(calls_leaf as fn())();
        }
        check_eq!(t, (way, ran(&handler)), (way, CALLS * MAX_NESTED));
        check_eq!(t, ways.iter().map(|missed| missed()).sum::<u64>(), CALLS);
    }
    Ok(())
}
