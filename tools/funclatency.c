// How long does a function take: a histogram of powers of two, in nanoseconds.
#include "tool.h"

MAP(begun, HASH, u64, u64, 1024);
MAP(histogram, ARRAY, u32, u64, 64);

SEC("kprobe/work_fib") int entered(struct pt_regs *ctx)
{
	u64 task = get_current_pid_tgid(), now = ktime_get_ns();
	map_update_elem(&begun, &task, &now, ANY);
	return 0;
}

SEC("kretprobe/work_fib") int left(struct pt_regs *ctx)
{
	u64 task = get_current_pid_tgid(), *begin = map_lookup_elem(&begun, &task);
	if (!begin)
		return 0;
	u32 slot = log2(ktime_get_ns() - *begin);
	map_delete_elem(&begun, &task);
	COUNT(&histogram, &slot);
	return 0;
}
