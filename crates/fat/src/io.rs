//! A disk as the `axfatfs` crate wants it: a stream with a position; and the budget of accesses.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use axfatfs::{IoBase, IoError, Read, Seek, SeekFrom, Write};
use tracecore::errno::Errno;

use crate::Disk;

/// What went wrong below the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IoFault(pub(crate) Errno);

impl IoError for IoFault {
    fn is_interrupted(&self) -> bool {
        false
    }

    fn new_unexpected_eof_error() -> Self {
        Self(Errno::EIO)
    }

    fn new_write_zero_error() -> Self {
        Self(Errno::EIO)
    }
}

/// The stream.
pub(crate) struct Io {
    disk: Box<dyn Disk>,
    pos: u64,
    /// Accesses that the running operation has left.
    steps: Arc<AtomicU64>,
}

impl Io {
    pub(crate) fn new(disk: Box<dyn Disk>, steps: Arc<AtomicU64>) -> Self {
        Self { disk, pos: 0, steps }
    }

    /// Takes a step; EIO when there is none left, which no sound volume comes to.
    fn step(&self) -> Result<(), IoFault> {
        match self.steps.load(Ordering::Relaxed).checked_sub(1) {
            Some(left) => {
                self.steps.store(left, Ordering::Relaxed);
                Ok(())
            }
            None => Err(IoFault(Errno::EIO)),
        }
    }
}

impl IoBase for Io {
    type Error = IoFault;
}

impl Read for Io {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoFault> {
        self.step()?;
        let n = self.disk.read(self.pos, buf).map_err(IoFault)?;
        self.pos = self.pos.saturating_add(n as u64);
        Ok(n)
    }
}

impl Write for Io {
    fn write(&mut self, buf: &[u8]) -> Result<usize, IoFault> {
        self.step()?;
        let n = self.disk.write(self.pos, buf).map_err(IoFault)?;
        self.pos = self.pos.saturating_add(n as u64);
        Ok(n)
    }

    /// What lies below keeps what was written until it is told to make it lasting.
    fn flush(&mut self) -> Result<(), IoFault> {
        Ok(())
    }
}

impl Seek for Io {
    fn seek(&mut self, pos: SeekFrom) -> Result<u64, IoFault> {
        let to = match pos {
            SeekFrom::Start(pos) => Some(pos),
            SeekFrom::Current(by) => self.pos.checked_add_signed(by),
            SeekFrom::End(by) => self.disk.bytes().checked_add_signed(by),
        };
        self.pos = to.ok_or(IoFault(Errno::EINVAL))?;
        Ok(self.pos)
    }
}
