//! Static keys: the branch while it is off, and a flip.

use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::jump_label::{StaticKey, static_branch_unlikely};
use core::hint::black_box;

pub(super) const BENCHES: &[Bench] =
    &[Bench { name: "static_key/off", run: off }, Bench { name: "static_key/flip-1-site", run: flip_1 }];

static KEY: StaticKey = StaticKey::new("bench", false);

/// In a loop of its own: what the loop has more with it than without.
fn off(b: &mut Bencher) -> BenchResult {
    b.iter(1000, || {
        if static_branch_unlikely!(KEY) {
            black_box(1);
        }
    });
    Ok(())
}

/// The key that the row above branches on: on, off, on, …
fn flip_1(b: &mut Bencher) -> BenchResult {
    let mut failed = KEY.sites().len() != 1;
    b.iter(1000, || {
        let flipped = if KEY.is_enabled() { KEY.dec() } else { KEY.inc() };
        failed |= flipped.is_err();
    });
    if failed { Err(Skip("a flip failed, or the key has not one site")) } else { Ok(()) }
}
