//! Addition, subtraction and logic with the condition flags, as the Arm ARM's `AddWithCarry` has them (J1.3).

/// The four condition flags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Nzcv {
    pub(super) n: bool,
    pub(super) z: bool,
    pub(super) c: bool,
    pub(super) v: bool,
}

impl Nzcv {
    /// N, Z, C, V as bits 3 to 0: what `mrs nzcv` gives, shifted down by 28.
    pub(super) fn bits(self) -> u64 {
        u64::from(self.n) << 3 | u64::from(self.z) << 2 | u64::from(self.c) << 1 | u64::from(self.v)
    }
}

/// `x + y + carry` of the given width, zero-extended, and its flags.
fn add_with_carry(x: u64, y: u64, carry: bool, width: u32) -> (u64, Nzcv) {
    let mask = u64::MAX >> (64 - width);
    let (x, y) = (x & mask, y & mask);
    let wide = u128::from(x) + u128::from(y) + u128::from(carry);
    let result = wide as u64 & mask;
    let sign = |value: u64| value >> (width - 1) & 1 == 1;
    let flags = Nzcv {
        c: wide >> width != 0,
        // Both have the same sign, and the result has the other one.
        v: sign(x) == sign(y) && sign(result) != sign(x),
        ..logic_flags(result, width)
    };
    (result, flags)
}

pub(super) fn add(x: u64, y: u64, width: u32) -> (u64, Nzcv) {
    add_with_carry(x, y, false, width)
}

pub(super) fn sub(x: u64, y: u64, width: u32) -> (u64, Nzcv) {
    add_with_carry(x, !y, true, width)
}

pub(super) fn adc(x: u64, y: u64, flags: Nzcv) -> (u64, Nzcv) {
    add_with_carry(x, y, flags.c, 64)
}

pub(super) fn sbc(x: u64, y: u64, flags: Nzcv) -> (u64, Nzcv) {
    add_with_carry(x, !y, flags.c, 64)
}

/// The flags of a logical operation's result: C and V are clear.
pub(super) fn logic_flags(result: u64, width: u32) -> Nzcv {
    Nzcv { n: result >> (width - 1) & 1 == 1, z: result == 0, ..Nzcv::default() }
}
