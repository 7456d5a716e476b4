//! The ring under a model checker.
//!
//! The ring's source is compiled here with loom's atomics: each model is run once for every order of accesses between
//! its two threads with at most [`PREEMPTIONS`] forced switches, and for every value that the memory model allows a
//! load to see. So this test is about what `tests/ring_nested.rs`, which interrupts everywhere but on one
//! processor, cannot see: the orderings. A page holds one record, or five small ones.
//!
//! Loom lets a load see values from the past, not from the future. So the one edge that keeps loads from
//! sinking below a release, the reader's last look at a page before it puts the page back, is not checked here.

extern crate alloc;

use core::cell::Cell;

use loom::sync::Arc;
use loom::thread;

use ring::{CpuRing, Mode, Record};

#[path = "../src/ring/mod.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "compiled for its mechanism; this test uses some of what it offers"
)]
mod ring;

/// Loom's atomics, and pages of 16 words.
mod ring_env {
    pub(crate) use loom::sync::atomic::{AtomicU64 as Word, Ordering, fence};

    pub(crate) const OFF_BITS: u32 = 4;
}

/// Forced switches from one thread to the other, per run, if a model does not say how many.
const PREEMPTIONS: usize = 3;
/// Payload words of a record that has a page for itself.
const LARGE: usize = 5;
const SMALL: usize = 1;

thread_local!(static NOW: Cell<u64> = const { Cell::new(0) });

/// Only the writer asks for the time.
fn now() -> u64 {
    NOW.replace(NOW.get() + 1)
}

fn model(check: impl Fn(Arc<CpuRing>) + Sync + Send + 'static) {
    model_with(PREEMPTIONS, check);
}

fn model_with(preemptions: usize, check: impl Fn(Arc<CpuRing>) + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        NOW.set(1);
        check(Arc::new(CpuRing::new(2, Mode::Overwrite).unwrap()));
    });
}

fn write(ring: &CpuRing, words: usize, id: u64) {
    ring.write_words(&[id; LARGE][..words], now).unwrap();
}

/// The number of a record, which must be whole, and not before the last one.
fn id_of(record: &Record, last: &mut (u64, u64)) -> u64 {
    let words = record.bytes().as_chunks::<8>().0;
    let id = u64::from_le_bytes(words[0]);
    assert!(words.iter().all(|word| u64::from_le_bytes(*word) == id), "torn: {words:?}");
    assert!(id > last.0 && record.ts > last.1, "{id} at {} after {last:?}", record.ts);
    *last = (id, record.ts);
    id
}

/// Reads up to `most`; how many there were, and how many were lost before them.
fn read(ring: &CpuRing, most: usize, last: &mut (u64, u64)) -> (u64, u64) {
    let (mut reader, mut record, mut lost) = (ring.reader().unwrap(), Record::new(), 0);
    let mut count = 0;
    while count < most && reader.read(&mut record) {
        let before = last.0;
        // Every number that is missing was told to be lost.
        assert_eq!(id_of(&record, last) - before - 1, record.lost);
        lost += record.lost;
        count += 1;
    }
    (count as u64, lost)
}

/// The books after both threads are done.
fn settle(ring: &CpuRing, written: u64, got: (u64, u64), mut last: (u64, u64)) {
    let rest = read(ring, usize::MAX, &mut last);
    let t = ring.reader().unwrap().totals();
    assert_eq!((t.written, t.entries), (written, 0));
    assert_eq!((t.read, t.overrun), (got.0 + rest.0, got.1 + rest.1));
    assert_eq!(t.read + t.overrun, written);
}

/// A writer that goes around the ring, and a reader that takes pages out of it.
fn hand_over(words: usize, before: u64, written: u64, reads: usize) {
    model(move |ring| {
        (1..=before).for_each(|id| write(&ring, words, id));
        let reader = thread::spawn({
            let ring = ring.clone();
            move || {
                let mut last = (0, 0);
                (read(&ring, reads, &mut last), last)
            }
        });
        (before + 1..=written).for_each(|id| write(&ring, words, id));
        let (got, last) = reader.join().unwrap();
        settle(&ring, written, got, last);
    });
}

#[test]
fn pages_are_read_or_overwritten_never_both() {
    hand_over(LARGE, 2, 4, 2);
}

#[test]
fn a_page_that_comes_back_is_not_written_while_it_is_read() {
    hand_over(LARGE, 1, 4, 2);
}

#[test]
fn a_page_in_use_by_both_is_read_as_far_as_it_is_committed() {
    hand_over(SMALL, 3, 7, 6);
}

#[test]
fn a_cursor_never_hands_out_what_was_overwritten_under_it() {
    // Every load of a word may see the old one or the new, and there are many words: two switches are what is
    // gone through in seconds.
    model_with(2, |ring| {
        (1..=2).for_each(|id| write(&ring, LARGE, id));
        let looker = thread::spawn({
            let ring = ring.clone();
            move || {
                let (reader, mut record, mut last) = (ring.reader().unwrap(), Record::new(), (0, 0));
                let mut cursor = reader.cursor();
                while reader.look(&mut cursor, &mut record) {
                    let before = last.0;
                    let id = id_of(&record, &mut last);
                    assert!(before == 0 || id - before - 1 == record.lost);
                }
                assert!(last.0 >= 2, "what was there is there, or newer ones in its place");
            }
        });
        write(&ring, LARGE, 3);
        looker.join().unwrap();
        settle(&ring, 3, (0, 0), (0, 0));
    });
}

#[test]
fn a_cursor_finds_something_while_the_writer_goes_around() {
    model_with(1, |ring| {
        let write = |id| {
            write(&ring, LARGE, id);
            NOW.get() - 1
        };
        let mut times: Vec<u64> = (1..=2).map(write).collect();
        let looker = thread::spawn({
            let ring = ring.clone();
            move || {
                let reader = ring.reader().unwrap();
                let mut cursor = reader.cursor();
                reader.look_ts(&mut cursor)
            }
        });
        times.extend((3..=4).map(write));
        let seen = looker.join().unwrap().expect("there was never nothing");
        assert!(times.contains(&seen), "{seen} of {times:?}");
    });
}

/// Levels: an outer record, inner ones while it is not complete.
fn nested(words: usize, inner: u64) {
    model(move |ring| {
        let reader = thread::spawn({
            let ring = ring.clone();
            move || {
                let mut last = (0, 0);
                (read(&ring, usize::MAX, &mut last), last)
            }
        });
        let outer = ring.reserve(words * 8, now).unwrap();
        (2..2 + inner).for_each(|id| write(&ring, words, id));
        outer.put_words(&[1; LARGE][..words]);
        outer.commit();
        let (got, last) = reader.join().unwrap();
        // The outer one is the first to be seen, or nothing is.
        assert_eq!(got.1, 0);
        settle(&ring, 1 + inner, got, last);
    });
}

#[test]
fn nested_records_are_seen_in_order_on_one_page() {
    nested(SMALL, 2);
}

#[test]
fn nested_records_are_seen_in_order_across_pages() {
    nested(LARGE, 1);
}

#[test]
fn a_discarded_record_is_never_seen() {
    model(|ring| {
        let reader = thread::spawn({
            let ring = ring.clone();
            move || {
                let mut last = (0, 0);
                (read(&ring, usize::MAX, &mut last), last)
            }
        });
        let outer = ring.reserve(8, now).unwrap();
        write(&ring, SMALL, 1);
        outer.put_u64(0, 99);
        drop(outer);
        drop(ring.reserve(8, now).unwrap());
        write(&ring, SMALL, 2);
        let (got, last) = reader.join().unwrap();
        settle(&ring, 2, got, last);
    });
}

#[test]
fn a_reset_beside_a_writer_keeps_the_books() {
    model(|ring| {
        write(&ring, LARGE, 1);
        let reader = thread::spawn({
            let ring = ring.clone();
            move || ring.reader().unwrap().reset()
        });
        (2..=4).for_each(|id| write(&ring, LARGE, id));
        reader.join().unwrap();
        let t = ring.reader().unwrap().totals();
        assert_eq!((t.written, t.read), (4, 0));
        let mut record = Record::new();
        let mut reader = ring.reader().unwrap();
        let left = core::iter::from_fn(|| reader.read(&mut record).then_some(())).count() as u64;
        assert_eq!((left, t.overrun + t.erased + left), (t.entries, 4));
    });
}

thread_local!(static WOKEN: Cell<u32> = const { Cell::new(0) });

#[test]
fn who_arms_is_woken_by_a_record_that_comes_later_whatever_else_switches() {
    model(|_| {
        WOKEN.set(0);
        let ring = CpuRing::new(2, Mode::Overwrite).unwrap().with_wake(|| WOKEN.set(WOKEN.get() + 1));
        let ring = Arc::new(ring);
        let other = thread::spawn({
            let ring = ring.clone();
            move || {
                ring.arm();
                ring.set_on(false);
                ring.set_on(true);
            }
        });
        // Refused while the ring is off, and perhaps the one that wakes.
        let _ = ring.write_words(&[1], now);
        other.join().unwrap();
        ring.write_words(&[2], now).unwrap();
        assert_eq!(WOKEN.get(), 1);
        ring.write_words(&[3], now).unwrap();
        assert_eq!(WOKEN.get(), 1);
    });
}
