//! The shell on this kernel: `crates/sh` over the VFS, the scheduler and the console.
//!
//! ```text
//!   boot argument           who runs lines                           where output goes
//!   (none)                  a person at the console                  the console
//!   trapline.script=FILE    each line of FILE, then the machine is   standard output: the host's (semihosting)
//!                           switched off with the status of the      everything else: the console
//!                           last line that failed, or 0              (trapline.stderr=stdout: errors go with it)
//! ```
//!
//! A script without a line in it runs `tour`. With `trapline.script.mark=WORD`, a line `WORD STATUS` follows on standard
//! output behind each line of the script; `$?` does not notice. The tests cut outputs apart by it.
//!
//! | file | what |
//! |---|---|
//! | `sys`, `io`, `jobs` | the traits of `crates/sh`, implemented |
//! | `console` | the interactive loop: prompt, editing, completion |
//! | `programs` | the table of the kernel's own programs |
//! | `tour`, `xray` | two of them |

mod console;
mod io;
mod jobs;
mod mount;
mod programs;
pub(crate) mod selftest;
mod sys;
mod tour;
mod xray;

use crate::arch::{power, semihosting};
use crate::fs::vfs::{self, How};
use crate::task::{self, Prio};
use crate::{bench, boot, fs};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, Ordering};
use sh::{Ctx, Fed, Io, Programs, Shell};
use tracecore::errno::Errno;

/// Where a shell starts, and `cd` leads: where `cargo xtask qemu --file` puts files.
const HOME: &str = "/";
/// What every shell starts with.
const ENVIRONMENT: [(&str, &str); 2] = [("HOME", HOME), ("PATH", "/bin")];
/// A script file has at most this many bytes.
const SCRIPT_MAX: usize = 4 << 20;
/// Exit status of a script that could not be read.
const STATUS_NO_SCRIPT: u8 = 126;

/// The status that a script has earned so far: that of its last line that failed.
static SCRIPT_STATUS: AtomicU8 = AtomicU8::new(0);

/// The status with which the machine is to end now.
fn end_status() -> u8 {
    SCRIPT_STATUS.load(Ordering::Relaxed)
}

/// Starts the shell's task.
pub(crate) fn start() -> Result<(), Errno> {
    task::spawn("sh", Prio::NORMAL, Box::new(main)).map(drop)
}

fn main() {
    jobs::adopt();
    match boot::info().arg("trapline.script") {
        Some(path) => {
            let status = script(path);
            sync();
            power::off(status)
        }
        None => interactive(),
    }
}

/// Before the machine is switched off: nothing that was written is lost.
fn sync() {
    if let Err(error) = fs::sync() {
        log::error!("sync: {}", error.strerror());
    }
}

/// Opens `path` as one of the shell's streams.
fn stream(path: &str, how: How) -> Result<Arc<dyn Io>, Errno> {
    Ok(Arc::new(io::FileIo(vfs::open("/", path, how)?)))
}

fn console() -> Result<Arc<dyn Io>, Errno> {
    stream("/dev/console", How { read: true, write: true, ..How::READ })
}

fn shell(stdin: Arc<dyn Io>, stdout: Arc<dyn Io>, stderr: Arc<dyn Io>) -> Shell {
    let programs = Programs::with(&[programs::PROGRAMS]);
    let mut ctx = Ctx::new(Arc::new(sys::Kernel), programs, stdin, stdout, stderr);
    ctx.env = ENVIRONMENT.map(|(name, value)| (String::from(name), String::from(value))).to_vec();
    let mut shell = Shell::new(ctx);
    shell.ctx.cwd = String::from(HOME);
    shell
}

/// What stands before a line that is to be typed: where the shell is, and that it is root's.
fn prompt(cwd: &str) -> String {
    format!("{} # ", if cwd == HOME { "~" } else { cwd })
}

/// Runs the script `path`: the exit status of the machine.
fn script(path: &str) -> u8 {
    match try_script(path) {
        Ok(status) => status,
        Err(e) => {
            log::error!("{path}: {}", e.strerror());
            STATUS_NO_SCRIPT
        }
    }
}

fn try_script(path: &str) -> Result<u8, Errno> {
    let text = read_text(path)?;
    let console = console()?;
    let stdout: Arc<dyn Io> = match semihosting::stdout() {
        Some(host) => Arc::new(io::HostIo(host)),
        None => console.clone(),
    };
    let stderr = match boot::info().arg("trapline.stderr") {
        Some("stdout") => stdout.clone(),
        _ => console,
    };
    let mut shell = shell(stream("/dev/null", How::READ)?, stdout, stderr);
    if text.trim().is_empty() {
        shell.feed("tour");
    }
    bench::shell_reached();
    let mark = boot::info().arg("trapline.script.mark");
    for line in text.lines() {
        let fed = shell.feed(line);
        SCRIPT_STATUS.store(status_byte(shell.last_failure()), Ordering::Relaxed);
        if let Some(word) = mark {
            shell.ctx.print(&format!("{word} {}\n", status_byte(shell.status())));
            shell.ctx.flush();
        }
        if let Fed::Exited(_) = fed {
            break;
        }
    }
    shell.feed_end();
    Ok(status_byte(shell.last_failure()))
}

/// The status as the host gets it: what does not fit is still a failure.
fn status_byte(status: i32) -> u8 {
    u8::try_from(status & 0xff).ok().filter(|byte| *byte != 0 || status == 0).unwrap_or(1)
}

/// The whole of a text file; EFBIG when it is larger than a script may be, EILSEQ when it is no text.
fn read_text(path: &str) -> Result<String, Errno> {
    let file = vfs::open("/", path, How::READ)?;
    let mut bytes = Vec::new();
    let mut part = [0; 1024];
    loop {
        let n = file.read(&mut part)?;
        let Some(got) = part.get(..n).filter(|got| !got.is_empty()) else { break };
        if bytes.len() + n > SCRIPT_MAX {
            return Err(Errno::EFBIG);
        }
        bytes.extend_from_slice(got);
    }
    String::from_utf8(bytes).map_err(|_| Errno::EILSEQ)
}

fn interactive() {
    let console = match console() {
        Ok(console) => console,
        Err(e) => return log::error!("no console: {}", e.strerror()),
    };
    let banner = format!(
        "Trapline {}: `tour` shows you around, `help` lists the programs.\n",
        env!("CARGO_PKG_VERSION")
    );
    // A console that takes nothing shows no prompt either.
    let _ = console.write(banner.as_bytes());
    loop {
        let mut shell = shell(console.clone(), console.clone(), console.clone());
        shell.interactive = true;
        bench::shell_reached();
        console::run(&mut shell, &console);
        // There is nobody else to talk to.
        log::info!("the shell has ended; another one begins");
    }
}
