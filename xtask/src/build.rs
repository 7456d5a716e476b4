//! Compiles the kernel and makes the bootable image of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{image, symbols, tools, types};

/// Two NOPs before each function's symbol and two behind it, in the `kernel` crate alone: `cargo rustc`
/// hands the flag to the last crate only, so what it is built from stays without entries.
const ENTRY_FLAG: &str = "-Zpatchable-function-entry=4,2";

/// Variables that would replace or extend the flags in `.cargo/config.toml`.
const FLAG_VARIABLES: &[&str] = &[
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_AARCH64_UNKNOWN_NONE_SOFTFLOAT_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
];

/// What a build made.
#[derive(Clone, Debug)]
pub struct Built {
    /// The linked kernel, with debug information.
    pub elf: PathBuf,
    /// The flat arm64 `Image` with the symbol blob and the table of types behind it.
    pub image: PathBuf,
    /// How long the image is, in bytes, all of it.
    pub image_len: u64,
    /// How much of that are symbols.
    pub symbols_len: u64,
    /// How much of that tells of types.
    pub types_len: u64,
}

/// Builds the kernel; progress goes to standard error.
pub fn kernel() -> Result<Built> {
    tools::rust_target()?;
    let elf = compile()?;
    pack(&elf, &elf.with_file_name("Image"))
}

/// Makes the image of a kernel that somebody linked before, in `folder`.
pub fn packed(elf: &Path, folder: &Path) -> Result<Built> {
    pack(elf, &folder.join("Image"))
}

/// Runs `cargo` as this process was started by it, or the one in the path, without the caller's flags.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(crate::root()).stdin(Stdio::null()).env("RUSTC_BOOTSTRAP", "1");
    for name in FLAG_VARIABLES {
        cargo.env_remove(name);
    }
    cargo
}

/// Compiles and links; gives the path of the ELF file.
fn compile() -> Result<PathBuf> {
    let out = cargo()
        .args(["rustc", "--package", "kernel", "--bin", "kernel", "--release", "--target", tools::TARGET])
        .args(["--message-format", "json-render-diagnostics", "--", ENTRY_FLAG])
        .stderr(Stdio::inherit())
        .output()
        .context("could not run cargo")?;
    if !out.status.success() {
        bail!("the kernel does not build");
    }
    executable(&out.stdout).context("cargo named no kernel executable")
}

/// Finds the executable of the kernel in cargo's messages, one JSON object a line.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    let messages = messages.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let named = |m: serde_json::Value| {
        let kernel = m["target"]["name"] == "kernel";
        m["executable"].as_str().filter(|_| kernel).map(PathBuf::from)
    };
    messages.filter_map(named).next_back()
}

/// Makes the image of an ELF file at `path`.
fn pack(elf: &Path, path: &Path) -> Result<Built> {
    let bytes = std::fs::read(elf).with_context(|| format!("could not read {}", elf.display()))?;
    let blob = symbols::blob(&bytes).context("could not make the symbol table")?;
    let types = types::table(&bytes).context("could not make the table of types")?;
    let flat = image::make(&bytes, &[&blob, &types]).context("could not make the image")?;
    replace(path, &flat).with_context(|| format!("could not write {}", path.display()))?;
    Ok(Built {
        elf: elf.into(),
        image: path.into(),
        image_len: flat.len() as u64,
        symbols_len: blob.len() as u64,
        types_len: types.len() as u64,
    })
}

/// Gives a file new contents at once: whoever boots from it meanwhile has the old one or the new one whole.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let new = path.with_extension(format!("new-{}", std::process::id()));
    std::fs::write(&new, bytes)?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_kernel_among_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"tracecore"},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"kernel"},"executable":"/t/kernel"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        assert_eq!(executable(messages.as_bytes()), Some("/t/kernel".into()));
        assert_eq!(executable(b""), None);
    }
}
