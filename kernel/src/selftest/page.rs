//! Memory for a test to write text into, without a heap.

use core::fmt;

/// Text of bounded length; what goes beyond is an error of the output, as a closed pipe is.
pub(crate) struct Page {
    bytes: [u8; Self::BYTES],
    used: usize,
    limit: usize,
}

impl Page {
    const BYTES: usize = 2048;

    /// An empty page.
    pub(crate) const fn new() -> Self {
        Self::with_limit(Self::BYTES)
    }

    /// An empty page that takes `limit` bytes, if that is less than a page has.
    pub(crate) const fn with_limit(limit: usize) -> Self {
        Self { bytes: [0; Self::BYTES], used: 0, limit }
    }

    /// What was written.
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(self.bytes.get(..self.used).unwrap_or_default()).unwrap_or("not UTF-8")
    }
}

impl fmt::Write for Page {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let end = self.used + s.len();
        if end > self.limit {
            return Err(fmt::Error);
        }
        self.bytes.get_mut(self.used..end).ok_or(fmt::Error)?.copy_from_slice(s.as_bytes());
        self.used = end;
        Ok(())
    }
}
