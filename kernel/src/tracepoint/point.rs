//! The tracepoint: who listens, and where the call goes.
//!
//! ```text
//!   change      list (published, whole)     target                   key
//!   first       [p]                         p's own, or walk         flipped on, last
//!   more        [p, q] by priority          walk
//!   less        [q]                         q's own, or walk
//!   last goes   none                        none                     flipped off, first
//! ```
//!
//! One change at a time, under a lock that leaves interrupts on, because the flip of the key synchronises CPUs. Whoever
//! comes by with the old target in hand still finds something that lives: targets are statics.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use tracecore::errno::Errno;

use super::Event;
use crate::jump_label::StaticKey;
use crate::sync::{Pinned, PreemptLock, Published, per_cpu, quiesce};

/// A function and the data it gets behind the tracepoint's arguments. The types are known to the tracepoint's own
/// module alone, which the macros write.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// A function that takes the tracepoint's arguments and `data`.
    pub(crate) function: *const (),
    /// What it gets last.
    pub(crate) data: *const (),
}

// SAFETY: an address of code, and one of something that may be shared: who makes one promises it (`Target::new`).
unsafe impl Sync for Target {}
// SAFETY: likewise.
unsafe impl Send for Target {}

impl Target {
    /// A target; for the macros.
    ///
    /// # Safety
    /// `function` takes the arguments of the tracepoint that it is used for, and `data`, which may be used from any CPU.
    pub(crate) const unsafe fn new(function: *const (), data: *const ()) -> Self {
        Self { function, data }
    }
}

/// One who listens.
#[derive(Clone)]
pub(crate) struct Probe {
    target: Target,
    priority: i32,
    /// What makes it the same as another: function and data.
    identity: (usize, usize),
    /// A target that lives for ever and needs no pin: called directly when it is the only one.
    direct: Option<&'static Target>,
    /// Keeps the data.
    _owner: Option<Arc<dyn Any + Send + Sync>>,
}

impl Probe {
    /// A probe whose data is owned.
    pub(super) fn owned(
        target: Target,
        identity: (usize, usize),
        owner: Arc<dyn Any + Send + Sync>,
        priority: i32,
    ) -> Self {
        Self { target, priority, identity, direct: None, _owner: Some(owner) }
    }

    /// What to call.
    pub(crate) fn target(&self) -> Target {
        self.target
    }
}

/// A place at which others may listen.
pub(crate) struct Tracepoint {
    system: &'static str,
    name: &'static str,
    key: &'static StaticKey,
    target: AtomicPtr<Target>,
    none: &'static Target,
    walk: &'static Target,
    raw: *const (),
    probes: Published<Vec<Probe>>,
    /// Walks that were not begun, because this CPU was in too many.
    missed: AtomicU64,
    event: Option<&'static Event>,
}

// SAFETY: `raw` is the address of a function; the rest is shareable.
unsafe impl Sync for Tracepoint {}

/// Walks inside of walks on one CPU: a task's, a softirq's, an interrupt's and an exception's, and as many again for probes
/// that do something at which others listen.
pub(crate) const MAX_WALKS: u32 = 8;

per_cpu! {
    /// How many walks this CPU is in. Whoever comes in between leaves it as it was.
    static WALKS: AtomicU32 = AtomicU32::new(0);
}

/// A walk of a list.
pub(crate) struct Walk<'p> {
    depth: &'p AtomicU32,
    before: u32,
}

impl Drop for Walk<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.depth.store(self.before, Ordering::Relaxed);
    }
}

/// One changes the listeners of a tracepoint at a time.
static CHANGING: PreemptLock<()> = PreemptLock::new(());

impl Tracepoint {
    /// A tracepoint nobody listens at; for the macros.
    ///
    /// # Safety
    /// `none`, `walk` and `raw` take its arguments.
    pub(crate) const unsafe fn new(
        (system, name): (&'static str, &'static str),
        key: &'static StaticKey,
        none: &'static Target,
        walk: &'static Target,
        raw: *const (),
        event: Option<&'static Event>,
    ) -> Self {
        let target = AtomicPtr::new(core::ptr::from_ref(none).cast_mut());
        let missed = AtomicU64::new(0);
        Self { system, name, key, target, none, walk, raw, probes: Published::empty(), missed, event }
    }

    /// The folder of its event.
    pub(crate) fn system(&self) -> &'static str {
        self.system
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Its event, unless it is a bare tracepoint.
    pub(crate) fn event(&self) -> Option<&'static Event> {
        self.event
    }

    /// How often nobody was told, because this CPU told others already, and those passed it again.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Begins to walk the list; not if this CPU is in [`MAX_WALKS`] walks: then a probe passes a tracepoint that it listens
    /// at, and would for ever.
    #[inline(always)]
    pub(crate) fn enter<'p>(&self, pin: &'p impl Pinned) -> Option<Walk<'p>> {
        let depth = WALKS.this_cpu(pin);
        let before = depth.load(Ordering::Relaxed);
        if before >= MAX_WALKS {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        depth.store(before + 1, Ordering::Relaxed);
        Some(Walk { depth, before })
    }

    /// What its words are handed to.
    pub(crate) fn raw(&self) -> *const () {
        self.raw
    }

    /// Where a call goes.
    #[inline(always)]
    pub(crate) fn target(&self) -> Target {
        // Relaxed: what it points to was there before the kernel began.
        let target = self.target.load(Ordering::Relaxed);
        // SAFETY: only references to statics are stored.
        unsafe { *target }
    }

    /// Those who listen, the most urgent first.
    #[inline(always)]
    pub(crate) fn probes<'p>(&'static self, pin: &'p impl Pinned) -> &'p [Probe] {
        self.probes.read(pin).map_or(&[], Vec::as_slice)
    }

    /// Lets its event be recorded, directly while nobody else listens: without a pin, and perhaps once more by a task
    /// that was preempted on its way, after the registration was dropped.
    ///
    /// # Errors
    /// As [`Tracepoint::add`]; ENOENT when it has no event.
    pub(crate) fn record(&'static self) -> Result<Registration, Errno> {
        let target = self.event.ok_or(Errno::ENOENT)?.recorder();
        // SAFETY: the macros make an event's recorder for its tracepoint.
        unsafe { self.attach(target, 0) }
    }

    /// Calls `target` directly while it is the only one.
    ///
    /// # Errors
    /// As [`Tracepoint::add`].
    ///
    /// # Safety
    /// Its function takes this tracepoint's arguments and its data.
    pub(crate) unsafe fn attach(
        &'static self,
        target: &'static Target,
        priority: i32,
    ) -> Result<Registration, Errno> {
        let identity = (target.function.addr(), target.data.addr());
        self.add(Probe { target: *target, priority, identity, direct: Some(target), _owner: None })
    }

    /// Adds a probe behind all that are as urgent as it.
    ///
    /// # Errors
    /// EEXIST when the same function listens with the same data, ENOMEM, and those of the key's flip. Nothing has changed
    /// then.
    pub(super) fn add(&'static self, probe: Probe) -> Result<Registration, Errno> {
        let changing = CHANGING.lock();
        let present = self.probes(&changing);
        let identity = probe.identity;
        if present.iter().any(|other| other.identity == identity) {
            return Err(Errno::EEXIST);
        }
        let mut list = Vec::new();
        list.try_reserve_exact(present.len() + 1).map_err(|_| Errno::ENOMEM)?;
        let before = present.iter().take_while(|other| other.priority >= probe.priority).count();
        let (first, last) = present.split_at(before);
        list.extend_from_slice(first);
        list.push(probe);
        list.extend_from_slice(last);
        let is_first = present.is_empty();
        self.publish(list);
        if is_first && let Err(e) = self.key.inc() {
            self.publish(Vec::new());
            return Err(e.errno());
        }
        Ok(Registration { point: self, identity })
    }

    /// Takes a probe out and waits until nobody calls it any more. Sleeps.
    fn remove(&'static self, identity: (usize, usize)) {
        {
            let changing = CHANGING.lock();
            let list: Vec<Probe> =
                self.probes(&changing).iter().filter(|probe| probe.identity != identity).cloned().collect();
            if list.is_empty()
                && let Err(e) = self.key.dec()
            {
                // The site stays patched, and the call finds nobody: slower, not wrong.
                log::error!("tracepoint {}: {e}", self.name);
            }
            self.publish(list);
        }
        quiesce::synchronize();
    }

    fn publish(&'static self, list: Vec<Probe>) {
        let target = match list.as_slice() {
            [] => self.none,
            [Probe { direct: Some(target), .. }] => target,
            _ => self.walk,
        };
        self.probes.publish((!list.is_empty()).then(|| Box::new(list)));
        // Release: who finds the walk finds the list.
        self.target.store(core::ptr::from_ref(target).cast_mut(), Ordering::Release);
    }
}

impl fmt::Debug for Tracepoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.system, self.name)
    }
}

/// A probe listens as long as this lives. Dropping it waits until the probe is not called any more.
#[must_use = "a probe listens as long as its registration lives"]
#[derive(Debug)]
pub(crate) struct Registration {
    point: &'static Tracepoint,
    identity: (usize, usize),
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.point.remove(self.identity);
    }
}

/// Every tracepoint of the image.
pub(crate) fn all() -> impl Iterator<Item = &'static Tracepoint> {
    unsafe extern "C" {
        static __tracepoints_start: usize;
        static __tracepoints_end: usize;
    }
    let (start, end) = (&raw const __tracepoints_start, &raw const __tracepoints_end);
    let (start, end) = (start.cast::<&Tracepoint>(), end.cast::<&Tracepoint>());
    // SAFETY: the linker script gathers the references between the two symbols.
    let all =
        unsafe { core::slice::from_raw_parts(start, (end.addr() - start.addr()) / size_of::<&Tracepoint>()) };
    all.iter().copied()
}

/// The tracepoint of this name.
pub(crate) fn find(name: &str) -> Option<&'static Tracepoint> {
    all().find(|point| point.name == name)
}

/// Registers an owned probe; for the macros.
///
/// # Safety
/// `function` takes the tracepoint's arguments and a pointer to `T`.
pub(crate) unsafe fn own<T: Send + Sync + 'static>(
    point: &'static Tracepoint,
    function: *const (),
    data: Arc<T>,
    priority: i32,
) -> Result<Registration, Errno> {
    let pointer: *const () = Arc::as_ptr(&data).cast();
    let target = Target { function, data: pointer };
    // The address of an instance of a generic function may be shared or doubled: the type says which it is. For a
    // value without size, whose address says nothing either, a second one is the same probe.
    let mut identity = (function.addr(), pointer.addr());
    if size_of::<T>() == 0 {
        identity.1 = 0;
    }
    point.add(Probe::owned(target, identity, data, priority))
}
