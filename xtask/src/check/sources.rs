//! What can be read off the sources: purity of the crates below the kernel, and sizes of files.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Findings, files, without_comments, without_tests};

/// A file with more lines than this is a room that wants splitting.
const LINES_MAX: usize = 800;
/// A file with more lines than this is large.
const LINES_LARGE: usize = 500;

/// What may not stand in a pure crate: they run inside probes, on any machine, under any test.
const IMPURE: &[(&str, &str)] = &[
    ("unsafe ", "unsafe code"),
    ("unsafe{", "unsafe code"),
    ("asm!(", "assembly"),
    ("target_arch", "code for one architecture"),
];

/// Files of pure crates that need unsafe code on the hot path; each one proves at its head why it is sound.
const UNSAFE_FILES: &[&str] = &[];

/// Checks the crates under `crates/`.
pub fn pure(crates: &Path) -> Result<Findings> {
    let mut found = Findings::default();
    for path in files(crates, &["rs"])? {
        let inside = path.strip_prefix(crates).unwrap_or(&path).to_string_lossy().into_owned();
        // Tests run on the host and may do as they like.
        if inside.contains("/tests/") || inside.ends_with("tests.rs") || inside.contains("/examples/") {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| inside.clone())?;
        for (line, what) in impurities(&text) {
            if what == "unsafe code" && UNSAFE_FILES.contains(&inside.as_str()) {
                continue;
            }
            found.wrong.push(format!("crates/{inside}:{line}: {what}"));
        }
        if inside.ends_with("src/lib.rs") && !text.contains("#![no_std]") && !text.contains("no_std)]") {
            found.wrong.push(format!("crates/{inside}: not `no_std`"));
        }
    }
    Ok(found)
}

/// Line numbers with what is impure there.
fn impurities(text: &str) -> Vec<(usize, &'static str)> {
    let code = without_comments(without_tests(text));
    let mut found = Vec::new();
    for (i, line) in code.lines().enumerate() {
        let item = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        if item.starts_with("static ") {
            found.push((i + 1, "a static"));
        }
        if let Some((_, what)) = IMPURE.iter().find(|(word, _)| line.contains(word)) {
            found.push((i + 1, *what));
        }
    }
    found
}

/// Checks the length of every source file of the project.
pub fn sizes(root: &Path) -> Result<Findings> {
    let mut found = Findings::default();
    for path in files(root, &["rs", "S"])? {
        let inside = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let lines = std::fs::read_to_string(&path).with_context(|| inside.clone())?.lines().count();
        if lines > LINES_MAX {
            found.wrong.push(format!("{inside}: {lines} lines, at most {LINES_MAX}"));
        } else if lines > LINES_LARGE {
            found.notes.push(format!("{inside}: {lines} lines"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impurities_are_found_outside_tests_and_comments() {
        let text = "//! unsafe { prose }\nfn f() { unsafe { g() } }\npub static X: u8 = 0;\n// asm!(\n\
                    let s: &'static str;\n#[cfg(test)]\nmod tests {\n    static Y: u8 = 0;\n}\n";
        assert_eq!(impurities(text), [(2, "unsafe code"), (3, "a static")]);
        assert_eq!(
            impurities("#[cfg(target_arch = \"x\")]\nasm!(\"nop\")"),
            [(1, "code for one architecture"), (2, "assembly")]
        );
    }
}
