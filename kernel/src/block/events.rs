//! The events of block devices, named and laid out as Linux's.
//!
//! ```text
//!   block_touch_buffer · block_dirty_buffer                        the cache
//!   block_bio_queue ─▶ [block_rq_tag_wait] ─▶ block_getrq ─▶ block_io_start ─▶ [block_rq_insert]      submit
//!   block_rq_issue                                                 to the driver
//!   block_rq_complete ─▶ [block_rq_error] ─▶ block_bio_complete ─▶ block_io_done                      the softirq
//! ```
//!
//! In brackets: when there is no room for one more request, when the driver has none for this one, when it failed. Nothing
//! is merged, split, plugged or put back, so there are no such events. What a request does is told in letters, as on
//! Linux: `R`ead, `W`rite, `F`lush; a write of `sync` is `WS`.

use super::request::{Op, Request};
use super::{BLOCK_BYTES, Disk};
use crate::task::current;
use crate::tracepoint::{event, event_class, trace_event};
use tracecore::errno::Errno;

/// A device's number, as Linux packs it.
fn dev(disk: &Disk) -> u32 {
    let (major, minor) = disk.number();
    u32::from(major) << 20 | u32::from(minor)
}

/// Sectors of a request.
fn sectors(request: &Request) -> u32 {
    // At most MAX_REQUEST_BYTES.
    request.sectors() as u32
}

/// The letters of a request.
fn rwbs(op: Op) -> [u8; 10] {
    match op {
        Op::Read => *b"R\0\0\0\0\0\0\0\0\0",
        Op::Write => *b"WS\0\0\0\0\0\0\0\0",
        Op::Flush => *b"FF\0\0\0\0\0\0\0\0",
    }
}

/// An error as a negative number, or 0.
pub(super) fn error(result: Result<(), Errno>) -> i32 {
    result.map_or_else(|errno| -errno.code(), |()| 0)
}

event_class! {
    /// A block of the cache.
    block_buffer(disk: &Disk, block: u64) {
        dev: dev_t = dev(disk),
        sector: sector_t = block,
        size: size_t = BLOCK_BYTES as u64,
    }
    print r#""%d,%d sector=%llu size=%zu", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), (unsigned long long)REC->sector, REC->size"#
}

event! {
    /// Somebody looks at a block of the cache.
    block:block_touch_buffer(disk: &Disk, block: u64) as block_buffer
}

event! {
    /// Somebody has changed it.
    block:block_dirty_buffer(disk: &Disk, block: u64) as block_buffer
}

event_class! {
    /// What somebody wants of a device.
    block_bio(disk: &Disk, request: &Request) {
        dev: dev_t = dev(disk),
        sector: sector_t = request.sector,
        nr_sector: unsigned_int = sectors(request),
        rwbs: [char; 10] = rwbs(request.op),
        comm: [char; 16] = current().comm(),
    }
    print r#""%d,%d %s %llu + %u [%s]", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), REC->rwbs, (unsigned long long)REC->sector, REC->nr_sector, REC->comm"#
}

event! {
    /// A task wants sectors read or written.
    block:block_bio_queue(disk: &Disk, request: &Request) as block_bio
}

event! {
    /// There is room for its request.
    block:block_getrq(disk: &Disk, request: &Request) as block_bio
}

trace_event! {
    /// It has them.
    block:block_bio_complete(disk: &Disk, request: &Request, error: i32) {
        dev: dev_t = dev(disk),
        sector: sector_t = request.sector,
        nr_sector: unsigned = sectors(request),
        error: int = error,
        rwbs: [char; 10] = rwbs(request.op),
    }
    print r#""%d,%d %s %llu + %u [%d]", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), REC->rwbs, (unsigned long long)REC->sector, REC->nr_sector, REC->error"#
}

event_class! {
    /// A request on its way.
    block_rq(disk: &Disk, request: &Request) {
        dev: dev_t = dev(disk),
        sector: sector_t = request.sector,
        nr_sector: unsigned_int = sectors(request),
        bytes: unsigned_int = request.data.len() as u32,
        ioprio: unsigned_short = 0,
        rwbs: [char; 10] = rwbs(request.op),
        comm: [char; 16] = current().comm(),
        cmd: string = "",
    }
    print r#""%d,%d %s %u (%s) %llu + %u %s,%u,%u [%s]", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), REC->rwbs, REC->bytes, __get_str(cmd), (unsigned long long)REC->sector, REC->nr_sector, __print_symbolic((((REC->ioprio) >> 13) & (8 - 1)), { IOPRIO_CLASS_NONE, "none" }, { IOPRIO_CLASS_RT, "rt" }, { IOPRIO_CLASS_BE, "be" }, { IOPRIO_CLASS_IDLE, "idle" }, { IOPRIO_CLASS_INVALID, "invalid"}), (((REC->ioprio) >> 3) & ((1 << 10) - 1)), ((REC->ioprio) & ((1 << 3) - 1)), REC->comm"#
}

event! {
    /// A request begins; its time counts from here.
    block:block_io_start(disk: &Disk, request: &Request) as block_rq
}

event! {
    /// The driver has no room: the request waits.
    block:block_rq_insert(disk: &Disk, request: &Request) as block_rq
}

event! {
    /// The driver gets it.
    block:block_rq_issue(disk: &Disk, request: &Request) as block_rq
}

event! {
    /// It is over; so is its time.
    block:block_io_done(disk: &Disk, request: &Request) as block_rq
}

event_class! {
    /// A request that the device has finished.
    block_rq_completion(disk: &Disk, request: &Request, error: i32) {
        dev: dev_t = dev(disk),
        sector: sector_t = request.sector,
        nr_sector: unsigned_int = sectors(request),
        error: int = error,
        ioprio: unsigned_short = 0,
        rwbs: [char; 10] = rwbs(request.op),
        cmd: string = "",
    }
    print r#""%d,%d %s (%s) %llu + %u %s,%u,%u [%d]", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), REC->rwbs, __get_str(cmd), (unsigned long long)REC->sector, REC->nr_sector, __print_symbolic((((REC->ioprio) >> 13) & (8 - 1)), { IOPRIO_CLASS_NONE, "none" }, { IOPRIO_CLASS_RT, "rt" }, { IOPRIO_CLASS_BE, "be" }, { IOPRIO_CLASS_IDLE, "idle" }, { IOPRIO_CLASS_INVALID, "invalid"}), (((REC->ioprio) >> 3) & ((1 << 10) - 1)), ((REC->ioprio) & ((1 << 3) - 1)), REC->error"#
}

event! {
    /// It is finished, with or without an error.
    block:block_rq_complete(disk: &Disk, request: &Request, error: i32) as block_rq_completion
}

event! {
    /// It has failed.
    block:block_rq_error(disk: &Disk, request: &Request, error: i32) as block_rq_completion
}

trace_event! {
    /// Too much is on its way: who comes now has to wait.
    block:block_rq_tag_wait(disk: &Disk, depth: usize) {
        dev: dev_t = dev(disk),
        hctx_id: u32_ = 0,
        nr_tags: u32_ = depth as u32,
        is_sched_tag: bool_ = false,
        is_reserved: bool_ = false,
    }
    print r#""%d,%d hctx=%u starved on %s%s tags (depth=%u)", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), REC->hctx_id, REC->is_sched_tag ? "scheduler" : "hardware", REC->is_reserved ? " reserved" : "", REC->nr_tags"#
}
