//! All eight states of a branch; counts; what is refused; flips while every CPU executes the sites.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use a64::encode;
use tracecore::errno::Errno;

use super::key::MAX_COUNT;
use super::{DeferredKey, Refusal, StaticKey, is_site, keys, static_branch_likely, static_branch_unlikely};
use crate::arch::{cpu, daif};
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq, diag, skip};
use crate::task::{self, Prio};
use crate::{sync, text, time};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "eight_states", run: eight_states },
    Test { name: "many_sites", run: many_sites },
    Test { name: "counts", run: counts },
    Test { name: "refusals", run: refusals },
    Test { name: "deferred", run: deferred },
    Test { name: "owners", run: owners },
    Test { name: "flipped_under_load", run: flipped_under_load },
];

static OFF: StaticKey = StaticKey::new("test_off", false);
static ON: StaticKey = StaticKey::new("test_on", true);
static MANY: StaticKey = StaticKey::new("test_many", false);
static COUNTED: StaticKey = StaticKey::new("test_counted", false);
static SLOW: StaticKey = StaticKey::new("test_slow", false);
static SLOWLY: DeferredKey = DeferredKey::new(&SLOW, 20 * time::NS_PER_MS);
static LOAD: StaticKey = StaticKey::new("test_load", false);

#[inline(never)]
fn off_unlikely() -> bool {
    static_branch_unlikely!(OFF)
}

#[inline(never)]
fn off_likely() -> bool {
    static_branch_likely!(OFF)
}

#[inline(never)]
fn on_unlikely() -> bool {
    static_branch_unlikely!(ON)
}

#[inline(never)]
fn on_likely() -> bool {
    static_branch_likely!(ON)
}

/// Is there a NOP at the key's only site with this hint?
fn is_nop(key: &StaticKey, likely: bool) -> Option<bool> {
    let mut sites = key.sites().filter(|site| site.likely == likely);
    let (site, None) = (sites.next()?, sites.next()) else { return None };
    Some(text::read_word(site.code) == Some(encode::nop()))
}

/// Starts × hint × state, each by what the code does and by the word that is there.
fn eight_states(t: &mut TestCtx<'_>) -> TestResult {
    type Row = (&'static StaticKey, bool, fn() -> bool);
    let rows: [Row; 4] = [
        (&OFF, false, off_unlikely),
        (&OFF, true, off_likely),
        (&ON, false, on_unlikely),
        (&ON, true, on_likely),
    ];
    let look = |t: &mut TestCtx<'_>, key: &'static StaticKey, on: bool| -> TestResult {
        check_eq!(t, key.is_enabled(), on, "{}", key.name());
        for (of, likely, branch) in rows {
            if core::ptr::eq(of, key) {
                check_eq!(t, black_box(branch)(), on, "{} likely {likely}", key.name());
                check_eq!(t, is_nop(key, likely), Some(on == likely), "{} likely {likely}", key.name());
            }
        }
        Ok(())
    };
    for key in [&OFF, &ON] {
        let first = key.starts_on();
        look(t, key, first)?;
        for on in [!first, first, !first, first] {
            check_eq!(t, if on { key.enable() } else { key.disable() }, Ok(()));
            look(t, key, on)?;
            // Once more changes nothing.
            check_eq!(t, if on { key.enable() } else { key.disable() }, Ok(()));
            look(t, key, on)?;
        }
    }
    Ok(())
}

/// One bit per site, in functions into which the branch is inlined, with both hints.
#[inline(never)]
fn many() -> u32 {
    let mut bits = u32::from(static_branch_unlikely!(MANY));
    bits |= u32::from(static_branch_likely!(MANY)) << 1;
    bits |= inlined(2) | inlined(3);
    for bit in 4..8 {
        if static_branch_unlikely!(MANY) {
            bits |= 1 << black_box(bit);
        }
    }
    bits
}

#[inline(always)]
fn inlined(bit: u32) -> u32 {
    if static_branch_likely!(MANY) { 1 << bit } else { 0 }
}

fn many_sites(t: &mut TestCtx<'_>) -> TestResult {
    diag!(t, "{} sites", MANY.sites().len());
    check!(t, MANY.sites().len() >= 5);
    check!(t, MANY.sites().is_sorted_by_key(|site| site.code));
    check_eq!(t, many(), 0);
    check_eq!(t, MANY.enable(), Ok(()));
    check_eq!(t, many(), 0xff);
    check_eq!(t, MANY.disable(), Ok(()));
    check_eq!(t, many(), 0);
    Ok(())
}

#[inline(never)]
fn counted() -> bool {
    static_branch_unlikely!(COUNTED)
}

fn counts(t: &mut TestCtx<'_>) -> TestResult {
    for users in 1..=3 {
        check_eq!(t, COUNTED.inc(), Ok(()));
        check_eq!(t, (COUNTED.count(), counted()), (users, true));
    }
    check_eq!(t, COUNTED.enable(), Err(Refusal::Counted(3)));
    check_eq!(t, COUNTED.disable(), Err(Refusal::Counted(3)));
    for users in [2, 1, 0] {
        check_eq!(t, COUNTED.dec(), Ok(()));
        check_eq!(t, (COUNTED.count(), counted()), (users, users > 0));
    }
    Ok(())
}

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    check_eq!(t, COUNTED.dec(), Err(Refusal::Below));
    check_eq!(t, (COUNTED.count(), counted()), (0, false));
    check_eq!(t, COUNTED.inc(), Ok(()));
    COUNTED.count.store(MAX_COUNT, Ordering::Relaxed);
    check_eq!(t, COUNTED.inc(), Err(Refusal::Above));
    check_eq!(t, COUNTED.count(), MAX_COUNT);
    COUNTED.count.store(1, Ordering::Relaxed);
    check_eq!(t, COUNTED.dec(), Ok(()));
    if cpu::online() > 1 {
        let saved = daif::mask_irq();
        let (inc, dec) = (COUNTED.inc(), COUNTED.dec());
        daif::restore(saved);
        check_eq!(t, (inc, dec), (Err(Refusal::Context), Err(Refusal::Context)));
    }
    check_eq!(t, (COUNTED.count(), counted()), (0, false));
    let numbers = [Refusal::Below, Refusal::Above, Refusal::Counted(2), Refusal::Context].map(Refusal::errno);
    check_eq!(t, numbers, [Errno::EINVAL, Errno::EOVERFLOW, Errno::EBUSY, Errno::EWOULDBLOCK]);
    Ok(())
}

#[inline(never)]
fn slow() -> bool {
    static_branch_unlikely!(SLOW)
}

fn deferred(t: &mut TestCtx<'_>) -> TestResult {
    check_eq!(t, SLOWLY.dec(), Err(Refusal::Below));
    // Users come and go; the key stays on, since one count is owed.
    for _ in 0..10 {
        check_eq!(t, SLOWLY.inc(), Ok(()));
        check!(t, slow());
        check_eq!(t, SLOWLY.dec(), Ok(()));
    }
    // What is owed is nobody's to give back. (On a slow host the work may have been done by now.)
    let again = SLOWLY.dec();
    check_eq!(t, again, Err(Refusal::Below));
    for _ in 0..1000 {
        if !SLOW.is_enabled() {
            break;
        }
        task::sleep_ns(10 * time::NS_PER_MS);
    }
    check_eq!(t, (SLOW.count(), SLOWLY.is_owed(), slow()), (0, false, false));
    Ok(())
}

fn owners(t: &mut TestCtx<'_>) -> TestResult {
    check!(t, keys().count() >= 6);
    check_eq!(t, keys().filter(|key| core::ptr::eq(*key, &COUNTED)).count(), 1);
    let Some(site) = COUNTED.sites().next() else {
        skip!("the key has no site");
    };
    check!(t, is_site(site.code) && !is_site(site.code + 2) && !is_site(site.target));
    let owned = text::owner_of(site.code).map(|owned| (owned.original, owned.owner));
    check_eq!(t, owned, Some((encode::nop(), "static key test_counted".into())));
    Ok(())
}

/// 7 or 8; each way by a site of its own.
#[inline(never)]
fn load(x: u64) -> u64 {
    let add = if static_branch_unlikely!(LOAD) { 2 } else { 1 };
    let take = if static_branch_likely!(LOAD) { black_box(x) } else { x };
    take + add - 1
}

/// While every CPU runs two sites, the key is flipped; nothing but the two results is ever seen, and when a flip
/// returns no CPU sees the old one.
fn flipped_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const FLIPS: usize = 50;
    let (stop, calls, wrong) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..cpu::online())
        .filter_map(|on| {
            let (stop, calls, wrong) = (stop.clone(), calls.clone(), wrong.clone());
            let work = Box::new(move || {
                while !stop.load(Ordering::Relaxed) {
                    if !matches!(load(7), 7 | 8) {
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
            task::spawn_on("flip", Prio::NORMAL, 1 << on, work).ok()
        })
        .collect();
    let (mut result, stale) = (Ok(()), AtomicU64::new(0));
    for _ in 0..FLIPS {
        for (want, flip) in [(8, StaticKey::inc as fn(&'static StaticKey) -> _), (7, StaticKey::dec)] {
            result = result.and_then(|()| flip(&LOAD));
            sync::on_each_cpu(&|| {
                if load(7) != want {
                    stale.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        // Fails for the running task only.
        let _ = task.join();
    }
    check_eq!(t, result, Ok(()));
    check_eq!(t, (wrong.load(Ordering::Relaxed), stale.load(Ordering::Relaxed)), (0, 0));
    diag!(t, "{} calls over {} flips on {} CPUs", calls.load(Ordering::Relaxed), 2 * FLIPS, cpu::online());
    Ok(())
}
