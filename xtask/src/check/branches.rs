//! Branches on static keys, as they were linked: what is off costs one NOP, and nothing else.
//!
//! `static_branch!` and, through it, every tracepoint make one instruction and an entry of `__jump_table`. Whether the
//! compiler left it at that is read off the image:
//!
//! ```text
//!   entry {code, target, key | likely}
//!     likely 0    the word at `code` is NOP        likely 1    it is B to `target`
//!                 and `target` is …                            `target` likewise
//!
//!   .tracepoints ─▶ POINT ─▶ its key, by name ─▶ its sites:  each NOP, there is one at least
//!
//!   …  b, ret, bl panic, …     a word that goes on to `target` would make the block in line:
//!   target: …                  then what is done for a listener stands in the way of who has none
//! ```
//!
//! So a tracepoint that nobody listens at is one NOP on its way, and what loads its arguments lies elsewhere. At some places
//! the NOP is followed by a B, with the block behind it: a way that goes on elsewhere (to a shared end of the function, say),
//! with the block put into the gap. How many there are is told.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use object::{Object, ObjectSymbol};

use a64::encode;
use tracecore::keys::{ENTRY_BYTES, Site};

use super::Findings;
use super::entries::Memory;
use crate::image::symbol;
use crate::symbols::readable;

/// `nop`
const NOP: u32 = 0xd503_201f;

/// Checks the branches of the ELF file `elf`.
pub fn check(elf: &[u8]) -> Result<Findings> {
    let file = object::File::parse(elf).context("the kernel is no ELF file")?;
    let image = Memory::of(&file)?;
    let word = |at| image.u32(at);
    let mut sites = Vec::new();
    let table = symbol(&file, "__jump_table_start")?..symbol(&file, "__jump_table_end")?;
    for at in table.step_by(ENTRY_BYTES as usize) {
        let part = |offset| word(at + offset).context("the jump table lies outside the image");
        let key = u64::from(part(8)?) | u64::from(part(12)?) << 32;
        sites.push(Site::of_entry(at, part(0)? as i32, part(4)? as i32, key as i64));
    }
    let names: BTreeMap<u64, String> = file
        .symbols()
        .filter(|s| s.is_definition())
        .filter_map(|s| Some((s.address(), readable(s.name().ok()?))))
        .collect();
    let mut points = BTreeSet::new();
    for at in (symbol(&file, "__tracepoints_start")?..symbol(&file, "__tracepoints_end")?).step_by(8) {
        let point = image.u64(at).context("the list of tracepoints lies outside the image")?;
        let name = names.get(&point).and_then(|name| name.strip_suffix("::POINT"));
        points.insert(name.with_context(|| format!("the tracepoint at {point:#x} has no name"))?.to_owned());
    }
    let name_of = |addr: u64| names.get(&addr).map_or("", String::as_str);
    Ok(judge(&sites, &points, &name_of, &word))
}

/// Judges the sites. `points` are the names of tracepoints, `name_of` that of the key or function at an address.
fn judge<'a>(
    sites: &[Site],
    points: &BTreeSet<String>,
    name_of: &dyn Fn(u64) -> &'a str,
    word: &dyn Fn(u64) -> Option<u32>,
) -> Findings {
    let mut found = Findings::default();
    let mut fired = BTreeSet::new();
    let (mut of_points, mut beside) = (0, 0);
    for site in sites {
        let name = name_of(site.key);
        let branch = encode::b(site.offset()).map(|insn| insn.0).ok();
        let expected = if site.likely { branch } else { Some(NOP) };
        if branch.is_none() || word(site.code) != expected {
            let likely = if site.likely { "b" } else { "nop" };
            found.wrong.push(format!("the branch on `{name}` at {:#x} is no {likely}", site.code));
        }
        let Some(point) = name.strip_suffix("::KEY").filter(|name| points.contains(*name)) else { continue };
        fired.insert(point);
        of_points += 1;
        if site.likely {
            found.wrong.push(format!("{point} expects at {:#x} that somebody listens", site.code));
        }
        let before = site.target - 4;
        if !word(before)
            .is_some_and(|word| ends(word) || call(word, before).is_some_and(|to| dies(name_of(to))))
        {
            found
                .wrong
                .push(format!("what {point} does for listeners at {:#x} stands in the way", site.code));
        }
        beside += u32::from(site.target == site.code + 8);
    }
    for point in points.iter().filter(|point| !fired.contains(point.as_str())) {
        found.wrong.push(format!("{point} is declared, and nobody fires it"));
    }
    found
        .notes
        .push(format!("{} branches as they were compiled: NOP, or B where that is likely", sites.len()));
    found.notes.push(format!(
        "{} tracepoints at {of_points} places, one NOP each, arguments out of line; behind a jump beside it at {beside}",
        points.len()
    ));
    found
}

/// Does control never go on behind this word? B, RET, BR and their like, BRK, UDF.
fn ends(word: u32) -> bool {
    word & 0xfc00_0000 == 0x1400_0000
        || word & 0xfe00_0000 == 0xd600_0000
        || word & 0xffe0_001f == 0xd420_0000
        || word & 0xffff_0000 == 0
}

/// Where a BL goes.
fn call(word: u32, at: u64) -> Option<u64> {
    let words = i64::from((word << 6) as i32 >> 6);
    (word & 0xfc00_0000 == 0x9400_0000).then(|| at.wrapping_add_signed(words * 4))
}

/// Does a function of this name never return? The compiler knows by its type, which is not in the image.
fn dies(name: &str) -> bool {
    ["panic", "fail", "handle_alloc_error", "handle_error", "unwind"].iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const B_BACK: u32 = 0x17ff_ffff;

    /// One site at 0x100 with its block at 0x110.
    fn judged(code: u32, before_block: u32, likely: bool, name: &'static str, points: &[&str]) -> Findings {
        let site = Site { key: 0x1000, code: 0x100, target: 0x110, likely };
        let points = points.iter().map(|&point| point.to_owned()).collect();
        let word = |at| match at {
            0x100 => Some(code),
            0x10c => Some(before_block),
            _ => None,
        };
        judge(&[site], &points, &|_| name, &word)
    }

    #[test]
    fn what_is_off_is_one_nop() {
        assert!(judged(NOP, B_BACK, false, "x::KEY", &["x"]).wrong.is_empty());
        // mov x0, x1
        assert_eq!(judged(0xaa01_03e0, B_BACK, false, "x::KEY", &["x"]).wrong.len(), 1);
        // b .+16, which is what belongs there for a key that is likely
        assert!(judged(0x1400_0004, B_BACK, true, "LIKELY", &[]).wrong.is_empty());
        assert_eq!(judged(NOP, B_BACK, true, "LIKELY", &[]).wrong.len(), 1);
        assert_eq!(judged(0x1400_0005, B_BACK, true, "LIKELY", &[]).wrong.len(), 1);
    }

    #[test]
    fn tracepoints_are_off_and_fired() {
        assert_eq!(judged(0x1400_0004, B_BACK, true, "x::KEY", &["x"]).wrong.len(), 1);
        assert_eq!(
            judged(NOP, B_BACK, false, "x::KEY", &["x", "y"]).wrong,
            ["y is declared, and nobody fires it"]
        );
    }

    #[test]
    fn a_block_is_not_fallen_into() {
        let wrong = |before| judged(NOP, before, false, "x::KEY", &["x"]).wrong.len();
        // b, ret
        assert_eq!((wrong(B_BACK), wrong(0xd65f_03c0)), (0, 0));
        // nop, and a call of a function that returns
        assert_eq!((wrong(NOP), wrong(0x9400_0001)), (1, 1));
        assert_eq!(call(0x97ff_ffff, 0x1000), Some(0xffc));
        assert!(
            dies("core::panicking::panic_fmt") && dies("alloc::alloc::handle_alloc_error") && !dies("memcpy")
        );
    }
}
