//! A request: what a task wants of a device, and what it sleeps on until it has it.
//!
//! ```text
//!   Request::new ─▶ submit ─▶ [waiting] ─▶ driver ─▶ finish ─▶ complete ─▶ Pending::wait
//!       task          task       queue      device    interrupt   softirq     task
//! ```
//!
//! The request owns its memory all the way and changes hands as a whole, so nobody can free or read what the device is
//! still writing. From the interrupt to the softirq it lies on a list that is linked through the requests themselves:
//! nothing is allocated there.

use super::{MAX_REQUEST_BYTES, SECTOR_BYTES};
use crate::block::disk::Disk;
use crate::irq::softirq::{self, Vector};
use crate::mm;
use crate::sync::{SpinLock, per_cpu};
use crate::task::{Wait, WaitQueue};
use crate::time::now_ns;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use tracecore::errno::Errno;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Sectors into memory.
    Read,
    /// Memory into sectors.
    Write,
    /// All that was written becomes lasting.
    Flush,
}

/// A request.
pub(crate) struct Request {
    /// What is to be done.
    pub(crate) op: Op,
    /// The first sector.
    pub(crate) sector: u64,
    /// The bytes of the sectors, none for a flush.
    pub(crate) data: Box<[u8]>,
    /// Room for what a driver tells its device about the request, and for the answer.
    pub(super) wire: [u8; WIRE_BYTES],
    /// When it was given to the driver.
    pub(super) issued_ns: u64,
    disk: Option<Arc<Disk>>,
    result: Result<(), Errno>,
    done: Arc<Done>,
    next: Option<Box<Request>>,
}

/// Bytes of [`Request::wire`].
pub(super) const WIRE_BYTES: usize = 24;

/// Where a request that has ended is left for who waits.
struct Done {
    request: SpinLock<Option<Box<Request>>>,
    waiter: WaitQueue,
}

impl Request {
    /// A request for `data`, whole sectors from `sector` on. EINVAL when it is not that, or too much.
    pub(crate) fn new(op: Op, sector: u64, data: Box<[u8]>) -> Result<Box<Self>, Errno> {
        let is_flush = op == Op::Flush;
        if data.is_empty() != is_flush
            || !data.len().is_multiple_of(SECTOR_BYTES)
            || data.len() > MAX_REQUEST_BYTES
        {
            return Err(Errno::EINVAL);
        }
        let done = mm::try_arc(Done { request: SpinLock::new(None), waiter: WaitQueue::new() })?;
        mm::try_box(Self {
            op,
            sector,
            data,
            wire: [0; WIRE_BYTES],
            issued_ns: 0,
            disk: None,
            result: Ok(()),
            done,
            next: None,
        })
    }

    /// A read of `len` bytes.
    pub(crate) fn read(sector: u64, len: usize) -> Result<Box<Self>, Errno> {
        Self::new(Op::Read, sector, zeroed(len)?)
    }

    /// A write of a copy of `data`.
    pub(crate) fn write(sector: u64, data: &[u8]) -> Result<Box<Self>, Errno> {
        let mut copy = zeroed(data.len())?;
        copy.copy_from_slice(data);
        Self::new(Op::Write, sector, copy)
    }

    /// A flush.
    pub(crate) fn flush() -> Result<Box<Self>, Errno> {
        Self::new(Op::Flush, 0, Box::default())
    }

    /// How many sectors.
    pub(crate) fn sectors(&self) -> u64 {
        (self.data.len() / SECTOR_BYTES) as u64
    }

    /// The request is `disk`'s now; what waits for its end.
    pub(super) fn sent_to(&mut self, disk: Arc<Disk>) -> Pending {
        let timeout_ns = disk.timeout_ns();
        self.disk = Some(disk);
        Pending { done: self.done.clone(), timeout_ns }
    }
}

/// Bytes of memory, or ENOMEM.
pub(super) fn zeroed(len: usize) -> Result<Box<[u8]>, Errno> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(len, 0);
    Ok(bytes.into_boxed_slice())
}

/// A request that was submitted.
#[must_use]
pub(crate) struct Pending {
    done: Arc<Done>,
    timeout_ns: u64,
}

impl Pending {
    /// Sleeps until it has ended: its memory, or its error. EIO also when the device does not answer in time.
    pub(crate) fn wait(self) -> Result<Box<[u8]>, Errno> {
        let mut request = None;
        let ended = self.done.waiter.wait(false, Some(now_ns() + self.timeout_ns), || {
            request = self.done.request.lock().take();
            request.is_some()
        });
        match (ended, request) {
            (Wait::Done, Some(request)) => request.result.map(|()| request.data),
            _ => Err(Errno::EIO),
        }
    }
}

per_cpu! {
    /// Requests that devices have finished on this CPU, the last one first.
    static FINISHED: SpinLock<Option<Box<Request>>> = SpinLock::new(None);
}

/// A driver hands back a request; in its interrupt, or anywhere else.
pub(crate) fn finish(mut request: Box<Request>, result: Result<(), Errno>) {
    request.result = result;
    FINISHED.with(|list| {
        let mut list = list.lock();
        request.next = list.take();
        *list = Some(request);
        softirq::raise(Vector::Block);
    });
}

/// The action of the BLOCK softirq: ends what devices have finished, oldest first.
pub(super) fn complete() {
    let mut newest = FINISHED.with(|list| list.lock().take());
    let mut oldest = None;
    while let Some(mut request) = newest {
        newest = request.next.take();
        request.next = oldest;
        oldest = Some(request);
    }
    while let Some(mut request) = oldest {
        oldest = request.next.take();
        if let Some(disk) = request.disk.take() {
            disk.ended(&request, request.result);
        }
        let done = request.done.clone();
        *done.request.lock() = Some(request);
        done.waiter.wake_one();
    }
}
