//! The free elements of a map: a stack of their numbers, without a lock.
//!
//! ```text
//!   top: │ turns:32 │ n+1 │ ──▶ links[n]: │ hash:32 │ FREE | m+1 │ ──▶ links[m] … 0
//! ```
//!
//! An element has one link, for the list it is in: of a bucket, or this one. [`FREE`] tells them apart, so that a reader whose
//! element was taken from under it does not wander through here. `turns` changes with each change, lest a slow one take the
//! stack for what it was (Treiber 1986; the tag is IBM's).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use super::error::MapError;

/// In a link: the element is free, the rest of the link is of the free ones.
pub(crate) const FREE: u32 = 1 << 31;
const TURN: u64 = 1 << 32;

/// The links of all elements, and the free ones among them.
pub(crate) struct Pool {
    links: Box<[AtomicU64]>,
    top: AtomicU64,
}

impl Pool {
    /// `count` free elements; the first to be taken is 0.
    pub(crate) fn new(count: usize) -> Result<Self, MapError> {
        if count >= FREE as usize {
            return Err(MapError::TooBig);
        }
        let mut links = Vec::new();
        links.try_reserve_exact(count).map_err(|_| MapError::NoMemory)?;
        for n in 0..count {
            let next = if n + 1 < count { n as u32 + 2 } else { 0 };
            links.push(AtomicU64::new(u64::from(next | FREE)));
        }
        Ok(Self { links: links.into_boxed_slice(), top: AtomicU64::new((count > 0).into()) })
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    #[inline(always)]
    pub(crate) fn link(&self, n: usize) -> Option<&AtomicU64> {
        self.links.get(n)
    }

    /// Takes an element out. Its link is 0 then: in no list.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<usize> {
        let mut top = self.top.load(Ordering::Acquire);
        loop {
            let n = (top as u32).checked_sub(1)? as usize;
            let link = self.links.get(n)?;
            let next = u64::from(link.load(Ordering::Relaxed) as u32 & !FREE);
            let new = (top & !(TURN - 1)).wrapping_add(TURN) | next;
            match self.top.compare_exchange_weak(top, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => {
                    // Release: who reads it sees that the bucket it came from has changed.
                    link.store(0, Ordering::Release);
                    return Some(n);
                }
                Err(now) => top = now,
            }
        }
    }

    /// Gives an element back that is in no list.
    #[inline(always)]
    pub(crate) fn give(&self, n: usize) {
        let Some(link) = self.links.get(n) else { return };
        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            link.store(u64::from(top as u32 | FREE), Ordering::Relaxed);
            let new = (top & !(TURN - 1)).wrapping_add(TURN) | (n as u64 + 1);
            match self.top.compare_exchange_weak(top, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }
}
