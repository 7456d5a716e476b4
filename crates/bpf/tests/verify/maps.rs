//! Maps: lookups, null, values, keys, and what fits together.

use crate::{kprobe, run};
use bpf::kind::{Attach, Context};
use bpf::verify::MapRef;

/// r0 = a value of the hash, or 0.
const LOOKUP: &str = "*(u64 *)(r10 - 8) = 1; r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem;";
/// r0 = a value of the array, 48 bytes, or 0; r6 is a number.
const ARRAY: &str = "r6 = *(u64 *)(r1 + 0); *(u32 *)(r10 - 4) = 1; r2 = r10; r2 += -4; r1 = map[array]; call map_lookup_elem; if r0 == 0 goto out;";

fn with(head: &str, tail: &str, table: &[(&str, &str, &str)]) {
    for (what, source, verdict) in table {
        kprobe(&[(what, &format!("{head} {source} {tail}"), verdict)]);
    }
}

#[test]
fn null() {
    with(
        LOOKUP,
        "",
        &[
            ("not compared", "r0 = *(u64 *)(r0 + 0); exit", "R0 invalid mem access 'map_value_or_null'"),
            ("compared", "if r0 == 0 goto +1; r0 = *(u64 *)(r0 + 0); exit", ""),
            ("compared the other way", "if r0 != 0 goto +1; exit; r0 = *(u64 *)(r0 + 0); exit", ""),
            (
                "the wrong way",
                "if r0 != 0 goto +2; r0 = *(u64 *)(r0 + 0); exit; r0 = 0; exit",
                "R0 invalid mem access 'scalar'",
            ),
            ("a copy", "r6 = r0; if r0 == 0 goto +1; r0 = *(u64 *)(r6 + 0); exit", ""),
            (
                "a copy on the stack",
                "*(u64 *)(r10 - 16) = r0; if r0 == 0 goto +2; r1 = *(u64 *)(r10 - 16); r0 = *(u64 *)(r1 + 0); exit",
                "",
            ),
            (
                "the comparison of a copy",
                "r6 = r0; if r6 == 0 goto +2; r0 = *(u64 *)(r0 + 0); exit; r0 = 0; exit",
                "",
            ),
            ("compared with a zero register", "r1 = 0; if r0 == r1 goto +1; r0 = *(u64 *)(r0 + 0); exit", ""),
            ("compared with 1", "if r0 == 1 goto +1; r0 = *(u64 *)(r0 + 0); exit", "map_value_or_null"),
            ("compared in 32 bits", "if w0 == 0 goto +1; r0 = *(u64 *)(r0 + 0); exit", "map_value_or_null"),
            ("greater than 0", "if r0 > 0 goto +1; exit; r0 = *(u64 *)(r0 + 0); exit", "map_value_or_null"),
            (
                "added to before",
                "r0 += 4; r0 = 0; exit",
                "R0 pointer arithmetic on map_value_or_null prohibited, null-check it first",
            ),
            ("written", "if r0 == 0 goto +2; *(u64 *)(r0 + 0) = 5; r0 = 0; exit", ""),
            ("an atomic", "if r0 == 0 goto +2; r1 = 1; lock *(u64 *)(r0 + 0) += r1; r0 = 0; exit", ""),
            ("null is 0", "if r0 != 0 goto +2; if r0 == 0 goto +1; r0 = r9; r0 = 0; exit", ""),
            (
                "another lookup is not compared",
                "r6 = r0; *(u64 *)(r10 - 8) = 2; r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem;
             if r0 == 0 goto +1; r0 = *(u64 *)(r6 + 0); exit",
                "R6 invalid mem access 'map_value_or_null'",
            ),
            (
                "equal to one that is not null",
                "r6 = r0; if r0 == r10 goto +1; exit; r0 = *(u64 *)(r6 + 0); exit",
                "",
            ),
        ],
    );
}

#[test]
fn values() {
    with(
        ARRAY,
        "; out: r0 = 0; exit",
        &[
            ("the first bytes", "r0 = *(u64 *)(r0 + 0)", ""),
            ("the last bytes", "r0 = *(u8 *)(r0 + 47)", ""),
            ("not aligned", "r0 = *(u64 *)(r0 + 33)", ""),
            ("beyond", "r0 = *(u64 *)(r0 + 41)", "invalid access to map value, value_size=48 off=41 size=8"),
            ("before", "r0 = *(u8 *)(r0 - 1)", "invalid access to map value, value_size=48 off=-1 size=1"),
            ("far", "r0 = *(u8 *)(r0 + 32767)", "invalid access to map value"),
            ("within bounds", "if r6 > 40 goto out; r0 += r6; r0 = *(u64 *)(r0 + 0)", ""),
            (
                "one too far",
                "if r6 > 41 goto out; r0 += r6; r0 = *(u64 *)(r0 + 0)",
                "R0 max value is outside of the allowed memory range",
            ),
            (
                "no upper bound",
                "r0 += r6; r0 = *(u64 *)(r0 + 0)",
                "math between map_value pointer and register with unbounded min value",
            ),
            ("no lower bound", "if r6 s> 40 goto out; r0 += r6; r0 = *(u8 *)(r0 + 0)", "unbounded min value"),
            (
                "perhaps negative",
                "if r6 s> 40 goto out; if r6 s< -1 goto out; r0 += r6; r0 = *(u8 *)(r0 + 0)",
                "R0 min value is negative",
            ),
            (
                "shifted back",
                "if r6 s> 40 goto out; if r6 s< -1 goto out; r0 += r6; r0 = *(u8 *)(r0 + 1)",
                "",
            ),
            ("a huge index", "w6 = w6; r0 += r6; r0 = *(u8 *)(r0 + 0)", "R0 unbounded memory access"),
            ("an index of 4 bytes", "r6 &= 7; r6 <<= 2; r0 += r6; r0 = *(u32 *)(r0 + 16)", ""),
            ("subtracted", "r6 &= 7; r0 += 8; r0 -= r6; r0 = *(u8 *)(r0 + 0)", ""),
            (
                "subtracted too much",
                "r6 &= 15; r0 += 8; r0 -= r6; r0 = *(u8 *)(r0 + 0)",
                "R0 min value is negative",
            ),
            (
                "a stored address comes back as a number",
                "*(u64 *)(r0 + 0) = r10; r1 = *(u64 *)(r0 + 0); r0 = *(u64 *)(r1 + 0)",
                "R1 invalid mem access 'scalar'",
            ),
            ("an atomic not aligned", "r1 = 1; lock *(u64 *)(r0 + 4) += r1", "misaligned atomic access"),
            (
                "an atomic of an unknown place",
                "r6 &= 15; r0 += r6; r1 = 1; lock *(u32 *)(r0 + 0) += w1",
                "misaligned atomic access",
            ),
            ("an atomic of an aligned place", "r6 &= 12; r0 += r6; r1 = 1; lock *(u32 *)(r0 + 0) += w1", ""),
        ],
    );
}

#[test]
fn keys_and_values_for_helpers() {
    kprobe(&[
        (
            "a key not written",
            "r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem; r0 = 0; exit",
            "invalid indirect read from stack R2 off -8+0 size 8",
        ),
        (
            "a key half written",
            "*(u32 *)(r10 - 8) = 1; r2 = r10; r2 += -8; r1 = map[hash]; call map_lookup_elem; r0 = 0; exit",
            "invalid indirect read from stack R2 off -8+4 size 8",
        ),
        (
            "a key beyond the stack",
            "*(u64 *)(r10 - 8) = 1; r2 = r10; r2 += -4; r1 = map[hash]; call map_lookup_elem; r0 = 0; exit",
            "invalid read from stack R2 off=-4 size=8",
        ),
        (
            "a number as key",
            "r2 = 5; r1 = map[hash]; call map_lookup_elem; r0 = 0; exit",
            "R2 type=scalar expected=fp",
        ),
        (
            "no map",
            "*(u64 *)(r10 - 8) = 1; r2 = r10; r2 += -8; r1 = r10; call map_lookup_elem; r0 = 0; exit",
            "R1 type=fp expected=map_ptr",
        ),
        (
            "a number as map",
            "*(u64 *)(r10 - 8) = 1; r2 = r10; r2 += -8; r1 = 0; call map_lookup_elem; r0 = 0; exit",
            "R1 type=scalar expected=map_ptr",
        ),
        ("no such map", "r1 = map[99]; r0 = 0; exit", "fd 99 is not pointing to valid bpf_map"),
        ("no key", "r1 = map[hash]; call map_lookup_elem; r0 = 0; exit", "R2 !read_ok"),
        (
            "update",
            "*(u64 *)(r10 - 8) = 1; *(u64 *)(r10 - 16) = 1; r2 = r10; r2 += -8; r3 = r10; r3 += -16; r4 = 0; r1 = map[hash]; call map_update_elem; exit",
            "",
        ),
        (
            "update without flags",
            "*(u64 *)(r10 - 8) = 1; r2 = r10; r2 += -8; r3 = r2; r1 = map[hash]; call map_update_elem; exit",
            "R4 !read_ok",
        ),
        (
            "update with an unwritten value",
            "*(u64 *)(r10 - 8) = 1; r2 = r10; r2 += -8; r3 = r10; r3 += -16; r4 = 0; r1 = map[hash]; call map_update_elem; exit",
            "invalid indirect read from stack R3 off -16+0 size 8",
        ),
        (
            "delete",
            "*(u64 *)(r10 - 8) = 1; r2 = r10; r2 += -8; r1 = map[hash]; call map_delete_elem; exit",
            "",
        ),
        (
            "push",
            "*(u64 *)(r10 - 8) = 1; r2 = r10; r2 += -8; r3 = 0; r1 = map[queue]; call map_push_elem; exit",
            "",
        ),
        (
            "pop writes",
            "r2 = r10; r2 += -8; r1 = map[queue]; call map_pop_elem; r0 = *(u64 *)(r10 - 8); exit",
            "",
        ),
        (
            "a bloom filter only reads",
            "r2 = r10; r2 += -8; r1 = map[bloom]; call map_peek_elem; exit",
            "invalid indirect read from stack",
        ),
        (
            "of each CPU",
            "*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r3 = 1; r1 = map[percpu]; call map_lookup_percpu_elem; if r0 == 0 goto +1; r0 = *(u64 *)(r0 + 0); exit",
            "",
        ),
        (
            "a value as key",
            &format!(
                "{LOOKUP} if r0 == 0 goto out; r2 = r0; r1 = map[hash]; call map_lookup_elem; out: r0 = 0; exit"
            ),
            "",
        ),
        (
            "a value that is too short",
            &format!(
                "{LOOKUP} if r0 == 0 goto out; r2 = r0; r2 += 4; r1 = map[hash]; call map_lookup_elem; out: r0 = 0; exit"
            ),
            "invalid access to map value, value_size=8 off=4 size=8",
        ),
    ]);
}

#[test]
fn what_fits() {
    kprobe(&[
        (
            "lookup in a ring",
            "r2 = r10; r1 = map[ring]; call map_lookup_elem; r0 = 0; exit",
            "cannot pass map_type 27 (ringbuf) into func bpf_map_lookup_elem#1",
        ),
        (
            "delete in a queue",
            "r2 = r10; r1 = map[queue]; call map_delete_elem; exit",
            "cannot pass map_type 22 (queue)",
        ),
        (
            "lookup in programs",
            "*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = map[progs]; call map_lookup_elem; r0 = 0; exit",
            "cannot pass map_type 3 (prog_array)",
        ),
        (
            "tail call in a hash",
            "r2 = map[hash]; r3 = 0; call tail_call; r0 = 0; exit",
            "cannot pass map_type 1 (hash) into func bpf_tail_call#12",
        ),
        ("tail call", "r2 = map[progs]; r3 = 0; call tail_call; r0 = 0; exit", ""),
        ("nothing is left of it", "r2 = map[progs]; r3 = 0; call tail_call; exit", "R0 !read_ok"),
        ("stack id", "r2 = map[stacks]; r3 = 0; call get_stackid; exit", ""),
        ("stack id elsewhere", "r2 = map[hash]; r3 = 0; call get_stackid; exit", "cannot pass map_type 1"),
        (
            "output",
            "*(u64 *)(r10 - 8) = 1; r2 = map[events]; r3 = 0; r4 = r10; r4 += -8; r5 = 8; call perf_event_output; exit",
            "",
        ),
        (
            "trie",
            "*(u64 *)(r10 - 8) = 1; r2 = r10; r2 += -8; r1 = map[trie]; call map_lookup_elem; r0 = 0; exit",
            "",
        ),
        (
            "per-CPU lookup of a hash",
            "*(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; r3 = 1; r1 = map[hash]; call map_lookup_percpu_elem; r0 = 0; exit",
            "cannot pass map_type 1",
        ),
    ]);
}

#[test]
fn values_by_address() {
    kprobe(&[
        ("of an array of one", "r1 = map[13][0]+8; r0 = *(u64 *)(r1 + 0); exit", ""),
        ("written", "r1 = map[13][0]+8; *(u64 *)(r1 + 0) = 1; r0 = 0; exit", ""),
        (
            "beyond",
            "r1 = map[13][0]+8; r0 = *(u64 *)(r1 + 1); exit",
            "invalid access to map value, value_size=16 off=9 size=8",
        ),
        (
            "beyond at once",
            "r1 = map[13][0]+16; r0 = 0; exit",
            "invalid access to map value pointer, value_size=16 off=16",
        ),
        (
            "of an array of many",
            "r1 = map[1][0]+0; r0 = 0; exit",
            "direct access to a value of a map of type array, with 16 entries",
        ),
        ("of a hash", "r1 = map[0][0]+0; r0 = 0; exit", "direct access to a value of a map of type hash"),
        (
            "read-only",
            "r1 = map[6][0]+0; *(u8 *)(r1 + 0) = 1; r0 = 0; exit",
            "write into map forbidden, value_size=32",
        ),
        (
            "what stands there is known",
            "r1 = map[6][0]+16; r2 = *(u32 *)(r1 + 0); r2 -= 5; r2 += r10; *(u64 *)(r2 - 8) = 1; r0 = *(u64 *)(r10 - 8); exit",
            "",
        ),
        (
            "with its sign",
            "r1 = map[6][0]+16; r2 = *(s32 *)(r1 + 4); r2 *= 8; r2 += r10; *(u64 *)(r2 + 0) = 1; r0 = *(u64 *)(r10 - 8); exit",
            "",
        ),
        (
            "a branch by it",
            "r1 = map[6][0]+16; r2 = *(u32 *)(r1 + 0); r0 = 0; if r2 == 5 goto +1; r0 = r9; exit",
            "",
        ),
        (
            "not readable",
            "*(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; r1 = map[unread]; call map_lookup_elem; if r0 == 0 goto +1; r0 = *(u64 *)(r0 + 0); exit",
            "read from map forbidden",
        ),
        (
            "not writable by helpers",
            "*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r3 = map[6][0]+0; r4 = 0; r1 = map[rodata]; call map_update_elem; exit",
            "write into map forbidden",
        ),
    ]);
}

#[test]
fn maps_of_maps() {
    let head = "*(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; r1 = map[outer]; call map_lookup_elem;";
    with(
        head,
        "",
        &[
            (
                "the inner one",
                "if r0 == 0 goto +4; r1 = r0; r2 = r10; r2 += -8; call map_lookup_elem; r0 = 0; exit",
                "",
            ),
            (
                "not compared",
                "r1 = r0; r2 = r10; r2 += -8; call map_lookup_elem; r0 = 0; exit",
                "R1 type=map_ptr_or_null expected=map_ptr",
            ),
            (
                "its value",
                "if r0 == 0 goto +5; r1 = r0; r2 = r10; r2 += -8; call map_lookup_elem; if r0 == 0 goto +0; r0 = 0; exit",
                "",
            ),
            (
                "is no memory",
                "if r0 == 0 goto +1; r0 = *(u64 *)(r0 + 0); exit",
                "R0 invalid mem access 'map_ptr'",
            ),
        ],
    );
}

#[test]
fn what_is_used_is_told() {
    let verified =
        run(&Context::of(Attach::Kprobe), &format!("{LOOKUP} r1 = map[#13][0]+0; r0 = 0; exit")).unwrap();
    assert_eq!(verified.maps, [MapRef::Fd(0), MapRef::Index(13)]);
    assert_eq!(verified.helpers, [1]);
    assert_eq!(verified.stack_depth, 16);
}
