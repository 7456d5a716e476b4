// How often is each of many functions entered: a count by function, and one by task.
#include "tool.h"

struct by { u64 ip; u32 task, pad; };
MAP(counts, HASH, struct by, u64, 8192);

SEC("kprobe.multi/work_*") int entrycount(struct pt_regs *ctx)
{
	struct by by = { get_func_ip(ctx), get_current_pid_tgid(), 0 };
	COUNT(&counts, &by);
	return 0;
}
