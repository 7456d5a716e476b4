//! `cargo xtask tools`: makes the objects of `tools/` anew, where clang is at hand.
//!
//! They are committed, so that nobody needs a compiler: the same clang makes the same bytes. What is stripped is what debuggers
//! want; BTF stays.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Names under which the programs may be there, the newest last.
const CLANGS: &[&str] = &["clang", "clang-14", "clang-16", "clang-19"];
const STRIPS: &[&str] = &["llvm-strip", "llvm-strip-14", "llvm-strip-16", "llvm-strip-19"];
/// As a kernel's headers are written, not as a library's.
const FLAGS: &[&str] = &[
    "-O2",
    "-g",
    "-target",
    "bpf",
    "-Wall",
    "-Wno-unused-variable",
    "-Wno-incompatible-library-redeclaration",
    "-c",
];

/// The first of some programs that can be started.
fn find(names: &[&'static str]) -> Option<&'static str> {
    let runs = |name: &&str| {
        let asked = Command::new(name).arg("--version").stdin(Stdio::null()).output();
        asked.is_ok_and(|out| out.status.success())
    };
    names.iter().copied().find(runs)
}

/// Makes the objects.
///
/// # Errors
/// A source that cannot be compiled.
pub fn run() -> Result<u8> {
    let (Some(clang), Some(strip)) = (find(CLANGS), find(STRIPS)) else {
        eprintln!(
            "clang and llvm-strip are not here (on Debian: apt-get install clang llvm); the objects stay as they are"
        );
        return Ok(2);
    };
    let folder = crate::root().join("tools");
    let listing =
        std::fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))?;
    let mut sources = Vec::new();
    for entry in listing {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "c") {
            sources.push(path);
        }
    }
    sources.sort();
    for source in sources {
        let object = source.with_extension("o");
        // By its name alone: the path of a source is in its object.
        let name = source.file_name().context("a source without a name")?;
        step(Command::new(clang).current_dir(&folder).args(FLAGS).arg(name).arg("-o").arg(&object), &source)?;
        step(Command::new(strip).arg("-g").arg(&object), &object)?;
        println!("{}", object.display());
    }
    Ok(0)
}

fn step(command: &mut Command, about: &Path) -> Result<()> {
    let done = command.status().with_context(|| format!("could not start {command:?}"))?;
    ensure!(done.success(), "{}: {done}", about.display());
    Ok(())
}
