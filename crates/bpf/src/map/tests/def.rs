//! What maps there can be.

use std::boxed::Box;

use super::made;
use crate::map::{Map, MapDef, MapError, MapKind, Special, flag};

fn check(def: &MapDef) -> Option<MapError> {
    def.check().err()
}

#[test]
fn senseless_definitions_are_refused() {
    use MapError::{Invalid, NoMemory, TooBig};
    let def = MapDef::new;
    let inner = || Some(Box::new(def(MapKind::Array, 4, 4, 1)));
    for (kind, key, value, entries, wanted) in [
        (MapKind::Array, 4, 8, 1, None),
        (MapKind::Array, 8, 8, 1, Some(Invalid)),
        (MapKind::Array, 4, 0, 1, Some(Invalid)),
        (MapKind::Array, 4, 8, 0, Some(Invalid)),
        (MapKind::Array, 4, 1 << 20, 1 << 20, Some(NoMemory)),
        (MapKind::Array, 4, u32::MAX, 1, Some(TooBig)),
        (MapKind::Hash, 0, 8, 1, Some(Invalid)),
        (MapKind::Hash, 4, 0, 1, Some(Invalid)),
        (MapKind::Hash, 4, 8, 0, Some(Invalid)),
        (MapKind::Hash, 512, 8, 1, None),
        (MapKind::Hash, 513, 8, 1, Some(TooBig)),
        (MapKind::Hash, 4, 8, u32::MAX, Some(TooBig)),
        (MapKind::PercpuHash, 4, 8, 1, None),
        (MapKind::ProgArray, 4, 4, 1, None),
        (MapKind::ProgArray, 4, 8, 1, Some(Invalid)),
        (MapKind::PerfEventArray, 4, 4, 4, None),
        (MapKind::StackTrace, 4, 8 * 127, 1, None),
        (MapKind::StackTrace, 4, 8 * 128, 1, Some(Invalid)),
        (MapKind::StackTrace, 4, 12, 1, Some(Invalid)),
        (MapKind::StackTrace, 4, 0, 1, Some(Invalid)),
        (MapKind::LpmTrie, 8, 8, 1, Some(Invalid)),
        (MapKind::Queue, 0, 8, 1, None),
        (MapKind::Queue, 4, 8, 1, Some(Invalid)),
        (MapKind::Stack, 0, 0, 1, Some(Invalid)),
        (MapKind::BloomFilter, 0, 8, 1, None),
        (MapKind::RingBuf, 0, 0, 4096, None),
        (MapKind::RingBuf, 0, 0, 4095, Some(Invalid)),
        (MapKind::RingBuf, 0, 0, 3 * 4096, Some(Invalid)),
        (MapKind::RingBuf, 0, 8, 4096, Some(Invalid)),
        (MapKind::RingBuf, 4, 0, 4096, Some(Invalid)),
        (MapKind::ArrayOfMaps, 4, 4, 1, Some(Invalid)),
    ] {
        assert_eq!(check(&def(kind, key, value, entries)), wanted, "{kind:?} {key} {value} {entries}");
    }
    assert_eq!(check(&MapDef { inner: inner(), ..def(MapKind::ArrayOfMaps, 4, 4, 1) }), None);
    assert_eq!(check(&MapDef { inner: inner(), ..def(MapKind::HashOfMaps, 6, 4, 1) }), None);
    assert_eq!(check(&MapDef { inner: inner(), ..def(MapKind::Array, 4, 4, 1) }), Some(Invalid));
    let nested = Some(Box::new(MapDef { inner: inner(), ..def(MapKind::ArrayOfMaps, 4, 4, 1) }));
    assert_eq!(check(&MapDef { inner: nested, ..def(MapKind::ArrayOfMaps, 4, 4, 1) }), Some(Invalid));
    assert_eq!(check(&def(MapKind::Hash, 4, 4, 1).with_flags(1 << 31)), Some(Invalid));
    assert_eq!(check(&def(MapKind::Array, 4, 4, 1).with_flags(flag::NO_PREALLOC)), Some(Invalid));
    let both = flag::RDONLY_PROG | flag::WRONLY_PROG;
    assert_eq!(check(&def(MapKind::Array, 4, 4, 1).with_flags(both)), Some(Invalid));
    for (name, wanted) in
        [("fifteen_letters", None), ("sixteen_letters_", Some(Invalid)), ("a b", Some(Invalid))]
    {
        assert_eq!(check(&def(MapKind::Array, 4, 4, 1).named(name)), wanted, "{name}");
    }
    for (lock, timer, wanted) in [
        (Some(0), Some(8), None),
        (Some(2), None, Some(Invalid)),
        (Some(24), None, Some(Invalid)),
        (Some(u32::MAX - 3), None, Some(Invalid)),
        (None, Some(4), Some(Invalid)),
        (None, Some(16), Some(Invalid)),
    ] {
        let special = Special { spin_lock: lock, timer };
        let def = MapDef { special, ..def(MapKind::Hash, 4, 24, 1) };
        assert_eq!(check(&def), wanted, "{special:?}");
    }
}

#[test]
fn names_and_numbers_are_each_others() {
    for kind in MapKind::all() {
        assert_eq!(MapKind::by_name(kind.name()), Some(kind));
        assert_eq!(MapKind::by_number(kind as u32), Some(kind));
    }
    assert_eq!((MapKind::by_name(""), MapKind::by_number(8)), (None, None));
}

/// The kernel's fields of a value survive updates.
#[test]
fn an_update_leaves_special_fields() {
    let special = Special { spin_lock: Some(4), timer: Some(8) };
    for kind in [MapKind::Array, MapKind::Hash, MapKind::LruHash] {
        let timer = special.timer.filter(|_| kind != MapKind::LruHash);
        let def = MapDef { special: Special { timer, ..special }, ..MapDef::new(kind, 4, 28, 2) };
        if timer.is_none() {
            assert!(MapDef { special, ..def.clone() }.check().is_err());
            continue;
        }
        let map = made(def);
        let key = [0; 4];
        assert_eq!(map.update(0, &key, &[0xff; 28], 0), Ok(()));
        let mut out = [1; 28];
        assert_eq!(map.read(0, &key, &mut out), Ok(()));
        let mut wanted = [0xff; 28];
        wanted[4..24].fill(0);
        assert_eq!(out, wanted, "{kind:?}: they begin as 0");
        let (cells, shift) = map.lookup(0, &key).and_then(|addr| map.cells_at(addr, 28)).unwrap_or((&[], 9));
        assert_eq!((cells.len(), shift), (4, 0));
        cells[1].store(77, core::sync::atomic::Ordering::Relaxed);
        assert_eq!(map.update(0, &key, &[0x11; 28], 0), Ok(()));
        assert_eq!(map.read(0, &key, &mut out), Ok(()));
        let mut wanted = [0x11; 28];
        wanted[4..24].fill(0);
        wanted[8] = 77;
        assert_eq!(out, wanted, "{kind:?}: and stay");
    }
}

#[test]
fn addresses_are_checked() {
    let map = made(MapDef::new(MapKind::Array, 4, 12, 2));
    let base = map.direct().map_or(0, |direct| direct.base);
    assert_eq!(map.direct().map(|direct| (direct.stride, direct.entries)), Some((16, 2)));
    assert_eq!(map.lookup(0, &1_u32.to_le_bytes()), Some(base + 16));
    assert!(map.cells_at(base + 13, 4).is_some_and(|(cells, shift)| cells.len() == 2 && shift == 5));
    assert!(map.cells_at(base + 32, 0).is_some());
    for (addr, len) in [(base - 1, 1), (base + 32, 1), (base + 25, 8), (0, 1), (u64::MAX, usize::MAX)] {
        assert!(map.cells_at(addr, len).is_none(), "{addr:#x} {len}");
    }
}

/// Nothing is too odd to be refused or made.
#[test]
fn any_definition_is_answered() {
    let mut random = super::Random(9);
    let sizes = [0, 1, 4, 5, 8, 12, 16, 100, 4096, 8192, u32::MAX];
    for _ in 0..2_000 {
        let kinds: std::vec::Vec<_> = MapKind::all().collect();
        let mut pick = || sizes[random.below(sizes.len() as u64) as usize];
        let (key, value, entries) = (pick(), pick(), pick());
        let kind = kinds[random.below(kinds.len() as u64) as usize];
        let mut def = MapDef::new(kind, key, value, entries).with_flags(random.below(2) as u32);
        if kind.holds_maps() {
            def.inner = Some(Box::new(MapDef::new(MapKind::Array, 4, 4, 1)));
        }
        if def.check().is_err() || def.memory(4) > 1 << 24 {
            continue;
        }
        let Ok(map) = Map::new(def, 4) else { continue };
        let key = std::vec![0; key as usize];
        let mut value = std::vec![0; map.outer_value_size()];
        let _ = map.write(0, &key, &value, 0);
        let _ = map.push(0, &value, 0);
        let _ = map.read(0, &key, &mut value);
        let _ = map.peek(0, &mut value);
        let _ = map.pop(0, &mut value);
        let _ = (map.delete(0, &key), map.lookup(0, &key), map.object(0, &key));
        assert!(map.busy() == 0);
    }
}
