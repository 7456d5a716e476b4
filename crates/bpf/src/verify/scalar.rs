//! What is known of a register that holds a number.
//!
//! ```text
//!   Scalar ─┬─ wide  all 64 bits   ─┐ each: the bits that are known, and the least and the greatest number,
//!           └─ low   the low 32    ─┘       unsigned and signed
//! ```
//!
//! The halves tell each other what they know, and so do the three ways of knowing: a mask bounds the number, bounds on one side of
//! the sign are bounds of both kinds, numbers close together agree in their upper bits. An operation of 32 bits is the same
//! as one of 64 on the low half, and its result has nothing above.
//!
//! The one rule: *if the operands are numbers of their scalars, the result is one of its scalar.* That is what the tests
//! check; how much is known is a matter of what programs need.

use super::num::{Num, all_ones, bits};
use super::tnum::Tnum;
use crate::op::{Alu, Cond, Order, Width};

/// What is known of a 64-bit register that holds a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    wide: Num,
    low: Num,
}

impl Scalar {
    /// Any number.
    pub const UNKNOWN: Self = Self { wide: Num::unknown(Width::W64), low: Num::unknown(Width::W32) };

    /// One number.
    pub const fn constant(n: u64) -> Self {
        Self { wide: Num::constant(Width::W64, n), low: Num::constant(Width::W32, n) }
    }

    /// The numbers from `min` to `max`, unsigned; none if there are none.
    pub fn range(min: u64, max: u64) -> Option<Self> {
        let mut all = Self::UNKNOWN;
        (all.wide.min, all.wide.max) = (min, max);
        all.settle()
    }

    /// The numbers from `min` to `max`, signed; none if there are none.
    pub fn signed_range(min: i64, max: i64) -> Option<Self> {
        let mut all = Self::UNKNOWN;
        (all.wide.smin, all.wide.smax) = (min, max);
        all.settle()
    }

    /// The numbers with these known bits.
    pub fn with_bits(bits: Tnum) -> Self {
        let mut all = Self::UNKNOWN;
        all.wide.bits = bits;
        all.settled()
    }

    /// May it hold `n`?
    pub fn contains(&self, n: u64) -> bool {
        self.wide.contains(Width::W64, n) && self.low.contains(Width::W32, n & all_ones(Width::W32))
    }

    /// Its number, if there is but one.
    pub fn as_constant(&self) -> Option<u64> {
        self.wide.as_constant()
    }

    /// The bits that are known.
    pub fn bits(&self) -> Tnum {
        self.wide.bits
    }

    /// The least and the greatest number, unsigned.
    pub fn bounds(&self) -> (u64, u64) {
        (self.wide.min, self.wide.max)
    }

    /// The least and the greatest number, signed.
    pub fn signed_bounds(&self) -> (i64, i64) {
        (self.wide.smin, self.wide.smax)
    }

    /// What is known when either is: where two paths meet.
    pub fn union(&self, other: &Self) -> Self {
        Self { wide: self.wide.union(other.wide), low: self.low.union(other.low) }
    }

    /// Is all that this one may hold a number of the other?
    pub fn is_within(&self, other: &Self) -> bool {
        self.union(other) == *other
    }

    /// Lets the halves tell each other what they know.
    fn settle(mut self) -> Option<Self> {
        for _ in 0..2 {
            self.wide = self.wide.settle(Width::W64)?;
            self.low.bits = self.low.bits.intersect(self.wide.bits.truncate(32))?;
            if self.wide.min >> 32 == self.wide.max >> 32 {
                self.low.min = self.low.min.max(self.wide.min & all_ones(Width::W32));
                self.low.max = self.low.max.min(self.wide.max & all_ones(Width::W32));
            }
            self.low = self.low.settle(Width::W32)?;
            self.wide.bits = self.wide.bits.intersect(self.low.bits.with_upper_of(self.wide.bits))?;
            if self.wide.min >> 32 == self.wide.max >> 32 {
                let upper = self.wide.min >> 32 << 32;
                self.wide.min = self.wide.min.max(upper | self.low.min);
                self.wide.max = self.wide.max.min(upper | self.low.max);
            }
        }
        self.wide = self.wide.settle(Width::W64)?;
        Some(self)
    }

    /// The same of what cannot be empty.
    fn settled(self) -> Self {
        self.settle().unwrap_or(Self::UNKNOWN)
    }

    /// A result of 32 bits.
    fn extended(low: Num) -> Self {
        let wide = Num { smin: low.min as i64, smax: low.max as i64, ..low };
        Self { wide, low }.settled()
    }

    /// The result of `alu` on numbers of these.
    pub fn alu(width: Width, alu: Alu, a: &Self, b: &Self) -> Self {
        let low = Num::alu(Width::W32, alu, a.low, b.low);
        if width == Width::W32 {
            return Self::extended(low);
        }
        let wide = Num::alu(Width::W64, alu, a.wide, b.wide);
        // Of these the low half of the result depends on nothing above.
        let low = match alu {
            Alu::Add | Alu::Sub | Alu::Mul | Alu::And | Alu::Or | Alu::Xor | Alu::Mov => low,
            _ => Num::unknown(Width::W32),
        };
        Self { wide, low }.settled()
    }

    /// The low `n` bits.
    pub fn truncate(&self, n: u32) -> Self {
        match n {
            64.. => *self,
            32 => Self::extended(self.low),
            _ => Self::alu(Width::W64, Alu::And, self, &Self::constant((1 << n) - 1)),
        }
    }

    /// The least and the greatest number of the low half, unsigned.
    pub fn low_bounds(&self) -> (u64, u64) {
        (self.low.min, self.low.max)
    }

    /// The negative of one of these.
    pub fn neg(&self, width: Width) -> Self {
        Self::alu(width, Alu::Sub, &Self::constant(0), self)
    }

    /// The low `from` bits (8, 16, 32), sign-extended to a width.
    pub fn sign_extend(&self, width: Width, from: u32) -> Self {
        let up = 64 - from;
        if let Some(n) = self.as_constant() {
            let n = ((n << up) as i64 >> up) as u64 & all_ones(width);
            return Self::constant(n);
        }
        let (least, most) = (i64::MIN >> up, i64::MAX >> up);
        let (smin, smax) =
            if width == Width::W32 { (self.low.smin, self.low.smax) } else { self.signed_bounds() };
        let bounds = if smin >= least && smax <= most { (smin, smax) } else { (least, most) };
        let extended = self.wide.bits.truncate(from).lsh(up).arsh(64, up);
        let num = |width| Num::result(width, extended.truncate(bits(width)), None, Some(bounds));
        match width {
            Width::W32 => Self::extended(num(Width::W32)),
            Width::W64 => Self { wide: num(Width::W64), low: Num::unknown(Width::W32) }.settled(),
        }
    }

    /// The low `n` bits (16, 32, 64) in an order of bytes, on a little-endian machine.
    pub fn in_order(&self, order: Order, n: u32) -> Self {
        if order == Order::Little {
            let low = self.bits().truncate(n);
            return if n == 64 { *self } else { Self::with_bits(low) };
        }
        match self.as_constant() {
            Some(value) => Self::constant(value.swap_bytes() >> (64 - n)),
            None => Self::with_bits(Tnum::UNKNOWN.truncate(n)),
        }
    }

    /// What is known of two numbers behind a comparison that was `taken` or not; none if it cannot come out so.
    pub fn when(width: Width, cond: Cond, a: &Self, b: &Self, taken: bool) -> Option<(Self, Self)> {
        let (mut a, mut b) = (*a, *b);
        let (x, y) = match width {
            Width::W64 => (&mut a.wide, &mut b.wide),
            Width::W32 => (&mut a.low, &mut b.low),
        };
        let cond = if taken { Some(cond) } else { opposite(cond) };
        (*x, *y) = match cond {
            Some(cond) => Num::when(width, cond, *x, *y)?,
            None => Num::when_disjoint(width, *x, *y)?,
        };
        Some((a.settle()?, b.settle()?))
    }
}

/// The comparison that holds when this one does not; `&` has none.
fn opposite(cond: Cond) -> Option<Cond> {
    Some(match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        Cond::Gt => Cond::Le,
        Cond::Le => Cond::Gt,
        Cond::Ge => Cond::Lt,
        Cond::Lt => Cond::Ge,
        Cond::Sgt => Cond::Sle,
        Cond::Sle => Cond::Sgt,
        Cond::Sge => Cond::Slt,
        Cond::Slt => Cond::Sge,
        Cond::Set => return None,
    })
}
