#include "sample.h"

struct WorkItem {
	s32 delta;
	u64 id;
	u32 len;
} CORE;

struct bpf_spin_lock { u32 val; };
struct locked { u64 n; struct bpf_spin_lock lock; };

struct { NUMBER(type, HASH); NUMBER(max_entries, 1024); TYPE(key, u32); TYPE(value, u64); } counts SEC(".maps");
struct { NUMBER(type, HASH); NUMBER(max_entries, 16); NUMBER(key_size, 8); TYPE(value, struct locked); } locks SEC(".maps");
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 4096); } a_ring_buffer_with_a_long_name SEC(".maps");
struct inner { NUMBER(type, ARRAY_MAP); NUMBER(max_entries, 4); TYPE(key, u32); TYPE(value, u64); } one SEC(".maps"), two SEC(".maps");
struct {
	NUMBER(type, ARRAY_OF_MAPS); NUMBER(max_entries, 3); TYPE(key, u32); ARRAY(values, struct inner);
} outer SEC(".maps") = { .values = { [0] = &one, [2] = &two } };
int tail(struct pt_regs *ctx);
struct {
	NUMBER(type, PROG_ARRAY); NUMBER(max_entries, 2); NUMBER(key_size, 4); ARRAY(values, int(void *));
} tails SEC(".maps") = { .values = { [1] = (void *)&tail } };

const volatile u32 limit = 5;
u32 hits;
static u32 sum = 7;
char text[] = "abc";
char LICENSE[] SEC("license") = "GPL";
u32 VERSION SEC("version") = 0x70200;

static NOINLINE u32 helper(u32 x) { sum += x; return x + limit; }
NOINLINE u32 twice(u32 x) { return helper(x) * 2; }
static long callback(u32 i, void *ctx) { *(u32 *)ctx += i; return 0; }

SEC("kprobe/work_struct") int on_entry(struct pt_regs *ctx)
{
	struct WorkItem *item = (void *)ctx->regs[0];
	u64 one = 1, *value;
	u32 key = 0, n = 0;
	probe_read_kernel(&key, sizeof(key), &item->len);
	value = map_lookup_elem(&counts, &key);
	if (value)
		__sync_fetch_and_add(value, 1);
	else
		map_update_elem(&counts, &key, &one, 0);
	hits++;
	loop(5, callback, &n, 0);
	static const char format[] = "n %d";
	trace_printk(format, sizeof(format), n);
	return twice(helper(key)) + text[key & 1];
}

SEC("kretprobe/work_struct") int on_return(struct pt_regs *ctx) { return helper(2); }
SEC("kprobe") int tail(struct pt_regs *ctx) { return 1; }
