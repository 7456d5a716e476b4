//! Interrupts between CPUs, and of a CPU by itself.

use super::{Fault, same};
use crate::arch::cpu;
use crate::mm;
use crate::sync::{self, IrqWork, PreemptGuard};
use core::sync::atomic::{AtomicU64, Ordering};

/// How often the work below ran, all users together.
static WORKED: AtomicU64 = AtomicU64::new(0);

/// Work that an interrupt of this CPU does.
static WORK: IrqWork = IrqWork::new(|| {
    WORKED.fetch_add(1, Ordering::Release);
});

pub(super) fn run(rounds: u64) -> Result<u64, Fault> {
    let mask = sync::online_cpus();
    let cpus = u64::from(mask.count_ones());
    let calls = mm::try_arc(AtomicU64::new(0))?;
    let elsewhere = AtomicU64::new(0);
    for round in 0..rounds {
        sync::on_each_cpu(&|| {
            calls.fetch_add(1, Ordering::Relaxed);
        });
        same("calls on each CPU", calls.load(Ordering::Relaxed), (round + 1) * cpus)?;
        // One CPU after the other is called by itself, and it is that one that answers.
        let on = (0..u32::BITS as usize).filter(|cpu| mask >> cpu & 1 == 1).nth((round % cpus) as usize);
        let on = on.unwrap_or(0);
        let here = AtomicU64::new(u64::MAX);
        sync::on_cpu(on, &|| here.store(cpu::id() as u64, Ordering::Relaxed))?;
        if here.load(Ordering::Relaxed) != on as u64 {
            elsewhere.fetch_add(1, Ordering::Relaxed);
        }
        interrupt_self();
    }
    same("calls on the wrong CPU", elsewhere.load(Ordering::Relaxed), 0)?;
    let each = calls.load(Ordering::Relaxed) / cpus;
    same("calls on each CPU", each, expect(rounds))?;
    Ok(each)
}

/// Asks for the work and waits until it was done: by this interrupt, or by that of another user who asked before.
fn interrupt_self() {
    let pinned = PreemptGuard::new();
    let before = WORKED.load(Ordering::Acquire);
    WORK.queue(&pinned);
    drop(pinned);
    while WORKED.load(Ordering::Acquire) == before {
        cpu::relax();
    }
}

pub(super) fn expect(rounds: u64) -> u64 {
    rounds
}
