//! Maps against models, and under load.

mod def;
mod hash;
mod lpm;
mod others;
mod ringbuf;

use std::vec::Vec;

use super::{Map, MapDef, MapKind};

/// A small generator with a seed (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A map for four CPUs.
fn map(kind: MapKind, key: u32, value: u32, entries: u32) -> Map {
    made(MapDef::new(kind, key, value, entries))
}

fn made(def: MapDef) -> Map {
    Map::new(def, 4).unwrap_or_else(|e| panic!("{e}"))
}

/// All keys by `next_key`, in its order.
fn keys(map: &Map) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let mut out = std::vec![0; map.def().key_size as usize];
    while map.next_key(0, keys.last().map(Vec::as_slice), &mut out).is_ok() {
        keys.push(out.clone());
    }
    keys
}
