//! Builds, runs, tests, measures and checks Trapline: what stands behind `cargo xtask`.
//!
//! It is a library as well as a program so that the harness in `tests-qemu` boots machines by the same
//! code as `cargo xtask qemu`.
//!
//! ```text
//!   tools ──▶ build ──▶ elf ──▶ flat Image + symbols ─┐
//!                               cpio  ◀── initramfs ──┴▶ machine (QEMU's arguments) ──▶ run
//! ```
//!
//! * [`tools`] finds what is needed, installs it where that needs no question, else names the command;
//! * [`build`] compiles the kernel and turns the ELF file into a bootable [`image`] with [`symbols`];
//! * [`initramfs`] packs the guest's root file system by [`cpio`];
//! * [`commands`] holds `test`, `bench` and `gdb`, [`check`] what `check` looks at;
//! * [`machine`] turns options into QEMU's arguments, [`run`] starts QEMU and sees that it ends;
//! * [`profile`] watches a benchmark run and says where its instructions go.
//!
//! How a script's output, its exit status and the console travel is told in [`run`].

pub mod build;
pub mod check;
pub mod commands;
pub mod cpio;
#[expect(unsafe_code, reason = "asks the host's kernel to end QEMU with us, between fork and exec")]
mod die_with_parent;
pub mod disk;
pub mod image;
pub mod initramfs;
pub mod machine;
pub mod profile;
pub mod run;
pub mod symbols;
pub mod tools;
pub mod types;

use std::path::PathBuf;

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}
