//! Proof that what stands between a traced function and its callback is not traced itself.
//!
//! ```text
//!   site ─▶ ftrace_caller ─▶ (ops.entry) ─▶ guard: recursion bit taken ─▶ callback
//!           └───── none of this may have a patchable entry ──────┘
//! ```
//!
//! A callback may call what is traced: the bit is taken then, and such a call is counted as a miss. But whoever is called
//! before that, or where there is no such bit, would be entered again from its own entry, without end. So every
//! direct branch and call is followed in the linked image, from the trampolines and from each function that an ops can name
//! as its entry, and none may lead to a function with an entry. Ways that end in a panic are left out: the machine ends there.
//!
//! Calls through a register are callbacks, clocks and the scheduler's slot; the first are what this is about, and the others
//! are marked where they are defined.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use object::{Object, ObjectSymbol, SymbolKind};

use super::Findings;
use super::entries::{self, Memory, PREFIX};
use crate::symbols::readable;

/// Where a traced function's branch, or a hooked return, leads, and what an ops can name as its entry.
const WAYS_IN: &[&str] = &[
    "ftrace_caller",
    "ftrace_direct_caller",
    "return_trampoline",
    "ftrace::ops::guarded",
    "ftrace::ops::both",
    "ftrace::ops::each",
    "ftrace::graph::enter",
    "ftrace::graph::enter_with_others",
    "trace::functions::plain",
    "trace::functions::argued",
    "bpf::attach::trampoline::hit::enter",
    "bpf::attach::trampoline::hit::enter_around",
    "bpf::attach::trampoline::hit::leave",
];
/// Nothing returns from there.
const ENDS: &str = "core::panicking::";

/// A function of the image.
struct Function {
    name: String,
    size: u64,
}

/// Checks the ELF file `elf`.
pub fn check(elf: &[u8]) -> Result<Findings> {
    let file = object::File::parse(elf).context("the kernel is no ELF file")?;
    let image = Memory::of(&file)?;
    let traced = entries::sites(&file)?.into_iter().map(|site| site + PREFIX).collect();
    let functions = file
        .symbols()
        .filter(|s| s.is_definition() && s.kind() == SymbolKind::Text)
        .filter_map(|s| Some((s.address(), Function { name: readable(s.name().ok()?), size: s.size() })))
        .collect();
    Ok(judge(&functions, &traced, WAYS_IN, &|at| image.u32(at)))
}

fn judge(
    functions: &BTreeMap<u64, Function>,
    traced: &BTreeSet<u64>,
    ways_in: &[&str],
    word: &dyn Fn(u64) -> Option<u32>,
) -> Findings {
    let mut found = Findings::default();
    let mut seen = BTreeSet::new();
    let mut waiting = Vec::new();
    for way in ways_in {
        match functions.iter().find(|(_, function)| function.name == *way) {
            Some((start, _)) => waiting.push((*start, (*way).to_owned())),
            None => found.wrong.push(format!("there is no `{way}`, which calls callbacks")),
        }
    }
    while let Some((start, path)) = waiting.pop() {
        let Some(function) = functions.get(&start) else { continue };
        if !seen.insert(start) || function.name.starts_with(ENDS) {
            continue;
        }
        if traced.contains(&start) {
            found.wrong.push(format!("it is traced itself, and called before the guard: {path}"));
            continue;
        }
        for at in (start..start + function.size).step_by(4) {
            let Some(to) = word(at).and_then(|word| target(word, at)) else { continue };
            if let Some((callee, to)) = functions.range(..=to).next_back()
                && *callee != start
            {
                waiting.push((*callee, format!("{path} > {}", to.name)));
            }
        }
    }
    found.notes.push(format!("{} ways in reach {} functions", ways_in.len(), seen.len()));
    found
}

/// Where a direct branch leads (Arm ARM C4.1, branches).
fn target(word: u32, at: u64) -> Option<u64> {
    // Where the number of words begins, and how many bits it has.
    let (shift, bits) = match word {
        _ if word & 0x7c00_0000 == 0x1400_0000 => (0, 26),
        _ if word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 => (5, 19),
        _ if word & 0x7e00_0000 == 0x3600_0000 => (5, 14),
        _ => return None,
    };
    let words = i64::from((word << (32 - shift - bits)) as i32 >> (32 - bits));
    Some(at.wrapping_add_signed(4 * words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        for (word, to) in [
            (0x9400_0001, Some(0x1004)),
            (0x17ff_ffff, Some(0xffc)),
            (0x5400_0040, Some(0x1008)),
            (0xb4ff_ffe9, Some(0xffc)),
            (0x3700_0040, Some(0x1008)),
            (0xd63f_0160, None),
            (0xd503_201f, None),
        ] {
            assert_eq!(target(word, 0x1000), to, "{word:#x}");
        }
    }

    #[test]
    fn what_is_reached_must_not_be_traced() {
        let functions: BTreeMap<u64, Function> =
            [(0x1000, "way"), (0x1010, "between"), (0x1020, "core::panicking::panic"), (0x1030, "traced")]
                .map(|(at, name)| (at, Function { name: name.to_owned(), size: 16 }))
                .into();
        let traced = BTreeSet::from([0x1030]);
        // way > between > traced, and way > panic > traced
        let word = |at| {
            Some(match at {
                0x1000 => 0x9400_0004,
                0x1004 => 0x9400_0007,
                0x1014 => 0x1400_0007,
                0x1020 => 0x9400_0004,
                _ => 0xd503_201f,
            })
        };
        let wrong = |ways: &[&str]| judge(&functions, &traced, ways, &word).wrong;
        assert_eq!(
            wrong(&["way"]),
            ["it is traced itself, and called before the guard: way > between > traced"]
        );
        assert!(wrong(&["core::panicking::panic"]).is_empty());
        assert_eq!(wrong(&["nobody"]).len(), 1);
    }
}
