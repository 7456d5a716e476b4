//! Functions of the program, and functions that helpers call.

use crate::{kprobe, run};
use bpf::kind::{Attach, Context};

#[test]
fn functions() {
    kprobe(&[
        ("a result", "call f; exit; f: r0 = 7; exit", ""),
        ("no result", "call f; exit; f: exit", "R0 !read_ok"),
        ("no result that is wanted", "call f; r0 = 0; exit; f: exit", ""),
        ("arguments", "r1 = 3; r2 = 4; call f; exit; f: r0 = r1; r0 += r2; exit", ""),
        ("an argument that is not there", "call f; exit; f: r0 = r2; exit", "R2 !read_ok"),
        ("r6 is the caller's", "r6 = 1; call f; r0 = r6; exit; f: r6 = 2; r0 = 0; exit", ""),
        ("r6 is not passed", "r6 = 1; call f; exit; f: r0 = r6; exit", "R6 !read_ok"),
        ("r1 is gone", "r6 = r1; call f; r0 = *(u64 *)(r1 + 0); exit; f: r0 = 0; exit", "R1 !read_ok"),
        ("the context is passed", "call f; exit; f: r0 = *(u64 *)(r1 + 8); exit", ""),
        (
            "the stack is passed",
            "r1 = r10; r1 += -8; call f; r0 = *(u64 *)(r10 - 8); exit; f: *(u64 *)(r1 + 0) = 5; r0 = 0; exit",
            "",
        ),
        (
            "the stack is its own",
            "*(u64 *)(r10 - 8) = 1; call f; exit; f: r0 = *(u64 *)(r10 - 8); exit",
            "invalid read from stack",
        ),
        (
            "the caller's stack has an end",
            "r1 = r10; r1 += -8; call f; exit; f: *(u64 *)(r1 + 8) = 5; r0 = 0; exit",
            "invalid write to stack R1",
        ),
        (
            "the stack is not returned",
            "call f; exit; f: r0 = r10; exit",
            "cannot return stack pointer to the caller",
        ),
        (
            "the caller's stack is returned",
            "r1 = r10; r1 += -8; call f; *(u64 *)(r0 + 0) = 1; r0 = 0; exit; f: r0 = r1; exit",
            "",
        ),
        (
            "the stack is not left behind",
            "r1 = r10; r1 += -8; call f; r0 = 0; exit; f: *(u64 *)(r1 + 0) = r10; r0 = 0; exit",
            "cannot spill pointers to stack into stack frame of the caller",
        ),
        (
            "what is known comes back",
            "call f; r0 += r10; *(u64 *)(r0 + 0) = 1; r0 = 0; exit; f: r0 = -8; exit",
            "",
        ),
        (
            "called twice",
            "r1 = 1; call f; r6 = r0; r1 = 2; call f; r0 += r6; exit; f: r0 = r1; r0 *= 2; exit",
            "",
        ),
        (
            "a lookup",
            "call f; if r0 == 0 goto +1; r0 = *(u64 *)(r0 + 0); exit; f: *(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem; exit",
            "",
        ),
        (
            "a lookup that is not compared",
            "call f; r0 = *(u64 *)(r0 + 0); exit; f: *(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem; exit",
            "map_value_or_null",
        ),
        (
            "compared by a function",
            "*(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem; r6 = r0; r1 = r0; call f; if r0 == 0 goto +1; r0 = *(u64 *)(r6 + 0); exit; f: r0 = 0; if r1 == 0 goto +1; r0 = 1; exit",
            "",
        ),
        ("never called", "r0 = 0; if r0 == 0 goto +1; call f; exit; f: r0 = r9; exit", ""),
    ]);
}

#[test]
fn what_is_never_reached_is_a_jump_to_itself() {
    let source = "r0 = 0; if r0 == 0 goto out; r1 = 5 ll; call f; out: exit; f: r0 = r9; exit";
    let verified = run(&Context::of(Attach::Kprobe), source).unwrap();
    let opcodes: Vec<u8> = verified.program.slots().iter().map(|slot| slot.opcode).collect();
    assert_eq!(opcodes, [0xb7, 0x15, 0x05, 0x05, 0x05, 0x95, 0x05, 0x05]);
    assert_eq!(verified.frames, [(0, 0)]);
}

#[test]
fn loop_helper() {
    let call = |count: &str, body: &str| {
        format!(
            "*(u64 *)(r10 - 8) = 0; {count}; r2 = code[f]; r3 = r10; r3 += -8; r4 = 0; call loop;
             r0 = *(u64 *)(r10 - 8); exit; f: {body}"
        )
    };
    kprobe(&[
        ("counts", &call("r1 = 100", "r0 = *(u64 *)(r2 + 0); r0 += 1; *(u64 *)(r2 + 0) = r0; r0 = 0; exit"), ""),
        ("counts to an unknown number", &call("r1 = *(u64 *)(r1 + 0)", "r0 = *(u64 *)(r2 + 0); r0 += r1; *(u64 *)(r2 + 0) = r0; r0 = 0; exit"), ""),
        ("its index is bounded", &call("r1 = 8", "r1 <<= 3; r1 += r10; r3 = 0; *(u64 *)(r1 - 64) = r3; r0 = 0; exit"), ""),
        ("its index is not below that", &call("r1 = 9", "r1 <<= 3; r1 += r10; r3 = 0; *(u64 *)(r1 - 64) = r3; r0 = 0; exit"), "invalid variable-offset write to stack"),
        ("ends early", &call("r1 = 8", "r0 = 1; exit"), ""),
        ("another result", &call("r1 = 8", "r0 = 2; exit"), "At callback return the register R0 has value 2, should have been in [0, 1]"),
        ("no result", &call("r1 = 8", "exit"), "R0 !read_ok"),
        ("an unknown result", &call("r1 = 8", "r0 = r1; exit"), "At callback return the register R0 has"),
        ("beyond its data", &call("r1 = 8", "r0 = *(u64 *)(r2 + 8); r0 = 0; exit"), "invalid read from stack"),
        ("nothing else is passed", &call("r1 = 8", "r0 = r3; exit"), "R3 !read_ok"),
        ("never", &call("r1 = 0", "r0 = r9; exit"), ""),
        ("itself a loop", &call("r1 = 8", "r1 = 4; r3 = r2; r2 = code[g]; r4 = 0; call loop; r0 = 0; exit; g: r0 = *(u64 *)(r2 + 0); r0 += 1; *(u64 *)(r2 + 0) = r0; r0 = 0; exit"), ""),
        ("destroys what is needed later", "*(u64 *)(r10 - 8) = r1; r1 = 4; r2 = code[f]; r3 = r10; r3 += -8; r4 = 0; call loop; r1 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r1 + 0); exit; f: *(u64 *)(r2 + 0) = 5; r0 = 0; exit", "R1 invalid mem access 'scalar'"),
        ("destroys what its next round needs", "*(u64 *)(r10 - 8) = r1; r1 = 4; r2 = code[f]; r3 = r10; r3 += -8; r4 = 0; call loop; r0 = 0; exit; f: r1 = *(u64 *)(r2 + 0); r0 = *(u64 *)(r1 + 0); *(u64 *)(r2 + 0) = 5; r0 = 0; exit", "R1 invalid mem access 'scalar'"),
        ("an index that grows", &call("r1 = 100", "r0 = *(u64 *)(r2 + 0); if r0 > 7 goto +6; r1 = r0; r1 <<= 3; r1 += r10; r3 = 0; *(u64 *)(r1 - 64) = r3; r0 += 1; *(u64 *)(r2 + 0) = r0; r0 = 0; exit"), ""),
        ("an index that grows too far", &call("r1 = 100", "r0 = *(u64 *)(r2 + 0); r1 = r0; r1 <<= 3; r1 += r10; r3 = 0; *(u64 *)(r1 - 64) = r3; r0 += 1; *(u64 *)(r2 + 0) = r0; r0 = 0; exit"), "invalid write to stack"),
        ("keeps a record", &call("r1 = 8", "r1 = map[ring]; r2 = 8; r3 = 0; call ringbuf_reserve; r0 = 0; exit"), "Unreleased reference"),
        ("writes a record", &call("r1 = 8", "r1 = map[ring]; r2 = 8; r3 = 0; call ringbuf_reserve; if r0 == 0 goto +3; r1 = r0; r2 = 0; call ringbuf_submit; r0 = 0; exit"), ""),
        ("no function", "r1 = 1; r2 = 0; r3 = 0; r4 = 0; call loop; r0 = 0; exit", "R2 type=scalar expected=func"),
        ("data that is no stack", "r1 = 1; r2 = code[f]; r3 = map[hash]; r4 = 0; call loop; r0 = 0; exit; f: r0 = 0; exit", "R3 type=map_ptr expected=fp"),
        ("no data", "r1 = 1; r2 = code[f]; r3 = 0; r4 = 0; call loop; r0 = 0; exit; f: r0 = 0; exit", ""),
        (
            "gives back a record of the caller in each round",
            "r1 = map[ring]; r2 = 8; r3 = 0; call ringbuf_reserve; if r0 == 0 goto out; *(u64 *)(r10 - 8) = r0;
             r1 = 2; r2 = code[f]; r3 = r10; r3 += -8; r4 = 0; call loop; out: r0 = 0; exit;
             f: r1 = *(u64 *)(r2 + 0); r2 = 0; call ringbuf_submit; r0 = 0; exit",
            "Unreleased reference",
        ),
    ]);
}

#[test]
fn elements() {
    let call = |body: &str| {
        format!(
            "r1 = map[hash]; r2 = code[f]; r3 = 0; r4 = 0; call for_each_map_elem; r0 = 0; exit; f: {body}"
        )
    };
    kprobe(&[
        (
            "key and value",
            &call("r0 = *(u64 *)(r2 + 0); r1 = *(u64 *)(r3 + 0); *(u64 *)(r3 + 0) = 1; r0 = 0; exit"),
            "",
        ),
        (
            "beyond the key",
            &call("r0 = *(u64 *)(r2 + 4); r0 = 0; exit"),
            "invalid access to map key, key_size=8 off=4 size=8",
        ),
        ("beyond the value", &call("r0 = *(u64 *)(r3 + 4); r0 = 0; exit"), "invalid access to map value"),
        ("delete", &call("call map_delete_elem; r0 = 0; exit"), ""),
        ("in a ring", &call("r0 = 0; exit").replace("map[hash]", "map[ring]"), "cannot pass map_type 27"),
    ]);
}
