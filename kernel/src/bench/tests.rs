//! The counter counts every instruction once, and a row says what was measured.

use super::bencher::{Bencher, Measured};
use super::{ROOMS, Skip, print_row, reference, run};
use crate::arch::pmu;
use crate::selftest::{Page, Test, TestCtx, TestResult, check, check_eq, skip};
use core::arch::asm;

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "counts_every_instruction", run: counts_every_instruction },
    Test { name: "subtracts_the_loop", run: subtracts_the_loop },
    Test { name: "rounds_to_tenths", run: rounds_to_tenths },
    Test { name: "rows", run: rows },
    Test { name: "names", run: names },
    Test { name: "usage", run: usage },
];

/// Instructions of a piece of assembly, with the readings around it.
macro_rules! count {
    ($($line:literal),* $(, in $value:expr)?) => {{
        let before = pmu::instructions();
        // SAFETY: nothing but NOPs and loops on a register of its own.
        unsafe { asm!($($line,)* "/* {0} */", inout(reg) count!(@ $($value)?) => _, options(nomem, nostack)) };
        pmu::between(before, pmu::instructions())
    }};
    (@) => { 0u64 };
    (@ $value:expr) => { $value };
}

fn counter(t: &mut TestCtx<'_>) -> TestResult {
    pmu::init();
    if !pmu::counts_instructions() {
        skip!("this CPU does not count instructions; QEMU does under -icount");
    }
    // The first reading of all may find the counter's own start.
    check!(t, pmu::instructions() > 0);
    Ok(())
}

fn counts_every_instruction(t: &mut TestCtx<'_>) -> TestResult {
    counter(t)?;
    // The value is set up between the readings too: one instruction, always the same.
    let nothing = count!("", in 5u64);
    check_eq!(t, count!("nop", in 5u64) - nothing, 1);
    check_eq!(t, count!("nop", "nop", "nop", in 5u64) - nothing, 3);
    check_eq!(t, count!(".rept 1000", "nop", ".endr", in 5u64) - nothing, 1000);
    check_eq!(t, count!("2: sub {0}, {0}, #1", "cbnz {0}, 2b", in 5u64) - nothing, 5 * 2);
    check_eq!(t, count!("b 2f", "nop", "2:", in 5u64) - nothing, 1);
    check_eq!(t, count!("yield", "isb", "dsb sy", in 5u64) - nothing, 3);
    Ok(())
}

fn subtracts_the_loop(t: &mut TestCtx<'_>) -> TestResult {
    counter(t)?;
    // SAFETY: a NOP.
    let nop = || unsafe { asm!("nop", options(nomem, nostack, preserves_flags)) };
    let measured = |measure: &dyn Fn(&mut Bencher)| {
        let mut bencher = Bencher::default();
        measure(&mut bencher);
        bencher.measured()
    };
    check_eq!(t, measured(&|b| b.iter(1000, || {})), Measured { ops: 1000, insns: 0 });
    check_eq!(t, measured(&|b| b.iter(1000, nop)), Measured { ops: 1000, insns: 1000 });
    check_eq!(t, measured(&|b| b.iter(0, nop)), Measured { ops: 0, insns: 0 });
    let two_over_one = |b: &mut Bencher| {
        b.iter_over(10, nop, || {
            nop();
            nop();
        });
    };
    check_eq!(t, measured(&two_over_one), Measured { ops: 10, insns: 10 });
    check_eq!(t, measured(&|b| b.record(3, 7)), Measured { ops: 3, insns: 7 });
    let once = measured(&|b| b.once(8, || (0..100).for_each(|_| nop())));
    check!(t, once.ops == 8 && (100..=500).contains(&once.insns), "{once:?}");
    Ok(())
}

fn rounds_to_tenths(t: &mut TestCtx<'_>) -> TestResult {
    for (ops, insns, tenths) in [
        (1, 0, 0),
        (1000, 1000, 10),
        (1000, 1049, 10),
        (1000, 1050, 11),
        (3, 7, 23),
        (0, 5, 50),
        (1, u64::MAX / 10, u64::MAX - 5),
    ] {
        check_eq!(t, Measured { ops, insns }.insns_per_op_tenths(), tenths, "{} in {}", insns, ops);
    }
    Ok(())
}

fn rows(t: &mut TestCtx<'_>) -> TestResult {
    for (name, measured, line) in [
        ("a/b", Ok(Measured { ops: 10, insns: 42 }), "{\"name\":\"a/b\",\"ops\":10,\"insns_per_op\":4.2}\n"),
        (
            "time/trace-clock-local",
            Ok(Measured { ops: 1, insns: 9 }),
            "{\"name\":\"time/trace-clock-local\",\"ops\":1,\"insns_per_op\":9.0,\"linux\":79,\"target\":10}\n",
        ),
        (
            "text/patch-1",
            Ok(Measured { ops: 1, insns: 100 }),
            "{\"name\":\"text/patch-1\",\"ops\":1,\"insns_per_op\":100.0,\"target\":150}\n",
        ),
        (
            "bpf/jit-alu",
            Ok(Measured { ops: 1, insns: 1 }),
            "{\"name\":\"bpf/jit-alu\",\"ops\":1,\"insns_per_op\":1.0,\"linux\":1.4,\"target\":1.1}\n",
        ),
        ("a/b", Err(Skip("why not")), "{\"name\":\"a/b\",\"skip\":\"why not\"}\n"),
    ] {
        let mut page = Page::new();
        check_eq!(t, print_row(&mut page, name, measured), Ok(()));
        check_eq!(t, page.text(), line);
    }
    Ok(())
}

/// Names are unique, of the form that the harness reads, and plain enough for JSON.
fn names(t: &mut TestCtx<'_>) -> TestResult {
    let all = || ROOMS.iter().copied().flatten().map(|b| b.name);
    for name in all() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let formed =
            name.split_once('/').is_some_and(|(m, case)| m.chars().all(plain) && case.chars().all(plain));
        check!(t, formed, "{name}");
        check_eq!(t, all().filter(|other| *other == name).count(), 1, "{}", name);
    }
    for name in reference::names() {
        check_eq!(t, reference::names().filter(|other| *other == name).count(), 1, "{}", name);
    }
    Ok(())
}

fn usage(t: &mut TestCtx<'_>) -> TestResult {
    let (mut out, mut err) = (Page::new(), Page::new());
    check_eq!(t, run(&["no/such-row"], &mut out, &mut err), 2);
    check_eq!(t, run(&["a", "b"], &mut out, &mut err), 2);
    check_eq!(t, out.text(), "");
    check_eq!(t, err.text(), "bench: no row matches no/such-row\nusage: bench [FILTER]\n");
    Ok(())
}
