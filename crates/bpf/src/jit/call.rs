//! Calls: of helpers, of functions of the program, of other programs in place of this one; and 64-bit immediates, since they
//! are what calls are given.
//!
//! A helper finds its arguments where they are, so a call is two words: `bl helper; mov x7, x0`. The lookup of an
//! element of an array whose map is known here is not a call at all:
//!
//! ```text
//!   r1 = map[0] ll; call map_lookup_elem      ldr w7, [x1]           the index
//!                                             ldr x10, =values
//!                                             cmp w7, #elements
//!                                             add x7, x10, x7, lsl #3
//!                                             csel x7, x7, xzr, lo   0 if it is too large
//! ```
//!
//! The clock is read in place too, where the counter is all there is to it: `mrs x7, cntvct_el0; lsl x7, x7, #4`.
//!
//! A tail call asks where the other program is entered, takes down its own frame and goes there:
//!
//! ```text
//!   ldr x10, [x29, counter]; ldr x11, [x10]; cmp x11, #33; b.hs out
//!   str x0, [x29, context]
//!   mov x0, x1; mov w1, w2; bl tail_target; cbz x0, out
//!   mov x11, x0; ldr x9, [x29, counter]; ldr x10, [x9]; add x10, x10, #1; str x10, [x9]; ldr x0, [x29, context]
//!   … the frame … ; br x11
//! out:
//! ```

use a64::SysReg;
use a64::encode::arith::{self, Sf};
use a64::encode::sized::{self, Bytes, Extend};
use a64::encode::{self, Gpr, regs};

use super::emit::Form;
use super::scan::{TAIL_CALL, registers};
use super::{ADDRESS, Array, Compiler, Error, MAX_TAIL_CALLS, R0, T0, T1, Why};
use crate::op::{Callee, Imm64, Op, Reg};

/// The numbers of the helpers that are done in place.
const MAP_LOOKUP_ELEM: i32 = 1;
const KTIME_GET_NS: i32 = 5;

impl Compiler<'_> {
    pub(super) fn call(&mut self, i: usize, callee: Callee, op: &Op) -> Result<(), Error> {
        if self.options.checked.is_some() {
            return self.call_checked(callee, op);
        }
        match callee {
            Callee::Helper(TAIL_CALL) => self.tail_call(),
            Callee::Helper(MAP_LOOKUP_ELEM) if self.array_of(i).is_some() => {
                self.array_of(i).iter().for_each(|array| self.look_up_in(array));
                Ok(())
            }
            Callee::Helper(KTIME_GET_NS) if self.env.clock().is_some() => {
                self.env.clock().iter().for_each(|ns_per_tick| self.read_clock(*ns_per_tick));
                Ok(())
            }
            Callee::Helper(number) => {
                let Some(target) = self.env.helper(number) else { return self.fail(Why::Helper(number)) };
                self.out.call(self.slot, target);
                self.out.put(encode::mov(R0, regs::X0));
                Ok(())
            }
            Callee::Local(_) => {
                let to = self.target(op);
                if self.shape_at(to).is_some_and(|shape| shape.counts) {
                    self.out.must(sized::load(
                        Bytes::X,
                        Extend::Zero,
                        regs::X9,
                        Gpr::FP,
                        self.shape.counter(),
                    ));
                }
                let entry = self.entry_of(to);
                self.out.branch(Form::Bl, entry);
                self.out.put(encode::mov(R0, regs::X0));
                Ok(())
            }
            Callee::Kernel(_) => self.fail(Why::Call),
        }
    }

    fn tail_call(&mut self) -> Result<(), Error> {
        let Some(target) = self.env.tail_target() else { return self.fail(Why::Helper(TAIL_CALL)) };
        let (counter, context) = (self.shape.counter(), self.shape.context());
        let out = self.out.label();
        let load = |rt, rn, offset| sized::load(Bytes::X, Extend::Zero, rt, rn, offset);
        self.out.must(load(T0, Gpr::FP, counter));
        self.out.must(load(T1, T0, 0));
        self.out.must(arith::cmp_i(Sf::X, T1, MAX_TAIL_CALLS));
        self.out.branch(Form::If(a64::Cond::Cs), out);
        self.out.must(sized::store(Bytes::X, regs::X0, Gpr::FP, context));
        self.out.put(encode::mov(regs::X0, regs::X1));
        self.out.put(arith::orr(Sf::W, regs::X1, Gpr::ZR, regs::X2));
        self.out.call(self.slot, target);
        self.out.branch(Form::Zero(Sf::X, regs::X0, false), out);
        self.out.put(encode::mov(T1, regs::X0));
        self.out.must(load(ADDRESS, Gpr::FP, counter));
        self.out.must(load(T0, ADDRESS, 0));
        self.out.must(arith::add_i(Sf::X, T0, T0, 1));
        self.out.must(sized::store(Bytes::X, T0, ADDRESS, 0));
        self.out.must(load(regs::X0, Gpr::FP, context));
        self.leave_frame();
        self.out.put(encode::br(T1));
        self.out.place_label(out);
        Ok(())
    }

    /// The array that the call at `i` looks up an element of, if its map was loaded on the straight way here.
    fn array_of(&self, i: usize) -> Option<Array> {
        for (at, (_, op)) in self.ops.iter().enumerate().take(i).rev() {
            // Who comes here may come from elsewhere.
            let next = self.ops.get(at + 1).map(|(slot, _)| *slot)?;
            if *self.targets.get(next)? || matches!(op, Op::Call(_) | Op::Ja { .. } | Op::Exit) {
                return None;
            }
            if let Op::LoadImm { dst: Reg::R1, imm: map @ (Imm64::Map(_) | Imm64::MapIndex(_)) } = op {
                return self.env.array(*map);
            }
            if registers(op).0 == Some(Reg::R1) {
                return None;
            }
        }
        None
    }

    /// The lookup itself: the index is where r2 points.
    fn look_up_in(&mut self, array: &Array) {
        self.out.must(sized::load(Bytes::W, Extend::Zero, R0, regs::X1, 0));
        self.out.constant(T0, array.values);
        if !self.out.fits(arith::cmp_i(Sf::W, R0, array.len.into())) {
            self.out.constant(T1, array.len.into());
            self.out.put(arith::cmp(Sf::W, R0, T1));
        }
        if array.stride.is_power_of_two() {
            self.out.must(arith::add_lsl(Sf::X, R0, T0, R0, array.stride.trailing_zeros()));
        } else {
            self.out.constant(T1, array.stride.into());
            self.out.put(arith::umaddl(R0, R0, T1, T0));
        }
        self.out.put(arith::csel(Sf::X, R0, R0, Gpr::ZR, a64::Cond::Cc));
    }

    /// The counter, times nanoseconds in a tick (of 2⁻³² each), without the lowest 32 bits of the 128.
    fn read_clock(&mut self, ns_per_tick: u64) {
        self.out.put(encode::mrs(R0, SysReg::CNTVCT_EL0));
        let whole = ns_per_tick >> 32;
        if ns_per_tick == whole << 32 && whole.is_power_of_two() {
            return self.out.must(arith::lsl_i(Sf::X, R0, R0, whole.trailing_zeros()));
        }
        self.out.constant(T0, ns_per_tick);
        self.out.put(arith::mul(Sf::X, T1, R0, T0));
        self.out.put(arith::umulh(R0, R0, T0));
        self.out.must(arith::extr(Sf::X, R0, R0, T1, 32));
    }

    /// Is r1, as loaded at `i`, read by nothing but a lookup that needs no map?
    fn only_for_lookup(&self, i: usize) -> bool {
        for (at, (_, op)) in self.ops.iter().enumerate().skip(i + 1) {
            if self.ops.get(at).and_then(|(slot, _)| self.targets.get(*slot)) != Some(&false) {
                return false;
            }
            match op {
                Op::Call(Callee::Helper(MAP_LOOKUP_ELEM)) => return self.array_of(at).is_some(),
                Op::Call(_) | Op::Exit | Op::Ja { .. } | Op::Jump { .. } => return false,
                _ => {}
            }
            let (written, read) = registers(op);
            if [written, read[0], read[1]].contains(&Some(Reg::R1)) {
                return false;
            }
        }
        false
    }

    pub(super) fn load_immediate(&mut self, i: usize, dst: Reg, imm: Imm64, op: &Op) -> Result<(), Error> {
        let rd = self.x(dst);
        match imm {
            Imm64::Value(value) => self.number64(rd, value),
            _ if self.options.checked.is_some() => self.immediate_checked(rd, imm),
            Imm64::Code(_) => {
                let entry = self.entry_of(self.target(op));
                self.out.branch(Form::Adr(rd), entry);
            }
            _ if dst == Reg::R1 && self.only_for_lookup(i) => {}
            _ => match self.env.address(imm) {
                Some(address) => self.out.constant(rd, address),
                None => return self.fail(Why::Immediate),
            },
        }
        Ok(())
    }
}
