//! The machine: boot, exceptions, interrupts, the clock.

use crate::arch::{cpu, gic};
use crate::bench::{BOOT_INSNS, Bench, BenchResult, Bencher, Skip};
use crate::boot;
use crate::exception::{self, Handled, PtRegs};
use crate::{irq, time};
use core::arch::asm;
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering};

pub(in crate::bench) const BENCHES: &[Bench] = &[
    Bench { name: "boot/to-shell", run: boot_to_shell },
    Bench { name: "exception/brk-roundtrip", run: brk_roundtrip },
    Bench { name: "exception/irq-roundtrip", run: irq_roundtrip },
    Bench { name: "time/trace-clock-local", run: trace_clock },
];

/// Under `-icount shift=0` an instruction takes a nanosecond, and the generic timer ticks at 62.5 MHz.
pub(in crate::bench) const INSNS_PER_TICK: u64 = 16;

/// From reset to the shell's first line: what ran before the counter was started (QEMU's boot loader, `boot.S`) is
/// taken from the generic timer, to 16 instructions; the rest is counted. The boot CPU's alone.
fn boot_to_shell(b: &mut Bencher) -> BenchResult {
    match BOOT_INSNS.load(Ordering::Relaxed) {
        0 => Err(Skip("the boot was not counted")),
        insns => {
            b.record(1, insns);
            Ok(())
        }
    }
}

/// An immediate that nothing else uses.
const BRK_BENCH: u16 = 15;

extern "C" fn skip_brk(regs: &mut PtRegs) -> Handled {
    regs.set_pc(regs.pc() + 4);
    Handled::Yes
}

/// BRK, an empty hook, and back behind it.
fn brk_roundtrip(b: &mut Bencher) -> BenchResult {
    // A second run finds its own hook there.
    let _ = exception::register_brk(BRK_BENCH, skip_brk);
    // SAFETY: the hook steps over the instruction and changes nothing else.
    b.iter(1000, || unsafe { asm!("brk #{}", const BRK_BENCH, options(nostack, preserves_flags)) });
    Ok(())
}

/// A software-generated interrupt that no message between CPUs uses.
const SGI_BENCH: u32 = 14;

/// How many of them came.
static SGIS: AtomicU32 = AtomicU32::new(0);

/// This CPU interrupts itself: sending, entry, the controller, an empty handler, and return.
fn irq_roundtrip(b: &mut Bencher) -> BenchResult {
    let _ = irq::register(SGI_BENCH, "Benchmark interrupts", |_| {
        SGIS.fetch_add(1, Ordering::Relaxed);
    });
    irq::enable(SGI_BENCH).map_err(|_| Skip("the interrupt cannot be enabled"))?;
    let this = cpu::id();
    let mpidr = boot::info().cpus().get(this).copied().ok_or(Skip("this CPU has no number"))?;
    b.iter(1000, || {
        let before = SGIS.load(Ordering::Relaxed);
        gic::send_sgi(SGI_BENCH, mpidr, this);
        while SGIS.load(Ordering::Relaxed) == before {
            cpu::relax();
        }
    });
    Ok(())
}

/// One time stamp, as a record gets it.
fn trace_clock(b: &mut Bencher) -> BenchResult {
    b.iter(1000, || {
        black_box(time::local_clock_ns());
    });
    Ok(())
}
