//! The devices: `/dev`.
//!
//! | name | numbers | read | write |
//! |---|---|---|---|
//! | `null` | 1,3 | the end | taken and forgotten |
//! | `zero` | 1,5 | NULs | taken and forgotten |
//! | `full` | 1,7 | NULs | ENOSPC |
//! | `kmsg` | 1,11 | the kernel log, a record per read | a line for the log |
//! | `console` | 5,1 | keys | the terminal |
//!
//! | `vda` … | 254,0 … | block devices, by `blockdev` | |
//!
//! The last ones belong to other rooms, which hand in what stands behind the name with [`provide`]. Numbers as
//! in Linux's `Documentation/admin-guide/devices.txt`.

use super::ramfs;
use super::vfs::{File, How, Kind, Node, Stat};
use crate::sync::Once;
use alloc::sync::Arc;
use tracecore::errno::Errno;

/// Devices are no content: the file system that holds their names needs room for none.
const CONTENT_BYTES: usize = 0;

static ROOT: Once<Arc<ramfs::Dir>> = Once::new();

/// The directory that is mounted at `/dev`.
pub(crate) fn root() -> Result<&'static Arc<ramfs::Dir>, Errno> {
    if ROOT.get().is_none() {
        // Who comes second gives up its own.
        let _ = ROOT.set(new()?);
    }
    ROOT.get().ok_or(Errno::EAGAIN)
}

/// The devices that are always there.
pub(crate) fn new() -> Result<Arc<ramfs::Dir>, Errno> {
    let root = ramfs::new(CONTENT_BYTES)?;
    for (name, what, minor) in [("null", Mem::Null, 3), ("zero", Mem::Zero, 5), ("full", Mem::Full, 7)] {
        provide(&root, name, 0o666, (1, minor), Arc::new(what))?;
    }
    Ok(root)
}

/// Puts a device under `name`: every open of it gives `file`.
pub(crate) fn provide(
    root: &ramfs::Dir,
    name: &str,
    mode: u16,
    rdev: (u16, u16),
    file: Arc<dyn File>,
) -> Result<(), Errno> {
    provide_as(root, name, Stat { rdev, ..Stat::new(Kind::Char, mode) }, file)
}

/// As [`provide`], with all that `stat` tells.
pub(crate) fn provide_as(
    root: &ramfs::Dir,
    name: &str,
    stat: Stat,
    file: Arc<dyn File>,
) -> Result<(), Errno> {
    root.special(name, Arc::new(Device { stat, file }))
}

struct Device {
    stat: Stat,
    file: Arc<dyn File>,
}

impl Node for Device {
    fn stat(&self) -> Stat {
        self.stat
    }

    fn open(&self, _how: How) -> Result<Arc<dyn File>, Errno> {
        Ok(self.file.clone())
    }
}

/// The devices without a machine behind them.
#[derive(Clone, Copy)]
enum Mem {
    Null,
    Zero,
    Full,
}

impl File for Mem {
    fn read(&self, _pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Null => Ok(0),
            Self::Zero | Self::Full => {
                buf.fill(0);
                Ok(buf.len())
            }
        }
    }

    fn write(&self, _pos: u64, data: &[u8]) -> Result<(usize, u64), Errno> {
        match self {
            Self::Null | Self::Zero => Ok((data.len(), 0)),
            Self::Full => Err(Errno::ENOSPC),
        }
    }

    fn length(&self) -> Result<u64, Errno> {
        Ok(0)
    }
}
