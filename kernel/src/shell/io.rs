//! The shell's streams: open files of the VFS, the terminal, and the host.

use super::jobs;
use crate::arch::semihosting;
use crate::fs::tty;
use crate::fs::vfs::OpenFile;
use alloc::sync::Arc;
use sh::Io;
use tracecore::errno::Errno;

/// An open file as the shell sees it.
pub(super) struct FileIo(pub(super) Arc<OpenFile>);

impl Io for FileIo {
    fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        self.0.read(buf)
    }

    fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        self.0.write(buf).inspect_err(|e| {
            if *e == Errno::EPIPE {
                jobs::broken_pipe();
            }
        })
    }

    fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }

    fn set_raw(&self, raw: bool) {
        if self.0.is_terminal() {
            tty::set_raw(raw);
        }
    }
}

/// The host's standard output, which a script's own goes to: it carries nothing else, since the boot log, the
/// kernel log and standard error all go over the console's wire.
pub(super) struct HostIo(pub(super) semihosting::Handle);

impl Io for HostIo {
    fn read(&self, _buf: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }

    fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        // What the host does not take is lost: whoever read it there has gone.
        let _ = semihosting::write(self.0, buf);
        Ok(buf.len())
    }

    /// The last lines before a crash are the ones that are wanted.
    fn line_buffered(&self) -> bool {
        true
    }
}
