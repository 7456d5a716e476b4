//! Files: one tree of names over everything that can be read and written.
//!
//! | room | is |
//! |---|---|
//! | `vfs` | the tree: paths, mounts, open files |
//! | `ramfs` | files in memory; `cpio` and `initramfs` fill it at boot |
//! | `textfs` | files made of text when read; what the next two consist of |
//! | `procfs` | `/proc`: interrupts, memory, tasks |
//! | `tracefs` | `/sys/kernel`: tracing and debugging; `debugfs` is what is there about kprobes |
//! | `bpffs` | `/sys/fs/bpf`: names that keep objects of BPF |
//! | `blockdev` | block devices, in `/dev` and `/proc` |
//! | `fat` | FAT volumes on them |
//! | `devfs` | `/dev`; `tty` is the terminal behind `/dev/console` |
//! | `pipe` | bytes from task to task |
//! | `wait` | how a read waits, and how Ctrl-C ends that |
//!
//! Rooms above add what they have to show: to [`procfs::root`], [`tracefs::tracefs`], [`tracefs::debugfs`] and
//! [`device`], at any time after the heap is there; it can be seen from [`init`] on.

mod blockdev;
pub(crate) mod bpffs;
mod cpio;
mod debugfs;
mod devfs;
pub(crate) mod events;
pub(crate) mod fat;
mod initramfs;
mod kmsg;
pub(crate) mod livepatch;
pub(crate) mod pipe;
pub(crate) mod procfs;
mod ramfs;
pub(crate) mod selftest;
mod static_keys;
pub(crate) mod textfs;
pub(crate) mod tracefs;
pub(crate) mod tty;
pub(crate) mod vfs;
pub(crate) mod wait;

use crate::{boot, mm};
use alloc::sync::Arc;
use tracecore::errno::Errno;

/// Content of the files at `/` may take this part of the memory that is free at boot.
const ROOT_SHARE: usize = 4;

/// Builds the tree: the initramfs at `/`, and the other file systems in it. Once, when tasks can run.
pub(crate) fn init() -> Result<(), Errno> {
    let root = ramfs::new(mm::stats().free_bytes / ROOT_SHARE)?;
    vfs::mount("rootfs", "/", root.clone())?;
    if let Some(archive) = boot::info().initrd() {
        match initramfs::unpack(archive, &root) {
            Ok(members) => log::info!("initramfs: {members} members, {} bytes", archive.len()),
            Err((members, e)) => log::error!("initramfs: broken after {members} members: {}", e.strerror()),
        }
    }
    for (name, mode) in [("dev", 0o755), ("proc", 0o555), ("sys", 0o555), ("tmp", 0o777), ("root", 0o700)] {
        root.dir(name, mode)?;
    }
    vfs::mount("devtmpfs", "/dev", devfs::root()?.clone())?;
    device("console", 0o600, (5, 1), Arc::new(tty::Console))?;
    kmsg::init()?;
    procfs::mount()?;
    tracefs::mount()?;
    blockdev::add()?;
    debugfs::add();
    static_keys::add();
    tty::init()
}

/// Puts something with this `stat` under `/dev`.
fn special(name: &str, stat: vfs::Stat, file: Arc<dyn vfs::File>) -> Result<(), Errno> {
    devfs::provide_as(devfs::root()?, name, stat, file)
}

/// Mounts the FAT volume on the device `source` over the directory `path`.
pub(crate) fn mount_fat(cwd: &str, source: &str, path: &str) -> Result<(), Errno> {
    fat::mount(cwd, source, path)
}

/// Makes an empty FAT volume of the device `source`.
pub(crate) fn format_fat(cwd: &str, source: &str) -> Result<(), Errno> {
    fat::format(cwd, source)
}

/// Makes lasting what was written to devices.
pub(crate) fn sync() -> Result<(), Errno> {
    fat::sync().and(blockdev::sync())
}

/// Puts a device under `/dev`: every open of `name` gives `file`.
pub(crate) fn device(name: &str, mode: u16, rdev: (u16, u16), file: Arc<dyn vfs::File>) -> Result<(), Errno> {
    devfs::provide(devfs::root()?, name, mode, rdev, file)
}
