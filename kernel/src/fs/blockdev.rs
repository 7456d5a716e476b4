//! Block devices as files: `/dev/vda`, and what `/proc` tells of them.
//!
//! A device is a file of fixed length. It is read and written at any byte, through the cache that a file system on it
//! uses, too, so both see the same; what is written reaches the device with a `sync`. `/proc/partitions` and
//! `/proc/diskstats` have Linux's columns (`Documentation/admin-guide/iostats.rst`); nothing is ever merged or discarded,
//! so those are 0.

use super::procfs;
use super::textfs::Text;
use super::vfs::{AT_END, File, Kind, Stat};
use crate::block::{self, Cache, Disk, SECTOR_BYTES};
use crate::mm;
use crate::sync::SpinLock;
use crate::time::NS_PER_MS;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};
use tracecore::errno::Errno;

static CACHES: SpinLock<Vec<Arc<Cache>>> = SpinLock::new(Vec::new());

/// Puts every device under `/dev`, and their counts under `/proc`.
pub(super) fn add() -> Result<(), Errno> {
    for disk in block::disks() {
        let cache = mm::try_arc(Cache::new(disk.clone()))?;
        CACHES.lock().push(cache.clone());
        let mode = if disk.is_read_only() { 0o440 } else { 0o660 };
        let stat = Stat { rdev: disk.number(), size: disk.bytes(), ..Stat::new(Kind::Block, mode) };
        super::special(disk.name(), stat, Arc::new(BlockFile(cache)))?;
    }
    type Show = fn(&mut dyn Write) -> fmt::Result;
    for (name, show) in [("partitions", partitions as Show), ("diskstats", diskstats)] {
        let text = Text::shown(0o444, move |out| show(out).map_err(|_| Errno::ENOMEM));
        procfs::root().file(name, text.refuse_write(Errno::EIO));
    }
    Ok(())
}

/// The cache of the device with this number.
pub(super) fn cache(number: (u16, u16)) -> Option<Arc<Cache>> {
    CACHES.lock().iter().find(|cache| cache.disk().number() == number).cloned()
}

/// Writes back what is dirty of all devices. The first error, after all were tried.
pub(super) fn sync() -> Result<(), Errno> {
    let caches = CACHES.lock().clone();
    let mut result = Ok(());
    for cache in caches {
        result = result.and(cache.sync());
    }
    result
}

struct BlockFile(Arc<Cache>);

impl File for BlockFile {
    fn read(&self, pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        self.0.read(pos, buf)
    }

    fn write(&self, pos: u64, data: &[u8]) -> Result<(usize, u64), Errno> {
        let at = if pos == AT_END { self.length()? } else { pos };
        match self.0.write(at, data)? {
            0 if !data.is_empty() => Err(Errno::ENOSPC),
            n => Ok((n, at + n as u64)),
        }
    }

    fn length(&self) -> Result<u64, Errno> {
        Ok(self.0.disk().bytes())
    }
}

fn partitions(out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "major minor  #blocks  name\n")?;
    for disk in block::disks() {
        let (major, minor) = disk.number();
        writeln!(out, "{major:4}  {minor:7} {:10} {}", disk.bytes() / 1024, disk.name())?;
    }
    Ok(())
}

fn diskstats(out: &mut dyn Write) -> fmt::Result {
    block::disks().iter().try_for_each(|disk| stats(disk, out))
}

fn stats(disk: &Disk, out: &mut dyn Write) -> fmt::Result {
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let ms = |counter: &AtomicU64| get(counter) / NS_PER_MS;
    let (major, minor) = disk.number();
    write!(out, "{major:4} {minor:7} {}", disk.name())?;
    let [_, _, read_ns] = &disk.counts.reads;
    let [_, _, write_ns] = &disk.counts.writes;
    for [requests, sectors, ns] in [&disk.counts.reads, &disk.counts.writes] {
        write!(out, " {} 0 {} {}", get(requests), get(sectors), ms(ns))?;
    }
    let [flushes, flush_ns] = &disk.counts.flushes;
    let all_ns = get(read_ns) + get(write_ns) + get(flush_ns);
    write!(out, " {} {} {}", disk.on_way(), ms(&disk.counts.busy_ns), all_ns / NS_PER_MS)?;
    writeln!(out, " 0 0 0 0 {} {}", get(flushes), ms(flush_ns))
}

const _: () = assert!(SECTOR_BYTES == 512, "the unit of the columns");
