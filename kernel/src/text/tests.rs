//! Transactions: all or none, and no CPU sees a word that is neither old nor new.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use a64::encode::regs::{X9, X30};
use a64::{Insn, encode};

use super::{Patch, PatchError, Transaction, commit, ranges, read_word, slots, slots::Slot};
use crate::arch::{cpu, daif};
use crate::ftrace;
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq, diag, skip};
use crate::task::{self, Prio};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "all_or_none", run: all_or_none },
    Test { name: "refusals", run: refusals },
    Test { name: "sites_are_ready", run: sites_are_ready },
    Test { name: "slots_come_and_go", run: slots_come_and_go },
    Test { name: "flipped_under_load", run: flipped_under_load },
];

/// Two words that may be changed: `add x0, x0, #1`, and it returns.
#[inline(never)]
extern "C" fn victim(x: u64) -> u64 {
    black_box(x) + 1
}

/// A word that is a NOP or a branch behind the next word: both may be changed while they are executed.
#[unsafe(naked)]
extern "C" fn branch_or_not(_x: u64) -> u64 {
    core::arch::naked_asm!("nop", "add x0, x0, #1", "ret")
}

fn at(function: extern "C" fn(u64) -> u64) -> usize {
    function as *const () as usize
}

fn word(addr: usize) -> Insn {
    read_word(addr).unwrap_or(Insn(0))
}

fn all_or_none(t: &mut TestCtx<'_>) -> TestResult {
    let (a, b) = (at(branch_or_not), at(branch_or_not) + 4);
    let (old_a, old_b) = (word(a), word(b));
    let skip_next = encode::b(8).unwrap_or(old_a);
    let mut bad =
        [Patch { addr: a, expected: old_a, new: skip_next }, Patch { addr: b, expected: old_a, new: old_b }];
    check_eq!(t, commit(&mut bad), Err(PatchError::Unexpected { addr: b, expected: old_a, found: old_b }));
    check_eq!(t, (word(a), word(b)), (old_a, old_b));
    let call = black_box(branch_or_not as extern "C" fn(u64) -> u64);
    check_eq!(t, commit(&mut [Patch { addr: a, expected: old_a, new: skip_next }]), Ok(()));
    check_eq!(t, call(1), 1);
    check_eq!(t, commit(&mut [Patch { addr: a, expected: skip_next, new: old_a }]), Ok(()));
    check_eq!(t, call(1), 2);
    Ok(())
}

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    let nop = encode::nop();
    let a = at(victim);
    let old = word(a);
    let one = |addr| commit(&mut [Patch { addr, expected: old, new: nop }]);
    check_eq!(t, one(a + 2), Err(PatchError::NotText { addr: a + 2 }));
    check_eq!(t, one(0x1000), Err(PatchError::NotText { addr: 0x1000 }));
    let data = (&raw const old).addr();
    check_eq!(t, one(data), Err(PatchError::NotText { addr: data }));
    let slot = ranges::Region::Slots.range().start;
    check_eq!(t, one(slot), Err(PatchError::NotText { addr: slot }));
    let mut twice = [Patch { addr: a, expected: old, new: old }; 2];
    check_eq!(t, commit(&mut twice), Err(PatchError::Twice { addr: a }));
    let saved = daif::mask_irq();
    let masked = one(a);
    daif::restore(saved);
    check!(t, cpu::online() == 1 || masked == Err(PatchError::Context));
    let empty = Transaction::with_capacity(0).map(Transaction::commit);
    check_eq!(t, empty, Ok(Ok(())));
    check_eq!(t, word(a), if cpu::online() == 1 { nop } else { old });
    if cpu::online() == 1 {
        check_eq!(t, commit(&mut [Patch { addr: a, expected: nop, new: old }]), Ok(()));
    }
    Ok(())
}

fn sites_are_ready(t: &mut TestCtx<'_>) -> TestResult {
    let count = ftrace::sites().len();
    diag!(t, "{count} patchable entries");
    check!(t, count > 100);
    for site in ftrace::sites() {
        check_eq!(t, site.function % 8, 0);
        check_eq!(t, word(site.function), encode::mov(X9, X30));
        check_eq!(t, word(site.function + 4), encode::nop());
    }
    Ok(())
}

fn slots_come_and_go(t: &mut TestCtx<'_>) -> TestResult {
    // What is freed is freed by a worker, some time after a quiet point.
    let slots::Usage { mut taken, all, .. } = slots::usage();
    for _ in 0..1000 {
        if taken == 0 {
            break;
        }
        task::sleep_ns(1_000_000);
        taken = slots::usage().taken;
    }
    let before = taken;
    let mut slots = Vec::new();
    while let Ok(slot) = Slot::new(encode::nop(), at(victim), slots::End::Branch) {
        slots.push(slot);
        if slots.len() > all {
            break;
        }
    }
    check_eq!(t, slots.len(), all - before);
    check_eq!(t, slots::usage(), slots::Usage { taken: all, limbo: 0, all });
    slots.clear();
    check_eq!(t, slots::usage(), slots::Usage { taken: before, limbo: 0, all });
    Ok(())
}

/// While the other CPUs run a function, one word of it flips between NOP and B; no machine stop, and every result is one
/// of the two.
fn flipped_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const FLIPS: usize = 100;
    if cpu::online() < 2 {
        skip!("needs two CPUs");
    }
    let (stop, calls, wrong) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..cpu::online())
        .filter_map(|on| {
            let (stop, calls, wrong) = (stop.clone(), calls.clone(), wrong.clone());
            let work = Box::new(move || {
                let call = black_box(branch_or_not as extern "C" fn(u64) -> u64);
                while !stop.load(Ordering::Relaxed) {
                    if !matches!(call(7), 7 | 8) {
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
            task::spawn_on("flip", Prio::NORMAL, 1 << on, work).ok()
        })
        .collect();
    let addr = at(branch_or_not);
    let (nop, branch) = (encode::nop(), encode::b(8).unwrap_or(Insn(0)));
    let mut result = Ok(());
    for _ in 0..FLIPS {
        result = result
            .and_then(|()| commit(&mut [Patch { addr, expected: nop, new: branch }]))
            .and_then(|()| commit(&mut [Patch { addr, expected: branch, new: nop }]));
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        // Fails for the running task only.
        let _ = task.join();
    }
    check_eq!(t, result, Ok(()));
    check_eq!(t, wrong.load(Ordering::Relaxed), 0);
    diag!(t, "{} calls over {} changes", calls.load(Ordering::Relaxed), 2 * FLIPS);
    Ok(())
}
