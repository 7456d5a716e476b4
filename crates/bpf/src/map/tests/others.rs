//! Queues, stacks, bloom filters, stack traces and objects.

use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{thread, vec};

use super::{Random, keys, made, map};
use crate::map::stacks::flag;
use crate::map::{ANY, EXIST, MapDef, MapError, MapKind, NOEXIST};

#[test]
fn queues_and_stacks_are_deques() {
    for kind in [MapKind::Queue, MapKind::Stack] {
        let mut random = Random(5);
        let map = map(kind, 0, 12, 7);
        let mut model: VecDeque<[u8; 12]> = VecDeque::new();
        for n in 0..10_000_u32 {
            let mut value = [0; 12];
            value[..4].copy_from_slice(&n.to_le_bytes());
            let mut out = [0xff; 12];
            match random.below(4) {
                0 | 1 => {
                    let flags = random.below(3);
                    let full = model.len() == 7;
                    let wanted = match flags {
                        NOEXIST => Err(MapError::Invalid),
                        ANY if full => Err(MapError::TooBig),
                        _ => {
                            if full {
                                model.pop_front();
                            }
                            model.push_back(value);
                            Ok(())
                        }
                    };
                    assert_eq!(map.push(0, &value, flags), wanted);
                }
                2 => {
                    let wanted = if kind == MapKind::Queue { model.pop_front() } else { model.pop_back() };
                    assert_eq!(map.pop(0, &mut out), wanted.map(|_| ()).ok_or(MapError::NoEntry));
                    assert_eq!(out, wanted.unwrap_or([0; 12]));
                }
                _ => {
                    let wanted = if kind == MapKind::Queue { model.front() } else { model.back() };
                    assert_eq!(map.peek(0, &mut out), wanted.map(|_| ()).ok_or(MapError::NoEntry));
                    assert_eq!(out, wanted.copied().unwrap_or([0; 12]));
                }
            }
        }
        assert_eq!(map.push(0, &[0; 11], ANY), Err(MapError::Invalid));
        assert_eq!(map.lookup(0, &[]), None);
        assert_eq!(map.next_key(0, None, &mut []), Err(MapError::Invalid));
    }
}

/// Whatever is pushed by many is popped by many, once.
#[test]
fn threads_share_a_queue() {
    let map = map(MapKind::Queue, 0, 8, 16);
    let (pushed, popped) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for cpu in 0..4_u64 {
            let (map, pushed, popped) = (&map, &pushed, &popped);
            scope.spawn(move || {
                for n in 0..20_000 {
                    let value = cpu << 32 | n;
                    if map.push(cpu as usize, &value.to_le_bytes(), ANY).is_ok() {
                        pushed.fetch_add(value, Ordering::Relaxed);
                    }
                    let mut out = [0; 8];
                    if map.pop(cpu as usize, &mut out).is_ok() {
                        popped.fetch_add(u64::from_le_bytes(out), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut out = [0; 8];
    while map.pop(0, &mut out).is_ok() {
        popped.fetch_add(u64::from_le_bytes(out), Ordering::Relaxed);
    }
    assert_eq!(pushed.load(Ordering::Relaxed), popped.load(Ordering::Relaxed));
}

#[test]
fn a_bloom_filter_never_denies_what_it_has_seen() {
    for functions in [0, 1, 7, 15] {
        let map = made(MapDef { extra: functions, ..MapDef::new(MapKind::BloomFilter, 0, 12, 500) });
        let value = |n: u32| [n.to_le_bytes(), n.wrapping_mul(7).to_le_bytes(), [0; 4]].concat();
        for n in 0..500 {
            assert_eq!(map.push(0, &value(n), ANY), Ok(()));
        }
        for n in 0..500 {
            assert_eq!(map.peek(0, &mut value(n)), Ok(()));
        }
        let wrong = (1000..3000).filter(|n| map.peek(0, &mut value(*n)).is_ok()).count();
        assert!(wrong < 2000 / 2, "{functions} functions: {wrong} of 2000 are wrongly seen");
        if functions == 0 {
            assert!(wrong < 200, "{wrong} of 2000 are wrongly seen");
        }
        assert_eq!(map.push(0, &value(0), EXIST), Err(MapError::Invalid));
        assert_eq!(map.pop(0, &mut value(0)), Err(MapError::Unsupported));
    }
}

#[test]
fn a_stack_has_one_number() {
    let map = map(MapKind::StackTrace, 4, 8 * 4, 64);
    let mut numbers = vec![];
    let mut collisions = 0;
    for n in 1..40_u64 {
        let stack = [n, n * n, 7];
        match map.stack_number(&stack, 0) {
            Ok(number) => {
                assert_eq!(map.stack_number(&stack, 0), Ok(number));
                assert_eq!(map.stack_number(&stack, flag::FAST_CMP), Ok(number));
                let mut out = [0xff; 32];
                assert_eq!(map.read(0, &number.to_le_bytes(), &mut out), Ok(()));
                let words: vec::Vec<u64> =
                    out.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w)).collect();
                assert_eq!(words, [n, n * n, 7, 0]);
                numbers.push(number.to_le_bytes().to_vec());
            }
            Err(error) => {
                assert_eq!(error, MapError::Exists);
                collisions += 1;
                let Ok(number) = map.stack_number(&stack, flag::REUSE) else { panic!("it takes the place") };
                assert!(numbers.contains(&number.to_le_bytes().to_vec()));
            }
        }
    }
    assert!(collisions > 0);
    numbers.sort_by_key(|number| u32::from_le_bytes([number[0], number[1], number[2], number[3]]));
    assert_eq!(keys(&map), numbers);
    for number in &numbers {
        assert_eq!(map.delete(0, number), Ok(None));
        assert_eq!(map.delete(0, number), Err(MapError::NoEntry));
    }
    // Longer than there is room for: cut.
    let Ok(number) = map.stack_number(&[1, 2, 3, 4, 5, 6], 0) else { panic!("it is empty") };
    let mut out = [0; 32];
    assert_eq!(map.read(0, &number.to_le_bytes(), &mut out), Ok(()));
    assert_eq!(out[24], 4);
    assert_eq!(map.update(0, &[0; 4], &[0; 32], ANY), Err(MapError::Invalid));
    assert_eq!(map.lookup(0, &number.to_le_bytes()), None);
}

/// Readers see a stack that somebody has put there, never half of two.
#[test]
fn stacks_are_whole() {
    let map = map(MapKind::StackTrace, 4, 8 * 8, 2);
    thread::scope(|scope| {
        for cpu in 0..4_u64 {
            let map = &map;
            scope.spawn(move || {
                let mut random = Random(cpu + 1);
                for _ in 0..20_000 {
                    let done = map.stack_number(&[random.below(1000) + 1; 8], flag::REUSE);
                    assert!(matches!(done, Ok(_) | Err(MapError::Busy | MapError::NoMemory)), "{done:?}");
                    let mut out = [0; 64];
                    if map.read(0, &(random.below(2) as u32).to_le_bytes(), &mut out).is_ok() {
                        let words = out.as_chunks::<8>().0;
                        assert!(words.iter().all(|word| *word == words[0]), "{words:?}");
                    }
                }
            });
        }
    });
}

#[test]
fn objects_come_out_again() {
    let inner = || Some(Box::new(MapDef::new(MapKind::Array, 4, 4, 1)));
    for def in [
        MapDef::new(MapKind::ProgArray, 4, 4, 3),
        MapDef { inner: inner(), ..MapDef::new(MapKind::ArrayOfMaps, 4, 4, 3) },
        MapDef { inner: inner(), ..MapDef::new(MapKind::HashOfMaps, 4, 4, 3) },
    ] {
        let kind = def.kind;
        let map = made(def);
        let key = 2_u32.to_le_bytes();
        assert_eq!(map.object(0, &key), None);
        assert_eq!(map.set_object(0, &key, 0x1000, ANY), Ok(0));
        assert_eq!(map.set_object(0, &key, 0x2000, ANY), Ok(0x1000), "{kind:?}");
        assert_eq!(map.object(0, &key), Some(0x2000));
        assert_eq!(map.lookup(0, &key), kind.holds_maps().then_some(0x2000));
        assert_eq!(map.clear_object(0, &key), Ok(0x2000));
        assert_eq!(map.clear_object(0, &key), Err(MapError::NoEntry));
        assert!(map.update(0, &key, &[0; 4], ANY).is_err(), "{kind:?}: not by programs");
        if kind != MapKind::HashOfMaps {
            assert_eq!(map.set_object(0, &key, 0x1000, NOEXIST), Err(MapError::Invalid));
            assert_eq!(map.set_object(0, &3_u32.to_le_bytes(), 0x1000, ANY), Err(MapError::TooBig));
            assert_eq!(map.direct().map(|direct| (direct.stride, direct.entries)), Some((8, 3)));
        }
    }
}
