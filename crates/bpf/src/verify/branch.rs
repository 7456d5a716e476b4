//! Conditional jumps: which ways are possible, and what each of them says of the operands.
//!
//! | operands | |
//! |---|---|
//! | two numbers | what [`Scalar::when`] says; all copies of each learn it |
//! | an address that may be null, and 0 | null on one way, on the other not, and so are all copies |
//! | an address that is not null, and 0 | one way |
//! | other addresses | both ways, and nothing is learned |

use super::explore::{Next, Verifier};
use super::marks::Deps;
use super::state::State;
use super::value::{Number, Pointer, Target, Value};
use super::why::Turn;
use super::{Result, Scalar};
use crate::op::{Cond, Operand, Reg, Width};

/// A comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    pub(super) width: Width,
    pub(super) cond: Cond,
    pub(super) dst: Reg,
    pub(super) src: Operand,
}

impl Verifier<'_> {
    /// `if dst cond src goto to`, else `behind`
    pub(super) fn branch(&mut self, comparison: Comparison, to: usize, behind: usize) -> Result<Next> {
        let Comparison { width, cond, dst, src } = comparison;
        let first = self.read(dst)?;
        let second = match src {
            Operand::Imm(imm) => Value::constant(imm as i64 as u64),
            Operand::Reg(reg) => self.read(reg)?,
        };
        match (first, second) {
            (Value::Number(a), Value::Number(b)) => self.numbers(comparison, &a, &b, to, behind),
            (Value::Pointer(pointer), Value::Number(number))
            | (Value::Number(number), Value::Pointer(pointer))
                if width == Width::W64
                    && matches!(cond, Cond::Eq | Cond::Ne)
                    && number.n.as_constant() == Some(0)
                    && !matches!(pointer.to, Target::Kernel(_)) =>
            {
                self.demand_number(&number);
                self.null(&pointer, cond == Cond::Eq, to, behind)
            }
            (Value::Pointer(a), Value::Pointer(b))
                if width == Width::W64 && matches!(cond, Cond::Eq | Cond::Ne) && a.null != b.null =>
            {
                // Equal to one that is not null, it is not null either. One of the kernel's may be all the same.
                let (maybe, sure) = if a.null { (a, b) } else { (b, a) };
                let learned = !matches!(sure.to, Target::Kernel(_));
                let equal = |state: &mut State| {
                    if learned {
                        state.decide_null(&maybe, false);
                    }
                };
                let mut taken = self.state().clone();
                if cond == Cond::Eq {
                    equal(&mut taken);
                } else {
                    equal(self.state_mut());
                }
                self.both(taken, to, behind)
            }
            _ => {
                let taken = self.state().clone();
                self.both(taken, to, behind)
            }
        }
    }

    /// Both ways: the jump later, what is behind it now.
    fn both(&mut self, mut taken: State, to: usize, behind: usize) -> Result<Next> {
        taken.at = to;
        self.push(taken, Turn::Taken)?;
        self.turn(Turn::NotTaken)?;
        Ok(Next::At(behind))
    }

    fn null(&mut self, pointer: &Pointer, taken_if_null: bool, to: usize, behind: usize) -> Result<Next> {
        if !pointer.null {
            return Ok(Next::At(if taken_if_null { behind } else { to }));
        }
        let mut taken = self.state().clone();
        taken.decide_null(pointer, taken_if_null);
        self.state_mut().decide_null(pointer, !taken_if_null);
        self.both(taken, to, behind)
    }

    fn numbers(
        &mut self,
        comparison: Comparison,
        a: &Number,
        b: &Number,
        to: usize,
        behind: usize,
    ) -> Result<Next> {
        let Comparison { width, cond, dst, src } = comparison;
        let when = |taken| match src {
            Operand::Reg(reg) if reg == dst => same_register(width, cond, &a.n, taken),
            _ => Scalar::when(width, cond, &a.n, &b.n, taken),
        };
        match (when(true), when(false)) {
            (None, None) => {
                // No numbers are left: nothing runs here.
                self.demand(a.deps.union(b.deps));
                Ok(Next::End)
            }
            (Some(_), None) => {
                self.demand(a.deps.union(b.deps));
                Ok(Next::At(to))
            }
            (None, Some(_)) => {
                self.demand(a.deps.union(b.deps));
                Ok(Next::At(behind))
            }
            (Some(yes), Some(no)) => {
                let mut taken = self.state().clone();
                refine(&mut taken, comparison, yes);
                refine(self.state_mut(), comparison, no);
                self.both(taken, to, behind)
            }
        }
    }
}

/// A register compared with itself.
fn same_register(width: Width, cond: Cond, n: &Scalar, taken: bool) -> Option<(Scalar, Scalar)> {
    match cond {
        Cond::Eq | Cond::Ge | Cond::Le | Cond::Sge | Cond::Sle => taken.then_some((*n, *n)),
        Cond::Ne | Cond::Gt | Cond::Lt | Cond::Sgt | Cond::Slt => (!taken).then_some((*n, *n)),
        Cond::Set => {
            let zero = Scalar::constant(0);
            Scalar::when(width, if taken { Cond::Ne } else { Cond::Eq }, n, &zero, true).map(|(n, _)| (n, n))
        }
    }
}

/// What a way says of the operands, told to all their copies.
fn refine(state: &mut State, comparison: Comparison, (a, b): (Scalar, Scalar)) {
    let second = match comparison.src {
        Operand::Reg(reg) => Some(reg),
        Operand::Imm(_) => None,
    };
    let number = |state: &State, reg: Reg| match state.reg(reg) {
        Value::Number(number) => *number,
        _ => Number::UNKNOWN,
    };
    let first = comparison.dst;
    // What is known of one now depends on the other, and on all copies of both.
    let mut deps = with_copies(state, &number(state, first));
    if let Some(reg) = second {
        deps = deps.union(with_copies(state, &number(state, reg)));
    }
    learn(state, first, a, deps);
    if let Some(reg) = second.filter(|reg| *reg != first) {
        learn(state, reg, b, deps);
    }
}

/// What a number and its copies were computed from.
fn with_copies(state: &State, number: &Number) -> Deps {
    if number.id == 0 {
        return number.deps;
    }
    let values = state.frames.iter().flat_map(|frame| frame.values());
    values.fold(number.deps, |all, value| match value {
        Value::Number(copy) if copy.id == number.id => all.union(copy.deps),
        _ => all,
    })
}

fn learn(state: &mut State, reg: Reg, n: Scalar, deps: Deps) {
    let Value::Number(old) = *state.reg(reg) else { return };
    if old.n == n && old.deps == deps {
        return;
    }
    let new = Value::Number(Number { n, id: old.id, deps });
    if old.id == 0 {
        state.set(reg, new);
        return;
    }
    state.change(|value| matches!(value, Value::Number(copy) if copy.id == old.id), |value| *value = new);
}
