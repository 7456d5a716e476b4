//! Runs many sessions on one machine and tells their outputs apart.
//!
//! ```text
//!   session 1: a, b │ between │ session 2: c │ between │ …       one script, one boot
//!        output ▼   mark 0 ▼  output ▼  mark 0 ▼ …               one mark behind each line
//! ```
//!
//! The marks are written by the kernel's script runner (`trapline.script.mark`), so they come even
//! behind a line that is no shell text, and `$?` is what the line before left. If the machine ends early,
//! the step without a mark is to blame: its session fails with the end of the console, and the sessions
//! behind it are run on a fresh machine.

use anyhow::Result;
use xtask::run::{End, Outcome};

use crate::compare;
use crate::mask::Masks;
use crate::transcript::Step;

/// Lines that put the tracing files back between two sessions; what they print is not looked at.
const BETWEEN: &str = include_str!("../between.sh");
/// The word that the marks begin with.
pub const MARK: &str = "@@trapline-step";
/// How many lines of the console a report shows.
const CONSOLE_SHOWN: usize = 40;

/// Steps that are reported as one result.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// What the result is called.
    pub name: String,
    /// What is typed and expected.
    pub steps: Vec<Step>,
}

/// Parts that depend on each other, in order.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Its results.
    pub parts: Vec<Part>,
    /// What is not compared in it.
    pub masks: Masks,
    /// How the machine is to end in it, when not by itself at the end of the script.
    pub end: Option<u8>,
    /// What the console has to show.
    pub console: Vec<String>,
}

/// How one part went: its name and, when it failed, why.
pub type PartResult = (String, Result<(), String>);

/// Boots a machine with a script; a real one, or a fake one in a test.
pub type Boot<'a> = &'a dyn Fn(&str) -> Result<Outcome>;

/// Runs all sessions on as few machines as possible.
pub fn run(boot: Boot<'_>, sessions: &[Session]) -> Vec<PartResult> {
    let mut results = Vec::new();
    // A session that ends its machine shares it with nobody.
    let (ending, mut waiting): (Vec<&Session>, Vec<&Session>) =
        sessions.iter().partition(|s| s.end.is_some() || !s.console.is_empty());
    while !waiting.is_empty() {
        let done = run_once(boot, &waiting, &mut results);
        waiting.drain(..done);
    }
    for session in ending {
        run_once(boot, &[session], &mut results);
    }
    results
}

/// Runs sessions on one machine; gives how many of them got their results, at least one.
fn run_once(boot: Boot<'_>, sessions: &[&Session], results: &mut Vec<PartResult>) -> usize {
    let outcome = match boot(&script(sessions)) {
        Ok(outcome) => outcome,
        Err(error) => {
            let parts = sessions.iter().flat_map(|s| &s.parts);
            results.extend(parts.map(|p| (p.name.clone(), Err(format!("could not boot: {error:#}")))));
            return sessions.len();
        }
    };
    let text = String::from_utf8_lossy(&outcome.stdout);
    let (chunks, _) = cut(&text);
    let between = BETWEEN.lines().count();
    let mut chunks = chunks.as_slice();
    for (i, session) in sessions.iter().enumerate() {
        let mut died = false;
        for part in &session.parts {
            let had = chunks.len().min(part.steps.len());
            let (mine, rest) = chunks.split_at(had);
            chunks = rest;
            let result = if died {
                Err("the machine ended in an earlier part".to_owned())
            } else {
                died = had < part.steps.len();
                judge(part, mine, session, &outcome)
            };
            results.push((part.name.clone(), result));
        }
        if died || i + 1 == sessions.len() {
            return i + 1;
        }
        chunks = chunks.get(between..).unwrap_or_default();
        if chunks.is_empty() {
            return i + 1;
        }
    }
    sessions.len()
}

/// All lines of the sessions, with the lines between them.
fn script(sessions: &[&Session]) -> String {
    let typed = |s: &&Session| -> String {
        s.parts.iter().flat_map(|p| &p.steps).map(|step| step.command.clone() + "\n").collect()
    };
    sessions.iter().map(typed).collect::<Vec<_>>().join(BETWEEN)
}

/// What one line of a script printed, and its status.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunk {
    output: Vec<String>,
    status: u8,
}

/// Cuts standard output at the marks; also gives what stands behind the last one.
fn cut(text: &str) -> (Vec<Chunk>, &str) {
    let mut chunks = Vec::new();
    let mut rest = text;
    while let Some((output, behind)) = rest.split_once(MARK) {
        let (status, next) = behind.split_once('\n').unwrap_or((behind, ""));
        let Ok(status) = status.trim().parse() else { break };
        chunks.push(Chunk { output: output.lines().map(str::to_owned).collect(), status });
        rest = next;
    }
    (chunks, rest)
}

/// Compares a part with what its steps gave.
fn judge(part: &Part, chunks: &[Chunk], session: &Session, outcome: &Outcome) -> Result<(), String> {
    for (step, chunk) in part.steps.iter().zip(chunks) {
        let at = format!("line {}: {}\n", step.line, step.command);
        compare::lines(&step.expected, &chunk.output, &session.masks).map_err(|diff| at.clone() + &diff)?;
        if step.status.is_some_and(|status| status != chunk.status) {
            let expected = step.status.unwrap_or_default();
            return Err(format!("{at}  status {}, expected {expected}\n", chunk.status));
        }
    }
    let tail = || format!("console:\n{}", console_tail(&outcome.console));
    if let Some(status) = session.end {
        if outcome.end.status() != status {
            let how = said(outcome.end);
            return Err(format!("the machine {how}, expected status {status}\n{}", tail()));
        }
    } else if let Some(step) = part.steps.get(chunks.len()) {
        let how = said(outcome.end);
        return Err(format!("line {}: {}\nthe machine {how} here\n{}", step.line, step.command, tail()));
    }
    let shown: Vec<String> = outcome.console.lines().map(|line| session.masks.apply(line)).collect();
    match session.console.iter().find(|text| !shown.iter().any(|line| line.contains(text.as_str()))) {
        Some(text) => Err(format!("the console does not show {text:?}\n{}", tail())),
        None => Ok(()),
    }
}

/// How a machine ended, in words.
pub fn said(end: End) -> String {
    match end {
        End::Status(status) => format!("ended with status {status}"),
        End::Timeout => "did not end in its time".into(),
        End::Silence => "printed nothing more".into(),
        End::Flood => "printed without end".into(),
        End::Killed => "was killed".into(),
    }
}

/// The last lines of a console, set apart for a report.
pub fn console_tail(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    let shown = &lines[lines.len().saturating_sub(CONSOLE_SHOWN)..];
    shown.iter().map(|line| format!("  | {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::transcript::{steps, take_status};

    fn session(name: &str, text: &str) -> Session {
        let mut steps = steps(text.lines(), 1);
        steps.iter_mut().for_each(take_status);
        Session { parts: vec![Part { name: name.into(), steps }], ..Session::default() }
    }

    /// A machine that echoes the words of `echo`, fails at `false`, and dies at `die`.
    fn fake(script: &str) -> Result<Outcome> {
        let mut stdout = String::new();
        let mut end = End::Status(0);
        for line in script.lines() {
            let status = match line.split_once(' ').unwrap_or((line, "")) {
                ("die", _) => {
                    end = End::Status(101);
                    break;
                }
                ("false", _) => 1,
                ("printf", text) => {
                    stdout += text;
                    0
                }
                ("echo", text) => {
                    stdout += &format!("{text}\n");
                    0
                }
                _ => 0,
            };
            stdout += &format!("{MARK} {status}\n");
        }
        Ok(Outcome { end, stdout: stdout.into_bytes(), console: "first\nlast words\n".into() })
    }

    fn verdicts(sessions: &[Session]) -> (Vec<(String, bool)>, u32) {
        let boots = Cell::new(0);
        let boot = |script: &str| {
            boots.set(boots.get() + 1);
            fake(script)
        };
        let results = run(&boot, sessions);
        (results.into_iter().map(|(name, r)| (name, r.is_ok())).collect(), boots.get())
    }

    #[test]
    fn sessions_share_a_machine() {
        let (got, boots) = verdicts(&[
            session("a", "~ # echo x\nx\n~ # false\n[1]\n"),
            session("b", "~ # echo x\ny\n"),
            session("c", "~ # false\n"),
            session("d", "~ # printf x\nx\n~ # true\n"),
        ]);
        assert_eq!(got, [("a".into(), true), ("b".into(), false), ("c".into(), false), ("d".into(), true)]);
        assert_eq!(boots, 1);
    }

    #[test]
    fn who_brings_the_machine_down_fails_alone() {
        let (got, boots) = verdicts(&[
            session("a", "~ # echo x\nx\n"),
            session("b", "~ # true\n~ # die\n"),
            session("c", "~ # echo y\ny\n"),
        ]);
        assert_eq!(got, [("a".into(), true), ("b".into(), false), ("c".into(), true)]);
        assert_eq!(boots, 2);
        let (_, why) = run(&fake, &[session("b", "~ # die\n")]).remove(0);
        let why = why.unwrap_err();
        assert!(why.contains("line 1: die") && why.contains("status 101") && why.contains("last words"));
    }

    #[test]
    fn an_end_can_be_expected() {
        let mut good = session("good", "~ # die\n");
        good.end = Some(101);
        good.console = vec!["last".into()];
        let mut silent = good.clone();
        silent.console = vec!["nothing such".into()];
        let mut alive = session("alive", "~ # true\n");
        alive.end = Some(101);
        let (got, boots) = verdicts(&[good, silent, alive, session("plain", "~ # true\n")]);
        let ok: Vec<bool> = got.iter().map(|(_, ok)| *ok).collect();
        assert_eq!((got[0].0.as_str(), ok, boots), ("plain", vec![true, true, false, false], 4));
    }

    #[test]
    fn parts_behind_a_dead_one_are_not_reached() {
        let mut both = session("first", "~ # die\n");
        both.parts.push(session("second", "~ # true\n").parts.remove(0));
        let results = run(&fake, &[both]);
        assert!(results.iter().all(|(_, r)| r.is_err()) && results.len() == 2);
    }

    #[test]
    fn a_machine_that_does_not_boot_fails_all() {
        let none = |_: &str| -> Result<Outcome> { anyhow::bail!("no QEMU") };
        let results = run(&none, &[session("a", "~ # x\n"), session("b", "~ # x\n")]);
        assert!(results.len() == 2 && results.iter().all(|(_, r)| r.is_err()));
    }
}
