//! The types that a fetched value can be stored and printed as.
//!
//! ```text
//! u8 u16 u32 u64      unsigned decimal      symbol    an address, printed as name+offset/size
//! s8 s16 s32 s64      signed decimal        symstr    the same, but the name is stored as text
//! x8 x16 x32 x64      hexadecimal           string    a NUL-terminated string in kernel memory
//! char                one character         ustring   the same in user memory
//! b<W>@<O>/<C>        W bits from bit O of a C-bit container, unsigned decimal
//! TYPE[N]             N of them in a row, printed {a,b,c}
//! ```
//!
//! A string is stored as a *data location*: a `u32` in the fixed part whose low half is the offset of the text
//! from the start of the record and whose high half is its length with the final NUL. A length of zero means
//! that the string could not be read.

use super::number;

/// The most elements that an array type can have.
pub const MAX_ARRAY_LEN: u32 = 64;

/// How the value of an integer type is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Decimal, never negative.
    Unsigned,
    /// Decimal, negative when the top bit is set.
    Signed,
    /// Hexadecimal with `0x`.
    Hex,
}

/// Width of an integer in memory and in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One byte.
    W8,
    /// Two bytes.
    W16,
    /// Four bytes.
    W32,
    /// Eight bytes.
    W64,
}

impl Width {
    /// The width in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Width::W8 => 1,
            Width::W16 => 2,
            Width::W32 => 4,
            Width::W64 => 8,
        }
    }

    fn from_bits(bits: u64) -> Option<Self> {
        Some(match bits {
            8 => Width::W8,
            16 => Width::W16,
            32 => Width::W32,
            64 => Width::W64,
            _ => return None,
        })
    }
}

/// The type of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An integer.
    Int(Width, Style),
    /// One byte, printed as a character in quotes.
    Char,
    /// An address, printed as a symbol.
    Symbol,
    /// An address, stored as the text of its symbol.
    SymbolString,
    /// A string in memory.
    String {
        /// In user memory rather than in the kernel's.
        user: bool,
    },
}

/// Some bits out of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// How many bits.
    pub width: u8,
    /// The number of the lowest of them.
    pub offset: u8,
}

impl Type {
    /// What a value is stored as where the line names no type.
    pub const DEFAULT: Type = Type::Int(Width::W64, Style::Hex);
    /// What a return value is stored as where the line names no type: the C convention that a result is a
    /// `long`.
    pub const DEFAULT_RETVAL: Type = Type::Int(Width::W64, Style::Signed);

    /// Bytes of one element in the fixed part of the record.
    pub const fn size(self) -> usize {
        match self {
            Type::Int(width, _) => width.bytes(),
            Type::Char => 1,
            Type::Symbol => 8,
            Type::SymbolString | Type::String { .. } => 4,
        }
    }

    /// Does the fixed part hold a data location, and the text follow the fixed part?
    pub const fn is_text(self) -> bool {
        matches!(self, Type::String { .. } | Type::SymbolString)
    }

    /// Is the field marked as signed in `format`?
    pub const fn is_signed(self) -> bool {
        matches!(self, Type::Int(_, Style::Signed)) || self.is_text()
    }

    /// The C type that `format` names.
    pub const fn field_type(self) -> &'static str {
        match self {
            Type::Int(Width::W8, Style::Signed) => "s8",
            Type::Int(Width::W16, Style::Signed) => "s16",
            Type::Int(Width::W32, Style::Signed) => "s32",
            Type::Int(Width::W64, Style::Signed) => "s64",
            Type::Int(Width::W8, _) | Type::Char => "u8",
            Type::Int(Width::W16, _) => "u16",
            Type::Int(Width::W32, _) => "u32",
            Type::Int(Width::W64, _) | Type::Symbol => "u64",
            Type::SymbolString | Type::String { .. } => "__data_loc char[]",
        }
    }

    /// The type with this name. A bit field is stored as its container; [`bits`] reads its numbers.
    pub(super) fn from_name(name: &str) -> Option<Type> {
        match name {
            "char" => return Some(Type::Char),
            "symbol" => return Some(Type::Symbol),
            "symstr" => return Some(Type::SymbolString),
            "string" => return Some(Type::String { user: false }),
            "ustring" => return Some(Type::String { user: true }),
            _ => {}
        }
        if name.starts_with('b') {
            let (_, container) = name.split_once('/')?;
            return Some(Type::Int(Width::from_bits(number::unsigned(container)?)?, Style::Unsigned));
        }
        let style = match name.bytes().next()? {
            b'u' => Style::Unsigned,
            b's' => Style::Signed,
            b'x' => Style::Hex,
            _ => return None,
        };
        let width = match &name[1..] {
            "8" => Width::W8,
            "16" => Width::W16,
            "32" => Width::W32,
            "64" => Width::W64,
            _ => return None,
        };
        Some(Type::Int(width, style))
    }
}

/// Reads the numbers of a bit field type whose name [`Type::from_name`] has accepted as `stored`.
/// `Ok(None)` if the type is no bit field.
pub(super) fn bits(name: &str, stored: Type) -> Result<Option<Bits>, ()> {
    let Some(rest) = name.strip_prefix('b') else { return Ok(None) };
    let (width, rest) = number::leading(rest).ok_or(())?;
    let (offset, rest) = rest.strip_prefix('@').and_then(number::leading).ok_or(())?;
    let end = width.checked_add(offset).ok_or(())?;
    if width == 0 || !rest.starts_with('/') || end > stored.size() as u64 * 8 {
        return Err(());
    }
    Ok(Some(Bits { width: width as u8, offset: offset as u8 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        for (name, ty) in [
            ("u8", Type::Int(Width::W8, Style::Unsigned)),
            ("s32", Type::Int(Width::W32, Style::Signed)),
            ("x64", Type::DEFAULT),
            ("char", Type::Char),
            ("b4@2/32", Type::Int(Width::W32, Style::Unsigned)),
        ] {
            assert_eq!(Type::from_name(name), Some(ty), "{name}");
        }
        for bad in
            ["", "u", "U8", "u65", "u08", "chars", "b", "b1@0", "b1@0/", "b1@0/7", "b1@0/32x", "é8", "sé"]
        {
            assert_eq!(Type::from_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bit_field_lies_inside_its_container() {
        let read = |name: &str| bits(name, Type::from_name(name).expect("a type"));
        assert_eq!(read("b4@2/32"), Ok(Some(Bits { width: 4, offset: 2 })));
        assert_eq!(read("b64@0/64"), Ok(Some(Bits { width: 64, offset: 0 })));
        assert_eq!(read("u8"), Ok(None));
        for bad in ["b0@0/8", "b9@0/8", "b1@8/8", "bx@0/8", "b1x@0/8", "b18446744073709551615@1/32"] {
            assert_eq!(read(bad), Err(()), "{bad}");
        }
    }
}
