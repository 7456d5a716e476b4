//! The interrupt controller, through `arm-gic`: version 3 by default, version 2 when the DTB says so.
//!
//! All interrupts are in the one group that a kernel without a secure world sees. Acknowledge and end are on the path
//! of every interrupt: for version 3 they are two system registers and no lock; version 2 has its CPU interface in
//! memory, banked per CPU, and is reached through a lock that no other CPU holds for long.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use arm_gic::gicv2::{self, GicV2};
use arm_gic::gicv3::{GicCpuInterface, GicV3, SgiTarget, SgiTargetGroup};
use arm_gic::{IntId, InterruptGroup, UniqueMmioPointer};
use spin::mutex::SpinMutex;

use super::mmu::{Yield, phys_to_virt};

/// What the DTB says of the controller: physical addresses of the distributor and of the redistributors (v3) or the
/// CPU interface (v2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Description {
    /// `arm,gic-v3`
    V3 {
        /// Distributor.
        gicd: usize,
        /// First redistributor.
        gicr: usize,
    },
    /// `arm,cortex-a15-gic` and its like
    V2 {
        /// Distributor.
        gicd: usize,
        /// CPU interface.
        gicc: usize,
    },
}

enum Gic {
    V3(GicV3<'static>),
    V2(GicV2<'static>, InterruptGroup),
}

static GIC: SpinMutex<Option<Gic>, Yield> = SpinMutex::new(None);
static IS_V2: AtomicBool = AtomicBool::new(false);

/// The priority of every interrupt, and the mask that lets it through.
const PRIORITY: u8 = 0x80;
const PRIORITY_MASK: u8 = 0xff;
/// First interrupt number that is not private to a CPU.
const FIRST_SPI: u32 = 32;

fn intid(number: u32) -> Option<IntId> {
    match number {
        0..16 => Some(IntId::sgi(number)),
        16..FIRST_SPI => Some(IntId::ppi(number - 16)),
        FIRST_SPI..1020 => Some(IntId::spi(number - FIRST_SPI)),
        _ => None,
    }
}

fn with<T>(f: impl FnOnce(&mut Gic) -> T) -> Option<T> {
    let daif = super::daif::mask_irq();
    let result = GIC.lock().as_mut().map(f);
    super::daif::restore(daif);
    result
}

/// Sets the controller up for `cpus` CPUs, with all interrupts off; the calling CPU is number 0. Says whether it could.
///
/// # Safety
/// The addresses are a GIC's, mapped as device memory in the linear map; called once.
pub(crate) unsafe fn init(description: Description, cpus: usize) -> bool {
    let gic = match description {
        Description::V3 { gicd, gicr } => {
            let gicd = NonNull::new(core::ptr::with_exposed_provenance_mut(phys_to_virt(gicd)));
            let gicr = NonNull::new(core::ptr::with_exposed_provenance_mut(phys_to_virt(gicr)));
            let (Some(gicd), Some(gicr)) = (gicd, gicr) else { return false };
            // SAFETY: the caller's promise.
            let Ok(mut gic) = (unsafe { GicV3::new(UniqueMmioPointer::new(gicd), gicr, cpus) }) else {
                return false;
            };
            gic.setup(0);
            Gic::V3(gic)
        }
        Description::V2 { gicd, gicc } => {
            IS_V2.store(true, Ordering::Relaxed);
            // SAFETY: the caller's promise.
            let mut gic = unsafe {
                GicV2::new(
                    core::ptr::with_exposed_provenance_mut::<gicv2::registers::Gicd>(phys_to_virt(gicd)),
                    core::ptr::with_exposed_provenance_mut::<gicv2::registers::Gicc>(phys_to_virt(gicc)),
                )
            };
            gic.setup();
            let group = if gic.typer().has_security_extension() {
                InterruptGroup::Group1
            } else {
                InterruptGroup::Group0
            };
            Gic::V2(gic, group)
        }
    };
    *GIC.lock() = Some(gic);
    set_priority_mask();
    true
}

fn set_priority_mask() {
    with(|gic| match gic {
        Gic::V3(_) => GicCpuInterface::set_priority_mask(PRIORITY_MASK),
        Gic::V2(gic, _) => gic.set_priority_mask(PRIORITY_MASK),
    });
}

/// Sets up the interface of a secondary CPU, on that CPU.
pub(crate) fn init_cpu(cpu: usize) {
    with(|gic| match gic {
        Gic::V3(gic) => {
            gic.init_cpu(cpu);
            GicCpuInterface::enable_group1(true);
        }
        // The CPU interface's own registers are banked; the distributor's part was done by CPU 0.
        Gic::V2(gic, _) => gic.setup(),
    });
    set_priority_mask();
}

/// Lets interrupt `number` through (for a private one: on CPU `cpu`). Says whether there is such an interrupt.
pub(crate) fn enable(number: u32, cpu: usize) -> bool {
    let Some(id) = intid(number) else { return false };
    with(|gic| match gic {
        Gic::V3(gic) => {
            gic.set_interrupt_priority(id, Some(cpu), PRIORITY).is_ok()
                && gic.enable_interrupt(id, Some(cpu), true).is_ok()
                && (number < FIRST_SPI
                    || gic.distributor().set_routing(id, Some(super::cpu::mpidr_affinity())).is_ok())
        }
        Gic::V2(gic, group) => {
            gic.set_group(id, *group);
            // SGIs of a GICv2 are always on; some models refuse to be told so.
            gic.enable_interrupt(id, true).is_ok() || id.is_sgi()
        }
    })
    .unwrap_or(false)
}

/// An interrupt that was taken and must be ended.
///
/// More than a number: version 2 wants back what it gave, with the sending CPU of a software-generated interrupt.
#[derive(Debug)]
#[must_use]
pub(crate) struct Acknowledged(IntId);

impl Acknowledged {
    /// The interrupt's number.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        // Bits 12:10 of a version 2 acknowledgement are the sending CPU.
        u32::from(self.0) & 0x3ff
    }
}

/// Takes the most urgent pending interrupt of this CPU.
#[inline]
pub(crate) fn acknowledge() -> Option<Acknowledged> {
    if !IS_V2.load(Ordering::Relaxed) {
        return GicCpuInterface::get_and_acknowledge_interrupt(InterruptGroup::Group1).map(Acknowledged);
    }
    match GIC.lock().as_mut() {
        Some(Gic::V2(gic, group)) => gic.get_and_acknowledge_interrupt(*group).map(Acknowledged),
        _ => None,
    }
}

/// Ends an interrupt.
#[inline]
pub(crate) fn end(interrupt: Acknowledged) {
    if !IS_V2.load(Ordering::Relaxed) {
        GicCpuInterface::end_interrupt(interrupt.0, InterruptGroup::Group1);
    } else if let Some(Gic::V2(gic, group)) = GIC.lock().as_mut() {
        gic.end_interrupt(interrupt.0, *group);
    }
}

/// Sends software-generated interrupt `sgi` (0-15) to the CPU with MPIDR affinity `mpidr` and number `cpu`.
pub(crate) fn send_sgi(sgi: u32, mpidr: u64, cpu: usize) {
    let Some(id) = intid(sgi).filter(|id| id.is_sgi()) else { return };
    if !IS_V2.load(Ordering::Relaxed) {
        let target = SgiTarget::List {
            affinity3: (mpidr >> 32) as u8,
            affinity2: (mpidr >> 16) as u8,
            affinity1: (mpidr >> 8) as u8,
            target_list: 1 << (mpidr & 0xf),
        };
        // Other CPUs must see what this one wrote before they are interrupted.
        aarch64_cpu::asm::barrier::dsb(aarch64_cpu::asm::barrier::ISHST);
        // The only error is a number that is no SGI, which was checked.
        let _ = GicCpuInterface::send_sgi(id, target, SgiTargetGroup::CurrentGroup1);
        aarch64_cpu::asm::barrier::isb(aarch64_cpu::asm::barrier::SY);
    } else if cpu < 8 {
        with(|gic| {
            if let Gic::V2(gic, _) = gic {
                let target = gicv2::SgiTarget::List {
                    target_list_filter: gicv2::SgiTargetListFilter::CPUTargetList,
                    target_list: 1 << cpu,
                };
                gic.send_sgi(id, target);
            }
        });
    }
}
