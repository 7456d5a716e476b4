//! What the lowest floor promises: exceptions, their slots, and the chain of frames through them.

use core::arch::asm;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{Test, TestCtx, TestResult, check, check_eq};
use crate::arch::{cpu, daif, mmu, probe_read};
use crate::exception::{self, DebugClass, Handled, PtRegs, SlotTaken};
use crate::sync::IrqGuard;
use crate::unwind::{self, End};
use crate::{boot, ksyms};

/// The tests of the machine.
pub(super) const TESTS: &[Test] = &[
    Test { name: "brk_saves_everything", run: brk_saves_everything },
    Test { name: "slots_have_one_owner", run: slots_have_one_owner },
    Test { name: "backtrace_crosses_an_exception", run: backtrace_crosses_an_exception },
    Test { name: "corrupt_frames_end_a_backtrace", run: corrupt_frames_end_a_backtrace },
    Test { name: "hardware_breakpoint", run: hardware_breakpoint },
    Test { name: "hardware_watchpoint", run: hardware_watchpoint },
    Test { name: "software_step", run: software_step },
    Test { name: "bad_reads_are_faults", run: bad_reads_are_faults },
    Test { name: "rights_of_the_image", run: rights_of_the_image },
];

/// An immediate that only these tests use.
const BRK: u16 = 14;
static SEEN: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
static FRAMES: AtomicUsize = AtomicUsize::new(0);
static NAMES: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

extern "C" fn hook(regs: &mut PtRegs) -> Handled {
    let x = regs.user().x;
    for (seen, value) in SEEN.iter().zip([x[3], x[17], x[28], regs.pstate() >> 28 & 0xf]) {
        seen.store(value, Ordering::Relaxed);
    }
    let mut frames = 0;
    unwind::walk(regs.frame_address(), true, |frame| {
        if let Some(slot) = NAMES.get(frames) {
            slot.store(frame.lookup_pc(), Ordering::Relaxed);
        }
        frames += 1;
        true
    });
    FRAMES.store(frames, Ordering::Relaxed);
    regs.user_mut().x[3] = 33;
    regs.set_pc(regs.pc() + 4);
    Handled::Yes
}

/// BRK with known registers and flags; x3 after it.
#[inline(never)]
fn hit() -> u64 {
    let x3: u64;
    // SAFETY: the hook of this file steps over the BRK and changes x3 alone.
    unsafe {
        asm!(
            "mov x3, #3", "mov x17, #17", "mov x28, #28", "cmp xzr, xzr",
            "brk #{brk}",
            brk = const BRK, out("x3") x3, out("x17") _, out("x28") _,
        );
    }
    x3
}

fn brk_saves_everything(t: &mut TestCtx<'_>) -> TestResult {
    // A second run finds its own hook there.
    let _ = exception::register_brk(BRK, hook);
    check_eq!(t, hit(), 33);
    // cmp of equals: Z and C.
    check_eq!(t, SEEN.each_ref().map(|seen| seen.load(Ordering::Relaxed)), [3, 17, 28, 0b0110]);
    Ok(())
}

fn slots_have_one_owner(t: &mut TestCtx<'_>) -> TestResult {
    let _ = exception::register_brk(BRK, hook);
    check_eq!(t, exception::register_brk(BRK, hook), Err(SlotTaken));
    check_eq!(t, exception::register_brk(exception::BRK_SLOTS as u16, hook), Err(SlotTaken));
    Ok(())
}

fn backtrace_crosses_an_exception(t: &mut TestCtx<'_>) -> TestResult {
    let _ = exception::register_brk(BRK, hook);
    hit();
    let name =
        |i: usize| ksyms::by_addr(NAMES[i].load(Ordering::Relaxed) as usize).map_or("", |symbol| symbol.name);
    check_eq!(t, name(0), "selftest::machine::hit");
    check!(
        t,
        (1..4).any(|i| name(i) == "selftest::machine::backtrace_crosses_an_exception"),
        "{} {} {}",
        name(1),
        name(2),
        name(3)
    );
    check!(t, FRAMES.load(Ordering::Relaxed) > 4);
    Ok(())
}

fn corrupt_frames_end_a_backtrace(t: &mut TestCtx<'_>) -> TestResult {
    let walk = |fp: u64| unwind::walk(fp, false, |_| true);
    check_eq!(t, walk(cpu::frame_pointer()), End::Complete);
    check_eq!(t, walk(8), End::Corrupt { fp: 8 });
    check_eq!(t, walk(cpu::frame_pointer() + 3), End::Corrupt { fp: cpu::frame_pointer() + 3 });
    let code = hit as *const () as u64;
    // A record that points to itself, one that points downwards, one whose return address is no code.
    let mut record = [0, code];
    let at = (&raw mut record).expose_provenance() as u64;
    for (next, pc, end) in [(at, code, at), (at - 64, code, at - 64), (0, 0x1234, at)] {
        black_box(&mut record)[0] = next;
        black_box(&mut record)[1] = pc;
        check_eq!(t, walk(at), End::Corrupt { fp: end });
    }
    Ok(())
}

static BREAKPOINTS: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
extern "C" fn watched(x: u64) -> u64 {
    black_box(x) + 1
}

/// MDSCR_EL1: kernel debug enable, monitor debug events (Arm ARM D19.3.20).
const MDSCR_KDE_MDE: u64 = 1 << 13 | 1 << 15;
/// DBGBCR_EL1: enabled, at EL1, all four bytes (Arm ARM D19.3.2).
const DBGBCR_EL1_WORD: u64 = 1 | 0b01 << 1 | 0xf << 5;

fn hardware_breakpoint(t: &mut TestCtx<'_>) -> TestResult {
    let _ = exception::register_debug(DebugClass::Breakpoint, |_| {
        BREAKPOINTS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: breakpoint 0 is this test's; off again, so that the instruction executes.
        unsafe { asm!("msr dbgbcr0_el1, xzr", "isb", options(nostack, preserves_flags)) };
        Handled::Yes
    });
    check_eq!(t, exception::register_debug(DebugClass::Breakpoint, |_| Handled::No), Err(SlotTaken));
    let before = BREAKPOINTS.load(Ordering::Relaxed);
    let call = black_box(watched as extern "C" fn(u64) -> u64);
    let result = {
        // Debug registers are this CPU's.
        let _here = IrqGuard::new();
        let saved: u64;
        // SAFETY: nobody else uses breakpoint 0; MDSCR_EL1 is put back below.
        unsafe {
            asm!(
                "mrs {saved}, mdscr_el1", "msr dbgbvr0_el1, {at}", "msr dbgbcr0_el1, {control}",
                "orr {new}, {saved}, {enable}", "msr mdscr_el1, {new}", "msr daifclr, #8", "isb",
                saved = out(reg) saved, new = out(reg) _, at = in(reg) watched as *const () as usize,
                control = in(reg) DBGBCR_EL1_WORD, enable = in(reg) MDSCR_KDE_MDE, options(nostack, preserves_flags)
            );
        }
        let result = call(41);
        // SAFETY: as above.
        unsafe {
            asm!("msr mdscr_el1, {saved}", "isb", saved = in(reg) saved, options(nostack, preserves_flags))
        };
        result
    };
    check_eq!(t, result, 42);
    check_eq!(t, BREAKPOINTS.load(Ordering::Relaxed) - before, 1);
    Ok(())
}

static WATCHED: AtomicU64 = AtomicU64::new(0);
static WATCHPOINTS: AtomicU64 = AtomicU64::new(0);

/// DBGWCR_EL1: enabled, at EL1, stores, all eight bytes (Arm ARM D19.3.12).
const DBGWCR_EL1_STORE: u64 = 1 | 0b01 << 1 | 0b10 << 3 | 0xff << 5;

fn hardware_watchpoint(t: &mut TestCtx<'_>) -> TestResult {
    let _ = exception::register_debug(DebugClass::Watchpoint, |_| {
        WATCHPOINTS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: watchpoint 0 is this test's; off again, so that the store executes.
        unsafe { asm!("msr dbgwcr0_el1, xzr", "isb", options(nostack, preserves_flags)) };
        Handled::Yes
    });
    let before = WATCHPOINTS.load(Ordering::Relaxed);
    let read = {
        let _here = IrqGuard::new();
        let saved: u64;
        // SAFETY: nobody else uses watchpoint 0; MDSCR_EL1 is put back below.
        unsafe {
            asm!(
                "mrs {saved}, mdscr_el1", "msr dbgwvr0_el1, {at}", "msr dbgwcr0_el1, {control}",
                "orr {new}, {saved}, {enable}", "msr mdscr_el1, {new}", "msr daifclr, #8", "isb",
                saved = out(reg) saved, new = out(reg) _, at = in(reg) (&raw const WATCHED).addr(),
                control = in(reg) DBGWCR_EL1_STORE, enable = in(reg) MDSCR_KDE_MDE, options(nostack, preserves_flags)
            );
        }
        // A load is none of it.
        let read = WATCHED.load(Ordering::Relaxed);
        WATCHED.store(read + 5, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe {
            asm!("msr mdscr_el1, {saved}", "isb", saved = in(reg) saved, options(nostack, preserves_flags))
        };
        read
    };
    check_eq!(t, WATCHED.load(Ordering::Relaxed), read + 5);
    check_eq!(t, WATCHPOINTS.load(Ordering::Relaxed) - before, 1);
    Ok(())
}

/// An immediate that starts a step.
const BRK_STEP: u16 = 13;
/// PSTATE.SS in an SPSR, and MDSCR_EL1.SS.
const SPSR_SS: u64 = 1 << 21;
const MDSCR_SS: u64 = 1;
static STEPPED_TO: AtomicU64 = AtomicU64::new(0);
static STEP_BRK_AT: AtomicU64 = AtomicU64::new(0);

extern "C" fn begin_step(regs: &mut PtRegs) -> Handled {
    STEP_BRK_AT.store(regs.pc(), Ordering::Relaxed);
    regs.set_pc(regs.pc() + 4);
    regs.set_pstate(regs.pstate() | SPSR_SS);
    // SAFETY: interrupts are masked until the step is done; the step's hook puts MDSCR_EL1 back.
    unsafe {
        asm!("mrs {old}, mdscr_el1", "orr {old}, {old}, {bits}", "msr mdscr_el1, {old}", "isb",
            old = out(reg) _, bits = in(reg) MDSCR_SS | MDSCR_KDE_MDE, options(nostack, preserves_flags));
    }
    Handled::Yes
}

/// One instruction behind a BRK is stepped: the exception comes before the second.
fn software_step(t: &mut TestCtx<'_>) -> TestResult {
    let _ = exception::register_brk(BRK_STEP, begin_step);
    let _ = exception::register_debug(DebugClass::Step, |regs| {
        STEPPED_TO.store(regs.pc(), Ordering::Relaxed);
        regs.set_pstate(regs.pstate() & !SPSR_SS);
        // SAFETY: as above.
        unsafe {
            asm!("mrs {old}, mdscr_el1", "bic {old}, {old}, {bits}", "msr mdscr_el1, {old}", "isb",
                old = out(reg) _, bits = in(reg) MDSCR_SS | MDSCR_KDE_MDE, options(nostack, preserves_flags));
        }
        Handled::Yes
    });
    let counted: u64;
    {
        let _here = IrqGuard::new();
        // SAFETY: the hooks above step over the BRK and change no register.
        unsafe {
            asm!("mov {n}, xzr", "msr daifclr, #8", "brk #{brk}", "add {n}, {n}, #1", "add {n}, {n}, #1",
                n = out(reg) counted, brk = const BRK_STEP, options(nostack));
        }
    }
    check_eq!(t, counted, 2);
    check_eq!(t, STEPPED_TO.load(Ordering::Relaxed), STEP_BRK_AT.load(Ordering::Relaxed) + 8);
    Ok(())
}

fn bad_reads_are_faults(t: &mut TestCtx<'_>) -> TestResult {
    let value = 0x0123_4567_89ab_cdef_u64.to_le_bytes();
    let at = value.as_ptr().expose_provenance() as u64;
    check_eq!(t, probe_read::read_u64(at), Ok(0x0123_4567_89ab_cdef));
    check_eq!(t, probe_read::read_u32(at), Ok(0x89ab_cdef));
    check_eq!(t, probe_read::read_u8(at + 7), Ok(1));
    for bad in [0, 8, 0x0000_ffff_ffff_fff8, 0xffff_7000_0000_0000, u64::MAX - 7, 1 << 55] {
        check_eq!(t, probe_read::read_u64(bad), Err(probe_read::Fault), "{bad:#x}");
    }
    let saved = daif::mask_irq();
    let masked = probe_read::read_u8(0);
    daif::restore(saved);
    check_eq!(t, masked, Err(probe_read::Fault));
    // A range whose end is not there.
    let end = mmu::VMAP_BASE as u64;
    let mut bytes = [0; 16];
    check_eq!(t, probe_read::read(end - 8, &mut bytes), Err(probe_read::Fault));
    Ok(())
}

/// By the MMU's own answer: what may be written at EL1.
fn writable(va: usize) -> bool {
    let par: u64;
    let _here = IrqGuard::new();
    // SAFETY: AT writes PAR_EL1 alone, which nobody else uses while interrupts are masked.
    unsafe {
        asm!("at s1e1w, {}", "isb", "mrs {}, par_el1", in(reg) va, out(reg) par, options(nostack, preserves_flags));
    }
    par & 1 == 0
}

fn rights_of_the_image(t: &mut TestCtx<'_>) -> TestResult {
    static VARIABLE: AtomicU64 = AtomicU64::new(0);
    check!(t, !writable(hit as *const () as usize));
    check!(t, !writable(TESTS.as_ptr().addr()));
    check!(t, writable((&raw const VARIABLE).addr()));
    // The image has no alias in the linear map, and nothing is mapped at null or at the fixmap.
    check!(t, mmu::virt_to_phys(mmu::phys_to_virt(boot::info().image.start)).is_none());
    check!(t, mmu::virt_to_phys(0).is_none());
    check!(t, mmu::virt_to_phys(mmu::FIXMAP).is_none());
    Ok(())
}
