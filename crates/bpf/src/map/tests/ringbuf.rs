//! The ring: its positions against a list, then writers and a reader at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::vec::Vec;
use std::{thread, vec};

use super::{Random, map};
use crate::map::ringbuf::query;
use crate::map::{Map, MapError, MapKind};

const SIZE: u64 = 4096;

fn fill(map: &Map, addr: u64, byte: u8, len: usize) {
    let Some((cells, 0)) = map.cells_at(addr, len) else { panic!("{addr:#x}: not in the ring") };
    for cell in cells {
        cell.store(u64::from_le_bytes([byte; 8]), Ordering::Relaxed);
    }
}

#[test]
fn records_come_out_as_they_went_in() {
    let mut random = Random(3);
    let map = map(MapKind::RingBuf, 0, 0, SIZE as u32);
    // Length, byte; none when discarded. And those under way, at their places in the list.
    let mut model: VecDeque<(usize, u8, Option<bool>, u64)> = VecDeque::new();
    let mut used = 0_u64;
    let (mut dropped, mut read, mut written) = (0, 0_u64, 0_u64);
    for step in 0..30_000_u64 {
        match random.below(5) {
            0 | 1 => {
                let limit = if random.below(50) == 0 { 5000 } else { 300 };
                let len = random.below(limit) as usize;
                let byte = step as u8;
                let bytes = (len as u64 + 8).next_multiple_of(8);
                let fits = used + bytes < SIZE;
                if random.below(2) == 0 {
                    let done = map.ring_output(&vec![byte; len]);
                    assert_eq!(done, if fits { Ok(()) } else { Err(MapError::NoSpace) });
                    model.extend(fits.then_some((len, byte, Some(true), 0)));
                } else {
                    let addr = map.ring_reserve(len as u64);
                    assert_eq!(addr.is_some(), fits);
                    if let Some(addr) = addr {
                        fill(&map, addr, byte, len);
                        model.push_back((len, byte, None, addr));
                    }
                }
                if fits {
                    used += bytes;
                    written += bytes;
                } else {
                    dropped += 1;
                }
            }
            2 => {
                let submit = random.below(3) > 0;
                let under_way: Vec<usize> = (0..model.len()).filter(|n| model[*n].2.is_none()).collect();
                let Some(n) = under_way.get(random.below(8) as usize) else { continue };
                assert_eq!(map.ring_end(model[*n].3, !submit), Ok(()));
                assert_eq!(map.ring_end(model[*n].3, !submit), Err(MapError::Invalid), "only once");
                model[*n].2 = Some(submit);
            }
            _ => {
                while let Some((len, _, Some(false), _)) = model.front() {
                    let bytes = (*len as u64 + 8).next_multiple_of(8);
                    (used, read) = (used - bytes, read + bytes);
                    model.pop_front();
                }
                let mut out = [0; 5000];
                let got = map.ring_take(&mut out);
                match model.front().copied() {
                    Some((len, byte, Some(true), _)) => {
                        assert_eq!(got, Ok(Some(len)));
                        assert!(out[..len].iter().all(|b| *b == byte));
                        let bytes = (len as u64 + 8).next_multiple_of(8);
                        (used, read) = (used - bytes, read + bytes);
                        model.pop_front();
                    }
                    _ => assert_eq!(got, Ok(None)),
                }
                assert_eq!(map.ring_query(query::AVAIL_DATA), used);
                assert_eq!(map.ring_query(query::CONS_POS), read);
                assert_eq!(map.ring_query(query::PROD_POS), written);
            }
        }
        assert_eq!(map.ring_dropped(), dropped);
    }
    assert!(written > 20 * SIZE, "it went round often");
    assert_eq!(map.ring_query(query::RING_SIZE), SIZE);
}

#[test]
fn addresses_that_are_no_records_are_refused() {
    let map = map(MapKind::RingBuf, 0, 0, SIZE as u32);
    let Some(addr) = map.ring_reserve(100) else { panic!("it is empty") };
    for wrong in [addr + 8, addr - 8, addr + 1, addr - 72, 0, u64::MAX] {
        assert_eq!(map.ring_end(wrong, false), Err(MapError::Invalid), "{wrong:#x}");
    }
    assert_eq!(map.ring_reserve(SIZE - 8), None);
    assert_eq!(map.ring_reserve(u64::MAX), None);
    assert_eq!(map.ring_end(addr, false), Ok(()));
}

/// What was written = what was read + what was dropped, and each writer's records are in order and whole.
#[test]
fn nothing_is_lost_or_mixed() {
    const EACH: u64 = 20_000;
    let map = map(MapKind::RingBuf, 0, 0, SIZE as u32);
    let (written, discarded) = (AtomicU64::new(0), AtomicU64::new(0));
    let over = AtomicBool::new(false);
    let read = thread::scope(|scope| {
        let writers: Vec<_> = (0..3_u64)
            .map(|cpu| {
                let (map, written, discarded) = (&map, &written, &discarded);
                scope.spawn(move || {
                    let mut random = Random(cpu + 1);
                    for n in 0..EACH {
                        let words = 1 + random.below(20) as usize;
                        let word = (cpu << 32 | n).to_le_bytes();
                        let Some(addr) = map.ring_reserve(8 * words as u64) else { continue };
                        let Some((cells, 0)) = map.cells_at(addr, 8 * words) else { panic!("outside") };
                        cells.iter().for_each(|cell| cell.store(u64::from_le_bytes(word), Ordering::Relaxed));
                        let discard = random.below(10) == 0;
                        assert_eq!(map.ring_end(addr, discard), Ok(()));
                        if discard { discarded } else { written }.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let (mut read, mut last) = (0, [None; 3]);
            let mut out = [0; 200];
            loop {
                let ending = over.load(Ordering::Acquire);
                match map.ring_take(&mut out) {
                    Ok(Some(len)) => {
                        let (words, _) = out[..len].as_chunks::<8>();
                        assert!(words.iter().all(|word| *word == words[0]), "a record is of one writer");
                        let word = u64::from_le_bytes(words[0]);
                        let (cpu, n) = ((word >> 32) as usize, word as u32);
                        assert!(last[cpu].is_none_or(|last| last < n), "in order");
                        last[cpu] = Some(n);
                        read += 1;
                    }
                    Ok(None) if ending => return read,
                    Ok(None) => thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        for writer in writers {
            assert!(writer.join().is_ok());
        }
        over.store(true, Ordering::Release);
        reader.join().unwrap_or(0)
    });
    let (written, discarded) = (written.load(Ordering::Relaxed), discarded.load(Ordering::Relaxed));
    assert_eq!(read, written);
    assert_eq!(written + discarded + map.ring_dropped(), 3 * EACH);
    assert_eq!(map.ring_query(query::AVAIL_DATA), 0);
}
