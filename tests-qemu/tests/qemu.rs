//! Boots machines and reports each case, each in-kernel test and each transcript as one test.
//!
//! `cargo xtask test` runs it; `cargo test -p tests-qemu --test qemu FILTER` does too.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use libtest_mimic::{Arguments, Failed, Trial};
use tests_qemu::batch::{self, MARK, PartResult, Session};
use tests_qemu::doc::HostLine;
use tests_qemu::ktap::{self, Verdict};
use tests_qemu::mask::Masks;
use tests_qemu::{case, compare, doc};
use xtask::build::Built;
use xtask::machine::Machine;
use xtask::run::{self, Outcome, Streams};

/// How long one machine may run when its options do not say.
const TIMEOUT: Duration = Duration::from_secs(600);
/// How long a machine may print nothing. The slowest step takes a fraction of it on a busy host.
const SILENCE: Duration = Duration::from_secs(180);
/// The machines that run the in-kernel tests, and how their groups are called. The second one counts
/// instructions, which some tests need, and switches tasks at the same instruction every time. All tests of the kernel
/// take a minute on an idle host and several on a busy one; one that hangs is named by the guest itself.
const SELFTESTS: &[(&str, &str)] =
    &[("selftest", "--timeout 900"), ("selftest_icount", "--timeout 900 --icount --smp 1")];

fn main() -> std::process::ExitCode {
    let mut arguments = Arguments::from_args();
    // Each test waits for a machine; a machine has more CPUs than the host. Two at a time.
    arguments.test_threads.get_or_insert(2);
    match trials(&arguments) {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// All tests, with the in-kernel ones already run, since only the guest knows their names.
fn trials(arguments: &Arguments) -> Result<Vec<Trial>> {
    let root = xtask::root();
    let kernel = Kernel::default();
    let mut trials = Vec::new();
    let mut groups: BTreeMap<(String, bool), Vec<Vec<Session>>> = BTreeMap::new();
    for case in case::read_all(&root.join("tests-qemu/cases"))? {
        add(&mut groups, case.boot, false, case.own, case.session);
    }
    let pages = doc::read_all(&root)?;
    for page in pages.sessions {
        add(&mut groups, page.boot, true, false, page.session);
    }
    for ((boot, _), batches) in groups {
        for mut sessions in batches {
            // What was not asked for is not run only because it would share the machine.
            sessions.retain(|s| s.parts.iter().any(|p| is_asked_for(&p.name, arguments)));
            trials.extend(batch_trials(&kernel, &boot, sessions));
        }
    }
    for line in pages.host {
        trials.push(Trial::test(line.name.clone(), move || host(&line).map_err(Failed::from)));
    }
    for (group, boot) in SELFTESTS {
        if wants(group, arguments, &trials) {
            trials.extend(selftests(&kernel, group, boot)?);
        }
    }
    Ok(trials)
}

/// Whether the filter, if there is one, leaves a test of this name.
fn is_asked_for(name: &str, arguments: &Arguments) -> bool {
    arguments.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()))
}

/// Puts a session with those that can share its boot; one that cannot gets a batch of its own.
fn add(
    groups: &mut BTreeMap<(String, bool), Vec<Vec<Session>>>,
    boot: String,
    page: bool,
    own: bool,
    session: Session,
) {
    let own = own || session.end.is_some() || !session.console.is_empty();
    let batches = groups.entry((boot, page)).or_insert_with(|| vec![Vec::new()]);
    if own {
        batches.push(vec![session]);
    } else {
        batches[0].push(session);
    }
}

/// One test for each part of the sessions of one batch. The first to run boots; the others read.
fn batch_trials(kernel: &Kernel, boot: &str, sessions: Vec<Session>) -> Vec<Trial> {
    let names: Vec<String> = sessions.iter().flat_map(|s| &s.parts).map(|p| p.name.clone()).collect();
    let results: Arc<OnceLock<Vec<PartResult>>> = Arc::default();
    let sessions = Arc::new(sessions);
    let one = |name: String| {
        let (kernel, boot) = (kernel.clone(), boot.to_owned());
        let (results, sessions) = (Arc::clone(&results), Arc::clone(&sessions));
        Trial::test(name.clone(), move || {
            let run = || batch::run(&|script| kernel.boot(&boot, script.as_bytes(), true), &sessions);
            let results = results.get_or_init(run);
            let mine = results.iter().find(|(part, _)| *part == name);
            mine.map_or(Err("it was not run".into()), |(_, result)| result.clone()).map_err(Failed::from)
        })
    };
    names.into_iter().map(one).collect()
}

/// Whether a machine for in-kernel tests has to be booted: not when others were asked for by name.
fn wants(group: &str, arguments: &Arguments, others: &[Trial]) -> bool {
    let Some(filter) = &arguments.filter else { return !arguments.list };
    let (asked, _) = filter.split_once("::").unwrap_or((filter, ""));
    if group.contains(asked) {
        return asked.len() == filter.len() || group == asked;
    }
    !others.iter().any(|t| t.name().contains(filter.as_str()))
}

/// Runs the in-kernel tests; each of their lines becomes a test.
fn selftests(kernel: &Kernel, group: &str, boot: &str) -> Result<Vec<Trial>> {
    let outcome = kernel.boot(boot, b"selftest\n", false)?;
    let report = ktap::parse(&String::from_utf8_lossy(&outcome.stdout));
    let mut trials = Vec::new();
    for test in report.tests {
        let name = format!("{group}::{}", test.name);
        let said = test.diagnostics.join("\n");
        trials.push(match test.verdict {
            Verdict::Pass => Trial::test(name, || Ok(())),
            Verdict::Fail => Trial::test(name, || Err(Failed::from(said))),
            Verdict::Skip(why) => Trial::test(format!("{name} # {why}"), || Ok(())).with_ignored_flag(true),
        });
    }
    trials.push(Trial::test(format!("{group}::the_plan_is_complete"), move || {
        if report.problems.is_empty() {
            return Ok(());
        }
        let how = batch::said(outcome.end);
        let tail = batch::console_tail(&outcome.console);
        Err(format!("{}\nthe machine {how}; console:\n{tail}", report.problems.join("\n")).into())
    }));
    Ok(trials)
}

/// Runs a line of a page on the host.
fn host(line: &HostLine) -> Result<(), String> {
    let out = Command::new("bash")
        .args(["-c", &line.command])
        .current_dir(xtask::root())
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("could not run bash: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    compare::lines(&line.expected, &lines, &Masks::default()).map_err(|diff| {
        let tail = batch::console_tail(&String::from_utf8_lossy(&out.stderr));
        format!("$ {}\n{diff}console:\n{tail}", line.command)
    })
}

/// The kernel under test, built once, when the first machine is booted.
#[derive(Clone, Default)]
struct Kernel {
    built: Arc<OnceLock<Result<Built, String>>>,
}

impl Kernel {
    /// Boots with a script; `marked` has its steps marked and errors in line with the output.
    fn boot(&self, options: &str, script: &[u8], marked: bool) -> Result<Outcome> {
        let mut machine = Machine::parse(options)?;
        if marked {
            machine.append.push(format!("trapline.script.mark={MARK} trapline.stderr=stdout"));
        }
        machine.timeout.get_or_insert(TIMEOUT);
        machine.silence = Some(SILENCE);
        let built = self.built.get_or_init(|| xtask::build::kernel().map_err(|e| format!("{e:#}")));
        let built = built.as_ref().map_err(|e| anyhow::anyhow!(e.clone())).context("no kernel to boot")?;
        run::script(built, &machine, script, Streams::Collect)
    }
}
