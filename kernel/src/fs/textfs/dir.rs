//! Directories of files made of text: a table of names that their owners fill.
//!
//! A directory is shared: a room above is handed the directory that concerns it, once, and adds and removes
//! names for as long as it likes. Who has a file open when its name goes keeps what was opened.
//!
//! What a user may not do here differs from tree to tree, with the errno that Linux's tree of that name has:
//!
//! | | make a file | make a directory | remove |
//! |---|---|---|---|
//! | tracefs, debugfs | EACCES | EPERM | EPERM |
//! | procfs | ENOENT | ENOENT | EPERM |

use super::Text;
use crate::fs::ramfs::OpenDir;
use crate::fs::vfs::{DirEntry, File, How, Kind, Node, Stat};
use crate::sync::SpinLock;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use tracecore::errno::Errno;

/// What users get who try to change the tree.
#[derive(Clone, Copy)]
pub(crate) struct Refusals {
    /// For `open` with `O_CREAT`.
    pub(crate) create: Errno,
    /// For `mkdir`.
    pub(crate) mkdir: Errno,
}

impl Refusals {
    /// As in tracefs and debugfs.
    pub(crate) const TRACEFS: Self = Self { create: Errno::EACCES, mkdir: Errno::EPERM };
    /// As in procfs.
    pub(crate) const PROCFS: Self = Self { create: Errno::ENOENT, mkdir: Errno::ENOENT };
}

/// Names that are not in the table: looked up and listed by somebody who knows them when asked.
pub(crate) trait More: Send + Sync {
    /// The node behind `name`, if it is one of theirs.
    fn lookup(&self, name: &str) -> Option<Arc<dyn Node>>;
    /// All of theirs.
    fn list(&self) -> Vec<DirEntry>;
}

/// A directory.
pub(crate) struct Dir {
    mode: u16,
    refusals: Refusals,
    names: SpinLock<BTreeMap<String, Arc<dyn Node>>>,
    subdirs: SpinLock<BTreeMap<String, Arc<Dir>>>,
    more: Option<Arc<dyn More>>,
}

impl Dir {
    /// An empty directory.
    pub(crate) fn new(mode: u16, refusals: Refusals) -> Arc<Self> {
        Self::with(mode, refusals, None)
    }

    /// A directory in which `more` answers for the names that are not in the table.
    pub(crate) fn with(mode: u16, refusals: Refusals, more: Option<Arc<dyn More>>) -> Arc<Self> {
        let (names, subdirs) = (SpinLock::new(BTreeMap::new()), SpinLock::new(BTreeMap::new()));
        Arc::new(Self { mode, refusals, names, subdirs, more })
    }

    /// The directory `name` in this one, made when it is not there.
    pub(crate) fn dir(&self, name: &str, mode: u16) -> Arc<Dir> {
        let fresh = Self::new(mode, self.refusals);
        let dir = self.subdirs.lock().entry(name.to_string()).or_insert(fresh).clone();
        self.add(name, dir.clone());
        dir
    }

    /// Puts `node` under `name`, in the place of what was there.
    pub(crate) fn add(&self, name: &str, node: Arc<dyn Node>) {
        let old = self.names.lock().insert(name.to_string(), node);
        drop(old);
    }

    /// Puts a text file under `name`.
    pub(crate) fn file(&self, name: &str, text: Text) {
        self.add(name, text.node());
    }

    /// Takes `name` away; is it gone by this call?
    pub(crate) fn remove(&self, name: &str) -> bool {
        let dir = self.subdirs.lock().remove(name);
        let node = self.names.lock().remove(name);
        drop(dir);
        node.is_some()
    }
}

impl Node for Dir {
    fn stat(&self) -> Stat {
        Stat::new(Kind::Dir, self.mode)
    }

    fn open(&self, _how: How) -> Result<Arc<dyn File>, Errno> {
        Ok(Arc::new(OpenDir))
    }

    fn lookup(&self, name: &str) -> Result<Arc<dyn Node>, Errno> {
        if let Some(node) = self.names.lock().get(name) {
            return Ok(node.clone());
        }
        self.more.as_ref().and_then(|more| more.lookup(name)).ok_or(Errno::ENOENT)
    }

    fn readdir(&self) -> Result<Vec<DirEntry>, Errno> {
        let nodes: Vec<(String, Arc<dyn Node>)> =
            self.names.lock().iter().map(|(name, node)| (name.clone(), node.clone())).collect();
        let mut all: Vec<DirEntry> =
            nodes.into_iter().map(|(name, node)| DirEntry { name, stat: node.stat() }).collect();
        if let Some(more) = &self.more {
            all.extend(more.list());
        }
        Ok(all)
    }

    fn create(&self, _name: &str, _mode: u16) -> Result<Arc<dyn Node>, Errno> {
        Err(self.refusals.create)
    }

    fn mkdir(&self, _name: &str, _mode: u16) -> Result<(), Errno> {
        Err(self.refusals.mkdir)
    }
}

/// A symbolic link whose target is found when it is followed.
pub(crate) struct Link<F>(pub(crate) F);

impl<F: Fn() -> String + Send + Sync> Node for Link<F> {
    fn stat(&self) -> Stat {
        Stat::new(Kind::Symlink, 0o777)
    }

    fn open(&self, _how: How) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::ELOOP)
    }

    fn readlink(&self) -> Result<String, Errno> {
        Ok((self.0)())
    }
}
