//! What compiled programs call: maps, rings, the clock. The loop around a call is counted with it.

use alloc::sync::Arc;

use ::bpf::helper::HelperNames;
use ::bpf::jit::{Array, Env};
use ::bpf::map::{MapDef, MapKind, flag};
use ::bpf::op::Imm64;
use ::bpf::text;

use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::bpf::helpers;
use crate::bpf::jit::{self, Image};
use crate::bpf::maps::{self, Entry};
use crate::sync::PreemptGuard;

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "bpf/jit-map-lookup-array", run: lookup_array },
    Bench { name: "bpf/jit-map-lookup-hash", run: lookup_hash },
    Bench { name: "bpf/jit-map-update-hash", run: update_hash },
    Bench { name: "bpf/jit-ktime", run: ktime },
    Bench { name: "bpf/ringbuf-8B", run: ringbuf },
];

const TURNS: u64 = 1000;
/// How often a program is run: the first finds caches cold.
const RUNS: usize = 3;
/// Room for all records of all runs.
const RING_BYTES: u32 = 256 << 10;

fn map(def: MapDef) -> Result<Arc<Entry>, Skip> {
    maps::create(def).map_err(|_| Skip("no memory for the map"))
}

/// The map of a program.
struct With(Arc<Entry>);

impl Env for With {
    fn helper(&self, number: i32) -> Option<u64> {
        helpers::address(number).map(|helper| helper as *const () as u64)
    }

    fn address(&self, imm: Imm64) -> Option<u64> {
        matches!(imm, Imm64::MapIndex(0)).then(|| self.0.address())
    }

    fn array(&self, _: Imm64) -> Option<Array> {
        let direct = self.0.direct()?;
        Some(Array { values: direct.base, stride: u32::try_from(direct.stride).ok()?, len: direct.entries })
    }
}

/// Compiles a program that uses a map, and counts what a turn of its loop costs.
fn turns(b: &mut Bencher, text: &str, map: Arc<Entry>) -> BenchResult {
    let program = text::parse(text, &HelperNames).map_err(|_| Skip("the program cannot be read"))?;
    let image = Image::new(&program, &With(map), &jit::options(), "bpf_prog_bench")
        .map_err(|_| Skip("the program cannot be compiled"))?;
    let here = PreemptGuard::new();
    for _ in 0..RUNS {
        b.once(TURNS, || {
            // SAFETY: the programs below access their stack and what their helpers give them.
            core::hint::black_box(unsafe { image.call([0; 5]) });
        });
    }
    drop(here);
    Ok(())
}

/// A value of an array, found in place.
fn lookup_array(b: &mut Bencher) -> BenchResult {
    turns(
        b,
        "
            r6 = 1000
            *(u32 *)(r10 - 4) = 3
          again:
            r2 = r10
            r2 += -4
            r1 = map[#0]
            call map_lookup_elem
            if r0 == 0 goto out
            r6 -= 1
            if r6 != 0 goto again
          out:
            r0 = 0
            exit
        ",
        map(MapDef::new(MapKind::Array, 4, 8, 8))?,
    )
}

const LOOKUP_HASH: &str = "
            r6 = 1000
          again:
            *(u64 *)(r10 - 8) = r6
            r2 = r10
            r2 += -8
            r1 = map[#0]
            call map_lookup_elem
            if r0 == 0 goto out
            r6 -= 1
            if r6 != 0 goto again
          out:
            r0 = 0
            exit
";

/// A value of a hash of 1000: each of them once.
fn lookup_hash(b: &mut Bencher) -> BenchResult {
    turns(b, LOOKUP_HASH, filled()?)
}

fn filled() -> Result<Arc<Entry>, Skip> {
    // Without a seed: the same figure each time.
    let map = map(MapDef::new(MapKind::Hash, 8, 8, 1024).with_flags(flag::ZERO_SEED))?;
    for key in 1..=TURNS {
        map.write_value(&key.to_le_bytes(), &key.to_le_bytes(), 0).map_err(|_| Skip("the map is full"))?;
    }
    Ok(map)
}

/// Another value for a key that is there: each of 1000 once.
fn update_hash(b: &mut Bencher) -> BenchResult {
    turns(
        b,
        "
            r6 = 1000
            *(u64 *)(r10 - 16) = 7
          again:
            *(u64 *)(r10 - 8) = r6
            r2 = r10
            r2 += -8
            r3 = r10
            r3 += -16
            r4 = 0
            r1 = map[#0]
            call map_update_elem
            if r0 != 0 goto out
            r6 -= 1
            if r6 != 0 goto again
          out:
            r0 = 0
            exit
        ",
        filled()?,
    )
}

fn ktime(b: &mut Bencher) -> BenchResult {
    turns(
        b,
        "
            r6 = 1000
          again:
            call ktime_get_ns
            r6 -= 1
            if r6 != 0 goto again
            r0 = 0
            exit
        ",
        map(MapDef::new(MapKind::Array, 4, 8, 1))?,
    )
}

/// A record of 8 bytes: reserved, written, submitted.
fn ringbuf(b: &mut Bencher) -> BenchResult {
    turns(
        b,
        "
            r6 = 1000
          again:
            r1 = map[#0]
            r2 = 8
            r3 = 0
            call ringbuf_reserve
            if r0 == 0 goto out
            *(u64 *)(r0 + 0) = r6
            r1 = r0
            r2 = 0
            call ringbuf_submit
            r6 -= 1
            if r6 != 0 goto again
          out:
            r0 = 0
            exit
        ",
        map(MapDef::new(MapKind::RingBuf, 0, 0, RING_BYTES))?,
    )
}
