//! A block device: its queue, its driver, its counts.
//!
//! At most [`DEPTH`] requests are on their way; who comes then sleeps until one has ended. What the driver has no room
//! for waits here, and goes on as room is made:
//!
//! ```text
//!   submit ── room? ──▶ waiting ─▶ ─▶ ─▶ driver      on_way = waiting + in the driver ≤ DEPTH
//!               │ no                      │
//!               └ sleeps on `room` ◀──────┘ ended
//! ```

use super::request::{Op, Pending, Request};
use super::{SECTOR_BYTES, TIMEOUT_NS, events, request};
use crate::mm;
use crate::sync::SpinLock;
use crate::task::{Wait, WaitQueue};
use crate::time::now_ns;
use crate::tracepoint::trace;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use tracecore::errno::Errno;

/// Requests of one device that may be on their way at a time.
pub(crate) const DEPTH: usize = 64;

/// Devices there may be.
pub(crate) const MAX_DISKS: usize = 26;

/// Number of the driver in a device's number: what Linux gives virtio-blk (it is not fixed there).
const MAJOR: u16 = 254;
/// Minor numbers of one device: its partitions would have the others.
const MINORS: u16 = 16;

/// What drives a device. Called under the lock of its queue, with interrupts masked.
pub(crate) trait Driver: Send {
    /// True when [`Driver::start`] can take a request now.
    fn has_room(&self) -> bool;

    /// Has the device begin. The request comes back through [`super::finish`], in any order.
    fn start(&mut self, request: Box<Request>);

    /// The device has interrupted: hands back what it has finished.
    fn interrupt(&mut self) {}
}

struct Queue {
    driver: Box<dyn Driver>,
    waiting: VecDeque<Box<Request>>,
    on_way: usize,
    /// Since when something is on its way.
    busy_since_ns: u64,
}

/// What a device did since boot, as `/proc/diskstats` tells it.
#[derive(Default)]
pub(crate) struct Counts {
    /// Requests, sectors and nanoseconds, of reads and of writes.
    pub(crate) reads: [AtomicU64; 3],
    /// As of reads.
    pub(crate) writes: [AtomicU64; 3],
    /// Flushes, and nanoseconds.
    pub(crate) flushes: [AtomicU64; 2],
    /// Requests that failed.
    pub(crate) failed: AtomicU64,
    /// Nanoseconds in which something was on its way.
    pub(crate) busy_ns: AtomicU64,
}

/// A block device.
pub(crate) struct Disk {
    name: String,
    minor: u16,
    sectors: u64,
    read_only: bool,
    timeout_ns: u64,
    queue: SpinLock<Queue>,
    room: WaitQueue,
    /// What it did.
    pub(crate) counts: Counts,
}

static DISKS: SpinLock<Vec<Arc<Disk>>> = SpinLock::new(Vec::new());

/// All devices, in the order they were found.
pub(crate) fn disks() -> Vec<Arc<Disk>> {
    DISKS.lock().clone()
}

/// The device `name`.
pub(crate) fn find(name: &str) -> Option<Arc<Disk>> {
    DISKS.lock().iter().find(|disk| disk.name == name).cloned()
}

impl Disk {
    /// A device that nobody else knows, and how long it may take for a request.
    pub(crate) fn new(
        name: &str,
        minor: u16,
        sectors: u64,
        read_only: bool,
        timeout_ns: u64,
        driver: Box<dyn Driver>,
    ) -> Result<Arc<Self>, Errno> {
        let mut waiting = VecDeque::new();
        waiting.try_reserve_exact(DEPTH).map_err(|_| Errno::ENOMEM)?;
        let queue = SpinLock::new(Queue { driver, waiting, on_way: 0, busy_since_ns: 0 });
        mm::try_arc(Self {
            name: name.into(),
            minor,
            sectors,
            read_only,
            timeout_ns,
            queue,
            room: WaitQueue::new(),
            counts: Counts::default(),
        })
    }

    /// A device for everybody, with the next free name: `vda`, `vdb`, … ENOSPC after `vdz`.
    pub(super) fn register(
        sectors: u64,
        read_only: bool,
        driver: Box<dyn Driver>,
    ) -> Result<Arc<Self>, Errno> {
        let number = DISKS.lock().len();
        if number >= MAX_DISKS {
            return Err(Errno::ENOSPC);
        }
        let name = ['v', 'd', char::from(b'a' + number as u8)].iter().collect::<String>();
        let disk = Self::new(&name, number as u16 * MINORS, sectors, read_only, TIMEOUT_NS, driver)?;
        let mut disks = DISKS.lock();
        disks.push(disk.clone());
        Ok(disk)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its number: major and minor.
    pub(crate) fn number(&self) -> (u16, u16) {
        (MAJOR, self.minor)
    }

    /// How many sectors it has.
    pub(crate) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// How many bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.sectors.saturating_mul(SECTOR_BYTES as u64)
    }

    /// True when it cannot be written to.
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// How long it may take for a request.
    pub(super) fn timeout_ns(&self) -> u64 {
        self.timeout_ns
    }

    /// Requests that are on their way.
    pub(crate) fn on_way(&self) -> usize {
        self.queue.lock().on_way
    }

    /// Gives the device a request; sleeps while too many are on their way. EIO beyond its end, EROFS for a write where
    /// none can be.
    pub(crate) fn submit(self: &Arc<Self>, mut request: Box<Request>) -> Result<Pending, Errno> {
        if request.sector.checked_add(request.sectors()).is_none_or(|end| end > self.sectors) {
            return Err(Errno::EIO);
        }
        if request.op == Op::Write && self.read_only {
            return Err(Errno::EROFS);
        }
        trace!(events::block_bio_queue(self, &request));
        let mut looks = 0;
        let has_room = || {
            let mut queue = self.queue.lock();
            let has_room = queue.on_way < DEPTH;
            if has_room {
                if queue.on_way == 0 {
                    queue.busy_since_ns = now_ns();
                }
                queue.on_way += 1;
            } else if looks == 0 {
                trace!(events::block_rq_tag_wait(self, DEPTH));
            }
            looks += 1;
            has_room
        };
        // A device that keeps all it was given keeps nobody for ever.
        if self.room.wait(false, Some(now_ns() + self.timeout_ns), has_room) != Wait::Done {
            return Err(Errno::EIO);
        }
        trace!(events::block_getrq(self, &request));
        trace!(events::block_io_start(self, &request));
        let pending = request.sent_to(self.clone());
        let mut queue = self.queue.lock();
        if !queue.driver.has_room() {
            trace!(events::block_rq_insert(self, &request));
        }
        // There is room: DEPTH was reserved.
        queue.waiting.push_back(request);
        queue.go_on(self);
        Ok(pending)
    }

    /// Reads whole sectors.
    pub(crate) fn read(self: &Arc<Self>, sector: u64, len: usize) -> Result<Box<[u8]>, Errno> {
        self.submit(Request::read(sector, len)?)?.wait()
    }

    /// Writes whole sectors.
    pub(crate) fn write(self: &Arc<Self>, sector: u64, data: &[u8]) -> Result<(), Errno> {
        self.submit(Request::write(sector, data)?)?.wait().map(drop)
    }

    /// Makes lasting what was written.
    pub(crate) fn flush(self: &Arc<Self>) -> Result<(), Errno> {
        self.submit(request::Request::flush()?)?.wait().map(drop)
    }

    /// The device has interrupted.
    pub(super) fn interrupt(&self) {
        self.queue.lock().driver.interrupt();
    }

    /// A request has ended: counts it, and gives the next one to the driver. In the softirq.
    pub(super) fn ended(&self, request: &Request, result: Result<(), Errno>) {
        trace!(events::block_rq_complete(self, request, events::error(result)));
        if result.is_err() {
            trace!(events::block_rq_error(self, request, events::error(result)));
        }
        let now = now_ns();
        let took_ns = now.saturating_sub(request.issued_ns);
        let add = |counter: &AtomicU64, n: u64| {
            counter.fetch_add(n, Ordering::Relaxed);
        };
        match (result, request.op) {
            (Err(_), _) => add(&self.counts.failed, 1),
            (Ok(()), Op::Flush) => {
                let [requests, ns] = &self.counts.flushes;
                add(requests, 1);
                add(ns, took_ns);
            }
            (Ok(()), op) => {
                let [requests, sectors, ns] =
                    if op == Op::Read { &self.counts.reads } else { &self.counts.writes };
                add(requests, 1);
                add(sectors, request.sectors());
                add(ns, took_ns);
            }
        }
        {
            let mut queue = self.queue.lock();
            queue.on_way = queue.on_way.saturating_sub(1);
            if queue.on_way == 0 {
                add(&self.counts.busy_ns, now.saturating_sub(queue.busy_since_ns));
            }
            queue.go_on(self);
        }
        trace!(events::block_bio_complete(self, request, events::error(result)));
        trace!(events::block_io_done(self, request));
        self.room.wake_one();
    }
}

impl Queue {
    /// Gives the driver as many requests as it takes.
    fn go_on(&mut self, disk: &Disk) {
        while self.driver.has_room()
            && let Some(mut request) = self.waiting.pop_front()
        {
            request.issued_ns = now_ns();
            trace!(events::block_rq_issue(disk, &request));
            self.driver.start(request);
        }
    }
}
