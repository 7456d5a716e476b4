#include "sample.h"

// The layouts of a kernel that differs from what the other samples were compiled against.
struct AtomicU64 { u64 v; };
struct WorkItem {
	u64 id;
	u32 len;
	s32 delta;
	const char *name;
} item;

enum state { IDLE = 3, RUNNING = 70000, GONE = -2 };
enum other { IDLE_OTHER };
struct thing {
	u64 before;
	union {
		struct { u16 small; u32 in_union; };
		u64 both;
	};
	struct WorkItem items[4];
	struct AtomicU64 wrapped;
	u32 wide;
	s32 narrow;
	u32 : 5, flags : 3, more : 9;
	s32 neg : 4;
	enum state state;
	void *pointer;
} thing;
struct twin { u32 a; u64 b; } twin1;
typedef struct thing thing_t;
thing_t other_thing;
