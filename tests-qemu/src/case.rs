//! Cases: `cases/*.case`, one transcript each.
//!
//! ```text
//!   # What this shows.
//!   boot: --smp 1 --el2               options of `cargo xtask qemu`; cases with the same share a boot
//!   own: yes                          shares its boot with nobody
//!   end: 101                          the machine ends in it, with this status (124: at its time limit)
//!   console: Kernel panic             the console shows this text (masked), on a boot of its own
//!   mask: took [0-9]+ => took <n>     one more mask
//!
//!   ~ # work work_add 2 40            from the first prompt on: a transcript
//!   42
//! ```

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::batch::{Part, Session};
use crate::transcript::{guest_prompt, steps, take_status};

/// A case, ready to run.
#[derive(Clone, Debug)]
pub struct Case {
    /// Options of the machine.
    pub boot: String,
    /// Whether it shares its boot with nobody.
    pub own: bool,
    /// What is run; one part, named after the file.
    pub session: Session,
}

/// Reads every case of a folder, in the order of their names.
pub fn read_all(folder: &Path) -> Result<Vec<Case>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "case") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        parse(&format!("case::{name}"), &text)
    };
    paths.iter().map(|path| read(path).with_context(|| path.display().to_string())).collect()
}

/// Reads one case.
pub fn parse(name: &str, text: &str) -> Result<Case> {
    let head = text.lines().take_while(|line| guest_prompt(line).is_none()).count();
    let mut case = Case { boot: String::new(), own: false, session: Session::default() };
    for (i, line) in text.lines().take(head).enumerate() {
        option(&mut case, line).with_context(|| format!("line {}: {line}", i + 1))?;
    }
    let mut steps = steps(text.lines().skip(head), head + 1);
    if steps.is_empty() {
        bail!("nothing is typed in it");
    }
    let ends = case.session.end.is_some();
    let last = steps.len() - 1;
    for (i, step) in steps.iter_mut().enumerate() {
        // The step that ends the machine has no status.
        if !(ends && i == last) {
            take_status(step);
        }
    }
    case.session.parts.push(Part { name: name.to_owned(), steps });
    Ok(case)
}

/// Takes in one line of the head.
fn option(case: &mut Case, line: &str) -> Result<()> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let (name, value) = line.split_once(':').context("not `name: value`")?;
    let value = value.trim();
    match name {
        "boot" => {
            xtask::machine::Machine::parse(value)?;
            value.clone_into(&mut case.boot);
        }
        "own" => case.own = value == "yes",
        "end" => case.session.end = Some(value.parse().context("not a status")?),
        "console" => case.session.console.push(value.to_owned()),
        "mask" => {
            let (pattern, to) = value.split_once(" => ").context("not `pattern => mark`")?;
            case.session.masks.add(pattern, to)?;
        }
        _ => bail!("no such option"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_has_a_head_and_a_transcript() {
        let text = "# About.\nboot: --smp 1\nmask: [0-9]+ ns => <n> ns\n\n~ # a\nb\n[3]\n~ # c\n";
        let case = parse("x", text).unwrap();
        assert_eq!((case.boot.as_str(), case.own, case.session.end), ("--smp 1", false, None));
        let steps = &case.session.parts[0].steps;
        assert_eq!((steps[0].status, steps[0].line, steps[1].status), (Some(3), 5, Some(0)));
        assert_eq!(case.session.masks.apply("12 ns"), "<n> ns");
    }

    #[test]
    fn the_last_step_of_an_ending_case_has_no_status() {
        let case = parse("x", "end: 101\nconsole: panic\n~ # a\n~ # b\n").unwrap();
        let status: Vec<_> = case.session.parts[0].steps.iter().map(|s| s.status).collect();
        assert_eq!((status, case.session.end), (vec![Some(0), None], Some(101)));
    }

    #[test]
    fn mistakes_are_named() {
        for bad in [
            "",
            "# only a comment\n",
            "boot: --nothing\n~ # a\n",
            "end: x\n~ # a\n",
            "what: x\n~ # a\n",
            "x\n~ # a\n",
        ] {
            assert!(parse("x", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_cases_of_the_project_can_be_read() {
        let cases = read_all(&xtask::root().join("tests-qemu/cases")).unwrap();
        assert!(!cases.is_empty());
    }
}
