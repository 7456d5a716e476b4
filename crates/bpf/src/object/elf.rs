//! The ELF file: sections, symbols and relocations, with every reference looked at once.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ::object::LittleEndian;
use ::object::elf::{self, FileHeader64};
use ::object::read::elf::{FileHeader, SectionHeader, Sym};

use super::{BYTES_MAX, Error, NAME_MAX};

type Header = FileHeader64<LittleEndian>;

/// The most sections.
const SECTIONS_MAX: usize = 4096;
/// The most symbols.
const SYMBOLS_MAX: usize = 1 << 16;
/// The most relocations of code and maps.
const RELOCATIONS_MAX: usize = 1 << 18;

/// A file.
pub(super) struct Elf<'a> {
    pub(super) sections: Vec<Section<'a>>,
    pub(super) symbols: Vec<Symbol<'a>>,
    relocs: BTreeMap<usize, Vec<Reloc>>,
}

/// A section.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) name: &'a str,
    /// Empty for one that starts as zeros.
    pub(super) data: &'a [u8],
    pub(super) size: u64,
    /// Instructions.
    pub(super) code: bool,
    /// In the memory of a program.
    pub(super) alloc: bool,
}

/// What a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SymbolKind {
    Function,
    Section,
    Other,
}

/// A symbol.
#[derive(Clone, Copy)]
pub(super) struct Symbol<'a> {
    pub(super) name: &'a str,
    pub(super) value: u64,
    pub(super) size: u64,
    pub(super) kind: SymbolKind,
    pub(super) local: bool,
    pub(super) weak: bool,
    /// Where it is defined, if it is.
    pub(super) section: Option<usize>,
}

/// A relocation.
#[derive(Clone, Copy)]
pub(super) struct Reloc {
    /// Where in its section.
    pub(super) offset: u64,
    pub(super) kind: u32,
    /// The symbol.
    pub(super) symbol: usize,
}

fn bad(why: ::object::Error) -> Error {
    Error::invalid(format!("not a sound ELF file: {why}"))
}

/// A name that is to be kept.
fn short<'a>(name: &'a [u8], what: &str) -> Result<&'a str, Error> {
    match core::str::from_utf8(name) {
        Ok(name) if name.len() <= NAME_MAX => Ok(name),
        _ => Err(Error::invalid(format!("the name of a {what} is no text of at most {NAME_MAX} bytes"))),
    }
}

impl<'a> Elf<'a> {
    /// Reads a relocatable file for BPF.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > BYTES_MAX {
            return Err(Error::new(Error::TOOBIG, format!("an object of more than {BYTES_MAX} bytes")));
        }
        let not_bpf = |what: &str| Err(Error::new(Error::NOEXEC, format!("not an object for BPF: {what}")));
        if !super::is_elf(bytes) {
            return not_bpf("it does not begin as an ELF file");
        }
        let Ok(header) = Header::parse(bytes) else { return not_bpf("not an ELF file of 64 bits") };
        let Ok(end) = header.endian() else { return not_bpf("it is not little-endian") };
        if header.e_machine(end) != elf::EM_BPF {
            return not_bpf("it is for another machine");
        }
        if header.e_type(end) != elf::ET_REL {
            return not_bpf("it is not relocatable");
        }
        let table = header.sections(end, bytes).map_err(bad)?;
        if table.len() > SECTIONS_MAX {
            return Err(Error::new(Error::TOOBIG, format!("more than {SECTIONS_MAX} sections")));
        }
        let (mut sections, mut stored) = (Vec::new(), 0_u64);
        for section in table.iter() {
            let name = short(table.section_name(end, section).map_err(bad)?, "section")?;
            let (kind, flags) = (section.sh_type(end), section.sh_flags(end));
            let data = section.data(end, bytes).map_err(bad)?;
            stored += data.len() as u64;
            sections.push(Section {
                name,
                data,
                size: section.sh_size(end),
                code: kind == elf::SHT_PROGBITS && flags.contains(elf::SHF_EXECINSTR),
                alloc: flags.contains(elf::SHF_ALLOC),
            });
        }
        // Memory is counted by the length of the file; bytes that lie in two sections would count twice.
        if stored > bytes.len() as u64 {
            return Err(Error::invalid("sections overlap"));
        }
        let symbols = Self::read_symbols(&table, end, bytes, sections.len())?;
        let relocs = Self::read_relocs(&table, end, bytes, (&sections, symbols.len()))?;
        Ok(Self { sections, symbols, relocs })
    }

    fn read_symbols(
        table: &::object::read::elf::SectionTable<'a, Header>,
        end: LittleEndian,
        bytes: &'a [u8],
        sections: usize,
    ) -> Result<Vec<Symbol<'a>>, Error> {
        let found = table.symbols(end, bytes, elf::SHT_SYMTAB).map_err(bad)?;
        if found.len() > SYMBOLS_MAX {
            return Err(Error::new(Error::TOOBIG, format!("more than {SYMBOLS_MAX} symbols")));
        }
        let mut symbols = Vec::new();
        for symbol in found.symbols() {
            let name = short(symbol.name(end, found.strings()).map_err(bad)?, "symbol")?;
            let kind = match symbol.st_type() {
                elf::STT_FUNC => SymbolKind::Function,
                elf::STT_SECTION => SymbolKind::Section,
                _ => SymbolKind::Other,
            };
            let section = usize::from(symbol.st_shndx(end).0);
            symbols.push(Symbol {
                name,
                value: symbol.st_value(end),
                size: symbol.st_size(end),
                kind,
                local: symbol.st_bind() == elf::STB_LOCAL,
                weak: symbol.st_bind() == elf::STB_WEAK,
                section: (section != 0 && section < sections).then_some(section),
            });
        }
        Ok(symbols)
    }

    /// The relocations of what gets into memory: code, maps and data.
    fn read_relocs(
        table: &::object::read::elf::SectionTable<'a, Header>,
        end: LittleEndian,
        bytes: &'a [u8],
        (sections, symbols): (&[Section<'a>], usize),
    ) -> Result<BTreeMap<usize, Vec<Reloc>>, Error> {
        let (mut relocs, mut count) = (BTreeMap::<usize, Vec<Reloc>>::new(), 0);
        for section in table.iter() {
            let target = section.sh_info(end) as usize;
            if !sections.get(target).is_some_and(|section| section.alloc) {
                continue;
            }
            let Some((found, _)) = section.rel(end, bytes).map_err(bad)? else {
                if section.sh_type(end) == elf::SHT_RELA {
                    return Err(Error::new(Error::NOTSUPP, "relocations with addends (SHT_RELA)"));
                }
                continue;
            };
            count += found.len();
            if count > RELOCATIONS_MAX {
                return Err(Error::new(Error::TOOBIG, format!("more than {RELOCATIONS_MAX} relocations")));
            }
            for rel in found {
                let symbol = rel.r_sym(end) as usize;
                if symbol >= symbols {
                    return Err(Error::invalid(format!(
                        "a relocation by the symbol {symbol}, which is not there"
                    )));
                }
                let (offset, kind) = (rel.r_offset.get(end), rel.r_type(end).0);
                relocs.entry(target).or_default().push(Reloc { offset, kind, symbol });
            }
        }
        Ok(relocs)
    }

    /// The relocations of a section.
    pub(super) fn relocs_of(&self, section: usize) -> &[Reloc] {
        self.relocs.get(&section).map_or(&[], |relocs| relocs)
    }

    /// The section of a name.
    pub(super) fn named(&self, name: &str) -> Option<&Section<'a>> {
        self.index_of(name).and_then(|at| self.sections.get(at))
    }

    /// Its number.
    pub(super) fn index_of(&self, name: &str) -> Option<usize> {
        self.sections.iter().position(|section| section.name == name)
    }

    /// What a symbol is called: a section's has the section's name.
    pub(super) fn name_of(&self, symbol: &Symbol<'a>) -> String {
        if symbol.kind == SymbolKind::Section
            && let Some(section) = symbol.section.and_then(|at| self.sections.get(at))
        {
            return section.name.into();
        }
        symbol.name.into()
    }
}
