# How often is a function called, and from where: a count for each stack.
.map counts hash key 4 value 8 entries 1024
.map stacks stack_trace key 4 value 256 entries 1024

.section kprobe/work_leaf stackcount
    r2 = map[stacks]
    r3 = 0
    call get_stackid
    if r0 s< 0 goto out
    *(u32 *)(r10 - 4) = r0          # the key: the stack's number
    r1 = map[counts]
    r2 = r10
    r2 += -4
    call map_lookup_elem
    if r0 == 0 goto first
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    goto out
first:
    r1 = 1
    *(u64 *)(r10 - 16) = r1
    r1 = map[counts]
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 1                          # BPF_NOEXIST
    call map_update_elem
out:
    r0 = 0
    exit
