# How long do tasks not run: nanoseconds off the CPU, by task.
.map left hash key 4 value 8 entries 4096
.map off hash key 4 value 8 entries 4096

.section tp/sched/sched_switch offcpu
    r6 = *(u32 *)(r1 + 24)          # prev_pid
    r7 = *(u32 *)(r1 + 56)          # next_pid
    *(u32 *)(r10 - 4) = r6
    *(u32 *)(r10 - 8) = r7
    call ktime_get_ns
    r8 = r0
    *(u64 *)(r10 - 16) = r8
    if r6 == 0 goto arrives         # an idle task
    r1 = map[left]
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 0
    call map_update_elem
arrives:
    r1 = map[left]
    r2 = r10
    r2 += -8
    call map_lookup_elem
    if r0 == 0 goto out
    r1 = *(u64 *)(r0 + 0)
    r8 -= r1                        # so long it was away
    *(u64 *)(r10 - 16) = r8
    r1 = map[left]
    r2 = r10
    r2 += -8
    call map_delete_elem
    r1 = map[off]
    r2 = r10
    r2 += -8
    call map_lookup_elem
    if r0 == 0 goto first
    lock *(u64 *)(r0 + 0) += r8
    goto out
first:
    r1 = map[off]
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 1
    call map_update_elem
out:
    r0 = 0
    exit
