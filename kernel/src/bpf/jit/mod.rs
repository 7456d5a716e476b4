//! Programs as machine code: where it lies, what it is called, what happens when a load of it faults.
//!
//! ```text
//!   bpf::jit::compile ──▶ words ──▶ text::programs: executable memory of the image ──▶ Image ──▶ call
//!                                        │
//!        ┌ code ──────┬ constants ┬ loads that may fault ┬ how many ┐
//!        └────────────┴───────────┴──────────────────────┴──────────┘
//! ```
//!
//! The table of loads lies behind the code it is about, so that it is there as long as the code can be executed, and is found
//! from the PC of a fault without a lock: the block that the PC lies in ends with it. Such a load reads through a pointer that
//! the verifier does not vouch for; when it faults, its register becomes 0 and the program goes on, as Linux has it.
//!
//! A compiled program is a symbol of the kernel, `bpf_prog_<tag>_<name>`, for backtraces and `/proc/kallsyms` alike.
//!
//! An image that is dropped is given back after a quiet point. A program runs with preemption held off, so that nobody is
//! inside then; one whose runs may sleep is kept by its runner.

pub(crate) mod checked;
pub(crate) mod tests;
pub(crate) mod verified;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ::bpf::Program;
use ::bpf::jit::{self, Compiled, Env, Options};
use a64::Insn;
use tracecore::errno::Errno;

use crate::arch::cpu;
use crate::exception::{self, Handled, PtRegs, SlotTaken};
use crate::sync::quiesce;
use crate::text::programs::{self, Code};

/// A compiled program, ready to be called.
#[derive(Debug)]
pub(crate) struct Image {
    /// There until it is dropped.
    code: Option<Code>,
    compiled: Compiled,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// It cannot be compiled.
    Compile(jit::Error),
    /// There is no memory for it.
    Memory(Errno),
}

impl LoadError {
    /// The error number for a user.
    pub(crate) fn errno(self) -> Errno {
        match self {
            Self::Compile(jit::Error { why: jit::Why::Memory, .. }) => Errno::ENOMEM,
            Self::Compile(jit::Error { why: jit::Why::TooLarge, .. }) => Errno::E2BIG,
            Self::Compile(_) => Errno::EINVAL,
            Self::Memory(errno) => errno,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compile(error) => write!(f, "{error}"),
            Self::Memory(errno) => write!(f, "no executable memory: {errno:?}"),
        }
    }
}

/// What a program of this name and tag is called among the symbols.
pub(crate) fn symbol_name(tag: [u8; 8], name: &str) -> String {
    format!("bpf_prog_{:016x}_{name}", u64::from_be_bytes(tag))
}

/// Options for this machine.
pub(crate) fn options() -> Options<'static> {
    Options { lse: cpu::has_lse(), ..Options::default() }
}

type Entry = extern "C" fn(u64, u64, u64, u64, u64) -> u64;

impl Image {
    /// Compiles a program, which will be known by the name `symbol`.
    ///
    /// # Errors
    /// Why not. Nothing is taken then.
    pub(crate) fn new(
        program: &Program,
        env: &dyn Env,
        options: &Options<'_>,
        symbol: &str,
    ) -> Result<Self, LoadError> {
        let mut compiled = jit::compile(program, env, options).map_err(LoadError::Compile)?;
        let (len, faults) = (compiled.words.len(), compiled.faults.len());
        let mut code = Code::take(len + faults + 1, symbol).map_err(LoadError::Memory)?;
        compiled.link(code.addr() as u64).map_err(LoadError::Compile)?;
        let mut words: Vec<Insn> = Vec::new();
        words.try_reserve_exact(len + faults + 1).map_err(|_| LoadError::Memory(Errno::ENOMEM))?;
        words.extend(compiled.words.iter().map(|word| Insn(*word)));
        words.extend(compiled.faults.iter().map(|load| Insn(load.word << 5 | u32::from(load.register))));
        words.push(Insn(faults as u32));
        code.fill(&words);
        Ok(Self { code: Some(code), compiled })
    }

    /// Where it lies.
    pub(crate) fn addr(&self) -> usize {
        self.code.as_ref().map_or(0, Code::addr)
    }

    /// Where it is called: `extern "C" fn` of the arguments in r1 to r5.
    pub(crate) fn entry(&self) -> usize {
        self.addr() + 4 * self.compiled.functions.first().map_or(0, |function| function.word)
    }

    /// Where a tail call enters it.
    pub(crate) fn tail_entry(&self) -> usize {
        self.addr() + 4 * self.compiled.tail_entry
    }

    /// What the compiler made, with the words as they are in memory.
    pub(crate) fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// Runs it.
    ///
    /// # Safety
    /// It is verified, or compiled to look up what it accesses, and these are the arguments that it was told to expect.
    pub(crate) unsafe fn call(&self, args: [u64; 5]) -> u64 {
        let [r1, r2, r3, r4, r5] = args;
        let entry = core::ptr::with_exposed_provenance::<()>(self.entry());
        // SAFETY: the compiler makes functions of this type, and the words stay as long as `self`.
        let entry: Entry = unsafe { core::mem::transmute(entry) };
        entry(r1, r2, r3, r4, r5)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Some(code) = self.code.take() {
            quiesce::defer(Box::new(move || drop(code)));
        }
    }
}

/// Takes a fault slot. Once, at boot.
pub(crate) fn init() -> Result<(), SlotTaken> {
    exception::register_fault(fixup)
}

/// The abort's hook: a load that may fault gives 0.
fn fixup(regs: &mut PtRegs, _esr: u64, _far: u64) -> Handled {
    let pc = regs.pc() as usize;
    let Some(register) = faulting_load(pc) else { return Handled::No };
    if let Some(x) = regs.user_mut().x.get_mut(register) {
        *x = 0;
    }
    regs.set_pc(pc as u64 + 4);
    Handled::Yes
}

/// The register of the load at `pc`, if it is one that may fault.
fn faulting_load(pc: usize) -> Option<usize> {
    let program = programs::find(pc)?;
    let end = program.words.checked_sub(1)?;
    let first = end.checked_sub(program.word(end)?.0 as usize)?;
    let word = ((pc - program.start) / 4) as u32;
    // In order of their words.
    let (mut low, mut high) = (first, end);
    while low < high {
        let middle = low.midpoint(high);
        let entry = program.word(middle)?.0;
        if entry >> 5 == word {
            return Some(entry as usize & 31);
        }
        if entry >> 5 < word { low = middle + 1 } else { high = middle }
    }
    None
}
