//! Address → point, for the breakpoint handler: a hash table whose readers take no lock and write nothing.
//!
//! A bucket is a list linked through the points. A writer (one at a time) links a point in by one store, and unlinks it
//! by one store; a reader that stands on an unlinked point still finds its way, since the point keeps its link and lives
//! until every CPU has passed a quiet point.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::point::Point;
use crate::sync::PreemptLockGuard;

const BITS: u32 = 13;
static BUCKETS: [AtomicPtr<Point>; 1 << BITS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; 1 << BITS];

/// The word's number within 32 KiB: words side by side go to different buckets, and it is one instruction.
#[inline(always)]
fn bucket(addr: u64) -> &'static AtomicPtr<Point> {
    let hash = addr >> 2 & ((1 << BITS) - 1);
    // SAFETY: BITS bits of hash index a table of 1 << BITS buckets. (A checked index is a branch to a panic in the
    // hottest path there is.)
    unsafe { BUCKETS.get_unchecked(hash as usize) }
}

/// The point at `addr`. Good until this CPU's next quiet point.
#[inline(always)]
pub(super) fn lookup<'a>(addr: u64) -> Option<&'a Point> {
    // Relaxed: what is read of a point is read through the pointer, and a load through a loaded address is not done before
    // it (Arm ARM B2.3, address dependency). `link` has stored the point before the pointer.
    let mut at = bucket(addr).load(Ordering::Relaxed);
    loop {
        // SAFETY: points are freed only after every CPU has passed a quiet point since they were unlinked.
        let point = unsafe { at.as_ref() }?;
        if point.addr() == addr {
            return Some(point);
        }
        at = point.next().load(Ordering::Relaxed);
    }
}

/// Proof that the registration lock is held.
type Lock<'a> = PreemptLockGuard<'a, ()>;

/// The point at `addr`, to be kept.
pub(super) fn find(_lock: &Lock<'_>, addr: u64) -> Option<Arc<Point>> {
    let point = core::ptr::from_ref(lookup(addr)?);
    // SAFETY: linked points came from `Arc::into_raw` and hold one count, which `unlink` alone takes, under the lock.
    unsafe {
        Arc::increment_strong_count(point);
        Some(Arc::from_raw(point))
    }
}

/// Publishes a point, which is in no list.
pub(super) fn link(_lock: &Lock<'_>, point: Arc<Point>) {
    let head = bucket(point.addr());
    point.next().store(head.load(Ordering::Relaxed), Ordering::Relaxed);
    head.store(Arc::into_raw(point).cast_mut(), Ordering::Release);
}

/// Takes a linked point out and gives the table's share of it back. Readers may stand on it until the next quiet
/// point, so that is how long the share must be kept.
#[must_use]
pub(super) fn unlink(_lock: &Lock<'_>, point: &Arc<Point>) -> Option<Arc<Point>> {
    let mut place = bucket(point.addr());
    loop {
        let at = place.load(Ordering::Relaxed);
        // SAFETY: linked points are alive.
        let linked = unsafe { at.as_ref() }?;
        if core::ptr::eq(linked, &raw const **point) {
            place.store(point.next().load(Ordering::Relaxed), Ordering::Release);
            // SAFETY: `link` made it by `into_raw`, and it is taken out once.
            return Some(unsafe { Arc::from_raw(at) });
        }
        place = linked.next();
    }
}

/// Visits every point.
pub(super) fn for_each(_lock: &Lock<'_>, mut visit: impl FnMut(&Point)) {
    for head in &BUCKETS {
        let mut at = head.load(Ordering::Relaxed);
        // SAFETY: linked points are alive, and none is unlinked under the lock.
        while let Some(point) = unsafe { at.as_ref() } {
            visit(point);
            at = point.next().load(Ordering::Relaxed);
        }
    }
}
