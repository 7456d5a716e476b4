//! What happens at a hit. See the drawing in the room's head.
//!
//! All of this is `noinstr`: a probe on any of it would strike before the nested hit can be told from the first. What it
//! calls is inlined, or `a64`'s simulation (which the linker script puts into the same range), or a handler, from where
//! on nesting is told.

use a64::{MemoryFns, UserRegs};
use tracecore::reentry::{OnHit, Reentry};

use super::point::{Flow, Point, Run};
use super::{BRK_PROBE, table};
use crate::arch::{daif, probe_read};
use crate::exception::{Handled, OutOfLineStep, PtRegs};
use crate::sync::{CpuPin, per_cpu};

per_cpu! {
    /// What one CPU keeps between the exceptions of a hit; points are known by their addresses.
    static STATE: Reentry = Reentry::new();
}

#[inline(always)]
fn pinned() -> CpuPin {
    // SAFETY: only called in exception context, with interrupts masked: nothing moves this code to another CPU.
    unsafe { CpuPin::assume() }
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
    /// BRK #4: a probe was hit.
    pub(super) fn brk(regs: &mut PtRegs) -> Handled {
        let Some(point) = table::lookup(regs.pc()) else { return vanished(regs) };
        let pin = pinned();
        let state = STATE.this_cpu(&pin);
        match state.hit(id(point)) {
            OnHit::RunHandlers => {
                let flow = point.run_pre(regs, &pin);
                state.handlers_done();
                if flow == Flow::Diverted {
                    return Handled::Yes;
                }
            }
            OnHit::Miss => point.count_miss(),
        }
        match point.run() {
            &Run::Slot(slot) => {
                if point.has_post() {
                    state.begin_step(id(point), regs.pstate() & daif::ALL);
                    regs.set_pstate(regs.pstate() | daif::ALL);
                    regs.set_pc(slot);
                } else {
                    OutOfLineStep::this_cpu().begin(regs, slot, point.addr() + 4);
                }
            }
            Run::Simulate(op) => {
                if op.run(regs.user_mut(), &LITERALS).is_err() {
                    // The literal is gone: let the CPU find out for itself, out of line.
                    return Handled::No;
                }
                after(point, regs, state, &pin);
            }
        }
        Handled::Yes
    }

    /// BRK #6 behind the word in a slot, of a probe with post handlers: it has executed. (Without them nothing is left to
    /// do, and `exception.S` does it.)
    pub(super) fn step_done(regs: &mut PtRegs) -> Handled {
        let pin = pinned();
        let state = STATE.this_cpu(&pin);
        let Some(point) = stepping(state, regs, 4) else { return Handled::No };
        regs.set_pc(point.addr() + 4);
        finish(state, regs);
        after(point, regs, state, &pin);
        Handled::Yes
    }

    /// An abort: of the word in a slot?
    pub(super) fn fault(regs: &mut PtRegs, _esr: u64, _far: u64) -> Handled {
        let pin = pinned();
        let state = STATE.this_cpu(&pin);
        OutOfLineStep::this_cpu().fault(regs);
        if let Some(point) = stepping(state, regs, 0) {
            // As if the word had faulted in its place. The other hooks see the PC of the probe.
            regs.set_pc(point.addr());
            finish(state, regs);
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

/// A point as the state machine knows it.
#[inline(always)]
fn id(point: &Point) -> u64 {
    core::ptr::from_ref(point).expose_provenance() as u64
}

/// The point whose slot the PC is in, `offset` bytes behind its start.
#[inline(always)]
fn stepping<'a>(state: &Reentry, regs: &PtRegs, offset: u64) -> Option<&'a Point> {
    let id = state.stepping()?;
    // SAFETY: `brk` put it there. A point in its slot keeps its CPU from passing a quiet point (interrupts are masked), so
    // it is alive.
    let point = unsafe { &*core::ptr::with_exposed_provenance::<Point>(id as usize) };
    matches!(point.run(), &Run::Slot(slot) if slot + offset == regs.pc()).then_some(point)
}

/// Leaves the slot: DAIF as the interrupted code had it.
#[inline(always)]
fn finish(state: &Reentry, regs: &mut PtRegs) {
    regs.set_pstate(regs.pstate() & !daif::ALL | state.end_step());
}

/// Runs the post handlers, unless this is a nested hit.
#[inline(always)]
fn after(point: &Point, regs: &mut PtRegs, state: &Reentry, pin: &CpuPin) {
    if point.has_post() && state.begin_post(id(point)) == OnHit::RunHandlers {
        point.run_post(regs, pin);
        state.handlers_done();
    }
}

/// The registers as `a64` has them; says that the layouts agree.
const _: () = assert!(core::mem::offset_of!(UserRegs, pc) == 32 * 8);
