//! Hooks that change while every CPU calls what they hook.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Count, armed, eventually, fib_calls, one};
use crate::rethook::{Kretprobe, MAX_ACTIVE, arm_all, disarm_all};
use crate::selftest::{Load, TestCtx, TestResult, check, check_eq, diag};
use crate::workload::work_fib;
use crate::{ksyms, task, text};

/// `work_fib(FIB)` is FIB_CALLS calls.
const FIB: u64 = 4;
const FIB_CALLS: u64 = 9;

/// Calls it on every CPU until told to stop.
fn calling() -> Load {
    Load::start(|_| one(work_fib, FIB) == 3)
}

/// While every CPU calls a function, its return probe is armed and disarmed a thousand times. A second one, armed all the
/// while, is told of every return, exactly.
pub(super) fn toggled_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 1000;
    const TURN: usize = 100;
    check_eq!(t, fib_calls(FIB), FIB_CALLS);
    let (steady, toggled) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let counter = armed(t, "work_fib", steady.clone())?;
    let probe = armed(t, "work_fib", toggled.clone())?;
    let load = calling();
    let mut result = Ok(());
    for i in 0..TIMES {
        result = result.and_then(|()| probe.disarm()).and_then(|()| probe.arm());
        // On one CPU the callers run only when they are let.
        if i % TURN == 0 {
            task::yield_now();
        }
    }
    let (turns, wrong) = load.end();
    let calls = turns * FIB_CALLS;
    check_eq!(t, result, Ok(()));
    check_eq!(t, wrong, 0);
    check_eq!(t, steady.exits() + counter.missed_in_all(), calls);
    check_eq!(t, (counter.active(), probe.active()), (0, 0));
    diag!(t, "{calls} calls, {} returns of the toggled probe", toggled.exits());
    check!(t, toggled.exits() > 0 && toggled.exits() <= calls);
    Ok(())
}

/// The same with a probe that is registered and removed, so that hooks are freed while calls name them.
pub(super) fn registered_under_load(t: &mut TestCtx<'_>) -> TestResult {
    const TIMES: usize = 300;
    let steady = Arc::new(Count::default());
    let counter = armed(t, "work_fib", steady.clone())?;
    let load = calling();
    let (mut refused, mut gone) = (None, Vec::new());
    for _ in 0..TIMES {
        let count = Arc::new(Count::default());
        match Kretprobe::register(counter.function() as usize, None, count.clone()) {
            Ok(probe) => refused = refused.or(probe.arm().err()),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
        gone.push(count);
    }
    let (turns, wrong) = load.end();
    let calls = turns * FIB_CALLS;
    check_eq!(t, refused, None);
    check_eq!(t, wrong, 0);
    check_eq!(t, steady.exits() + counter.missed_in_all(), calls);
    check!(t, eventually(|| gone.iter().all(|count| Arc::strong_count(count) == 1)));
    Ok(())
}

/// Every function that can be, of the scheduler, the timers and the interrupt path, while tasks switch and sleep.
pub(super) fn scheduler_and_interrupts(t: &mut TestCtx<'_>) -> TestResult {
    let count = Arc::new(Count::default());
    let mut probes = Vec::new();
    let mut refused = 0;
    let wanted =
        |name: &str| ["task::", "time::", "irq::", "sync::"].iter().any(|room| name.starts_with(room));
    for site in crate::ftrace::sites() {
        if !ksyms::by_addr(site.function).is_some_and(|symbol| wanted(symbol.name)) {
            continue;
        }
        match Kretprobe::register(site.function, Some(MAX_ACTIVE), count.clone()) {
            Ok(probe) => probes.push(probe),
            Err(_) => refused += 1,
        }
    }
    let all: Vec<_> = probes.iter().collect();
    let armed = arm_all(&all);
    let load = calling();
    let busy = eventually(|| count.exits() > 2000);
    let (turns, wrong) = load.end();
    let calls = turns * FIB_CALLS;
    let disarmed = disarm_all(&all);
    check_eq!(t, (armed, disarmed), (Ok(()), Ok(())));
    let missed: u64 = probes.iter().map(Kretprobe::missed_in_all).sum();
    diag!(t, "{} functions, {refused} refused, {} returns, {missed} missed", probes.len(), count.exits());
    check!(t, busy && probes.len() > 50 && calls > 0);
    check_eq!(t, wrong, 0);
    let text = text::ranges::Region::Text;
    check!(t, probes.iter().all(|probe| text.range().contains(&(probe.function() as usize))));
    Ok(())
}
