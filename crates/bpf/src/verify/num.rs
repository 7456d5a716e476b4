//! What is known of the numbers of one width: the half of a [`Scalar`](super::Scalar).

use super::tnum::Tnum;
use crate::op::{Alu, Cond, Width};

/// Bits and bounds of the numbers of one width, which are zero-extended to 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Num {
    pub(super) bits: Tnum,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) smin: i64,
    pub(super) smax: i64,
}

/// How many bits a width has.
pub(super) const fn bits(width: Width) -> u32 {
    match width {
        Width::W32 => 32,
        Width::W64 => 64,
    }
}

/// All numbers of a width.
pub(super) const fn all_ones(width: Width) -> u64 {
    u64::MAX >> (64 - bits(width))
}

/// The sign bit of a width.
const fn sign(width: Width) -> u64 {
    1 << (bits(width) - 1)
}

/// The signed number of a width that lies there as `n`.
const fn signed(width: Width, n: u64) -> i64 {
    match width {
        Width::W32 => n as i32 as i64,
        Width::W64 => n as i64,
    }
}

/// How the signed number of a width lies there.
const fn unsigned(width: Width, n: i64) -> u64 {
    n as u64 & all_ones(width)
}

impl Num {
    pub(super) const fn unknown(width: Width) -> Self {
        let top = all_ones(width);
        Self {
            bits: Tnum::UNKNOWN.truncate(bits(width)),
            min: 0,
            max: top,
            smin: signed(width, sign(width)),
            smax: signed(width, top >> 1),
        }
    }

    pub(super) const fn constant(width: Width, n: u64) -> Self {
        let n = n & all_ones(width);
        let s = signed(width, n);
        Self { bits: Tnum::constant(n), min: n, max: n, smin: s, smax: s }
    }

    pub(super) fn contains(&self, width: Width, n: u64) -> bool {
        let s = signed(width, n);
        self.bits.contains(n) && (self.min..=self.max).contains(&n) && (self.smin..=self.smax).contains(&s)
    }

    pub(super) fn as_constant(&self) -> Option<u64> {
        (self.min == self.max).then_some(self.min)
    }

    /// Numbers of both; none if there are none.
    fn intersect(self, width: Width, other: Self) -> Option<Self> {
        Self {
            bits: self.bits.intersect(other.bits)?,
            min: self.min.max(other.min),
            max: self.max.min(other.max),
            smin: self.smin.max(other.smin),
            smax: self.smax.min(other.smax),
        }
        .settle(width)
    }

    /// Numbers of either.
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            bits: self.bits.union(other.bits),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            smin: self.smin.min(other.smin),
            smax: self.smax.max(other.smax),
        }
    }

    /// Lets bits and bounds tell each other what they know. None if nothing is left.
    pub(super) fn settle(mut self, width: Width) -> Option<Self> {
        // What the second round learns from the bits that the first one found is all there is to learn.
        for _ in 0..2 {
            let sign = sign(width);
            self.min = self.min.max(self.bits.min());
            self.max = self.max.min(self.bits.max());
            let (least, greatest) = if self.bits.mask() & sign != 0 {
                (self.bits.min() | sign, self.bits.max() & !sign)
            } else {
                (self.bits.min(), self.bits.max())
            };
            self.smin = self.smin.max(signed(width, least));
            self.smax = self.smax.min(signed(width, greatest));
            if self.min > self.max || self.smin > self.smax {
                return None;
            }
            if signed(width, self.min) <= signed(width, self.max) {
                self.smin = self.smin.max(signed(width, self.min));
                self.smax = self.smax.min(signed(width, self.max));
            }
            if self.smin >= 0 || self.smax < 0 {
                self.min = self.min.max(unsigned(width, self.smin));
                self.max = self.max.min(unsigned(width, self.smax));
            }
            if self.min > self.max || self.smin > self.smax {
                return None;
            }
            self.bits = self.bits.intersect(Tnum::range(self.min, self.max))?;
        }
        Some(self)
    }

    /// What is known of a result: its bits, and bounds of either kind if it has any.
    pub(super) fn result(
        width: Width,
        result: Tnum,
        range: Option<(u64, u64)>,
        srange: Option<(i64, i64)>,
    ) -> Self {
        let unknown = Self::unknown(width);
        let (min, max) = range.unwrap_or((unknown.min, unknown.max));
        let (smin, smax) = srange.unwrap_or((unknown.smin, unknown.smax));
        let all = Self { bits: result.truncate(bits(width)), min, max, smin, smax };
        // A result has numbers; that nothing is left would be a mistake here, and then nothing is known.
        all.settle(width).unwrap_or(unknown)
    }

    /// Arithmetic of one width.
    pub(super) fn alu(width: Width, alu: Alu, a: Self, b: Self) -> Self {
        let unknown = Tnum::UNKNOWN;
        let full = bits(width);
        // Shifts take the amount modulo the width.
        let by = b.as_constant().map(|n| n as u32 & (full - 1));
        let small = (b.max < u64::from(full)).then_some((b.min as u32, b.max as u32));
        match alu {
            Alu::Mov => b,
            Alu::Add => {
                let range = wrapped(width, sum(a.min, b.min), sum(a.max, b.max));
                let srange = swrapped(width, ssum(a.smin, b.smin), ssum(a.smax, b.smax));
                Self::result(width, a.bits.add(b.bits), range, srange)
            }
            Alu::Sub => {
                let range = wrapped(width, difference(a.min, b.max), difference(a.max, b.min));
                let srange = swrapped(
                    width,
                    ssum(a.smin, 0) - i128::from(b.smax),
                    ssum(a.smax, 0) - i128::from(b.smin),
                );
                Self::result(width, a.bits.sub(b.bits), range, srange)
            }
            Alu::Mul => {
                let greatest = u128::from(a.max) * u128::from(b.max);
                let range = (greatest <= u128::from(all_ones(width)))
                    .then(|| (a.min.wrapping_mul(b.min), greatest as u64));
                let corner = |x: i64, y: i64| i128::from(x) * i128::from(y);
                let corners = [
                    corner(a.smin, b.smin),
                    corner(a.smin, b.smax),
                    corner(a.smax, b.smin),
                    corner(a.smax, b.smax),
                ];
                let (least, most) =
                    corners.iter().fold((i128::MAX, i128::MIN), |(l, m), c| (l.min(*c), m.max(*c)));
                let limits = Self::unknown(width);
                let fits = least >= i128::from(limits.smin) && most <= i128::from(limits.smax);
                let srange = fits.then_some((least as i64, most as i64));
                Self::result(width, a.bits.mul(b.bits), range, srange)
            }
            Alu::Div => Self::result(width, unknown, Some(quotient(a, b)), None),
            Alu::Sdiv if a.smin >= 0 && b.smin >= 0 => {
                Self::result(width, unknown, Some(quotient(a, b)), None)
            }
            Alu::Sdiv => match (a.as_constant(), b.as_constant()) {
                (Some(_), Some(0)) => Self::constant(width, 0),
                (Some(x), Some(y)) => {
                    let wrapped = signed(width, x).wrapping_div(signed(width, y));
                    Self::constant(width, unsigned(width, wrapped))
                }
                _ => Self::unknown(width),
            },
            Alu::Mod => Self::result(width, unknown, Some(remainder(a, b)), None),
            Alu::Smod if a.smin >= 0 && b.smin >= 0 => {
                Self::result(width, unknown, Some(remainder(a, b)), None)
            }
            // The sign of the dividend, and no more than it; by zero, the dividend itself.
            Alu::Smod => Self::result(width, unknown, None, Some((a.smin.min(0), a.smax.max(0)))),
            Alu::And => Self::result(width, a.bits.and(b.bits), Some((0, a.max.min(b.max))), None),
            Alu::Or => {
                Self::result(width, a.bits.or(b.bits), Some((a.min.max(b.min), all_ones(width))), None)
            }
            Alu::Xor => Self::result(width, a.bits.xor(b.bits), None, None),
            Alu::Lsh => {
                let (least, most) = by.map(|by| (by, by)).or(small).unwrap_or((0, full - 1));
                let greatest = u128::from(a.max) << most;
                let range =
                    (greatest <= u128::from(all_ones(width))).then(|| (a.min << least, greatest as u64));
                Self::result(width, by.map_or(unknown, |by| a.bits.lsh(by)), range, None)
            }
            Alu::Rsh => {
                let (least, most) = by.map(|by| (by, by)).or(small).unwrap_or((0, full - 1));
                let range = Some((a.min >> most, a.max >> least));
                Self::result(width, by.map_or(unknown, |by| a.bits.rsh(by)), range, None)
            }
            Alu::Arsh => match by {
                Some(by) => {
                    let srange = Some((a.smin >> by, a.smax >> by));
                    Self::result(width, a.bits.arsh(full, by), None, srange)
                }
                // Towards 0 or towards -1.
                None => Self::result(width, unknown, None, Some((a.smin.min(0), a.smax.max(-1)))),
            },
        }
    }

    /// What is known of both when a comparison holds; none if it cannot.
    pub(super) fn when(width: Width, cond: Cond, mut a: Self, mut b: Self) -> Option<(Self, Self)> {
        match cond {
            Cond::Eq => {
                let both = a.intersect(width, b)?;
                return Some((both, both));
            }
            Cond::Ne => {
                if a.as_constant().is_some() && a.as_constant() == b.as_constant() {
                    return None;
                }
                a = b.as_constant().map_or(Some(a), |n| a.without(width, n))?;
                b = a.as_constant().map_or(Some(b), |n| b.without(width, n))?;
            }
            Cond::Lt => {
                a.max = a.max.min(b.max.checked_sub(1)?);
                b.min = b.min.max(a.min.checked_add(1)?);
            }
            Cond::Le => {
                a.max = a.max.min(b.max);
                b.min = b.min.max(a.min);
            }
            Cond::Slt => {
                a.smax = a.smax.min(b.smax.checked_sub(1)?);
                b.smin = b.smin.max(a.smin.checked_add(1)?);
            }
            Cond::Sle => {
                a.smax = a.smax.min(b.smax);
                b.smin = b.smin.max(a.smin);
            }
            Cond::Gt => return Self::when(width, Cond::Lt, b, a).map(|(b, a)| (a, b)),
            Cond::Ge => return Self::when(width, Cond::Le, b, a).map(|(b, a)| (a, b)),
            Cond::Sgt => return Self::when(width, Cond::Slt, b, a).map(|(b, a)| (a, b)),
            Cond::Sge => return Self::when(width, Cond::Sle, b, a).map(|(b, a)| (a, b)),
            Cond::Set => {
                if a.bits.and(b.bits).max() == 0 {
                    return None;
                }
                a.bits = with_bit(a.bits, b)?;
                b.bits = with_bit(b.bits, a)?;
            }
        }
        Some((a.settle(width)?, b.settle(width)?))
    }

    /// What is known when no bit is set in both; none if one is.
    pub(super) fn when_disjoint(width: Width, mut a: Self, mut b: Self) -> Option<(Self, Self)> {
        let known_set = |n: Self| n.bits.min();
        let (in_a, in_b) = (known_set(a), known_set(b));
        a.bits = a.bits.intersect(Tnum::new(0, !in_b).truncate(bits(width)))?;
        b.bits = b.bits.intersect(Tnum::new(0, !in_a).truncate(bits(width)))?;
        Some((a.settle(width)?, b.settle(width)?))
    }

    /// Without one number, if that is at an end.
    fn without(mut self, width: Width, n: u64) -> Option<Self> {
        if self.min == n {
            self.min = n.checked_add(1)?;
        }
        if self.max == n {
            self.max = n.checked_sub(1)?;
        }
        let s = signed(width, n);
        if self.smin == s {
            self.smin = s.checked_add(1)?;
        }
        if self.smax == s {
            self.smax = s.checked_sub(1)?;
        }
        self.settle(width)
    }
}

/// The bits of a number that has a bit in common with `other`: if that can be but one, it is known.
fn with_bit(bits: Tnum, other: Num) -> Option<Tnum> {
    let common = bits.max() & other.bits.max();
    if common.count_ones() == 1 { bits.intersect(Tnum::new(common, !common)) } else { Some(bits) }
}

fn sum(a: u64, b: u64) -> i128 {
    i128::from(a) + i128::from(b)
}

fn ssum(a: i64, b: i64) -> i128 {
    i128::from(a) + i128::from(b)
}

fn difference(a: u64, b: u64) -> i128 {
    i128::from(a) - i128::from(b)
}

/// The range of results from `least` to `most` as they lie in the width, if all of them wrap equally often.
fn wrapped(width: Width, least: i128, most: i128) -> Option<(u64, u64)> {
    let top = all_ones(width);
    let same = least >> bits(width) == most >> bits(width);
    same.then_some((least as u64 & top, most as u64 & top))
}

/// The same of signed numbers.
fn swrapped(width: Width, least: i128, most: i128) -> Option<(i64, i64)> {
    let half = i128::from(sign(width));
    let same = (least + half) >> bits(width) == (most + half) >> bits(width);
    same.then(|| {
        (signed(width, least as u64 & all_ones(width)), signed(width, most as u64 & all_ones(width)))
    })
}

/// The bounds of an unsigned quotient; by zero it is 0.
fn quotient(a: Num, b: Num) -> (u64, u64) {
    let most = a.max / b.min.max(1);
    if b.min == 0 { (0, if b.max == 0 { 0 } else { most }) } else { (a.min / b.max, most) }
}

/// The bounds of an unsigned remainder; by zero it is the dividend.
fn remainder(a: Num, b: Num) -> (u64, u64) {
    if b.max == 0 || a.max < b.min {
        return (a.min, a.max);
    }
    (0, if b.min == 0 { a.max } else { a.max.min(b.max - 1) })
}
