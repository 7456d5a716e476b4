//! BTF: what a compiler tells of the types of a program (Linux, `Documentation/bpf/btf.rst`).
//!
//! ```text
//!   .BTF      header │ types, one behind the other: {name, info, size or type, what the kind has} │ strings
//!   .BTF.ext  header │ per section: functions' types │ lines of source │ CO-RE relocations
//!
//!   info      bits 0-15 vlen │ 24-28 kind │ 31 flag          a reference to a type is its number, from 1; 0 is `void`
//! ```
//!
//! | room | what |
//! |---|---|
//! | `mod` | [`Btf`]: the types, read once, each reference looked at |
//! | [`ext`] | what belongs to instructions: lines and relocations |
//! | [`co_re`] | CO-RE: the same access in a kernel whose types differ |
//!
//! Everything comes from a file that anybody may have written: lengths are compared before anything is taken, memory is at
//! most a few times that of the file, and a chain of references is followed [`DEPTH_MAX`] steps and no further.

pub mod co_re;
pub mod ext;
mod read;
#[cfg(test)]
mod tests;
mod view;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

pub(crate) use read::Reader;

/// How many modifiers or members, one in the other, are followed.
pub const DEPTH_MAX: usize = 32;
/// The most types; Linux's limit for a program's BTF.
pub const TYPES_MAX: usize = 0x000f_ffff;
/// The most bytes of strings; Linux's limit.
pub const STRINGS_MAX: usize = 0x00ff_ffff;

/// The longest string that is looked at.
pub const STRING_MAX: usize = 4096;

/// The types of a program.
#[derive(Clone, Debug, Default)]
pub struct Btf {
    /// The first is `void`.
    types: Vec<Type>,
    members: Vec<Member>,
    values: Vec<Value>,
    vars: Vec<InSection>,
    strings: Box<[u8]>,
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// Its name, as an offset into the strings.
    pub name: u32,
    /// What it is.
    pub kind: Kind,
}

/// What a type is. A `u32` that is not said to be something else is the number of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Void,
    /// An integer.
    Int {
        /// Bytes.
        size: u32,
        /// Can it be negative?
        signed: bool,
        /// Bits of it that count.
        bits: u8,
        /// Bits before them.
        offset: u8,
    },
    /// The address of one.
    Ptr(u32),
    /// Some in a row.
    Array {
        /// Of what.
        of: u32,
        /// How many.
        count: u32,
    },
    /// A struct, or a union.
    Composite {
        /// A union?
        union: bool,
        /// Bytes.
        size: u32,
        /// Its members, among all.
        members: Range<usize>,
    },
    /// An enumeration.
    Enum {
        /// Bytes.
        size: u32,
        /// Can its values be negative?
        signed: bool,
        /// Its values, among all.
        values: Range<usize>,
    },
    /// A struct or union that is defined elsewhere.
    Fwd {
        /// A union?
        union: bool,
    },
    /// Another name for a type.
    Typedef(u32),
    /// `const`, `volatile`, `restrict`, a tag: the same type, for our purposes.
    Modifier(u32),
    /// A function; the type is its prototype.
    Func {
        /// Its prototype.
        proto: u32,
        /// 0 static, 1 global, 2 extern.
        linkage: u16,
    },
    /// A function's type.
    Proto {
        /// What it returns.
        result: u32,
        /// Its parameters, among all members; a place has no meaning there.
        params: Range<usize>,
    },
    /// A variable.
    Var {
        /// Its type.
        ty: u32,
        /// 0 static, 1 global, 2 extern.
        linkage: u32,
    },
    /// A section of variables.
    Section {
        /// Bytes, if the compiler knew.
        size: u32,
        /// Which, among all.
        vars: Range<usize>,
    },
    /// A floating-point number of so many bytes.
    Float(u32),
    /// A word attached to a declaration.
    DeclTag(u32),
}

/// A member of a struct or union, or a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, as an offset into the strings.
    pub name: u32,
    /// Its type.
    pub ty: u32,
    /// Bits from the beginning.
    pub bit_offset: u32,
    /// Width of a bit field, else 0.
    pub bits: u8,
}

/// A value of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its name, as an offset into the strings.
    pub name: u32,
    /// The number.
    pub value: i64,
}

/// A variable in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InSection {
    /// The variable, a type of kind [`Kind::Var`].
    pub var: u32,
    /// Bytes from the beginning of the section, if the compiler knew.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// What is wrong with BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBtf {
    /// It ends in the middle of something.
    Short(&'static str),
    /// It does not begin as BTF does.
    Magic(u16),
    /// A version that nobody knows.
    Version(u8),
    /// The lengths in the header contradict each other.
    Header,
    /// More than is allowed.
    TooMany(&'static str),
    /// A kind that does not exist.
    Kind {
        /// The type.
        ty: u32,
        /// Its kind.
        kind: u8,
    },
    /// Something about a type that cannot be.
    Type {
        /// The type.
        ty: u32,
        /// What.
        what: &'static str,
    },
    /// The strings do not begin and end with a zero.
    Strings,
    /// Something about a record of `.BTF.ext` that cannot be.
    Record(&'static str),
}

impl fmt::Display for BadBtf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(what) => write!(f, "BTF ends in the middle of {what}"),
            Self::Magic(magic) => write!(f, "BTF begins with {magic:#06x}, not 0xeb9f"),
            Self::Version(version) => write!(f, "BTF of version {version}; only 1 is known"),
            Self::Header => f.write_str("the lengths in the header of BTF contradict each other"),
            Self::TooMany(what) => write!(f, "BTF with too many {what}"),
            Self::Kind { ty, kind } => write!(f, "BTF type [{ty}] is of kind {kind}, which does not exist"),
            Self::Type { ty, what } => write!(f, "BTF type [{ty}]: {what}"),
            Self::Strings => f.write_str("the strings of BTF do not begin and end with a zero"),
            Self::Record(what) => write!(f, ".BTF.ext: {what}"),
        }
    }
}

impl core::error::Error for BadBtf {}

impl Btf {
    /// How many types there are, with `void`.
    pub fn count(&self) -> u32 {
        // At most TYPES_MAX.
        self.types.len() as u32
    }

    /// The type of a number.
    pub fn get(&self, ty: u32) -> Option<&Type> {
        self.types.get(ty as usize)
    }

    /// All types, from `void`, with their numbers.
    pub fn types(&self) -> impl Iterator<Item = (u32, &Type)> {
        (0..).zip(&self.types)
    }

    /// The string at an offset; empty for what lies nowhere or is longer than [`STRING_MAX`].
    pub fn string(&self, at: u32) -> &str {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        let end = rest.iter().take(STRING_MAX).position(|byte| *byte == 0).unwrap_or(0);
        core::str::from_utf8(rest.get(..end).unwrap_or_default()).unwrap_or_default()
    }

    /// What a type is called.
    pub fn name_of(&self, ty: u32) -> &str {
        self.get(ty).map_or("", |found| self.string(found.name))
    }

    /// The members of a struct or union, or the parameters of a prototype.
    pub fn members_of(&self, range: &Range<usize>) -> &[Member] {
        self.members.get(range.clone()).unwrap_or_default()
    }

    /// The values of an enumeration.
    pub fn values_of(&self, range: &Range<usize>) -> &[Value] {
        self.values.get(range.clone()).unwrap_or_default()
    }

    /// The variables of a section.
    pub fn vars_of(&self, range: &Range<usize>) -> &[InSection] {
        self.vars.get(range.clone()).unwrap_or_default()
    }

    /// The type behind modifiers, and its number.
    pub fn skip_modifiers(&self, ty: u32) -> Option<(u32, &Kind)> {
        self.skip(ty, false)
    }

    /// The type behind modifiers and other names, and its number.
    pub fn resolve(&self, ty: u32) -> Option<(u32, &Kind)> {
        self.skip(ty, true)
    }

    fn skip(&self, mut ty: u32, typedefs: bool) -> Option<(u32, &Kind)> {
        for _ in 0..DEPTH_MAX {
            match &self.get(ty)?.kind {
                Kind::Modifier(to) => ty = *to,
                Kind::Typedef(to) if typedefs => ty = *to,
                kind => return Some((ty, kind)),
            }
        }
        None
    }

    /// How many bytes one of this type has.
    pub fn size_of(&self, ty: u32) -> Option<u64> {
        let (mut ty, mut times) = (ty, 1_u64);
        for _ in 0..DEPTH_MAX {
            let size = match self.resolve(ty)?.1 {
                Kind::Int { size, .. }
                | Kind::Composite { size, .. }
                | Kind::Enum { size, .. }
                | Kind::Float(size) => u64::from(*size),
                Kind::Section { size, .. } => u64::from(*size),
                Kind::Ptr(_) => 8,
                Kind::Var { ty: of, .. } => {
                    ty = *of;
                    continue;
                }
                Kind::Array { of, count } => {
                    times = times.checked_mul(u64::from(*count))?;
                    ty = *of;
                    continue;
                }
                Kind::Void
                | Kind::Fwd { .. }
                | Kind::Typedef(_)
                | Kind::Modifier(_)
                | Kind::Func { .. }
                | Kind::Proto { .. }
                | Kind::DeclTag(_) => return None,
            };
            return times.checked_mul(size);
        }
        None
    }
}
