//! Files in memory: what lies at `/`.
//!
//! A directory is an ordered map of names; a file is a list of 4 KiB pages, so that growing one never copies
//! what is in it already, and a hole costs nothing:
//!
//! ```text
//!   Dir ── "etc" ─▶ Dir ── "motd" ─▶ File { len, content }
//!                                             │
//!          Image(&'static [u8])  bytes of the initramfs, where the boot loader put them: nothing is copied
//!            │ first write
//!            ▼
//!          Pages([page, page, hole, page])
//! ```
//!
//! Memory is bounded: pages count against the size the file system was made with, and nodes against
//! [`MAX_NODES`]; both ends are ENOSPC. A file that is removed while open lives on until it is closed.

use super::vfs::{AT_END, DirEntry, File, How, Kind, Node, Stat};
use crate::mm;
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use tracecore::errno::Errno;

/// Bytes of a page of a file.
const PAGE: usize = 4096;
/// Files, directories and links in one file system.
pub(crate) const MAX_NODES: usize = 65_536;

type Page = Box<[u8; PAGE]>;

/// What one file system has used of what it may use.
struct Quota {
    max_pages: usize,
    pages: AtomicUsize,
    nodes: AtomicUsize,
}

impl Quota {
    fn take(counter: &AtomicUsize, max: usize) -> Result<(), Errno> {
        let add = |n| if n < max { Some(n + 1) } else { None };
        counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map(drop).map_err(|_| Errno::ENOSPC)
    }

    fn take_page(&self) -> Result<Page, Errno> {
        Self::take(&self.pages, self.max_pages)?;
        mm::try_box([0; PAGE]).inspect_err(|_| self.give_pages(1))
    }

    fn give_pages(&self, n: usize) {
        self.pages.fetch_sub(n, Ordering::Relaxed);
    }
}

/// A node's share of the quota; giving it back is its drop.
struct NodeTicket(Arc<Quota>);

impl NodeTicket {
    fn new(quota: &Arc<Quota>) -> Result<Self, Errno> {
        Quota::take(&quota.nodes, MAX_NODES)?;
        Ok(Self(quota.clone()))
    }
}

impl Drop for NodeTicket {
    fn drop(&mut self) {
        self.0.nodes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A directory.
pub(crate) struct Dir {
    mode: u16,
    ticket: NodeTicket,
    names: SpinLock<BTreeMap<String, Child>>,
}

#[derive(Clone)]
enum Child {
    Dir(Arc<Dir>),
    File(Arc<Content>),
    Link(Arc<Link>),
    Other(Arc<dyn Node>),
}

impl Child {
    fn node(&self) -> Arc<dyn Node> {
        match self {
            Self::Dir(d) => d.clone(),
            Self::File(f) => f.clone(),
            Self::Link(l) => l.clone(),
            Self::Other(n) => n.clone(),
        }
    }
}

/// A new file system of at most `max_bytes` bytes of content: its root.
pub(crate) fn new(max_bytes: usize) -> Result<Arc<Dir>, Errno> {
    let quota = Quota { max_pages: max_bytes / PAGE, pages: AtomicUsize::new(0), nodes: AtomicUsize::new(0) };
    Dir::make(&Arc::new(quota), 0o755)
}

impl Dir {
    fn make(quota: &Arc<Quota>, mode: u16) -> Result<Arc<Self>, Errno> {
        let ticket = NodeTicket::new(quota)?;
        Ok(Arc::new(Self { mode, ticket, names: SpinLock::new(BTreeMap::new()) }))
    }

    fn add(&self, name: &str, child: Child) -> Result<(), Errno> {
        let mut names = self.names.lock();
        if names.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        names.insert(name.to_string(), child);
        Ok(())
    }

    /// The directory `name` in this one, made when it is not there.
    pub(crate) fn dir(&self, name: &str, mode: u16) -> Result<Arc<Dir>, Errno> {
        match self.names.lock().get(name) {
            Some(Child::Dir(d)) => return Ok(d.clone()),
            Some(_) => return Err(Errno::ENOTDIR),
            None => {}
        }
        let dir = Self::make(&self.ticket.0, mode)?;
        self.add(name, Child::Dir(dir.clone()))?;
        Ok(dir)
    }

    /// A file whose content is `bytes`, in place, until somebody writes to it. A file that is there is
    /// replaced: the last of several archives wins.
    pub(crate) fn replace_image(&self, name: &str, mode: u16, bytes: &'static [u8]) -> Result<(), Errno> {
        let file = Content::make(&self.ticket.0, mode, Bytes::Image(bytes))?;
        if !matches!(self.names.lock().get(name), Some(Child::Dir(_)) | None) {
            Node::unlink(self, name)?;
        }
        self.add(name, Child::File(file))
    }

    /// A symbolic link.
    pub(crate) fn link(&self, name: &str, target: &str) -> Result<(), Errno> {
        let link = Link { target: target.to_string(), _ticket: NodeTicket::new(&self.ticket.0)? };
        self.add(name, Child::Link(Arc::new(link)))
    }

    /// A node of somebody else, such as a device.
    pub(crate) fn special(&self, name: &str, node: Arc<dyn Node>) -> Result<(), Errno> {
        self.add(name, Child::Other(node))
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
        self.names.lock().get(name).map(Child::node).ok_or(Errno::ENOENT)
    }

    fn readdir(&self) -> Result<Vec<DirEntry>, Errno> {
        let children: Vec<(String, Child)> =
            self.names.lock().iter().map(|(name, child)| (name.clone(), child.clone())).collect();
        Ok(children.into_iter().map(|(name, child)| DirEntry { name, stat: child.node().stat() }).collect())
    }

    fn create(&self, name: &str, mode: u16) -> Result<Arc<dyn Node>, Errno> {
        let file = Content::make(&self.ticket.0, mode, Bytes::Pages(Vec::new()))?;
        self.add(name, Child::File(file.clone()))?;
        Ok(file)
    }

    fn mkdir(&self, name: &str, mode: u16) -> Result<(), Errno> {
        self.add(name, Child::Dir(Self::make(&self.ticket.0, mode)?))
    }

    fn unlink(&self, name: &str) -> Result<(), Errno> {
        let mut names = self.names.lock();
        match names.get(name) {
            None => Err(Errno::ENOENT),
            Some(Child::Dir(_)) => Err(Errno::EISDIR),
            Some(_) => {
                let gone = names.remove(name);
                // Freeing a large file is long work: not with interrupts off.
                drop(names);
                drop(gone);
                Ok(())
            }
        }
    }

    fn rmdir(&self, name: &str) -> Result<(), Errno> {
        let mut names = self.names.lock();
        match names.get(name) {
            None => Err(Errno::ENOENT),
            Some(Child::Dir(d)) if d.names.lock().is_empty() => {
                names.remove(name);
                Ok(())
            }
            Some(Child::Dir(_)) => Err(Errno::ENOTEMPTY),
            Some(_) => Err(Errno::ENOTDIR),
        }
    }
}

/// A directory opened like a file: there is nothing to read in it.
pub(crate) struct OpenDir;

impl File for OpenDir {
    fn read(&self, _pos: u64, _buf: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
}

/// A symbolic link.
struct Link {
    target: String,
    _ticket: NodeTicket,
}

impl Node for Link {
    fn stat(&self) -> Stat {
        Stat { size: self.target.len() as u64, ..Stat::new(Kind::Symlink, 0o777) }
    }

    fn open(&self, _how: How) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::ELOOP)
    }

    fn readlink(&self) -> Result<String, Errno> {
        Ok(self.target.clone())
    }
}

enum Bytes {
    Image(&'static [u8]),
    Pages(Vec<Option<Page>>),
}

struct Inner {
    len: usize,
    bytes: Bytes,
}

/// A file: the node and the open file in one, since all it has is its content.
struct Content {
    mode: u16,
    ticket: NodeTicket,
    inner: SpinLock<Inner>,
    /// Itself, to be handed out when opened.
    me: Weak<Content>,
}

impl Content {
    fn make(quota: &Arc<Quota>, mode: u16, bytes: Bytes) -> Result<Arc<Self>, Errno> {
        let len = match &bytes {
            Bytes::Image(image) => image.len(),
            Bytes::Pages(_) => 0,
        };
        let ticket = NodeTicket::new(quota)?;
        let inner = SpinLock::new(Inner { len, bytes });
        Ok(Arc::new_cyclic(|me| Self { mode, ticket, inner, me: me.clone() }))
    }

    fn quota(&self) -> &Quota {
        &self.ticket.0
    }

    fn clear(&self) {
        let old = {
            let mut inner = self.inner.lock();
            inner.len = 0;
            core::mem::replace(&mut inner.bytes, Bytes::Pages(Vec::new()))
        };
        if let Bytes::Pages(pages) = &old {
            self.quota().give_pages(pages.iter().flatten().count());
        }
    }

    /// Turns bytes in place into pages that can be written.
    fn own(&self) -> Result<(), Errno> {
        let Bytes::Image(image) = self.inner.lock().bytes else { return Ok(()) };
        let mut pages: Vec<Option<Page>> = Vec::new();
        for chunk in image.chunks(PAGE) {
            match self.quota().take_page() {
                Ok(mut page) => {
                    page[..chunk.len()].copy_from_slice(chunk);
                    pages.push(Some(page));
                }
                Err(e) => {
                    self.quota().give_pages(pages.len());
                    return Err(e);
                }
            }
        }
        let mut inner = self.inner.lock();
        if matches!(inner.bytes, Bytes::Image(_)) {
            inner.bytes = Bytes::Pages(pages);
        } else {
            // Somebody else was faster.
            drop(inner);
            self.quota().give_pages(pages.len());
        }
        Ok(())
    }

    /// Writes as much of `data` as goes into one page; a new page is made before the lock is taken.
    fn write_in_page(&self, pos: u64, data: &[u8]) -> Result<(usize, u64), Errno> {
        let mut fresh: Option<Page> = None;
        loop {
            let mut inner = self.inner.lock();
            let at =
                if pos == AT_END { inner.len } else { usize::try_from(pos).map_err(|_| Errno::EFBIG)? };
            if at / PAGE >= self.quota().max_pages {
                return Err(Errno::ENOSPC);
            }
            let (index, offset) = (at / PAGE, at % PAGE);
            let n = data.len().min(PAGE - offset);
            let Inner { len, bytes: Bytes::Pages(pages) } = &mut *inner else { return Err(Errno::EAGAIN) };
            if pages.get(index).is_none_or(Option::is_none) && fresh.is_none() {
                drop(inner);
                fresh = Some(self.quota().take_page()?);
                continue;
            }
            while pages.len() <= index {
                pages.push(None);
            }
            if let Some(slot) = pages.get_mut(index) {
                let page = match slot {
                    Some(page) => page,
                    None => slot.insert(fresh.take().unwrap_or_else(|| Box::new([0; PAGE]))),
                };
                page[offset..offset + n].copy_from_slice(&data[..n]);
            }
            *len = (*len).max(at + n);
            drop(inner);
            if fresh.is_some() {
                self.quota().give_pages(1);
            }
            return Ok((n, (at + n) as u64));
        }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Node for Content {
    fn stat(&self) -> Stat {
        Stat { size: self.inner.lock().len as u64, ..Stat::new(Kind::File, self.mode) }
    }

    fn open(&self, how: How) -> Result<Arc<dyn File>, Errno> {
        if how.truncate && how.write {
            self.clear();
        }
        let me = self.me.upgrade().ok_or(Errno::ENOENT)?;
        Ok(me)
    }
}

impl File for Content {
    fn read(&self, pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let inner = self.inner.lock();
        let Some(at) = usize::try_from(pos).ok().filter(|at| *at < inner.len) else { return Ok(0) };
        // One page at a time, so that interrupts are not off for longer than that takes.
        let n = buf.len().min(inner.len - at).min(PAGE - at % PAGE);
        let out = &mut buf[..n];
        match &inner.bytes {
            Bytes::Image(image) => out.copy_from_slice(&image[at..at + n]),
            Bytes::Pages(pages) => match pages.get(at / PAGE).and_then(Option::as_ref) {
                Some(page) => out.copy_from_slice(&page[at % PAGE..at % PAGE + n]),
                None => out.fill(0),
            },
        }
        Ok(n)
    }

    fn write(&self, pos: u64, data: &[u8]) -> Result<(usize, u64), Errno> {
        if data.is_empty() {
            return Ok((0, if pos == AT_END { self.length()? } else { pos }));
        }
        self.own()?;
        let (mut done, mut at) = self.write_in_page(pos, data)?;
        while done < data.len() {
            // What is written is written: an end of the space is told by a short count, then by ENOSPC.
            let Ok((n, after)) = self.write_in_page(if pos == AT_END { AT_END } else { at }, &data[done..])
            else {
                break;
            };
            (done, at) = (done + n, after);
        }
        Ok((done, at))
    }

    fn length(&self) -> Result<u64, Errno> {
        Ok(self.inner.lock().len as u64)
    }
}
