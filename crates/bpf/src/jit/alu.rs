//! Arithmetic.
//!
//! A64 names three registers where BPF names two, so a copy and what is done to the copy are one word:
//!
//! ```text
//!   r2 = r10; r2 += -8          sub x1, x29, #8
//!   r1 <<= 32; r1 >>= 32        ubfx x0, x0, #0, #32
//!   r0 = 7; exit                mov x0, #7; … ret
//! ```
//!
//! | | A64 | by zero | −2⁶³ ÷ −1 |
//! |---|---|---|---|
//! | `/=`, `s/=` | `udiv`, `sdiv` | 0, as RFC 9669 has it | wraps, as RFC 9669 has it |
//! | `%=`, `s%=` | a division, then `msub`: a − q × b | a − 0 × b: unchanged | 0 |
//!
//! All 32-bit words clear the upper half, as all 32-bit instructions do.

use a64::Insn;
use a64::encode::{
    self, Gpr,
    arith::{self, Sf},
    regs,
};

use super::{Compiler, Error, KEY, T0, T1, sf};
use crate::op::{Alu, Op, Operand, Order, Reg, Width};

/// What is done, to what, with what: of three operands.
#[derive(Clone, Copy)]
struct Three {
    sf: Sf,
    alu: Alu,
    rd: Gpr,
    rn: Gpr,
}

impl Compiler<'_> {
    /// An arithmetic instruction at `i` and those behind it that become one with it; how many.
    pub(super) fn alu_and_more(
        &mut self,
        i: usize,
        width: Width,
        alu: Alu,
        dst: Reg,
        src: Operand,
    ) -> Result<usize, Error> {
        if alu != Alu::Mov {
            let taken = self.arithmetic(i, width, alu, dst, self.x(dst), src);
            return Ok(taken);
        }
        let follower = self.follower(i);
        if dst == Reg::R0 && follower == Some(Op::Exit) && self.options.checked.is_none() {
            self.mov(sf(width), regs::X0, src);
            self.leave();
            return Ok(2);
        }
        if let Operand::Reg(copied) = src
            && let Some(Op::Alu { width: then, alu, dst: also, src: with }) = follower
            && also == dst
            && alu != Alu::Mov
            && (then == width || then == Width::W32)
        {
            let with = if with == Operand::Reg(dst) { src } else { with };
            let taken = self.arithmetic(i + 1, then, alu, dst, self.x(copied), with);
            return Ok(1 + taken);
        }
        self.mov(sf(width), self.x(dst), src);
        Ok(1)
    }

    /// `dst = rn alu src`, the instruction at `i`, and perhaps the second of a pair of shifts; how many.
    fn arithmetic(&mut self, i: usize, width: Width, alu: Alu, dst: Reg, rn: Gpr, src: Operand) -> usize {
        let rd = self.x(dst);
        if width == Width::W64
            && alu == Alu::Lsh
            && let Operand::Imm(left @ 0..=63) = src
            && let Some(Op::Alu {
                width: Width::W64,
                alu: back,
                dst: also,
                src: Operand::Imm(right @ 0..=63),
            }) = self.follower(i)
            && also == dst
            && matches!(back, Alu::Rsh | Alu::Arsh)
        {
            // The bits from `left` on end up `right - left` lower.
            let immr = (64 + right - left) as u32 % 64;
            let imms = 63 - left as u32;
            self.out.must(match back {
                Alu::Rsh => arith::ubfm(Sf::X, rd, rn, immr, imms),
                _ => arith::sbfm(Sf::X, rd, rn, immr, imms),
            });
            return 2;
        }
        let three = Three { sf: sf(width), alu, rd, rn };
        match src {
            Operand::Reg(src) => self.with_register(three, self.x(src)),
            Operand::Imm(imm) if self.options.blinding.is_some() => {
                let number = self.number(T0, three.sf, imm);
                self.with_register(three, number);
            }
            Operand::Imm(imm) => self.with_immediate(three, imm),
        }
        1
    }

    fn with_register(&mut self, Three { sf, alu, rd, rn }: Three, rm: Gpr) {
        let one: fn(Sf, Gpr, Gpr, Gpr) -> Insn = match alu {
            Alu::Add => arith::add,
            Alu::Sub => arith::sub,
            Alu::Mul => arith::mul,
            Alu::Div => arith::udiv,
            Alu::Sdiv => arith::sdiv,
            Alu::Or => arith::orr,
            Alu::And => arith::and,
            Alu::Lsh => arith::lsl,
            Alu::Rsh => arith::lsr,
            Alu::Arsh => arith::asr,
            Alu::Xor => arith::eor,
            Alu::Mov => return self.copy(sf, rd, rm),
            Alu::Mod | Alu::Smod => {
                let divide = if alu == Alu::Mod { arith::udiv } else { arith::sdiv };
                self.out.put(divide(sf, T1, rn, rm));
                return self.out.put(arith::msub(sf, rd, T1, rm, rn));
            }
        };
        self.out.put(one(sf, rd, rn, rm));
    }

    fn with_immediate(&mut self, three: Three, imm: i32) {
        let Three { sf, alu, rd, rn } = three;
        let value = extended(sf, imm);
        let done = match alu {
            Alu::Mov => return self.out.constant(rd, value),
            Alu::Add => self.add(sf, rd, rn, imm.into()),
            Alu::Sub => self.add(sf, rd, rn, -i64::from(imm)),
            Alu::Lsh => self.out.fits(arith::lsl_i(sf, rd, rn, imm as u32 % sf.bits())),
            Alu::Rsh => self.out.fits(arith::lsr_i(sf, rd, rn, imm as u32 % sf.bits())),
            Alu::Arsh => self.out.fits(arith::asr_i(sf, rd, rn, imm as u32 % sf.bits())),
            Alu::And | Alu::Or | Alu::Xor => self.logical(three, value),
            Alu::Mul => self.multiply(three, value),
            Alu::Div | Alu::Mod if value.is_power_of_two() => {
                let shift = value.trailing_zeros();
                match (alu, value) {
                    (Alu::Div, _) => self.out.fits(arith::lsr_i(sf, rd, rn, shift)),
                    (_, 1) => self.out.fits(encode::movz(rd, 0, 0)),
                    _ => self.out.fits(arith::and_i(sf, rd, rn, value - 1)),
                }
            }
            Alu::Div | Alu::Mod | Alu::Sdiv | Alu::Smod => false,
        };
        if !done {
            self.out.constant(T0, value);
            self.with_register(three, T0);
        }
    }

    /// An addition of a number that fits into one word or two.
    pub(super) fn add(&mut self, sf: Sf, rd: Gpr, rn: Gpr, value: i64) -> bool {
        let (one, size): (fn(_, _, _, _) -> _, _) =
            if value < 0 { (arith::sub_i, value.unsigned_abs()) } else { (arith::add_i, value as u64) };
        if self.out.fits(one(sf, rd, rn, size)) {
            return true;
        }
        let (high, low) = (size & 0xff_f000, size & 0xfff);
        if size != high | low {
            return false;
        }
        self.out.must(one(sf, rd, rn, high));
        self.out.must(one(sf, rd, rd, low));
        true
    }

    fn logical(&mut self, Three { sf, alu, rd, rn }: Three, value: u64) -> bool {
        let all = extended(sf, -1);
        match (alu, value) {
            (Alu::And, 0) => self.out.constant(rd, 0),
            (Alu::Or, v) if v == all => self.out.constant(rd, all),
            (Alu::Xor, v) if v == all => self.out.put(arith::mvn(sf, rd, rn)),
            (Alu::Or | Alu::Xor, 0) => self.copy(sf, rd, rn),
            (Alu::And, v) if v == all => self.copy(sf, rd, rn),
            (Alu::And, _) => return self.out.fits(arith::and_i(sf, rd, rn, value)),
            (Alu::Or, _) => return self.out.fits(arith::orr_i(sf, rd, rn, value)),
            _ => return self.out.fits(arith::eor_i(sf, rd, rn, value)),
        }
        true
    }

    fn multiply(&mut self, Three { sf, rd, rn, .. }: Three, value: u64) -> bool {
        if value == 0 {
            self.out.constant(rd, 0);
            true
        } else if value.is_power_of_two() {
            self.out.fits(arith::lsl_i(sf, rd, rn, value.trailing_zeros()))
        } else if (value - 1).is_power_of_two() {
            self.out.fits(arith::add_lsl(sf, rd, rn, rn, (value - 1).trailing_zeros()))
        } else {
            false
        }
    }

    fn mov(&mut self, sf: Sf, rd: Gpr, src: Operand) {
        match src {
            Operand::Reg(src) => self.copy(sf, rd, self.x(src)),
            Operand::Imm(imm) => {
                self.number(rd, sf, imm);
            }
        }
    }

    /// A copy; of 32 bits it clears the upper half.
    pub(super) fn copy(&mut self, sf: Sf, rd: Gpr, rm: Gpr) {
        if sf == Sf::W || rd != rm {
            self.out.put(arith::orr(sf, rd, Gpr::ZR, rm));
        }
    }

    /// A number of the program in a register, blinded if that is wanted.
    pub(super) fn number(&mut self, rd: Gpr, sf: Sf, imm: i32) -> Gpr {
        self.number64(rd, extended(sf, imm));
        rd
    }

    /// The same for all 64 bits.
    pub(super) fn number64(&mut self, rd: Gpr, value: u64) {
        if self.options.blinding.is_none() {
            return self.out.constant(rd, value);
        }
        // Xorshift64 (Marsaglia 2003): keys that the program does not know.
        self.keys ^= self.keys << 13;
        self.keys ^= self.keys >> 7;
        self.keys ^= self.keys << 17;
        let key = self.keys;
        self.out.constant_in_code(KEY, key);
        self.out.constant_in_code(rd, value ^ key);
        self.out.put(arith::eor(Sf::X, rd, rd, KEY));
    }

    pub(super) fn move_signed(&mut self, width: Width, bits: u8, dst: Reg, src: Reg) {
        self.out.must(arith::sign_extend(sf(width), self.x(dst), self.x(src), bits.into()));
    }

    pub(super) fn negate(&mut self, width: Width, dst: Reg) {
        let rd = self.x(dst);
        self.out.put(arith::sub(sf(width), rd, Gpr::ZR, rd));
    }

    pub(super) fn byte_order(&mut self, order: Order, bits: u8, dst: Reg) {
        let rd = self.x(dst);
        if order != Order::Little {
            self.out.put(match bits {
                16 => arith::rev16(Sf::W, rd, rd),
                32 => arith::rev(Sf::W, rd, rd),
                _ => arith::rev(Sf::X, rd, rd),
            });
        }
        match (order, bits) {
            (_, 16) => self.out.must(arith::zero_extend(Sf::W, rd, rd, 16)),
            (Order::Little, 32) => self.copy(Sf::W, rd, rd),
            _ => {}
        }
    }
}

/// An immediate as the width sees it, in 64 bits.
pub(super) fn extended(sf: Sf, imm: i32) -> u64 {
    match sf {
        Sf::X => i64::from(imm) as u64,
        Sf::W => u64::from(imm as u32),
    }
}
