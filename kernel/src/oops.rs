//! When there is no way on: everything that is known, printed, and the end.
//!
//! ```text
//!   an exception that nobody handles ──▶ exception's die slot ──┐
//!   panic!                           ──▶ panic handler ─────────┴─▶ report this CPU: why, registers, code, backtrace
//!                                                                   stop the others; each leaves where it was
//!                                                                   report them
//!                                                                   script mode: power off with status 101
//!                                                                   else: halt, for somebody to look
//! ```
//!
//! The report takes no lock that may be held for ever and allocates nothing.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use a64::Insn;
use a64::disasm;

use crate::arch::{MAX_CPUS, cpu, daif, power, timer, uart};
use crate::exception::{self, Death, PtRegs, SlotTaken};
use crate::irq::{self, Ipi};
use crate::unwind::{self, End, Frame};
use crate::{boot, ksyms, task, text};

/// Exit status after a panic.
const STATUS: u8 = 101;
/// How long the other CPUs may take to stop.
const STOP_TIMEOUT_MS: u64 = 200;
/// Frames that a stopped CPU leaves.
const STOPPED_FRAMES: usize = 12;

/// Takes the die slot and the stop message. Once, at boot.
pub(crate) fn init() -> Result<(), SlotTaken> {
    exception::set_die(die)?;
    irq::set_ipi_handler(Ipi::Stop, stop).map_err(|_| SlotTaken)
}

/// The console, whatever its lock says.
struct Emergency;

impl Write for Emergency {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for (i, line) in s.split('\n').enumerate() {
            if i > 0 {
                uart::write_panicking(b"\r\n");
            }
            uart::write_panicking(line.as_bytes());
        }
        Ok(())
    }
}

/// Prints a line of the report.
macro_rules! say {
    ($($arg:tt)*) => {{
        // The console does not fail.
        let _ = writeln!(Emergency, $($arg)*);
    }};
}

/// The CPU that reports, plus one.
static REPORTING: AtomicUsize = AtomicUsize::new(0);

/// Lets one CPU report; any other waits to be stopped, and a report that dies itself ends at once.
fn begin() {
    daif::mask_irq();
    let me = cpu::id() + 1;
    match REPORTING.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
        Ok(_) => {}
        Err(other) if other == me => {
            uart::write_panicking(b"\r\nthe report itself failed\r\n");
            end()
        }
        Err(_) => {
            leave_state();
            power::halt()
        }
    }
}

fn end() -> ! {
    if boot::info().arg("trapline.script").is_some() {
        power::off(STATUS)
    }
    say!("halted");
    power::halt()
}

/// The die slot of `exception`.
fn die(regs: &mut PtRegs, death: Death) -> ! {
    begin();
    // What dies in the slot of a probe would have died in its place without it.
    text::slots::repair(regs);
    match death {
        Death::Sync { esr, far } => {
            say!("Internal error: {}: {esr:016x}", class(esr));
            if matches!(esr >> 26, 0x20 | 0x21 | 0x24 | 0x25) {
                let what = if esr >> 26 & !1 == 0x20 {
                    "execute"
                } else if esr & 1 << 6 != 0 {
                    "write"
                } else {
                    "read"
                };
                say!("Unable to {what} at virtual address {far:016x}: {}", fault(esr));
            }
        }
        Death::Vector(n) => say!("Internal error: exception through vector {n}, which is not used"),
        Death::StackOverflow => say!("Internal error: kernel stack overflow"),
    }
    this_cpu();
    registers(regs);
    code(regs.pc() as usize);
    say!("Call trace:");
    print_frame(Frame { pc: regs.pc(), exact: true });
    trace(regs.fp(), false);
    others();
    end()
}

/// The panic handler's part.
pub(crate) fn panicked(info: &PanicInfo<'_>) -> ! {
    begin();
    say!("Kernel {info}");
    this_cpu();
    say!("Call trace:");
    trace(cpu::frame_pointer(), false);
    others();
    end()
}

fn this_cpu() {
    let task = task::current();
    let info = boot::info();
    say!("CPU: {} PID: {} Comm: {}", cpu::id(), task.pid(), task.name());
    say!("Hardware name: {} (DT)", info.model);
}

/// Flags of PSTATE, capital where they are set.
struct Pstate(u64);

impl fmt::Display for Pstate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |bit: u32, set, clear| if self.0 >> bit & 1 != 0 { set } else { clear };
        write!(f, "{:08x} (", self.0)?;
        for (bit, set, clear) in [(31, 'N', 'n'), (30, 'Z', 'z'), (29, 'C', 'c'), (28, 'V', 'v')] {
            f.write_char(flag(bit, set, clear))?;
        }
        f.write_char(' ')?;
        for (bit, set, clear) in [(9, 'D', 'd'), (8, 'A', 'a'), (7, 'I', 'i'), (6, 'F', 'f')] {
            f.write_char(flag(bit, set, clear))?;
        }
        write!(f, ", EL{}{})", self.0 >> 2 & 3, flag(0, 'h', 't'))
    }
}

fn registers(regs: &PtRegs) {
    say!("pstate: {}", Pstate(regs.pstate()));
    say!("pc : {}", Name(regs.pc()));
    say!("lr : {}", Name(regs.lr()));
    say!("sp : {:016x}", regs.sp());
    let x = &regs.user().x;
    say!("x29: {:016x} x28: {:016x} x27: {:016x}", x[29], x[28], x[27]);
    for i in (0..27).rev().step_by(3) {
        say!("x{i:<2}: {:016x} x{:<2}: {:016x} x{:<2}: {:016x}", x[i], i - 1, x[i - 1], i - 2, x[i - 2]);
    }
}

/// The instructions around an address, as they are in memory.
fn code(pc: usize) {
    const BEFORE: usize = 4;
    const AFTER: usize = 3;
    say!("Code:");
    for i in 0..=BEFORE + AFTER {
        let addr = pc.wrapping_add(4 * i).wrapping_sub(4 * BEFORE);
        let mark = if addr == pc { "=>" } else { "  " };
        match text::read_word(addr) {
            Some(Insn(word)) => say!("{mark} {addr:x}: {word:08x}  {}", disasm::at(Insn(word), addr as u64)),
            None => say!("{mark} {addr:x}: not kernel text"),
        }
    }
}

/// An address as `name+0x8/0x80`.
struct Name(u64);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ksyms::by_addr(self.0 as usize) {
            Some(symbol) => write!(f, "{}+{:#x}/{:#x}", symbol.name, self.0 - symbol.start, symbol.size),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

fn print_frame(frame: Frame) {
    match ksyms::by_addr(frame.lookup_pc() as usize) {
        Some(symbol) => {
            let mark = if frame.exact { " (P)" } else { "" };
            say!(" {}+{:#x}/{:#x}{mark}", symbol.name, frame.pc - symbol.start, symbol.size);
        }
        None => say!(" {:#x}", frame.pc),
    }
}

fn trace(fp: u64, exact: bool) {
    let end = unwind::walk(fp, exact, |frame| {
        print_frame(frame);
        true
    });
    match end {
        End::Complete => {}
        End::Corrupt { fp } => say!(" … the frame record at {fp:#x} cannot be true"),
        End::Cut => say!(" …"),
    }
}

/// What a stopped CPU leaves.
struct Stopped {
    done: AtomicBool,
    pid: AtomicU32,
    frames: [AtomicU64; STOPPED_FRAMES],
    len: AtomicUsize,
}

static STOPPED: [Stopped; MAX_CPUS] = [const {
    Stopped {
        done: AtomicBool::new(false),
        pid: AtomicU32::new(0),
        frames: [const { AtomicU64::new(0) }; STOPPED_FRAMES],
        len: AtomicUsize::new(0),
    }
}; MAX_CPUS];

/// The stop message: leaves where this CPU was and halts it.
fn stop(_: u32) {
    leave_state();
    power::halt()
}

fn leave_state() {
    let Some(mine) = STOPPED.get(cpu::id()) else { return };
    mine.pid.store(task::current().pid(), Ordering::Relaxed);
    let mut len = 0;
    unwind::walk(cpu::frame_pointer(), false, |frame| {
        if let Some(slot) = mine.frames.get(len) {
            slot.store(frame.lookup_pc(), Ordering::Relaxed);
            len += 1;
        }
        len < STOPPED_FRAMES
    });
    mine.len.store(len, Ordering::Relaxed);
    mine.done.store(true, Ordering::Release);
}

/// Stops the other CPUs and reports where they were.
fn others() {
    let me = cpu::id();
    let others = || (0..cpu::online()).filter(move |cpu| *cpu != me);
    irq::broadcast_ipi(Ipi::Stop);
    let deadline = timer::ticks() + timer::freq_hz() * STOP_TIMEOUT_MS / 1000;
    while others().any(|cpu| !STOPPED[cpu].done.load(Ordering::Acquire)) && timer::ticks() < deadline {
        cpu::relax();
    }
    for cpu in others() {
        let state = &STOPPED[cpu];
        if !state.done.load(Ordering::Acquire) {
            say!("CPU {cpu} does not answer: it has interrupts masked");
            continue;
        }
        say!("CPU {cpu}: PID {}", state.pid.load(Ordering::Relaxed));
        for frame in &state.frames[..state.len.load(Ordering::Relaxed).min(STOPPED_FRAMES)] {
            say!("  {}", Name(frame.load(Ordering::Relaxed)));
        }
    }
}

/// The exception class in words (ESR_EL1.EC).
fn class(esr: u64) -> &'static str {
    match esr >> 26 & 0x3f {
        0x00 => "undefined instruction",
        0x0d => "branch target exception",
        0x0e => "illegal execution state",
        0x15 => "SVC in the kernel",
        0x18 => "trapped system register",
        0x1c => "pointer authentication failure",
        0x20 | 0x21 => "instruction abort",
        0x22 => "PC alignment",
        0x24 | 0x25 => "data abort",
        0x26 => "SP alignment",
        0x2c => "floating point",
        0x2f => "SError",
        0x30 | 0x31 => "breakpoint",
        0x32 | 0x33 => "software step",
        0x34 | 0x35 => "watchpoint",
        0x3c => "BRK",
        _ => "exception",
    }
}

/// The fault status of an abort in words (ESR_EL1.ISS.{I,D}FSC).
fn fault(esr: u64) -> &'static str {
    match esr & 0x3f {
        0x04..=0x07 => "not mapped",
        0x08..=0x0b => "access flag",
        0x0c..=0x0f => "not permitted",
        0x10 => "no such memory",
        0x21 => "not aligned",
        _ => "abort",
    }
}
