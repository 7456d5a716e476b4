//! The words of a trampoline.
//!
//! It has the terms of a direct call (`ftrace::direct`): at its entry x9 is the function's return address and x30 where the
//! function goes on. Two forms are made:
//!
//! ```text
//!   entry alone                              around the call
//!   save x0-x8, two frame records            save x0-x8, two frame records
//!   mask; enter(args, target); unmask        mask; enter(args, target)
//!   restore                                  x0 != 0: to 2, somebody has given the result
//!   ret to where the function goes on        unmask; restore
//!                                            blr to where the function goes on
//!                                         1: save x0-x7, the results; mask
//!                                         2: leave(args, target); unmask
//!                                            restore the results
//!                                            ret to the caller
//!
//!   SP ─▶ ┌──────────────────┐ 0
//!         │ x0-x7            │        what the programs have for their context; the result is put behind the arguments
//!         │ x8, masks        │ 64
//!         │ link, x30        │ 80     the record of the function   ◀─ x29 in enter
//!         │ x29, x9          │ 96     the record of its caller     ◀─ x29 in the function and in leave
//!         ├──────────────────┤ 112
//!         │ results x0-x7    │        around the call only
//!         └──────────────────┘ 176
//! ```
//!
//! Programs run with interrupts masked, as at all other ways in: so a task is preempted in a trampoline only where it has
//! not entered or has left them, and its PC says that it is inside (`text::programs`).

use alloc::vec::Vec;

use a64::encode::regs::{X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X29, X30};
use a64::encode::{self, EncodeError, Gpr};
use a64::{Insn, SysReg};

/// The stack pointer, in operands where 31 is that.
const SP: Gpr = Gpr::SP;

/// Where things lie in the frame.
const X8_AT: i64 = 64;
const LINK_AT: i64 = 80;
const CALLER_AT: i64 = 96;
/// The results of the function, for `leave`.
pub(super) const RESULTS_AT: i64 = 112;
const RESULTS: i64 = 64;
/// Words of context that a trampoline has: eight arguments, and a result behind them.
pub(super) const CONTEXT_WORDS: usize = 9;
const _: () = assert!(CONTEXT_WORDS as i64 * 8 <= LINK_AT);

/// Bytes of arguments on the stack that a function may have.
const STACK_ARGS: i64 = 64;

/// `msr daifset, #3` (Arm ARM C6.2, MSR immediate): masks interrupts.
const MASK: Insn = Insn(0xd503_43df);

/// The form of a trampoline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Programs at the entry alone.
    Entry,
    /// Programs at the return as well, or such as may put something in the function's place.
    Around,
}

impl Form {
    const fn frame(self) -> i64 {
        match self {
            Self::Entry => RESULTS_AT,
            Self::Around => RESULTS_AT + RESULTS,
        }
    }
}

/// What a trampoline calls: addresses of the functions, and the number that both get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    pub(super) enter: u64,
    pub(super) leave: u64,
    pub(super) target: u64,
    /// The function may have arguments on the stack.
    pub(super) stack: bool,
}

/// Words that are put one behind the other, for an address.
struct Words {
    at: u64,
    words: Vec<Insn>,
}

impl Words {
    fn here(&self) -> u64 {
        self.at + 4 * self.words.len() as u64
    }

    fn put(&mut self, insn: Insn) {
        self.words.push(insn);
    }

    /// Arguments from or to the frame's start, x2 to x7.
    fn pairs(&mut self, at: i64, pair: PairOp) -> Result<(), EncodeError> {
        for (n, (low, high)) in [(X2, X3), (X4, X5), (X6, X7)].into_iter().enumerate() {
            self.put(pair(low, high, SP, at + 16 * (n as i64 + 1))?);
        }
        Ok(())
    }

    /// Calls with the frame's start and the target.
    fn call(&mut self, function: u64, target: u64) -> Result<(), EncodeError> {
        self.put(encode::mov_sp(X0, SP));
        encode::mov_imm(X1, target).into_iter().for_each(|word| self.put(word));
        self.put(encode::bl_to(self.here(), function)?);
        Ok(())
    }
}

type PairOp = fn(Gpr, Gpr, Gpr, i64) -> Result<Insn, EncodeError>;

/// How many words either form has at most; one more, a zero, ends the block for who looks for loads that may fault.
pub(super) const MAX_WORDS: usize = 72;

/// The words of a trampoline that will lie at `at`.
///
/// # Errors
/// A function is out of a call's reach.
pub(super) fn words(at: u64, form: Form, calls: Calls) -> Result<Vec<Insn>, EncodeError> {
    let mut out = Words { at, words: Vec::with_capacity(MAX_WORDS) };
    let frame = form.frame();
    out.put(encode::stp_pre(X0, X1, SP, -frame)?);
    out.put(encode::stp(X29, X9, SP, CALLER_AT)?);
    out.put(encode::add_imm(X29, SP, CALLER_AT as u32)?);
    out.put(encode::stp(X29, X30, SP, LINK_AT)?);
    out.put(encode::add_imm(X29, SP, LINK_AT as u32)?);
    out.pairs(0, encode::stp)?;
    out.put(encode::mrs(X10, SysReg::DAIF));
    out.put(encode::stp(X8, X10, SP, X8_AT)?);
    out.put(MASK);
    out.call(calls.enter, calls.target)?;
    let skip = (form == Form::Around).then_some(out.words.len());
    if skip.is_some() {
        out.put(encode::nop());
    }
    out.put(encode::ldp(X8, X10, SP, X8_AT)?);
    out.put(encode::msr(SysReg::DAIF, X10));
    out.pairs(0, encode::ldp)?;
    if form == Form::Entry {
        out.put(encode::ldp(X29, X30, SP, CALLER_AT)?);
        out.put(encode::ldr(X10, SP, LINK_AT as u64 + 8)?);
        out.put(encode::ldp_post(X0, X1, SP, frame)?);
        out.put(ret(X10));
    } else {
        out.put(encode::add_imm(X29, SP, CALLER_AT as u32)?);
        out.put(encode::ldr(X10, SP, LINK_AT as u64 + 8)?);
        out.put(encode::ldp(X0, X1, SP, 0)?);
        if calls.stack {
            out.put(encode::sub_imm(SP, SP, STACK_ARGS as u32)?);
            for at in (0..STACK_ARGS).step_by(16) {
                out.put(encode::ldp(X11, X12, SP, STACK_ARGS + frame + at)?);
                out.put(encode::stp(X11, X12, SP, at)?);
            }
        }
        out.put(encode::blr(X10));
        if calls.stack {
            out.put(encode::add_imm(SP, SP, STACK_ARGS as u32)?);
        }
        out.put(encode::stp(X0, X1, SP, RESULTS_AT)?);
        out.pairs(RESULTS_AT, encode::stp)?;
        out.put(encode::mrs(X10, SysReg::DAIF));
        out.put(encode::stp(X8, X10, SP, X8_AT)?);
        out.put(MASK);
        let leave = out.words.len();
        out.call(calls.leave, calls.target)?;
        out.put(encode::ldp(X8, X10, SP, X8_AT)?);
        out.put(encode::msr(SysReg::DAIF, X10));
        out.pairs(RESULTS_AT, encode::ldp)?;
        out.put(encode::ldp(X0, X1, SP, RESULTS_AT)?);
        out.put(encode::ldp(X29, X30, SP, CALLER_AT)?);
        out.put(encode::add_imm(SP, SP, frame as u32)?);
        out.put(encode::ret());
        if let Some((at, word)) = skip.and_then(|at| Some((at, out.words.get_mut(at)?))) {
            *word = encode::cbnz(X0, 4 * (leave - at) as i64)?;
        }
    }
    out.put(Insn(0));
    Ok(out.words)
}

/// `ret` to another register than x30 (Arm ARM C6.2, RET).
fn ret(to: Gpr) -> Insn {
    Insn(encode::ret().0 & !(0x1f << 5) | u32::from(to.number()) << 5)
}
