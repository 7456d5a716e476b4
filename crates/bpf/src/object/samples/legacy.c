#include "sample.h"
struct { u32 type, key, value, entries, flags; } old SEC("maps") = { 1, 4, 8, 16, 0 };
SEC("kprobe/work_add") int f(void *ctx) { u32 key = 0; return map_lookup_elem(&old, &key) != 0; }
