# Which locks are waited for, how often and for how long.
.map waits hash key 8 value 16 entries 1024     # by task: the lock, since when
.map locks hash key 8 value 16 entries 1024     # by lock: how often, nanoseconds in all

.section tp/lock/contention_begin begin
    r6 = *(u64 *)(r1 + 8)           # lock_addr
    *(u64 *)(r10 - 24) = r6
    call get_current_pid_tgid
    *(u64 *)(r10 - 8) = r0
    call ktime_get_ns
    *(u64 *)(r10 - 16) = r0
    r1 = map[waits]
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -24
    r4 = 0
    call map_update_elem
    r0 = 0
    exit

.section tp/lock/contention_end end
    r6 = *(u64 *)(r1 + 8)           # lock_addr
    *(u64 *)(r10 - 16) = r6
    call get_current_pid_tgid
    *(u64 *)(r10 - 8) = r0
    r1 = map[waits]
    r2 = r10
    r2 += -8
    call map_lookup_elem
    if r0 == 0 goto out
    r1 = *(u64 *)(r0 + 0)
    if r1 != r6 goto out            # it waits for another one
    r7 = *(u64 *)(r0 + 8)
    call ktime_get_ns
    r0 -= r7
    r7 = r0                         # so long it waited
    r1 = map[waits]
    r2 = r10
    r2 += -8
    call map_delete_elem
    r1 = map[locks]
    r2 = r10
    r2 += -16
    call map_lookup_elem
    if r0 == 0 goto first
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    lock *(u64 *)(r0 + 8) += r7
    goto out
first:
    r1 = 1
    *(u64 *)(r10 - 32) = r1
    *(u64 *)(r10 - 24) = r7
    r1 = map[locks]
    r2 = r10
    r2 += -16
    r3 = r10
    r3 += -32
    r4 = 1
    call map_update_elem
out:
    r0 = 0
    exit
