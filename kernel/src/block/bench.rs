//! What the way through the queue and the cache costs, with a device that takes no time.

use super::{BLOCK_BYTES, Cache, Disk, Driver, Request, SECTOR_BYTES, TIMEOUT_NS, finish};
use crate::bench::{Bench, BenchResult, Bencher, Skip};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// The rows of this room.
pub(crate) const BENCHES: &[Bench] = &[
    Bench { name: "block/request", run: request },
    Bench { name: "block/cache-read-512B", run: cache_read },
];

/// Answers before it returns.
struct Instant;

impl Driver for Instant {
    fn has_room(&self) -> bool {
        true
    }

    fn start(&mut self, request: Box<Request>) {
        finish(request, Ok(()));
    }
}

fn disk() -> Result<Arc<Disk>, Skip> {
    Disk::new("bench", 0, 1 << 20, false, TIMEOUT_NS, Box::new(Instant)).map_err(|_| Skip("no memory"))
}

/// A request of one sector: made, submitted, finished, completed in the softirq, waited for, freed.
fn request(b: &mut Bencher) -> BenchResult {
    let disk = disk()?;
    b.iter(1000, || drop(disk.read(8, SECTOR_BYTES)));
    Ok(())
}

/// Half a kilobyte of a block that is in the cache.
fn cache_read(b: &mut Bencher) -> BenchResult {
    let cache = Cache::new(disk()?);
    let mut buf = [0; 512];
    b.iter(1000, || {
        let _ = core::hint::black_box(cache.read(BLOCK_BYTES as u64, &mut buf));
    });
    Ok(())
}
