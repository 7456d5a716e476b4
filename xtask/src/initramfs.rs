//! Packs the guest's root file system.
//!
//! It is the folder `kernel/initramfs`, the BPF tools of `tools/` in both of their forms, the places where file systems
//! are mounted, and what `--file` and the script add. Later entries replace earlier ones of the same name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::cpio::Archive;

/// Where the script of script mode lies in the guest.
pub const SCRIPT: &str = "/.script";

/// Directories that are there even when nothing lies in them.
const ALWAYS: &[&str] = &["dev", "etc", "proc", "root", "sys", "tmp"];

/// A host file that is to be put into the guest: `HOST[=GUEST]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestFile {
    /// Where it is read from.
    pub host: PathBuf,
    /// Where it lies in the guest, without the leading slash.
    pub guest: String,
}

impl std::str::FromStr for GuestFile {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (host, guest) = match text.split_once('=') {
            Some((host, guest)) => (host, guest.to_owned()),
            None => {
                let name = Path::new(text).file_name().and_then(|n| n.to_str());
                (text, name.context("the file has no name")?.to_owned())
            }
        };
        ensure!(!host.is_empty(), "the host's file has no name");
        Ok(Self { host: host.into(), guest: guest_path(&guest)? })
    }
}

/// What will be in the archive.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Tree {
    /// The project's own root file system.
    pub fn project() -> Result<Self> {
        let mut tree = Self::default();
        let folder = crate::root().join("kernel/initramfs");
        if folder.is_dir() {
            tree.folder(&folder, "")?;
        }
        tree.tools(&crate::root().join("tools"))?;
        Ok(tree)
    }

    /// Adds what the guest can load of the tools: objects and texts, at `/tools`.
    fn tools(&mut self, folder: &Path) -> Result<()> {
        let listing =
            std::fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))?;
        for entry in listing {
            let path = entry?.path();
            let loads = path.extension().is_some_and(|ending| ending == "o" || ending == "s");
            if let (true, Some(name)) = (loads, path.file_name().and_then(|name| name.to_str())) {
                self.add_host(&GuestFile { guest: format!("tools/{name}"), host: path.clone() })?;
            }
        }
        Ok(())
    }

    /// Adds a file with these bytes.
    pub fn add(&mut self, guest: &str, permissions: u32, bytes: Vec<u8>) -> Result<()> {
        self.files.insert(guest_path(guest)?, (permissions, bytes));
        Ok(())
    }

    /// Adds a file of the host.
    pub fn add_host(&mut self, file: &GuestFile) -> Result<()> {
        let host = &file.host;
        let bytes = std::fs::read(host).with_context(|| format!("could not read {}", host.display()))?;
        self.add(&file.guest, permissions(host), bytes)
    }

    /// Adds all that lies in a folder of the host.
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let listing =
            std::fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))?;
        for entry in listing {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
                bail!("{} has a name that is not UTF-8", path.display());
            };
            let guest = format!("{prefix}{name}");
            if path.is_dir() {
                self.folder(&path, &format!("{guest}/"))?;
            } else {
                self.add_host(&GuestFile { host: path, guest })?;
            }
        }
        Ok(())
    }

    /// The archive: every directory before what lies in it.
    pub fn pack(&self) -> Vec<u8> {
        let mut entries: BTreeMap<&str, Option<&(u32, Vec<u8>)>> = BTreeMap::new();
        entries.extend(ALWAYS.iter().map(|name| (*name, None)));
        for (path, file) in &self.files {
            let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            entries.extend(parents.map(|parent| (parent, None)));
            entries.insert(path, Some(file));
        }
        let mut archive = Archive::default();
        for (path, file) in entries {
            match file {
                Some((permissions, bytes)) => archive.file(path, *permissions, bytes),
                None => archive.directory(path, 0o755),
            }
        }
        archive.finish()
    }
}

/// A path in the guest without its leading slash, with nothing in it that could lead elsewhere.
fn guest_path(path: &str) -> Result<String> {
    let trimmed = path.trim_start_matches('/');
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    ensure!(!trimmed.split('/').any(odd) && !trimmed.contains('\0'), "not a path for the guest: {path:?}");
    Ok(trimmed.to_owned())
}

#[cfg(unix)]
fn permissions(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    let runs = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o100 != 0);
    if runs { 0o755 } else { 0o644 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_on_both_sides() {
        let parse = |text: &str| text.parse::<GuestFile>().map(|f| (f.host, f.guest));
        assert_eq!(parse("a/b.txt").unwrap(), ("a/b.txt".into(), "b.txt".into()));
        assert_eq!(parse("a/b=/x/y").unwrap(), ("a/b".into(), "x/y".into()));
        for bad in ["", "=x", "a=", "a=/", "a=../x", "a=x//y", "a=x/.", "/"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn directories_come_first_and_once() {
        let mut tree = Tree::default();
        tree.add("/x/y/z", 0o644, b"1".to_vec()).unwrap();
        tree.add("x/y/a", 0o644, b"2".to_vec()).unwrap();
        tree.add("x/y/z", 0o644, b"3".to_vec()).unwrap();
        let text = String::from_utf8(tree.pack()).unwrap();
        let at = |name: &str| text.find(&format!("{name}\0")).unwrap();
        assert!(at("000x") < at("x/y") && at("x/y") < at("x/y/a") && at("x/y/a") < at("x/y/z"));
        assert_eq!(text.matches("x/y\0").count(), 1);
        assert!(text.contains('3') && at("dev") < at("proc"));
    }
}
