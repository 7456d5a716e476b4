//! Jumps.
//!
//! | comparison | words |
//! |---|---|
//! | with zero: `==`, `!=`, and what is the same (`> 0`, `< 1`) | `cbz`, `cbnz` |
//! | with the sign: `s< 0`, `s>= 0`, `s> -1`, `s<= -1` | `tbnz`, `tbz` |
//! | `& 8`: of one bit | `tbnz` |
//! | `& 0xf0` | `tst`, `b.ne` |
//! | with a small number | `cmp` or, where it is negative, `cmn`; `b.cond` |
//! | everything else | the number into a register, `cmp`, `b.cond` |
//!
//! `tbz` reaches 32 KiB. When one does not reach, the program is compiled again without.

use a64::Cond as A64Cond;
use a64::encode::{
    Gpr,
    arith::{self, Sf},
};

use super::emit::{Form, Label};
use super::{Compiler, T0, alu, sf};
use crate::op::{Cond, Op, Operand, Reg, Width};

/// When it is taken, without looking or by the flags.
enum Taken {
    Never,
    Always,
    By(Form),
}

impl Compiler<'_> {
    pub(super) fn goto(&mut self, op: &Op) {
        let to = self.target(op);
        // To the next instruction: it only counts.
        if to == self.slot + 1 && self.options.checked.is_none() {
            return;
        }
        let label = self.out.slot(to);
        self.branch_to(Form::B, label);
    }

    pub(super) fn jump(&mut self, op: &Op, width: Width, cond: Cond, dst: Reg, src: Operand) {
        let to = self.out.slot(self.target(op));
        let (sf, rn) = (sf(width), self.x(dst));
        let taken = match src {
            Operand::Reg(src) => self.compare(sf, cond, rn, self.x(src)),
            Operand::Imm(imm) if self.options.blinding.is_some() => {
                let number = self.number(T0, sf, imm);
                self.compare(sf, cond, rn, number)
            }
            Operand::Imm(imm) => self.compare_immediate(sf, cond, rn, imm),
        };
        match taken {
            Taken::Never => {}
            Taken::Always => self.branch_to(Form::B, to),
            Taken::By(form) => self.branch_to(form, to),
        }
    }

    /// A branch that the program makes: in a program that is not verified it counts.
    fn branch_to(&mut self, form: Form, to: Label) {
        let to = if self.options.checked.is_some() { self.counted(to) } else { to };
        self.out.branch(form, to);
    }

    fn compare(&mut self, sf: Sf, cond: Cond, rn: Gpr, rm: Gpr) -> Taken {
        self.out.put(if cond == Cond::Set { arith::tst(sf, rn, rm) } else { arith::cmp(sf, rn, rm) });
        Taken::By(Form::If(flags(cond)))
    }

    fn compare_immediate(&mut self, sf: Sf, cond: Cond, rn: Gpr, imm: i32) -> Taken {
        let value = alu::extended(sf, imm);
        let sign = sf.bits() - 1;
        let zero = |not| Taken::By(Form::Zero(sf, rn, not));
        let bit = |bit, set| Taken::By(Form::Bit(rn, bit, set));
        match (cond, imm) {
            (Cond::Eq | Cond::Le, 0) | (Cond::Lt, 1) => return zero(false),
            (Cond::Ne | Cond::Gt, 0) | (Cond::Ge, 1) => return zero(true),
            (Cond::Ge, 0) => return Taken::Always,
            (Cond::Lt | Cond::Set, 0) => return Taken::Never,
            (Cond::Slt, 0) | (Cond::Sle, -1) if self.near => return bit(sign, true),
            (Cond::Sge, 0) | (Cond::Sgt, -1) if self.near => return bit(sign, false),
            (Cond::Set, _) if value.is_power_of_two() && self.near => {
                return bit(value.trailing_zeros(), true);
            }
            _ => {}
        }
        let done = if cond == Cond::Set {
            self.out.fits(arith::tst_i(sf, rn, value))
        } else if imm < 0 {
            self.out.fits(arith::cmn_i(sf, rn, imm.unsigned_abs().into()))
        } else {
            self.out.fits(arith::cmp_i(sf, rn, value))
        };
        if done {
            return Taken::By(Form::If(flags(cond)));
        }
        self.out.constant(T0, value);
        self.compare(sf, cond, rn, T0)
    }
}

/// What the flags of a comparison say.
fn flags(cond: Cond) -> A64Cond {
    match cond {
        Cond::Eq => A64Cond::Eq,
        Cond::Ne | Cond::Set => A64Cond::Ne,
        Cond::Gt => A64Cond::Hi,
        Cond::Ge => A64Cond::Cs,
        Cond::Lt => A64Cond::Cc,
        Cond::Le => A64Cond::Ls,
        Cond::Sgt => A64Cond::Gt,
        Cond::Sge => A64Cond::Ge,
        Cond::Slt => A64Cond::Lt,
        Cond::Sle => A64Cond::Le,
    }
}
