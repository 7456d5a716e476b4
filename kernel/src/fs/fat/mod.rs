//! FAT volumes on block devices, as trees of the VFS.
//!
//! ```text
//!   vfs ── Node: a path in the volume ──▶ fat::Volume ──▶ block::Cache ──▶ device
//!          File: a path, counted                one lock         4 KiB blocks
//! ```
//!
//! Nodes and files are paths, and the volume is looked at anew for each operation (`crates/fat`), so two opens of one file
//! never disagree. The names of files and directories are checked and found by the volume, in any case of letters.
//!
//! A path names its file as long as that is open: removing an open file is EBUSY (Linux keeps it until it is closed), and
//! so is unmounting. Unmounting writes everything to the device; what is damaged or lost on the way is EIO.

pub(crate) mod selftest;

use super::blockdev;
use super::ramfs::OpenDir;
use super::vfs::{self, AT_END, DirEntry, File, How, Kind, Node, Owner, Stat};
use crate::block::Cache;
use crate::mm;
use crate::sync::SpinLock;
use crate::task::Mutex;
use ::fat::{Disk, Entry, Volume, join};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use tracecore::errno::Errno;

/// Permission bits of everything: FAT keeps none.
const MODE: u16 = 0o755;

/// A device, as a volume wants it.
struct OnCache(Arc<Cache>);

impl Disk for OnCache {
    fn bytes(&self) -> u64 {
        self.0.disk().bytes()
    }

    fn read(&self, pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        self.0.read(pos, buf)
    }

    fn write(&self, pos: u64, data: &[u8]) -> Result<usize, Errno> {
        self.0.write(pos, data)
    }
}

/// A volume that is mounted.
struct Mounted {
    cache: Arc<Cache>,
    /// None once it is unmounted.
    volume: Mutex<Option<Volume>>,
    /// How often each path is open.
    open: SpinLock<BTreeMap<String, usize>>,
}

/// All of them, for `sync`.
static MOUNTED: SpinLock<Vec<Weak<Mounted>>> = SpinLock::new(Vec::new());

/// The block device `path`. ENOTBLK when it is something else.
fn device(cwd: &str, path: &str) -> Result<Arc<Cache>, Errno> {
    let stat = vfs::stat(cwd, path)?;
    if stat.kind != Kind::Block {
        return Err(Errno::ENOTBLK);
    }
    blockdev::cache(stat.rdev).ok_or(Errno::ENXIO)
}

/// Mounts the volume on the device `source` over the directory `path`. EINVAL when there is none on it.
pub(super) fn mount(cwd: &str, source: &str, path: &str) -> Result<(), Errno> {
    let cache = device(cwd, source)?;
    cache.claim()?;
    let mounted = open(&cache).and_then(|mounted| {
        let root = Arc::new(Place { fs: mounted.clone(), path: String::new(), is_dir: true });
        let owner: Arc<dyn Owner> = mounted.clone();
        vfs::mount_owned("vfat", source, cwd, path, root, Some(owner))?;
        Ok(mounted)
    });
    match mounted {
        Ok(mounted) => {
            let mut all = MOUNTED.lock();
            all.retain(|other| other.strong_count() > 0);
            all.push(Arc::downgrade(&mounted));
            Ok(())
        }
        Err(error) => {
            cache.unclaim();
            Err(error)
        }
    }
}

fn open(cache: &Arc<Cache>) -> Result<Arc<Mounted>, Errno> {
    let volume = Volume::open(mm::try_box(OnCache(cache.clone()))?)?;
    mm::try_arc(Mounted {
        cache: cache.clone(),
        volume: Mutex::new(Some(volume)),
        open: SpinLock::new(BTreeMap::new()),
    })
}

/// Makes an empty volume of the device `source`. EBUSY when it is mounted.
pub(super) fn format(cwd: &str, source: &str) -> Result<(), Errno> {
    let cache = device(cwd, source)?;
    cache.claim()?;
    let made =
        mm::try_box(OnCache(cache.clone())).and_then(|disk| ::fat::format(disk)).and_then(|()| cache.sync());
    cache.unclaim();
    made
}

/// Has each volume's own knowledge on its device's cache. (What a volume knows it writes at once: there is nothing to do
/// but to wait for those who are at it.)
pub(super) fn sync() -> Result<(), Errno> {
    let all: Vec<Arc<Mounted>> = MOUNTED.lock().iter().filter_map(Weak::upgrade).collect();
    all.iter().for_each(|mounted| drop(mounted.volume.lock()));
    Ok(())
}

impl Mounted {
    /// Does something with the volume. ENODEV when it is not there any more.
    fn with<R>(&self, f: impl FnOnce(&Volume) -> Result<R, Errno>) -> Result<R, Errno> {
        f(self.volume.lock().as_ref().ok_or(Errno::ENODEV)?)
    }

    fn is_open(&self, path: &str) -> bool {
        self.open.lock().contains_key(path)
    }
}

impl Owner for Mounted {
    fn release(&self) -> Result<(), Errno> {
        let volume = {
            let mut volume = self.volume.lock();
            if !self.open.lock().is_empty() {
                return Err(Errno::EBUSY);
            }
            volume.take().ok_or(Errno::EINVAL)?
        };
        let result = volume.close().and(self.cache.sync());
        self.cache.forget();
        self.cache.unclaim();
        result
    }
}

/// A file or directory of a volume.
struct Place {
    fs: Arc<Mounted>,
    path: String,
    is_dir: bool,
}

impl Place {
    fn entry_stat(entry: &Entry) -> Stat {
        let kind = if entry.is_dir { Kind::Dir } else { Kind::File };
        Stat { size: entry.bytes, ..Stat::new(kind, MODE) }
    }

    fn child(&self, entry: &Entry) -> Arc<dyn Node> {
        Arc::new(Self { fs: self.fs.clone(), path: join(&self.path, &entry.name), is_dir: entry.is_dir })
    }

    /// The entry `name`, if it is the kind of thing that is asked for.
    fn entry(&self, name: &str, dir: bool) -> Result<Entry, Errno> {
        let entry = self.fs.with(|volume| volume.find(&self.path, name))?;
        match (entry.is_dir, dir) {
            (true, false) => Err(Errno::EISDIR),
            (false, true) => Err(Errno::ENOTDIR),
            _ => Ok(entry),
        }
    }
}

impl Node for Place {
    fn stat(&self) -> Stat {
        let kind = if self.is_dir { Kind::Dir } else { Kind::File };
        // A file that is gone meanwhile, or cannot be read, has no size to tell.
        let size = if self.is_dir { Ok(0) } else { self.fs.with(|volume| volume.bytes(&self.path)) };
        Stat { size: size.unwrap_or(0), ..Stat::new(kind, MODE) }
    }

    fn open(&self, how: How) -> Result<Arc<dyn File>, Errno> {
        if self.is_dir {
            return Ok(Arc::new(OpenDir));
        }
        if how.write && self.fs.cache.disk().is_read_only() {
            return Err(Errno::EROFS);
        }
        self.fs.with(|volume| {
            volume.bytes(&self.path)?;
            // Counted under the lock that unmounting looks under.
            *self.fs.open.lock().entry(self.path.clone()).or_insert(0) += 1;
            Ok(())
        })?;
        let file = Arc::new(OpenFat { fs: self.fs.clone(), path: self.path.clone() });
        if how.truncate && how.write {
            self.fs.with(|volume| volume.truncate(&self.path))?;
        }
        Ok(file)
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        if !self.is_dir {
            return Err(Errno::ENOTDIR);
        }
        Ok(self.child(&self.fs.with(|volume| volume.find(&self.path, name))?))
    }

    fn readdir(&self) -> Result<Vec<DirEntry>, Errno> {
        let entries = self.fs.with(|volume| volume.list(&self.path))?;
        let mut list: Vec<DirEntry> = entries
            .into_iter()
            .map(|entry| DirEntry { stat: Self::entry_stat(&entry), name: entry.name })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    fn create(&self, name: &str, _mode: u16) -> Result<Arc<dyn Node>, Errno> {
        let entry = self.fs.with(|volume| {
            volume.create(&self.path, name)?;
            volume.find(&self.path, name)
        })?;
        Ok(self.child(&entry))
    }

    fn mkdir(&self, name: &str, _mode: u16) -> Result<(), Errno> {
        self.fs.with(|volume| volume.mkdir(&self.path, name))
    }

    fn unlink(&self, name: &str) -> Result<(), Errno> {
        let entry = self.entry(name, false)?;
        self.fs.with(|volume| {
            if self.fs.is_open(&join(&self.path, &entry.name)) {
                return Err(Errno::EBUSY);
            }
            volume.remove(&self.path, name)
        })
    }

    fn rmdir(&self, name: &str) -> Result<(), Errno> {
        self.entry(name, true)?;
        self.fs.with(|volume| volume.remove(&self.path, name))
    }
}

/// A file that is open.
struct OpenFat {
    fs: Arc<Mounted>,
    path: String,
}

impl File for OpenFat {
    fn read(&self, pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        self.fs.with(|volume| volume.read(&self.path, pos, buf))
    }

    fn write(&self, pos: u64, data: &[u8]) -> Result<(usize, u64), Errno> {
        let at = (pos != AT_END).then_some(pos);
        self.fs.with(|volume| volume.write(&self.path, at, data))
    }

    fn length(&self) -> Result<u64, Errno> {
        self.fs.with(|volume| volume.bytes(&self.path))
    }
}

impl Drop for OpenFat {
    fn drop(&mut self) {
        let mut open = self.fs.open.lock();
        if let Some(count) = open.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.path);
            }
        }
    }
}
