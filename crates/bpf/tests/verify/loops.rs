//! Loops, the limits, and programs as they are written.

use crate::{kprobe, run, run_within};
use bpf::kind::{Attach, Context};
use bpf::verify::{Limits, Rule};

#[test]
fn loops() {
    kprobe(&[
        ("to a number", "r0 = 0; l: r0 += 1; if r0 < 1000 goto l; exit", ""),
        ("down to zero", "r0 = 100; l: r0 += -1; if r0 != 0 goto l; exit", ""),
        ("for ever", "r0 = 0; l: goto l", "infinite loop detected"),
        ("for ever with a branch", "r0 = 0; l: if r0 == 0 goto l; exit", "infinite loop detected"),
        (
            "for ever in a circle",
            "r0 = 0; l: r0 = 1; r0 = 0; if r0 == 0 goto l; exit",
            "infinite loop detected",
        ),
        ("perhaps for ever", "l: call get_prandom_u32; if r0 != 0 goto l; exit", "infinite loop detected"),
        (
            "to an unknown number",
            "r2 = *(u64 *)(r1 + 0); r0 = 0; l: r0 += 1; if r0 < r2 goto l; exit",
            "BPF program is too large",
        ),
        (
            "to a bounded number",
            "r2 = *(u64 *)(r1 + 0); r2 &= 63; r0 = 0; l: r0 += 1; if r0 < r2 goto l; exit",
            "",
        ),
        (
            "over the stack",
            "r2 = r10; r2 += -64; r3 = 0; l: *(u64 *)(r2 + 0) = r3; r2 += 8; r3 += 1; if r3 < 8 goto l; r0 = *(u64 *)(r10 - 8); exit",
            "",
        ),
        (
            "over more than the stack",
            "r2 = r10; r2 += -64; r3 = 0; l: *(u64 *)(r2 + 0) = r3; r2 += 8; r3 += 1; if r3 < 9 goto l; r0 = 0; exit",
            "invalid write to stack",
        ),
        (
            "with a branch in each round",
            "r6 = r1; r7 = 0; r8 = 0; l: r2 = *(u64 *)(r6 + 0); if r2 == 5 goto +1; r8 += 1; r7 += 1; if r7 < 100 goto l; r0 = r8; exit",
            "",
        ),
        (
            "within a loop",
            "r6 = 0; o: r7 = 0; i: r7 += 1; if r7 < 20 goto i; r6 += 1; if r6 < 20 goto o; r0 = 0; exit",
            "",
        ),
    ]);
}

#[test]
fn many_branches_meet_again() {
    // 2^60 paths, and at each meeting nothing that is needed later differs.
    let mut source = String::from("r6 = r1; r7 = 0; r8 = 0;\n");
    for n in 0..60 {
        source += &format!(
            "r2 = *(u64 *)(r6 + {}); if r2 == {n} goto +1; r7 += 3; r8 ^= r7; *(u64 *)(r10 - 8) = r2\n",
            n % 34 * 8
        );
    }
    source += "r0 = r7; exit";
    let verified = run(&Context::of(Attach::Kprobe), &source).unwrap();
    assert!(verified.processed < 3000, "{} insns", verified.processed);
}

/// The same, but in the end each branch was needed.
#[test]
fn what_is_needed_is_not_forgotten() {
    let mut source = String::from("r6 = r1; r7 = 0;\n");
    for n in 0..20 {
        source += &format!("r2 = *(u64 *)(r6 + {}); if r2 == {n} goto +1; r7 += 1\n", n * 8);
    }
    // Room for 20 bytes, and the sum goes up to 20.
    let fits = format!("{source} r7 += r10; *(u8 *)(r7 - 21) = 1; r0 = 0; exit");
    let does_not = format!("{source} r7 += r10; *(u8 *)(r7 - 20) = 1; r0 = 0; exit");
    kprobe(&[("fits", &fits, ""), ("does not fit", &does_not, "invalid write to stack R7 off=0 size=1")]);
}

#[test]
fn needs_go_back_over_copies() {
    let head = "r6 = r1; r7 = 8; r2 = *(u64 *)(r6 + 0); if r2 == 1 goto +1; r7 = 0;
                r3 = *(u64 *)(r6 + 8); if r3 == 1 goto +1; r3 = 0; if r3 == 2 goto +1; r3 = 0;";
    kprobe(&[
        (
            "through the stack",
            &format!(
                "{head} *(u64 *)(r10 - 8) = r7; r4 = *(u64 *)(r6 + 16); if r4 == 7 goto +1; r4 = 0; if r4 == 9 goto +0; r8 = *(u64 *)(r10 - 8); r8 += r10; *(u64 *)(r8 - 8) = 1; r0 = 0; exit"
            ),
            "invalid write to stack R8 off=0",
        ),
        (
            "through a function",
            &format!(
                "{head} r1 = r7; call f; r0 += r10; *(u64 *)(r0 - 8) = 1; r0 = 0; exit; f: r0 = r1; exit"
            ),
            "invalid write to stack R0 off=0",
        ),
        (
            "through a sum",
            &format!(
                "{head} r8 = 0; r8 += r7; r4 = *(u64 *)(r6 + 16); if r4 == 7 goto +1; r4 = 0; if r4 == 9 goto +0; r8 += r10; *(u64 *)(r8 - 8) = 1; r0 = 0; exit"
            ),
            "invalid write to stack R8 off=0",
        ),
        (
            "through a comparison",
            &format!(
                "{head} r4 = *(u64 *)(r6 + 16); if r4 == 7 goto +1; r4 = 0; r0 = 0; if r7 == 0 goto +1; r0 = r9; exit"
            ),
            "R9 !read_ok",
        ),
        (
            "as a size",
            &format!("{head} r1 = r10; r1 += -7; r2 = r7; r3 = 0; call probe_read_kernel; r0 = 0; exit"),
            "invalid write to stack R1 off=-7 size=8",
        ),
    ]);
}

/// Two ways that meet, long before what differs is used: the first one fits, the second one does not.
#[test]
fn what_differs_is_found_behind_a_meeting() {
    // Enough branches for a state to be remembered.
    let pad = "r3 = *(u64 *)(r6 + 8); if r3 == 5 goto +1; r4 = 1;".repeat(6);
    let two = |first: &str, second: &str, used: &str| {
        format!(
            "r6 = r1; *(u64 *)(r10 - 8) = 0; *(u64 *)(r10 - 16) = 0; r7 = *(u64 *)(r6 + 16); r2 = *(u64 *)(r6 + 0);
             if r2 == 1 goto second; {first}; goto meet; second: {second}; meet: {pad} {used}; out: r0 = 0; exit"
        )
    };
    let word = "r8 = *(u64 *)(r10 - 24); r8 += r10; r0 = *(u64 *)(r8 - 8)";
    let bounded = "if r7 > 8 goto out; r3 = r10; r3 += -16; r3 += r8; r0 = *(u8 *)(r3 + 7)";
    for (what, first, second, used, verdict) in [
        (
            "a number on the stack",
            "*(u64 *)(r10 - 24) = 0",
            "*(u64 *)(r10 - 24) = 8",
            word,
            "invalid read from stack R8",
        ),
        ("the same number", "*(u64 *)(r10 - 24) = 0", "*(u64 *)(r10 - 24) = 0", word, ""),
        ("not written", "*(u64 *)(r10 - 24) = 0", "r8 = 0", word, "invalid read from stack off -24"),
        (
            "half written",
            "*(u64 *)(r10 - 24) = 0",
            "*(u32 *)(r10 - 24) = 0",
            word,
            "invalid read from stack off -24",
        ),
        (
            "an address",
            "*(u64 *)(r10 - 24) = 0",
            "*(u64 *)(r10 - 24) = r6",
            word,
            "R8 pointer += pointer prohibited",
        ),
        (
            "read by a helper",
            "*(u64 *)(r10 - 24) = 0",
            "r8 = 0",
            "r2 = r10; r2 += -24; r1 = map[hash]; call map_lookup_elem",
            "invalid indirect read from stack",
        ),
        (
            "a part, read by a helper",
            "*(u64 *)(r10 - 24) = 0",
            "*(u8 *)(r10 - 23) = 0",
            "r2 = r10; r2 += -24; r1 = map[hash]; call map_lookup_elem",
            "invalid indirect read from stack",
        ),
        ("a copy", "r8 = r7", "r8 = r7", bounded, ""),
        ("no copy", "r8 = r7", "r8 = *(u64 *)(r6 + 24)", bounded, "math between fp"),
        (
            "a copy of another",
            "r8 = r7",
            "r9 = r7; r8 = *(u64 *)(r6 + 24); r9 = r8",
            bounded,
            "math between fp",
        ),
        (
            "a zero that is stored and overwritten in part",
            "r8 = 0",
            "r8 = 8",
            "*(u64 *)(r10 - 24) = r8; *(u8 *)(r10 - 17) = 0; r8 = *(u64 *)(r10 - 24); r8 += r10; r0 = *(u64 *)(r8 - 8)",
            "unbounded min value",
        ),
        (
            "null or not",
            "r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem; r8 = r0; if r8 == 0 goto out",
            "r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem; r8 = r0",
            "r0 = *(u64 *)(r8 + 0)",
            "R8 invalid mem access 'map_value_or_null'",
        ),
        (
            "two lookups or one",
            "r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem; r8 = r0; r9 = r0",
            "r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem; r8 = r0; r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem; r9 = r0",
            "if r8 == 0 goto out; r0 = *(u64 *)(r9 + 0)",
            "R9 invalid mem access 'map_value_or_null'",
        ),
    ] {
        kprobe(&[(what, &two(first, second, used), verdict)]);
    }
}

#[test]
fn limits() {
    let source = "r0 = 0; l: r0 += 1; if r0 < 1000 goto l; exit";
    let context = Context::of(Attach::Kprobe);
    let few = run_within(&context, source, Limits { insns: 500, ..Limits::default() }).unwrap_err();
    assert_eq!((few.rule, few.processed), (Rule::Complexity, 500));
    assert_eq!(few.reason, "BPF program is too large. Processed 501 insn, at most 500");
    let little = run_within(&context, source, Limits { memory: 10_000, ..Limits::default() }).unwrap_err();
    assert_eq!(little.reason, "what is to be remembered of it takes more than 10000 bytes");
    let narrow = run_within(
        &context,
        "r2 = *(u64 *)(r1 + 0); if r2 == 1 goto o; if r2 == 2 goto o; if r2 == 3 goto o; o: r0 = 0; exit",
        Limits { branches: 2, ..Limits::default() },
    );
    assert_eq!(narrow.unwrap_err().reason, "The sequence of 2 jumps is too complex.");
}

/// What a refusal looks like.
#[test]
fn a_log() {
    let source = "r6 = r1; *(u64 *)(r10 - 8) = 7; r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem;
                  r1 = *(u64 *)(r6 + 0); if r1 != 3 goto +1; r0 = 0; r0 = *(u64 *)(r0 + 0); exit";
    let rejection = run(&Context::of(Attach::Kprobe), source).unwrap_err();
    assert_eq!(
        rejection.to_string(),
        "insn 10: R0 invalid mem access 'scalar'\n  \
           10: r0 = *(u64 *)(r0 + 0)\n\
         path:\n  \
           8: if r1 != 3 goto +1  (not taken)\n\
         registers: R0=0 R10=fp0 fp-8=7\n\
         hint: only addresses can be accessed: a number from memory is read with probe_read_kernel\n\
         processed 10 insns"
    );
    assert_eq!(rejection.rule.errno(), 13);
}
