//! The profiler of functions: how often each was called, and how long that took.
//!
//! ```text
//!   echo 1 > function_profile_enabled      counts from zero, of the functions that set_ftrace_filter leaves
//!   cat trace_stat/function0               what CPU 0 has seen, the longest first
//! ```
//!
//! A user of [`crate::ftrace::graph`]: a call is counted at its entry, its time is added at its return, both to the table
//! of the CPU it is on then. A table has a row for each function, found by the function's number. Interrupts are masked
//! in both, so nothing comes between a load and its store.
//!
//! The time of a call contains that of the calls it makes, and the time it slept. `s^2` is the variance of a sample, in square
//! microseconds, as Linux shows it; the sum of squares has 128 bits, so it does not overflow.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::text;

use super::filter;
use crate::arch::cpu;
use crate::fs::textfs::{Pieces, Text, value};
use crate::fs::tracefs;
use crate::ftrace::graph::{self, Call, Graph, Returned, Verdict};
use crate::ftrace::regs::{Entry, Return};
use crate::ftrace::{self, FtraceRegs, Site};
use crate::rethook::Listener;
use crate::sync::CpuPin;
use crate::task::Mutex;
use crate::time;
use crate::trace::rings;

/// A function on a CPU.
#[derive(Default)]
struct Row {
    hits: AtomicU64,
    time_ns: AtomicU64,
    /// The sum of squares, low and high.
    squares: [AtomicU64; 2],
}

impl Row {
    fn add(&self, time_ns: u64) {
        let [low, high] = &self.squares;
        let before = u128::from(high.load(Ordering::Relaxed)) << 64 | u128::from(low.load(Ordering::Relaxed));
        let after = before.saturating_add(u128::from(time_ns) * u128::from(time_ns));
        low.store(after as u64, Ordering::Relaxed);
        high.store((after >> 64) as u64, Ordering::Relaxed);
        self.time_ns.store(self.time_ns.load(Ordering::Relaxed).saturating_add(time_ns), Ordering::Relaxed);
    }
}

/// The tables, by CPU and by a function's number.
struct Profile(Vec<Vec<Row>>);

impl Profile {
    fn new() -> Result<Self, Errno> {
        let mut tables = Vec::new();
        for _ in rings::cpus() {
            let mut table = Vec::new();
            table.try_reserve_exact(ftrace::sites().len()).map_err(|_| Errno::ENOMEM)?;
            table.resize_with(ftrace::sites().len(), Row::default);
            tables.push(table);
        }
        Ok(Self(tables))
    }

    #[inline(always)]
    fn row(&self, function: u64) -> Option<&Row> {
        self.0.get(cpu::id())?.get(Site { function: function as usize }.number()?)
    }
}

impl Listener for Profile {
    fn enter(&self, call: &Call<'_>, _: &mut FtraceRegs<Entry>, data: &mut [u64]) -> Verdict {
        if let Some(row) = self.row(call.function()) {
            row.hits.store(row.hits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        graph::keep(data, time::local_clock_ns());
        Verdict::Keep
    }

    fn exit(&self, returned: Returned<'_>, _: &mut FtraceRegs<Return>, _: &CpuPin) {
        let since = graph::kept::<u64>(returned);
        if let (Some(since), Some(row)) = (since, self.row(returned.function())) {
            row.add(time::local_clock_ns().saturating_sub(since));
        }
    }

    fn data_words(&self) -> usize {
        1
    }

    fn name(&self) -> &str {
        "profile"
    }
}

struct State {
    on: Option<Graph>,
    /// Of the present or the last time.
    profile: Option<Arc<Profile>>,
}

static STATE: Mutex<State> = Mutex::new(State { on: None, profile: None });

fn switch(on: bool) -> Result<(), Errno> {
    let mut state = STATE.lock();
    if on == state.on.is_some() {
        return Ok(());
    }
    state.on = None;
    if on {
        let profile = Arc::new(Profile::new()?);
        state.on = Some(Graph::register("profile", profile.clone(), filter::wanted())?);
        state.profile = Some(profile);
    }
    Ok(())
}

/// The filter has changed.
pub(super) fn refilter() -> Result<(), Errno> {
    STATE.lock().on.as_ref().map_or(Ok(()), |graph| graph.set_sites(filter::wanted()))
}

/// Lines that one piece of a table has.
const BATCH: usize = 64;

/// A line of a table.
struct Line {
    site: Site,
    hits: u64,
    time_ns: u64,
    squares: u128,
}

impl Line {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { site, hits, time_ns, squares } = *self;
        let name: Box<str> = filter::name(site).chars().take(30).collect();
        out.extend_from_slice(format!("  {name:<30}  {hits:10}    ").as_bytes());
        let (count, sum) = (u128::from(hits), u128::from(time_ns));
        // Welford: (n Σx² − (Σx)²) / n (n − 1), and once by a thousand: the other is the unit's.
        let variance = match count {
            0 | 1 => 0,
            _ => count.saturating_mul(squares).saturating_sub(sum * sum) / (count * (count - 1) * 1000),
        };
        let average = time_ns.checked_div(hits).unwrap_or(0);
        for value in [time_ns, average, u64::try_from(variance).unwrap_or(u64::MAX)] {
            text::duration(value, out);
            out.extend_from_slice(b"    ");
        }
        out.truncate(out.len() - 4);
        out.push(b'\n');
    }
}

const HEADING: &[u8] = b"  Function                               Hit    Time            Avg             s^2
  --------                               ---    ----            ---             ---
";

fn table(cpu: usize) -> Pieces {
    let profile = STATE.lock().profile.clone();
    let mut lines: Vec<Line> = Vec::new();
    if let Some(rows) = profile.as_ref().and_then(|profile| profile.0.get(cpu)) {
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        lines.extend(ftrace::sites().zip(rows).filter(|(_, row)| get(&row.hits) > 0).map(|(site, row)| {
            let [low, high] = &row.squares;
            let squares = u128::from(get(high)) << 64 | u128::from(get(low));
            Line { site, hits: get(&row.hits), time_ns: get(&row.time_ns), squares }
        }));
        lines.sort_by_key(|line| core::cmp::Reverse(line.time_ns));
    }
    let mut next = None;
    Box::new(move |out| {
        let Some(from) = next else {
            out.bytes().extend_from_slice(HEADING);
            next = Some(0);
            return Ok(true);
        };
        let piece = lines.iter().skip(from).take(BATCH);
        next = Some(from + piece.len());
        let some = piece.len() > 0;
        piece.for_each(|line| line.put(out.bytes()));
        Ok(some)
    })
}

pub(super) fn init() {
    let root = tracefs::tracefs();
    root.file(
        "function_profile_enabled",
        Text::new(0o640)
            .show(|out| writeln!(out, "{}", u8::from(STATE.lock().on.is_some())).map_err(|_| Errno::ENOMEM))
            .write(|data| {
                switch(value::flag(data)?)?;
                Ok(data.len())
            }),
    );
    let dir = root.dir("trace_stat", 0o750);
    for cpu in rings::cpus() {
        dir.file(&format!("function{cpu}"), Text::new(0o440).seq(move |_| Ok(table(cpu))));
    }
}
