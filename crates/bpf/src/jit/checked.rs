//! Programs that nobody has verified: compiled so that they can do no harm.
//!
//! The program sees the addresses of a sandbox ([`crate::sandbox`]), which are no addresses of anything. Each access is a
//! call of a stub that looks the address up in two windows and gives the real one, or ends the program; each jump that is
//! taken and each call takes one from a budget; each local call counts its depth. So a program ends for the reasons for which
//! the interpreter ends it, with the same words about it.
//!
//! ```text
//!   r0 = *(u32 *)(r1 + 4)      add x9, x0, #4
//!                              mov x11, #4            how many bytes
//!                              mov x12, #slot         who asks
//!                              bl look_up             x9: where it is, or the end of all
//!                              ldr w7, [x9]
//! ```
//!
//! The end is told in a record of four words: the stack pointer to come back to, why, which slot, and what about it.
//!
//! What is different beside that: r10 is a number of the sandbox, in x25, and the native stack holds records only.

use alloc::vec::Vec;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use a64::encode::arith::{self, Sf};
use a64::encode::sized::{self, Bytes, Extend};
use a64::encode::{self, Gpr, regs};

use super::emit::{Buffer, Form, Label};
use super::{ADDRESS, BUDGET, CHECKED_R10, Compiler, DEPTH, Error, R0, T0, T1, T2};
use crate::interp::{Cause, FRAME_BYTES, MAX_FRAMES, Trap};
use crate::op::{Callee, Imm64, Op, Size};

/// A part of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Where the program sees it.
    pub at: u64,
    /// How many bytes.
    pub len: u64,
    /// Where it is; `at` and this are multiples of 8.
    pub real: u64,
}

/// What a program that is not verified runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What r1 points to.
    pub memory: Window,
    /// Its stack; r10 is the end of it.
    pub stack: Window,
    /// How many jumps and calls it may make.
    pub budget: u64,
    /// Address of the [`Record`].
    pub record: u64,
}

/// How a run ended: written by the program.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Record {
    sp: AtomicU64,
    kind: AtomicU64,
    slot: AtomicU64,
    about: AtomicU64,
}

impl Record {
    /// Why the program did not come to its end, if it did not.
    pub fn trap(&self) -> Option<Trap> {
        let about = self.about.load(Ordering::Relaxed);
        let why = match self.kind.load(Ordering::Relaxed) {
            0 => return None,
            Kind::FAULT => Cause::Fault(about),
            Kind::BUDGET => Cause::Budget,
            Kind::FRAMES => Cause::Frames,
            Kind::HELPER => Cause::Helper(about as i32),
            Kind::IMMEDIATE => Cause::Immediate,
            _ => Cause::Call,
        };
        Some(Trap { at: self.slot.load(Ordering::Relaxed) as usize, why })
    }
}

/// Where the members of a record are.
const SP: i64 = offset_of!(Record, sp) as i64;
const KIND: i64 = offset_of!(Record, kind) as i64;
const SLOT: i64 = offset_of!(Record, slot) as i64;
const ABOUT: i64 = offset_of!(Record, about) as i64;

/// Numbers of the causes.
struct Kind;

impl Kind {
    const FAULT: u64 = 1;
    const BUDGET: u64 = 2;
    const FRAMES: u64 = 3;
    const HELPER: u64 = 4;
    const IMMEDIATE: u64 = 5;
    const CALL: u64 = 6;
}

/// The cause of a trap, for the stub.
const WHY: Gpr = regs::X13;
/// One more scratch register, for the stub of accesses.
const T3: Gpr = regs::X14;

/// Code at the end of the program.
#[derive(Clone, Copy)]
pub(super) struct Stubs {
    look_up: Label,
    fault: Label,
    trap: Label,
    out: Label,
}

impl Stubs {
    pub(super) fn new(out: &mut Buffer) -> Self {
        Self { look_up: out.label(), fault: out.label(), trap: out.label(), out: out.label() }
    }
}

/// A few words of one instruction that stand at the end.
pub(super) enum Pending {
    /// A jump that is taken.
    Jump { at: Label, slot: usize, to: Label },
    /// A trap.
    Trap { at: Label, slot: usize, kind: u64 },
}

impl Compiler<'_> {
    /// The way in, which is the way out too.
    pub(super) fn enter_checked(&mut self) {
        const BYTES: i64 = 96;
        const KEPT: [(Gpr, Gpr); 4] =
            [(regs::X19, regs::X20), (regs::X21, regs::X22), (BUDGET, DEPTH), (CHECKED_R10, regs::X26)];
        let Some(checked) = self.options.checked else { return };
        let function = self.entry_of(0);
        self.out.must(encode::stp_pre(Gpr::FP, Gpr::LR, Gpr::SP, -BYTES));
        for (n, (first, second)) in KEPT.into_iter().enumerate() {
            self.out.must(encode::stp(first, second, Gpr::SP, 16 * (n as i64 + 1)));
        }
        self.out.put(encode::mov_sp(Gpr::FP, Gpr::SP));
        self.out.constant(T0, checked.record);
        self.out.put(encode::mov_sp(T1, Gpr::SP));
        self.out.must(sized::store(Bytes::X, T1, T0, SP));
        self.out.must(sized::store(Bytes::X, Gpr::ZR, T0, KIND));
        self.out.constant(BUDGET, checked.budget);
        self.out.constant(DEPTH, MAX_FRAMES as u64 - 1);
        self.out.constant(CHECKED_R10, checked.stack.at + checked.stack.len);
        for reg in [R0, regs::X19, regs::X20, regs::X21, regs::X22] {
            self.out.constant(reg, 0);
        }
        self.out.branch(Form::Bl, function);
        self.out.place_label(self.stubs.out);
        for (n, (first, second)) in KEPT.into_iter().enumerate() {
            self.out.must(encode::ldp(first, second, Gpr::SP, 16 * (n as i64 + 1)));
        }
        self.out.must(encode::ldp_post(Gpr::FP, Gpr::LR, Gpr::SP, BYTES));
        self.out.put(encode::ret());
    }

    /// The real address of `base + off` in x9, or the end.
    pub(super) fn look_up(&mut self, size: Size, base: Gpr, off: i64, aligned: bool) {
        if !self.add(Sf::X, ADDRESS, base, off) {
            self.out.constant(T0, off as u64);
            self.out.put(arith::add(Sf::X, ADDRESS, base, T0));
        }
        let bytes = size.bytes() as u64;
        self.out.constant(T2, self.slot as u64);
        if aligned {
            self.out.must(arith::tst_i(Sf::X, ADDRESS, bytes - 1));
            self.out.branch(Form::If(a64::Cond::Ne), self.stubs.fault);
        }
        self.out.constant(T1, bytes);
        self.out.branch(Form::Bl, self.stubs.look_up);
    }

    /// Where a jump leads first: to where it is counted.
    pub(super) fn counted(&mut self, to: Label) -> Label {
        let at = self.out.label();
        self.pending.push(Pending::Jump { at, slot: self.slot, to });
        at
    }

    /// Where the program ends for this reason; what it is about is in x9 then.
    fn trap(&mut self, kind: u64) -> Label {
        let at = self.out.label();
        self.pending.push(Pending::Trap { at, slot: self.slot, kind });
        at
    }

    /// Takes one from the budget.
    fn count(&mut self) {
        let trap = self.trap(Kind::BUDGET);
        self.out.branch(Form::Zero(Sf::X, BUDGET, false), trap);
        self.out.must(arith::sub_i(Sf::X, BUDGET, BUDGET, 1));
    }

    pub(super) fn call_checked(&mut self, callee: Callee, op: &Op) -> Result<(), Error> {
        match callee {
            Callee::Helper(number) => {
                self.count();
                let Some(target) = self.env.helper(number) else {
                    self.out.constant(ADDRESS, number as u64);
                    let trap = self.trap(Kind::HELPER);
                    self.out.branch(Form::B, trap);
                    return Ok(());
                };
                self.out.call(self.slot, target);
                self.out.put(encode::mov(R0, regs::X0));
                // Whatever the helper has left there is not the program's business.
                for reg in [regs::X0, regs::X1, regs::X2, regs::X3, regs::X4] {
                    self.out.constant(reg, 0);
                }
            }
            Callee::Local(_) => {
                let (to, frames) = (self.entry_of(self.target(op)), self.trap(Kind::FRAMES));
                self.out.branch(Form::Zero(Sf::X, DEPTH, false), frames);
                self.count();
                self.out.must(arith::sub_i(Sf::X, DEPTH, DEPTH, 1));
                self.out.must(arith::sub_i(Sf::X, CHECKED_R10, CHECKED_R10, FRAME_BYTES));
                self.out.branch(Form::Bl, to);
                self.out.put(encode::mov(R0, regs::X0));
                self.out.must(arith::add_i(Sf::X, CHECKED_R10, CHECKED_R10, FRAME_BYTES));
                self.out.must(arith::add_i(Sf::X, DEPTH, DEPTH, 1));
            }
            Callee::Kernel(_) => {
                let trap = self.trap(Kind::CALL);
                self.out.branch(Form::B, trap);
            }
        }
        Ok(())
    }

    pub(super) fn immediate_checked(&mut self, rd: Gpr, imm: Imm64) {
        match self.env.address(imm) {
            Some(address) => self.out.constant(rd, address),
            None => {
                let trap = self.trap(Kind::IMMEDIATE);
                self.out.branch(Form::B, trap);
            }
        }
    }

    /// What stands behind the program.
    pub(super) fn finish_checked(&mut self) {
        let Some(checked) = self.options.checked else { return };
        for pending in core::mem::take::<Vec<Pending>>(&mut self.pending) {
            match pending {
                Pending::Jump { at, slot, to } => {
                    self.slot = slot;
                    self.out.place_label(at);
                    self.count();
                    self.out.branch(Form::B, to);
                }
                Pending::Trap { at, slot, kind } => self.trap_words(at, slot, kind),
            }
        }
        // Those of the jumps.
        for pending in core::mem::take::<Vec<Pending>>(&mut self.pending) {
            if let Pending::Trap { at, slot, kind } = pending {
                self.trap_words(at, slot, kind);
            }
        }
        let Stubs { look_up, fault, trap, out } = self.stubs;
        self.out.place_label(look_up);
        for window in [checked.memory, checked.stack] {
            let next = self.out.label();
            self.out.constant(T3, window.len);
            // The last address at which so many bytes can begin.
            self.out.put(arith::subs(Sf::X, T3, T3, T1));
            self.out.branch(Form::If(a64::Cond::Cc), next);
            self.out.constant(T0, window.at);
            self.out.put(arith::sub(Sf::X, T0, ADDRESS, T0));
            self.out.put(arith::cmp(Sf::X, T0, T3));
            self.out.branch(Form::If(a64::Cond::Hi), next);
            self.out.constant(T3, window.real);
            self.out.put(arith::add(Sf::X, ADDRESS, T3, T0));
            self.out.put(encode::ret());
            self.out.place_label(next);
        }
        self.out.place_label(fault);
        self.out.constant(WHY, Kind::FAULT);
        self.out.place_label(trap);
        self.out.constant(T0, checked.record);
        self.out.must(sized::store(Bytes::X, WHY, T0, KIND));
        self.out.must(sized::store(Bytes::X, T2, T0, SLOT));
        self.out.must(sized::store(Bytes::X, ADDRESS, T0, ABOUT));
        self.out.must(sized::load(Bytes::X, Extend::Zero, T1, T0, SP));
        self.out.put(encode::mov_sp(Gpr::SP, T1));
        self.out.branch(Form::B, out);
    }

    fn trap_words(&mut self, at: Label, slot: usize, kind: u64) {
        self.out.place_label(at);
        self.out.constant(T2, slot as u64);
        self.out.constant(WHY, kind);
        self.out.branch(Form::B, self.stubs.trap);
    }
}
