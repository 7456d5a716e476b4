//! Words as text.
//!
//! The dialect is that of LLVM's tools (`llvm-objdump -d`), with the names of system registers in lower case:
//! aliases are preferred (`mov`, `cmp`, `lsl`), small numbers are decimal, masks and exception immediates
//! hexadecimal. Places in the code are printed as absolute addresses, computed from the address of the word and
//! handed to a [`Symboliser`], which may add a name. A word that is not decoded is `.inst 0x…`.
//!
//! ```
//! use a64::{Insn, disasm};
//! assert_eq!(disasm::at(Insn(0x9400_0002), 0x1000).to_string(), "bl 0x1008");
//! assert_eq!(disasm::at(Insn(0xaa1e_03e9), 0x1000).to_string(), "mov x9, x30");
//! ```

use core::fmt::{self, Write};

use crate::decode::{Arrangement, Decoded, Element, Extend, Index, Offset, Operand, decode};
use crate::insn::Insn;

/// Called with each address that an instruction names, after it is printed: what it writes comes behind it.
pub type Symboliser<'a> = &'a dyn Fn(u64, &mut dyn Write) -> fmt::Result;

/// A word at an address, to be printed.
#[derive(Clone, Copy)]
pub struct Disasm<'a> {
    insn: Insn,
    pc: u64,
    symboliser: Option<Symboliser<'a>>,
    aliases: bool,
}

/// The text of `insn` at address `pc`.
pub fn at(insn: Insn, pc: u64) -> Disasm<'static> {
    Disasm { insn, pc, symboliser: None, aliases: true }
}

impl<'a> Disasm<'a> {
    /// The same with names behind addresses.
    pub fn with_symbols(self, symboliser: Symboliser<'_>) -> Disasm<'_> {
        Disasm { insn: self.insn, pc: self.pc, symboliser: Some(symboliser), aliases: self.aliases }
    }

    /// The same with the architecture's mnemonic, not the alias.
    pub fn without_aliases(self) -> Disasm<'a> {
        Disasm { aliases: false, ..self }
    }
}

impl fmt::Display for Disasm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match decode(self.insn) {
            Some(decoded) if self.aliases => self.instruction(decoded.preferred(), f),
            Some(decoded) => self.instruction(decoded, f),
            None => write!(f, ".inst {:#010x}", self.insn),
        }
    }
}

impl Disasm<'_> {
    fn instruction(&self, decoded: Decoded, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(decoded.mnemonic())?;
        let mut separator = " ";
        for operand in decoded.operands() {
            if let Operand::Suffix(suffix) = operand {
                f.write_str(suffix)?;
                continue;
            }
            f.write_str(separator)?;
            separator = ", ";
            self.operand(operand, f)?;
        }
        Ok(())
    }

    fn operand(&self, operand: Operand, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match operand {
            Operand::Suffix(text) | Operand::Name(text) => f.write_str(text),
            Operand::Gpr { n, wide, sp } => gpr(f, n, wide, sp),
            Operand::Moved(n) => {
                gpr(f, n, true, false)?;
                f.write_str("!")
            }
            Operand::Fpr { n, size } => write!(f, "{}{n}", size.prefix()),
            Operand::Vector { n, shape } => {
                write!(f, "v{n}.")?;
                arrangement(f, shape)
            }
            Operand::Lane { n, element, index } => {
                write!(f, "v{n}.")?;
                lane(f, element)?;
                write!(f, "[{index}]")
            }
            Operand::List { first, count, shape } => list(f, first, count, |f| arrangement(f, shape)),
            Operand::LaneList { first, count, size, index } => {
                list(f, first, count, |f| f.write_char(size.prefix()))?;
                write!(f, "[{index}]")
            }
            Operand::Imm(value) => write!(f, "#{value}"),
            Operand::Hex(0) => f.write_str("#0"),
            Operand::Hex(value) => write!(f, "#{value:#x}"),
            Operand::ShiftedImm { value, amount: 0, .. } => write!(f, "#{value}"),
            Operand::ShiftedImm { value, kind, amount } => write!(f, "#{value}, {} #{amount}", kind.name()),
            Operand::Float8(imm8) => float(f, imm8),
            Operand::FloatZero => f.write_str("#0.0"),
            Operand::Shifted { kind, amount } => write!(f, "{} #{amount}", kind.name()),
            Operand::Extended { kind, amount: 0 } => f.write_str(kind.name()),
            Operand::Extended { kind, amount } => write!(f, "{} #{amount}", kind.name()),
            Operand::Cond(cond) => f.write_str(cond.name()),
            Operand::Label(offset) => self.address(self.pc.wrapping_add_signed(offset), f),
            Operand::Page(offset) => self.address((self.pc & !0xfff).wrapping_add_signed(offset), f),
            Operand::Memory { base, offset } => memory(f, base, offset),
            Operand::System(reg) => write!(f, "{reg}"),
            Operand::Control(n) => write!(f, "c{n}"),
        }
    }

    fn address(&self, address: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{address:#x}")?;
        match self.symboliser {
            Some(symboliser) => symboliser(address, f),
            None => Ok(()),
        }
    }
}

fn gpr(f: &mut dyn Write, n: u8, wide: bool, sp: bool) -> fmt::Result {
    match (n, wide, sp) {
        (31, true, true) => f.write_str("sp"),
        (31, false, true) => f.write_str("wsp"),
        (31, true, false) => f.write_str("xzr"),
        (31, false, false) => f.write_str("wzr"),
        (_, true, _) => write!(f, "x{n}"),
        (_, false, _) => write!(f, "w{n}"),
    }
}

fn arrangement(f: &mut dyn Write, shape: Arrangement) -> fmt::Result {
    write!(f, "{}{}", shape.lanes, shape.size.prefix())
}

fn lane(f: &mut dyn Write, element: Element) -> fmt::Result {
    match element {
        Element::One(size) => f.write_char(size.prefix()),
        Element::TwoB => f.write_str("2b"),
        Element::FourB => f.write_str("4b"),
        Element::TwoH => f.write_str("2h"),
    }
}

/// `{ v0.4s, v1.4s }`: registers wrap around after 31.
fn list(
    f: &mut fmt::Formatter<'_>,
    first: u8,
    count: u8,
    shape: impl Fn(&mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for i in 0..count {
        write!(f, "{}v{}.", if i == 0 { "{ " } else { ", " }, (first + i) & 31)?;
        shape(f)?;
    }
    f.write_str(" }")
}

/// The compact float: sign, three bits of exponent, four of fraction (C2.2.3). Its values are multiples of 1/128
/// up to 31, so eight decimals hold them exactly.
fn float(f: &mut dyn Write, imm8: u8) -> fmt::Result {
    let sign = if imm8 & 0x80 != 0 { "-" } else { "" };
    let exponent = u32::from(imm8 >> 4 & 7) ^ 4; // 0..7 for 2^-3 .. 2^4
    let in_128ths = u32::from(0x10 | imm8 & 0xf) << exponent;
    write!(f, "#{sign}{}.{:08}", in_128ths >> 7, (in_128ths & 0x7f) * 781_250)
}

fn memory(f: &mut dyn Write, base: u8, offset: Offset) -> fmt::Result {
    f.write_str("[")?;
    gpr(f, base, true, true)?;
    match offset {
        Offset::None => f.write_str("]"),
        Offset::Imm(imm) => write!(f, ", #{imm}]"),
        Offset::Pre(imm) => write!(f, ", #{imm}]!"),
        Offset::Post(imm) => write!(f, "], #{imm}"),
        Offset::PostReg(rm) => write!(f, "], x{rm}"),
        Offset::Moved => f.write_str("]!"),
        Offset::Index(index) => {
            f.write_str(", ")?;
            index_register(f, index)?;
            f.write_str("]")
        }
    }
}

fn index_register(f: &mut dyn Write, index: Index) -> fmt::Result {
    let Index { rm, extend, amount } = index;
    gpr(f, rm, matches!(extend, Extend::Uxtx | Extend::Sxtx), false)?;
    match (extend, amount) {
        (Extend::Uxtx, None) => Ok(()),
        (Extend::Uxtx, Some(amount)) => write!(f, ", lsl #{amount}"),
        (_, None) => write!(f, ", {}", extend.name()),
        (_, Some(amount)) => write!(f, ", {} #{amount}", extend.name()),
    }
}

#[cfg(test)]
mod tests;
