//! Patches to try on the workloads: `/sys/kernel/livepatch/NAME/enabled`.
//!
//! | patch | replaces |
//! |---|---|
//! | `livepatch_sample` | `work_add` by a product, `work_leaf` by a function that returns one more |
//! | `livepatch_loops` | the recursive `work_fib` and `work_fact` by loops: the same results in one call |
//! | `livepatch_other` | `work_add` by a difference: refused while `livepatch_sample` is on |

use super::functions::{work_add, work_fact, work_fib, work_leaf};
use crate::fs;
use crate::ftrace::livepatch::{Patch, replacement};

type Add = extern "C" fn(u64, u64) -> u64;
type Leaf = extern "C" fn() -> u64;
type Recursive = extern "C" fn(u64) -> u64;

static SAMPLE: Patch = Patch::new(
    "livepatch_sample",
    &[
        replacement!(Add: work_add => livepatch_work_add),
        replacement!(Leaf: work_leaf => livepatch_work_leaf),
    ],
);

static LOOPS: Patch = Patch::new(
    "livepatch_loops",
    &[
        replacement!(Recursive: work_fib => livepatch_work_fib),
        replacement!(Recursive: work_fact => livepatch_work_fact),
    ],
);

static OTHER: Patch =
    Patch::new("livepatch_other", &[replacement!(Add: work_add => livepatch_work_add_other)]);

/// Shows them to the file system.
pub(crate) fn init() {
    for patch in [&SAMPLE, &LOOPS, &OTHER] {
        fs::livepatch::add(patch);
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn livepatch_work_add(a: u64, b: u64) -> u64 {
    a.wrapping_mul(b)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn livepatch_work_add_other(a: u64, b: u64) -> u64 {
    a.wrapping_sub(b)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn livepatch_work_leaf() -> u64 {
    super::functions::LEAF + 1
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn livepatch_work_fib(n: u64) -> u64 {
    (0..n).fold((0u64, 1u64), |(a, b), _| (b, a.wrapping_add(b))).0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn livepatch_work_fact(n: u64) -> u64 {
    (1..=n).fold(1, u64::wrapping_mul)
}
