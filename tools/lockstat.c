// Which locks are waited for, how often and for how long.
#include "tool.h"

struct contention_begin { u64 common, lock; u32 flags; };
struct contention_end { u64 common, lock; s32 ret; };
struct waiting { u64 lock, since; };
struct waited { u64 times, total; };

MAP(waits, HASH, u64, struct waiting, 1024);
MAP(locks, HASH, u64, struct waited, 1024);

SEC("tp/lock/contention_begin") int begin(struct contention_begin *ctx)
{
	u64 task = get_current_pid_tgid();
	struct waiting waiting = { ctx->lock, ktime_get_ns() };
	map_update_elem(&waits, &task, &waiting, ANY);
	return 0;
}

SEC("tp/lock/contention_end") int end(struct contention_end *ctx)
{
	u64 task = get_current_pid_tgid(), lock = ctx->lock;
	struct waiting *waiting = map_lookup_elem(&waits, &task);
	if (!waiting || waiting->lock != lock)
		return 0;
	u64 time = ktime_get_ns() - waiting->since;
	map_delete_elem(&waits, &task);
	struct waited first = { 1, time }, *waited = map_lookup_elem(&locks, &lock);
	if (waited) {
		__sync_fetch_and_add(&waited->times, 1);
		__sync_fetch_and_add(&waited->total, time);
	} else {
		map_update_elem(&locks, &lock, &first, NOEXIST);
	}
	return 0;
}
