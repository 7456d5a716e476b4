//! The tools of `tools/`: each is there as a compiler's object and as a text, and both say the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bpf::helper::HelperNames;
use bpf::kind::Context;
use bpf::kind::Section;
use bpf::map::MapDef;
use bpf::object::source::{self, Defaults};
use bpf::object::{self, Object};
use bpf::types::{Member, Shape, TypeId, Types};
use bpf::verify::{Input, Limits, MapRef, Maps, verify};

/// The one type of the kernel that the tools ask for.
struct Workload;

impl Types for Workload {
    fn named(&self, name: &str, visit: &mut dyn FnMut(TypeId)) {
        if name == "WorkItem" {
            visit(TypeId(0));
        }
    }

    fn shape(&self, ty: TypeId) -> Option<Shape> {
        Some(if ty.0 == 0 { Shape::Struct } else { Shape::Int { signed: false } })
    }

    fn name(&self, ty: TypeId) -> Option<&str> {
        Some(if ty.0 == 0 { "WorkItem" } else { "" })
    }

    fn size(&self, ty: TypeId) -> Option<u64> {
        [24, 8, 4].get(ty.0 as usize).copied()
    }

    fn members(&self, ty: TypeId, visit: &mut dyn FnMut(Member<'_>)) {
        if ty.0 == 0 {
            visit(Member { name: "id", ty: TypeId(1), bit_offset: 0, bits: 0 });
            visit(Member { name: "len", ty: TypeId(2), bit_offset: 64, bits: 0 });
        }
    }

    fn values(&self, _: TypeId, _: &mut dyn FnMut(&str, i64)) {}
}

/// The maps of an object.
struct Own<'a>(&'a Object);

impl Maps for Own<'_> {
    fn def(&self, map: MapRef) -> Option<&MapDef> {
        let MapRef::Index(at) = map else { return None };
        self.0.maps.get(at as usize).map(|map| &map.def)
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tools")
}

/// The tools by name, in one of their forms.
fn read(ending: &str) -> BTreeMap<String, Object> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != ending) {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(object::is_elf(&bytes), ending == "o");
        let read = if ending == "o" {
            Object::parse(&bytes, &name, &Workload)
        } else {
            let text = String::from_utf8(bytes).unwrap();
            source::parse(&text, &Defaults { section: "syscall", name: &name, names: &HelperNames })
        };
        found.insert(name, read.unwrap_or_else(|why| panic!("{}: {why}", path.display())));
    }
    found
}

#[test]
fn both_forms_say_the_same() {
    let (objects, texts) = (read("o"), read("s"));
    assert_eq!(objects.len(), 10);
    assert_eq!(objects.keys().collect::<Vec<_>>(), texts.keys().collect::<Vec<_>>());
    for (name, object) in &objects {
        let text = &texts[name];
        let programs = |object: &Object| -> BTreeMap<String, String> {
            object.programs.iter().map(|program| (program.name.clone(), program.section.clone())).collect()
        };
        assert_eq!(programs(object), programs(text), "{name}");
        assert_eq!(object.license, text.license);
        for program in object.programs.iter().chain(&text.programs) {
            assert!(Section::parse(&program.section).is_some(), "{name}: {}", program.section);
        }
        // A text may have its constants elsewhere; the maps that have a name of their own are the same.
        let maps = |object: &Object| -> BTreeMap<String, _> {
            let own = object.maps.iter().filter(|map| !map.name.starts_with('.'));
            own.map(|map| {
                assert_eq!(map.def.check(), Ok(()), "{name}: {}", map.name);
                let def = &map.def;
                (map.name.clone(), (def.kind, def.key_size, def.value_size, def.max_entries))
            })
            .collect()
        };
        assert_eq!(maps(object), maps(text), "{name}");
    }
}

/// What Linux 7.2 shows of the same objects (`bpftool prog list`).
#[test]
fn tags_are_those_of_linux() {
    let objects = read("o");
    for (tool, program, tag) in [
        ("allocsize", "allocsize", 0xdac6_630f_4329_ee67),
        ("entrycount", "entrycount", 0x40f1_ed44_c232_a0ea),
        ("funclatency", "left", 0xd7a9_0d01_0e27_f7a0),
        ("lifestream", "begins", 0x9a84_2a71_c1d8_3159),
        ("lockstat", "end", 0xe372_4c22_d6d7_d4a5),
        ("offcpu", "offcpu", 0x5356_f241_b631_0a64),
        ("runqlat", "switched", 0xc28d_3005_8293_38b1),
        ("stackcount", "stackcount", 0x783f_8bf9_c5b3_908b_u64),
    ] {
        let found = objects[tool].programs.iter().find(|found| found.name == program).unwrap();
        assert_eq!(u64::from_be_bytes(found.program.tag()), tag, "{tool}: {program}");
    }
}

#[test]
fn all_are_verified() {
    for (ending, tools) in [("o", read("o")), ("s", read("s"))] {
        for (name, object) in &tools {
            for program in &object.programs {
                let section = Section::parse(&program.section).unwrap();
                let context = Context::of(section.attach);
                let input = Input {
                    program: &program.program,
                    context: &context,
                    maps: &Own(object),
                    types: &Workload,
                    cpus: 4,
                    limits: Limits::default(),
                };
                let verified =
                    verify(&input).unwrap_or_else(|why| panic!("{name}.{ending}, {}: {why}", program.name));
                assert!(
                    verified.processed < 5000,
                    "{name}.{ending}, {}: {}",
                    program.name,
                    verified.processed
                );
            }
        }
    }
}
