//! Numbers of which some bits are known.
//!
//! ```text
//!   value  0 1 0 0      a bit that is not known is 1 in the mask and 0 in the value
//!   mask   0 0 1 0      the numbers: 0100 and 0110
//! ```
//!
//! Each operation gives the bits that are known of every result of two numbers of its operands, as Linux's `tnum` does. Sums
//! and differences are as exact as such a number can be (Vishwanathan et al., "Sound, precise, and fast abstract interpretation
//! with tristate numbers", CGO 2022).

/// A set of numbers that agree in some bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tnum {
    value: u64,
    mask: u64,
}

impl Tnum {
    /// All numbers.
    pub const UNKNOWN: Self = Self { value: 0, mask: u64::MAX };

    /// One number.
    pub const fn constant(value: u64) -> Self {
        Self { value, mask: 0 }
    }

    /// The numbers that agree with `value` outside `mask`.
    pub const fn new(value: u64, mask: u64) -> Self {
        Self { value: value & !mask, mask }
    }

    /// The bits that all numbers from `min` to `max` agree in: those above the highest one in which the two differ.
    pub const fn range(min: u64, max: u64) -> Self {
        let differing = u64::BITS - (min ^ max).leading_zeros();
        let mask = if differing == u64::BITS { u64::MAX } else { (1 << differing) - 1 };
        Self::new(min, mask)
    }

    /// The smallest number: its unknown bits are 0.
    pub const fn min(self) -> u64 {
        self.value
    }

    /// The greatest number: its unknown bits are 1.
    pub const fn max(self) -> u64 {
        self.value | self.mask
    }

    /// The bits that are not known.
    pub const fn mask(self) -> u64 {
        self.mask
    }

    /// Is `number` one of them?
    pub const fn contains(self, number: u64) -> bool {
        (number ^ self.value) & !self.mask == 0
    }

    /// The number, if there is but one.
    pub const fn as_constant(self) -> Option<u64> {
        if self.mask == 0 { Some(self.value) } else { None }
    }

    /// What is known when both are: none if they disagree in a known bit.
    pub const fn intersect(self, other: Self) -> Option<Self> {
        if (self.value ^ other.value) & !self.mask & !other.mask != 0 {
            return None;
        }
        Some(Self::new(self.value | other.value, self.mask & other.mask))
    }

    /// What is known when either is.
    pub const fn union(self, other: Self) -> Self {
        Self::new(self.value, self.mask | other.mask | (self.value ^ other.value))
    }

    /// The low bits, with zeros above.
    pub const fn truncate(self, bits: u32) -> Self {
        let keep = if bits >= u64::BITS { u64::MAX } else { (1 << bits) - 1 };
        Self { value: self.value & keep, mask: self.mask & keep }
    }

    /// These low 32 bits below the upper half of another.
    pub const fn with_upper_of(self, other: Self) -> Self {
        let upper = !0 << 32;
        Self {
            value: self.value & !upper | other.value & upper,
            mask: self.mask & !upper | other.mask & upper,
        }
    }

    /// Sum. What a carry may change is where the sums of all unknown bits set and of all clear differ.
    pub const fn add(self, other: Self) -> Self {
        let sum = self.value.wrapping_add(other.value);
        let carries = sum ^ sum.wrapping_add(self.mask).wrapping_add(other.mask);
        Self::new(sum, carries | self.mask | other.mask)
    }

    /// Difference.
    pub const fn sub(self, other: Self) -> Self {
        let difference = self.value.wrapping_sub(other.value);
        let borrows = difference.wrapping_add(self.mask) ^ difference.wrapping_sub(other.mask);
        Self::new(difference, borrows | self.mask | other.mask)
    }

    /// And.
    pub const fn and(self, other: Self) -> Self {
        let value = self.value & other.value;
        Self { value, mask: self.max() & other.max() & !value }
    }

    /// Or.
    pub const fn or(self, other: Self) -> Self {
        Self::new(self.value | other.value, (self.mask | other.mask) & !(self.value | other.value))
    }

    /// Exclusive or.
    pub const fn xor(self, other: Self) -> Self {
        Self::new(self.value ^ other.value, self.mask | other.mask)
    }

    /// Product, by long multiplication: each bit of this one adds the other one, or perhaps, or not.
    pub const fn mul(self, other: Self) -> Self {
        let (mut left, mut shifted) = (self, other);
        let mut uncertain = Self::constant(0);
        while left.value | left.mask != 0 {
            if left.value & 1 != 0 {
                uncertain = uncertain.add(Self::new(0, shifted.mask));
            } else if left.mask & 1 != 0 {
                uncertain = uncertain.add(Self::new(0, shifted.max()));
            }
            left = left.rsh(1);
            shifted = shifted.lsh(1);
        }
        Self::constant(self.value.wrapping_mul(other.value)).add(uncertain)
    }

    /// Left by less than 64.
    pub const fn lsh(self, by: u32) -> Self {
        Self { value: self.value.wrapping_shl(by), mask: self.mask.wrapping_shl(by) }
    }

    /// Right by less than 64.
    pub const fn rsh(self, by: u32) -> Self {
        Self { value: self.value.wrapping_shr(by), mask: self.mask.wrapping_shr(by) }
    }

    /// The low `bits` right by less than that, with the sign, and zeros above `bits`.
    pub const fn arsh(self, bits: u32, by: u32) -> Self {
        let up = u64::BITS - bits;
        let value = ((self.value << up) as i64 >> up).wrapping_shr(by) as u64;
        let mask = ((self.mask << up) as i64 >> up).wrapping_shr(by) as u64;
        Self { value, mask }.truncate(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: u32 = 4;

    /// All of four bits.
    fn all() -> impl Iterator<Item = Tnum> {
        (0..1 << BITS)
            .flat_map(|mask| (0..1 << BITS).map(move |value| (value, mask)))
            .filter(|(value, mask)| value & mask == 0)
            .map(|(value, mask)| Tnum { value, mask })
    }

    fn members(of: Tnum) -> impl Iterator<Item = u64> {
        (0..1 << BITS).filter(move |n| of.contains(*n))
    }

    /// Every result is in the result; and with `exact`, no known bit is missed.
    fn check(name: &str, exact: bool, of: fn(Tnum, Tnum) -> Tnum, one: fn(u64, u64) -> u64) {
        for a in all() {
            for b in all() {
                let result = of(a, b).truncate(BITS);
                let mut best: Option<Tnum> = None;
                for (x, y) in members(a).flat_map(|x| members(b).map(move |y| (x, y))) {
                    let n = one(x, y) & ((1 << BITS) - 1);
                    assert!(result.contains(n), "{name} {a:?} {b:?}: {x} {y} give {n}, not in {result:?}");
                    let this = Tnum::constant(n);
                    best = Some(best.map_or(this, |best| best.union(this)));
                }
                assert!(!exact || best == Some(result), "{name} {a:?} {b:?}: {result:?}, could be {best:?}");
            }
        }
    }

    #[test]
    fn operations_lose_no_result() {
        check("add", true, Tnum::add, u64::wrapping_add);
        check("sub", true, Tnum::sub, u64::wrapping_sub);
        check("and", true, Tnum::and, |a, b| a & b);
        check("or", true, Tnum::or, |a, b| a | b);
        check("xor", true, Tnum::xor, |a, b| a ^ b);
        check("mul", false, Tnum::mul, u64::wrapping_mul);
    }

    #[test]
    fn shifts() {
        for a in all() {
            for by in 0..BITS {
                for n in members(a) {
                    assert!(a.lsh(by).contains(n << by));
                    assert!(a.rsh(by).contains(n >> by));
                    let signed = ((n << 60) as i64 >> 60 >> by) as u64 & 0xf;
                    assert!(a.arsh(BITS, by).contains(signed), "{a:?} s>> {by}: {n}");
                }
            }
        }
        assert_eq!(Tnum::UNKNOWN.arsh(64, 63), Tnum::UNKNOWN);
        assert_eq!(Tnum::constant(1 << 63).arsh(64, 63), Tnum::constant(u64::MAX));
    }

    #[test]
    fn intersections_and_ranges() {
        for a in all() {
            for b in all() {
                let both: std::vec::Vec<u64> = members(a).filter(|n| b.contains(*n)).collect();
                let result = a.intersect(b);
                assert_eq!(result.is_none(), both.is_empty());
                let found: std::vec::Vec<u64> = result.into_iter().flat_map(members).collect();
                assert_eq!(found, both);
                assert!(members(a).chain(members(b)).all(|n| a.union(b).contains(n)));
            }
        }
        for min in 0..16 {
            for max in min..16 {
                let range = Tnum::range(min, max);
                assert!((min..=max).all(|n| range.contains(n)));
                assert!(range.max() < 2 * (max + 1), "{min}..={max}: {range:?}");
            }
        }
        assert_eq!(Tnum::range(0, u64::MAX), Tnum::UNKNOWN);
        assert_eq!(Tnum::range(5, 5), Tnum::constant(5));
    }
}
