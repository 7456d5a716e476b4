//! Writes a table of types; runs in the build, on the host.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{
    BLOCK, BLOCK_LEN, FIELDS_MAX, HEADER_LEN, MAGIC, NAME_MAX, Outcome, PARAMS_MAX, Place, TypeId, VERSION,
    header, letter,
};
use crate::blob::{checksum, put};

/// A function to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Where it begins.
    pub start: u64,
    /// What it returns.
    pub result: Outcome,
    /// Name, type and place of each parameter.
    pub params: Vec<(String, TypeId, Place)>,
}

/// A type to be written; its number is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Of so many bytes, and nothing more is known.
    Opaque(u64),
    /// An integer of so many bytes.
    Int {
        /// Its bytes.
        size: u64,
        /// Can it be negative?
        signed: bool,
    },
    /// A truth value.
    Bool,
    /// A Unicode character.
    Char,
    /// The address of one.
    Pointer(TypeId),
    /// A string of so many bytes; where in it the address is, and the length.
    Text(u64, u64, u64),
    /// So many in a row.
    Array(TypeId, u64),
    /// A struct: its name, its bytes; offset, name and type of each field.
    Record(String, u64, Vec<(u64, String, TypeId)>),
}

/// Why a table cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// Two functions begin here, or one where no instruction can.
    Address(u64),
    /// A type refers to this one, which is not there.
    NoType(u32),
    /// A section has 4 GiB or more, or a function lies so far from the first.
    TooLarge,
}

impl core::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Address(at) => write!(f, "no function, or a second one, can begin at {at:#x}"),
            Self::NoType(number) => write!(f, "there is no type {number}"),
            Self::TooLarge => f.write_str("the table would have 4 GiB or more"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Writes the table of `functions`, which may come in any order, and `types`. Parameters, fields and bytes of names beyond
/// their limits are left out.
pub fn encode(mut functions: Vec<Function>, types: &[Type]) -> Result<Vec<u8>, EncodeError> {
    functions.sort_by_key(|function| function.start);
    let names = Names::of(&functions, types);
    let known = |ty: TypeId| {
        if (ty.0 as usize) < types.len() { Ok(u64::from(ty.0)) } else { Err(EncodeError::NoType(ty.0)) }
    };

    let base = functions.first().map_or(0, |function| function.start);
    let (mut blocks, mut list, mut prototypes) = (Vec::new(), Vec::new(), Vec::new());
    let mut stored = BTreeMap::new();
    let mut before = None;
    for (number, function) in functions.iter().enumerate() {
        let start = function.start;
        if !start.is_multiple_of(4) || before == Some(start) {
            return Err(EncodeError::Address(start));
        }
        let offset = small(start - base)?;
        let gap = match before {
            Some(before) if !number.is_multiple_of(BLOCK) => (start - before) / 4,
            _ => {
                blocks.extend_from_slice(&offset.to_le_bytes());
                blocks.extend_from_slice(&small(list.len() as u64)?.to_le_bytes());
                0
            }
        };
        before = Some(start);
        let mut prototype = Vec::new();
        let result = match function.result {
            Outcome::Unknown => 0,
            Outcome::Nothing => 1,
            Outcome::Value(ty) => known(ty)? + 2,
        };
        push(&mut prototype, result);
        push(&mut prototype, function.params.len().min(PARAMS_MAX) as u64);
        for (name, ty, place) in function.params.iter().take(PARAMS_MAX) {
            push(&mut prototype, names.at(name));
            push(&mut prototype, known(*ty)?);
            prototype.push(place.to_byte());
        }
        let at = *stored.entry(prototype).or_insert_with_key(|prototype: &Vec<u8>| {
            let at = prototypes.len() as u64;
            prototypes.extend_from_slice(prototype);
            at
        });
        push(&mut list, gap);
        push(&mut list, at);
    }

    let (mut index, mut bodies) = (Vec::new(), Vec::new());
    for ty in types {
        index.extend_from_slice(&small(bodies.len() as u64)?.to_le_bytes());
        let mut body = |letter: u8, numbers: &[u64]| {
            bodies.push(letter);
            numbers.iter().for_each(|number| push(&mut bodies, *number));
        };
        match ty {
            Type::Opaque(size) => body(letter::OPAQUE, &[*size]),
            Type::Int { size, signed: false } => body(letter::UNSIGNED, &[*size]),
            Type::Int { size, signed: true } => body(letter::SIGNED, &[*size]),
            Type::Bool => body(letter::BOOL, &[]),
            Type::Char => body(letter::CHAR, &[]),
            Type::Pointer(to) => body(letter::POINTER, &[known(*to)?]),
            Type::Text(size, pointer, length) => body(letter::TEXT, &[*size, *pointer, *length]),
            Type::Array(of, count) => body(letter::ARRAY, &[known(*of)?, *count]),
            Type::Record(name, size, fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(offset, ..)| *offset);
                fields.truncate(FIELDS_MAX);
                body(letter::RECORD, &[names.at(name), *size, fields.len() as u64]);
                let mut before = 0;
                for (offset, name, ty) in fields {
                    push(&mut bodies, offset - before);
                    push(&mut bodies, names.at(name));
                    push(&mut bodies, known(*ty)?);
                    before = *offset;
                }
            }
        }
    }

    let mut table = vec![0; HEADER_LEN];
    put(&mut table, 0, &MAGIC);
    put(&mut table, header::VERSION, &VERSION.to_le_bytes());
    put(&mut table, header::BASE, &base.to_le_bytes());
    for (at, section, unit) in [
        (header::BLOCKS, &blocks, BLOCK_LEN),
        (header::FUNCTIONS_LEN, &list, 1),
        (header::PROTOTYPES_LEN, &prototypes, 1),
        (header::TYPES, &index, super::INDEX_LEN),
        (header::TYPES_LEN, &bodies, 1),
        (header::NAMES_LEN, &names.bytes, 1),
    ] {
        put(&mut table, at, &small((section.len() / unit) as u64)?.to_le_bytes());
        table.extend_from_slice(section);
    }
    let total = small(table.len() as u64)?;
    put(&mut table, header::TOTAL_LEN, &total.to_le_bytes());
    let sum = checksum(&table, header::CHECKSUM).unwrap_or(0);
    put(&mut table, header::CHECKSUM, &sum.to_le_bytes());
    Ok(table)
}

/// Every name once, those that are asked for most in front, where references are short.
struct Names {
    bytes: Vec<u8>,
    at: BTreeMap<String, u64>,
}

impl Names {
    fn of(functions: &[Function], types: &[Type]) -> Self {
        let mut uses: BTreeMap<&str, u64> = BTreeMap::new();
        let mut count = |name| *uses.entry(cut(name)).or_default() += 1;
        functions.iter().flat_map(|function| &function.params).for_each(|(name, ..)| count(name));
        for ty in types {
            if let Type::Record(name, _, fields) = ty {
                count(name);
                fields.iter().for_each(|(_, name, _)| count(name));
            }
        }
        let mut order: Vec<_> = uses.into_iter().collect();
        order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let mut names = Self { bytes: Vec::new(), at: BTreeMap::new() };
        for (name, _) in order {
            names.at.insert(name.into(), names.bytes.len() as u64);
            // Fits: `cut` bounds it.
            names.bytes.push(name.len() as u8);
            names.bytes.extend_from_slice(name.as_bytes());
        }
        names
    }

    fn at(&self, name: &str) -> u64 {
        self.at.get(cut(name)).copied().unwrap_or(0)
    }
}

/// At most [`NAME_MAX`] bytes of a name, whole characters.
fn cut(name: &str) -> &str {
    let end = (0..=NAME_MAX.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    &name[..end.unwrap_or(0)]
}

fn small(number: u64) -> Result<u32, EncodeError> {
    u32::try_from(number).map_err(|_| EncodeError::TooLarge)
}

fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
