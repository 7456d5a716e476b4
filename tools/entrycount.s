# How often is each of many functions entered: a count by function and task.
.map counts hash key 16 value 8 entries 8192

.section kprobe.multi/work_* entrycount
    call get_func_ip
    *(u64 *)(r10 - 16) = r0
    call get_current_pid_tgid
    w0 = w0                         # the lower half: the task
    *(u64 *)(r10 - 8) = r0
    r1 = map[counts]
    r2 = r10
    r2 += -16
    call map_lookup_elem
    if r0 == 0 goto first
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    goto out
first:
    r1 = 1
    *(u64 *)(r10 - 24) = r1
    r1 = map[counts]
    r2 = r10
    r2 += -16
    r3 = r10
    r3 += -24
    r4 = 1
    call map_update_elem
out:
    r0 = 0
    exit
