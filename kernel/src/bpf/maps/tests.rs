//! Maps on this machine: who holds them, what they take, and four CPUs at once.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ::bpf::map::{ANY, MapDef, MapError, MapKind, NOEXIST, ringbuf::query};
use tracecore::errno::Errno;

use super::{Entry, all, by_id, charged, create, here};
use crate::arch::cpu;
use crate::exception::PtRegs;
use crate::fs::bpffs;
use crate::kprobes::{Flow, Handler, Kprobe};
use crate::ksyms;
use crate::selftest::{Load, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::{CpuPin, quiesce};
use crate::task;
use crate::time::NS_PER_MS;

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "holders", run: holders },
    Test { name: "limits", run: limits },
    Test { name: "inner_maps", run: inner_maps },
    Test { name: "counts_of_all_cpus", run: counts_of_all_cpus },
    Test { name: "keys_of_all_cpus", run: keys_of_all_cpus },
    Test { name: "records_of_all_cpus", run: records_of_all_cpus },
    Test { name: "breakpoint_inside_an_update", run: breakpoint_inside_an_update },
];

/// Does it become so soon? For what happens after a quiet point.
fn eventually(mut is: impl FnMut() -> bool) -> bool {
    for _ in 0..1000 {
        if is() {
            return true;
        }
        task::sleep_ns(NS_PER_MS);
    }
    false
}

/// Maps die when nobody holds them: their id at once, their memory after a quiet point.
fn holders(t: &mut TestCtx<'_>) -> TestResult {
    quiesce::synchronize();
    let before = charged();
    let map = create(MapDef::new(MapKind::Hash, 4, 8, 100).named("holders"));
    check!(t, map.is_ok());
    let Ok(map) = map else { return Ok(()) };
    let id = map.id();
    check_eq!(t, charged(), before + map.bytes());
    check!(t, by_id(id).is_some_and(|found| Arc::ptr_eq(&found, &map)));
    let path = "/sys/fs/bpf/selftest_holders";
    check_eq!(t, bpffs::pin(path, map.clone()), Ok(()));
    check_eq!(t, bpffs::pin(path, map.clone()), Err(Errno::EEXIST));
    check_eq!(t, bpffs::pin("/tmp/selftest_holders", map.clone()), Err(Errno::EPERM));
    drop(map);
    check!(t, by_id(id).is_some(), "the name holds it");
    check_eq!(t, crate::fs::vfs::unlink("/", path), Ok(()));
    check!(t, by_id(id).is_none());
    check!(t, all().iter().all(|map| map.id() != id));
    check!(t, eventually(|| charged() <= before), "{} bytes, before {before}", charged());
    Ok(())
}

/// What does not fit is refused, and nothing of it stays.
fn limits(t: &mut TestCtx<'_>) -> TestResult {
    let before = charged();
    for (kind, key, value, entries, wanted) in [
        (MapKind::Array, 4, 8, 0, Errno::EINVAL),
        (MapKind::Array, 8, 8, 1, Errno::EINVAL),
        (MapKind::Hash, 600, 8, 1, Errno::E2BIG),
        (MapKind::Array, 4, 8, u32::MAX, Errno::ENOMEM),
        (MapKind::Hash, 4, 8, u32::MAX, Errno::E2BIG),
        // More than all maps may have.
        (MapKind::Array, 4, 1 << 20, 1000, Errno::ENOMEM),
        // More than the heap gives in one piece.
        (MapKind::Array, 4, 8, 2 << 20, Errno::ENOMEM),
        (MapKind::RingBuf, 0, 0, 5000, Errno::EINVAL),
    ] {
        let made = create(MapDef::new(kind, key, value, entries)).err();
        check_eq!(t, made, Some(wanted));
    }
    check!(t, eventually(|| charged() <= before));
    // As many as there is room for, and all of it back.
    let mut maps = Vec::new();
    let refusal = loop {
        match create(MapDef::new(MapKind::Array, 4, 8, 500_000)) {
            Ok(map) => maps.push(map),
            Err(errno) => break errno,
        }
    };
    check_eq!(t, refusal, Errno::ENOMEM);
    check!(t, maps.len() > 2, "{}", maps.len());
    diag!(t, "{} maps of 4 MB", maps.len());
    drop(maps);
    check!(t, eventually(|| charged() <= before), "{} bytes, before {before}", charged());
    Ok(())
}

fn inner_maps(t: &mut TestCtx<'_>) -> TestResult {
    let small = || MapDef::new(MapKind::Hash, 4, 8, 10);
    let outer =
        create(MapDef { inner: Some(Box::new(small())), ..MapDef::new(MapKind::HashOfMaps, 4, 4, 2) });
    let (inner, other) = (create(small()), create(MapDef::new(MapKind::Hash, 4, 12, 10)));
    let (Ok(outer), Ok(inner), Ok(other)) = (outer, inner, other) else {
        return Err(t.fail(file!(), line!(), format_args!("no memory")));
    };
    let key = 7_u32.to_le_bytes();
    check_eq!(t, outer.put_map(&key, &other, ANY), Err(Errno::EINVAL));
    check_eq!(t, outer.put_map(&key, &inner, ANY), Ok(()));
    check_eq!(t, outer.put_map(&key, &inner, NOEXIST), Err(Errno::EEXIST));
    check_eq!(t, here(|cpu| outer.lookup(cpu, &key)), Some(inner.address()));
    let id = inner.id();
    drop(inner);
    check!(t, by_id(id).is_some(), "the outer one holds it");
    check_eq!(t, outer.delete_key(&key), Ok(()));
    check_eq!(t, outer.delete_key(&key), Err(Errno::ENOENT));
    check!(t, eventually(|| by_id(id).is_none()));
    Ok(())
}

/// Each CPU adds to one shared value by its address, and to its own in a per-CPU map: nothing is lost.
fn counts_of_all_cpus(t: &mut TestCtx<'_>) -> TestResult {
    const ROUNDS: u64 = 200;
    let (shared, own) =
        (create(MapDef::new(MapKind::Hash, 4, 8, 8)), create(MapDef::new(MapKind::LruPercpuHash, 4, 8, 8)));
    let (Ok(shared), Ok(own)) = (shared, own) else {
        return Err(t.fail(file!(), line!(), format_args!("no memory")));
    };
    let key = 1_u32.to_le_bytes();
    check_eq!(t, shared.write_value(&key, &[0; 8], ANY), Ok(()));
    let (of_load, of_load_own) = (shared.clone(), own.clone());
    let load = Load::start(move |_| {
        let mut whole = true;
        for _ in 0..ROUNDS {
            whole &= here(|cpu| {
                let add = |map: &Entry| {
                    let addr = map.lookup(cpu, &key)?;
                    let (cells, _) = map.cells_at(addr, 8)?;
                    Some(cells.first()?.fetch_add(1, Ordering::Relaxed))
                };
                if add(&of_load_own).is_none() {
                    let _ = of_load_own.update(cpu, &key, &1_u64.to_le_bytes(), NOEXIST);
                    if of_load_own.lookup(cpu, &key).is_none() {
                        return false;
                    }
                    // Somebody else made it, or we did, with our first.
                }
                add(&of_load).is_some()
            });
        }
        whole
    });
    task::sleep_ns(20 * NS_PER_MS);
    let (turns, wrong) = load.end();
    check_eq!(t, wrong, 0);
    let mut value = [0; 8];
    check_eq!(t, shared.read_value(&key, &mut value), Ok(()));
    check_eq!(t, u64::from_le_bytes(value), turns * ROUNDS);
    let mut values = alloc::vec![0; own.outer_value_size()];
    check_eq!(t, own.read_value(&key, &mut values), Ok(()));
    let sum: u64 = values.as_chunks::<8>().0.iter().map(|value| u64::from_le_bytes(*value)).sum();
    // Each CPU may have lost its first to another that made the element at the same moment.
    let cpus = cpu::online() as u64;
    check!(t, sum <= turns * ROUNDS && sum + cpus >= turns * ROUNDS, "{sum} of {}", turns * ROUNDS);
    Ok(())
}

/// Each CPU inserts, finds and deletes keys of its own, while one walks over all.
fn keys_of_all_cpus(t: &mut TestCtx<'_>) -> TestResult {
    const KEYS: u64 = 24;
    let map = create(MapDef::new(MapKind::Hash, 8, 8, KEYS as u32 * cpu::online() as u32));
    let Ok(map) = map else { return Err(t.fail(file!(), line!(), format_args!("no memory"))) };
    let steady = u64::MAX.to_le_bytes();
    let (of_load, refused) = (map.clone(), Arc::new(AtomicU64::new(0)));
    let counted = refused.clone();
    let load = Load::start(move |_| {
        here(|cpu| {
            let mut right = true;
            let keys = (0..KEYS - 1).map(|n| (cpu as u64) << 32 | n);
            for (key, insert) in keys.clone().map(|key| (key, true)).chain(keys.map(|key| (key, false))) {
                let bytes = key.to_le_bytes();
                let done = if insert {
                    of_load.update(cpu, &bytes, &bytes, NOEXIST)
                } else {
                    of_load.delete(cpu, &bytes).map(|_| ())
                };
                match done {
                    Ok(()) => right &= of_load.lookup(cpu, &bytes).is_some() == insert,
                    // Said to be so; then it is not done.
                    Err(MapError::Busy) => drop(counted.fetch_add(1, Ordering::Relaxed)),
                    Err(_) => right = counted.load(Ordering::Relaxed) > 0,
                }
            }
            right
        })
    });
    check_eq!(t, map.write_value(&steady, &steady, ANY), Ok(()));
    let mut steady_seen = 0;
    for _ in 0..200 {
        let (mut key, mut before) = ([0; 8], None::<[u8; 8]>);
        let mut steps = 0;
        while map.key_after(before.as_ref().map(<[u8; 8]>::as_slice), &mut key).is_ok() && steps < 1000 {
            steady_seen += u64::from(key == steady);
            // What was deleted begins the walk anew.
            steps += 1;
            before = Some(key);
        }
    }
    let (turns, wrong) = load.end();
    check_eq!(t, wrong, 0);
    check_eq!(t, map.busy(), refused.load(Ordering::Relaxed));
    check!(t, steady_seen > 0);
    let mut left = 0;
    let (mut key, mut before) = ([0; 8], None::<[u8; 8]>);
    while map.key_after(before.as_ref().map(<[u8; 8]>::as_slice), &mut key).is_ok() {
        left += 1;
        before = Some(key);
    }
    check!(t, left <= 1 + map.busy(), "{left} left");
    diag!(t, "{turns} rounds, {} refused", map.busy());
    Ok(())
}

/// Records of all CPUs through one ring: read + dropped = written.
fn records_of_all_cpus(t: &mut TestCtx<'_>) -> TestResult {
    const EACH: u64 = 50;
    let ring = create(MapDef::new(MapKind::RingBuf, 0, 0, 8192));
    let Ok(ring) = ring else { return Err(t.fail(file!(), line!(), format_args!("no memory"))) };
    let (of_load, taken) = (ring.clone(), Arc::new(AtomicU64::new(0)));
    let counted = taken.clone();
    let load = Load::start(move |_| {
        here(|cpu| {
            for n in 0..EACH {
                if of_load.ring_output_stamped(cpu as u64, &n.to_le_bytes()).is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        true
    });
    let mut read = 0;
    let mut record = [0; 32];
    let mut take = || match here(|_| ring.ring_take(&mut record)) {
        Ok(Some(16)) => Some(true),
        Ok(None) => None,
        _ => Some(false),
    };
    let mut wrong_records = 0;
    for _ in 0..20_000 {
        match take() {
            Some(true) => read += 1,
            Some(false) => wrong_records += 1,
            None => task::yield_now(),
        }
    }
    let (turns, wrong) = load.end();
    while let Some(right) = take() {
        read += u64::from(right);
        wrong_records += u64::from(!right);
    }
    check_eq!(t, (wrong, wrong_records), (0, 0));
    check_eq!(t, read, taken.load(Ordering::Relaxed));
    check_eq!(t, read + ring.ring_dropped(), turns * EACH);
    check_eq!(t, ring.ring_query(query::AVAIL_DATA), 0);
    diag!(t, "{read} read, {} dropped", ring.ring_dropped());
    Ok(())
}

/// Updates the map in whose update it strikes.
struct Inside {
    map: Arc<Entry>,
    same: AtomicU64,
    found: AtomicU64,
}

impl Handler for Inside {
    fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
        let cpu = cpu::id();
        let key = 1_u32.to_le_bytes();
        if self.map.update(cpu, &key, &[2; 12], ANY) == Err(MapError::Busy) {
            self.same.fetch_add(1, Ordering::Relaxed);
        }
        // Looking waits for nobody.
        if self.map.lookup(cpu, &key).is_some() {
            self.found.fetch_add(1, Ordering::Relaxed);
        }
        Flow::Continue
    }
}

/// A breakpoint while the lock is held: who comes by it again is refused, at once, and it is counted.
fn breakpoint_inside_an_update(t: &mut TestCtx<'_>) -> TestResult {
    let special = ::bpf::map::Special { spin_lock: Some(8), timer: None };
    let map = create(MapDef { special, ..MapDef::new(MapKind::Hash, 4, 12, 8) });
    let Ok(map) = map else { return Err(t.fail(file!(), line!(), format_args!("no memory"))) };
    let key = 1_u32.to_le_bytes();
    check_eq!(t, map.write_value(&key, &[1; 12], ANY), Ok(()));
    // Writes around what the kernel owns, under the lock of the bucket.
    let symbol = ksyms::by_name("<bpf::map::cells::Cells>::write_around");
    check!(t, symbol.is_some());
    let addr = symbol.map_or(0, |symbol| symbol.start as usize);
    let inside = Arc::new(Inside { map: map.clone(), same: AtomicU64::new(0), found: AtomicU64::new(0) });
    let probe = Kprobe::register(addr, inside.clone());
    check!(t, probe.is_ok());
    let Ok(probe) = probe else { return Ok(()) };
    check_eq!(t, probe.arm(), Ok(()));
    let done = map.write_value(&key, &[3; 12], ANY);
    check_eq!(t, probe.disarm(), Ok(()));
    check_eq!(t, done, Ok(()));
    check_eq!(t, inside.same.load(Ordering::Relaxed), 1);
    check_eq!(t, inside.found.load(Ordering::Relaxed), 1);
    check_eq!(t, map.busy(), 1);
    let mut value = [0; 12];
    check_eq!(t, map.read_value(&key, &mut value), Ok(()));
    check_eq!(t, value, [3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0]);
    Ok(())
}
