// Tells of the calls whose argument points to an item of at least a length, and counts the others. Where the length lies in an
// item is asked of the kernel (CO-RE): the struct here has its members in another order, and not all of them.
#include "tool.h"

struct WorkItem {
	u32 len;
	u64 id;
} CORE;

const volatile u32 limit = 100;
u64 passed;

SEC("kprobe/work_struct") int argfilter(struct pt_regs *ctx)
{
	struct WorkItem *item = (void *)ctx->regs[0];
	u64 id = 0;
	u32 len = 0;
	probe_read_kernel(&len, sizeof(len), &item->len);
	if (len < limit) {
		__sync_fetch_and_add(&passed, 1);
		return 0;
	}
	probe_read_kernel(&id, sizeof(id), &item->id);
	PRINT("work_struct: item %llu of length %u", id, len);
	return 0;
}
