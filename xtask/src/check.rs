//! `cargo xtask check`: what a compiler does not see.
//!
//! | check | where |
//! |---|---|
//! | format, lints of host crates and kernel, documentation | `cargo fmt`, `clippy`, `doc`; warnings are errors |
//! | links between pages, every page in the book's summary | [`links`] |
//! | a room uses only lower floors and its own | [`floors`] |
//! | pure crates: no unsafe code, no assembly, no statics; files that can be read in one sitting | [`sources`] |
//! | entries only where the kernel crate compiled them; each one ready to be patched | [`entries`] |
//! | branches on static keys: NOP where it is off, a tracepoint's block out of the way | [`branches`] |
//! | what of the image cannot be probed, and why; nothing that was not foreseen | [`probes`] |
//! | no patched function reads the x9 of its caller | [`free_register`] |
//! | size of the image | here |

pub mod branches;
pub mod entries;
pub mod floors;
pub mod free_register;
pub mod links;
pub mod probes;
pub mod reach;
pub mod sources;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::build::{self, Built};
use crate::tools;

/// The largest table of types: bytes. A twentieth of today's image.
const TYPES_LIMIT: u64 = 200 << 10;
/// The largest image, with the tables behind it: bytes.
const IMAGE_LIMIT: u64 = 8 << 20;

/// What a check found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What has to be mended; one is enough to fail.
    pub wrong: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// Runs every check; the status is 0 when all passed.
pub fn run() -> Result<u8> {
    tools::rust_target()?;
    let root = crate::root();
    let mut failed = 0;
    let mut report = |name: &str, found: Result<Findings>| {
        let found = found.unwrap_or_else(|e| Findings { wrong: vec![format!("{e:#}")], notes: Vec::new() });
        println!("{} {name}", if found.wrong.is_empty() { "ok     " } else { "FAILED " });
        found.notes.iter().for_each(|note| println!("          {note}"));
        found.wrong.iter().for_each(|wrong| println!("        - {wrong}"));
        failed += u32::from(!found.wrong.is_empty());
    };
    // First what needs no compiler.
    report("floors: a room uses only lower floors and its own", floors::check(&root.join("kernel/src")));
    report("pure crates: no unsafe code, no assembly, no statics", sources::pure(&root.join("crates")));
    report("files can be read in one sitting", sources::sizes(&root));
    report("links between pages", links::check(&root));
    report("format", cargo(&["fmt", "--all", "--check"]));
    let built = build::kernel();
    match &built {
        Ok(built) => {
            report(
                "patchable entries",
                std::fs::read(&built.elf).map_err(Into::into).and_then(|e| entries::check(&e)),
            );
            report(
                "what calls callbacks is not traced",
                std::fs::read(&built.elf).map_err(Into::into).and_then(|e| reach::check(&e)),
            );
            report(
                "branches on static keys",
                std::fs::read(&built.elf).map_err(Into::into).and_then(|e| branches::check(&e)),
            );
            report(
                "what cannot be probed",
                std::fs::read(&built.elf).map_err(Into::into).and_then(|e| probes::check(&e)),
            );
            report("size of the image", Ok(size(built)));
        }
        Err(error) => report("the kernel builds", Err(anyhow::anyhow!("{error:#}"))),
    }
    let deny = ["--", "-D", "warnings"];
    let host = ["clippy", "--quiet", "--keep-going", "--workspace", "--exclude", "kernel", "--all-targets"];
    report("lints of the host crates", cargo(&[&host[..], &deny].concat()));
    let kernel = ["clippy", "--quiet", "--package", "kernel", "--release", "--target", tools::TARGET];
    report("lints of the kernel", cargo(&[&kernel[..], &deny].concat()));
    let doc = ["doc", "--quiet", "--no-deps", "--keep-going", "--workspace", "--exclude", "kernel"];
    report("documentation of the host crates", cargo(&doc));
    let doc = ["doc", "--quiet", "--no-deps", "--package", "kernel", "--release", "--target", tools::TARGET];
    report("documentation of the kernel", cargo(&doc));
    println!(
        "\n{}",
        if failed == 0 { "every check passed".into() } else { format!("{failed} checks failed") }
    );
    Ok(u8::from(failed > 0))
}

/// Runs cargo with warnings of the documentation as errors; what it says goes to standard error.
fn cargo(arguments: &[&str]) -> Result<Findings> {
    let status = build::cargo()
        .args(arguments)
        .env("RUSTDOCFLAGS", "-D warnings")
        .stdout(Stdio::inherit())
        .status()
        .context("could not run cargo")?;
    let mut found = Findings::default();
    if !status.success() {
        found.wrong.push(format!("cargo {} failed", arguments.join(" ")));
    }
    Ok(found)
}

/// The image's size beside its limit.
fn size(built: &Built) -> Findings {
    let mut found = Findings::default();
    let (len, symbols, types) = (built.image_len, built.symbols_len, built.types_len);
    found.notes.push(format!(
        "{len} bytes, {symbols} of them symbols and {types} types; at most {IMAGE_LIMIT}, {TYPES_LIMIT} of them types"
    ));
    if types > TYPES_LIMIT {
        found.wrong.push(format!("{} bytes of types too many", types - TYPES_LIMIT));
    }
    if len > IMAGE_LIMIT {
        found.wrong.push(format!("{} bytes too many", len - IMAGE_LIMIT));
    }
    found
}

/// Every file under `folder` whose name ends in one of `extensions`, in the order of their paths.
fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if extensions.iter().any(|e| path.extension().is_some_and(|x| x == *e)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Source text with its comments blanked out, so that words in prose are not taken for code. Lines keep
/// their numbers. A `//` within a string ends the line too, which hides at most the rest of that line.
fn without_comments(text: &str) -> String {
    let code = |line: &str| line.split_once("//").map_or(line, |(code, _)| code).to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// Source text up to its own test module.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code)
}
