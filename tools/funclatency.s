# How long does a function take: a histogram of powers of two, in nanoseconds.
.map begun hash key 8 value 8 entries 1024
.map histogram array key 4 value 8 entries 64

.section kprobe/work_fib entered
    call get_current_pid_tgid
    *(u64 *)(r10 - 8) = r0          # the key: the task
    call ktime_get_ns
    *(u64 *)(r10 - 16) = r0
    r1 = map[begun]
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call map_update_elem
    r0 = 0
    exit

.section kretprobe/work_fib left
    call get_current_pid_tgid
    *(u64 *)(r10 - 8) = r0
    r1 = map[begun]
    r2 = r10
    r2 += -8
    call map_lookup_elem
    if r0 == 0 goto out
    r6 = *(u64 *)(r0 + 0)
    call ktime_get_ns
    r0 -= r6
    r1 = r0
    call log2
    *(u32 *)(r10 - 12) = r0         # the key: the slot
    r1 = map[begun]
    r2 = r10
    r2 += -8
    call map_delete_elem
    r1 = map[histogram]
    r2 = r10
    r2 += -12
    call map_lookup_elem
    if r0 == 0 goto out
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
out:
    r0 = 0
    exit
# r0 = which power of two r1 is: 0 for 0 and 1, 1 for 2 and 3, 2 for 4 to 7 ...
log2:
    r0 = 0
    r2 = r1
    r2 >>= 32
    if r2 == 0 goto low16
    r1 = r2
    r0 += 32
low16:
    r2 = r1
    r2 >>= 16
    if r2 == 0 goto low8
    r1 = r2
    r0 += 16
low8:
    r2 = r1
    r2 >>= 8
    if r2 == 0 goto low4
    r1 = r2
    r0 += 8
low4:
    r2 = r1
    r2 >>= 4
    if r2 == 0 goto low2
    r1 = r2
    r0 += 4
low2:
    r2 = r1
    r2 >>= 2
    if r2 == 0 goto low1
    r1 = r2
    r0 += 2
low1:
    r1 >>= 1
    r1 &= 1
    r0 += r1
    exit
