//! `/dev/kmsg`: the kernel log, a record per read; a written line is logged.

use alloc::string::String;
use alloc::sync::Arc;

use tracecore::errno::Errno;

use super::vfs::{File, How, Kind, Node, Stat};
use super::{devfs, wait};
use crate::klog::{self, Cursor};
use crate::task::Mutex;

/// Linux's number: memory devices, 11.
const RDEV: (u16, u16) = (1, 11);
/// What a written line has when it says nothing else: informational.
const LEVEL: u8 = 6;

pub(super) fn init() -> Result<(), Errno> {
    devfs::root()?.special("kmsg", Arc::new(Kmsg))
}

struct Kmsg;

impl Node for Kmsg {
    fn stat(&self) -> Stat {
        Stat { rdev: RDEV, ..Stat::new(Kind::Char, 0o644) }
    }

    fn open(&self, how: How) -> Result<Arc<dyn File>, Errno> {
        Ok(Arc::new(OpenKmsg { nonblock: how.nonblock, at: Mutex::new(Cursor::default()) }))
    }
}

struct OpenKmsg {
    nonblock: bool,
    at: Mutex<Cursor>,
}

impl File for OpenKmsg {
    fn read(&self, _: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        loop {
            let before = *self.at.lock();
            match self.at.lock().next() {
                Some(Ok(text)) => {
                    let Some(room) = buf.get_mut(..text.len()) else {
                        *self.at.lock() = before;
                        return Err(Errno::EINVAL);
                    };
                    room.copy_from_slice(text.as_bytes());
                    return Ok(text.len());
                }
                // As on Linux: the reader is told once, and goes on with the oldest there is.
                Some(Err(klog::Overwritten)) => return Err(Errno::EPIPE),
                None if self.nonblock => return Err(Errno::EAGAIN),
                None => wait::wait_until(&klog::READERS, || !before.at_end())?,
            }
        }
    }

    fn write(&self, pos: u64, data: &[u8]) -> Result<(usize, u64), Errno> {
        klog::line(LEVEL, format_args!("{}", String::from_utf8_lossy(data)));
        Ok((data.len(), pos))
    }

    fn seekable(&self) -> bool {
        false
    }
}
