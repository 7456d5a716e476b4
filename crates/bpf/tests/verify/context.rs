//! Contexts: each kind of program has its own table.

use bpf::kind::{Attach, Context};

use crate::{check, run, typed};

#[test]
fn registers_of_a_kprobe() {
    check(
        &Context::of(Attach::Kprobe),
        &[
            ("x0", "r0 = *(u64 *)(r1 + 0); exit", ""),
            ("pstate", "r0 = *(u64 *)(r1 + 264); exit", ""),
            ("its low half", "r0 = *(u32 *)(r1 + 256); exit", ""),
            ("a byte", "r0 = *(u8 *)(r1 + 7); exit", ""),
            ("sign-extended", "r0 = *(s32 *)(r1 + 8); exit", ""),
            (
                "beyond",
                "r0 = *(u64 *)(r1 + 272); exit",
                "invalid bpf_context access off=272 size=8 in pt_regs",
            ),
            ("before", "r0 = *(u64 *)(r1 - 8); exit", "invalid bpf_context access off=-8 size=8"),
            ("across two", "r0 = *(u64 *)(r1 + 4); exit", "invalid bpf_context access off=4 size=8"),
            ("written", "*(u64 *)(r1 + 0) = 1; r0 = 0; exit", "`x0` cannot be written"),
            (
                "an atomic",
                "r2 = 1; lock *(u64 *)(r1 + 0) += r2; r0 = 0; exit",
                "BPF_ATOMIC stores into R1 ctx is not allowed",
            ),
            ("through a copy", "r6 = r1; r0 = *(u64 *)(r6 + 8); exit", ""),
            ("with an offset", "r1 += 8; r0 = *(u64 *)(r1 + 8); exit", ""),
            (
                "anywhere",
                "r2 = *(u64 *)(r1 + 0); r2 &= 8; r1 += r2; r0 = *(u64 *)(r1 + 0); exit",
                "variable ctx access",
            ),
            ("r2 is not there", "r0 = r2; exit", "R2 !read_ok"),
            (
                "here the context, there the stack",
                "*(u64 *)(r10 - 8) = 0; r2 = *(u64 *)(r1 + 0); r3 = r1; if r2 == 0 goto +2; r3 = r10; r3 += -8; r0 = *(u64 *)(r3 + 0); exit",
                "same insn cannot be used with different pointers",
            ),
        ],
    );
}

#[test]
fn registers_that_are_not_saved() {
    let missing = |attach, off: i32| {
        let refused = run(&Context::of(attach), &format!("r0 = *(u64 *)(r1 + {off}); exit"));
        refused.err().map(|rejection| rejection.reason)
    };
    assert_eq!(
        missing(Attach::KprobeMulti, 19 * 8).unwrap(),
        "invalid bpf_context access off=152 size=8 in pt_regs: register x19 is not saved here; programs attached as \
         kprobe, perf_event have it"
    );
    assert_eq!(
        missing(Attach::KretprobeMulti, 240).unwrap(),
        "invalid bpf_context access off=240 size=8 in pt_regs: register x30 is not saved here; programs attached as \
         kprobe, kprobe.multi, fprobe, perf_event have it"
    );
    assert_eq!(missing(Attach::KprobeMulti, 240), None);
    assert!(missing(Attach::KprobeMulti, 264).unwrap().contains("register pstate is not saved"));
    assert!(missing(Attach::FprobeEntry, 80).unwrap().contains("nothing lies there"));
}

/// The access goes where the register really is.
#[test]
fn accesses_are_rewritten() {
    let offsets = |attach, source| -> Vec<i16> {
        let verified = run(&Context::of(attach), source).unwrap();
        verified.program.slots().iter().map(|slot| slot.off).collect()
    };
    let source = "r2 = *(u64 *)(r1 + 8); r0 = *(u64 *)(r1 + 256); r1 += 8; r3 = *(u32 *)(r1 + 236); exit";
    assert_eq!(offsets(Attach::Kprobe, source), [8, 256, 0, 236, 0]);
    assert_eq!(offsets(Attach::KprobeMulti, source), [8, 88, 0, 104 + 4 - 8, 0]);
    assert_eq!(run(&Context::of(Attach::KprobeMulti), source).unwrap().context_bytes, 112);
}

#[test]
fn typed_arguments() {
    check(
        &typed(Attach::Fentry),
        &[
            ("a number", "r2 = *(u64 *)(r1 + 8); r0 = 0; exit", ""),
            ("through a pointer", "r2 = *(u64 *)(r1 + 0); r3 = *(u64 *)(r2 + 0); r0 = 0; exit", ""),
            (
                "a chain",
                "r2 = *(u64 *)(r1 + 0); r2 = *(u64 *)(r2 + 8); r2 = *(u64 *)(r2 + 8); r3 = *(u8 *)(r2 + 17); r0 = 0; exit",
                "",
            ),
            (
                "a number is no pointer",
                "r2 = *(u64 *)(r1 + 0); r2 = *(u64 *)(r2 + 0); r3 = *(u64 *)(r2 + 0); r0 = 0; exit",
                "R2 invalid mem access 'scalar'",
            ),
            (
                "half a pointer",
                "r2 = *(u64 *)(r1 + 0); r2 = *(u32 *)(r2 + 8); r3 = *(u64 *)(r2 + 0); r0 = 0; exit",
                "R2 invalid mem access 'scalar'",
            ),
            (
                "beyond",
                "r2 = *(u64 *)(r1 + 0); r3 = *(u64 *)(r2 + 32); r0 = 0; exit",
                "access beyond struct thing at off 32 size 8",
            ),
            (
                "before",
                "r2 = *(u64 *)(r1 + 0); r3 = *(u64 *)(r2 - 8); r0 = 0; exit",
                "access beyond struct thing",
            ),
            (
                "written",
                "r2 = *(u64 *)(r1 + 0); *(u64 *)(r2 + 0) = 1; r0 = 0; exit",
                "R2 invalid mem access 'ptr_thing'",
            ),
            (
                "anywhere",
                "r2 = *(u64 *)(r1 + 0); r3 = *(u64 *)(r1 + 8); r3 &= 7; r2 += r3; r4 = *(u8 *)(r2 + 0); r0 = 0; exit",
                "invalid variable offset",
            ),
            (
                "a part of the argument",
                "r2 = *(u32 *)(r1 + 0); r0 = 0; exit",
                "`arg0` can only be read as a whole",
            ),
            ("no third one", "r2 = *(u64 *)(r1 + 16); r0 = 0; exit", "invalid bpf_context access off=16"),
            (
                "compared with 0",
                "r2 = *(u64 *)(r1 + 0); r0 = 0; if r2 == 0 goto +1; r3 = *(u64 *)(r2 + 0); exit",
                "",
            ),
            (
                "may be 0 all the same",
                "r2 = *(u64 *)(r1 + 0); r0 = 0; if r2 == 0 goto +1; exit; r0 = r9; exit",
                "R9 !read_ok",
            ),
            (
                "another result",
                "r0 = 1; exit",
                "At program exit the register R0 has value 1, should have been in [0, 0]",
            ),
            (
                "an unknown result",
                "r0 = *(u64 *)(r1 + 8); exit",
                "At program exit the register R0 has unknown scalar value",
            ),
            ("an address as result", "r0 = r10; exit", "At program exit the register R0 is fp"),
            (
                "as memory for a helper",
                "r2 = *(u64 *)(r1 + 0); r1 = map[hash]; call map_lookup_elem; r0 = 0; exit",
                "R2 type=ptr_thing expected=fp",
            ),
        ],
    );
    check(&typed(Attach::Fexit), &[("the result", "r2 = *(u64 *)(r1 + 16); r0 = 0; exit", "")]);
    check(&typed(Attach::FmodRet), &[("any result", "r0 = *(u64 *)(r1 + 8); exit", "")]);
    let verified = run(&typed(Attach::Fentry), "r2 = *(u64 *)(r1 + 0); r3 = *(u64 *)(r2 + 0); r0 = 0; exit");
    assert_eq!(verified.unwrap().probe_reads, [1]);
}

#[test]
fn records_memory_and_samples() {
    check(
        &Context::record(32),
        &[
            ("a field", "r0 = *(u32 *)(r1 + 8); exit", ""),
            ("the head", "r0 = *(u32 *)(r1 + 4); exit", "invalid bpf_context access off=4 size=4 in record"),
            ("beyond", "r0 = *(u64 *)(r1 + 32); exit", "invalid bpf_context access"),
        ],
    );
    check(
        &Context::of(Attach::PerfEvent),
        &[
            ("pc", "r0 = *(u64 *)(r1 + 256); exit", ""),
            ("period", "r0 = *(u64 *)(r1 + 272); exit", ""),
            ("addr", "r0 = *(u64 *)(r1 + 280); exit", ""),
            ("beyond", "r0 = *(u64 *)(r1 + 288); exit", "invalid bpf_context access"),
        ],
    );
    check(
        &Context::memory(16),
        &[
            ("all", "r0 = *(u64 *)(r1 + 8); exit", ""),
            ("misaligned", "r0 = *(u64 *)(r1 + 3); exit", ""),
            ("written", "*(u8 *)(r1 + 15) = 1; r0 = 0; exit", ""),
            ("beyond", "r0 = *(u64 *)(r1 + 9); exit", "invalid access to memory, mem_size=16 off=9 size=8"),
            ("its length", "r0 = 0; if r2 == 16 goto +1; r0 = r9; exit", ""),
            (
                "a sum of all",
                "r0 = 0; r3 = 0; l: r4 = r1; r4 += r3; r5 = *(u8 *)(r4 + 0); r0 += r5; r3 += 1; if r3 < r2 goto l; exit",
                "",
            ),
            (
                "one too many",
                "r0 = 0; r3 = 0; l: r4 = r1; r4 += r3; r5 = *(u8 *)(r4 + 0); r0 += r5; r3 += 1; if r3 <= r2 goto l; exit",
                "invalid access to memory",
            ),
            ("an atomic", "r2 = 1; lock *(u64 *)(r1 + 8) += r2; r0 = 0; exit", ""),
            (
                "an atomic that is not aligned",
                "r2 = 1; lock *(u64 *)(r1 + 4) += r2; r0 = 0; exit",
                "misaligned atomic access off 4 size 8",
            ),
        ],
    );
    let open = Context::of(Attach::Syscall);
    let needs = |source| run(&open, source).unwrap().context_bytes;
    assert_eq!(needs("r0 = *(u32 *)(r1 + 100); exit"), 104);
    assert_eq!(needs("*(u8 *)(r1 + 5) = 1; r0 = r2; exit"), 6);
    assert_eq!(needs("r2 = 24; r3 = 0; r4 = 0; r5 = 0; call trace_printk; r0 = 0; exit"), 24);
}
