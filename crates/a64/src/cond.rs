//! Condition codes (Arm ARM, C1.2.4) and their truth tables.
//!
//! A condition is a function of the four flags N, Z, C and V, so it is a table of sixteen bits: bit `nzcv` of
//! [`Cond::table`] says whether the condition holds for these flags. A probe that simulates `b.cond` keeps the
//! table instead of the condition, and the test is one shift.

use core::fmt;

/// A condition code, as encoded in four bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cond {
    /// Equal: Z.
    Eq = 0,
    /// Not equal: !Z.
    Ne = 1,
    /// Carry set, unsigned higher or same: C.
    Cs = 2,
    /// Carry clear, unsigned lower: !C.
    Cc = 3,
    /// Minus: N.
    Mi = 4,
    /// Plus or zero: !N.
    Pl = 5,
    /// Overflow: V.
    Vs = 6,
    /// No overflow: !V.
    Vc = 7,
    /// Unsigned higher: C && !Z.
    Hi = 8,
    /// Unsigned lower or same: !(C && !Z).
    Ls = 9,
    /// Signed greater or equal: N == V.
    Ge = 10,
    /// Signed less: N != V.
    Lt = 11,
    /// Signed greater: !Z && N == V.
    Gt = 12,
    /// Signed less or equal: !(!Z && N == V).
    Le = 13,
    /// Always.
    Al = 14,
    /// Always too: A64 has no "never" (Arm ARM, C1.2.4).
    Nv = 15,
}

const ALL: [Cond; 16] = [
    Cond::Eq,
    Cond::Ne,
    Cond::Cs,
    Cond::Cc,
    Cond::Mi,
    Cond::Pl,
    Cond::Vs,
    Cond::Vc,
    Cond::Hi,
    Cond::Ls,
    Cond::Ge,
    Cond::Lt,
    Cond::Gt,
    Cond::Le,
    Cond::Al,
    Cond::Nv,
];

impl Cond {
    /// The condition of the low four bits.
    pub const fn from_bits(bits: u32) -> Cond {
        ALL[(bits & 0xf) as usize]
    }

    /// The four bits of the encoding.
    pub const fn bits(self) -> u32 {
        self as u32
    }

    /// The opposite condition; `al` and `nv` are each other's, though both always hold.
    pub const fn invert(self) -> Cond {
        Cond::from_bits(self.bits() ^ 1)
    }

    /// Does the condition hold for these flags (N in bit 3, Z, C, V in bit 0)?
    pub const fn holds(self, nzcv: u8) -> bool {
        let (n, z, c, v) = (nzcv & 8 != 0, nzcv & 4 != 0, nzcv & 2 != 0, nzcv & 1 != 0);
        let base = match self.bits() >> 1 {
            0 => z,
            1 => c,
            2 => n,
            3 => v,
            4 => c && !z,
            5 => n == v,
            6 => !z && n == v,
            _ => return true,
        };
        base != (self.bits() & 1 != 0)
    }

    /// The truth table: bit `nzcv` is set where the condition holds.
    pub const fn table(self) -> u16 {
        let mut table = 0;
        let mut nzcv = 0;
        while nzcv < 16 {
            if self.holds(nzcv) {
                table |= 1 << nzcv;
            }
            nzcv += 1;
        }
        table
    }

    /// The suffix as disassemblers print it: `hs` and `lo` for `cs` and `cc`.
    pub const fn name(self) -> &'static str {
        const NAMES: [&str; 16] =
            ["eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"];
        NAMES[self as usize]
    }
}

impl fmt::Display for Cond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Cond;

    /// Written out by hand from the table of C1.2.4: the flags for which each condition holds.
    #[test]
    fn truth_tables() {
        // nzcv:            fedcba98_76543210
        let z: u16 = 0b11110000_11110000;
        let c: u16 = 0b11001100_11001100;
        let n: u16 = 0b11111111_00000000;
        let v: u16 = 0b10101010_10101010;
        let expected = [
            (Cond::Eq, z),
            (Cond::Cs, c),
            (Cond::Mi, n),
            (Cond::Vs, v),
            (Cond::Hi, c & !z),
            (Cond::Ge, !(n ^ v)),
            (Cond::Gt, !z & !(n ^ v)),
        ];
        for (cond, table) in expected {
            assert_eq!(cond.table(), table, "{cond}");
            assert_eq!(cond.invert().table(), !table, "{}", cond.invert());
        }
        assert_eq!(Cond::Al.table(), 0xffff);
        assert_eq!(Cond::Nv.table(), 0xffff);
    }

    #[test]
    fn bits_go_both_ways() {
        for bits in 0..16 {
            assert_eq!(Cond::from_bits(bits).bits(), bits);
        }
    }
}
