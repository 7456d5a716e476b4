//! Events that are declared in code: what their tracepoints hand over is recorded here.
//!
//! At boot the list of tracepoints that the linker gathered is walked, and each event gets a number, a class for the
//! readers and a [`Channel`] as its sink:
//!
//! ```text
//!   trace!(sched_switch(…)) ─▶ sched_switch::record ─▶ Channel::record ─▶ filter ─▶ this CPU's ring
//!      a NOP while off           fills words             header                     write_words
//! ```
//!
//! The channel is the tracepoint's direct target while nobody else listens. So it may be reached once more, by a task
//! that was preempted on its way, when the event is off already; it looks, pinned, and records nothing then.
//!
//! What is not recorded is counted: by the filter, or by the ring. Nothing here takes a lock or allocates, for the
//! allocator and the scheduler, holding their own locks, come by.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use tracecore::errno::Errno;
use tracecore::filter::{Context, Filter};
use tracecore::misses::{self, Cause, Layer};
use tracecore::ring::Reservation;

use super::filters::EventFilter;
use super::{buffer, comms, events, gate};
use crate::arch::{cpu, probe_read};
use crate::sync::{Once, PreemptGuard};
use crate::task::{self, Mutex};
use crate::tracepoint::{self, Content, Registration, Sink, Tail, Tracepoint};

/// The longest text behind the fixed part of a record; what is longer is cut.
const MAX_TEXT: usize = 512;
/// What is recorded of a C string that is not there.
const NULL: &str = "(null)";
/// What is recorded of one whose address is bad.
const FAULT: &str = "(fault)";

/// Where the records of one event go.
struct Channel {
    point: &'static Tracepoint,
    id: u16,
    on: AtomicBool,
    /// Where the number of another task lies that the event is about.
    other_task: Option<usize>,
    filter: EventFilter,
    listening: Mutex<Option<Registration>>,
}

/// All of them, by name.
static CHANNELS: Once<Vec<&'static Channel>> = Once::new();

/// No name, for filters that ask for none.
const NAMELESS: [u8; task::COMM_LEN] = [0; task::COMM_LEN];

/// Which field of an event names another task that the event is about: see [`pids`](super::pids).
fn other_task(name: &str) -> Option<&'static str> {
    match name {
        "sched_switch" => Some("next_pid"),
        "sched_waking" | "sched_wakeup" | "sched_wakeup_new" => Some("pid"),
        _ => None,
    }
}

impl Channel {
    /// The other task that an event is about.
    #[inline(always)]
    fn other_pid(&self, words: &[u64]) -> Option<u32> {
        let at = self.other_task?;
        Some((words.get(at / 8)? >> (at % 8 * 8)) as u32)
    }

    /// Asks the filter, whose turn comes before there is room in the ring.
    #[inline(always)]
    fn wants(&self, filter: &Filter, words: &mut [u64]) -> bool {
        if filter.needs_header() {
            self.put_header(words);
        }
        let cpu = cpu::id();
        let wanted = if filter.needs_comm() {
            filter.accepts_words(words, &Context { cpu, comm: &task::current().comm() })
        } else {
            filter.accepts_words(words, &Context { cpu, comm: &NAMELESS })
        };
        if !wanted {
            self.filter.count_anywhere();
        }
        wanted
    }

    /// What the header says of the context is said of the one that passed the tracepoint, before it was pinned.
    #[inline(always)]
    fn put_header(&self, words: &mut [u64]) {
        if let Some(first) = words.first_mut() {
            *first = buffer::header_before_guard(self.id);
        }
    }
}

impl Sink for Channel {
    fn record(&self, words: &mut [u64]) {
        let pin = PreemptGuard::new();
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        if !gate::is_open(&pin, &self.filter, || self.other_pid(words)) {
            return;
        }
        if let Some(filter) = self.filter.active(&pin)
            && !self.wants(filter, words)
        {
            return;
        }
        self.put_header(words);
        // A record that is refused is counted by the ring.
        if buffer::write_words(&pin, words).is_ok() {
            comms::note();
        }
    }

    fn record_with(&self, words: &mut [u64], tails: &[Tail<'_>]) {
        let pin = PreemptGuard::new();
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        if !gate::is_open(&pin, &self.filter, || self.other_pid(words)) {
            return;
        }
        self.put_header(words);
        let fixed = size_of_val(words);
        let len = locate(words, tails);
        // A record that is refused is counted by the ring.
        let Ok(record) = buffer::reserve(&pin, len) else { return };
        record.put_words(words);
        let mut at = fixed;
        for tail in tails {
            at += put_tail(&mut &record, at, tail.content);
        }
        if let Some(filter) = self.filter.active(&pin) {
            let comm = if filter.needs_comm() { task::current().comm() } else { [0; task::COMM_LEN] };
            if !filter.accepts_reserved(&record, &Context { cpu: cpu::id(), comm: &comm }) {
                record.withdraw();
                self.filter.count_anywhere();
                return;
            }
        }
        record.commit();
        comms::note();
    }
}

/// Bytes of `content` in the record, the NUL of a text included.
fn length(content: Content<'_>) -> usize {
    match content {
        Content::Text(text) => text.len().min(MAX_TEXT) + 1,
        Content::TextBytes(text) => text.len().min(MAX_TEXT) + 1,
        Content::Name(name) => to_nul(&name).len() + 1,
        Content::Bytes(bytes) => bytes.len().min(MAX_TEXT),
        Content::Mask(_) => size_of::<u64>(),
        Content::Address(addr) => text_at(addr).unwrap_or_else(str::len) + 1,
    }
}

fn cut(bytes: &[u8]) -> &[u8] {
    bytes.get(..MAX_TEXT).unwrap_or(bytes)
}

fn to_nul(name: &[u8]) -> &[u8] {
    let len = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.get(..len).unwrap_or(name)
}

/// How long the C string at an address is; or what is recorded in its place.
fn text_at(addr: u64) -> Result<usize, &'static str> {
    if addr == 0 {
        return Err(NULL);
    }
    for len in 0..MAX_TEXT {
        match probe_read::read_u8(addr.wrapping_add(len as u64)) {
            Ok(0) => return Ok(len),
            Ok(_) => {}
            Err(_) => return Err(FAULT),
        }
    }
    Ok(MAX_TEXT)
}

/// Where what lies behind the fixed part of a record is put.
trait Room {
    fn put_bytes(&mut self, at: usize, bytes: &[u8]);
}

impl Room for &Reservation<'_> {
    fn put_bytes(&mut self, at: usize, bytes: &[u8]) {
        Reservation::put_bytes(self, at, bytes);
    }
}

impl Room for &mut [u64] {
    fn put_bytes(&mut self, at: usize, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            if let Some(word) = self.get_mut(at / 8) {
                let shift = at % 8 * 8;
                *word = *word & !(0xff << shift) | u64::from(*byte) << shift;
            }
        }
    }
}

/// For those who want a whole record without a ring: puts it into `room`, its header left as it is. Says how long it is; not
/// if there is not so much room.
pub(crate) fn stage(words: &mut [u64], tails: &[Tail<'_>], room: &mut [u64]) -> Option<usize> {
    let fixed = size_of_val(words);
    let len = locate(words, tails);
    if len > size_of_val(room) {
        return None;
    }
    for (to, from) in room.iter_mut().zip(words.iter()) {
        *to = *from;
    }
    let (mut room, mut at) = (room, fixed);
    for tail in tails {
        at += put_tail(&mut room, at, tail.content);
    }
    Some(len)
}

/// Puts the locations of what lies behind the fixed part: where each begins, and above that how long it is. Says how long the
/// record is.
fn locate(words: &mut [u64], tails: &[Tail<'_>]) -> usize {
    let mut len = size_of_val(words);
    for tail in tails {
        let bytes = length(tail.content);
        put_u32(words, tail.at, (bytes << 16 | len) as u32);
        len += bytes;
    }
    len
}

/// Puts it; how many bytes that are. A string that somebody changes meanwhile is recorded as it was found, with a NUL
/// where one was announced.
fn put_tail(record: &mut impl Room, at: usize, content: Content<'_>) -> usize {
    match content {
        Content::Text(whole) => put_text(record, at, cut(whole.as_bytes())),
        Content::TextBytes(whole) => put_text(record, at, cut(whole)),
        Content::Name(name) => put_text(record, at, to_nul(&name)),
        Content::Bytes(bytes) => {
            let bytes = cut(bytes);
            record.put_bytes(at, bytes);
            bytes.len()
        }
        Content::Mask(mask) => {
            record.put_bytes(at, &mask.to_le_bytes());
            size_of::<u64>()
        }
        Content::Address(addr) => match text_at(addr) {
            Ok(len) => {
                for index in 0..len {
                    let byte = probe_read::read_u8(addr.wrapping_add(index as u64)).unwrap_or(0);
                    record.put_bytes(at + index, &[byte]);
                }
                record.put_bytes(at + len, b"\0");
                len + 1
            }
            Err(instead) => put_text(record, at, instead.as_bytes()),
        },
    }
}

/// A text, and a NUL behind it.
fn put_text(record: &mut impl Room, at: usize, text: &[u8]) -> usize {
    record.put_bytes(at, text);
    record.put_bytes(at + text.len(), b"\0");
    text.len() + 1
}

/// Puts four bytes into words, at an offset that is a multiple of four.
fn put_u32(words: &mut [u64], at: usize, value: u32) {
    if let Some(word) = words.get_mut(at / 8) {
        *word |= u64::from(value) << (at % 8 * 8);
    }
}

/// The switch of an event.
struct Switch(&'static Channel);

impl events::Source for Switch {
    fn switch(&self, on: bool) -> Result<(), Errno> {
        let mut listening = self.0.listening.lock();
        self.0.on.store(on, Ordering::Relaxed);
        let registration = match on {
            true => match self.0.point.record() {
                Ok(registration) => Some(registration),
                Err(e) => {
                    self.0.on.store(false, Ordering::Relaxed);
                    return Err(e);
                }
            },
            false => None,
        };
        // Dropping waits until nobody records any more.
        *listening = registration;
        Ok(())
    }

    fn filter(&self) -> &EventFilter {
        &self.0.filter
    }
}

/// Gives every declared event its number, its files and its sink. Once.
pub(super) fn init() -> Result<(), Errno> {
    let mut declared: Vec<_> = tracepoint::all().filter_map(|point| Some((point, point.event()?))).collect();
    // The linker's order changes with the code, and numbers should not.
    declared.sort_unstable_by_key(|(point, _)| (point.system(), point.name()));
    let mut channels = Vec::new();
    for ((point, event), id) in declared.into_iter().zip(events::FIRST_DECLARED_ID..events::FIRST_DYNAMIC_ID)
    {
        let mut class = match event.class().describe(point.system(), point.name()) {
            Ok(class) => class,
            Err(e) => {
                log::error!("tracepoint {point:?}: its print fmt is wrong: {e:?}");
                return Err(Errno::EINVAL);
            }
        };
        class.id = id;
        let channel: &'static Channel = Box::leak(Box::new(Channel {
            point,
            id,
            on: AtomicBool::new(false),
            other_task: other_task(point.name())
                .and_then(|name| class.field(name))
                .map(|field| usize::from(field.offset)),
            filter: EventFilter::new(),
            listening: Mutex::new(None),
        }));
        event.set_sink(channel);
        events::add(Arc::new(class), Arc::new(Switch(channel)));
        channels.push(channel);
    }
    CHANNELS.set(channels).map_err(|_| Errno::EBUSY)
}

/// Adds the records that filters did not want, and what tracepoints did not tell.
pub(super) fn misses(table: &mut misses::Table) {
    for point in tracepoint::all().filter(|point| point.missed() > 0) {
        let owner = events::name(point.system(), point.name());
        table.add(Layer::Event, &owner, Cause::Recursion, point.missed());
    }
    for channel in CHANNELS.get().into_iter().flatten() {
        let filtered = channel.filter.filtered();
        if filtered > 0 {
            let owner = events::name(channel.point.system(), channel.point.name());
            table.add(Layer::Event, &owner, Cause::Filtered, filtered);
        }
    }
}
