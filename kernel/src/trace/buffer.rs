//! A ring per CPU, and the way into it.

use alloc::boxed::Box;
use alloc::format;
use core::sync::atomic::Ordering;

use tracecore::errno::Errno;
use tracecore::event::{BH_OFF, HARDIRQ, Header, IRQS_OFF, NEED_RESCHED, NMI, SOFTIRQ};
use tracecore::fetch::{Hit, Program};
use tracecore::filter::{Context, Filter};
use tracecore::ring::{self, CpuRing, Mode, Refused, Reservation};

use crate::arch::thread::{self, HARDIRQ_MASK, NMI_MASK, PREEMPT_OFFSET, SOFTIRQ_MASK, SOFTIRQ_OFFSET};
use crate::arch::{cpu, daif};
use crate::boot;
use crate::fs::textfs::Text;
use crate::fs::tracefs;
use crate::sync::{Once, Pinned, per_cpu};
use crate::{task, time};

/// Size of each CPU's ring, as `buffer_size_kb` counts it. Linux's default.
const DEFAULT_KB: usize = 1408;

per_cpu! {
    /// This CPU's ring; made at boot and never replaced.
    static RING: Once<&'static CpuRing> = Once::new();
}

/// Makes a ring for every CPU of the machine.
pub(super) fn init() -> Result<(), Errno> {
    for cpu in 0..boot::info().cpus().len() {
        let ring =
            CpuRing::new(DEFAULT_KB * 1024 / ring::PAGE_BYTES, Mode::Overwrite).map_err(|_| Errno::ENOMEM)?;
        RING.on(cpu).set(Box::leak(Box::new(ring))).map_err(|_| Errno::EBUSY)?;
    }
    let root = tracefs::tracefs();
    root.file(
        "tracing_on",
        Text::new(0o640).flag(is_on, |on| {
            set_on(on);
            Ok(())
        }),
    );
    let kb = |pages: usize| pages * ring::PAGE_BYTES / 1024;
    root.file(
        "buffer_size_kb",
        Text::shown(0o440, move |out| {
            writeln!(out, "{}", rings().next().map_or(0, |(_, ring)| kb(ring.pages())))
                .map_err(|_| Errno::ENOMEM)
        }),
    );
    root.file(
        "buffer_total_size_kb",
        Text::shown(0o440, move |out| {
            writeln!(out, "{}", rings().map(|(_, ring)| kb(ring.pages())).sum::<usize>())
                .map_err(|_| Errno::ENOMEM)
        }),
    );
    for (cpu, ring) in rings() {
        let dir = root.dir("per_cpu", 0o750).dir(&format!("cpu{cpu}"), 0o750);
        dir.file(
            "stats",
            Text::shown(0o440, move |out| {
                let mut text = alloc::vec::Vec::new();
                tracecore::text::stats(&stats(ring), &mut text);
                out.write_str(&alloc::string::String::from_utf8_lossy(&text)).map_err(|_| Errno::ENOMEM)
            }),
        );
    }
    Ok(())
}

/// The rings there are, by CPU.
pub(super) fn rings() -> impl Iterator<Item = (usize, &'static CpuRing)> {
    (0..boot::info().cpus().len()).filter_map(|cpu| Some((cpu, *RING.on(cpu).get()?)))
}

fn is_on() -> bool {
    rings().any(|(_, ring)| ring.is_on())
}

fn set_on(on: bool) {
    rings().for_each(|(_, ring)| ring.set_on(on));
}

/// The clock that stamps records. Called through a pointer at every record, so it has no entry to be traced at.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn clock() -> u64 {
    time::local_clock_ns()
}

fn stats(ring: &'static CpuRing) -> ring::Stats {
    reader(ring).map(|reader| reader.stats(clock())).unwrap_or_default()
}

/// The right to read a ring. Readers hold it for a bounded time, so this waits for its turn.
pub(super) fn reader(ring: &'static CpuRing) -> Option<ring::Reader<'static>> {
    /// Longer than any reader of this kernel takes for one batch, on the slowest host.
    const TRIES: usize = 100_000;
    (0..TRIES).find_map(|_| {
        let reader = ring.reader();
        if reader.is_none() {
            task::yield_now();
        }
        reader
    })
}

/// Throws away what these rings hold.
pub(super) fn reset(rings: impl Iterator<Item = (usize, &'static CpuRing)>) {
    for (_, ring) in rings {
        if let Some(mut reader) = reader(ring) {
            reader.reset();
        }
    }
}

/// The first word of a record made here and now: which event, in what context, by whom.
#[inline(always)]
pub(super) fn header(id: u16) -> u64 {
    header_with(id, thread::current().count())
}

/// The same for a tracer, which holds off preemption itself: what counts is how it was before.
#[inline(always)]
pub(super) fn header_before_guard(id: u16) -> u64 {
    header_with(id, thread::current().count() - PREEMPT_OFFSET)
}

#[inline(always)]
fn header_with(id: u16, count: u32) -> u64 {
    let head = thread::current();
    let mut flags = 0;
    if daif::irqs_masked() {
        flags |= IRQS_OFF;
    }
    if head.need_resched.load(Ordering::Relaxed) != 0 {
        flags |= NEED_RESCHED;
    }
    if count & (HARDIRQ_MASK | NMI_MASK | SOFTIRQ_MASK) != 0 {
        flags |= context_flags(count);
    }
    let preempt_count = (count & (SOFTIRQ_OFFSET - PREEMPT_OFFSET)) as u8 & 0xf;
    Header { id, flags, preempt_count, pid: task::current().pid() as i32 }.to_word()
}

/// A softirq that runs has an odd count; each guard that holds them off adds two.
#[cold]
fn context_flags(count: u32) -> u8 {
    let flag = |mask, flag| if count & mask != 0 { flag } else { 0 };
    flag(HARDIRQ_MASK, HARDIRQ)
        | flag(NMI_MASK, NMI)
        | flag(SOFTIRQ_OFFSET, SOFTIRQ)
        | flag(SOFTIRQ_MASK & !SOFTIRQ_OFFSET, BH_OFF)
}

/// Writes the record of a probe's hit at `addr`: the [`header`], the address and what the program fetches.
#[inline(always)]
pub(super) fn record_probe(
    pin: &impl Pinned,
    id: u16,
    addr: u64,
    program: &Program,
    hit: &Hit<'_>,
) -> Result<(), Refused> {
    program.write_probe(hit, Header::from_word(header(id)), addr, this_ring(pin).ok_or(Refused::Off)?, clock)
}

/// Writes the record of a return: the [`header`], the function, where it returns to, and what the program fetches.
#[inline(always)]
pub(super) fn record_return(
    pin: &impl Pinned,
    id: u16,
    function: u64,
    return_ip: u64,
    program: &Program,
    hit: &Hit<'_>,
) -> Result<(), Refused> {
    let ring = this_ring(pin).ok_or(Refused::Off)?;
    program.write_return(hit, Header::from_word(header(id)), function, return_ip, ring, clock)
}

/// The same, if `filter` wants the record; says whether it does.
#[inline(always)]
pub(super) fn record_return_if(
    pin: &impl Pinned,
    filter: &Filter,
    id: u16,
    function: u64,
    return_ip: u64,
    program: &Program,
    hit: &Hit<'_>,
) -> Result<bool, Refused> {
    let context = Context { cpu: cpu::id(), comm: hit.comm };
    let ring = this_ring(pin).ok_or(Refused::Off)?;
    let header = Header::from_word(header(id));
    program.write_return_if(filter, &context, hit, header, function, return_ip, ring, clock)
}

/// [`record_probe`], if `filter` wants the record; says whether it does.
#[inline(always)]
pub(super) fn record_probe_if(
    pin: &impl Pinned,
    filter: &Filter,
    id: u16,
    addr: u64,
    program: &Program,
    hit: &Hit<'_>,
) -> Result<bool, Refused> {
    let context = Context { cpu: cpu::id(), comm: hit.comm };
    let ring = this_ring(pin).ok_or(Refused::Off)?;
    program.write_probe_if(filter, &context, hit, Header::from_word(header(id)), addr, ring, clock)
}

/// Writes a record of whole words, which begins with its [`header`].
#[inline(always)]
pub(super) fn write_words(pin: &impl Pinned, words: &[u64]) -> Result<(), Refused> {
    this_ring(pin).ok_or(Refused::Off)?.write_words(words, clock)
}

/// Room for a record in this CPU's ring.
#[inline(always)]
pub(super) fn reserve(pin: &impl Pinned, len: usize) -> Result<Reservation<'static>, Refused> {
    this_ring(pin).ok_or(Refused::Off)?.reserve(len, clock)
}

#[inline(always)]
fn this_ring(pin: &impl Pinned) -> Option<&'static CpuRing> {
    RING.this_cpu(pin).get().copied()
}
