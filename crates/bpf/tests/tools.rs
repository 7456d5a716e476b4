//! The tools of `tools/`: each is there as a compiler's object and as a text, and both say the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bpf::helper::HelperNames;
use bpf::kind::Section;
use bpf::object::source::{self, Defaults};
use bpf::object::{self, Object};
use bpf::types::NoTypes;

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
            Object::parse(&bytes, &name, &NoTypes)
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
