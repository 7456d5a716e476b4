//! From an object to programs that can run: maps made and filled, programs verified, compiled, numbered.
//!
//! ```text
//!   Object ─▶ maps ─▶ contents, frozen ─▶ for each program: verify ─▶ compile ─▶ Prog     ─▶ Loaded
//!               │                                  │            │
//!               └── one of them fails ◀────────────┴────────────┘   everything made so far is let go
//! ```
//!
//! A load either gives all that was asked for or leaves nothing behind: what it makes is held by what it gives back, and by
//! nobody else before that. Memory is asked for before it is used: an object whose reading might take more than there is,
//! [`BYTES_FOR_EACH`], is refused with ENOMEM at once.

#[expect(unsafe_code, reason = "a map behind the address that programs know it by")]
pub(crate) mod arrays;
mod compile;
pub(crate) mod tests;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::bpf::kind::{Attach, Section};
use ::bpf::map::MapKind;
use ::bpf::object::{Element, Object, Prog as Source};
use ::bpf::op::{Imm64, Op};
use ::bpf::program::Program;
use tracecore::errno::Errno;

use super::cmd::UNVERIFIED;
use super::maps::{self, Entry};
use super::prog::{Engine, NAME_MAX, Parts, Prog, TooMany};
use crate::{boot, mm};

/// The most maps that a program uses, as on Linux (`MAX_USED_MAPS`).
const MAPS_MAX: usize = 64;
/// Bytes of memory that reading an object takes at most for each of its own, and the least that has to be free.
const BYTES_FOR_EACH: usize = 24;
const BYTES_FREE: usize = 4 << 20;

/// Why nothing was loaded: an error number, and lines for who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadError {
    /// The number.
    pub(crate) errno: Errno,
    /// What went wrong, ready to be printed.
    pub(crate) log: String,
}

impl LoadError {
    pub(super) fn new(errno: Errno, log: impl Into<String>) -> Self {
        Self { errno, log: log.into() }
    }
}

/// What an object became. Whoever wants it to stay holds it.
pub(crate) struct Loaded {
    /// Its programs, in their order.
    pub(crate) progs: Vec<Arc<Prog>>,
}

/// Is there memory to read an object of so many bytes?
///
/// # Errors
/// ENOMEM.
pub(crate) fn can_read(bytes: usize) -> Result<(), LoadError> {
    let needed = bytes.saturating_mul(BYTES_FOR_EACH).saturating_add(BYTES_FREE);
    if mm::stats().free_bytes < needed {
        return Err(LoadError::new(Errno::ENOMEM, format!("no memory to read an object of {bytes} bytes\n")));
    }
    Ok(())
}

/// What the section of a program says that it is.
///
/// # Errors
/// Nobody knows it.
fn section_of(section: &str) -> Result<Section<'_>, LoadError> {
    Section::parse(section).ok_or_else(|| {
        let known: Vec<&str> = Attach::ALL.iter().map(|attach| attach.name()).collect();
        let log = format!("no programs come from a section \"{section}\"; there are {}\n", known.join(", "));
        LoadError::new(Errno::EINVAL, log)
    })
}

/// Makes the maps and programs of an object; of its programs only the first `count`.
///
/// # Errors
/// What failed; nothing is left then.
pub(crate) fn load(object: &Object, count: usize) -> Result<Loaded, LoadError> {
    let maps = make_maps(object)?;
    let mut progs = Vec::new();
    for source in object.programs.iter().take(count) {
        progs.push(load_one(object, source, &maps)?);
    }
    for (map, entry) in object.maps.iter().zip(&maps) {
        for (key, element) in &map.elements {
            let Element::Program(name) = element else { continue };
            let found = object.programs.iter().position(|source| source.name == *name);
            let Some(prog) = found.and_then(|at| progs.get(at)) else { continue };
            arrays::put(entry, *key, prog).map_err(|errno| {
                LoadError::new(errno, format!("map '{}'[{key}]: {}\n", map.name, errno.strerror()))
            })?;
        }
    }
    Ok(Loaded { progs })
}

fn make_maps(object: &Object) -> Result<Vec<Arc<Entry>>, LoadError> {
    let mut made = Vec::new();
    for map in &object.maps {
        let failed = |errno: Errno| {
            LoadError::new(errno, format!("map '{}': failed to create: {}\n", map.name, errno.strerror()))
        };
        let entry = maps::create(map.def.clone()).map_err(failed)?;
        if let Some(contents) = &map.contents {
            entry.write_value(&0_u32.to_le_bytes(), contents, 0).map_err(failed)?;
        }
        if map.frozen {
            entry.freeze();
        }
        made.push(entry);
    }
    for (map, entry) in object.maps.iter().zip(&made) {
        for (key, element) in &map.elements {
            let Element::Map(inner) = element else { continue };
            let inner = made.get(*inner).ok_or(Errno::EINVAL);
            inner.and_then(|inner| entry.put_map(&key.to_le_bytes(), inner, 0)).map_err(|errno| {
                LoadError::new(errno, format!("map '{}'[{key}]: {}\n", map.name, errno.strerror()))
            })?;
        }
    }
    Ok(made)
}

fn load_one(object: &Object, source: &Source, maps: &[Arc<Entry>]) -> Result<Arc<Prog>, LoadError> {
    let section = section_of(&source.section)?;
    let name: String = source.name.chars().take(NAME_MAX).collect();
    let tag = source.program.tag();
    let (program, maps) = own_maps(&source.program, maps)?;
    for map in maps.iter().filter(|map| map.def().kind == MapKind::ProgArray) {
        arrays::claim(map, section.attach, &source.section).map_err(|errno| {
            let log = format!("prog '{name}': the programs of map {} are given something else\n", map.id());
            LoadError::new(errno, log)
        })?;
    }
    let (program, engine, context_bytes) =
        match compile::compile(&program, (&name, tag), &section, &maps, &source.poisoned) {
            Ok((verified, image)) => (verified.program, Engine::code(image), verified.context_bytes),
            // A learner's way to see what the refused would have done; nothing but `bpf prog run` takes it.
            Err(why) if boot::info().flag(UNVERIFIED) => {
                log::warn!("bpf: {name} is not verified, and runs in a sandbox only: {}", why.log);
                (program, Engine::Sandbox, 0)
            }
            Err(why) => return Err(why),
        };
    let parts = Parts {
        attach: section.attach,
        section: source.section.clone(),
        gpl: is_gpl(&object.license),
        tag,
        program,
        engine,
        maps,
        context_bytes,
        btf: object.btf.clone(),
        lines: source.lines.clone(),
        name,
    };
    Prog::register(parts).map_err(|TooMany| {
        LoadError::new(Errno::ENFILE, format!("there are {} programs\n", super::prog::PROGS_MAX))
    })
}

/// A program that counts the maps that it uses itself, and these. A map by its id, which a text may name, is one like the others.
fn own_maps(program: &Program, maps: &[Arc<Entry>]) -> Result<(Program, Vec<Arc<Entry>>), LoadError> {
    let mut slots = program.slots().to_vec();
    let mut own: Vec<Arc<Entry>> = Vec::new();
    for (at, op) in program.ops() {
        let (by_id, number) = match op {
            Op::LoadImm { imm: Imm64::Map(id) | Imm64::MapValue { map: id, .. }, .. } => (true, id),
            Op::LoadImm { imm: Imm64::MapIndex(at) | Imm64::MapIndexValue { map: at, .. }, .. } => {
                (false, at)
            }
            _ => continue,
        };
        let found = if by_id {
            u32::try_from(number).ok().and_then(maps::by_id)
        } else {
            usize::try_from(number).ok().and_then(|at| maps.get(at)).cloned()
        };
        let Some(map) = found else {
            return Err(LoadError::new(Errno::EBADF, format!("insn {at}: there is no map {number}\n")));
        };
        let place = own.iter().position(|other| Arc::ptr_eq(other, &map)).unwrap_or_else(|| {
            own.push(map);
            own.len() - 1
        });
        if own.len() > MAPS_MAX {
            return Err(LoadError::new(Errno::E2BIG, format!("a program with more than {MAPS_MAX} maps\n")));
        }
        if let Some(slot) = slots.get_mut(at) {
            slot.imm = place as i32;
            slot.src = if matches!(slot.src, 1 | 2) { slot.src + 4 } else { slot.src };
        }
    }
    let program = Program::new(slots);
    let program = program.map_err(|why| LoadError::new(Errno::EINVAL, format!("{why}\n")))?;
    Ok((program, own))
}

/// The licences with which Linux lets a program call everything.
fn is_gpl(license: &str) -> bool {
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"]
        .contains(&license)
}
