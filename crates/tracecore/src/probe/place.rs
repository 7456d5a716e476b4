//! Where a probe goes: `[MOD:]SYMBOL[+OFFSET][%return]` or a plain address.
//!
//! A symbol of this kernel is a Rust path with punctuation of its own, so the pieces are told apart thus:
//!
//! ```text
//! task::schedule+8      the offset starts at the last sign: `<a::B as C+Send>::run+4` is at byte 4
//! mod:sym               one colon after a plain word is a module; two are part of a path
//! sym%return            the end of the function
//! ```
//!
//! A text that is a symbol as a whole is never split, so every listed name can be typed back.

use super::error::{ErrorKind, ProbeError};
use super::number;
use crate::errno::Errno;
use crate::typetab::TypeTable;
use alloc::string::{String, ToString};
use core::fmt;

/// What the symbol table knows of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The address of its first byte.
    pub address: u64,
    /// Its size in bytes: an offset must be smaller.
    pub size: u64,
    /// How far into the function a probe still finds the arguments untouched: 0 on a bare function, the offset
    /// of the first real instruction where entry padding comes before it.
    pub entry_bytes: u64,
}

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// No symbol has this name.
    Missing,
    /// Several have it, and none of them can be meant.
    Ambiguous,
}

/// The symbol table, as much of it as the grammar needs.
pub trait Resolver {
    /// The symbol of this name, function or data.
    fn lookup(&self, name: &str) -> Result<Symbol, LookupError>;
    /// Is this address the entry of a function, its arguments still in their registers?
    fn is_function_entry(&self, address: u64) -> bool;
    /// Is there a function of this name, or one whose name matches, that can be traced?
    fn has_functions(&self, _pattern: &str) -> bool {
        false
    }
    /// Where the function begins that takes the arguments of this tracepoint, and one behind them.
    fn tracepoint(&self, _name: &str) -> Option<u64> {
        None
    }
    /// What is known of functions' arguments and of types.
    fn types(&self) -> TypeTable<'_> {
        TypeTable::EMPTY
    }
}

/// The place of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A plain address.
    Address(u64),
    /// A symbol of the kernel.
    Symbol {
        /// Its name as typed.
        name: String,
        /// Bytes from its start.
        offset: u64,
        /// The address of that byte.
        address: u64,
    },
    /// The functions whose names match, or the tracepoint of this name.
    Pattern(String),
    /// A symbol of a module, to be looked up when the module is there.
    Module {
        /// `MODULE:SYMBOL` as typed.
        name: String,
        /// Bytes from the symbol's start.
        offset: u64,
    },
}

impl Place {
    /// The address, if it has one.
    pub const fn address(&self) -> Option<u64> {
        match *self {
            Place::Address(address) | Place::Symbol { address, .. } => Some(address),
            Place::Module { .. } | Place::Pattern(_) => None,
        }
    }

    /// The symbol as typed, without the offset.
    pub fn symbol(&self) -> Option<&str> {
        match self {
            Place::Address(_) => None,
            Place::Symbol { name, .. } | Place::Module { name, .. } | Place::Pattern(name) => Some(name),
        }
    }

    /// The offset from the symbol; 0 for an address.
    pub const fn offset(&self) -> u64 {
        match *self {
            Place::Address(_) | Place::Pattern(_) => 0,
            Place::Symbol { offset, .. } | Place::Module { offset, .. } => offset,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Address(address) => write!(f, "0x{address:016x}"),
            Place::Pattern(name) => f.write_str(name),
            Place::Symbol { name, offset, .. } | Place::Module { name, offset } => {
                f.write_str(name)?;
                // The last sign of a module's name would else be read as that of the offset. A symbol of the kernel is
                // known as a whole.
                let ambiguous = matches!(self, Place::Module { .. }) && name.contains(['+', '-']);
                if *offset != 0 || ambiguous {
                    write!(f, "+{offset}")?;
                }
                Ok(())
            }
        }
    }
}

/// A place that was read, with what the fetch arguments need to know of it.
pub(super) struct Parsed {
    pub(super) place: Place,
    pub(super) is_return: bool,
    pub(super) at_entry: bool,
    /// Where the function begins at whose entry it is.
    pub(super) function: Option<u64>,
}

/// Why a symbol with an offset is none.
pub(super) enum SymbolError {
    /// What follows the sign is no number.
    BadOffset,
    /// The name has no address.
    Lookup(LookupError),
}

/// Finds the symbol and the offset that `text` names.
pub(super) fn symbol_and_offset<'t>(
    text: &'t str,
    resolver: &dyn Resolver,
) -> Result<(&'t str, i64, Symbol), SymbolError> {
    let missing = match resolver.lookup(text) {
        Ok(symbol) => return Ok((text, 0, symbol)),
        Err(missing) => missing,
    };
    let sign = |c| c == '+' || c == '-';
    let (Some(first), Some(last)) = (text.find(sign), text.rfind(sign)) else {
        return Err(SymbolError::Lookup(missing));
    };
    if let Some(offset) = number::signed(&text[last..]) {
        match resolver.lookup(&text[..last]) {
            Ok(symbol) => return Ok((&text[..last], offset, symbol)),
            Err(LookupError::Ambiguous) => return Err(SymbolError::Lookup(LookupError::Ambiguous)),
            Err(LookupError::Missing) => {}
        }
    }
    // To blame the right half, look at it as Linux does: everything after the first sign is the number.
    match number::signed(&text[first..]) {
        Some(_) => Err(SymbolError::Lookup(LookupError::Missing)),
        None => Err(SymbolError::BadOffset),
    }
}

/// `MOD:SYM` has one colon after a plain word; `a::b` has two.
fn names_a_module(text: &str) -> bool {
    let word = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let rest = &text.as_bytes()[word..];
    rest.first() == Some(&b':') && rest.get(1) != Some(&b':')
}

/// Reads the place whose text starts at `column`. `is_return` says whether the line began with `r`.
pub(super) fn parse(
    text: &str,
    is_return: bool,
    column: usize,
    resolver: &dyn Resolver,
) -> Result<Parsed, ProbeError> {
    if let Some(address) = number::unsigned(text) {
        let at_entry = resolver.is_function_entry(address);
        if is_return && !at_entry {
            return Err(ProbeError::at(ErrorKind::BadReturnProbe, column));
        }
        let function = at_entry.then_some(address);
        return Ok(Parsed { place: Place::Address(address), is_return, at_entry, function });
    }
    if text.contains('/') && text.contains(':') {
        // A path and an offset: that is a user probe, which this file does not take.
        return Err(ProbeError::silent(Errno::EINVAL));
    }
    let (text, is_return) = match text.find('%') {
        None => (text, is_return),
        Some(at) if &text[at..] == "%return" => (&text[..at], true),
        Some(at) => return Err(ProbeError::at(ErrorKind::BadAddressSuffix, column + at)),
    };
    let bad = ProbeError::at(ErrorKind::BadProbeAddress, column);
    if names_a_module(text) {
        let (name, offset) = match text.rfind(['+', '-']) {
            Some(at) => (&text[..at], number::signed(&text[at..]).ok_or(bad)?),
            None => (text, 0),
        };
        let offset = u64::from(u32::try_from(offset).map_err(|_| bad)?);
        return Ok(Parsed {
            place: Place::Module { name: name.to_string(), offset },
            is_return,
            at_entry: false,
            function: None,
        });
    }
    let (name, offset, symbol) = symbol_and_offset(text, resolver).map_err(|error| match error {
        SymbolError::Lookup(LookupError::Ambiguous) => ProbeError::at(ErrorKind::SymbolNotUnique, column),
        SymbolError::Lookup(LookupError::Missing) | SymbolError::BadOffset => bad,
    })?;
    let offset = u64::from(u32::try_from(offset).map_err(|_| bad)?);
    let at_entry = offset <= symbol.entry_bytes;
    if is_return && !at_entry {
        return Err(ProbeError::at(ErrorKind::BadReturnProbe, column));
    }
    if offset >= symbol.size.max(1) {
        return Err(bad.with_errno(Errno::ENOENT));
    }
    let address = symbol.address.wrapping_add(offset);
    let place = Place::Symbol { name: name.to_string(), offset, address };
    Ok(Parsed { place, is_return, at_entry, function: at_entry.then_some(symbol.address) })
}
