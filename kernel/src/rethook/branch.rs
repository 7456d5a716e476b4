//! The cheap way in: the patched branch at a function's entry.
//!
//! ```text
//!   foo:   mov x9, x30
//!          bl ftrace_caller ─▶ saves FtraceRegs<Entry> ─▶ the gate's ops ─▶ Gate ─▶ its hooks: Hook::catch
//!          …                                                                        x30 = return_trampoline
//! ```
//!
//! A breakpoint saves 34 registers, twice 17 pairs, and takes an exception there and back. A listener at a return wants
//! none of that at the entry: the return address, SP, and perhaps the arguments are what a branch has saved as well. So a
//! return probe uses the function's site where it has one.
//!
//! A function has one gate, with one ops that names it; an ops lives for ever, so a gate does. Its list of armed hooks is
//! replaced whole. While the list is empty the site is a NOP.
//!
//! Lock order: the gates before ftrace's registry.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use tracecore::errno::Errno;

use super::entry::EntryRegs;
use super::hook::Hook;
use super::shadow::Function;
use super::trampoline;
use crate::arch::daif;
use crate::ftrace::regs::Entry;
use crate::ftrace::{self, FtraceRegs, Hit, Ops, Registered, Site, SiteSet};
use crate::kprobes;
use crate::sync::{CpuPin, Published};
use crate::task::Mutex;

/// A function's entry, for hooks on its returns.
struct Gate {
    ops: Ops,
    function: Function,
    site: Site,
    /// The hook, if there is one alone.
    only: AtomicPtr<Hook>,
    /// All armed hooks, in the order in which they were armed.
    hooks: Published<Vec<Arc<Hook>>>,
}

/// A gate as its owner sees it.
struct Held {
    gate: &'static Gate,
    /// All of them, armed or not.
    known: Vec<Arc<Hook>>,
    armed: Vec<Arc<Hook>>,
    registered: Option<Registered>,
}

/// Every gate there ever was, by function.
static GATES: Mutex<BTreeMap<usize, Held>> = Mutex::new(BTreeMap::new());

/// While it is off no site is on, however many hooks are armed. Changed under the lock.
static ENABLED: AtomicBool = AtomicBool::new(true);

noinstr! {
    /// What the site of a gate calls, if nobody else listens there.
    extern "C" fn enter(_: usize, _: usize, ops: &'static Ops, regs: &mut FtraceRegs<Entry>) {
        let masks = daif::mask_irq();
        // SAFETY: interrupts are masked.
        let pin = unsafe { CpuPin::assume() };
        pass(ops, regs, &pin);
        daif::restore(masks);
    }

    /// The same where others do.
    fn enter_with_others(hit: &Hit<'_>, regs: &mut FtraceRegs<Entry>) {
        enter(hit.ip, hit.parent_ip, hit.ops, regs);
    }

    /// More than one hook.
    #[cold]
    #[inline(never)]
    fn pass_all(gate: &Gate, regs: &mut FtraceRegs<Entry>, pin: &CpuPin) {
        if let Some(hooks) = gate.hooks.read(pin) {
            for hook in hooks {
                catch(hook, gate, regs, pin);
            }
        }
    }

    /// What the straight way has not done.
    #[cold]
    #[inline(never)]
    fn catch_slowly(hook: &Hook, why: super::hook::Slow, gate: &Gate, regs: &mut FtraceRegs<Entry>, pin: &CpuPin) {
        let mut caught = false;
        // As a handler: what it calls is not caught in turn.
        let ran = kprobes::as_handler(hook.handling(), pin, || {
            caught = hook.catch_slowly(why, gate.function, regs.lr(), EntryRegs::from(&*regs), pin);
        });
        if !ran {
            hook.count_in_handler();
        }
        if caught {
            regs.set_lr(trampoline::addr_near());
        }
    }
}

#[inline(always)]
fn pass(ops: &'static Ops, regs: &mut FtraceRegs<Entry>, pin: &CpuPin) {
    let gate = core::ptr::with_exposed_provenance::<Gate>(ops.private.load(Ordering::Relaxed) as usize);
    // SAFETY: `gate_of` alone makes ops with these callbacks, each naming its gate before it is registered; gates live
    // for ever.
    let gate = unsafe { &*gate };
    // SAFETY: a hook is freed after every CPU has passed a quiet point since it was disarmed; interrupts are masked.
    match unsafe { gate.only.load(Ordering::Relaxed).as_ref() } {
        Some(hook) => catch(hook, gate, regs, pin),
        None => pass_all(gate, regs, pin),
    }
}

#[inline(always)]
fn catch(hook: &Hook, gate: &Gate, regs: &mut FtraceRegs<Entry>, pin: &CpuPin) {
    if kprobes::in_handler(pin) && !kprobes::may_nest(hook.handling(), pin) {
        hook.count_in_handler();
        return;
    }
    match hook.catch(gate.function, regs.lr(), regs.sp(), pin) {
        Ok(()) => regs.set_lr(trampoline::addr_near()),
        Err(why) => catch_slowly(hook, why, gate, regs, pin),
    }
}

impl Held {
    fn new(site: Site) -> Self {
        let gate: &'static Gate = Box::leak(Box::new(Gate {
            ops: Ops::bare("kretprobe", enter, enter_with_others),
            function: Function::at(site.function as u64),
            site,
            only: AtomicPtr::new(core::ptr::null_mut()),
            hooks: Published::empty(),
        }));
        let at = core::ptr::from_ref(gate).expose_provenance();
        gate.ops.private.store(at as u64, Ordering::Release);
        Self { gate, known: Vec::new(), armed: Vec::new(), registered: None }
    }

    /// Has hits find what is armed now.
    fn publish(&self) {
        let only = match self.armed.as_slice() {
            [one] => Arc::as_ptr(one).cast_mut(),
            _ => core::ptr::null_mut(),
        };
        self.gate.hooks.publish((!self.armed.is_empty()).then(|| Box::new(self.armed.clone())));
        self.gate.only.store(only, Ordering::Release);
    }

    /// Makes the site what it should be.
    fn settle(&mut self) -> Result<(), Errno> {
        let on = !self.armed.is_empty() && ENABLED.load(Ordering::Relaxed);
        if on && self.registered.is_none() {
            self.registered = Some(ftrace::register(&self.gate.ops, SiteSet::of([self.gate.site]))?);
        } else if !on {
            self.registered = None;
        }
        Ok(())
    }
}

/// Makes the hook known, disarmed.
pub(super) fn add(site: Site, hook: &Arc<Hook>) -> Result<(), Errno> {
    let mut gates = GATES.lock();
    let held = gates.entry(site.function).or_insert_with(|| Held::new(site));
    held.known.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    held.known.push(hook.clone());
    Ok(())
}

/// Takes a hook out that is disarmed.
pub(super) fn remove(function: usize, hook: &Arc<Hook>) {
    if let Some(held) = GATES.lock().get_mut(&function) {
        held.known.retain(|known| !Arc::ptr_eq(known, hook));
    }
}

/// Shows each hook that is known: its function, whether it is armed, its name.
pub(super) fn for_each(mut look: impl FnMut(usize, bool, &str)) {
    for (function, held) in GATES.lock().iter() {
        for hook in &held.known {
            look(*function, held.armed.iter().any(|armed| Arc::ptr_eq(armed, hook)), hook.name());
        }
    }
}

/// Has the hook catch calls of the function, from now on.
///
/// # Errors
/// Those of `ftrace::register`; nothing is changed then.
pub(super) fn arm(function: usize, hook: &Arc<Hook>) -> Result<(), Errno> {
    let mut gates = GATES.lock();
    let held = gates.get_mut(&function).ok_or(Errno::ENOENT)?;
    held.armed.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    held.armed.push(hook.clone());
    held.publish();
    let done = held.settle();
    if done.is_err() {
        held.armed.pop();
        held.publish();
    }
    done
}

/// Has it catch no more. CPUs that are at it may still catch one.
pub(super) fn disarm(function: usize, hook: &Arc<Hook>) {
    let mut gates = GATES.lock();
    if let Some(held) = gates.get_mut(&function) {
        held.armed.retain(|armed| !Arc::ptr_eq(armed, hook));
        held.publish();
        // To take a site's branch away does not fail.
        let _ = held.settle();
    }
}

/// Takes the branches of all gates away, or puts them back. What is armed stays so.
pub(super) fn set_enabled(on: bool) -> Result<(), Errno> {
    let mut gates = GATES.lock();
    ENABLED.store(on, Ordering::Relaxed);
    gates.values_mut().try_for_each(Held::settle)
}

/// Calls that the site of a function did not show, because they came from a tracer's callback.
pub(super) fn missed(function: usize) -> u64 {
    GATES.lock().get(&function).map_or(0, |held| held.gate.ops.missed())
}
