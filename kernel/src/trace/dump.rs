//! Printing what the rings hold, when something has happened: the commands `dump` and `cpudump`.
//!
//! Asked for in a callback, where no ring can be read: reading waits for locks. So tracing is switched off there and then, which
//! keeps what led here, and a task does the printing:
//!
//! ```text
//!   callback: tracing off, PENDING |= cpus, IrqWork ──▶ interrupt: queue a work ──▶ worker: kernel log, line by line
//! ```
//!
//! The lines are those that Linux prints, and as there the records are taken out of the rings.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::ring::{self, Lane};

use super::output::{BATCH, Printer};
use super::rings;
use crate::sync::{IrqWork, Pinned};
use crate::task;

/// A bit for each CPU whose ring is to be printed.
static PENDING: AtomicU64 = AtomicU64::new(0);
static LATER: IrqWork = IrqWork::new(later);

const RULE: &str = "---------------------------------";

/// Stops tracing, and has a CPU's ring printed, or all. In any context.
pub(super) fn ask(pin: &impl Pinned, only: Option<usize>) {
    rings::set_on(false);
    let cpus = rings::selected(only).fold(0, |bits, cpu| bits | 1 << cpu);
    PENDING.fetch_or(cpus, Ordering::SeqCst);
    LATER.queue(pin);
}

/// In the interrupt.
fn later() {
    if let Err(e) = task::work::SYSTEM.queue(Box::new(|| print(PENDING.swap(0, Ordering::SeqCst)))) {
        log::error!("trace: no dump: {}", e.strerror());
    }
}

/// Prints, and takes, what the rings of these CPUs hold.
fn print(cpus: u64) {
    if cpus == 0 {
        // Another work has printed what was asked for meanwhile.
        return;
    }
    log::info!("Dumping ftrace buffer:");
    let mut printer = Printer::for_dump();
    let (mut any, mut text) = (false, Vec::new());
    loop {
        let held: Vec<_> = rings::cpus().filter(|cpu| cpus & 1 << cpu != 0).map(rings::hold).collect();
        let mut lanes: Vec<_> =
            held.iter().filter_map(|held| Some(Lane::consuming(held.cpu, held.reader()?))).collect();
        let mut lines = 0;
        while lines < BATCH
            && let Some(cpu) = ring::next_of(&mut lanes, &mut printer.record)
        {
            printer.text(cpu, &mut lanes, &mut text);
            lines += 1;
        }
        drop(lanes);
        drop(held);
        if lines == 0 {
            break;
        }
        if !any {
            log::info!("{RULE}");
            any = true;
        }
        for line in String::from_utf8_lossy(&text).lines() {
            log::info!("{line}");
        }
        text.clear();
    }
    log::info!("{}", if any { RULE } else { "   (ftrace buffer empty)" });
}
