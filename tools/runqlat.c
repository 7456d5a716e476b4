// How long do tasks that could run wait for a CPU: a histogram of powers of two, in nanoseconds.
#include "tool.h"

struct sched_wakeup { u64 common; char comm[16]; s32 pid, prio, target_cpu; };
struct sched_switch {
	u64 common;
	char prev_comm[16];
	s32 prev_pid, prev_prio;
	u64 prev_state;
	char next_comm[16];
	s32 next_pid, next_prio;
};

MAP(ready, HASH, u32, u64, 4096);
MAP(histogram, ARRAY, u32, u64, 64);

INLINE void is_ready(u32 task)
{
	u64 now = ktime_get_ns();
	if (task)
		map_update_elem(&ready, &task, &now, ANY);
}

SEC("tp/sched/sched_wakeup") int woken(struct sched_wakeup *ctx) { is_ready(ctx->pid); return 0; }
SEC("tp/sched/sched_wakeup_new") int woken_new(struct sched_wakeup *ctx) { is_ready(ctx->pid); return 0; }

SEC("tp/sched/sched_switch") int switched(struct sched_switch *ctx)
{
	u32 next = ctx->next_pid;
	// A task that was preempted is ready again at once.
	if (ctx->prev_state == 0)
		is_ready(ctx->prev_pid);
	u64 *since = map_lookup_elem(&ready, &next);
	if (!since)
		return 0;
	u32 slot = log2(ktime_get_ns() - *since);
	map_delete_elem(&ready, &next);
	COUNT(&histogram, &slot);
	return 0;
}
