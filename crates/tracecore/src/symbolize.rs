//! Addresses as people read them: `name+0x10/0x80`.

use alloc::vec::Vec;
use core::fmt;

/// A symbol with an address inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolAt<'a> {
    /// Its name.
    pub name: &'a str,
    /// How far behind its start the address lies.
    pub offset: u64,
    /// Its size.
    pub size: u64,
}

/// Where names of addresses come from.
pub trait Symbolizer {
    /// The symbol that `address` lies in.
    fn symbol_at(&self, address: u64) -> Option<SymbolAt<'_>>;

    /// The C string at an address of the image's constants, without its NUL. Nothing for any other address: what was
    /// a text when the record was made may be something else by now.
    fn constant_text(&self, _address: u64) -> Option<Vec<u8>> {
        None
    }

    /// Puts the arguments that a function was called with, by name and type, given what the registers of arguments held.
    /// False, and nothing put, when it is not known which the function has.
    fn arguments(&self, _function: u64, _registers: &[u64], _out: &mut Vec<u8>) -> bool {
        false
    }
}

/// How tracers name an address; the options `sym-offset` and `sym-addr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Naming {
    /// `name+0x4/0x80` instead of `name`.
    pub offset: bool,
    /// ` <ffff80008010fb8c>` behind it.
    pub address: bool,
}

/// Prints an address so.
pub struct AsNamed<'a>(pub &'a dyn Symbolizer, pub u64, pub Naming);

impl fmt::Display for AsNamed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self(symbols, address, naming) = self;
        match naming.offset {
            true => WithOffset(symbols, address).fmt(f)?,
            false => NameOnly(symbols, address).fmt(f)?,
        }
        if naming.address { write!(f, " <{address:016x}>") } else { Ok(()) }
    }
}

impl Symbolizer for crate::symtab::Symtab<'_> {
    fn symbol_at(&self, address: u64) -> Option<SymbolAt<'_>> {
        let symbol = self.by_addr(address)?;
        Some(SymbolAt { name: symbol.name, offset: address.wrapping_sub(symbol.start), size: symbol.size })
    }
}

/// No names at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSymbols;

impl Symbolizer for NoSymbols {
    fn symbol_at(&self, _: u64) -> Option<SymbolAt<'_>> {
        None
    }
}

/// Prints an address as `name+0x10/0x80`, Linux's `%pS`; one without a symbol as `0x…`.
pub struct WithOffset<'a>(pub &'a dyn Symbolizer, pub u64);

impl fmt::Display for WithOffset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.symbol_at(self.1) {
            Some(SymbolAt { name, offset, size }) => write!(f, "{name}+{offset:#x}/{size:#x}"),
            None => write!(f, "{:#x}", self.1),
        }
    }
}

impl fmt::Debug for WithOffset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Prints an address as the name alone, Linux's `%ps`; one without a symbol as `0x…`.
pub struct NameOnly<'a>(pub &'a dyn Symbolizer, pub u64);

impl fmt::Display for NameOnly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.symbol_at(self.1) {
            Some(symbol) => f.write_str(symbol.name),
            None => write!(f, "{:#x}", self.1),
        }
    }
}

impl fmt::Debug for NameOnly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
