//! The interpreter: carries out a program, instruction by instruction.
//!
//! ```text
//!   r0-r9, pc ──▶ fetch slots[pc] ──▶ match opcode ─┬─ arithmetic, jumps     here
//!      ▲                                            ├─ loads, stores, atomics Env::load, store, atomic
//!      └────────────────────────────────────────────┴─ calls                  Env::call, or a new frame
//! ```
//!
//! Memory is the [`Env`]'s: a kernel that trusts its verifier reads and writes what it is told, a host that does not
//! checks each address. Frames of the stack lie below each other, [`FRAME_BYTES`] each, in memory of the environment.
//!
//! A program that jumps back for ever is ended: each jump and each call takes one from a budget, and what lies between two
//! of them is no longer than the program.

use core::fmt;

use crate::insn::{Insn, X, class, mode, size};
use crate::op::{Atomic, Imm64, Reg, Size, Width};
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

/// Runs `program` with the arguments in r1-r5 and the end of its stack in r10. The stack lies in memory of `env`:
/// [`MAX_FRAMES`] × [`FRAME_BYTES`] for all that can be called. Gives what is in r0 at the end.
///
/// # Errors
/// Why it did not come to its end.
pub fn run(
    program: &Program,
    env: &mut dyn Env,
    args: [u64; 5],
    stack_end: u64,
    budget: u64,
) -> Result<u64, Trap> {
    let [r1, r2, r3, r4, r5] = args;
    let mut machine = Machine {
        // Numbers of registers have four bits; those above r10 do not come in a program.
        regs: [0, r1, r2, r3, r4, r5, 0, 0, 0, 0, stack_end, 0, 0, 0, 0, 0],
        budget,
        frames: [Frame::default(); MAX_FRAMES - 1],
        depth: 0,
    };
    machine.run(program.slots(), env)
}

struct Machine {
    regs: [u64; 16],
    budget: u64,
    frames: [Frame; MAX_FRAMES - 1],
    depth: usize,
}

/// Sign-extends.
const fn extended(imm: i32) -> u64 {
    imm as i64 as u64
}

impl Machine {
    #[inline(always)]
    fn reg(&self, number: u8) -> u64 {
        self.regs[number as usize & 0xf]
    }

    #[inline(always)]
    fn set(&mut self, number: u8, value: u64) {
        self.regs[number as usize & 0xf] = value;
    }

    /// Where a jump leads.
    #[inline(always)]
    fn jump(&mut self, pc: usize, off: i32) -> Result<usize, Cause> {
        self.budget = self.budget.checked_sub(1).ok_or(Cause::Budget)?;
        Ok(pc.wrapping_add_signed(off as isize + 1))
    }

    fn run(&mut self, slots: &[Insn], env: &mut dyn Env) -> Result<u64, Trap> {
        let mut pc = 0;
        loop {
            let Some(insn) = slots.get(pc) else { return Err(Trap { at: pc, why: Cause::Opcode(0) }) };
            let step = match insn.opcode & 7 {
                class::ALU64 => self.alu64(insn).map(|()| pc + 1),
                class::ALU => self.alu32(insn).map(|()| pc + 1),
                class::JMP if insn.opcode & 0xf0 == 0x80 => self.call(insn, pc, env),
                class::JMP if insn.opcode & 0xf0 == 0x90 => {
                    let Some(depth) = self.depth.checked_sub(1) else { return Ok(self.regs[0]) };
                    self.depth = depth;
                    let frame = self.frames[depth % self.frames.len()];
                    self.regs[6..10].copy_from_slice(&frame.saved);
                    self.regs[10] = self.regs[10].wrapping_add(FRAME_BYTES);
                    Ok(frame.pc)
                }
                class::JMP | class::JMP32 => self.branch(insn, pc),
                class::LD => self.load_immediate(insn, slots.get(pc + 1), env).map(|()| pc + 2),
                _ => self.access(insn, env).map(|()| pc + 1),
            };
            match step {
                Ok(next) => pc = next,
                Err(why) => return Err(Trap { at: pc, why }),
            }
        }
    }

    #[inline(always)]
    fn alu64(&mut self, insn: &Insn) -> Result<(), Cause> {
        let old = self.reg(insn.dst);
        let by_register = insn.opcode & X != 0;
        let src = if by_register { self.reg(insn.src) } else { extended(insn.imm) };
        let value = match insn.opcode & 0xf0 {
            0x00 => old.wrapping_add(src),
            0x10 => old.wrapping_sub(src),
            0x20 => old.wrapping_mul(src),
            0x30 if insn.off == 0 => old.checked_div(src).unwrap_or(0),
            0x30 if src == 0 => 0,
            0x30 => (old as i64).wrapping_div(src as i64) as u64,
            0x40 => old | src,
            0x50 => old & src,
            0x60 => old.wrapping_shl(src as u32),
            0x70 => old.wrapping_shr(src as u32),
            0x80 => old.wrapping_neg(),
            0x90 if insn.off == 0 => old.checked_rem(src).unwrap_or(old),
            0x90 if src == 0 => old,
            0x90 => (old as i64).wrapping_rem(src as i64) as u64,
            0xa0 => old ^ src,
            0xb0 => match insn.off {
                8 => src as i8 as u64,
                16 => src as i16 as u64,
                32 => src as i32 as u64,
                _ => src,
            },
            0xc0 => ((old as i64).wrapping_shr(src as u32)) as u64,
            0xd0 => match insn.imm {
                16 => (old as u16).swap_bytes().into(),
                32 => (old as u32).swap_bytes().into(),
                _ => old.swap_bytes(),
            },
            _ => return Err(Cause::Opcode(insn.opcode)),
        };
        self.set(insn.dst, value);
        Ok(())
    }

    #[inline(always)]
    fn alu32(&mut self, insn: &Insn) -> Result<(), Cause> {
        let whole = self.reg(insn.dst);
        let old = whole as u32;
        let by_register = insn.opcode & X != 0;
        let src = if by_register { self.reg(insn.src) as u32 } else { insn.imm as u32 };
        let value = match insn.opcode & 0xf0 {
            0x00 => old.wrapping_add(src),
            0x10 => old.wrapping_sub(src),
            0x20 => old.wrapping_mul(src),
            0x30 if insn.off == 0 => old.checked_div(src).unwrap_or(0),
            0x30 if src == 0 => 0,
            0x30 => (old as i32).wrapping_div(src as i32) as u32,
            0x40 => old | src,
            0x50 => old & src,
            0x60 => old.wrapping_shl(src),
            0x70 => old.wrapping_shr(src),
            0x80 => old.wrapping_neg(),
            0x90 if insn.off == 0 => old.checked_rem(src).unwrap_or(old),
            0x90 if src == 0 => old,
            0x90 => (old as i32).wrapping_rem(src as i32) as u32,
            0xa0 => old ^ src,
            0xb0 => match insn.off {
                8 => src as i8 as u32,
                16 => src as i16 as u32,
                _ => src,
            },
            0xc0 => ((old as i32).wrapping_shr(src)) as u32,
            // Byte order: the only one here that is not of 32 bits.
            0xd0 => {
                let value = match (by_register, insn.imm) {
                    (false, 16) => whole as u16 as u64,
                    (false, 32) => whole as u32 as u64,
                    (false, _) => whole,
                    (true, 16) => (whole as u16).swap_bytes() as u64,
                    (true, 32) => (whole as u32).swap_bytes() as u64,
                    (true, _) => whole.swap_bytes(),
                };
                self.set(insn.dst, value);
                return Ok(());
            }
            _ => return Err(Cause::Opcode(insn.opcode)),
        };
        self.set(insn.dst, value.into());
        Ok(())
    }

    #[inline(always)]
    fn branch(&mut self, insn: &Insn, pc: usize) -> Result<usize, Cause> {
        let long = insn.opcode & 7 == class::JMP;
        let (a, b) =
            (self.reg(insn.dst), if insn.opcode & X != 0 { self.reg(insn.src) } else { extended(insn.imm) });
        // Of 32 bits, extended so that both kinds of order are kept.
        let (a, b, sa, sb) = if long {
            (a, b, a as i64, b as i64)
        } else {
            (a as u32 as u64, b as u32 as u64, a as i32 as i64, b as i32 as i64)
        };
        let taken = match insn.opcode & 0xf0 {
            0x00 => return self.jump(pc, if long { insn.off.into() } else { insn.imm }),
            0x10 => a == b,
            0x20 => a > b,
            0x30 => a >= b,
            0x40 => a & b != 0,
            0x50 => a != b,
            0x60 => sa > sb,
            0x70 => sa >= sb,
            0xa0 => a < b,
            0xb0 => a <= b,
            0xc0 => sa < sb,
            0xd0 => sa <= sb,
            _ => return Err(Cause::Opcode(insn.opcode)),
        };
        if taken { self.jump(pc, insn.off.into()) } else { Ok(pc + 1) }
    }

    #[inline(never)]
    fn call(&mut self, insn: &Insn, pc: usize, env: &mut dyn Env) -> Result<usize, Cause> {
        match insn.src {
            0 => {
                let [_, r1, r2, r3, r4, r5, ..] = self.regs;
                self.budget = self.budget.checked_sub(1).ok_or(Cause::Budget)?;
                self.regs[0] = env.call(insn.imm, [r1, r2, r3, r4, r5]).map_err(|e| match e {
                    HelperError::Unknown => Cause::Helper(insn.imm),
                    HelperError::Fault(addr) => Cause::Fault(addr),
                })?;
                Ok(pc + 1)
            }
            1 => {
                let next = self.jump(pc, insn.imm)?;
                let [.., r6, r7, r8, r9, _, _, _, _, _, _] = self.regs;
                let frame = self.frames.get_mut(self.depth).ok_or(Cause::Frames)?;
                *frame = Frame { pc: pc + 1, saved: [r6, r7, r8, r9] };
                self.depth += 1;
                self.regs[10] = self.regs[10].wrapping_sub(FRAME_BYTES);
                Ok(next)
            }
            _ => Err(Cause::Call),
        }
    }

    #[inline(always)]
    fn load_immediate(&mut self, insn: &Insn, second: Option<&Insn>, env: &mut dyn Env) -> Result<(), Cause> {
        let value = match (insn.src, second) {
            (0, Some(second)) => u64::from(second.imm as u32) << 32 | u64::from(insn.imm as u32),
            (_, second) => match crate::op::decode(*insn, second.copied()) {
                Ok(crate::Op::LoadImm { imm, .. }) => env.address(imm).ok_or(Cause::Immediate)?,
                _ => return Err(Cause::Opcode(insn.opcode)),
            },
        };
        self.set(insn.dst, value);
        Ok(())
    }

    #[inline(always)]
    fn access(&mut self, insn: &Insn, env: &mut dyn Env) -> Result<(), Cause> {
        let size = match insn.opcode & 0x18 {
            size::B => Size::B,
            size::H => Size::H,
            size::W => Size::W,
            _ => Size::Dw,
        };
        let off = insn.off as i64;
        match (insn.opcode & 7, insn.opcode & 0xe0) {
            (class::LDX, mode) => {
                let addr = self.reg(insn.src).wrapping_add_signed(off);
                let value = env.load(addr, size).map_err(|Fault| Cause::Fault(addr))?;
                let value = match size {
                    _ if mode == mode::MEM => value,
                    Size::B => value as i8 as u64,
                    Size::H => value as i16 as u64,
                    Size::W => value as i32 as u64,
                    Size::Dw => value,
                };
                self.set(insn.dst, value);
                Ok(())
            }
            (class::STX, mode::ATOMIC) => self.atomic(insn, env),
            (class, _) => {
                let addr = self.reg(insn.dst).wrapping_add_signed(off);
                let value = if class == class::STX { self.reg(insn.src) } else { extended(insn.imm) };
                env.store(addr, size, value).map_err(|Fault| Cause::Fault(addr))
            }
        }
    }

    #[inline(never)]
    fn atomic(&mut self, insn: &Insn, env: &mut dyn Env) -> Result<(), Cause> {
        let Ok(crate::Op::Atomic { width, atomic, dst, off, src }) = crate::op::decode(*insn, None) else {
            return Err(Cause::Opcode(insn.opcode));
        };
        let addr = self.reg(dst.number()).wrapping_add_signed(off.into());
        let (operand, r0) = (self.reg(src.number()), self.reg(Reg::R0.number()));
        let old = env.atomic(addr, width, atomic, operand, r0).map_err(|Fault| Cause::Fault(addr))?;
        if let Some(result) = atomic.result(src) {
            self.set(result.number(), old);
        }
        Ok(())
    }
}
