// Data processing: nothing here minds where it runs, but every bit of the result and every flag must come through.

INSN mov_wide
    movz x2, #0x1234, lsl #48
    movk x2, #0x5678, lsl #16
    add x0, x0, x2
    movn x3, #0xff, lsl #32
    eor x0, x0, x3
    movz w4, #0x8000, lsl #16
    movk w4, #0x4321
    add x0, x0, x4
    movn w5, #0x10              // the upper half becomes zero
    add x0, x0, x5
    ret
INSN_END mov_wide

INSN add_imm
    add x0, x0, #0xabc
    sub x0, x0, #0x123, lsl #12
    add w2, w1, #0xfff, lsl #12
    sub w3, w1, #1
    add x0, x0, x2
    add x0, x0, x3, lsl #8
    ret
INSN_END add_imm

INSN add_extended
    add x2, x0, w1, sxtb #2
    sub x3, x2, w1, uxth
    add x4, x3, w1, sxtw #1
    sub w5, w0, w1, uxtb #3
    add x0, x4, x5
    ret
INSN_END add_extended

// Each result and its flags (NZCV in bits 31 to 28).
INSN adds_subs
    adds x2, x0, x1
    mrs x3, nzcv
    subs x4, x0, x1, lsl #1
    mrs x5, nzcv
    adds w6, w0, #0x7ff
    mrs x7, nzcv
    subs w8, w0, w1
    mrs x9, nzcv
    cmn x0, x1, asr #3
    mrs x10, nzcv
    eor x0, x2, x4, ror #4
    add x0, x0, x6
    add x0, x0, x8, lsl #5
    eor x0, x0, x3, lsr #28
    eor x0, x0, x5, lsr #24
    eor x0, x0, x7, lsr #20
    eor x0, x0, x9, lsr #16
    eor x0, x0, x10, lsr #12
    ret
INSN_END adds_subs

INSN adc_sbc
    adds x2, x0, x1
    adc x3, x0, x1              // carry of the line above
    sbcs x4, x1, x0
    ngc x5, x1                  // of the line above
    adcs x6, x0, xzr
    mrs x7, nzcv
    add x0, x2, x3, lsl #1
    eor x0, x0, x4, ror #2
    eor x0, x0, x5
    eor x0, x0, x6, ror #3
    eor x0, x0, x7
    ret
INSN_END adc_sbc

INSN logic
    and x2, x0, x1, lsl #3
    bic x3, x0, x1, lsr #5
    orr x4, x0, x1, asr #7
    orn x5, x0, x1, ror #9
    eor x6, x0, x1
    eon w7, w0, w1
    and x8, x0, #0xff00ff00ff00ff00
    orr w9, w1, #0x80000001
    eor x10, x1, #0x7ffe
    add x0, x2, x3
    eor x0, x0, x4, ror #1
    eor x0, x0, x5, ror #2
    eor x0, x0, x6, ror #3
    add x0, x0, x7
    eor x0, x0, x8, ror #4
    add x0, x0, x9
    add x0, x0, x10
    ret
INSN_END logic

INSN ands_bics
    ands x2, x0, x1
    mrs x3, nzcv
    bics x4, x0, x1
    mrs x5, nzcv
    ands w6, w0, #0xf0f0f0f0
    mrs x7, nzcv
    tst x1, #1
    mrs x8, nzcv
    eor x0, x2, x4, ror #1
    add x0, x0, x6, lsl #2
    eor x0, x0, x3
    eor x0, x0, x5, lsr #4
    eor x0, x0, x7, lsr #8
    eor x0, x0, x8, lsr #12
    ret
INSN_END ands_bics

INSN bitfield
    ubfx x2, x0, #9, #21
    sbfx x3, x0, #5, #11
    ubfiz x4, x1, #13, #17
    mov x5, x0
    bfi x5, x1, #24, #16
    bfxil x5, x1, #40, #8
    sxtb w6, w1
    uxth w7, w1
    sxtw x8, w0
    asr x9, x1, #17
    lsl w10, w0, #5
    lsr x11, x1, #33
    extr x12, x0, x1, #23
    add x0, x2, x3
    add x0, x0, x4
    eor x0, x0, x5
    add x0, x0, x6
    add x0, x0, x7, lsl #3
    eor x0, x0, x8, ror #11
    add x0, x0, x9
    eor x0, x0, x10, lsl #7
    add x0, x0, x11
    eor x0, x0, x12
    ret
INSN_END bitfield

INSN shift_var
    lsl x2, x0, x1              // by x1 modulo 64
    lsr w3, w0, w1              // by w1 modulo 32
    asr x4, x0, x1
    ror x5, x0, x1
    add x0, x2, x3
    eor x0, x0, x4, ror #1
    add x0, x0, x5
    ret
INSN_END shift_var

INSN bits
    clz x2, x0
    cls x3, x1
    rbit x4, x0
    rev x5, x1
    rev16 x6, x0
    rev32 x7, x1
    rev w8, w0
    add x0, x2, x3, lsl #8
    eor x0, x0, x4
    add x0, x0, x5
    eor x0, x0, x6, ror #1
    add x0, x0, x7
    eor x0, x0, x8
    ret
INSN_END bits

INSN mul_div
    madd x2, x0, x1, x0
    msub x3, x0, x1, x1
    umulh x4, x0, x1
    smulh x5, x0, x1
    umaddl x6, w0, w1, x0
    smsubl x7, w0, w1, x1
    udiv x8, x0, x1             // by zero: zero
    sdiv x9, x0, x1             // the most negative by -1: itself
    sdiv w10, w0, w1
    eor x0, x2, x3, ror #1
    eor x0, x0, x4
    eor x0, x0, x5, ror #2
    eor x0, x0, x6, ror #3
    add x0, x0, x7
    eor x0, x0, x8
    eor x0, x0, x9, ror #4
    eor x0, x0, x10
    ret
INSN_END mul_div

INSN csel
    cmp x0, x1
    csel x2, x0, x1, hi
    csinc x3, x0, x1, lt
    csinv x4, x0, x1, eq
    csneg x5, x0, x1, vs
    cset x6, gt
    csetm w7, ls
    eor x0, x2, x3, ror #1
    eor x0, x0, x4, ror #2
    eor x0, x0, x5, ror #3
    eor x0, x0, x6
    add x0, x0, x7
    ret
INSN_END csel

INSN ccmp
    cmp x0, x1
    ccmp x0, #7, #0b0100, ne    // equal: the flags become Z alone
    mrs x2, nzcv
    ccmn x1, x0, #0b1001, ge    // less: the flags become N and V
    mrs x3, nzcv
    add x0, x0, x2
    eor x0, x0, x3, lsr #4
    ret
INSN_END ccmp
