//! Helpers: who may call them, memory and sizes, records, locks, timers, texts.

use crate::{check, kprobe, typed};
use bpf::kind::{Attach, Context};

#[test]
fn who_may_call() {
    kprobe(
        &[
            ("unknown", "call 9999; exit", "invalid func unknown#9999"),
            ("zero", "call 0; exit", "invalid func unknown#0"),
            ("negative", "call -1; exit", "invalid func unknown#-1"),
            (
                "arguments of a function",
                "r2 = 0; r3 = r10; call get_func_arg; exit",
                "program of this type (kprobe) cannot use helper bpf_get_func_arg#183",
            ),
            ("its address", "call get_func_ip; exit", ""),
            ("a cookie", "call get_attach_cookie; exit", ""),
            ("a kernel function", "call kernel[5]; exit", ""),
        ]
        .map(|(a, b, c)| if b.contains("kernel[") { (a, "r0 = 0; exit", c) } else { (a, b, c) }),
    );
    check(
        &typed(Attach::Fentry),
        &[
            (
                "an argument",
                "r2 = 0; r3 = r10; r3 += -8; call get_func_arg; r1 = *(u64 *)(r10 - 8); r0 = 0; exit",
                "",
            ),
            (
                "the result",
                "r2 = r10; r2 += -8; call get_func_ret; r0 = 0; exit",
                "cannot use helper bpf_get_func_ret#184",
            ),
            ("how many", "call get_func_arg_cnt; r0 = 0; exit", ""),
        ],
    );
    check(
        &typed(Attach::Fexit),
        &[("the result", "r2 = r10; r2 += -8; call get_func_ret; r0 = 0; exit", "")],
    );
    check(
        &Context::of(Attach::Tracepoint),
        &[(
            "no function",
            "call get_func_ip; exit",
            "program of this type (tracepoint) cannot use helper bpf_get_func_ip#173",
        )],
    );
}

#[test]
fn memory_and_sizes() {
    kprobe(&[
        (
            "so much",
            "r6 = *(u64 *)(r1 + 0); r1 = r10; r1 += -16; r2 = 16; r3 = r6; call probe_read_kernel; r0 = *(u64 *)(r10 - 16); exit",
            "",
        ),
        (
            "too much",
            "r1 = r10; r1 += -16; r2 = 17; r3 = 0; call probe_read_kernel; exit",
            "invalid write to stack R1 off=-16 size=17",
        ),
        ("nothing", "r1 = r10; r1 += -16; r2 = 0; r3 = 0; call probe_read_kernel; exit", ""),
        (
            "nothing where something is wanted",
            "r1 = r10; r1 += -16; r2 = 0; call get_current_comm; exit",
            "R2 invalid zero-sized read",
        ),
        (
            "a negative size",
            "r1 = r10; r1 += -16; r2 = -1; r3 = 0; call probe_read_kernel; exit",
            "R2 min value is negative, either use unsigned or 'var &= const'",
        ),
        (
            "any size",
            "r2 = *(u64 *)(r1 + 0); r1 = r10; r1 += -16; r3 = 0; call probe_read_kernel; exit",
            "R2 min value is negative",
        ),
        (
            "a size of 32 bits",
            "r2 = *(u32 *)(r1 + 0); r1 = r10; r1 += -16; r3 = 0; call probe_read_kernel; exit",
            "R2 unbounded memory access, use 'var &= const' or 'if (var < const)'",
        ),
        (
            "a bounded size of what was not written",
            "r2 = *(u64 *)(r1 + 0); r2 &= 15; r1 = r10; r1 += -16; r3 = 0; call probe_read_kernel; exit",
            "invalid indirect read from stack R1 off -16+0 size 15",
        ),
        (
            "a bounded size",
            "*(u64 *)(r10 - 8) = 0; *(u64 *)(r10 - 16) = 0; r2 = *(u64 *)(r1 + 0); r2 &= 15; r1 = r10; r1 += -16; r3 = 0; call probe_read_kernel; r0 = *(u64 *)(r10 - 8); exit",
            "",
        ),
        (
            "a bounded size that is too great",
            "*(u64 *)(r10 - 8) = 0; *(u64 *)(r10 - 16) = 0; r2 = *(u64 *)(r1 + 0); r2 &= 31; r1 = r10; r1 += -16; r3 = 0; call probe_read_kernel; exit",
            "invalid write to stack R1",
        ),
        (
            "a size that is an address",
            "r1 = r10; r1 += -16; r2 = r10; r3 = 0; call probe_read_kernel; exit",
            "R2 type=fp expected=scalar",
        ),
        (
            "memory that is a number",
            "r1 = 0; r2 = 8; r3 = 0; call probe_read_kernel; exit",
            "R1 type=scalar expected=fp",
        ),
        (
            "memory that is a map",
            "r1 = map[hash]; r2 = 8; r3 = 0; call probe_read_kernel; exit",
            "R1 type=map_ptr expected=fp",
        ),
        ("the context as memory", "r2 = 8; r3 = 0; call probe_read_kernel; exit", "R1 type=ctx expected=fp"),
        (
            "what it wrote is a number",
            "*(u64 *)(r10 - 8) = r1; r1 = r10; r1 += -8; r2 = 8; r3 = 0; call probe_read_kernel; r1 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r1 + 0); exit",
            "R1 invalid mem access 'scalar'",
        ),
        (
            "what it wrote in part",
            "r1 = r10; r1 += -16; r2 = 9; r3 = 0; call probe_read_kernel; r0 = *(u64 *)(r10 - 8); exit",
            "invalid read from stack off -8+1 size 8",
        ),
        (
            "its length bounds a result",
            "r1 = r10; r1 += -16; r2 = 16; r3 = 0; call probe_read_kernel_str; if r0 s< 0 goto +4; r0 += r10; r0 += -16; r1 = 0; *(u8 *)(r0 - 1) = r1; r0 = 0; exit",
            "",
        ),
        ("a message", "*(u64 *)(r10 - 8) = 0x6f6c; r1 = r10; r1 += -8; r2 = 3; call trace_printk; exit", ""),
        (
            "a whole message",
            "*(u64 *)(r10 - 8) = 0x6f6c; r1 = r10; r1 += -8; r2 = 3; r3 = 0; r4 = 0; r5 = 0; call trace_printk; exit",
            "",
        ),
        (
            "a number",
            "*(u64 *)(r10 - 8) = 0x37; r1 = r10; r1 += -8; r2 = 8; r3 = 10; r4 = r10; r4 += -16; call strtol; r0 = *(u64 *)(r10 - 16); exit",
            "",
        ),
        (
            "the processor's number",
            "call get_smp_processor_id; r0 <<= 3; r0 += r10; r1 = 0; *(u64 *)(r0 - 32) = r1; r0 = 0; exit",
            "",
        ),
        (
            "a modified context",
            "r1 += 8; r2 = map[stacks]; r3 = 0; call get_stackid; exit",
            "dereference of modified ctx ptr R1",
        ),
        (
            "no context",
            "r1 = r10; r2 = map[stacks]; r3 = 0; call get_stackid; exit",
            "R1 type=fp expected=ctx",
        ),
        (
            "the stack of the task",
            "call get_current_task_btf; r1 = r0; r2 = r10; r2 += -64; r3 = 64; r4 = 0; call get_task_stack; r0 = *(u64 *)(r10 - 64); exit",
            "",
        ),
        (
            "of no task",
            "r1 = 0; r2 = r10; r2 += -64; r3 = 64; r4 = 0; call get_task_stack; exit",
            "R1 type=scalar expected=ptr_task_struct",
        ),
    ]);
}

#[test]
fn texts() {
    let compare = |text: &str| {
        format!("*(u64 *)(r10 - 8) = 0x41; r1 = r10; r1 += -8; r2 = 8; {text}; call strncmp; exit")
    };
    let print = |tail: &str| {
        format!(
            "*(u64 *)(r10 - 8) = 1; *(u64 *)(r10 - 16) = 2; r1 = r10; r1 += -32; r2 = 16; r3 = map[6][0]+0; {tail}; call snprintf; r0 = *(u64 *)(r10 - 32); exit"
        )
    };
    kprobe(&[
        ("compared", &compare("r3 = map[6][0]+0"), ""),
        ("on the stack", &compare("r3 = r10; r3 += -8"), "R3 type=fp expected=map_value"),
        ("not constant", &compare("r3 = map[13][0]+0"), "R3 does not point to a readonly map"),
        ("without an end", &compare("r3 = map[6][0]+25"), "R3 is a text without a zero at its end"),
        ("printed", &print("r4 = r10; r4 += -16; r5 = 16"), ""),
        ("without arguments", &print("r4 = 0; r5 = 0"), ""),
        ("nothing, but some of it", &print("r4 = 0; r5 = 8"), "R4 is 0, but R5 may be up to 8"),
        ("measured only", "r1 = 0; r2 = 0; r3 = map[6][0]+0; r4 = 0; r5 = 0; call snprintf; exit", ""),
    ]);
}

#[test]
fn records() {
    let head = "r1 = map[ring]; r2 = 16; r3 = 0; call ringbuf_reserve;";
    let table: &[(&str, &str, &str)] = &[
        ("submitted", "if r0 == 0 goto out; *(u64 *)(r0 + 8) = 1; r1 = r0; r2 = 0; call ringbuf_submit; out: r0 = 0; exit", ""),
        ("discarded", "if r0 == 0 goto out; r1 = r0; r2 = 0; call ringbuf_discard; out: r0 = 0; exit", ""),
        ("forgotten", "if r0 == 0 goto out; out: r0 = 0; exit", "Unreleased reference id=2 alloc_insn=4"),
        ("not looked at", "r0 = 0; exit", "Unreleased reference"),
        ("on one way only", "if r0 == 0 goto out; r6 = *(u64 *)(r0 + 0); if r6 == 5 goto out; r1 = r0; r2 = 0; call ringbuf_submit; out: r0 = 0; exit", "Unreleased reference"),
        ("twice", "if r0 == 0 goto out; r6 = r0; r1 = r0; r2 = 0; call ringbuf_submit; r1 = r6; r2 = 0; call ringbuf_submit; out: r0 = 0; exit", "R1 type=scalar expected=ringbuf_mem"),
        ("used afterwards", "if r0 == 0 goto out; r6 = r0; r1 = r0; r2 = 0; call ringbuf_submit; r0 = *(u64 *)(r6 + 0); out: r0 = 0; exit", "R6 invalid mem access 'scalar'"),
        ("kept on the stack, used afterwards", "if r0 == 0 goto out; *(u64 *)(r10 - 8) = r0; r1 = r0; r2 = 0; call ringbuf_submit; r6 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r6 + 0); out: r0 = 0; exit", "R6 invalid mem access 'scalar'"),
        ("null", "r1 = r0; r2 = 0; call ringbuf_submit; r0 = 0; exit", "R1 type=ringbuf_mem_or_null expected=ringbuf_mem"),
        ("not at its beginning", "if r0 == 0 goto out; r1 = r0; r1 += 8; r2 = 0; call ringbuf_submit; out: r0 = 0; exit", "R1 must have zero offset when passed to release func"),
        ("something else", "if r0 == 0 goto out; r1 = r10; r2 = 0; call ringbuf_submit; out: r0 = 0; exit", "R1 type=fp expected=ringbuf_mem"),
        ("beyond", "if r0 == 0 goto out; *(u64 *)(r0 + 9) = 1; out: r0 = 0; exit", "invalid access to memory, mem_size=16 off=9 size=8"),
        ("filled by a helper", "if r0 == 0 goto out; r6 = r0; r1 = r0; r2 = 16; r3 = 0; call probe_read_kernel; r1 = r6; r2 = 0; call ringbuf_submit; out: r0 = 0; exit", ""),
        ("in a tail call", "if r0 == 0 goto out; r6 = r0; r1 = r7; r2 = map[progs]; r3 = 0; call tail_call; out: r0 = 0; exit", "tail_call would lead to reference leak: Unreleased reference"),
        ("submitted by a function", "if r0 == 0 goto out; r1 = r0; call f; out: r0 = 0; exit; f: r2 = 0; call ringbuf_submit; r0 = 0; exit", ""),
        ("a copy is submitted", "r6 = r0; if r6 == 0 goto out; r1 = r0; r2 = 0; call ringbuf_submit; out: r0 = 0; exit", ""),
        ("a copy is null", "r6 = r0; if r0 == 0 goto out; r1 = r6; r2 = 0; call ringbuf_discard; out: r0 = 0; exit", ""),
        (
            "two of them",
            "if r0 == 0 goto out; r6 = r0; r1 = map[ring]; r2 = 8; r3 = 0; call ringbuf_reserve; r7 = r0;
             r1 = r6; r2 = 0; call ringbuf_submit; if r7 == 0 goto out; r1 = r7; r2 = 0; call ringbuf_discard; out: r0 = 0; exit",
            "",
        ),
        (
            "the second is forgotten",
            "if r0 == 0 goto out; r6 = r0; r1 = map[ring]; r2 = 8; r3 = 0; call ringbuf_reserve; r7 = r0;
             r1 = r6; r2 = 0; call ringbuf_submit; out: r0 = 0; exit",
            "Unreleased reference",
        ),
    ];
    let table =
        table.iter().map(|(what, source, verdict)| (*what, format!("r7 = r1; {head} {source}"), *verdict));
    let table: Vec<_> = table.collect();
    for (what, source, verdict) in &table {
        let verdict = verdict.replace("alloc_insn=4", "alloc_insn=5");
        kprobe(&[(what, source, &verdict)]);
    }
    kprobe(&[
        (
            "an unknown size",
            "r2 = *(u64 *)(r1 + 0); r2 &= 15; r1 = map[ring]; r3 = 0; call ringbuf_reserve; r0 = 0; exit",
            "R2 is not a known constant",
        ),
        (
            "a huge size",
            "r2 = -1; r1 = map[ring]; r3 = 0; call ringbuf_reserve; r0 = 0; exit",
            "R2 unreasonable size to reserve",
        ),
        (
            "output",
            "*(u64 *)(r10 - 8) = 1; r1 = map[ring]; r2 = r10; r2 += -8; r3 = 8; r4 = 0; call ringbuf_output; exit",
            "",
        ),
        ("query", "r1 = map[ring]; r2 = 0; call ringbuf_query; exit", ""),
    ]);
}

#[test]
fn locks() {
    let head = "*(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; r1 = map[locked]; call map_lookup_elem; r6 = r0; if r0 == 0 goto out;";
    let table: &[(&str, &str, &str)] = &[
        (
            "held a while",
            "r1 = r6; call spin_lock; *(u64 *)(r6 + 8) = 1; r1 = r6; call spin_unlock; out: r0 = 0; exit",
            "",
        ),
        ("held for ever", "r1 = r6; call spin_lock; out: r0 = 0; exit", "BPF_EXIT: a lock is held"),
        ("not held", "r1 = r6; call spin_unlock; out: r0 = 0; exit", "bpf_spin_unlock without taking a lock"),
        (
            "twice",
            "r1 = r6; call spin_lock; r1 = r6; call spin_lock; out: r0 = 0; exit",
            "Acquiring another lock while already holding a lock is not allowed",
        ),
        (
            "a call within",
            "r1 = r6; call spin_lock; call ktime_get_ns; r1 = r6; call spin_unlock; out: r0 = 0; exit",
            "function calls are not allowed while holding a lock",
        ),
        (
            "read",
            "r0 = *(u32 *)(r6 + 0); out: r0 = 0; exit",
            "bpf_spin_lock cannot be accessed directly by load/store",
        ),
        (
            "written in part",
            "*(u8 *)(r6 + 3) = 1; out: r0 = 0; exit",
            "bpf_spin_lock cannot be accessed directly by load/store",
        ),
        ("beside it", "*(u32 *)(r6 + 4) = 1; out: r0 = 0; exit", ""),
        (
            "by a helper",
            "r1 = r6; r2 = 16; r3 = 0; call probe_read_kernel; out: r0 = 0; exit",
            "bpf_spin_lock cannot be accessed indirectly by helper",
        ),
        (
            "elsewhere",
            "r1 = r6; r1 += 8; call spin_lock; out: r0 = 0; exit",
            "off 8 doesn't point to 'struct bpf_spin_lock' that is at 0",
        ),
        ("no lock", "r1 = r10; call spin_lock; out: r0 = 0; exit", "R1 type=fp expected=map_value"),
        (
            "of another value",
            "r2 = r10; r2 += -8; r1 = map[locked]; call map_lookup_elem; r7 = r0; if r0 == 0 goto out; r1 = r6; call spin_lock; r1 = r7; call spin_unlock; out: r0 = 0; exit",
            "bpf_spin_unlock of different lock",
        ),
        (
            "on one way only",
            "r7 = *(u64 *)(r6 + 8); if r7 == 0 goto +2; r1 = r6; call spin_lock; if r7 == 0 goto out; r1 = r6; call spin_unlock; out: r0 = 0; exit",
            "",
        ),
    ];
    for (what, source, verdict) in table {
        check(&Context::memory(8), &[(what, &format!("{head} {source}"), verdict)]);
        kprobe(&[(
            what,
            &format!("{head} {source}"),
            if source.contains("call spin") { "cannot use helper bpf_spin_" } else { verdict },
        )]);
    }
}

#[test]
fn timers() {
    let head = "*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = map[timed]; call map_lookup_elem; r6 = r0; if r0 == 0 goto out; r6 += 8;";
    let table: &[(&str, &str, &str)] = &[
        (
            "all",
            "r1 = r6; r2 = map[timed]; r3 = 1; call timer_init; r1 = r6; r2 = code[f]; call timer_set_callback; r1 = r6; r2 = 1000; r3 = 0; call timer_start; out: r0 = 0; exit; f: r0 = *(u64 *)(r3 + 0); r0 = 0; exit",
            "",
        ),
        (
            "its result",
            "r1 = r6; r2 = code[f]; call timer_set_callback; out: r0 = 0; exit; f: r0 = 1; exit",
            "At callback return the register R0 has value 1, should have been in [0, 0]",
        ),
        (
            "its function does harm",
            "r1 = r6; r2 = code[f]; call timer_set_callback; out: r0 = 0; exit; f: r0 = *(u64 *)(r3 + 30); r0 = 0; exit",
            "invalid access to map value",
        ),
        (
            "its function gets the key",
            "r1 = r6; r2 = code[f]; call timer_set_callback; out: r0 = 0; exit; f: r0 = *(u32 *)(r2 + 0); r0 = 0; exit",
            "",
        ),
        (
            "the key is not written",
            "r1 = r6; r2 = code[f]; call timer_set_callback; out: r0 = 0; exit; f: *(u32 *)(r2 + 0) = 1; r0 = 0; exit",
            "R2 cannot write into map key",
        ),
        (
            "of another map",
            "r1 = r6; r2 = map[hash]; r3 = 1; call timer_init; out: r0 = 0; exit",
            "R2 is not the map of the timer",
        ),
        ("cancelled", "r1 = r6; call timer_cancel; out: r0 = 0; exit", ""),
        (
            "elsewhere",
            "r1 = r6; r1 += 8; call timer_cancel; out: r0 = 0; exit",
            "off 16 doesn't point to 'struct bpf_timer' that is at 8",
        ),
        (
            "read",
            "r0 = *(u64 *)(r6 + 0); out: r0 = 0; exit",
            "bpf_timer cannot be accessed directly by load/store",
        ),
        (
            "no function",
            "r1 = r6; r2 = 0; call timer_set_callback; out: r0 = 0; exit",
            "R2 type=scalar expected=func",
        ),
    ];
    for (what, source, verdict) in table {
        check(&Context::memory(8), &[(what, &format!("{head} {source}"), verdict)]);
    }
}
