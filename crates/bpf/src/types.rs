//! What a kernel tells of its types, to those who know no kernel.
//!
//! ```text
//!   CO-RE relocations ─┐                  ┌─ the kernel's own table (implemented there)
//!   typed pointers ────┴─▶ dyn Types ◀────┴─ a BTF (`btf::Btf` implements it; so tests need no kernel)
//! ```
//!
//! A type is a number; what it is made of is asked for shape by shape. Modifiers (`const`, `typedef` …) are looked through by
//! who answers: they never appear here. Every answer may be `None`: a table may be damaged, and a number come from anywhere.

/// The number of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// What a type is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Something of which only the size is known.
    Opaque,
    /// Nothing: what a `void *` points to.
    Void,
    /// An integer; a truth value or a character is one without a sign.
    Int {
        /// Can it be negative?
        signed: bool,
    },
    /// A floating-point number.
    Float,
    /// The address of one.
    Pointer {
        /// Of what.
        to: TypeId,
    },
    /// Some of one type in a row.
    Array {
        /// Of what.
        of: TypeId,
        /// How many.
        count: u64,
    },
    /// A struct, with members.
    Struct,
    /// A union, with members.
    Union,
    /// An enumeration, with values.
    Enum {
        /// Can they be negative?
        signed: bool,
    },
    /// A function's type.
    Function,
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name; empty for an unnamed struct or union, whose members count as those of the outer one.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Bits from the start of the outer type.
    pub bit_offset: u64,
    /// Its width in bits if it is a bit field, else 0.
    pub bits: u32,
}

/// A table of types.
pub trait Types {
    /// All types of this name (the last part of a path), in the table's order.
    fn named(&self, name: &str, visit: &mut dyn FnMut(TypeId));

    /// What it is made of.
    fn shape(&self, ty: TypeId) -> Option<Shape>;

    /// What it is called; empty for what has no name.
    fn name(&self, ty: TypeId) -> Option<&str>;

    /// How many bytes one of it has; `None` for what has no size.
    fn size(&self, ty: TypeId) -> Option<u64>;

    /// The members of a struct or union, in the order of their offsets. Nothing for other types.
    fn members(&self, ty: TypeId, visit: &mut dyn FnMut(Member<'_>));

    /// The values of an enumeration, by name. Nothing for other types.
    fn values(&self, ty: TypeId, visit: &mut dyn FnMut(&str, i64));
}

/// A table of nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTypes;

impl Types for NoTypes {
    fn named(&self, _: &str, _: &mut dyn FnMut(TypeId)) {}

    fn shape(&self, _: TypeId) -> Option<Shape> {
        None
    }

    fn name(&self, _: TypeId) -> Option<&str> {
        None
    }

    fn size(&self, _: TypeId) -> Option<u64> {
        None
    }

    fn members(&self, _: TypeId, _: &mut dyn FnMut(Member<'_>)) {}

    fn values(&self, _: TypeId, _: &mut dyn FnMut(&str, i64)) {}
}
