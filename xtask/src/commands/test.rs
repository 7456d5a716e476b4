//! `cargo xtask test`: every test there is.
//!
//! ```text
//!   cargo test --no-run  ──▶ test programs ──▶ run one by one, each with a time limit ─┐
//!   cargo test --doc     ──▶ examples in the documentation ────────────────────────────┼▶ counts
//!   the ring's models    ──▶ the same, compiled with the model checker ───────────────┤
//!   tests-qemu           ──▶ in-kernel tests, cases, transcripts ──────────────────────┘
//! ```
//!
//! The programs are run from here, not by cargo, so that one that hangs is ended and one that dies counts
//! as a failed test. The last line is `N passed, N failed, N skipped`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{self, End};
use crate::{build, tools};

/// How long one test program may run.
const LIMIT: Duration = Duration::from_secs(600);
/// How long the one may run that boots machines: some twenty, two at a time, each with limits of its own.
const BOOTING_LIMIT: Duration = Duration::from_secs(1500);
/// The package whose tests boot machines; it comes last.
const BOOTING: &str = "tests-qemu";
/// Tests that need a feature, and so a build of their own: package, feature, test.
const WITH_FEATURE: &[(&str, &str, &str)] = &[("tracecore", "loom", "ring_loom")];

/// How many tests went how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
}

/// Runs every test whose name contains the filter.
pub fn run(filter: Option<&str>) -> Result<u8> {
    tools::qemu(None)?;
    tools::rust_target()?;
    let mut counts = Counts::default();
    let mut programs = programs(&["--workspace", "--exclude", "kernel"])?;
    programs.sort_by_key(|p| p.package.clone());
    let (booting, host): (Vec<Program>, Vec<Program>) = programs.into_iter().partition(Program::is_booting);
    for program in &host {
        counts.add(program.run(filter)?);
    }
    for (package, feature, test) in WITH_FEATURE {
        for program in self::programs(&["--package", package, "--features", feature, "--test", test])? {
            counts.add(program.run(filter)?);
        }
    }
    counts.add(documentation(filter)?);
    for program in &booting {
        counts.add(program.run(filter)?);
    }
    println!("\n{counts}");
    Ok(u8::from(counts.failed > 0))
}

/// A compiled test program.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    package: String,
    target: String,
    /// Whether it holds a crate's own unit tests.
    is_unit: bool,
    executable: PathBuf,
    /// The package's folder, where its tests run.
    folder: PathBuf,
}

/// Compiles the chosen test programs.
fn programs(chosen: &[&str]) -> Result<Vec<Program>> {
    let out = build::cargo()
        .args(["test", "--no-run", "--message-format", "json-render-diagnostics"])
        .args(chosen)
        .stderr(Stdio::inherit())
        .output()
        .context("could not run cargo")?;
    if !out.status.success() {
        bail!("the tests do not build");
    }
    Ok(String::from_utf8_lossy(&out.stdout).lines().filter_map(program).collect())
}

/// The test program that one of cargo's messages tells of.
fn program(message: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let folder = PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_path_buf();
    Some(Program {
        package: folder.file_name()?.to_str()?.to_owned(),
        target: message["target"]["name"].as_str()?.to_owned(),
        is_unit: message["target"]["kind"][0] != "test",
        executable: message["executable"].as_str()?.into(),
        folder,
    })
}

impl Program {
    fn run(&self, filter: Option<&str>) -> Result<Counts> {
        println!("\n== {} ({})", self.package, self.target);
        let mut command = Command::new(&self.executable);
        command.args(filter).current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        counted(&mut command, if self.is_booting() { BOOTING_LIMIT } else { LIMIT })
    }

    /// Whether it boots machines.
    fn is_booting(&self) -> bool {
        self.package == BOOTING && !self.is_unit
    }
}

/// Runs the examples in the documentation.
fn documentation(filter: Option<&str>) -> Result<Counts> {
    println!("\n== examples in the documentation");
    let mut command = build::cargo();
    command.args(["test", "--doc", "--workspace", "--exclude", "kernel", "--"]).args(filter);
    counted(&mut command, LIMIT)
}

/// Runs a test program, shows what it prints, and counts its results.
fn counted(command: &mut Command, limit: Duration) -> Result<Counts> {
    let mut child = run::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let stdout = child.stdout.take().context("no output to read")?;
    let reader = std::thread::spawn(move || {
        let mut counts = Counts::default();
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            counts.add(summary(&line).unwrap_or_default());
        }
        counts
    });
    let end = run::wait(child, Some(limit), &mut || None)?;
    let mut counts = reader.join().unwrap_or_default();
    // A program that died, or failed in a way of its own, is a failed test.
    if end != End::Status(0) && counts.failed == 0 {
        println!("it ended with {end:?}");
        counts.failed += 1;
    }
    Ok(counts)
}

/// Reads `test result: ok. 5 passed; 1 failed; 2 ignored; …`.
fn summary(line: &str) -> Option<Counts> {
    let text = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |what: &str| {
        let part = text.split(';').find(|part| part.trim_end().ends_with(what))?;
        part.trim().split(' ').next()?.parse().ok()
    };
    Some(Counts { passed: number("passed")?, failed: number("failed")?, skipped: number("ignored")? })
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.skipped += more.skipped;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_read() {
        let line = "test result: FAILED. 5 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.1s";
        assert_eq!(summary(line), Some(Counts { passed: 5, failed: 1, skipped: 2 }));
        assert_eq!(summary("test a ... ok"), None);
        assert_eq!(summary("test result: "), None);
    }

    #[test]
    fn a_program_that_dies_is_a_failed_test() {
        let run = |script: &str| counted(Command::new("sh").args(["-c", script]), LIMIT).unwrap();
        let ok = "echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0s'";
        assert_eq!(run(ok), Counts { passed: 2, failed: 0, skipped: 1 });
        assert_eq!(run("kill -9 $$"), Counts { passed: 0, failed: 1, skipped: 0 });
        assert_eq!(run(&format!("{ok}; exit 3")), Counts { passed: 2, failed: 1, skipped: 1 });
    }

    #[test]
    fn test_programs_are_found() {
        let message = r#"{"reason":"compiler-artifact","manifest_path":"/r/tests-qemu/Cargo.toml",
            "target":{"name":"qemu","kind":["test"]},"profile":{"test":true},"executable":"/t/qemu-1"}"#;
        let program = program(message).unwrap();
        assert_eq!((program.package.as_str(), program.is_unit), ("tests-qemu", false));
        assert_eq!(program.folder, PathBuf::from("/r/tests-qemu"));
        assert_eq!(super::program(&message.replace("true", "false")), None);
    }
}
