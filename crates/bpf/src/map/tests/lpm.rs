//! The trie against a list that is searched from one end to the other.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;
use std::{thread, vec};

use super::{Random, keys, made};
use crate::map::{ANY, EXIST, Map, MapDef, MapError, MapKind, NOEXIST, flag};

fn trie(data: u32, entries: u32) -> Map {
    made(MapDef::new(MapKind::LpmTrie, 4 + data, 4, entries).with_flags(flag::NO_PREALLOC))
}

fn key(length: u32, data: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], data].concat()
}

fn bit(data: &[u8], n: u32) -> bool {
    data[n as usize / 8] >> (7 - n % 8) & 1 != 0
}

/// The prefix as such: what is behind it does not count.
fn bits(length: u32, data: &[u8]) -> Vec<bool> {
    (0..length).map(|n| bit(data, n)).collect()
}

#[test]
fn a_trie_finds_the_longest_prefix() {
    for (seed, size) in [(1, 1), (2, 2), (3, 4), (4, 9), (5, 16)] {
        let mut random = Random(seed);
        let map = trie(size, 24);
        let mut model: BTreeMap<Vec<bool>, u32> = BTreeMap::new();
        for _ in 0..20_000 {
            // Few different bits, in the first byte and the last: prefixes of each other come often.
            let mut data = vec![0_u8; size as usize];
            data[0] = (random.next() & 0xc1) as u8;
            data[size as usize - 1] |= (random.next() & 0x83) as u8;
            let length = random.below(u64::from(8 * size) + 1) as u32;
            let key = key(length, &data);
            let name = bits(length, &data);
            let value = random.next() as u32;
            match random.below(4) {
                0 | 1 => {
                    let flags = random.below(3);
                    let wanted = match (flags, model.contains_key(&name)) {
                        (NOEXIST, true) => Err(MapError::Exists),
                        (EXIST, false) => Err(MapError::NoEntry),
                        (_, false) if model.len() == 24 => Err(MapError::NoSpace),
                        _ => {
                            model.insert(name, value);
                            Ok(())
                        }
                    };
                    assert_eq!(map.update(0, &key, &value.to_le_bytes(), flags), wanted);
                }
                2 => {
                    let wanted = model.remove(&name).map(|_| ()).ok_or(MapError::NoEntry);
                    assert_eq!(map.delete(0, &key).map(|_| ()), wanted);
                }
                _ => {
                    let best = (0..=length).rev().find_map(|n| model.get(&bits(n, &data)));
                    let mut out = [0; 4];
                    let got = map.read(0, &key, &mut out).map(|()| u32::from_le_bytes(out));
                    assert_eq!(got, best.copied().ok_or(MapError::NoEntry), "{key:?}");
                    assert_eq!(map.lookup(0, &key).is_some(), best.is_some());
                }
            }
            if random.below(50) == 0 {
                walk(&map, &model);
            }
        }
        for name in model.keys().cloned().collect::<Vec<_>>() {
            let mut data = vec![0; size as usize];
            for (n, set) in name.iter().enumerate() {
                data[n / 8] |= u8::from(*set) << (7 - n % 8);
            }
            assert_eq!(map.delete(0, &key(name.len() as u32, &data)), Ok(None));
        }
        assert_eq!(keys(&map), Vec::<Vec<u8>>::new());
    }
}

/// A walk gives every key once, and those below another before it.
fn walk(map: &Map, model: &BTreeMap<Vec<bool>, u32>) {
    let found: Vec<Vec<bool>> = keys(map)
        .iter()
        .map(|key| bits(u32::from_le_bytes([key[0], key[1], key[2], key[3]]), &key[4..]))
        .collect();
    assert_eq!(found.len(), model.len());
    assert_eq!(found.iter().collect::<BTreeSet<_>>(), model.keys().collect());
    for (n, long) in found.iter().enumerate() {
        assert!(found[n + 1..].iter().all(|later| !(later.len() > long.len() && later.starts_with(long))));
    }
}

#[test]
fn prefixes_that_cannot_be_are_refused() {
    let map = trie(4, 4);
    assert_eq!(map.update(0, &key(33, &[0; 4]), &[0; 4], ANY), Err(MapError::Invalid));
    assert_eq!(map.delete(0, &key(u32::MAX, &[0; 4])), Err(MapError::Invalid));
    assert_eq!(map.lookup(0, &key(33, &[0; 4])), None);
    assert_eq!(map.update(0, &key(0, &[0; 4]), &[7; 4], ANY), Ok(()));
    assert!(map.lookup(0, &key(32, &[1, 2, 3, 4])).is_some(), "the empty prefix is everybody's");
}

/// One thread changes a half of the trie; the others always find what is in the other half.
#[test]
fn lookups_beside_changes() {
    let map = trie(4, 64);
    for n in 0..16 {
        assert_eq!(map.update(0, &key(12, &[10, n << 4, 0, 0]), &[n; 4], ANY), Ok(()));
    }
    thread::scope(|scope| {
        for cpu in 1..4 {
            let map = &map;
            scope.spawn(move || {
                let mut random = Random(cpu as u64);
                for _ in 0..40_000 {
                    let n = random.below(16) as u8;
                    let mut out = [0xff; 4];
                    let done = map.read(cpu, &key(32, &[10, n << 4 | 3, 200, 1]), &mut out);
                    assert!(done == Ok(()) && out == [n; 4] || done == Err(MapError::Busy), "{done:?}");
                }
            });
        }
        let mut random = Random(77);
        for _ in 0..40_000 {
            let n = random.next().to_le_bytes();
            // Bit 12 is set, which it is in nothing that the others look for.
            let key = key(13 + u32::from(n[0] % 16), &[10, n[1] | 8, n[2] & 0x80 | 1, 0]);
            let _ = if n[3] & 1 == 0 {
                map.delete(0, &key).map(|_| ())
            } else {
                map.update(0, &key, &[99; 4], ANY)
            };
        }
    });
}
