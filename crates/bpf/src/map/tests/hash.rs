//! Hashes and arrays against `BTreeMap`, then with threads.

use std::collections::BTreeMap;
use std::thread;
use std::vec::Vec;

use super::{Random, keys, map};
use crate::map::{ANY, EXIST, Map, MapError, MapKind, NOEXIST};

fn key(size: usize, n: u64) -> Vec<u8> {
    n.wrapping_mul(0x0101_0101_0101_0101).to_le_bytes().iter().copied().cycle().take(size).collect()
}

/// Any sequence of operations gives what a `BTreeMap` with a limit gives.
#[test]
fn a_hash_is_a_map() {
    for (seed, key_size) in [(1, 1), (2, 2), (3, 4), (4, 7), (5, 8), (6, 9), (7, 16), (8, 33)] {
        let mut random = Random(seed);
        let map = map(MapKind::Hash, key_size, 5, 20);
        let mut model: BTreeMap<Vec<u8>, [u8; 5]> = BTreeMap::new();
        for _ in 0..20_000 {
            let key = key(key_size as usize, random.below(40));
            let mut value = [0; 5];
            value.copy_from_slice(&random.next().to_le_bytes()[..5]);
            match random.below(6) {
                0 | 1 => {
                    let flags = random.below(4);
                    let wanted = match (flags, model.contains_key(&key)) {
                        (3, _) => Err(MapError::Invalid),
                        (NOEXIST, true) => Err(MapError::Exists),
                        (EXIST, false) => Err(MapError::NoEntry),
                        (_, false) if model.len() == 20 => Err(MapError::TooBig),
                        _ => {
                            model.insert(key.clone(), value);
                            Ok(())
                        }
                    };
                    assert_eq!(map.update(0, &key, &value, flags), wanted);
                }
                2 => {
                    let wanted = model.remove(&key).map(drop).ok_or(MapError::NoEntry);
                    assert_eq!(map.delete(0, &key).map(drop), wanted);
                }
                3 => {
                    let mut out = [0; 5];
                    let got = map.read(0, &key, &mut out).map(|()| out);
                    assert_eq!(got, model.get(&key).copied().ok_or(MapError::NoEntry));
                    assert_eq!(map.lookup(0, &key).is_some(), got.is_ok());
                }
                4 => {
                    let keys = sorted(&map);
                    assert!(keys.iter().eq(model.keys()), "{keys:?}");
                }
                _ => assert_eq!(map.lookup(0, &key).is_some(), model.contains_key(&key)),
            }
        }
    }
}

/// All keys, sorted.
fn sorted(map: &Map) -> Vec<Vec<u8>> {
    let mut keys = keys(map);
    keys.sort();
    keys
}

#[test]
fn wrong_sizes_and_full_maps_are_refused() {
    let hash = map(MapKind::Hash, 4, 4, 2);
    assert_eq!(hash.update(0, &[0; 3], &[0; 4], ANY), Err(MapError::Invalid));
    assert_eq!(hash.update(0, &[0; 4], &[0; 5], ANY), Err(MapError::Invalid));
    assert_eq!(hash.update(9, &[0; 4], &[0; 4], ANY), Err(MapError::Invalid));
    assert_eq!(hash.lookup(9, &[0; 4]), None);
    for (n, wanted) in [Ok(()), Ok(()), Err(MapError::TooBig)].into_iter().enumerate() {
        assert_eq!(hash.update(0, &[n as u8; 4], &[0; 4], ANY), wanted);
    }
    assert_eq!(hash.update(0, &[0; 4], &[1; 4], EXIST), Ok(()));
    let array = map(MapKind::Array, 4, 3, 2);
    assert_eq!(array.update(0, &2_u32.to_le_bytes(), &[0; 3], ANY), Err(MapError::TooBig));
    assert_eq!(array.update(0, &1_u32.to_le_bytes(), &[0; 3], NOEXIST), Err(MapError::Exists));
    assert_eq!(array.update(0, &1_u32.to_le_bytes(), &[7; 3], EXIST), Ok(()));
    assert_eq!(array.delete(0, &1_u32.to_le_bytes()), Err(MapError::Invalid));
    assert_eq!(array.lookup(0, &2_u32.to_le_bytes()), None);
    let mut out = [0; 3];
    assert_eq!(array.read(0, &1_u32.to_le_bytes(), &mut out), Ok(()));
    assert_eq!(out, [7; 3]);
}

#[test]
fn each_cpu_has_its_value() {
    for kind in [MapKind::PercpuHash, MapKind::PercpuArray, MapKind::LruPercpuHash] {
        let map = map(kind, 4, 4, 3);
        let key = 1_u32.to_le_bytes();
        assert_eq!(map.write(0, &key, &[9; 32], ANY), Ok(()), "{kind:?}");
        if kind != MapKind::PercpuArray {
            assert!(map.delete(0, &key).is_ok());
        } else {
            assert_eq!(map.write(0, &key, &[0; 32], ANY), Ok(()), "{kind:?}");
        }
        assert_eq!(map.update(2, &key, &[7; 4], ANY), Ok(()));
        let mut all = [1; 32];
        assert_eq!(map.read(0, &key, &mut all), Ok(()));
        let mut wanted = [0; 32];
        wanted[16..20].fill(7);
        assert_eq!(all, wanted, "{kind:?}: the others are 0");
        let addresses: Vec<u64> = (0..4).filter_map(|cpu| map.lookup(cpu, &key)).collect();
        assert!(addresses.windows(2).all(|two| two[1] == two[0] + 8));
        assert_eq!(map.lookup(4, &key), None);
    }
}

/// Each thread owns some keys and knows what is there of them; all share one more, whose counts add up.
#[test]
fn threads_lose_nothing() {
    const ROUNDS: u64 = 20_000;
    for key_size in [8, 12] {
        // Fewer elements than keys: they wander from bucket to bucket.
        let map = map(MapKind::Hash, key_size, 8, 28);
        let wide = |n: u64| {
            let mut key = n.to_le_bytes().to_vec();
            key.resize(key_size as usize, n as u8);
            key
        };
        let refused: u64 = thread::scope(|scope| {
            let runs: Vec<_> = (0..4_u64)
                .map(|cpu| {
                    let map = &map;
                    scope.spawn(move || {
                        let mut random = Random(cpu + 1);
                        let mut model = BTreeMap::new();
                        let mut refused = 0;
                        for _ in 0..ROUNDS {
                            let n = cpu * 100 + random.below(7);
                            let key = wide(n);
                            let value = random.next();
                            let done = if random.below(2) == 0 {
                                map.update(cpu as usize, &key, &value.to_le_bytes(), ANY).inspect(|()| {
                                    model.insert(n, value);
                                })
                            } else {
                                map.delete(cpu as usize, &key).map(drop).inspect(|()| {
                                    model.remove(&n);
                                })
                            };
                            match done {
                                Ok(()) => {}
                                Err(MapError::Busy) => refused += 1,
                                Err(MapError::NoEntry) => assert!(!model.contains_key(&n)),
                                Err(error) => panic!("{error}"),
                            }
                            let n = cpu * 100 + random.below(7);
                            let mut out = [0; 8];
                            let got = map.read(cpu as usize, &wide(n), &mut out);
                            let got = got.ok().map(|()| u64::from_le_bytes(out));
                            assert_eq!(got, model.get(&n).copied(), "key {n}");
                        }
                        (model.len(), refused)
                    })
                })
                .collect();
            let ends: Vec<(usize, u64)> = runs
                .into_iter()
                .map(|run| run.join().unwrap_or_else(|_| panic!("a thread failed")))
                .collect();
            let left: usize = ends.iter().map(|end| end.0).sum();
            assert_eq!(keys(&map).len(), left);
            ends.iter().map(|end| end.1).sum()
        });
        assert_eq!(map.busy(), refused);
    }
}

/// A full LRU hash takes new keys, keeps the used ones, and never holds more than it may.
#[test]
fn the_least_recently_used_goes() {
    let map = map(MapKind::LruHash, 4, 4, 16);
    let key = |n: u32| n.to_le_bytes();
    for n in 0..16 {
        assert_eq!(map.update(0, &key(n), &[0; 4], ANY), Ok(()));
    }
    for n in 16..24 {
        for kept in 0..8 {
            assert!(map.lookup(0, &key(kept)).is_some(), "{kept} is used all the time");
        }
        assert_eq!(map.update(0, &key(n), &[0; 4], ANY), Ok(()));
        assert!(map.lookup(0, &key(n)).is_some());
        assert_eq!(keys(&map).len(), 16);
    }
}

#[test]
fn threads_in_an_lru_hash() {
    let map = map(MapKind::LruHash, 8, 8, 64);
    thread::scope(|scope| {
        for cpu in 0..4_u64 {
            let map = &map;
            scope.spawn(move || {
                let mut random = Random(cpu + 1);
                for _ in 0..30_000 {
                    let n = random.below(200);
                    match random.below(3) {
                        0 => drop(map.delete(cpu as usize, &n.to_le_bytes())),
                        1 => {
                            let done =
                                map.update(cpu as usize, &n.to_le_bytes(), &(n * 3).to_le_bytes(), ANY);
                            assert!(
                                matches!(done, Ok(()) | Err(MapError::NoMemory | MapError::Busy)),
                                "{done:?}"
                            );
                        }
                        _ => drop(map.lookup(cpu as usize, &n.to_le_bytes())),
                    }
                }
            });
        }
    });
    let left = keys(&map);
    assert!(left.len() <= 64);
    // Every element is in the list or free: as many as there are can be inserted, with nothing evicted.
    for key in &left {
        let mut out = [0; 8];
        assert_eq!(map.read(0, key, &mut out), Ok(()));
        assert_eq!(
            u64::from_le_bytes(out),
            3 * u64::from_le_bytes(key.as_slice().try_into().unwrap_or([0; 8]))
        );
        assert!(map.delete(0, key).is_ok());
    }
    for n in 1000..1064_u64 {
        assert_eq!(map.update(0, &n.to_le_bytes(), &[0; 8], ANY), Ok(()));
    }
    assert_eq!(keys(&map).len(), 64);
}
