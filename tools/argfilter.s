# Tells of the calls whose argument points to an item of at least a length, and counts the others.
# The length lies 8 bytes into an item and its number at the beginning: a compiler's object would ask the kernel where.
.string format "work_struct: item %llu of length %u"
.data passed 8

.section kprobe/work_struct argfilter
    r6 = *(u64 *)(r1 + 0)           # x0: the item
    r1 = 0
    *(u64 *)(r10 - 8) = r1
    *(u64 *)(r10 - 16) = r1
    r1 = r10
    r1 += -8
    r2 = 4
    r3 = r6
    r3 += 8                         # its length
    call probe_read_kernel
    r7 = *(u32 *)(r10 - 8)
    if r7 >= 100 goto long
    r1 = map[passed]
    r2 = 1
    lock *(u64 *)(r1 + 0) += r2
    goto out
long:
    r1 = r10
    r1 += -16
    r2 = 8
    r3 = r6                         # its number
    call probe_read_kernel
    r1 = map[format]
    r2 = 36
    r3 = *(u64 *)(r10 - 16)
    r4 = r7
    call trace_printk
out:
    r0 = 0
    exit
