// The return trampoline: where a hooked function returns to.
//
// Nothing here is patched, and nothing here may be probed or traced: between the return and the look at the shadow stack
// nobody knows where the caller is.
//
// Reached by the `ret` of a hooked function. Live are the results in x0-x7 (no function of the kernel returns vectors), x29
// and SP, which are the caller's again, and x19-x28, which are not touched. Free are x8-x18 and x30 (AAPCS64 6.1.1).
//
//   SP at the return ─▶ ┌──────────────────────────┐
//                       │ pc                       │
//                       ├──────────────────────────┤
//                       │ x29, this trampoline     │ ◀─ x29: a frame record, so that a backtrace goes on in the caller; the
//                       │ sp                       │    unwinder finds the trampoline's address in it, and looks in the
//                       │ x0-x8                    │    shadow stack as for any hooked function
//                       └──────────────────────────┘ ◀─ FtraceRegs<Return>, x0 of rethook_return

.section .noinstr.text, "ax"
.balign 64
.global return_trampoline
.type return_trampoline, %function
return_trampoline:
    sub     sp, sp, #{size}
    stp     x0, x1, [sp, #{x} + 16 * 0]
    stp     x2, x3, [sp, #{x} + 16 * 1]
    stp     x4, x5, [sp, #{x} + 16 * 2]
    stp     x6, x7, [sp, #{x} + 16 * 3]
    add     x9, sp, #{size}
    stp     x8, x9, [sp, #{x} + 16 * 4]             // x8, sp
    adr     x10, return_trampoline
    stp     x29, x10, [sp, #{frame}]
    add     x29, sp, #{frame}
    mov     x0, sp
    bl      {return}                                // fills in pc
    ldr     x30, [sp, #{pc}]
    ldp     x0, x1, [sp, #{x} + 16 * 0]
    ldp     x2, x3, [sp, #{x} + 16 * 1]
    ldp     x4, x5, [sp, #{x} + 16 * 2]
    ldp     x6, x7, [sp, #{x} + 16 * 3]
    ldr     x29, [sp, #{frame}]
    add     sp, sp, #{size}
    ret
.size return_trampoline, . - return_trampoline

.text
