// The change of stacks. Reached by an ordinary call from task::run_queue, with interrupts masked; nothing here is
// patched at run time, and it lies in .entry.text, where nothing may be probed or traced: between the two halves there
// is no stack to take an exception on that belongs to the task which SP_EL0 names.
//
//   x0  the task that leaves (also the return value, in the task that arrives)
//   x1  the task that arrives
//   x8-x10  free by the AAPCS64; x19-x29, sp and lr are all that a call preserves

.section .entry.text, "ax"
.balign 4

.global task_switch
.type task_switch, %function
task_switch:
    mov     x10, #{context}
    add     x8, x0, x10
    mov     x9, sp
    stp     x19, x20, [x8], #16
    stp     x21, x22, [x8], #16
    stp     x23, x24, [x8], #16
    stp     x25, x26, [x8], #16
    stp     x27, x28, [x8], #16
    stp     x29, x9, [x8], #16
    str     x30, [x8]
    add     x8, x1, x10
    ldp     x19, x20, [x8], #16
    ldp     x21, x22, [x8], #16
    ldp     x23, x24, [x8], #16
    ldp     x25, x26, [x8], #16
    ldp     x27, x28, [x8], #16
    ldp     x29, x9, [x8], #16
    ldr     x30, [x8]
    mov     sp, x9
    msr     sp_el0, x1
    ret
.size task_switch, . - task_switch

// The first return of a new task lands here: x0 is the task that left.
.global task_first
.type task_first, %function
task_first:
    mov     x29, xzr                        // the end of every backtrace
    mov     x30, xzr
    bl      {begin}
    brk     #0x800
.size task_first, . - task_first

.text
