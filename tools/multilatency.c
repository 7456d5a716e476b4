// How long does each of many functions take: how often, and nanoseconds in all, by function. Nested calls of one function by
// one task count once, as the outermost.
#include "tool.h"

struct call { u64 ip, task; };
struct spent { u64 times, total; };

MAP(calls, LRU_HASH, struct call, u64, 4096);
MAP(spent, HASH, u64, struct spent, 1024);

SEC("kprobe.multi/work_*") int entered(struct pt_regs *ctx)
{
	struct call call = { get_func_ip(ctx), get_current_pid_tgid() };
	u64 now = ktime_get_ns();
	map_update_elem(&calls, &call, &now, NOEXIST);
	return 0;
}

SEC("kretprobe.multi/work_*") int left(struct pt_regs *ctx)
{
	struct call call = { get_func_ip(ctx), get_current_pid_tgid() };
	u64 *since = map_lookup_elem(&calls, &call);
	if (!since)
		return 0;
	u64 time = ktime_get_ns() - *since;
	map_delete_elem(&calls, &call);
	struct spent first = { 1, time }, *spent_here = map_lookup_elem(&spent, &call.ip);
	if (spent_here) {
		__sync_fetch_and_add(&spent_here->times, 1);
		__sync_fetch_and_add(&spent_here->total, time);
	} else {
		map_update_elem(&spent, &call.ip, &first, NOEXIST);
	}
	return 0;
}
