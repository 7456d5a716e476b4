//! Threads on real processors: writers whose records nest at random, readers that consume, look and reset beside
//! them, every record with a sequence number, and books that must balance to the event.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use tracecore::ring::{CpuRing, Lane, Mode, Record, Refused, next_of};

static CLOCK: AtomicU64 = AtomicU64::new(1);

/// One clock for all, which never gives a time twice.
fn now() -> u64 {
    CLOCK.fetch_add(1, Ordering::Relaxed)
}

/// A small generator, so that each run is told by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % n
    }
}

/// What a writer did.
#[derive(Default, Debug)]
struct Done {
    asked: u64,
    committed: u64,
    full: u64,
    pending: u64,
    discarded: u64,
}

/// A word of a record, from which the record can be told to be whole.
fn word(id: u64, i: u64) -> u64 {
    id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i.rotate_right(8) ^ i
}

/// One record, and inside it, up to four levels deep, others.
fn write(ring: &CpuRing, random: &mut Random, done: &mut Done, level: u64) {
    let id = done.asked;
    done.asked += 1;
    let most = if random.below(50) == 0 { 400 } else { 6 };
    let words = 1 + random.below(most);
    let record = match ring.reserve(words as usize * 8, now) {
        Ok(record) => record,
        Err(refused) => {
            match refused {
                Refused::Full => done.full += 1,
                Refused::CommitPending => done.pending += 1,
                other => panic!("{other:?}"),
            }
            return;
        }
    };
    record.put_u64(0, id);
    for i in 1..words {
        record.put_u64(i as usize * 8, word(id, i));
        if level < 4 && random.below(60) == 0 {
            write(ring, random, done, level + 1);
        }
    }
    if random.below(20) == 0 {
        done.discarded += 1;
    } else {
        record.commit();
        done.committed += 1;
    }
}

/// The sequence number of a record, which must be whole.
fn id_of(record: &Record) -> u64 {
    let words = record.bytes().as_chunks::<8>().0;
    let id = u64::from_le_bytes(words[0]);
    for (i, found) in words.iter().enumerate().skip(1) {
        assert_eq!(u64::from_le_bytes(*found), word(id, i as u64), "torn: record {id} word {i}");
    }
    id
}

/// What a reader saw.
#[derive(Default)]
struct Seen {
    read: u64,
    lost: u64,
    last_ts: u64,
    ids: Vec<u64>,
}

impl Seen {
    fn add(&mut self, record: &Record) {
        assert!(record.ts > self.last_ts, "time goes back: {} after {}", record.ts, self.last_ts);
        self.last_ts = record.ts;
        self.read += 1;
        self.lost += record.lost;
        self.ids.push(id_of(record));
    }
}

/// Reads in one of the ways there are until the writer is done.
fn read_beside(ring: &CpuRing, random: &mut Random, over: &AtomicBool, resets: bool) -> Seen {
    let (mut seen, mut record) = (Seen::default(), Record::new());
    while !over.load(Ordering::Acquire) {
        let mut reader = ring.reader().unwrap();
        match random.below(if resets { 12 } else { 10 }) {
            0..5 => {
                for _ in 0..random.below(300) {
                    if !reader.read(&mut record) {
                        break;
                    }
                    seen.add(&record);
                }
            }
            5..9 => {
                let mut look = Seen::default();
                let mut cursor = reader.cursor();
                for _ in 0..random.below(1500) {
                    if !reader.look(&mut cursor, &mut record) {
                        break;
                    }
                    look.add(&record);
                }
            }
            9 => {
                let stats = reader.stats(0);
                assert!(stats.bytes < 1 << 30 && stats.entries < 1 << 30, "{stats:?}");
            }
            _ => reader.reset(),
        }
        drop(reader);
        if random.below(3) == 0 {
            thread::yield_now();
        }
    }
    seen
}

/// One writer, one reader, then the books.
fn stress(pages: usize, mode: Mode, resets: bool, seed: u64, records: u64) {
    let ring = CpuRing::new(pages, mode).unwrap();
    let over = AtomicBool::new(false);
    let (done, mut seen) = thread::scope(|scope| {
        let reader = scope.spawn(|| read_beside(&ring, &mut Random(seed * 7 + 1), &over, resets));
        let (mut random, mut done) = (Random(seed * 13 + 5), Done::default());
        while done.asked < records {
            write(&ring, &mut random, &mut done, 0);
        }
        over.store(true, Ordering::Release);
        (done, reader.join().unwrap())
    });
    let mut reader = ring.reader().unwrap();
    let t = reader.totals();
    assert_eq!(done.asked, done.committed + done.full + done.pending + done.discarded);
    assert_eq!((t.written, t.dropped), (done.committed, done.full), "{t:?} {done:?}");
    assert_eq!((t.commit_overrun, t.discarded), (done.pending, done.discarded), "{t:?} {done:?}");
    assert_eq!(t.written, t.read + t.overrun + t.erased + t.entries, "{t:?}");
    assert_eq!(t.read, seen.read);
    let mut record = Record::new();
    while reader.read(&mut record) {
        seen.add(&record);
    }
    assert_eq!(seen.read, t.read + t.entries, "{t:?}");
    assert!(seen.lost <= t.overrun && (resets || seen.lost == t.overrun), "{t:?} lost {}", seen.lost);
    seen.ids.sort_unstable();
    assert!(seen.ids.is_sorted_by(|a, b| a < b), "read twice");
}

#[test]
fn a_writer_and_a_reader_keep_the_books() {
    for seed in 1..9 {
        let pages = [2, 3, 5, 16][seed as usize % 4];
        let mode = if seed % 3 == 0 { Mode::DiscardNewest } else { Mode::Overwrite };
        stress(pages, mode, seed % 2 == 0, seed, 300_000);
    }
}

#[test]
fn four_rings_are_merged_while_they_are_written() {
    let rings: Vec<CpuRing> = (0..4).map(|_| CpuRing::new(4, Mode::Overwrite).unwrap()).collect();
    let over = AtomicU64::new(0);
    let written = AtomicU64::new(0);
    let mut got = 0;
    let mut consume = |rings: &[CpuRing]| {
        let mut lanes: Vec<_> = rings
            .iter()
            .enumerate()
            .map(|(cpu, ring)| Lane::consuming(cpu, ring.reader().unwrap()))
            .collect();
        let mut record = Record::new();
        for _ in 0..1000 {
            if next_of(&mut lanes, &mut record).is_none() {
                return false;
            }
            id_of(&record);
            got += 1;
        }
        true
    };
    thread::scope(|scope| {
        for (cpu, ring) in rings.iter().enumerate() {
            let (over, written) = (&over, &written);
            scope.spawn(move || {
                let (mut random, mut done) = (Random(cpu as u64 + 77), Done::default());
                while done.asked < 30_000 {
                    write(ring, &mut random, &mut done, 0);
                }
                written.fetch_add(done.committed, Ordering::Relaxed);
                over.fetch_add(1, Ordering::Release);
            });
        }
        while over.load(Ordering::Acquire) < 4 {
            consume(&rings);
            let mut lanes: Vec<_> = rings
                .iter()
                .enumerate()
                .map(|(cpu, ring)| {
                    let reader = ring.reader().unwrap();
                    let cursor = reader.cursor();
                    Lane::looking(cpu, reader, cursor)
                })
                .collect();
            let mut record = Record::new();
            for _ in 0..500 {
                if next_of(&mut lanes, &mut record).is_some() {
                    id_of(&record);
                }
            }
        }
    });
    while consume(&rings) {}
    let (mut overrun, mut total) = (0, 0);
    for ring in &rings {
        let t = ring.reader().unwrap().totals();
        assert_eq!(t.entries, 0);
        overrun += t.overrun;
        total += t.written;
    }
    assert_eq!((got + overrun, total), (total, written.into_inner()));
}
