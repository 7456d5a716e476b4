//! Every workload gives the result it must, and has the form that probes rely on.

use super::args::{List, Refusal, Text, number};
use super::functions::{CHAIN_LINKS, work_tail, work_tail_end};
use super::jobs::JOBS;
use super::{INSN, SAMPLES, WORK, run};
use crate::selftest::{Page, Test, TestCtx, TestResult, check, check_eq, diag};
use crate::task::{self, Prio};

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "functions", run: functions },
    Test { name: "instructions", run: instructions },
    Test { name: "instruction_sizes", run: instruction_sizes },
    Test { name: "tail_call", run: tail_call },
    Test { name: "jobs", run: jobs },
    Test { name: "everything_on_every_cpu", run: everything },
    Test { name: "numbers", run: numbers },
    Test { name: "limits", run: limits },
    Test { name: "command", run: command },
];

fn functions(t: &mut TestCtx<'_>) -> TestResult {
    for work in WORK {
        let (words, result) = work.sample;
        check_eq!(t, (work.call)(words), Ok(result), "{}", work.name);
    }
    let chain = super::find("chain").map(|found| match found {
        super::Found::Work(work) => (work.call)(&["8"]),
        _ => Err(Refusal::TooLong),
    });
    check_eq!(t, chain, Some(Ok(CHAIN_LINKS * (CHAIN_LINKS + 1) / 2)));
    Ok(())
}

/// All results of all functions are looked at before the test fails: a list says more than its first line.
fn instructions(t: &mut TestCtx<'_>) -> TestResult {
    let mut wrong = 0;
    for insn in INSN {
        for &(a, b) in SAMPLES {
            let want = (insn.expect)(a, b);
            match insn.call(a, b) {
                Some(got) if got != want => {
                    diag!(t, "{}({a:#x}, {b:#x}) is {got:#x}, not {want:#x}", insn.name);
                    wrong += 1;
                }
                Some(_) => {}
                None => {
                    diag!(t, "{}: not on this CPU", insn.name);
                    break;
                }
            }
        }
    }
    check_eq!(t, wrong, 0);
    Ok(())
}

fn instruction_sizes(t: &mut TestCtx<'_>) -> TestResult {
    let mut previous_end = 0;
    for insn in INSN {
        let (addr, len) = (insn.addr(), insn.len_bytes());
        check!(t, insn.name.starts_with("insn_"));
        check_eq!(t, addr % 4, 0, "{}", insn.name);
        check!(t, len >= 8 && len.is_multiple_of(4), "{}: {len} bytes", insn.name);
        check!(t, addr >= previous_end, "{} lies within the one before", insn.name);
        previous_end = addr + len;
    }
    Ok(())
}

/// A64 branches (Arm ARM C4.1.93): `b` and `bl` with their 26-bit offsets in words, and `ret`.
const OP26: u32 = 0xfc00_0000;
const B: u32 = 0x1400_0000;
const BL: u32 = 0x9400_0000;
const RET: u32 = 0xd65f_03c0;

fn tail_call(t: &mut TestCtx<'_>) -> TestResult {
    /// So far at most is the end of the function: it is a handful of instructions.
    const WORDS_MAX: usize = 24;
    let entry = work_tail as *const () as usize;
    for addr in (entry..entry + 4 * WORDS_MAX).step_by(4) {
        let word = text_word(addr);
        check!(t, word != RET && word & OP26 != BL, "{word:#010x} at {addr:#x}");
        if word & OP26 == B {
            // The offset counts words: sign-extended from 26 bits, times four.
            let target = addr.wrapping_add_signed((((word << 6) as i32) >> 4) as isize);
            check_eq!(t, target, work_tail_end as *const () as usize);
            return Ok(());
        }
    }
    check!(t, false, "no branch in work_tail");
    Ok(())
}

fn text_word(addr: usize) -> u32 {
    // SAFETY: the address lies in work_tail or shortly behind it, where other functions lie.
    unsafe { core::ptr::with_exposed_provenance::<u32>(addr).read_volatile() }
}

/// Each job with few rounds, none at all, and in several tasks at the same time.
fn jobs(t: &mut TestCtx<'_>) -> TestResult {
    for job in JOBS.iter().filter(|job| job.name != "all") {
        for rounds in [0, 1, 7] {
            check_eq!(t, (job.run)(rounds), Ok((job.expect)(rounds)), "{} {}", job.name, rounds);
        }
        check!(t, (job.expect)(7) != (job.expect)(6), "{}: the rounds do not show", job.name);
        let wrong = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..3)
            .filter_map(|_| {
                let wrong = wrong.clone();
                let body = move || {
                    if (job.run)(3) != Ok((job.expect)(3)) {
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                };
                task::spawn("work-test", Prio::NORMAL, Box::new(body)).ok()
            })
            .collect();
        check_eq!(t, tasks.len(), 3);
        for task in tasks {
            check_eq!(t, task.join(), Ok(0));
        }
        check_eq!(t, wrong.load(Ordering::Relaxed), 0, "{}", job.name);
    }
    Ok(())
}

fn everything(t: &mut TestCtx<'_>) -> TestResult {
    let all = JOBS.iter().find(|job| job.name == "all");
    check_eq!(t, all.map(|job| (job.run)(1)), all.map(|job| Ok((job.expect)(1))));
    check!(t, all.is_some());
    Ok(())
}

fn numbers(t: &mut TestCtx<'_>) -> TestResult {
    for (word, value) in [
        ("0", 0),
        ("42", 42),
        ("0x2A", 42),
        ("0XfF", 255),
        ("-1", u64::MAX),
        ("-0x8000000000000000", 1 << 63),
        ("18446744073709551615", u64::MAX),
    ] {
        check_eq!(t, number(word), Ok(value), "{}", word);
    }
    for word in
        ["", "-", "0x", "x", "4x", "+4", "0x+4", "--4", "18446744073709551616", "-9223372036854775809"]
    {
        check_eq!(t, number(word), Err(Refusal::NotANumber(word)), "{}", word);
    }
    Ok(())
}

fn limits(t: &mut TestCtx<'_>) -> TestResult {
    let many = ["1"; super::args::LIST_MAX + 1];
    check!(t, List::parse(&many).is_err());
    check_eq!(t, List::parse(&many[1..]).map(|list| list.values().len()), Ok(super::args::LIST_MAX));
    let long = [b'x'; super::args::TEXT_BYTES_MAX + 1];
    let long = str::from_utf8(&long).unwrap_or_default();
    check!(t, Text::parse(long).is_err());
    check_eq!(t, Text::parse(&long[1..]).map(|text| text.as_c_str().count_bytes()), Ok(255));
    check!(t, Text::parse("a\0b").is_err());
    Ok(())
}

fn command(t: &mut TestCtx<'_>) -> TestResult {
    for (line, status, printed, said) in [
        (&["fib", "10"][..], 0, "55\n", ""),
        (&["work_fib", "10"], 0, "55\n", ""),
        (&["-n", "100", "add", "2", "40"], 0, "42\n", ""),
        (&["add", "2", "40", "-n", "3"], 0, "42\n", ""),
        (&["sum"], 0, "0\n", ""),
        (&["strlen", "--", "-n"], 0, "2\n", ""),
        (&["insn_ret", "40", "2"], 0, "42\n", ""),
        (&["insn_ret"], 0, "0\n", ""),
        (&["add", "2", "40", "-c", "0"], 0, "42\n", ""),
        (&["add", "2", "40", "-c", "31"], 2, "", "work: -c: no such CPU\n"),
        (&["add", "2", "40", "-c", "32"], 2, "", "work: -c: no such CPU\n"),
        (&["add", "2", "40", "-c", "x"], 2, "", "work: -c: x: not a number"),
        (&["add", "2", "40", "-c"], 2, "", "usage: work"),
        (&["pingpong", "10"], 0, "20\n", ""),
        (&["timers", "1", "-n", "2"], 0, "16\n", ""),
        (&["pingpong", "1", "2"], 2, "", "work: pingpong: takes [ROUNDS]\n"),
        (&["pingpong", "10000001"], 2, "", "work: pingpong: at most 10000000\n"),
        (&["sleep", "1"], 0, "0\n", ""),
        (&["add", "2"], 2, "", "work: add: takes A B\n"),
        (&["add", "2", "x"], 2, "", "work: add: x: not a number"),
        (&["leaf", "1"], 2, "", "work: leaf: takes no arguments\n"),
        (&["fib", "41"], 2, "", "work: fib: at most 40\n"),
        (&["nothing"], 2, "", "work: nothing: no such workload\n"),
        (&["add", "1", "2", "-n"], 2, "", "usage: work"),
        (&["add", "1", "2", "-n", "0"], 2, "", "usage: work"),
        (&["add", "1", "2", "-n", "x"], 2, "", "work: -n: x: not a number"),
        (&[], 2, "", "usage: work"),
    ] {
        let (mut out, mut err) = (Page::new(), Page::new());
        check_eq!(t, run(line, &mut out, &mut err), status, "{:?}", line);
        check_eq!(t, out.text(), printed, "{:?}", line);
        check!(
            t,
            err.text().starts_with(said) && err.text().is_empty() == said.is_empty(),
            "{line:?}: {}",
            err.text()
        );
    }
    Ok(())
}
