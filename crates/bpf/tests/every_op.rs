//! Every opcode, with every interesting value in every field: what decodes encodes to the same bits, and its text is read
//! back as the same instruction.

mod common;

use bpf::insn::Insn;
use bpf::op::{Malformed, Op, decode};
use bpf::{Program, text};
use common::Random;

const NUMBERS: [i32; 14] = [0, 1, 2, 8, 16, 32, 64, 0x41, 0xa1, 0xe1, 0xf1, -1, i32::MIN, i32::MAX];
const OFFSETS: [i16; 8] = [0, 1, 8, 16, 32, -1, i16::MIN, i16::MAX];
const REGISTERS: [u8; 8] = [0, 1, 2, 5, 6, 10, 11, 15];

fn every_insn(mut each: impl FnMut(Insn)) {
    for opcode in 0..=255 {
        for dst in REGISTERS {
            for src in REGISTERS {
                for off in OFFSETS {
                    for imm in NUMBERS {
                        each(Insn { opcode, dst, src, off, imm });
                    }
                }
            }
        }
    }
}

#[test]
fn decoding_and_encoding_are_inverse() {
    let (mut good, mut kinds) = (0, std::collections::BTreeSet::new());
    every_insn(|insn| {
        assert_eq!(Insn::from_bytes(insn.to_bytes()), insn);
        let second = insn.is_wide().then_some(Insn { imm: insn.off.into(), ..Insn::default() });
        if let Ok(op) = decode(insn, second) {
            assert_eq!(op.encode(), (insn, second), "{op:?}");
            good += 1;
            kinds.insert((insn.opcode, insn.off & 1, if insn.opcode & 0xe7 == 0xc3 { insn.imm } else { 0 }));
        }
    });
    // Of 1,835,008; and of the opcodes none is missing.
    assert!(good > 30_000, "{good}");
    let opcodes: std::collections::BTreeSet<u8> = kinds.iter().map(|(opcode, ..)| *opcode).collect();
    assert_eq!(opcodes.len(), OPCODES, "{opcodes:02x?}");
}

/// RFC 9669: 2 × (12 codes × 2 sources + neg) + 3 byte orders; 11 × 2 × 2 conditional jumps, 2 goto, call, exit; one
/// immediate; 4 + 3 loads, 2 × 4 stores, 2 atomics.
const OPCODES: usize = 2 * (12 * 2 + 1) + 3 + 11 * 2 * 2 + 4 + 1 + 7 + 8 + 2;

#[test]
fn text_is_read_back() {
    let mut random = Random::new(1);
    let mut seen = 0;
    every_insn(|insn| {
        let second = insn.is_wide().then_some(Insn { imm: insn.off.into(), ..Insn::default() });
        let Ok(op) = decode(insn, second) else { return };
        // Some of each will do: text takes time.
        if random.below(3) != 0 {
            return;
        }
        let shown = text::Shown { op: &op, names: &text::NoNames }.to_string();
        // So that jumps lead somewhere, they are tried alone below.
        if op.target().is_some() {
            return;
        }
        let read = text::parse(&format!("{shown}; exit"), &text::NoNames);
        let read = read.unwrap_or_else(|e| panic!("{shown}: {e}"));
        assert_eq!(read.op(0), Some(op), "{shown}");
        seen += 1;
    });
    assert!(seen > 4000, "{seen}");
}

#[test]
fn jumps_are_read_back() {
    for line in [
        "if r1 s>= -5 goto +1",
        "if w3 & w4 goto -1",
        "if r0 != 2147483647 goto +0",
        "goto +1",
        "gotol -1",
        "call pc+1",
        "r3 = code[+2]",
    ] {
        let program = text::parse(&format!("{line}; exit; exit; exit"), &text::NoNames).unwrap();
        assert_eq!(text::print(&program, &text::NoNames).lines().next(), Some(line));
        assert_eq!(Program::from_bytes(&program.to_bytes()), Ok(program));
    }
}

#[test]
fn what_means_nothing_is_refused() {
    let insn = |opcode, dst, src, off, imm| decode(Insn { opcode, dst, src, off, imm }, None);
    // A field that is not used.
    assert!(matches!(insn(0x07, 1, 2, 0, 5), Err(Malformed::Field(_))));
    assert!(matches!(insn(0x0f, 1, 2, 0, 5), Err(Malformed::Field(_))));
    assert!(matches!(insn(0x95, 0, 0, 0, 1), Err(Malformed::Field(_))));
    assert!(matches!(insn(0x95, 1, 0, 0, 0), Err(Malformed::Field(_))));
    assert!(matches!(insn(0x87, 1, 0, 0, 3), Err(Malformed::Field(_))));
    assert!(matches!(insn(0x85, 0, 3, 0, 3), Err(Malformed::Field(_))));
    // A signed addition; a sign extension of 24 bits, or to 32 from 32.
    assert!(matches!(insn(0x0f, 1, 2, 1, 0), Err(Malformed::Field(_))));
    assert!(matches!(insn(0xbf, 1, 2, 24, 0), Err(Malformed::Field(_))));
    assert!(matches!(insn(0xbc, 1, 2, 32, 0), Err(Malformed::Field(_))));
    assert!(matches!(insn(0xdc, 1, 0, 0, 24), Err(Malformed::Field(_))));
    assert_eq!(insn(0x0f, 11, 2, 0, 0), Err(Malformed::Register(11)));
    assert_eq!(insn(0x8d, 1, 0, 0, 0), Err(Malformed::CallRegister));
    assert_eq!(insn(0x20, 0, 0, 0, 0), Err(Malformed::PacketAccess));
    assert_eq!(insn(0x18, 1, 0, 0, 0), Err(Malformed::SecondSlot));
    assert_eq!(insn(0xff, 1, 0, 0, 0), Err(Malformed::Opcode(0xff)));
    assert!(matches!(insn(0xdb, 1, 2, 0, 0x02), Err(Malformed::Field(_))));
    assert_eq!(insn(0xcb, 1, 2, 0, 0), Err(Malformed::Opcode(0xcb)));
    assert!(matches!(decode(Insn { opcode: 0x95, ..Insn::default() }, None), Ok(Op::Exit)));
}
