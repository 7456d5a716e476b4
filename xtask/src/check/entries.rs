//! Patchable entries of the linked kernel: the wall between what is traced and what traces.
//!
//! The compiler puts two NOPs before and two behind the symbol of every function of the `kernel` crate,
//! and lists where, in `__patchable_function_entries`:
//!
//! ```text
//!   symbol − 8   nop   ◀── the list points here; becomes the 8-byte literal, so it has to be aligned
//!          − 4   nop
//!   symbol       nop
//!          + 4   nop
//! ```
//!
//! What a probe runs lies in crates below (`a64`, `tracecore`), which are compiled without entries. A generic
//! or inlinable function of theirs can still end up in the kernel crate, with an entry, and then a tracer
//! could trace itself without end. So nothing whose path begins in one of these crates may have an entry,
//! and nothing outside `.text` (exception entry, `noinstr` code, boot code) either. Generics of the standard
//! library are counted: they are shared by both sides, and the recursion guards of the hooks deal with them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::{Findings, free_register};
use crate::image::symbol;
use crate::symbols::readable;

/// Crates whose code runs inside probes.
const PROBE_CRATES: &[&str] = &["a64", "tracecore"];
/// What is made for people to read, never inside a probe. It is derived, and so compiled where it is used.
const TEXT_TRAITS: &[&str] = &["_as_core::fmt::Debug>::fmt"];
/// `nop`
const NOP: u32 = 0xd503_201f;
/// From the first NOP to the symbol.
pub(crate) const PREFIX: u64 = 8;
/// From the symbol to the first instruction that belongs to the function.
pub(crate) const SUFFIX: u64 = 8;

/// Checks the entries of the ELF file `elf`.
pub fn check(elf: &[u8]) -> Result<Findings> {
    let file = object::File::parse(elf).context("the kernel is no ELF file")?;
    let image = Memory::of(&file)?;
    let sites = sites(&file)?;
    ensure!(!sites.is_empty(), "the kernel has no patchable entries: it was built without the flag");
    let text = symbol(&file, "__text_start")?..symbol(&file, "__text_end")?;
    let functions: BTreeMap<u64, Function<'_>> = file
        .symbols()
        .filter(|s| s.is_definition() && s.kind() == SymbolKind::Text)
        .filter_map(|s| Some((s.address(), Function { raw: s.name().ok()?, size: s.size() })))
        .collect();
    Ok(judge(&sites, &text, &functions, &|at| image.u32(at)))
}

/// Where the first NOP of each entry is.
pub(crate) fn sites(file: &object::File<'_>) -> Result<Vec<u64>> {
    let image = Memory::of(file)?;
    let start = symbol(file, "__patchable_function_entries_start")?;
    let end = symbol(file, "__patchable_function_entries_end")?;
    (start..end)
        .step_by(8)
        .map(|at| image.u64(at).context("the list of entries lies outside the image"))
        .collect()
}

/// What the symbol table says of a function.
#[derive(Clone, Copy, Debug)]
struct Function<'a> {
    raw: &'a str,
    size: u64,
}

/// Judges each site; `word` reads the image.
fn judge(
    sites: &[u64],
    text: &std::ops::Range<u64>,
    functions: &BTreeMap<u64, Function<'_>>,
    word: &dyn Fn(u64) -> Option<u32>,
) -> Findings {
    let mut found = Findings::default();
    let mut by_crate: BTreeMap<String, u32> = BTreeMap::new();
    for site in sites {
        let entry = site + PREFIX;
        let Some(&Function { raw, size }) = functions.get(&entry) else {
            found.wrong.push(format!("the entry at {entry:#x} begins no function"));
            continue;
        };
        let name = readable(raw);
        if !text.contains(site) {
            found.wrong.push(format!("{name} has an entry outside .text"));
        }
        if site % PREFIX != 0 {
            found.wrong.push(format!("the literal of {name} at {site:#x} is not aligned to {PREFIX}"));
        }
        if (0..4).any(|i| word(site + 4 * i) != Some(NOP)) {
            found.wrong.push(format!("{name} has no four NOPs at {site:#x}"));
        }
        if let Some(at) = free_register::first_read(&(entry..entry + size), word) {
            found
                .wrong
                .push(format!("{name} reads at {at:#x} the x9 of its caller, which its entry overwrites"));
        }
        let home = home_crate(raw).unwrap_or("kernel");
        if PROBE_CRATES.contains(&home) && !TEXT_TRAITS.iter().any(|t| name.ends_with(t)) {
            found
                .wrong
                .push(format!("{name} runs inside probes and has an entry: keep it out of the kernel crate"));
        }
        *by_crate.entry(home.to_owned()).or_default() += 1;
    }
    let shares: Vec<String> = by_crate.iter().map(|(name, n)| format!("{name} {n}")).collect();
    found.notes.push(format!("{} entries: {}", sites.len(), shares.join(", ")));
    found
}

/// The crate that a mangled (v0) name is defined in: the first crate root in it. For an `impl` that is
/// the crate of the `impl` itself, which stands before the type and the trait.
fn home_crate(raw: &str) -> Option<&str> {
    let mut rest = raw.strip_prefix("_R")?;
    loop {
        let tag = rest.chars().next()?;
        rest = &rest[tag.len_utf8()..];
        match tag {
            // A crate root: perhaps a disambiguator, then the name with its length.
            'C' => {
                if rest.starts_with('s') {
                    rest = rest.split_once('_')?.1;
                }
                let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let len: usize = rest[..digits].parse().ok()?;
                let name = &rest[digits..];
                return name.strip_prefix('_').unwrap_or(name).get(..len);
            }
            // A path in a namespace, which has a letter of its own.
            'N' => rest = rest.get(1..)?,
            // The disambiguator of an `impl`.
            's' => rest = rest.split_once('_')?.1,
            _ => {}
        }
    }
}

/// The bytes of the linked image by address.
pub(super) struct Memory<'a> {
    pieces: Vec<(u64, &'a [u8])>,
}

impl<'a> Memory<'a> {
    pub(super) fn of(file: &object::File<'a>) -> Result<Self> {
        let sections = file.sections().filter(|s| s.address() != 0);
        let pieces = sections.map(|s| Ok((s.address(), s.data()?))).collect::<Result<_>>()?;
        Ok(Self { pieces })
    }

    fn bytes<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        self.pieces.iter().find_map(|(start, bytes)| {
            let offset = usize::try_from(at.checked_sub(*start)?).ok()?;
            bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
        })
    }

    pub(super) fn u32(&self, at: u64) -> Option<u32> {
        self.bytes(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, at: u64) -> Option<u64> {
        self.bytes(at).map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_of_a_function_is_found() {
        for (raw, home) in [
            ("_RNvCse9BidahS8i9_6kernel11kernel_main", Some("kernel")),
            ("_RNvMNtCse9BidahS8i9_6kernel4bootNtB2_8BootInfo3arg", Some("kernel")),
            ("_RNvMs1_NtNtCs3g5Gb6bJpu0_4core3fmt8buildersNtB5_11DebugStruct5field", Some("core")),
            (
                "_RINvMs2_NtCs20IxFvyrGf0_4spin4onceINtB6_4OnceNtNtCse9BidahS8i9_6kernel4boot8BootInfoE4callEBL_",
                Some("spin"),
            ),
            ("work_add", None),
            ("_R", None),
        ] {
            assert_eq!(home_crate(raw), home, "{raw}");
        }
    }

    #[test]
    fn each_rule_is_kept() {
        let function = |(at, raw)| (at, Function { raw, size: 16 });
        let functions = BTreeMap::from(
            [
                (0x1008, "_RNvC6kernel1f"),
                (0x1028, "_RNvC9tracecore1g"),
                (0x103c, "_RNvC6kernel1h"),
                (0x3008, "_RNvC6kernel1i"),
                (0x1048, "_RNvC6kernel1j"),
                (0x1068, "_RNvC6kernel1k"),
            ]
            .map(function),
        );
        let text = 0x1000..0x2000;
        // `add x0, x9, #1` behind the entry of `k`
        let word = |at: u64| {
            Some(match at {
                0x1040 => 0,
                0x1070 => 0x9100_0520,
                _ => NOP,
            })
        };
        let wrong = |site: u64| judge(&[site], &text, &functions, &word).wrong.join("\n");
        assert_eq!(wrong(0x1000), "");
        assert!(wrong(0x1020).contains("inside probes"));
        assert!(wrong(0x1034).contains("aligned"));
        assert!(wrong(0x3000).contains("outside .text"));
        assert!(wrong(0x1040).contains("NOPs"));
        assert!(wrong(0x1060).contains("x9"));
        assert!(wrong(0x1050).contains("begins no function"));
    }
}
