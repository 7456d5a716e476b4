//! Runs verified programs on memory of their own: what `bpf exec` does, by either engine.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ::bpf::interp::Code;
use ::bpf::jit::{Env, Options};
use ::bpf::op::Imm64;
use ::bpf::verify::Verified;

use super::Image;
use crate::bpf::{helpers, interp};
use crate::sync::PreemptGuard;
use crate::time;

/// What such programs are called.
const SYMBOL: &str = "bpf_prog_exec";
/// Bytes that a function's stack is rounded to.
const STACK_ALIGN: u32 = 16;

/// The kernel's helpers, and no maps.
struct Helpers;

impl Env for Helpers {
    fn helper(&self, number: i32) -> Option<u64> {
        helpers::address(number).map(|helper| helper as usize as u64)
    }

    fn address(&self, _: Imm64) -> Option<u64> {
        None
    }

    fn clock(&self) -> Option<u64> {
        Some(time::ns_per_tick())
    }
}

/// Runs a program that is verified for memory of this length, on a copy of `memory`: r0, or what was wrong.
///
/// # Errors
/// It cannot be compiled, or does what the interpreter cannot.
pub(crate) fn run(verified: &Verified, memory: &[u8], compiled: bool) -> Result<u64, String> {
    let cells: Vec<AtomicU64> = memory
        .chunks(8)
        .map(|bytes| {
            let mut value = [0; 8];
            value.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            AtomicU64::new(u64::from_le_bytes(value))
        })
        .collect();
    let args = [cells.as_ptr().expose_provenance() as u64, memory.len() as u64, 0, 0, 0];
    let r0 = if compiled {
        let deepest = verified.frames.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
        let options = Options {
            stack_bytes: deepest.next_multiple_of(STACK_ALIGN),
            probe_reads: &verified.probe_reads,
            ..super::options()
        };
        let image =
            Image::new(&verified.program, &Helpers, &options, SYMBOL).map_err(|error| format!("{error}"))?;
        let _here = PreemptGuard::new();
        // SAFETY: it is verified for memory of this length, which lives until it has returned.
        Ok(unsafe { image.call(args) })
    } else {
        // SAFETY: as above.
        unsafe { interp::run(&Code::new(&verified.program), &|_| None, args) }
            .map_err(|trap| format!("{trap}"))
    };
    // Seen from here on.
    core::sync::atomic::fence(Ordering::SeqCst);
    r0
}
