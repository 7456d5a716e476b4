//! From ticks of the generic timer to nanoseconds, without a division.
//!
//! ```text
//!   ns = ticks · (10⁹ · 2³² / frequency) / 2³²
//!        ╰──── 64 × 64 → 128 bits: mul, umulh, extr ────╯
//! ```
//!
//! The product has 128 bits, so nothing overflows and no base has to be kept up to date: a time stamp is the
//! counter, one load, and those three instructions. The factor's error is below 2⁻³² / 10 for any counter up
//! to 1 GHz, less than a second in a hundred years; the clock never goes back, since the product is monotonic.

use crate::arch;
use core::sync::atomic::{AtomicU64, Ordering};

const SHIFT: u32 = 32;

/// Nanoseconds per tick, times 2^SHIFT. Until `init` has run: 16, QEMU's `virt` (62.5 MHz).
static NS_PER_TICK: AtomicU64 = AtomicU64::new(16 << SHIFT);
/// Ticks per nanosecond, times 2^SHIFT.
static TICKS_PER_NS: AtomicU64 = AtomicU64::new((1 << SHIFT) / 16);

pub(super) fn init() {
    let hz = u128::from(arch::timer::freq_hz().max(1));
    let ns = u128::from(super::NS_PER_S);
    // A counter below one tick in four seconds would not fit; there is none.
    NS_PER_TICK.store(u64::try_from((ns << SHIFT) / hz).unwrap_or(u64::MAX), Ordering::Relaxed);
    TICKS_PER_NS.store(u64::try_from((hz << SHIFT) / ns).unwrap_or(u64::MAX), Ordering::Relaxed);
}

#[inline(always)]
fn to_ns(ticks: u64) -> u64 {
    ((u128::from(ticks) * u128::from(NS_PER_TICK.load(Ordering::Relaxed))) >> SHIFT) as u64
}

/// Nanoseconds in a tick of the counter, times 2³²: for code that reads the clock by itself.
pub(crate) fn ns_per_tick() -> u64 {
    NS_PER_TICK.load(Ordering::Relaxed)
}

/// The first tick at which `ns` is reached, or one early: whoever wakes too early looks at the clock and waits on.
pub(super) fn to_ticks(ns: u64) -> u64 {
    let ticks = (u128::from(ns) * u128::from(TICKS_PER_NS.load(Ordering::Relaxed))) >> SHIFT;
    u64::try_from(ticks).map_or(u64::MAX, |ticks| ticks.saturating_add(1))
}

/// Nanoseconds since the machine's start. Ordered: what the program did before is done when the clock is read.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    to_ns(arch::timer::ticks())
}

/// [`now_ns`] as a function of C, for those who call it by its address: no frame, since nothing is called.
#[unsafe(naked)]
pub(crate) extern "C" fn now_ns_c(_: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    core::arch::naked_asm!(
        "isb",
        "mrs x9, cntvct_el0",
        "adrp x8, {factor}",
        "ldr x8, [x8, :lo12:{factor}]",
        "mul x10, x8, x9",
        "umulh x8, x8, x9",
        "extr x0, x8, x10, #32",
        "ret",
        factor = sym NS_PER_TICK,
    )
}

const _: () = assert!(SHIFT == 32);

/// The trace clock: as [`now_ns`], but the read is not ordered against its surroundings, which costs a pipeline
/// flush less.
#[inline(always)]
pub(crate) fn local_clock_ns() -> u64 {
    to_ns(arch::timer::ticks_relaxed())
}
