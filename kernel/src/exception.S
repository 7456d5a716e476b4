// Exception vectors, entry and exit (Arm ARM D1.3; the vector table is D1.3.1.5).
//
// Nothing here is patched at run time, and nothing here may be probed: the range `.entry` is refused.
//
//   vector slot (128 bytes)   makes room on the stack, at EL1 looks whether there is any, branches to its entry
//   entry                     saves everything into a `PtRegs`, pushes a frame record, calls Rust with x0 = &PtRegs
//   Rust                      reads ESR_EL1 and FAR_EL1 and dispatches (exception.rs)
//   return_to_el1             restores everything from the `PtRegs`, which Rust may have changed, and `eret`s
//
// At entry every register is live. Free are only: the room below SP, TPIDR_EL0 and TPIDRRO_EL0 on the overflow path
// (it never returns).
//
// Is there room on the stack? A stack is aligned to twice its size, so bit STACK_SHIFT of an SP inside it is clear, and
// set when SP has left it downwards. The test needs a register and has none, so SP and x0 are added, told apart and
// restored by arithmetic:
//
//   add sp, sp, x0      sp = S + X
//   sub x0, sp, x0      x0 = S                  tested here
//   sub x0, sp, x0      x0 = X
//   sub sp, sp, x0      sp = S

.macro vector_el1 entry
    .balign 128
    sub     sp, sp, #{size}
    add     sp, sp, x0
    sub     x0, sp, x0
    tbnz    x0, #{stack_shift}, stack_overflow
    sub     x0, sp, x0
    sub     sp, sp, x0
    b       \entry
.endm

.macro vector entry
    .balign 128
    sub     sp, sp, #{size}
    b       \entry
.endm

.section .vectors, "ax"
.balign 2048
.global vectors
.type vectors, %function
vectors:
    vector      el1t_sync           // current EL with SP_EL0: the kernel never runs so
    vector      el1t_irq
    vector      el1t_fiq
    vector      el1t_serror
    vector_el1  el1h_sync           // current EL with SP_EL1
    vector_el1  el1h_irq
    vector_el1  el1h_fiq
    vector_el1  el1h_serror
    vector      el0_64_sync         // EL0, AArch64
    vector      el0_64_irq
    vector      el0_64_fiq
    vector      el0_64_serror
    vector      el0_32_sync         // EL0, AArch32
    vector      el0_32_irq
    vector      el0_32_fiq
    vector      el0_32_serror
.size vectors, . - vectors

// Saves x0-x29; SP points to the PtRegs.
.macro save_gprs
    stp     x0, x1, [sp, #{regs} + 16 * 0]
    stp     x2, x3, [sp, #{regs} + 16 * 1]
    stp     x4, x5, [sp, #{regs} + 16 * 2]
    stp     x6, x7, [sp, #{regs} + 16 * 3]
    stp     x8, x9, [sp, #{regs} + 16 * 4]
    stp     x10, x11, [sp, #{regs} + 16 * 5]
    stp     x12, x13, [sp, #{regs} + 16 * 6]
    stp     x14, x15, [sp, #{regs} + 16 * 7]
    stp     x16, x17, [sp, #{regs} + 16 * 8]
    stp     x18, x19, [sp, #{regs} + 16 * 9]
    stp     x20, x21, [sp, #{regs} + 16 * 10]
    stp     x22, x23, [sp, #{regs} + 16 * 11]
    stp     x24, x25, [sp, #{regs} + 16 * 12]
    stp     x26, x27, [sp, #{regs} + 16 * 13]
    stp     x28, x29, [sp, #{regs} + 16 * 14]
.endm

// Saves the rest, with the interrupted SP in x21, and links a frame record, so that a backtrace crosses the exception:
// the record says "x29 was this, and the code was at this PC".
.macro save_state
    mrs     x22, elr_el1
    mrs     x23, spsr_el1
    stp     x30, x21, [sp, #{regs} + 16 * 15]       // x30, sp
    stp     x22, x23, [sp, #{pc}]                   // pc, pstate
    stp     x29, x22, [sp, #{frame}]
    add     x29, sp, #{frame}
    mov     x0, sp
.endm

.macro entry_el1 name, handler
.type \name, %function
\name:
    save_gprs
    add     x21, sp, #{size}
    save_state
    bl      \handler
    b       return_to_el1
.size \name, . - \name
.endm

// From EL0 the interrupted SP is SP_EL0, where the kernel keeps its current task.
.macro entry_el0 name, which
.type \name, %function
\name:
    save_gprs
    mrs     x21, sp_el0
    save_state
    mov     x1, #\which
    bl      {unexpected}
    b       .
.size \name, . - \name
.endm

.macro entry_bad name, which
.type \name, %function
\name:
    save_gprs
    add     x21, sp, #{size}
    save_state
    mov     x1, #\which
    bl      {unexpected}
    b       .
.size \name, . - \name
.endm

.section .entry.text, "ax"

    entry_bad   el1t_sync, 0
    entry_bad   el1t_irq, 1
    entry_bad   el1t_fiq, 2
    entry_bad   el1t_serror, 3
    entry_el1   el1h_irq, {irq}
    entry_bad   el1h_fiq, 6
    entry_bad   el1h_serror, 7
    entry_el0   el0_64_sync, 8
    entry_el0   el0_64_irq, 9
    entry_el0   el0_64_fiq, 10
    entry_el0   el0_64_serror, 11
    entry_el0   el0_32_sync, 12
    entry_el0   el0_32_irq, 13
    entry_el0   el0_32_fiq, 14
    entry_el0   el0_32_serror, 15

// The hot one, in line with the exit it falls into. Nothing is as frequent as the BRK of a probe, so a BRK finds its hook
// right here: ESR_EL1 of a BRK is a constant and the immediate, and the hook's address lies in a table. A hook answers in
// bit 0 of w0 whether it was for it. Everything else goes to Rust, with the ESR_EL1 of the entry, since a hook may have
// met exceptions of its own.
.balign 64
.type el1h_sync, %function
el1h_sync:
    save_gprs
    add     x21, sp, #{size}
    save_state
    mrs     x24, esr_el1
    mov     w1, #{brk_esr}
    sub     w1, w24, w1                             // a BRK: its immediate
    cmp     w1, #{brk_slots}
    b.hs    1f
    adrp    x2, {brk}
    add     x2, x2, #:lo12:{brk}
    ldr     x2, [x2, x1, lsl #3]
    blr     x2
    tbz     w0, #0, 1f
.size el1h_sync, . - el1h_sync

.type return_to_el1, %function
return_to_el1:
    ldp     x22, x23, [sp, #{pc}]
    ldr     x30, [sp, #{regs} + 8 * 30]
    msr     elr_el1, x22
    msr     spsr_el1, x23
    ldp     x0, x1, [sp, #{regs} + 16 * 0]
    ldp     x2, x3, [sp, #{regs} + 16 * 1]
    ldp     x4, x5, [sp, #{regs} + 16 * 2]
    ldp     x6, x7, [sp, #{regs} + 16 * 3]
    ldp     x8, x9, [sp, #{regs} + 16 * 4]
    ldp     x10, x11, [sp, #{regs} + 16 * 5]
    ldp     x12, x13, [sp, #{regs} + 16 * 6]
    ldp     x14, x15, [sp, #{regs} + 16 * 7]
    ldp     x16, x17, [sp, #{regs} + 16 * 8]
    ldp     x18, x19, [sp, #{regs} + 16 * 9]
    ldp     x20, x21, [sp, #{regs} + 16 * 10]
    ldp     x22, x23, [sp, #{regs} + 16 * 11]
    ldp     x24, x25, [sp, #{regs} + 16 * 12]
    ldp     x26, x27, [sp, #{regs} + 16 * 13]
    ldp     x28, x29, [sp, #{regs} + 16 * 14]
    add     sp, sp, #{size}
    eret
1:  mov     x0, sp
    mov     x1, x24
    bl      {sync}
    b       return_to_el1
.size return_to_el1, . - return_to_el1

// SP has left its stack (x0 = S, sp = S + X). Goes on, never to return, on this CPU's overflow stack.
.type stack_overflow, %function
stack_overflow:
    msr     tpidr_el0, x0                           // S
    sub     x0, sp, x0
    msr     tpidrro_el0, x0                         // X
    mrs     x0, tpidr_el1
    mov     sp, x0
    adrp    x0, {overflow_stack}
    add     x0, x0, #:lo12:{overflow_stack}
    add     sp, sp, x0                              // this CPU's variable
    mov     x0, sp
    ldr     x0, [x0]
    mov     sp, x0
    sub     sp, sp, #{size}
    mrs     x0, tpidrro_el0
    save_gprs
    mrs     x21, tpidr_el0
    add     x21, x21, #{size}
    save_state
    bl      {overflow}
    b       .
.size stack_overflow, . - stack_overflow
