//! Open files.
//!
//! An [`OpenFile`] adds to a [`File`] what belongs to one `open` alone: the access mode and the position. It
//! is shared, position included, by everybody who inherits it, which is why `( echo a; echo b ) > f` writes
//! two lines.
//!
//! There may be [`FILE_MAX`] of them in the system (ENFILE).

use super::{AT_END, File, How};
use crate::fs::events;
use crate::tracepoint::trace;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tracecore::errno::Errno;

/// Open files in the whole system.
pub(crate) const FILE_MAX: usize = 4096;

static OPEN_FILES: AtomicUsize = AtomicUsize::new(0);

/// From where a seek counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whence {
    /// The start of the file.
    Start,
    /// The position.
    Here,
    /// The end of the file.
    End,
}

/// One open of a file.
pub(crate) struct OpenFile {
    file: Arc<dyn File>,
    how: How,
    /// Two tasks that use one open file at the very same time may both start from one position, as they
    /// might when each had opened the file itself; appending files are exempt ([`AT_END`]).
    pos: AtomicU64,
}

impl OpenFile {
    /// Wraps a file that was opened as `how` says; ENFILE when there are [`FILE_MAX`] already.
    pub(crate) fn new(file: Arc<dyn File>, how: How) -> Result<Arc<Self>, Errno> {
        let add = |n| if n < FILE_MAX { Some(n + 1) } else { None };
        OPEN_FILES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map_err(|_| Errno::ENFILE)?;
        Ok(Arc::new(Self { file, how, pos: AtomicU64::new(0) }))
    }

    /// Reads at the position and moves it; EBADF when not opened for reading.
    pub(crate) fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        if !self.how.read {
            return Err(Errno::EBADF);
        }
        let pos = self.pos.load(Ordering::Acquire);
        let done = self.file.read(pos, buf);
        trace!(events::vfs_read(self.id(), pos, buf.len(), transferred(done)));
        let n = done?;
        self.pos.store(pos.saturating_add(n as u64), Ordering::Release);
        Ok(n)
    }

    /// Writes at the position, or at the end of an appending file, and moves it; EBADF when not opened for
    /// writing.
    pub(crate) fn write(&self, data: &[u8]) -> Result<usize, Errno> {
        if !self.how.write {
            return Err(Errno::EBADF);
        }
        let pos = if self.how.append { AT_END } else { self.pos.load(Ordering::Acquire) };
        let done = self.file.write(pos, data);
        trace!(events::vfs_write(self.id(), pos, data.len(), transferred(done.map(|(n, _)| n))));
        let (n, after) = done?;
        self.pos.store(after, Ordering::Release);
        Ok(n)
    }

    /// Writes all of `data`, in as many writes as it takes.
    pub(crate) fn write_all(&self, mut data: &[u8]) -> Result<(), Errno> {
        while !data.is_empty() {
            match self.write(data)? {
                0 => return Err(Errno::EIO),
                n => data = data.get(n..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Moves the position; ESPIPE on a stream, EINVAL before the start.
    pub(crate) fn seek(&self, whence: Whence, by: i64) -> Result<u64, Errno> {
        if !self.file.seekable() {
            return Err(Errno::ESPIPE);
        }
        let from = match whence {
            Whence::Start => 0,
            Whence::Here => self.pos.load(Ordering::Acquire),
            Whence::End => self.file.length()?,
        };
        let to = from.checked_add_signed(by).filter(|to| i64::try_from(*to).is_ok()).ok_or(Errno::EINVAL)?;
        self.pos.store(to, Ordering::Release);
        Ok(to)
    }

    /// What events tell it by.
    pub(super) fn id(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// Is it an interactive terminal?
    pub(crate) fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }
}

/// What came of a transfer, as a system call would return it.
fn transferred(done: Result<usize, Errno>) -> i64 {
    done.map_or_else(|e| -i64::from(e.code()), |n| n as i64)
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        trace!(events::vfs_close(self.id()));
        OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
    }
}
