//! What happens at a hit. See the drawing in the room's head.
//!
//! All of this is `noinstr`: a probe on any of it would strike before the nested hit can be told from the first. What it
//! calls is inlined, or `a64`'s simulation (which the linker script puts into the same range), or a handler, from where
//! on nesting is told.

use a64::{MemoryFns, UserRegs};
use tracecore::reentry::{OnHit, Outer, Reentry};

use super::point::{self, Flow, Point, Run};
use super::{BRK_PROBE, table};
use crate::arch::{daif, probe_read};
use crate::exception::{Handled, PtRegs};
use crate::sync::{CpuPin, per_cpu};
use crate::text::slots;

per_cpu! {
    /// What one CPU keeps between the exceptions of a hit; points are known by their addresses.
    static STATE: Reentry = Reentry::new();
}

/// A proof without a place: the handlers take it by reference, and a place of its own would cost a hit three
/// instructions.
#[inline(always)]
fn pinned() -> &'static CpuPin {
    const { assert!(size_of::<CpuPin>() == 0) };
    // SAFETY: a reference to nothing may point anywhere. Only called in exception context, with interrupts masked: nothing
    // moves this code to another CPU.
    unsafe { core::ptr::NonNull::dangling().as_ref() }
}

/// Literals of simulated loads.
const LITERALS: MemoryFns = MemoryFns { read_u32: literal_u32, read_u64: literal_u64 };

noinstr! {
    fn literal_u32(addr: u64) -> Result<u32, a64::Fault> {
        probe_read::read_u32(addr).map_err(|_| a64::Fault { addr })
    }

    fn literal_u64(addr: u64) -> Result<u64, a64::Fault> {
        probe_read::read_u64(addr).map_err(|_| a64::Fault { addr })
    }
}

noinstr! {
    /// BRK #4: a probe was hit. The way through for a boosted probe with one handler is straight.
    pub(super) extern "C" fn brk(regs: &mut PtRegs) -> Handled {
        let Some(point) = table::lookup(regs.pc()) else { return vanished(regs) };
        let pin = pinned();
        let state = STATE.this_cpu(pin);
        match state.hit(point.handling()) {
            OnHit::RunHandlers => {
                let flow = point.run_pre(regs, pin);
                state.handlers_done();
                if flow == Flow::Diverted {
                    core::hint::cold_path();
                    return Handled::Yes;
                }
            }
            OnHit::Miss => {
                if nested(point, regs, state, pin) == Flow::Diverted {
                    return Handled::Yes;
                }
            }
        }
        if let Some(slot) = point.boosted() {
            regs.set_pc(slot.get());
            return Handled::Yes;
        }
        if let Some(quick) = point.quick() {
            return if (quick.run)(quick.operand, regs.user_mut()) { Handled::Yes } else { Handled::No };
        }
        execute(point, regs, state, pin)
    }

    /// A hit in a handler: runs open handlers, if that is open, too; else a miss.
    #[cold]
    #[inline(never)]
    fn nested(point: &Point, regs: &mut PtRegs, state: &Reentry, pin: &CpuPin) -> Flow {
        let Some(outer) = state.nest(point.handling()) else {
            point.count_miss();
            return Flow::Continue;
        };
        let flow = point.run_pre(regs, pin);
        state.unnest(outer);
        flow
    }

    /// The word of a probe that is neither boosted nor simulated in the short way.
    #[inline(never)]
    fn execute(point: &Point, regs: &mut PtRegs, state: &Reentry, pin: &CpuPin) -> Handled {
        match point.run() {
            Run::Slot(slot) => {
                state.begin_step(id(point), regs.pstate() & daif::ALL);
                regs.set_pstate(regs.pstate() | daif::ALL);
                regs.set_pc(*slot);
            }
            Run::Simulate(op) => {
                if op.run(regs.user_mut(), &LITERALS).is_err() {
                    // The literal is gone: let the CPU find out for itself, out of line.
                    return Handled::No;
                }
                after(point, regs, state, pin);
            }
        }
        Handled::Yes
    }

    /// BRK #6 behind the word in a slot: it has executed. Either it was stepped, for a post handler, or it went into the slot
    /// when that still ended in a branch, and has nothing to wait for.
    pub(super) extern "C" fn step_done(regs: &mut PtRegs) -> Handled {
        let pin = pinned();
        let state = STATE.this_cpu(pin);
        let Some(pc) = slots::origin(regs.pc()) else { return Handled::No };
        regs.set_pc(pc);
        if let Some(point) = stepping(state, pc - 4) {
            finish(state, regs);
            after(point, regs, state, pin);
        }
        Handled::Yes
    }

    /// An abort: of the word in a slot? Then it is as if the word had faulted in its place, and the other hooks see the PC
    /// of the probe.
    pub(super) fn fault(regs: &mut PtRegs, _esr: u64, _far: u64) -> Handled {
        if let Some(pc) = slots::origin(regs.pc()) {
            regs.set_pc(pc);
            let pin = pinned();
            let state = STATE.this_cpu(pin);
            if stepping(state, pc).is_some() {
                finish(state, regs);
            }
        }
        Handled::No
    }

    /// A BRK without a point: it was removed while this CPU was on its way here, or it is none of ours.
    fn vanished(regs: &PtRegs) -> Handled {
        match probe_read::read_u32(regs.pc()) {
            Ok(word) if word == a64::encode::brk(BRK_PROBE).0 => Handled::No,
            // Execute what is there now.
            _ => Handled::Yes,
        }
    }
}

/// Are handlers under way on this CPU?
#[inline(always)]
pub(crate) fn in_handler(pin: &CpuPin) -> bool {
    STATE.this_cpu(pin).is_handling()
}

/// In the midst of the handlers that are under way, may this one run? If it is open, and they are.
#[inline(always)]
pub(crate) fn may_nest(id: u64, pin: &CpuPin) -> bool {
    STATE.this_cpu(pin).may_nest(id)
}

/// Runs `f` as a handler: probes that are hit in it are misses. Says whether it ran: not if handlers are under way. One whose
/// `id` is [`OPEN`](tracecore::reentry::OPEN) runs in the midst of others that are, and they in its.
#[inline(always)]
pub(crate) fn as_handler(id: u64, pin: &CpuPin, f: impl FnOnce()) -> bool {
    let state = STATE.this_cpu(pin);
    let outer = match state.hit(id) {
        OnHit::RunHandlers => Outer::NOBODY,
        OnHit::Miss => {
            core::hint::cold_path();
            let Some(outer) = state.nest(id) else { return false };
            outer
        }
    };
    // Called in one place, so that it is compiled into it: a closure has an entry, which could be traced.
    f();
    state.unnest(outer);
    true
}

/// A point as the state machine knows it.
#[inline(always)]
fn id(point: &Point) -> u64 {
    core::ptr::from_ref(point).expose_provenance() as u64
}

/// The point that is being stepped, if it is the one at `addr`.
#[inline(always)]
fn stepping<'a>(state: &Reentry, addr: u64) -> Option<&'a Point> {
    let id = state.stepping()?;
    // SAFETY: `execute` put it there. A point that is being stepped keeps its CPU from passing a quiet point (everything is
    // masked), so it is alive.
    let point = unsafe { &*core::ptr::with_exposed_provenance::<Point>(id as usize) };
    (point.addr() == addr).then_some(point)
}

/// Leaves the slot: DAIF as the interrupted code had it.
#[inline(always)]
fn finish(state: &Reentry, regs: &mut PtRegs) {
    regs.set_pstate(regs.pstate() & !daif::ALL | state.end_step());
}

/// Runs the post handlers, unless this is a nested hit.
#[inline(always)]
fn after(point: &Point, regs: &mut PtRegs, state: &Reentry, pin: &CpuPin) {
    if point.has_post() && state.begin_post(point.handling()) == OnHit::RunHandlers {
        point::run_post(point, regs, pin);
        state.handlers_done();
    }
}

/// The registers as `a64` has them; says that the layouts agree.
const _: () = assert!(core::mem::offset_of!(UserRegs, pc) == 32 * 8);
