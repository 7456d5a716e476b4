//! `trace_pipe`: takes records as they come, and waits for them.
//!
//! A CPU's records go to one reader: while a pipe is open no other that would take of the same ring can be opened
//! (EBUSY, as on Linux). `trace` may be read beside it. What a reader has taken and does not want any more, since it
//! closes half way, is gone, and counted as read.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use tracecore::errno::Errno;
use tracecore::ring::{self, Lane};
use tracecore::text;

use super::output::{BATCH, Printer};
use super::rings::{self, Armed};
use crate::fs::textfs::{Out, Pieces, Text};
use crate::fs::vfs::How;

/// CPUs whose rings have a pipe.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// The right to take from some rings.
struct Claim(u32);

impl Claim {
    fn new(only: Option<usize>) -> Result<Self, Errno> {
        let cpus = rings::selected(only).fold(0, |cpus, cpu| cpus | 1 << cpu);
        TAKEN
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |taken| {
                (taken & cpus == 0).then_some(taken | cpus)
            })
            .map_err(|_| Errno::EBUSY)?;
        Ok(Self(cpus))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        TAKEN.fetch_and(!self.0, Ordering::AcqRel);
    }
}

/// The file, for one CPU or for all.
pub(super) fn file(only: Option<usize>) -> Text {
    Text::new(0o440).stream(move |how| open(only, how))
}

fn open(only: Option<usize>, how: How) -> Result<Pieces, Errno> {
    let claim = Claim::new(only)?;
    let mut printer = Printer::new();
    Ok(Box::new(move |out: &mut Out| {
        let _held = &claim;
        let mut armed: Option<Armed> = None;
        loop {
            if take(only, &mut printer, out.bytes()) {
                return Ok(true);
            }
            if how.nonblock {
                return Err(Errno::EAGAIN);
            }
            match armed.take() {
                Some(armed) => armed.wait()?,
                None => armed = Some(Armed::new(only)),
            }
        }
    }))
}

/// Takes some records, if there are any.
fn take(only: Option<usize>, printer: &mut Printer, out: &mut Vec<u8>) -> bool {
    let held = rings::hold_all(only);
    let mut lanes: Vec<_> =
        held.iter().filter_map(|held| Some(Lane::consuming(held.cpu, held.reader()?))).collect();
    printer.look_up_style();
    let mut any = false;
    for _ in 0..BATCH {
        let Some(cpu) = ring::next_of(&mut lanes, &mut printer.record) else { break };
        if printer.record.lost > 0 {
            text::lost(cpu, printer.record.lost, out);
        }
        printer.line(cpu, out);
        any = true;
    }
    any
}
