//! Why an operation on a map failed: an error number of Linux's for each.

use core::fmt;

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// EINVAL: an argument, a flag or a size that means nothing for this map.
    Invalid,
    /// ENOENT: no such key; nothing in the queue.
    NoEntry,
    /// EEXIST: the key is there, and was not to be.
    Exists,
    /// E2BIG: the map is full, the index is behind its end, or it would be too large.
    TooBig,
    /// ENOMEM: no memory for it, or nothing that could be evicted.
    NoMemory,
    /// EBUSY: the lock is held below us on this CPU, or by others for too long.
    Busy,
    /// ENOSPC: no room in the buffer.
    NoSpace,
    /// EOPNOTSUPP: this kind of map cannot do that.
    Unsupported,
}

impl MapError {
    /// Its number, positive.
    pub const fn errno(self) -> i32 {
        match self {
            Self::NoEntry => 2,
            Self::TooBig => 7,
            Self::NoMemory => 12,
            Self::Busy => 16,
            Self::Exists => 17,
            Self::Invalid => 22,
            Self::NoSpace => 28,
            Self::Unsupported => 95,
        }
    }

    /// What a helper returns for it: the number, negated.
    pub const fn as_result(self) -> u64 {
        (-(self.errno() as i64)) as u64
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "Invalid argument",
            Self::NoEntry => "No such file or directory",
            Self::Exists => "File exists",
            Self::TooBig => "Argument list too long",
            Self::NoMemory => "Cannot allocate memory",
            Self::Busy => "Device or resource busy",
            Self::NoSpace => "No space left on device",
            Self::Unsupported => "Operation not supported",
        })
    }
}

impl core::error::Error for MapError {}
