//! Links between pages: `README.md`, `CHANGELOG.md` and the book under `docs/`.
//!
//! A link to a file must lead to one; a link to a heading must lead to a heading of that page; every page
//! of the book must stand in its `SUMMARY.md`. Links to other hosts are not followed.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::{Findings, files};

/// Checks every page of the project.
pub fn check(root: &Path) -> Result<Findings> {
    let mut found = Findings::default();
    let mut pages: Vec<PathBuf> = ["README.md", "CHANGELOG.md"].map(|name| root.join(name)).into();
    pages.retain(|path| path.is_file());
    let book = files(&root.join("docs"), &["md"])?;
    pages.extend(book.iter().cloned());
    for page in &pages {
        let text = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
        let name = page.strip_prefix(root).unwrap_or(page).display();
        for link in links(&text) {
            if let Err(why) = follow(page, &text, &link) {
                found.wrong.push(format!("{name}: link to `{link}`: {why}"));
            }
        }
    }
    if let Some(summary) = book.iter().find(|page| page.ends_with("SUMMARY.md")) {
        let text = std::fs::read_to_string(summary)?;
        let folder = summary.parent().unwrap_or(root);
        let listed: BTreeSet<PathBuf> = links(&text).iter().map(|link| tidy(&folder.join(link))).collect();
        for page in book.iter().filter(|page| page.starts_with(folder) && *page != summary) {
            if !listed.contains(page) {
                found.wrong.push(format!(
                    "{} is not in the summary",
                    page.strip_prefix(root).unwrap_or(page).display()
                ));
            }
        }
    }
    Ok(found)
}

/// Whether a link from `page` leads somewhere.
fn follow(page: &Path, text: &str, link: &str) -> Result<(), String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(());
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = page.parent().unwrap_or(Path::new("")).join(file);
    if !file.is_empty() && !target.exists() {
        return Err("no such file".into());
    }
    if heading.is_empty() || (!file.is_empty() && !file.ends_with(".md")) {
        return Ok(());
    }
    let other = if file.is_empty() { Ok(text.to_owned()) } else { std::fs::read_to_string(&target) };
    let other = other.map_err(|e| e.to_string())?;
    if headings(&other).contains(heading) { Ok(()) } else { Err("no such heading".into()) }
}

/// Lines of a page that are prose: not within a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of `[text](target)` and `[name]: target`, outside code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for (at, _) in outside.match_indices("](") {
            let behind = &outside[at + 2..];
            if let Some((target, _)) = behind.split_once(')') {
                found.push(target.split(' ').next().unwrap_or_default().to_owned());
            }
        }
        if let Some((name, target)) = outside.split_once("]: ")
            && name.starts_with('[')
            && !name.starts_with("[^")
        {
            found.push(target.trim().to_owned());
        }
    }
    found
}

/// The anchors of a page's headings, as mdBook and GitHub make them.
fn headings(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in prose(text).filter(|line| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let anchor: String = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let mut number = 0;
        let mut unique = anchor.clone();
        while !anchors.insert(unique.clone()) {
            number += 1;
            unique = format!("{anchor}-{number}");
        }
    }
    anchors
}

/// A path without `.` and `..`.
fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stand_in_prose() {
        let text =
            "[a](b.md) and [c](d.md#e \"title\") `[no](x)`\n```\n[no](y)\n```\n[r]: z.md\n[^1]: note\n";
        assert_eq!(links(text), ["b.md", "d.md#e", "z.md"]);
    }

    #[test]
    fn headings_become_anchors() {
        let text = "# The `map`, now\n## Two words\n## Two words\n```\n# no\n```\n";
        let anchors: Vec<String> = headings(text).into_iter().collect();
        assert_eq!(anchors, ["the-map-now", "two-words", "two-words-1"]);
    }

    #[test]
    fn dead_links_are_found() {
        let folder = crate::run::Folder::new().unwrap();
        let root = &folder.path;
        std::fs::create_dir(root.join("docs")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
        write(
            "README.md",
            "[a](docs/a.md#here) [b](docs/b.md) [c](docs/a.md#there) [d](https://x/y) [e](#top)\n# Top\n",
        );
        write("docs/a.md", "# Here\n[up](../README.md)\n");
        write("docs/SUMMARY.md", "- [a](./a.md)\n");
        write("docs/lost.md", "");
        let wrong = check(root).unwrap().wrong.join("\n");
        assert_eq!(wrong.lines().count(), 3, "{wrong}");
        assert!(wrong.contains("docs/b.md") && wrong.contains("#there") && wrong.contains("lost.md is not"));
    }
}
