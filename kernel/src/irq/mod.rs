//! Interrupts: who handles which, how often each came, and interrupts between CPUs.
//!
//! A handler is registered by interrupt number, once, and runs with interrupts masked. The first software-generated
//! interrupts are the CPUs' messages to each other ([`Ipi`]).

pub(crate) mod bench;
pub(crate) mod events;
pub(crate) mod selftest;
pub(crate) mod softirq;

use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use tracecore::errno::Errno;

use crate::arch::{MAX_CPUS, cpu, gic};
use crate::boot;
use crate::exception::{self, PtRegs};
use crate::sync::{CpuPin, per_cpu};
use crate::tracepoint::trace;

/// Interrupt numbers with room in the tables: 32 private, 224 shared.
pub(crate) const MAX_IRQS: usize = 256;

/// The first interrupt number that is not software-generated.
const FIRST_PPI: u32 = 16;

/// What one CPU can tell another. The number is the software-generated interrupt's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Ipi {
    /// Look at your run queue.
    Reschedule = 0,
    /// Run the functions queued for you.
    CallFunction = 1,
    /// Stop for good: a CPU has panicked.
    Stop = 2,
    /// Run the work that was queued where nothing could be done.
    IrqWork = 3,
}

impl Ipi {
    /// All of them, by number.
    pub(crate) const ALL: [Self; 4] = [Self::Reschedule, Self::CallFunction, Self::Stop, Self::IrqWork];

    /// What events call it.
    fn reason(self) -> &'static CStr {
        match self {
            Self::Reschedule => c"Rescheduling interrupts",
            Self::CallFunction => c"Function call interrupts",
            Self::Stop => c"CPU stop interrupts",
            Self::IrqWork => c"IRQ work interrupts",
        }
    }

    /// What `/proc/interrupts` calls it: the same.
    pub(crate) fn description(self) -> &'static str {
        self.reason().to_str().unwrap_or_default()
    }
}

/// One interrupt number: its handler, its name, and its count on each CPU.
struct Line {
    handler: AtomicPtr<()>,
    name: spin::once::Once<&'static str, crate::arch::mmu::Yield>,
    counts: [AtomicU32; MAX_CPUS],
}

impl Line {
    const fn new() -> Self {
        Self {
            handler: AtomicPtr::new(core::ptr::null_mut()),
            name: spin::once::Once::new(),
            counts: [const { AtomicU32::new(0) }; MAX_CPUS],
        }
    }
}

static LINES: [Line; MAX_IRQS] = [const { Line::new() }; MAX_IRQS];

/// Interrupts that came with no handler.
static SPURIOUS: AtomicU32 = AtomicU32::new(0);

/// Sets up the controller and takes the interrupt slot. Once, on the boot CPU.
pub(crate) fn init() -> Result<(), Errno> {
    let info = boot::info();
    let description = info.gic.ok_or(Errno::ENODEV)?;
    // SAFETY: the DTB describes it, boot mapped its registers, and this is the only call.
    if !unsafe { gic::init(description, info.cpus().len()) } {
        return Err(Errno::ENODEV);
    }
    exception::set_irq(handle).map_err(|_| Errno::EBUSY)?;
    softirq::init()?;
    enable_ipis();
    Ok(())
}

/// Sets up this secondary CPU's side of the controller.
pub(crate) fn init_cpu() {
    gic::init_cpu(cpu::id());
    enable_ipis();
}

fn enable_ipis() {
    for ipi in Ipi::ALL {
        gic::enable(ipi as u32, cpu::id());
    }
}

/// Hands interrupt `intid` to `handler`, which gets the number. It is not yet enabled.
pub(crate) fn register(intid: u32, name: &'static str, handler: fn(u32)) -> Result<(), Errno> {
    let line = LINES.get(intid as usize).ok_or(Errno::EINVAL)?;
    line.handler
        .compare_exchange(core::ptr::null_mut(), handler as *mut (), Ordering::Release, Ordering::Relaxed)
        .map_err(|_| Errno::EBUSY)?;
    line.name.call_once(|| name);
    Ok(())
}

/// Lets interrupt `intid` through; a private one on this CPU only.
pub(crate) fn enable(intid: u32) -> Result<(), Errno> {
    if gic::enable(intid, cpu::id()) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Hands the CPUs' message `ipi` to `handler`.
pub(crate) fn set_ipi_handler(ipi: Ipi, handler: fn(u32)) -> Result<(), Errno> {
    register(ipi as u32, ipi.description(), handler)
}

/// Interrupts CPU `to`. A CPU that does not run is not interrupted.
pub(crate) fn send_ipi(to: usize, ipi: Ipi) {
    if to < cpu::online()
        && let Some(&mpidr) = boot::info().cpus().get(to)
    {
        trace!(events::ipi_raise(1 << to, ipi.reason()));
        trace!(events::ipi_send_cpu(to, cpu::return_address(), handler_of(ipi)));
        gic::send_sgi(ipi as u32, mpidr, to);
    }
}

/// What a message runs.
fn handler_of(ipi: Ipi) -> *const () {
    LINES.get(ipi as usize).map_or(core::ptr::null(), |line| line.handler.load(Ordering::Relaxed))
}

/// Interrupts every CPU but this one. The caller cannot be migrated.
pub(crate) fn broadcast_ipi(ipi: Ipi) {
    let this = cpu::id();
    for to in (0..cpu::online()).filter(|&to| to != this) {
        send_ipi(to, ipi);
    }
}

/// The function that interrupts come in by, for those who trace.
pub(crate) fn entry() -> usize {
    (handle as fn(&mut PtRegs) as *const ()).addr()
}

per_cpu! {
    /// What this CPU's innermost interrupt has interrupted.
    static INTERRUPTED: AtomicPtr<PtRegs> = AtomicPtr::new(core::ptr::null_mut());
}

/// Shows `f` the registers that the present interrupt has found; not where there is none.
pub(crate) fn interrupted<R>(pin: &CpuPin, f: impl FnOnce(&PtRegs) -> R) -> Option<R> {
    // SAFETY: `handle` puts a pointer there while it has what it points to; interrupts are masked until it takes it away.
    unsafe { INTERRUPTED.this_cpu(pin).load(Ordering::Relaxed).as_ref() }.map(f)
}

/// The interrupt slot of `exception`: takes what is pending, one after the other.
fn handle(regs: &mut PtRegs) {
    let this = cpu::id();
    // SAFETY: interrupts are masked.
    let pin = unsafe { CpuPin::assume() };
    // They do not nest: a handler runs with interrupts masked.
    INTERRUPTED.this_cpu(&pin).store(regs, Ordering::Relaxed);
    while let Some(interrupt) = gic::acknowledge() {
        let number = interrupt.number();
        let line = LINES.get(number as usize);
        let handler = line.map_or(core::ptr::null_mut(), |line| {
            if let Some(count) = line.counts.get(this) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            line.handler.load(Ordering::Acquire)
        });
        // A message is ended before it is handled: its handler may wait for another one (a stopped CPU sleeps until the
        // next), which the controller holds back while this one is active. Interrupts stay masked.
        let interrupt = if number < FIRST_PPI {
            gic::end(interrupt);
            None
        } else {
            Some(interrupt)
        };
        if handler.is_null() {
            SPURIOUS.fetch_add(1, Ordering::Relaxed);
        } else {
            let message = if interrupt.is_none() { Ipi::ALL.get(number as usize) } else { None };
            match message {
                Some(ipi) => trace!(events::ipi_entry(ipi.reason())),
                None => {
                    let name = || line.and_then(|line| line.name.get()).copied().unwrap_or_default();
                    trace!(events::irq_handler_entry(number, name()));
                }
            }
            // SAFETY: `register` alone fills the slot, with a function of this type.
            unsafe { core::mem::transmute::<*mut (), fn(u32)>(handler)(number) };
            match message {
                Some(ipi) => trace!(events::ipi_exit(ipi.reason())),
                None => trace!(events::irq_handler_exit(number, true)),
            }
        }
        if let Some(interrupt) = interrupt {
            gic::end(interrupt);
        }
    }
    INTERRUPTED.this_cpu(&pin).store(core::ptr::null_mut(), Ordering::Relaxed);
}

/// How often interrupt `intid` came on CPU `cpu`.
pub(crate) fn count(intid: u32, cpu: usize) -> u32 {
    LINES
        .get(intid as usize)
        .and_then(|line| line.counts.get(cpu))
        .map_or(0, |count| count.load(Ordering::Relaxed))
}

/// The registered interrupts: number and name.
pub(crate) fn lines() -> impl Iterator<Item = (u32, &'static str)> {
    LINES.iter().zip(0..).filter_map(|(line, number)| Some((number, *line.name.get()?)))
}

/// Interrupts that came with no handler.
pub(crate) fn spurious() -> u32 {
    SPURIOUS.load(Ordering::Relaxed)
}
