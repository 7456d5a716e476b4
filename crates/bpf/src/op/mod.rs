//! The decoded form: what an instruction means, with nothing in it that means nothing.
//!
//! [`decode`] takes one or two slots and refuses what RFC 9669 does not define: a register that does not exist, an unknown
//! code, a field that is not used and not zero. [`Op::encode`] is its inverse. Both read the same tables, which stand in
//! `parts.rs` beside what they are the codes of.

mod decode;
mod encode;
mod parts;

pub use decode::{Field, Malformed, decode};
pub use parts::{Alu, Atomic, Callee, Cond, Imm64, Operand, Order, Reg, Size, Width};

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `r1 += r2`, `w1 = 5`
    Alu {
        /// Of what.
        width: Width,
        /// What is done.
        alu: Alu,
        /// First operand and result.
        dst: Reg,
        /// Second operand.
        src: Operand,
    },
    /// `r1 = (s8)r2`: sign-extends the low bits to the width.
    MovSx {
        /// To what.
        width: Width,
        /// From how many bits: 8, 16, and 32 to 64.
        bits: u8,
        /// The result.
        dst: Reg,
        /// What is extended.
        src: Reg,
    },
    /// `r1 = -r1`
    Neg {
        /// Of what.
        width: Width,
        /// Operand and result.
        dst: Reg,
    },
    /// `r1 = be16 r1`: the order of the low bytes; what is above becomes zero.
    End {
        /// To what order.
        order: Order,
        /// Of how many bits: 16, 32, 64.
        bits: u8,
        /// Operand and result.
        dst: Reg,
    },
    /// `goto +3`
    Ja {
        /// How many slots behind the next instruction.
        off: i32,
        /// With the offset in the immediate (`gotol`).
        long: bool,
    },
    /// `if r1 > r2 goto +3`
    Jump {
        /// What is compared.
        width: Width,
        /// When it is taken.
        cond: Cond,
        /// First operand.
        dst: Reg,
        /// Second operand.
        src: Operand,
        /// How many slots behind the next instruction.
        off: i16,
    },
    /// `call 1`: r1-r5 are the arguments, r0 gets the result, r1-r5 are lost.
    Call(Callee),
    /// `exit`: ends the function, with the result in r0.
    Exit,
    /// `r1 = 5 ll`: two slots.
    LoadImm {
        /// What gets it.
        dst: Reg,
        /// What it is.
        imm: Imm64,
    },
    /// `r1 = *(u8 *)(r2 + 4)`
    Load {
        /// How much.
        size: Size,
        /// Sign-extended, not zero-extended; not for 8 bytes.
        signed: bool,
        /// What gets it.
        dst: Reg,
        /// Base of the address.
        src: Reg,
        /// Offset in bytes.
        off: i16,
    },
    /// `*(u8 *)(r1 + 4) = r2`
    Store {
        /// How much.
        size: Size,
        /// Base of the address.
        dst: Reg,
        /// Offset in bytes.
        off: i16,
        /// What is stored; an immediate is sign-extended.
        src: Operand,
    },
    /// `lock *(u64 *)(r1 + 4) += r2`
    Atomic {
        /// 4 or 8 bytes; a 32-bit result is zero-extended.
        width: Width,
        /// What is done.
        atomic: Atomic,
        /// Base of the address.
        dst: Reg,
        /// Offset in bytes.
        off: i16,
        /// Operand.
        src: Reg,
    },
}

impl Op {
    /// How many slots it takes.
    pub const fn slots(&self) -> usize {
        if matches!(self, Self::LoadImm { .. }) { 2 } else { 1 }
    }

    /// Does it go on with the next instruction, on some way?
    pub const fn falls_through(&self) -> bool {
        !matches!(self, Self::Exit | Self::Ja { .. })
    }
}
