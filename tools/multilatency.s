# How long does each of many functions take: how often, and nanoseconds in all, by function. Nested calls of one function by
# one task count once, as the outermost.
.map calls lru_hash key 16 value 8 entries 4096
.map spent hash key 8 value 16 entries 1024

.section kprobe.multi/work_* entered
    call get_func_ip
    *(u64 *)(r10 - 16) = r0
    call get_current_pid_tgid
    *(u64 *)(r10 - 8) = r0
    call ktime_get_ns
    *(u64 *)(r10 - 24) = r0
    r1 = map[calls]
    r2 = r10
    r2 += -16
    r3 = r10
    r3 += -24
    r4 = 1                          # an outer call stays
    call map_update_elem
    r0 = 0
    exit

.section kretprobe.multi/work_* left
    call get_func_ip
    *(u64 *)(r10 - 16) = r0
    call get_current_pid_tgid
    *(u64 *)(r10 - 8) = r0
    r1 = map[calls]
    r2 = r10
    r2 += -16
    call map_lookup_elem
    if r0 == 0 goto out
    r6 = *(u64 *)(r0 + 0)
    call ktime_get_ns
    r0 -= r6
    r6 = r0                         # so long it took
    r1 = map[calls]
    r2 = r10
    r2 += -16
    call map_delete_elem
    r1 = map[spent]
    r2 = r10
    r2 += -16                       # the key is the function alone
    call map_lookup_elem
    if r0 == 0 goto first
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    lock *(u64 *)(r0 + 8) += r6
    goto out
first:
    r1 = 1
    *(u64 *)(r10 - 32) = r1
    *(u64 *)(r10 - 24) = r6
    r1 = map[spent]
    r2 = r10
    r2 += -16
    r3 = r10
    r3 += -32
    r4 = 1
    call map_update_elem
out:
    r0 = 0
    exit
