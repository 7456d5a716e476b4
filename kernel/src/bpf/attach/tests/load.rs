//! Under four CPUs: calls = runs + misses for every way to attach, while others come and go on the same hook and the program is
//! replaced.

use alloc::sync::Arc;

use super::{Seen, WAYS, attach, note, program};
use crate::bpf::link;
use crate::selftest::{Load, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::task;

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "every_call_is_accounted_for", run: accounted },
    Test { name: "replaced_under_load", run: replaced },
];

const MS: u64 = 1_000_000;

/// A program that stays, and one that comes and goes.
fn accounted(t: &mut TestCtx<'_>) -> TestResult {
    for (kind, target, hit) in WAYS {
        let on = attach(t, *kind, target, Seen::default())?;
        let hit = *hit;
        let load = Load::start(move |_| {
            hit();
            true
        });
        let (mut others, mut times) = (0, 0);
        let end = crate::time::now_ns() + 60 * MS;
        while crate::time::now_ns() < end {
            let other = attach(t, *kind, target, Seen::default())?;
            task::sleep_ns(MS);
            let runs = other.seen.clone();
            drop(other);
            // When it has returned nobody notes anything.
            others += runs.runs();
            task::sleep_ns(MS / 4);
            check_eq!(t, Arc::strong_count(&runs), 1);
            times += 1;
        }
        let (calls, _) = load.end();
        let (runs, recursion, missed) = on.account();
        diag!(
            t,
            "{}: {calls} calls, {runs} runs, {recursion} + {missed} missed; {times} others, {others} runs",
            kind.name()
        );
        check_eq!(t, (kind, runs + recursion + missed), (kind, calls));
        check!(t, runs > 0 && times > 0);
        check_eq!(t, on.seen.wrong(), 0);
    }
    Ok(())
}

/// Each call runs the old or the new program.
fn replaced(t: &mut TestCtx<'_>) -> TestResult {
    for (kind, target, hit) in WAYS {
        let on = attach(t, *kind, target, Seen::default())?;
        let hit = *hit;
        let load = Load::start(move |_| {
            hit();
            true
        });
        let mut misses = 0;
        for _ in 0..20 {
            let new = program(t, *kind, target, note)?;
            match on.link.replace(&new) {
                Ok(old) => {
                    task::sleep_ns(MS);
                    misses += old.counts().recursion_misses;
                }
                Err(e) => return Err(t.fail(file!(), line!(), format_args!("{e}"))),
            }
        }
        let (calls, _) = load.end();
        let last = on.link.shown().prog.and_then(crate::bpf::prog::by_id);
        misses += last.map_or(0, |last| last.counts().recursion_misses) + on.link.missed();
        check_eq!(t, (kind, on.seen.runs() + misses), (kind, calls));
        check!(t, link::by_id(on.link.id()).is_some());
    }
    Ok(())
}
