//! Carrying out an instruction on saved registers instead of on the machine.
//!
//! An instruction that reads the PC or changes the flow gives a wrong result when it runs from another address.
//! Such a one is decoded once, when the probe is placed, and carried out by [`SimOp::run`] at every hit:
//!
//! ```text
//!  classify(word) ──▶ Sim            what it does, relative to its own address
//!  sim.at(pc)     ──▶ SimOp          targets and addresses computed: two words and a few bytes
//!  op.run(regs)   ──▶ regs, pc       at every hit: one match, a handful of instructions
//!  op.quick()     ──▶ Quick          the match made once: a function and a number, for what cannot fail
//! ```
//!
//! | instruction | [`SimOp`] | reads | writes |
//! |---|---|---|---|
//! | `b` | `Jump` | – | pc |
//! | `bl` | `Call` | pc | pc, x30 |
//! | `b.cond`, `bc.cond` | `JumpIf` | pstate | pc |
//! | `cbz`, `cbnz`, `tbz`, `tbnz` | `JumpIfBits` | xt | pc |
//! | `br`, `ret` | `JumpReg` | xn | pc |
//! | `blr` | `CallReg` | xn, pc | pc, x30 |
//! | `adr`, `adrp` | `Set` | – | xd |
//! | `ldr` wt/xt, `ldrsw` literal | `Load` | memory | xt |
//! | `mrs xt, daif` | `ReadDaif` | pstate | xt |
//! | `msr daif, xt` | `WriteDaif` | xt | pstate |
//! | `msr daifset/daifclr, #imm` | `SetDaif`, `ClearDaif` | – | pstate |
//! | `nop`, `bti`, `wfe`, `prfm` literal | `Skip` | – | – |
//!
//! The DAIF forms are here because a probe steps with interrupts masked: in the slot they would read, and lose,
//! the masks of the probe. On the saved PSTATE they mean what they say.
//!
//! *PSTATE.BTYPE.* Every instruction but an indirect branch clears it, so does every simulation. After a
//! simulated `br` or `blr` it is clear too: the check for a landing pad at the target is waived, since what it
//! should be depends on whether the page of the branch is guarded (Arm ARM, D8.4.7), which registers do not say.

mod quick;

pub use quick::{Quick, Run};

use crate::insn::INSN_BYTES;
use crate::regs::{PSTATE_BTYPE, PSTATE_DAIF, Reg, RegSet, UserRegs};

/// Memory as a simulated load sees it. A read that fails has no effect.
pub trait Memory {
    /// Four bytes at `addr`, little-endian.
    fn read_u32(&self, addr: u64) -> Result<u32, Fault>;
    /// Eight bytes at `addr`, little-endian.
    fn read_u64(&self, addr: u64) -> Result<u64, Fault>;
}

/// Memory by two functions. A method of a trait cannot be kept from having a patchable entry, a function can: this
/// is for a kernel whose own code is instrumented, but not what it runs at a hit.
#[derive(Clone, Copy, Debug)]
pub struct MemoryFns {
    /// Reads four bytes.
    pub read_u32: fn(u64) -> Result<u32, Fault>,
    /// Reads eight bytes.
    pub read_u64: fn(u64) -> Result<u64, Fault>,
}

impl Memory for MemoryFns {
    fn read_u32(&self, addr: u64) -> Result<u32, Fault> {
        (self.read_u32)(addr)
    }

    fn read_u64(&self, addr: u64) -> Result<u64, Fault> {
        (self.read_u64)(addr)
    }
}

/// A read that memory refused. The registers are as they were before the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address that could not be read.
    pub addr: u64,
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "no memory to read at {:#x}", self.addr)
    }
}

impl core::error::Error for Fault {}

/// What a literal load fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadKind {
    /// Four bytes, zero-extended: `ldr wt`.
    Word,
    /// Four bytes, sign-extended: `ldrsw xt`.
    SignedWord,
    /// Eight bytes: `ldr xt`.
    Double,
}

/// An instruction to simulate, relative to the address it lies at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sim {
    /// `b`
    Jump {
        /// Bytes from the instruction to the target.
        offset: i64,
    },
    /// `bl`
    Call {
        /// Bytes from the instruction to the target.
        offset: i64,
    },
    /// `b.cond`
    JumpIf {
        /// Bytes from the instruction to the target.
        offset: i64,
        /// For which NZCV the branch is taken, as [`Cond::table`](crate::cond::Cond::table).
        table: u16,
    },
    /// `cbz`, `cbnz`, `tbz`, `tbnz`: a test of the bits under a mask.
    JumpIfBits {
        /// Bytes from the instruction to the target.
        offset: i64,
        /// The register.
        rt: u8,
        /// The bits that are tested.
        mask: u64,
        /// Taken when they are all clear (`cbz`, `tbz`), or else when one is set.
        when_clear: bool,
    },
    /// `br`, `ret`
    JumpReg {
        /// The register with the target.
        rn: u8,
    },
    /// `blr`
    CallReg {
        /// The register with the target.
        rn: u8,
    },
    /// `adr`
    Adr {
        /// The register that is set.
        rd: u8,
        /// Bytes from the instruction.
        offset: i64,
    },
    /// `adrp`
    Adrp {
        /// The register that is set.
        rd: u8,
        /// Bytes from the 4 KiB page of the instruction, a multiple of 4096.
        offset: i64,
    },
    /// A literal load of a general register.
    Load {
        /// The register that is loaded.
        rt: u8,
        /// How much, and how it is extended.
        kind: LoadKind,
        /// Bytes from the instruction.
        offset: i64,
    },
    /// `mrs xt, daif`
    ReadDaif {
        /// The register that is set.
        rt: u8,
    },
    /// `msr daif, xt`
    WriteDaif {
        /// The register with the masks.
        rt: u8,
    },
    /// `msr daifset, #imm`
    SetDaif {
        /// The masks, as bits of PSTATE.
        bits: u64,
    },
    /// `msr daifclr, #imm`
    ClearDaif {
        /// The masks, as bits of PSTATE.
        bits: u64,
    },
    /// Nothing but going on.
    Skip,
}

impl Sim {
    /// The operation for an instruction at `pc`.
    pub const fn at(self, pc: u64) -> SimOp {
        const fn near(pc: u64, offset: i64) -> u64 {
            pc.wrapping_add(offset as u64)
        }
        match self {
            Sim::Jump { offset } => SimOp::Jump { to: near(pc, offset) },
            Sim::Call { offset } => SimOp::Call { to: near(pc, offset) },
            Sim::JumpIf { offset, table } => SimOp::JumpIf { to: near(pc, offset), table },
            Sim::JumpIfBits { offset, rt, mask, when_clear } => {
                SimOp::JumpIfBits { to: near(pc, offset), rt, mask, when_clear }
            }
            Sim::JumpReg { rn } => SimOp::JumpReg { rn },
            Sim::CallReg { rn } => SimOp::CallReg { rn },
            Sim::Adr { rd, offset } => SimOp::Set { rd, value: near(pc, offset) },
            Sim::Adrp { rd, offset } => SimOp::Set { rd, value: near(pc & !0xfff, offset) },
            Sim::Load { rt, kind, offset } => SimOp::Load { rt, kind, addr: near(pc, offset) },
            Sim::ReadDaif { rt } => SimOp::ReadDaif { rt },
            Sim::WriteDaif { rt } => SimOp::WriteDaif { rt },
            Sim::SetDaif { bits } => SimOp::SetDaif { bits },
            Sim::ClearDaif { bits } => SimOp::ClearDaif { bits },
            Sim::Skip => SimOp::Skip,
        }
    }

    /// The registers that the simulation reads. All of them read the PC to go on from.
    pub const fn needs(self) -> RegSet {
        let pc = RegSet::of(Reg::PC);
        match self {
            Sim::JumpIfBits { rt, .. } => pc.union(RegSet::of_x(rt)),
            Sim::WriteDaif { rt } => pc.with(Reg::PSTATE).union(RegSet::of_x(rt)),
            Sim::JumpReg { rn } | Sim::CallReg { rn } => pc.union(RegSet::of_x(rn)),
            Sim::JumpIf { .. } | Sim::ReadDaif { .. } | Sim::SetDaif { .. } | Sim::ClearDaif { .. } => {
                pc.with(Reg::PSTATE)
            }
            Sim::Jump { .. }
            | Sim::Call { .. }
            | Sim::Adr { .. }
            | Sim::Adrp { .. }
            | Sim::Load { .. }
            | Sim::Skip => pc,
        }
    }

    /// The registers that the simulation writes.
    pub const fn writes(self) -> RegSet {
        let pc = RegSet::of(Reg::PC);
        match self {
            Sim::Call { .. } | Sim::CallReg { .. } => pc.with(Reg::LR),
            Sim::Adr { rd, .. } | Sim::Adrp { rd, .. } => pc.union(RegSet::of_x(rd)),
            Sim::Load { rt, .. } | Sim::ReadDaif { rt } => pc.union(RegSet::of_x(rt)),
            Sim::WriteDaif { .. } | Sim::SetDaif { .. } | Sim::ClearDaif { .. } => pc.with(Reg::PSTATE),
            Sim::Jump { .. }
            | Sim::JumpIf { .. }
            | Sim::JumpIfBits { .. }
            | Sim::JumpReg { .. }
            | Sim::Skip => pc,
        }
    }
}

/// A simulation bound to its address: what a probe keeps and runs at each hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimOp {
    /// pc = to
    Jump {
        /// The target.
        to: u64,
    },
    /// x30 = pc + 4; pc = to
    Call {
        /// The target.
        to: u64,
    },
    /// pc = to, where the table has the bit of NZCV
    JumpIf {
        /// The target.
        to: u64,
        /// Bit `nzcv` is set where the branch is taken.
        table: u16,
    },
    /// pc = to, where (xt & mask == 0) == when_clear
    JumpIfBits {
        /// The target.
        to: u64,
        /// The register.
        rt: u8,
        /// The bits that are tested.
        mask: u64,
        /// Taken when they are all clear.
        when_clear: bool,
    },
    /// pc = xn
    JumpReg {
        /// The register with the target.
        rn: u8,
    },
    /// target = xn; x30 = pc + 4; pc = target
    CallReg {
        /// The register with the target.
        rn: u8,
    },
    /// xd = value
    Set {
        /// The register.
        rd: u8,
        /// What it becomes.
        value: u64,
    },
    /// xt = memory at addr
    Load {
        /// The register.
        rt: u8,
        /// How much, and how it is extended.
        kind: LoadKind,
        /// The address of the literal.
        addr: u64,
    },
    /// xt = pstate.DAIF
    ReadDaif {
        /// The register.
        rt: u8,
    },
    /// pstate.DAIF = xt
    WriteDaif {
        /// The register.
        rt: u8,
    },
    /// pstate |= bits
    SetDaif {
        /// The masks, as bits of PSTATE.
        bits: u64,
    },
    /// pstate &= !bits
    ClearDaif {
        /// The masks, as bits of PSTATE.
        bits: u64,
    },
    /// Nothing but going on.
    Skip,
}

impl SimOp {
    /// Carries the instruction out. `regs.pc` must be its address; afterwards it is the address of the next one.
    /// On a fault nothing has changed.
    pub fn run(&self, regs: &mut UserRegs, memory: &dyn Memory) -> Result<(), Fault> {
        let next = regs.pc.wrapping_add(INSN_BYTES);
        let mut pc = next;
        match *self {
            SimOp::Jump { to } => pc = to,
            SimOp::Call { to } => {
                regs.x[30] = next;
                pc = to;
            }
            SimOp::JumpIf { to, table } => {
                if table >> regs.nzcv() & 1 != 0 {
                    pc = to;
                }
            }
            SimOp::JumpIfBits { to, rt, mask, when_clear } => {
                if (regs.x(rt) & mask == 0) == when_clear {
                    pc = to;
                }
            }
            SimOp::JumpReg { rn } => pc = regs.x(rn),
            SimOp::CallReg { rn } => {
                // `blr x30` jumps to the old x30: read before written.
                pc = regs.x(rn);
                regs.x[30] = next;
            }
            SimOp::Set { rd, value } => regs.set_x(rd, value),
            SimOp::Load { rt, kind, addr } => return load(rt, kind, addr, regs, memory),
            SimOp::ReadDaif { rt } => regs.set_x(rt, regs.pstate & PSTATE_DAIF),
            SimOp::WriteDaif { rt } => {
                regs.pstate = (regs.pstate & !PSTATE_DAIF) | (regs.x(rt) & PSTATE_DAIF);
            }
            SimOp::SetDaif { bits } => regs.pstate |= bits,
            SimOp::ClearDaif { bits } => regs.pstate &= !bits,
            SimOp::Skip => {}
        }
        regs.pstate &= !PSTATE_BTYPE;
        regs.pc = pc;
        Ok(())
    }
}

/// A literal load. It is the only one that calls out: apart, it leaves [`SimOp::run`] without registers to save.
#[inline(never)]
fn load(rt: u8, kind: LoadKind, addr: u64, regs: &mut UserRegs, memory: &dyn Memory) -> Result<(), Fault> {
    let value = match kind {
        LoadKind::Word => u64::from(memory.read_u32(addr)?),
        LoadKind::SignedWord => i64::from(memory.read_u32(addr)?.cast_signed()).cast_unsigned(),
        LoadKind::Double => memory.read_u64(addr)?,
    };
    regs.set_x(rt, value);
    regs.pstate &= !PSTATE_BTYPE;
    regs.pc = regs.pc.wrapping_add(INSN_BYTES);
    Ok(())
}
