#include "sample.h"

// Every question of CO-RE about types that `kernel.c` has differently, or not at all.
struct WorkItem { u32 len; u64 id; } CORE;
enum state { IDLE, RUNNING, GONE, NEVER };
struct thing {
	u32 in_union;
	u64 wrapped, wide;
	struct WorkItem items[8];
	u32 flags : 7, more : 2;
	s32 neg : 9;
	u64 *pointer;
	enum state state;
	u32 missing;
	s64 narrow;
} CORE;
struct thing___second { u64 both; } CORE;
struct absent { int x; } CORE;

enum { FIELD_EXISTS = 2, FIELD_SIZE = 1, FIELD_OFFSET = 0, FIELD_SIGNED = 3, FIELD_LSHIFT = 4, FIELD_RSHIFT = 5 };
#define FIELD(what, f) __builtin_preserve_field_info(f, what)
#define TYPE_EXISTS(t) __builtin_preserve_type_info(*(t *)0, 0)
#define TYPE_SIZE(t) __builtin_preserve_type_info(*(t *)0, 1)
#define LOCAL_ID(t) __builtin_btf_type_id(*(t *)0, 0)
#define KERNEL_ID(t) __builtin_btf_type_id(*(t *)0, 1)
#define VALUE_EXISTS(t, v) __builtin_preserve_enum_value(*(t *)v, 0)
#define VALUE(t, v) __builtin_preserve_enum_value(*(t *)v, 1)
#define PUT(x) out[n++] = (x)

u64 out[64];

SEC("syscall") int questions(struct thing *t)
{
	u32 n = 0;
	PUT(FIELD(FIELD_OFFSET, t->in_union));
	PUT(FIELD(FIELD_OFFSET, ((struct thing___second *)t)->both));
	PUT(FIELD(FIELD_OFFSET, t->wrapped));
	PUT(FIELD(FIELD_SIZE, t->wide));
	PUT(FIELD(FIELD_OFFSET, t->items[3].len));
	PUT(FIELD(FIELD_EXISTS, t->items[5]));
	PUT(FIELD(FIELD_EXISTS, t->missing));
	PUT(FIELD(FIELD_EXISTS, t->pointer));
	PUT(FIELD(FIELD_OFFSET, t->flags));
	PUT(FIELD(FIELD_SIZE, t->flags));
	PUT(FIELD(FIELD_LSHIFT, t->flags));
	PUT(FIELD(FIELD_RSHIFT, t->flags));
	PUT(FIELD(FIELD_SIGNED, t->flags));
	PUT(FIELD(FIELD_SIGNED, t->neg));
	PUT(FIELD(FIELD_LSHIFT, t->neg));
	PUT(TYPE_EXISTS(struct thing));
	PUT(TYPE_EXISTS(struct absent));
	PUT(TYPE_SIZE(struct WorkItem));
	PUT(VALUE_EXISTS(enum state, RUNNING));
	PUT(VALUE_EXISTS(enum state, NEVER));
	PUT(VALUE(enum state, RUNNING));
	PUT(VALUE(enum state, GONE));
	PUT(KERNEL_ID(struct WorkItem));
	PUT(LOCAL_ID(struct WorkItem));
	return 0;
}

SEC("syscall") int loads(struct thing *t) { return t->wide + t->in_union; }
SEC("syscall") int reaches_what_is_not_there(struct thing *t) { return t->missing; }
SEC("syscall") int loses_a_sign(struct thing *t) { return t->narrow; }
