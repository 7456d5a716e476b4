use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Error, Names, NoNames, parse, print};
use crate::op::{Imm64, Op};
use crate::program::Why;

/// A few names.
struct Some3;

impl Names for Some3 {
    fn helper(&self, name: &str) -> Option<i32> {
        (name == "ktime_get_ns").then_some(5)
    }

    fn helper_name(&self, number: i32) -> Option<&str> {
        (number == 5).then_some("ktime_get_ns")
    }

    fn map(&self, name: &str) -> Option<Imm64> {
        (name == "counts").then_some(Imm64::MapIndex(2))
    }
}

fn hex(text: &str) -> String {
    let program = parse(text, &Some3).unwrap_or_else(|e| panic!("{text}: {e}"));
    let bytes: Vec<String> = program.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join("")
}

fn error(text: &str) -> String {
    parse(text, &Some3).expect_err(text).to_string()
}

/// What another assembler, LLVM's, makes of the same lines.
#[test]
fn bytes_are_those_of_the_encoding() {
    for (text, bytes) in [
        ("exit", "9500000000000000"),
        ("r0 = 0; exit", "b7000000000000009500000000000000"),
        ("w1 += w2; exit", "0c210000000000009500000000000000"),
        ("r1 s>>= 3; exit", "c7010000030000009500000000000000"),
        ("r3 s/= r4; exit", "3f430100000000009500000000000000"),
        ("r0 = (s16)r9; exit", "bf901000000000009500000000000000"),
        ("r2 = be32 r2; exit", "dc020000200000009500000000000000"),
        ("r2 = bswap64 r2; exit", "d7020000400000009500000000000000"),
        ("r1 = 0x1122334455667788 ll; exit", "180100008877665500000000443322119500000000000000"),
        ("if r1 s> -1 goto +0; exit", "65010000ffffffff9500000000000000"),
        ("if w1 & w2 goto +0; exit", "4e210000000000009500000000000000"),
        ("r0 = *(u16 *)(r10 - 2); exit", "69a0feff000000009500000000000000"),
        ("*(u8 *)(r1 + 4) = 255; exit", "72010400ff0000009500000000000000"),
        ("lock *(u64 *)(r1 + 8) += r2; exit", "db210800000000009500000000000000"),
        ("r0 = cmpxchg_64(r1 + 0, r0, r2); exit", "db210000f10000009500000000000000"),
        ("call 5; exit", "85000000050000009500000000000000"),
        ("gotol +0; exit", "06000000000000009500000000000000"),
    ] {
        assert_eq!(hex(text), bytes, "{text}");
    }
}

#[test]
fn labels_names_and_comments() {
    let text = "
        # counts down
        r1 = 3        // three times
    again:
        call ktime_get_ns; r1 -= 1
        if r1 != 0 goto again
        call f
        r2 = map[counts]
        r3 = map[counts][0]+16
        exit
    f:  r0 = code[f]
        exit
    ";
    let shown = print(&parse(text, &Some3).unwrap(), &Some3);
    let lines = [
        "r1 = 3",
        "call ktime_get_ns",
        "r1 -= 1",
        "if r1 != 0 goto -3",
        "call pc+5",
        "r2 = map[#2]",
        "r3 = map[#2][0]+16",
        "exit",
        "r0 = code[-1]",
        "exit",
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), lines);
    assert_eq!(parse(&shown, &Some3), parse(text, &Some3));
    // Without spaces, and with more than needed.
    assert_eq!(
        hex("r1+=r2;r1=-r1;if r1 s>5 goto+0;exit"),
        hex("r1 += r2 ;; r1 = - r1\nif r1 s> 5 goto + 0\n exit")
    );
}

#[test]
fn errors_say_where() {
    for (text, expected) in [
        ("", "1: an empty program"),
        ("exit now", "1:6: expected the end of the instruction"),
        ("r0 = 1\nr11 = 2", "2:1: \"r11\" is no instruction"),
        ("r0 = w1", "1:6: 32 and 64 bits do not mix"),
        ("r0 += 0x100000000", "1:7: does not fit 32 bits; `ll` behind it loads 64"),
        ("r0 = 99999999999999999999", "1:6: \"99999999999999999999\" is no number of 64 bits"),
        ("r0 = r1 ?", "1:9: unexpected '?'"),
        ("goto there; exit", "1:1: there is no label \"there\""),
        ("a: a: exit", "1:4: the label \"a\" is there already"),
        ("r1: exit", "1:1: \"r1\" is a register"),
        ("call nobody; exit", "1:1: no helper or function \"nobody\""),
        ("r1 = map[nothing]; exit", "1:10: there is no map \"nothing\""),
        ("r1 = map[3][1]+0; exit", "1:13: only element 0 has a known address"),
        ("r0 = *(u24 *)(r1 + 0)", "1:8: \"u24\" is no type"),
        ("*(s8 *)(r1 + 0) = 1", "1:3: a store has no sign"),
        ("r0 = *(u8 *)(r1 + 40000)", "1:17: the offset does not fit 16 bits"),
        ("r0 = *(u8 *)(w1 + 0)", "1:14: 32 and 64 bits do not mix"),
        ("r1 = -r2", "1:7: a register is negated in place"),
        ("r3 = xchg_64(r1 + 0, r2)", "1:22: the old value goes into the register given here"),
        ("r1 = cmpxchg_64(r1 + 0, r0, r2)", "1:6: compare and exchange has its result in r0"),
        ("r1 = be24 r1", "1:6: \"be24\" is nothing that can be assigned"),
        ("if r1 = 5 goto +1", "1:7: expected a comparison"),
        ("if r1 == 5 +1", "1:12: expected goto"),
        ("goto +40000; exit", "1:6: too far for goto: gotol reaches"),
        ("r0 = 0", "1: insn 0: the last one of a function is not an exit or jump"),
        ("exit\ngoto +1", "2: insn 1: jump out of range to 3"),
        ("r0 = 1 ll\ngoto -2", "2: insn 2: jump into the middle of insn 0"),
        ("call f; goto f; exit\nf: exit", "1: insn 1: jump out of its function, to 3"),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
    let Err(Error::Program { invalid, .. }) = parse("call pc+9; exit", &NoNames) else { panic!() };
    assert_eq!(invalid.why, Why::Outside(10));
}

#[test]
fn any_text_is_a_program_or_an_error() {
    let words = [
        "r1",
        "w2",
        "r10",
        "=",
        "+=",
        "s>",
        "(",
        ")",
        "*",
        "u8",
        "s32",
        "[",
        "]",
        "map",
        "if",
        "goto",
        "lock",
        "call",
        "exit",
        ";",
        "\n",
        ":",
        "-",
        "+",
        "1",
        "0xff",
        "ll",
        "#",
        "//",
        "be16",
        "xchg_64",
        "atomic_fetch_add",
        "pc",
        "code",
        ",",
        "é",
        "-1",
        "name",
        "0x",
    ];
    let mut state = 7u64;
    for _ in 0..100_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(words[(state >> 33) as usize % words.len()]);
            if state >> 60 & 1 == 0 {
                text.push(' ');
            }
        }
        if let Err(Error::Syntax { line, column, .. }) = parse(&text, &NoNames) {
            let there = text.split('\n').nth(line - 1).map(|line| line.chars().count());
            assert!(there.is_some_and(|len| column <= len + 1), "{text:?}: {line}:{column}");
        }
    }
}

#[test]
fn the_kernels_dialect() {
    let text = "r0 = 7; w1 += w2; r2 = *(u64 *)(r1 + 8); *(u32 *)(r10 - 4) = r2; if r2 == 0 goto +0; if w2 s> -1 goto +0
        lock *(u64 *)(r1 + 0) += r2; w2 = atomic_fetch_or((u32 *)(r1 + 4), w2); r2 = xchg_64(r1 + 0, r2)
        w0 = cmpxchg32_32(r1 + 0, w0, w3); r1 = be16 r1; r3 = (s8)r3; goto +0; r4 = 0x123456789 ll; r5 = map[#1][0]+4
        r5 = map[#0]; r1 = *(s16 *)(r2 - 2); call 1; call 9999; exit";
    let program = super::parse(text, &super::NoNames).unwrap();
    let ids = |map: i32| (map == 1).then_some(19);
    let listed = |(at, op): (usize, Op)| {
        let opcode = program.slots()[at].opcode;
        let names = &crate::helper::HelperNames;
        super::Listed { opcode, op: &op, names, map_id: &ids }.to_string()
    };
    let lines: Vec<String> = program.ops().map(listed).collect();
    let expected = "(b7) r0 = 7|(0c) w1 += w2|(79) r2 = *(u64 *)(r1 +8)|(63) *(u32 *)(r10 -4) = r2|(15) if r2 == 0x0 goto pc+0|\
        (66) if w2 s> 0xffffffff goto pc+0|(db) lock *(u64 *)(r1 +0) += r2|\
        (c3) w2 = atomic_fetch_or((u32 *)(r1 +4), w2)|(db) r2 = atomic64_xchg((u64 *)(r1 +0), r2)|\
        (c3) w0 = atomic_cmpxchg((u32 *)(r1 +0), w0, w3)|(dc) r1 = be16 r1|(bf) r3 = (s8)r3|(05) goto pc+0|\
        (18) r4 = 0x123456789|(18) r5 = map[id:19][0]+4|(18) r5 = map[0]|(89) r1 = *(s16 *)(r2 -2)|\
        (85) call bpf_map_lookup_elem#1|(85) call unknown#9999|(95) exit";
    assert_eq!(lines, expected.split('|').collect::<Vec<_>>());
}
