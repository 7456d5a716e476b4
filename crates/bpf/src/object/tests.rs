//! Objects of a compiler, read; what it takes that they are is in `samples/README.md`.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use std::string::String;

use super::{Element, Error, Object};
use crate::btf::Btf;
use crate::map::{MapKind, flag};
use crate::op::{Callee, Imm64, Op};
use crate::text::{NoNames, print};
use crate::types::{NoTypes, TypeId, Types};

const ALL: &[u8] = include_bytes!("samples/all.o");
const CORE: &[u8] = include_bytes!("samples/core.o");
const LEGACY: &[u8] = include_bytes!("samples/legacy.o");

/// Types that stand for a kernel's.
fn kernel() -> Btf {
    let elf = super::elf::Elf::parse(include_bytes!("samples/kernel.o")).unwrap();
    Btf::parse(elf.named(".BTF").unwrap().data).unwrap()
}

fn all() -> Object {
    Object::parse(ALL, "all", &kernel()).unwrap()
}

fn named<'a>(object: &'a Object, name: &str) -> &'a super::Prog {
    object.programs.iter().find(|program| program.name == name).unwrap()
}

#[test]
fn the_whole_is_read() {
    let object = all();
    assert_eq!((&*object.license, object.version), ("GPL", 0x70200));
    let programs: Vec<_> = object.programs.iter().map(|p| (&*p.section, &*p.name)).collect();
    let expected =
        [("kprobe", "tail"), ("kprobe/work_struct", "on_entry"), ("kretprobe/work_struct", "on_return")];
    assert_eq!(programs, expected);
    let maps: Vec<_> = object.maps.iter().map(|m| (&*m.name, &*m.def.name, m.def.kind.name())).collect();
    for map in [
        ("counts", "counts", "hash"),
        ("locks", "locks", "hash"),
        ("a_ring_buffer_with_a_long_name", "a_ring_buffer_w", "ringbuf"),
        ("outer", "outer", "array_of_maps"),
        ("tails", "tails", "prog_array"),
        (".rodata", "all.rodata", "array"),
        (".data", "all.data", "array"),
        (".bss", "all.bss", "array"),
    ] {
        assert!(maps.contains(&map), "{map:?} in {maps:?}");
    }
    for map in &object.maps {
        assert_eq!(map.def.check(), Ok(()), "{}", map.name);
    }
}

#[test]
fn definitions_of_maps() {
    let object = all();
    let map = |name: &str| object.maps.iter().find(|map| map.name == name).unwrap();
    let sizes = |name: &str| {
        let def = &map(name).def;
        (def.key_size, def.value_size, def.max_entries, def.flags)
    };
    assert_eq!(sizes("counts"), (4, 8, 1024, 0));
    assert_eq!(sizes("locks"), (8, 16, 16, 0));
    assert_eq!(map("locks").def.special.spin_lock, Some(8));
    assert_eq!(sizes("a_ring_buffer_with_a_long_name"), (0, 0, 4096, 0));
    assert_eq!(sizes(".rodata").3, flag::RDONLY_PROG | flag::MMAPABLE);
    assert!(map(".rodata").frozen && !map(".data").frozen);
    assert_eq!(map(".rodata").contents.as_ref().unwrap()[..4], [5, 0, 0, 0]);
    assert_eq!((sizes(".bss"), map(".bss").contents.is_none()), ((4, 4, 1, flag::MMAPABLE), true));
    let inner = map("outer").def.inner.as_ref().unwrap();
    assert_eq!((inner.kind, inner.key_size, inner.value_size, inner.max_entries), (MapKind::Array, 4, 8, 4));
    let at = |name: &str| object.maps.iter().position(|map| map.name == name).unwrap();
    assert_eq!(map("outer").elements, [(0, Element::Map(at("one"))), (2, Element::Map(at("two")))]);
    assert_eq!(map("tails").elements, [(1, Element::Program("tail".into()))]);
}

#[test]
fn functions_are_put_behind_the_programs_that_call_them() {
    let object = all();
    let functions = |name: &str| named(&object, name).program.functions().len();
    // on_entry, the callback, helper, twice; helper once although two call it
    assert_eq!((functions("on_entry"), functions("on_return"), functions("tail")), (4, 2, 1));
    let text = print(&named(&object, "on_return").program, &NoNames).to_string();
    let at = |name: &str| object.maps.iter().position(|map| map.name == name).unwrap();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    for line in [
        &*std::format!("r2 = map[#{}][0]+4", at(".data")),
        &*std::format!("r2 = map[#{}][0]+0", at(".rodata")),
        "call pc+1",
    ] {
        assert!(lines.iter().any(|other| other.contains(line)), "{line} in\n{text}");
    }
    let program = &named(&object, "on_entry").program;
    let callbacks: Vec<_> = program
        .ops()
        .filter(|(_, op)| matches!(op, Op::LoadImm { imm: Imm64::Code(_), .. }))
        .map(|(at, op)| program.target(at, &op).unwrap())
        .collect();
    assert_eq!(callbacks.len(), 1);
    assert!(program.functions().contains(&callbacks[0]));
    assert!(named(&object, "on_entry").lines.iter().any(|(slot, _)| *slot == callbacks[0]));
}

/// What a program stores into `out`, in their order.
fn answers(object: &Object) -> Vec<i64> {
    let mut last = 0;
    let mut out = vec![];
    for (_, op) in named(object, "questions").program.ops() {
        match op {
            Op::LoadImm { imm: Imm64::Value(value), .. } => last = value.cast_signed(),
            Op::Alu { src: crate::op::Operand::Imm(imm), .. } => last = imm.into(),
            Op::Store { .. } => out.push(last),
            _ => {}
        }
    }
    out
}

#[test]
fn every_question_of_co_re() {
    let kernel = kernel();
    let object = Object::parse(CORE, "core", &kernel).unwrap();
    let mut item = None;
    kernel.named("WorkItem", &mut |ty| item = Some(ty));
    let Some(TypeId(item)) = item else { panic!("no WorkItem") };
    let answers = answers(&object);
    let expected = [
        12,              // offset of in_union, in an unnamed struct in an unnamed union
        8,               // of both, by way of `thing___second`
        112,             // of wrapped, in its AtomicU64
        4,               // size of wide: u32 there
        16 + 3 * 24 + 8, // offset of items[3].len
        0,               // is there items[5]: of four
        0,               // missing
        1,               // pointer
        128,             // flags: bits 5-7 of a word
        4,
        64 - 8,
        64 - 3,
        0, // not signed
        1, // neg is
        64 - 21,
        1,  // struct thing
        0,  // struct absent
        24, // size of WorkItem
        1,  // RUNNING
        0,  // NEVER
        70000,
        -2,
        i64::from(item),
    ];
    assert_eq!(answers[..expected.len()], expected);
    assert_eq!(answers.len(), expected.len() + 1);
    let text = |name: &str| print(&named(&object, name).program, &NoNames).to_string();
    // 8 bytes became the 4 that the kernel has.
    assert!(
        text("loads").contains("*(u32 *)(r1 + 120)") && text("loads").contains("*(u32 *)(r1 + 12)"),
        "{}",
        text("loads")
    );
    let poisoned = |name: &str| {
        let program = named(&object, name);
        assert!(
            program.program.ops().any(|(_, op)| op == Op::Call(Callee::Helper(crate::btf::co_re::POISON)))
        );
        program.poisoned.clone()
    };
    assert_eq!(
        poisoned("reaches_what_is_not_there"),
        [(0, String::from("the kernel has no struct thing.missing"))]
    );
    let why = "struct thing.narrow: the kernel's has another size, and its sign would be lost";
    assert_eq!(poisoned("loses_a_sign"), [(0, String::from(why))]);
}

#[test]
fn without_types_only_what_is_reached_is_refused() {
    let object = Object::parse(CORE, "core", &NoTypes).unwrap();
    assert_eq!(answers(&object)[5..8], [0, 0, 0]);
    assert_eq!(named(&object, "loads").poisoned.len(), 2);
}

fn refused(bytes: &[u8]) -> Error {
    Object::parse(bytes, "bad", &NoTypes).unwrap_err()
}

#[test]
fn what_is_no_object_is_refused() {
    let error = refused(LEGACY);
    assert_eq!(error.errno(), 95);
    assert!(error.why().starts_with("legacy map definitions in the section \"maps\""), "{error}");
    let with = |at: usize, byte| {
        let mut bytes = ALL.to_vec();
        bytes[at] = byte;
        bytes
    };
    let (narrow, big_endian, host) = (with(4, 1), with(5, 2), with(18, 62));
    let header = "not an object for BPF: its header is not that of a little-endian ELF file";
    for (bytes, why) in [
        (&b""[..], "not an object for BPF: it does not begin as an ELF file"),
        (b"r0 = 0; exit", "not an object for BPF: it does not begin as an ELF file"),
        (&ALL[..30], header),
        (&big_endian, header),
        (&narrow, "not an object for BPF: it is not an ELF file of 64 bits"),
        (&host, "not an object for BPF: it is for another machine"),
    ] {
        assert_eq!((refused(bytes).errno(), &*refused(bytes).to_string()), (8, why));
    }
}

#[test]
fn cut_anywhere_it_is_refused() {
    for len in 0..ALL.len() {
        assert!(Object::parse(&ALL[..len], "cut", &NoTypes).is_err(), "{len}");
    }
}

#[test]
fn a_text_says_what_an_object_says() {
    let text = "# two programs
.map counts hash key 4 value 8 entries 64; .map inner array key 4 value 8 entries 1 hidden
.map outer array_of_maps entries 2 inner inner
.map tails prog_array entries 4; .put tails 2 on_return
.string format \"n;%d\\n\" // a ; in quotes separates nothing
.data total 8
.section kprobe/work_add on_add
    r1 = map[counts]; r2 = map[format]; r3 = map[total]
    r0 = 0; exit
.section kretprobe/work_add on_return
again: r0 = map[other]
    goto again
";
    struct Outer;
    impl crate::text::Names for Outer {
        fn map(&self, name: &str) -> Option<Imm64> {
            (name == "other").then_some(Imm64::Map(17))
        }
    }
    let defaults = super::source::Defaults { section: "syscall", name: "sample", names: &Outer };
    let object = super::source::parse(text, &defaults).unwrap();
    let programs: Vec<_> = object.programs.iter().map(|p| (&*p.section, &*p.name)).collect();
    assert_eq!(programs, [("kprobe/work_add", "on_add"), ("kretprobe/work_add", "on_return")]);
    let maps: Vec<_> = object.maps.iter().map(|m| (&*m.name, &*m.def.name, m.def.kind)).collect();
    let expected = [
        ("counts", "counts", MapKind::Hash),
        ("outer", "outer", MapKind::ArrayOfMaps),
        ("tails", "tails", MapKind::ProgArray),
        (".rodata", "sample.rodata", MapKind::Array),
        (".bss", "sample.bss", MapKind::Array),
    ];
    assert_eq!(maps, expected);
    assert_eq!(object.maps[2].elements, [(2, Element::Program("on_return".into()))]);
    assert_eq!(object.maps[3].contents.as_deref(), Some(&b"n;%d\n\0"[..]));
    assert!(object.maps.iter().all(|map| map.def.check().is_ok()));
    let imms = |n: usize| -> Vec<Imm64> {
        let ops = object.programs[n].program.ops();
        ops.filter_map(|(_, op)| if let Op::LoadImm { imm, .. } = op { Some(imm) } else { None }).collect()
    };
    let value = |map| Imm64::MapIndexValue { map, off: 0 };
    assert_eq!(imms(0), [Imm64::MapIndex(0), value(3), value(4)]);
    assert_eq!(imms(1), [Imm64::Map(17)]);
    let one = super::source::parse("r0 = 1; exit", &defaults).unwrap();
    assert_eq!(
        (&*one.programs[0].section, &*one.programs[0].name, &*one.license),
        ("syscall", "sample", "GPL")
    );
}

#[test]
fn what_is_wrong_with_a_text_is_said_with_its_place() {
    let defaults = super::source::Defaults { section: "syscall", name: "x", names: &NoNames };
    for (text, why) in [
        ("", "there is no program in it"),
        ("r0 = 0\n\n  r1 = map[x]; exit", "3:12: there is no map \"x\""),
        (".section kprobe a\nexit\n.section kprobe b\nexit; exot", "4:7: \"exot\" is no instruction"),
        (".map a nothing", "1: \"nothing\" is no kind of map; there are hash, array"),
        (".map a hash key", "1: \"key\" of what?"),
        (".map a hash size 4", "1: nobody knows \"size\" of a map"),
        (".map a hash key 4;.map a hash", "1: \"a\" is there already"),
        (".map 4 hash", "1: \"4\" is no name"),
        (".map a hash_of_maps inner b", "1: there is no map \"b\" before this line"),
        ("\n.string a", "2: expected .string NAME"),
        (".string a \"x", "1: expected \"TEXT\""),
        (".string a \"\\q\"", "1: nobody knows \\q"),
        (".data a 0", "1: between 1 and"),
        (".bss", "1: \".bss\" is no directive"),
        (".map t prog_array entries 1; .put t 0 nix; exit", "there is no program \"nix\" to be put"),
        (".map t hash key 4 value 4 entries 1; .put t 0 nix; exit", "1: \"t\" holds neither"),
        (".put t 0", "1: expected .put MAP KEY NAME"),
        (".put t 0 x", "1: there is no map \"t\" before this line"),
    ] {
        let error = super::source::parse(text, &defaults).unwrap_err();
        assert!(error.why().starts_with(why), "{text:?}: {error}");
    }
}

/// Numbers for the mutations below; the same ones in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Objects with some bytes changed, cut, or copied elsewhere: an error or an object, never a panic, and nothing larger than
/// the bounds. More of them with `OBJECT_MUTATIONS=500000 cargo test --release -p bpf mutated`.
#[test]
fn mutated_objects_are_refused_or_sound() {
    let count = std::env::var("OBJECT_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let (kernel, mut numbers) = (kernel(), Numbers(0x5eed_1234_5678_9abc));
    let (mut taken, mut refused) = (0, 0);
    for nth in 0..count {
        let mut bytes = [ALL, CORE][nth % 2].to_vec();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(bytes.len());
            match numbers.below(6) {
                0 => bytes[at] = numbers.next() as u8,
                1 => bytes[at] ^= 1 << numbers.below(8),
                // A number of four bytes at its edges.
                2 => {
                    let edge =
                        [0, 1, 7, 8, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX][numbers.below(9)];
                    let at = at & !3;
                    if let Some(word) = bytes.get_mut(at..at + 4) {
                        word.copy_from_slice(&edge.to_le_bytes());
                    }
                }
                3 => {
                    let (from, len) = (numbers.below(bytes.len()), numbers.below(64));
                    let len = len.min(bytes.len() - at).min(bytes.len() - from);
                    bytes.copy_within(from..from + len, at);
                }
                4 => bytes.truncate(at.max(1)),
                // The headers of sections and symbols are at the end.
                _ => {
                    let back = numbers.below(bytes.len().min(3000));
                    let at = bytes.len() - 1 - back;
                    bytes[at] = bytes[at].wrapping_add([1, 8, 0xff][numbers.below(3)]);
                }
            }
        }
        match Object::parse(&bytes, "mutated", &kernel) {
            Ok(object) => {
                taken += 1;
                let slots: usize = object.programs.iter().map(|p| p.program.slots().len()).sum();
                let contents: usize =
                    object.maps.iter().filter_map(|m| m.contents.as_ref()).map(Vec::len).sum();
                assert!(slots <= super::SLOTS_MAX && contents <= bytes.len());
                for program in &object.programs {
                    for (_, op) in program.program.ops() {
                        if let Op::LoadImm {
                            imm: Imm64::MapIndex(map) | Imm64::MapIndexValue { map, .. },
                            ..
                        } = op
                        {
                            assert!((map as usize) < object.maps.len());
                        }
                    }
                }
            }
            Err(error) => {
                refused += 1;
                assert!(error.errno() > 0 && !error.why().is_empty() && error.why().len() < 10_000);
            }
        }
    }
    assert!(taken > count / 100 && refused > count / 100, "{taken} taken, {refused} refused");
}
