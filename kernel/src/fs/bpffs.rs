//! `/sys/fs/bpf`: names for objects of BPF, which keep them alive.
//!
//! ```text
//!   bpf map create /sys/fs/bpf/counts …      pin: the name holds the map
//!   bpf map dump pinned /sys/fs/bpf/counts   get
//!   rm /sys/fs/bpf/counts                    and lets it go
//! ```
//!
//! A file here has no content: it is a map, a program or a link, and only `bpf` knows what to do with it. So opening one is
//! refused, with Linux's EIO, and none can be made by writing to it. Directories can be made.

use super::ramfs::OpenDir;
use super::vfs::{DirEntry, File, How, Kind, Node, Stat};
use crate::bpf::maps;
use crate::sync::{Once, SpinLock};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use tracecore::errno::Errno;

/// Where it is mounted.
pub(crate) const ROOT: &str = "/sys/fs/bpf";

/// What a name can hold.
pub(crate) type Object = Arc<dyn Any + Send + Sync>;

/// A name.
#[derive(Clone)]
enum Name {
    Dir(Arc<Dir>),
    Object(Object),
}

/// A directory.
struct Dir {
    names: SpinLock<BTreeMap<String, Name>>,
}

/// A name of an object.
struct Pin;

static TREE: Once<Arc<Dir>> = Once::new();

/// The root directory, to be mounted.
pub(super) fn root() -> Arc<dyn Node> {
    TREE.get_or_init(Dir::new).clone()
}

/// The directory that an absolute path leads to, and the last name.
fn parent(path: &str) -> Result<(Arc<Dir>, &str), Errno> {
    let rest = path.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')).ok_or(Errno::EPERM)?;
    let mut dir = TREE.get_or_init(Dir::new).clone();
    let mut names = rest.split('/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            return Ok((dir, name));
        }
        let next = dir.names.lock().get(name).cloned();
        dir = match next {
            Some(Name::Dir(next)) => next,
            Some(Name::Object(_)) => return Err(Errno::ENOTDIR),
            None => return Err(Errno::ENOENT),
        };
    }
    Err(Errno::EEXIST)
}

/// Gives an object a name.
///
/// # Errors
/// EPERM outside of this tree; EEXIST; those of a path.
pub(crate) fn pin(path: &str, object: Object) -> Result<(), Errno> {
    let (dir, name) = parent(path)?;
    let mut names = dir.names.lock();
    if names.contains_key(name) {
        return Err(Errno::EEXIST);
    }
    names.insert(name.to_string(), Name::Object(object));
    Ok(())
}

/// The object with this name.
///
/// # Errors
/// EPERM outside of this tree; ENOENT; EISDIR; those of a path.
pub(crate) fn get(path: &str) -> Result<Object, Errno> {
    let (dir, name) = parent(path)?;
    match dir.names.lock().get(name) {
        Some(Name::Object(object)) => Ok(object.clone()),
        Some(Name::Dir(_)) => Err(Errno::EISDIR),
        None => Err(Errno::ENOENT),
    }
}

/// Makes a directory.
///
/// # Errors
/// As [`pin`].
pub(crate) fn make_dir(path: &str) -> Result<(), Errno> {
    let (dir, name) = parent(path)?;
    dir.mkdir(name, 0o700)
}

/// Removes an empty directory.
///
/// # Errors
/// ENOTEMPTY; those of a path.
pub(crate) fn remove_dir(path: &str) -> Result<(), Errno> {
    let (dir, name) = parent(path)?;
    dir.rmdir(name)
}

/// Takes the name of an object away, and gives the object.
///
/// # Errors
/// As [`get`].
pub(crate) fn unpin(path: &str) -> Result<Object, Errno> {
    let object = get(path)?;
    let (dir, name) = parent(path)?;
    dir.unlink(name)?;
    Ok(object)
}

/// The paths of an object.
pub(crate) fn paths_of(object: *const ()) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = Vec::from([(ROOT.to_string(), TREE.get_or_init(Dir::new).clone())]);
    while let Some((path, dir)) = left.pop() {
        for (name, what) in dir.names.lock().iter() {
            let path = alloc::format!("{path}/{name}");
            match what {
                Name::Dir(dir) => left.push((path, dir.clone())),
                Name::Object(held) if core::ptr::eq(Arc::as_ptr(held).cast(), object) => found.push(path),
                Name::Object(_) => {}
            }
        }
    }
    found.sort();
    found
}

impl Dir {
    fn new() -> Arc<Self> {
        Arc::new(Self { names: SpinLock::new(BTreeMap::new()) })
    }
}

impl Name {
    fn node(&self) -> Arc<dyn Node> {
        match self {
            Self::Dir(dir) => dir.clone(),
            Self::Object(_) => Arc::new(Pin),
        }
    }
}

impl Node for Dir {
    fn stat(&self) -> Stat {
        Stat::new(Kind::Dir, 0o700)
    }

    fn open(&self, _: How) -> Result<Arc<dyn File>, Errno> {
        Ok(Arc::new(OpenDir))
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        self.names.lock().get(name).map(Name::node).ok_or(Errno::ENOENT)
    }

    fn readdir(&self) -> Result<Vec<DirEntry>, Errno> {
        let names = self.names.lock();
        Ok(names
            .iter()
            .map(|(name, what)| DirEntry { name: name.clone(), stat: what.node().stat() })
            .collect())
    }

    fn create(&self, _: &str, _: u16) -> Result<Arc<dyn Node>, Errno> {
        Err(Errno::EPERM)
    }

    fn mkdir(&self, name: &str, _: u16) -> Result<(), Errno> {
        let fresh = Self::new();
        let mut names = self.names.lock();
        if names.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        names.insert(name.to_string(), Name::Dir(fresh));
        Ok(())
    }

    fn unlink(&self, name: &str) -> Result<(), Errno> {
        let mut names = self.names.lock();
        let gone = match names.get(name) {
            Some(Name::Object(_)) => names.remove(name),
            Some(Name::Dir(_)) => return Err(Errno::EISDIR),
            None => return Err(Errno::ENOENT),
        };
        // The last holder of an object has something to do, without a lock.
        drop(names);
        if let Some(Name::Object(object)) = &gone
            && paths_of(Arc::as_ptr(object).cast()).is_empty()
        {
            maps::lost_its_names(object);
        }
        drop(gone);
        Ok(())
    }

    fn rmdir(&self, name: &str) -> Result<(), Errno> {
        let mut names = self.names.lock();
        match names.get(name) {
            Some(Name::Dir(dir)) if !dir.names.lock().is_empty() => return Err(Errno::ENOTEMPTY),
            Some(Name::Dir(_)) => {}
            Some(Name::Object(_)) => return Err(Errno::ENOTDIR),
            None => return Err(Errno::ENOENT),
        }
        let gone = names.remove(name);
        drop(names);
        drop(gone);
        Ok(())
    }
}

impl Node for Pin {
    fn stat(&self) -> Stat {
        Stat::new(Kind::File, 0o600)
    }

    fn open(&self, _: How) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::EIO)
    }
}
