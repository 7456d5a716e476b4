//! The interpreter on the kernel's own memory: verified programs, with the helpers that compiled ones call.
//!
//! A load that faults gives 0, as it does in compiled code for the loads that may fault; a verified program has no other loads that
//! do. Callbacks come back as addresses that only the interpreter knows, so a helper that calls functions of the program is
//! done here: `for_each_map_elem` (`loop` is the interpreter's own). Timers would call when the interpreter is gone: a program that
//! sets a timer's callback has to be compiled.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ::bpf::interp::{CallBack, Code, Env, FRAME_BYTES, Fault, HelperError, MAX_FRAMES, Trap};
use ::bpf::map::Map;
use ::bpf::op::{Atomic, Imm64, Size, Width};
use tracecore::errno::Errno;

use super::helpers;
use crate::arch::{cpu, probe_read};
use crate::sync::PreemptGuard;

/// Helpers with callbacks, by their Linux numbers.
const FOR_EACH_MAP_ELEM: i32 = 164;
const TIMER_SET_CALLBACK: i32 = 170;

/// The most elements that one walk visits.
const WALK_MAX: u64 = 1 << 32;
/// How many jumps and calls a program may make. The verifier has proved that it ends; this is for its mistakes.
const BUDGET: u64 = 1 << 32;

/// Words of the stacks of all functions that may be under way.
const STACK_WORDS: usize = FRAME_BYTES as usize * MAX_FRAMES / 8;

/// Addresses that a program's immediates stand for.
pub(crate) type Addresses<'a> = &'a dyn Fn(Imm64) -> Option<u64>;

/// All memory there is.
struct Memory<'a> {
    addresses: Addresses<'a>,
}

/// Runs a verified program with the arguments in r1 to r5.
///
/// # Safety
/// The program is verified for these arguments.
///
/// # Errors
/// Why it did not come to its end: it does what only compiled programs can, or is not verified.
pub(crate) unsafe fn run(code: &Code, addresses: Addresses<'_>, args: [u64; 5]) -> Result<u64, Trap> {
    let stack: Box<[AtomicU64]> =
        (0..STACK_WORDS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().into_boxed_slice();
    let end = stack.as_ptr().expose_provenance() as u64 + 8 * STACK_WORDS as u64;
    let _here = PreemptGuard::new();
    code.run(&mut Memory { addresses }, args, end, BUDGET)
}

impl Env for Memory<'_> {
    fn load(&mut self, addr: u64, size: Size) -> Result<u64, Fault> {
        let loaded = match size {
            Size::B => probe_read::read_u8(addr).map(u64::from),
            Size::H => probe_read::read_u16(addr).map(u64::from),
            Size::W => probe_read::read_u32(addr).map(u64::from),
            Size::Dw => probe_read::read_u64(addr),
        };
        Ok(loaded.unwrap_or(0))
    }

    fn store(&mut self, addr: u64, size: Size, value: u64) -> Result<(), Fault> {
        let at = core::ptr::with_exposed_provenance_mut::<u8>(addr as usize);
        // SAFETY: the program is verified (`run`): it may write here. Volatile, since others may read.
        unsafe {
            match size {
                Size::B => at.write_volatile(value as u8),
                Size::H => at.cast::<[u8; 2]>().write_volatile((value as u16).to_le_bytes()),
                Size::W => at.cast::<[u8; 4]>().write_volatile((value as u32).to_le_bytes()),
                Size::Dw => at.cast::<[u8; 8]>().write_volatile(value.to_le_bytes()),
            }
        }
        Ok(())
    }

    fn atomic(&mut self, addr: u64, width: Width, atomic: Atomic, src: u64, r0: u64) -> Result<u64, Fault> {
        let at = core::ptr::with_exposed_provenance_mut::<u8>(addr as usize);
        let bytes = if width == Width::W64 { 8 } else { 4 };
        if !addr.is_multiple_of(bytes) {
            return Err(Fault);
        }
        let new = |old| atomic.apply(width, old, src, r0);
        let old = match width {
            // SAFETY: the program is verified: it may change what is here; aligned.
            Width::W64 => unsafe { AtomicU64::from_ptr(at.cast()) }
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, new)
                .unwrap_or_else(|old| old),
            // SAFETY: as above.
            Width::W32 => unsafe { AtomicU32::from_ptr(at.cast()) }
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| new(old.into()).map(|new| new as u32))
                .unwrap_or_else(|old| old)
                .into(),
        };
        Ok(old)
    }

    fn call(&mut self, helper: i32, [r1, r2, r3, r4, r5]: [u64; 5]) -> Result<u64, HelperError> {
        let helper = helpers::address(helper).filter(|_| helper != TIMER_SET_CALLBACK);
        helper.map(|helper| helper(r1, r2, r3, r4, r5)).ok_or(HelperError::Unknown)
    }

    fn call_with(
        &mut self,
        helper: i32,
        [map, function, data, flags, _]: [u64; 5],
        back: &mut CallBack<'_>,
    ) -> Option<Result<u64, HelperError>> {
        if helper != FOR_EACH_MAP_ELEM {
            return None;
        }
        if flags != 0 {
            return Some(Ok(-i64::from(Errno::EINVAL.code()) as u64));
        }
        // SAFETY: the program is verified: r1 is a map, which it holds.
        let elements: &Map = unsafe { &*core::ptr::with_exposed_provenance(map as usize) };
        let (mut at, mut visited) = (0, 0);
        while visited < WALK_MAX
            && let Some(element) = elements.element(at, cpu::id())
        {
            let index = at as u64;
            let key = element.key.unwrap_or((&raw const index).expose_provenance() as u64);
            at = element.next;
            visited += 1;
            match back(self, function, [map, key, element.value, data, 0]) {
                Some(0) => {}
                Some(_) => break,
                None => return Some(Err(HelperError::Stopped)),
            }
        }
        Some(Ok(visited))
    }

    fn address(&mut self, imm: Imm64) -> Option<u64> {
        (self.addresses)(imm)
    }
}
