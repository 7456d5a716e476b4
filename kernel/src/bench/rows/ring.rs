//! The ring buffer by itself.

use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::sync::PreemptGuard;
use crate::time;
use tracecore::ring::{CpuRing, Mode};

pub(super) const BENCHES: &[Bench] = &[Bench { name: "ring/reserve-commit-8B", run: reserve_commit }];

/// Pages of the ring: a page is full, and the next is begun, many times while counting.
const PAGES: usize = 8;

/// Room for a record of eight bytes, a time stamp, the bytes, and its end.
fn reserve_commit(b: &mut Bencher) -> BenchResult {
    let ring = CpuRing::new(PAGES, Mode::Overwrite).map_err(|_| Skip("no memory for a ring"))?;
    // A recorder holds it off too, or runs with interrupts masked: its part of the cost, not the ring's.
    let pinned = PreemptGuard::new();
    let mut refused = false;
    b.iter(10_000, || match ring.reserve_here(8, time::local_clock_ns) {
        Ok(room) => {
            refused |= !room.put_u64(0, 0x7261_6365_6c69_6e65);
            room.commit();
        }
        Err(_) => refused = true,
    });
    drop(pinned);
    if refused { Err(Skip("the ring took not every record")) } else { Ok(()) }
}
