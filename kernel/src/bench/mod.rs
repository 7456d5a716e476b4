//! What operations cost, in instructions of the guest: exact, and the same twice.
//!
//! Time means nothing on an emulated machine, and little on a shared one. Under QEMU's `-icount` the PMU counts
//! instructions exactly ([`crate::arch::pmu`]), so a cost can be a figure that is compared by `==`. A row is named
//! `<mechanism>/<case>`:
//!
//! ```ignore
//! pub(crate) const BENCHES: &[Bench] = &[Bench { name: "time/trace-clock-local", run: clock }];
//!
//! fn clock(b: &mut Bencher) -> BenchResult {
//!     b.iter(1000, || { black_box(time::local_clock_ns()); });
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! # bench time
//! {"name":"time/trace-clock-local","ops":1000,"insns_per_op":9.0,"linux":79,"target":10}
//! ```
//!
//! The loop around the operation, and the readings of the counter, are measured on their own with nothing inside and
//! subtracted. `linux` is what the same operation costs in Linux 7.2 on the same machine, `target` what it shall
//! cost here, where there are such figures ([`mod@reference`]).

mod bencher;
mod reference;
mod rows;
mod tests;

pub(crate) use bencher::{Bench, BenchResult, Bencher, Skip};
pub(crate) use tests::TESTS;

use crate::arch::{cpu, pmu};
use crate::boot;
use bencher::Measured;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};

/// Every room that has rows.
const ROOMS: &[&[Bench]] = rows::ROOMS;

/// Instructions of the boot CPU until the shell was ready for its first line; 0: not yet.
static BOOT_INSNS: AtomicU64 = AtomicU64::new(0);

/// Called once by the shell when it is ready for its first line. Not inlined: `cargo xtask profile boot/to-shell` ends
/// where this begins.
#[inline(never)]
pub(crate) fn shell_reached() {
    if cpu::id() == 0 && pmu::counts_instructions() {
        let insns = rows::machine::INSNS_PER_TICK * boot::info().start_ticks + pmu::instructions();
        let _ = BOOT_INSNS.compare_exchange(0, insns, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The program `bench [FILTER]`: the row with this name, or else all whose names contain it. Status 0: all were measured or skipped; 2: bad
/// usage, or nothing matches.
pub(crate) fn run(args: &[&str], out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    let filter = match args {
        [] => "",
        [filter] => filter,
        _ => {
            // The error stream is the last resort: nothing is left to tell about its own failure.
            let _ = writeln!(err, "usage: bench [FILTER]");
            return 2;
        }
    };
    match run_rows(filter, out) {
        Ok(0) => {
            let _ = writeln!(err, "bench: no row matches {filter}");
            2
        }
        Ok(_) => 0,
        Err(fmt::Error) => 1,
    }
}

/// Measures the rows and prints a line for each; how many there were.
fn run_rows(filter: &str, out: &mut dyn Write) -> Result<usize, fmt::Error> {
    let mut rows = 0;
    let all = || ROOMS.iter().copied().flatten();
    let exact = all().any(|b| b.name == filter);
    for bench in all().filter(|b| if exact { b.name == filter } else { b.name.contains(filter) }) {
        rows += 1;
        print_row(out, bench.name, bencher::measure(bench))?;
    }
    Ok(rows)
}

/// One row as a line of JSON. Names and reasons are ours and hold nothing that JSON would escape.
fn print_row(out: &mut dyn Write, name: &str, measured: Result<Measured, Skip>) -> fmt::Result {
    match measured {
        Ok(measured) => {
            let tenths = measured.insns_per_op_tenths();
            let (whole, tenth) = (tenths / 10, tenths % 10);
            write!(out, "{{\"name\":\"{name}\",\"ops\":{},\"insns_per_op\":{whole}.{tenth}", measured.ops)?;
            if let Some(reference) = reference::of(name) {
                if let Some(linux) = reference.linux {
                    write!(out, ",\"linux\":{linux}")?;
                }
                write!(out, ",\"target\":{}", reference.target)?;
            }
            writeln!(out, "}}")
        }
        Err(Skip(why)) => writeln!(out, "{{\"name\":\"{name}\",\"skip\":\"{why}\"}}"),
    }
}
