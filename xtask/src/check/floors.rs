//! Floors: which room of the kernel may use which.
//!
//! A room is a file or a folder of `kernel/src`. It may name rooms of its own floor and of lower ones;
//! the way up is registration into a slot that the lower room owns. `main.rs` stands above all, and so do
//! files that hold a room's tests or benchmarks: they use whatever shows that the room works.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Findings, files, without_comments, without_tests};

/// The house, from the ground up.
const FLOORS: &[(u8, &str, &[&str])] = &[
    (1, "machine", &["arch", "boot", "exception", "noinstr"]),
    (2, "what services are built with", &["sync", "text", "jump_label", "tracepoint"]),
    (
        3,
        "services",
        &[
            "mm",
            "task",
            "irq",
            "block",
            "time",
            "ksyms",
            "ktypes",
            "console",
            "klog",
            "unwind",
            "oops",
            "misses",
            "debug_hooks",
        ],
    ),
    (4, "hooks", &["ftrace", "kprobes", "rethook", "uprobes", "perf"]),
    // The tree of files is a slot too: rooms add what they have to show.
    (5, "listeners and files", &["trace", "bpf", "ptrace", "fs"]),
    (6, "surface", &["syscall", "shell", "workload", "selftest", "bench", "provoke"]),
];

/// Functions of `main.rs` that boot code jumps to.
const ROOT_ITEMS: &[&str] = &["kernel_main", "secondary_main"];
/// Files and folders of a room that hold its tests or benchmarks.
const ABOVE: &[&str] = &["tests.rs", "selftest.rs", "selftests.rs", "bench.rs", "benches.rs"];

/// Checks every file under `kernel/src`.
pub fn check(source: &Path) -> Result<Findings> {
    let mut found = Findings::default();
    for path in files(source, &["rs"])? {
        let inside = path.strip_prefix(source).unwrap_or(&path).to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).with_context(|| inside.clone())?;
        found.wrong.extend(check_file(&inside, &text));
    }
    Ok(found)
}

/// What is wrong in one file, whose path is relative to `kernel/src`.
fn check_file(path: &str, text: &str) -> Vec<String> {
    let room = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    let above = |part: &str| ABOVE.iter().any(|name| part == *name || name.strip_suffix(".rs") == Some(part));
    if path == "main.rs" || path.split('/').skip(1).any(above) {
        return Vec::new();
    }
    let Some(own) = floor(room) else {
        return vec![format!(
            "{path}: room `{room}` stands on no floor; give it one in xtask/src/check/floors.rs"
        )];
    };
    let mut wrong = Vec::new();
    for used in rooms_used(&without_comments(without_tests(text))) {
        if ROOT_ITEMS.contains(&used.as_str()) {
            continue;
        }
        match floor(&used) {
            Some(floor) if floor <= own => {}
            Some(floor) => {
                wrong.push(format!("{path}: `{room}` (floor {own}) uses `{used}` (floor {floor})"))
            }
            None => wrong.push(format!("{path}: uses `crate::{used}`, which stands on no floor")),
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong
}

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, _, rooms)| rooms.contains(&room)).map(|(number, _, _)| *number)
}

/// The first name behind each `crate::`, also within `crate::{a, b::c}`. Macros do not count.
fn rooms_used(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` stands in macros, `self::crate::` nowhere.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let behind = &code[at + "crate::".len()..];
        match behind.strip_prefix('{') {
            Some(list) => used.extend(top_level(list).into_iter().map(name)),
            None => {
                let name = name(behind);
                if !behind[name.len()..].starts_with('!') {
                    used.push(name);
                }
            }
        }
    }
    used.retain(|name| !name.is_empty());
    used
}

/// The parts of a list up to its closing brace, split at its own commas.
fn top_level(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&list[start..at]);
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_crate_are_rooms() {
        let code = "use crate::arch::cpu;\nuse crate::{sync::{Lock, Guard}, mm,\n task::current};\nlet x = crate::time::now();\ncrate::printk!();";
        assert_eq!(rooms_used(code), ["arch", "sync", "mm", "task", "time"]);
        assert_eq!(rooms_used("mycrate::x my_crate::y"), [""; 0]);
    }

    #[test]
    fn lower_floors_and_the_own_are_free() {
        assert_eq!(check_file("kprobes/hit.rs", "use crate::{arch, text, task, ftrace};"), [""; 0]);
        assert_eq!(check_file("boot.rs", "crate::kernel_main()"), [""; 0]);
        assert_eq!(check_file("main.rs", "use crate::shell;"), [""; 0]);
        assert_eq!(check_file("arch/x.rs", "// crate::shell does it\n"), [""; 0]);
    }

    #[test]
    fn higher_floors_are_not() {
        assert_eq!(check_file("text/patch.rs", "use crate::task::x;").len(), 1);
        assert_eq!(check_file("exception.rs", "use crate::kprobes;\nuse crate::kprobes::y;").len(), 1);
        assert_eq!(check_file("cellar/x.rs", "").len(), 1);
        assert_eq!(check_file("arch/x.rs", "use crate::cellar;").len(), 1);
    }

    #[test]
    fn tests_stand_above() {
        assert_eq!(check_file("arch/tests.rs", "use crate::selftest::Test;"), [""; 0]);
        assert_eq!(check_file("arch/benches.rs", "use crate::bench::Row;"), [""; 0]);
        assert_eq!(check_file("arch/cpu.rs", "use crate::selftest;").len(), 1);
    }
}
