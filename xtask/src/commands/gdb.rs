//! `cargo xtask gdb`: the machine halted before its first instruction, with gdb attached.
//!
//! This process becomes gdb, and QEMU is its child: it runs in a process group of its own, so that Ctrl-C
//! stops the guest and not QEMU, and ends when gdb does.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::machine::{Console, Machine};
use crate::{disk, run, tools};

/// Boots halted and attaches; comes back only with an error.
pub fn run(machine: &Machine) -> Result<u8> {
    let gdb = tools::gdb()?;
    let qemu = tools::qemu(machine.qemu.as_deref())?;
    // QEMU reads the folder's files before it answers gdb, but this process ends as gdb and cannot tidy up:
    // the folder lies with the other things that a build makes.
    let folder = crate::root().join("target/gdb");
    std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let built = machine.kernel(&folder)?;
    let initrd = run::pack_initrd(&folder, machine, None)?;
    let machine = &disk::prepare(machine, &folder)?;
    let port = free_port()?;
    let mut command = Command::new(qemu);
    command.args(machine.arguments(&built.image, &initrd, Console::NewTerminal, false));
    command.args(["-S", "-gdb", &format!("tcp:127.0.0.1:{port}")]);
    command.stdin(Stdio::null()).process_group(0);
    let child = run::start(&mut command)?;
    drop(child);
    eprintln!("the guest's console is the terminal that QEMU names (`screen /dev/pts/N`)");
    let mut attach = Command::new(gdb);
    attach.args(["-q", "-ex", "set pagination off", "-ex"]);
    attach.arg(format!("target remote 127.0.0.1:{port}"));
    // Where Rust begins, with the MMU on: the first place that the symbols fit.
    attach.args(["-ex", "thbreak kernel::kernel_main", "-ex", "continue"]);
    attach.arg(&built.elf);
    Err(attach.exec()).context("could not start gdb")
}

/// A port that nobody listens at.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port for gdb")?;
    Ok(listener.local_addr()?.port())
}
