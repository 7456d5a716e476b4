//! Global variables: each section of data is an array of one element, and a variable an offset in it.
//!
//! | section | bytes | programs may |
//! |---|---|---|
//! | `.rodata`, `.rodata.*` | as in the file, then frozen | read |
//! | `.data`, `.data.*` | as in the file | read and write |
//! | `.bss`, `.bss.*` | zeros | read and write |

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::elf::Elf;
use super::maps::{Places, kernel_name, note_special};
use super::{Error, Map};
use crate::btf::{Btf, Kind};
use crate::map::{self, MapDef, MapKind, Special, flag};

/// How much of the section's name a map's name has at most, as libbpf does it.
const SUFFIX_MAX: usize = 7;

/// Makes maps of the sections of data.
pub(super) fn read(
    elf: &Elf<'_>,
    btf: Option<&Btf>,
    object: &str,
    maps: &mut Vec<Map>,
    places: &mut Places,
) -> Result<(), Error> {
    for (at, section) in elf.sections.iter().enumerate() {
        let is = |name: &str| {
            section.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let constant = is(".rodata");
        if !(constant || is(".data") || is(".bss")) || section.size == 0 {
            continue;
        }
        // Pointers between variables would be addresses of the host's.
        if !elf.relocs_of(at).is_empty() {
            let why = format!("\"{}\" has addresses in it, which nobody fills in", section.name);
            return Err(Error::new(Error::NOTSUPP, why));
        }
        let size = u32::try_from(section.size).map_err(|_| {
            Error::new(Error::TOOBIG, format!("\"{}\" of {} bytes", section.name, section.size))
        })?;
        if !section.data.is_empty() && section.data.len() != size as usize {
            return Err(Error::invalid(format!("\"{}\" is cut short", section.name)));
        }
        let mut def = MapDef::new(MapKind::Array, 4, size, 1).named(&name_of(object, section.name));
        def.flags = flag::MMAPABLE | if constant { flag::RDONLY_PROG } else { 0 };
        if !constant && let Some(btf) = btf {
            def.special = special(elf, btf, at, section.name);
        }
        places.data.insert(at, maps.len());
        maps.push(Map {
            def,
            name: section.name.into(),
            contents: (!section.data.is_empty()).then(|| section.data.to_vec()),
            frozen: constant,
            elements: Vec::new(),
            pinned: false,
        });
    }
    Ok(())
}

/// `counts.rodata`: as much of the object's name as there is room for.
pub(super) fn name_of(object: &str, section: &str) -> String {
    let suffix: String = section.chars().take(SUFFIX_MAX).collect();
    let prefix: String = object.chars().take(map::NAME_MAX - suffix.len().min(SUFFIX_MAX)).collect();
    kernel_name(&format!("{prefix}{suffix}"))
}

/// Locks and timers among the variables of a section.
fn special(elf: &Elf<'_>, btf: &Btf, section: usize, name: &str) -> Special {
    let mut special = Special::default();
    for (ty, found) in btf.types() {
        let Kind::Section { vars, .. } = &found.kind else { continue };
        if btf.name_of(ty) != name {
            continue;
        }
        for var in btf.vars_of(vars) {
            let Some(Kind::Var { ty, .. }) = btf.get(var.var).map(|found| &found.kind) else { continue };
            let mut here = Special::default();
            note_special(btf, *ty, 0, &mut here);
            if !here.any() {
                continue;
            }
            let variable = btf.name_of(var.var);
            let symbol = elf.symbols.iter().find(|s| s.section == Some(section) && s.name == variable);
            if let Some(offset) = symbol.and_then(|symbol| u32::try_from(symbol.value).ok()) {
                note_special(btf, *ty, offset, &mut special);
            }
        }
    }
    special
}
