//! Backtraces: who called the place where the program runs.
//!
//! | way in | begins with |
//! |---|---|
//! | exception | the interrupted instruction |
//! | a function's entry | the function, then its caller |
//! | a function's return | the caller |
//! | others | the functions above whoever runs the program |
//!
//! There are no users' stacks yet: asking for one is EOPNOTSUPP.

use ::bpf::map::stacks::flag;
use ::bpf::map::{MapKind, STACK_DEPTH_MAX};
use a64::Registers;
use tracecore::errno::Errno;

use super::{error, helpers, map_at, pinned, room_at};
use crate::arch::{cpu, probe_read};
use crate::bpf::run::{self, Running, Way};
use crate::task::{self, Task};
use crate::unwind;

/// Frames of a backtrace at most.
const DEPTH: usize = STACK_DEPTH_MAX as usize;
/// `get_stack` should give build ids: there are none.
const BUILD_ID: u64 = 1 << 11;
/// Frames of helpers, programs and who runs them, between a helper and the record, at most.
const OWN_FRAMES: usize = 40;

helpers! {
    /// The number of this backtrace in a map of stack traces.
    fn get_stackid(_context, map, flags) {
        if flags & !(flag::SKIP | flag::USER | flag::FAST_CMP | flag::REUSE) != 0 {
            return error(Errno::EINVAL);
        }
        if flags & flag::USER != 0 {
            return error(Errno::EFAULT);
        }
        // SAFETY: r2 is a map.
        let map = unsafe { map_at(map) };
        if map.def().kind != MapKind::StackTrace {
            return error(Errno::EINVAL);
        }
        let mut stack = [0; DEPTH];
        let len = of_program(&mut stack);
        let skip = (flags & flag::SKIP) as usize;
        let Some(kept) = stack.get(skip..len).filter(|kept| !kept.is_empty()) else {
            return error(Errno::EFAULT);
        };
        match map.stack_number(kept, flags) {
            Ok(number) => u64::from(number),
            Err(error) => error.as_result(),
        }
    }

    /// The backtrace itself: how many bytes.
    fn get_stack(_context, to, size, flags) {
        // SAFETY: r2 is memory of the size in r3.
        let to = unsafe { room_at(to, size) };
        copy(to, flags, of_program)
    }

    /// The backtrace of a task: of this one, or of one that does not run.
    fn get_task_stack(task, to, size, flags) {
        // SAFETY: r2 is memory of the size in r3.
        let to = unsafe { room_at(to, size) };
        let current = core::ptr::from_ref::<Task>(&task::current()).addr() as u64;
        if task != current {
            to.fill(0);
            return error(Errno::EOPNOTSUPP);
        }
        copy(to, flags, of_program)
    }
}

/// Writes addresses into memory, zeros behind them: how many bytes they take.
fn copy(to: &mut [u8], flags: u64, walk: fn(&mut [u64; DEPTH]) -> usize) -> u64 {
    to.fill(0);
    if flags & !(flag::SKIP | flag::USER | BUILD_ID) != 0 || !to.len().is_multiple_of(8) {
        return error(Errno::EINVAL);
    }
    if flags & (flag::USER | BUILD_ID) != 0 {
        return error(Errno::EOPNOTSUPP);
    }
    let mut stack = [0; DEPTH];
    let len = walk(&mut stack);
    let Some(kept) = stack.get((flags & flag::SKIP) as usize..len) else { return error(Errno::EFAULT) };
    let words = to.as_chunks_mut::<8>().0;
    let count = kept.len().min(words.len());
    for (word, address) in words.iter_mut().zip(kept) {
        *word = address.to_le_bytes();
    }
    8 * count as u64
}

/// The backtrace of the place where the program runs.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn of_program(stack: &mut [u64; DEPTH]) -> usize {
    let pinned = pinned();
    let begin = run::with(&pinned, begin);
    let begin = begin.unwrap_or(Begin { first: None, record: cpu::frame_pointer(), exact: false });
    let mut len = 0;
    if let Some(first) = begin.first {
        stack[0] = first;
        len = 1;
    }
    unwind::walk(begin.record, begin.exact, |frame| {
        if let Some(place) = stack.get_mut(len) {
            *place = frame.pc;
            len += 1;
        }
        len < DEPTH
    });
    len
}

/// Where a walk begins.
struct Begin {
    /// An address that no record has.
    first: Option<u64>,
    /// The first frame record, and whether it belongs to an exception.
    record: u64,
    exact: bool,
}

fn begin(running: &Running<'_>) -> Begin {
    let at = |record| Begin { first: None, record, exact: false };
    match running.way {
        Way::Regs(regs) => Begin { first: None, record: regs.frame_address(), exact: true },
        Way::Entry(regs) => at(regs.frame()),
        Way::Return(regs) => match regs.registers() {
            Registers::Call(saved) => Begin { first: Some(regs.pc()), record: saved.fp, exact: false },
            Registers::All(_) => at(cpu::frame_pointer()),
        },
        Way::Args { .. } | Way::Memory => at(above(core::ptr::from_ref(running).addr() as u64)),
    }
}

/// The first frame record above an address of this stack: below it are helper, program and who runs it.
fn above(address: u64) -> u64 {
    let mut fp = cpu::frame_pointer();
    for _ in 0..OWN_FRAMES {
        if fp > address {
            break;
        }
        match probe_read::read_u64(fp) {
            Ok(next) if next > fp => fp = next,
            _ => break,
        }
    }
    fp
}
