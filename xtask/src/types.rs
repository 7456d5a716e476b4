//! Makes the table of types of the linked kernel: what `tracecore::typetab` tells of functions' parameters and of structs.
//!
//! It is taken from the debug information of the ELF file (DWARF 4 and 5, <https://dwarfstd.org>):
//!
//! ```text
//!   DW_TAG_subprogram  DW_AT_low_pc ─────────────────────▶ the function
//!     DW_TAG_formal_parameter  DW_AT_name "item" ────────▶ its parameter
//!       DW_AT_location  [low_pc + 8, …) DW_OP_reg0 ──────▶ where it is at the entry         place
//!       DW_AT_type ──▶ DW_TAG_pointer_type ──▶ DW_TAG_structure_type ──▶ members            collect
//! ```
//!
//! Most of the debug information is about code that was inlined, and about types that only such code uses. What no
//! parameter leads to is left out.

mod collect;
mod place;

use std::collections::HashSet;
use std::ops::RangeInclusive;

use anyhow::{Context, Result};
use gimli::{AttributeValue, UnitOffset};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use tracecore::typetab::encode::{Function, encode};
use tracecore::typetab::{Outcome, Place};

use crate::check::entries;
use crate::image::symbol;
use collect::Collector;

/// Debug information is read in place.
type Reader<'e> = gimli::EndianSlice<'e, gimli::LittleEndian>;
type Dwarf<'e> = gimli::Dwarf<Reader<'e>>;
type Entry<'e> = gimli::DebuggingInformationEntry<Reader<'e>>;
/// Finds an attribute of an entry.
type Attributes<'a, 'e> = &'a dyn Fn(gimli::DwAt) -> Option<AttributeValue<Reader<'e>>>;

/// A compilation unit, and what is in no entry by itself.
struct Unit<'e> {
    dwarf: &'e Dwarf<'e>,
    inner: gimli::Unit<Reader<'e>>,
}

/// The table of the kernel in `elf`.
pub fn table(elf: &[u8]) -> Result<Vec<u8>> {
    let file = object::File::parse(elf).context("the kernel is no ELF file")?;
    let text = symbol(&file, "__image_start")?..symbol(&file, "__rx_end")?;
    let section = |id: gimli::SectionId| -> Result<Reader<'_>> {
        let bytes = match file.section_by_name(id.name()) {
            Some(section) => section.data()?,
            None => &[],
        };
        Ok(Reader::new(bytes, gimli::LittleEndian))
    };
    let dwarf = Dwarf::load(section)?;
    let mut units = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        units.push(Unit { dwarf: &dwarf, inner: dwarf.unit(header)? });
    }
    let patched: HashSet<u64> =
        entries::sites(&file)?.into_iter().map(|site| site + entries::PREFIX).collect();
    let mut collector = Collector::new(&units);
    let mut functions = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        unit.walk(number, &patched, &mut collector, &mut |found| {
            if text.contains(&found.start) {
                functions.push(found);
            }
        })?;
    }
    functions.sort_by_key(|found| found.start);
    functions.dedup_by_key(|found| found.start);
    let shared = shared(&file);
    functions.retain(|found| !shared.contains(&found.start));
    let mut list = Vec::new();
    for found in &functions {
        let mut params = Vec::new();
        for (name, ty, place) in &found.params {
            params.push((name.clone(), collector.number(found.unit, *ty)?, *place));
        }
        let result = match found.result {
            None => Outcome::Nothing,
            Some(ty) => collector.outcome(found.unit, ty)?,
        };
        list.push(Function { start: found.start, result, params });
    }
    let types = collector.finish(&mut list)?;
    Ok(encode(list, &types)?)
}

/// Where functions of the same code begin that were made one: the debug information is that of one of them, and the others'
/// arguments may have other names and types.
fn shared(file: &object::File<'_>) -> HashSet<u64> {
    let mut seen = HashSet::new();
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
    functions.map(|symbol| symbol.address()).filter(|address| !seen.insert(*address)).collect()
}

/// A function as the debug information has it.
struct Found {
    unit: usize,
    start: u64,
    result: Option<UnitOffset>,
    params: Vec<(String, UnitOffset, Place)>,
}

impl<'e> Unit<'e> {
    /// Shows each function of this unit that has code, and tells the collector the paths of types.
    fn walk(
        &self,
        number: usize,
        patched: &HashSet<u64>,
        collector: &mut Collector<'_, 'e>,
        found: &mut dyn FnMut(Found),
    ) -> Result<()> {
        let mut entries = self.inner.entries_raw(None)?;
        let mut attributes = Vec::new();
        // The path of what is around the next entry: where each name ends, by depth.
        let mut path: Vec<(isize, String)> = Vec::new();
        let mut function: Option<(isize, Found)> = None;
        while !entries.is_empty() {
            let (offset, depth) = (entries.next_offset(), entries.next_depth());
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            if let Some((_, done)) = function.take_if(|(own, _)| depth <= *own) {
                found(done);
            }
            path.truncate(path.iter().take_while(|(own, _)| *own < depth).count());
            let tag = abbreviation.tag();
            let inside = function.as_ref().is_some_and(|(own, _)| depth == own + 1);
            match tag {
                gimli::DW_TAG_namespace
                | gimli::DW_TAG_structure_type
                | gimli::DW_TAG_union_type
                | gimli::DW_TAG_enumeration_type
                | gimli::DW_TAG_subprogram => {}
                gimli::DW_TAG_formal_parameter if inside => {}
                _ => {
                    entries.skip_attributes(abbreviation.attributes())?;
                    continue;
                }
            }
            entries.read_attributes(abbreviation.attributes(), &mut attributes)?;
            let attr = |name| attributes.iter().find(|a| a.name() == name).map(|a| a.value());
            match tag {
                gimli::DW_TAG_formal_parameter => {
                    let Some((_, function)) = &mut function else { continue };
                    let behind = if patched.contains(&function.start) { entries::SUFFIX } else { 0 };
                    let entry = function.start..=function.start + behind;
                    if let Some(param) = self.param(&entry, &attr)? {
                        function.params.push(param);
                    }
                }
                gimli::DW_TAG_subprogram => {
                    if let Some(AttributeValue::Addr(start)) = attr(gimli::DW_AT_low_pc) {
                        let result = self.inherited(gimli::DW_AT_type, &attr)?.and_then(reference);
                        function = Some((depth, Found { unit: number, start, result, params: Vec::new() }));
                    }
                }
                _ => {
                    let name = match attr(gimli::DW_AT_name) {
                        Some(name) => {
                            self.dwarf.attr_string(&self.inner, name)?.to_string_lossy().into_owned()
                        }
                        None => String::new(),
                    };
                    let whole = match path.last() {
                        Some((_, around)) => format!("{around}::{name}"),
                        None => name,
                    };
                    if tag != gimli::DW_TAG_namespace {
                        collector.name(number, offset, &whole);
                    }
                    path.push((depth, whole));
                }
            }
        }
        if let Some((_, done)) = function {
            found(done);
        }
        Ok(())
    }

    /// A parameter of the function that begins at `entry`; `None` if it has no name, or no place is known for it.
    fn param(
        &self,
        entry: &RangeInclusive<u64>,
        attr: Attributes<'_, 'e>,
    ) -> Result<Option<(String, UnitOffset, Place)>> {
        let Some(location) = attr(gimli::DW_AT_location) else { return Ok(None) };
        let Some(place) = place::at_entry(self, location, entry)? else { return Ok(None) };
        let (Some(name), Some(ty)) = (
            self.inherited(gimli::DW_AT_name, attr)?,
            self.inherited(gimli::DW_AT_type, attr)?.and_then(reference),
        ) else {
            return Ok(None);
        };
        let name = self.dwarf.attr_string(&self.inner, name)?.to_string_lossy().into_owned();
        Ok(is_name(&name).then_some((name, ty, place)))
    }

    /// An attribute of an entry, or of the entry that it is an instance of.
    fn inherited(
        &self,
        name: gimli::DwAt,
        attr: Attributes<'_, 'e>,
    ) -> Result<Option<AttributeValue<Reader<'e>>>> {
        if let Some(value) = attr(name) {
            return Ok(Some(value));
        }
        let mut origin = attr(gimli::DW_AT_abstract_origin)
            .or_else(|| attr(gimli::DW_AT_specification))
            .and_then(reference);
        for _ in 0..ORIGINS_MAX {
            let Some(offset) = origin else { break };
            let entry = self.inner.entry(offset)?;
            if let Some(value) = entry.attr_value(name) {
                return Ok(Some(value));
            }
            origin = entry
                .attr_value(gimli::DW_AT_abstract_origin)
                .or_else(|| entry.attr_value(gimli::DW_AT_specification))
                .and_then(reference);
        }
        Ok(None)
    }
}

/// How many entries one may be the instance of, one after the other.
const ORIGINS_MAX: usize = 4;

/// The entry that an attribute refers to, in the same unit.
fn reference(value: AttributeValue<Reader<'_>>) -> Option<UnitOffset> {
    match value {
        AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    }
}

/// May a probe's line name this?
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
