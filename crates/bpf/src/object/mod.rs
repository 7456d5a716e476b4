//! Objects: what a compiler, or a person, hands over: programs with the maps that they use.
//!
//! ```text
//!   .o ──elf──▶ sections, symbols ─┬─ .maps + BTF ─────▶ maps ──────┐
//!                                  ├─ .rodata .data .bss ─ data ────┤
//!                                  └─ code ─ CO-RE ─ link ──────────┼──▶ Object { licence, maps, programs }
//!   .s ──source── .map, .string, .section, instructions ────────────┘        Imm64::MapIndex(n) ─▶ its n-th map
//! ```
//!
//! | section | becomes |
//! |---|---|
//! | `kprobe/work_add`, `tp/sched/sched_switch` … any with code | a program of each function in it; what it is, its section's name says |
//! | `.text` | functions, put behind each program that calls them |
//! | `.maps` | a map of each variable, which its BTF describes |
//! | `.rodata*`, `.data*`, `.bss*` | an array of one element, with these bytes |
//! | `license`, `version` | what they say |
//! | `maps` | refused: nothing says how it is laid out |
//!
//! The rules are those of libbpf 1.x. An object may come from anywhere: every number in it is compared before it is used, what
//! is made of it is bounded by [`BYTES_MAX`] and [`SLOTS_MAX`], and whatever is wrong gives an [`Error`] with Linux's number
//! and a sentence.

mod data;
mod elf;
mod link;
mod maps;
pub mod source;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::btf::Btf;
use crate::btf::ext::Line;
use crate::map::MapDef;
use crate::program::{MAX_SLOTS, Program};
use crate::types::Types;

/// The largest file.
pub const BYTES_MAX: usize = 16 << 20;
/// The most slots of all programs together, with the functions put behind them.
pub const SLOTS_MAX: usize = 2 * MAX_SLOTS;
/// The most bytes of a name that is kept.
pub const NAME_MAX: usize = 255;

/// Programs and their maps.
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// Under which licence; empty if nobody said.
    pub license: String,
    /// The version of the kernel that it was written for, if it says.
    pub version: u32,
    /// Its maps.
    pub maps: Vec<Map>,
    /// Its programs, in the order of the file.
    pub programs: Vec<Prog>,
    /// Its types, if there are any.
    pub btf: Option<Arc<Btf>>,
}

/// A map that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// What it is to be; its name is cut to what a kernel keeps.
    pub def: MapDef,
    /// Its name in the object, by which programs refer to it.
    pub name: String,
    /// The bytes of its only element, for a section of data that does not start as zeros.
    pub contents: Option<Vec<u8>>,
    /// Nobody may change it once it is filled.
    pub frozen: bool,
    /// What is in it from the beginning, by key.
    pub elements: Vec<(u32, Element)>,
    /// It outlives the object under its name, and one of that name is taken in place of a new one.
    pub pinned: bool,
}

/// What a map of objects holds from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// The map with this number.
    Map(usize),
    /// The program of this name.
    Program(String),
}

/// A program.
#[derive(Clone, Debug)]
pub struct Prog {
    /// What its function is called.
    pub name: String,
    /// Its section: what it is and where it wants to be attached.
    pub section: String,
    /// Its instructions; maps are [`MapIndex`](crate::op::Imm64::MapIndex)es into [`Object::maps`].
    pub program: Program,
    /// Instructions that must not be reached, and why: the kernel has not what they need.
    pub poisoned: Vec<(usize, String)>,
    /// Lines of source, by slot; their texts are in [`Object::btf`].
    pub lines: Vec<(usize, Line)>,
}

/// Why an object was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    errno: i32,
    why: String,
}

impl Error {
    /// ENOENT: something that it needs is not there.
    const NOENT: i32 = 2;
    /// E2BIG: more than is allowed.
    const TOOBIG: i32 = 7;
    /// ENOEXEC: not an object at all.
    const NOEXEC: i32 = 8;
    /// EINVAL: it contradicts itself.
    const INVAL: i32 = 22;
    /// EOPNOTSUPP: something that there is elsewhere, and not here.
    const NOTSUPP: i32 = 95;

    fn new(errno: i32, why: impl Into<String>) -> Self {
        Self { errno, why: why.into() }
    }

    fn invalid(why: impl Into<String>) -> Self {
        Self::new(Self::INVAL, why)
    }

    /// Linux's number for it, positive.
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// The reason.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl core::error::Error for Error {}

/// Is this a file for [`Object::parse`], rather than a text?
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

impl Object {
    /// Reads an ELF relocatable.
    ///
    /// `name` is what maps of data are named after, the file's without its ending; `types` are the kernel's, which CO-RE
    /// relocations ask.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8], name: &str, types: &dyn Types) -> Result<Self, Error> {
        let elf = elf::Elf::parse(bytes)?;
        let btf = match elf.named(".BTF") {
            Some(section) => {
                Some(Btf::parse(section.data).map_err(|why| Error::invalid(alloc::format!("{why}")))?)
            }
            None => None,
        };
        let mut object = Self::default();
        object.read_info(&elf)?;
        let mut places = maps::read(&elf, btf.as_ref(), &mut object.maps)?;
        data::read(&elf, btf.as_ref(), name, &mut object.maps, &mut places)?;
        link::link(&elf, btf.as_ref(), types, &places, &mut object)?;
        object.btf = btf.map(Arc::new);
        Ok(object)
    }

    fn read_info(&mut self, elf: &elf::Elf<'_>) -> Result<(), Error> {
        if let Some(section) = elf.named("license") {
            let text = section.data.split(|byte| *byte == 0).next().unwrap_or_default();
            self.license = match core::str::from_utf8(text) {
                Ok(text) if text.len() <= NAME_MAX => text.into(),
                _ => return Err(Error::invalid("the section \"license\" is no text")),
            };
        }
        if let Some(section) = elf.named("version") {
            let bytes: Result<[u8; 4], _> = section.data.try_into();
            self.version = u32::from_le_bytes(
                bytes.map_err(|_| Error::invalid("the section \"version\" has not 4 bytes"))?,
            );
        }
        if let Some(section) = elf.named("maps")
            && section.size > 0
        {
            return Err(Error::new(
                Error::NOTSUPP,
                "legacy map definitions in the section \"maps\" are not supported: nothing says how they are laid out; \
                 define maps in \".maps\"",
            ));
        }
        Ok(())
    }
}
