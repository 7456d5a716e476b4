//! Volumes in the tree: several tasks at once, busy volumes, and a device that fails under them.

use super::{Mounted, Place, open};
use crate::block::selftest::{NONE, Shared, ram};
use crate::block::{Cache, SECTOR_BYTES, disks};
use crate::fs::vfs::{AT_END, File, How, Node, Owner};
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq, skip};
use crate::task::{self, Prio};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use tracecore::errno::Errno;

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "tasks_share_a_volume", run: tasks_share_a_volume },
    Test { name: "busy_while_open", run: busy_while_open },
    Test { name: "written_to_the_device_at_the_end", run: written_to_the_device_at_the_end },
    Test { name: "a_failing_device_is_eio", run: a_failing_device_is_eio },
    Test { name: "a_device_that_is_no_volume", run: a_device_that_is_no_volume },
    Test { name: "the_machines_disk_is_claimed_once", run: the_machines_disk_is_claimed_once },
];

/// Sectors of the device of a test: 2 MiB.
const SECTORS: u64 = 4096;

/// The value, or the test's end.
macro_rules! ok {
    ($t:expr, $result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => {
                return Err($t.fail(file!(), line!(), format_args!("{}: {error:?}", stringify!($result))))
            }
        }
    };
}

/// A device in memory, its cache, and the volume on it.
type OnRam = (Arc<Shared>, Arc<Cache>, Arc<Mounted>);

fn volume() -> Result<OnRam, Errno> {
    let (disk, shared) = ram(SECTORS, 8, false)?;
    let cache = Arc::new(Cache::new(disk));
    ::fat::format(Box::new(super::OnCache(cache.clone())))?;
    let mounted = open(&cache)?;
    Ok((shared, cache, mounted))
}

fn root(fs: &Arc<Mounted>) -> Place {
    Place { fs: fs.clone(), path: String::new(), is_dir: true }
}

const READ_WRITE: How = How { write: true, ..How::READ };

/// Writes to a new file in pieces.
fn fill(root: &Place, name: &str, byte: u8, len: usize) -> Result<Arc<dyn File>, Errno> {
    let file = root.create(name, 0)?.open(READ_WRITE)?;
    let mut written = 0;
    while written < len {
        let piece = vec![byte; 777.min(len - written)];
        written += file.write(AT_END, &piece)?.0;
    }
    Ok(file)
}

/// How many bytes of a file are `byte`; an error if others are there.
fn holds(file: &dyn File, byte: u8) -> Result<usize, Errno> {
    let mut buf = vec![0; 1000];
    let mut at = 0;
    loop {
        match file.read(at as u64, &mut buf)? {
            0 => return Ok(at),
            n if buf.iter().take(n).all(|b| *b == byte) => at += n,
            _ => return Err(Errno::EBADMSG),
        }
    }
}

fn tasks_share_a_volume(t: &mut TestCtx<'_>) -> TestResult {
    const TASKS: u8 = 6;
    const BYTES: usize = 30_000;
    let (_, _, fs) = ok!(t, volume());
    let wrong = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for n in 1..=TASKS {
        let (fs, wrong) = (fs.clone(), wrong.clone());
        let write = move || {
            let root = root(&fs);
            let name = format!("file of task {n}");
            let right = fill(&root, &name, n, BYTES).and_then(|file| holds(&*file, n)) == Ok(BYTES)
                && root.lookup(&name).is_ok_and(|node| node.stat().size == BYTES as u64);
            if !right {
                wrong.fetch_add(1, Ordering::Relaxed);
            }
        };
        tasks.push(ok!(t, task::spawn("writer", Prio::NORMAL, Box::new(write))));
    }
    for task in tasks {
        let _ = task.join();
    }
    check_eq!(t, wrong.load(Ordering::Relaxed), 0);
    check_eq!(t, root(&fs).readdir().map(|list| list.len()), Ok(usize::from(TASKS)));
    check_eq!(t, fs.release(), Ok(()));
    Ok(())
}

fn busy_while_open(t: &mut TestCtx<'_>) -> TestResult {
    let (_, _, fs) = ok!(t, volume());
    let root = root(&fs);
    let file = ok!(t, fill(&root, "open", 1, 10));
    let again = ok!(t, root.lookup("OPEN").and_then(|node| node.open(How::READ)));
    check_eq!(t, (root.unlink("open"), fs.release()), (Err(Errno::EBUSY), Err(Errno::EBUSY)));
    drop(file);
    check_eq!(t, (root.unlink("open"), fs.release()), (Err(Errno::EBUSY), Err(Errno::EBUSY)));
    drop(again);
    check_eq!(t, root.unlink("open"), Ok(()));
    check_eq!(t, fs.release(), Ok(()));
    // What somebody still holds is of no volume now.
    check_eq!(t, root.create("x", 0).err(), Some(Errno::ENODEV));
    check_eq!(t, root.readdir().err(), Some(Errno::ENODEV));
    check_eq!(t, fs.release(), Err(Errno::EINVAL));
    Ok(())
}

fn written_to_the_device_at_the_end(t: &mut TestCtx<'_>) -> TestResult {
    let (shared, cache, fs) = ok!(t, volume());
    drop(ok!(t, fill(&root(&fs), "kept", 9, 5000)));
    check_eq!(t, fs.release(), Ok(()));
    check!(t, shared.bytes.lock().windows(4096).any(|bytes| bytes.iter().all(|b| *b == 9)));
    let fs = ok!(t, open(&cache));
    let file = ok!(t, root(&fs).lookup("kept").and_then(|node| node.open(How::READ)));
    check_eq!(t, holds(&*file, 9), Ok(5000));
    Ok(())
}

fn a_failing_device_is_eio(t: &mut TestCtx<'_>) -> TestResult {
    let (shared, cache, fs) = ok!(t, volume());
    drop(ok!(t, fill(&root(&fs), "victim", 3, 200_000)));
    check_eq!(t, fs.release(), Ok(()));
    // A sector in the middle of the file: reads of it fail, the others do not.
    let bad = {
        let bytes = shared.bytes.lock();
        let first = bytes.chunks(SECTOR_BYTES).position(|sector| sector.iter().all(|b| *b == 3));
        first.map_or(0, |first| first + 200)
    };
    shared.bad_sector.store(bad as u64, Ordering::Relaxed);
    let fs = ok!(t, open(&cache));
    let file = ok!(t, root(&fs).lookup("victim").and_then(|node| node.open(READ_WRITE)));
    check_eq!(t, holds(&*file, 3), Err(Errno::EIO));
    let mut byte = [0];
    check_eq!(t, file.read(0, &mut byte), Ok(1));
    // A block must be read before a part of it is written.
    check_eq!(t, file.write(200 * SECTOR_BYTES as u64, b"x"), Err(Errno::EIO));
    // What is written while it can be read, and cannot be written back, is told by the end.
    shared.bad_sector.store(NONE, Ordering::Relaxed);
    check!(t, file.write(0, &vec![4; 200_000]).is_ok_and(|(n, _)| n == 200_000));
    drop(file);
    shared.bad_sector.store(bad as u64, Ordering::Relaxed);
    check_eq!(t, fs.release(), Err(Errno::EIO));
    shared.bad_sector.store(NONE, Ordering::Relaxed);
    let fs = ok!(t, open(&cache));
    check!(t, root(&fs).lookup("victim").is_ok());
    Ok(())
}

fn a_device_that_is_no_volume(t: &mut TestCtx<'_>) -> TestResult {
    for sectors in [0, 1, SECTORS] {
        let (disk, shared) = ok!(t, ram(sectors, 8, false));
        shared.bytes.lock().iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 7) as u8);
        check_eq!(t, open(&Arc::new(Cache::new(disk))).err(), Some(Errno::EINVAL), "{sectors} sectors");
    }
    // One that cannot be read is another matter.
    let (disk, shared) = ok!(t, ram(SECTORS, 8, false));
    shared.bad_sector.store(0, Ordering::Relaxed);
    check_eq!(t, open(&Arc::new(Cache::new(disk))).err(), Some(Errno::EIO));
    Ok(())
}

fn the_machines_disk_is_claimed_once(t: &mut TestCtx<'_>) -> TestResult {
    let Some(disk) = disks().into_iter().next() else {
        skip!("no disk (cargo xtask qemu --disk FILE)");
    };
    let Some(cache) = crate::fs::blockdev::cache(disk.number()) else {
        return Err(t.fail(file!(), line!(), format_args!("the disk has no cache")));
    };
    match cache.claim() {
        Ok(()) => {
            check_eq!(t, cache.claim(), Err(Errno::EBUSY));
            cache.unclaim();
        }
        // It is mounted.
        claimed => check_eq!(t, claimed, Err(Errno::EBUSY)),
    }
    Ok(())
}
