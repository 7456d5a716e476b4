//! Tests of the runner itself: it runs a small report of its own into memory.

use super::{
    Counts, Group, Page, Stop, Test, TestCtx, TestResult, check, check_eq, diag, picked, run_groups, skip,
};
use core::fmt;

pub(super) const TESTS: &[Test] = &[
    Test { name: "report", run: report },
    Test { name: "filter", run: filter },
    Test { name: "broken_output_ends_the_run", run: broken_output_ends_the_run },
];

fn passes(t: &mut TestCtx<'_>) -> TestResult {
    check!(t, true);
    check_eq!(t, 1, 1, "never shown");
    Ok(())
}

fn fails(t: &mut TestCtx<'_>) -> TestResult {
    diag!(t, "ok 1 this line is no result\nnor is this");
    Err(t.fail("here.rs", 7, format_args!("{} is wrong", 3)))
}

fn skips(_: &mut TestCtx<'_>) -> TestResult {
    skip!("no such machine")
}

const SMALL: &[Group] = &[
    Group {
        name: "one",
        tests: &[
            Test { name: "passes", run: passes },
            Test { name: "fails", run: fails },
            Test { name: "skips", run: skips },
        ],
    },
    Group { name: "two", tests: &[Test { name: "skips", run: skips }] },
];

const SMALL_REPORT: &str = "\
KTAP version 1
1..2
    KTAP version 1
    # Subtest: one
    1..3
    ok 1 passes
    # ok 1 this line is no result
    # nor is this
    # here.rs:7: 3 is wrong
    not ok 2 fails
    ok 3 skips # SKIP no such machine
# one: pass:1 fail:1 skip:1 total:3
not ok 1 one
    KTAP version 1
    # Subtest: two
    1..1
    ok 1 skips # SKIP no such machine
# two: pass:0 fail:0 skip:1 total:1
ok 2 two # SKIP all of its tests were skipped
";

fn report(t: &mut TestCtx<'_>) -> TestResult {
    let mut page = Page::new();
    let counts = run_groups(SMALL, None, &mut page);
    check_eq!(t, page.text(), SMALL_REPORT);
    check_eq!(t, counts, Ok(Counts { pass: 1, fail: 1, skip: 2 }));

    let mut page = Page::new();
    let counts = run_groups(SMALL, Some("one/pass"), &mut page);
    check_eq!(t, counts, Ok(Counts { pass: 1, fail: 0, skip: 0 }));
    check!(t, page.text().starts_with("KTAP version 1\n1..1\n"));
    check!(t, page.text().ends_with("\nok 1 one\n"));
    Ok(())
}

fn filter(t: &mut TestCtx<'_>) -> TestResult {
    for (filter, picks) in [
        (None, true),
        (Some(""), true),
        (Some("ring"), true),
        (Some("write"), true),
        (Some("ring/wr"), true),
        (Some("ng/write"), true),
        (Some("rin/write"), false),
        (Some("ring/rite"), false),
        (Some("text"), false),
    ] {
        check_eq!(t, picked(filter, "ring", "writes"), picks, "{:?}", filter);
    }
    Ok(())
}

fn broken_output_ends_the_run(t: &mut TestCtx<'_>) -> TestResult {
    let mut page = Page::with_limit(100);
    check_eq!(t, run_groups(SMALL, None, &mut page), Err(fmt::Error));
    let stop = fails(&mut TestCtx { out: super::ktap::Diagnostics::new(&mut Page::with_limit(0)) });
    check_eq!(t, stop, Err(Stop::Failed));
    Ok(())
}
