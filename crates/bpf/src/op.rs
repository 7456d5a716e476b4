//! The decoded form: what an instruction means, with nothing in it that means nothing.
//!
//! [`decode`] takes one or two slots and refuses what RFC 9669 does not define: a register that does not exist, an unknown
//! code, a field that is not used and not zero. [`Op::encode`] is its inverse.

use core::fmt;

use crate::insn::{Insn, K, X, class, mode, size};

/// A register that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(u8);

impl Reg {
    /// Result of calls and of the program.
    pub const R0: Self = Self(0);
    /// First argument of calls and of the program; the context.
    pub const R1: Self = Self(1);
    /// Frame pointer, read-only.
    pub const R10: Self = Self(10);
    /// How many there are.
    pub const COUNT: usize = 11;

    /// Register `number`, if there is such a one.
    pub const fn new(number: u8) -> Option<Self> {
        if number as usize >= Self::COUNT { None } else { Some(Self(number)) }
    }

    /// Its number, 0-10.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its number, as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How many bits of the registers take part. The result of 32-bit arithmetic is zero-extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// The low half.
    W32,
    /// All.
    W64,
}

/// The second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// An immediate, sign-extended to the width.
    Imm(i32),
}

/// Arithmetic of two operands (RFC 9669, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alu {
    /// `+=`
    Add,
    /// `-=`
    Sub,
    /// `*=`
    Mul,
    /// `/=`, unsigned; by zero: 0.
    Div,
    /// `s/=`; by zero: 0; the overflow wraps.
    Sdiv,
    /// `|=`
    Or,
    /// `&=`
    And,
    /// `<<=` by the operand modulo the width.
    Lsh,
    /// `>>=`
    Rsh,
    /// `%=`, unsigned; by zero: unchanged.
    Mod,
    /// `s%=`, with the sign of the dividend; by zero: unchanged.
    Smod,
    /// `^=`
    Xor,
    /// `=`
    Mov,
    /// `s>>=`
    Arsh,
}

impl Alu {
    /// Code and offset of each.
    const TABLE: &'static [(Self, u8, i16)] = &[
        (Self::Add, 0x00, 0),
        (Self::Sub, 0x10, 0),
        (Self::Mul, 0x20, 0),
        (Self::Div, 0x30, 0),
        (Self::Sdiv, 0x30, 1),
        (Self::Or, 0x40, 0),
        (Self::And, 0x50, 0),
        (Self::Lsh, 0x60, 0),
        (Self::Rsh, 0x70, 0),
        (Self::Mod, 0x90, 0),
        (Self::Smod, 0x90, 1),
        (Self::Xor, 0xa0, 0),
        (Self::Mov, 0xb0, 0),
        (Self::Arsh, 0xc0, 0),
    ];

    /// All of them.
    pub const ALL: [Self; 14] = {
        let mut all = [Self::Add; 14];
        let mut n = 0;
        while n < all.len() {
            all[n] = Self::TABLE[n].0;
            n += 1;
        }
        all
    };
}

/// What [`Op::End`] makes of the low bytes of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Little-endian: nothing but the truncation, on a little-endian machine.
    Little,
    /// Big-endian.
    Big,
    /// The other way round, on any machine.
    Swap,
}

/// When a conditional jump is taken (RFC 9669, section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cond {
    /// `==`
    Eq,
    /// `>`, unsigned
    Gt,
    /// `>=`, unsigned
    Ge,
    /// `&`: some bit is set in both.
    Set,
    /// `!=`
    Ne,
    /// `s>`
    Sgt,
    /// `s>=`
    Sge,
    /// `<`, unsigned
    Lt,
    /// `<=`, unsigned
    Le,
    /// `s<`
    Slt,
    /// `s<=`
    Sle,
}

impl Cond {
    /// The code of each.
    const TABLE: &'static [(Self, u8)] = &[
        (Self::Eq, 0x10),
        (Self::Gt, 0x20),
        (Self::Ge, 0x30),
        (Self::Set, 0x40),
        (Self::Ne, 0x50),
        (Self::Sgt, 0x60),
        (Self::Sge, 0x70),
        (Self::Lt, 0xa0),
        (Self::Le, 0xb0),
        (Self::Slt, 0xc0),
        (Self::Sle, 0xd0),
    ];

    /// All of them.
    pub const ALL: [Self; 11] = {
        let mut all = [Self::Eq; 11];
        let mut n = 0;
        while n < all.len() {
            all[n] = Self::TABLE[n].0;
            n += 1;
        }
        all
    };
}

/// How many bytes are accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Size {
    /// 1
    B,
    /// 2
    H,
    /// 4
    W,
    /// 8
    Dw,
}

impl Size {
    const TABLE: &'static [(Self, u8)] =
        &[(Self::B, size::B), (Self::H, size::H), (Self::W, size::W), (Self::Dw, size::DW)];

    /// 1, 2, 4 or 8.
    pub const fn bytes(self) -> usize {
        match self {
            Self::B => 1,
            Self::H => 2,
            Self::W => 4,
            Self::Dw => 8,
        }
    }
}

/// What an atomic does to memory (RFC 9669, section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Atomic {
    /// Adds the source; with `fetch`, the source gets what was there.
    Add {
        /// Wants the old value.
        fetch: bool,
    },
    /// Or.
    Or {
        /// Wants the old value.
        fetch: bool,
    },
    /// And.
    And {
        /// Wants the old value.
        fetch: bool,
    },
    /// Exclusive or.
    Xor {
        /// Wants the old value.
        fetch: bool,
    },
    /// Exchanges with the source.
    Xchg,
    /// Stores the source if r0 is what is there; r0 gets what was there.
    Cmpxchg,
}

impl Atomic {
    const FETCH: i32 = 0x01;
    pub(crate) const TABLE: &'static [(Self, i32)] = &[
        (Self::Add { fetch: false }, 0x00),
        (Self::Or { fetch: false }, 0x40),
        (Self::And { fetch: false }, 0x50),
        (Self::Xor { fetch: false }, 0xa0),
        (Self::Add { fetch: true }, Self::FETCH),
        (Self::Or { fetch: true }, 0x40 | Self::FETCH),
        (Self::And { fetch: true }, 0x50 | Self::FETCH),
        (Self::Xor { fetch: true }, 0xa0 | Self::FETCH),
        (Self::Xchg, 0xe0 | Self::FETCH),
        (Self::Cmpxchg, 0xf0 | Self::FETCH),
    ];

    /// The register that gets the old value, if any does: the source, or r0.
    pub const fn result(self, src: Reg) -> Option<Reg> {
        match self {
            Self::Add { fetch } | Self::Or { fetch } | Self::And { fetch } | Self::Xor { fetch } => {
                if fetch {
                    Some(src)
                } else {
                    None
                }
            }
            Self::Xchg => Some(src),
            Self::Cmpxchg => Some(Reg::R0),
        }
    }
}

/// What a 64-bit immediate stands for (RFC 9669, section 5.4). All but the first are put in by the loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Imm64 {
    /// A number.
    Value(u64),
    /// The map of a file descriptor.
    Map(i32),
    /// An address in the value of the only element of such a map.
    MapValue {
        /// The map.
        map: i32,
        /// Offset in the value.
        off: u32,
    },
    /// A variable of the platform.
    Var(i32),
    /// The address of a function of the program, so many slots behind this one's second slot.
    Code(i32),
    /// The map with this number among those that the program came with.
    MapIndex(i32),
    /// An address in the value of the only element of such a map.
    MapIndexValue {
        /// The map.
        map: i32,
        /// Offset in the value.
        off: u32,
    },
}

/// Who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    /// The helper with this number.
    Helper(i32),
    /// A function of the program, so many slots behind the next instruction.
    Local(i32),
    /// A function of the kernel, by its number in the type table.
    Kernel(i32),
}

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `r1 += r2`, `w1 = 5`
    Alu {
        /// Of what.
        width: Width,
        /// What is done.
        alu: Alu,
        /// First operand and result.
        dst: Reg,
        /// Second operand.
        src: Operand,
    },
    /// `r1 = (s8)r2`: sign-extends the low bits to the width.
    MovSx {
        /// To what.
        width: Width,
        /// From how many bits: 8, 16, and 32 to 64.
        bits: u8,
        /// The result.
        dst: Reg,
        /// What is extended.
        src: Reg,
    },
    /// `r1 = -r1`
    Neg {
        /// Of what.
        width: Width,
        /// Operand and result.
        dst: Reg,
    },
    /// `r1 = be16 r1`: the order of the low bytes; what is above becomes zero.
    End {
        /// To what order.
        order: Order,
        /// Of how many bits: 16, 32, 64.
        bits: u8,
        /// Operand and result.
        dst: Reg,
    },
    /// `goto +3`
    Ja {
        /// How many slots behind the next instruction.
        off: i32,
        /// With the offset in the immediate (`gotol`).
        long: bool,
    },
    /// `if r1 > r2 goto +3`
    Jump {
        /// What is compared.
        width: Width,
        /// When it is taken.
        cond: Cond,
        /// First operand.
        dst: Reg,
        /// Second operand.
        src: Operand,
        /// How many slots behind the next instruction.
        off: i16,
    },
    /// `call 1`: r1-r5 are the arguments, r0 gets the result, r1-r5 are lost.
    Call(Callee),
    /// `exit`: ends the function, with the result in r0.
    Exit,
    /// `r1 = 5 ll`: two slots.
    LoadImm {
        /// What gets it.
        dst: Reg,
        /// What it is.
        imm: Imm64,
    },
    /// `r1 = *(u8 *)(r2 + 4)`
    Load {
        /// How much.
        size: Size,
        /// Sign-extended, not zero-extended; not for 8 bytes.
        signed: bool,
        /// What gets it.
        dst: Reg,
        /// Base of the address.
        src: Reg,
        /// Offset in bytes.
        off: i16,
    },
    /// `*(u8 *)(r1 + 4) = r2`
    Store {
        /// How much.
        size: Size,
        /// Base of the address.
        dst: Reg,
        /// Offset in bytes.
        off: i16,
        /// What is stored; an immediate is sign-extended.
        src: Operand,
    },
    /// `lock *(u64 *)(r1 + 4) += r2`
    Atomic {
        /// 4 or 8 bytes; a 32-bit result is zero-extended.
        width: Width,
        /// What is done.
        atomic: Atomic,
        /// Base of the address.
        dst: Reg,
        /// Offset in bytes.
        off: i16,
        /// Operand.
        src: Reg,
    },
}

/// Why an instruction is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// No such opcode.
    Opcode(u8),
    /// No such register.
    Register(u8),
    /// A field that the instruction does not use is not zero, or one that it uses has no such value.
    Field(Field),
    /// A 64-bit immediate without its second slot, or with something else in it.
    SecondSlot,
    /// Access to a packet: replaced by direct access long ago, and here there are no packets.
    PacketAccess,
    /// A call of what is in a register: not defined for all programs (RFC 9669, section 4.3.1).
    CallRegister,
}

/// A field of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `dst`
    Dst,
    /// `src`
    Src,
    /// `off`
    Off,
    /// `imm`
    Imm,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dst => "dst",
            Self::Src => "src",
            Self::Off => "off",
            Self::Imm => "imm",
        })
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opcode(opcode) => write!(f, "unknown opcode {opcode:02x}"),
            Self::Register(number) => write!(f, "R{number} is invalid"),
            Self::Field(field) => write!(f, "the field {field} has a value that means nothing here"),
            Self::SecondSlot => f.write_str("a 64-bit immediate without its second half"),
            Self::PacketAccess => {
                f.write_str("packet access by LD_ABS and LD_IND is legacy: load from memory instead")
            }
            Self::CallRegister => f.write_str("callx is not supported: call a helper or a local function"),
        }
    }
}

/// The instruction that begins with `first`. `second` is the slot behind it, looked at only if it belongs to it.
///
/// # Errors
/// What is wrong with it.
pub fn decode(first: Insn, second: Option<Insn>) -> Result<Op, Malformed> {
    let used = match first.class() {
        class::ALU | class::ALU64 => arithmetic(first)?,
        class::JMP | class::JMP32 => jump(first)?,
        class::LD => return immediate(first, second),
        _ => access(first)?,
    };
    used.rest_is_zero(first)
}

/// An instruction, and which fields of its slot it has taken in.
struct Used {
    op: Op,
    fields: [bool; 4],
}

impl Used {
    fn new(op: Op, fields: &[Field]) -> Self {
        let has = |field| fields.contains(&field);
        Self { op, fields: [has(Field::Dst), has(Field::Src), has(Field::Off), has(Field::Imm)] }
    }

    fn rest_is_zero(self, insn: Insn) -> Result<Op, Malformed> {
        let [dst, src, off, imm] = self.fields;
        let wrong = [
            (dst || insn.dst == 0, Field::Dst),
            (src || insn.src == 0, Field::Src),
            (off || insn.off == 0, Field::Off),
            (imm || insn.imm == 0, Field::Imm),
        ];
        match wrong.iter().find(|(fine, _)| !fine) {
            Some((_, field)) => Err(Malformed::Field(*field)),
            None => Ok(self.op),
        }
    }
}

fn reg(number: u8) -> Result<Reg, Malformed> {
    Reg::new(number).ok_or(Malformed::Register(number))
}

/// The second operand of arithmetic and jumps, and the field that it is in.
fn operand(insn: Insn) -> Result<(Operand, Field), Malformed> {
    Ok(if insn.opcode & X == X {
        (Operand::Reg(reg(insn.src)?), Field::Src)
    } else {
        (Operand::Imm(insn.imm), Field::Imm)
    })
}

fn arithmetic(insn: Insn) -> Result<Used, Malformed> {
    const NEG: u8 = 0x80;
    const END: u8 = 0xd0;
    const MOV: u8 = 0xb0;
    let width = if insn.class() == class::ALU64 { Width::W64 } else { Width::W32 };
    let dst = reg(insn.dst)?;
    let by_register = insn.opcode & X == X;
    match insn.opcode & 0xf0 {
        NEG if !by_register => Ok(Used::new(Op::Neg { width, dst }, &[Field::Dst])),
        END => {
            let order = match (width, by_register) {
                (Width::W32, false) => Order::Little,
                (Width::W32, true) => Order::Big,
                (Width::W64, false) => Order::Swap,
                (Width::W64, true) => return Err(Malformed::Opcode(insn.opcode)),
            };
            if ![16, 32, 64].contains(&insn.imm) {
                return Err(Malformed::Field(Field::Imm));
            }
            Ok(Used::new(Op::End { order, bits: insn.imm as u8, dst }, &[Field::Dst, Field::Imm]))
        }
        MOV if by_register && insn.off != 0 => {
            let bits = match (insn.off, width) {
                (8 | 16, _) | (32, Width::W64) => insn.off as u8,
                _ => return Err(Malformed::Field(Field::Off)),
            };
            let op = Op::MovSx { width, bits, dst, src: reg(insn.src)? };
            Ok(Used::new(op, &[Field::Dst, Field::Src, Field::Off]))
        }
        code => {
            let (src, field) = operand(insn)?;
            let known = || Alu::TABLE.iter().filter(|(_, has, _)| *has == code);
            let Some((alu, ..)) = known().find(|(_, _, off)| *off == insn.off) else {
                let known = known().next().is_some();
                return Err(if known {
                    Malformed::Field(Field::Off)
                } else {
                    Malformed::Opcode(insn.opcode)
                });
            };
            Ok(Used::new(Op::Alu { width, alu: *alu, dst, src }, &[Field::Dst, field, Field::Off]))
        }
    }
}

fn jump(insn: Insn) -> Result<Used, Malformed> {
    const JA: u8 = 0x00;
    const CALL: u8 = 0x80;
    const EXIT: u8 = 0x90;
    let width = if insn.class() == class::JMP { Width::W64 } else { Width::W32 };
    match (insn.opcode & 0xf0, width, insn.opcode & X == X) {
        (JA, Width::W64, false) => Ok(Used::new(Op::Ja { off: insn.off.into(), long: false }, &[Field::Off])),
        (JA, Width::W32, false) => Ok(Used::new(Op::Ja { off: insn.imm, long: true }, &[Field::Imm])),
        (CALL, Width::W64, true) => Err(Malformed::CallRegister),
        (CALL, Width::W64, false) => {
            let callee = match insn.src {
                0 => Callee::Helper(insn.imm),
                1 => Callee::Local(insn.imm),
                2 => Callee::Kernel(insn.imm),
                _ => return Err(Malformed::Field(Field::Src)),
            };
            Ok(Used::new(Op::Call(callee), &[Field::Src, Field::Imm]))
        }
        (EXIT, Width::W64, false) => Ok(Used::new(Op::Exit, &[])),
        (code, ..) => {
            let (cond, _) =
                Cond::TABLE.iter().find(|(_, has)| *has == code).ok_or(Malformed::Opcode(insn.opcode))?;
            let (src, field) = operand(insn)?;
            let op = Op::Jump { width, cond: *cond, dst: reg(insn.dst)?, src, off: insn.off };
            Ok(Used::new(op, &[Field::Dst, field, Field::Off]))
        }
    }
}

fn immediate(first: Insn, second: Option<Insn>) -> Result<Op, Malformed> {
    match first.opcode & 0xe0 {
        mode::ABS | mode::IND => return Err(Malformed::PacketAccess),
        _ if !first.is_wide() => return Err(Malformed::Opcode(first.opcode)),
        _ => {}
    }
    let dst = reg(first.dst)?;
    let high = match second {
        Some(Insn { opcode: 0, dst: 0, src: 0, off: 0, imm }) => imm as u32,
        _ => return Err(Malformed::SecondSlot),
    };
    let imm = match first.src {
        0 => Imm64::Value(u64::from(high) << 32 | u64::from(first.imm as u32)),
        2 => Imm64::MapValue { map: first.imm, off: high },
        6 => Imm64::MapIndexValue { map: first.imm, off: high },
        kind => {
            let imm = match kind {
                1 => Imm64::Map(first.imm),
                3 => Imm64::Var(first.imm),
                4 => Imm64::Code(first.imm),
                5 => Imm64::MapIndex(first.imm),
                _ => return Err(Malformed::Field(Field::Src)),
            };
            if high != 0 {
                return Err(Malformed::SecondSlot);
            }
            imm
        }
    };
    Used::new(Op::LoadImm { dst, imm }, &[Field::Dst, Field::Src, Field::Imm]).rest_is_zero(first)
}

fn access(insn: Insn) -> Result<Used, Malformed> {
    let unknown = Malformed::Opcode(insn.opcode);
    let (size, _) = *Size::TABLE.iter().find(|(_, code)| *code == insn.opcode & 0x18).ok_or(unknown)?;
    let (dst, off) = (reg(insn.dst)?, insn.off);
    match (insn.class(), insn.opcode & 0xe0) {
        (class::LDX, mode::MEM) => {
            let op = Op::Load { size, signed: false, dst, src: reg(insn.src)?, off };
            Ok(Used::new(op, &[Field::Dst, Field::Src, Field::Off]))
        }
        (class::LDX, mode::MEMSX) if size != Size::Dw => {
            let op = Op::Load { size, signed: true, dst, src: reg(insn.src)?, off };
            Ok(Used::new(op, &[Field::Dst, Field::Src, Field::Off]))
        }
        (class::ST, mode::MEM) => {
            let op = Op::Store { size, dst, off, src: Operand::Imm(insn.imm) };
            Ok(Used::new(op, &[Field::Dst, Field::Off, Field::Imm]))
        }
        (class::STX, mode::MEM) => {
            let op = Op::Store { size, dst, off, src: Operand::Reg(reg(insn.src)?) };
            Ok(Used::new(op, &[Field::Dst, Field::Src, Field::Off]))
        }
        (class::STX, mode::ATOMIC) => {
            let width = match size {
                Size::W => Width::W32,
                Size::Dw => Width::W64,
                Size::B | Size::H => return Err(unknown),
            };
            let found = Atomic::TABLE.iter().find(|(_, code)| *code == insn.imm);
            let (atomic, _) = *found.ok_or(Malformed::Field(Field::Imm))?;
            let op = Op::Atomic { width, atomic, dst, off, src: reg(insn.src)? };
            Ok(Used::new(op, &[Field::Dst, Field::Src, Field::Off, Field::Imm]))
        }
        _ => Err(unknown),
    }
}

/// The first of `table` whose first member is `key`; each table has all.
fn code_of<K: PartialEq + Copy, C: Copy + Default>(table: &[(K, C)], key: K) -> C {
    table.iter().find(|(has, _)| *has == key).map(|(_, code)| *code).unwrap_or_default()
}

impl Op {
    /// How many slots it takes.
    pub const fn slots(&self) -> usize {
        if matches!(self, Self::LoadImm { .. }) { 2 } else { 1 }
    }

    /// Its slots; the second only for [`Op::LoadImm`].
    pub fn encode(&self) -> (Insn, Option<Insn>) {
        let one = |insn| (insn, None);
        match *self {
            Self::Alu { width, alu, dst, src } => {
                let found = Alu::TABLE.iter().find(|(has, ..)| *has == alu);
                let (code, off) = found.map_or((0, 0), |(_, code, off)| (*code, *off));
                one(with_operand(alu_class(width) | code, dst, src, off))
            }
            Self::MovSx { width, bits, dst, src } => {
                one(with_operand(alu_class(width) | 0xb0, dst, Operand::Reg(src), bits.into()))
            }
            Self::Neg { width, dst } => {
                one(Insn { opcode: alu_class(width) | 0x80, dst: dst.0, ..Insn::default() })
            }
            Self::End { order, bits, dst } => {
                let opcode = match order {
                    Order::Little => class::ALU | K,
                    Order::Big => class::ALU | X,
                    Order::Swap => class::ALU64 | K,
                } | 0xd0;
                one(Insn { opcode, dst: dst.0, imm: bits.into(), ..Insn::default() })
            }
            Self::Ja { off, long: true } => one(Insn { opcode: class::JMP32, imm: off, ..Insn::default() }),
            // A short jump came from 16 bits.
            Self::Ja { off, long: false } => {
                one(Insn { opcode: class::JMP, off: off as i16, ..Insn::default() })
            }
            Self::Jump { width, cond, dst, src, off } => {
                let class = if width == Width::W64 { class::JMP } else { class::JMP32 };
                one(with_operand(class | code_of(Cond::TABLE, cond), dst, src, off))
            }
            Self::Call(callee) => {
                let (src, imm) = match callee {
                    Callee::Helper(number) => (0, number),
                    Callee::Local(off) => (1, off),
                    Callee::Kernel(number) => (2, number),
                };
                one(Insn { opcode: class::JMP | 0x80, src, imm, ..Insn::default() })
            }
            Self::Exit => one(Insn { opcode: class::JMP | 0x90, ..Insn::default() }),
            Self::LoadImm { dst, imm } => {
                let (src, low, high) = match imm {
                    Imm64::Value(value) => (0, value as i32, (value >> 32) as i32),
                    Imm64::Map(map) => (1, map, 0),
                    Imm64::MapValue { map, off } => (2, map, off as i32),
                    Imm64::Var(var) => (3, var, 0),
                    Imm64::Code(off) => (4, off, 0),
                    Imm64::MapIndex(map) => (5, map, 0),
                    Imm64::MapIndexValue { map, off } => (6, map, off as i32),
                };
                let opcode = class::LD | mode::IMM | size::DW;
                let first = Insn { opcode, dst: dst.0, src, off: 0, imm: low };
                (first, Some(Insn { imm: high, ..Insn::default() }))
            }
            Self::Load { size, signed, dst, src, off } => {
                let mode = if signed { mode::MEMSX } else { mode::MEM };
                let opcode = class::LDX | mode | code_of(Size::TABLE, size);
                one(Insn { opcode, dst: dst.0, src: src.0, off, imm: 0 })
            }
            Self::Store { size, dst, off, src } => {
                let opcode = mode::MEM | code_of(Size::TABLE, size);
                one(match src {
                    Operand::Reg(src) => {
                        Insn { opcode: opcode | class::STX, dst: dst.0, src: src.0, off, imm: 0 }
                    }
                    Operand::Imm(imm) => Insn { opcode: opcode | class::ST, dst: dst.0, src: 0, off, imm },
                })
            }
            Self::Atomic { width, atomic, dst, off, src } => {
                let size = if width == Width::W64 { size::DW } else { size::W };
                let opcode = class::STX | mode::ATOMIC | size;
                one(Insn { opcode, dst: dst.0, src: src.0, off, imm: code_of(Atomic::TABLE, atomic) })
            }
        }
    }

    /// Where it leads, other than to the next instruction, counted from the slot behind its first one: jumps, local calls,
    /// addresses of code.
    pub const fn target(&self) -> Option<i32> {
        match *self {
            Self::Ja { off, .. } => Some(off),
            Self::Jump { off, .. } => Some(off as i32),
            Self::Call(Callee::Local(off)) => Some(off),
            Self::LoadImm { imm: Imm64::Code(off), .. } => Some(off),
            _ => None,
        }
    }

    /// Does it go on with the next instruction, on some way?
    pub const fn falls_through(&self) -> bool {
        !matches!(self, Self::Exit | Self::Ja { .. })
    }
}

fn alu_class(width: Width) -> u8 {
    if width == Width::W64 { class::ALU64 } else { class::ALU }
}

fn with_operand(opcode: u8, dst: Reg, src: Operand, off: i16) -> Insn {
    match src {
        Operand::Reg(src) => Insn { opcode: opcode | X, dst: dst.0, src: src.0, off, imm: 0 },
        Operand::Imm(imm) => Insn { opcode: opcode | K, dst: dst.0, src: 0, off, imm },
    }
}
