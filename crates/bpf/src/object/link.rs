//! Code: from sections with holes to programs that stand alone.
//!
//! ```text
//!   kprobe/a:  on_a    call -1 ──reloc──▶ helper        on_a │ helper │ twice
//!   .text:     helper  call twice (+n)            ═══▶   each program gets the functions that it reaches, behind it,
//!              twice                                     in the order in which they are found; calls are counted anew
//! ```
//!
//! | relocation | of | becomes |
//! |---|---|---|
//! | `R_BPF_64_64` by a variable of `.maps` | a 64-bit immediate | `map[#n]` |
//! | … by a variable or section of data | | `map[#n][0]+offset` |
//! | … by a function | | `code[function]`: a callback |
//! | `R_BPF_64_32` by a function, or `.text` | a call | a call of that function |
//!
//! CO-RE relocations are done before, section by section, since they count from its beginning.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::elf::{Elf, Reloc, SymbolKind};
use super::maps::Places;
use super::{Error, Object, Prog, SLOTS_MAX};
use crate::btf::Btf;
use crate::btf::co_re::{self, Done};
use crate::btf::ext::{Ext, Line, OfSection};
use crate::insn::{Insn, SLOT_BYTES, class};
use crate::program::Program;
use crate::types::Types;

/// Relocation of a 64-bit immediate (`R_BPF_64_64`).
const R_64_64: u32 = 1;
/// Relocation of a call (`R_BPF_64_32`).
const R_64_32: u32 = 10;

/// The most instructions of a program of which it is kept why they must not be reached.
const POISONED_MAX: usize = 64;

const CALL: u8 = class::JMP | 0x80;
/// What `src` says of a call: a function of the program, one of the kernel.
const CALL_LOCAL: u8 = 1;
const CALL_KERNEL: u8 = 2;
/// What `src` says of a 64-bit immediate.
const IMM_CODE: u8 = 4;
const IMM_MAP: u8 = 5;
const IMM_MAP_VALUE: u8 = 6;

/// A function: the section, and its first slot there.
type Place = (usize, usize);

/// Slots, and which of them came from where.
type Gathered = (Vec<Insn>, Vec<(usize, Place)>);

/// A section of instructions.
struct Code {
    slots: Vec<Insn>,
    /// By first slot: how many, and what it is called.
    functions: BTreeMap<usize, (usize, String)>,
    /// Calls and addresses of functions, by slot.
    targets: BTreeMap<usize, Place>,
    poisoned: BTreeMap<usize, String>,
    /// One for each slot at most.
    lines: BTreeMap<usize, Line>,
}

/// Makes the programs.
pub(super) fn link(
    elf: &Elf<'_>,
    btf: Option<&Btf>,
    types: &dyn Types,
    places: &Places,
    object: &mut Object,
) -> Result<(), Error> {
    let ext = match (elf.named(".BTF.ext"), btf) {
        (Some(section), Some(btf)) => {
            Ext::parse(section.data, btf).map_err(|why| Error::invalid(why.to_string()))?
        }
        _ => Ext::default(),
    };
    let mut all = BTreeMap::new();
    for (at, section) in elf.sections.iter().enumerate() {
        if section.code && section.size > 0 {
            let of = ext.section(section.name);
            all.insert(at, read_code(elf, at, btf.zip(of), types, places)?);
        }
    }
    let mut left = SLOTS_MAX;
    for (section, code) in &all {
        let name = elf.sections.get(*section).map_or("", |section| section.name);
        if name == ".text" {
            continue;
        }
        let mut end = 0;
        for (first, (count, function)) in &code.functions {
            if *first != end {
                return Err(Error::invalid(format!("\"{name}\": slots {end}-{first} are of no program")));
            }
            end = first + count;
            let (slots, origin) = gather(&all, (*section, *first), function, &mut left)?;
            object.programs.push(finish(&all, function, name, slots, &origin)?);
        }
        if end != code.slots.len() {
            return Err(Error::invalid(format!("\"{name}\": the end is of no program")));
        }
    }
    if object.programs.is_empty() {
        return Err(Error::new(Error::NOENT, "there is no program in it"));
    }
    Ok(())
}

fn read_code(
    elf: &Elf<'_>,
    at: usize,
    ext: Option<(&Btf, &OfSection)>,
    types: &dyn Types,
    places: &Places,
) -> Result<Code, Error> {
    let (name, data) = elf.sections.get(at).map_or(("", &[][..]), |section| (section.name, section.data));
    let wrong = |slot: usize, why: &str| Error::invalid(format!("\"{name}\", insn {slot}: {why}"));
    let (chunks, rest) = data.as_chunks::<SLOT_BYTES>();
    if !rest.is_empty() {
        return Err(Error::invalid(format!(
            "\"{name}\": {} bytes are no whole number of instructions",
            data.len()
        )));
    }
    let slots: Vec<Insn> = chunks.iter().copied().map(Insn::from_bytes).collect();
    let mut code = Code {
        slots,
        functions: BTreeMap::new(),
        targets: BTreeMap::new(),
        poisoned: BTreeMap::new(),
        lines: BTreeMap::new(),
    };
    // What an immediate refers to, relocations say; a number of one's own would be that of somebody else's map.
    let mut slot = 0;
    while let Some(insn) = code.slots.get(slot) {
        if insn.is_wide() && insn.src != 0 {
            return Err(wrong(slot, "a reference without a relocation"));
        }
        slot += if insn.is_wide() { 2 } else { 1 };
    }
    for symbol in &elf.symbols {
        if symbol.section != Some(at) || symbol.kind != SymbolKind::Function {
            continue;
        }
        if symbol.local && name != ".text" {
            let why =
                format!("\"{name}\": the function '{}' is static; only .text may have such", symbol.name);
            return Err(Error::new(Error::NOTSUPP, why));
        }
        let slot = slot_of(symbol.value).zip(slot_of(symbol.size));
        let Some((first, count)) = slot.filter(|(first, count)| {
            *count > 0 && first.checked_add(*count).is_some_and(|end| end <= code.slots.len())
        }) else {
            return Err(Error::invalid(format!("\"{name}\": the function '{}' lies outside", symbol.name)));
        };
        // Two names of one function are one function.
        code.functions.entry(first).or_insert_with(|| (count, symbol.name.into()));
    }
    let mut end = 0;
    for (first, (count, function)) in &code.functions {
        if *first < end {
            return Err(Error::invalid(format!("\"{name}\": the function '{function}' lies in another one")));
        }
        end = first + count;
    }
    if let Some((btf, of)) = ext {
        code.lines = of.lines.iter().filter_map(|line| Some((slot_of(line.at.into())?, *line))).collect();
        for relocation in &of.relocations {
            let slot = slot_of(u64::from(relocation.at)).filter(|slot| *slot < code.slots.len());
            let slot =
                slot.ok_or_else(|| Error::invalid(format!("\"{name}\": a CO-RE relocation outside")))?;
            let slots = code.slots.get_mut(slot..).unwrap_or_default();
            let access = btf.string(relocation.access);
            match co_re::relocate(slots, btf, relocation.ty, access, relocation.kind, types) {
                Ok(Done::Patched) => {}
                Ok(Done::Poisoned(why)) => {
                    code.poisoned.insert(slot, why);
                }
                Err(why) => return Err(wrong(slot, &why)),
            }
        }
    }
    for reloc in elf.relocs_of(at) {
        let slot = slot_of(reloc.offset).filter(|slot| *slot < code.slots.len());
        let slot = slot.ok_or_else(|| Error::invalid(format!("\"{name}\": a relocation outside")))?;
        // What cannot be reached needs nothing; the relocation of the access comes with others of the same instruction.
        if code.poisoned.contains_key(&slot) {
            continue;
        }
        code.relocate(elf, slot, reloc, places).map_err(|why| match why {
            Fail::Plain(why) => wrong(slot, &why),
            Fail::Missing(why) => Error::new(Error::NOENT, format!("\"{name}\", insn {slot}: {why}")),
        })?;
    }
    Ok(code)
}

fn slot_of(bytes: u64) -> Option<usize> {
    let slot = usize::try_from(bytes / SLOT_BYTES as u64).ok()?;
    bytes.is_multiple_of(SLOT_BYTES as u64).then_some(slot)
}

enum Fail {
    Plain(String),
    Missing(String),
}

impl Code {
    fn relocate(&mut self, elf: &Elf<'_>, slot: usize, reloc: &Reloc, places: &Places) -> Result<(), Fail> {
        let plain = |why: String| Err(Fail::Plain(why));
        let Some(symbol) = elf.symbols.get(reloc.symbol) else { return plain("no such symbol".into()) };
        let name = elf.name_of(symbol);
        let Some(insn) = self.slots.get(slot).copied() else { return plain("outside".into()) };
        let target = symbol.section.and_then(|at| Some((at, elf.sections.get(at)?)));
        match reloc.kind {
            R_64_32 => {
                if insn.opcode != CALL || insn.src != CALL_LOCAL && insn.src != CALL_KERNEL {
                    return plain("a relocation of a call, where there is none".into());
                }
                let Some((section, found)) = target else {
                    return Err(Fail::Missing(format!(
                        "it calls '{name}', which is neither in the object nor a helper"
                    )));
                };
                if !found.code {
                    return plain(format!("it calls '{name}', which is no function"));
                }
                let first = slot_of(symbol.value)
                    .and_then(|first| i64::try_from(first).ok())
                    .and_then(|first| usize::try_from(first.checked_add(i64::from(insn.imm) + 1)?).ok());
                let Some(first) = first else {
                    return plain(format!("it calls into the middle of '{name}'"));
                };
                self.targets.insert(slot, (section, first));
                Ok(())
            }
            R_64_64 => {
                let Some(second) = self.slots.get(slot + 1).filter(|_| insn.is_wide()).copied() else {
                    return plain("a relocation of a 64-bit immediate, where there is none".into());
                };
                if insn.src != 0 || second.imm != 0 {
                    return plain(format!("the reference to '{name}' is one already"));
                }
                let Some((section, found)) = target else {
                    if symbol.weak {
                        return Ok(());
                    }
                    return Err(Fail::Missing(format!(
                        "it wants the address of '{name}', which is not in the object"
                    )));
                };
                let addend = insn.imm as u32;
                let at = symbol.value.checked_add(u64::from(addend)).and_then(|at| u32::try_from(at).ok());
                let Some(at) = at else { return plain(format!("an address far behind '{name}'")) };
                if let Some(map) = places.variables.get(&(section, symbol.value)) {
                    if addend != 0 {
                        return plain(format!("an address within the map '{name}'"));
                    }
                    return self.put(slot, IMM_MAP, *map, 0);
                }
                if let Some(map) = places.data.get(&section) {
                    return self.put(slot, IMM_MAP_VALUE, *map, at);
                }
                if found.code {
                    let Some(first) = slot_of(u64::from(at)) else {
                        return plain(format!("an address within '{name}'"));
                    };
                    self.targets.insert(slot, (section, first));
                    return self.put(slot, IMM_CODE, 0, 0);
                }
                plain(format!("'{name}' is neither a map nor data nor a function"))
            }
            kind => plain(format!("a relocation of kind {kind} (by '{name}'), which instructions have not")),
        }
    }

    fn put(&mut self, slot: usize, src: u8, imm: usize, high: u32) -> Result<(), Fail> {
        let imm = i32::try_from(imm).map_err(|_| Fail::Plain("too many maps".into()))?;
        if let Some([first, second]) = self.slots.get_mut(slot..slot + 2) {
            (first.src, first.imm, second.imm) = (src, imm, high.cast_signed());
        }
        Ok(())
    }
}

/// A program and the functions that it reaches, one behind the other; and where each of them came from.
fn gather(all: &BTreeMap<usize, Code>, main: Place, name: &str, left: &mut usize) -> Result<Gathered, Error> {
    let mut slots: Vec<Insn> = Vec::new();
    // Where each function was put, in the order in which they were found; and the calls that are to be counted anew.
    let mut put: BTreeMap<Place, usize> = BTreeMap::new();
    let (mut order, mut calls) = (Vec::from([main]), Vec::new());
    let mut known = BTreeSet::from([main]);
    let mut next = 0;
    while let Some(place @ (section, first)) = order.get(next).copied() {
        next += 1;
        let code = all.get(&section);
        let Some((code, (count, _))) = code.and_then(|code| Some((code, code.functions.get(&first)?))) else {
            return Err(Error::invalid(format!(
                "program '{name}' calls slot {first} of a section, where no function begins"
            )));
        };
        *left = left.checked_sub(*count).ok_or_else(|| {
            Error::new(Error::TOOBIG, format!("more than {SLOTS_MAX} instructions in all programs together"))
        })?;
        let base = slots.len();
        put.insert(place, base);
        slots.extend_from_slice(code.slots.get(first..first + count).unwrap_or_default());
        let mut at = first;
        while at < first + count {
            let Some(insn) = code.slots.get(at).copied() else { break };
            let wide = insn.is_wide();
            let here = base + (at - first);
            let target = match code.targets.get(&at) {
                Some(target) => Some(*target),
                // Calls within a section are counted by the compiler.
                None if insn.opcode == CALL && insn.src == CALL_LOCAL => {
                    let to = at as i64 + 1 + i64::from(insn.imm);
                    let to = usize::try_from(to).map_err(|_| {
                        Error::invalid(format!("program '{name}': a call out of the section"))
                    })?;
                    Some((section, to))
                }
                None => None,
            };
            at += if wide { 2 } else { 1 };
            let Some(target) = target else { continue };
            if target.0 != section && all.get(&target.0).is_some_and(|_| target.0 == main.0) {
                return Err(Error::new(
                    Error::NOTSUPP,
                    format!("a function of .text calls the program '{name}'"),
                ));
            }
            if known.insert(target) {
                order.push(target);
            }
            calls.push((here, target));
        }
    }
    for (here, target) in calls {
        let to = put.get(&target).copied().unwrap_or(0) as i64;
        if let (Some(insn), Ok(imm)) = (slots.get_mut(here), i32::try_from(to - (here as i64 + 1))) {
            insn.imm = imm;
            if insn.opcode == CALL {
                insn.src = CALL_LOCAL;
            }
        }
    }
    let origin = order.iter().map(|place| (put.get(place).copied().unwrap_or(0), *place)).collect();
    Ok((slots, origin))
}

fn finish(
    all: &BTreeMap<usize, Code>,
    name: &str,
    section: &str,
    slots: Vec<Insn>,
    origin: &[(usize, Place)],
) -> Result<Prog, Error> {
    let program = Program::new(slots).map_err(|why| Error::invalid(format!("program '{name}': {why}")))?;
    let (mut poisoned, mut lines) = (Vec::new(), Vec::new());
    for (base, (from, first)) in origin {
        let Some((code, (count, _))) =
            all.get(from).and_then(|code| Some((code, code.functions.get(first)?)))
        else {
            continue;
        };
        for (at, why) in code.poisoned.range(*first..first + count) {
            if poisoned.len() < POISONED_MAX {
                poisoned.push((base + (at - first), why.clone()));
            }
        }
        lines.extend(code.lines.range(*first..first + count).map(|(at, line)| (base + (at - first), *line)));
    }
    Ok(Prog { name: name.into(), section: section.into(), program, poisoned, lines })
}
