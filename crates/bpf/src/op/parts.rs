//! What instructions are made of: registers, operands, and what is done with them. Beside each kind stand its codes.

use crate::insn::size;

/// A register that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(pub(super) u8);

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
    pub(super) const TABLE: &'static [(Self, u8, i16)] = &[
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

/// What [`Op::End`](super::Op::End) makes of the low bytes of a register.
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
    pub(super) const TABLE: &'static [(Self, u8)] = &[
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
    pub(super) const TABLE: &'static [(Self, u8)] =
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
