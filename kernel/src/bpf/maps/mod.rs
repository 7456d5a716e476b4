//! The maps of this kernel: ids, names, memory, and who holds them.
//!
//! ```text
//!   Arc<Entry> ◀── a program that uses it, a pin in /sys/fs/bpf, a map of maps, a command
//!      │ the last one lets go
//!      ▼
//!   id and name are free      a quiet point: no program on any CPU is using it      memory is free
//! ```
//!
//! What a program knows a map by is the address of its [`Map`], which stays for as long as somebody holds the entry. All
//! maps together may take a part of the memory, [`SHARE`]; what does not fit is refused with ENOMEM, before anything is
//! allocated.
//!
//! A map whose values are objects (programs, other maps, buffers) holds handles, which are addresses. The entry holds what
//! they stand for, and keeps it for a quiet point after it was taken out.

mod perf;
pub(crate) mod tests;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ::bpf::map::{Map, MapDef, MapError, MapKind, flag};
use tracecore::errno::Errno;

pub(in crate::bpf) use perf::{Event, Events, MAX_DATA};

use super::helpers::timer::{self, Slots};
use crate::arch::cpu;
use crate::mm;
use crate::sync::{IrqGuard, quiesce};
use crate::task::Mutex;
use crate::time::now_ns;

/// Maps may take this part of the memory.
pub(crate) const SHARE: u64 = 4;

/// Bytes that all maps take.
static CHARGED: AtomicU64 = AtomicU64::new(0);

/// All maps, by id.
static REGISTRY: Mutex<Registry> = Mutex::new(Registry { last: 0, by_id: BTreeMap::new() });

struct Registry {
    last: u32,
    by_id: BTreeMap<u32, Weak<Entry>>,
}

/// What a map holds: kept for as long as its handle can be found in it, and a quiet point longer.
pub(crate) type Held = Arc<dyn Any + Send + Sync>;

/// A map of this kernel.
pub(crate) struct Entry {
    id: u32,
    memory: Arc<Memory>,
    frozen: AtomicBool,
    held: Mutex<BTreeMap<Vec<u8>, (u64, Held)>>,
}

/// The map itself, which outlives its entry by a quiet point. It comes first: its address is this one's.
#[repr(C)]
struct Memory {
    map: Map,
    timers: Option<Box<Slots>>,
    _charge: Charge,
}

/// The timers of the map at an address.
///
/// # Safety
/// It is the address of a map of this kernel ([`Entry::address`]) that somebody holds.
pub(in crate::bpf) unsafe fn timers_at<'a>(map: u64) -> Option<&'a Slots> {
    // SAFETY: the caller's promise; every such map is the first field of its memory.
    unsafe { (*(map as *const Memory)).timers.as_deref() }
}

/// Bytes that count as taken.
struct Charge(u64);

impl Charge {
    fn new(bytes: u64) -> Result<Self, Errno> {
        let limit = mm::stats().total_bytes as u64 / SHARE;
        let add = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= limit);
        CHARGED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map_err(|_| Errno::ENOMEM)?;
        Ok(Self(bytes))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        CHARGED.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// The number of an error of a map.
pub(crate) fn errno(error: MapError) -> Errno {
    Errno::from_code(error.errno()).unwrap_or(Errno::EINVAL)
}

/// Does something to maps on this CPU, with interrupts masked: programs in interrupts use them too.
#[inline(always)]
pub(crate) fn here<R>(operation: impl FnOnce(usize) -> R) -> R {
    let _masked = IrqGuard::new();
    operation(cpu::id())
}

/// Makes a map.
///
/// # Errors
/// EINVAL for a definition that makes no sense; E2BIG; ENOMEM.
pub(crate) fn create(def: MapDef) -> Result<Arc<Entry>, Errno> {
    def.check().map_err(errno)?;
    let cpus = cpu::online();
    let timers = def.special.timer.map_or(0, |_| u64::from(def.max_entries) * timer::SLOT_BYTES);
    let charge = Charge::new(def.memory(cpus) + timers)?;
    let seed = (now_ns() ^ CHARGED.as_ptr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let map = Map::seeded(def, cpus, seed).map_err(errno)?;
    let timers = timer::slots(&map)?;
    let memory = mm::try_arc(Memory { map, timers, _charge: charge })?;
    let mut registry = REGISTRY.lock();
    let id = registry.last.checked_add(1).ok_or(Errno::ENOSPC)?;
    let entry =
        mm::try_arc(Entry { id, memory, frozen: AtomicBool::new(false), held: Mutex::new(BTreeMap::new()) })?;
    registry.last = id;
    registry.by_id.insert(id, Arc::downgrade(&entry));
    Ok(entry)
}

/// All maps, by id.
pub(crate) fn all() -> Vec<Arc<Entry>> {
    REGISTRY.lock().by_id.values().filter_map(Weak::upgrade).collect()
}

/// The map with this id.
pub(crate) fn by_id(id: u32) -> Option<Arc<Entry>> {
    REGISTRY.lock().by_id.get(&id).and_then(Weak::upgrade)
}

/// Bytes that all maps take, those that wait for a quiet point included.
pub(crate) fn charged() -> u64 {
    CHARGED.load(Ordering::Relaxed)
}

impl Deref for Entry {
    type Target = Map;

    fn deref(&self) -> &Map {
        &self.memory.map
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        REGISTRY.lock().by_id.remove(&self.id);
        let (memory, held) = (self.memory.clone(), core::mem::take(&mut *self.held.lock()));
        quiesce::defer(Box::new(move || drop((memory, held))));
    }
}

impl Entry {
    /// Its number, from 1.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// What programs know it by: the address of its [`Map`].
    pub(crate) fn address(&self) -> u64 {
        core::ptr::from_ref::<Map>(self).addr() as u64
    }

    /// Nobody but programs changes it from now on.
    pub(crate) fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
    }

    /// Is it frozen?
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    /// May it be changed by others than programs?
    fn writable(&self) -> Result<(), Errno> {
        if self.is_frozen() || self.def().flags & flag::RDONLY != 0 { Err(Errno::EPERM) } else { Ok(()) }
    }

    fn readable(&self) -> Result<(), Errno> {
        if self.def().flags & flag::WRONLY != 0 { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// Reads a value: [`Map::outer_value_size`] bytes.
    pub(crate) fn read_value(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.readable()?;
        here(|cpu| self.read(cpu, key, out)).map_err(errno)
    }

    /// Writes a value.
    pub(crate) fn write_value(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.writable()?;
        here(|cpu| self.write(cpu, key, value, flags)).map_err(errno)
    }

    /// Deletes a key.
    pub(crate) fn delete_key(&self, key: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        if self.def().kind.holds_objects() {
            return self.take_object(key);
        }
        here(|cpu| {
            if let Some(slots) = &self.memory.timers
                && let Some(value) = self.lookup(cpu, key)
            {
                timer::forget(self, slots, value);
            }
            self.delete(cpu, key)
        })
        .map_err(errno)?;
        Ok(())
    }

    /// The key after another one, or the first.
    pub(crate) fn key_after(&self, key: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        self.readable()?;
        here(|cpu| self.next_key(cpu, key, out)).map_err(errno)
    }

    /// Adds a value to a queue, a stack or a bloom filter.
    pub(crate) fn push_value(&self, value: &[u8], flags: u64) -> Result<(), Errno> {
        self.writable()?;
        here(|cpu| self.push(cpu, value, flags)).map_err(errno)
    }

    /// Reads the next value of a queue or stack, and takes it out if `remove`.
    pub(crate) fn next_value(&self, out: &mut [u8], remove: bool) -> Result<(), Errno> {
        if remove {
            self.writable()?;
        }
        self.readable()?;
        here(|cpu| if remove { self.pop(cpu, out) } else { self.peek(cpu, out) }).map_err(errno)
    }

    /// Puts an object in for this key. Programs find `handle`; `object` is kept for as long as they can.
    ///
    /// # Errors
    /// Those of an update.
    pub(crate) fn put_object(&self, key: &[u8], handle: u64, object: Held, flags: u64) -> Result<(), Errno> {
        self.writable()?;
        let mut held = self.held.lock();
        here(|cpu| self.set_object(cpu, key, handle, flags)).map_err(errno)?;
        let old = held.insert(key.to_vec(), (handle, object));
        drop(held);
        retire(old);
        Ok(())
    }

    /// Takes an object out.
    ///
    /// # Errors
    /// ENOENT when there is none.
    pub(crate) fn take_object(&self, key: &[u8]) -> Result<(), Errno> {
        let mut held = self.held.lock();
        here(|cpu| self.clear_object(cpu, key)).map_err(errno)?;
        let old = held.remove(key);
        drop(held);
        retire(old);
        Ok(())
    }

    /// The object for this key.
    pub(crate) fn object_at(&self, key: &[u8]) -> Option<Held> {
        self.held.lock().get(key).map(|(_, object)| object.clone())
    }

    /// Puts a map into a map of maps.
    ///
    /// # Errors
    /// EINVAL when it is not like the one that was shown when the outer one was made.
    pub(crate) fn put_map(&self, key: &[u8], inner: &Arc<Self>, flags: u64) -> Result<(), Errno> {
        let Some(wanted) = &self.def().inner else { return Err(Errno::EINVAL) };
        let def = inner.def();
        let any_size = def.kind != MapKind::Array || wanted.flags & flag::INNER_MAP != 0;
        let alike = def.kind == wanted.kind
            && def.key_size == wanted.key_size
            && def.value_size == wanted.value_size
            && def.flags == wanted.flags
            && (any_size || def.max_entries == wanted.max_entries);
        if !alike {
            return Err(Errno::EINVAL);
        }
        self.put_object(key, inner.address(), inner.clone(), flags)
    }
}

/// The last name of an object was taken away. A program array lets its programs go then, as on Linux: they may use it
/// themselves, and hold it.
pub(crate) fn lost_its_names(object: &Held) {
    if let Some(entry) = object.downcast_ref::<Entry>()
        && entry.def().kind == MapKind::ProgArray
    {
        let keys: Vec<Vec<u8>> = entry.held.lock().keys().cloned().collect();
        for key in &keys {
            // Somebody else may have been faster.
            let _ = entry.take_object(key);
        }
    }
}

/// Lets an object go when no program can be using it any more.
fn retire(object: Option<(u64, Held)>) {
    if let Some(object) = object {
        quiesce::defer(Box::new(move || drop(object)));
    }
}
