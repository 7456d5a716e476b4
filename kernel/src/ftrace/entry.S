// ftrace_caller: from a traced function's entry to its callback, and back.
//
// Not patched at run time; what is patched is the site that branches here (sites.rs). Neither traced nor probed: it lies in
// .noinstr.text.
//
//   at entry    x30       behind the BL: the function's symbol + 8
//               x9        the function's return address (`mov x9, x30` is the word before the BL)
//               x0-x8     arguments: live          x19-x29, SP    the caller's: live
//               x10-x17   free at a function's entry (AAPCS64 6.1.1)
//
//   the ops     8 bytes before the symbol, so 16 before x30; the symbol is aligned to 8 (linker.ld), so no masking
//
// From the load of the ops to the masking of interrupts in ftrace_masked a task has an ops in hand and holds off nothing. A
// task that is preempted there (task::preempt_from_interrupt) goes on at an `again`, and loads what the site names then. So
// nobody has an ops in hand over a quiet point, and one that was unregistered can be used for something else after the next.
//
// Everything below is needed: nine argument registers and SP, FP, LR, PC are saved because a callback may read and change
// them; the two frame records that a backtrace needs are laid out to be four of those words (regs.rs).

// From the entry to where the ops is needed: what may be changed, and the arguments of the callback but for the ops.
.macro ftrace_save
    stp     x0, x1, [sp, #-{size}]!
    stp     x2, x3, [sp, #{x} + 16 * 1]
    stp     x4, x5, [sp, #{x} + 16 * 2]
    stp     x6, x7, [sp, #{x} + 16 * 3]
    add     x10, sp, #{size}
    stp     x8, x10, [sp, #{x} + 16 * 4]            // x8, SP as it was
    stp     x29, x9, [sp, #{fp}]                    // the record of the function's caller
    add     x29, sp, #{fp}
    stp     x29, x30, [sp, #{link}]                 // the record of the function
    add     x29, sp, #{link}
    sub     x0, x30, #4                             // ip: the BL
    mov     x1, x9                                  // parent_ip
    mov     x3, sp                                  // regs
.endm

// What the callbacks have left; x9 is where to go on.
.macro ftrace_restore
    ldp     x29, x30, [sp, #{fp}]
    ldr     x9, [sp, #{pc}]
    ldr     x8, [sp, #{x} + 8 * 8]
    ldp     x6, x7, [sp, #{x} + 16 * 3]
    ldp     x4, x5, [sp, #{x} + 16 * 2]
    ldp     x2, x3, [sp, #{x} + 16 * 1]
    ldp     x0, x1, [sp], #{size}
.endm

.section .noinstr.text, "ax"
.balign 64
.global ftrace_caller
.type ftrace_caller, %function
ftrace_caller:
    ftrace_save
.global __ftrace_call_start
__ftrace_call_start:
    ldr     x2, [x30, #-16]                         // the ops of this site
    ldr     x11, [x2, #{entry}]
    blr     x11
.global __ftrace_call_end
__ftrace_call_end:
    ftrace_restore
    ret     x9                                      // into the function, or wherever a callback sent it
.global __ftrace_call_again
__ftrace_call_again:
    ldr     x30, [sp, #{pc}]
    b       __ftrace_call_start
.size ftrace_caller, . - ftrace_caller

// The same for a function with a direct call (direct.rs) beside others: behind the callbacks its trampoline is entered as if
// the function's branch had led there, with x9 and x30 as the callbacks have left them. The ops is kept over the calls, for
// the literal may change meanwhile; it is never freed, and one that has no direct call never gets one.
.balign 64
.global ftrace_direct_caller
.type ftrace_direct_caller, %function
ftrace_direct_caller:
    ftrace_save
    sub     sp, sp, #16
.global __ftrace_direct_call_start
__ftrace_direct_call_start:
    ldr     x2, [x30, #-16]                         // the ops of this site
    str     x2, [sp]
    ldr     x11, [x2, #{entry}]
    blr     x11
.global __ftrace_direct_call_end
__ftrace_direct_call_end:
    ldr     x11, [sp], #16
    ftrace_restore
    ldr     x10, [x11, #{direct_of}]
    cbz     x10, 1f                                 // the direct call has gone meanwhile
    ldr     x16, [x10, #{direct}]
    cbz     x16, 1f
    mov     x10, x30
    mov     x30, x9                                 // where the trampoline is to go on
    mov     x9, x10                                 // the function's return address
    br      x16
1:  ret     x9
.global __ftrace_direct_end
__ftrace_direct_end:
.global __ftrace_direct_call_again
__ftrace_direct_call_again:
    ldr     x30, [sp, #16 + {pc}]
    b       __ftrace_direct_call_start
.size ftrace_direct_caller, . - ftrace_direct_caller

// What an ops of the graph has for its entry, and one of an fprobe: masks interrupts and goes on, with the masks as they were
// as fifth argument. At the branch of the first they are masked, so nobody is preempted there.
.global __ftrace_mask_start
.global __ftrace_mask_end
.global ftrace_masked
.type ftrace_masked, %function
ftrace_masked:
__ftrace_mask_start:
    mrs     x4, daif
    msr     daifset, #3
    b       {graph_enter}
.size ftrace_masked, . - ftrace_masked
.global ftrace_masked_fprobe
.type ftrace_masked_fprobe, %function
ftrace_masked_fprobe:
    mrs     x4, daif
    msr     daifset, #3
__ftrace_mask_end:
    b       {fprobe_enter}
.size ftrace_masked_fprobe, . - ftrace_masked_fprobe
