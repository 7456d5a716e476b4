//! Operands as they are in one word: what a reader of a decoded instruction gets.

use crate::cond::Cond;
use crate::sysreg::SysReg;

/// A size of a scalar register of the vector file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FpSize {
    /// 8 bits.
    B,
    /// 16 bits.
    H,
    /// 32 bits.
    S,
    /// 64 bits.
    D,
    /// 128 bits.
    Q,
}

impl FpSize {
    /// The prefix of the register's name.
    pub const fn prefix(self) -> char {
        match self {
            FpSize::B => 'b',
            FpSize::H => 'h',
            FpSize::S => 's',
            FpSize::D => 'd',
            FpSize::Q => 'q',
        }
    }

    pub(super) const fn from_log2(log2: u32) -> Option<FpSize> {
        Some(match log2 {
            0 => FpSize::B,
            1 => FpSize::H,
            2 => FpSize::S,
            3 => FpSize::D,
            4 => FpSize::Q,
            _ => return None,
        })
    }
}

/// An element of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// One of 8, 16, 32, 64 bits.
    One(FpSize),
    /// Two halves taken as one: `2h`.
    TwoH,
    /// Four bytes taken as one: `4b`.
    FourB,
    /// Two bytes taken as one: `2b`.
    TwoB,
}

/// How a vector register is divided: `lanes` elements of `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arrangement {
    /// How many.
    pub lanes: u8,
    /// Of what size.
    pub size: FpSize,
}

impl Arrangement {
    /// The shape of elements of `1 << log2` bytes in 64 bits, or 128 if `full`.
    pub(super) const fn new(log2: u32, full: bool) -> Option<Arrangement> {
        let bytes = if full { 16u8 } else { 8 };
        match FpSize::from_log2(log2) {
            Some(size) if bytes >> log2 != 0 => Some(Arrangement { lanes: bytes >> log2, size }),
            _ => None,
        }
    }
}

/// The kind of a shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shift {
    /// To the left, zeros come in.
    Lsl,
    /// To the right, zeros come in.
    Lsr,
    /// To the right, the sign comes in.
    Asr,
    /// Around.
    Ror,
    /// To the left, ones come in (`movi`).
    Msl,
}

impl Shift {
    /// The text.
    pub const fn name(self) -> &'static str {
        match self {
            Shift::Lsl => "lsl",
            Shift::Lsr => "lsr",
            Shift::Asr => "asr",
            Shift::Ror => "ror",
            Shift::Msl => "msl",
        }
    }
}

/// How a register is extended before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Extend {
    /// The low byte, zero-extended.
    Uxtb,
    /// The low half, zero-extended.
    Uxth,
    /// The low word, zero-extended.
    Uxtw,
    /// All of it.
    Uxtx,
    /// The low byte, sign-extended.
    Sxtb,
    /// The low half, sign-extended.
    Sxth,
    /// The low word, sign-extended.
    Sxtw,
    /// All of it.
    Sxtx,
}

impl Extend {
    pub(super) const fn from_bits(option: u32) -> Extend {
        match option & 7 {
            0 => Extend::Uxtb,
            1 => Extend::Uxth,
            2 => Extend::Uxtw,
            3 => Extend::Uxtx,
            4 => Extend::Sxtb,
            5 => Extend::Sxth,
            6 => Extend::Sxtw,
            _ => Extend::Sxtx,
        }
    }

    /// The text.
    pub const fn name(self) -> &'static str {
        match self {
            Extend::Uxtb => "uxtb",
            Extend::Uxth => "uxth",
            Extend::Uxtw => "uxtw",
            Extend::Uxtx => "uxtx",
            Extend::Sxtb => "sxtb",
            Extend::Sxth => "sxth",
            Extend::Sxtw => "sxtw",
            Extend::Sxtx => "sxtx",
        }
    }
}

/// What is added to a base address, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// `[base]`
    None,
    /// `[base, #n]`
    Imm(i64),
    /// `[base, #n]!`: the base is moved first.
    Pre(i64),
    /// `[base], #n`: the base is moved afterwards.
    Post(i64),
    /// `[base], xm`
    PostReg(u8),
    /// `[base]!`
    Moved,
    /// `[base, index]`
    Index(Index),
}

/// An index register of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its number; 31 is the zero register.
    pub rm: u8,
    /// How it is extended; [`Extend::Uxtx`] is printed `lsl`.
    pub extend: Extend,
    /// By how much it is shifted to the left; `None` where the word asks for no shift.
    pub amount: Option<u8>,
}

/// An operand of one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A part of the mnemonic: `al` of `ldaddal`, `eq` of `b.eq`. It comes first and is not set apart.
    Suffix(&'static str),
    /// A general register.
    Gpr {
        /// The number, 0 to 31.
        n: u8,
        /// 64 bits, or 32.
        wide: bool,
        /// Is 31 SP, or the zero register?
        sp: bool,
    },
    /// A general register that the instruction moves on: `x2!`.
    Moved(u8),
    /// A scalar of the vector file.
    Fpr {
        /// The number.
        n: u8,
        /// The size.
        size: FpSize,
    },
    /// A vector register.
    Vector {
        /// The number.
        n: u8,
        /// The shape.
        shape: Arrangement,
    },
    /// One element of a vector register.
    Lane {
        /// The number.
        n: u8,
        /// The kind of element.
        element: Element,
        /// Which one.
        index: u8,
    },
    /// Consecutive vector registers.
    List {
        /// The first.
        first: u8,
        /// How many.
        count: u8,
        /// Their shape.
        shape: Arrangement,
    },
    /// One element each of consecutive vector registers.
    LaneList {
        /// The first.
        first: u8,
        /// How many.
        count: u8,
        /// The size of the element.
        size: FpSize,
        /// Which one.
        index: u8,
    },
    /// A number.
    Imm(i64),
    /// A number that reads better in hexadecimal.
    Hex(u64),
    /// A number that is shifted; nothing more is printed for a shift by 0.
    ShiftedImm {
        /// The number.
        value: u16,
        /// Which way.
        kind: Shift,
        /// By how much.
        amount: u8,
    },
    /// imm8 of the compact float format.
    Float8(u8),
    /// `#0.0`
    FloatZero,
    /// A shift of the operand before.
    Shifted {
        /// Which way.
        kind: Shift,
        /// By how much.
        amount: u8,
    },
    /// An extension of the operand before.
    Extended {
        /// From what.
        kind: Extend,
        /// And shifted by; nothing is printed for 0.
        amount: u8,
    },
    /// A condition.
    Cond(Cond),
    /// A place: bytes from the word.
    Label(i64),
    /// A page: bytes from the 4 KiB page of the word.
    Page(i64),
    /// Memory.
    Memory {
        /// The base register; 31 is SP.
        base: u8,
        /// What is added.
        offset: Offset,
    },
    /// A system register.
    System(SysReg),
    /// A control register number of `sys`.
    Control(u8),
    /// A name.
    Name(&'static str),
}
