//! What of the linked kernel cannot be probed, and why: the whole list, from the image itself.
//!
//! The kernel decides at run time, word by word (`kernel/src/kprobes/place.rs`). The same questions are asked here, in the
//! same order, of every word of code, with the same crate `a64`:
//!
//! ```text
//!   a word of code ─▶ in a refused range?               boot, exception entry, noinstr, slots
//!                  ─▶ in no function?                   padding between functions, literals
//!                  ─▶ the BL or a literal of an entry?  ftrace's
//!                  ─▶ a branch on a static key?         jump_label's
//!                  ─▶ a64::classify                     a reason, or: it is stepped, or simulated
//!                  ─▶ in an exclusive region?           the loop would not end
//! ```
//!
//! A reason that nobody expected (`EXPECTED`) fails the check: then a compiler has begun to use an instruction that nobody has
//! thought of, and it is to be stepped, simulated, or added there. The functions `insn_*` are excepted: they are written by
//! hand to have one of each.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use a64::classify::exclusive;
use a64::{Class, Insn, Reason, classify};

use super::Findings;
use super::entries::Memory;
use crate::image::symbol;

/// Sections in which nothing is probed, and what they hold.
const REFUSED_SECTIONS: &[(&str, &str)] = &[
    (".head", "boot code"),
    (".vectors", "exception vectors"),
    (".entry", "exception entry and exit"),
    (".noinstr", "runs while a probe is being handled"),
    (".xol", "slots"),
    (".programs", "compiled programs"),
];

/// Why words of functions in `.text` may be refused. The last two are in the functions that are there to be probed
/// (`workload/insn`): what a compiler of this kernel has no use for.
const EXPECTED: &[Reason] = &[
    Reason::Exception,
    Reason::Exclusive,
    Reason::SystemWrite,
    Reason::ExceptionState,
    Reason::WaitForInterrupt,
    Reason::ProcessorState,
    Reason::VectorLiteral,
    Reason::UnknownHint,
];

/// How the names of functions begin that are written to have one of each instruction.
const BY_HAND: &str = "insn_";

/// What becomes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Stepped,
    Simulated,
    /// Refused, in these words.
    Refused(&'static str),
    /// Refused for a reason that was not foreseen.
    Unforeseen(&'static str),
}

/// Counts what becomes of each word of the ELF file `elf`.
pub fn check(elf: &[u8]) -> Result<Findings> {
    let file = object::File::parse(elf).context("the kernel is no ELF file")?;
    let image = Memory::of(&file)?;
    let mut found = Findings::default();
    for (name, what) in REFUSED_SECTIONS {
        let section = file.section_by_name(name).with_context(|| format!("the kernel has no {name}"))?;
        found.notes.push(format!("{:>9} words refused as a range: {name}, {what}", section.size() / 4));
    }
    let text = symbol(&file, "__text_start")?..symbol(&file, "__text_end")?;
    let ours = owned(&file, &image)?;
    let mut fates: BTreeMap<Fate, u64> = BTreeMap::new();
    let mut in_functions = 0;
    let mut functions: Vec<(u64, u64, bool)> = file
        .symbols()
        .filter(|s| s.is_definition() && s.kind() == SymbolKind::Text && text.contains(&s.address()))
        .map(|s| (s.address(), s.size(), s.name().is_ok_and(|name| name.starts_with(BY_HAND))))
        .collect();
    functions.sort_unstable();
    // Two names of one function.
    functions.dedup_by_key(|(start, ..)| *start);
    for (start, size, by_hand) in functions {
        let words: Vec<Insn> =
            (start..start + size).step_by(4).map_while(|at| image.u32(at)).map(Insn).collect();
        for (i, &insn) in words.iter().enumerate() {
            let owner = ours.get(&(start + 4 * i as u64)).copied();
            let fate = match fate(owner, insn, &words, i) {
                Fate::Unforeseen(why) if by_hand => Fate::Refused(why),
                fate => fate,
            };
            *fates.entry(fate).or_default() += 1;
        }
        in_functions += words.len() as u64;
    }
    let outside = (text.end - text.start) / 4 - in_functions;
    fates.insert(Fate::Refused("in no function: padding and literals between them"), outside);
    for (fate, count) in fates {
        let line = match fate {
            Fate::Stepped => format!("{count:>9} words of .text are executed from a slot"),
            Fate::Simulated => format!("{count:>9} words of .text are simulated"),
            Fate::Refused(why) => format!("{count:>9} words of .text are refused: {why}"),
            Fate::Unforeseen(why) => {
                found.wrong.push(format!("{count} words of .text are refused, as nobody foresaw: {why}"));
                continue;
            }
        };
        found.notes.push(line);
    }
    Ok(found)
}

/// What becomes of word `at` of the function `words`.
fn fate(owner: Option<&'static str>, insn: Insn, words: &[Insn], at: usize) -> Fate {
    if let Some(owner) = owner {
        return Fate::Refused(owner);
    }
    match classify(insn) {
        Class::Reject(reason) if EXPECTED.contains(&reason) => Fate::Refused(reason.text()),
        Class::Reject(reason) => Fate::Unforeseen(reason.text()),
        _ if exclusive::region_conflict(words, at) => {
            Fate::Refused("between a load-exclusive and its store-exclusive")
        }
        Class::Step { .. } => Fate::Stepped,
        Class::Simulate(_) => Fate::Simulated,
    }
}

/// The words that are changed by others: of patchable entries, where the BL goes, and branches on static keys.
fn owned(file: &object::File<'_>, image: &Memory<'_>) -> Result<BTreeMap<u64, &'static str>> {
    /// From the start of a site to the word that becomes a BL.
    const BL: u64 = 12;
    /// Bytes of an entry of the jump table, which begins with the distance from itself to its branch.
    const JUMP_ENTRY: usize = 16;
    let mut owned = BTreeMap::new();
    let table = symbol(file, "__patchable_function_entries_start")?
        ..symbol(file, "__patchable_function_entries_end")?;
    for at in table.step_by(8) {
        let site = image.u64(at).context("the list of entries lies outside the image")?;
        owned.insert(site + BL, "the word becomes a call when the function is traced");
    }
    let table = symbol(file, "__jump_table_start")?..symbol(file, "__jump_table_end")?;
    for at in table.step_by(JUMP_ENTRY) {
        let distance = image.u32(at).context("the jump table lies outside the image")?;
        let site = at.wrapping_add_signed(i64::from(distance.cast_signed()));
        owned.insert(site, "a branch on a static key");
    }
    Ok(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_its_fate() {
        let ldxr = Insn(0xc85f_7c20);
        let add = Insn(0x9100_0400);
        let stxr = Insn(0xc802_7c20);
        let words = [add, ldxr, add, stxr, a64::encode::ret(), a64::encode::brk(1), Insn(0xd65f_0bff)];
        let of = |at: usize| fate(None, words[at], &words, at);
        assert_eq!(of(0), Fate::Stepped);
        assert_eq!(of(1), Fate::Refused(Reason::Exclusive.text()));
        assert_eq!(of(2), Fate::Refused("between a load-exclusive and its store-exclusive"));
        assert_eq!(of(4), Fate::Simulated);
        assert_eq!(of(5), Fate::Refused(Reason::Exception.text()));
        // retaa: this kernel is compiled without.
        assert_eq!(of(6), Fate::Unforeseen(Reason::AuthBranch.text()));
        assert_eq!(fate(Some("mine"), add, &words, 0), Fate::Refused("mine"));
    }
}
