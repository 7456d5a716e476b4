//! `.BTF.ext`: what the compiler tells of instructions.
//!
//! ```text
//!   func_info, line_info, core_relo, each:   size of a record │ {section's name, how many, records …} …
//!   line       offset in the section, file, text, line << 10 | column
//!   relocation offset in the section, type, access ("0:1:2"), kind
//! ```
//!
//! A record may be longer than what is known of it; the rest is passed over, as Linux does.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::read::{begin, section};
use super::{BadBtf, Btf, Reader};

/// Bytes of the header with functions and lines; the relocations came later.
const HEADER_LEN: usize = 24;
const HEADER_WITH_CORE: usize = 32;
/// The most records, lines and relocations together.
const RECORDS_MAX: usize = 1 << 18;

/// A line of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where its first instruction lies in the section, in bytes.
    pub at: u32,
    /// The file, as an offset into the strings.
    pub file: u32,
    /// The text of the line, as an offset into the strings.
    pub text: u32,
    /// Its number.
    pub line: u32,
    /// Its column.
    pub column: u32,
}

/// A relocation that depends on the kernel's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Where its instruction lies in the section, in bytes.
    pub at: u32,
    /// The type at which the access begins.
    pub ty: u32,
    /// The access, as an offset into the strings.
    pub access: u32,
    /// Which question.
    pub kind: u32,
}

/// What belongs to the instructions of a section.
#[derive(Clone, Debug, Default)]
pub struct OfSection {
    /// Lines, in the order of the file.
    pub lines: Vec<Line>,
    /// Relocations.
    pub relocations: Vec<Relocation>,
}

/// `.BTF.ext`, read.
#[derive(Clone, Debug, Default)]
pub struct Ext {
    sections: BTreeMap<String, OfSection>,
}

impl Ext {
    /// Reads `.BTF.ext`, whose strings are those of `btf`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8], btf: &Btf) -> Result<Self, BadBtf> {
        let (header, mut head) = begin(bytes, HEADER_LEN as u32)?;
        let _functions = (head.u32()?, head.u32()?);
        let (line_off, line_len) = (head.u32()?, head.u32()?);
        let core = if header >= HEADER_WITH_CORE { (head.u32()?, head.u32()?) } else { (0, 0) };
        let mut ext = Self::default();
        let mut records = 0;
        let lines = section(bytes, header, line_off, line_len)?;
        each(lines, btf, "lines", &mut records, &mut |name, record| {
            let (at, file, text, place) = (record.u32()?, record.u32()?, record.u32()?, record.u32()?);
            ext.of(name).lines.push(Line { at, file, text, line: place >> 10, column: place & 0x3ff });
            Ok(())
        })?;
        let relocations = section(bytes, header, core.0, core.1)?;
        each(relocations, btf, "relocations", &mut records, &mut |name, record| {
            let (at, ty, access, kind) = (record.u32()?, record.u32()?, record.u32()?, record.u32()?);
            ext.of(name).relocations.push(Relocation { at, ty, access, kind });
            Ok(())
        })?;
        Ok(ext)
    }

    fn of(&mut self, name: &str) -> &mut OfSection {
        self.sections.entry(name.into()).or_default()
    }

    /// What belongs to a section.
    pub fn section(&self, name: &str) -> Option<&OfSection> {
        self.sections.get(name)
    }
}

/// Reads the records of one sort.
fn each(
    bytes: &[u8],
    btf: &Btf,
    what: &'static str,
    records: &mut usize,
    take: &mut dyn FnMut(&str, &mut Reader<'_>) -> Result<(), BadBtf>,
) -> Result<(), BadBtf> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut reader = Reader::new(bytes, what);
    let size = reader.u32()? as usize;
    if size < 16 || !size.is_multiple_of(4) {
        return Err(BadBtf::Record("a strange size of records"));
    }
    while !reader.is_empty() {
        let (name, count) = (btf.string(reader.u32()?), reader.u32()?);
        if count == 0 {
            return Err(BadBtf::Record("a section without records"));
        }
        for _ in 0..count {
            *records += 1;
            if *records > RECORDS_MAX {
                return Err(BadBtf::TooMany("records"));
            }
            take(name, &mut Reader::new(reader.bytes(size)?, what))?;
        }
    }
    Ok(())
}
