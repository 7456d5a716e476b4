// How long do tasks not run: nanoseconds off the CPU, by task.
#include "tool.h"

struct sched_switch {
	u64 common;
	char prev_comm[16];
	s32 prev_pid, prev_prio;
	u64 prev_state;
	char next_comm[16];
	s32 next_pid, next_prio;
};

MAP(left, HASH, u32, u64, 4096);
MAP(off, HASH, u32, u64, 4096);

SEC("tp/sched/sched_switch") int offcpu(struct sched_switch *ctx)
{
	u64 now = ktime_get_ns();
	u32 prev = ctx->prev_pid, next = ctx->next_pid;
	// The idle task of each CPU has the number 0.
	if (prev)
		map_update_elem(&left, &prev, &now, ANY);
	u64 *since = map_lookup_elem(&left, &next);
	if (!since)
		return 0;
	u64 time = now - *since, *sum = map_lookup_elem(&off, &next);
	map_delete_elem(&left, &next);
	if (sum)
		__sync_fetch_and_add(sum, time);
	else
		map_update_elem(&off, &next, &time, NOEXIST);
	return 0;
}
