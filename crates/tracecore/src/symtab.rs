//! The kernel's symbol table, as one blob of bytes.
//!
//! A kernel that prints a backtrace has to turn `0xffff800080012344` into `task::schedule+0x14`, and
//! one that reads `p:first work_add` has to go the other way. Both need the names of the linked image,
//! which are known only once linking is over. So the build appends a blob behind everything the linker
//! made, where it can disturb no address:
//!
//! ```text
//!   __image_start                                    __ksyms_start
//!   | text | rodata | data | bss (stored as zeros) | header | records | by name | names |
//!                                                    64      16 × n    4 × n
//! ```
//!
//! * a **record** is `{offset from base: u32, size: u32, name at: u32, name length: u16, kind: u8, 0}`;
//!   records are in the order of their addresses, so an address is found by halving;
//! * **by name** holds the numbers of the same records in the order of their names, so a name is found
//!   by halving too, and all names with one beginning lie together (completion);
//! * **names** are bytes without separators.
//!
//! All numbers are little-endian. The reader borrows the bytes, allocates nothing, and takes no byte on
//! trust: a blob that is missing, cut short or damaged is an error from [`Symtab::parse`], and even a
//! blob with a lying record yields `None` rather than a fault, so a backtrace can always go on with
//! bare numbers.
//!
//! The names themselves follow the rules in [`names`]; the writer for the build is [`encode`].

pub mod encode;
pub mod names;
#[cfg(test)]
mod tests;

use crate::blob::{checksum, halve, u32_at, u64_at};
use core::cmp::Ordering;

/// The first eight bytes of a blob.
pub const MAGIC: [u8; 8] = *b"TRAPSYMS";
/// The layout's version; a reader takes no other.
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = 64;
/// Where the next blob may begin behind this one.
pub const BLOB_ALIGN: usize = 8;
/// The longest name that is stored, in bytes: Linux's `KSYM_NAME_LEN` less its closing zero.
pub const NAME_MAX: usize = 511;
/// The most symbols that one blob may hold.
pub const SYMBOLS_MAX: usize = 1 << 20;

/// Bytes of one record.
const RECORD_LEN: usize = 16;
/// Bytes of one entry of the order by name.
const ORDER_LEN: usize = 4;

/// Where each field of the header lies.
mod header {
    pub(super) const VERSION: usize = 8;
    pub(super) const COUNT: usize = 12;
    pub(super) const TOTAL_LEN: usize = 16;
    pub(super) const BASE: usize = 24;
    pub(super) const NAMES_LEN: usize = 32;
    pub(super) const CHECKSUM: usize = 40;
}

/// Why a blob was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSymtab {
    /// There are fewer bytes than the header or its length field asks for.
    Short,
    /// The bytes do not start with [`MAGIC`]: nobody appended a blob.
    NoMagic,
    /// The layout is of this other version.
    Version(u32),
    /// The header's lengths contradict each other.
    Lengths,
    /// The bytes are not those that were written.
    Checksum,
}

impl core::fmt::Display for BadSymtab {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Short => f.write_str("the symbol table is cut short"),
            Self::NoMagic => f.write_str("no symbol table was appended to the image"),
            Self::Version(v) => write!(f, "symbol table version {v}, expected {VERSION}"),
            Self::Lengths => f.write_str("the symbol table's lengths contradict each other"),
            Self::Checksum => f.write_str("the symbol table is damaged (checksum)"),
        }
    }
}

/// One symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name, by the rules in [`names`].
    pub name: &'a str,
    /// Its first address.
    pub start: u64,
    /// Its length in bytes; 0 for a label that nothing follows.
    pub size: u64,
    /// The letter of `nm` and `/proc/kallsyms`: text `T`/`t`, data `D`/`d`, read-only `R`/`r`,
    /// bss `B`/`b`; capitals are visible outside their object file.
    pub kind: u8,
}

impl Symbol<'_> {
    /// Whether this is code.
    pub fn is_text(&self) -> bool {
        matches!(self.kind, b'T' | b't')
    }

    /// Whether `addr` lies inside.
    pub fn contains(&self, addr: u64) -> bool {
        addr.checked_sub(self.start).is_some_and(|at| at < self.size || at == 0)
    }
}

/// A blob that was checked, ready to be asked.
#[derive(Clone, Copy, Debug)]
pub struct Symtab<'a> {
    base: u64,
    count: usize,
    records: &'a [u8],
    order: &'a [u8],
    names: &'a [u8],
}

impl<'a> Symtab<'a> {
    /// A table without symbols, for a machine that lost its blob: every question is answered `None`.
    pub const EMPTY: Symtab<'static> = Symtab { base: 0, count: 0, records: &[], order: &[], names: &[] };

    /// How long the blob is that starts with `head`, which needs only [`HEADER_LEN`] bytes.
    ///
    /// For a caller that knows where the blob starts but not where it ends.
    pub fn blob_len(head: &[u8]) -> Result<usize, BadSymtab> {
        let head = head.get(..HEADER_LEN).ok_or(BadSymtab::Short)?;
        if head.get(..MAGIC.len()) != Some(&MAGIC[..]) {
            return Err(BadSymtab::NoMagic);
        }
        match u32_at(head, header::VERSION) {
            Some(VERSION) => {}
            other => return Err(BadSymtab::Version(other.unwrap_or(0))),
        }
        let total = u64_at(head, header::TOTAL_LEN).ok_or(BadSymtab::Short)?;
        usize::try_from(total).map_err(|_| BadSymtab::Lengths)
    }

    /// Checks the blob at the start of `bytes` (more may follow it) and borrows it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadSymtab> {
        let total = Self::blob_len(bytes)?;
        let blob = bytes.get(..total).ok_or(BadSymtab::Short)?;
        let (Some(count), Some(base), Some(names_len), Some(sum)) = (
            u32_at(blob, header::COUNT),
            u64_at(blob, header::BASE),
            u64_at(blob, header::NAMES_LEN),
            u64_at(blob, header::CHECKSUM),
        ) else {
            return Err(BadSymtab::Short);
        };
        let count = count as usize;
        let names_len = usize::try_from(names_len).map_err(|_| BadSymtab::Lengths)?;
        if count > SYMBOLS_MAX {
            return Err(BadSymtab::Lengths);
        }
        // Cannot overflow: `count` was bounded above.
        let order_at = HEADER_LEN + count * RECORD_LEN;
        let names_at = order_at + count * ORDER_LEN;
        if names_at.checked_add(names_len) != Some(total) {
            return Err(BadSymtab::Lengths);
        }
        let (Some(records), Some(order), Some(names)) =
            (blob.get(HEADER_LEN..order_at), blob.get(order_at..names_at), blob.get(names_at..total))
        else {
            return Err(BadSymtab::Lengths);
        };
        if checksum(blob, header::CHECKSUM) != Some(sum) {
            return Err(BadSymtab::Checksum);
        }
        Ok(Symtab { base, count, records, order, names })
    }

    /// How many symbols there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The `index`th symbol in the order of addresses.
    pub fn get(&self, index: usize) -> Option<Symbol<'a>> {
        let at = index.checked_mul(RECORD_LEN)?;
        let record = self.records.get(at..at.checked_add(RECORD_LEN)?)?;
        let name_at = u32_at(record, 8)? as usize;
        let name_len = usize::from(u16::from_le_bytes([*record.get(12)?, *record.get(13)?]));
        let name = self.names.get(name_at..name_at.checked_add(name_len)?)?;
        Some(Symbol {
            name: core::str::from_utf8(name).ok()?,
            start: self.base.wrapping_add(u64::from(u32_at(record, 0)?)),
            size: u64::from(u32_at(record, 4)?),
            kind: *record.get(14)?,
        })
    }

    /// The symbol that `addr` lies in. Of several at one address it is the first, which the writer
    /// chose to be the one to print.
    pub fn by_addr(&self, addr: u64) -> Option<Symbol<'a>> {
        let offset = u32::try_from(addr.checked_sub(self.base)?).ok()?;
        // The first record that starts beyond `offset`; the one before it is the last candidate.
        let beyond = halve(self.count, &mut |i| match self.offset(i) {
            Some(o) if o <= offset => Ordering::Less,
            _ => Ordering::Greater,
        });
        let mut i = beyond.checked_sub(1)?;
        let start = self.offset(i)?;
        while i > 0 && self.offset(i - 1) == Some(start) {
            i -= 1;
        }
        self.get(i).filter(|s| s.contains(addr))
    }

    /// The one symbol that is called exactly `name`.
    pub fn by_name(&self, name: &str) -> Option<Symbol<'a>> {
        let at = self.first_not_before(name);
        self.in_name_order(at).filter(|s| s.name == name)
    }

    /// All symbols in the order of their addresses.
    pub fn iter(&self) -> Iter<'a> {
        Iter { table: *self, next: 0 }
    }

    /// All symbols whose names begin with `prefix`, in the order of their names.
    pub fn with_prefix<'p>(&self, prefix: &'p str) -> WithPrefix<'a, 'p> {
        WithPrefix { table: *self, next: self.first_not_before(prefix), prefix }
    }

    /// The `index`th symbol in the order of names.
    fn in_name_order(&self, index: usize) -> Option<Symbol<'a>> {
        self.get(u32_at(self.order, index.checked_mul(ORDER_LEN)?)? as usize)
    }

    /// Where the first name that is not before `name` lies in the order of names.
    fn first_not_before(&self, name: &str) -> usize {
        halve(self.count, &mut |i| match self.in_name_order(i) {
            Some(s) => s.name.as_bytes().cmp(name.as_bytes()),
            None => Ordering::Greater,
        })
    }

    /// The `index`th symbol's distance from the base.
    fn offset(&self, index: usize) -> Option<u32> {
        u32_at(self.records, index.checked_mul(RECORD_LEN)?)
    }
}

/// What [`Symtab::iter`] gives.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    table: Symtab<'a>,
    next: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Symbol<'a>;

    fn next(&mut self) -> Option<Symbol<'a>> {
        let symbol = self.table.get(self.next)?;
        self.next += 1;
        Some(symbol)
    }
}

/// What [`Symtab::with_prefix`] gives.
#[derive(Clone, Debug)]
pub struct WithPrefix<'a, 'p> {
    table: Symtab<'a>,
    next: usize,
    prefix: &'p str,
}

impl<'a> Iterator for WithPrefix<'a, '_> {
    type Item = Symbol<'a>;

    fn next(&mut self) -> Option<Symbol<'a>> {
        let symbol = self.table.in_name_order(self.next)?;
        if !symbol.name.starts_with(self.prefix) {
            return None;
        }
        self.next += 1;
        Some(symbol)
    }
}
