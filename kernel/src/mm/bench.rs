//! What memory costs.

use super::alloc_pages;
use crate::bench::{Bench, BenchResult, Bencher};
use alloc::boxed::Box;
use core::hint::black_box;

/// The rows of this room.
pub(crate) const BENCHES: &[Bench] =
    &[Bench { name: "mm/box-64B", run: box_64 }, Bench { name: "mm/page", run: page }];

/// Making and dropping a box of 64 bytes, which are set to 0.
fn box_64(b: &mut Bencher) -> BenchResult {
    b.iter(1000, || drop(black_box(Box::new(black_box([0u64; 8])))));
    Ok(())
}

/// Taking and giving back a page.
fn page(b: &mut Bencher) -> BenchResult {
    b.iter(1000, || drop(black_box(alloc_pages(0))));
    Ok(())
}
