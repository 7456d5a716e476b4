//! Pipes: bytes from one task to another, a bounded number at a time.
//!
//! ```text
//!   writer ── write ──▶ │▒▒▒▒▒▒▒▒▒·······│ ── read ──▶ reader
//!      waits while full   PIPE_SIZE bytes     waits while empty
//!      EPIPE: no reader                       0: empty and no writer
//! ```
//!
//! A write of at most [`PIPE_BUF`] bytes goes in as a whole: two writers of short lines never mix them. A
//! longer one goes in as room appears. A wait ends early with EINTR when the waiting task is to stop; what a
//! write had put in by then is its result instead.
//!
//! Each end is a [`File`]; that the last holder of an end has let go is its drop, and wakes the other side.

use super::vfs::{File, How, OpenFile};
use super::wait::wait_until;
use crate::sync::SpinLock;
use crate::task::WaitQueue;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use tracecore::errno::Errno;

/// Bytes that a pipe holds.
pub(crate) const PIPE_SIZE: usize = 16 * 1024;
/// A write of at most this many bytes is not mixed with others.
pub(crate) const PIPE_BUF: usize = 4096;

struct Ring {
    bytes: Box<[u8]>,
    /// Where the next byte is read.
    head: usize,
    len: usize,
    has_reader: bool,
    has_writer: bool,
}

struct Pipe {
    ring: SpinLock<Ring>,
    /// Readers that wait for bytes, and writers that wait for room.
    not_empty: WaitQueue,
    not_full: WaitQueue,
}

impl Ring {
    fn room(&self) -> usize {
        self.bytes.len() - self.len
    }

    /// Copies out up to `buf.len()` bytes.
    fn get(&mut self, buf: &mut [u8]) -> usize {
        let n = buf.len().min(self.len);
        let first = n.min(self.bytes.len() - self.head);
        buf[..first].copy_from_slice(&self.bytes[self.head..self.head + first]);
        buf[first..n].copy_from_slice(&self.bytes[..n - first]);
        self.head = (self.head + n) % self.bytes.len();
        self.len -= n;
        n
    }

    /// Copies in up to `data.len()` bytes.
    fn put(&mut self, data: &[u8]) -> usize {
        let n = data.len().min(self.room());
        let tail = (self.head + self.len) % self.bytes.len();
        let first = n.min(self.bytes.len() - tail);
        self.bytes[tail..tail + first].copy_from_slice(&data[..first]);
        self.bytes[..n - first].copy_from_slice(&data[first..n]);
        self.len += n;
        n
    }
}

/// A new pipe: the end to read from, the end to write to.
pub(crate) fn pipe() -> Result<(Arc<OpenFile>, Arc<OpenFile>), Errno> {
    let ring = Ring {
        bytes: vec![0; PIPE_SIZE].into_boxed_slice(),
        head: 0,
        len: 0,
        has_reader: true,
        has_writer: true,
    };
    let pipe =
        Arc::new(Pipe { ring: SpinLock::new(ring), not_empty: WaitQueue::new(), not_full: WaitQueue::new() });
    let reader = OpenFile::new(Arc::new(ReadEnd(pipe.clone())), How::READ)?;
    let writer = OpenFile::new(Arc::new(WriteEnd(pipe)), How { read: false, write: true, ..How::READ })?;
    Ok((reader, writer))
}

struct ReadEnd(Arc<Pipe>);
struct WriteEnd(Arc<Pipe>);

impl File for ReadEnd {
    fn read(&self, _pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            {
                let mut ring = self.0.ring.lock();
                let n = ring.get(buf);
                if n > 0 || !ring.has_writer {
                    drop(ring);
                    self.0.not_full.wake_all();
                    return Ok(n);
                }
            }
            wait_until(&self.0.not_empty, || {
                let ring = self.0.ring.lock();
                ring.len > 0 || !ring.has_writer
            })?;
        }
    }

    fn seekable(&self) -> bool {
        false
    }
}

impl File for WriteEnd {
    fn write(&self, _pos: u64, data: &[u8]) -> Result<(usize, u64), Errno> {
        let mut done = 0;
        while done < data.len() {
            let rest = data.get(done..).unwrap_or_default();
            let wanted = if data.len() <= PIPE_BUF { rest.len() } else { 1 };
            {
                let mut ring = self.0.ring.lock();
                if !ring.has_reader {
                    return if done > 0 { Ok((done, 0)) } else { Err(Errno::EPIPE) };
                }
                if ring.room() >= wanted {
                    done += ring.put(rest);
                    drop(ring);
                    self.0.not_empty.wake_all();
                    continue;
                }
            }
            let waited = wait_until(&self.0.not_full, || {
                let ring = self.0.ring.lock();
                ring.room() >= wanted || !ring.has_reader
            });
            match waited {
                Err(_) if done > 0 => break,
                other => other?,
            }
        }
        Ok((done, 0))
    }

    fn seekable(&self) -> bool {
        false
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        self.0.ring.lock().has_reader = false;
        self.0.not_full.wake_all();
    }
}

impl Drop for WriteEnd {
    fn drop(&mut self) {
        self.0.ring.lock().has_writer = false;
        self.0.not_empty.wake_all();
    }
}
