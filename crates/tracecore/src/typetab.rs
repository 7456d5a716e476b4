//! What the compiler knew of functions and types, as one blob of bytes.
//!
//! `p:x work_struct item->len` asks where `item` is when the function begins, and how far into what it points to `len` lies.
//! Both are in the debug information of the linked kernel, which is ten times as large as the kernel. The build takes from
//! it what a probe may ask for (as Linux makes its BTF) and appends it behind the symbols:
//!
//! ```text
//!   header │ blocks │ functions │ prototypes │ index │ types │ names
//!     64     8 × b     varints     varints     4 × t  varints  length, bytes
//!
//!   block      {offset of its first function from base: u32, where its functions stand: u32}
//!   function   bytes from the one before ÷ 4 (the first of a block: 0), where its prototype stands
//!   prototype  result (0 not known, 1 nothing, type + 2), how many parameters; each: name, type, place
//!   place      0b00000rrr in x0–x7 │ 0b01hhhlll in two of them, low half first │ 0b10000rrr in memory, x0–x7 points there
//!   type       a letter for its shape, then what the shape has:
//!                o size │ u size │ s size │ b │ c │ p type │ a type, count │ t size, address at, length at │
//!                r name, size, how many fields; each: bytes from where the one before begins, name, type
//!   index      where each type stands, by its number
//!   names      a reference to one is where it stands
//! ```
//!
//! All references are varints: seven bits a byte, the lowest first, the last with its top bit clear. Functions with the same
//! parameters in the same places share a prototype.
//!
//! *Where* an argument lies is what the compiler wrote down for the first instruction, not what a calling convention would
//! say: Rust's is not specified, and an optimiser drops parameters that nobody reads. One whose place is not known is not in
//! the table. What a pointer points to is followed a few pointers deep; beyond that it is `o`, of which only the size is
//! known.
//!
//! The reader borrows the bytes, allocates nothing, and takes none of them on trust: a table that is missing, cut short or
//! damaged is an error from [`TypeTable::parse`], and what still lies is `None`, never a fault or a walk without end. The
//! writer for the build is [`encode`].

pub mod encode;
mod show;
#[cfg(test)]
mod tests;

use crate::blob::{checksum, halve, u32_at, u64_at};
use core::cmp::Ordering;

/// The first eight bytes of a table.
pub const MAGIC: [u8; 8] = *b"TRAPTYPE";
/// The layout's version; a reader takes no other.
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = 64;
/// How many functions share an entry of the block table, and so the most that a lookup walks over.
pub const BLOCK: usize = 32;
/// The most parameters of one function that are told.
pub const PARAMS_MAX: usize = 32;
/// The most fields of one type that are told.
pub const FIELDS_MAX: usize = 512;
/// The longest name that is stored, in bytes.
pub const NAME_MAX: usize = 255;

/// Bytes of one entry of the block table.
const BLOCK_LEN: usize = 8;
/// Bytes of one entry of the index of types.
const INDEX_LEN: usize = 4;
/// How many wrappers, one in the other, are looked through.
const WRAPPERS_MAX: usize = 16;

/// Where each field of the header lies. The sections follow in the order of the lengths.
mod header {
    pub(super) const VERSION: usize = 8;
    pub(super) const TOTAL_LEN: usize = 12;
    pub(super) const BASE: usize = 16;
    pub(super) const CHECKSUM: usize = 24;
    pub(super) const BLOCKS: usize = 32;
    pub(super) const FUNCTIONS_LEN: usize = 36;
    pub(super) const PROTOTYPES_LEN: usize = 40;
    pub(super) const TYPES: usize = 44;
    pub(super) const TYPES_LEN: usize = 48;
    pub(super) const NAMES_LEN: usize = 52;
}

/// The letters of shapes.
mod letter {
    pub(super) const OPAQUE: u8 = b'o';
    pub(super) const UNSIGNED: u8 = b'u';
    pub(super) const SIGNED: u8 = b's';
    pub(super) const BOOL: u8 = b'b';
    pub(super) const CHAR: u8 = b'c';
    pub(super) const POINTER: u8 = b'p';
    pub(super) const TEXT: u8 = b't';
    pub(super) const ARRAY: u8 = b'a';
    pub(super) const RECORD: u8 = b'r';
}

/// Why a table was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTypes {
    /// There are fewer bytes than the header or its lengths ask for.
    Short,
    /// The bytes do not start with [`MAGIC`]: nobody appended a table.
    NoMagic,
    /// The layout is of this other version.
    Version(u32),
    /// The header's lengths contradict each other.
    Lengths,
    /// The bytes are not those that were written.
    Checksum,
}

impl core::fmt::Display for BadTypes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Short => f.write_str("the table of types is cut short"),
            Self::NoMagic => f.write_str("no table of types was appended to the image"),
            Self::Version(v) => write!(f, "the table of types has version {v}, expected {VERSION}"),
            Self::Lengths => f.write_str("the lengths of the table of types contradict each other"),
            Self::Checksum => f.write_str("the table of types is damaged (checksum)"),
        }
    }
}

/// The number of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// Where an argument is when its function begins. Registers are x0 to x7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a register.
    Register(u8),
    /// The first eight bytes in one register, the rest in another: the two words of a slice.
    Pair(u8, u8),
    /// In memory, where this register points.
    Memory(u8),
}

impl Place {
    const PAIR: u8 = 0x40;
    const MEMORY: u8 = 0x80;

    const fn to_byte(self) -> u8 {
        match self {
            Place::Register(x) => x & 7,
            Place::Pair(low, high) => Self::PAIR | (high & 7) << 3 | low & 7,
            Place::Memory(x) => Self::MEMORY | x & 7,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte & 0xc0 {
            0 if byte < 8 => Some(Place::Register(byte)),
            Self::PAIR => Some(Place::Pair(byte & 7, byte >> 3 & 7)),
            Self::MEMORY if byte & 0x3f < 8 => Some(Place::Memory(byte & 7)),
            _ => None,
        }
    }
}

/// What a type is made of.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// Something of this many bytes.
    Opaque {
        /// Its size.
        size: u64,
    },
    /// An integer, or an enumeration without data.
    Int {
        /// Its bytes: 1, 2, 4 or 8; 16 cannot be fetched.
        size: u64,
        /// Can it be negative?
        signed: bool,
    },
    /// A truth value, one byte.
    Bool,
    /// A Unicode character, four bytes.
    Char,
    /// The address of one.
    Pointer {
        /// Of what.
        to: TypeId,
    },
    /// A string, or a slice of one: the address of its first byte, and how many there are.
    Text {
        /// Its own bytes.
        size: u64,
        /// Where in it the address is.
        pointer: u64,
        /// Where in it the length is.
        length: u64,
    },
    /// Some of one type in a row.
    Array {
        /// Of what.
        of: TypeId,
        /// How many.
        count: u64,
    },
    /// A struct, or a tuple, with its fields.
    Record(Record<'a>),
}

/// A struct.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its name, without its path; empty where it has none.
    pub name: &'a str,
    /// Its bytes.
    pub size: u64,
    count: u32,
    table: TypeTable<'a>,
    at: usize,
}

/// A field of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name; the fields of a tuple are `__0`, `__1` …
    pub name: &'a str,
    /// Bytes from the start of the struct.
    pub offset: u64,
    /// Its type.
    pub ty: TypeId,
}

/// What a function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something that does not fit into a register, or of which nothing is known.
    Unknown,
    /// Nothing.
    Nothing,
    /// A value of this type, in x0.
    Value(TypeId),
}

/// A function.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    /// What it returns.
    pub result: Outcome,
    count: u32,
    /// Its parameters are words in their order.
    words: bool,
    table: TypeTable<'a>,
    at: usize,
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Where it is when the function begins.
    pub place: Place,
}

/// A table that was checked, ready to be asked.
#[derive(Clone, Copy, Debug)]
pub struct TypeTable<'a> {
    base: u64,
    blocks: &'a [u8],
    functions: &'a [u8],
    prototypes: &'a [u8],
    index: &'a [u8],
    types: &'a [u8],
    names: &'a [u8],
}

impl<'a> TypeTable<'a> {
    /// A table of nothing: every question is answered `None`.
    pub const EMPTY: TypeTable<'static> = TypeTable {
        base: 0,
        blocks: &[],
        functions: &[],
        prototypes: &[],
        index: &[],
        types: &[],
        names: &[],
    };

    /// Checks the table at the start of `bytes` (more may follow it) and borrows it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadTypes> {
        let head = bytes.get(..HEADER_LEN).ok_or(BadTypes::Short)?;
        if head.get(..MAGIC.len()) != Some(&MAGIC[..]) {
            return Err(BadTypes::NoMagic);
        }
        let number = |at| u32_at(head, at).map(|n| n as usize).ok_or(BadTypes::Short);
        match u32_at(head, header::VERSION) {
            Some(VERSION) => {}
            other => return Err(BadTypes::Version(other.unwrap_or(0))),
        }
        let total = number(header::TOTAL_LEN)?;
        let table = bytes.get(..total).ok_or(BadTypes::Short)?;
        let mut rest = table.get(HEADER_LEN..).ok_or(BadTypes::Lengths)?;
        let mut section = |at, unit: usize| -> Result<&'a [u8], BadTypes> {
            let len = number(at)?.checked_mul(unit).ok_or(BadTypes::Lengths)?;
            let (section, behind) = rest.split_at_checked(len).ok_or(BadTypes::Lengths)?;
            rest = behind;
            Ok(section)
        };
        let found = TypeTable {
            base: u64_at(head, header::BASE).ok_or(BadTypes::Short)?,
            blocks: section(header::BLOCKS, BLOCK_LEN)?,
            functions: section(header::FUNCTIONS_LEN, 1)?,
            prototypes: section(header::PROTOTYPES_LEN, 1)?,
            index: section(header::TYPES, INDEX_LEN)?,
            types: section(header::TYPES_LEN, 1)?,
            names: section(header::NAMES_LEN, 1)?,
        };
        if !rest.is_empty() {
            return Err(BadTypes::Lengths);
        }
        let sum = u64_at(head, header::CHECKSUM).ok_or(BadTypes::Short)?;
        if checksum(table, header::CHECKSUM) != Some(sum) {
            return Err(BadTypes::Checksum);
        }
        Ok(found)
    }

    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The function that begins at this address.
    pub fn function(&self, address: u64) -> Option<Function<'a>> {
        let offset = u32::try_from(address.checked_sub(self.base)?).ok()?;
        let first_of = |block: usize| u32_at(self.blocks, block.checked_mul(BLOCK_LEN)?);
        let beyond = halve(self.blocks.len() / BLOCK_LEN, &mut |block| match first_of(block) {
            Some(first) if first <= offset => Ordering::Less,
            _ => Ordering::Greater,
        });
        let block = beyond.checked_sub(1)?;
        let mut here = first_of(block)?;
        let mut at = u32_at(self.blocks, block * BLOCK_LEN + 4)? as usize;
        for _ in 0..BLOCK {
            let gap = varint(self.functions, &mut at)?;
            let prototype = varint(self.functions, &mut at)?;
            here = here.checked_add(u32::try_from(gap).ok()?.checked_mul(4)?)?;
            if here >= offset {
                return if here == offset { self.prototype(prototype) } else { None };
            }
        }
        None
    }

    fn prototype(self, at: u64) -> Option<Function<'a>> {
        let mut at = usize::try_from(at).ok()?;
        let result = varint(self.prototypes, &mut at)?;
        let count = u32::try_from(varint(self.prototypes, &mut at)?).ok()?;
        let result = match result {
            0 => Outcome::Unknown,
            1 => Outcome::Nothing,
            ty => Outcome::Value(type_id(ty - 2)?),
        };
        Some(Function { result, count, words: false, table: self, at })
    }

    /// How many types there are; their numbers are those below.
    pub fn count(&self) -> u32 {
        u32::try_from(self.index.len() / INDEX_LEN).unwrap_or(u32::MAX)
    }

    /// What a type is made of.
    pub fn shape(&self, ty: TypeId) -> Option<Shape<'a>> {
        let mut at = u32_at(self.index, (ty.0 as usize).checked_mul(INDEX_LEN)?)? as usize;
        let letter = *self.types.get(at)?;
        at += 1;
        let mut number = || varint(self.types, &mut at);
        Some(match letter {
            letter::OPAQUE => Shape::Opaque { size: number()? },
            letter::UNSIGNED => Shape::Int { size: number()?, signed: false },
            letter::SIGNED => Shape::Int { size: number()?, signed: true },
            letter::BOOL => Shape::Bool,
            letter::CHAR => Shape::Char,
            letter::POINTER => Shape::Pointer { to: type_id(number()?)? },
            letter::TEXT => Shape::Text { size: number()?, pointer: number()?, length: number()? },
            letter::ARRAY => Shape::Array { of: type_id(number()?)?, count: number()? },
            letter::RECORD => {
                let name = self.name(number()?)?;
                let (size, count) = (number()?, u32::try_from(number()?).ok()?);
                Shape::Record(Record { name, size, count, table: *self, at })
            }
            _ => return None,
        })
    }

    /// The same, seen through wrappers: a struct of one field that is as large as itself is what that field is.
    pub fn core_shape(&self, mut ty: TypeId) -> Option<Shape<'a>> {
        for _ in 0..WRAPPERS_MAX {
            match self.shape(ty)? {
                Shape::Record(record) => match self.wrapped(record) {
                    Some(inner) => ty = inner,
                    None => return Some(Shape::Record(record)),
                },
                shape => return Some(shape),
            }
        }
        None
    }

    /// The type of the one field of a struct that is as large as that.
    pub fn wrapped(&self, record: Record<'a>) -> Option<TypeId> {
        let field = record.fields().next().filter(|field| field.offset == 0 && record.count == 1)?;
        (self.size(field.ty)? == record.size).then_some(field.ty)
    }

    /// How many bytes one of this type has.
    pub fn size(&self, ty: TypeId) -> Option<u64> {
        let (mut ty, mut times) = (ty, 1_u64);
        for _ in 0..WRAPPERS_MAX {
            let size = match self.shape(ty)? {
                Shape::Opaque { size } | Shape::Int { size, .. } | Shape::Text { size, .. } => size,
                Shape::Record(record) => record.size,
                Shape::Bool => 1,
                Shape::Char => 4,
                Shape::Pointer { .. } => 8,
                Shape::Array { of, count } => {
                    times = times.checked_mul(count)?;
                    ty = of;
                    continue;
                }
            };
            return times.checked_mul(size);
        }
        None
    }

    fn name(&self, at: u64) -> Option<&'a str> {
        let (len, rest) = self.names.get(usize::try_from(at).ok()?..)?.split_first()?;
        core::str::from_utf8(rest.get(..usize::from(*len))?).ok()
    }
}

impl<'a> Function<'a> {
    /// Its parameters in their order, those whose place is known.
    pub fn params(&self) -> Params<'a> {
        let left = self.count.min(PARAMS_MAX as u32);
        Params { table: self.table, left, at: self.at, words: self.words, word: 0 }
    }

    /// The same function as one whose arguments are handed on as words, one each, without the last: so a tracepoint
    /// passes them to those who do not know its types. `None` if not all of them are known.
    pub fn as_words(mut self) -> Option<Self> {
        let mut next = 0;
        for param in self.params() {
            let (first, behind) = match param.place {
                Place::Register(x) | Place::Memory(x) => (x, x + 1),
                Place::Pair(low, high) if high == low + 1 => (low, high + 1),
                Place::Pair(..) => return None,
            };
            if first != next {
                return None;
            }
            next = behind;
        }
        (self.count, self.words) = (self.count.checked_sub(1)?, true);
        Some(self)
    }

    /// The parameter of this name.
    pub fn param(&self, name: &str) -> Option<Param<'a>> {
        // Of two with one name the last is the one that the function's body means.
        self.params().filter(|param| param.name == name).last()
    }
}

/// What [`Function::params`] gives.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    table: TypeTable<'a>,
    left: u32,
    at: usize,
    words: bool,
    word: u8,
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        self.left = self.left.checked_sub(1)?;
        let bytes = self.table.prototypes;
        let name = self.table.name(varint(bytes, &mut self.at)?)?;
        let ty = type_id(varint(bytes, &mut self.at)?)?;
        let place = Place::from_byte(*bytes.get(self.at)?)?;
        self.at += 1;
        let place = if self.words { Place::Register(self.word) } else { place };
        // At most PARAMS_MAX of them.
        self.word += 1;
        Some(Param { name, ty, place })
    }
}

impl<'a> Record<'a> {
    /// Its fields in the order of their offsets.
    pub fn fields(&self) -> Fields<'a> {
        Fields { table: self.table, left: self.count.min(FIELDS_MAX as u32), at: self.at, offset: 0 }
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<Field<'a>> {
        self.fields().find(|field| field.name == name)
    }
}

/// What [`Record::fields`] gives.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    table: TypeTable<'a>,
    left: u32,
    at: usize,
    offset: u64,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        self.left = self.left.checked_sub(1)?;
        let bytes = self.table.types;
        self.offset = self.offset.checked_add(varint(bytes, &mut self.at)?)?;
        let name = self.table.name(varint(bytes, &mut self.at)?)?;
        let ty = type_id(varint(bytes, &mut self.at)?)?;
        Some(Field { name, offset: self.offset, ty })
    }
}

fn type_id(number: u64) -> Option<TypeId> {
    u32::try_from(number).ok().map(TypeId)
}

/// Reads the number at `at` and moves behind it.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    /// Seven bits each.
    const BYTES_MAX: u32 = 9;
    let mut number = 0;
    for nth in 0..BYTES_MAX {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << (7 * nth);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
