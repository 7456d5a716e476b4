//! What `work NAME` can run: each workload with its arguments, its call and its model.

use super::args::{List, Refusal, Text, at_most, number, numbers};
use super::functions as f;
use super::insn::{INSN, InsnWorkload};
use super::jobs::{Fault, JOBS, Job, ROUNDS_MAX};
use core::hint::black_box;

/// A workload that takes words and gives a number.
pub(super) struct Workload {
    /// The symbol of the function that is called.
    pub(super) name: &'static str,
    /// Its arguments, for the user.
    pub(super) takes: &'static str,
    /// Calls it.
    pub(super) call: for<'a> fn(&[&'a str]) -> Result<u64, Refusal<'a>>,
    /// What it must return for the words of `sample`.
    pub(super) sample: (&'static [&'static str], u64),
}

/// Largest argument of `work_fib`: its calls grow as the result does.
const FIB_MAX: u64 = 40;
/// Largest argument of `work_fact` and `work_chain`: so many frames fit into a kernel stack many times.
const DEPTH_MAX: u64 = 128;
/// Largest argument of `work_spin`, which nothing interrupts: some seconds.
const SPIN_MAX: u64 = 10_000_000_000;
/// Largest argument of `work_sleep`: a day.
const SLEEP_MAX_MS: u64 = 86_400_000;

const ONE: &str = "N";
const TWO: &str = "A B";
const EIGHT: &str = "A B C D E F G H";
const ITEM: &str = "ID LEN DELTA NAME";
const LIST: &str = "[N]...";
const TEXT: &str = "TEXT";

// Each call goes through a pointer that the optimiser knows nothing about: a result that it could foresee would be
// no call at all.
type One = extern "C" fn(u64) -> u64;
type Two = extern "C" fn(u64, u64) -> u64;

pub(super) const WORK: &[Workload] = &[
    Workload { name: "work_add", takes: TWO, call: add, sample: (&["2", "40"], 42) },
    Workload { name: "work_fib", takes: ONE, call: fib, sample: (&["15"], 610) },
    Workload { name: "work_fact", takes: ONE, call: fact, sample: (&["20"], 2_432_902_008_176_640_000) },
    Workload { name: "work_sum", takes: LIST, call: sum, sample: (&["1", "0x10", "300", "-2"], 315) },
    Workload { name: "work_strlen", takes: TEXT, call: strlen, sample: (&["trapline"], 8) },
    Workload {
        name: "work_args8",
        takes: EIGHT,
        call: args8,
        sample: (&["1", "20", "300", "4000", "50000", "600000", "7000000", "80000000"], 87_654_321),
    },
    Workload {
        name: "work_struct",
        takes: ITEM,
        call: item,
        sample: (&["1000", "200", "-30", "four"], 1174),
    },
    Workload { name: "work_key", takes: ONE, call: key, sample: (&["6"], 6) },
    Workload { name: "work_text", takes: ONE, call: text, sample: (&["0"], 0) },
    Workload { name: "work_leaf", takes: "", call: leaf, sample: (&[], f::LEAF) },
    Workload { name: "work_chain", takes: ONE, call: chain, sample: (&["19"], 2 * 36 + 6) },
    Workload { name: "work_tail", takes: ONE, call: tail, sample: (&["40"], 42) },
    Workload { name: "work_sleep", takes: ONE, call: sleep, sample: (&["1"], 0) },
    Workload { name: "work_spin", takes: ONE, call: spin, sample: (&["1000"], 1000) },
];

fn add<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    let [a, b] = numbers(words, TWO)?;
    Ok(black_box(f::work_add as Two)(a, b))
}

fn key<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    let [n] = numbers(words, ONE)?;
    Ok(black_box(f::work_key as One)(n))
}

fn fib<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    Ok(black_box(f::work_fib as One)(at_most(words, ONE, FIB_MAX)?))
}

fn fact<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    Ok(black_box(f::work_fact as One)(at_most(words, ONE, DEPTH_MAX)?))
}

fn sum<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    Ok(f::sum(List::parse(words)?.values()))
}

fn strlen<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    let [word] = words else { return Err(Refusal::Usage(TEXT)) };
    Ok(f::strlen(Text::parse(word)?.as_c_str()))
}

fn args8<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    let [a, b, c, d, e, g, h, i] = numbers(words, EIGHT)?;
    type Eight = extern "C" fn(u64, u64, u64, u64, u64, u64, u64, u64) -> u64;
    Ok(black_box(f::work_args8 as Eight)(a, b, c, d, e, g, h, i))
}

fn item<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    let [id, len, delta, name] = words else { return Err(Refusal::Usage(ITEM)) };
    let too_large = |word| move |_| Refusal::NotANumber(word);
    let len_value = u32::try_from(number(len)?).map_err(too_large(*len))?;
    let delta_value = i32::try_from(number(delta)? as i64).map_err(too_large(*delta))?;
    Ok(f::item(number(id)?, len_value, delta_value, Text::parse(name)?.as_c_str()))
}

fn text<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    let [address] = numbers(words, ONE)?;
    Ok(black_box(f::work_text as One)(address))
}

fn leaf<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    let [] = numbers(words, "")?;
    Ok(black_box(f::work_leaf as extern "C" fn() -> u64)())
}

fn chain<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    Ok(black_box(f::work_chain as One)(at_most(words, ONE, DEPTH_MAX)?))
}

fn tail<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    let [n] = numbers(words, ONE)?;
    Ok(black_box(f::work_tail as One)(n))
}

fn spin<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    Ok(black_box(f::work_spin as One)(at_most(words, ONE, SPIN_MAX)?))
}

fn sleep<'a>(words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    Ok(black_box(f::work_sleep as One)(at_most(words, ONE, SLEEP_MAX_MS)?))
}

/// What an `insn_*` function takes, for the user: an argument that is not given is 0.
pub(super) const INSN_TAKES: &str = "[A [B]]";

/// Calls an `insn_*` function.
pub(super) fn call_insn<'a>(insn: &InsnWorkload, words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    let [a, b] = match words {
        [] => [0, 0],
        [a] => [number(a)?, 0],
        _ => numbers(words, INSN_TAKES)?,
    };
    insn.call(a, b).ok_or(Refusal::NotOnThisCpu)
}

/// What a job takes, for the user.
pub(super) const JOB_TAKES: &str = "[ROUNDS]";
/// What one takes that can be done in any directory.
pub(super) const JOB_IN_TAKES: &str = "[ROUNDS [DIR]]";

impl Job {
    /// What it takes.
    pub(super) fn takes(&self) -> &'static str {
        if self.run_in.is_some() { JOB_IN_TAKES } else { JOB_TAKES }
    }
}

/// Does a job and checks what comes of it.
pub(super) fn do_job<'a>(job: &Job, words: &[&'a str]) -> Result<u64, Refusal<'a>> {
    let (words, dir) = match (words, job.run_in) {
        ([rounds, dir], Some(run_in)) => (core::slice::from_ref(rounds), Some((run_in, *dir))),
        _ => (words, None),
    };
    let rounds = if words.is_empty() { job.rounds } else { at_most(words, job.takes(), ROUNDS_MAX)? };
    let got = match dir {
        Some((run_in, dir)) => run_in(rounds, dir),
        None => (job.run)(rounds),
    }
    .map_err(Refusal::Failed)?;
    let want = (job.expect)(rounds);
    if got == want { Ok(got) } else { Err(Refusal::Failed(Fault::Wrong { what: "result", got, want })) }
}

/// What the name means.
pub(super) enum Found {
    /// A `work_*` function.
    Work(&'static Workload),
    /// An `insn_*` function.
    Insn(&'static InsnWorkload),
    /// A job.
    Job(&'static Job),
}

/// Finds a job by its name, or a function by its symbol or by what follows `work_` in it.
pub(super) fn find(name: &str) -> Option<Found> {
    let is_named = |w: &&Workload| w.name == name || w.name.strip_prefix("work_") == Some(name);
    let work = || WORK.iter().find(is_named).map(Found::Work);
    let insn = || INSN.iter().find(|i| i.name == name).map(Found::Insn);
    let job = || JOBS.iter().find(|j| j.name == name).map(Found::Job);
    work().or_else(insn).or_else(job)
}
