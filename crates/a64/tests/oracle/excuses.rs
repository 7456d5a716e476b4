//! Where the oracle is known to differ, and why.
//!
//! Its decoder looks at the fixed bits of each instruction and leaves operands for the printer to judge, so it
//! decodes words whose operands are reserved. [`reserved`] says for each of its classes which these are, written
//! from the manual and not from our tables. The comparison asks it in both directions: such a word must be one
//! that we refuse, and every other word that we refuse and the oracle knows is an error.
//!
//! Vector classes have too many reserved shapes to be listed twice; there only "what we know, it knows under the
//! same name" is compared, and `tests/llvm` has samples of both kinds.

use a64::Insn;

/// Is this word, of a class of the oracle, reserved by the manual? `None`: not said here.
pub(crate) fn reserved(insn: Insn, mnemonic: &str, class: &str) -> Option<bool> {
    let wide = insn.bit(31);
    let size = insn.field(30, 2);
    let ftype_reserved = insn.field(22, 2) == 2;
    Some(match class {
        // C4.1.92: bit 23 set is "with tags" and "min/max".
        "ADDSUB_IMM" if mnemonic.ends_with('g') => insn.field(14, 2) != 0,
        "ADDSUB_IMM" => insn.bit(23),
        "LOG_IMM" => mask_reserved(insn),
        "MOVEWIDE" => !wide && insn.bit(22),
        "BITFIELD" => wide != insn.bit(22) || !wide && (insn.bit(21) || insn.bit(15)),
        "EXTRACT" => wide != insn.bit(22) || !wide && insn.bit(15),
        // C4.1.95: amounts up to the width, ror for logic only, extensions by at most 4.
        "LOG_SHIFT" => !wide && insn.bit(15),
        "ADDSUB_SHIFT" => insn.field(22, 2) == 3 || !wide && insn.bit(15),
        "ADDSUB_EXT" => insn.field(22, 2) != 0 || insn.field(10, 3) > 4,
        // C4.1.93.11: op0 is 2 or 3; pairs start at an even register.
        "IC_SYSTEM" => match mnemonic {
            "mrs" => insn.field(19, 2) < 2,
            "msr" => insn.field(19, 2) == 1 || insn.field(19, 2) == 0 && field_reserved(insn),
            "mrrs" | "msrr" => insn.bit(0),
            "sysp" => insn.bit(0) && insn.rd() != 31,
            _ => return None,
        },
        // C4.1.93.10: SVCR's SM, ZA or both.
        "SME_START" | "SME_STOP" => !matches!(insn.field(9, 3), 1..=3),
        // C4.1.94: extension from a word or not at all; quads only with size 0.
        "LDST_REGOFF" => !insn.bit(14) || quad_reserved(insn),
        "LDST_POS" | "LDST_IMM9" | "LDST_UNSCALED" => quad_reserved(insn),
        "LOADLIT" => insn.bit(26) && size == 3,
        "LSE_ATOMIC" if mnemonic.starts_with("casp") => insn.bit(0) || insn.bit(16),
        "LSE_ATOMIC" if mnemonic.contains("64b") => insn.bit(0) || insn.rd() > 22,
        "THE" if mnemonic.contains("casp") => insn.bit(0) || insn.bit(16),
        "RCPC3" => match mnemonic {
            "ldapr" | "stlr" | "ldiapp" | "stilp" => !wide,
            "ldapur" | "stlur" => insn.bit(23) && size != 0,
            // Not size and Q, as the oracle's mask has it, but one element of 64 bits.
            _ => false,
        },
        // C4.1.96: ftype 2 is no size; fixed-point conversions of W have at most 32 bits of fraction.
        "FLOAT2FIX" => ftype_reserved || !wide && !insn.bit(15),
        "FLOATDP1" if mnemonic == "fcvt" => {
            let to = insn.field(15, 2);
            ftype_reserved || to == 2 || to == insn.field(22, 2)
        }
        "FLOATDP1" | "FLOATDP2" | "FLOATDP3" | "FLOATCMP" | "FLOATCCMP" | "FLOATSEL" | "FLOATIMM" => {
            float_reserved(insn)
        }
        "FLOAT2INT" if mnemonic == "fmov" => match insn.field(22, 2) {
            0 => wide,
            1 => !wide,
            2 => insn.field(19, 2) != 1 || !wide,
            _ => false,
        },
        "FLOAT2INT" => ftype_reserved,
        _ => return None,
    })
}

/// C4.1.93.10: `msr` (immediate) names a field by op1 and op2, and Rt is 31; ALLINT and PM take one bit.
fn field_reserved(insn: Insn) -> bool {
    let (op1, crn, crm, op2) = (insn.field(16, 3), insn.field(12, 4), insn.field(8, 4), insn.field(5, 3));
    let known = match (op1, op2) {
        (0, 3..=5) | (3, 1 | 2 | 4 | 6 | 7) => true,
        (1, 0) => crm < 4,
        _ => false,
    };
    crn != 4 || insn.rd() != 31 || !known
}

/// A comparison with zero has no Rm, and ftype is a size.
fn float_reserved(insn: Insn) -> bool {
    insn.field(22, 2) == 2 || (insn.matches(0xff20_fc0f, 0x1e20_2008) && insn.rm() != 0)
}

/// A vector register with opc<1> set is a quad, whose size is 0.
fn quad_reserved(insn: Insn) -> bool {
    insn.bit(26) && insn.bit(23) && insn.field(30, 2) != 0
}

/// C6.2, DecodeBitMasks: imms says the size of the element by its leading ones; all ones is reserved.
fn mask_reserved(insn: Insn) -> bool {
    let (wide, n, imms) = (insn.bit(31), insn.bit(22), insn.field(10, 6));
    if n {
        return !wide || imms == 0b111111;
    }
    match imms {
        0b000000..=0b011111 => imms == 0b011111,
        0b100000..=0b101111 => imms == 0b101111,
        0b110000..=0b110111 => imms == 0b110111,
        0b111000..=0b111011 => imms == 0b111011,
        0b111100..=0b111101 => imms == 0b111101,
        _ => true,
    }
}

/// Extensions that came after those we decode. Such words are refused, by [`a64::Reason::Unallocated`].
pub(crate) fn later(mnemonic: &str, class: &str) -> bool {
    let mnemonics = ["tchangeb", "tchangef", "tenter", "texit"];
    let classes = ["LUT", "FPRCVTFLOAT2INT", "FPRCVTINT2FLOAT"];
    mnemonics.contains(&mnemonic) || mnemonic.starts_with("setgo") || classes.contains(&class)
}

/// A class of vector instructions.
pub(crate) fn vector(class: &str) -> bool {
    ["ASIMD", "ASISD", "DOTPRODUCT", "BFLOAT16", "CRYPTO"].iter().any(|prefix| class.starts_with(prefix))
}

/// FEAT_PAuth_LR, which the oracle's tables do not have.
pub(crate) fn only_we(name: &str) -> bool {
    ["autiasppc", "autibsppc", "retaasppc", "retabsppc", "retaasppcr", "retabsppcr"].contains(&name)
}

/// Names that differ though the instruction is the same.
pub(crate) fn same_name(ours: &str, theirs: &str, class: &str) -> bool {
    match theirs {
        // The condition is an operand there.
        "b.c" => ours.starts_with("b."),
        "bc.c" => ours.starts_with("bc."),
        // Named hints are aliases there.
        "hint" => HINTS.contains(&ours),
        // Named operations of the guarded control stack are rows there.
        _ if theirs.starts_with("gcs") && theirs != "gcsstr" && theirs != "gcssttr" => {
            ours.starts_with("sys")
        }
        "smstart" | "smstop" => ours == "msr",
        // One row for all of one shape there.
        "ld4" | "ld4r" | "st4" if class.starts_with("ASISDL") => ours.get(..2) == theirs.get(..2),
        _ => ours == theirs,
    }
}

const HINTS: [&str; 31] = [
    "hint",
    "nop",
    "yield",
    "wfe",
    "wfi",
    "sev",
    "sevl",
    "dgh",
    "xpaclri",
    "pacia1716",
    "pacib1716",
    "autia1716",
    "autib1716",
    "esb",
    "psb",
    "tsb",
    "gcsb",
    "csdb",
    "clrbhb",
    "paciaz",
    "paciasp",
    "pacibz",
    "pacibsp",
    "autiaz",
    "autiasp",
    "autibz",
    "autibsp",
    "bti",
    "pacm",
    "chkfeat",
    "stshh",
];
