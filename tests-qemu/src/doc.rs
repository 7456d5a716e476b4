//! Transcripts in pages: the fenced `console` blocks of `README.md` and `docs/**/*.md`.
//!
//! * What stands behind a guest's prompt (`~ # cmd`) is run in the guest and its output compared. The
//!   blocks of one page are one session: what one leaves, the next finds.
//! * `$ cargo xtask qemu OPTIONS` starts a session with these options; what the boot prints up to the
//!   first prompt is not compared. `poweroff` at the end of one is not run.
//! * `$ … | cargo xtask qemu …`, and the same with `--script` or `<`, is run on the host, and its
//!   standard output compared; so is every line with `cargo xtask bpf-exec`.
//! * Other lines behind `$ ` are for the reader only, with their output.
//!
//! Exit statuses are not compared; a page that wants to show one says `echo $?`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::batch::{Part, Session};
use crate::transcript::{host_prompt, steps};

/// A session in a page.
#[derive(Clone, Debug, Default)]
pub struct PageSession {
    /// Options of the machine.
    pub boot: String,
    /// What is run; one part a block.
    pub session: Session,
}

/// A line that is run on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLine {
    /// What the result is called.
    pub name: String,
    /// The line.
    pub command: String,
    /// What it prints.
    pub expected: Vec<String>,
}

/// All that one or more pages have.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// Sessions in guests.
    pub sessions: Vec<PageSession>,
    /// Lines for the host.
    pub host: Vec<HostLine>,
}

/// Reads the pages of the project.
pub fn read_all(root: &Path) -> Result<Pages> {
    let mut paths = vec![root.join("README.md")];
    find(&root.join("docs"), &mut paths)?;
    let mut pages = Pages::default();
    for path in paths.iter().filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
        page(&name, &text, &mut pages);
    }
    Ok(pages)
}

/// Finds the pages under a folder, in the order of their names.
fn find(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let mut inside: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    inside.sort();
    for path in inside {
        if path.is_dir() {
            find(&path, paths)?;
        } else if path.extension().is_some_and(|e| e == "md") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Reads one page.
pub fn page(name: &str, text: &str, pages: &mut Pages) {
    let mut current = PageSession::default();
    for (first, block) in blocks(text) {
        let mut rest: &[&str] = &block;
        let mut line = first;
        while let Some(head) = rest.first() {
            let len = 1 + rest[1..].iter().take_while(|l| host_prompt(l).is_none()).count();
            let (part, behind) = rest.split_at(len);
            let label = format!("{name}:{line}");
            let guest = match host_prompt(head) {
                None => part,
                Some(command) => {
                    host_line(command, &label, &part[1..], &mut current, pages);
                    if is_session(command).is_some() { &part[1..] } else { &[] }
                }
            };
            let skipped = part.len() - guest.len();
            let mut steps = steps(guest.iter().copied(), line + skipped);
            steps.retain(|step| !matches!(step.command.trim(), "" | "poweroff" | "reboot"));
            if !steps.is_empty() {
                current.session.parts.push(Part { name: format!("docs::{label}"), steps });
            }
            line += len;
            rest = behind;
        }
    }
    finish(&mut current, pages);
}

/// Takes in a line for the host.
fn host_line(command: &str, label: &str, output: &[&str], current: &mut PageSession, pages: &mut Pages) {
    if let Some(boot) = is_session(command) {
        finish(current, pages);
        boot.clone_into(&mut current.boot);
    } else if ["cargo xtask qemu", "cargo xtask bpf-exec"].iter().any(|xtask| command.contains(xtask)) {
        let kept = output.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
        pages.host.push(HostLine {
            name: format!("docs::{label}"),
            command: command.to_owned(),
            expected: output[..kept].iter().map(|line| (*line).to_owned()).collect(),
        });
    }
}

/// The options when a host line starts an interactive session.
fn is_session(command: &str) -> Option<&str> {
    let options = command.trim().strip_prefix("cargo xtask qemu")?;
    let scripted = options.contains(['|', '<', '>', ';', '&']) || options.contains("--script");
    (!scripted).then_some(options.trim())
}

/// Ends a session.
fn finish(current: &mut PageSession, pages: &mut Pages) {
    let done = std::mem::take(current);
    if !done.session.parts.is_empty() {
        pages.sessions.push(done);
    }
}

/// The fenced `console` blocks of a page: the number of the first line, and the lines.
fn blocks(text: &str) -> Vec<(usize, Vec<&str>)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let inside = lines.by_ref().take_while(|(_, line)| !line.trim_start().starts_with("```"));
        let inside: Vec<_> = inside.collect();
        if let (Some((first, _)), "console") = (inside.first(), language.trim()) {
            blocks.push((first + 1, inside.iter().map(|(_, line)| *line).collect()));
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# Page

```console
$ git clone somewhere
Cloning
$ cargo xtask qemu --smp 1
Trapline boots
~ # a
1
~ # poweroff
```

```sh
~ # not run
```

```console
~ # b
```

```console
$ echo x | cargo xtask qemu
y

$ cargo xtask test
5 passed
$ cargo xtask qemu
~ # c
3
```
";

    #[test]
    fn blocks_of_a_page_are_sessions() {
        let mut pages = Pages::default();
        page("p.md", PAGE, &mut pages);
        let shown: Vec<_> = pages
            .sessions
            .iter()
            .map(|s| {
                let parts: Vec<_> =
                    s.session.parts.iter().map(|p| (p.name.as_str(), p.steps.len())).collect();
                (s.boot.as_str(), parts)
            })
            .collect();
        assert_eq!(
            shown,
            [("--smp 1", vec![("docs::p.md:6", 1), ("docs::p.md:18", 1)]), ("", vec![("docs::p.md:27", 1)]),]
        );
        assert_eq!(pages.sessions[0].session.parts[0].steps[0].line, 8);
        let host = HostLine {
            name: "docs::p.md:22".into(),
            command: "echo x | cargo xtask qemu".into(),
            expected: vec!["y".into()],
        };
        assert_eq!(pages.host, [host]);
    }

    #[test]
    fn programs_for_the_guest_are_run_on_the_host() {
        let mut pages = Pages::default();
        page("x.md", "```console\n$ echo 95 | cargo xtask bpf-exec\n0\n$ cargo build\n```\n", &mut pages);
        let commands: Vec<_> = pages.host.iter().map(|line| line.command.as_str()).collect();
        assert_eq!(commands, ["echo 95 | cargo xtask bpf-exec"]);
    }

    #[test]
    fn a_page_without_transcripts_has_none() {
        let mut pages = Pages::default();
        page("p.md", "text\n```rust\n~ # x\n```\n```console\n```\n", &mut pages);
        assert!(pages.sessions.is_empty() && pages.host.is_empty());
    }

    #[test]
    fn only_a_plain_start_is_a_session() {
        assert_eq!(is_session("cargo xtask qemu --el2 "), Some("--el2"));
        for other in [
            "cargo xtask qemu --script x",
            "cargo xtask qemu < x",
            "x | cargo xtask qemu",
            "cargo xtask test",
        ] {
            assert_eq!(is_session(other), None);
        }
    }
}
