//! `trace_clock`: what stamps records.
//!
//! | name | what it is | order among CPUs |
//! |---|---|---|
//! | `local` | nanoseconds of the generic timer, read without waiting for what stands before | as exact as the processor reorders |
//! | `global` | the same, read in order: who saw an event has a later time | exact |
//! | `counter` | a number that each look makes one greater; no time | exact |
//! | `uptime` | hundredths of a second since boot, Linux's clock ticks | as `global` |
//! | `mono`, `boot` | nanoseconds since boot; this machine never sleeps, so both are the same | as `global` |
//!
//! Linux has `perf`, `mono_raw` and `tai` too. There is no perf clock, no clock that is corrected and so has a raw form,
//! and no atomic time here: they are not listed, and refused.
//!
//! While `local` is chosen the choice costs one NOP, a static key. Another clock starts the rings anew: times of two
//! clocks in one ring would be out of order.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tracecore::errno::Errno;
use tracecore::text::Times;

use super::rings;
use crate::fs::textfs::{Text, value};
use crate::fs::tracefs;
use crate::jump_label::{StaticKey, static_branch_unlikely};
use crate::time;

struct Clock {
    name: &'static str,
    read: fn() -> u64,
    times: Times,
}

/// In Linux's order; the first is the one that the key skips.
const CLOCKS: [Clock; 6] = [
    Clock { name: "local", read: local, times: Times::Nanoseconds },
    Clock { name: "global", read: ordered, times: Times::Nanoseconds },
    Clock { name: "counter", read: counter, times: Times::Counts },
    Clock { name: "uptime", read: uptime, times: Times::Counts },
    Clock { name: "mono", read: ordered, times: Times::Nanoseconds },
    Clock { name: "boot", read: ordered, times: Times::Nanoseconds },
];
const LOCAL: usize = 0;

/// A clock other than `local` is chosen.
static OTHER: StaticKey = StaticKey::new("trace_clock", false);
/// Index into [`CLOCKS`].
static CHOSEN: AtomicUsize = AtomicUsize::new(LOCAL);
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds of one clock tick: Linux's `USER_HZ` of 100.
const TICK_NS: u64 = 10_000_000;

fn local() -> u64 {
    time::local_clock_ns()
}

fn ordered() -> u64 {
    time::now_ns()
}

fn counter() -> u64 {
    COUNTER.fetch_add(1, Ordering::Relaxed) + 1
}

fn uptime() -> u64 {
    time::now_ns() / TICK_NS
}

fn chosen() -> &'static Clock {
    CLOCKS.get(CHOSEN.load(Ordering::Relaxed)).unwrap_or(&CLOCKS[LOCAL])
}

/// The clock that stamps records. Called through a pointer at every record, so it has no entry to be traced at.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
pub(super) fn now() -> u64 {
    if static_branch_unlikely!(OTHER) {
        return (chosen().read)();
    }
    time::local_clock_ns()
}

/// What the times of records are.
pub(super) fn times() -> Times {
    chosen().times
}

/// Chooses a clock. What was recorded goes.
fn choose(name: &str) -> Result<(), Errno> {
    let index = CLOCKS.iter().position(|clock| clock.name == name).ok_or(Errno::EINVAL)?;
    rings::restart(|| {
        CHOSEN.store(index, Ordering::Relaxed);
        let flipped = match (index == LOCAL, OTHER.is_enabled()) {
            (true, true) => OTHER.disable(),
            (false, false) => OTHER.enable(),
            _ => Ok(()),
        };
        flipped.map_err(|refusal| refusal.errno())
    })
}

pub(super) fn init() {
    tracefs::tracefs().file(
        "trace_clock",
        Text::new(0o640)
            .show(|out| {
                let chosen = chosen().name;
                for (i, clock) in CLOCKS.iter().enumerate() {
                    let (open, close) = if clock.name == chosen { ("[", "]") } else { ("", "") };
                    write!(out, "{}{open}{}{close}", if i == 0 { "" } else { " " }, clock.name)
                        .map_err(|_| Errno::ENOMEM)?;
                }
                out.write_str("\n").map_err(|_| Errno::ENOMEM)
            })
            .write(|data| {
                choose(value::short_word(data, MAX_NAME)?)?;
                Ok(data.len())
            }),
    );
}

/// The longest write, as on Linux.
const MAX_NAME: usize = 63;
