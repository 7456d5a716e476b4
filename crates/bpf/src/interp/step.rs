//! Instructions that only compute, each as a function and the fields that it is about.
//!
//! ```text
//!   step     fn(registers, fields)
//!   fields   imm:32   rm:4 rn:4 dst:4 –:8        (an instruction's own word, with a third register in the offset)
//! ```
//!
//! A field of four bits is below 16, and there are 16 registers in the array: so no index is ever out of bounds, and nobody
//! asks. A step gives its registers back, which keeps them in the same machine register from one step to the next.
//!
//! What copies a register and then computes with the copy is one step of three operands.

use crate::op::{Alu, Cond, Op, Operand, Order, Reg, Width};

/// Registers; those above r10 do not come in a program.
pub(super) type Regs = [u64; 16];

/// What computes.
pub(super) type Compute = for<'a> fn(&'a mut Regs, u64) -> &'a mut Regs;
/// What compares.
pub(super) type Compare = fn(&Regs, u64) -> bool;

/// A computing instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) run: Compute,
    pub(super) fields: u64,
}

#[inline(always)]
fn dst(fields: u64) -> usize {
    (fields >> 8 & 0xf) as usize
}

#[inline(always)]
fn rn(fields: u64) -> usize {
    (fields >> 12 & 0xf) as usize
}

#[inline(always)]
fn rm(fields: u64) -> usize {
    (fields >> 16 & 0xf) as usize
}

/// Sign-extended.
#[inline(always)]
fn imm(fields: u64) -> u64 {
    (fields as i64 >> 32) as u64
}

fn fields(dst: Reg, rn: Reg, rm: Reg, imm: i32) -> u64 {
    let number = |reg: Reg| u64::from(reg.number());
    number(dst) << 8 | number(rn) << 12 | number(rm) << 16 | (imm as u64) << 32
}

/// An operation in both widths.
trait Binary {
    fn wide(a: u64, b: u64) -> u64;
    fn narrow(a: u32, b: u32) -> u32;
}

macro_rules! binary {
    ($($name:ident: |$a:ident, $b:ident| $wide:expr, $narrow:expr;)*) => { $(
        struct $name;

        impl Binary for $name {
            #[inline(always)]
            fn wide($a: u64, $b: u64) -> u64 {
                $wide
            }

            #[inline(always)]
            fn narrow($a: u32, $b: u32) -> u32 {
                $narrow
            }
        }
    )* };
}

binary! {
    Add: |a, b| a.wrapping_add(b), a.wrapping_add(b);
    Sub: |a, b| a.wrapping_sub(b), a.wrapping_sub(b);
    Mul: |a, b| a.wrapping_mul(b), a.wrapping_mul(b);
    Div: |a, b| a.checked_div(b).unwrap_or(0), a.checked_div(b).unwrap_or(0);
    Sdiv: |a, b| if b == 0 { 0 } else { (a as i64).wrapping_div(b as i64) as u64 },
        if b == 0 { 0 } else { (a as i32).wrapping_div(b as i32) as u32 };
    Or: |a, b| a | b, a | b;
    And: |a, b| a & b, a & b;
    Lsh: |a, b| a.wrapping_shl(b as u32), a.wrapping_shl(b);
    Rsh: |a, b| a.wrapping_shr(b as u32), a.wrapping_shr(b);
    Mod: |a, b| a.checked_rem(b).unwrap_or(a), a.checked_rem(b).unwrap_or(a);
    Smod: |a, b| if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 },
        if b == 0 { a } else { (a as i32).wrapping_rem(b as i32) as u32 };
    Xor: |a, b| a ^ b, a ^ b;
    Mov: |_a, b| b, b;
    Arsh: |a, b| (a as i64).wrapping_shr(b as u32) as u64, (a as i32).wrapping_shr(b) as u32;
    // Of one operand, the second.
    Neg: |_a, b| b.wrapping_neg(), b.wrapping_neg();
    Sx8: |_a, b| b as i8 as u64, b as i8 as u32;
    Sx16: |_a, b| b as i16 as u64, b as i16 as u32;
    Sx32: |_a, b| b as i32 as u64, b;
    Low16: |_a, b| u64::from(b as u16), u32::from(b as u16);
    Low32: |_a, b| u64::from(b as u32), b;
    Swap16: |_a, b| u64::from((b as u16).swap_bytes()), u32::from((b as u16).swap_bytes());
    Swap32: |_a, b| u64::from((b as u32).swap_bytes()), b.swap_bytes();
    Swap64: |_a, b| b.swap_bytes(), b;
    // The upper half of a 64-bit immediate; of 32 bits there is none.
    High: |a, b| a | b << 32, a & !b;
}

/// dst = rn op rm, and the others: all 64 bits or the low half, with a register or the immediate.
struct Forms {
    wide_reg: Compute,
    wide_imm: Compute,
    narrow_reg: Compute,
    narrow_imm: Compute,
    /// The same where the first operand is the result.
    wide_reg_own: Compute,
    wide_imm_own: Compute,
    narrow_reg_own: Compute,
    narrow_imm_own: Compute,
}

const fn forms<B: Binary>() -> Forms {
    Forms {
        wide_reg: |regs, f| {
            regs[dst(f)] = B::wide(regs[rn(f)], regs[rm(f)]);
            regs
        },
        wide_imm: |regs, f| {
            regs[dst(f)] = B::wide(regs[rn(f)], imm(f));
            regs
        },
        narrow_reg: |regs, f| {
            regs[dst(f)] = B::narrow(regs[rn(f)] as u32, regs[rm(f)] as u32).into();
            regs
        },
        narrow_imm: |regs, f| {
            regs[dst(f)] = B::narrow(regs[rn(f)] as u32, imm(f) as u32).into();
            regs
        },
        wide_reg_own: |regs, f| {
            regs[dst(f)] = B::wide(regs[dst(f)], regs[rm(f)]);
            regs
        },
        wide_imm_own: |regs, f| {
            regs[dst(f)] = B::wide(regs[dst(f)], imm(f));
            regs
        },
        narrow_reg_own: |regs, f| {
            regs[dst(f)] = B::narrow(regs[dst(f)] as u32, regs[rm(f)] as u32).into();
            regs
        },
        narrow_imm_own: |regs, f| {
            regs[dst(f)] = B::narrow(regs[dst(f)] as u32, imm(f) as u32).into();
            regs
        },
    }
}

const fn forms_of(alu: Alu) -> Forms {
    match alu {
        Alu::Add => forms::<Add>(),
        Alu::Sub => forms::<Sub>(),
        Alu::Mul => forms::<Mul>(),
        Alu::Div => forms::<Div>(),
        Alu::Sdiv => forms::<Sdiv>(),
        Alu::Or => forms::<Or>(),
        Alu::And => forms::<And>(),
        Alu::Lsh => forms::<Lsh>(),
        Alu::Rsh => forms::<Rsh>(),
        Alu::Mod => forms::<Mod>(),
        Alu::Smod => forms::<Smod>(),
        Alu::Xor => forms::<Xor>(),
        Alu::Mov => forms::<Mov>(),
        Alu::Arsh => forms::<Arsh>(),
    }
}

impl Step {
    /// The step of an instruction that only computes.
    pub(super) fn of(op: &Op) -> Option<Self> {
        match *op {
            Op::Alu { width, alu, dst, src } => Some(Self::alu(width, alu, dst, dst, src)),
            Op::Neg { width, dst } => Some(Self::one(&forms::<Neg>(), width, dst, dst)),
            Op::MovSx { width, bits, dst, src } => {
                let forms = match bits {
                    8 => forms::<Sx8>(),
                    16 => forms::<Sx16>(),
                    _ => forms::<Sx32>(),
                };
                Some(Self::one(&forms, width, dst, src))
            }
            Op::End { order, bits, dst } => {
                let forms = match (order, bits) {
                    (Order::Little, 16) => forms::<Low16>(),
                    (Order::Little, 32) => forms::<Low32>(),
                    (Order::Little, _) => forms::<Mov>(),
                    (_, 16) => forms::<Swap16>(),
                    (_, 32) => forms::<Swap32>(),
                    _ => forms::<Swap64>(),
                };
                Some(Self::one(&forms, Width::W64, dst, dst))
            }
            _ => None,
        }
    }

    /// `dst = rn alu src`
    pub(super) fn alu(width: Width, alu: Alu, dst: Reg, rn: Reg, src: Operand) -> Self {
        let (forms, own) = (forms_of(alu), dst == rn);
        match src {
            Operand::Reg(rm) => {
                let run = match (width, own) {
                    (Width::W64, false) => forms.wide_reg,
                    (Width::W64, true) => forms.wide_reg_own,
                    (Width::W32, false) => forms.narrow_reg,
                    (Width::W32, true) => forms.narrow_reg_own,
                };
                Self { run, fields: fields(dst, rn, rm, 0) }
            }
            Operand::Imm(imm) => {
                let run = match (width, own) {
                    (Width::W64, false) => forms.wide_imm,
                    (Width::W64, true) => forms.wide_imm_own,
                    (Width::W32, false) => forms.narrow_imm,
                    (Width::W32, true) => forms.narrow_imm_own,
                };
                Self { run, fields: fields(dst, rn, Reg::R0, imm) }
            }
        }
    }

    fn one(forms: &Forms, width: Width, dst: Reg, src: Reg) -> Self {
        let run = if width == Width::W64 { forms.wide_reg_own } else { forms.narrow_reg_own };
        Self { run, fields: fields(dst, dst, src, 0) }
    }

    /// The two steps of a number of 64 bits.
    pub(super) fn number(dst: Reg, value: u64) -> [Self; 2] {
        let (low, high) = (forms::<Mov>().narrow_imm_own, forms::<High>().wide_imm_own);
        [
            Self { run: low, fields: fields(dst, dst, Reg::R0, value as i32) },
            Self { run: high, fields: fields(dst, dst, Reg::R0, (value >> 32) as i32) },
        ]
    }
}

/// A comparison, and the fields that it is about.
pub(super) fn comparison(width: Width, cond: Cond, a: Reg, src: Operand) -> (Compare, u64) {
    macro_rules! compare {
        ($unsigned:ty, $signed:ty, $second:ident) => {{
            macro_rules! by {
                ($ty:ty, $a:ident, $b:ident, $holds:expr) => {
                    |regs, f| {
                        let ($a, $b) = (regs[dst(f)] as $ty, $second(regs, f) as $ty);
                        $holds
                    }
                };
            }
            match cond {
                Cond::Eq => by!($unsigned, a, b, a == b),
                Cond::Ne => by!($unsigned, a, b, a != b),
                Cond::Gt => by!($unsigned, a, b, a > b),
                Cond::Ge => by!($unsigned, a, b, a >= b),
                Cond::Lt => by!($unsigned, a, b, a < b),
                Cond::Le => by!($unsigned, a, b, a <= b),
                Cond::Set => by!($unsigned, a, b, a & b != 0),
                Cond::Sgt => by!($signed, a, b, a > b),
                Cond::Sge => by!($signed, a, b, a >= b),
                Cond::Slt => by!($signed, a, b, a < b),
                Cond::Sle => by!($signed, a, b, a <= b),
            }
        }};
    }
    #[inline(always)]
    fn register(regs: &Regs, f: u64) -> u64 {
        regs[rm(f)]
    }
    #[inline(always)]
    fn immediate(_: &Regs, f: u64) -> u64 {
        imm(f)
    }
    let holds: Compare = match (width, src) {
        (Width::W64, Operand::Reg(_)) => compare!(u64, i64, register),
        (Width::W64, Operand::Imm(_)) => compare!(u64, i64, immediate),
        (Width::W32, Operand::Reg(_)) => compare!(u32, i32, register),
        (Width::W32, Operand::Imm(_)) => compare!(u32, i32, immediate),
    };
    let fields = match src {
        Operand::Reg(rm) => fields(a, a, rm, 0),
        Operand::Imm(imm) => fields(a, a, Reg::R0, imm),
    };
    (holds, fields)
}
