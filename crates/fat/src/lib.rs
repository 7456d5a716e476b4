//! FAT volumes by path: what a virtual file system asks for, over the `axfatfs` crate.
//!
//! The crate underneath has objects that borrow from each other (a file borrows the volume); a virtual file system has
//! nodes that live on their own. Between the two stand paths: every operation here opens what it needs, does its work,
//! and writes back what it knows. Nothing stays open, so nothing can be out of date.
//!
//! ```text
//!   Volume::read("docs/a.txt", 4096, buf)
//!      root directory ─▶ docs ─▶ a.txt: first cluster, size ─▶ chain of clusters in the FAT ─▶ sectors
//!      directory entries of 32 bytes                            one entry per cluster
//! ```
//!
//! A volume may be damaged, by accident or on purpose. Each operation has a budget of accesses to the disk, more than any
//! sound volume of its size can need: a chain of clusters that bites its tail ends with EIO, not never.
//!
//! Nothing here is generic, so all of it is compiled here, and none of it into the crate that uses it.
//!
//! Names keep their case and are found in any (as on Linux's vfat); what FAT cannot hold is EINVAL. Times are not kept:
//! there is no clock that knows the year.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod io;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use axfatfs::{
    DefaultTimeProvider, Dir, Error, File, FileSystem, FormatVolumeOptions, FsOptions, LossyOemCpConverter,
    Read, Seek, SeekFrom, Write,
};
use tracecore::errno::Errno;

use io::{Io, IoFault};

/// What a volume lies on: bytes at positions.
pub trait Disk: Send {
    /// How many bytes there are.
    fn bytes(&self) -> u64;

    /// Reads at `pos`: the number of bytes, 0 at the end.
    fn read(&self, pos: u64, buf: &mut [u8]) -> Result<usize, Errno>;

    /// Writes at `pos`: the number of bytes, 0 at the end.
    fn write(&self, pos: u64, data: &[u8]) -> Result<usize, Errno>;
}

/// The largest file has one byte less than 4 GiB.
pub const MAX_FILE_BYTES: u64 = u32::MAX as u64;

/// Accesses that an operation may make whatever the disk's size, and how many more for each of its sectors.
const STEPS_MIN: u64 = 1 << 18;
const STEPS_PER_SECTOR: u64 = 8;

/// What a directory says of a thing in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as it was given.
    pub name: String,
    /// A directory, or a file.
    pub is_dir: bool,
    /// Bytes of a file.
    pub bytes: u64,
}

/// What a volume has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes of a cluster, the unit in which files take room.
    pub cluster_bytes: u32,
    /// Clusters there are.
    pub clusters: u32,
    /// Of them free.
    pub free: u32,
}

type Fs = FileSystem<Io, DefaultTimeProvider, LossyOemCpConverter>;
type FsDir<'a> = Dir<'a, Io, DefaultTimeProvider, LossyOemCpConverter>;
type FsFile<'a> = File<'a, Io, DefaultTimeProvider, LossyOemCpConverter>;

/// A volume that is in use. One task at a time; who shares it has a lock.
pub struct Volume {
    fs: Fs,
    steps: Arc<AtomicU64>,
    budget: u64,
}

fn errno(error: Error<IoFault>) -> Errno {
    match error {
        Error::Io(IoFault(errno)) => errno,
        Error::NotFound => Errno::ENOENT,
        Error::AlreadyExists => Errno::EEXIST,
        Error::DirectoryIsNotEmpty => Errno::ENOTEMPTY,
        Error::NotEnoughSpace => Errno::ENOSPC,
        Error::InvalidFileNameLength => Errno::ENAMETOOLONG,
        Error::InvalidInput | Error::UnsupportedFileNameCharacter => Errno::EINVAL,
        // Damaged, or something new: the disk does not say what it should.
        _ => Errno::EIO,
    }
}

fn budget(disk: &dyn Disk) -> u64 {
    STEPS_MIN.saturating_add((disk.bytes() / 512).saturating_mul(STEPS_PER_SECTOR))
}

/// Makes an empty volume of the whole disk; its label is `TRAPLINE`. ENOSPC when the disk is too small for one.
pub fn format(disk: Box<dyn Disk>) -> Result<(), Errno> {
    /// Less has no room for the tables and a cluster.
    const LEAST_BYTES: u64 = 64 << 10;
    if disk.bytes() < LEAST_BYTES {
        return Err(Errno::ENOSPC);
    }
    let sectors = u32::try_from(disk.bytes() / 512).map_err(|_| Errno::EFBIG)?;
    let steps = Arc::new(AtomicU64::new(budget(&*disk)));
    let options = FormatVolumeOptions::new().total_sectors(sectors).volume_label(*b"TRAPLINE   ");
    axfatfs::format_volume(&mut Io::new(disk, steps), options).map_err(errno)
}

impl Volume {
    /// Takes a volume into use. EINVAL when it is none.
    pub fn open(disk: Box<dyn Disk>) -> Result<Self, Errno> {
        let budget = budget(&*disk);
        let bytes = disk.bytes();
        let steps = Arc::new(AtomicU64::new(budget));
        let fs =
            FileSystem::new(Io::new(disk, steps.clone()), FsOptions::new()).map_err(|error| match error {
                // What is too short for a boot sector, or has another one.
                Error::CorruptedFileSystem | Error::UnexpectedEof => Errno::EINVAL,
                error => match errno(error) {
                    Errno::EIO if bytes < 512 => Errno::EINVAL,
                    other => other,
                },
            })?;
        Ok(Self { fs, steps, budget })
    }

    /// Gives the volume up: what is known is written, and the mark that says "in use" is taken away.
    pub fn close(self) -> Result<(), Errno> {
        self.begin();
        self.fs.unmount().map_err(errno)
    }

    /// A new operation has its budget.
    fn begin(&self) {
        self.steps.store(self.budget, Ordering::Relaxed);
    }

    fn dir(&self, path: &str) -> Result<FsDir<'_>, Errno> {
        let root = self.fs.root_dir();
        if path.is_empty() { Ok(root) } else { root.open_dir(path).map_err(errno) }
    }

    fn file(&self, path: &str) -> Result<FsFile<'_>, Errno> {
        self.fs.root_dir().open_file(path).map_err(errno)
    }

    /// What is called `name` in the directory `dir` (the root's path is empty), in any case.
    pub fn find(&self, dir: &str, name: &str) -> Result<Entry, Errno> {
        self.begin();
        for entry in self.dir(dir)?.iter() {
            let entry = entry.map_err(errno)?;
            let found = entry.file_name();
            if found.eq_ignore_ascii_case(name) || entry.short_file_name().eq_ignore_ascii_case(name) {
                return Ok(Entry { name: found, is_dir: entry.is_dir(), bytes: entry.len() });
            }
        }
        Err(Errno::ENOENT)
    }

    /// Everything in the directory `dir`, without `.` and `..`, in the order it lies there.
    pub fn list(&self, dir: &str) -> Result<Vec<Entry>, Errno> {
        self.begin();
        let mut entries = Vec::new();
        for entry in self.dir(dir)?.iter() {
            let entry = entry.map_err(errno)?;
            let name = entry.file_name();
            if name != "." && name != ".." {
                entries.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                entries.push(Entry { name, is_dir: entry.is_dir(), bytes: entry.len() });
            }
        }
        Ok(entries)
    }

    /// Bytes of the file at `path`.
    pub fn bytes(&self, path: &str) -> Result<u64, Errno> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.find(dir, name).map(|entry| entry.bytes)
    }

    /// Reads the file at `path` from `pos` on: the number of bytes, 0 at its end.
    pub fn read(&self, path: &str, pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let size = self.bytes(path)?;
        if pos >= size || buf.is_empty() {
            return Ok(0);
        }
        self.begin();
        let mut file = self.file(path)?;
        seek(&mut file, pos)?;
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match file.read(rest).map_err(errno)? {
                0 if pos + (done as u64) < size => return Err(Errno::EIO),
                0 => break,
                n => done += n,
            }
        }
        Ok(done)
    }

    /// Writes to the file at `path`, at `pos` or at its end: the number of bytes, and the position behind them. Where
    /// there was nothing before, zeros are. ENOSPC when nothing could be written; less than all, when the room ended.
    pub fn write(&self, path: &str, pos: Option<u64>, data: &[u8]) -> Result<(usize, u64), Errno> {
        const ZEROS: [u8; 512] = [0; 512];
        let size = self.bytes(path)?;
        let pos = pos.unwrap_or(size);
        if pos.saturating_add(data.len() as u64) > MAX_FILE_BYTES {
            return Err(Errno::EFBIG);
        }
        self.begin();
        let mut file = self.file(path)?;
        seek(&mut file, pos.min(size))?;
        let mut end = size;
        while end < pos && !data.is_empty() {
            // The zeros, too, are part of the budget of the size they have.
            self.begin();
            let part = ZEROS.get(..(pos - end).min(512) as usize).unwrap_or(&ZEROS);
            end += write_some(&mut file, part)? as u64;
        }
        let mut done = 0;
        let mut result = Ok(());
        while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
            match write_some(&mut file, rest) {
                Ok(n) => done += n,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        file.flush().map_err(errno)?;
        if done == 0 { result.map(|()| (0, pos)) } else { Ok((done, pos + done as u64)) }
    }

    /// Takes away all that the file at `path` holds.
    pub fn truncate(&self, path: &str) -> Result<(), Errno> {
        self.begin();
        let mut file = self.file(path)?;
        file.truncate().map_err(errno)?;
        file.flush().map_err(errno)
    }

    /// Makes an empty file.
    pub fn create(&self, dir: &str, name: &str) -> Result<(), Errno> {
        self.begin();
        self.fs.root_dir().create_file(&join(dir, name)).map(drop).map_err(errno)
    }

    /// Makes an empty directory.
    pub fn mkdir(&self, dir: &str, name: &str) -> Result<(), Errno> {
        self.begin();
        self.fs.root_dir().create_dir(&join(dir, name)).map(drop).map_err(errno)
    }

    /// Removes a file or an empty directory.
    pub fn remove(&self, dir: &str, name: &str) -> Result<(), Errno> {
        self.begin();
        self.fs.root_dir().remove(&join(dir, name)).map_err(errno)
    }

    /// How much room there is.
    pub fn space(&self) -> Result<Space, Errno> {
        self.begin();
        let stats = self.fs.stats().map_err(errno)?;
        Ok(Space {
            cluster_bytes: stats.cluster_size(),
            clusters: stats.total_clusters(),
            free: stats.free_clusters(),
        })
    }
}

/// The path of `name` in `dir`.
pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_string() } else { format!("{dir}/{name}") }
}

/// Moves to `pos`, which is not behind the end. EIO when the chain of clusters is shorter than the file.
fn seek(file: &mut FsFile<'_>, pos: u64) -> Result<(), Errno> {
    if file.seek(SeekFrom::Start(pos)).map_err(errno)? == pos { Ok(()) } else { Err(Errno::EIO) }
}

fn write_some(file: &mut FsFile<'_>, data: &[u8]) -> Result<usize, Errno> {
    match file.write(data).map_err(errno)? {
        0 => Err(Errno::EIO),
        n => Ok(n),
    }
}
