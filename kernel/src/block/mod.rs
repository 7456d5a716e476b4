//! Block devices: sectors that are read and written by requests, which take their time.
//!
//! ```text
//!   task                            this room                          device
//!   read, write ─▶ cache ── miss ─▶ submit ─┬─▶ driver.start ────────▶ works
//!                                           └─▶ waiting, if it is full   │
//!   sleeps                                                              interrupt
//!     ▲                                                                  │
//!     └──── woken ◀── BLOCK softirq ◀── this CPU's list ◀── driver.interrupt
//! ```
//!
//! | file | what |
//! |---|---|
//! | `request` | a request, and waiting for its end |
//! | `disk` | a device: its size, its queue with a bound, its counts |
//! | `cache` | blocks of 4 KiB between bytes and sectors; written back when asked to |
//! | `events` | what of it can be traced |
//! | `virtio` | the driver of virtio-blk: finding it, its queue, its interrupt |
//!
//! The shape is Linux's (`block/blk-mq.c`), with one queue for a device: a request is queued, issued, completed in the
//! interrupt by putting it on a list of that CPU, and finished in the BLOCK softirq, which wakes who waits. All of it
//! can fail, and says so with an errno: EIO for what the device could not do, what lies beyond its end, and a device
//! that does not answer within [`TIMEOUT_NS`]; EROFS where it is not written to; ENOMEM.

pub(crate) mod bench;
mod cache;
mod disk;
mod events;
mod request;
pub(crate) mod selftest;
#[expect(unsafe_code, reason = "memory that a device reads and writes")]
mod virtio;

pub(crate) use cache::{BLOCK_BYTES, Cache};
pub(crate) use disk::{DEPTH, Disk, Driver, disks, find};
pub(crate) use request::{Op, Request, finish};

use crate::irq::softirq::{self, Vector};
use crate::time;
use tracecore::errno::Errno;

/// Bytes of a sector, the unit of addresses; the devices' own blocks may be larger.
pub(crate) const SECTOR_BYTES: usize = 512;

/// Bytes of the largest request.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 << 10;

/// How long a device may take for a request. Then it is given up: EIO, and the device keeps the memory.
pub(crate) const TIMEOUT_NS: u64 = 30 * time::NS_PER_S;

/// Finds the devices. Once, by the first task.
pub(crate) fn init() -> Result<(), Errno> {
    softirq::register(Vector::Block, request::complete)?;
    virtio::probe();
    Ok(())
}
