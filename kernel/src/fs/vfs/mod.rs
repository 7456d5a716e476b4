//! The virtual file system: one tree of names, many kinds of things behind them.
//!
//! There are no inodes and no dentry cache; a thing in the tree is a [`Node`], and what an open of it gives
//! is a [`File`]:
//!
//! ```text
//!   "/proc/self/stat"
//!        │ walk.rs: names, `.` and `..`, symbolic links, mounts
//!        ▼
//!   Arc<dyn Node> ── open(how) ─▶ Arc<dyn File> ── OpenFile: position, mode ── a task
//!   (ramfs, procfs, tracefs, devfs)                (open.rs)
//! ```
//!
//! * A node answers for itself alone: it is looked up *in*, listed, created in, removed from, opened. What a
//!   kind of node cannot do has a default here that answers with Linux's errno.
//! * A file transfers bytes at a position; whoever holds it (`OpenFile`) keeps the position. Files that have
//!   none (pipes, the console) say so, and ignore the one they are given.
//! * A mount lays another tree over a directory ([`mount`]). There is one namespace for everybody.
//!
//! Everybody here is root, so permission bits are shown and not checked; what refuses a write is the file
//! that has nothing to do with it, with the errno that root gets on Linux.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use tracecore::errno::Errno;

mod open;
pub(crate) mod path;
mod walk;

pub(crate) use open::{FILE_MAX, OpenFile, Whence};
pub(crate) use walk::{
    Owner, chdir, lstat, mkdir, mount, mount_owned, mounts, open, readdir, readlink, rmdir, stat, unlink,
    unmount,
};

/// What kind of thing a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes.
    File,
    /// Names.
    Dir,
    /// Another path.
    Symlink,
    /// A device that is read and written as a stream.
    Char,
    /// A device of blocks, which is read and written at any place.
    Block,
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Permission bits, `0o777` at most.
    pub(crate) mode: u16,
    /// Bytes of content, 0 where content is made when read.
    pub(crate) size: u64,
    /// Major and minor number of a device.
    pub(crate) rdev: (u16, u16),
}

impl Stat {
    /// Something of a `kind` with these permission bits and no size.
    pub(crate) const fn new(kind: Kind, mode: u16) -> Self {
        Self { kind, mode, size: 0, rdev: (0, 0) }
    }
}

/// How a file is opened: the access mode and the `O_*` flags that have a meaning here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct How {
    /// Reads are allowed.
    pub(crate) read: bool,
    /// Writes are allowed.
    pub(crate) write: bool,
    /// `O_CREAT`: make it when it is not there.
    pub(crate) create: bool,
    /// `O_EXCL`: with `create`, fail with EEXIST when it is there.
    pub(crate) exclusive: bool,
    /// `O_TRUNC`: what was in it goes first.
    pub(crate) truncate: bool,
    /// `O_APPEND`: each write goes to the end.
    pub(crate) append: bool,
    /// `O_NONBLOCK`: EAGAIN instead of waiting.
    pub(crate) nonblock: bool,
    /// `O_DIRECTORY`: ENOTDIR for anything else.
    pub(crate) directory: bool,
}

impl How {
    /// `O_RDONLY`.
    pub(crate) const READ: Self = Self {
        read: true,
        write: false,
        create: false,
        exclusive: false,
        truncate: false,
        append: false,
        nonblock: false,
        directory: false,
    };
    /// `O_WRONLY | O_CREAT | O_TRUNC`: the shell's `>`.
    pub(crate) const REPLACE: Self =
        Self { read: false, write: true, create: true, truncate: true, ..Self::READ };
    /// `O_WRONLY | O_CREAT | O_APPEND`: the shell's `>>`.
    pub(crate) const APPEND: Self =
        Self { read: false, write: true, create: true, append: true, ..Self::READ };

    /// The flags as Linux's `open` takes them.
    pub(crate) fn flags(self) -> u32 {
        let access = match (self.read, self.write) {
            (_, false) => 0,
            (false, true) => 0o1,
            (true, true) => 0o2,
        };
        let flag = |is: bool, flag: u32| if is { flag } else { 0 };
        access
            | flag(self.create, 0o100)
            | flag(self.exclusive, 0o200)
            | flag(self.truncate, 0o1000)
            | flag(self.append, 0o2000)
            | flag(self.nonblock, 0o4000)
            | flag(self.directory, 0o40000)
    }
}

/// One line of a directory listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirEntry {
    /// The name.
    pub(crate) name: String,
    /// What is behind it.
    pub(crate) stat: Stat,
}

/// A place in the tree.
pub(crate) trait Node: Send + Sync {
    /// Kind, mode and size.
    fn stat(&self) -> Stat;

    /// Opens it. The walk has already refused what no node can do (writing a directory).
    fn open(&self, how: How) -> Result<Arc<dyn File>, Errno>;

    /// The node called `name` in this directory. Never called with `.` or `..`.
    fn lookup(&self, _name: &str) -> Result<Arc<dyn Node>, Errno> {
        Err(Errno::ENOTDIR)
    }

    /// Everything in this directory, without `.` and `..`, in the order it is to be listed.
    fn readdir(&self) -> Result<Vec<DirEntry>, Errno> {
        Err(Errno::ENOTDIR)
    }

    /// Makes a regular file.
    fn create(&self, _name: &str, _mode: u16) -> Result<Arc<dyn Node>, Errno> {
        Err(Errno::EACCES)
    }

    /// Makes a directory.
    fn mkdir(&self, _name: &str, _mode: u16) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Removes a name that is not a directory.
    fn unlink(&self, _name: &str) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Removes an empty directory.
    fn rmdir(&self, _name: &str) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Where a symbolic link leads.
    fn readlink(&self) -> Result<String, Errno> {
        Err(Errno::EINVAL)
    }
}

/// Position of a write that goes to the end, wherever that is.
pub(crate) const AT_END: u64 = u64::MAX;

/// What an open gives: bytes in and out. Methods take `&self`, since one open file may be shared by several
/// tasks (both ends of a pipeline, a redirected loop); each kind locks what it must, never while it waits.
pub(crate) trait File: Send + Sync {
    /// Reads at `pos` into `buf`: the number of bytes, 0 at the end. A file without positions waits until
    /// there is something, or the end, or an interrupt (EINTR).
    fn read(&self, _pos: u64, _buf: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes `data` at `pos` ([`AT_END`]: appends): the number of bytes taken, and the position after them.
    fn write(&self, _pos: u64, _data: &[u8]) -> Result<(usize, u64), Errno> {
        Err(Errno::EINVAL)
    }

    /// Does it have positions? A stream has none, and a seek on it is ESPIPE.
    fn seekable(&self) -> bool {
        true
    }

    /// How long it is, for seeking from the end; EINVAL when only reading would tell.
    fn length(&self) -> Result<u64, Errno> {
        Err(Errno::EINVAL)
    }

    /// Is it an interactive terminal?
    fn is_terminal(&self) -> bool {
        false
    }
}
