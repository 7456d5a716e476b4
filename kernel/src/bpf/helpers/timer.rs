//! Timers: a function of a program that runs later, in the TIMER softirq.
//!
//! ```text
//!   value: │ … │ bpf_timer: slot │ … │           slots of the map: one for each element, made with it
//!                      └──────────────▶ Slot { callback, program, deadline } ── armed by the next interrupt ──▶ time::Timer
//! ```
//!
//! | helper | does |
//! |---|---|
//! | timer_init | takes a free slot |
//! | timer_set_callback | notes the function and its program |
//! | timer_start | notes the deadline, and has the next interrupt arm the kernel's timer |
//! | timer_cancel | takes the note back: the kernel's timer may come, and finds nothing to do |
//!
//! A program may run where the lock of the timer queue is held, so no helper takes it: the interrupt that it sends to its own CPU
//! does. A slot does not keep its program. When that is gone its timers are silent; when a map is gone, or an element is deleted,
//! so are theirs.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use ::bpf::map::Map;
use tracecore::errno::Errno;

use super::{callback_at, error, helpers, map_at, pinned};
use crate::bpf::maps;
use crate::bpf::prog::Prog;
use crate::bpf::run::{self, Running, Way};
use crate::mm;
use crate::sync::{IrqWork, Once, PreemptGuard, SpinLock};
use crate::time::{Timer, now_ns};

/// The most elements that a map with timers has.
pub(crate) const SLOTS_MAX: u32 = 1 << 14;
/// Bytes of a slot and its timer, at least.
pub(crate) const SLOT_BYTES: u64 = (size_of::<Slot>() + size_of::<Timer>()) as u64;
/// The deadline is a time, not a distance.
const ABSOLUTE: u64 = 1;
/// Stay on this CPU, which timers here do anyway.
const PINNED: u64 = 2;
/// Clocks that a timer may be told of; they are one here.
const CLOCKS: [u64; 3] = [0, 1, 7];

/// The timers of a map.
pub(crate) struct Slots(Vec<(Arc<Slot>, Arc<Timer>)>);

/// A timer.
struct Slot {
    used: AtomicBool,
    armed: AtomicBool,
    running: AtomicBool,
    /// It is in the list of those to be armed.
    listed: AtomicBool,
    next: AtomicPtr<Slot>,
    deadline: AtomicU64,
    callback: AtomicU64,
    map: AtomicU64,
    value: AtomicU64,
    prog: SpinLock<Weak<Prog>>,
    /// A program that was replaced: let go where memory may be freed.
    old: SpinLock<Option<Weak<Prog>>>,
    timer: Once<Weak<Timer>>,
}

/// Those to be armed.
static LIST: AtomicPtr<Slot> = AtomicPtr::new(null_mut());
static ARM: IrqWork = IrqWork::new(arm_listed);

impl Slots {
    /// So many.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn new(count: u32) -> Result<Self, Errno> {
        if count > SLOTS_MAX {
            return Err(Errno::ENOMEM);
        }
        let mut slots = Vec::new();
        slots.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
        for _ in 0..count {
            let slot = mm::try_arc(Slot::new())?;
            let of_timer = slot.clone();
            let timer = Timer::new(move || of_timer.due());
            // It is empty.
            let _ = slot.timer.set(Arc::downgrade(&timer));
            slots.push((slot, timer));
        }
        Ok(Self(slots))
    }

    fn take(&self) -> Option<&Arc<Slot>> {
        let free = |slot: &&(Arc<Slot>, Arc<Timer>)| !slot.0.used.swap(true, Ordering::AcqRel);
        self.0.iter().find(free).map(|(slot, _)| slot)
    }

    fn has(&self, addr: u64) -> Option<&Slot> {
        self.0.iter().map(|(slot, _)| &**slot).find(|slot| core::ptr::from_ref(*slot).addr() as u64 == addr)
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        for (slot, timer) in &self.0 {
            slot.armed.store(false, Ordering::SeqCst);
            timer.cancel_sync();
        }
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            used: AtomicBool::new(false),
            armed: AtomicBool::new(false),
            running: AtomicBool::new(false),
            listed: AtomicBool::new(false),
            next: AtomicPtr::new(null_mut()),
            deadline: AtomicU64::new(0),
            callback: AtomicU64::new(0),
            map: AtomicU64::new(0),
            value: AtomicU64::new(0),
            prog: SpinLock::new(Weak::new()),
            old: SpinLock::new(None),
            timer: Once::new(),
        }
    }

    /// The kernel's timer has come.
    fn due(&self) {
        drop(self.old.lock().take());
        if now_ns() < self.deadline.load(Ordering::Acquire) || !self.armed.swap(false, Ordering::AcqRel) {
            return;
        }
        let Some(prog) = self.prog.lock().upgrade() else { return };
        let (map, value) = (self.map.load(Ordering::Relaxed), self.value.load(Ordering::Relaxed));
        // SAFETY: the slot is one of this map's, which waits for this timer before it goes.
        let of_map = unsafe { map_at(map) };
        let Some((key, index)) = of_map.key_of(value) else { return };
        let key = key.unwrap_or(core::ptr::from_ref(&index).addr() as u64);
        // SAFETY: the verifier has seen to it, and the program is there.
        let callback = unsafe { callback_at(self.callback.load(Ordering::Relaxed)) };
        let here = PreemptGuard::new();
        let running = Running { prog: &prog, way: Way::Memory, ctx: value, cookie: 0, ip: 0 };
        self.running.store(true, Ordering::Relaxed);
        running.on_top(&here, || callback(map, key, value, 0, 0));
        self.running.store(false, Ordering::Relaxed);
    }

    /// Has the next interrupt arm the kernel's timer.
    fn list(&self) {
        if !self.listed.swap(true, Ordering::AcqRel) {
            let me = core::ptr::from_ref(self).cast_mut();
            let mut first = LIST.load(Ordering::Relaxed);
            loop {
                self.next.store(first, Ordering::Relaxed);
                match LIST.compare_exchange_weak(first, me, Ordering::Release, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(now) => first = now,
                }
            }
        }
        ARM.queue(&pinned());
    }
}

/// In the interrupt: arms what is listed.
fn arm_listed() {
    let mut next = LIST.swap(null_mut(), Ordering::Acquire);
    // SAFETY: a slot is its map's, and who listed it held that: it goes after a quiet point, this interrupt comes before.
    while let Some(slot) = unsafe { next.as_ref() } {
        next = slot.next.load(Ordering::Relaxed);
        // From here on it may be listed again.
        slot.listed.store(false, Ordering::Release);
        if let Some(timer) = slot.timer.get().and_then(Weak::upgrade) {
            timer.arm(slot.deadline.load(Ordering::Acquire));
        }
    }
}

helpers! {
    /// Makes a timer of the value's field.
    fn timer_init(timer, map, clock) {
        if !CLOCKS.contains(&clock) {
            return error(Errno::EINVAL);
        }
        // SAFETY: r2 is a map of this kernel's.
        let (of_map, slots) = unsafe { (map_at(map), maps::timers_at(map)) };
        let (Some(slots), Some(offset)) = (slots, of_map.def().special.timer) else {
            return error(Errno::EINVAL);
        };
        let Some(cell) = cell(of_map, timer) else { return error(Errno::EINVAL) };
        if cell.load(Ordering::Acquire) != 0 {
            return error(Errno::EBUSY);
        }
        let Some(slot) = slots.take() else { return error(Errno::ENOMEM) };
        slot.callback.store(0, Ordering::Relaxed);
        slot.map.store(map, Ordering::Relaxed);
        slot.value.store(timer - u64::from(offset), Ordering::Relaxed);
        let handle = Arc::as_ptr(slot).addr() as u64;
        if cell.compare_exchange(0, handle, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            slot.used.store(false, Ordering::Release);
            return error(Errno::EBUSY);
        }
        0
    }

    /// Says what it calls.
    fn timer_set_callback(timer, callback) {
        // SAFETY: r1 is the timer of a value.
        let Some(slot) = (unsafe { slot_at(timer) }) else { return error(Errno::EINVAL) };
        let Some(prog) = run::with(&pinned(), |running| {
            let prog = core::ptr::from_ref(running.prog);
            // SAFETY: every program is in an `Arc`, and whoever runs it holds it.
            unsafe {
                Arc::increment_strong_count(prog);
                Arc::from_raw(prog)
            }
        }) else {
            return error(Errno::EPERM);
        };
        let (Some(mut now), Some(mut old)) = (slot.prog.try_lock(), slot.old.try_lock()) else {
            return error(Errno::EBUSY);
        };
        if !core::ptr::eq(now.as_ptr(), Arc::as_ptr(&prog)) {
            if old.is_some() {
                return error(Errno::EBUSY);
            }
            let before = core::mem::replace(&mut *now, Arc::downgrade(&prog));
            *old = Some(before);
        }
        slot.callback.store(callback, Ordering::Release);
        0
    }

    /// Has it come after so many nanoseconds, or at a time.
    fn timer_start(timer, ns, flags) {
        if flags & !(ABSOLUTE | PINNED) != 0 {
            return error(Errno::EINVAL);
        }
        // SAFETY: r1 is the timer of a value.
        let Some(slot) = (unsafe { slot_at(timer) }) else { return error(Errno::EINVAL) };
        if slot.callback.load(Ordering::Acquire) == 0 {
            return error(Errno::EINVAL);
        }
        let deadline = if flags & ABSOLUTE != 0 { ns } else { now_ns().saturating_add(ns) };
        slot.deadline.store(deadline, Ordering::Release);
        slot.armed.store(true, Ordering::Release);
        slot.list();
        0
    }

    /// Has it not come: 1 if it would have.
    fn timer_cancel(timer) {
        // SAFETY: r1 is the timer of a value.
        let Some(slot) = (unsafe { slot_at(timer) }) else { return error(Errno::EINVAL) };
        if slot.running.load(Ordering::Relaxed) {
            return error(Errno::EDEADLK);
        }
        u64::from(slot.armed.swap(false, Ordering::AcqRel))
    }
}

/// The field's word, which holds the address of the slot, or 0.
fn cell(map: &Map, timer: u64) -> Option<&AtomicU64> {
    map.cells_at(timer, 8).filter(|(_, shift)| *shift == 0)?.0.first()
}

/// The slot of a timer.
///
/// # Safety
/// `timer` is the address of the timer of a value.
unsafe fn slot_at<'a>(timer: u64) -> Option<&'a Slot> {
    // SAFETY: it is a word of a map's memory, which nobody but this file writes.
    unsafe {
        let handle = (*(timer as *const AtomicU64)).load(Ordering::Acquire);
        (handle as *const Slot).as_ref()
    }
}

/// An element of a map with timers is to be deleted: its timer is nobody's from now on.
pub(crate) fn forget(map: &Map, slots: &Slots, value: u64) {
    let Some(offset) = map.def().special.timer else { return };
    let Some(cell) = cell(map, value + u64::from(offset)) else { return };
    if let Some(slot) = slots.has(cell.swap(0, Ordering::AcqRel)) {
        slot.armed.store(false, Ordering::SeqCst);
        slot.used.store(false, Ordering::Release);
    }
}

/// The slots of a map with timers, made with it.
///
/// # Errors
/// ENOMEM.
pub(crate) fn slots(map: &Map) -> Result<Option<Box<Slots>>, Errno> {
    match map.def().special.timer {
        Some(_) => Ok(Some(mm::try_box(Slots::new(map.def().max_entries)?)?)),
        None => Ok(None),
    }
}
