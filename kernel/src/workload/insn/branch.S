// Branches: the classes whose meaning is where they go, and what they leave in x30.

INSN b
    add x0, x0, #1
    b 2f                        // forward, over the part that comes later
    ASTRAY
1:  ror x0, x0, #7
    b 3f
    ASTRAY
2:  add x0, x0, x1
    b 1b                        // backward
    ASTRAY
3:  add x0, x0, #2
    ret
INSN_END b

INSN b_cond_taken
    subs x2, x0, x0             // always "equal"
    b.eq 2f
    ASTRAY
1:  add x0, x0, x1, lsl #1
    adds x2, x2, #1             // 1: not "equal", not negative
    b.pl 3f
    ASTRAY
2:  add x0, x0, #3
    b.hs 1b                     // backward; subtracting the same gives carry
    ASTRAY
3:  add x0, x0, x2
    ret
INSN_END b_cond_taken

INSN b_cond_not
    subs x2, x0, x0
    b.ne 9f
    add x0, x0, #3
    b.mi 9f
    add x0, x0, x1, lsl #2
    b.lo 9f
    ror x0, x0, #13
    b.vs 9f
    add x0, x0, #1
    ret
9:  ASTRAY
INSN_END b_cond_not

// Every condition on the flags of x0 - x1: one bit each, set where the branch was not taken.
INSN b_cond_all
    mov x2, #1
    cmp x0, x1
    .irp cond, eq, ne, hs, lo, mi, pl, vs, vc, hi, ls, ge, lt, gt, le
    lsl x2, x2, #1
    b.\cond 1f
    add x2, x2, #1
1:
    .endr
    add x0, x0, x2
    ret
INSN_END b_cond_all

INSN bl
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    bl 2f
1:  adr x3, 1b                  // where the call must have said it comes back to
    sub x2, x2, x3              // 0
    add x0, x0, x2
    add x0, x0, #5
    ldp x29, x30, [sp], #16
    ret
2:  mov x2, x30
    add x0, x0, x1
    ret
INSN_END bl

INSN bl_back
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    b 2f
1:  mov x2, x30
    eor x0, x0, x1
    ret
2:  bl 1b
3:  adr x3, 3b
    sub x2, x2, x3
    add x0, x0, x2
    add x0, x0, #6
    ldp x29, x30, [sp], #16
    ret
INSN_END bl_back

INSN blr
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    adr x9, 2f
    blr x9
1:  adr x3, 1b
    sub x2, x2, x3
    add x0, x0, x2
    add x0, x0, #7
    ldp x29, x30, [sp], #16
    ret
2:  mov x2, x30
    add x0, x0, x1, lsl #3
    ret
INSN_END blr

// The register that holds the target is the one that the call overwrites.
INSN blr_x30
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    adr x30, 2f
    blr x30
1:  adr x3, 1b
    sub x2, x2, x3
    add x0, x0, x2
    add x0, x0, #8
    ldp x29, x30, [sp], #16
    ret
2:  mov x2, x30
    sub x0, x0, x1
    ret
INSN_END blr_x30

INSN br
    adr x16, 2f
    add x0, x0, #1
    br x16
    ASTRAY
1:  ror x0, x0, #9
    adr x16, 3f
    br x16
    ASTRAY
2:  eor x0, x0, x1
    adr x17, 1b
    br x17                      // backward
    ASTRAY
3:  add x0, x0, #4
    ret
INSN_END br

INSN ret
    add x0, x0, x1
    ret
INSN_END ret

// Returns through another register than x30.
INSN ret_reg
    mov x5, x30
    adr x30, 1f
    eor x0, x0, x1, ror #3
    ret x5
1:  ASTRAY
INSN_END ret_reg

INSN cbz
    mov x2, #0
    cbz x0, 1f
    add x2, x2, #1
1:  cbz w0, 2f                  // the low half alone
    add x2, x2, #2
2:  cbz x1, 3f
    add x2, x2, #4
3:  cbz w1, 4f
    add x2, x2, #8
4:  cbz xzr, 6f
    ASTRAY
5:  add x0, x0, x2
    ret
6:  add x2, x2, #16
    cbz wzr, 5b                 // backward
    ASTRAY
INSN_END cbz

INSN cbnz
    mov x2, #0
    cbnz x0, 1f
    add x2, x2, #1
1:  cbnz w0, 2f
    add x2, x2, #2
2:  cbnz x1, 3f
    add x2, x2, #4
3:  cbnz w1, 4f
    add x2, x2, #8
4:  mov x3, #3
5:  add x2, x2, #16             // three times
    sub x3, x3, #1
    cbnz x3, 5b                 // backward
    cbnz xzr, 9f
    add x0, x0, x2
    ret
9:  ASTRAY
INSN_END cbnz

INSN tbz
    mov x2, #1
    .irp bit, 0, 5, 31, 32, 63
    lsl x2, x2, #1
    tbz x0, #\bit, 1f
    add x2, x2, #1
1:
    .endr
    tbz xzr, #40, 2f
    ASTRAY
1:  add x0, x1, x2
    ret
2:  add x2, x2, #64
    tbz wzr, #3, 1b             // backward
    ASTRAY
INSN_END tbz

INSN tbnz
    mov x2, #1
    .irp bit, 0, 5, 31, 32, 63
    lsl x2, x2, #1
    tbnz x0, #\bit, 1f
    add x2, x2, #1
1:
    .endr
    mov x3, #2
2:  add x2, x2, #64             // twice: until bit 2 is set
    add x3, x3, #1
    tbz x3, #2, 2b
    tbnz x3, #2, 3f
    ASTRAY
3:  add x0, x1, x2
    tbnz wzr, #31, 9f
    ret
9:  ASTRAY
INSN_END tbnz

// Leaves by a branch into another function, which returns to our caller.
INSN tail_b
    add x0, x0, #11
    b insn_ret
    ASTRAY
INSN_END tail_b

INSN tail_b_cond
    add x0, x0, #12
    cmp x0, x0
    b.eq insn_ret
    ASTRAY
INSN_END tail_b_cond

INSN tail_br
    adr x16, insn_ret
    add x0, x0, #13
    br x16
    ASTRAY
INSN_END tail_br
