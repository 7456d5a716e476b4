// How an insn_* function begins and ends. Included first; `done.S` takes the macros back at the end.
//
// None of the functions has patchable entry NOPs: each is exactly the instructions written here. All are leaves in
// the eyes of their caller: they take x0 and x1, return x0, and use x2-x17 and the flags as the procedure call
// standard lets them. What they spill they spill below SP.

    .macro INSN name
    .balign 16
    .globl insn_\name
    .type insn_\name, %function
insn_\name:
    .endm

// The function's size goes beside its address into read-only data, for Rust to see.
    .macro INSN_END name
.Linsn_\name\()_end:
    .size insn_\name, . - insn_\name
    .pushsection .rodata.insn, "a", %progbits
    .balign 8
    .globl insn_\name\()_size
    .type insn_\name\()_size, %object
insn_\name\()_size:
    .quad .Linsn_\name\()_end - insn_\name
    .size insn_\name\()_size, . - insn_\name\()_size
    .popsection
    .endm

// Where no run may come by: a result that no model gives.
    .macro ASTRAY
    movn x0, #0xbad
    ret
    .endm

    .pushsection .text.insn, "ax", %progbits
    .arch_extension fp
    .arch_extension simd
    .arch_extension lse
