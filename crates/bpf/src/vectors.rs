//! What each instruction computes, at the edges: by the RFC's words, with the results written down by hand.
//!
//! Every engine runs them: the interpreter in the tests of this crate, the interpreter and compiled code on the machine. A test
//! sees to it that no opcode is missing. A program finds its memory in r1 and leaves its result in r0; helper 1 adds its arguments.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A program and what it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// The program, as text.
    pub text: String,
    /// What r1 points to.
    pub memory: Vec<u8>,
    /// What is in r0 at the end.
    pub r0: u64,
    /// The memory at the end.
    pub after: Vec<u8>,
}

/// All of them.
pub fn all() -> Vec<Vector> {
    let mut all = Vec::new();
    let mut plain = |text: String, r0| all.push(Vector { text, memory: Vec::new(), r0, after: Vec::new() });
    for (operation, a, b, expected) in ALU {
        let narrow = operation.starts_with('w');
        let operation = operation.trim_start_matches('w').trim();
        let r = if narrow { 'w' } else { 'r' };
        let begin = format!("r3 = {a:#x} ll; r4 = {b:#x} ll");
        plain(format!("{begin}; {r}3 {operation} {r}4; r0 = r3; exit"), *expected);
        // The copy and what is done to it, where a compiler may see one.
        plain(format!("{begin}; r0 = r3; {r}0 {operation} {r}4; exit"), *expected);
        let imm = if narrow { Some(*b as i32) } else { i32::try_from(*b as i64).ok() };
        if let Some(imm) = imm {
            plain(format!("{begin}; {r}3 {operation} {imm}; r0 = r3; exit"), *expected);
        }
    }
    for (text, expected) in OTHER {
        plain(format!("{text}; exit"), *expected);
    }
    for (r, a, b, taken) in COMPARED {
        for cond in ["==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"] {
            let expected = u64::from(taken.split(' ').any(|taken| taken == cond));
            let begin = format!("r3 = {a:#x} ll; r4 = {b:#x} ll; r0 = 1");
            plain(format!("{begin}; if {r}3 {cond} {r}4 goto +1; r0 = 0; exit"), expected);
            let imm = if *r == 'w' { Some(*b as i32) } else { i32::try_from(*b as i64).ok() };
            if let Some(imm) = imm {
                plain(format!("{begin}; if {r}3 {cond} {imm} goto +1; r0 = 0; exit"), expected);
            }
        }
    }
    for (text, memory, r0, after) in MEMORY {
        all.push(Vector {
            text: format!("{text}; exit"),
            memory: memory.to_vec(),
            r0: *r0,
            after: after.to_vec(),
        });
    }
    for (text, r0, after) in ATOMIC {
        let (memory, after) = (OLD.to_le_bytes().to_vec(), after.to_le_bytes().to_vec());
        all.push(Vector { text: (*text).to_string(), memory, r0: *r0, after });
    }
    all
}

const MIN: u64 = 1 << 63;
const MAX: u64 = i64::MAX as u64;
const MIN32: u64 = 1 << 31;

/// A number that is written with a sign.
const fn n(value: i64) -> u64 {
    value as u64
}

/// Of operations: first operand, second operand, result.
const ALU: &[(&str, u64, u64, u64)] = &[
    ("+=", 5, n(-7), n(-2)),
    ("+=", n(-1), 1, 0),
    ("+=", MAX, 1, MIN),
    ("+=", 1, 0x12345, 0x12346),
    ("+=", 1, n(-0x12345), n(-0x12344)),
    ("+=", 7, 4096, 4103),
    ("+=", 7, 0, 7),
    ("w +=", n(-1), 1, 0),
    ("w +=", 5, n(-7), 0xffff_fffe),
    ("w +=", 0x1_0000_0001, 0, 1),
    ("-=", 5, 7, n(-2)),
    ("-=", 0, MIN32, n(-0x8000_0000)),
    ("-=", 0, n(-0x8000_0000), MIN32),
    ("-=", MIN, 1, MAX),
    ("w -=", 5, 7, 0xffff_fffe),
    ("w -=", 0, MIN32, MIN32),
    ("*=", n(-1), 3, n(-3)),
    ("*=", 1 << 40, 1 << 40, 0),
    ("*=", 7, 8, 56),
    ("*=", 7, 9, 63),
    ("*=", 7, 10, 70),
    ("*=", 7, 0, 0),
    ("*=", n(-7), 1, n(-7)),
    ("w *=", n(-1), n(-1), 1),
    ("w *=", 0x1_0000_0003, 0x4000_0000, 0xc000_0000),
    ("w *=", 3, 8, 24),
    // Division by zero, and by numbers that look negative.
    ("/=", 7, 0, 0),
    ("/=", n(-1), n(-1), 1),
    ("/=", 10, n(-3), 0),
    ("/=", n(-8), 8, 0x1fff_ffff_ffff_ffff),
    ("/=", 100, 7, 14),
    ("/=", 100, 1, 100),
    ("w /=", 7, 0x1_0000_0000, 0),
    ("w /=", n(-1), n(-1), 1),
    ("w /=", n(-8), 2, 0x7fff_fffc),
    ("w /=", 0x5_0000_0064, 7, 14),
    ("s/=", 7, 0, 0),
    ("s/=", n(-7), 2, n(-3)),
    ("s/=", 7, n(-2), n(-3)),
    ("s/=", n(-8), 4, n(-2)),
    ("s/=", MIN, n(-1), MIN),
    ("w s/=", n(-7), 2, 0xffff_fffd),
    ("w s/=", 7, 0, 0),
    ("w s/=", MIN32, n(-1), MIN32),
    ("%=", n(-7), 0, n(-7)),
    ("%=", 100, 7, 2),
    ("%=", n(-1), 8, 7),
    ("%=", n(-1), 1, 0),
    ("%=", 10, n(-3), 10),
    // The dividend stays, but of 32 bits.
    ("w %=", n(-7), 0, 0xffff_fff9),
    ("w %=", n(-7), 0x1_0000_0000, 0xffff_fff9),
    ("w %=", n(-1), 16, 15),
    ("w %=", 0x1_0000_0064, 7, 2),
    ("s%=", n(-7), 2, n(-1)),
    ("s%=", 7, n(-2), 1),
    ("s%=", n(-7), 0, n(-7)),
    ("s%=", MIN, n(-1), 0),
    ("w s%=", n(-7), 2, 0xffff_ffff),
    ("w s%=", n(-7), 0, 0xffff_fff9),
    ("w s%=", MIN32, n(-1), 0),
    ("|=", 5, 0x100, 0x105),
    ("|=", 5, 5 << 40, 0x500_0000_0005),
    ("|=", 5, n(-1), n(-1)),
    ("|=", 5, 0, 5),
    ("|=", 0, n(-16), n(-16)),
    ("w |=", 0x1_2345_6789, 0, 0x2345_6789),
    ("w |=", 1, n(-16), 0xffff_fff1),
    ("w |=", n(-1), 5, 0xffff_ffff),
    ("&=", 0x1_2345_6789, n(-16), 0x1_2345_6780),
    ("&=", n(-1), 5, 5),
    ("&=", n(-1), 255, 255),
    ("&=", n(-1), 0, 0),
    ("&=", 9, n(-1), 9),
    ("w &=", n(-1), n(-1), 0xffff_ffff),
    ("w &=", n(-1), n(-256), 0xffff_ff00),
    ("w &=", n(-1), 0, 0),
    ("^=", 5, n(-1), n(-6)),
    ("^=", 5, 5, 0),
    ("^=", 5, 0xf0, 0xf5),
    ("^=", 5, 0, 5),
    ("w ^=", n(-1), 1, 0xffff_fffe),
    ("w ^=", 5, n(-1), 0xffff_fffa),
    ("w ^=", n(-1), 0, 0xffff_ffff),
    // Shifts by the width and more.
    ("<<=", 1, 63, MIN),
    ("<<=", 1, 64, 1),
    ("<<=", 1, 65, 2),
    ("<<=", 3, 0, 3),
    ("<<=", 1, n(-1), MIN),
    ("w <<=", 1, 33, 2),
    ("w <<=", 1, 0x1_0000_0021, 2),
    ("w <<=", n(-1), 0, 0xffff_ffff),
    ("w <<=", 1, 31, MIN32),
    (">>=", n(-8), 60, 15),
    (">>=", n(-8), 64, n(-8)),
    (">>=", n(-8), 0, n(-8)),
    ("w >>=", n(-8), 28, 15),
    ("w >>=", n(-8), 32, 0xffff_fff8),
    ("w >>=", n(-8), 0, 0xffff_fff8),
    ("s>>=", n(-8), 2, n(-2)),
    ("s>>=", n(-8), 66, n(-2)),
    ("s>>=", MAX, 62, 1),
    ("w s>>=", n(-8), 2, 0xffff_fffe),
    ("w s>>=", MAX, 31, 0xffff_ffff),
    ("w s>>=", 8, 34, 2),
    ("=", 5, n(-7), n(-7)),
    ("=", 5, MIN, MIN),
    ("w =", 5, n(-7), 0xffff_fff9),
    ("w =", n(-1), 0x7_0000_0001, 1),
];

/// Of everything that has no second operand or no first.
const OTHER: &[(&str, u64)] = &[
    ("r0 = 5; r0 = -r0", n(-5)),
    ("r0 = 0x8000000000000000 ll; r0 = -r0", MIN),
    ("r0 = 5; w0 = -w0", 0xffff_fffb),
    ("r0 = 0x700000000 ll; w0 = -w0", 0),
    ("r1 = 0x80; r0 = (s8)r1", n(-128)),
    ("r1 = 0x17f; r0 = (s8)r1", 0x7f),
    ("r1 = 0x8000; r0 = (s16)r1", n(-0x8000)),
    ("r1 = 0x17fff; r0 = (s16)r1", 0x7fff),
    ("r1 = 0x80000000 ll; r0 = (s32)r1", n(-0x8000_0000)),
    ("r1 = 0x17fffffff ll; r0 = (s32)r1", 0x7fff_ffff),
    ("r1 = 0x80; w0 = (s8)w1", 0xffff_ff80),
    ("r1 = 0x8000; w0 = (s16)w1", 0xffff_8000),
    ("r0 = 0x1122334455667788 ll; r0 = le16 r0", 0x7788),
    ("r0 = 0x1122334455667788 ll; r0 = le32 r0", 0x5566_7788),
    ("r0 = 0x1122334455667788 ll; r0 = le64 r0", 0x1122_3344_5566_7788),
    ("r0 = 0x1122334455667788 ll; r0 = be16 r0", 0x8877),
    ("r0 = 0x1122334455667788 ll; r0 = be32 r0", 0x8877_6655),
    ("r0 = 0x1122334455667788 ll; r0 = be64 r0", 0x8877_6655_4433_2211),
    ("r0 = 0x1122334455667788 ll; r0 = bswap16 r0", 0x8877),
    ("r0 = 0x1122334455667788 ll; r0 = bswap32 r0", 0x8877_6655),
    ("r0 = 0x1122334455667788 ll; r0 = bswap64 r0", 0x8877_6655_4433_2211),
    // Numbers of every shape: one move, two, or more than a move can make.
    ("r0 = 0xffff ll", 0xffff),
    ("r0 = 0xffff0000 ll", 0xffff_0000),
    ("r0 = 0x12345678 ll", 0x1234_5678),
    ("r0 = 0xfffffffffffe1234 ll", 0xffff_ffff_fffe_1234),
    ("r0 = 0xffff1234ffff5678 ll", 0xffff_1234_ffff_5678),
    ("r0 = 0x123456789abcdef0 ll", 0x1234_5678_9abc_def0),
    ("r0 = 0x0f0f0f0f0f0f0f0f ll", 0x0f0f_0f0f_0f0f_0f0f),
    ("r0 = 0xfff0ffff ll", 0xfff0_ffff),
    // Pairs of shifts.
    ("r0 = 0x8899aabbccddeeff ll; r0 <<= 32; r0 >>= 32", 0xccdd_eeff),
    ("r0 = 0x8899aabbccddeeff ll; r0 <<= 32; r0 s>>= 32", 0xffff_ffff_ccdd_eeff),
    ("r0 = 0x8899aabbccddeeff ll; r0 <<= 8; r0 >>= 56", 0x99),
    ("r0 = 0x8899aabbccddeeff ll; r0 <<= 40; r0 >>= 32", 0xddee_ff00),
    ("r0 = 0x8899aabbccddeeff ll; r0 <<= 40; r0 s>>= 32", 0xffff_ffff_ddee_ff00),
    ("r0 = 0x8899aabbccddeeff ll; r0 <<= 0; r0 >>= 0", 0x8899_aabb_ccdd_eeff),
    ("r1 = 0x8899aabbccddeeff ll; r0 = r1; r0 <<= 63; r0 >>= 63; r0 += r1", 0x8899_aabb_ccdd_ef00),
    // Flow.
    ("r0 = 0; r1 = 10; again: r0 += r1; r1 -= 1; if r1 != 0 goto again", 55),
    ("again: *(u64 *)(r10 - 8) = 0; r2 += 1; if r2 < 5 goto again; r0 = r2", 5),
    ("r0 = 1; goto over; r0 = 2; over:", 1),
    ("r0 = 1; gotol over; r0 = 2; over:", 1),
    ("r0 = 7; goto +0", 7),
    (
        "r1 = 7; call fact; exit
        fact: if r1 > 1 goto more; r0 = 1; exit
        more: r6 = r1; r1 -= 1; call fact; r0 *= r6",
        5040,
    ),
    // Each function has a frame of its own, and r6 to r9 are the caller's again.
    (
        "r6 = 6; r7 = 7; r8 = 8; r9 = 9; *(u64 *)(r10 - 8) = 1; call inner; r0 = *(u64 *)(r10 - 8)
        r0 += r6; r0 += r7; r0 += r8; r0 += r9; exit
        inner: *(u64 *)(r10 - 8) = 2; r6 = 0; r7 = 0; r8 = 0; r9 = 0; r0 = 0",
        31,
    ),
    (
        "r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5; call sum; exit
        sum: r0 = r1; r0 += r2; r0 += r3; r0 += r4; r0 += r5",
        15,
    ),
    ("r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5; call 1", 15),
    ("r6 = 6; r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5; call 1; r0 += r6", 21),
    // The whole stack.
    ("*(u64 *)(r10 - 512) = 5; r0 = *(u64 *)(r10 - 512)", 5),
    ("*(u8 *)(r10 - 257) = -1; r0 = *(u8 *)(r10 - 257)", 255),
    ("r1 = 7; *(u32 *)(r10 - 300) = r1; r2 = r10; r2 += -300; r0 = *(u32 *)(r2 + 0)", 7),
    ("r2 = r10; r2 -= 8; *(u64 *)(r2 + 0) = r10; r0 = *(u64 *)(r10 - 8); r0 -= r10", 0),
];

/// Two numbers, and what of `== != > >= < <= s> s>= s< s<= &` is taken.
const COMPARED: &[(char, u64, u64, &str)] = &[
    ('r', 1, 1, "== >= <= s>= s<= &"),
    ('r', 1, 2, "!= < <= s< s<="),
    ('r', u64::MAX, 1, "!= > >= s< s<= &"),
    ('r', MIN, 0, "!= > >= s< s<="),
    ('r', 0, 0, "== >= <= s>= s<="),
    ('r', 5, 0, "!= > >= s> s>="),
    ('r', u64::MAX, u64::MAX, "== >= <= s>= s<= &"),
    ('r', 0, u64::MAX, "!= < <= s> s>="),
    ('r', 0x1_0000_0001, 1, "!= > >= s> s>= &"),
    ('r', 0x1_0000_0000, 0x100, "!= > >= s> s>="),
    ('r', 70_000, 69_999, "!= > >= s> s>= &"),
    ('r', n(-5), n(-4000), "!= > >= s> s>= &"),
    ('r', MIN32, n(-0x8000_0000), "!= < <= s> s>= &"),
    ('w', 0x1_0000_0001, 1, "== >= <= s>= s<= &"),
    ('w', MIN32, 1, "!= > >= s< s<="),
    ('w', MIN32, 0, "!= > >= s< s<="),
    ('w', 0x1_0000_0000, 0, "== >= <= s>= s<="),
    ('w', 0xffff_ffff, u64::MAX, "== >= <= s>= s<= &"),
    ('w', 0xffff_ffff_0000_0002, 3, "!= < <= s< s<= &"),
    ('w', n(-5), n(-4000), "!= > >= s> s>= &"),
    ('w', 70_000, 69_999, "!= > >= s> s>= &"),
    ('w', 8, 8, "== >= <= s>= s<= &"),
];

const BYTES: &[u8] = &[0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];

/// Loads and stores: with what memory, the result, the memory then.
const MEMORY: &[(&str, &[u8], u64, &[u8])] = &[
    ("r0 = *(u8 *)(r1 + 0)", BYTES, 0x88, BYTES),
    ("r0 = *(u16 *)(r1 + 0)", BYTES, 0x9988, BYTES),
    ("r0 = *(u32 *)(r1 + 1)", BYTES, 0xccbb_aa99, BYTES),
    ("r0 = *(u64 *)(r1 + 0)", BYTES, 0xffee_ddcc_bbaa_9988, BYTES),
    ("r0 = *(s8 *)(r1 + 0)", BYTES, n(-0x78), BYTES),
    ("r0 = *(s16 *)(r1 + 0)", BYTES, n(-0x6678), BYTES),
    ("r0 = *(s32 *)(r1 + 4)", BYTES, n(-0x11_2234), BYTES),
    ("r1 += 8; r0 = *(u8 *)(r1 - 1)", BYTES, 0xff, BYTES),
    ("r1 += -4000; r0 = *(u16 *)(r1 + 4001)", BYTES, 0xaa99, BYTES),
    ("r1 += 4000; r0 = *(u64 *)(r1 - 4000)", BYTES, 0xffee_ddcc_bbaa_9988, BYTES),
    ("r1 += -32760; r0 = *(u64 *)(r1 + 32760)", BYTES, 0xffee_ddcc_bbaa_9988, BYTES),
    ("r0 = 0; *(u8 *)(r1 + 0) = 1", BYTES, 0, &[1, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]),
    ("r0 = 0; *(u16 *)(r1 + 2) = -2", BYTES, 0, &[0x88, 0x99, 0xfe, 0xff, 0xcc, 0xdd, 0xee, 0xff]),
    ("r0 = 0; *(u32 *)(r1 + 3) = -2", BYTES, 0, &[0x88, 0x99, 0xaa, 0xfe, 0xff, 0xff, 0xff, 0xff]),
    ("r0 = 0; *(u64 *)(r1 + 0) = -2", BYTES, 0, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ("r0 = 0; *(u64 *)(r1 + 0) = 0x1234567", BYTES, 0, &[0x67, 0x45, 0x23, 1, 0, 0, 0, 0]),
    (
        "r0 = 0; r2 = 0x5566; *(u8 *)(r1 + 0) = r2",
        BYTES,
        0,
        &[0x66, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff],
    ),
    (
        "r0 = 0; r2 = 0x5566; *(u16 *)(r1 + 6) = r2",
        BYTES,
        0,
        &[0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0x66, 0x55],
    ),
    ("r0 = 0; r2 = -1; *(u32 *)(r1 + 4) = r2", BYTES, 0, &[0x88, 0x99, 0xaa, 0xbb, 0xff, 0xff, 0xff, 0xff]),
    ("r0 = 0; r2 = 7; *(u64 *)(r1 + 0) = r2", BYTES, 0, &[7, 0, 0, 0, 0, 0, 0, 0]),
    (
        "r1 += -4001; r2 = 7; *(u8 *)(r1 + 4002) = r2; r0 = 0",
        BYTES,
        0,
        &[0x88, 7, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff],
    ),
    ("r0 = r2", BYTES, 8, BYTES),
];

/// What atomics find.
const OLD: u64 = 0x8000_0000_ffff_fff0;

/// Atomics: the result, and what is stored.
const ATOMIC: &[(&str, u64, u64)] = &[
    ("r2 = 32; lock *(u64 *)(r1 + 0) += r2; r0 = r2; exit", 32, 0x8000_0001_0000_0010),
    ("w2 = 32; lock *(u32 *)(r1 + 0) += w2; r0 = r2; exit", 32, 0x8000_0000_0000_0010),
    ("r2 = 15; lock *(u64 *)(r1 + 0) |= r2; r0 = r2; exit", 15, 0x8000_0000_ffff_ffff),
    ("w2 = 1; lock *(u32 *)(r1 + 4) |= w2; r0 = r2; exit", 1, 0x8000_0001_ffff_fff0),
    ("r2 = 255; lock *(u64 *)(r1 + 0) &= r2; r0 = r2; exit", 255, 0xf0),
    ("w2 = 255; lock *(u32 *)(r1 + 0) &= w2; r0 = r2; exit", 255, 0x8000_0000_0000_00f0),
    ("r2 = -1; lock *(u64 *)(r1 + 0) ^= r2; r0 = r2; exit", u64::MAX, !OLD),
    ("r2 = -1; lock *(u32 *)(r1 + 0) ^= w2; r0 = r2; exit", u64::MAX, 0x8000_0000_0000_000f),
    ("r2 = 32; r2 = atomic_fetch_add((u64 *)(r1 + 0), r2); r0 = r2; exit", OLD, OLD + 32),
    (
        "r2 = -1; w2 = atomic_fetch_add((u32 *)(r1 + 0), w2); r0 = r2; exit",
        0xffff_fff0,
        0x8000_0000_ffff_ffef,
    ),
    ("r2 = 1; r2 = atomic_fetch_or((u64 *)(r1 + 0), r2); r0 = r2; exit", OLD, OLD | 1),
    ("r2 = 1; w2 = atomic_fetch_or((u32 *)(r1 + 4), w2); r0 = r2; exit", MIN32, 0x8000_0001_ffff_fff0),
    ("r2 = 1; r2 = atomic_fetch_and((u64 *)(r1 + 0), r2); r0 = r2; exit", OLD, 0),
    (
        "r2 = -256; w2 = atomic_fetch_and((u32 *)(r1 + 0), w2); r0 = r2; exit",
        0xffff_fff0,
        0x8000_0000_ffff_ff00,
    ),
    ("r2 = 1; r2 = atomic_fetch_xor((u64 *)(r1 + 0), r2); r0 = r2; exit", OLD, OLD ^ 1),
    (
        "r2 = -1; w2 = atomic_fetch_xor((u32 *)(r1 + 0), w2); r0 = r2; exit",
        0xffff_fff0,
        0x8000_0000_0000_000f,
    ),
    ("r2 = 5; r2 = xchg_64(r1 + 0, r2); r0 = r2; exit", OLD, 5),
    ("r2 = -1; w2 = xchg32_32(r1 + 0, w2); r0 = r2; exit", 0xffff_fff0, 0x8000_0000_ffff_ffff),
    ("r0 = 1; r2 = 5; r0 = cmpxchg_64(r1 + 0, r0, r2); exit", OLD, OLD),
    ("r0 = *(u64 *)(r1 + 0); r2 = 5; r0 = cmpxchg_64(r1 + 0, r0, r2); exit", OLD, 5),
    // Of 32 bits neither the comparison nor the result sees the upper half.
    ("r0 = -16; r2 = 5; w0 = cmpxchg32_32(r1 + 0, w0, w2); exit", 0xffff_fff0, 0x8000_0000_0000_0005),
    ("r0 = -1; r2 = 5; w0 = cmpxchg32_32(r1 + 0, w0, w2); exit", 0xffff_fff0, OLD),
    // Far from their base.
    ("r1 += -4096; r2 = 1; lock *(u64 *)(r1 + 4096) += r2; r0 = r2; exit", 1, OLD + 1),
    ("r1 += -30000; r2 = 1; r2 = atomic_fetch_add((u64 *)(r1 + 30000), r2); r0 = r2; exit", OLD, OLD + 1),
    // The source is the base.
    ("r3 = r1; r1 = xchg_64(r1 + 0, r1); r0 = r1; *(u64 *)(r3 + 0) = 1; exit", OLD, 1),
];
