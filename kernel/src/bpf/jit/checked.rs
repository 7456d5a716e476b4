//! Runs programs that nobody has verified, compiled: the other half of `bpf::jit::checked`.
//!
//! The sandbox is the interpreter's, with the same addresses, so that both give the same results and end for the same reasons.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ::bpf::Program;
use ::bpf::interp::{FRAME_BYTES, MAX_FRAMES, Trap};
use ::bpf::jit::checked::{Checked, Record, Window};
use ::bpf::jit::{Env, Options};
use ::bpf::op::Imm64;
use ::bpf::sandbox::{MEMORY, STACK};
use tracecore::errno::Errno;

use super::{Image, LoadError};
use crate::bpf::cmd::exec;

const STACK_BYTES: usize = FRAME_BYTES as usize * MAX_FRAMES;

/// What such programs are called.
const SYMBOL: &str = "bpf_prog_unverified";

/// A helper, as compiled programs call it.
type Helper = extern "C" fn(u64, u64, u64, u64, u64) -> u64;

/// These helpers, and nothing else.
struct Helpers(fn(i32) -> Option<Helper>);

impl Env for Helpers {
    fn helper(&self, number: i32) -> Option<u64> {
        (self.0)(number).map(|helper| helper as usize as u64)
    }

    fn address(&self, _: Imm64) -> Option<u64> {
        None
    }
}

/// How a run ended, and its memory then.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: Result<u64, Trap>,
    pub(crate) memory: Vec<u8>,
}

/// Runs a program with r1 = memory and r2 = its length.
///
/// # Errors
/// It cannot be compiled.
pub(crate) fn run_with(
    program: &Program,
    memory: &[u8],
    budget: u64,
    options: &Options<'_>,
    helpers: fn(i32) -> Option<Helper>,
) -> Result<Outcome, LoadError> {
    let cells = |bytes: usize| -> Result<Box<[AtomicU64]>, LoadError> {
        let mut cells = Vec::new();
        cells.try_reserve_exact(bytes.div_ceil(8)).map_err(|_| LoadError::Memory(Errno::ENOMEM))?;
        cells.resize_with(bytes.div_ceil(8), || AtomicU64::new(0));
        Ok(cells.into_boxed_slice())
    };
    let (inside, stack, record) = (cells(memory.len())?, cells(STACK_BYTES)?, Record::default());
    for (cell, bytes) in inside.iter().zip(memory.chunks(8)) {
        let mut value = [0; 8];
        value.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        cell.store(u64::from_le_bytes(value), Ordering::Relaxed);
    }
    let real = |cells: &[AtomicU64]| cells.as_ptr().expose_provenance() as u64;
    let checked = Checked {
        memory: Window { at: MEMORY, len: memory.len() as u64, real: real(&inside) },
        stack: Window { at: STACK, len: STACK_BYTES as u64, real: real(&stack) },
        budget,
        record: (&raw const record).expose_provenance() as u64,
    };
    let image =
        Image::new(program, &Helpers(helpers), &Options { checked: Some(checked), ..*options }, SYMBOL)?;
    // SAFETY: it looks up each address in the two windows, which live until it has returned.
    let r0 = unsafe { image.call([MEMORY, memory.len() as u64, 0, 0, 0]) };
    let result = record.trap().map_or(Ok(r0), Err);
    let bytes = inside.iter().flat_map(|cell| cell.load(Ordering::Relaxed).to_le_bytes());
    Ok(Outcome { result, memory: bytes.take(memory.len()).collect() })
}

/// The same, as text for what is wrong.
pub(crate) fn run_text(program: &Program, memory: &[u8], budget: u64) -> Result<u64, String> {
    let outcome = run_with(program, memory, budget, &super::options(), exec::native_helper)
        .map_err(|error| format!("{error}"))?;
    outcome.result.map_err(|trap| format!("{trap}"))
}
