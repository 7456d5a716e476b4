//! What a program sees of the world: three streams, a current directory, the system, its own name.
//!
//! Output goes through a small buffer, as with stdio: a program prints as it likes, and the file sees
//! few writes. When the buffer is written out:
//!
//! | event | why |
//! |---|---|
//! | it is full | it is bounded |
//! | a line ends, on a [`Io::line_buffered`] stream | a person is waiting |
//! | something goes to standard error | the order of the two streams stays that of the program |
//! | the program ends, or asks | so that a control file gets one line as one write |
//!
//! The first error of a write is kept and everything after it is thrown away; whoever started the program
//! turns it into a message and an exit status. A program that loops asks [`Ctx::stopped`] now and then:
//! it is also told there that Ctrl-C was pressed or that a signal came.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use tracecore::errno::Errno;

use crate::limits::{MAX_HELD_BYTES, MAX_SUBSHELLS, MAX_TASKS, OUT_BUFFER};
use crate::programs::Programs;
use crate::sys::{Io, OpenFlags, Sys, Task};

/// The signal of Ctrl-C; an exit status of 128 + 2 tells of it.
pub const SIGINT: u8 = 2;
/// The signal of a write that nobody can read.
pub const SIGPIPE: u8 = 13;
/// The signal that `kill` sends unless told otherwise.
pub const SIGTERM: u8 = 15;

/// Why a program must end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C or a signal.
    Signal(u8),
    /// Standard output takes no more.
    Output(Errno),
}

/// A program's view of the world.
pub struct Ctx {
    /// The system.
    pub sys: Arc<dyn Sys>,
    /// The programs that can be run.
    pub programs: Programs,
    /// The current directory, absolute.
    pub cwd: String,
    /// The name under which the program was called; it starts its messages.
    pub name: String,
    /// Exported variables.
    pub env: Vec<(String, String)>,
    pub(crate) stdin: Arc<dyn Io>,
    pub(crate) stdout: Arc<dyn Io>,
    pub(crate) stderr: Arc<dyn Io>,
    pub(crate) out: Vec<u8>,
    pub(crate) out_error: Option<Errno>,
    /// The count of Ctrl-C under which this began; a background job has none.
    pub(crate) since: Option<u64>,
    /// Tasks and shells inside one another, against [`crate::limits`].
    pub(crate) subshells: usize,
    pub(crate) shells: usize,
    /// The tasks that are running, against [`MAX_TASKS`]: counted for a whole family of shells.
    tasks: Arc<AtomicUsize>,
}

/// One of the tasks that are counted, for as long as this is kept.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ctx {
    /// A context at the root directory.
    pub fn new(
        sys: Arc<dyn Sys>,
        programs: Programs,
        stdin: Arc<dyn Io>,
        stdout: Arc<dyn Io>,
        stderr: Arc<dyn Io>,
    ) -> Self {
        let since = Some(sys.interrupts());
        Self {
            sys,
            programs,
            cwd: "/".to_string(),
            name: "sh".to_string(),
            env: Vec::new(),
            stdin,
            stdout,
            stderr,
            out: Vec::new(),
            out_error: None,
            since,
            subshells: 0,
            shells: 0,
            tasks: Arc::default(),
        }
    }

    /// A second context for another task or shell: everything but the pending output.
    pub(crate) fn fork(&self) -> Self {
        Self {
            sys: self.sys.clone(),
            programs: self.programs.clone(),
            cwd: self.cwd.clone(),
            name: self.name.clone(),
            env: self.env.clone(),
            stdin: self.stdin.clone(),
            stdout: self.stdout.clone(),
            stderr: self.stderr.clone(),
            out: Vec::new(),
            out_error: None,
            since: self.since,
            subshells: self.subshells,
            shells: self.shells,
            tasks: self.tasks.clone(),
        }
    }

    /// A context for a task that is to be started from here; the error says what there is too much of.
    pub(crate) fn for_task(&self) -> Result<Self, &'static str> {
        let mut ctx = self.fork();
        ctx.subshells += 1;
        // It has a stack of its own.
        ctx.shells = 0;
        if ctx.subshells > MAX_SUBSHELLS { Err("subshells nested too deeply") } else { Ok(ctx) }
    }

    /// Starts a task and counts it.
    ///
    /// # Errors
    /// A message.
    pub(crate) fn spawn(
        &self,
        name: &str,
        body: impl FnOnce() -> i32 + Send + 'static,
    ) -> Result<Box<dyn Task>, &'static str> {
        let counted = Counted(self.tasks.clone());
        if self.tasks.fetch_add(1, Ordering::Relaxed) >= MAX_TASKS {
            return Err("too many tasks");
        }
        let body = move || {
            let status = body();
            drop(counted);
            status
        };
        self.sys.spawn(name, Box::new(body)).map_err(Errno::strerror)
    }

    // --- names -------------------------------------------------------------------------------------

    /// The absolute form of a path as the user wrote it.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        if path.starts_with('/') {
            path.to_string()
        } else if self.cwd.ends_with('/') {
            format!("{}{path}", self.cwd)
        } else {
            format!("{}/{path}", self.cwd)
        }
    }

    /// Opens a file by the name the user wrote.
    ///
    /// # Errors
    /// As [`Sys::open`]; an empty name is `ENOENT`.
    pub fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<dyn Io>, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        self.sys.open(&self.path(path), flags)
    }

    /// Opens a file to read from; `-` is standard input.
    ///
    /// # Errors
    /// As [`Sys::open`].
    pub fn open_input(&self, path: &str) -> Result<Arc<dyn Io>, Errno> {
        if path == "-" { Ok(self.stdin.clone()) } else { self.open(path, OpenFlags::READ) }
    }

    /// The whole contents of a file, at most [`MAX_HELD_BYTES`].
    ///
    /// # Errors
    /// As [`Sys::open`] and [`Io::read`]; `EFBIG` beyond the limit.
    pub fn read_file(&mut self, path: &str) -> Result<Vec<u8>, Errno> {
        let io = self.open_input(path)?;
        let mut all = Vec::new();
        let mut chunk = alloc::vec![0; OUT_BUFFER];
        loop {
            let n = self.read(&*io, &mut chunk)?;
            let Some(got) = chunk.get(..n).filter(|got| !got.is_empty()) else {
                return Ok(all);
            };
            if all.len() + got.len() > MAX_HELD_BYTES {
                return Err(Errno::EFBIG);
            }
            all.try_reserve(got.len()).map_err(|_| Errno::ENOMEM)?;
            all.extend_from_slice(got);
        }
    }

    // --- streams -----------------------------------------------------------------------------------

    /// Standard input.
    #[must_use]
    pub fn stdin(&self) -> Arc<dyn Io> {
        self.stdin.clone()
    }

    /// Standard output itself, past the buffer.
    #[must_use]
    pub fn stdout(&self) -> Arc<dyn Io> {
        self.stdout.clone()
    }

    /// Standard error itself.
    #[must_use]
    pub fn stderr(&self) -> Arc<dyn Io> {
        self.stderr.clone()
    }

    /// Reads, going on after an `EINTR` that was not meant for this task.
    ///
    /// # Errors
    /// As [`Io::read`]; `EINTR` only when the program has to stop.
    pub fn read(&mut self, io: &dyn Io, buf: &mut [u8]) -> Result<usize, Errno> {
        loop {
            if self.stopped().is_some() {
                return Err(Errno::EINTR);
            }
            match io.read(buf) {
                Err(Errno::EINTR) if self.signalled().is_none() => {}
                other => return other,
            }
        }
    }

    /// Adds bytes to standard output.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.out_error.is_some() {
            return;
        }
        self.out.extend_from_slice(bytes);
        let line_end =
            if self.stdout.line_buffered() { self.out.iter().rposition(|&b| b == b'\n') } else { None };
        if let Some(end) = line_end {
            self.write_out(end + 1);
        }
        if self.out.len() >= OUT_BUFFER {
            self.write_out(self.out.len());
        }
    }

    /// Adds text to standard output.
    pub fn print(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    /// Writes out what is pending.
    pub fn flush(&mut self) {
        self.write_out(self.out.len());
    }

    /// Writes out the first `len` bytes that are pending.
    fn write_out(&mut self, len: usize) {
        let mut done = 0;
        while let Some(rest) = self.out.get(done..len).filter(|rest| !rest.is_empty()) {
            match self.stdout.write(rest) {
                Ok(0) => self.out_error = Some(Errno::EIO),
                Ok(n) => done += n,
                Err(Errno::EINTR) if self.signalled().is_none() => {}
                Err(e) => self.out_error = Some(e),
            }
            if self.out_error.is_some() {
                self.out.clear();
                return;
            }
        }
        self.out.drain(..done.min(self.out.len()));
    }

    /// Writes a text to standard error, after what is pending on standard output.
    pub fn eprint(&mut self, text: &str) {
        self.flush();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match self.stderr.write(rest) {
                Ok(n) if n > 0 => rest = rest.get(n..).unwrap_or_default(),
                Err(Errno::EINTR) if self.signalled().is_none() => {}
                // Nobody is left who could be told.
                _ => return,
            }
        }
    }

    /// Says on standard error what is wrong: `name: message`.
    pub fn complain(&mut self, message: fmt::Arguments<'_>) {
        let text = format!("{}: {message}\n", self.name);
        self.eprint(&text);
    }

    /// Says on standard error which file failed and why, as in `cat: nosuch: No such file or directory`.
    /// An `EINTR` says nothing: it was the user.
    pub fn fail(&mut self, what: &str, errno: Errno) {
        if errno != Errno::EINTR {
            self.complain(format_args!("{what}: {}", errno.strerror()));
        }
    }

    // --- stopping ----------------------------------------------------------------------------------

    /// Ctrl-C or a signal for this task.
    fn signalled(&self) -> Option<u8> {
        if self.since.is_some_and(|since| since != self.sys.interrupts()) {
            return Some(SIGINT);
        }
        self.sys.pending_signal()
    }

    /// Must this program end, and why? To be asked in every loop that can be long.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        match (self.out_error, self.signalled()) {
            (_, Some(signal)) => Some(Stop::Signal(signal)),
            (Some(errno), None) => Some(Stop::Output(errno)),
            (None, None) => None,
        }
    }

    /// Takes note of a Ctrl-C, as a program with a handler does: it is not ended by it and can print its last words. False
    /// when none came.
    pub fn catch_interrupt(&mut self) -> bool {
        let now = self.sys.interrupts();
        let caught = self.since.is_some_and(|since| since != now);
        if caught {
            self.since = Some(now);
            self.out_error = self.out_error.filter(|errno| *errno != Errno::EINTR);
        }
        caught
    }

    /// Sleeps; false when it was ended by Ctrl-C or a signal.
    pub fn sleep_ns(&mut self, ns: u64) -> bool {
        self.flush();
        let end = self.sys.monotonic_ns().saturating_add(ns);
        loop {
            if self.signalled().is_some() {
                return false;
            }
            let left = end.saturating_sub(self.sys.monotonic_ns());
            if left == 0 || self.sys.sleep_ns(left).is_ok() {
                return self.signalled().is_none();
            }
        }
    }

    /// Waits for a task in the foreground. Ctrl-C reaches that task, too, so its end is still waited for; a
    /// second one gives it up.
    ///
    /// # Errors
    /// `EINTR` when it was given up; else as [`Task::wait`].
    pub fn wait(&self, task: &dyn Task) -> Result<i32, Errno> {
        let mut told = false;
        loop {
            match task.wait() {
                Err(Errno::EINTR) if !told => told = self.signalled().is_some(),
                Err(Errno::EINTR) if self.signalled().is_none() => {}
                other => return other,
            }
        }
    }

    /// The end of a program that wanted to exit with `status`: writes out what is pending, reports a
    /// failed write, and gives the status that the shell shows.
    pub(crate) fn finish(&mut self, status: i32) -> i32 {
        self.flush();
        let stopped = self.stopped();
        let lost = self.out_error.take();
        match (stopped, lost) {
            (Some(Stop::Signal(signal)), _) => 128 + i32::from(signal),
            (_, Some(Errno::EPIPE)) => 128 + i32::from(SIGPIPE),
            (_, Some(errno)) => {
                self.complain(format_args!("write error: {}", errno.strerror()));
                if status == 0 { 1 } else { status }
            }
            _ => status,
        }
    }
}

/// `write!(ctx, …)` prints to standard output; it fails when the program should stop printing.
impl fmt::Write for Ctx {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.print(text);
        if self.out_error.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}
