// What a tool needs of other people's headers, and no more. The numbers are Linux's.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
// Accesses to such a struct go where the kernel has its members.
#define CORE __attribute__((preserve_access_index))
#define INLINE static inline __attribute__((always_inline))

// Maps, as libbpf reads them: numbers in the lengths of arrays, types behind pointers.
#define MAP(name, kind, k, v, entries) \
	struct { int(*type)[kind]; k *key; v *value; int(*max_entries)[entries]; } name SEC(".maps")
enum { HASH = 1, ARRAY = 2, PERCPU_ARRAY = 6, STACK_TRACE = 7, LRU_HASH = 9, RINGBUF = 27 };

// Helpers, by number.
static void *(*map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*ktime_get_ns)(void) = (void *)5;
static long (*trace_printk)(const char *format, u32 size, ...) = (void *)6;
static u64 (*get_current_pid_tgid)(void) = (void *)14;
static long (*get_current_comm)(void *to, u32 size) = (void *)16;
static long (*get_stackid)(void *ctx, void *map, u64 flags) = (void *)27;
static long (*probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static void *(*ringbuf_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*ringbuf_submit)(void *data, u64 flags) = (void *)132;
static u64 (*get_func_ip)(void *ctx) = (void *)173;

enum { ANY, NOEXIST, EXIST };

struct pt_regs {
	u64 regs[31], sp, pc, pstate;
};

#define PRINT(text, args...) ({ static const char format[] = text; trace_printk(format, sizeof(format), ##args); })

// One more in a map of counts.
#define COUNT(map, key) ({ \
	u64 one = 1, *count = map_lookup_elem(map, key); \
	if (count) __sync_fetch_and_add(count, 1); \
	else map_update_elem(map, key, &one, NOEXIST); })

// Which power of two: 0 for 0 and 1, 1 for 2 and 3, 2 for 4 to 7 …
INLINE u32 log2(u64 n)
{
	u32 bits = 0;
	if (n >> 32) { n >>= 32; bits += 32; }
	if (n >> 16) { n >>= 16; bits += 16; }
	if (n >> 8) { n >>= 8; bits += 8; }
	if (n >> 4) { n >>= 4; bits += 4; }
	if (n >> 2) { n >>= 2; bits += 2; }
	return bits + (n >> 1 & 1);
}

char LICENSE[] SEC("license") = "GPL";
