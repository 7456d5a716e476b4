//! Everything at once: a task on each CPU calls every function and checks every result, while the jobs run.

use super::{Fault, JOBS, Job, same};
use crate::mm;
use crate::sync;
use crate::task::{self, Prio, TaskRef};
use crate::workload::random::mix;
use crate::workload::{INSN, SAMPLES, table::WORK};
use ::alloc::boxed::Box;
use ::alloc::sync::Arc;
use ::alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// How often each CPU calls every function, for each round.
const REPEATS: u64 = 20;

/// Rounds of each job, for each round: short enough that all take about as long.
const ROUNDS: &[(&str, u64)] =
    &[("pingpong", 200), ("hackbench", 5), ("files", 2), ("alloc", 500), ("timers", 3), ("irq", 50)];

fn jobs() -> impl Iterator<Item = (&'static Job, u64)> {
    let named = |name: &str| JOBS.iter().find(|job| job.name == name);
    ROUNDS.iter().filter_map(move |(name, rounds)| Some((named(name)?, *rounds)))
}

/// What the task of a CPU has found.
#[derive(Default)]
struct Found {
    wrong: AtomicU64,
    got: AtomicU64,
    want: AtomicU64,
    finished: AtomicU64,
}

impl Found {
    fn check(&self, got: u64, want: u64) {
        if got != want && self.wrong.fetch_add(1, Ordering::Relaxed) == 0 {
            self.got.store(got, Ordering::Relaxed);
            self.want.store(want, Ordering::Relaxed);
        }
    }

    fn functions(&self, rounds: u64) {
        for _ in 0..rounds * REPEATS {
            for work in WORK {
                let (words, want) = work.sample;
                // No sample is refused: the value that no sample gives stands for that.
                self.check((work.call)(words).unwrap_or(u64::MAX), want);
            }
            for insn in INSN {
                for &(a, b) in SAMPLES {
                    if let Some(got) = insn.call(a, b) {
                        self.check(got, (insn.expect)(a, b));
                    }
                }
            }
        }
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}

/// Starts a task on each CPU.
fn start(rounds: u64, found: &Arc<Found>, tasks: &mut Vec<TaskRef>) -> Result<(), Fault> {
    let mask = sync::online_cpus();
    for cpu in (0..u32::BITS).filter(|cpu| mask >> cpu & 1 == 1) {
        let found = found.clone();
        let functions = Box::new(move || found.functions(rounds));
        tasks.push(task::spawn_on("work-all", Prio::NORMAL, 1 << cpu, functions)?);
    }
    Ok(())
}

pub(super) fn run(rounds: u64) -> Result<u64, Fault> {
    let found = mm::try_arc(Found::default())?;
    let mut tasks = Vec::new();
    let mut result = start(rounds, &found, &mut tasks).map(|()| 0);
    for (job, each) in jobs() {
        result = result.and_then(|sum| {
            let got = (job.run)(rounds * each)?;
            same(job.name, got, (job.expect)(rounds * each))?;
            Ok(mix(sum, got))
        });
    }
    let started = tasks.len() as u64;
    for task in tasks {
        task.join()?;
    }
    let sum = result?;
    if found.wrong.load(Ordering::Relaxed) > 0 {
        let (got, want) = (found.got.load(Ordering::Relaxed), found.want.load(Ordering::Relaxed));
        return Err(Fault::Wrong { what: "result of a function", got, want });
    }
    same("tasks that came to their end", found.finished.load(Ordering::Relaxed), started)?;
    Ok(sum)
}

pub(super) fn expect(rounds: u64) -> u64 {
    jobs().fold(0, |sum, (job, each)| mix(sum, (job.expect)(rounds * each)))
}
