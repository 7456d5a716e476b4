//! Starts QEMU, carries what the guest says to where it belongs, and sees that QEMU ends.
//!
//! # What a script run agrees on with the kernel
//!
//! The machine has one serial port, and that is the console: boot log, kernel log, prompts and errors.
//! A script's standard output must come out of `cargo xtask qemu` exactly and alone, so it takes another
//! way: semihosting, by which the guest writes to the host's files. (Arm, "Semihosting for AArch32 and
//! AArch64": operation in w0, parameter block in x1, `hlt #0xf000`, result in x0.)
//!
//! ```text
//!                    guest                                           host
//!   shell, standard output ──── SYS_WRITE on ":tt" opened "w" ─────▶ stdout, byte by byte
//!   everything else ─────────── PL011 ──▶ socket ──▶ run.rs ───────▶ stderr; its tail is kept
//!   exit status ─────────────── SYS_EXIT_EXTENDED {0x20026, n} ────▶ exit status n
//! ```
//!
//! 0. The command line always says `trapline.semihosting`: somebody answers these calls.
//! 1. The command line says `trapline.script=/.script`: the kernel has its shell run each line of that
//!    file of the initramfs, then powers off. An absent word means an interactive shell on the console.
//! 2. At the first output the kernel opens `":tt"` once (SYS_OPEN 0x01, block `{name, 4, 3}`; mode 4 is
//!    "w") and from then on writes to the handle it got (SYS_WRITE 0x05, block `{handle, address, length}`).
//!    A result other than 0 is the number of bytes *not* written: they are dropped, since the reader left.
//! 3. `trapline.stderr=stdout` on the command line sends the shell's errors the way of its standard
//!    output, in order. Only the tests say it: a transcript shows both as a terminal would.
//! 4. `trapline.script.mark=WORD` has the script's runner write a line `WORD STATUS` to standard output
//!    after each line of the script, blank ones too, without touching `$?`. By it the tests cut the output
//!    of many cases apart that share one boot.
//! 5. At the end the kernel calls SYS_EXIT_EXTENDED (0x20, block `{0x20026, status}`) with the status of
//!    the last line that failed, or 0. A panic ends with 101.
//!
//! # How it ends
//!
//! QEMU ends with the guest, at its time limit (status 124), or with us: Ctrl-C reaches its process
//! group, and the host's kernel kills it when this process dies of anything else.

use std::io::{IsTerminal, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::build::Built;
use crate::initramfs::{SCRIPT, Tree};
use crate::machine::{Console, Machine};
use crate::{die_with_parent, disk, tools};

/// The status of a run that did not end in its time, as `timeout` has it.
pub const STATUS_TIMEOUT: u8 = 124;
/// The status of a run whose QEMU was ended by somebody else's signal.
pub const STATUS_KILLED: u8 = 125;
/// The status of a guest that panicked.
pub const STATUS_PANIC: u8 = 101;
/// How long a script may run when `--timeout` does not say.
pub const SCRIPT_TIMEOUT: Duration = Duration::from_secs(300);

/// How much of the console is kept for a report.
const CONSOLE_KEPT: usize = 256 << 10;
/// How much standard output of a guest is collected before the run is ended.
const OUTPUT_MAX: usize = 64 << 20;
/// How often a running QEMU is looked at.
const POLL: Duration = Duration::from_millis(5);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest, or QEMU, chose this status.
    Status(u8),
    /// It took too long.
    Timeout,
    /// It printed nothing for too long.
    Silence,
    /// It wrote more than is collected.
    Flood,
    /// Somebody ended QEMU.
    Killed,
}

impl End {
    /// The exit status of `cargo xtask` for it.
    pub fn status(self) -> u8 {
        match self {
            Self::Status(status) => status,
            Self::Timeout | Self::Silence => STATUS_TIMEOUT,
            Self::Flood | Self::Killed => STATUS_KILLED,
        }
    }
}

/// What a collected run gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// The guest's standard output.
    pub stdout: Vec<u8>,
    /// The end of what stood on the console.
    pub console: String,
}

/// Where a guest's two streams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// To our standard output and standard error, as they come.
    PassOn,
    /// Into the [`Outcome`].
    Collect,
}

/// Boots with the console on our terminal until the guest or the user ends it.
pub fn interactive(built: &Built, machine: &Machine) -> Result<End> {
    let qemu = tools::qemu(machine.qemu.as_deref())?;
    let folder = Folder::new()?;
    let initrd = pack_initrd(&folder.path, machine, None)?;
    let machine = &disk::prepare(machine, &folder.path)?;
    let mut command = Command::new(qemu);
    command.args(machine.arguments(&built.image, &initrd, Console::Terminal, false));
    eprintln!("Ctrl-A X leaves");
    let child = start(&mut command)?;
    wait(child, machine.timeout, &mut || None)
}

/// Boots, runs `script`, and waits for the end.
pub fn script(built: &Built, machine: &Machine, script: &[u8], streams: Streams) -> Result<Outcome> {
    let qemu = tools::qemu(machine.qemu.as_deref())?;
    let folder = Folder::new()?;
    let initrd = pack_initrd(&folder.path, machine, Some(script))?;
    let machine = &disk::prepare(machine, &folder.path)?;
    let socket = folder.path.join("console");
    let listener = UnixListener::bind(&socket).context("could not make the console's socket")?;
    let console = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::new(AtomicU64::new(0));
    let reader = read_console(listener, Arc::clone(&console), Arc::clone(&heard), streams == Streams::PassOn);

    let mut command = Command::new(qemu);
    // A path relative to the folder: a socket's path may have 108 bytes only.
    command.current_dir(&folder.path).stdin(Stdio::null());
    command.args(machine.arguments(&built.image, &initrd, Console::Socket("console"), true));
    if streams == Streams::Collect {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut child = start(&mut command)?;
    let stdout = child.stdout.take().map(|pipe| Collector::new(pipe, OUTPUT_MAX, Arc::clone(&heard)));
    let stderr = child.stderr.take().map(|pipe| Collector::new(pipe, CONSOLE_KEPT, Arc::clone(&heard)));
    let mut silence = Silence::new(&heard, machine.silence);
    let mut enough = || {
        let flood = stdout.as_ref().is_some_and(Collector::is_full).then_some(End::Flood);
        flood.or_else(|| silence.is_too_long().then_some(End::Silence))
    };
    let end = wait(child, Some(machine.timeout.unwrap_or(SCRIPT_TIMEOUT)), &mut enough)?;

    // A QEMU that failed before it connected leaves the reader waiting for it.
    drop(UnixStream::connect(&socket));
    let _ = reader.join();
    let mut tail = console.lock().map(|bytes| bytes.clone()).unwrap_or_default();
    tail.extend(stderr.map(Collector::finish).unwrap_or_default());
    Ok(Outcome {
        end,
        stdout: stdout.map(Collector::finish).unwrap_or_default(),
        console: String::from_utf8_lossy(&tail).into_owned(),
    })
}

/// Starts `command` so that it ends with us.
pub fn start(command: &mut Command) -> Result<Child> {
    die_with_parent::arm(command);
    command.spawn().with_context(|| format!("could not start {}", command.get_program().to_string_lossy()))
}

/// Waits for `child`, but not longer than `limit`, nor when `enough` gives an end.
pub fn wait(
    mut child: Child,
    limit: Option<Duration>,
    enough: &mut dyn FnMut() -> Option<End>,
) -> Result<End> {
    let started = Instant::now();
    let end = loop {
        if let Some(status) = child.try_wait().context("could not wait for QEMU")? {
            return Ok(ended(status));
        }
        if limit.is_some_and(|limit| started.elapsed() >= limit) {
            break End::Timeout;
        }
        if let Some(end) = enough() {
            break end;
        }
        std::thread::sleep(POLL);
    };
    let _ = child.kill();
    let _ = child.wait();
    Ok(end)
}

fn ended(status: ExitStatus) -> End {
    status.code().map_or(End::Killed, |code| End::Status(code as u8))
}

/// Packs the root file system into `folder`, with the script when there is one, and gives its path.
pub fn pack_initrd(folder: &Path, machine: &Machine, script: Option<&[u8]>) -> Result<PathBuf> {
    let mut tree = Tree::project()?;
    for file in &machine.files {
        tree.add_host(file)?;
    }
    if let Some(script) = script {
        tree.add(SCRIPT, 0o644, script.to_vec())?;
    }
    let path = folder.join("initramfs.cpio");
    std::fs::write(&path, tree.pack()).context("could not write the root file system")?;
    Ok(path)
}

/// Reads the console until QEMU closes it; keeps its end, and passes it on when asked to.
fn read_console(
    listener: UnixListener,
    kept: Arc<Mutex<Vec<u8>>>,
    heard: Arc<AtomicU64>,
    pass_on: bool,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            heard.fetch_add(n as u64, Ordering::Relaxed);
            if pass_on {
                let _ = std::io::stderr().write_all(&buffer[..n]);
            }
            let Ok(mut kept) = kept.lock() else { return };
            kept.extend_from_slice(&buffer[..n]);
            if kept.len() > 2 * CONSOLE_KEPT {
                let surplus = kept.len() - CONSOLE_KEPT;
                kept.drain(..surplus);
            }
        }
    })
}

/// Tells a machine that hangs from one that is slow: the latter prints something now and then.
struct Silence<'a> {
    heard: &'a AtomicU64,
    limit: Option<Duration>,
    last: (u64, Instant),
}

impl<'a> Silence<'a> {
    /// Watches a count of bytes; silence longer than the limit is too long.
    fn new(heard: &'a AtomicU64, limit: Option<Duration>) -> Self {
        Self { heard, limit, last: (0, Instant::now()) }
    }

    fn is_too_long(&mut self) -> bool {
        let heard = self.heard.load(Ordering::Relaxed);
        if heard != self.last.0 {
            self.last = (heard, Instant::now());
        }
        self.limit.is_some_and(|limit| self.last.1.elapsed() >= limit)
    }
}

/// Collects a pipe's bytes up to a limit; what comes later is read and dropped.
struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    limit: usize,
    reader: JoinHandle<()>,
}

impl Collector {
    fn new(mut pipe: impl Read + Send + 'static, limit: usize, heard: Arc<AtomicU64>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                heard.fetch_add(n as u64, Ordering::Relaxed);
                let Ok(mut bytes) = shared.lock() else { return };
                let room = limit.saturating_sub(bytes.len());
                bytes.extend_from_slice(&buffer[..n.min(room)]);
            }
        });
        Self { bytes, limit, reader }
    }

    fn is_full(&self) -> bool {
        self.bytes.lock().is_ok_and(|bytes| bytes.len() >= self.limit)
    }

    fn finish(self) -> Vec<u8> {
        let _ = self.reader.join();
        self.bytes.lock().map(|bytes| bytes.clone()).unwrap_or_default()
    }
}

/// A folder for one run, gone with it.
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
}

impl Folder {
    /// Makes one that nobody else has.
    pub fn new() -> Result<Self> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let base = std::env::temp_dir();
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("trapline-{}-{number}", std::process::id()));
            match create_private(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e).with_context(|| format!("could not make {}", path.display())),
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

/// Whether a person sits at our standard input.
pub fn on_terminal() -> bool {
    std::io::stdin().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        start(Command::new("sh").args(["-c", script]).stdout(Stdio::piped())).unwrap()
    }

    #[test]
    fn a_status_is_passed_on() {
        assert_eq!(wait(shell("exit 7"), None, &mut || None).unwrap(), End::Status(7));
        assert_eq!(wait(shell("kill -9 $$"), None, &mut || None).unwrap(), End::Killed);
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let end = wait(shell("exec sleep 1000"), Some(Duration::from_millis(1)), &mut || None).unwrap();
        assert_eq!((end, end.status()), (End::Timeout, 124));
        assert_eq!(wait(shell("exec sleep 1000"), None, &mut || Some(End::Flood)).unwrap(), End::Flood);
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut child = shell("exec yes");
        let out = Collector::new(child.stdout.take().unwrap(), 1000, Arc::default());
        let mut full = || out.is_full().then_some(End::Flood);
        assert_eq!(wait(child, None, &mut full).unwrap(), End::Flood);
        assert_eq!(out.finish().len(), 1000);
    }

    #[test]
    fn who_prints_is_not_silent() {
        let heard = AtomicU64::new(0);
        let mut silence = Silence::new(&heard, Some(Duration::ZERO));
        assert!(silence.is_too_long());
        assert!(!Silence::new(&heard, None).is_too_long());
        let mut silence = Silence::new(&heard, Some(Duration::from_secs(1000)));
        silence.last.1 -= Duration::from_secs(1000);
        heard.store(1, Ordering::Relaxed);
        assert!(!silence.is_too_long());
        silence.last.1 -= Duration::from_secs(1000);
        assert!(silence.is_too_long());
    }

    #[test]
    fn folders_go_away() {
        let folder = Folder::new().unwrap();
        let path = folder.path.clone();
        std::fs::write(path.join("x"), "x").unwrap();
        assert_ne!(path, Folder::new().unwrap().path);
        drop(folder);
        assert!(!path.exists());
    }
}
