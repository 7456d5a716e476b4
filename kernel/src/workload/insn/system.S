// System registers, hints and barriers, and what floating point a probe may meet.

INSN mrs
    mrs x2, currentel           // 4: EL1
    add x0, x0, x2
    mrs x3, ctr_el0
    add x0, x0, x3
    mrs x4, ctr_el0
    sub x0, x0, x4
    cmp x0, x1
    mrs x5, nzcv
    add x0, x0, x5
    ret
INSN_END mrs

INSN msr
    cmp x0, x1
    mrs x2, nzcv
    eor x2, x2, #0xf0000000
    msr nzcv, x2                // every flag is now the other way round
    csel x3, x0, x1, eq
    csinc x4, x0, x1, mi
    csinv x5, x0, x1, hs
    csneg x6, x0, x1, vs
    eor x0, x3, x4, ror #1
    eor x0, x0, x5, ror #2
    eor x0, x0, x6, ror #3
    ret
INSN_END msr

// Masks interrupts and puts the mask back. A step out of line runs with other masks than these.
INSN daif
    mrs x2, daif
    msr daifset, #2
    mrs x3, daif
    msr daif, x2
    mrs x4, daif
    ubfx x3, x3, #7, #1         // 1: masked
    sub x4, x4, x2              // 0: as before
    add x0, x0, x3
    add x0, x0, x4
    ret
INSN_END daif

INSN hint
    add x0, x0, #1
    nop
    add x0, x0, x1
    yield
    ror x0, x0, #1
    sev
    wfe                         // the event is there: does not wait
    add x0, x0, #2
    hint #20                    // csdb
    ror x0, x0, #2
    hint #16                    // esb
    add x0, x0, #3
    hint #127                   // not allocated: does nothing
    ret
INSN_END hint

// Landing pads and pointer authentication in the hint space: on a CPU without them, nothing.
INSN bti_pac
    hint #34                    // bti c
    add x0, x0, #1
    hint #25                    // paciasp
    add x0, x0, x1
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    ror x0, x0, #3
    ldp x29, x30, [sp], #16
    hint #29                    // autiasp
    hint #36                    // bti j
    add x0, x0, #2
    hint #7                     // xpaclri
    ret
INSN_END bti_pac

INSN barriers
    add x0, x0, #1
    dmb ish
    add x0, x0, x1
    dmb ishld
    ror x0, x0, #1
    dsb sy
    add x0, x0, #2
    dsb ishst
    ror x0, x0, #2
    isb
    add x0, x0, #3
    clrex
    ret
INSN_END barriers

// Cache maintenance by address: of a line of the stack.
INSN cache
    str x0, [sp, #-16]!
    mov x9, sp
    dc cvac, x9
    add x1, x1, #1
    dc cvau, x9
    dsb ish
    ldr x2, [sp], #16
    add x0, x2, x1
    ret
INSN_END cache

// The vector registers are not the kernel's to change: they are put back.
INSN fp
    stp q0, q1, [sp, #-48]!
    str q2, [sp, #32]
    and x2, x0, #0xffff
    and x3, x1, #0xffff
    ucvtf d0, x2
    ucvtf d1, x3
    fmadd d2, d0, d1, d0        // at most 2^32: exact
    fcvtzu x4, d2
    fcmp d0, d1
    cset x5, gt
    fmov d0, x0
    fmov d1, x1
    add v0.2d, v0.2d, v1.2d
    fmov x6, d0
    eor x0, x6, x4, ror #8
    add x0, x0, x5
    ldr q2, [sp, #32]
    ldp q0, q1, [sp], #48
    ret
INSN_END fp
