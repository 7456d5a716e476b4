//! What the verifier lets through and what it refuses, rule by rule: small programs with the verdict.
//!
//! Each table has lines `(what, program, verdict)`; the verdict is empty for a program that is accepted, else a part of the reason.

mod alu;
mod calls;
mod context;
mod helpers;
mod loops;
mod maps;
mod stack;

use std::sync::LazyLock;

use bpf::helper;
use bpf::kind::{Attach, Context, Gives};
use bpf::map::{MapDef, MapKind, Special, flag};
use bpf::op::Imm64;
use bpf::text::{self, Names};
use bpf::types::{Member, Shape, TypeId, Types};
use bpf::verify::{Input, Limits, MapRef, Maps, Rejection, Verified, verify};

/// The maps of all tests, by number.
static MAPS: LazyLock<Vec<MapDef>> = LazyLock::new(|| {
    let lock = |def: MapDef| MapDef { special: Special { spin_lock: Some(0), timer: None }, ..def };
    let timer = |def: MapDef| MapDef { special: Special { spin_lock: None, timer: Some(8) }, ..def };
    let inner = |def: MapDef, of: MapDef| MapDef { inner: Some(Box::new(of)), ..def };
    vec![
        MapDef::new(MapKind::Hash, 8, 8, 16).named("hash"),
        MapDef::new(MapKind::Array, 4, 48, 16).named("array"),
        MapDef::new(MapKind::RingBuf, 0, 0, 4096).named("ring"),
        MapDef::new(MapKind::ProgArray, 4, 4, 4).named("progs"),
        MapDef::new(MapKind::PerfEventArray, 4, 4, 4).named("events"),
        MapDef::new(MapKind::StackTrace, 4, 80, 16).named("stacks"),
        MapDef::new(MapKind::Array, 4, 32, 1).named("rodata").with_flags(flag::RDONLY_PROG),
        lock(MapDef::new(MapKind::Hash, 8, 16, 16).named("locked")),
        timer(MapDef::new(MapKind::Array, 4, 32, 4).named("timed")),
        MapDef::new(MapKind::Queue, 0, 8, 16).named("queue"),
        inner(MapDef::new(MapKind::ArrayOfMaps, 4, 4, 4).named("outer"), MapDef::new(MapKind::Hash, 4, 8, 8)),
        MapDef::new(MapKind::PercpuArray, 4, 8, 4).named("percpu"),
        MapDef::new(MapKind::BloomFilter, 0, 8, 16).named("bloom"),
        MapDef::new(MapKind::Array, 4, 16, 1).named("data"),
        MapDef::new(MapKind::Hash, 8, 8, 16).named("unread").with_flags(flag::WRONLY_PROG),
        MapDef::new(MapKind::LpmTrie, 8, 8, 16).named("trie").with_flags(flag::NO_PREALLOC),
    ]
});

/// What stands in `rodata`.
const RODATA: &[u8; 32] = b"%d and %d\0\0\0\0\0\0\0\x05\0\0\0\xff\xff\xff\xffnozero.!";

pub(crate) struct Fixture;

impl Maps for Fixture {
    fn def(&self, map: MapRef) -> Option<&MapDef> {
        let (MapRef::Fd(n) | MapRef::Index(n)) = map;
        MAPS.get(usize::try_from(n).ok()?)
    }

    fn constant(&self, map: MapRef) -> Option<&[u8]> {
        (self.def(map)?.name == "rodata").then_some(&RODATA[..])
    }
}

impl Names for Fixture {
    fn helper(&self, name: &str) -> Option<i32> {
        helper::HelperNames.helper(name)
    }

    fn map(&self, name: &str) -> Option<Imm64> {
        MAPS.iter().position(|map| map.name == name).map(|n| Imm64::Map(n as i32))
    }
}

/// `struct thing { u64 number; thing *next; char name[16]; }` is type 1, a pointer to it 2.
impl Types for Fixture {
    fn named(&self, name: &str, visit: &mut dyn FnMut(TypeId)) {
        if name == "thing" || name == "task_struct" {
            visit(TypeId(1));
        }
    }

    fn shape(&self, ty: TypeId) -> Option<Shape> {
        match ty.0 {
            1 => Some(Shape::Struct),
            2 => Some(Shape::Pointer { to: TypeId(1) }),
            3 => Some(Shape::Int { signed: false }),
            4 => Some(Shape::Array { of: TypeId(5), count: 16 }),
            5 => Some(Shape::Int { signed: true }),
            _ => None,
        }
    }

    fn name(&self, ty: TypeId) -> Option<&str> {
        (ty.0 == 1).then_some("thing")
    }

    fn size(&self, ty: TypeId) -> Option<u64> {
        [0, 32, 8, 8, 16, 1].get(ty.0 as usize).copied()
    }

    fn members(&self, ty: TypeId, visit: &mut dyn FnMut(Member<'_>)) {
        if ty.0 == 1 {
            for (name, ty, bit_offset) in [("number", 3, 0), ("next", 2, 64), ("name", 4, 128)] {
                visit(Member { name, ty: TypeId(ty), bit_offset, bits: 0 });
            }
        }
    }

    fn values(&self, _: TypeId, _: &mut dyn FnMut(&str, i64)) {}
}

/// A context with two arguments, the first one a `thing`.
pub(crate) fn typed(attach: Attach) -> Context {
    Context::arguments(attach, &[Gives::Pointer(TypeId(1)), Gives::Number], Some(Gives::Number))
}

pub(crate) fn run(context: &Context, source: &str) -> Result<Verified, Box<Rejection>> {
    run_within(context, source, Limits::default())
}

pub(crate) fn run_within(
    context: &Context,
    source: &str,
    limits: Limits,
) -> Result<Verified, Box<Rejection>> {
    let program = text::parse(source, &Fixture).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let input = Input { program: &program, context, maps: &Fixture, types: &Fixture, cpus: 4, limits };
    verify(&input)
}

/// Checks a table.
pub(crate) fn check(context: &Context, table: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (what, source, verdict) in table {
        match (run(context, source), *verdict) {
            (Ok(_), "") => {}
            (Ok(_), verdict) => {
                wrong.push(format!("{what}: accepted, not refused with {verdict:?}\n{source}\n"))
            }
            (Err(rejection), "") => wrong.push(format!("{what}: refused\n{source}\n{rejection}\n")),
            (Err(rejection), verdict) if rejection.reason.contains(verdict) => {}
            (Err(rejection), verdict) => {
                wrong.push(format!("{what}: refused, but not with {verdict:?}\n{source}\n{rejection}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}

/// What is written as a kprobe's program.
pub(crate) fn kprobe(table: &[(&str, &str, &str)]) {
    check(&Context::of(Attach::Kprobe), table);
}
