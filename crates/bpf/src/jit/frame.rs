//! Entry and exit of a function.
//!
//! ```text
//!   stp x29, x30, [sp, #-R]!       the record, and behind it what the function keeps:
//!   stp x19, x20, [sp, #16]        those of r6-r9 that it uses,
//!   str x9, [sp, #R-16]            the address of the counter of tail calls and, later, the context
//!   mov x29, sp                    = r10
//!   sub sp, sp, #stack             if it has one
//! ```
//!
//! The counter belongs to the run, not to a program: a program that makes tail calls is entered through a few words that lay
//! it on the stack, below whatever ran before, and it stays there while programs replace each other:
//!
//! ```text
//!   entry:       stp x29, x30, [sp, #-32]!; mov x29, sp; str xzr, [sp, #16]; add x9, sp, #16
//!                bl tail_entry
//!                ldp x29, x30, [sp], #32; ret
//!   tail_entry:  the function, as above, with the counter's address in x9
//! ```

use a64::encode::sized::{self, Bytes, Extend};
use a64::encode::{self, Gpr, arith::Sf, regs};

use super::emit::Form;
use super::scan::Shape;
use super::{Compiler, R0};

const KEPT: [Gpr; 4] = [regs::X19, regs::X20, regs::X21, regs::X22];
const RECORD_BYTES: i64 = 16;

impl Shape {
    fn kept(&self) -> impl Iterator<Item = Gpr> + use<> {
        let kept = self.kept;
        KEPT.into_iter().enumerate().filter(move |(n, _)| kept >> n & 1 != 0).map(|(_, reg)| reg)
    }

    /// Bytes of the record and all that is kept with it.
    fn record(&self) -> i64 {
        let pairs = self.kept.count_ones().div_ceil(2) + u32::from(self.counts);
        RECORD_BYTES + 16 * i64::from(pairs)
    }

    /// Where the address of the counter is, from x29.
    pub(super) fn counter(&self) -> i64 {
        self.record() - 16
    }

    /// Where a tail call puts the context, from x29.
    pub(super) fn context(&self) -> i64 {
        self.record() - 8
    }
}

impl Compiler<'_> {
    /// The entry of the current function.
    pub(super) fn enter_function(&mut self) {
        let shape = self.shape;
        if shape.begin == 0 {
            if self.options.checked.is_some() {
                self.enter_checked();
            } else if shape.counts {
                self.lay_counter();
            }
            self.tail_entry = self.out.len();
        }
        let entry = self.entry_of(shape.begin);
        self.out.place_label(entry);
        if !shape.framed() {
            return;
        }
        self.out.must(encode::stp_pre(Gpr::FP, Gpr::LR, Gpr::SP, -shape.record()));
        let mut at = RECORD_BYTES;
        let mut kept = shape.kept();
        while let Some(first) = kept.next() {
            match kept.next() {
                Some(second) => self.out.must(encode::stp(first, second, Gpr::SP, at)),
                None => self.out.must(sized::store(Bytes::X, first, Gpr::SP, at)),
            }
            at += 16;
        }
        if shape.counts {
            self.out.must(sized::store(Bytes::X, regs::X9, Gpr::SP, shape.counter()));
        }
        self.out.put(encode::mov_sp(Gpr::FP, Gpr::SP));
        if shape.stack && self.options.stack_bytes != 0 {
            self.out.must(encode::sub_imm(Gpr::SP, Gpr::SP, self.options.stack_bytes));
        }
    }

    /// Undoes the entry.
    pub(super) fn leave_frame(&mut self) {
        let shape = self.shape;
        if !shape.framed() {
            return;
        }
        if shape.stack {
            self.out.put(encode::mov_sp(Gpr::SP, Gpr::FP));
        }
        let mut at = RECORD_BYTES;
        let mut kept = shape.kept();
        while let Some(first) = kept.next() {
            match kept.next() {
                Some(second) => self.out.must(encode::ldp(first, second, Gpr::SP, at)),
                None => self.out.must(sized::load(Bytes::X, Extend::Zero, first, Gpr::SP, at)),
            }
            at += 16;
        }
        self.out.must(encode::ldp_post(Gpr::FP, Gpr::LR, Gpr::SP, shape.record()));
    }

    /// `exit`
    pub(super) fn exit(&mut self) {
        self.out.put(encode::mov(regs::X0, R0));
        self.leave();
    }

    /// The same when x0 has the result.
    pub(super) fn leave(&mut self) {
        self.leave_frame();
        self.out.put(encode::ret());
    }

    /// The way in for those who have no counter yet.
    fn lay_counter(&mut self) {
        const BYTES: i64 = 32;
        let function = self.entry_of(0);
        self.out.must(encode::stp_pre(Gpr::FP, Gpr::LR, Gpr::SP, -BYTES));
        self.out.put(encode::mov_sp(Gpr::FP, Gpr::SP));
        self.out.must(sized::store(Bytes::X, Gpr::ZR, Gpr::SP, RECORD_BYTES));
        self.out.must(encode::arith::add_i(Sf::X, regs::X9, Gpr::SP, RECORD_BYTES as u64));
        self.out.branch(Form::Bl, function);
        self.out.must(encode::ldp_post(Gpr::FP, Gpr::LR, Gpr::SP, BYTES));
        self.out.put(encode::ret());
    }
}
