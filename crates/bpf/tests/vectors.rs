//! What each instruction computes, at the edges, by the RFC's own words.

mod common;

use bpf::interp::Cause;
use bpf::sandbox::MEMORY;
use common::run_text;

/// Runs a text that leaves its result in r0.
fn r0(text: &str) -> u64 {
    run_text(&format!("{text}; exit"), &[]).0.unwrap_or_else(|trap| panic!("{text}: {trap}"))
}

#[test]
fn arithmetic() {
    for (text, expected) in [
        ("r0 = 5; r0 += -7", -2i64 as u64),
        ("w0 = 5; w0 += -7", 0xffff_fffe),
        ("r0 = -1; w0 += 1", 0),
        ("r0 = -1; r0 *= 3", -3i64 as u64),
        ("w0 = -1; w0 *= -1", 1),
        // Division by zero, unsigned and signed.
        ("r0 = 7; r1 = 0; r0 /= r1", 0),
        ("r0 = 7; r1 = 0; r0 s/= r1", 0),
        ("r0 = -7; r1 = 0; r0 %= r1", -7i64 as u64),
        ("r0 = -7; r1 = 0; r0 s%= r1", -7i64 as u64),
        // The dividend stays, but of 32 bits.
        ("r0 = -7; w1 = 0; w0 %= w1", 0xffff_fff9),
        ("r0 = -7; w1 = 0; w0 s%= w1", 0xffff_fff9),
        // The zero is one of 32 bits.
        ("r0 = 7; r1 = 0x100000000 ll; w0 /= w1", 0),
        // An immediate is sign-extended even where it is unsigned then.
        ("r0 = -1; r0 /= -1", 1),
        ("r0 = 10; r0 /= -3", 0),
        ("w0 = -1; w0 /= -1", 1),
        ("r0 = -7; r0 s/= 2", -3i64 as u64),
        ("r0 = -7; r0 s%= 2", -1i64 as u64),
        ("r0 = 7; r0 s%= -2", 1),
        ("w0 = -7; w0 s/= 2", 0xffff_fffd),
        // Overflow.
        ("r0 = 0x8000000000000000 ll; r0 s/= -1", 1 << 63),
        ("r0 = 0x8000000000000000 ll; r0 s%= -1", 0),
        ("w0 = 0x80000000; w0 s/= -1", 0x8000_0000),
        ("w0 = 0x80000000; w0 s%= -1", 0),
        // Shifts by the width and more.
        ("r0 = 1; r1 = 64; r0 <<= r1", 1),
        ("r0 = 1; r0 <<= 65", 2),
        ("w0 = 1; w0 <<= 33", 2),
        ("w0 = 1; r1 = 0x100000021 ll; w0 <<= w1", 2),
        ("r0 = -8; r0 s>>= 2", -2i64 as u64),
        ("r0 = -8; r0 >>= 60", 15),
        ("w0 = -8; w0 s>>= 2", 0xffff_fffe),
        ("w0 = -8; w0 >>= 28", 15),
        ("r0 = 5; r0 = -r0", -5i64 as u64),
        ("r0 = 5; w0 = -w0", 0xffff_fffb),
        ("r0 = 0x8000000000000000 ll; r0 = -r0", 1 << 63),
        ("r1 = -1; w0 = w1", 0xffff_ffff),
        ("r0 = -1; w0 ^= 1", 0xffff_fffe),
        ("r0 = 0x123456789 ll; w0 |= 0", 0x2345_6789),
        ("r0 = 0x123456789 ll; r0 &= -16", 0x1_2345_6780),
    ] {
        assert_eq!(r0(text), expected, "{text}");
    }
}

#[test]
fn sign_extension_and_byte_order() {
    for (text, expected) in [
        ("r1 = 0x80; r0 = (s8)r1", 0xffff_ffff_ffff_ff80),
        ("r1 = 0x17f; r0 = (s8)r1", 0x7f),
        ("r1 = 0x8000; r0 = (s16)r1", 0xffff_ffff_ffff_8000),
        ("r1 = 0x80000000 ll; r0 = (s32)r1", 0xffff_ffff_8000_0000),
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
    ] {
        assert_eq!(r0(text), expected, "{text}");
    }
}

#[test]
fn comparisons() {
    // a, b, and which of == != > >= < <= s> s>= s< s<= & are taken.
    for (a, b, taken) in [
        (1u64, 1u64, "== >= <= s>= s<= &"),
        (1, 2, "!= < <= s< s<="),
        (u64::MAX, 1, "!= > >= s< s<= &"),
        (1 << 63, 0, "!= > >= s< s<="),
        (0x1_0000_0001, 1, "!= > >= s> s>= &"),
    ] {
        for cond in ["==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"] {
            let text = format!("r1 = {a:#x} ll; r2 = {b:#x} ll; r0 = 1; if r1 {cond} r2 goto +1; r0 = 0");
            assert_eq!(r0(&text) == 1, taken.split(' ').any(|t| t == cond), "{a:#x} {cond} {b:#x}");
        }
    }
    for (a, b, taken) in [
        (0x1_0000_0001u64, 1u64, "== >= <= s>= s<= &"),
        (0x8000_0000, 1, "!= > >= s< s<="),
        (0xffff_ffff, u64::MAX, "== >= <= s>= s<= &"),
        (0xffff_ffff_0000_0002, 3, "!= < <= s< s<= &"),
    ] {
        for cond in ["==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"] {
            let text = format!("r1 = {a:#x} ll; r2 = {b:#x} ll; r0 = 1; if w1 {cond} w2 goto +1; r0 = 0");
            assert_eq!(r0(&text) == 1, taken.split(' ').any(|t| t == cond), "{a:#x} {cond} {b:#x}");
        }
    }
    assert_eq!(r0("r1 = -1; r0 = 1; if r1 == -1 goto +1; r0 = 0"), 1);
    assert_eq!(r0("r1 = 0xffffffff ll; r0 = 1; if r1 == -1 goto +1; r0 = 0"), 0);
    assert_eq!(r0("r1 = 0xffffffff ll; r0 = 1; if w1 == -1 goto +1; r0 = 0"), 1);
}

#[test]
fn loops_and_functions() {
    assert_eq!(r0("r0 = 0; r1 = 10; again: r0 += r1; r1 -= 1; if r1 != 0 goto again"), 55);
    assert_eq!(r0("r0 = 1; gotol over; r0 = 2; over:"), 1);
    let fact = "r1 = 10; call fact; exit
        fact: if r1 > 1 goto more; r0 = 1; exit
        more: r6 = r1; r1 -= 1; call fact; r0 *= r6";
    // Eleven deep is too deep; seven is not.
    assert_eq!(run_text(&format!("{fact}; exit"), &[]).0.unwrap_err().why, Cause::Frames);
    assert_eq!(r0(&fact.replace("r1 = 10", "r1 = 7")), 5040);
    // Each function has a frame of its own.
    let frames = "*(u64 *)(r10 - 8) = 1; call inner; r0 = *(u64 *)(r10 - 8); exit
        inner: *(u64 *)(r10 - 8) = 2";
    assert_eq!(r0(frames), 1);
    assert_eq!(r0("r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5; call 1"), 15);
    assert_eq!(run_text("call 2; exit", &[]).0.unwrap_err().why, Cause::Helper(2));
    assert_eq!(run_text("again: goto again; exit", &[]).0.unwrap_err().why, Cause::Budget);
}

#[test]
fn memory() {
    let bytes = [0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
    for (text, expected) in [
        ("r0 = *(u8 *)(r1 + 0)", 0x88),
        ("r0 = *(u16 *)(r1 + 0)", 0x9988),
        ("r0 = *(u32 *)(r1 + 1)", 0xccbb_aa99),
        ("r0 = *(u64 *)(r1 + 0)", 0xffee_ddcc_bbaa_9988),
        ("r0 = *(s8 *)(r1 + 0)", 0xffff_ffff_ffff_ff88),
        ("r0 = *(s16 *)(r1 + 0)", 0xffff_ffff_ffff_9988),
        ("r0 = *(s32 *)(r1 + 4)", 0xffff_ffff_ffee_ddcc),
        ("r1 += 8; r0 = *(u8 *)(r1 - 1)", 0xff),
    ] {
        assert_eq!(run_text(&format!("{text}; exit"), &bytes).0, Ok(expected), "{text}");
    }
    let (result, memory) = run_text(
        "r0 = 0; *(u8 *)(r1 + 0) = 1; *(u16 *)(r1 + 2) = -2; r2 = 0x55667788; *(u32 *)(r1 + 4) = r2; exit",
        &bytes,
    );
    assert_eq!((result, memory), (Ok(0), vec![1, 0x99, 0xfe, 0xff, 0x88, 0x77, 0x66, 0x55]));
    let (_, memory) = run_text("*(u64 *)(r1 + 0) = -2; exit", &bytes);
    assert_eq!(memory, (-2i64).to_le_bytes());
    let fault = run_text("r0 = *(u64 *)(r1 + 1); exit", &bytes).0.unwrap_err();
    assert_eq!((fault.at, fault.why), (0, Cause::Fault(MEMORY + 1)));
}

#[test]
fn atomics() {
    let old = 0x8000_0000_ffff_fff0_u64;
    for (text, r0, stored) in [
        ("r2 = 32; lock *(u64 *)(r1 + 0) += r2; r0 = r2", 32, 0x8000_0001_0000_0010),
        ("w2 = 32; lock *(u32 *)(r1 + 0) += w2; r0 = r2", 32, 0x8000_0000_0000_0010),
        ("r2 = 15; lock *(u64 *)(r1 + 0) |= r2; r0 = r2", 15, 0x8000_0000_ffff_ffff),
        ("r2 = 255; lock *(u64 *)(r1 + 0) &= r2; r0 = r2", 255, 0xf0),
        ("r2 = -1; lock *(u64 *)(r1 + 0) ^= r2; r0 = r2", u64::MAX, !old),
        ("r2 = 32; r2 = atomic_fetch_add((u64 *)(r1 + 0), r2); r0 = r2", old, old + 32),
        ("w2 = 32; w2 = atomic_fetch_add((u32 *)(r1 + 0), w2); r0 = r2", 0xffff_fff0, 0x8000_0000_0000_0010),
        ("r2 = 1; r2 = atomic_fetch_or((u64 *)(r1 + 0), r2); r0 = r2", old, old | 1),
        ("r2 = 1; r2 = atomic_fetch_and((u64 *)(r1 + 0), r2); r0 = r2", old, 0),
        ("r2 = 1; r2 = atomic_fetch_xor((u64 *)(r1 + 0), r2); r0 = r2", old, old ^ 1),
        ("r2 = 5; r2 = xchg_64(r1 + 0, r2); r0 = r2", old, 5),
        ("r2 = -1; w2 = xchg32_32(r1 + 0, w2); r0 = r2", 0xffff_fff0, 0x8000_0000_ffff_ffff),
        ("r0 = 1; r2 = 5; r0 = cmpxchg_64(r1 + 0, r0, r2)", old, old),
        ("r0 = *(u64 *)(r1 + 0); r2 = 5; r0 = cmpxchg_64(r1 + 0, r0, r2)", old, 5),
        ("r0 = -16; r2 = 5; w0 = cmpxchg32_32(r1 + 0, w0, w2)", 0xffff_fff0, 0x8000_0000_0000_0005),
    ] {
        let (result, memory) = run_text(&format!("{text}; exit"), &old.to_le_bytes());
        assert_eq!(result, Ok(r0), "{text}");
        assert_eq!(memory, stored.to_le_bytes(), "{text}");
    }
}
