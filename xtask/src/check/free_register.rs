//! Proof that x9 is free where a function begins.
//!
//! A site that is ready starts with `mov x9, x30`, on every call, whether or not somebody traces. That is
//! allowed by the procedure call standard (AAPCS64 6.1.1: x9 is a scratch register and carries no argument),
//! but a compiler that knows both sides of a call need not keep to the standard. So the linked image is
//! read: from the entry of each patched function along every path, x9 must be written, or die at a call,
//! before it is read.
//!
//! ```text
//!                 ┌─ the caller's x9 ─┐
//!   entry ─▶ word ─▶ word ─┬─▶ …      │  a read on the way: wrong
//!                          └─▶ branch │  both ways are walked
//!   a write of x9, or a call ─────────┴▶ no longer the caller's; walked on, to know what else comes by
//! ```
//!
//! Two reads are no use of the caller's value. Where a result has parts that do not matter in every case (the
//! payload of another variant), compilers store whatever lies in the register: such a word is a store, and
//! another path comes by with an x9 that was written. And where a condition is known on a path that was folded
//! into another, `csel` names a register that it does not choose. A value that a caller passed would be read
//! as it came, by an instruction that computes with it.

use std::collections::BTreeSet;
use std::ops::Range;

use a64::{Insn, disasm};

/// What a word does to x9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Nothing.
    None,
    /// It is read.
    Read,
    /// It is stored, as it is.
    Stored,
    /// It is written, or a call may have written it.
    Written,
}

/// Where control goes behind a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Out of the function.
    Ends,
    /// To the next word.
    Next,
    /// To this address.
    Jump(u64),
    /// To the next word or to this address.
    Branch(u64),
}

/// The first address at which the function in `range` uses the x9 of its caller.
pub fn first_read(range: &Range<u64>, word: &dyn Fn(u64) -> Option<u32>) -> Option<u64> {
    // An address, and whether x9 is still the caller's when it is reached.
    let mut waiting = vec![(range.start, true)];
    let mut seen = BTreeSet::new();
    let mut stored = BTreeSet::new();
    while let Some((at, callers)) = waiting.pop() {
        if !range.contains(&at) || !seen.insert((at, callers)) {
            continue;
        }
        let Some(insn) = word(at) else { continue };
        let (used, flow) = judge(Insn(insn), at);
        match used {
            Use::Read if callers => return Some(at),
            Use::Stored if callers => drop(stored.insert(at)),
            _ => {}
        }
        let callers = callers && used != Use::Written;
        match flow {
            Flow::Ends => {}
            Flow::Next => waiting.push((at + 4, callers)),
            Flow::Jump(to) => waiting.push((to, callers)),
            Flow::Branch(to) => waiting.extend([(at + 4, callers), (to, callers)]),
        }
    }
    stored.into_iter().find(|at| !seen.contains(&(*at, false)))
}

/// Judges one word by its text, without aliases: `mnemonic first, second, …`.
fn judge(insn: Insn, at: u64) -> (Use, Flow) {
    let text = disasm::at(insn, at).without_aliases().to_string();
    let (mnemonic, operands) = text.split_once(' ').unwrap_or((&text, ""));
    let operands: Vec<&str> = operands.split(',').map(str::trim).collect();
    let target = || operands.last().and_then(|o| u64::from_str_radix(o.strip_prefix("0x")?, 16).ok());
    let flow = match mnemonic {
        "br" | "ret" | "eret" | "udf" | "brk" | "hlt" => Flow::Ends,
        "b" => target().map_or(Flow::Ends, Flow::Jump),
        "cbz" | "cbnz" | "tbz" | "tbnz" => target().map_or(Flow::Next, Flow::Branch),
        other if other.starts_with("b.") || other.starts_with("bc.") => {
            target().map_or(Flow::Next, Flow::Branch)
        }
        _ => Flow::Next,
    };
    let written = written(mnemonic);
    let (to, from) = operands.split_at(written.min(operands.len()));
    let read = from.iter().any(|operand| names_x9(operand));
    let address = from.iter().skip_while(|operand| !operand.contains('[')).any(|operand| names_x9(operand));
    // The one that is chosen is written, and the other may be anything.
    let read = read && mnemonic != "csel";
    let used = if read && mnemonic.starts_with("st") && written == 0 && !address {
        Use::Stored
    } else if read {
        Use::Read
    } else if to.iter().any(|operand| names_x9(operand)) {
        if changes_in_place(mnemonic) { Use::Read } else { Use::Written }
    } else if matches!(mnemonic, "bl" | "blr") {
        Use::Written
    } else {
        Use::None
    };
    (used, flow)
}

/// How many of the first operands are written and not read.
fn written(mnemonic: &str) -> usize {
    let is = |names: &[&str]| names.iter().any(|name| mnemonic.starts_with(name));
    if is(&["ldp", "ldnp", "ldxp", "ldaxp"]) {
        2
    } else if is(&["stxr", "stlxr", "stxp", "stlxp"]) {
        // The status; the registers behind it are stored.
        1
    } else if is(&[
        "st", "cb", "tb", "br", "blr", "ret", "b.", "bc.", "msr", "prfm", "ccm", "sys", "dc", "ic",
    ]) || is(&["tlbi", "at", "hint", "cas", "swp"])
        || is_atomic(mnemonic)
    {
        0
    } else {
        1
    }
}

/// `ldadd`, `ldclr`, … take their first register and load into their second.
fn is_atomic(mnemonic: &str) -> bool {
    ["ldadd", "ldclr", "ldeor", "ldset", "ldsmax", "ldsmin", "ldumax", "ldumin"]
        .iter()
        .any(|name| mnemonic.starts_with(name))
}

/// Instructions that keep a part of the register that they write.
fn changes_in_place(mnemonic: &str) -> bool {
    matches!(mnemonic, "movk" | "bfm")
}

/// Whether an operand names x9 or its lower half, alone or within an address.
fn names_x9(operand: &str) -> bool {
    operand.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "x9" || word == "w9")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// mov x9, x30
    const WRITE: u32 = 0xaa1e_03e9;
    /// str x9, [x0]
    const STORE: u32 = 0xf900_0009;
    const RET: u32 = 0xd65f_03c0;

    /// Walks the words as a function at 0x1000.
    fn reads(words: &[u32]) -> Option<u64> {
        let range = 0x1000..0x1000 + 4 * words.len() as u64;
        first_read(&range, &|at| words.get(((at - 0x1000) / 4) as usize).copied())
    }

    #[test]
    fn a_read_before_a_write_is_found() {
        // add x0, x9, #1
        assert_eq!(reads(&[0x9100_0520]), Some(0x1000));
        // nop; str x9, [x0]
        assert_eq!(reads(&[0xd503_201f, 0xf900_0009]), Some(0x1004));
        // movk x9, #1 keeps the rest of it
        assert_eq!(reads(&[0xf280_0029]), Some(0x1000));
        // ldr x0, [x9]; cbz x9, .; ldadd x9, x0, [x1]
        for word in [0xf940_0120, 0xb400_0009, 0xf829_0020] {
            assert_eq!(reads(&[word]), Some(0x1000), "{word:#x}");
        }
    }

    #[test]
    fn a_write_ends_the_path() {
        // mov x9, x30; add x0, x9, #1
        assert_eq!(reads(&[0xaa1e_03e9, 0x9100_0520]), None);
        // ldr x9, [x0]; ldp x8, x9, [x0]; mrs x9, tpidr_el1; adrp x9
        for word in [0xf940_0009, 0xa940_2408, 0xd538_d089, 0x9000_0009] {
            assert_eq!(reads(&[word, 0x9100_0520]), None, "{word:#x}");
        }
        // bl: the callee may have written it
        assert_eq!(reads(&[0x9400_0001, 0x9100_0520]), None);
    }

    /// The unused part of a result: `cbz x0, +8; mov x9, x30; str x9, [x0]; ret`.
    #[test]
    fn a_store_where_a_written_value_comes_by_too_is_none() {
        assert_eq!(reads(&[0xb400_0040, WRITE, STORE, RET]), None);
        // As an address it is used: str x1, [x9].
        assert_eq!(reads(&[0xb400_0040, WRITE, 0xf900_0121, RET]), Some(0x1008));
        // Nobody else comes by.
        assert_eq!(reads(&[0xb400_0040, RET, STORE, RET]), Some(0x1008));
    }

    #[test]
    fn what_is_not_chosen_is_not_used() {
        // csel x9, x2, x9, eq; cbnz x9, .
        assert_eq!(reads(&[0x9a89_0049, 0xb500_0009, RET]), None);
        // csel x0, x2, x9, eq leaves x9 as it was; cbnz x9, .
        assert_eq!(reads(&[0x9a89_0040, 0xb500_0009, RET]), Some(0x1004));
        // csinc x9, x2, x9, eq computes with it
        assert_eq!(reads(&[0x9a89_0449, RET]), Some(0x1000));
    }

    #[test]
    fn both_ways_of_a_branch_are_walked() {
        // cbz x0, +8; ret; add x0, x9, #1
        assert_eq!(reads(&[0xb400_0040, 0xd65f_03c0, 0x9100_0520]), Some(0x1008));
        // b +8; add x0, x9, #1; ret
        assert_eq!(reads(&[0x1400_0002, 0x9100_0520, 0xd65f_03c0]), None);
        // b.eq -4 (a loop) and out of the function
        assert_eq!(reads(&[0xd503_201f, 0x54ff_ffe0, 0xd65f_03c0]), None);
        assert_eq!(reads(&[0x1400_0100]), None);
    }
}
