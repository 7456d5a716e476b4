//! The registers of an interrupted program, and sets of them.
//!
//! [`UserRegs`] has the layout of Linux's `struct user_pt_regs` on arm64, which is also the start of what an
//! exception entry saves, what `ptrace` hands out and what a BPF program is given:
//!
//! ```text
//! offset   0        248   256   264
//!        ┌──────────┬─────┬─────┬────────┐
//!        │ x0 … x30 │ sp  │ pc  │ pstate │   34 × 8 = 272 bytes
//!        └──────────┴─────┴─────┴────────┘
//! ```
//!
//! [`CallRegs`] is the smaller set that a trampoline can save honestly: what a call hands over. A listener sees either
//! through [`Registers`], and can tell a register that was not saved from one that is 0.
//!
//! [`RegSet`] says which of these a way in has saved (`provides`) or a listener reads (`needs`). The check when
//! a listener is attached is `needs.first_missing(provides)`; its answer is the register to blame.
//!
//! Register number 31 means two things in A64: the zero register or SP, by the operand. [`UserRegs::x`] and
//! [`UserRegs::set_x`] take it as the zero register: reads give 0, writes vanish.

use core::fmt;

/// General registers and state of an interrupted program, in Linux's `user_pt_regs` layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct UserRegs {
    /// x0 to x30.
    pub x: [u64; 31],
    /// The stack pointer.
    pub sp: u64,
    /// The address of the next instruction.
    pub pc: u64,
    /// Processor state as SPSR_ELx shows it: NZCV in bits 31..28, DAIF in 9..6.
    pub pstate: u64,
}

/// PSTATE.N: the result was negative.
pub const PSTATE_N: u64 = 1 << 31;
/// PSTATE.Z: the result was zero.
pub const PSTATE_Z: u64 = 1 << 30;
/// PSTATE.C: there was a carry, or no borrow.
pub const PSTATE_C: u64 = 1 << 29;
/// PSTATE.V: the result overflowed.
pub const PSTATE_V: u64 = 1 << 28;
/// PSTATE.{D,A,I,F}: the exception masks, where SPSR_ELx and the DAIF register keep them.
pub const PSTATE_DAIF: u64 = 0xf << 6;
/// PSTATE.BTYPE: the kind of the last indirect branch; every other instruction clears it.
pub const PSTATE_BTYPE: u64 = 0b11 << 10;

impl UserRegs {
    /// Register `n`; 31 and above read as the zero register.
    #[inline]
    pub fn x(&self, n: u8) -> u64 {
        self.x.get(usize::from(n)).copied().unwrap_or(0)
    }

    /// Writes register `n`; 31 and above are the zero register, the value is dropped.
    #[inline]
    pub fn set_x(&mut self, n: u8, value: u64) {
        if let Some(slot) = self.x.get_mut(usize::from(n)) {
            *slot = value;
        }
    }

    /// The link register, x30.
    #[inline]
    pub fn lr(&self) -> u64 {
        self.x[30]
    }

    /// The frame pointer, x29.
    #[inline]
    pub fn fp(&self) -> u64 {
        self.x[29]
    }

    /// The four condition flags as a number, N in bit 3 and V in bit 0.
    #[inline]
    pub fn nzcv(&self) -> u8 {
        ((self.pstate >> 28) & 0xf) as u8
    }

    /// Sets the condition flags from the low four bits of `flags`.
    #[inline]
    pub fn set_nzcv(&mut self, flags: u8) {
        self.pstate = (self.pstate & !(0xf << 28)) | (u64::from(flags & 0xf) << 28);
    }

    /// The register that `reg` names.
    #[inline]
    pub fn get(&self, reg: Reg) -> u64 {
        match reg {
            Reg::SP => self.sp,
            Reg::PC => self.pc,
            Reg::PSTATE => self.pstate,
            Reg(n) => self.x(n),
        }
    }

    /// Writes the register that `reg` names.
    #[inline]
    pub fn set(&mut self, reg: Reg, value: u64) {
        match reg {
            Reg::SP => self.sp = value,
            Reg::PC => self.pc = value,
            Reg::PSTATE => self.pstate = value,
            Reg(n) => self.set_x(n, value),
        }
    }
}

/// The registers around a call: what a trampoline that stands in for a `bl` or a `ret` has in hand, and nothing else.
///
/// ```text
/// offset   0       72    80     88    96     104
///        ┌─────────┬────┬─────┬────┬──────┬────┐
///        │ x0 … x8 │ sp │ x29 │ lr │ link │ pc │   14 × 8 = 112 bytes
///        └─────────┴────┴─────┴────┴──────┴────┘
///                       └ record ┘ └ record ─┘
/// ```
///
/// The last four words make two frame records (AAPCS64 6.4.6): of the caller, and of the function. `link`, which leads from
/// the second to the first, is no register.
///
/// x0 to x8 carry arguments one way and results the other (AAPCS64 6.8, 6.9). x9 to x18 mean nothing at a call, x19 to
/// x28 belong to the caller and were not saved by anybody, and there is no PSTATE: a call has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct CallRegs {
    /// x0 to x8.
    pub x: [u64; 9],
    /// The stack pointer.
    pub sp: u64,
    /// Where the record made of `fp` and `lr` lies, for a trampoline that has made the other one, too.
    pub link: u64,
    /// The address of the next instruction.
    pub pc: u64,
    /// The frame pointer, x29.
    pub fp: u64,
    /// The link register, x30.
    pub lr: u64,
}

impl CallRegs {
    /// What it has room for. A way in that uses it says which of these it fills.
    pub const ROOM: RegSet = RegSet::x_range(0, 8).with(Reg::FP).with(Reg::LR).with(Reg::SP).with(Reg::PC);

    /// The register that `reg` names, if there is room for it.
    #[inline]
    pub fn get(&self, reg: Reg) -> Option<u64> {
        match reg {
            Reg::SP => Some(self.sp),
            Reg::PC => Some(self.pc),
            Reg::FP => Some(self.fp),
            Reg::LR => Some(self.lr),
            Reg(n) => self.x.get(usize::from(n)).copied(),
        }
    }
}

/// The registers that a way in has saved, as a listener reads them.
#[derive(Clone, Copy, Debug)]
pub enum Registers<'a> {
    /// All of them, by an exception.
    All(&'a UserRegs),
    /// Those of a call, by a trampoline.
    Call(&'a CallRegs),
}

impl Registers<'_> {
    /// Register `n`; 31 and above are the zero register. One that was not saved reads as 0: that nobody asks for it is
    /// checked when the listener is attached.
    #[inline(always)]
    pub fn x(self, n: u8) -> u64 {
        match self {
            Self::All(regs) => regs.x(n),
            Self::Call(regs) => Reg::x(n).and_then(|reg| regs.get(reg)).unwrap_or(0),
        }
    }

    /// The register that `reg` names; 0, as above, if it was not saved.
    #[inline]
    pub fn get(self, reg: Reg) -> u64 {
        match self {
            Self::All(regs) => regs.get(reg),
            Self::Call(regs) => regs.get(reg).unwrap_or(0),
        }
    }
}

impl<'a> From<&'a UserRegs> for Registers<'a> {
    fn from(regs: &'a UserRegs) -> Self {
        Self::All(regs)
    }
}

impl<'a> From<&'a CallRegs> for Registers<'a> {
    fn from(regs: &'a CallRegs) -> Self {
        Self::Call(regs)
    }
}

/// The name of one register of [`UserRegs`]: x0 to x30, sp, pc or pstate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(u8);

impl Reg {
    /// The stack pointer.
    pub const SP: Reg = Reg(31);
    /// The program counter.
    pub const PC: Reg = Reg(32);
    /// The processor state.
    pub const PSTATE: Reg = Reg(33);
    /// The frame pointer, x29.
    pub const FP: Reg = Reg(29);
    /// The link register, x30.
    pub const LR: Reg = Reg(30);
    /// How many registers there are to name.
    pub const COUNT: u8 = 34;

    /// Register x`n`, for `n` up to 30.
    pub const fn x(n: u8) -> Option<Reg> {
        if n <= 30 { Some(Reg(n)) } else { None }
    }

    /// The register at place `index` of the layout: 0 to 30 are x0 to x30, then sp, pc, pstate.
    pub const fn from_index(index: u8) -> Option<Reg> {
        if index < Reg::COUNT { Some(Reg(index)) } else { None }
    }

    /// The place in the layout.
    pub const fn index(self) -> u8 {
        self.0
    }

    /// The byte offset in [`UserRegs`].
    pub const fn offset(self) -> usize {
        self.0 as usize * 8
    }

    /// Reads a register name as the probe grammar writes it after `%`, without the `%`: `x0` to `x30`, `lr`,
    /// `fp`, `sp`, `pc`, `pstate`. The `w` names are no registers of their own and are refused.
    pub fn parse(name: &str) -> Option<Reg> {
        match name {
            "sp" => return Some(Reg::SP),
            "pc" => return Some(Reg::PC),
            "pstate" => return Some(Reg::PSTATE),
            "lr" => return Some(Reg::LR),
            "fp" => return Some(Reg::FP),
            _ => {}
        }
        let n = match name.as_bytes() {
            [b'x', d @ b'0'..=b'9'] => d - b'0',
            [b'x', tens @ b'1'..=b'3', ones @ b'0'..=b'9'] => (tens - b'0') * 10 + (ones - b'0'),
            _ => return None,
        };
        Reg::x(n)
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Reg::SP => f.write_str("sp"),
            Reg::PC => f.write_str("pc"),
            Reg::PSTATE => f.write_str("pstate"),
            Reg(n) => write!(f, "x{n}"),
        }
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of registers, one bit for each place of the layout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RegSet(u64);

impl RegSet {
    /// No register.
    pub const EMPTY: RegSet = RegSet(0);
    /// All of them, as an exception saves them.
    pub const ALL: RegSet = RegSet((1 << Reg::COUNT) - 1);

    /// The set of one register.
    pub const fn of(reg: Reg) -> RegSet {
        RegSet(1 << reg.0)
    }

    /// The set of x`n`; empty for 31, the zero register, which needs no saving.
    pub const fn of_x(n: u8) -> RegSet {
        if n <= 30 { RegSet(1 << n) } else { RegSet::EMPTY }
    }

    /// x`first` to x`last`, both included; numbers above 30 are left out.
    pub const fn x_range(first: u8, last: u8) -> RegSet {
        let mut set = RegSet::EMPTY;
        let mut n = first;
        while n <= last && n <= 30 {
            set = set.union(RegSet::of_x(n));
            n += 1;
        }
        set
    }

    /// The registers in either set.
    pub const fn union(self, other: RegSet) -> RegSet {
        RegSet(self.0 | other.0)
    }

    /// The registers in both sets.
    pub const fn intersection(self, other: RegSet) -> RegSet {
        RegSet(self.0 & other.0)
    }

    /// The registers of this set that are not in `other`.
    pub const fn minus(self, other: RegSet) -> RegSet {
        RegSet(self.0 & !other.0)
    }

    /// This set with one more register.
    pub const fn with(self, reg: Reg) -> RegSet {
        self.union(RegSet::of(reg))
    }

    /// Is `reg` in the set?
    pub const fn contains(self, reg: Reg) -> bool {
        self.0 >> reg.0 & 1 != 0
    }

    /// Is every register of `other` in this set?
    pub const fn covers(self, other: RegSet) -> bool {
        other.0 & !self.0 == 0
    }

    /// Has the set no register?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number of registers in the set.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The first register that this set (of needs) has and `provides` lacks: the one an error names.
    pub const fn first_missing(self, provides: RegSet) -> Option<Reg> {
        let missing = self.minus(provides);
        if missing.is_empty() { None } else { Some(Reg(missing.0.trailing_zeros() as u8)) }
    }

    /// The set as bits, by [`Reg::index`].
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The registers, in the order of the layout.
    pub fn iter(self) -> impl Iterator<Item = Reg> {
        (0..Reg::COUNT).map(Reg).filter(move |&reg| self.contains(reg))
    }
}

/// Ranges of three and more are joined, so that what an exception saves reads `x0-x30,sp,pc,pstate`.
impl fmt::Display for RegSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut separator = "";
        let mut n = 0;
        while n < Reg::COUNT {
            let first = Reg(n);
            n += 1;
            if !self.contains(first) {
                continue;
            }
            write!(f, "{separator}{first}")?;
            separator = ",";
            let mut last = first;
            while n <= Reg::LR.0 && self.contains(Reg(n)) {
                last = Reg(n);
                n += 1;
            }
            match last.0 - first.0 {
                0 => {}
                1 => write!(f, ",{last}")?,
                _ => write!(f, "-{last}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RegSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::{CallRegs, Reg, RegSet, Registers, UserRegs};
    use core::mem::{offset_of, size_of};
    use std::string::ToString;

    #[test]
    fn layout_is_that_of_user_pt_regs() {
        assert_eq!(size_of::<UserRegs>(), 272);
        assert_eq!(offset_of!(UserRegs, sp), 248);
        assert_eq!(offset_of!(UserRegs, pc), 256);
        assert_eq!(offset_of!(UserRegs, pstate), 264);
        assert_eq!(Reg::SP.offset(), offset_of!(UserRegs, sp));
        assert_eq!(Reg::PC.offset(), offset_of!(UserRegs, pc));
        assert_eq!(Reg::PSTATE.offset(), offset_of!(UserRegs, pstate));
    }

    #[test]
    fn names_go_both_ways() {
        for reg in RegSet::ALL.iter() {
            assert_eq!(Reg::parse(&reg.to_string()), Some(reg));
        }
        assert_eq!(Reg::parse("lr"), Some(Reg::LR));
        assert_eq!(Reg::parse("fp"), Some(Reg::FP));
        for bad in ["", "x", "x31", "x00", "x01", "x039", "w0", "X0", "xzr", "x3 ", "é"] {
            assert_eq!(Reg::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn get_and_set_reach_their_own_slot() {
        for reg in RegSet::ALL.iter() {
            let mut regs = UserRegs::default();
            regs.set(reg, 7);
            for other in RegSet::ALL.iter() {
                assert_eq!(regs.get(other), if other == reg { 7 } else { 0 });
            }
        }
        let mut regs = UserRegs { sp: 5, ..UserRegs::default() };
        regs.set_x(31, 9);
        assert_eq!((regs.x(31), regs.sp), (0, 5));
    }

    #[test]
    fn a_call_has_some_of_them() {
        // Two frame records, the function's below its caller's: an unwinder goes upwards.
        let function = (offset_of!(CallRegs, link), offset_of!(CallRegs, pc));
        let caller = (offset_of!(CallRegs, fp), offset_of!(CallRegs, lr));
        assert_eq!((size_of::<CallRegs>(), function, caller), (112, (80, 88), (96, 104)));
        assert_eq!(CallRegs::ROOM.to_string(), "x0-x8,x29,x30,sp,pc");
        let mut all = UserRegs::default();
        RegSet::ALL.iter().for_each(|reg| all.set(reg, 100 + u64::from(reg.index())));
        let x = core::array::from_fn(|n| 100 + n as u64);
        let call = CallRegs { x, sp: 131, pc: 132, fp: 129, lr: 130, link: 7 };
        for reg in RegSet::ALL.iter() {
            let saved = CallRegs::ROOM.contains(reg);
            assert_eq!(call.get(reg), saved.then(|| all.get(reg)), "{reg}");
            assert_eq!(Registers::from(&all).get(reg), all.get(reg));
            assert_eq!(Registers::from(&call).get(reg), if saved { all.get(reg) } else { 0 });
        }
        for n in 0..=31 {
            assert_eq!(Registers::from(&all).x(n), all.x(n));
            assert_eq!(Registers::from(&call).x(n), if n <= 8 || n == 29 || n == 30 { all.x(n) } else { 0 });
        }
    }

    #[test]
    fn sets_print_as_ranges_and_name_what_is_missing() {
        assert_eq!(RegSet::ALL.to_string(), "x0-x30,sp,pc,pstate");
        assert_eq!(RegSet::EMPTY.to_string(), "none");
        let ftrace = RegSet::x_range(0, 8).with(Reg::FP).with(Reg::LR).with(Reg::SP).with(Reg::PC);
        assert_eq!(ftrace.to_string(), "x0-x8,x29,x30,sp,pc");
        assert_eq!(RegSet::of_x(31), RegSet::EMPTY);
        let needs = RegSet::of_x(3).with(Reg::PSTATE).union(RegSet::of_x(19));
        assert_eq!(needs.first_missing(ftrace), Reg::x(19));
        assert_eq!(needs.first_missing(RegSet::ALL), None);
        assert!(!ftrace.covers(needs));
        assert_eq!(ftrace.len(), 13);
    }
}
