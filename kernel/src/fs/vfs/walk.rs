//! From a path to a node, and what is done to names.
//!
//! The walk keeps the trail it came by, so that `..` is a step back on it and the canonical path of where it
//! stands is the names on it, one after the other. Mounts are looked up by that canonical path:
//!
//! ```text
//!   walk("/tmp", "../proc/self/stat")          trail
//!     start                                    /
//!     "tmp"                                    /  tmp
//!     ".."                                     /
//!     "proc"   a mount lies over "/proc"       /  proc(the root of procfs)
//!     "self"   a symbolic link: "12"           /  proc  12
//!     "stat"                                   /  proc  12  stat
//! ```
//!
//! A symbolic link is replaced by the names in it, at most [`MAX_LINKS`] times in one walk (ELOOP). `..` in
//! the root is the root. The current directory of a task is its canonical path, walked again each time:
//! a directory that was removed below somebody's feet is simply not there any more (ENOENT).

use super::path::{NAME_MAX, PATH_MAX, Path};
use super::{DirEntry, How, Kind, Node, OpenFile, Stat};
use crate::fs::events;
use crate::sync::SpinLock;
use crate::tracepoint::trace;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use tracecore::errno::Errno;

/// Symbolic links followed in one walk; Linux's limit.
const MAX_LINKS: usize = 40;
/// Trees that can be mounted at a time.
const MAX_MOUNTS: usize = 32;
/// Permission bits of what a shell makes: everything but the usual umask of 022.
const DIR_MODE: u16 = 0o755;
const FILE_MODE: u16 = 0o644;

/// A tree that lies over a directory.
#[derive(Clone)]
pub(crate) struct Mount {
    /// What `/proc/mounts` calls it.
    pub(crate) kind: &'static str,
    /// Where it comes from: a device, or its kind again.
    pub(crate) source: String,
    /// The canonical path of the directory it covers.
    pub(crate) path: String,
    root: Arc<dyn Node>,
    owner: Option<Arc<dyn Owner>>,
}

/// What a tree belongs to that has something to do before it goes.
pub(crate) trait Owner: Send + Sync {
    /// Gives the tree up. EBUSY when it is in use: then nothing has changed. With any other error it is given up all the
    /// same, and something is lost.
    fn release(&self) -> Result<(), Errno>;
}

static MOUNTS: SpinLock<Vec<Mount>> = SpinLock::new(Vec::new());

/// Lays the tree under `root` over the directory `path`; the first mount must be `/`. ENOTDIR when `path` is
/// no directory, EBUSY when something is mounted there already, ENOSPC when the table is full.
pub(crate) fn mount(kind: &'static str, path: &str, root: Arc<dyn Node>) -> Result<(), Errno> {
    mount_owned(kind, if path == "/" { "rootfs" } else { kind }, "/", path, root, None)
}

/// As [`mount`], seen from `cwd`, for a tree that comes from `source` and is asked before it goes.
pub(crate) fn mount_owned(
    kind: &'static str,
    source: &str,
    cwd: &str,
    path: &str,
    root: Arc<dyn Node>,
    owner: Option<Arc<dyn Owner>>,
) -> Result<(), Errno> {
    let path = if path == "/" {
        String::from("/")
    } else {
        let at = walk(cwd, path, Links::Follow)?;
        at.expect_dir()?;
        at.path()
    };
    let mut mounts = MOUNTS.lock();
    if mounts.iter().any(|m| m.path == path) {
        return Err(Errno::EBUSY);
    }
    if mounts.len() >= MAX_MOUNTS {
        return Err(Errno::ENOSPC);
    }
    mounts.push(Mount { kind, source: source.to_string(), path, root, owner });
    Ok(())
}

/// Takes the tree at the directory `path` away again; EINVAL when none is mounted there, EBUSY for the root or
/// when another one lies inside, or its owner says so. Files open in a tree without an owner live until they are closed.
pub(crate) fn unmount(cwd: &str, path: &str) -> Result<(), Errno> {
    let path = chdir(cwd, path)?;
    if path == "/" {
        return Err(Errno::EBUSY);
    }
    let owner = {
        let mounts = MOUNTS.lock();
        let mount = mounts.iter().find(|m| m.path == path).ok_or(Errno::EINVAL)?;
        let inside = |m: &Mount| m.path.strip_prefix(&*path).is_some_and(|rest| rest.starts_with('/'));
        if mounts.iter().any(inside) {
            return Err(Errno::EBUSY);
        }
        mount.owner.clone()
    };
    // Not under the lock: it may have to wait for a device.
    let released = owner.as_ref().map_or(Ok(()), |owner| owner.release());
    if released == Err(Errno::EBUSY) {
        return released;
    }
    let gone = {
        let mut mounts = MOUNTS.lock();
        // Somebody else may have been faster.
        let at = mounts.iter().position(|m| m.path == path).ok_or(Errno::EINVAL)?;
        mounts.remove(at)
    };
    drop(gone);
    released
}

/// All mounts, in the order they were made.
pub(crate) fn mounts() -> Vec<Mount> {
    MOUNTS.lock().clone()
}

fn mounted_at(path: &str) -> Option<Arc<dyn Node>> {
    MOUNTS.lock().iter().find(|m| m.path == path).map(|m| m.root.clone())
}

/// What the walk does with a symbolic link in the last place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Follow,
    Keep,
}

/// Where a walk stands: the root, and the steps taken from it.
struct Trail {
    root: Arc<dyn Node>,
    steps: Vec<(String, Arc<dyn Node>)>,
}

impl Trail {
    fn node(&self) -> &Arc<dyn Node> {
        self.steps.last().map_or(&self.root, |(_, node)| node)
    }

    /// The canonical path of the place.
    fn path(&self) -> String {
        if self.steps.is_empty() {
            return String::from("/");
        }
        let mut out = String::new();
        for (name, _) in &self.steps {
            out.push('/');
            out.push_str(name);
        }
        out
    }

    fn expect_dir(&self) -> Result<(), Errno> {
        if self.node().stat().kind == Kind::Dir { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    /// One step down; a symbolic link is returned instead of taken when `follow` says so.
    fn step(&mut self, name: &str, follow: bool) -> Result<Option<String>, Errno> {
        self.expect_dir()?;
        match name {
            "." => return Ok(None),
            ".." => {
                self.steps.pop();
                return Ok(None);
            }
            _ => {}
        }
        let child = self.node().lookup(name)?;
        if follow && child.stat().kind == Kind::Symlink {
            return child.readlink().map(Some);
        }
        self.steps.push((name.to_string(), child));
        let here = self.path();
        if here.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        if let (Some(root), Some(top)) = (mounted_at(&here), self.steps.last_mut()) {
            top.1 = root;
        }
        Ok(None)
    }
}

/// Walks `text` from the directory `cwd`.
fn walk(cwd: &str, text: &str, last: Links) -> Result<Trail, Errno> {
    let path = Path::new(text)?;
    let mut trail = Trail { root: mounted_at("/").ok_or(Errno::ENOENT)?, steps: Vec::new() };
    let mut names: VecDeque<String> = VecDeque::new();
    if !path.is_absolute() {
        names.extend(Path::new(cwd)?.names().map(ToString::to_string));
    }
    names.extend(path.names().map(ToString::to_string));
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        let follow = last == Links::Follow || !names.is_empty() || path.wants_dir();
        let Some(target) = trail.step(&name, follow)? else { continue };
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        let target = Path::new(&target)?;
        if target.is_absolute() {
            trail.steps.clear();
        }
        for name in target.names().rev() {
            names.push_front(name.to_string());
        }
    }
    if path.wants_dir() {
        trail.expect_dir()?;
    }
    Ok(trail)
}

/// The directory that the last name of `text` is looked up in, and that name.
fn parent<'a>(cwd: &str, text: &'a str) -> Result<(Trail, &'a str), Errno> {
    let (dir, name) = Path::new(text)?.split_last().ok_or(Errno::EBUSY)?;
    let trail = match dir {
        Some(dir) => walk(cwd, dir.text(), Links::Follow)?,
        None => walk("/", cwd, Links::Follow)?,
    };
    trail.expect_dir()?;
    Ok((trail, name))
}

/// Opens `path` as `how` says, seen from `cwd`.
pub(crate) fn open(cwd: &str, path: &str, how: How) -> Result<Arc<OpenFile>, Errno> {
    let opened = open_quietly(cwd, path, how);
    trace!(events::vfs_open(
        path,
        how.flags(),
        opened.as_ref().map_or(0, |file| file.id()),
        opened.as_ref().map_or_else(|e| -e.code(), |_| 0),
    ));
    opened
}

fn open_quietly(cwd: &str, path: &str, how: How) -> Result<Arc<OpenFile>, Errno> {
    let node = match walk(cwd, path, Links::Follow) {
        Ok(_) if how.create && how.exclusive => return Err(Errno::EEXIST),
        Ok(trail) => trail.node().clone(),
        Err(Errno::ENOENT) if how.create => {
            if Path::new(path)?.wants_dir() {
                return Err(Errno::EISDIR);
            }
            let (dir, name) = parent(cwd, path)?;
            // A link that leads nowhere is there, though what it names is not.
            if dir.node().lookup(name).is_ok() {
                return Err(if how.exclusive { Errno::EEXIST } else { Errno::ENOENT });
            }
            dir.node().create(name, FILE_MODE)?
        }
        Err(e) => return Err(e),
    };
    let is_dir = node.stat().kind == Kind::Dir;
    if is_dir && (how.write || how.create || how.truncate) {
        return Err(Errno::EISDIR);
    }
    if how.directory && !is_dir {
        return Err(Errno::ENOTDIR);
    }
    OpenFile::new(node.open(how)?, how)
}

/// What is at `path`, links followed.
pub(crate) fn stat(cwd: &str, path: &str) -> Result<Stat, Errno> {
    Ok(walk(cwd, path, Links::Follow)?.node().stat())
}

/// What is at `path`, the link itself when it is one.
pub(crate) fn lstat(cwd: &str, path: &str) -> Result<Stat, Errno> {
    Ok(walk(cwd, path, Links::Keep)?.node().stat())
}

/// Where the symbolic link `path` leads; EINVAL when it is none.
pub(crate) fn readlink(cwd: &str, path: &str) -> Result<String, Errno> {
    walk(cwd, path, Links::Keep)?.node().readlink()
}

/// The canonical path of the directory `path`: the new current directory.
pub(crate) fn chdir(cwd: &str, path: &str) -> Result<String, Errno> {
    let trail = walk(cwd, path, Links::Follow)?;
    trail.expect_dir()?;
    Ok(trail.path())
}

/// What is in the directory `path`, by name, without `.` and `..`.
pub(crate) fn readdir(cwd: &str, path: &str) -> Result<Vec<DirEntry>, Errno> {
    let trail = walk(cwd, path, Links::Follow)?;
    trail.expect_dir()?;
    trail.node().readdir()
}

/// Makes the directory `path`.
pub(crate) fn mkdir(cwd: &str, path: &str) -> Result<(), Errno> {
    if Path::new(path)?.split_last().is_none() {
        return Err(Errno::EEXIST);
    }
    let (dir, name) = parent(cwd, path)?;
    if matches!(name, "." | "..") || dir.node().lookup(name).is_ok() {
        return Err(Errno::EEXIST);
    }
    debug_assert!(name.len() <= NAME_MAX);
    dir.node().mkdir(name, DIR_MODE)
}

/// Removes the name `path`, which is no directory.
pub(crate) fn unlink(cwd: &str, path: &str) -> Result<(), Errno> {
    if Path::new(path)?.split_last().is_none() {
        return Err(Errno::EISDIR);
    }
    let (dir, name) = parent(cwd, path)?;
    if matches!(name, "." | "..") {
        return Err(Errno::EISDIR);
    }
    match dir.node().lookup(name)?.stat().kind {
        Kind::Dir => Err(Errno::EISDIR),
        _ if Path::new(path)?.wants_dir() => Err(Errno::ENOTDIR),
        _ => dir.node().unlink(name),
    }
}

/// Removes the empty directory `path`; EBUSY when something is mounted on it.
pub(crate) fn rmdir(cwd: &str, path: &str) -> Result<(), Errno> {
    let (mut dir, name) = parent(cwd, path)?;
    match name {
        "." => return Err(Errno::EINVAL),
        ".." => return Err(Errno::ENOTEMPTY),
        _ => {}
    }
    let node = dir.node().clone();
    if node.lookup(name)?.stat().kind != Kind::Dir {
        return Err(Errno::ENOTDIR);
    }
    dir.step(name, false)?;
    if mounted_at(&dir.path()).is_some() {
        return Err(Errno::EBUSY);
    }
    node.rmdir(name)
}
