//! The compiler: a program as words for A64.
//!
//! ```text
//!   Program ──▶ scan: what each function needs      ──▶ one pass over the ops: words,   ──▶ resolve: branches ──▶ Compiled
//!               (frame, stack, registers, counter)      branches to slots left open         and constants          │ link(at)
//!                                                                                                                  ▼
//!                                                                                                  words for that address
//! ```
//!
//! Each function of the program becomes a function of the machine's calling convention (AAPCS64): arguments in x0-x4,
//! the result in x0. So helpers call callbacks as they call anything else, and helpers are called with a `bl`.
//!
//! | BPF | A64 | |
//! |---|---|---|
//! | r1-r5 | x0-x4 | where helpers and local functions expect their arguments: no moves |
//! | r0 | x7 | so that r1 can live on in x0 while r0 is in use |
//! | r6-r9 | x19-x22 | kept by whoever is called |
//! | r10 | x29 | the frame record lies right above the function's stack, so the frame pointer is r10 |
//! | – | x9-x15 | scratch |
//!
//! ```text
//!   x29 = r10 ─▶ ┌───────────────────┐
//!                │ x29, x30, r6-r9 … │ the record, where backtraces look for it
//!                ├───────────────────┤
//!                │ BPF stack         │
//!          sp ─▶ └───────────────────┘
//! ```
//!
//! A function that calls nothing, keeps nothing and has no stack has no frame, like a compiler's leaf.
//!
//! Most instructions become one word. Immediates go into the word where A64 can hold them; `r3 = r0; r3 <<= 3` becomes
//! one three-operand word, a pair of shifts a move of a field, a comparison with zero `cbz`. The divisions agree by luck:
//! both machines give 0 for a division by zero, and a remainder is what the division leaves.
//!
//! | room | what |
//! |---|---|
//! | `scan` | what each function needs |
//! | `emit` | words, branches that are still open, constants |
//! | `alu`, `jump`, `memory`, `atomic` | the instructions |
//! | `call` | helpers, local calls, tail calls, callbacks |
//! | `frame` | entry and exit |
//! | [`checked`] | code for programs that nobody has verified: each access is looked up |

mod alu;
mod atomic;
mod call;
pub mod checked;
mod emit;
mod frame;
mod jump;
mod memory;
mod scan;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use a64::encode::{self, Gpr, regs};

use crate::interp::FRAME_BYTES;
use crate::op::{Imm64, Op, Reg, Width};
use crate::program::Program;
use checked::Checked;
use emit::{Buffer, Label};
use scan::Shape;

pub use emit::MAX_WORDS;

/// How often a program may be left by tail calls, as on Linux.
pub const MAX_TAIL_CALLS: u64 = 33;

/// What a program is compiled for.
pub trait Env {
    /// The address of a helper: `extern "C" fn(u64, u64, u64, u64, u64) -> u64`.
    fn helper(&self, number: i32) -> Option<u64>;

    /// The address that an immediate stands for.
    fn address(&self, imm: Imm64) -> Option<u64>;

    /// The address of `extern "C" fn(map, index) -> u64`: where the program in this place of a program array is entered by a
    /// tail call ([`Compiled::tail_entry`]), 0 if there is none.
    fn tail_target(&self) -> Option<u64> {
        None
    }

    /// Nanoseconds in a tick of the counter `cntvct_el0`, times 2³², if that is what `ktime_get_ns` reads: then it is read in
    /// place.
    fn clock(&self) -> Option<u64> {
        None
    }

    /// The elements of a map, if it is an array of one block: then they are looked up in place.
    fn array(&self, _map: Imm64) -> Option<Array> {
        None
    }
}

/// The elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// Address of the first.
    pub values: u64,
    /// From one to the next, in bytes.
    pub stride: u32,
    /// How many there are.
    pub len: u32,
}

/// How a program is compiled.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Bytes of stack that each function gets; a multiple of 16.
    pub stack_bytes: u32,
    /// The slots of loads that may fault, sorted: they are listed in [`Compiled::faults`].
    pub probe_reads: &'a [usize],
    /// Immediates are not found in the words, but their exclusive or with numbers made from this seed.
    pub blinding: Option<u64>,
    /// The machine has FEAT_LSE: atomics are single words, not loops.
    pub lse: bool,
    /// The program is not verified.
    pub checked: Option<Checked>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { stack_bytes: FRAME_BYTES as u32, probe_reads: &[], blinding: None, lse: true, checked: None }
    }
}

/// A function of a compiled program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The slot at which it begins.
    pub slot: usize,
    /// The word at which it is entered.
    pub word: usize,
}

/// A load that may fault. Then its register shall become 0, and the program goes on with the next word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultingLoad {
    /// The word.
    pub word: u32,
    /// The number of the register.
    pub register: u8,
}

/// A compiled program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// The words, for the address of the last [`Compiled::link`]; for any address if nothing is called.
    pub words: Vec<u32>,
    /// The functions, in the order of their slots; the program is entered at the first one.
    pub functions: Vec<Function>,
    /// Where a tail call of another program enters.
    pub tail_entry: usize,
    /// For each slot its first word; that of the next one where an instruction has no words of its own.
    pub slots: Vec<u32>,
    /// Behind this word there are constants, no code.
    pub code_words: usize,
    /// The loads that may fault, by their words.
    pub faults: Vec<FaultingLoad>,
    calls: Vec<emit::Call>,
}

impl Compiled {
    /// Makes the words those for the address `at`, a multiple of 8.
    ///
    /// # Errors
    /// A helper is out of a branch's reach from there.
    pub fn link(&mut self, at: u64) -> Result<(), Error> {
        for call in &self.calls {
            let from = at.wrapping_add(4 * u64::from(call.word));
            let insn = encode::bl_to(from, call.target)
                .map_err(|_| Error { at: call.slot as usize, why: Why::Reach(call.target) })?;
            if let Some(word) = self.words.get_mut(call.word as usize) {
                *word = insn.0;
            }
        }
        Ok(())
    }

    /// The slot whose words the word `word` is among.
    pub fn slot_of(&self, word: usize) -> Option<usize> {
        let behind = self.slots.partition_point(|first| *first as usize <= word);
        (word < self.code_words).then(|| behind.checked_sub(1)).flatten()
    }
}

/// Why a program is not compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The slot.
    pub at: usize,
    /// Why.
    pub why: Why,
}

/// What can prevent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// More than [`MAX_WORDS`], beyond which branches do not reach.
    TooLarge,
    /// No memory.
    Memory,
    /// No such helper.
    Helper(i32),
    /// A call that is not compiled: of a function of the kernel.
    Call,
    /// An immediate that stands for nothing here.
    Immediate,
    /// r10 is read-only.
    FramePointer,
    /// A callback, or what it calls, makes tail calls.
    TailCallInCallback,
    /// A helper is out of reach.
    Reach(u64),
    /// A word cannot be encoded: a mistake of the compiler.
    Encoding,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.why {
            Why::TooLarge => write!(f, "more than {MAX_WORDS} words of machine code"),
            Why::Memory => f.write_str("no memory for the machine code"),
            Why::Helper(number) => write!(f, "insn {at}: no helper {number}"),
            Why::Call => write!(f, "insn {at}: a call of what is not here"),
            Why::Immediate => write!(f, "insn {at}: an immediate that stands for nothing here"),
            Why::FramePointer => write!(f, "insn {at}: r10 is read-only"),
            Why::TailCallInCallback => write!(f, "insn {at}: a callback that makes tail calls"),
            Why::Reach(target) => write!(f, "insn {at}: {target:#x} is out of a branch's reach"),
            Why::Encoding => write!(f, "insn {at}: a word that cannot be encoded"),
        }
    }
}

impl core::error::Error for Error {}

/// Where addresses of accesses are put together.
const ADDRESS: Gpr = regs::X9;
/// Scratch.
const T0: Gpr = regs::X10;
const T1: Gpr = regs::X11;
const T2: Gpr = regs::X12;
/// The key, where immediates are blinded.
const KEY: Gpr = regs::X15;
/// r0.
const R0: Gpr = regs::X7;
/// In compiled programs that nobody has verified: jumps left, calls left, r10.
const BUDGET: Gpr = regs::X23;
const DEPTH: Gpr = regs::X24;
const CHECKED_R10: Gpr = regs::X25;

/// Compiles a program. What it does is not asked: it is verified, or [`Options::checked`].
///
/// # Errors
/// Why it cannot be compiled.
pub fn compile(program: &Program, env: &dyn Env, options: &Options<'_>) -> Result<Compiled, Error> {
    match Compiler::new(program, env, options, true)?.compile()? {
        Some(compiled) => Ok(compiled),
        // A test of a bit was too far from its target: now without such words.
        None => {
            Compiler::new(program, env, options, false)?.compile()?.ok_or(Error { at: 0, why: Why::TooLarge })
        }
    }
}

/// A program on its way.
struct Compiler<'a> {
    env: &'a dyn Env,
    options: &'a Options<'a>,
    out: Buffer,
    ops: Vec<(usize, Op)>,
    /// For each slot: does a branch lead here?
    targets: Vec<bool>,
    shapes: Vec<Shape>,
    /// Where each of them is called; a jump to its first slot leads behind its entry.
    entries: Vec<Label>,
    /// The function that is being compiled.
    shape: Shape,
    /// May `tbz` be used?
    near: bool,
    slots: usize,
    /// The instruction that is being compiled.
    slot: usize,
    faults: Vec<FaultingLoad>,
    tail_entry: usize,
    keys: u64,
    pending: Vec<checked::Pending>,
    stubs: checked::Stubs,
}

impl<'a> Compiler<'a> {
    fn new(program: &Program, env: &'a dyn Env, options: &'a Options<'a>, near: bool) -> Result<Self, Error> {
        let no_memory = |_| Error { at: 0, why: Why::Memory };
        let mut ops = Vec::new();
        ops.try_reserve_exact(program.slots().len()).map_err(no_memory)?;
        ops.extend(program.ops());
        let checked = options.checked.is_some();
        let (shapes, targets) = scan::scan(program, &ops, checked)?;
        let slots = program.slots().len();
        let mut out = Buffer::new(slots);
        let stubs = checked::Stubs::new(&mut out);
        let entries = shapes.iter().map(|_| out.label()).collect();
        Ok(Self {
            env,
            options,
            out,
            ops,
            targets,
            shape: shapes.first().copied().unwrap_or_default(),
            shapes,
            entries,
            near,
            slots,
            slot: 0,
            faults: Vec::new(),
            tail_entry: 0,
            keys: options.blinding.unwrap_or(0) | 1,
            pending: Vec::new(),
            stubs,
        })
    }

    /// The program, or nothing where a test of a bit does not reach its target.
    fn compile(mut self) -> Result<Option<Compiled>, Error> {
        let mut functions = Vec::new();
        let mut first_words = Vec::new();
        first_words.try_reserve_exact(self.slots).map_err(|_| Error { at: 0, why: Why::Memory })?;
        first_words.resize(self.slots, 0);
        let mut i = 0;
        while let Some(&(slot, _)) = self.ops.get(i) {
            self.slot = slot;
            if let Some(shape) = self.shape_at(slot) {
                self.shape = shape;
                functions.push(Function { slot, word: self.out.len() });
                self.enter_function();
            }
            self.out.place(slot);
            let word = self.out.len() as u32;
            let taken = self.instruction(i)?;
            let next = self.ops.get(i + taken).map_or(self.slots, |(slot, _)| *slot);
            first_words.iter_mut().take(next).skip(slot).for_each(|first| *first = word);
            i += taken;
            if self.out.is_full() {
                return Err(Error { at: slot, why: Why::TooLarge });
            }
        }
        self.finish_checked();
        let (words, code_words, calls) = match self.out.finish() {
            Ok(finished) => finished,
            Err(emit::Broken::Far) if self.near => return Ok(None),
            Err(emit::Broken::Far | emit::Broken::Full) => {
                return Err(Error { at: 0, why: Why::TooLarge });
            }
            Err(emit::Broken::Memory) => return Err(Error { at: 0, why: Why::Memory }),
            Err(emit::Broken::Encoding(at)) => return Err(Error { at, why: Why::Encoding }),
        };
        Ok(Some(Compiled {
            words,
            functions,
            tail_entry: self.tail_entry,
            slots: first_words,
            code_words,
            faults: self.faults,
            calls,
        }))
    }

    /// The function that begins at a slot.
    fn shape_at(&self, slot: usize) -> Option<Shape> {
        let n = self.shapes.binary_search_by_key(&slot, |shape| shape.begin).ok()?;
        self.shapes.get(n).copied()
    }

    /// Where the function that begins at a slot is called.
    fn entry_of(&mut self, slot: usize) -> Label {
        let n = self.shapes.partition_point(|shape| shape.begin < slot);
        // Each callee is a function; a label that is never placed is found out in the end.
        self.entries.get(n).copied().unwrap_or_else(|| self.out.label())
    }

    fn fail<T>(&self, why: Why) -> Result<T, Error> {
        Err(Error { at: self.slot, why })
    }

    /// Where a register of the program lives.
    fn x(&self, reg: Reg) -> Gpr {
        const MAP: [Gpr; Reg::COUNT] = [
            R0,
            regs::X0,
            regs::X1,
            regs::X2,
            regs::X3,
            regs::X4,
            regs::X19,
            regs::X20,
            regs::X21,
            regs::X22,
            Gpr::FP,
        ];
        if reg == Reg::R10 && self.options.checked.is_some() {
            return CHECKED_R10;
        }
        MAP.get(reg.index()).copied().unwrap_or(Gpr::ZR)
    }

    /// The instruction behind the one at `i`, if nobody jumps there.
    fn follower(&self, i: usize) -> Option<Op> {
        let (slot, op) = self.ops.get(i + 1)?;
        (!self.targets.get(*slot)?).then_some(*op)
    }

    /// Compiles the instruction at `i`, and perhaps some behind it; says how many.
    fn instruction(&mut self, i: usize) -> Result<usize, Error> {
        let Some(&(_, op)) = self.ops.get(i) else { return Ok(1) };
        match op {
            Op::Alu { width, alu, dst, src } => return self.alu_and_more(i, width, alu, dst, src),
            Op::MovSx { width, bits, dst, src } => self.move_signed(width, bits, dst, src),
            Op::Neg { width, dst } => self.negate(width, dst),
            Op::End { order, bits, dst } => self.byte_order(order, bits, dst),
            Op::Ja { .. } => self.goto(&op),
            Op::Jump { width, cond, dst, src, .. } => self.jump(&op, width, cond, dst, src),
            Op::Call(callee) => self.call(i, callee, &op)?,
            Op::Exit => self.exit(),
            Op::LoadImm { dst, imm } => self.load_immediate(i, dst, imm, &op)?,
            Op::Load { size, signed, dst, src, off } => self.load(size, signed, dst, src, off),
            Op::Store { size, dst, off, src } => self.store(size, dst, off, src),
            Op::Atomic { width, atomic, dst, off, src } => self.atomic(width, atomic, dst, off, src),
        }
        Ok(1)
    }

    /// The slot that a jump at the current slot leads to.
    fn target(&self, op: &Op) -> usize {
        let off = op.target().unwrap_or(0);
        (self.slot + 1).saturating_add_signed(off as isize)
    }
}

/// The width of an operation, in A64's words.
fn sf(width: Width) -> encode::arith::Sf {
    match width {
        Width::W32 => encode::arith::Sf::W,
        Width::W64 => encode::arith::Sf::X,
    }
}
