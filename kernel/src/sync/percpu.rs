//! One copy of a variable for each CPU.
//!
//! ```text
//!   .percpu (the template)        __percpu_areas
//!   ┌──────────┐                  ┌──────────┬──────────┬──────────┬ …
//!   │ NAME     │ ──copied at boot▶│ CPU 0    │ CPU 1    │ CPU 2    │
//!   └──────────┘                  └──────────┴──────────┴──────────┴ …
//!   &NAME + TPIDR_EL1 = this CPU's NAME
//! ```
//!
//! The static itself is only the template: its address names the variable, and nobody reads it after boot.
//! TPIDR_EL1 holds, on each CPU, how far its copy lies from the template (Linux does the same with `__per_cpu_offset`).
//!
//! The copies of one CPU are shared between a task and the interrupts and exceptions that strike it, and other
//! CPUs may look: hence `T: Sync`. An atomic with relaxed order costs no more than a plain variable here.

use super::{Pinned, PreemptGuard};
use crate::arch::MAX_CPUS;
use crate::arch::cpu::{percpu_offset, this_cpu_ptr};

/// A variable of which each CPU has its own copy; made by [`per_cpu!`] alone.
#[repr(transparent)]
pub(crate) struct PerCpu<T>(core::cell::UnsafeCell<T>);

// SAFETY: all that is ever given out is `&T` with `T: Sync`.
unsafe impl<T: Sync> Sync for PerCpu<T> {}

impl<T: Sync> PerCpu<T> {
    /// For [`per_cpu!`].
    #[doc(hidden)]
    pub(crate) const fn template(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// This CPU's copy, for as long as the caller is pinned to the CPU.
    #[inline(always)]
    pub(crate) fn this_cpu<'g>(&'static self, _pinned: &'g impl Pinned) -> &'g T {
        // SAFETY: the copy lies at the template's address plus this CPU's offset, was made at boot and lives for
        // ever; `_pinned` keeps the CPU the same while the reference is used.
        unsafe { &*this_cpu_ptr(self.0.get().cast_const()) }
    }

    /// Runs `f` on this CPU's copy, with preemption held off.
    #[inline(always)]
    pub(crate) fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        let pinned = PreemptGuard::new();
        f(self.this_cpu(&pinned))
    }

    /// The copy of CPU `cpu`.
    #[inline]
    pub(crate) fn on(&'static self, cpu: usize) -> &'static T {
        assert!(cpu < MAX_CPUS, "no CPU {cpu}");
        // SAFETY: there are MAX_CPUS copies, made at boot; they live for ever.
        unsafe { &*self.0.get().cast_const().wrapping_byte_add(percpu_offset(cpu)) }
    }
}

/// Declares per-CPU variables: `per_cpu! { static HITS: AtomicU64 = AtomicU64::new(0); }`.
///
/// The initial value is copied bytewise to each CPU, which every value of a `const` expression allows.
macro_rules! per_cpu {
    ($($(#[$meta:meta])* $vis:vis static $name:ident: $ty:ty = $init:expr;)*) => {$(
        $(#[$meta])*
        #[allow(unsafe_code, reason = "the section holds per-CPU templates and nothing else")]
        #[unsafe(link_section = ".percpu")]
        $vis static $name: $crate::sync::PerCpu<$ty> = $crate::sync::PerCpu::template($init);
    )*};
}
pub(crate) use per_cpu;
