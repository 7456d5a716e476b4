# How large are the blocks that the kernel's heap is asked for: a histogram of powers of two, on each CPU.
.map histogram percpu_array key 4 value 8 entries 64

.section tp/kmem/kmalloc allocsize
    r1 = *(u64 *)(r1 + 24)          # bytes_req
    call log2
    *(u32 *)(r10 - 4) = r0
    r1 = map[histogram]
    r2 = r10
    r2 += -4
    call map_lookup_elem
    if r0 == 0 goto out
    r1 = *(u64 *)(r0 + 0)
    r1 += 1
    *(u64 *)(r0 + 0) = r1
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
