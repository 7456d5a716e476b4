//! Reads KTAP, the report of the in-kernel tests.
//!
//! ```text
//!   KTAP version 1
//!   1..2
//!       KTAP version 1
//!       # Subtest: ring
//!       1..1
//!       # a diagnostic belongs to the result that follows it
//!       ok 1 reserve
//!   ok 1 ring                     closes the level above it
//!   ...
//! ```
//!
//! Each result of the innermost levels is one [`TestLine`]. A report whose plans are not fulfilled, because
//! the machine died or a result was lost, has [`Report::problems`]. Source: `dev-tools/ktap.rst` of Linux.

/// What a result line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `ok`
    Pass,
    /// `not ok`
    Fail,
    /// `ok … # SKIP why`
    Skip(String),
}

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestLine {
    /// The names of its levels and its own, joined with `::`.
    pub name: String,
    /// How it went.
    pub verdict: Verdict,
    /// What it said.
    pub diagnostics: Vec<String>,
}

/// A whole report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Every test that gave a result.
    pub tests: Vec<TestLine>,
    /// What is wrong with the report itself.
    pub problems: Vec<String>,
}

/// A level that is still open.
#[derive(Default)]
struct Level {
    indent: usize,
    name: String,
    planned: Option<usize>,
    seen: usize,
    failed: bool,
    diagnostics: Vec<String>,
}

/// Reads a report; lines that are not KTAP are passed over.
pub fn parse(text: &str) -> Report {
    let mut report = Report::default();
    let mut open: Vec<Level> = Vec::new();
    let mut had_version = false;
    for line in text.lines() {
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        if body.trim_end() == "KTAP version 1" {
            had_version = true;
            open.push(Level { indent, ..Level::default() });
            continue;
        }
        let Some(level) = open.last_mut() else { continue };
        if let Some(name) = body.strip_prefix("# Subtest: ") {
            level.name = name.trim_end().to_owned();
        } else if let Some(plan) = body.strip_prefix("1..").and_then(|n| n.trim_end().parse().ok()) {
            level.planned = Some(plan);
        } else if let Some(text) = body.strip_prefix('#') {
            level.diagnostics.push(text.trim().to_owned());
        } else if let Some((passed, rest)) = result_line(body) {
            result(&mut open, &mut report, indent, passed, rest);
        }
    }
    if !had_version {
        report.problems.push("no KTAP report came".into());
    }
    while let Some(level) = open.pop() {
        let inner = !open.is_empty();
        close(&level, &mut report);
        if inner {
            report.problems.push(format!("the report ends within {}", named(&level)));
        }
    }
    report
}

/// Whether a line is a result, whether it is `ok`, and what follows.
fn result_line(body: &str) -> Option<(bool, &str)> {
    let (passed, rest) = match body.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, body.strip_prefix("ok ")?),
    };
    Some((passed, rest))
}

/// Takes in a result that stands at `indent`.
fn result(open: &mut Vec<Level>, report: &mut Report, indent: usize, passed: bool, rest: &str) {
    // A result further out than the level that is open closes that level.
    let mut closed = None;
    while open.len() > 1 && open.last().is_some_and(|level| level.indent > indent) {
        let level = open.pop().unwrap_or_default();
        close(&level, report);
        closed = Some(level);
    }
    let path: String = open.iter().filter(|l| !l.name.is_empty()).map(|l| l.name.clone() + "::").collect();
    let Some(level) = open.last_mut() else { return };
    level.seen += 1;
    let (number, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let (name, directive) = text.split_once(" # ").unwrap_or((text, ""));
    if number.trim().parse() != Ok(level.seen) {
        report.problems.push(format!("result {} of {} is numbered {number}", level.seen, named(level)));
    }
    level.failed |= !passed;
    let diagnostics = std::mem::take(&mut level.diagnostics);
    if let Some(closed) = closed {
        if passed && closed.failed {
            report.problems.push(format!("{} passed although a test in it failed", named(&closed)));
        }
        if !passed && !closed.failed {
            report.problems.push(format!("{} failed: {}", named(&closed), diagnostics.join("; ")));
        }
        return;
    }
    let skipped = directive.trim().strip_prefix("SKIP").map(|why| why.trim().to_owned());
    let verdict = match (passed, skipped) {
        (false, _) => Verdict::Fail,
        (true, Some(why)) => Verdict::Skip(why),
        (true, None) => Verdict::Pass,
    };
    report.tests.push(TestLine { name: path + name.trim().trim_start_matches("- "), verdict, diagnostics });
}

/// Checks a level's plan at its end.
fn close(level: &Level, report: &mut Report) {
    match level.planned {
        Some(planned) if planned == level.seen => {}
        Some(planned) => {
            let seen = level.seen;
            report.problems.push(format!("{seen} of the {planned} planned results of {} came", named(level)));
        }
        None => report.problems.push(format!("{} has no plan", named(level))),
    }
}

fn named(level: &Level) -> String {
    if level.name.is_empty() { "the report".into() } else { format!("`{}`", level.name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
noise before
KTAP version 1
1..2
    KTAP version 1
    # Subtest: one
    1..3
    ok 1 passes
    # ok 1 this line is no result
    # here.rs:7: 3 is wrong
    not ok 2 fails
    ok 3 skips # SKIP no such machine
# one: pass:1 fail:1 skip:1 total:3
not ok 1 one
    KTAP version 1
    # Subtest: two
    1..1
    ok 1 plain
ok 2 two
";

    #[test]
    fn each_line_is_a_test() {
        let report = parse(GOOD);
        assert_eq!(report.problems, [""; 0]);
        let names: Vec<_> = report.tests.iter().map(|t| (t.name.as_str(), t.verdict.clone())).collect();
        assert_eq!(
            names,
            [
                ("one::passes", Verdict::Pass),
                ("one::fails", Verdict::Fail),
                ("one::skips", Verdict::Skip("no such machine".into())),
                ("two::plain", Verdict::Pass),
            ]
        );
        assert_eq!(report.tests[1].diagnostics, ["ok 1 this line is no result", "here.rs:7: 3 is wrong"]);
    }

    /// Wherever the machine dies, the report says so.
    #[test]
    fn a_report_cut_short_has_problems() {
        let lines: Vec<&str> = GOOD.lines().collect();
        for n in 0..lines.len() {
            let report = parse(&lines[..n].join("\n"));
            assert!(!report.problems.is_empty(), "cut after {n} lines");
        }
    }

    #[test]
    fn lost_and_contradicting_results_are_problems() {
        for (from, to) in [
            ("    ok 1 passes\n", ""),
            ("    ok 1 passes\n", "    ok 2 passes\n"),
            ("not ok 1 one", "ok 1 one"),
            ("ok 2 two", "not ok 2 two"),
            ("1..2\n", "1..3\n"),
            ("1..2\n", ""),
        ] {
            assert!(GOOD.contains(from));
            assert!(!parse(&GOOD.replacen(from, to, 1)).problems.is_empty(), "{from} -> {to}");
        }
    }

    #[test]
    fn a_flat_report_will_do() {
        let report = parse("KTAP version 1\n1..1\nok 1 - alone\n");
        assert_eq!((report.tests.len(), report.problems.len()), (1, 0));
        assert_eq!(report.tests[0].name, "alone");
    }
}
