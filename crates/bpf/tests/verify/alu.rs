//! Registers, arithmetic, numbers and what branches say of them.

use crate::kprobe;

#[test]
fn registers() {
    kprobe(&[
        ("the least", "r0 = 0; exit", ""),
        ("no result", "exit", "R0 !read_ok"),
        ("an unwritten register", "r0 = r2; exit", "R2 !read_ok"),
        ("an unwritten operand", "r0 = 0; r0 += r7; exit", "R7 !read_ok"),
        ("an unwritten destination", "r3 += 1; r0 = 0; exit", "R3 !read_ok"),
        ("half a register", "w2 = w3; r0 = 0; exit", "R3 !read_ok"),
        ("negated", "r0 = -r0; exit", "R0 !read_ok"),
        ("swapped", "r0 = be16 r0; exit", "R0 !read_ok"),
        ("extended", "r0 = (s8)r3; exit", "R3 !read_ok"),
        ("r10 is read-only", "r10 = 0; r0 = 0; exit", "frame pointer is read only"),
        ("r10 is not added to", "r10 += -8; r0 = 0; exit", "frame pointer is read only"),
        ("r10 is not loaded", "r10 = *(u64 *)(r1 + 0); r0 = 0; exit", "frame pointer is read only"),
        ("r10 gets no immediate", "r10 = 5 ll; r0 = 0; exit", "frame pointer is read only"),
        ("r10 is read", "r0 = r10; exit", ""),
        ("written on one way only", "if r1 == 0 goto +1; goto +1; r0 = 0; exit", "R0 !read_ok"),
        ("calls clobber", "r2 = 1; call ktime_get_ns; r0 = r2; exit", "R2 !read_ok"),
        ("calls keep r6", "r6 = 1; call ktime_get_ns; r0 = r6; exit", ""),
        ("compared unwritten", "r0 = 0; if r4 > 1 goto +0; exit", "R4 !read_ok"),
        ("compared with unwritten", "r0 = 0; if r0 > r4 goto +0; exit", "R4 !read_ok"),
        ("unreachable", "r0 = 0; exit; r0 = 1; exit", "unreachable insn 2"),
        ("unreachable behind a jump", "r0 = 0; goto +1; r0 = 1; exit", "unreachable insn 2"),
        ("never reached", "r0 = 0; if r0 == 0 goto +1; r0 = r9; exit", ""),
        ("never reached, by bounds", "r0 = *(u8 *)(r1 + 0); if r0 < 256 goto +1; r0 = r9; exit", ""),
        ("a platform's variable", "r1 = var[3]; r0 = 0; exit", "no variables of the platform"),
    ]);
}

#[test]
fn addresses() {
    kprobe(&[
        ("added to", "r2 = r10; r2 += -8; *(u64 *)(r2 + 0) = 1; r0 = 0; exit", ""),
        ("commutes", "r2 = -8; r2 += r10; *(u64 *)(r2 + 0) = 1; r0 = 0; exit", ""),
        (
            "no multiplication",
            "r2 = r10; r2 *= 2; r0 = 0; exit",
            "R2 pointer arithmetic with *= operator prohibited",
        ),
        ("no shift", "r1 <<= 1; r0 = 0; exit", "pointer arithmetic with <<= operator prohibited"),
        ("no mask", "r2 = r10; r2 &= -8; r0 = 0; exit", "R2 bitwise operator &= on pointer prohibited"),
        ("no or", "r1 |= 1; r0 = 0; exit", "bitwise operator |= on pointer prohibited"),
        ("no xor", "r1 ^= r1; r0 = 0; exit", "pointer prohibited"),
        ("no sum of two", "r1 += r10; r0 = 0; exit", "R1 pointer += pointer prohibited"),
        ("a difference is a number", "r0 = r10; r1 = r10; r0 -= r1; exit", ""),
        ("from a number", "r0 = 8; r0 -= r10; exit", "R0 tried to subtract pointer from scalar"),
        ("from the stack", "r2 = r10; r2 -= 8; r0 = 0; exit", "R2 subtraction from stack pointer prohibited"),
        ("32 bits", "r2 = r10; w2 += 1; r0 = 0; exit", "R2 32-bit pointer arithmetic prohibited"),
        ("half of it is a number", "w0 = w10; exit", ""),
        (
            "half of it is no address",
            "w2 = w10; r0 = *(u64 *)(r2 + 0); exit",
            "R2 invalid mem access 'scalar'",
        ),
        ("its negative is a number", "r0 = r10; r0 = -r0; exit", ""),
        ("through a number", "r2 = 4096; r0 = *(u64 *)(r2 + 0); exit", "R2 invalid mem access 'scalar'"),
        (
            "store through a number",
            "r2 = 0; *(u64 *)(r2 + 0) = 1; r0 = 0; exit",
            "invalid mem access 'scalar'",
        ),
        (
            "a map is not added to",
            "r1 = map[hash]; r1 += 8; r0 = 0; exit",
            "R1 pointer arithmetic on map_ptr prohibited",
        ),
        ("a map is added nothing", "r1 = map[hash]; r1 += 0; r0 = 0; exit", ""),
        (
            "a map is no memory",
            "r1 = map[hash]; r0 = *(u64 *)(r1 + 0); exit",
            "R1 invalid mem access 'map_ptr'",
        ),
        (
            "far",
            "r2 = r10; r2 += 0x20000000; r0 = 0; exit",
            "math between fp pointer and 536870912 is not allowed",
        ),
        (
            "farther step by step",
            "r2 = r10; r2 += 0x1fffffff; r2 += 1; r0 = 0; exit",
            "makes fp pointer be out of bounds",
        ),
        (
            "unbounded",
            "r2 = *(u64 *)(r1 + 0); r3 = r10; r3 += r2; r0 = 0; exit",
            "math between fp pointer and register with unbounded min value is not allowed",
        ),
        ("compared with a number", "r0 = 0; if r10 > 5 goto +0; exit", ""),
        ("not null", "r0 = 0; if r10 == 0 goto +1; exit; r0 = r9; exit", ""),
        ("two of them", "r0 = 0; r2 = r10; if r2 == r10 goto +0; exit", ""),
        ("as a result", "r0 = r10; exit", ""),
    ]);
}

/// Whatever a number is found to be is shown by an access of the stack, which has just so much.
#[test]
fn numbers() {
    // r2 from the context; in the middle something is done to it; then it must be within 0..=8.
    let within = |middle: &str| {
        format!(
            "*(u64 *)(r10 - 8) = 0; *(u64 *)(r10 - 16) = 0; r2 = *(u64 *)(r1 + 0); {middle}
             r3 = r10; r3 += -16; r3 += r2; r0 = *(u8 *)(r3 + 7); exit"
        )
    };
    let fine: &[&str] = &[
        "r2 &= 8",
        "r2 &= 7",
        "r2 %= 9",
        "r2 >>= 61",
        "w2 >>= 29",
        "if r2 > 8 goto out",
        "if r2 >= 9 goto out",
        "if r2 s> 8 goto out; if r2 s< 0 goto out",
        "if r2 < 9 goto +1; goto out",
        "if r2 <= 8 goto +1; goto out",
        "if r2 == 5 goto +1; goto out",
        "if r2 != 5 goto out",
        "if r2 & -8 goto out",
        "r4 = 8; if r2 > r4 goto out",
        "r4 = 9; if r4 <= r2 goto out",
        "w2 = w2; if w2 > 8 goto out",
        "if w2 > 8 goto out; w2 = w2",
        "if w2 > 8 goto out; r2 &= 0xffff",
        "r4 = r2; if r4 > 8 goto out",
        "r4 = r2; r5 = r4; if r5 > 8 goto out; r4 = 0",
        "*(u64 *)(r10 - 24) = r2; if r2 > 8 goto out; r2 = *(u64 *)(r10 - 24)",
        "*(u64 *)(r10 - 24) = r2; r2 = *(u64 *)(r10 - 24); if r2 > 8 goto out; r2 = *(u64 *)(r10 - 24)",
        "r2 = *(u8 *)(r1 + 0); r2 &= 15; if r2 > 8 goto out",
        "r2 = *(u8 *)(r1 + 0); r2 >>= 5",
        "r2 = *(u16 *)(r1 + 0); r2 /= 8192",
        "r2 = *(s8 *)(r1 + 0); if r2 s< 0 goto out; r2 /= 16",
        "r2 &= 3; r2 *= 2",
        "r2 &= 3; r2 <<= 1; r2 |= 1",
        "r2 &= 3; r2 += 5",
        "r2 &= 3; r4 = 8; r4 -= r2; r2 = r4",
        "r2 &= 1; r2 ^= 9; if r2 == 9 goto out",
        "r2 = (s8)r2; if r2 s< 0 goto out; if r2 s> 8 goto out",
        "r2 = be16 r2; r2 &= 7",
        "r2 &= 1; r2 = -r2; r2 += 1",
        "r2 = 300; w2 = w2; r2 -= 299",
        "r2 &= 15; r2 s>>= 1",
        "r4 = *(u64 *)(r1 + 8); r4 &= 3; r2 = r4; r2 += r4",
        "if r2 s>= 0 goto +1; goto out; if r2 s<= 8 goto +1; goto out",
    ];
    let wrong: &[&str] = &[
        "r2 &= 15",
        "r2 %= 10",
        "r2 >>= 60",
        "if r2 > 9 goto out",
        "if r2 s> 8 goto out; r2 &= 0xff",
        "r2 &= 3; r2 *= 3",
        "r2 &= 7; r2 += 2",
        "r4 = r2; r4 += 1; if r4 > 8 goto out; r2 &= 0xff",
        "*(u64 *)(r10 - 24) = r2; if r2 > 8 goto out; *(u32 *)(r10 - 24) = 100; r2 = *(u64 *)(r10 - 24); r2 &= 0xffff",
        "r2 = *(u8 *)(r1 + 0)",
    ];
    let out = "; out: r0 = 0; exit";
    for middle in fine {
        let source = format!("{}{}", within(middle), if middle.contains("out") { out } else { "" });
        kprobe(&[(middle, &source, "")]);
    }
    for middle in wrong {
        let source = format!("{}{}", within(middle), if middle.contains("out") { out } else { "" });
        kprobe(&[(middle, &source, "variable-offset")]);
    }
}

#[test]
fn what_cannot_be_known_is_left_open() {
    kprobe(&[
        (
            "division by zero is 0",
            "r2 = 1; r3 = 0; r2 /= r3; r2 += r10; *(u64 *)(r2 - 8) = 1; r0 = 0; exit",
            "",
        ),
        ("remainder by zero", "r2 = -8; r2 %= 0; r2 += r10; *(u64 *)(r2 + 0) = 1; r0 = 0; exit", ""),
        ("shifts are masked", "r2 = 1; r2 <<= 67; r2 += r10; *(u64 *)(r2 - 16) = 1; r0 = 0; exit", ""),
        ("shifts of 32 bits", "w2 = 1; w2 <<= 35; r2 += r10; *(u64 *)(r2 - 16) = 1; r0 = 0; exit", ""),
        ("32 bits zero-extend", "w2 = -8; r2 += r10; *(u64 *)(r2 + 0) = 1; r0 = 0; exit", "math between fp"),
    ]);
}
