//! Tasks that call something on every CPU while a test changes what lies under them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::arch::cpu;
use crate::task::{self, Prio};

/// The tasks, until told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    turns: Arc<AtomicU64>,
    wrong: Arc<AtomicU64>,
    tasks: Vec<task::TaskRef>,
}

impl Load {
    /// Starts a task on each CPU that does `turn(0)`, `turn(1)`, …, each of which says whether its result was right.
    pub(crate) fn start(turn: impl Fn(u64) -> bool + Clone + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (turns, wrong) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let spawn = |on: usize| {
            let (stop, turns, wrong) = (Arc::clone(&stop), Arc::clone(&turns), Arc::clone(&wrong));
            let turn = turn.clone();
            let work = move || {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    if !turn(n) {
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                    n += 1;
                }
                turns.fetch_add(n, Ordering::Relaxed);
            };
            task::spawn_on("load", Prio::NORMAL, 1 << on, Box::new(work)).ok()
        };
        let tasks = (0..cpu::online()).filter_map(spawn).collect();
        Self { stop, turns, wrong, tasks }
    }

    /// Ends the tasks: turns done, and how many were wrong.
    pub(crate) fn end(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        for task in &self.tasks {
            // Fails for the running task only.
            let _ = task.join();
        }
        (self.turns.load(Ordering::Relaxed), self.wrong.load(Ordering::Relaxed))
    }
}
