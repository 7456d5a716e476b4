// The little that the samples need of Linux's and libbpf's headers.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define NOINLINE __attribute__((noinline))
#define CORE __attribute__((preserve_access_index))
#define NUMBER(name, value) int(*name)[value]
#define TYPE(name, type) type *name
#define ARRAY(name, type) typeof(type) *name[]

enum { HASH = 1, ARRAY_MAP = 2, PROG_ARRAY = 3, ARRAY_OF_MAPS = 12, RINGBUF = 27 };

static void *(*map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*trace_printk)(const char *format, u32 size, ...) = (void *)6;
static long (*loop)(u32 count, void *callback, void *ctx, u64 flags) = (void *)181;

struct pt_regs {
	u64 regs[31], sp, pc, pstate;
};
