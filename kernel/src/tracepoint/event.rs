//! What an event adds to a tracepoint: a record.
//!
//! ```text
//!   arguments ─ the class's function ─▶ Record      words on the stack, fields at the offsets of the C struct
//!                                         │
//!                              Event::sink│ record(words)             nothing lies behind the fixed part
//!                                         │ record_with(words, tails) texts, each announced by a __data_loc word
//!                                         ▼
//!                              header, filter, ring
//! ```
//!
//! A filter can judge the words before there is room in the ring, so a record that nobody wants costs no reservation.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tracecore::errno::Errno;
use tracecore::event::{Class, Field, PrintError, declared_class};

use super::c::CType;
use super::point::Probe;
use super::{Registration, Target, Tracepoint};
use crate::sync::Once;

/// What takes the records of an event.
pub(crate) trait Sink: Send + Sync {
    /// Takes a record whose first word is free for the header.
    fn record(&self, words: &mut [u64]);
    /// The same for one with something behind the fixed part.
    fn record_with(&self, words: &mut [u64], tails: &[Tail<'_>]);
}

/// Something whose length is known only when the event happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail<'a> {
    /// Where in the fixed part the word is that says where it is.
    pub(crate) at: usize,
    /// The bytes.
    pub(crate) content: Content<'a>,
}

/// Bytes of a task's name.
pub(crate) const NAME_LEN: usize = 16;

/// Where such bytes come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    /// A text, recorded with a NUL behind it.
    Text(&'a str),
    /// A text, as its bytes, recorded with a NUL behind it.
    TextBytes(&'a [u8]),
    /// A name filled up with NULs, recorded with one behind it.
    Name([u8; NAME_LEN]),
    /// Bytes as they are.
    Bytes(&'a [u8]),
    /// A C string at an address that may be bad; the record says so then.
    Address(u64),
    /// A mask of CPUs.
    Mask(u64),
}

impl Content<'_> {
    /// No bytes.
    pub(crate) const NONE: Self = Self::Bytes(&[]);
}

/// A field, before the kernel has a heap.
#[derive(Debug)]
pub(crate) struct FieldSpec {
    name: &'static str,
    ty: &'static str,
    count: u16,
    offset: u16,
    size: u16,
    signed: bool,
}

impl FieldSpec {
    /// The field of this type; for the macros.
    pub(crate) const fn of<T: CType>(name: &'static str, offset: usize) -> Self {
        let (offset, size) = (offset as u16, size_of::<T::Repr>() as u16);
        Self { name, ty: T::NAME, count: T::COUNT, offset, size, signed: T::SIGNED }
    }
}

/// The body that several events share.
#[derive(Debug)]
pub(crate) struct EventClass {
    /// Its fields, in the order of the record.
    pub(crate) fields: &'static [FieldSpec],
    /// The C text that shows it.
    pub(crate) print: &'static str,
}

impl EventClass {
    /// What readers know of it, under a name.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn describe(&self, system: &'static str, name: &'static str) -> Result<Class, PrintError> {
        let fields: Vec<Field> = self
            .fields
            .iter()
            .map(|spec| {
                let mut field = Field::new(spec.ty, spec.name, spec.offset, spec.size, spec.signed);
                if spec.count > 0 {
                    field.suffix = format!("[{}]", spec.count).into();
                }
                field
            })
            .collect();
        declared_class(system, name, fields, self.print)
    }
}

/// An event: a class under a name, and who takes its records.
pub(crate) struct Event {
    class: &'static EventClass,
    recorder: &'static Target,
    sink: Once<&'static dyn Sink>,
}

impl Event {
    /// An event without a sink; for the macros.
    pub(crate) const fn new(class: &'static EventClass, recorder: &'static Target) -> Self {
        Self { class, recorder, sink: Once::new() }
    }

    /// Its class.
    pub(crate) fn class(&self) -> &'static EventClass {
        self.class
    }

    /// The probe that fills its records.
    pub(crate) fn recorder(&self) -> &'static Target {
        self.recorder
    }

    /// Says who takes its records. Once.
    pub(crate) fn set_sink(&self, sink: &'static dyn Sink) -> bool {
        self.sink.set(sink).is_ok()
    }
}

/// An event's records for one more who wants them.
struct Tap<S> {
    event: Event,
    _sink: Arc<S>,
}

/// Hands the records of a tracepoint's event to `sink`, too, with preemption off, until the registration is dropped.
///
/// # Errors
/// ENOENT when it has no event; EEXIST when the sink has them already; ENOMEM; those of the key's flip.
pub(crate) fn tap<S: Sink + 'static>(
    point: &'static Tracepoint,
    sink: Arc<S>,
    priority: i32,
) -> Result<Registration, Errno> {
    let of = point.event().ok_or(Errno::ENOENT)?;
    let data = Arc::as_ptr(&sink);
    let event = Event::new(of.class, of.recorder);
    // SAFETY: it is reached through the event alone, and both lie in a tap, which lives as long as the probe is called.
    event.set_sink(unsafe { &*data });
    let tap = Arc::new(Tap { event, _sink: sink });
    let function = of.recorder.function;
    // SAFETY: the class's function takes the tracepoint's arguments and an event.
    let target = unsafe { Target::new(function, (&raw const tap.event).cast()) };
    point.add(Probe::owned(target, (function.addr(), data.addr()), tap, priority))
}

/// A record of `WORDS` words and up to `TAILS` parts behind them, on its way.
pub(crate) struct Record<'a, const WORDS: usize, const TAILS: usize> {
    words: [u64; WORDS],
    tails: [Tail<'a>; TAILS],
    used: usize,
}

impl<'a, const WORDS: usize, const TAILS: usize> Record<'a, WORDS, TAILS> {
    /// All zeros.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { words: [0; WORDS], tails: [Tail { at: 0, content: Content::NONE }; TAILS], used: 0 }
    }

    /// Puts the bytes of a number at an offset of the record, over zeros.
    #[inline(always)]
    pub(crate) fn put(&mut self, at: usize, bits: u64) {
        let shift = at % 8 * 8;
        if let Some(word) = self.words.get_mut(at / 8) {
            *word |= bits << shift;
        }
        if shift != 0
            && let Some(word) = self.words.get_mut(at / 8 + 1)
        {
            *word |= bits >> (64 - shift);
        }
    }

    /// Puts something behind the fixed part; the word at `at` will say where.
    #[inline(always)]
    pub(crate) fn put_tail(&mut self, at: usize, content: Content<'a>) {
        if let Some(tail) = self.tails.get_mut(self.used) {
            *tail = Tail { at, content };
            self.used += 1;
        }
    }

    /// Hands it to the event's sink.
    #[inline(always)]
    pub(crate) fn write(mut self, event: &Event) {
        let Some(sink) = event.sink.get() else { return };
        if TAILS == 0 {
            sink.record(&mut self.words);
        } else {
            sink.record_with(&mut self.words, &self.tails);
        }
    }
}
