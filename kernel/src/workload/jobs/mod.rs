//! Jobs: workloads that keep the scheduler, the files, the allocator, the timers and the interrupts busy.
//!
//! | job | what it does | rounds are |
//! |---|---|---|
//! | `pingpong` | two tasks wake each other in turn | passes |
//! | `hackbench` | many tasks write to many through pipes | messages from each to each |
//! | `files` | a tree of files is written, read, changed and removed, in `/tmp` or elsewhere | trees |
//! | `alloc` | memory of all sizes is taken, filled, checked and given back | blocks |
//! | `timers` | timers run out, or are taken back in time; sleeps end | batches |
//! | `irq` | functions are called on other CPUs, and from interrupts | calls |
//! | `all` | all of it, while each CPU calls every `work_*` and `insn_*` function | repetitions |
//!
//! Everything that moves is checked on the way: bytes that arrive, times that have passed, calls that were made. In
//! the end each job has a number that depends on all of it and on nothing else, the same on any number of CPUs and in
//! any order of events, and a model that computes it without doing the work.

mod all;
mod alloc;
mod files;
mod hackbench;
mod irq;
mod pingpong;
mod timers;

use core::fmt;
use tracecore::errno::Errno;

/// A job in a directory.
pub(super) type RunIn = fn(u64, &str) -> Result<u64, Fault>;

/// A job.
pub(super) struct Job {
    /// What `work` calls it.
    pub(super) name: &'static str,
    /// Rounds when the user does not say.
    pub(super) rounds: u64,
    /// Does it.
    pub(super) run: fn(u64) -> Result<u64, Fault>,
    /// Does it in a directory, if it is about files.
    pub(super) run_in: Option<RunIn>,
    /// What that gives.
    pub(super) expect: fn(u64) -> u64,
}

/// Most rounds of a job.
pub(super) const ROUNDS_MAX: u64 = 10_000_000;

pub(super) const JOBS: &[Job] = &[
    Job { name: "pingpong", rounds: 1000, run: pingpong::run, run_in: None, expect: pingpong::expect },
    Job { name: "hackbench", rounds: 20, run: hackbench::run, run_in: None, expect: hackbench::expect },
    Job { name: "files", rounds: 10, run: files::run, run_in: Some(files::run_in), expect: files::expect },
    Job { name: "alloc", rounds: 2000, run: alloc::run, run_in: None, expect: alloc::expect },
    Job { name: "timers", rounds: 10, run: timers::run, run_in: None, expect: timers::expect },
    Job { name: "irq", rounds: 500, run: irq::run, run_in: None, expect: irq::expect },
    Job { name: "all", rounds: 1, run: all::run, run_in: None, expect: all::expect },
];

/// What stopped a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A service refused.
    Refused(Errno),
    /// Something was not as it must be.
    Wrong {
        /// What.
        what: &'static str,
        /// How it was.
        got: u64,
        /// How it must be.
        want: u64,
    },
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Refused(errno)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(errno) => f.write_str(errno.strerror()),
            Self::Wrong { what, got, want } => write!(f, "{what}: {got}, not {want}"),
        }
    }
}

/// A fault unless both are equal.
fn same(what: &'static str, got: u64, want: u64) -> Result<(), Fault> {
    if got == want { Ok(()) } else { Err(Fault::Wrong { what, got, want }) }
}
