# A stream of the beginnings and ends of tasks, for who reads the ring buffer.
.map lives ringbuf entries 65536
.data lost 8

.section tp/task/task_newtask begins
    r7 = *(u32 *)(r1 + 8)           # pid
    r1 = map[lives]
    r2 = 32
    r3 = 0
    call ringbuf_reserve
    if r0 == 0 goto full
    r6 = r0
    call ktime_get_ns
    *(u64 *)(r6 + 0) = r0           # when
    *(u32 *)(r6 + 8) = r7           # who
    r1 = 1
    *(u32 *)(r6 + 12) = r1          # it begins
    r1 = r6
    r1 += 16
    r2 = 16
    call get_current_comm           # whose name
    r1 = r6
    r2 = 0
    call ringbuf_submit
    goto out
full:
    r1 = map[lost]
    r2 = 1
    lock *(u64 *)(r1 + 0) += r2
out:
    r0 = 0
    exit

.section tp/sched/sched_process_exit ends
    r7 = *(u32 *)(r1 + 24)          # pid
    r1 = map[lives]
    r2 = 32
    r3 = 0
    call ringbuf_reserve
    if r0 == 0 goto full
    r6 = r0
    call ktime_get_ns
    *(u64 *)(r6 + 0) = r0           # when
    *(u32 *)(r6 + 8) = r7           # who
    r1 = 0
    *(u32 *)(r6 + 12) = r1          # it ends
    r1 = r6
    r1 += 16
    r2 = 16
    call get_current_comm           # whose name
    r1 = r6
    r2 = 0
    call ringbuf_submit
    goto out
full:
    r1 = map[lost]
    r2 = 1
    lock *(u64 *)(r1 + 0) += r2
out:
    r0 = 0
    exit
