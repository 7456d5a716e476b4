// PC-relative addresses and loads: the classes that mean something else when they run somewhere else.

// The literals lie outside the functions, so that a function's words are all instructions: some before, so that
// the offset is negative, some behind.
    .balign 8
    .type insn_literals_before, %object
insn_literals_before:
.Llit_x_before:  .quad 0x0123456789abcdef
.Llit_w_before:  .word 0x89abcdef
.Llit_sw_before: .word 0xfedcba98
    .size insn_literals_before, . - insn_literals_before

INSN adr
    adr x2, insn_adr            // backward, to our own entry
    adr x3, .Linsn_adr_end      // forward, to our end
    adr x4, insn_adr + 3        // a byte in between: all 21 bits count
    add x0, x0, x2
    eor x0, x0, x3, ror #5
    add x0, x0, x4, lsl #1
    ret
INSN_END adr

INSN adrp
    adrp x2, insn_adrp          // our own page
    add x2, x2, :lo12:insn_adrp
    adrp x3, insn_adrp_size     // a page of another section
    add x3, x3, :lo12:insn_adrp_size
    add x0, x0, x2
    eor x0, x0, x3, ror #5
    ret
INSN_END adrp

INSN ldr_lit64
    ldr x2, .Llit_x_before
    add x0, x0, x2
    ldr x3, .Llit_x_behind
    eor x0, x0, x3
    ret
INSN_END ldr_lit64

INSN ldr_lit32
    ldr w2, .Llit_w_before
    add x0, x0, x2              // the upper half must be zero
    ldr w3, .Llit_sw_behind
    eor x0, x0, x3
    ret
INSN_END ldr_lit32

INSN ldrsw_lit
    ldrsw x2, .Llit_sw_before
    add x0, x0, x2              // the upper half must be the sign
    ldrsw x3, .Llit_sw_behind
    eor x0, x0, x3
    ret
INSN_END ldrsw_lit

INSN prfm_lit
    add x0, x0, #1
    prfm pldl1keep, .Llit_x_before
    add x0, x0, x1
    prfm pstl2strm, .Llit_x_behind
    add x0, x0, #2
    ret
INSN_END prfm_lit

// The vector registers are not the kernel's to change: they are put back.
INSN ldr_lit_fp
    stp q0, q1, [sp, #-32]!
    ldr s0, .Llit_w_before
    fmov w2, s0
    add x0, x0, x2
    ldr d0, .Llit_x_before
    fmov x3, d0
    eor x0, x0, x3
    ldr q1, .Llit_q_behind
    fmov x4, d1
    add x0, x0, x4
    fmov x5, v1.d[1]
    eor x0, x0, x5, ror #3
    ldp q0, q1, [sp], #32
    ret
INSN_END ldr_lit_fp

    .balign 8
    .type insn_literals_behind, %object
insn_literals_behind:
.Llit_x_behind:  .quad 0xf0e1d2c3b4a59687
.Llit_sw_behind: .word 0x76543210
    .balign 8
.Llit_q_behind:  .quad 0x1122334455667788, 0x99aabbccddeeff00
    .size insn_literals_behind, . - insn_literals_behind
