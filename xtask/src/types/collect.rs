//! The types that parameters lead to.
//!
//! A type gets its number when something refers to it, and its body when its turn comes: first what parameters are made
//! of, then what their pointers point to, then what is behind those. So each is reached on its shortest way, and a limit on
//! the pointers of a way cuts what is far away and nothing else.
//!
//! Each unit has an entry of its own for the same type. Structs are one if their paths are the same; then everything that
//! looks the same is one.

use std::collections::{BTreeMap, HashMap, VecDeque};

use anyhow::{Context, Result};
use gimli::{
    AttributeValue, DW_AT_byte_size, DW_AT_count, DW_AT_data_member_location, DW_AT_encoding, DW_AT_name,
    DW_AT_type, DW_AT_upper_bound, UnitOffset,
};
use tracecore::typetab::encode::{Function, Type};
use tracecore::typetab::{Outcome, TypeId};

use super::{Entry, Unit, is_name, reference};

/// How many pointers may be between a parameter and a type whose fields are told.
pub(super) const POINTERS_MAX: u32 = 4;
/// Slices that are texts, as the compiler calls them.
const SLICES: [&str; 3] = ["&str", "&mut str", "alloc::boxed::Box<str, alloc::alloc::Global>"];
/// How deep in a `String` its address lies.
const STRING_DEPTH: u32 = 8;
/// Bytes of a register.
const WORD: u64 = 8;

pub(super) struct Collector<'u, 'e> {
    units: &'u [Unit<'e>],
    /// Whole paths of types.
    paths: HashMap<(usize, UnitOffset), String>,
    /// Numbers of entries, and of structs by their paths.
    numbers: HashMap<(usize, UnitOffset), TypeId>,
    by_path: HashMap<String, TypeId>,
    types: Vec<Option<Type>>,
    /// Those that have no body yet, by how many pointers lead to them.
    waiting: Vec<VecDeque<(TypeId, usize, UnitOffset)>>,
}

impl<'u, 'e> Collector<'u, 'e> {
    pub(super) fn new(units: &'u [Unit<'e>]) -> Self {
        Self {
            units,
            paths: HashMap::new(),
            numbers: HashMap::new(),
            by_path: HashMap::new(),
            types: Vec::new(),
            waiting: vec![VecDeque::new(); POINTERS_MAX as usize + 1],
        }
    }

    /// Remembers the whole path of a type.
    pub(super) fn name(&mut self, unit: usize, offset: UnitOffset, path: &str) {
        self.paths.insert((unit, offset), path.into());
    }

    /// The number of a parameter's type.
    pub(super) fn number(&mut self, unit: usize, offset: UnitOffset) -> Result<TypeId> {
        self.reach(unit, offset, 0)
    }

    /// What a result of this type is: a value if it comes back in x0 alone.
    pub(super) fn outcome(&mut self, unit: usize, offset: UnitOffset) -> Result<Outcome> {
        let entry = self.units[unit].inner.entry(offset)?;
        let simple = match entry.tag() {
            gimli::DW_TAG_base_type => match size(&entry) {
                0 => return Ok(Outcome::Nothing),
                size => size <= WORD,
            },
            gimli::DW_TAG_pointer_type => true,
            gimli::DW_TAG_enumeration_type => size(&entry) <= WORD,
            _ => false,
        };
        if simple { Ok(Outcome::Value(self.reach(unit, offset, 0)?)) } else { Ok(Outcome::Unknown) }
    }

    /// The number of a type that so many pointers lead to.
    fn reach(&mut self, unit: usize, offset: UnitOffset, pointers: u32) -> Result<TypeId> {
        if let Some(number) = self.numbers.get(&(unit, offset)) {
            return Ok(*number);
        }
        let path = self.paths.get(&(unit, offset));
        if let Some(number) = path.and_then(|path| self.by_path.get(path)) {
            self.numbers.insert((unit, offset), *number);
            return Ok(*number);
        }
        let number = TypeId(u32::try_from(self.types.len())?);
        self.types.push(None);
        self.numbers.insert((unit, offset), number);
        if let Some(path) = path {
            self.by_path.insert(path.clone(), number);
        }
        match self.waiting.get_mut(pointers as usize) {
            Some(queue) => queue.push_back((number, unit, offset)),
            None => {
                let size = size(&self.units[unit].inner.entry(offset)?);
                self.set(number, Type::Opaque(size));
            }
        }
        Ok(number)
    }

    fn set(&mut self, number: TypeId, body: Type) {
        self.types[number.0 as usize] = Some(body);
    }

    /// Gives every type that was asked for its body, and makes one of those that are the same. The functions are told the
    /// new numbers.
    pub(super) fn finish(mut self, functions: &mut [Function]) -> Result<Vec<Type>> {
        for pointers in 0..=POINTERS_MAX {
            while let Some((number, unit, offset)) = self.waiting[pointers as usize].pop_front() {
                let body = self.body(unit, offset, pointers)?;
                self.set(number, body);
            }
        }
        let types: Option<Vec<Type>> = self.types.into_iter().collect();
        let mut types = types.context("a type has no body")?;
        while merge(&mut types, functions) {}
        Ok(types)
    }

    fn body(&mut self, unit: usize, offset: UnitOffset, pointers: u32) -> Result<Type> {
        let units = self.units;
        let entry = units[unit].inner.entry(offset)?;
        let bytes = size(&entry);
        let target = entry.attr_value(DW_AT_type).and_then(reference);
        Ok(match entry.tag() {
            gimli::DW_TAG_base_type => match entry.attr_value(DW_AT_encoding) {
                Some(AttributeValue::Encoding(gimli::DW_ATE_boolean)) => Type::Bool,
                Some(AttributeValue::Encoding(gimli::DW_ATE_UTF)) => Type::Char,
                Some(AttributeValue::Encoding(gimli::DW_ATE_signed | gimli::DW_ATE_signed_char)) => {
                    Type::Int { size: bytes, signed: true }
                }
                Some(AttributeValue::Encoding(gimli::DW_ATE_unsigned | gimli::DW_ATE_unsigned_char))
                    if bytes > 0 =>
                {
                    Type::Int { size: bytes, signed: false }
                }
                _ => Type::Opaque(bytes),
            },
            gimli::DW_TAG_enumeration_type => Type::Int { size: bytes, signed: false },
            gimli::DW_TAG_pointer_type => match target {
                Some(target) => Type::Pointer(self.reach(unit, target, pointers + 1)?),
                None => Type::Int { size: WORD, signed: false },
            },
            gimli::DW_TAG_array_type => match (target, count(&units[unit], offset)?) {
                (Some(of), Some(count)) => Type::Array(self.reach(unit, of, pointers)?, count),
                _ => Type::Opaque(bytes),
            },
            gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => {
                self.record(unit, &entry, bytes, pointers)?
            }
            _ => Type::Opaque(bytes),
        })
    }

    /// A struct: its members that have a size. One that is an enumeration with data is only known if it is a pointer that
    /// may be missing.
    fn record(&mut self, unit: usize, entry: &Entry<'e>, bytes: u64, pointers: u32) -> Result<Type> {
        let units = self.units;
        let here = &units[unit];
        let name = match entry.attr_value(DW_AT_name) {
            Some(name) => here.dwarf.attr_string(&here.inner, name)?.to_string_lossy().into_owned(),
            None => String::new(),
        };
        let mut members = Vec::new();
        let mut tree = here.inner.entries_tree(Some(entry.offset()))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            match child.entry().tag() {
                gimli::DW_TAG_member => members.extend(self.member(unit, child.entry())?),
                gimli::DW_TAG_variant_part => {
                    return Ok(match self.nullable(unit, child)? {
                        Some(target) if bytes == WORD => {
                            Type::Pointer(self.reach(unit, target, pointers + 1)?)
                        }
                        _ => Type::Opaque(bytes),
                    });
                }
                _ => {}
            }
        }
        if let Some((pointer, length)) = self.text(unit, &name, &members)? {
            return Ok(Type::Text(bytes, pointer, length));
        }
        let mut fields = Vec::new();
        for (offset, name, ty) in members {
            fields.push((offset, name, self.reach(unit, ty, pointers)?));
        }
        let short = name.split('<').next().unwrap_or_default();
        Ok(Type::Record(if is_name(short) { short.into() } else { String::new() }, bytes, fields))
    }

    /// Where the address and the length of a text are, if this is a string of the library.
    fn text(
        &self,
        unit: usize,
        name: &str,
        members: &[(u64, String, UnitOffset)],
    ) -> Result<Option<(u64, u64)>> {
        let at = |name: &str| members.iter().find(|member| member.1 == name).map(|member| member.0);
        if SLICES.contains(&name) {
            return Ok(at("data_ptr").zip(at("length")));
        }
        if name != "String" {
            return Ok(None);
        }
        let (mut pointer, mut length) = (None, None);
        self.search(unit, 0, members, 0, &mut |offset, name| match name {
            "pointer" => pointer = Some(offset),
            "len" => length = Some(offset),
            _ => {}
        })?;
        Ok(pointer.zip(length))
    }

    /// Shows the members, and the members of those that are structs, with their offsets from the outermost.
    fn search(
        &self,
        unit: usize,
        base: u64,
        members: &[(u64, String, UnitOffset)],
        depth: u32,
        see: &mut dyn FnMut(u64, &str),
    ) -> Result<()> {
        for (offset, name, ty) in members {
            see(base + offset, name);
            if depth < STRING_DEPTH {
                self.search(unit, base + offset, &self.members(unit, *ty)?, depth + 1, see)?;
            }
        }
        Ok(())
    }

    /// The members of a struct that take room.
    fn members(&self, unit: usize, ty: UnitOffset) -> Result<Vec<(u64, String, UnitOffset)>> {
        let mut tree = self.units[unit].inner.entries_tree(Some(ty))?;
        let mut children = tree.root()?.children();
        let mut members = Vec::new();
        while let Some(child) = children.next()? {
            match child.entry().tag() {
                gimli::DW_TAG_member => members.extend(self.member(unit, child.entry())?),
                gimli::DW_TAG_variant_part => return Ok(Vec::new()),
                _ => {}
            }
        }
        Ok(members)
    }

    /// Offset, name and type of a member that takes room.
    fn member(&self, unit: usize, entry: &Entry<'e>) -> Result<Option<(u64, String, UnitOffset)>> {
        let here = &self.units[unit];
        let (Some(name), Some(ty), Some(offset)) = (
            entry.attr_value(DW_AT_name),
            entry.attr_value(DW_AT_type).and_then(reference),
            entry.attr_value(DW_AT_data_member_location).and_then(|at| at.udata_value()),
        ) else {
            return Ok(None);
        };
        let name = here.dwarf.attr_string(&here.inner, name)?.to_string_lossy().into_owned();
        let takes_room = is_sized(here, ty)?;
        Ok((takes_room && is_name(&name)).then_some((offset, name, ty)))
    }

    /// What the pointer of an `Option` of a pointer points to, from the part that has its variants.
    fn nullable(
        &self,
        unit: usize,
        part: gimli::EntriesTreeNode<'_, '_, super::Reader<'e>>,
    ) -> Result<Option<UnitOffset>> {
        let here = &self.units[unit];
        let mut payloads = Vec::new();
        let mut variants = part.children();
        while let Some(variant) = variants.next()? {
            if variant.entry().tag() != gimli::DW_TAG_variant {
                continue;
            }
            let mut members = variant.children();
            while let Some(member) = members.next()? {
                let Some(mut ty) = member.entry().attr_value(DW_AT_type).and_then(reference) else {
                    continue;
                };
                // A variant without data is said to be as large as the whole.
                if self.members(unit, ty)?.is_empty() {
                    continue;
                }
                // Down through structs that are as large as what is in them.
                let target = loop {
                    let entry = here.inner.entry(ty)?;
                    if entry.tag() == gimli::DW_TAG_pointer_type {
                        break entry.attr_value(DW_AT_type).and_then(reference);
                    }
                    match self.members(unit, ty)?.as_slice() {
                        [(0, _, inner)] => ty = *inner,
                        _ => break None,
                    }
                };
                payloads.push(target);
            }
        }
        Ok(match payloads.as_slice() {
            [only] => *only,
            _ => None,
        })
    }
}

/// Makes one of types that are the same. False when there are none.
fn merge(types: &mut Vec<Type>, functions: &mut [Function]) -> bool {
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    let mut kept: Vec<Type> = Vec::new();
    let renumbered: Vec<TypeId> = types
        .iter()
        .map(|ty| {
            let next = kept.len() as u32;
            let number = *numbers.entry(format!("{ty:?}")).or_insert(next);
            if number == next {
                kept.push(ty.clone());
            }
            TypeId(number)
        })
        .collect();
    if kept.len() == types.len() {
        return false;
    }
    let new = |ty: &mut TypeId| *ty = renumbered[ty.0 as usize];
    for ty in &mut kept {
        match ty {
            Type::Pointer(to) => new(to),
            Type::Array(of, _) => new(of),
            Type::Record(_, _, fields) => fields.iter_mut().for_each(|(_, _, ty)| new(ty)),
            Type::Opaque(_) | Type::Int { .. } | Type::Bool | Type::Char | Type::Text(..) => {}
        }
    }
    for function in functions {
        function.params.iter_mut().for_each(|(_, ty, _)| new(ty));
        if let Outcome::Value(ty) = &mut function.result {
            new(ty);
        }
    }
    *types = kept;
    true
}

/// Does a type take room?
fn is_sized(unit: &Unit<'_>, ty: UnitOffset) -> Result<bool> {
    let entry = unit.inner.entry(ty)?;
    Ok(match entry.tag() {
        gimli::DW_TAG_pointer_type => true,
        gimli::DW_TAG_array_type => count(unit, ty)? != Some(0),
        _ => size(&entry) > 0,
    })
}

fn size(entry: &Entry<'_>) -> u64 {
    entry.attr_value(DW_AT_byte_size).and_then(|size| size.udata_value()).unwrap_or(0)
}

/// How many elements an array has.
fn count(unit: &Unit<'_>, offset: UnitOffset) -> Result<Option<u64>> {
    let mut tree = unit.inner.entries_tree(Some(offset))?;
    let mut children = tree.root()?.children();
    while let Some(child) = children.next()? {
        let entry = child.entry();
        if entry.tag() == gimli::DW_TAG_subrange_type {
            let count = entry.attr_value(DW_AT_count).and_then(|count| count.udata_value());
            let last = entry.attr_value(DW_AT_upper_bound).and_then(|last| last.udata_value());
            return Ok(count.or(last.map(|last| last + 1)));
        }
    }
    Ok(None)
}
