//! The stack: bounds, alignment, what was written, what comes back.

use crate::kprobe;

#[test]
fn bounds() {
    kprobe(&[
        ("the last bytes", "*(u64 *)(r10 - 8) = 1; r0 = 0; exit", ""),
        ("the first bytes", "*(u64 *)(r10 - 512) = 1; r0 = 0; exit", ""),
        ("below", "*(u64 *)(r10 - 520) = 1; r0 = 0; exit", "invalid write to stack R10 off=-520 size=8"),
        ("above", "*(u64 *)(r10 + 0) = 1; r0 = 0; exit", "invalid write to stack R10 off=0 size=8"),
        (
            "across the end",
            "*(u32 *)(r10 - 512) = 1; *(u8 *)(r10 - 513) = 1; r0 = 0; exit",
            "invalid write to stack",
        ),
        ("a read above", "r0 = *(u8 *)(r10 + 0); exit", "invalid read from stack R10 off=0 size=1"),
        ("far above", "r0 = *(u8 *)(r10 + 32767); exit", "invalid read from stack"),
        ("misaligned", "*(u64 *)(r10 - 12) = 1; r0 = 0; exit", "misaligned stack access off -12 size 8"),
        ("misaligned half", "*(u16 *)(r10 - 3) = 1; r0 = 0; exit", "misaligned stack access off -3 size 2"),
        (
            "by another register",
            "r2 = r10; r2 += -516; *(u32 *)(r2 + 0) = 1; r0 = 0; exit",
            "invalid write to stack R2 off=-516",
        ),
        ("in two steps", "r2 = r10; r2 += -16; *(u64 *)(r2 + 8) = 1; r0 = *(u64 *)(r10 - 8); exit", ""),
    ]);
}

#[test]
fn written() {
    kprobe(&[
        ("not written", "r0 = *(u64 *)(r10 - 8); exit", "invalid read from stack off -8+0 size 8"),
        (
            "half written",
            "*(u32 *)(r10 - 8) = 1; r0 = *(u64 *)(r10 - 8); exit",
            "invalid read from stack off -8+4 size 8",
        ),
        ("both halves", "*(u32 *)(r10 - 8) = 1; *(u32 *)(r10 - 4) = 1; r0 = *(u64 *)(r10 - 8); exit", ""),
        ("a byte of it", "*(u32 *)(r10 - 8) = 1; r0 = *(u8 *)(r10 - 7); exit", ""),
        (
            "the byte beside",
            "*(u8 *)(r10 - 8) = 1; r0 = *(u8 *)(r10 - 7); exit",
            "invalid read from stack off -7+0 size 1",
        ),
        (
            "the slot beside",
            "*(u64 *)(r10 - 16) = 1; r0 = *(u64 *)(r10 - 8); exit",
            "invalid read from stack",
        ),
        (
            "on one way only",
            "if r1 == 0 goto +1; *(u64 *)(r10 - 8) = 1; if w1 == 3 goto +1; r0 = *(u64 *)(r10 - 8); r0 = 0; exit",
            "",
        ),
        (
            "on one way only, by a number",
            "r2 = *(u64 *)(r1 + 0); if r2 == 0 goto +1; *(u64 *)(r10 - 8) = 1; r0 = *(u64 *)(r10 - 8); exit",
            "invalid read from stack",
        ),
        ("an unwritten register is not stored", "*(u64 *)(r10 - 8) = r5; r0 = 0; exit", "R5 !read_ok"),
        (
            "atomic on what was not written",
            "r2 = 1; lock *(u64 *)(r10 - 8) += r2; r0 = 0; exit",
            "invalid read from stack",
        ),
        (
            "atomic",
            "*(u64 *)(r10 - 8) = 1; r2 = 1; lock *(u64 *)(r10 - 8) += r2; r0 = *(u64 *)(r10 - 8); exit",
            "",
        ),
        (
            "atomic misaligned",
            "*(u64 *)(r10 - 8) = 1; r2 = 1; lock *(u32 *)(r10 - 6) += w2; r0 = 0; exit",
            "misaligned stack access",
        ),
        (
            "compare and exchange needs r0",
            "*(u64 *)(r10 - 8) = 1; r2 = 1; r0 = cmpxchg_64(r10 - 8, r0, r2); exit",
            "R0 !read_ok",
        ),
        ("exchange", "*(u64 *)(r10 - 8) = 1; r2 = 1; r2 = xchg_64(r10 - 8, r2); r0 = r2; exit", ""),
    ]);
}

#[test]
fn what_is_kept() {
    kprobe(&[
        ("the context", "*(u64 *)(r10 - 8) = r1; r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 0); exit", ""),
        (
            "the stack",
            "r2 = r10; *(u64 *)(r10 - 8) = r2; r3 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r3 - 8); exit",
            "",
        ),
        (
            "half an address",
            "*(u64 *)(r10 - 8) = r1; r0 = *(u32 *)(r10 - 8); exit",
            "invalid size of register fill",
        ),
        (
            "overwritten in part",
            "*(u64 *)(r10 - 8) = r1; *(u8 *)(r10 - 8) = 1; r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 0); exit",
            "R2 invalid mem access 'scalar'",
        ),
        (
            "half stored",
            "*(u64 *)(r10 - 8) = 0; *(u32 *)(r10 - 8) = r1; r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 0); exit",
            "R2 invalid mem access 'scalar'",
        ),
        (
            "an atomic changes it",
            "*(u64 *)(r10 - 8) = r1; r2 = 0; lock *(u64 *)(r10 - 8) += r2; r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 0); exit",
            "R2 invalid mem access 'scalar'",
        ),
        (
            "a number",
            "*(u64 *)(r10 - 8) = 8; r2 = *(u64 *)(r10 - 8); r3 = r10; r3 += -24; r3 += r2; *(u64 *)(r3 + 0) = 1; r0 = *(u64 *)(r10 - 16); exit",
            "",
        ),
        (
            "a number of four bytes",
            "*(u32 *)(r10 - 4) = 8; r2 = *(u32 *)(r10 - 4); r3 = r10; r3 += -24; r3 += r2; *(u64 *)(r3 + 0) = 1; r0 = *(u64 *)(r10 - 16); exit",
            "",
        ),
    ]);
}

#[test]
fn offsets_within_bounds() {
    let head = "*(u64 *)(r10 - 8) = 0; *(u64 *)(r10 - 16) = 0; r2 = *(u64 *)(r1 + 0);";
    let programs = [
        ("a read of what was written", "r2 &= 7; r2 += r10; r0 = *(u8 *)(r2 - 16); exit", ""),
        (
            "a read beyond it",
            "r2 &= 15; r2 += r10; r0 = *(u8 *)(r2 - 24); exit",
            "invalid read from stack R2 off -24+0",
        ),
        (
            "a read beyond the frame",
            "r2 &= 15; r2 += r10; r0 = *(u8 *)(r2 - 8); exit",
            "invalid variable-offset read from stack R2 min_off=-8 max_off=7 size=1",
        ),
        ("a write", "r2 &= 8; r2 += r10; *(u64 *)(r2 - 16) = 1; r0 = *(u64 *)(r10 - 8); exit", ""),
        (
            "a write that is not aligned",
            "r2 &= 7; r2 += r10; *(u64 *)(r2 - 16) = 1; r0 = 0; exit",
            "misaligned stack access",
        ),
        (
            "a write does not count as one",
            "r2 &= 8; r2 += r10; *(u64 *)(r2 - 32) = 1; r0 = *(u64 *)(r10 - 32); exit",
            "invalid read from stack off -32+0",
        ),
        (
            "a write changes what was kept",
            "*(u64 *)(r10 - 8) = r1; r2 &= 8; r2 += r10; *(u64 *)(r2 - 16) = 1; r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 0); exit",
            "R2 invalid mem access 'scalar'",
        ),
        (
            "below the frame",
            "r2 &= 8; r2 += r10; *(u64 *)(r2 - 520) = 1; r0 = 0; exit",
            "invalid variable-offset write to stack",
        ),
    ];
    let programs = programs.map(|(what, source, verdict)| (what, format!("{head} {source}"), verdict));
    kprobe(&programs.each_ref().map(|(what, source, verdict)| (*what, source.as_str(), *verdict)));
}

#[test]
fn depth() {
    // 9 functions within each other, and 2 that take too much together.
    let mut nested = String::from("r0 = 0; call f1; exit");
    for n in 1..8 {
        nested += &format!("; f{n}: call f{}; exit", n + 1);
    }
    nested += "; f8: r0 = 0; exit";
    kprobe(&[
        ("nine", &nested, "the call stack of 9 frames is too deep"),
        ("eight", &nested.replace("call f8; exit; f8: ", ""), ""),
        ("for ever", "call f; exit; f: call f; exit", "the call stack of 9 frames is too deep"),
        (
            "together too much",
            "*(u64 *)(r10 - 256) = 1; call f; exit; f: *(u64 *)(r10 - 264) = 1; r0 = 0; exit",
            "combined stack size of 2 calls is 528. Too large",
        ),
        ("one after the other", "call f; call f; exit; f: *(u64 *)(r10 - 480) = 1; r0 = 0; exit", ""),
    ]);
}
