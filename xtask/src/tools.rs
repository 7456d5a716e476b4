//! Finds the tools that a command needs.
//!
//! The Rust target is added with rustup, which asks nothing. QEMU is installed with apt when we are root
//! on a system that has it; elsewhere the exact command for the system is printed and the exit status is 2.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// The target that the kernel is compiled for.
pub const TARGET: &str = "aarch64-unknown-none-softfloat";
/// The emulator that boots it.
pub const QEMU: &str = "qemu-system-aarch64";

/// A tool is missing and cannot be installed without a question. Makes the exit status 2.
#[derive(Debug)]
pub struct MissingTool {
    /// What is missing.
    pub tool: String,
    /// The command that installs it.
    pub command: String,
}

impl fmt::Display for MissingTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is needed and was not found; install it with\n\n    {}\n", self.tool, self.command)
    }
}

impl std::error::Error for MissingTool {}

/// Sees to it that the kernel's target is installed.
///
/// `rust-toolchain.toml` names it, but rustup ignores that silently where it was told not to install
/// anything by itself, and the build would then fail with "can't find crate for `core`".
pub fn rust_target() -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let out = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(crate::root())
        .output()
        .context("could not run rustc")?;
    let dir = String::from_utf8_lossy(&out.stdout);
    if out.status.success() && Path::new(dir.trim()).is_dir() {
        return Ok(());
    }
    eprintln!("installing the Rust target {TARGET}");
    let status = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => {
            let command = format!("rustup target add {TARGET}");
            Err(MissingTool { tool: format!("the Rust target {TARGET}"), command }.into())
        }
    }
}

/// The QEMU to run: `wanted`, or the one found in the path, installed first where that needs no question.
pub fn qemu(wanted: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = wanted {
        if answers(path) {
            // QEMU is started in another folder: make the path mean the same there.
            let named = path.components().count() > 1;
            return if named { path.canonicalize().context("no such QEMU") } else { Ok(path.into()) };
        }
        let tool = format!("the QEMU given by --qemu ({})", path.display());
        return Err(MissingTool { tool, command: install_hint() }.into());
    }
    if answers(Path::new(QEMU)) {
        return Ok(QEMU.into());
    }
    if apt_install("qemu-system-arm") && answers(Path::new(QEMU)) {
        return Ok(QEMU.into());
    }
    Err(MissingTool { tool: QEMU.into(), command: install_hint() }.into())
}

/// The option by which QEMU executes one instruction at a time: it was moved in version 8.1, and the old
/// one went away later.
pub fn one_insn_at_a_time(qemu: Option<&Path>) -> &'static [&'static str] {
    let run = Command::new(qemu.unwrap_or(Path::new(QEMU))).arg("--version").stdin(Stdio::null()).output();
    let text = run.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
    if major_version(&text).is_some_and(|major| major <= 8) {
        &["-singlestep"]
    } else {
        &["-accel", "tcg,one-insn-per-tb=on"]
    }
}

/// The 7 of `QEMU emulator version 7.2.22 (…)`.
fn major_version(text: &str) -> Option<u32> {
    text.split_once("version ")?.1.split('.').next()?.parse().ok()
}

/// A gdb that knows arm64, installed first where that needs no question.
pub fn gdb() -> Result<PathBuf> {
    let found = || GDBS.iter().find(|name| knows_arm64(name)).map(PathBuf::from);
    if let Some(gdb) = found() {
        return Ok(gdb);
    }
    if let Some(gdb) = apt_install("gdb-multiarch").then(found).flatten() {
        return Ok(gdb);
    }
    let command = with_package("gdb-multiarch", "gdb", "gdb", "aarch64-elf-gdb");
    Err(MissingTool { tool: "a gdb that knows arm64".into(), command }.into())
}

/// Where such a gdb may be found.
const GDBS: &[&str] =
    &["gdb-multiarch", "aarch64-none-elf-gdb", "aarch64-linux-gnu-gdb", "aarch64-elf-gdb", "gdb"];

/// Whether a gdb is there and knows arm64: a plain one may have been built for its host alone.
fn knows_arm64(name: &str) -> bool {
    let asked = Command::new(name)
        .args(["-nx", "-batch", "-ex", "set architecture aarch64"])
        .stdin(Stdio::null())
        .output();
    asked.is_ok_and(|out| out.status.success() && !out.stderr.starts_with(b"Undefined item"))
}

/// Installs a package with apt, where it is there and we are root, so that nobody has to be asked.
fn apt_install(package: &str) -> bool {
    if !is_root() || !in_path("apt-get") {
        return false;
    }
    eprintln!("installing {package} with apt");
    let apt = |args: &[&str]| {
        let done = Command::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        done.is_ok_and(|s| s.success())
    };
    let install = ["install", "-y", "-q", "--no-install-recommends", package];
    // The lists of packages may never have been fetched, or be old.
    apt(&install) || (apt(&["update", "-q"]) && apt(&install))
}

/// The command that installs QEMU on this system.
fn install_hint() -> String {
    with_package("qemu-system-arm", "qemu-system-aarch64", "qemu-system-aarch64", "qemu")
}

/// The install command of this system, given the package's name on each.
fn with_package(debian: &str, fedora: &str, arch: &str, brew: &str) -> String {
    let sudo = if is_root() { "" } else { "sudo " };
    if in_path("apt-get") {
        format!("{sudo}apt-get install {debian}")
    } else if in_path("dnf") {
        format!("{sudo}dnf install {fedora}")
    } else if in_path("pacman") {
        format!("{sudo}pacman -S {arch}")
    } else if in_path("zypper") {
        format!("{sudo}zypper install {fedora}")
    } else if in_path("apk") {
        format!("{sudo}apk add {arch}")
    } else {
        format!("brew install {brew}")
    }
}

/// Whether `program` runs and tells its version. Which version it is does not matter.
fn answers(program: &Path) -> bool {
    let run = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    run.is_ok_and(|out| out.status.success())
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn is_root() -> bool {
    let run = Command::new("id").arg("-u").stdin(Stdio::null()).output();
    run.is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::major_version;

    #[test]
    fn reads_the_version_of_qemu() {
        assert_eq!(major_version("QEMU emulator version 7.2.22 (Debian 1:7.2)\nCopyright"), Some(7));
        assert_eq!(major_version("QEMU emulator version 10.0.2"), Some(10));
        assert_eq!(major_version("something else"), None);
    }
}
