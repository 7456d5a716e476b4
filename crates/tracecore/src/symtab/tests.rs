use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::collections::BTreeSet;

use super::encode::{EncodeError, Entry, encode};
use super::names::{tidy, unique};
use super::*;
use crate::random::Random;

fn entry(name: &str, start: u64, size: u64, kind: u8) -> Entry {
    Entry { name: name.into(), start, size, kind }
}

fn sample() -> Vec<Entry> {
    alloc::vec![
        entry("work_add", 0xffff_8000_8000_1000, 0x20, b'T'),
        entry("_start", 0xffff_8000_8000_0000, 0, b'T'),
        entry("task::schedule", 0xffff_8000_8000_1040, 0x100, b't'),
        entry("alias_of_add", 0xffff_8000_8000_1000, 0x10, b'T'),
        entry("BOOT", 0xffff_8000_8001_0000, 8, b'D'),
    ]
}

#[test]
fn finds_by_address() {
    let blob = encode(sample()).unwrap();
    let table = Symtab::parse(&blob).unwrap();
    let name = |addr| table.by_addr(addr).map(|s| s.name);
    assert_eq!(name(0xffff_8000_8000_1000), Some("work_add"));
    assert_eq!(name(0xffff_8000_8000_101f), Some("work_add"));
    assert_eq!(name(0xffff_8000_8000_1020), None, "the gap behind a function belongs to nobody");
    assert_eq!(name(0xffff_8000_8000_0ffc), Some("_start"), "an unknown size reaches to the next symbol");
    assert_eq!(name(0xffff_8000_7fff_ffff), None);
    assert_eq!(name(u64::MAX), None);
    assert_eq!(name(0), None);
}

#[test]
fn finds_by_name() {
    let blob = encode(sample()).unwrap();
    let table = Symtab::parse(&blob).unwrap();
    for e in sample() {
        assert_eq!(table.by_name(&e.name).map(|s| (s.start, s.kind)), Some((e.start, e.kind)));
    }
    assert_eq!(table.by_name("work_ad"), None);
    assert_eq!(table.by_name("work_add0"), None);
    assert_eq!(table.by_name(""), None);
    let with: Vec<_> = table.with_prefix("").map(|s| s.name).collect();
    assert_eq!(with, ["BOOT", "_start", "alias_of_add", "task::schedule", "work_add"]);
    assert_eq!(table.with_prefix("task::").count(), 1);
    assert_eq!(table.with_prefix("zzz").count(), 0);
}

#[test]
fn empty_tables_answer() {
    let blob = encode(Vec::new()).unwrap();
    let table = Symtab::parse(&blob).unwrap();
    assert!(table.is_empty());
    assert_eq!(table.by_addr(0), None);
    assert_eq!(Symtab::EMPTY.by_name("x"), None);
}

#[test]
fn random_tables_come_back() {
    let mut random = Random(1);
    for round in 0..200 {
        let mut entries = Vec::new();
        let mut at = 0xffff_8000_8000_0000 + random.below(4096);
        for i in 0..random.below(60) {
            let size = random.below(40);
            let kind = b"TtRrDdBb"[random.below(8) as usize];
            entries.push(entry(&format!("f{}_{i}", random.below(50)), at, size, kind));
            at += size + random.below(3) * 4;
        }
        let blob = encode(entries.clone()).unwrap();
        let table = Symtab::parse(&blob).unwrap();
        assert_eq!(table.len(), entries.len());
        assert!(table.iter().is_sorted_by_key(|s| s.start));
        for e in &entries {
            let found = table.by_name(&e.name).unwrap();
            assert_eq!((found.start, found.kind), (e.start, e.kind), "round {round}");
            assert!(e.size == 0 || found.size == e.size);
            let here = table.by_addr(e.start).unwrap();
            assert_eq!(here.start, e.start);
            if e.size > 1 {
                assert_eq!(table.by_addr(e.start + e.size - 1).unwrap().start, e.start);
            }
        }
    }
}

#[test]
fn every_damaged_bit_is_noticed() {
    let blob = encode(sample()).unwrap();
    for bit in 0..blob.len() * 8 {
        let mut bad = blob.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Symtab::parse(&bad).is_err(), "bit {bit}");
    }
    for len in 0..blob.len() {
        assert!(Symtab::parse(&blob[..len]).is_err(), "length {len}");
    }
    assert_eq!(Symtab::parse(&[0; 256]).unwrap_err(), BadSymtab::NoMagic);
    let mut longer = blob.clone();
    longer.extend_from_slice(b"what follows in memory");
    assert!(Symtab::parse(&longer).is_ok());
}

/// A record can lie although the checksum is right: nothing may be read outside the blob.
#[test]
fn lying_records_yield_nothing() {
    let mut random = Random(2);
    let clean = encode(sample()).unwrap();
    for _ in 0..2000 {
        let mut bad = clean.clone();
        for _ in 0..1 + random.below(8) {
            let at = HEADER_LEN + random.below((clean.len() - HEADER_LEN) as u64) as usize;
            bad[at] = random.below(256) as u8;
        }
        let sum = checksum(&bad, header::CHECKSUM).unwrap();
        bad[header::CHECKSUM..header::CHECKSUM + 8].copy_from_slice(&sum.to_le_bytes());
        let table = Symtab::parse(&bad).unwrap();
        for i in 0..=table.len() {
            let _ = table.get(i);
            let _ = table.by_addr(0xffff_8000_8000_0000 + random.below(0x20000));
        }
        let _ = table.by_name("work_add");
        assert!(table.with_prefix("").count() <= table.len());
    }
}

#[test]
fn bad_tables_are_refused() {
    let twice = alloc::vec![entry("a", 0, 1, b'T'), entry("a", 4, 1, b'T')];
    assert_eq!(encode(twice), Err(EncodeError::Duplicate("a".into())));
    assert_eq!(encode(alloc::vec![entry("", 0, 1, b'T')]), Err(EncodeError::NameLength(String::new())));
    let far = alloc::vec![entry("a", 0, 1, b'T'), entry("b", 1 << 32, 1, b'T')];
    assert_eq!(encode(far), Err(EncodeError::TooFar("b".into())));
}

#[test]
fn names_are_tidied() {
    for (path, name) in [
        ("kernel::task::schedule", "task::schedule"),
        ("<kernel::task::Task as core::fmt::Debug>::fmt", "<task::Task_as_core::fmt::Debug>::fmt"),
        ("core::ptr::drop_in_place::<[kernel::a::B; 16]>", "core::ptr::drop_in_place::<{a::B;16}>"),
        ("a::f::<*const kernel::T, *mut u8>", "a::f::<ptr_const_T,ptr_mut_u8>"),
        ("a::f::<fn(u8) -> kernel::T>", "a::f::<fn(u8)_to_T>"),
        (
            "a::f::<dyn core::any::Any + core::marker::Send>",
            "a::f::<dyn_core::any::Any_and_core::marker::Send>",
        ),
        ("a::f::<fn() -> !>", "a::f::<fn()_to_never>"),
        ("kernel::main::{closure#0}", "main::{closure#0}"),
        ("my_kernel::f", "my_kernel::f"),
        ("a::kernel::f", "a::kernel::f"),
        ("<&'a mut kernel::T>::f", "<&a_mut_T>::f"),
        ("<&mut kernel::T as kernel::U>::f", "<&mut_T_as_U>::f"),
        ("work_add", "work_add"),
    ] {
        assert_eq!(tidy(path), name);
    }
}

#[test]
fn tidy_names_can_be_typed_back() {
    let parts = [
        "kernel::",
        "a::",
        "<",
        ">",
        " as ",
        "*const ",
        "*mut ",
        "&",
        "'a ",
        "[",
        "]",
        "; 16",
        ", ",
        " + ",
        " -> ",
        "!",
        "dyn ",
        "{closure#0}",
        "fn(",
        ")",
        "é",
        "\\",
        "\t",
        "?",
        "x",
        "=",
        " = ",
    ];
    let mut random = Random(3);
    for _ in 0..5000 {
        let path: String =
            (0..random.below(60)).map(|_| parts[random.below(parts.len() as u64) as usize]).collect();
        let name = tidy(&path);
        assert!(!name.contains([' ', '\t', '*', '?', '[', ']', '!', '\'', '"', '+', '\\', '-']), "{name}");
        assert!(name.is_ascii() && name.len() <= NAME_MAX);
        assert_eq!(name, tidy(&path), "the same every time");
    }
    let long = |n| tidy(&format!("{}{n}", "x".repeat(2 * NAME_MAX)));
    assert!(long(1).len() <= NAME_MAX && long(1) != long(2));
}

#[test]
fn twins_are_numbered() {
    let pairs = [("_Rb", "f"), ("_Ra", "f"), ("_Rc", "f.1"), ("_Rd", "g"), ("_Re", "f")];
    assert_eq!(unique(&pairs), ["f.2", "f", "f.1", "g", "f.3"]);
    let mut random = Random(4);
    let names: Vec<String> =
        (0..300).map(|_| ["f", "f.1", "f.2", "g", "g.1.1"][random.below(5) as usize].to_string()).collect();
    let raws: Vec<String> = (0..300).map(|i| format!("_R{}", (i * 7919) % 300)).collect();
    let pairs: Vec<(&str, &str)> = raws.iter().map(|r| &r[..]).zip(names.iter().map(|n| &n[..])).collect();
    let out = unique(&pairs);
    assert_eq!(out.iter().collect::<BTreeSet<_>>().len(), out.len());
    // The order in which the linker lists them does not matter.
    let turned: Vec<_> = pairs.iter().rev().copied().collect();
    assert_eq!(unique(&turned), out.iter().rev().cloned().collect::<Vec<_>>());
}
