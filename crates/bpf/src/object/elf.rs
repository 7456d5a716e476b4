//! The ELF file: sections, symbols and relocations, with every reference looked at once.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ::elf::abi;
use ::elf::endian::LittleEndian;
use ::elf::file::Class;
use ::elf::section::SectionHeaderTable;
use ::elf::{ElfBytes, ParseError};

use super::{BYTES_MAX, Error, NAME_MAX};

type File<'a> = ElfBytes<'a, LittleEndian>;

/// The flag of a section that is in the memory of a program.
const ALLOCATED: u64 = abi::SHF_ALLOC as u64;
/// The flag of one with instructions.
const EXECUTABLE: u64 = abi::SHF_EXECINSTR as u64;
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

fn bad(why: ParseError) -> Error {
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
        let Ok(file) = File::minimal_parse(bytes) else {
            return not_bpf("its header is not that of a little-endian ELF file");
        };
        if file.ehdr.class != Class::ELF64 {
            return not_bpf("it is not an ELF file of 64 bits");
        }
        if file.ehdr.e_machine != abi::EM_BPF {
            return not_bpf("it is for another machine");
        }
        if file.ehdr.e_type != abi::ET_REL {
            return not_bpf("it is not relocatable");
        }
        let (Some(table), Some(names)) = file.section_headers_with_strtab().map_err(bad)? else {
            return not_bpf("it has no sections");
        };
        if table.len() > SECTIONS_MAX {
            return Err(Error::new(Error::TOOBIG, format!("more than {SECTIONS_MAX} sections")));
        }
        let (mut sections, mut stored) = (Vec::new(), 0_u64);
        for section in table.iter() {
            let name = short(names.get_raw(section.sh_name as usize).map_err(bad)?, "section")?;
            let data = match section.sh_type {
                abi::SHT_NOBITS => &[][..],
                _ => file.section_data(&section).map_err(bad)?.0,
            };
            stored += data.len() as u64;
            sections.push(Section {
                name,
                data,
                size: section.sh_size,
                code: section.sh_type == abi::SHT_PROGBITS && section.sh_flags & EXECUTABLE != 0,
                alloc: section.sh_flags & ALLOCATED != 0,
            });
        }
        // Memory is counted by the length of the file; bytes that lie in two sections would count twice.
        if stored > bytes.len() as u64 {
            return Err(Error::invalid("sections overlap"));
        }
        let symbols = Self::read_symbols(&file, sections.len())?;
        let relocs = Self::read_relocs(&file, &table, (&sections, symbols.len()))?;
        Ok(Self { sections, symbols, relocs })
    }

    fn read_symbols(file: &File<'a>, sections: usize) -> Result<Vec<Symbol<'a>>, Error> {
        let Some((table, names)) = file.symbol_table().map_err(bad)? else { return Ok(Vec::new()) };
        if table.len() > SYMBOLS_MAX {
            return Err(Error::new(Error::TOOBIG, format!("more than {SYMBOLS_MAX} symbols")));
        }
        let mut symbols = Vec::new();
        for symbol in table.iter() {
            let name = short(names.get_raw(symbol.st_name as usize).map_err(bad)?, "symbol")?;
            let kind = match symbol.st_symtype() {
                abi::STT_FUNC => SymbolKind::Function,
                abi::STT_SECTION => SymbolKind::Section,
                _ => SymbolKind::Other,
            };
            let section = usize::from(symbol.st_shndx);
            symbols.push(Symbol {
                name,
                value: symbol.st_value,
                size: symbol.st_size,
                kind,
                local: symbol.st_bind() == abi::STB_LOCAL,
                weak: symbol.st_bind() == abi::STB_WEAK,
                section: (section != 0 && section < sections).then_some(section),
            });
        }
        Ok(symbols)
    }

    /// The relocations of what gets into memory: code, maps and data.
    fn read_relocs(
        file: &File<'a>,
        table: &SectionHeaderTable<'a, LittleEndian>,
        (sections, symbols): (&[Section<'a>], usize),
    ) -> Result<BTreeMap<usize, Vec<Reloc>>, Error> {
        let (mut relocs, mut count) = (BTreeMap::<usize, Vec<Reloc>>::new(), 0);
        for section in table.iter() {
            let target = section.sh_info as usize;
            if !sections.get(target).is_some_and(|section| section.alloc) {
                continue;
            }
            match section.sh_type {
                abi::SHT_REL => (),
                abi::SHT_RELA => {
                    return Err(Error::new(Error::NOTSUPP, "relocations with addends (SHT_RELA)"));
                }
                _ => continue,
            }
            for rel in file.section_data_as_rels(&section).map_err(bad)? {
                count += 1;
                if count > RELOCATIONS_MAX {
                    return Err(Error::new(
                        Error::TOOBIG,
                        format!("more than {RELOCATIONS_MAX} relocations"),
                    ));
                }
                let symbol = rel.r_sym as usize;
                if symbol >= symbols {
                    return Err(Error::invalid(format!(
                        "a relocation by the symbol {symbol}, which is not there"
                    )));
                }
                relocs.entry(target).or_default().push(Reloc {
                    offset: rel.r_offset,
                    kind: rel.r_type,
                    symbol,
                });
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
