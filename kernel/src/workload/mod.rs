//! Workloads: functions to put probes on, and jobs that keep the kernel busy under them.
//!
//! `work_*` ([`functions`]) are small functions with known arguments and results. `insn_*` ([`insn`]) are one
//! function for each instruction class that a probe could break. `work NAME [ARGS]` calls any of them and prints the
//! result alone on a line, in decimal: a probe that changes a result is seen at once.
//!
//! The jobs ([`jobs`]) keep the rest of the kernel busy, and check what comes of it.
//!
//! ```text
//! # work fib 10
//! 55
//! # work work_sum 1 2 0x10 -n 1000 -c 2
//! 19
//! # work pingpong
//! 2000
//! ```

mod args;
mod events;
mod functions;
mod insn;
mod jobs;
mod livepatch;
mod random;
mod table;
mod tests;

pub(crate) use functions::{
    work_add, work_chain, work_fact, work_fib, work_leaf, work_sleep, work_tail, work_text,
};
pub(crate) use insn::{INSN, InsnWorkload};
pub(crate) use livepatch::init;
pub(crate) use random::Random;
pub(crate) use tests::TESTS;

use crate::task;
use args::{Refusal, number};
use core::fmt::{self, Write};
use jobs::JOBS;
use table::{Found, INSN_TAKES, WORK, call_insn, do_job, find};

/// The arguments that every `insn_*` function is checked with: zero and not, both halves, signs, carries, equal and
/// unequal, so that each conditional goes both ways.
pub(crate) const SAMPLES: &[(u64, u64)] = &[
    (0, 0),
    (1, 2),
    (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210),
    (u64::MAX, 1),
    (1, u64::MAX),
    (1 << 63, u64::MAX),
    (1 << 32, 0x21),
    (0x8000_0021, 1 << 32),
    (0xdead_beef_dead_beef, 0xdead_beef_dead_beef),
];

const STATUS_OK: i32 = 0;
const STATUS_WRONG: i32 = 1;
const STATUS_USAGE: i32 = 2;

/// A command line of `work`, without the options.
struct Command<'a> {
    name: &'a str,
    words: [&'a str; WORDS_MAX],
    len: usize,
    count: u64,
    cpu: Option<u64>,
}

/// Most arguments that a workload can be given.
const WORDS_MAX: usize = args::LIST_MAX;

/// Why a command line is none.
enum BadLine<'a> {
    Usage,
    TooMany,
    Option(&'static str, Refusal<'a>),
}

impl<'a> Command<'a> {
    /// Splits the options off, wherever they stand; `--` ends them.
    fn parse(args: &[&'a str]) -> Result<Self, BadLine<'a>> {
        let mut command = Self { name: "", words: [""; WORDS_MAX], len: 0, count: 1, cpu: None };
        let mut options = true;
        let mut args = args.iter().copied();
        while let Some(arg) = args.next() {
            match arg {
                "--" if options => options = false,
                "-n" if options => command.count = Self::option("-n", args.next())?,
                "-c" if options => command.cpu = Some(Self::option("-c", args.next())?),
                name if command.name.is_empty() => command.name = name,
                word => {
                    *command.words.get_mut(command.len).ok_or(BadLine::TooMany)? = word;
                    command.len += 1;
                }
            }
        }
        if command.name.is_empty() || command.count == 0 { Err(BadLine::Usage) } else { Ok(command) }
    }

    fn option(name: &'static str, value: Option<&'a str>) -> Result<u64, BadLine<'a>> {
        number(value.ok_or(BadLine::Usage)?).map_err(|refusal| BadLine::Option(name, refusal))
    }

    fn words(&self) -> &[&'a str] {
        self.words.get(..self.len).unwrap_or_default()
    }

    /// Calls the workload as often as asked for: its result, or the first that differs from it.
    fn call(&self, found: &Found) -> Result<Result<u64, (u64, u64)>, Refusal<'a>> {
        let once = || match found {
            Found::Work(work) => (work.call)(self.words()),
            Found::Insn(insn) => call_insn(insn, self.words()),
            Found::Job(job) => do_job(job, self.words()),
        };
        let first = once()?;
        for _ in 1..self.count {
            let again = once()?;
            if again != first {
                return Ok(Err((first, again)));
            }
        }
        Ok(Ok(first))
    }
}

/// The program `work NAME [ARGS] [-n COUNT] [-c CPU]`. Status 0: the result was printed; 1: a result was wrong, or differed
/// from the one before; 2: it could not be run as asked for.
pub(crate) fn run(args: &[&str], out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    // What cannot be written is lost with its reader; the status still tells.
    report(args, out, err).unwrap_or(STATUS_WRONG)
}

fn report(args: &[&str], out: &mut dyn Write, err: &mut dyn Write) -> Result<i32, fmt::Error> {
    let command = match Command::parse(args) {
        Ok(command) => command,
        Err(bad) => {
            match bad {
                BadLine::Usage => usage(err)?,
                BadLine::TooMany => writeln!(err, "work: more than {WORDS_MAX} arguments")?,
                BadLine::Option(name, refusal) => writeln!(err, "work: {name}: {refusal}")?,
            }
            return Ok(STATUS_USAGE);
        }
    };
    let Some(found) = find(command.name) else {
        writeln!(err, "work: {}: no such workload", command.name)?;
        usage(err)?;
        return Ok(STATUS_USAGE);
    };
    let Some(_pinned) = Pinned::to(command.cpu) else {
        writeln!(err, "work: -c: no such CPU")?;
        return Ok(STATUS_USAGE);
    };
    match command.call(&found) {
        Ok(Ok(result)) => {
            writeln!(out, "{result}")?;
            Ok(STATUS_OK)
        }
        Ok(Err((first, again))) => {
            writeln!(err, "work: {}: first {first}, then {again}", command.name)?;
            Ok(STATUS_WRONG)
        }
        Err(refusal) => {
            writeln!(err, "work: {}: {refusal}", command.name)?;
            Ok(if matches!(refusal, Refusal::Failed(_)) { STATUS_WRONG } else { STATUS_USAGE })
        }
    }
}

/// Keeps the running task on one CPU until it is dropped.
struct Pinned {
    /// The CPUs it may run on otherwise.
    before: Option<u32>,
}

impl Pinned {
    /// On `cpu`, or wherever it may be; `None` when there is no such CPU.
    fn to(cpu: Option<u64>) -> Option<Self> {
        let Some(cpu) = cpu else { return Some(Self { before: None }) };
        let before = task::current().affinity();
        let mask = 1u32.checked_shl(u32::try_from(cpu).ok()?)?;
        task::current().set_affinity(mask).ok()?;
        Some(Self { before: Some(before) })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // It was allowed before, and no CPU goes away.
            let _ = task::current().set_affinity(before);
        }
    }
}

/// Says what there is.
fn usage(err: &mut dyn Write) -> fmt::Result {
    writeln!(err, "usage: work NAME [ARGS] [-n COUNT] [-c CPU]")?;
    for work in WORK {
        writeln!(err, "  {} {}", work.name, work.takes)?;
    }
    for job in JOBS {
        writeln!(err, "  {} {}, {} if not given", job.name, job.takes(), job.rounds)?;
    }
    write!(err, "  insn_* {INSN_TAKES}, where insn_* is one of")?;
    // Names only in lines that fit a terminal.
    const LINE_BYTES: usize = 96;
    let mut column = LINE_BYTES;
    for insn in INSN {
        if column + insn.name.len() >= LINE_BYTES {
            write!(err, "\n   ")?;
            column = 3;
        }
        write!(err, " {}", insn.name)?;
        column += 1 + insn.name.len();
    }
    writeln!(err)
}
