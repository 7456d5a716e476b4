//! Loads and stores.
//!
//! | base and offset | word |
//! |---|---|
//! | r10, down to −256 | `ldur`, from x29 |
//! | r10, below that | `ldr`, upwards from SP |
//! | any, a multiple of the size up to 4095 times | `ldr` |
//! | any, −256 to 255 | `ldur` |
//! | else | the offset into a register, `ldr` with two registers |

use a64::Insn;
use a64::encode::sized::{self, Bytes, Extend};
use a64::encode::{EncodeError, Gpr, arith::Sf};

use super::{ADDRESS, Compiler, FaultingLoad, T0, T1};
use crate::op::{Operand, Reg, Size};

/// How A64 names a place.
#[derive(Clone, Copy)]
enum Place {
    Scaled(Gpr, i64),
    Near(Gpr, i64),
    Sum(Gpr, Gpr),
}

pub(super) fn bytes(size: Size) -> Bytes {
    match size {
        Size::B => Bytes::B,
        Size::H => Bytes::H,
        Size::W => Bytes::W,
        Size::Dw => Bytes::X,
    }
}

impl Compiler<'_> {
    pub(super) fn load(&mut self, size: Size, signed: bool, dst: Reg, src: Reg, off: i16) {
        let place = self.place(size, src, off);
        let (bytes, rt) = (bytes(size), self.x(dst));
        let extend = if signed { Extend::Sign } else { Extend::Zero };
        if self.options.probe_reads.binary_search(&self.slot).is_ok() {
            self.faults.push(FaultingLoad { word: self.out.len() as u32, register: rt.number() });
        }
        let word: Result<Insn, EncodeError> = match place {
            Place::Scaled(rn, offset) => sized::load(bytes, extend, rt, rn, offset),
            Place::Near(rn, offset) => sized::load_near(bytes, extend, rt, rn, offset),
            Place::Sum(rn, rm) => Ok(sized::load_at(bytes, extend, rt, rn, rm)),
        };
        self.out.must(word);
    }

    pub(super) fn store(&mut self, size: Size, dst: Reg, off: i16, src: Operand) {
        let place = self.place(size, dst, off);
        let (bytes, rt) = (bytes(size), self.stored(size, src));
        let word: Result<Insn, EncodeError> = match place {
            Place::Scaled(rn, offset) => sized::store(bytes, rt, rn, offset),
            Place::Near(rn, offset) => sized::store_near(bytes, rt, rn, offset),
            Place::Sum(rn, rm) => Ok(sized::store_at(bytes, rt, rn, rm)),
        };
        self.out.must(word);
    }

    /// The register with what is stored.
    fn stored(&mut self, size: Size, src: Operand) -> Gpr {
        match src {
            Operand::Reg(src) => self.x(src),
            Operand::Imm(0) => Gpr::ZR,
            // Of a word or less the low half is enough, in which fewer moves make a negative number.
            Operand::Imm(imm) => self.number(T0, if size == Size::Dw { Sf::X } else { Sf::W }, imm),
        }
    }

    /// Where `base + off` is; words in front of it may be made, which use T1 and, if it is not verified, others but T0.
    fn place(&mut self, size: Size, base: Reg, off: i16) -> Place {
        let (rn, off) = (self.x(base), i64::from(off));
        if self.options.checked.is_some() {
            self.look_up(size, rn, off, false);
            return Place::Scaled(ADDRESS, 0);
        }
        let scaled =
            |off: i64| off >= 0 && off % size.bytes() as i64 == 0 && off < 4096 * size.bytes() as i64;
        let from_sp = off + i64::from(self.options.stack_bytes);
        if scaled(off) {
            Place::Scaled(rn, off)
        } else if (-256..=255).contains(&off) {
            Place::Near(rn, off)
        } else if base == Reg::R10 && scaled(from_sp) {
            Place::Scaled(Gpr::SP, from_sp)
        } else {
            self.out.constant(T1, off as u64);
            Place::Sum(rn, T1)
        }
    }
}
