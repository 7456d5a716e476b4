//! What the shell asks for, answered by the VFS, the scheduler and the clock.

use super::io::FileIo;
use super::jobs;
use crate::arch::power;
use crate::fs::procfs::BUILD;
use crate::fs::vfs::{self, How, Kind};
use crate::{fs, task, time};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use sh::{DirEntry, FileKind, Io, OpenFlags, Power, Stat, Sys, Task, Uname};
use tracecore::errno::Errno;

/// The kernel as the shell's system.
pub(super) struct Kernel;

fn kind(kind: Kind) -> FileKind {
    match kind {
        Kind::File => FileKind::File,
        Kind::Dir => FileKind::Dir,
        Kind::Symlink => FileKind::Symlink,
        Kind::Char => FileKind::Char,
        Kind::Block => FileKind::Block,
    }
}

fn stat(stat: vfs::Stat) -> Stat {
    Stat {
        kind: kind(stat.kind),
        mode: stat.mode.into(),
        nlink: 1,
        size: stat.size,
        mtime_s: 0,
        rdev: (stat.rdev.0.into(), stat.rdev.1.into()),
    }
}

impl Sys for Kernel {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<dyn Io>, Errno> {
        let OpenFlags { read, write, create, truncate, append, nonblock } = flags;
        let how = How { read, write, create, truncate, append, nonblock, ..How::default() };
        Ok(Arc::new(FileIo(vfs::open("/", path, how)?)))
    }

    fn stat(&self, path: &str) -> Result<Stat, Errno> {
        vfs::stat("/", path).map(stat)
    }

    fn lstat(&self, path: &str) -> Result<Stat, Errno> {
        vfs::lstat("/", path).map(stat)
    }

    fn read_link(&self, path: &str) -> Result<String, Errno> {
        vfs::readlink("/", path)
    }

    fn read_dir(&self, path: &str) -> Result<Vec<DirEntry>, Errno> {
        let entries = vfs::readdir("/", path)?;
        Ok(entries.into_iter().map(|e| DirEntry { name: e.name, kind: kind(e.stat.kind) }).collect())
    }

    fn mkdir(&self, path: &str) -> Result<(), Errno> {
        vfs::mkdir("/", path)
    }

    fn unlink(&self, path: &str) -> Result<(), Errno> {
        vfs::unlink("/", path)
    }

    fn rmdir(&self, path: &str) -> Result<(), Errno> {
        vfs::rmdir("/", path)
    }

    fn pipe(&self) -> Result<(Arc<dyn Io>, Arc<dyn Io>), Errno> {
        let (reader, writer) = fs::pipe::pipe()?;
        Ok((Arc::new(FileIo(reader)), Arc::new(FileIo(writer))))
    }

    fn spawn(&self, name: &str, body: Box<dyn FnOnce() -> i32 + Send>) -> Result<Box<dyn Task>, Errno> {
        Ok(Box::new(jobs::spawn(name, body)?))
    }

    fn pid(&self) -> u32 {
        task::current().pid()
    }

    fn interrupts(&self) -> u64 {
        jobs::interrupts()
    }

    fn pending_signal(&self) -> Option<u8> {
        jobs::pending_signal()
    }

    fn kill(&self, pid: u32, signal: u8) -> Result<(), Errno> {
        jobs::kill(pid, signal)
    }

    fn monotonic_ns(&self) -> u64 {
        time::now_ns()
    }

    /// The machine's clock is not read: days are counted from the boot, which is called 1970.
    fn realtime_ns(&self) -> u64 {
        time::now_ns()
    }

    fn sleep_ns(&self, ns: u64) -> Result<(), Errno> {
        jobs::sleep_ns(ns)
    }

    fn uname(&self) -> Uname {
        Uname {
            sysname: "Trapline".to_string(),
            nodename: "trapline".to_string(),
            release: env!("CARGO_PKG_VERSION").to_string(),
            version: BUILD.to_string(),
            machine: "aarch64".to_string(),
        }
    }

    fn power(&self, power: Power) -> Result<(), Errno> {
        super::sync();
        match power {
            Power::Off => power::off(super::end_status()),
            Power::Reboot => power::reset(),
        }
    }
}
