//! Listings: what the compiler makes of a text.

use alloc::string::String;
use alloc::vec::Vec;
use std::format;

use a64::{Insn, disasm};

use super::{Array, Compiled, Env, Error, MAX_WORDS, Options, Why, compile};
use crate::op::{Cond, Imm64, Op, Operand, Reg, Width};
use crate::program::Program;
use crate::text::{self, NoNames};

const AT: u64 = 0x10000;

struct Machine;

/// The same with a clock that ticks so.
struct Clock(u64);

impl Env for Clock {
    fn helper(&self, _: i32) -> Option<u64> {
        None
    }

    fn address(&self, _: Imm64) -> Option<u64> {
        None
    }

    fn clock(&self) -> Option<u64> {
        Some(self.0)
    }
}

impl Env for Machine {
    fn helper(&self, number: i32) -> Option<u64> {
        (number < 100).then_some(0x20000 + 0x10 * number as u64)
    }

    fn address(&self, imm: Imm64) -> Option<u64> {
        match imm {
            Imm64::Map(map) => Some(0xffff_0000_4000_0000 + 0x100 * map as u64),
            _ => None,
        }
    }

    fn tail_target(&self) -> Option<u64> {
        Some(0x30000)
    }

    fn array(&self, map: Imm64) -> Option<Array> {
        match map {
            Imm64::Map(1) => Some(Array { values: 0xffff_0000_4123_4560, stride: 8, len: 4 }),
            _ => None,
        }
    }
}

fn compiled(source: &str, options: &Options<'_>) -> Result<Compiled, Error> {
    let program = text::parse(source, &NoNames).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let mut compiled = compile(&program, &Machine, options)?;
    compiled.link(AT)?;
    Ok(compiled)
}

fn listing(source: &str) -> Vec<String> {
    let compiled = compiled(source, &Options::default()).unwrap();
    let code = compiled.words.iter().take(compiled.code_words).enumerate();
    code.map(|(n, word)| format!("{}", disasm::at(Insn(*word), AT + 4 * n as u64))).collect()
}

/// A text, and what it becomes but for the `ret` of its end.
fn check(source: &str, expected: &str) {
    let lines = listing(&format!("{source}; exit"));
    let expected: Vec<&str> = expected.split(';').map(str::trim).filter(|line| !line.is_empty()).collect();
    let (end, lines) = lines.split_last().unwrap();
    assert_eq!(
        (end.as_str(), lines),
        ("ret", &expected.iter().map(|line| String::from(*line)).collect::<Vec<_>>()[..]),
        "{source}"
    );
}

#[test]
fn arithmetic_is_one_word_each() {
    for (source, expected) in [
        ("r0 = 0", "mov x0, #0"),
        ("r0 = r1", ""),
        ("r0 += r1", "add x7, x7, x0; mov x0, x7"),
        ("r0 = r1; r0 ^= 15", "eor x7, x0, #0xf; mov x0, x7"),
        ("r3 = r0; r3 <<= 3; r0 = 1", "lsl x2, x7, #3; mov x0, #1"),
        ("r3 = r0; r3 += r3; r0 = 1", "add x2, x7, x7; mov x0, #1"),
        ("r3 = r0; w3 += 7; r0 = 1", "add w2, w7, #7; mov x0, #1"),
        // A sum of 64 bits of a half is two.
        ("w3 = w0; r3 += 7; r0 = 1", "mov w2, w7; add x2, x2, #7; mov x0, #1"),
        ("r1 <<= 32; r1 s>>= 32; r0 = 1", "sxtw x0, w0; mov x0, #1"),
        ("r1 <<= 32; r1 >>= 40; r0 = 1", "ubfx x0, x0, #8, #24; mov x0, #1"),
        ("r1 <<= 40; r1 >>= 32; r0 = 1", "ubfiz x0, x0, #8, #24; mov x0, #1"),
        (
            "r2 = r10; r2 += -8; r0 = 1",
            "stp x29, x30, [sp, #-16]!; mov x29, sp; sub sp, sp, #512; sub x1, x29, #8; \
            mov x0, #1; mov sp, x29; ldp x29, x30, [sp], #16",
        ),
        ("r1 += 74565; r0 = 1", "add x0, x0, #18, lsl #12; add x0, x0, #837; mov x0, #1"),
        (
            "r1 *= 8; r1 *= 9; r1 *= 10; r0 = 1",
            "lsl x0, x0, #3; add x0, x0, x0, lsl #3; mov x10, #10; mul x0, x0, x10; mov x0, #1",
        ),
        ("r1 /= 8; w1 %= 8; r0 = 1", "lsr x0, x0, #3; and w0, w0, #0x7; mov x0, #1"),
        ("r1 s%= r2; r0 = 1", "sdiv x11, x0, x1; msub x0, x11, x1, x0; mov x0, #1"),
        (
            "r1 = be16 r1; r1 = bswap64 r1; r1 = le32 r1; r0 = 1",
            "rev16 w0, w0; uxth w0, w0; rev x0, x0; mov w0, w0; mov x0, #1",
        ),
        ("w1 = (s8)w2; r1 = (s32)r2; r0 = 1", "sxtb w0, w1; sxtw x0, w1; mov x0, #1"),
    ] {
        check(source, expected);
    }
}

#[test]
fn comparisons_use_the_shortest_form() {
    for (source, expected) in [
        ("if r1 == 0 goto +0", "cbz x0, 0x10004"),
        ("if w1 > 0 goto +0", "cbnz w0, 0x10004"),
        ("if w1 s< 0 goto +0", "tbnz w0, #31, 0x10004"),
        ("if r1 s> -1 goto +0", "tbz x0, #63, 0x10004"),
        ("if r1 & 256 goto +0", "tbnz w0, #8, 0x10004"),
        ("if r1 & 255 goto +0", "tst x0, #0xff; b.ne 0x10008"),
        ("if r1 s< -5 goto +0", "cmn x0, #5; b.lt 0x10008"),
        ("if r1 >= r2 goto +0", "cmp x0, x1; b.hs 0x10008"),
        ("if r1 > 1000000 goto +0", "mov x10, #16960; movk x10, #15, lsl #16; cmp x0, x10; b.hi 0x10010"),
        ("if r1 >= 0 goto +0", "b 0x10004"),
        ("if r1 < 0 goto +0; goto +0", ""),
    ] {
        check(source, &format!("{expected}; mov x0, x7"));
    }
}

#[test]
fn memory_is_one_word_each() {
    let frame = "stp x29, x30, [sp, #-16]!; mov x29, sp; sub sp, sp, #512";
    let end = "mov x0, #1; mov sp, x29; ldp x29, x30, [sp], #16";
    for (source, expected) in [
        ("r1 = *(u64 *)(r10 - 8)", "ldur x0, [x29, #-8]"),
        ("r1 = *(u64 *)(r10 - 512)", "ldr x0, [sp]"),
        ("*(u32 *)(r10 - 4) = 0", "stur wzr, [x29, #-4]"),
        ("*(u32 *)(r10 - 4) = -1", "mov w10, #-1; stur w10, [x29, #-4]"),
        ("*(u64 *)(r10 - 8) = -1", "mov x10, #-1; stur x10, [x29, #-8]"),
        ("*(u8 *)(r10 - 300) = r1", "strb w0, [sp, #212]"),
        ("*(u64 *)(r1 + 0) = r10", "str x29, [x0]"),
        ("r1 = *(s16 *)(r10 - 2)", "ldursh x0, [x29, #-2]"),
    ] {
        check(&format!("{source}; r2 = r10; r0 = 1"), &format!("{frame}; {expected}; mov x1, x29; {end}"));
    }
    check("r0 = *(u32 *)(r1 + 4000)", "ldr w7, [x0, #4000]; mov x0, x7");
    check("r0 = *(u32 *)(r1 + 4001)", "mov x11, #4001; ldr w7, [x0, x11]; mov x0, x7");
    check("r0 = *(s8 *)(r1 - 4000)", "mov x11, #-4000; ldrsb x7, [x0, x11]; mov x0, x7");
    check("lock *(u64 *)(r1 + 8) &= r2; r0 = 1", "add x9, x0, #8; mvn x10, x1; stclr x10, [x9]; mov x0, #1");
    check("r0 = cmpxchg_64(r1 + 0, r0, r2)", "casal x7, x1, [x0]; mov x0, x7");
    check("w2 = atomic_fetch_add((u32 *)(r1 + 0), w2); r0 = 1", "ldaddal w1, w1, [x0]; mov x0, #1");
}

#[test]
fn calls() {
    check(
        "r6 = r1; call 5; r0 = *(u64 *)(r6 + 5)",
        "stp x29, x30, [sp, #-32]!; str x19, [sp, #16]; mov x29, sp; mov x19, x0; bl 0x20050; mov x7, x0; \
         ldur x7, [x19, #5]; mov x0, x7; ldr x19, [sp, #16]; ldp x29, x30, [sp], #32",
    );
    // A jump to the first instruction leads behind the entry; a call does not.
    check(
        "again: r6 += 1; if r6 < 5 goto again; r1 = code[-3]; r0 = 1",
        "stp x29, x30, [sp, #-32]!; str x19, [sp, #16]; mov x29, sp; add x19, x19, #1; cmp x19, #5; b.lo 0x1000c; \
         adr x0, 0x10000; mov x0, #1; ldr x19, [sp, #16]; ldp x29, x30, [sp], #32",
    );
    // An element of an array is looked up in place, and its map not even loaded.
    check(
        "*(u32 *)(r10 - 4) = r1; r1 = map[1]; r2 = r10; r2 += -4; call 1",
        "stp x29, x30, [sp, #-16]!; mov x29, sp; sub sp, sp, #512; stur w0, [x29, #-4]; sub x1, x29, #4; \
         ldr w7, [x1]; ldr x10, 0x10038; cmp w7, #4; add x7, x10, x7, lsl #3; csel x7, x7, xzr, lo; mov x0, x7; \
         mov sp, x29; ldp x29, x30, [sp], #16",
    );
    // Not if it may be another map.
    check(
        "if r1 == 0 goto other; r1 = map[1]; goto both; other: r1 = map[2]; both: call 1",
        "stp x29, x30, [sp, #-16]!; mov x29, sp; cbz x0, 0x10014; ldr x0, 0x10030; b 0x10018; ldr x0, 0x10038; \
         bl 0x20010; mov x7, x0; mov x0, x7; ldp x29, x30, [sp], #16",
    );
}

#[test]
fn the_clock_is_read_in_place() {
    let program = text::parse("call 5; exit", &NoNames).unwrap();
    for (ns_per_tick, expected) in [
        (16 << 32, ["mrs x7, cntvct_el0", "lsl x7, x7, #4", "mov x0, x7"]),
        ((1 << 32) * 3 / 2, ["mrs x7, cntvct_el0", "mov x10, #6442450944", "mul x11, x7, x10"]),
    ] {
        let compiled = compile(&program, &Clock(ns_per_tick), &Options::default()).unwrap();
        let texts = compiled.words.iter().map(|word| format!("{}", disasm::at(Insn(*word), 0)));
        assert_eq!(texts.skip(2).take(3).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn what_cannot_be_compiled_is_refused() {
    for (source, at, why) in [
        ("r0 = 0; r10 = r1; exit", 1, Why::FramePointer),
        ("r0 = 0; call 100; exit", 1, Why::Helper(100)),
        ("r1 = var[3]; exit", 0, Why::Immediate),
        ("r1 = code[+3]; r0 = 0; exit; r0 = 0; call 12; exit", 0, Why::TailCallInCallback),
    ] {
        assert_eq!(compiled(source, &Options::default()), Err(Error { at, why }), "{source}");
    }
    let program = text::parse("call 5; exit", &NoNames).unwrap();
    let mut compiled = compile(&program, &Machine, &Options::default()).unwrap();
    assert_eq!(compiled.link(1 << 40), Err(Error { at: 0, why: Why::Reach(0x20050) }));
}

/// No 16 bits of a blinded number are seen, and the program does not fit the other one.
#[test]
fn blinded_numbers_are_not_in_the_words() {
    let source = "r1 = 0x1337c0de; r2 += 0x1337c0de; if r1 == 0x1337c0de goto +0; *(u32 *)(r10 - 4) = 0x1337c0de; \
        r3 = 0x1337c0de1337c0de ll; w4 ^= 0x1337c0de; r0 = 0; exit";
    let seen = |blinding| {
        let compiled = compiled(source, &Options { blinding, ..Options::default() }).unwrap();
        let parts = compiled.words.iter().flat_map(|word| [word >> 5 & 0xffff, word & 0xffff, word >> 16]);
        parts.filter(|part| [0x1337, 0xc0de, 0xecc8, 0x3f21].contains(part)).count()
    };
    assert!(seen(None) >= 6);
    for seed in 0..100 {
        assert_eq!(seen(Some(seed)), 0, "seed {seed}");
    }
}

/// `if r1 s< 0 goto` over so many of the same.
fn over(n: usize, one: &str) -> Program {
    let one = text::parse(&format!("{one}; exit"), &NoNames).unwrap().slots()[0];
    let end = text::parse("r0 = 0; exit", &NoNames).unwrap();
    let dst = Reg::new(1).unwrap_or(Reg::R0);
    let jump = Op::Jump { width: Width::W64, cond: Cond::Slt, dst, src: Operand::Imm(0), off: n as i16 };
    let body = core::iter::repeat_n(one, n);
    Program::new([jump.encode().0].into_iter().chain(body).chain(end.slots().iter().copied()).collect())
        .unwrap()
}

/// Where a test of a bit does not reach its target, it becomes a test and a branch.
#[test]
fn far_targets_are_reached() {
    let first = |n| {
        let compiled = compile(&over(n, "r2 *= r3"), &Machine, &Options::default()).unwrap();
        [0, 1].map(|n| format!("{}", disasm::at(Insn(compiled.words[n]), 4 * n as u64)))
    };
    assert_eq!(first(8000)[0], "tbnz x0, #63, 0x7d04");
    assert_eq!(first(9000), ["cmp x0, #0", "b.lt 0x8ca8"]);
    let one = text::parse("r2 %= r3; exit", &NoNames).unwrap().slots()[0];
    let end = Op::Exit.encode().0;
    let long = Program::new(core::iter::repeat_n(one, MAX_WORDS / 2 + 1).chain([end]).collect()).unwrap();
    let refused = compile(&long, &Machine, &Options::default()).map(|_| ());
    assert_eq!(refused.map_err(|e| e.why), Err(Why::TooLarge));
}

#[test]
fn loads_that_may_fault_are_listed() {
    let options = Options { probe_reads: &[1, 3], ..Options::default() };
    let compiled = compiled(
        "r0 = r1; r2 = *(u64 *)(r1 + 8); r3 = *(u8 *)(r1 + 0); r6 = *(u32 *)(r2 + 5001); exit",
        &options,
    );
    let compiled = compiled.unwrap();
    let found: Vec<_> =
        compiled.faults.iter().map(|load| (compiled.words[load.word as usize], load.register)).collect();
    let text: Vec<_> =
        found.iter().map(|(word, register)| format!("{} {register}", disasm::at(Insn(*word), 0))).collect();
    assert_eq!(text, ["ldr x1, [x0, #8] 1", "ldr w19, [x1, x11] 19"]);
    assert_eq!(compiled.slot_of(compiled.faults[0].word as usize), Some(1));
    assert_eq!(compiled.slot_of(compiled.faults[1].word as usize), Some(3));
}
