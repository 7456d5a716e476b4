//! Operands as a row of the index names them: which fields of the word, read how.
//!
//! A number in parentheses is the lowest bit of a field, mostly of a register's number ([`field`]).

use super::operand::{Arrangement, Element, FpSize};

/// Where a register number lies in the word, by the manual's name for the field.
pub(super) mod field {
    /// Rd, Rt: bits 4..0.
    pub(in crate::decode) const D: u8 = 0;
    /// Rn: bits 9..5.
    pub(in crate::decode) const N: u8 = 5;
    /// Ra, Rt2: bits 14..10.
    pub(in crate::decode) const A: u8 = 10;
    /// Rm, Rs: bits 20..16.
    pub(in crate::decode) const M: u8 = 16;
}

/// An operand as a row of the index names it: which fields, read how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    // General registers; the number is the field's lowest bit.
    /// 64 or 32 bits by bit 31; 31 is the zero register.
    R(u8),
    /// 64 or 32 bits by bit 31; 31 is SP.
    Rsp(u8),
    /// 64 bits; 31 is the zero register.
    X(u8),
    /// 64 bits; 31 is SP.
    Xsp(u8),
    /// 32 bits; 31 is the zero register.
    W(u8),
    /// 64 or 32 bits by bit 30 (loads and stores).
    R30(u8),
    /// The second of a pair: the register after the one in the field.
    NextX(u8),
    /// The second of a pair, 64 or 32 bits by bit 30.
    NextR30(u8),
    /// 64 or 32 bits by b5 of `tbz`.
    TestReg,
    /// 64 or 32 bits by `option<0>` of an extended register.
    ExtendedReg,
    /// Rt where it is not 31: the optional register of `sys`.
    SysRt,
    /// Rt where the operation of `dc`, `ic`, `at`, `tlbi` takes one.
    SysArgument,
    /// The register with `!`: it is moved on (`cpyp`).
    MovedX(u8),

    // Suffixes: they belong to the mnemonic and come first
    /// `eq` of `b.eq`.
    CondSuffix,
    /// b, h by size in 31..30.
    SizeSuffix,
    /// a, l, al by A in 23 and R in 22.
    Order,
    /// The same and b, h by size.
    SizedOrder,
    /// a, l, al by L in 22 and o0 in 15.
    CasPairOrder,
    /// The same and b, h by size.
    CasOrder,
    /// The same and t.
    CasUserOrder,
    /// The options of `cpyp` in 15..12.
    CopyOptions,
    /// The options of `setp` in 13..12.
    SetOptions,
    /// 2 where Q is set: the upper half.
    UpperHalf,

    // Immediates
    /// An unsigned field: lowest bit, width.
    Imm(u8, u8),
    /// The same, printed in hexadecimal.
    Hex(u8, u8),
    /// A signed field: lowest bit, width.
    SImm(u8, u8),
    /// A field times a scale: lowest bit, width, scale.
    Scaled(u8, u8, u8),
    /// `c7`: a control register of `sys`.
    C(u8),
    /// imm12, shifted by 12 or not.
    AddImm,
    /// N:immr:imms as the bit mask it means.
    BitMask,
    /// The same, as a signed number (`mov`).
    BitMaskMov,
    /// imm16 and its shift, 0 to 48.
    Wide,
    /// imm16 shifted, as the number it means (`mov`).
    WideMov,
    /// The complement of that (`mov` for `movn`).
    WideMovNot,
    /// b5:b40, the bit that `tbz` tests.
    TestBit,
    /// Bit position of `lsl`: the width minus immr.
    LslAmount,
    /// `lsb` of the insert forms: -immr modulo the width.
    InsertLsb,
    /// `width` of the insert forms: imms + 1.
    InsertWidth,
    /// `width` of the extract forms: imms - immr + 1.
    ExtractWidth,

    // Modifiers
    /// shift in 23..22, amount in 15..10.
    ShiftAmount,
    /// option in 15..13, amount in 12..10.
    ExtendAmount,
    /// `lsl` by imm3 in 12..10 (`addpt`).
    Lsl3,

    // Conditions and names
    /// A condition in four bits.
    Cond(u8),
    /// Its opposite (`cset`).
    CondNot(u8),
    /// The target of a hint or barrier: CRm as `dmb` names it.
    BarrierName,
    /// The same for `dsb … nXS`, by CRm<3:2>.
    BarrierNxs,
    /// `isb`, `clrex`: CRm unless it is 15.
    CrmOption,
    /// `bti`: c, j, jc.
    BtiTarget,
    /// The PSTATE field of `msr` (immediate).
    PState,
    /// A system register, bits 19..5.
    System,
    /// The operation of `dc`, `ic`, `at`, `tlbi`.
    SysName,
    /// The prefetch operation in Rt.
    Prefetch,
    /// The prefetch operation of `rprfm`.
    RangePrefetch,
    /// A name that is always the same.
    Name(&'static str),

    // Places in the code
    /// imm26 × 4.
    Label26,
    /// imm19 × 4.
    Label19,
    /// imm14 × 4.
    Label14,
    /// imm9 × 4, in bits 13..5.
    Label9,
    /// imm16 × 4 backwards.
    LabelBack16,
    /// immhi:immlo.
    LabelAdr,
    /// immhi:immlo in pages.
    LabelAdrp,

    // Memory
    /// `[xn]`
    Base,
    /// `[xn], #n` of loads, `[xn, #-n]!` of stores (by bit 22), n the size of one register by bit 30.
    BaseStep,
    /// The same for two registers.
    BasePairStep,
    /// `[xn, #imm12 << scale]`
    Unsigned(u8),
    /// `[xn, #imm9]`
    Unscaled,
    /// `[xn, #imm9]!`
    Pre,
    /// `[xn], #imm9`
    Post,
    /// `[xn, #imm9 << 4]` of the tag stores; whether and how it writes back lies in bits 11..10.
    Tag,
    /// `[xn, #imm7 << scale]`; how it writes back lies in bits 24..23.
    Pair(u8),
    /// `[xn, xm, lsl #scale]`, `[xn, wm, uxtw #scale]`
    Indexed(u8),
    /// `[xn, #S:imm9 << 3]` of `ldraa`; bit 11 writes back.
    Authenticated,
    /// `[field]!` of the copy instructions.
    MovedBase(u8),

    // Registers of the vector file
    /// A register of a fixed size.
    F(FpSize, u8),
    /// s, d or h by ftype in 23..22.
    Ftype(u8),
    /// Of the size that `fcvt` converts to: s, d, h by opc in 16..15.
    FcvtTo,
    /// b, h, s, d by size in 23..22.
    Fsize(u8),
    /// One larger than that.
    FsizeWide(u8),
    /// s or d by sz in 22.
    Fsz(u8),
    /// By the highest one of immh in 22..19.
    Fshift(u8),
    /// One larger than that.
    FshiftWide(u8),
    /// By the lowest one of imm5 in 20..16.
    Fimm5(u8),
    /// A vector of a fixed shape.
    Vec(Arrangement, u8),
    /// Elements of size, 64 or 128 bits by Q.
    V(u8),
    /// Elements of one larger than size, 128 bits.
    Vwide(u8),
    /// Elements of one larger than size, 64 or 128 bits by Q.
    VpairWide(u8),
    /// Elements of a fixed size, 64 or 128 bits by Q.
    Vq(FpSize, u8),
    /// Halves, 2 or 4 by Q: half of a vector.
    HalfOfHalves(u8),
    /// s or d by sz, 64 or 128 bits by Q.
    Vsz(u8),
    /// Two singles or two doubles by sz.
    VpairSz(u8),
    /// h or s by sz, 64 or 128 bits by Q.
    VszHalf(u8),
    /// s or d by sz, 128 bits.
    VszWide(u8),
    /// By immh, 64 or 128 bits by Q.
    Vshift(u8),
    /// One larger than immh says, 128 bits.
    VshiftWide(u8),
    /// By imm5, 64 or 128 bits by Q.
    Vimm5(u8),
    /// An element by imm5.
    LaneImm5(u8),
    /// An element of the size of imm5, its index in imm4.
    LaneImm4(u8),
    /// `v0.d[1]`
    UpperD(u8),
    /// Rm as an element: h, s or d by size, the index in H, L, M.
    LaneM,
    /// Rm as an element of 16 bits.
    LaneMhalf,
    /// Rm as an element of four bytes or two halves, the index in H and L.
    LaneMgroup(Element),
    /// Rm as an element pair of `fcmla`.
    LaneMcomplex,
    /// Rm as an element of 32 bits, its index in 13..12.
    LaneMsm3,
    /// Consecutive registers of a table, by len in 14..13.
    Table,
    /// Structures: so many registers.
    List(u8),
    /// An element of structures: so many registers.
    LaneList(u8),
    /// An element of structures of 64 bits: Q is the index.
    LaneListD,
    /// The address of structures of so many registers.
    ListBase(u8),
    /// The address of an element of structures of so many registers.
    LaneBase(u8),
    /// The address of an element replicated to so many registers.
    ReplicateBase(u8),

    // Numbers of vector instructions
    /// imm8 of the compact float format, lowest bit.
    Float8(u8),
    /// abc:defgh as a float.
    FloatAbc,
    /// `#0.0`
    FloatZero,
    /// `#0`
    Zero,
    /// fbits: 64 - scale.
    FixedBits,
    /// A shift to the right by 2 × element - immh:immb.
    ShiftRight,
    /// A shift to the left by immh:immb - element.
    ShiftLeft,
    /// A shift by the element's size.
    ShiftWhole,
    /// abc:defgh shifted as cmode says.
    ModImm,
    /// abc:defgh, each bit a byte of ones or zeros.
    ModBytes,
    /// Times 90 degrees: lowest bit, width.
    Rotate90(u8, u8),
    /// 90 or 270 degrees by bit 12.
    RotateAdd,
}
