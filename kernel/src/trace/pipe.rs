//! `trace_pipe`: takes records as they come, and waits for them. `trace_pipe_raw` takes them as bytes, in pages.
//!
//! A CPU's records go to one reader: while a pipe is open no other that would take of the same ring can be opened
//! (EBUSY, as on Linux). `trace` may be read beside it. What a reader has taken and does not want any more, since it
//! closes half way, is gone, and counted as read.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use tracecore::errno::Errno;
use tracecore::raw_page::RawPage;
use tracecore::ring::{self, Lane, Record};
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
    Text::new(0o440).stream(move |how| {
        let claim = Claim::new(only)?;
        let mut printer = Printer::new();
        Ok(waiting(only, how, move |out| {
            let _held = &claim;
            take(only, &mut printer, out)
        }))
    })
}

/// The file of bytes, for one CPU. It takes beside a `trace_pipe`, as on Linux; each record goes to one of them.
pub(super) fn raw_file(cpu: usize) -> Text {
    Text::new(0o440).stream(move |how| {
        let mut raw = Raw { page: RawPage::default(), record: Box::new(Record::new()), kept: false };
        Ok(waiting(Some(cpu), how, move |out| raw.take(cpu, out)))
    })
}

/// What `take` puts, again and again; where it puts nothing, waits.
fn waiting(
    only: Option<usize>,
    how: How,
    mut take: impl FnMut(&mut Vec<u8>) -> bool + Send + 'static,
) -> Pieces {
    Box::new(move |out: &mut Out| {
        let mut armed: Option<Armed> = None;
        loop {
            if take(out.bytes()) {
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
    })
}

/// A page being filled, and the record that begins the next one.
struct Raw {
    page: RawPage,
    record: Box<Record>,
    kept: bool,
}

impl Raw {
    /// Puts a page, if there are records for one, full or not.
    fn take(&mut self, cpu: usize, out: &mut Vec<u8>) -> bool {
        let held = rings::hold(cpu);
        let Some(mut reader) = held.reader() else { return false };
        loop {
            if !self.kept && !reader.read(&mut self.record) {
                break;
            }
            let record = &self.record;
            self.kept = !self.page.push(record.ts, record.lost, record.bytes());
            if self.kept {
                break;
            }
        }
        if self.page.is_empty() {
            return false;
        }
        self.page.finish(out);
        true
    }
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
        printer.text(cpu, &mut lanes, out);
        any = true;
    }
    any
}
