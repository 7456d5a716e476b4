//! Which instruction is this word, and what are its operands?
//!
//! The tables below this module are the encoding index of the Arm ARM (C4.1) in its own shape: a word's
//! top-level group (bits 28..25) has `Section`s, one for each table of the index, and a section has `Row`s,
//! one for each instruction. A row is a picture of the word, a mnemonic and the operands in assembly order:
//!
//! ```text
//!   row("s 0 0 100010 h iiiiiiiiiiii nnnnn ddddd", "add", &[Rsp(D), Rsp(N), AddImm])
//!        │ │ │ └ fixed bits are written 0 and 1; any other character is a bit of a field, blanks are nothing
//! ```
//!
//! What a picture cannot say (a bit mask that has no meaning, a size that an operation does not have) is the
//! row's `Rule`. A word that matches no row is not allocated. Fields that the manual prints in parentheses,
//! "should be zero" or "should be one", are taken as fixed: what another value does is constrained, but not known.
//!
//! A section also has aliases: rows that only give another text to a word that a row already owns, as
//! `mov x0, x1` is the text of `orr x0, xzr, x1`. The first alias that matches is the one preferred.
//!
//! SVE and SME are known as groups only.

mod atomic;
mod branch;
mod fp;
mod immediate;
mod load_store;
mod op;
mod operand;
mod register;
mod resolve;
mod resolve_vector;
mod rules;
mod sysop;
mod system;
mod vector;

use vector::{crypto, different, immediate as immediate_vector, misc, permute, same, scalar, structures};

pub use operand::{Arrangement, Element, Extend, FpSize, Index, Offset, Operand, Shift};

use crate::insn::Insn;
use op::Op;

/// The top-level group of a word (C4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Reserved: `udf` and nothing else.
    Reserved,
    /// Scalable matrix extension.
    Sme,
    /// Scalable vector extension.
    Sve,
    /// No instruction.
    Unallocated,
    /// Data processing with an immediate.
    Immediate,
    /// Branches, exception generation and system instructions.
    BranchSystem,
    /// Loads and stores.
    LoadStore,
    /// Data processing with registers.
    Register,
    /// Scalar floating point and vectors.
    Vector,
}

impl Group {
    /// The group of a word, by bits 28..25 and, for the reserved group, bit 31.
    pub const fn of(insn: Insn) -> Group {
        match insn.field(25, 4) {
            0b0000 if insn.bit(31) => Group::Sme,
            0b0000 => Group::Reserved,
            0b0010 => Group::Sve,
            0b0001 | 0b0011 => Group::Unallocated,
            0b1000 | 0b1001 => Group::Immediate,
            0b1010 | 0b1011 => Group::BranchSystem,
            0b0101 | 0b1101 => Group::Register,
            0b0111 | 0b1111 => Group::Vector,
            _ => Group::LoadStore,
        }
    }

    fn sections(self) -> &'static [&'static [Section]] {
        match self {
            Group::Reserved => &[branch::RESERVED],
            Group::Sme | Group::Sve | Group::Unallocated => &[],
            Group::Immediate => &[immediate::SECTIONS],
            Group::BranchSystem => &[branch::SECTIONS, system::SECTIONS],
            Group::LoadStore => &[load_store::SECTIONS, atomic::SECTIONS, structures::SECTIONS],
            Group::Register => &[register::SECTIONS],
            Group::Vector => &[
                fp::SECTIONS,
                same::SECTIONS,
                different::SECTIONS,
                misc::SECTIONS,
                immediate_vector::SECTIONS,
                permute::SECTIONS,
                scalar::SECTIONS,
                crypto::SECTIONS,
            ],
        }
    }
}

/// What a row asks beyond its picture.
#[derive(Clone, Copy)]
enum Rule {
    /// Nothing.
    Any,
    /// A condition on the word.
    When(fn(Insn) -> bool),
    /// A vector shape: bit `size:Q` (bits 23..22 and 30) of the mask must be set.
    SizeQ(u8),
    /// A scalar size: bit `size` (bits 23..22) of the mask must be set.
    Size(u8),
}

/// A picture of a word: which bits are fixed, and to what.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Picture {
    mask: u32,
    bits: u32,
}

impl Picture {
    /// Reads a picture. One that has not 32 bits does not compile, the tables being constants.
    const fn of(text: &str) -> Picture {
        let text = text.as_bytes();
        let (mut mask, mut bits, mut count, mut i) = (0u32, 0u32, 0, 0);
        while i < text.len() {
            if text[i] != b' ' {
                mask = mask << 1 | (text[i] == b'0' || text[i] == b'1') as u32;
                bits = bits << 1 | (text[i] == b'1') as u32;
                count += 1;
            }
            i += 1;
        }
        assert!(count == 32, "a picture has 32 bits");
        Picture { mask, bits }
    }

    const fn fits(self, insn: Insn) -> bool {
        insn.matches(self.mask, self.bits)
    }
}

/// One instruction of the index.
#[derive(Clone, Copy)]
struct Row {
    picture: Picture,
    mnemonic: &'static str,
    operands: &'static [Op],
    rule: Rule,
}

const fn row(picture: &str, mnemonic: &'static str, operands: &'static [Op]) -> Row {
    Row { picture: Picture::of(picture), mnemonic, operands, rule: Rule::Any }
}

impl Row {
    const fn when(self, condition: fn(Insn) -> bool) -> Row {
        Row { rule: Rule::When(condition), ..self }
    }

    const fn size_q(self, shapes: u8) -> Row {
        Row { rule: Rule::SizeQ(shapes), ..self }
    }

    const fn size(self, sizes: u8) -> Row {
        Row { rule: Rule::Size(sizes), ..self }
    }

    fn fits(&self, insn: Insn) -> bool {
        self.picture.fits(insn)
            && match self.rule {
                Rule::Any => true,
                Rule::When(condition) => condition(insn),
                Rule::SizeQ(shapes) => shapes >> (insn.field(22, 2) << 1 | insn.field(30, 1)) & 1 != 0,
                Rule::Size(sizes) => sizes >> insn.field(22, 2) & 1 != 0,
            }
    }
}

/// One table of the index.
struct Section {
    title: &'static str,
    picture: Picture,
    rows: &'static [Row],
    aliases: &'static [Row],
}

const fn section(title: &'static str, picture: &str, rows: &'static [Row]) -> Section {
    Section { title, picture: Picture::of(picture), rows, aliases: &[] }
}

impl Section {
    const fn aliases(self, aliases: &'static [Row]) -> Section {
        Section { aliases, ..self }
    }
}

/// A word and the row of the index that it is.
#[derive(Clone, Copy)]
pub struct Decoded {
    insn: Insn,
    section: &'static Section,
    row: &'static Row,
}

/// Finds the instruction that `insn` is; `None` where it is not allocated, and for SVE and SME.
pub fn decode(insn: Insn) -> Option<Decoded> {
    for section in Group::of(insn).sections().iter().copied().flatten() {
        if section.picture.fits(insn)
            && let Some(row) = section.rows.iter().find(|row| row.fits(insn))
        {
            return Some(Decoded { insn, section, row });
        }
    }
    None
}

impl Decoded {
    /// The word.
    pub const fn insn(&self) -> Insn {
        self.insn
    }

    /// The architecture's mnemonic, no alias.
    pub const fn mnemonic(&self) -> &'static str {
        self.row.mnemonic
    }

    /// The table of the index that the instruction is in.
    pub const fn section(&self) -> &'static str {
        self.section.title
    }

    /// The operands, in assembly order. What has no text (a shift by nothing) is left out.
    pub fn operands(&self) -> impl Iterator<Item = Operand> {
        let insn = self.insn;
        self.row.operands.iter().filter_map(move |op| resolve::resolve(*op, insn))
    }

    /// The same word under the name that readers expect: `mov` for an `orr` with the zero register. Without an
    /// alias it is the instruction itself.
    pub fn preferred(self) -> Decoded {
        match self.section.aliases.iter().find(|alias| alias.fits(self.insn)) {
            Some(row) => Decoded { row, ..self },
            None => self,
        }
    }
}

#[cfg(test)]
mod tests;
