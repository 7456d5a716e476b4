//! One program: verified for what it will be given, and compiled for this machine.
//!
//! ```text
//!   Program, section ─▶ context (attach) ─▶ verify ─▶ Verified ─▶ jit, with addresses of its maps and helpers ─▶ Image
//!                                             │
//!                                             ▼
//!                          prog 'x': BPF program load failed: Permission denied      as libbpf tells it
//!                          -- BEGIN PROG LOAD LOG --
//!                          …                                                        the verifier's own words
//! ```
//!
//! An instruction that CO-RE has poisoned is refused like any other that calls what is not there; then the log also says what
//! the kernel has not.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ::bpf::interp::FRAME_BYTES;
use ::bpf::jit::{Array, Env, Options};
use ::bpf::kind::Section;
use ::bpf::map::{MapDef, MapKind, flag};
use ::bpf::op::Imm64;
use ::bpf::program::Program;
use ::bpf::verify::{Input, Limits, MapRef, Maps, Verified, verify};
use tracecore::errno::Errno;

use super::{LoadError, arrays};
use crate::arch::cpu;
use crate::bpf::attach;
use crate::bpf::helpers;
use crate::bpf::jit::{self, Image};
use crate::bpf::maps::Entry;
use crate::bpf::types::Kernel;
use crate::{mm, time};

/// The verifier may take this part of the memory that is free.
const SHARE: usize = 4;
/// Bytes that a function's stack is rounded to.
const STACK_ALIGN: u32 = 16;

/// The maps of a program, with what is known of those that nobody changes any more.
struct Known<'a> {
    maps: &'a [Arc<Entry>],
    constants: Vec<Option<Vec<u8>>>,
}

impl<'a> Known<'a> {
    fn new(maps: &'a [Arc<Entry>]) -> Self {
        let constant = |map: &Arc<Entry>| {
            let def = map.def();
            let fixed = map.is_frozen() && def.flags & flag::RDONLY_PROG != 0;
            if !fixed || def.kind != MapKind::Array || def.max_entries != 1 {
                return None;
            }
            let mut value = vec![0; map.outer_value_size()];
            map.read_value(&0_u32.to_le_bytes(), &mut value).ok()?;
            Some(value)
        };
        Self { maps, constants: maps.iter().map(constant).collect() }
    }
}

/// The place of a map among the program's. Those named by id have got one.
fn place(map: MapRef) -> Option<usize> {
    match map {
        MapRef::Index(place) => usize::try_from(place).ok(),
        MapRef::Fd(_) => None,
    }
}

impl Maps for Known<'_> {
    fn def(&self, map: MapRef) -> Option<&MapDef> {
        self.maps.get(place(map)?).map(|map| map.def())
    }

    fn constant(&self, map: MapRef) -> Option<&[u8]> {
        self.constants.get(place(map)?)?.as_deref()
    }
}

/// What the compiler asks of this kernel.
struct Here<'a> {
    maps: &'a [Arc<Entry>],
}

impl Here<'_> {
    fn map(&self, place: i32) -> Option<&Arc<Entry>> {
        self.maps.get(usize::try_from(place).ok()?)
    }
}

impl Env for Here<'_> {
    fn helper(&self, number: i32) -> Option<u64> {
        helpers::address(number).map(|helper| helper as usize as u64)
    }

    fn address(&self, imm: Imm64) -> Option<u64> {
        match imm {
            Imm64::MapIndex(map) => Some(self.map(map)?.address()),
            Imm64::MapIndexValue { map, off } => Some(self.map(map)?.direct()?.base + u64::from(off)),
            _ => None,
        }
    }

    fn clock(&self) -> Option<u64> {
        Some(time::ns_per_tick())
    }

    fn tail_target(&self) -> Option<u64> {
        Some(arrays::target as *const () as usize as u64)
    }

    fn array(&self, imm: Imm64) -> Option<Array> {
        let Imm64::MapIndex(map) = imm else { return None };
        let map = self.map(map).filter(|map| map.def().kind == MapKind::Array)?;
        let direct = map.direct()?;
        Some(Array { values: direct.base, stride: u32::try_from(direct.stride).ok()?, len: direct.entries })
    }
}

/// Verifies a program, and gives it code.
pub(super) fn compile(
    program: &Program,
    (name, tag): (&str, [u8; 8]),
    section: &Section<'_>,
    maps: &[Arc<Entry>],
    poisoned: &[(usize, String)],
) -> Result<(Verified, Image), LoadError> {
    let context = attach::context::of(section)
        .map_err(|refused| LoadError::new(refused.errno, format!("prog '{name}': {refused}\n")))?;
    let memory = (mm::stats().free_bytes / SHARE).min(Limits::default().memory);
    let input = Input {
        program,
        context: &context,
        maps: &Known::new(maps),
        types: &Kernel,
        cpus: cpu::online() as u32,
        limits: Limits { memory, ..Limits::default() },
    };
    let verified = verify(&input).map_err(|rejection| {
        let mut log = format!("{rejection}\n");
        if let Some((_, why)) = poisoned.iter().find(|(at, _)| Some(*at) == rejection.at) {
            log.push_str(&format!("failed to resolve CO-RE relocation: {why}\n"));
        }
        told(name, Errno::from_code(rejection.rule.errno()).unwrap_or(Errno::EINVAL), &log)
    })?;
    helpers::prepare(&verified.helpers).map_err(|errno| told(name, errno, ""))?;
    let deepest = verified.frames.iter().map(|(_, bytes)| *bytes).max().unwrap_or(FRAME_BYTES as u32);
    let options = Options {
        stack_bytes: deepest.next_multiple_of(STACK_ALIGN),
        probe_reads: &verified.probe_reads,
        ..jit::options()
    };
    let image = Image::new(&verified.program, &Here { maps }, &options, &jit::symbol_name(tag, name))
        .map_err(|why| told(name, why.errno(), &format!("{why}\n")))?;
    Ok((verified, image))
}

/// As libbpf tells it.
fn told(name: &str, errno: Errno, log: &str) -> LoadError {
    let first = format!("prog '{name}': BPF program load failed: {}\n", errno.strerror());
    let log = match log {
        "" => first,
        log => format!("{first}prog '{name}': -- BEGIN PROG LOAD LOG --\n{log}-- END PROG LOAD LOG --\n"),
    };
    LoadError::new(errno, log)
}
