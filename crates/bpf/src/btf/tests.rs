//! BTF of every kind, made by hand: what it says, and what is wrong with it when something is.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::{BadBtf, Btf, Kind};
use crate::types::{Shape, TypeId, Types};

/// A BTF that is being written down.
#[derive(Default)]
struct Maker {
    types: Vec<u32>,
    strings: Vec<u8>,
}

impl Maker {
    fn name(&mut self, name: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes());
        self.strings.push(0);
        at
    }

    /// A type: kind, how many, flag, size or type; then what the kind has.
    fn add(&mut self, name: &str, (kind, vlen, flag): (u32, u32, bool), size: u32, rest: &[u32]) {
        let name = self.name(name);
        self.types.extend([name, u32::from(flag) << 31 | kind << 24 | vlen, size]);
        self.types.extend(rest);
    }

    fn bytes(&self) -> Vec<u8> {
        let strings = if self.strings.is_empty() { vec![0] } else { self.strings.clone() };
        let (types, len) = (self.types.len() as u32 * 4, strings.len() as u32);
        let head = [0x0001_eb9f, 24, 0, types, types, len];
        let words = head.iter().chain(&self.types).flat_map(|word| word.to_le_bytes());
        words.chain(strings).collect()
    }

    fn read(&self) -> Result<Btf, BadBtf> {
        Btf::parse(&self.bytes())
    }
}

/// One type of each kind; the numbers of what they refer to are their places.
fn every_kind() -> Maker {
    let mut made = Maker::default();
    made.add("int", (1, 0, false), 4, &[0x0100_0020]);
    made.add("", (2, 0, false), 1, &[]);
    made.add("", (3, 0, false), 0, &[1, 1, 7]);
    let (x, y) = (made.name("x"), made.name("y"));
    made.add("pair", (4, 2, true), 8, &[x, 1, 0, y, 1, 5 << 24 | 32]);
    made.add("either", (5, 1, false), 8, &[x, 2, 0]);
    let (low, high) = (made.name("LOW"), made.name("HIGH"));
    made.add("small", (6, 2, true), 4, &[low, u32::MAX, high, 5]);
    made.add("later", (7, 0, true), 0, &[]);
    made.add("number_t", (8, 0, false), 1, &[]);
    made.add("", (9, 0, false), 8, &[]);
    made.add("", (10, 0, false), 9, &[]);
    made.add("", (11, 0, false), 10, &[]);
    made.add("work", (12, 1, false), 13, &[]);
    made.add("", (13, 2, false), 1, &[x, 1, 0, 0]);
    made.add("hits", (14, 0, false), 1, &[1]);
    made.add(".bss", (15, 1, false), 4, &[14, 0, 4]);
    made.add("double", (16, 0, false), 8, &[]);
    made.add("tag", (17, 0, false), 4, &[0]);
    made.add("user", (18, 0, false), 1, &[]);
    made.add("large", (19, 2, false), 8, &[low, 1, 0, high, 0, 0x8000_0000]);
    made
}

#[test]
fn every_kind_is_read() {
    let btf = every_kind().read().unwrap();
    assert_eq!(btf.count(), 20);
    let size = |ty| btf.size_of(ty);
    let sizes: Vec<_> = (1..20).map(size).collect();
    let expected = [
        Some(4),
        Some(8),
        Some(28),
        Some(8),
        Some(8),
        Some(4),
        None,
        Some(4),
        Some(4),
        Some(4),
        Some(4),
        None,
        None,
        Some(4),
        Some(4),
        Some(8),
        None,
        Some(4),
        Some(8),
    ];
    assert_eq!(sizes, expected);
    let shapes: Vec<_> = (1..=8).map(|ty| btf.shape(TypeId(ty))).collect();
    let int = Some(Shape::Int { signed: true });
    let expected = [
        int,
        Some(Shape::Pointer { to: TypeId(1) }),
        Some(Shape::Array { of: TypeId(1), count: 7 }),
        Some(Shape::Struct),
        Some(Shape::Union),
        Some(Shape::Enum { signed: true }),
        Some(Shape::Opaque),
        int,
    ];
    assert_eq!(shapes, expected);
    // Through three modifiers and a typedef.
    assert_eq!(btf.resolve(11).map(|(ty, _)| ty), Some(1));
    assert_eq!(btf.skip_modifiers(11).map(|(ty, _)| ty), Some(8));
    let mut members = Vec::new();
    btf.members(TypeId(4), &mut |member| {
        members.push((member.name.to_string(), member.bit_offset, member.bits))
    });
    assert_eq!(members, [("x".to_string(), 0, 0), ("y".to_string(), 32, 5)]);
    let values = |ty| {
        let mut all = Vec::new();
        btf.values(TypeId(ty), &mut |name, value| all.push((name.to_string(), value)));
        all
    };
    assert_eq!(values(6), [("LOW".to_string(), -1), ("HIGH".to_string(), 5)]);
    assert_eq!(values(19), [("LOW".to_string(), 1), ("HIGH".to_string(), i64::MIN)]);
    let mut named = Vec::new();
    btf.named("number_t", &mut |ty| named.push(ty.0));
    assert_eq!(named, [8]);
}

#[test]
fn what_is_wrong_is_said() {
    let wrong = |kind: (u32, u32, bool), size: u32, rest: &[u32]| {
        let mut made = Maker::default();
        made.add("t", kind, size, rest);
        made.read().unwrap_err().to_string()
    };
    assert_eq!(wrong((20, 0, false), 0, &[]), "BTF type [1] is of kind 20, which does not exist");
    assert_eq!(wrong((2, 0, false), 9, &[]), "BTF type [1]: it refers to a type that is not there");
    assert_eq!(wrong((1, 0, false), 4, &[0x21]), "BTF type [1]: an integer of a strange size");
    assert_eq!(wrong((1, 0, false), 4, &[]), "BTF ends in the middle of a type");
    assert_eq!(wrong((4, 9, false), 4, &[0, 0, 0]), "BTF ends in the middle of a type");
    assert_eq!(wrong((4, 1, false), 4, &[77, 0, 0]), "BTF type [1]: a name that is not among the strings");
    assert_eq!(wrong((12, 0, false), 1, &[]), "BTF type [1]: a function without a prototype");
    assert_eq!(
        wrong((15, 1, false), 4, &[1, 0, 4]),
        "BTF type [1]: a section of something that is no variable"
    );
    let bytes = every_kind().bytes();
    for len in 0..bytes.len() {
        assert!(Btf::parse(&bytes[..len]).is_err(), "{len}");
    }
    for (at, byte, why) in [
        (0, 0, "BTF begins with 0xeb00, not 0xeb9f"),
        (2, 2, "BTF of version 2; only 1 is known"),
        (4, 255, "the lengths in the header of BTF contradict each other"),
        (bytes.len() - 1, 1, "the strings of BTF do not begin and end with a zero"),
    ] {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        let error = Btf::parse(&bytes).map(|_| ()).unwrap_err().to_string();
        assert!(error == why || at == 4, "{at}: {error}");
    }
}

/// A type that is itself, however far one looks, and one that is as large as no machine.
#[test]
fn circles_and_giants_end() {
    let mut made = Maker::default();
    made.add("", (10, 0, false), 2, &[]);
    made.add("", (9, 0, false), 1, &[]);
    made.add("", (3, 0, false), 0, &[3, 0, u32::MAX]);
    made.add("self", (4, 1, false), 8, &[0, 4, 0]);
    let btf = made.read().unwrap();
    assert_eq!((btf.resolve(1), btf.size_of(1), btf.size_of(3)), (None, None, None));
    assert!(matches!(btf.resolve(4), Some((4, Kind::Composite { .. }))));
    assert_eq!(btf.shape(TypeId(1)), None);
}
