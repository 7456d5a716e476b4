//! Where the verifier stands: all that is known at one instruction of one path.
//!
//! ```text
//!   State ─ frames ─┬─ Frame  the program's          ─ r0 … r10, slots of the stack
//!           refs    ├─ Frame  a function it called      what was called, and where it goes on
//!           lock    └─ Frame  a callback of a helper
//! ```
//!
//! A branch that may go both ways makes a copy of it. Frames are shared among copies until they are written.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::stack::{Slot, Slots};
use super::value::{Pointer, Target, Value};
use crate::helper::Callback;
use crate::op::Reg;

/// How a function came to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is the program.
    Program,
    /// It was called.
    Called,
    /// A helper calls it; so many references were held then.
    Callback(Callback, usize),
}

/// A function under way.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) regs: [Value; Reg::COUNT],
    pub(super) slots: Slots,
    /// Where the function begins.
    pub(super) function: usize,
    /// The call in the frame below it.
    pub(super) call_at: usize,
    pub(super) role: Role,
    /// How often the callback of the call where this frame stands has run.
    pub(super) rounds: u32,
}

impl Frame {
    pub(super) fn new(depth: u8, function: usize, call_at: usize, role: Role) -> Self {
        let mut regs = [Value::Nothing; Reg::COUNT];
        if let Some(r10) = regs.last_mut() {
            *r10 = Value::pointer(Target::Stack(depth));
        }
        Self { regs, slots: Vec::new(), function, call_at, role, rounds: 0 }
    }

    pub(super) fn reg(&self, reg: Reg) -> &Value {
        &self.regs[reg.index()]
    }

    /// All values of registers and of the stack.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.regs.iter().chain(self.slots.iter().filter_map(Slot::kept_value))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.regs.iter_mut().chain(self.slots.iter_mut().filter_map(Slot::kept_value_mut))
    }
}

/// Something that has to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) id: u32,
    /// The call that gave it.
    pub(super) at: usize,
}

/// All that is known.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) at: usize,
    /// The last one is that of the function that runs.
    pub(super) frames: Vec<Rc<Frame>>,
    pub(super) refs: Vec<Reference>,
    /// The value whose lock is held: its map and its `id`.
    pub(super) lock: Option<(u32, u32)>,
}

impl State {
    pub(super) fn new(frame: Frame) -> Self {
        Self { at: frame.function, frames: [Rc::new(frame)].into(), refs: Vec::new(), lock: None }
    }

    /// The number of the frame that runs.
    pub(super) fn top(&self) -> usize {
        self.frames.len().saturating_sub(1)
    }

    /// The frame that runs; there is always one.
    pub(super) fn frame(&self) -> &Frame {
        &self.frames[self.top()]
    }

    pub(super) fn frame_mut(&mut self) -> &mut Frame {
        let top = self.top();
        Rc::make_mut(&mut self.frames[top])
    }

    pub(super) fn reg(&self, reg: Reg) -> &Value {
        self.frame().reg(reg)
    }

    pub(super) fn set(&mut self, reg: Reg, value: Value) {
        self.frame_mut().regs[reg.index()] = value;
    }

    /// What a call leaves of r0 to r5.
    pub(super) fn clobber(&mut self) {
        self.frame_mut().regs[..6].fill(Value::Nothing);
    }

    /// Changes all values that `wanted` finds. Frames that have none stay shared.
    pub(super) fn change(&mut self, wanted: impl Fn(&Value) -> bool, change: impl Fn(&mut Value)) {
        for frame in &mut self.frames {
            if frame.values().any(&wanted) {
                Rc::make_mut(frame).values_mut().filter(|value| wanted(value)).for_each(&change);
            }
        }
    }

    /// Every copy of what may be null is it, or is not.
    pub(super) fn decide_null(&mut self, pointer: &Pointer, null: bool) {
        let Pointer { id, held, .. } = *pointer;
        let same = move |value: &Value| matches!(value, Value::Pointer(p) if p.null && p.id == id);
        if null {
            self.refs.retain(|reference| held == 0 || reference.id != held);
            self.change(same, |value| *value = Value::constant(0));
        } else {
            self.change(same, |value| {
                if let Value::Pointer(pointer) = value {
                    pointer.null = false;
                }
            });
        }
    }

    /// A reference is given back: nobody may use it any more.
    pub(super) fn release(&mut self, id: u32) {
        self.refs.retain(|reference| reference.id != id);
        self.change(
            |value| matches!(value, Value::Pointer(p) if p.held == id),
            |value| *value = Value::UNKNOWN,
        );
    }

    /// Bytes of memory that it takes, shared ones counted each time.
    pub(super) fn bytes(&self) -> usize {
        let frame = |frame: &Rc<Frame>| size_of::<Frame>() + frame.slots.capacity() * size_of::<Slot>();
        size_of::<Self>() + self.frames.iter().map(frame).sum::<usize>()
    }
}
