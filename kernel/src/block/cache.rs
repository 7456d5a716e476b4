//! Blocks in memory: bytes over a device that knows sectors only.
//!
//! Who reads or writes a device as a file, and the file systems on it, go through one cache for the device, so they see
//! the same. A block has 4 KiB; what is written stays here, *dirty*, until [`Cache::sync`] or until its place is needed:
//!
//! ```text
//!   absent ──read──▶ clean ──write──▶ dirty ──sync──▶ clean        place needed: the block used least recently goes,
//!      └──── written as a whole ───────▲                           a dirty one by way of the device
//! ```
//!
//! A block that could not be written back is an error of the `sync` (or of the access that needed its place), and is
//! forgotten: it would fail again for ever. One lock for all, held while the device works: it is the device that is waited
//! for. Reads of several blocks and `sync` keep several requests on the way.

use super::disk::{DEPTH, Disk};
use super::request::{Pending, Request, zeroed};
use super::{MAX_REQUEST_BYTES, SECTOR_BYTES, events};
use crate::task::Mutex;
use crate::tracepoint::trace;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use tracecore::errno::Errno;

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Blocks that are kept at most: 2 MiB.
pub(crate) const MAX_BLOCKS: usize = 512;
/// Blocks that are read at a time.
const READ_AT_ONCE: usize = MAX_REQUEST_BYTES / BLOCK_BYTES;
/// Blocks that are written at a time.
const WRITE_AT_ONCE: usize = DEPTH / 2;

struct Block {
    /// The bytes; fewer than [`BLOCK_BYTES`] in the last block of a device.
    data: Box<[u8]>,
    dirty: bool,
    used: u64,
}

struct Blocks {
    map: BTreeMap<u64, Block>,
    clock: u64,
}

/// The cache of one device.
pub(crate) struct Cache {
    disk: Arc<Disk>,
    blocks: Mutex<Blocks>,
    claimed: AtomicBool,
}

impl Cache {
    /// An empty one.
    pub(crate) fn new(disk: Arc<Disk>) -> Self {
        let blocks = Mutex::new(Blocks { map: BTreeMap::new(), clock: 0 });
        Self { disk, blocks, claimed: AtomicBool::new(false) }
    }

    /// Takes the device for one user alone, a file system. EBUSY when another one has it.
    pub(crate) fn claim(&self) -> Result<(), Errno> {
        if self.claimed.swap(true, Ordering::AcqRel) { Err(Errno::EBUSY) } else { Ok(()) }
    }

    /// Gives it back.
    pub(crate) fn unclaim(&self) {
        self.claimed.store(false, Ordering::Release);
    }

    /// The device.
    pub(crate) fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// Reads at `pos`, as far as the device goes: the number of bytes, 0 at its end.
    pub(crate) fn read(&self, pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let len = self.clip(pos, buf.len());
        let mut blocks = self.blocks.lock();
        let mut done = 0;
        while done < len {
            let at = pos + done as u64;
            let last = (pos + len as u64 - 1) / BLOCK_BYTES as u64;
            let (number, offset) = split(at);
            self.fetch(&mut blocks, number, last)?;
            trace!(events::block_touch_buffer(&self.disk, number));
            let data = blocks.data(number)?;
            let n = (len - done).min(data.len().saturating_sub(offset));
            match (buf.get_mut(done..done + n), data.get(offset..offset + n)) {
                (Some(to), Some(from)) if n > 0 => to.copy_from_slice(from),
                _ => return Err(Errno::EIO),
            }
            done += n;
        }
        Ok(len)
    }

    /// Writes at `pos`, as far as the device goes: the number of bytes. EROFS where none can be written.
    pub(crate) fn write(&self, pos: u64, bytes: &[u8]) -> Result<usize, Errno> {
        if self.disk.is_read_only() {
            return Err(Errno::EROFS);
        }
        let len = self.clip(pos, bytes.len());
        let mut blocks = self.blocks.lock();
        let mut done = 0;
        while done < len {
            let (number, offset) = split(pos + done as u64);
            let whole = offset == 0 && len - done >= self.block_len(number);
            if whole {
                self.make_room(&mut blocks, 1)?;
                let data = zeroed(self.block_len(number))?;
                blocks.map.entry(number).or_insert(Block { data, dirty: false, used: 0 });
            } else {
                self.fetch(&mut blocks, number, number)?;
            }
            let block = blocks.get(number)?;
            let n = (len - done).min(block.data.len().saturating_sub(offset));
            match (block.data.get_mut(offset..offset + n), bytes.get(done..done + n)) {
                (Some(to), Some(from)) if n > 0 => to.copy_from_slice(from),
                _ => return Err(Errno::EIO),
            }
            block.dirty = true;
            trace!(events::block_dirty_buffer(&self.disk, number));
            done += n;
        }
        Ok(len)
    }

    /// Writes back what is dirty and makes it lasting. The first error, after all of it was tried.
    pub(crate) fn sync(&self) -> Result<(), Errno> {
        let mut blocks = self.blocks.lock();
        let dirty: Vec<u64> =
            blocks.map.iter().filter(|(_, block)| block.dirty).map(|(number, _)| *number).collect();
        if dirty.is_empty() {
            return Ok(());
        }
        let mut result = Ok(());
        for numbers in dirty.chunks(WRITE_AT_ONCE) {
            result = result.and(self.write_back(&mut blocks, numbers));
        }
        result.and(self.disk.flush())
    }

    /// Forgets everything, also what is dirty.
    pub(crate) fn forget(&self) {
        let old = core::mem::take(&mut self.blocks.lock().map);
        drop(old);
    }

    /// How much of `len` bytes at `pos` the device has.
    fn clip(&self, pos: u64, len: usize) -> usize {
        let left = self.disk.bytes().saturating_sub(pos);
        usize::try_from(left).map_or(len, |left| left.min(len))
    }

    /// Bytes of a block: whole sectors, as far as the device goes.
    fn block_len(&self, number: u64) -> usize {
        self.clip(number.saturating_mul(BLOCK_BYTES as u64), BLOCK_BYTES)
    }

    /// Has block `number` in memory; when it is not, those up to `last` are read with it.
    fn fetch(&self, blocks: &mut Blocks, number: u64, last: u64) -> Result<(), Errno> {
        if blocks.map.contains_key(&number) {
            return Ok(());
        }
        let last = last.min(number + READ_AT_ONCE as u64 - 1);
        let missing: Vec<u64> = (number..=last).filter(|number| !blocks.map.contains_key(number)).collect();
        self.make_room(blocks, missing.len())?;
        let mut reads: Vec<(u64, Pending)> = Vec::new();
        let mut result = Ok(());
        for &number in &missing {
            let read = Request::read(sector(number), self.block_len(number));
            match read.and_then(|read| self.disk.submit(read)) {
                Ok(pending) => reads.push((number, pending)),
                Err(error) => result = result.and(Err(error)),
            }
        }
        for (number, pending) in reads {
            match pending.wait() {
                Ok(data) => {
                    blocks.clock += 1;
                    let used = blocks.clock;
                    blocks.map.insert(number, Block { data, dirty: false, used });
                }
                Err(error) => result = result.and(Err(error)),
            }
        }
        // What was read ahead may fail without anybody's loss.
        if blocks.map.contains_key(&number) { Ok(()) } else { result.and(Err(Errno::EIO)) }
    }

    /// Sees to it that `wanted` more blocks may be kept.
    fn make_room(&self, blocks: &mut Blocks, wanted: usize) -> Result<(), Errno> {
        while blocks.map.len() + wanted > MAX_BLOCKS {
            let oldest = blocks.map.iter().min_by_key(|(_, block)| block.used);
            let Some((&number, block)) = oldest else { break };
            let result = if block.dirty { self.write_back(blocks, &[number]) } else { Ok(()) };
            blocks.map.remove(&number);
            result?;
        }
        Ok(())
    }

    /// Writes these blocks to the device, all on their way at once; they are clean then, come what may.
    fn write_back(&self, blocks: &mut Blocks, numbers: &[u64]) -> Result<(), Errno> {
        let mut writes: Vec<(u64, Pending)> = Vec::new();
        let mut result = Ok(());
        for &number in numbers {
            let Some(block) = blocks.map.get_mut(&number) else { continue };
            block.dirty = false;
            match Request::write(sector(number), &block.data).and_then(|write| self.disk.submit(write)) {
                Ok(pending) => writes.push((number, pending)),
                Err(error) => result = result.and(Err(error)),
            }
        }
        for (number, pending) in writes {
            if let Err(error) = pending.wait() {
                log::error!("{}: block {number} is lost: {}", self.disk.name(), error.strerror());
                // What is here is not what is there.
                blocks.map.remove(&number);
                result = result.and(Err(error));
            }
        }
        result
    }
}

impl Blocks {
    /// A block that is in memory; EIO if it is not.
    fn get(&mut self, number: u64) -> Result<&mut Block, Errno> {
        self.clock += 1;
        let block = self.map.get_mut(&number).ok_or(Errno::EIO)?;
        block.used = self.clock;
        Ok(block)
    }

    fn data(&mut self, number: u64) -> Result<&[u8], Errno> {
        self.get(number).map(|block| &*block.data)
    }
}

fn split(pos: u64) -> (u64, usize) {
    (pos / BLOCK_BYTES as u64, (pos % BLOCK_BYTES as u64) as usize)
}

fn sector(block: u64) -> u64 {
    block * (BLOCK_BYTES / SECTOR_BYTES) as u64
}
