//! Helpers: what programs may call of this kernel, by Linux's numbers.
//!
//! ```text
//!   program ──call 1──▶ address(1) = map_lookup_elem(r1: map, r2: key) ──▶ r0
//!               compiled: a branch there         interpreted: a call through the table
//! ```
//!
//! There is one table for whatever runs a program. What a helper may take for granted is what the verifier has proven of its
//! arguments (`bpf::helper`); what it promises is in the head of that table: every byte of an output is written, whatever
//! happens.
//!
//! | file | helpers |
//! |---|---|
//! | [`map`] | lookup, update, delete, push, pop, peek, for_each_map_elem |
//! | [`ring`] | the ringbuf family, perf_event_output |
//! | [`machine`] | clocks, the CPU, random numbers |
//! | [`who`] | the task, the function, the cookie |
//! | [`memory`] | probe_read and its variants, strncmp, strtol |
//! | [`print`] | trace_printk, snprintf |
//! | [`stack`] | backtraces |
//! | [`flow`] | loop, locks |
//! | [`timer`] | timers |
//!
//! A helper runs where its program does, which may be anywhere: it allocates nothing, takes no lock that probed code may
//! hold, and is not traced. The program's CPU stays the same while it runs.

mod events;
mod flow;
mod machine;
mod map;
mod memory;
mod print;
mod ring;
mod stack;
pub(crate) mod tests;
pub(in crate::bpf) mod timer;
mod who;

use ::bpf::map::{Map, MapError};
use tracecore::errno::Errno;

use crate::sync::CpuPin;
use crate::time::now_ns_c;

/// A helper.
pub(crate) type Helper = extern "C" fn(u64, u64, u64, u64, u64) -> u64;

/// Declares helpers: functions of up to five arguments, without an entry to trace.
macro_rules! helpers {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident),*) $body:block)*) => { $(
        $crate::bpf::helpers::helpers! { @pad [$(#[$meta])*] $name ($($arg,)*) $body }
    )* };
    (@pad $meta:tt $name:ident () $body:block) => {
        $crate::bpf::helpers::helpers! { @fn $meta $name (_, _, _, _, _) $body }
    };
    (@pad $meta:tt $name:ident ($a:ident,) $body:block) => {
        $crate::bpf::helpers::helpers! { @fn $meta $name ($a, _, _, _, _) $body }
    };
    (@pad $meta:tt $name:ident ($a:ident, $b:ident,) $body:block) => {
        $crate::bpf::helpers::helpers! { @fn $meta $name ($a, $b, _, _, _) $body }
    };
    (@pad $meta:tt $name:ident ($a:ident, $b:ident, $c:ident,) $body:block) => {
        $crate::bpf::helpers::helpers! { @fn $meta $name ($a, $b, $c, _, _) $body }
    };
    (@pad $meta:tt $name:ident ($a:ident, $b:ident, $c:ident, $d:ident,) $body:block) => {
        $crate::bpf::helpers::helpers! { @fn $meta $name ($a, $b, $c, $d, _) $body }
    };
    (@pad $meta:tt $name:ident ($a:ident, $b:ident, $c:ident, $d:ident, $e:ident,) $body:block) => {
        $crate::bpf::helpers::helpers! { @fn $meta $name ($a, $b, $c, $d, $e) $body }
    };
    (@fn [$($meta:tt)*] $name:ident ($a:pat, $b:pat, $c:pat, $d:pat, $e:pat) $body:block) => {
        $($meta)*
        #[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
        pub(super) extern "C" fn $name($a: u64, $b: u64, $c: u64, $d: u64, $e: u64) -> u64 $body
    };
}
use helpers;

/// All of them, by number.
const TABLE: &[(i32, Helper)] = &[
    (1, map::map_lookup_elem),
    (2, map::map_update_elem),
    (3, map::map_delete_elem),
    (4, memory::probe_read),
    (5, now_ns_c),
    (6, print::trace_printk),
    (7, machine::get_prandom_u32),
    (8, machine::get_smp_processor_id),
    (14, who::get_current_pid_tgid),
    (15, who::get_current_uid_gid),
    (16, who::get_current_comm),
    (25, ring::perf_event_output),
    (27, stack::get_stackid),
    (35, who::get_current_task),
    (42, machine::get_numa_node_id),
    (45, memory::probe_read_str),
    (67, stack::get_stack),
    (87, map::map_push_elem),
    (88, map::map_pop_elem),
    (89, map::map_peek_elem),
    (93, flow::spin_lock),
    (94, flow::spin_unlock),
    (105, memory::strtol),
    (106, memory::strtoul),
    (112, memory::probe_read_user),
    (113, memory::probe_read_kernel),
    (114, memory::probe_read_user_str),
    (115, memory::probe_read_kernel_str),
    (118, machine::jiffies64),
    (125, now_ns_c),
    (130, ring::ringbuf_output),
    (131, ring::ringbuf_reserve),
    (132, ring::ringbuf_submit),
    (133, ring::ringbuf_discard),
    (134, ring::ringbuf_query),
    (141, stack::get_task_stack),
    (158, who::get_current_task),
    (160, now_ns_c),
    (164, map::for_each_map_elem),
    (165, print::snprintf),
    (169, timer::timer_init),
    (170, timer::timer_set_callback),
    (171, timer::timer_start),
    (172, timer::timer_cancel),
    (173, who::get_func_ip),
    (174, who::get_attach_cookie),
    (177, print::trace_vprintk),
    (181, flow::bpf_loop),
    (182, memory::strncmp),
    (183, who::get_func_arg),
    (184, who::get_func_ret),
    (185, who::get_func_arg_cnt),
    (195, map::map_lookup_percpu_elem),
    (208, now_ns_c),
];

/// The helper with this number. `tail_call` is none: whoever runs the program goes on in another one by himself.
pub(crate) fn address(number: i32) -> Option<Helper> {
    TABLE.binary_search_by_key(&number, |row| row.0).ok().and_then(|at| TABLE.get(at)).map(|row| row.1)
}

/// Gets ready for a program that calls these helpers. By a task, when the program is loaded.
///
/// # Errors
/// Those of switching an event on.
pub(crate) fn prepare(helpers: &[i32]) -> Result<(), Errno> {
    print::prepare(helpers)
}

/// What a helper returns for an error: the number, negated.
#[inline(always)]
fn error(errno: Errno) -> u64 {
    (-i64::from(errno.code())) as u64
}

/// 0, or the number of the error, negated.
#[inline(always)]
fn result(done: Result<(), MapError>) -> u64 {
    match done {
        Ok(()) => 0,
        Err(error) => error.as_result(),
    }
}

/// The running program's CPU stays the same.
#[inline(always)]
fn pinned() -> CpuPin {
    // SAFETY: whoever runs a program holds off preemption.
    unsafe { CpuPin::assume() }
}

/// The map that a program has in a register.
///
/// # Safety
/// It is one: the verifier has seen to it, and the program holds it.
#[inline(always)]
unsafe fn map_at<'a>(map: u64) -> &'a Map {
    // SAFETY: the caller's promise.
    unsafe { &*(map as *const Map) }
}

/// Memory of the program's that it has written.
///
/// # Safety
/// There are `len` such bytes: the verifier has seen to it. Nobody changes them meanwhile but who shares them, and then
/// they are numbers whatever happens.
#[inline(always)]
unsafe fn bytes_at<'a>(addr: u64, len: u64) -> &'a [u8] {
    if addr == 0 || len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(addr as *const u8, len as usize) }
}

/// The same as words, if they lie as such: this machine does not load across words.
///
/// # Safety
/// As [`bytes_at`].
#[inline(always)]
unsafe fn words_at<'a>(addr: u64, len: u32) -> Option<&'a [u64]> {
    if (addr | u64::from(len)) & 7 != 0 || len == 0 {
        return None;
    }
    // SAFETY: the caller's promise, and it is aligned.
    Some(unsafe { core::slice::from_raw_parts(addr as *const u64, len as usize / 8) })
}

/// Memory of the program's that it lets be written: nothing of it is read before.
///
/// # Safety
/// As [`bytes_at`], and it is the program's alone.
#[inline(always)]
unsafe fn room_at<'a>(addr: u64, len: u64) -> &'a mut [u8] {
    if addr == 0 || len == 0 {
        return &mut [];
    }
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(addr as *mut u8, len as usize) }
}

/// A function of the program that a helper calls.
type Callback = extern "C" fn(u64, u64, u64, u64, u64) -> u64;

/// # Safety
/// It is the address of such a function: the verifier has seen to it.
#[inline(always)]
unsafe fn callback_at(addr: u64) -> Callback {
    // SAFETY: the caller's promise.
    unsafe { core::mem::transmute::<usize, Callback>(addr as usize) }
}
