// How often is a function called, and from where: a count for each stack.
#include "tool.h"

MAP(counts, HASH, u32, u64, 1024);
struct { int(*type)[STACK_TRACE]; int(*key_size)[4]; int(*value_size)[8 * 32]; int(*max_entries)[1024]; } stacks SEC(".maps");

SEC("kprobe/work_leaf") int stackcount(struct pt_regs *ctx)
{
	s64 stack = get_stackid(ctx, &stacks, 0);
	u32 key = stack;
	if (stack >= 0)
		COUNT(&counts, &key);
	return 0;
}
