//! The differential proof: generated instructions run bare, under a probe, under a probe with a post handler, and, where
//! they are simulated, by the simulation alone. All state must agree: x0 to x30, SP, PC, NZCV and the masks, memory, and
//! whether the instruction faulted.
//!
//! ```text
//!   area   brk #12  WORD  brk #12  WORD  brk #12 …            words of the kernel's text, written by `text`
//!                    ▲                        ▲
//!   brk #11 ─────────┘ in: all registers from the test        a branch lands on one of the breakpoints
//!   brk #12 ─ out: all registers to the test; back behind brk #11, with the registers of the caller
//! ```
//!
//! The two breakpoints save and set registers through their `PtRegs`, so no assembly stands between the test and the word. A
//! fault in the area is an exit too. Memory operands point into a page of the test's own; SP moves within a window.
//!
//! The words come from [`templates`]: fixed bits and random ones, kept if the architecture gives them a meaning. Numbers are
//! those of a seed, so a failure can be repeated: it is printed with its word, its registers and the two results.

mod templates;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use a64::regs::PSTATE_BTYPE;
use a64::{Class, Insn, MemoryFns, UserRegs, classify, disasm, encode};

use self::templates::{GROUPS, Generated, Group};
use super::Count;
use crate::arch::probe_read;
use crate::boot;
use crate::exception::{self, Handled, PtRegs};
use crate::kprobes::{Kprobe, arm_all, disarm_all};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::quiesce;
use crate::text::{self, Patch};
use crate::workload::Random;

/// The tests of this file: one for each group of templates.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "immediates", run: |t| run(t, "immediates") },
    Test { name: "registers", run: |t| run(t, "registers") },
    Test { name: "branches", run: |t| run(t, "branches") },
    Test { name: "pc_relative", run: |t| run(t, "pc_relative") },
    Test { name: "memory", run: |t| run(t, "memory") },
    Test { name: "atomics", run: |t| run(t, "atomics") },
    Test { name: "stack", run: |t| run(t, "stack") },
    Test { name: "system", run: |t| run(t, "system") },
    Test { name: "faults", run: |t| run(t, "faults") },
];

const BRK_IN: u16 = 11;
const BRK_OUT: u16 = 12;

/// Words of the area: a breakpoint, then a word and a breakpoint for each instruction under test, then literals.
const TESTED: usize = 256;
const CODE_WORDS: usize = 2 * TESTED + 1;
const LITERAL_WORDS: usize = 64;
const AREA_WORDS: usize = CODE_WORDS + LITERAL_WORDS;

/// Bytes that memory operands may touch, and what of SP's stack a word may move it over.
const SCRATCH_BYTES: usize = 1024;
const STACK_BYTES: usize = 2048;

/// Rounds of [`TESTED`] words for a group; and in how many states of registers each word runs.
const SHORT: (usize, usize) = (4, 2);
const LONG: (usize, usize) = (128, 6);

global_asm!(
    ".pushsection .text.insn, \"ax\", %progbits",
    ".balign 64",
    ".type kprobes_area, %function",
    "kprobes_area:",
    ".fill {words}, 4, {out}",
    ".size kprobes_area, . - kprobes_area",
    ".popsection",
    words = const AREA_WORDS,
    out = const encode::brk(BRK_OUT).0,
);

unsafe extern "C" {
    static kprobes_area: u8;
}

fn area() -> usize {
    (&raw const kprobes_area).expose_provenance()
}

/// Address of tested word `n`.
fn place(n: usize) -> usize {
    area() + 4 * (2 * n + 1)
}

/// What goes into a run and what comes out of it.
struct Exchange {
    input: UserRegs,
    output: UserRegs,
    faulted: bool,
    caller: UserRegs,
}

/// The run under way; one task runs tests.
static RUN: AtomicPtr<Exchange> = AtomicPtr::new(core::ptr::null_mut());
/// NZCV in PSTATE: all that a run takes from its input.
const NZCV: u64 = 0xf << 28;

fn under_way<'a>() -> Option<&'a mut Exchange> {
    // SAFETY: `execute` put it there for as long as it waits in its `brk`, and looks at it again only afterwards.
    unsafe { RUN.load(Ordering::Acquire).as_mut() }
}

extern "C" fn enter(regs: &mut PtRegs) -> Handled {
    let Some(run) = under_way() else { return Handled::No };
    run.caller = *regs.user();
    let to = regs.user_mut();
    to.x = run.input.x;
    to.pc = run.input.pc;
    to.pstate = to.pstate & !NZCV | run.input.pstate & NZCV;
    Handled::Yes
}

extern "C" fn leave(regs: &mut PtRegs) -> Handled {
    match under_way() {
        Some(run) => {
            out(run, regs);
            Handled::Yes
        }
        None => Handled::No,
    }
}

fn out(run: &mut Exchange, regs: &mut PtRegs) {
    run.output = *regs.user();
    let to = regs.user_mut();
    to.x = run.caller.x;
    to.pc = run.caller.pc + 4;
    to.pstate = run.caller.pstate;
}

fn fault(regs: &mut PtRegs, _: u64, _: u64) -> Handled {
    match under_way() {
        Some(run) if (area()..area() + 4 * AREA_WORDS).contains(&(regs.pc() as usize)) => {
            run.faulted = true;
            out(run, regs);
            Handled::Yes
        }
        _ => Handled::No,
    }
}

/// Memory that the words work on.
#[repr(C, align(64))]
pub(super) struct Scratch([u64; SCRATCH_BYTES / 8]);

impl Scratch {
    /// The middle, in which memory operands begin.
    pub(super) fn middle(&self) -> u64 {
        (&raw const self.0).expose_provenance() as u64 + SCRATCH_BYTES as u64 / 2
    }

    fn fill(&mut self) {
        for (i, word) in (1..).zip(&mut self.0) {
            *word = 0x0123_4567_89ab_cdef_u64.wrapping_mul(i);
        }
    }

    /// A number that depends on every byte. The words were written behind the compiler's back, so memory is read.
    fn sum(&self) -> u64 {
        let from = (&raw const self.0).expose_provenance() as u64;
        (from..).step_by(8).take(self.0.len()).fold(0xcbf2_9ce4_8422_2325, |hash, at| {
            (hash ^ probe_read::read_u64(at).unwrap_or(0)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

/// All that a run leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcome {
    regs: UserRegs,
    faulted: bool,
    memory: u64,
    /// PSTATE before, without flags.
    before: u64,
}

/// Runs what is in the area at `input.pc`, from these registers.
fn execute(input: UserRegs, scratch: &mut Scratch) -> Outcome {
    scratch.fill();
    let mut run =
        Exchange { input, output: UserRegs::default(), faulted: false, caller: UserRegs::default() };
    RUN.store(&raw mut run, Ordering::Release);
    // SAFETY: `enter` and `out` see to it that all registers are as before but SP, which is put back; the words in between
    // touch the scratch memory and the window alone, or fault.
    unsafe {
        asm!(
            "mov x28, sp", "sub sp, sp, #{window}",
            "brk #{enter}",
            "mov sp, x28",
            window = const STACK_BYTES, enter = const BRK_IN, out("x28") _,
        );
    }
    RUN.store(core::ptr::null_mut(), Ordering::Release);
    // SP itself is where this function happens to run: what counts is how far the word has moved it.
    let moved = run.output.sp.wrapping_sub(run.caller.sp);
    let pstate = run.output.pstate & !PSTATE_BTYPE;
    let regs = UserRegs { sp: moved, pstate, ..run.output };
    let before = run.caller.pstate & !NZCV;
    Outcome { regs, faulted: run.faulted, memory: scratch.sum(), before }
}

/// What the simulation makes of the word, if it is simulated.
fn simulate(insn: Insn, input: UserRegs, before: u64) -> Option<UserRegs> {
    const MEMORY: MemoryFns = MemoryFns {
        read_u32: |addr| probe_read::read_u32(addr).map_err(|_| a64::Fault { addr }),
        read_u64: |addr| probe_read::read_u64(addr).map_err(|_| a64::Fault { addr }),
    };
    let Class::Simulate(sim) = classify(insn) else { return None };
    let mut regs = UserRegs { sp: 0, pstate: before | input.pstate & NZCV, ..input };
    sim.at(input.pc).run(&mut regs, &MEMORY).ok()?;
    Some(UserRegs { pstate: regs.pstate & !PSTATE_BTYPE, ..regs })
}

/// Writes these words into the area, by one change.
fn write(t: &mut TestCtx<'_>, words: &[(usize, Insn)]) -> TestResult {
    let mut patches: Vec<_> = words
        .iter()
        .filter_map(|&(addr, new)| Some(Patch { addr, expected: text::read_word(addr)?, new }))
        .filter(|patch| patch.expected != patch.new)
        .collect();
    check_eq!(t, text::commit(&mut patches), Ok(()));
    Ok(())
}

/// One group: so many rounds of generated words.
fn run(t: &mut TestCtx<'_>, name: &str) -> TestResult {
    let group = GROUPS.iter().find(|group| group.name == name);
    check!(t, group.is_some());
    let Some(group) = group else { return Ok(()) };
    // A second run finds its own hooks there.
    let _ = exception::register_brk(BRK_IN, enter);
    let _ = exception::register_brk(BRK_OUT, leave);
    static FAULTS: AtomicU64 = AtomicU64::new(0);
    if FAULTS.swap(1, Ordering::Relaxed) == 0 {
        check_eq!(t, exception::register_fault(fault), Ok(()));
    }
    let mut random = Random::new(0x7261_6e64 + name.len() as u64);
    let mut scratch = Scratch([0; SCRATCH_BYTES / 8]);
    let literals: Vec<_> =
        (CODE_WORDS..AREA_WORDS).map(|i| (area() + 4 * i, Insn(random.next() as u32))).collect();
    write(t, &literals)?;
    let (rounds, states) = if boot::info().arg("selftest") == Some("long") { LONG } else { SHORT };
    let mut totals = [0; 3];
    let mut result = Ok(());
    for _ in 0..rounds {
        result = result.and_then(|()| round(t, group, states, &mut random, &mut scratch, &mut totals));
    }
    let out = encode::brk(BRK_OUT);
    let pads: Vec<_> = (0..AREA_WORDS).map(|i| (area() + 4 * i, out)).collect();
    write(t, &pads)?;
    let [words, runs, simulated] = totals;
    diag!(t, "{words} words, {runs} runs, {simulated} of them simulated too");
    result
}

/// [`TESTED`] words, each in some states of the registers, in each of the ways to run it.
fn round(
    t: &mut TestCtx<'_>,
    group: &Group,
    states: usize,
    random: &mut Random,
    scratch: &mut Scratch,
    totals: &mut [usize; 3],
) -> TestResult {
    let mut tests: Vec<Generated> = Vec::new();
    for n in 0..TESTED {
        tests.push(group.generate(random, n));
    }
    let words: Vec<_> = tests.iter().enumerate().map(|(n, test)| (place(n), test.insn)).collect();
    write(t, &words)?;
    let mut inputs = Vec::new();
    for (n, test) in tests.iter().enumerate() {
        for _ in 0..states {
            let mut input = test.registers(random, scratch.middle());
            input.pc = place(n) as u64;
            inputs.push((test.insn, input));
        }
    }
    let bare: Vec<_> = inputs.iter().map(|&(_, input)| execute(input, scratch)).collect();
    for ((insn, input), bare) in inputs.iter().zip(&bare) {
        if let Some(simulated) = simulate(*insn, *input, bare.before)
            && !bare.faulted
        {
            compare(t, "simulated", *insn, input, &bare.regs, &simulated)?;
            totals[2] += 1;
        }
    }
    let faults = bare.iter().filter(|outcome| outcome.faulted).count() as u64;
    check!(t, group.faults == (faults > 0), "{faults} faults");
    for wants_post in [false, true] {
        // Boosted or simulated; with a post handler, stepped or simulated.
        let count = Arc::new(Count { wants_post, ..Count::default() });
        let probes = register(t, &count)?;
        let armed: Vec<_> = probes.iter().collect();
        check_eq!(t, arm_all(&armed), Ok(()));
        let how = if wants_post { "under a probe with a post handler" } else { "under a probe" };
        let same = again(t, how, &inputs, &bare, scratch);
        check_eq!(t, disarm_all(&armed), Ok(()));
        drop(probes);
        same?;
        check_eq!(t, count.hits(), inputs.len() as u64);
        let followed = if wants_post { inputs.len() as u64 - faults } else { 0 };
        check_eq!(t, count.post.load(Ordering::Relaxed), followed);
    }
    quiesce::synchronize();
    totals[0] += tests.len();
    totals[1] += 3 * inputs.len();
    Ok(())
}

/// A probe on every tested word.
fn register(t: &mut TestCtx<'_>, count: &Arc<Count>) -> Result<Vec<Kprobe>, Stop> {
    let mut probes = Vec::new();
    for n in 0..TESTED {
        match Kprobe::register(place(n), count.clone()) {
            Ok(probe) => probes.push(probe),
            Err(refusal) => {
                let insn = text::read_word(place(n)).unwrap_or(Insn(0));
                let text = disasm::at(insn, place(n) as u64);
                return Err(t.fail(file!(), line!(), format_args!("{insn:#010x} {text}: {refusal}")));
            }
        }
    }
    Ok(probes)
}

/// Runs everything once more and compares.
fn again(
    t: &mut TestCtx<'_>,
    how: &str,
    inputs: &[(Insn, UserRegs)],
    bare: &[Outcome],
    scratch: &mut Scratch,
) -> TestResult {
    for ((insn, input), bare) in inputs.iter().zip(bare) {
        let got = execute(*input, scratch);
        compare(t, how, *insn, input, bare, &got)?;
    }
    Ok(())
}

/// Fails with all that is known if the two differ.
fn compare<T: PartialEq + core::fmt::Debug>(
    t: &mut TestCtx<'_>,
    how: &str,
    insn: Insn,
    input: &UserRegs,
    bare: &T,
    got: &T,
) -> TestResult {
    if bare == got {
        return Ok(());
    }
    let text = format!("{}", disasm::at(insn, input.pc));
    let what = format_args!("{insn:#010x} {text}\nfrom {input:x?}\nbare {bare:x?}\n{how} {got:x?}");
    Err(t.fail(file!(), line!(), what))
}
