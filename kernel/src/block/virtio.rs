//! virtio-blk on virtio-mmio (Virtual I/O Device 1.2, 4.2 and 5.2), over the queues of the `virtio-drivers` crate.
//!
//! The device tree names the places where a device may be; one that is there says what it is. A request is a chain of
//! up to three descriptors, which the device follows and fills by itself:
//!
//! ```text
//!   Request.wire[0..16]   type, 0, sector        the device reads
//!   Request.data          the sectors            the device reads (write) or writes (read); none for a flush
//!   Request.wire[16]      status                 the device writes
//! ```
//!
//! The chain's first descriptor is the request's token. When the device is done with some it puts their tokens into the
//! used ring and interrupts; the interrupt takes them out and hands the requests on.

use core::ptr::NonNull;

use alloc::boxed::Box;
use alloc::sync::Arc;
use tracecore::errno::Errno;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use super::disk::{Disk, Driver, MAX_DISKS};
use super::request::{Op, Request, WIRE_BYTES, finish};
use crate::arch::PAGE_SIZE;
use crate::arch::mmu::{LINEAR_BASE, phys_to_virt};
use crate::boot::{self, VirtioSlot};
use crate::mm::{PhysPages, alloc_pages, order_for};
use crate::sync::Once;
use crate::{irq, mm};

/// The one queue of a device with one.
const QUEUE: u16 = 0;
/// Descriptors of the queue, hence a third of it requests.
const DESCRIPTORS: usize = 128;
const DESCRIPTORS_OF_A_REQUEST: usize = 3;

/// Feature bits: read-only; flush; the standard since 1.0.
const F_RO: u64 = 1 << 5;
const F_FLUSH: u64 = 1 << 9;
const F_VERSION_1: u64 = 1 << 32;

/// Types of requests (5.2.6).
const T_IN: u32 = 0;
const T_OUT: u32 = 1;
const T_FLUSH: u32 = 4;

/// Where the status lies in [`Request::wire`], and what it says.
const HEADER_BYTES: usize = 16;
const S_OK: u8 = 0;
const S_UNSUPPORTED: u8 = 2;
/// What is there until the device has written it.
const S_NONE: u8 = 0xff;

const _: () = assert!(HEADER_BYTES < WIRE_BYTES);

/// Devices by interrupt, for the handler.
static BY_IRQ: [Once<(u32, Arc<Disk>)>; MAX_DISKS] = [const { Once::new() }; MAX_DISKS];

/// Memory for the crate's queues.
struct Memory;

// SAFETY: `dma_alloc` gives zeroed pages that nobody else has, in the linear map, aligned to their size; the machine's
// devices see physical addresses and are coherent.
unsafe impl Hal for Memory {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let block = order_for(pages * PAGE_SIZE).and_then(|order| alloc_pages(order).ok());
        let Some(block) = block else {
            // The crate takes a physical address of 0 for "none".
            return (0, NonNull::dangling());
        };
        let virt = block.virt();
        // SAFETY: the block has that many bytes, and is ours.
        unsafe { virt.write_bytes(0, block.len()) };
        (block.leak() as PhysAddr, virt)
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _: NonNull<u8>, pages: usize) -> i32 {
        if let Some(order) = order_for(pages * PAGE_SIZE) {
            // SAFETY: leaked by `dma_alloc` with this order; the crate has stopped the device's use of it.
            drop(unsafe { PhysPages::from_leaked(paddr as usize, order) });
        }
        0
    }

    unsafe fn mmio_phys_to_virt(paddr: PhysAddr, _: usize) -> NonNull<u8> {
        // Never 0: the linear map lies in the upper half.
        NonNull::new(core::ptr::with_exposed_provenance_mut(phys_to_virt(paddr as usize)))
            .unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        // Requests and their data lie on the heap, hence in the linear map and in one piece.
        (buffer.cast::<u8>().as_ptr().expose_provenance() - LINEAR_BASE) as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

/// A device, and what it has in hand.
struct VirtioBlk {
    transport: MmioTransport<'static>,
    queue: VirtQueue<Memory, DESCRIPTORS>,
    /// By token. While a request is here the device uses its memory, so it is held by pointer only.
    in_hand: [Option<NonNull<Request>>; DESCRIPTORS],
    can_flush: bool,
}

// SAFETY: the pointers are owned, as boxes are; nothing here belongs to a CPU.
unsafe impl Send for VirtioBlk {}

/// The buffers of a request, in the order the device uses them.
struct Buffers<'a> {
    read_by_device: [&'a [u8]; 2],
    reads: usize,
    written_by_device: [&'a mut [u8]; 2],
    writes: usize,
}

impl<'a> Buffers<'a> {
    fn of(request: &'a mut Request) -> Self {
        let (header, status) = request.wire.split_at_mut(HEADER_BYTES);
        let status = &mut status[..1];
        match request.op {
            Op::Read => Self {
                read_by_device: [header, &[]],
                reads: 1,
                written_by_device: [&mut request.data, status],
                writes: 2,
            },
            Op::Write => Self {
                read_by_device: [header, &request.data],
                reads: 2,
                written_by_device: [status, &mut []],
                writes: 1,
            },
            Op::Flush => Self {
                read_by_device: [header, &[]],
                reads: 1,
                written_by_device: [status, &mut []],
                writes: 1,
            },
        }
    }
}

impl Driver for VirtioBlk {
    fn has_room(&self) -> bool {
        self.queue.available_desc() >= DESCRIPTORS_OF_A_REQUEST
    }

    fn start(&mut self, mut request: Box<Request>) {
        if request.op == Op::Flush && !self.can_flush {
            // It keeps nothing back.
            return finish(request, Ok(()));
        }
        let kind = match request.op {
            Op::Read => T_IN,
            Op::Write => T_OUT,
            Op::Flush => T_FLUSH,
        };
        let (sector, wire) = (request.sector, &mut request.wire);
        wire[..4].copy_from_slice(&kind.to_le_bytes());
        wire[4..8].fill(0);
        wire[8..HEADER_BYTES].copy_from_slice(&sector.to_le_bytes());
        wire[HEADER_BYTES] = S_NONE;
        let mut request = NonNull::from(Box::leak(request));
        // SAFETY: leaked just now, so this is the only reference. From here on nobody touches the request before
        // `interrupt` gets its token back.
        let token = unsafe {
            let mut buffers = Buffers::of(request.as_mut());
            let (reads, writes) = (buffers.reads, buffers.writes);
            self.queue.add(&buffers.read_by_device[..reads], &mut buffers.written_by_device[..writes])
        };
        match token.map(|token| (token, self.in_hand.get_mut(usize::from(token)))) {
            Ok((_, Some(slot))) => {
                *slot = Some(request);
                if self.queue.should_notify() {
                    self.transport.notify(QUEUE);
                }
            }
            // It had room; so this device breaks its word.
            // SAFETY: leaked above, and not in the device's hand.
            _ => finish(unsafe { Box::from_raw(request.as_ptr()) }, Err(Errno::EIO)),
        }
    }

    fn interrupt(&mut self) {
        let _ = self.transport.ack_interrupt();
        while let Some(token) = self.queue.peek_used() {
            let Some(mut request) = self.in_hand.get_mut(usize::from(token)).and_then(Option::take) else {
                // A token that it does not have: nothing that it says from now on can be believed.
                log::error!("virtio-blk: used a request that it was not given; no more from this device");
                self.transport.set_status(DeviceStatus::FAILED);
                return;
            };
            // SAFETY: the buffers that were added for this token, which the device has given back.
            let popped = unsafe {
                let mut buffers = Buffers::of(request.as_mut());
                let (reads, writes) = (buffers.reads, buffers.writes);
                let written = &mut buffers.written_by_device[..writes];
                self.queue.pop_used(token, &buffers.read_by_device[..reads], written)
            };
            // SAFETY: leaked by `start`, and no longer in the device's hand.
            let request = unsafe { Box::from_raw(request.as_ptr()) };
            let result = match (popped, request.wire[HEADER_BYTES]) {
                (Ok(_), S_OK) => Ok(()),
                (Ok(_), S_UNSUPPORTED) => Err(Errno::EOPNOTSUPP),
                _ => Err(Errno::EIO),
            };
            finish(request, result);
        }
    }
}

/// Looks at every place, and brings up what is a block device.
pub(super) fn probe() {
    for slot in boot::info().virtio() {
        let header = core::ptr::with_exposed_provenance_mut::<VirtIOHeader>(phys_to_virt(slot.base));
        let Some(header) = NonNull::new(header) else { continue };
        // SAFETY: the device tree says that it is one; boot has mapped it, for ever, and this is the only look at it.
        let Ok(transport) = (unsafe { MmioTransport::new(header, slot.len) }) else { continue };
        if transport.device_type() != DeviceType::Block {
            continue;
        }
        if let Err(error) = bring_up(transport, slot) {
            log::error!("virtio-blk at {:#x}: {}", slot.base, error.strerror());
        }
    }
}

fn bring_up(mut transport: MmioTransport<'static>, slot: &VirtioSlot) -> Result<(), Errno> {
    // 3.1.1: reset; acknowledge; features; queues; go.
    transport.set_status(DeviceStatus::empty());
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
    let features = transport.read_device_features() & (F_RO | F_FLUSH | F_VERSION_1);
    transport.write_driver_features(features);
    let agreed = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK;
    transport.set_status(agreed);
    if features & F_VERSION_1 != 0 && !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(Errno::ENODEV);
    }
    transport.set_guest_page_size(PAGE_SIZE as u32);
    let sectors = transport
        .read_consistent(|| {
            let low: u32 = transport.read_config_space(0)?;
            let high: u32 = transport.read_config_space(4)?;
            Ok(u64::from(low) | u64::from(high) << 32)
        })
        .map_err(|_| Errno::EIO)?;
    let queue = VirtQueue::new(&mut transport, QUEUE, false, false).map_err(|_| Errno::ENOMEM)?;
    transport.set_status(agreed | DeviceStatus::DRIVER_OK);
    let read_only = features & F_RO != 0;
    let driver =
        VirtioBlk { transport, queue, in_hand: [None; DESCRIPTORS], can_flush: features & F_FLUSH != 0 };
    let disk = Disk::register(sectors, read_only, mm::try_box(driver)?)?;
    log::info!("{}: {} sectors{}", disk.name(), sectors, if read_only { ", read-only" } else { "" });
    let place = BY_IRQ.iter().find(|place| place.get().is_none()).ok_or(Errno::ENOSPC)?;
    // Only the first task brings devices up: the place stays free.
    let _ = place.set((slot.irq, disk));
    irq::register(slot.irq, "virtio-blk", interrupt)?;
    irq::enable(slot.irq)
}

fn interrupt(number: u32) {
    for (irq, disk) in BY_IRQ.iter().map_while(Once::get) {
        if *irq == number {
            disk.interrupt();
        }
    }
}
