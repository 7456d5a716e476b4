//! The interpreter: carries out a program, instruction by instruction.
//!
//! ```text
//!   r0-r9, pc ──▶ fetch words[pc] ──▶ match opcode ─┬─ arithmetic, jumps     here
//!      ▲                                            ├─ loads, stores, atomics Env::load, store, atomic
//!      └────────────────────────────────────────────┴─ calls                  Env::call, or a new frame
//! ```
//!
//! Memory is the [`Env`]'s: a kernel that trusts its verifier reads and writes what it is told, a host that does not
//! checks each address. Frames of the stack lie below each other, [`FRAME_BYTES`] each, in memory of the environment.
//!
//! An instruction is one word of 64 bits and one `match` on its low byte: one load, one table, no second look. That is why
//! each opcode has its line below, and why what is rare stands apart.
//!
//! A program that jumps back for ever is ended: each jump and each call takes one from a budget, and what lies between two
//! of them is no longer than the program.

use core::fmt;

use alloc::vec::Vec;

use crate::insn::Insn;
use crate::op::{self, Atomic, Imm64, Op, Reg, Size, Width};
use crate::program::Program;

/// Bytes of the stack that each function has, below r10.
pub const FRAME_BYTES: u64 = 512;
/// How many functions may be under way, the program's own included.
pub const MAX_FRAMES: usize = 8;

/// An access to memory that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// What a program runs in.
pub trait Env {
    /// What lies at `addr`, zero-extended.
    ///
    /// # Errors
    /// Nothing lies there that the program may read.
    fn load(&mut self, addr: u64, size: Size) -> Result<u64, Fault>;

    /// Stores the low bytes of `value` at `addr`.
    ///
    /// # Errors
    /// Nothing lies there that the program may write.
    fn store(&mut self, addr: u64, size: Size, value: u64) -> Result<(), Fault>;

    /// Does to what lies at `addr` what [`Atomic::apply`] does, at once, and gives what was there, zero-extended.
    ///
    /// # Errors
    /// As [`Env::store`]; also where an address that is not aligned cannot be accessed at once.
    fn atomic(&mut self, addr: u64, width: Width, atomic: Atomic, src: u64, r0: u64) -> Result<u64, Fault>;

    /// Calls the helper with this number.
    ///
    /// # Errors
    /// There is no such helper, or it ends the program.
    fn call(&mut self, helper: i32, args: [u64; 5]) -> Result<u64, HelperError>;

    /// The address that an immediate stands for.
    fn address(&mut self, _imm: Imm64) -> Option<u64> {
        None
    }
}

/// Why a helper did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperError {
    /// There is no such helper.
    Unknown,
    /// It has accessed memory that the program may not.
    Fault(u64),
}

/// Why a program did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The slot at which it stopped.
    pub at: usize,
    /// Why.
    pub why: Cause,
}

/// What can stop a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An access to this address.
    Fault(u64),
    /// The budget is used up.
    Budget,
    /// More than [`MAX_FRAMES`].
    Frames,
    /// No such helper.
    Helper(i32),
    /// A call that the interpreter does not make.
    Call,
    /// An immediate that stands for nothing here.
    Immediate,
    /// Not an instruction; not in a [`Program`].
    Opcode(u8),
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "insn {}: ", self.at)?;
        match self.why {
            Cause::Fault(addr) => write!(f, "access to {addr:#x}, where there is nothing"),
            Cause::Budget => f.write_str("too many jumps"),
            Cause::Frames => write!(f, "more than {MAX_FRAMES} nested calls"),
            Cause::Helper(number) => write!(f, "no helper {number}"),
            Cause::Call => f.write_str("a call of what is not here"),
            Cause::Immediate => f.write_str("an immediate that stands for nothing here"),
            Cause::Opcode(opcode) => write!(f, "unknown opcode {opcode:02x}"),
        }
    }
}

impl core::error::Error for Trap {}

impl Atomic {
    /// What is stored in place of `old`, if anything: of the operands' `width`, like all that comes in and goes out.
    pub const fn apply(self, width: Width, old: u64, src: u64, r0: u64) -> Option<u64> {
        let new = match self {
            Self::Add { .. } => old.wrapping_add(src),
            Self::Or { .. } => old | src,
            Self::And { .. } => old & src,
            Self::Xor { .. } => old ^ src,
            Self::Xchg => src,
            Self::Cmpxchg => {
                let same = match width {
                    Width::W32 => old as u32 == r0 as u32,
                    Width::W64 => old == r0,
                };
                if !same {
                    return None;
                }
                src
            }
        };
        Some(match width {
            Width::W32 => new as u32 as u64,
            Width::W64 => new,
        })
    }
}

/// What a call saves: where to go on, and r6-r9.
#[derive(Clone, Copy, Default)]
struct Frame {
    pc: usize,
    saved: [u64; 4],
}

/// A program as the interpreter wants it: its slots, each a little-endian word.
#[derive(Clone, Debug)]
pub struct Code {
    words: Vec<u64>,
}

impl Code {
    /// Prepares a program.
    pub fn new(program: &Program) -> Self {
        Self { words: program.slots().iter().map(|slot| u64::from_le_bytes(slot.to_bytes())).collect() }
    }

    /// Runs it with the arguments in r1-r5 and the end of its stack in r10. The stack lies in memory of `env`:
    /// [`MAX_FRAMES`] × [`FRAME_BYTES`] for all that can be called. Gives what is in r0 at the end.
    ///
    /// # Errors
    /// Why it did not come to its end.
    pub fn run(&self, env: &mut dyn Env, args: [u64; 5], stack_end: u64, budget: u64) -> Result<u64, Trap> {
        let [r1, r2, r3, r4, r5] = args;
        let mut machine = Machine {
            // Numbers of registers have four bits; those above r10 do not come in a program.
            regs: [0, r1, r2, r3, r4, r5, 0, 0, 0, 0, stack_end, 0, 0, 0, 0, 0],
            budget,
            frames: [Frame::default(); MAX_FRAMES - 1],
            depth: 0,
        };
        let mut pc = 0;
        let why = machine.run(&self.words, &mut pc, env);
        why.map_or(Ok(machine.regs[0]), |why| Err(Trap { at: pc, why }))
    }
}

struct Machine {
    regs: [u64; 16],
    budget: u64,
    frames: [Frame; MAX_FRAMES - 1],
    depth: usize,
}

/// An encoded instruction.
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    #[inline(always)]
    fn dst(self) -> usize {
        (self.0 >> 8 & 0xf) as usize
    }

    #[inline(always)]
    fn src(self) -> usize {
        (self.0 >> 12 & 0xf) as usize
    }

    #[inline(always)]
    fn off(self) -> isize {
        (self.0 >> 16) as i16 as isize
    }

    /// Sign-extended.
    #[inline(always)]
    fn imm(self) -> u64 {
        (self.0 as i64 >> 32) as u64
    }

    fn insn(self) -> Insn {
        Insn::from_bytes(self.0.to_le_bytes())
    }
}

impl Machine {
    /// Runs until the end, or until something is wrong at `at`.
    fn run(&mut self, words: &[u64], at: &mut usize, env: &mut dyn Env) -> Option<Cause> {
        let mut pc = 0;
        loop {
            let Some(&word) = words.get(pc) else { break Some(Cause::Opcode(0)) };
            let insn = Word(word);
            // Arithmetic of a width, with a register or the immediate: old and second operand in, new out.
            macro_rules! alu {
                (64, X, $f:expr) => {{
                    self.regs[insn.dst()] = apply($f, self.regs[insn.dst()], self.regs[insn.src()]);
                }};
                (64, K, $f:expr) => {{
                    self.regs[insn.dst()] = apply($f, self.regs[insn.dst()], insn.imm());
                }};
                (32, X, $f:expr) => {{
                    self.regs[insn.dst()] =
                        apply($f, self.regs[insn.dst()] as u32, self.regs[insn.src()] as u32).into();
                }};
                (32, K, $f:expr) => {{
                    self.regs[insn.dst()] = apply($f, self.regs[insn.dst()] as u32, insn.imm() as u32).into();
                }};
            }
            macro_rules! jump {
                ($off:expr) => {{
                    let Some(left) = self.budget.checked_sub(1) else { break Some(Cause::Budget) };
                    self.budget = left;
                    pc = pc.wrapping_add_signed($off);
                }};
            }
            // A comparison of a width; those with a sign are of the signed type.
            macro_rules! branch {
                ($ty:ty, X, $f:expr) => {{
                    if apply($f, self.regs[insn.dst()] as $ty, self.regs[insn.src()] as $ty) {
                        jump!(insn.off());
                    }
                }};
                ($ty:ty, K, $f:expr) => {{
                    if apply($f, self.regs[insn.dst()] as $ty, insn.imm() as $ty) {
                        jump!(insn.off());
                    }
                }};
            }
            macro_rules! load {
                ($size:expr, $ty:ty) => {{
                    let addr = self.regs[insn.src()].wrapping_add_signed(insn.off() as i64);
                    match env.load(addr, $size) {
                        Ok(value) => self.regs[insn.dst()] = value as $ty as u64,
                        Err(Fault) => break Some(Cause::Fault(addr)),
                    }
                }};
            }
            macro_rules! store {
                ($size:expr, $value:expr) => {{
                    let addr = self.regs[insn.dst()].wrapping_add_signed(insn.off() as i64);
                    if env.store(addr, $size, $value).is_err() {
                        break Some(Cause::Fault(addr));
                    }
                }};
            }
            // As though every instruction went on with the next one: jumps count from there.
            *at = pc;
            pc += 1;
            match word as u8 {
                0x07 => alu!(64, K, u64::wrapping_add),
                0x0f => alu!(64, X, u64::wrapping_add),
                0x17 => alu!(64, K, u64::wrapping_sub),
                0x1f => alu!(64, X, u64::wrapping_sub),
                0x27 => alu!(64, K, u64::wrapping_mul),
                0x2f => alu!(64, X, u64::wrapping_mul),
                0x37 if insn.off() == 0 => alu!(64, K, |a, b| a.checked_div(b).unwrap_or(0)),
                0x3f if insn.off() == 0 => alu!(64, X, |a, b| a.checked_div(b).unwrap_or(0)),
                0x37 => alu!(64, K, sdiv64),
                0x3f => alu!(64, X, sdiv64),
                0x47 => alu!(64, K, |a, b| a | b),
                0x4f => alu!(64, X, |a, b| a | b),
                0x57 => alu!(64, K, |a, b| a & b),
                0x5f => alu!(64, X, |a, b| a & b),
                0x67 => alu!(64, K, |a, b| a.wrapping_shl(b as u32)),
                0x6f => alu!(64, X, |a, b| a.wrapping_shl(b as u32)),
                0x77 => alu!(64, K, |a, b| a.wrapping_shr(b as u32)),
                0x7f => alu!(64, X, |a, b| a.wrapping_shr(b as u32)),
                0x87 => alu!(64, K, |a, _| a.wrapping_neg()),
                0x97 if insn.off() == 0 => alu!(64, K, |a, b| a.checked_rem(b).unwrap_or(a)),
                0x9f if insn.off() == 0 => alu!(64, X, |a, b| a.checked_rem(b).unwrap_or(a)),
                0x97 => alu!(64, K, smod64),
                0x9f => alu!(64, X, smod64),
                0xa7 => alu!(64, K, |a, b| a ^ b),
                0xaf => alu!(64, X, |a, b| a ^ b),
                0xb7 => alu!(64, K, |_, b| b),
                0xbf if insn.off() == 0 => alu!(64, X, |_, b| b),
                0xbf => match insn.off() {
                    8 => alu!(64, X, |_, b| b as i8 as u64),
                    16 => alu!(64, X, |_, b| b as i16 as u64),
                    _ => alu!(64, X, |_, b| b as i32 as u64),
                },
                0xc7 => alu!(64, K, |a, b| (a as i64).wrapping_shr(b as u32) as u64),
                0xcf => alu!(64, X, |a, b| (a as i64).wrapping_shr(b as u32) as u64),

                0x04 => alu!(32, K, u32::wrapping_add),
                0x0c => alu!(32, X, u32::wrapping_add),
                0x14 => alu!(32, K, u32::wrapping_sub),
                0x1c => alu!(32, X, u32::wrapping_sub),
                0x24 => alu!(32, K, u32::wrapping_mul),
                0x2c => alu!(32, X, u32::wrapping_mul),
                0x34 if insn.off() == 0 => alu!(32, K, |a, b| a.checked_div(b).unwrap_or(0)),
                0x3c if insn.off() == 0 => alu!(32, X, |a, b| a.checked_div(b).unwrap_or(0)),
                0x34 => alu!(32, K, sdiv32),
                0x3c => alu!(32, X, sdiv32),
                0x44 => alu!(32, K, |a, b| a | b),
                0x4c => alu!(32, X, |a, b| a | b),
                0x54 => alu!(32, K, |a, b| a & b),
                0x5c => alu!(32, X, |a, b| a & b),
                0x64 => alu!(32, K, |a, b| a.wrapping_shl(b)),
                0x6c => alu!(32, X, |a, b| a.wrapping_shl(b)),
                0x74 => alu!(32, K, |a, b| a.wrapping_shr(b)),
                0x7c => alu!(32, X, |a, b| a.wrapping_shr(b)),
                0x84 => alu!(32, K, |a, _| a.wrapping_neg()),
                0x94 if insn.off() == 0 => alu!(32, K, |a, b| a.checked_rem(b).unwrap_or(a)),
                0x9c if insn.off() == 0 => alu!(32, X, |a, b| a.checked_rem(b).unwrap_or(a)),
                0x94 => alu!(32, K, smod32),
                0x9c => alu!(32, X, smod32),
                0xa4 => alu!(32, K, |a, b| a ^ b),
                0xac => alu!(32, X, |a, b| a ^ b),
                0xb4 => alu!(32, K, |_, b| b),
                0xbc if insn.off() == 0 => alu!(32, X, |_, b| b),
                0xbc => match insn.off() {
                    8 => alu!(32, X, |_, b| b as i8 as u32),
                    _ => alu!(32, X, |_, b| b as i16 as u32),
                },
                0xc4 => alu!(32, K, |a, b| (a as i32).wrapping_shr(b) as u32),
                0xcc => alu!(32, X, |a, b| (a as i32).wrapping_shr(b) as u32),

                0xd4 | 0xd7 | 0xdc => {
                    let value = self.regs[insn.dst()];
                    self.regs[insn.dst()] = in_order(word as u8, insn.imm(), value);
                }

                0x05 => jump!(insn.off()),
                0x06 => jump!(insn.imm() as isize),
                0x15 => branch!(u64, K, |a, b| a == b),
                0x1d => branch!(u64, X, |a, b| a == b),
                0x25 => branch!(u64, K, |a, b| a > b),
                0x2d => branch!(u64, X, |a, b| a > b),
                0x35 => branch!(u64, K, |a, b| a >= b),
                0x3d => branch!(u64, X, |a, b| a >= b),
                0x45 => branch!(u64, K, |a, b| a & b != 0),
                0x4d => branch!(u64, X, |a, b| a & b != 0),
                0x55 => branch!(u64, K, |a, b| a != b),
                0x5d => branch!(u64, X, |a, b| a != b),
                0x65 => branch!(i64, K, |a, b| a > b),
                0x6d => branch!(i64, X, |a, b| a > b),
                0x75 => branch!(i64, K, |a, b| a >= b),
                0x7d => branch!(i64, X, |a, b| a >= b),
                0xa5 => branch!(u64, K, |a, b| a < b),
                0xad => branch!(u64, X, |a, b| a < b),
                0xb5 => branch!(u64, K, |a, b| a <= b),
                0xbd => branch!(u64, X, |a, b| a <= b),
                0xc5 => branch!(i64, K, |a, b| a < b),
                0xcd => branch!(i64, X, |a, b| a < b),
                0xd5 => branch!(i64, K, |a, b| a <= b),
                0xdd => branch!(i64, X, |a, b| a <= b),
                0x16 => branch!(u32, K, |a, b| a == b),
                0x1e => branch!(u32, X, |a, b| a == b),
                0x26 => branch!(u32, K, |a, b| a > b),
                0x2e => branch!(u32, X, |a, b| a > b),
                0x36 => branch!(u32, K, |a, b| a >= b),
                0x3e => branch!(u32, X, |a, b| a >= b),
                0x46 => branch!(u32, K, |a, b| a & b != 0),
                0x4e => branch!(u32, X, |a, b| a & b != 0),
                0x56 => branch!(u32, K, |a, b| a != b),
                0x5e => branch!(u32, X, |a, b| a != b),
                0x66 => branch!(i32, K, |a, b| a > b),
                0x6e => branch!(i32, X, |a, b| a > b),
                0x76 => branch!(i32, K, |a, b| a >= b),
                0x7e => branch!(i32, X, |a, b| a >= b),
                0xa6 => branch!(u32, K, |a, b| a < b),
                0xae => branch!(u32, X, |a, b| a < b),
                0xb6 => branch!(u32, K, |a, b| a <= b),
                0xbe => branch!(u32, X, |a, b| a <= b),
                0xc6 => branch!(i32, K, |a, b| a < b),
                0xce => branch!(i32, X, |a, b| a < b),
                0xd6 => branch!(i32, K, |a, b| a <= b),
                0xde => branch!(i32, X, |a, b| a <= b),

                0x71 => load!(Size::B, u64),
                0x69 => load!(Size::H, u64),
                0x61 => load!(Size::W, u64),
                0x79 => load!(Size::Dw, u64),
                0x91 => load!(Size::B, i8),
                0x89 => load!(Size::H, i16),
                0x81 => load!(Size::W, i32),
                0x72 => store!(Size::B, insn.imm()),
                0x6a => store!(Size::H, insn.imm()),
                0x62 => store!(Size::W, insn.imm()),
                0x7a => store!(Size::Dw, insn.imm()),
                0x73 => store!(Size::B, self.regs[insn.src()]),
                0x6b => store!(Size::H, self.regs[insn.src()]),
                0x63 => store!(Size::W, self.regs[insn.src()]),
                0x7b => store!(Size::Dw, self.regs[insn.src()]),

                0xc3 | 0xdb => {
                    if let Err(why) = self.atomic(insn, env) {
                        break Some(why);
                    }
                }
                0x18 => {
                    let second = words.get(pc).map(|second| Word(*second));
                    pc += 1;
                    if let Err(why) = self.load_immediate(insn, second, env) {
                        break Some(why);
                    }
                }
                0x85 if insn.src() == 1 => {
                    if let Err(why) = self.enter(pc) {
                        break Some(why);
                    }
                    jump!(insn.imm() as isize);
                }
                0x85 => {
                    if let Err(why) = self.call(insn, env) {
                        break Some(why);
                    }
                }
                0x95 => match self.leave() {
                    Some(back) => pc = back,
                    None => break None,
                },
                opcode => break Some(Cause::Opcode(opcode)),
            }
        }
    }

    /// A new frame, from which the program comes back to `pc`.
    #[inline(never)]
    fn enter(&mut self, pc: usize) -> Result<(), Cause> {
        let [.., r6, r7, r8, r9, _, _, _, _, _, _] = self.regs;
        let frame = self.frames.get_mut(self.depth).ok_or(Cause::Frames)?;
        *frame = Frame { pc, saved: [r6, r7, r8, r9] };
        self.depth += 1;
        self.regs[10] = self.regs[10].wrapping_sub(FRAME_BYTES);
        Ok(())
    }

    /// Where to go on behind the call of this function, if it was called.
    #[inline(never)]
    fn leave(&mut self) -> Option<usize> {
        self.depth = self.depth.checked_sub(1)?;
        let frame = self.frames.get(self.depth)?;
        self.regs[6..10].copy_from_slice(&frame.saved);
        self.regs[10] = self.regs[10].wrapping_add(FRAME_BYTES);
        Some(frame.pc)
    }

    #[inline(never)]
    fn call(&mut self, insn: Word, env: &mut dyn Env) -> Result<(), Cause> {
        if insn.src() != 0 {
            return Err(Cause::Call);
        }
        let (helper, [_, r1, r2, r3, r4, r5, ..]) = (insn.imm() as i32, self.regs);
        self.budget = self.budget.checked_sub(1).ok_or(Cause::Budget)?;
        self.regs[0] = env.call(helper, [r1, r2, r3, r4, r5]).map_err(|e| match e {
            HelperError::Unknown => Cause::Helper(helper),
            HelperError::Fault(addr) => Cause::Fault(addr),
        })?;
        Ok(())
    }

    #[inline(never)]
    fn load_immediate(&mut self, insn: Word, second: Option<Word>, env: &mut dyn Env) -> Result<(), Cause> {
        let Ok(Op::LoadImm { dst, imm }) = op::decode(insn.insn(), second.map(Word::insn)) else {
            return Err(Cause::Immediate);
        };
        self.regs[dst.index()] = match imm {
            Imm64::Value(value) => value,
            imm => env.address(imm).ok_or(Cause::Immediate)?,
        };
        Ok(())
    }

    #[inline(never)]
    fn atomic(&mut self, insn: Word, env: &mut dyn Env) -> Result<(), Cause> {
        let Ok(Op::Atomic { width, atomic, dst, off, src }) = op::decode(insn.insn(), None) else {
            return Err(Cause::Opcode(insn.0 as u8));
        };
        let addr = self.regs[dst.index()].wrapping_add_signed(off.into());
        let (operand, r0) = (self.regs[src.index()], self.regs[Reg::R0.index()]);
        let old = env.atomic(addr, width, atomic, operand, r0).map_err(|Fault| Cause::Fault(addr))?;
        if let Some(result) = atomic.result(src) {
            self.regs[result.index()] = old;
        }
        Ok(())
    }
}

/// What the lines of the table above do with their operands.
#[inline(always)]
fn apply<T, R>(f: impl FnOnce(T, T) -> R, a: T, b: T) -> R {
    f(a, b)
}

fn sdiv64(a: u64, b: u64) -> u64 {
    if b == 0 { 0 } else { (a as i64).wrapping_div(b as i64) as u64 }
}

fn smod64(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 }
}

fn sdiv32(a: u32, b: u32) -> u32 {
    if b == 0 { 0 } else { (a as i32).wrapping_div(b as i32) as u32 }
}

fn smod32(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { (a as i32).wrapping_rem(b as i32) as u32 }
}

/// The low `bits` of a value as a byte order instruction leaves them, on a little-endian machine.
fn in_order(opcode: u8, bits: u64, value: u64) -> u64 {
    const LITTLE: u8 = 0xd4;
    match (opcode == LITTLE, bits) {
        (true, 16) => (value as u16).into(),
        (true, 32) => (value as u32).into(),
        (true, _) => value,
        (false, 16) => (value as u16).swap_bytes().into(),
        (false, 32) => (value as u32).swap_bytes().into(),
        (false, _) => value.swap_bytes(),
    }
}
