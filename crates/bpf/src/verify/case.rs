//! A program to be verified in one line of text, as `bpf verify` reads it.
//!
//! ```text
//!   kprobe hash:8:8:16:name=counts -- r1 = map[counts]; …; exit
//!   kprobe.multi b700000000000000 9500000000000000… array:4:8:1:fd=3
//!   └ kind └ a program: digits, or text behind `--`  └ its maps, numbered from 0
//! ```
//!
//! | word | |
//! |---|---|
//! | kind | what a section may be called (`tp`, `fentry`, `kprobe/work_add` …), or the name of a type |
//! | kind`:N` | of `syscall`: memory of N bytes; of those with arguments: so many; of `tracepoint`: the record's bytes |
//! | map | kind`:`key size`:`value size`:`entries, then `name=` `fd=` `flags=` `lock=` `timer=` `data=` `inner=` |
//!
//! A map's number is its file descriptor, unless `fd=` says another one. `lock=8` has a `bpf_spin_lock` at 8 of the value, `timer=8` a
//! `bpf_timer`. `data=` is what stands in the value of an array of one element that nobody can change. `inner=` describes the
//! maps in it, as any map, with dots in place of colons.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Input, Limits, MapRef, Maps, Rejection, Verified, verify};
use crate::helper::HelperNames;
use crate::kind::{Attach, Context, Gives, MAX_ARGS, MAX_MEMORY, ProgType, Section};
use crate::map::{MapDef, MapKind, flag};
use crate::op::Imm64;
use crate::program::{Invalid, Program};
use crate::sandbox::bytes;
use crate::text::{self, Names};
use crate::types::Types;

/// A map of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CaseMap {
    fd: i32,
    def: MapDef,
    data: Option<Vec<u8>>,
}

/// A program, its kind and its maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    program: Program,
    context: Context,
    maps: CaseMaps,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct CaseMaps(Vec<CaseMap>);

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseError {
    /// There is no program.
    NoProgram,
    /// No kind of program is called so.
    Kind(String),
    /// Not a map.
    Map(String),
    /// There cannot be such a map.
    MapSize(String),
    /// A word that is neither digits nor a map.
    Word(String),
    /// No program.
    Program(Invalid),
    /// No text of one.
    Text(text::Error),
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProgram => {
                f.write_str("expected a kind of program, its digits or `--` and its text, and maps")
            }
            Self::Kind(word) => write!(f, "no kind of program is called {word}"),
            Self::Map(word) => write!(f, "not a map, as in hash:8:8:16:name=counts: {word}"),
            Self::MapSize(word) => write!(f, "there cannot be such a map: {word}"),
            Self::Word(word) => write!(f, "neither pairs of hexadecimal digits nor a map: {word}"),
            Self::Program(invalid) => invalid.fmt(f),
            Self::Text(error) => error.fmt(f),
        }
    }
}

impl Case {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, CaseError> {
        let (words, source) = match line.split_once(" -- ") {
            Some((words, source)) => (words, Some(source)),
            None => (line, None),
        };
        let mut words = words.split_ascii_whitespace();
        let context = kind(words.next().ok_or(CaseError::NoProgram)?)?;
        let mut maps = CaseMaps::default();
        let mut digits = Vec::new();
        for word in words {
            if word.contains(':') {
                let map = map(word, maps.0.len(), ':')?;
                maps.0.push(map);
            } else {
                digits.extend(bytes(word).ok_or_else(|| CaseError::Word(word.into()))?);
            }
        }
        let program = match source {
            Some(source) if digits.is_empty() => text::parse(source, &maps).map_err(CaseError::Text)?,
            None if !digits.is_empty() => Program::from_bytes(&digits).map_err(CaseError::Program)?,
            _ => return Err(CaseError::NoProgram),
        };
        Ok(Self { program, context, maps })
    }

    /// Verifies it.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn verify(&self, types: &dyn Types, cpus: u32, limits: Limits) -> Result<Verified, Box<Rejection>> {
        let Self { program, context, maps } = self;
        verify(&Input { program, context, maps, types, cpus, limits })
    }
}

/// The context of a kind.
fn kind(word: &str) -> Result<Context, CaseError> {
    let unknown = || CaseError::Kind(word.into());
    let (name, size) = match word.split_once(':') {
        Some((name, size)) => (name, Some(number(size).ok_or_else(unknown)?)),
        None => (word, None),
    };
    let attach = match Section::parse(name) {
        Some(section) => section.attach,
        None if name == ProgType::Tracing.name() => Attach::Fentry,
        None => return Err(unknown()),
    };
    let count = || {
        size.map_or(Ok(MAX_ARGS), |n| usize::try_from(n).ok().filter(|n| *n <= MAX_ARGS).ok_or_else(unknown))
    };
    Ok(match attach {
        Attach::Syscall => match size {
            Some(len) if len > MAX_MEMORY => return Err(unknown()),
            Some(len) => Context::memory(len),
            None => Context::of(attach),
        },
        Attach::Tracepoint => size.map_or_else(|| Context::of(attach), Context::record),
        Attach::RawTracepoint | Attach::Fentry | Attach::Fexit | Attach::FmodRet | Attach::TpBtf => {
            let args = [Gives::Number; MAX_ARGS];
            Context::arguments(attach, args.get(..count()?).unwrap_or(&args), Some(Gives::Number))
        }
        _ if size.is_some() => return Err(unknown()),
        _ => Context::of(attach),
    })
}

/// A number, decimal or with `0x`.
fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn map(word: &str, n: usize, between: char) -> Result<CaseMap, CaseError> {
    let wrong = || CaseError::Map(word.into());
    let mut parts = word.split(between);
    let mut next = || parts.next().ok_or_else(wrong);
    let kind = next()?;
    let kind = MapKind::by_name(kind).or_else(|| MapKind::by_number(number(kind)?)).ok_or_else(wrong)?;
    let mut size = || number(next()?).ok_or_else(wrong);
    let (key, value, entries) = (size()?, size()?, size()?);
    let mut def = MapDef::new(kind, key, value, entries);
    let (mut fd, mut data) = (i32::try_from(n).map_err(|_| wrong())?, None);
    for option in parts {
        let (name, value) = option.split_once('=').ok_or_else(wrong)?;
        let as_number = || number(value).ok_or_else(wrong);
        match name {
            "name" => def = def.named(value),
            "fd" => fd = i32::try_from(as_number()?).map_err(|_| wrong())?,
            "flags" => def.flags = as_number()?,
            "lock" => def.special.spin_lock = Some(as_number()?),
            "timer" => def.special.timer = Some(as_number()?),
            "data" => data = Some(bytes(value).ok_or_else(wrong)?),
            "inner" if between == ':' => def.inner = Some(Box::new(map(value, 0, '.')?.def)),
            _ => return Err(wrong()),
        }
    }
    let fits = data.as_ref().is_none_or(|data| data.len() == def.value_size as usize);
    if def.check().is_err() || !fits {
        return Err(CaseError::MapSize(word.into()));
    }
    if data.is_some() {
        def.flags |= flag::RDONLY_PROG;
    }
    Ok(CaseMap { fd, def, data })
}

impl CaseMaps {
    fn get(&self, map: MapRef) -> Option<&CaseMap> {
        match map {
            MapRef::Fd(fd) => self.0.iter().find(|map| map.fd == fd),
            MapRef::Index(n) => self.0.get(usize::try_from(n).ok()?),
        }
    }
}

impl Maps for CaseMaps {
    fn def(&self, map: MapRef) -> Option<&MapDef> {
        self.get(map).map(|map| &map.def)
    }

    fn constant(&self, map: MapRef) -> Option<&[u8]> {
        self.get(map)?.data.as_deref()
    }
}

impl Names for CaseMaps {
    fn helper(&self, name: &str) -> Option<i32> {
        HelperNames.helper(name)
    }

    fn map(&self, name: &str) -> Option<Imm64> {
        self.0.iter().find(|map| map.def.name == name).map(|map| Imm64::Map(map.fd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NoTypes;
    use alloc::string::ToString;

    fn verdict(line: &str) -> Result<Verified, String> {
        let case = Case::parse(line).map_err(|e| e.to_string())?;
        case.verify(&NoTypes, 1, Limits::default()).map_err(|rejection| rejection.reason)
    }

    #[test]
    fn cases_are_read() {
        for line in [
            "kprobe b700000000000000 9500000000000000",
            "kprobe b7000000000000009500000000000000",
            "kprobe -- r0 = 0; exit",
            "syscall:16 -- r0 = *(u64 *)(r1 + 8); exit",
            "fentry/work_add:2 -- r1 = *(u64 *)(r1 + 8); r0 = 0; exit",
            "tracing -- r0 = 0; exit",
            "tp:16 -- r0 = *(u64 *)(r1 + 8); exit",
            "kprobe hash:8:8:16:name=counts -- r1 = map[counts]; r0 = 0; exit",
            "kprobe array:4:8:1:fd=7 1:4:4:4 -- r1 = map[7]; r2 = map[#1]; r0 = 0; exit",
            "syscall array:4:8:1:data=0500000000000000 -- r1 = map[0][0]+0; r0 = *(u64 *)(r1 + 0); if r0 == 5 goto +1; r0 = r9; exit",
            "kprobe array_of_maps:4:4:4:inner=hash.4.8.8 -- r1 = map[0]; r0 = 0; exit",
            "syscall hash:4:16:4:lock=0:name=l -- r1 = map[l]; r0 = 0; exit",
        ] {
            assert_eq!(verdict(line).err(), None, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, why) in [
            ("", "expected a kind of program, its digits or `--` and its text, and maps"),
            ("kprobe", "expected a kind of program, its digits or `--` and its text, and maps"),
            ("kprobe 95 -- exit", "expected a kind of program, its digits or `--` and its text, and maps"),
            ("xdp 95", "no kind of program is called xdp"),
            ("kprobe:5 95", "no kind of program is called kprobe:5"),
            ("syscall:9999999 95", "no kind of program is called syscall:9999999"),
            ("fentry:13 95", "no kind of program is called fentry:13"),
            ("kprobe 9x", "neither pairs of hexadecimal digits nor a map: 9x"),
            ("kprobe 95000000", "4 bytes are no whole number of instructions of 8"),
            ("kprobe hash:8:8 95", "not a map, as in hash:8:8:16:name=counts: hash:8:8"),
            ("kprobe hush:8:8:1 95", "not a map, as in hash:8:8:16:name=counts: hush:8:8:1"),
            ("kprobe hash:8:8:1:x=1 95", "not a map, as in hash:8:8:16:name=counts: hash:8:8:1:x=1"),
            ("kprobe hash:0:8:1 95", "there cannot be such a map: hash:0:8:1"),
            ("kprobe array:4:8:1:data=00 95", "there cannot be such a map: array:4:8:1:data=00"),
            ("kprobe -- r0 = ; exit", "1:6: expected a register, a number or an expression"),
            ("kprobe 9500000000000000", "R0 !read_ok"),
            (
                "tp:16 -- r0 = *(u64 *)(r1 + 16); exit",
                "invalid bpf_context access off=16 size=8 in record: nothing lies there that a program could access",
            ),
        ] {
            let said = verdict(line).unwrap_err();
            assert!(said == why || why.starts_with("1:6") && said.starts_with("1:"), "{line}: {said}");
        }
    }
}
