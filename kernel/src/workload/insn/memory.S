// Loads, stores and atomics, on the stack: a second execution would move a base register or a value once more.

INSN ldp_stp
    stp x0, x1, [sp, #-48]!     // pre-indexed
    stp x1, x0, [sp, #16]
    stp w0, w1, [sp, #32]
    ldp x2, x3, [sp], #16       // post-indexed
    ldp x4, x5, [sp]
    ldpsw x6, x7, [sp, #16]!
    ldp w8, w9, [sp], #16
    eor x0, x2, x3, ror #1
    eor x0, x0, x4, ror #2
    eor x0, x0, x5, ror #3
    eor x0, x0, x6, ror #4
    eor x0, x0, x7, ror #5
    eor x0, x0, x8, ror #6
    eor x0, x0, x9, ror #7
    ret
INSN_END ldp_stp

INSN ldnp_stnp
    sub sp, sp, #32
    stnp x0, x1, [sp, #16]
    stnp w1, w0, [sp, #8]
    ldnp x2, x3, [sp, #16]
    ldnp w4, w5, [sp, #8]
    add sp, sp, #32
    eor x0, x2, x3, ror #1
    eor x0, x0, x4, ror #2
    eor x0, x0, x5, ror #3
    ret
INSN_END ldnp_stnp

INSN ldst_sizes
    stp x0, x1, [sp, #-16]!
    strb w1, [sp, #3]
    strh w1, [sp, #6]
    str w0, [sp, #12]
    ldrb w2, [sp, #1]
    ldrsb x3, [sp, #3]
    ldrsb w4, [sp, #6]
    ldrh w5, [sp, #2]
    ldrsh x6, [sp, #6]
    ldrsh w7, [sp, #14]
    ldrsw x8, [sp, #12]
    ldr w9, [sp, #4]
    ldr x10, [sp, #8]
    add sp, sp, #16
    eor x0, x2, x3, ror #1
    eor x0, x0, x4, ror #2
    eor x0, x0, x5, ror #3
    eor x0, x0, x6, ror #4
    eor x0, x0, x7, ror #5
    eor x0, x0, x8, ror #6
    eor x0, x0, x9, ror #7
    eor x0, x0, x10, ror #8
    ret
INSN_END ldst_sizes

INSN ldst_unscaled
    stp x0, x1, [sp, #-16]!
    add x9, sp, #16
    stur w1, [x9, #-15]         // no multiple of its size
    ldur x2, [x9, #-13]
    ldursw x3, [x9, #-10]
    ldurh w4, [x9, #-3]
    sturb w0, [x9, #-1]
    ldur x5, [sp, #7]
    add sp, sp, #16
    eor x0, x2, x3, ror #1
    eor x0, x0, x4, ror #2
    eor x0, x0, x5, ror #3
    ret
INSN_END ldst_unscaled

INSN ldst_register
    stp x0, x1, [sp, #-32]!
    stp x1, x0, [sp, #16]
    mov x9, sp
    and x10, x0, #3
    ldr x2, [x9, x10, lsl #3]
    ldr w3, [x9, w10, uxtw #2]
    ldrb w4, [x9, x10]
    sub w11, wzr, w10           // 0 to -3
    add x12, x9, #24
    ldr x5, [x12, w11, sxtw #3]
    strb w1, [x9, x10]
    str w0, [x12, w11, sxtw #2]
    ldp x6, x7, [sp], #16
    ldr x8, [sp], #16
    eor x0, x2, x3, ror #1
    eor x0, x0, x4, ror #2
    eor x0, x0, x5, ror #3
    eor x0, x0, x6, ror #4
    eor x0, x0, x7, ror #5
    eor x0, x0, x8, ror #6
    ret
INSN_END ldst_register

// Write-back: the base register moves exactly once, which the last line adds to the result.
INSN ldst_writeback
    mov x9, sp
    str x0, [sp, #-32]!
    mov x10, sp
    str x1, [x10, #8]!
    str w0, [x10, #8]!
    strb w1, [x10], #4
    ldr w2, [x10, #-4]!
    ldr x3, [x10, #-8]!
    ldr x4, [x10], #-8
    ldrsw x5, [x10], #24
    add x10, x10, #8
    add sp, sp, #32
    sub x9, x9, x10             // 0
    mov x11, #1000
    madd x0, x9, x11, x2
    eor x0, x0, x3, ror #1
    eor x0, x0, x4, ror #2
    eor x0, x0, x5, ror #3
    ret
INSN_END ldst_writeback

INSN stack_pointer
    mov x9, sp
    sub sp, sp, #64
    add x2, sp, #16
    and x3, x0, #16
    sub sp, sp, x3
    add x4, sp, w1, uxtb
    add sp, sp, w3, uxtw
    add sp, sp, #64
    sub x5, x9, x2              // 48
    sub x6, x9, x4              // 64 + (x0 & 16) - (x1 & 255)
    mov x7, sp
    sub x7, x9, x7              // 0
    add x0, x0, x5
    add x0, x0, x6, lsl #8
    add x0, x0, x7, lsl #16
    ret
INSN_END stack_pointer

INSN ldar_stlr
    sub sp, sp, #16
    stlr x0, [sp]
    ldar x2, [sp]
    stlrb w1, [sp]
    ldarh w3, [sp]
    ldar w4, [sp]
    add sp, sp, #16
    eor x0, x2, x3, ror #1
    eor x0, x0, x4, ror #2
    ret
INSN_END ldar_stlr

// An exclusive sequence: an exception between the load and the store loses the monitor, and the store fails. A
// probe inside would make the loop endless, which is why none may be placed there.
INSN ldxr_stxr
    str x0, [sp, #-16]!
1:  ldxr x2, [sp]
    add x3, x2, x1
    stxr w4, x3, [sp]
    cbnz w4, 1b
    ldr x5, [sp], #16
    eor x0, x5, x2, ror #1
    ret
INSN_END ldxr_stxr

INSN ldaxp_stlxp
    stp x0, x1, [sp, #-16]!
1:  ldaxp x2, x3, [sp]
    eor x4, x2, x3
    stlxp w5, x4, x2, [sp]
    cbnz w5, 1b
    ldp x6, x7, [sp], #16
    eor x0, x6, x7, ror #1
    ret
INSN_END ldaxp_stlxp

INSN casal
    str x0, [sp, #-16]!
    mov x2, x0
    casal x2, x1, [sp]          // equal: x1 is stored
    add x3, x1, #1
    casal x3, x0, [sp]          // unequal: nothing is stored, x3 gets what was there
    ldr x4, [sp], #16
    eor x0, x2, x3, ror #1
    eor x0, x0, x4, ror #2
    ret
INSN_END casal

INSN lse
    str x0, [sp, #-16]!
    ldaddal x1, x2, [sp]
    ldset x1, x3, [sp]
    ldclrl x2, x4, [sp]
    ldeora x1, x5, [sp]
    swpal x0, x6, [sp]
    stadd x1, [sp]
    ldr x7, [sp], #16
    eor x0, x2, x3, ror #1
    eor x0, x0, x4, ror #2
    eor x0, x0, x5, ror #3
    eor x0, x0, x6, ror #4
    eor x0, x0, x7, ror #5
    ret
INSN_END lse
