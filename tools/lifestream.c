// A stream of the beginnings and ends of tasks, for who reads the ring buffer.
#include "tool.h"

struct sched_process { u64 common; char comm[16]; s32 pid, prio; };
struct task_newtask { u64 common; s32 pid; char comm[16]; };
struct life { u64 time; u32 task, begins; char comm[16]; };

struct { int(*type)[RINGBUF]; int(*max_entries)[1 << 16]; } lives SEC(".maps");
u64 lost;

INLINE void tell(u32 task, u32 begins)
{
	struct life *life = ringbuf_reserve(&lives, sizeof(*life), 0);
	if (!life) {
		__sync_fetch_and_add(&lost, 1);
		return;
	}
	life->time = ktime_get_ns();
	life->task = task;
	life->begins = begins;
	get_current_comm(life->comm, sizeof(life->comm));
	ringbuf_submit(life, 0);
}

SEC("tp/task/task_newtask") int begins(struct task_newtask *ctx) { tell(ctx->pid, 1); return 0; }
SEC("tp/sched/sched_process_exit") int ends(struct sched_process *ctx) { tell(ctx->pid, 0); return 0; }
