//! Tables written and read back, and damaged ones.

use super::encode::{EncodeError, Function, Type, encode};
use super::*;
use crate::blob::checksum;
use crate::random::Random;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

const BASE: u64 = 0xffff_8000_8000_0000;
/// More functions than two blocks hold.
const FUNCTIONS: u64 = 70;

fn functions() -> Vec<Function> {
    (0..FUNCTIONS)
        .map(|n| Function {
            start: start(n),
            result: [Outcome::Unknown, Outcome::Nothing, Outcome::Value(TypeId(0))][n as usize % 3],
            params: (0..n % 5).map(|p| (format!("p{p}"), TypeId((n % 6) as u32), place(n + p))).collect(),
        })
        .collect()
}

fn start(n: u64) -> u64 {
    BASE + n * 4 + n * n * 1000 / 4 * 4
}

fn place(n: u64) -> Place {
    let x = (n % 8) as u8;
    match n % 3 {
        0 => Place::Register(x),
        1 => Place::Pair(x, 7 - x),
        _ => Place::Memory(x),
    }
}

fn types() -> Vec<Type> {
    let field = |at, name: &str, ty| (at, String::from(name), TypeId(ty));
    vec![
        Type::Int { size: 8, signed: true },
        Type::Record(
            "Node".into(),
            300,
            vec![field(200, "next", 2), field(0, "size", 0), field(8, "text", 5)],
        ),
        Type::Pointer(TypeId(1)),
        Type::Record("Wrapper".into(), 8, vec![field(0, "inner", 4)]),
        Type::Record("Inner".into(), 8, vec![field(0, "pointer", 2)]),
        Type::Text(24, 8, 16),
        Type::Array(TypeId(7), 10),
        Type::Array(TypeId(1), 3),
        Type::Opaque(12),
        Type::Record("Half".into(), 8, vec![field(0, "low", 10)]),
        Type::Int { size: 4, signed: false },
        Type::Bool,
        Type::Char,
    ]
}

fn table() -> Vec<u8> {
    encode(functions(), &types()).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let bytes = table();
    let table = TypeTable::parse(&bytes).unwrap();
    assert!(!table.is_empty() && TypeTable::EMPTY.is_empty());
    for (n, function) in functions().into_iter().enumerate() {
        let found = table.function(function.start).unwrap_or_else(|| panic!("{n}"));
        assert_eq!(found.result, function.result);
        let params: Vec<_> = found.params().map(|p| (String::from(p.name), p.ty, p.place)).collect();
        assert_eq!(params, function.params, "{n}");
        for beside in [1, 2, 4] {
            let at = function.start + beside;
            assert_eq!(
                table.function(at).is_some(),
                functions().iter().any(|f| f.start == at),
                "{n} + {beside}"
            );
        }
    }
    for nowhere in [0, BASE - 4, start(FUNCTIONS), BASE + (1 << 32), u64::MAX] {
        assert!(table.function(nowhere).is_none(), "{nowhere:#x}");
    }
    let Some(Shape::Record(node)) = table.shape(TypeId(1)) else { panic!() };
    let fields: Vec<_> = node.fields().map(|f| (f.name, f.offset, f.ty.0)).collect();
    assert_eq!((node.name, node.size), ("Node", 300));
    assert_eq!(fields, [("size", 0, 0), ("text", 8, 5), ("next", 200, 2)]);
    assert_eq!(node.field("next").map(|f| f.offset), Some(200));
    assert_eq!(node.field("nex"), None);
    assert!(matches!(table.shape(TypeId(5)), Some(Shape::Text { size: 24, pointer: 8, length: 16 })));
    assert!(matches!(table.shape(TypeId(11)), Some(Shape::Bool)));
    assert!(matches!(table.shape(TypeId(12)), Some(Shape::Char)));
    assert!(table.shape(TypeId(13)).is_none());
}

#[test]
fn wrappers_are_seen_through() {
    let bytes = table();
    let table = TypeTable::parse(&bytes).unwrap();
    assert!(matches!(table.core_shape(TypeId(3)), Some(Shape::Pointer { to: TypeId(1) })));
    // A field that is smaller than its struct does not stand for it.
    assert!(matches!(table.core_shape(TypeId(9)), Some(Shape::Record(half)) if half.name == "Half"));
    let sizes: Vec<_> = (0..13).map(|n| table.size(TypeId(n)).unwrap()).collect();
    assert_eq!(sizes, [8, 300, 8, 8, 8, 24, 9000, 900, 12, 8, 4, 1, 4]);
}

#[test]
fn every_damaged_bit_is_noticed() {
    let bytes = table();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(TypeTable::parse(&bad).is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(TypeTable::parse(&bytes[..len]).is_err(), "length {len}");
    }
    assert_eq!(TypeTable::parse(&[0; 256]).unwrap_err(), BadTypes::NoMagic);
    let mut longer = bytes.clone();
    longer.extend_from_slice(b"what follows in memory");
    assert!(TypeTable::parse(&longer).is_ok());
}

/// A table may lie although the checksum is right: every walk ends, and nothing is read outside.
#[test]
fn lying_tables_yield_nothing() {
    let mut random = Random(3);
    let clean = table();
    for _ in 0..3000 {
        let mut bad = clean.clone();
        for _ in 0..1 + random.below(12) {
            let at = HEADER_LEN + random.below((clean.len() - HEADER_LEN) as u64) as usize;
            bad[at] = random.below(256) as u8;
        }
        let sum = checksum(&bad, header::CHECKSUM).unwrap();
        bad[header::CHECKSUM..header::CHECKSUM + 8].copy_from_slice(&sum.to_le_bytes());
        let table = TypeTable::parse(&bad).unwrap();
        for n in 0..FUNCTIONS {
            if let Some(function) = table.function(start(n)) {
                assert!(function.params().count() <= PARAMS_MAX);
                let _ = function.param("p1");
            }
        }
        for n in 0..20 {
            let _ = (table.size(TypeId(n)), table.core_shape(TypeId(n)));
            if let Some(Shape::Record(record)) = table.shape(TypeId(n)) {
                assert!(record.fields().count() <= FIELDS_MAX);
            }
        }
    }
}

#[test]
fn arguments_as_words_are_in_order_and_without_the_last() {
    use Place::{Memory, Pair, Register};
    let read = |places: &[Place]| {
        let params =
            places.iter().enumerate().map(|(n, place)| (format!("a{n}"), TypeId(0), *place)).collect();
        let function = Function { start: BASE, result: Outcome::Nothing, params };
        let bytes = encode(vec![function], &types()).unwrap();
        let function = TypeTable::parse(&bytes).unwrap().function(BASE).unwrap().as_words()?;
        Some(function.params().map(|p| (String::from(p.name), p.place)).collect::<Vec<_>>())
    };
    let words = |count: u8| Some((0..count).map(|n| (format!("a{n}"), Register(n))).collect::<Vec<_>>());
    assert_eq!(read(&[Register(0), Pair(1, 2), Memory(3), Register(4)]), words(3));
    assert_eq!(read(&[Register(0)]), words(0));
    assert_eq!(read(&[]), None);
    // One that is not known would make the others' numbers wrong.
    assert_eq!(read(&[Register(0), Register(2), Register(3)]), None);
    assert_eq!(read(&[Register(1), Register(2)]), None);
    assert_eq!(read(&[Pair(0, 2), Register(3)]), None);
}

/// A type that is made of itself has no size, and no end is waited for.
#[test]
fn circles_end() {
    let own = |ty| vec![(0, String::from("own"), TypeId(ty))];
    let types =
        [Type::Record("A".into(), 8, own(1)), Type::Record("B".into(), 8, own(0)), Type::Array(TypeId(2), 1)];
    let bytes = encode(Vec::new(), &types).unwrap();
    let table = TypeTable::parse(&bytes).unwrap();
    assert!(table.core_shape(TypeId(0)).is_none());
    assert!(table.size(TypeId(2)).is_none());
}

#[test]
fn what_cannot_be_written_is_refused() {
    let function = |start| Function { start, result: Outcome::Nothing, params: Vec::new() };
    assert_eq!(encode(vec![function(8), function(8)], &[]), Err(EncodeError::Address(8)));
    assert_eq!(encode(vec![function(6)], &[]), Err(EncodeError::Address(6)));
    assert_eq!(encode(vec![function(0), function(1 << 32)], &[]), Err(EncodeError::TooLarge));
    assert_eq!(encode(Vec::new(), &[Type::Pointer(TypeId(1))]), Err(EncodeError::NoType(1)));
    // Names and lists beyond their limits are cut.
    let long = "\u{e9}".repeat(NAME_MAX);
    let fields = (0..FIELDS_MAX as u64 + 5).map(|n| (n, long.clone(), TypeId(0))).collect();
    let bytes = encode(Vec::new(), &[Type::Bool, Type::Record(long.clone(), 9999, fields)]).unwrap();
    let table = TypeTable::parse(&bytes).unwrap();
    let Some(Shape::Record(record)) = table.shape(TypeId(1)) else { panic!() };
    assert_eq!((record.name.len(), record.fields().count()), (NAME_MAX - 1, FIELDS_MAX));
}
