//! What a register may hold: nothing that can be read, a number, or an address of which it is known what lies there.
//!
//! | kind | made by | may be used for |
//! |---|---|---|
//! | nothing | the start, calls | being written |
//! | number | arithmetic, loads | everything but an address |
//! | pointer | the start, immediates, helpers | what its [`Target`] allows, within its bounds |
//!
//! A pointer is a target and an offset, which is a [`Scalar`] like any number: known, or within bounds. One that may be null is good
//! for nothing but a comparison with 0; all copies of it have the same `id`, so that what is learned of one is known of all. So it
//! is with copies of a number.

use super::Scalar;
use super::marks::Deps;
use crate::op::{Size, Width};
use crate::types::TypeId;

/// Something that a pointer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The context.
    Context,
    /// The stack of a function under way; the offset is from its end.
    Stack(u8),
    /// A map, as such.
    Map(u32),
    /// A value of a map.
    Value(u32),
    /// A key of a map, given to a callback.
    Key(u32),
    /// Memory that the program was given, to read and write.
    Memory(u32),
    /// What was reserved of a ring buffer.
    Record(u32),
    /// Something of the kernel's.
    Kernel(TypeId),
    /// A function of the program.
    Function(u32),
}

/// An address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pointer {
    pub(super) to: Target,
    /// Bytes from its beginning.
    pub(super) off: Scalar,
    /// May it be 0 instead?
    pub(super) null: bool,
    /// What all copies have in common; 0 if that does not matter.
    pub(super) id: u32,
    /// The reference that has to be given back; 0 for none.
    pub(super) held: u32,
}

impl Pointer {
    pub(super) const fn new(to: Target) -> Self {
        Self { to, off: Scalar::constant(0), null: false, id: 0, held: 0 }
    }

    /// At an offset that is known.
    pub(super) const fn at(to: Target, off: i64) -> Self {
        Self { off: Scalar::constant(off as u64), ..Self::new(to) }
    }

    /// The offset, if it is known.
    pub(super) fn fixed(&self) -> Option<i64> {
        self.off.as_constant().map(|off| off as i64)
    }
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) n: Scalar,
    /// What all copies have in common; 0 if there are none.
    pub(super) id: u32,
    /// Which numbers of the last checkpoint it was computed from.
    pub(super) deps: Deps,
}

impl Number {
    pub(super) const UNKNOWN: Self = Self { n: Scalar::UNKNOWN, id: 0, deps: Deps::NONE };

    pub(super) const fn constant(n: u64) -> Self {
        Self { n: Scalar::constant(n), id: 0, deps: Deps::NONE }
    }

    pub(super) const fn of(n: Scalar) -> Self {
        Self { n, id: 0, deps: Deps::NONE }
    }

    /// Is there something to know that others may need?
    pub(super) fn is_tracked(&self) -> bool {
        self.id != 0 || self.n != Scalar::UNKNOWN
    }

    /// What a load of some bytes may give.
    pub(super) fn loaded(size: Size, signed: bool) -> Self {
        let bits = size.bytes() as u32 * 8;
        let n = match (size, signed) {
            (Size::Dw, _) => Some(Scalar::UNKNOWN),
            (_, false) => Scalar::range(0, (1 << bits) - 1),
            (_, true) => Scalar::signed_range(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        };
        Self::of(n.unwrap_or(Scalar::UNKNOWN))
    }

    /// Its low bytes, zero- or sign-extended.
    pub(super) fn truncated(self, size: Size, signed: bool) -> Self {
        let bits = size.bytes() as u32 * 8;
        if size == Size::Dw {
            return self;
        }
        let n = if signed {
            self.n.sign_extend(Width::W64, bits)
        } else if self.n.bounds().1 < 1 << bits {
            return self;
        } else {
            self.n.truncate(bits)
        };
        Self { n, id: if n == self.n { self.id } else { 0 }, deps: self.deps }
    }
}

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing that can be read.
    Nothing,
    /// A number.
    Number(Number),
    /// An address.
    Pointer(Pointer),
}

impl Value {
    pub(super) const UNKNOWN: Self = Self::Number(Number::UNKNOWN);

    pub(super) const fn constant(n: u64) -> Self {
        Self::Number(Number::constant(n))
    }

    pub(super) const fn pointer(to: Target) -> Self {
        Self::Pointer(Pointer::new(to))
    }

    /// Is it this number?
    pub(super) fn is(&self, n: u64) -> bool {
        matches!(self, Self::Number(number) if number.n.as_constant() == Some(n))
    }
}
