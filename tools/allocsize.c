// How large are the blocks that the kernel's heap is asked for: a histogram of powers of two, on each CPU.
#include "tool.h"

struct kmalloc { u64 common, call_site, ptr, bytes_req, bytes_alloc; };

MAP(histogram, PERCPU_ARRAY, u32, u64, 64);

SEC("tp/kmem/kmalloc") int allocsize(struct kmalloc *ctx)
{
	u32 slot = log2(ctx->bytes_req);
	u64 *count = map_lookup_elem(&histogram, &slot);
	if (count)
		*count += 1;
	return 0;
}
