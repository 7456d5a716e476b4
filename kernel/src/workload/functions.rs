//! The `work_*` functions: real code for probes to sit on.
//!
//! Each has the C calling convention, so that its arguments are in x0, x1, … by the book; a symbol name as written;
//! and is compiled like all of the kernel, with the same patchable entry and frame record. What the optimiser would
//! do to such small functions (evaluate them at the call, turn their recursion into loops) is held off by
//! [`opaque`], which costs no instruction.

use super::events;
use crate::fs::wait::sleep_until;
use crate::jump_label::{StaticKey, static_branch_unlikely};
use crate::time::now_ns;
use crate::tracepoint::trace;
use core::arch::asm;
use core::ffi::{CStr, c_char};
use core::hint::black_box;

/// The same value, about which the optimiser knows nothing any more.
#[inline(always)]
fn opaque(value: u64) -> u64 {
    let mut value = value;
    // SAFETY: no instruction at all; the value stays in its register.
    unsafe { asm!("/* {} */", inout(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// What [`work_struct`] takes: 24 bytes, as C lays them out.
///
/// | offset | field | C type |
/// |---|---|---|
/// | 0 | `id` | `unsigned long` |
/// | 8 | `len` | `unsigned int` |
/// | 12 | `delta` | `int` |
/// | 16 | `name` | `const char *` |
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkItem {
    /// Any number.
    pub(crate) id: u64,
    /// Any number.
    pub(crate) len: u32,
    /// Any number, signed.
    pub(crate) delta: i32,
    /// A string that ends with a NUL.
    pub(crate) name: *const c_char,
}

/// `a + b`.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

/// The `n`th Fibonacci number (0, 1, 1, 2, …), by two recursive calls.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    opaque(work_fib(n - 1)) + opaque(work_fib(n - 2))
}

/// The product of 1 to `n`, modulo 2^64, by one recursive call.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_fact(n: u64) -> u64 {
    if n < 2 {
        return 1;
    }
    n.wrapping_mul(opaque(work_fact(n - 1)))
}

/// The sum of `len` numbers, modulo 2^64.
///
/// # Safety
/// `numbers` points to `len` numbers.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) unsafe extern "C" fn work_sum(numbers: *const u64, len: u64) -> u64 {
    // SAFETY: as the caller promises.
    let numbers = unsafe { core::slice::from_raw_parts(numbers, len as usize) };
    numbers.iter().fold(0, |sum, number| opaque(number.wrapping_add(sum)))
}

/// The number of bytes before the NUL.
///
/// # Safety
/// `text` points to a string that ends with a NUL.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) unsafe extern "C" fn work_strlen(text: *const c_char) -> u64 {
    let mut len = 0;
    // SAFETY: as the caller promises, no byte up to the NUL is beyond the string.
    while unsafe { *text.add(len as usize) } != 0 {
        len = opaque(len + 1);
    }
    len
}

/// The sum of eight arguments: as many as there are registers for.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_args8(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64) -> u64 {
    [b, c, d, e, f, g, h].iter().fold(a, |sum, arg| sum.wrapping_add(*arg))
}

/// `id + len + delta + strlen(name)`: every field counts.
///
/// # Safety
/// `item` points to an item whose name ends with a NUL.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) unsafe extern "C" fn work_struct(item: *const WorkItem) -> u64 {
    // SAFETY: as the caller promises.
    let (item, name_len) = unsafe { (&*item, work_strlen((*item).name)) };
    let sum = item.id.wrapping_add(u64::from(item.len));
    sum.wrapping_add_signed(i64::from(item.delta)).wrapping_add(opaque(name_len))
}

/// What [`work_key`] branches on.
pub(crate) static WORK_KEY: StaticKey = StaticKey::new("work_key", false).by_hand();

/// `n`, or `n * n` while the key is on.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_key(n: u64) -> u64 {
    if static_branch_unlikely!(WORK_KEY) { n.wrapping_mul(n) } else { n }
}

/// Passes the tracepoint `work_text` and returns the address. Nothing is there that has to be a text.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_text(address: u64) -> u64 {
    trace!(events::work_text(address));
    address
}

/// What [`work_leaf`] returns.
pub(crate) const LEAF: u64 = 42;

/// Calls nothing and takes nothing.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_leaf() -> u64 {
    LEAF
}

/// How many different functions [`work_chain`] goes through before it starts over.
pub(crate) const CHAIN_LINKS: u64 = 8;

/// Calls `n` nested functions, each with another frame size; the first adds 1 to the result, the second 2, up to
/// [`CHAIN_LINKS`], then again 1.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_chain(n: u64) -> u64 {
    if n == 0 { 0 } else { opaque(work_chain_1(n - 1)) }
}

/// Declares the links of [`work_chain`]: what each adds is also the number of words on its stack.
macro_rules! links {
    ($($name:ident $adds:literal $next:ident),+) => { $(
        /// A link of [`work_chain`], with as many words on its stack as it adds to the result.
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(left: u64) -> u64 {
            let mut words = [left; $adds];
            black_box(&mut words);
            let below = if left == 0 { 0 } else { $next(left - 1) };
            black_box(&words);
            below + $adds
        }
    )+ };
}

links! {
    work_chain_1 1 work_chain_2,
    work_chain_2 2 work_chain_3,
    work_chain_3 3 work_chain_4,
    work_chain_4 4 work_chain_5,
    work_chain_5 5 work_chain_6,
    work_chain_6 6 work_chain_7,
    work_chain_7 7 work_chain_8,
    work_chain_8 8 work_chain_1
}

/// `n + 2`: adds one and leaves by a branch to [`work_tail_end`], which returns to the caller. That it is a branch
/// is the optimiser's doing, so the test `workload/tail_call` looks at the code.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_tail(n: u64) -> u64 {
    work_tail_end(n.wrapping_add(1))
}

/// Where [`work_tail`] ends up: `n + 1`.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_tail_end(n: u64) -> u64 {
    opaque(n).wrapping_add(1)
}

/// Goes round a loop `n` times and returns how often it did.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_spin(n: u64) -> u64 {
    let mut rounds = 0;
    while rounds != n {
        rounds = opaque(rounds + 1);
    }
    rounds
}

/// Sleeps `ms` milliseconds. Returns 0, or how many are left if it was interrupted.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn work_sleep(ms: u64) -> u64 {
    let end_ns = now_ns().saturating_add(ms.saturating_mul(NS_PER_MS));
    match sleep_until(end_ns) {
        Ok(()) => 0,
        Err(_) => end_ns.saturating_sub(now_ns()).div_ceil(NS_PER_MS),
    }
}

const NS_PER_MS: u64 = 1_000_000;

/// [`work_sum`] of a slice.
pub(crate) fn sum(numbers: &[u64]) -> u64 {
    let call = black_box(work_sum as unsafe extern "C" fn(*const u64, u64) -> u64);
    // SAFETY: a slice is as many numbers as it says.
    unsafe { call(numbers.as_ptr(), numbers.len() as u64) }
}

/// [`work_strlen`] of a string.
pub(crate) fn strlen(text: &CStr) -> u64 {
    let call = black_box(work_strlen as unsafe extern "C" fn(*const c_char) -> u64);
    // SAFETY: a C string ends with a NUL.
    unsafe { call(text.as_ptr()) }
}

/// [`work_struct`] of an item made of these fields.
pub(crate) fn item(id: u64, len: u32, delta: i32, name: &CStr) -> u64 {
    let call = black_box(work_struct as unsafe extern "C" fn(*const WorkItem) -> u64);
    // SAFETY: the item lives until the call returns, and its name is a C string.
    unsafe { call(&WorkItem { id, len, delta, name: name.as_ptr() }) }
}
