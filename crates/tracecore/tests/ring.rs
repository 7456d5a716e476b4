//! The ring as one caller sees it: one thread, a clock that is set by hand.

use std::cell::Cell;

use tracecore::ring::{
    CpuRing, Lane, MAX_RECORD_BYTES, Mode, PAGE_BYTES, Record, Refused, SizeError, Stats, next_of,
};

thread_local!(static NOW: Cell<u64> = const { Cell::new(1000) });

/// Each look at the clock is 10 later than the one before.
fn now() -> u64 {
    NOW.replace(NOW.get() + 10)
}

fn ring(pages: usize, mode: Mode) -> CpuRing {
    CpuRing::new(pages, mode).unwrap()
}

fn put(ring: &CpuRing, value: u64) -> Result<(), Refused> {
    ring.write_words(&[value], now)
}

/// The first word of a record.
fn value(record: &Record) -> u64 {
    u64::from_le_bytes(record.bytes()[..8].try_into().unwrap())
}

/// Reads everything: values and how many were lost before each.
fn drain(ring: &CpuRing) -> Vec<(u64, u64)> {
    let (mut reader, mut record) = (ring.reader().unwrap(), Record::new());
    std::iter::from_fn(|| reader.read(&mut record).then(|| (value(&record), record.lost))).collect()
}

/// Looks at everything.
fn look(ring: &CpuRing) -> Vec<u64> {
    let (reader, mut record) = (ring.reader().unwrap(), Record::new());
    let mut cursor = reader.cursor();
    std::iter::from_fn(|| reader.look(&mut cursor, &mut record).then(|| value(&record))).collect()
}

/// The books, with what was asked for.
fn balance(ring: &CpuRing, asked: u64) {
    let mut reader = ring.reader().unwrap();
    let t = reader.totals();
    assert_eq!(t.written, t.read + t.overrun + t.erased + t.entries, "{t:?}");
    assert_eq!(
        asked,
        t.written + t.dropped + t.commit_overrun + t.too_long + t.contended + t.discarded,
        "{t:?}"
    );
    let (mut record, mut cursor, mut there) = (Record::new(), reader.cursor(), 0);
    while reader.look(&mut cursor, &mut record) {
        there += 1;
    }
    assert_eq!(there, t.entries, "{t:?}");
    assert_eq!(reader.is_empty(), there == 0);
}

#[test]
fn bytes_come_out_as_they_went_in() {
    let ring = ring(4, Mode::Overwrite);
    let mut record = Record::new();
    for len in (0..40).chain([255, 1000, MAX_RECORD_BYTES - 1, MAX_RECORD_BYTES]) {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
        ring.write(&bytes, now).unwrap();
        let ts = NOW.get() - 10;
        assert!(ring.reader().unwrap().read(&mut record));
        assert_eq!(record.bytes(), bytes);
        assert_eq!((record.ts, record.lost), (ts, 0));
    }
    assert!(!ring.reader().unwrap().read(&mut record));
}

#[test]
fn fields_are_put_at_any_offset_and_never_outside() {
    let ring = ring(2, Mode::Overwrite);
    let mut want = vec![0u8; 29];
    let record = ring.reserve(29, now).unwrap();
    assert!(record.put_bytes(0, &want));
    for (offset, bytes) in [(3, &b"abcdefghijk"[..]), (16, b"12345678"), (28, b"z"), (1, b"Q"), (29, b"")] {
        assert!(record.put_bytes(offset, bytes));
        want[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    assert!(record.put_u64(8, 0x1122_3344_5566_7788) && record.put_u32(25, 0xaabb_ccdd));
    want[8..16].copy_from_slice(&0x1122_3344_5566_7788u64.to_le_bytes());
    want[25..29].copy_from_slice(&0xaabb_ccddu32.to_le_bytes());
    assert!(!record.put_u64(24, 1) && !record.put_u32(26, 1) && !record.put_bytes(29, b"x"));
    assert!(!record.put_u64(usize::MAX - 7, 1) && !record.put_bytes(usize::MAX, b"x"));
    assert!(!record.put_words(&[0; 4]));
    record.commit();
    let mut got = Record::new();
    assert!(ring.reader().unwrap().read(&mut got));
    assert_eq!(got.bytes(), want);
}

#[test]
fn overwriting_loses_whole_pages_and_says_how_many() {
    let ring = ring(4, Mode::Overwrite);
    for i in 0..5000 {
        put(&ring, i).unwrap();
    }
    balance(&ring, 5000);
    let seen = look(&ring);
    let got = drain(&ring);
    assert_eq!(seen, got.iter().map(|&(value, _)| value).collect::<Vec<_>>());
    let first = got[0].0;
    assert_eq!(got[0].1, first, "all before the first are lost");
    assert!(got.iter().zip(first..).all(|(&(value, _), want)| value == want));
    assert!(got[1..].iter().all(|event| event.1 == 0));
    assert_eq!(got.last().unwrap().0, 4999);
    let stats = ring.reader().unwrap().stats(0);
    assert_eq!((stats.overrun, stats.read_events, stats.entries), (first, 5000 - first, 0));
    // The reader holds the writer's page and sees what is added to it.
    put(&ring, 7).unwrap();
    assert_eq!(drain(&ring), [(7, 0)]);
    balance(&ring, 5001);
}

#[test]
fn a_page_half_read_is_not_overwritten() {
    let ring = ring(2, Mode::Overwrite);
    let mut record = Record::new();
    for i in 0..100 {
        put(&ring, i).unwrap();
    }
    assert!(ring.reader().unwrap().read(&mut record));
    for i in 100..3000 {
        put(&ring, i).unwrap();
    }
    balance(&ring, 3000);
    let got = drain(&ring);
    let gap = got.iter().position(|event| event.1 != 0).unwrap();
    assert!(got[..gap].iter().zip(1..).all(|(event, want)| event.0 == want));
    assert_eq!(got[gap].0 - got[gap - 1].0 - 1, got[gap].1);
    balance(&ring, 3000);
}

#[test]
fn discard_newest_keeps_the_oldest() {
    let ring = ring(2, Mode::DiscardNewest);
    let kept = (0..1000).take_while(|&i| put(&ring, i) == Ok(())).count() as u64;
    for i in 0..500 {
        assert_eq!(put(&ring, i), Err(Refused::Full));
    }
    balance(&ring, kept + 501);
    assert_eq!(ring.reader().unwrap().stats(0).dropped_events, 501);
    assert_eq!(drain(&ring).iter().map(|event| event.0).collect::<Vec<_>>(), (0..kept).collect::<Vec<_>>());
    // There is room again, and the mode can be changed on the way.
    put(&ring, 1).unwrap();
    ring.set_mode(Mode::Overwrite);
    for i in 0..1000 {
        put(&ring, i).unwrap();
    }
    balance(&ring, kept + 1502);
}

#[test]
fn discarded_records_are_taken_back_or_skipped() {
    let ring = ring(2, Mode::Overwrite);
    drop(ring.reserve(8, now).unwrap());
    put(&ring, 1).unwrap();
    let outer = ring.reserve(16, now).unwrap();
    put(&ring, 2).unwrap();
    assert_eq!(look(&ring), [1], "nothing behind an incomplete record is visible");
    drop(outer);
    put(&ring, 3).unwrap();
    assert_eq!(look(&ring), [1, 2, 3]);
    balance(&ring, 5);
    // Padding is no event when its page is overwritten either.
    for i in 0..3000 {
        let outer = ring.reserve(8, now).unwrap();
        put(&ring, i).unwrap();
        drop(outer);
    }
    balance(&ring, 6005);
    drain(&ring);
    balance(&ring, 6005);
}

#[test]
fn refusals_are_counted() {
    let ring = ring(2, Mode::Overwrite);
    assert_eq!(ring.reserve(MAX_RECORD_BYTES + 1, now).map(drop), Err(Refused::TooLong));
    assert_eq!(ring.reserve(usize::MAX, now).map(drop), Err(Refused::TooLong));
    ring.set_on(false);
    assert_eq!(put(&ring, 1), Err(Refused::Off));
    ring.set_on(true);
    // An outer record keeps its page; what is nested has the other one.
    let outer = ring.reserve(8, now).unwrap();
    let fit = (0..2000).filter(|&i| put(&ring, i) == Ok(())).count();
    assert!((300..1100).contains(&fit), "{fit}");
    assert_eq!(put(&ring, 1), Err(Refused::CommitPending));
    outer.put_u64(0, 5);
    outer.commit();
    assert_eq!(look(&ring).len(), fit + 1);
    balance(&ring, 2004);
    assert!(ring.reader().unwrap().stats(0).commit_overrun > 0);
    // With the pending page in the reader's hands there is a page more.
    drain(&ring);
    put(&ring, 1).unwrap();
    drain(&ring);
    let outer = ring.reserve(8, now).unwrap();
    assert!((0..2000).filter(|&i| put(&ring, i) == Ok(())).count() > fit);
    outer.put_u64(0, 5);
    outer.commit();
    balance(&ring, 2005 + 2001);
    drain(&ring);
    balance(&ring, 2005 + 2001);
}

#[test]
fn reset_empties_and_starts_the_counts_anew() {
    let ring = ring(3, Mode::Overwrite);
    for i in 0..2000 {
        put(&ring, i).unwrap();
    }
    let mut record = Record::new();
    assert!(ring.reader().unwrap().read(&mut record));
    let pending = ring.reserve(8, now).unwrap();
    ring.reader().unwrap().reset();
    assert_eq!(ring.reader().unwrap().stats(3), Stats { now_ts: 3, ..Stats::default() });
    pending.put_u64(0, 9);
    pending.commit();
    put(&ring, 10).unwrap();
    assert_eq!(drain(&ring), [(9, 0), (10, 0)]);
    balance(&ring, 2002);
    let stats = ring.reader().unwrap().stats(3);
    assert_eq!((stats.read_events, stats.overrun), (2, 0));
}

#[test]
fn long_pauses_get_absolute_times() {
    let ring = ring(2, Mode::Overwrite);
    let mut want = Vec::new();
    for step in [1, 1 << 49, 1 << 50, 1 << 51, 0, 1 << 60, 5] {
        NOW.set(NOW.get() + step);
        put(&ring, step).unwrap();
        want.push(NOW.get() - 10);
    }
    let (mut reader, mut record) = (ring.reader().unwrap(), Record::new());
    for ts in want {
        assert!(reader.read(&mut record));
        assert_eq!(record.ts, ts);
    }
    drop(reader);
    // Absolute ones can be discarded and skipped like any other.
    NOW.set(u64::MAX - 1000);
    let outer = ring.reserve(8, now).unwrap();
    put(&ring, 77).unwrap();
    drop(outer);
    assert_eq!(drain(&ring), [(77, 0)]);
    // The longest of them fits the first page of a new ring, whose base is 0.
    let ring = self::ring(2, Mode::Overwrite);
    let bytes = vec![3; MAX_RECORD_BYTES];
    ring.write(&bytes, now).unwrap();
    assert!(ring.reader().unwrap().read(&mut record));
    assert!(record.bytes() == bytes && record.ts == NOW.get() - 10);
}

#[test]
fn a_clock_set_back_gives_no_time_before_its_page() {
    let ring = ring(2, Mode::Overwrite);
    for i in 0..400 {
        put(&ring, i).unwrap();
        // On the second page.
        if i == 350 {
            NOW.set(5);
        }
    }
    let (mut reader, mut record, mut first) = (ring.reader().unwrap(), Record::new(), 0);
    while reader.read(&mut record) {
        first = if value(&record) == 260 { record.ts } else { first };
        assert!(record.ts >= first.saturating_sub(100));
    }
    assert!(first > 3000);
}

#[test]
fn lines_are_ended_once() {
    let ring = ring(4, Mode::Overwrite);
    let mut record = Record::new();
    for len in 0..40 {
        for end in ["", "\n"] {
            let text: Vec<u8> = (0..len).map(|i| b'a' + i as u8 % 26).chain(end.bytes()).collect();
            let closing: &[u8] = if end.is_empty() { b"\n\0" } else { b"\0" };
            let want = [&[7; 8], &text[..], closing].concat();
            let room = ring.reserve(want.len(), now).unwrap();
            room.put_bytes(0, &[7; 8]);
            assert!(!room.put_line(4, &text) && !room.put_line(16, &text));
            assert!(room.put_line(8, &text));
            room.commit();
            put(&ring, u64::MAX).unwrap();
            let mut reader = ring.reader().unwrap();
            assert!(reader.read(&mut record));
            assert_eq!(record.bytes(), want);
            assert!(reader.read(&mut record));
        }
    }
}

#[test]
fn another_clock_starts_from_its_own_time() {
    let ring = ring(2, Mode::Overwrite);
    NOW.set(1_000_000);
    for i in 0..400 {
        put(&ring, i).unwrap();
    }
    let pending = ring.reserve(8, now).unwrap();
    assert_eq!(ring.reader().unwrap().restart(7), Err(SizeError::Busy));
    drop(pending);
    NOW.set(7);
    ring.reader().unwrap().restart(7).unwrap();
    assert_eq!(look(&ring), []);
    for i in 0..400 {
        put(&ring, i).unwrap();
    }
    let (mut reader, mut record) = (ring.reader().unwrap(), Record::new());
    // The clock is looked at twice where a page begins.
    let mut before = 0;
    for i in 400 - reader.totals().entries..400 {
        assert!(reader.read(&mut record));
        assert!(value(&record) == i && (7 + 10 * i..10_000).contains(&record.ts) && before < record.ts);
        before = record.ts;
    }
    drop(reader);
    balance(&ring, 801);
}

#[test]
fn who_waits_is_woken_once_and_records_go_on() {
    thread_local!(static WOKEN: Cell<u32> = const { Cell::new(0) });
    let ring = ring(2, Mode::Overwrite).with_wake(|| WOKEN.set(WOKEN.get() + 1));
    let woken = || WOKEN.get();
    put(&ring, 0).unwrap();
    ring.arm();
    assert!(ring.is_on());
    assert_eq!(woken(), 0);
    put(&ring, 1).unwrap();
    put(&ring, 2).unwrap();
    assert_eq!(woken(), 1);
    // Off: nothing comes, so nobody is woken; armed it stays.
    ring.arm();
    ring.set_on(false);
    assert_eq!(put(&ring, 3), Err(Refused::Off));
    assert_eq!(woken(), 1);
    ring.set_on(true);
    put(&ring, 3).unwrap();
    assert_eq!(woken(), 2);
    assert_eq!(look(&ring), [0, 1, 2, 3]);
    balance(&ring, 4);
}

#[test]
fn a_ring_that_was_replaced_counts_what_still_comes() {
    let old = ring(4, Mode::Overwrite);
    put(&old, 0).unwrap();
    let mut new = ring(8, Mode::Overwrite);
    new.adopt(&old.reader().unwrap()).unwrap();
    assert_eq!(put(&old, 1), Err(Refused::Moved));
    put(&new, 2).unwrap();
    new.settle(&old);
    assert_eq!(look(&new), [0, 2]);
    balance(&new, 3);
}

#[test]
fn a_cursor_goes_on_in_a_ring_of_another_size() {
    for (from, to) in [(2, 8), (8, 2), (3, 5)] {
        let old = ring(from, Mode::Overwrite);
        for i in 0..3000 {
            put(&old, i).unwrap();
        }
        let all = look(&old);
        let mut record = Record::new();
        let mut cursor = {
            let reader = old.reader().unwrap();
            let mut cursor = reader.cursor();
            (0..100).for_each(|_| assert!(reader.look(&mut cursor, &mut record)));
            cursor
        };
        let mut new = ring(to, Mode::Overwrite);
        new.adopt(&old.reader().unwrap()).unwrap();
        let reader = new.reader().unwrap();
        let mut seen = 100;
        while reader.look(&mut cursor, &mut record) {
            seen += record.lost as usize;
            assert_eq!(value(&record), all[seen]);
            seen += 1;
        }
        assert_eq!(seen, all.len());
    }
}

#[test]
fn stats_are_those_of_a_small_ring() {
    let ring = ring(2, Mode::Overwrite);
    let empty = ring.reader().unwrap().stats(1);
    assert_eq!((empty.entries, empty.bytes, empty.oldest_ts, empty.now_ts), (0, 0, None, 1));
    let first = NOW.get();
    for i in 0..3 {
        put(&ring, i).unwrap();
    }
    let stats = ring.reader().unwrap().stats(2);
    assert_eq!((stats.entries, stats.bytes, stats.oldest_ts), (3, 48, Some(first)));
    let mut record = Record::new();
    assert!(ring.reader().unwrap().read(&mut record));
    let stats = ring.reader().unwrap().stats(2);
    assert_eq!((stats.entries, stats.bytes, stats.oldest_ts), (2, 32, Some(first + 10)));
}

#[test]
fn sizes_have_limits_and_one_reader_reads() {
    for pages in [0, 1, 65536, usize::MAX] {
        assert_eq!(CpuRing::new(pages, Mode::Overwrite).map(drop), Err(SizeError::OutOfRange));
    }
    let ring = ring(2, Mode::Overwrite);
    let reader = ring.reader().unwrap();
    assert!(ring.reader().is_none());
    drop(reader);
    assert!(ring.reader().is_some());
    assert_eq!(PAGE_BYTES, 4096);
}

#[test]
fn lanes_merge_by_time() {
    let rings: Vec<_> = (0..4).map(|_| ring(2, Mode::Overwrite)).collect();
    let mut order = Vec::new();
    for i in 0..600u64 {
        let cpu = (i * i / 7 % 4) as usize;
        put(&rings[cpu], i).unwrap();
        order.push((cpu, i));
    }
    for consuming in [false, true] {
        let mut lanes: Vec<_> = rings
            .iter()
            .enumerate()
            .map(|(cpu, ring)| {
                let reader = ring.reader().unwrap();
                let cursor = reader.cursor();
                if consuming { Lane::consuming(cpu, reader) } else { Lane::looking(cpu, reader, cursor) }
            })
            .collect();
        let mut record = Record::new();
        let next = || next_of(&mut lanes, &mut record).map(|cpu| (cpu, value(&record)));
        assert_eq!(std::iter::from_fn(next).collect::<Vec<_>>(), order);
    }
    assert!(rings.iter().all(|ring| drain(ring).is_empty()));
}

#[test]
fn another_size_takes_over_events_and_counts() {
    for (from, to) in [(2, 8), (8, 2), (5, 5), (3, 4), (20, 3)] {
        for (events, read) in
            [(0, 0), (10, 3), (10, 10), (3000, 0), (3000, 100), (12000, 400), (12000, 20000)]
        {
            let old = ring(from, Mode::Overwrite);
            let mut record = Record::new();
            for i in 0..events {
                put(&old, i).unwrap();
            }
            {
                let mut reader = old.reader().unwrap();
                (0..read).take_while(|_| reader.read(&mut record)).count();
            }
            let before = look(&old);
            let mut new = ring(to, Mode::Overwrite);
            let pending = old.reserve(8, now).unwrap();
            assert_eq!(new.adopt(&old.reader().unwrap()), Err(SizeError::Busy));
            drop(pending);
            new.adopt(&old.reader().unwrap()).unwrap();
            let after = look(&new);
            // What the reader holds stays, then come the newest.
            let mut rest = before.iter();
            assert!(after.iter().all(|event| rest.any(|old| old == event)), "{from} {to} {events} {read}");
            assert!(rest.next().is_none() && (to < from || after == before));
            balance(&new, events + 1);
            for i in 0..20000 {
                put(&new, events + i).unwrap();
                if i == 100 && to > from {
                    assert_eq!(look(&new).len(), before.len() + 101);
                }
            }
            balance(&new, events + 20001);
            let got = drain(&new);
            assert_eq!(got.last().unwrap().0, events + 19999);
            balance(&new, events + 20001);
        }
    }
}
