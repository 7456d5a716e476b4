//! Makes the symbol blob of the linked kernel.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use tracecore::symtab::encode::{Entry, encode};
use tracecore::symtab::names::{tidy, unique};

use crate::image::{IMAGE_START, KSYMS_START, symbol};

/// The blob with every symbol of the ELF file `elf` that names something in the image.
pub fn blob(elf: &[u8]) -> Result<Vec<u8>> {
    let file = object::File::parse(elf).context("the kernel is no ELF file")?;
    Ok(encode(entries(&file)?)?)
}

/// Every symbol worth a name, with names made unique.
pub fn entries(file: &object::File<'_>) -> Result<Vec<Entry>> {
    let image = symbol(file, IMAGE_START)?..=symbol(file, KSYMS_START)?;
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for s in file.symbols() {
        let Ok(raw) = s.name() else { continue };
        let named = !matches!(s.kind(), SymbolKind::File | SymbolKind::Section) && !is_internal(raw);
        if !named || !image.contains(&s.address()) || !seen.insert((s.address(), raw)) {
            continue;
        }
        let Some(kind) = letter(file, &s) else { continue };
        found.push((raw, Entry { name: readable(raw), start: s.address(), size: s.size(), kind }));
    }
    let pairs: Vec<(&str, &str)> = found.iter().map(|(raw, e)| (*raw, e.name.as_str())).collect();
    let names = unique(&pairs);
    Ok(found.into_iter().zip(names).map(|((_, entry), name)| Entry { name, ..entry }).collect())
}

/// The name to show for the linker's name `raw`.
///
/// The alternate form of a demangled path has no crate hash and no integer suffixes.
pub fn readable(raw: &str) -> String {
    match rustc_demangle::try_demangle(raw) {
        Ok(path) => tidy(&format!("{path:#}")),
        Err(_) => tidy(raw),
    }
}

/// Names that compilers and assemblers make for themselves: mapping symbols, local labels, constants.
fn is_internal(raw: &str) -> bool {
    raw.is_empty() || raw.starts_with('$') || raw.starts_with(".L") || raw.starts_with("anon.")
}

/// The letter that `nm` would print: by section, a capital where it is visible outside its object file.
fn letter(file: &object::File<'_>, s: &object::Symbol<'_, '_>) -> Option<u8> {
    let section = file.section_by_index(s.section_index()?).ok()?;
    let letter = match section.kind() {
        // Literals between functions, which nobody may take for code.
        SectionKind::Text if s.kind() == SymbolKind::Data => b'R',
        SectionKind::Text => b'T',
        // Tables that the linker gathered there bring write rights with them, which the page tables drop.
        _ if section.name().is_ok_and(|name| name.starts_with(".rodata")) => b'R',
        SectionKind::Data | SectionKind::Tls => b'D',
        SectionKind::UninitializedData | SectionKind::UninitializedTls => b'B',
        SectionKind::ReadOnlyData | SectionKind::ReadOnlyString | SectionKind::ReadOnlyDataWithRel => b'R',
        _ => return None,
    };
    Some(if s.is_global() { letter } else { letter.to_ascii_lowercase() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v0_names_lose_their_hash_and_their_crate() {
        assert_eq!(readable("_RNvNtCs4fqI2P2rA04_6kernel4task8schedule"), "task::schedule");
        assert_eq!(readable("_RINvNtC4core3ptr13drop_in_placehEB4_"), "core::ptr::drop_in_place::<u8>");
        assert_eq!(readable("work_add"), "work_add");
    }

    #[test]
    fn labels_of_tools_are_no_symbols() {
        assert!(is_internal("$x.3") && is_internal(".Ltmp1") && is_internal("anon.5f.0") && is_internal(""));
        assert!(!is_internal("_start") && !is_internal("__image_start"));
    }
}
