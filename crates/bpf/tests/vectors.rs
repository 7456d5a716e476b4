//! The interpreter and what each instruction computes.

mod common;

use std::collections::BTreeSet;

use bpf::insn::class;
use bpf::interp::Cause;
use bpf::sandbox::MEMORY;
use bpf::vectors;
use bpf::{Insn, op, text};
use common::run_text;

/// Runs a text that leaves its result in r0.
fn r0(text: &str) -> u64 {
    run_text(&format!("{text}; exit"), &[]).0.unwrap_or_else(|trap| panic!("{text}: {trap}"))
}

#[test]
fn every_vector() {
    for vector in vectors::all() {
        let (result, after) = run_text(&vector.text, &vector.memory);
        assert_eq!((result, after), (Ok(vector.r0), vector.after), "{}", vector.text);
    }
}

/// What tells instructions apart: the opcode, and what a field adds to it.
fn kind(insn: Insn) -> (u8, i32) {
    let more = match (insn.class(), insn.opcode & 0xf0) {
        (class::ALU | class::ALU64, 0x30 | 0x90 | 0xb0) => insn.off.into(),
        (class::ALU | class::ALU64, 0xd0) => insn.imm,
        (class::STX, 0xc0 | 0xd0) => insn.imm,
        (class::JMP, 0x80) => insn.src.into(),
        _ => 0,
    };
    (insn.opcode, more)
}

#[test]
fn no_instruction_is_missing() {
    let mut missing = BTreeSet::new();
    for opcode in 0..=255u8 {
        for more in [0, 1, 8, 16, 32, 64, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1] {
            for field in 0..3 {
                let mut insn = Insn { opcode, ..Insn::default() };
                match field {
                    0 => insn.off = more as i16,
                    1 => insn.imm = more,
                    _ => insn.src = more as u8,
                }
                let second = insn.is_wide().then_some(Insn::default());
                // Calls of the kernel's functions, and immediates that a loader puts in, are no vectors.
                if op::decode(insn, second).is_ok() && !(insn.opcode == 0x85 && insn.src > 1) {
                    missing.insert(kind(insn));
                }
            }
        }
    }
    // 64-bit immediates of other kinds.
    let all = missing.len();
    for vector in vectors::all() {
        let program = text::parse(&vector.text, &text::NoNames).unwrap();
        for (slot, _) in program.ops() {
            missing.remove(&kind(program.slots()[slot]));
        }
    }
    assert!(all > 140, "{all}");
    assert_eq!(missing, BTreeSet::new());
}

#[test]
fn what_ends_a_program() {
    let fact = "r1 = 10; call fact; exit
        fact: if r1 > 1 goto more; r0 = 1; exit
        more: r6 = r1; r1 -= 1; call fact; r0 *= r6";
    // Eleven deep is too deep; seven is not.
    assert_eq!(run_text(&format!("{fact}; exit"), &[]).0.unwrap_err().why, Cause::Frames);
    assert_eq!(r0(&fact.replace("r1 = 10", "r1 = 7")), 5040);
    assert_eq!(run_text("call 2; exit", &[]).0.unwrap_err().why, Cause::Helper(2));
    assert_eq!(run_text("again: goto again; exit", &[]).0.unwrap_err().why, Cause::Budget);
    let fault = run_text("r0 = *(u64 *)(r1 + 1); exit", &[0; 8]).0.unwrap_err();
    assert_eq!((fault.at, fault.why), (0, Cause::Fault(MEMORY + 1)));
}
