//! Atomics.
//!
//! With FEAT_LSE each is a word; those that fetch are ordered in both directions, those that do not in none (as Linux
//! has them).
//!
//! ```text
//!   lock *(u64 *)(r1 + 0) += r2               stadd x1, [x0]
//!   lock *(u64 *)(r1 + 8) &= r2               add x9, x0, #8;  mvn x10, x1;  stclr x10, [x9]
//!   r2 = atomic_fetch_add(…, r2)              ldaddal x1, x1, [x0]
//!   r0 = cmpxchg_64(r1 + 0, r0, r2)           casal x7, x1, [x0]
//! ```
//!
//! Without it each is a loop:
//!
//! ```text
//!   1: ldxr x10, [x0];  add x11, x10, x1;  stlxr w12, x11, [x0];  cbnz w12, 1b;  dmb ish;  mov x1, x10
//! ```

use a64::Insn;
use a64::encode::arith::{self, Sf};
use a64::encode::sized::{self, AtomicOp, Bytes};
use a64::encode::system::Barrier;
use a64::encode::{self, Gpr};

use super::emit::Form;
use super::{ADDRESS, Compiler, R0, T0, T1, T2, sf};
use crate::op::{Atomic, Reg, Size, Width};

impl Compiler<'_> {
    pub(super) fn atomic(&mut self, width: Width, atomic: Atomic, dst: Reg, off: i16, src: Reg) {
        let (size, bytes) = match width {
            Width::W32 => (Size::W, Bytes::W),
            Width::W64 => (Size::Dw, Bytes::X),
        };
        let base = self.x(dst);
        let address = if self.options.checked.is_some() {
            self.look_up(size, base, off.into(), true);
            ADDRESS
        } else if off == 0 {
            base
        } else {
            if !self.add(Sf::X, ADDRESS, base, off.into()) {
                self.out.constant(T0, off as u64);
                self.out.put(arith::add(Sf::X, ADDRESS, base, T0));
            }
            ADDRESS
        };
        let src = self.x(src);
        if self.options.lse {
            self.single(atomic, width, bytes, src, address);
        } else {
            self.exclusive(atomic, width, bytes, src, address);
        }
    }

    fn single(&mut self, atomic: Atomic, width: Width, bytes: Bytes, src: Gpr, address: Gpr) {
        let (op, fetch, operand) = match atomic {
            Atomic::Add { fetch } => (AtomicOp::Add, fetch, src),
            Atomic::Or { fetch } => (AtomicOp::Set, fetch, src),
            Atomic::Xor { fetch } => (AtomicOp::Eor, fetch, src),
            Atomic::And { fetch } => {
                self.out.put(arith::mvn(sf(width), T0, src));
                (AtomicOp::Clear, fetch, T0)
            }
            Atomic::Xchg => (AtomicOp::Swap, true, src),
            Atomic::Cmpxchg => return self.out.put(sized::casal(bytes, R0, src, address)),
        };
        let result = if fetch { src } else { Gpr::ZR };
        self.out.put(sized::atomic(op, bytes, fetch, operand, result, address));
    }

    fn exclusive(&mut self, atomic: Atomic, width: Width, bytes: Bytes, src: Gpr, address: Gpr) {
        let sf = sf(width);
        let (again, out) = (self.out.label(), self.out.label());
        let (old, new, failed) = (T0, T1, T2);
        self.out.place_label(again);
        self.out.put(sized::ldxr(bytes, old, address));
        let (new, fetch): (Gpr, bool) = match atomic {
            Atomic::Add { fetch } => self.combine(arith::add, sf, new, src, fetch),
            Atomic::Or { fetch } => self.combine(arith::orr, sf, new, src, fetch),
            Atomic::And { fetch } => self.combine(arith::and, sf, new, src, fetch),
            Atomic::Xor { fetch } => self.combine(arith::eor, sf, new, src, fetch),
            Atomic::Xchg => (src, true),
            Atomic::Cmpxchg => {
                self.out.put(arith::cmp(sf, old, R0));
                self.out.branch(Form::If(a64::Cond::Ne), out);
                (src, true)
            }
        };
        let store = if fetch { sized::stlxr } else { sized::stxr };
        self.out.put(store(bytes, failed, new, address));
        self.out.branch(Form::Zero(Sf::W, failed, true), again);
        self.out.place_label(out);
        if fetch {
            self.out.put(encode::dmb(Barrier::Ish));
            let result = if atomic == Atomic::Cmpxchg { R0 } else { src };
            self.out.put(encode::mov(result, old));
        }
    }

    fn combine(
        &mut self,
        op: fn(Sf, Gpr, Gpr, Gpr) -> Insn,
        sf: Sf,
        new: Gpr,
        src: Gpr,
        fetch: bool,
    ) -> (Gpr, bool) {
        self.out.put(op(sf, new, T0, src));
        (new, fetch)
    }
}
