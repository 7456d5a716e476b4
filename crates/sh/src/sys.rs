//! What the shell asks of the system below it.
//!
//! | trait | is | behind it in the kernel |
//! |---|---|---|
//! | [`Io`] | an open file, shared by every task that holds it | a file object with its own offset |
//! | [`Task`] | a running task that can be waited for | a kernel thread |
//! | [`Sys`] | names, tasks, pipes, clock, power | the VFS, the scheduler, time |
//!
//! All paths are absolute: the shell joins what it is given to its own current directory, but leaves
//! `.`, `..` and doubled slashes for the system to walk. All errors are errno values.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use tracecore::errno::Errno;

/// An open file. Copies of the `Arc` around it are what `dup` makes: they share one offset.
///
/// The last copy to be dropped closes it. For a pipe that is what the other end notices: without a
/// writer a read returns 0, without a reader a write fails with `EPIPE`.
pub trait Io: Send + Sync {
    /// Reads at most `buf.len()` bytes, waiting until there is at least one; 0 is the end of the file.
    ///
    /// # Errors
    /// Whatever the file answers; `EINTR` when the wait was ended by Ctrl-C or a signal.
    fn read(&self, buf: &mut [u8]) -> Result<usize, Errno>;

    /// Writes at least one byte of `buf` unless it is empty, and says how many. The shell hands over
    /// what a program printed in as few calls as it can: a control file sees one line as one write.
    ///
    /// # Errors
    /// Whatever the file answers; `EPIPE` when nobody can read this pipe any more.
    fn write(&self, buf: &[u8]) -> Result<usize, Errno>;

    /// Is a person at the other end? Decides about columns, colours and prompts.
    fn is_terminal(&self) -> bool {
        false
    }

    /// Must output appear line by line? True for a terminal, and for any stream whose last lines are
    /// wanted even if the machine dies right after them.
    fn line_buffered(&self) -> bool {
        self.is_terminal()
    }

    /// The width of the terminal in characters.
    fn columns(&self) -> usize {
        80
    }

    /// Raw mode on a terminal: every key is delivered as it is pressed and nothing is echoed, because
    /// the line editor does both. Off, the terminal echoes, collects lines and turns Ctrl-C into
    /// [`Sys::interrupts`].
    fn set_raw(&self, _raw: bool) {}
}

/// The two ends of a pipe: the one to read from, the one to write to.
pub type Ends = (Arc<dyn Io>, Arc<dyn Io>);

/// A task that was started by [`Sys::spawn`]. Dropping the handle gives up waiting: the system then
/// forgets the status by itself.
pub trait Task: Send + Sync {
    /// The process number, as `$!` and `ps` print it.
    fn pid(&self) -> u32;

    /// Waits for the end and gives the exit status, again and again the same one.
    ///
    /// # Errors
    /// `EINTR` when the wait was ended by Ctrl-C or a signal.
    fn wait(&self) -> Result<i32, Errno>;

    /// The exit status if the task has ended.
    fn try_wait(&self) -> Option<i32>;
}

/// How to open a file: the bits of `open(2)` that the shell uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// Make it if it is not there (`O_CREAT`).
    pub create: bool,
    /// Empty it (`O_TRUNC`). Control files see this flag: `> kprobe_events` removes all probes.
    pub truncate: bool,
    /// Every write goes to the end (`O_APPEND`).
    pub append: bool,
    /// A read that would wait fails with `EAGAIN` instead (`O_NONBLOCK`).
    pub nonblock: bool,
}

impl OpenFlags {
    /// `<`
    pub const READ: Self =
        Self { read: true, write: false, create: false, truncate: false, append: false, nonblock: false };
    /// `>`
    pub const WRITE: Self =
        Self { read: false, write: true, create: true, truncate: true, append: false, nonblock: false };
    /// `>>`
    pub const APPEND: Self =
        Self { read: false, write: true, create: true, truncate: false, append: true, nonblock: false };
    /// `<>`
    pub const READ_WRITE: Self =
        Self { read: true, write: true, create: true, truncate: false, append: false, nonblock: false };
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// An ordinary file, control files included.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

impl FileKind {
    /// The first letter of a line of `ls -l`.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::File => '-',
            Self::Dir => 'd',
            Self::Symlink => 'l',
            Self::Char => 'c',
            Self::Block => 'b',
            Self::Fifo => 'p',
        }
    }
}

/// What `stat(2)` says of a file, as far as the programs here print it. The owner is always root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// The nine permission bits, and set-uid, set-gid and sticky above them.
    pub mode: u32,
    /// Number of names.
    pub nlink: u32,
    /// Length in bytes; control files have 0.
    pub size: u64,
    /// Last change, in seconds of [`Sys::realtime_ns`].
    pub mtime_s: u64,
    /// Major and minor number of a device.
    pub rdev: (u32, u32),
}

/// One name in a directory; `.` and `..` are not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without a slash.
    pub name: String,
    /// What it is, without following a link.
    pub kind: FileKind,
}

/// What `uname(2)` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uname {
    /// Kernel name, `-s`.
    pub sysname: String,
    /// Network name, `-n`.
    pub nodename: String,
    /// Release, `-r`.
    pub release: String,
    /// Version, `-v`.
    pub version: String,
    /// Hardware, `-m`.
    pub machine: String,
}

/// What to do with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Switch it off.
    Off,
    /// Start it again.
    Reboot,
}

/// The system: names of files, tasks, the clock.
pub trait Sys: Send + Sync {
    // --- files -------------------------------------------------------------------------------------

    /// Opens a file.
    ///
    /// # Errors
    /// As `open(2)`.
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<dyn Io>, Errno>;

    /// Describes a file, following links.
    ///
    /// # Errors
    /// As `stat(2)`.
    fn stat(&self, path: &str) -> Result<Stat, Errno>;

    /// Describes a file without following a link at its end.
    ///
    /// # Errors
    /// As `lstat(2)`.
    fn lstat(&self, path: &str) -> Result<Stat, Errno> {
        self.stat(path)
    }

    /// Where a symbolic link points to.
    ///
    /// # Errors
    /// As `readlink(2)`.
    fn read_link(&self, _path: &str) -> Result<String, Errno> {
        Err(Errno::EINVAL)
    }

    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// As `opendir(3)`.
    fn read_dir(&self, path: &str) -> Result<Vec<DirEntry>, Errno>;

    /// Makes a directory.
    ///
    /// # Errors
    /// As `mkdir(2)`.
    fn mkdir(&self, path: &str) -> Result<(), Errno>;

    /// Removes the name of a file.
    ///
    /// # Errors
    /// As `unlink(2)`: `EISDIR` for a directory.
    fn unlink(&self, path: &str) -> Result<(), Errno>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As `rmdir(2)`.
    fn rmdir(&self, path: &str) -> Result<(), Errno>;

    // --- tasks -------------------------------------------------------------------------------------

    /// A bounded pipe: the end to read from and the end to write to.
    ///
    /// # Errors
    /// As `pipe(2)`.
    fn pipe(&self) -> Result<Ends, Errno>;

    /// Starts a task under `name` that runs `body` and exits with what it returns. `body` must be
    /// dropped, with the files it holds, before the task counts as ended.
    ///
    /// # Errors
    /// As `fork(2)`: `EAGAIN` or `ENOMEM`.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() -> i32 + Send>) -> Result<Box<dyn Task>, Errno>;

    /// The number of the calling task.
    fn pid(&self) -> u32;

    /// Runs the program file at `path` with these arguments (the first is its name), environment,
    /// directory and streams, in the calling task, until it ends.
    ///
    /// # Errors
    /// `ENOEXEC` when it is no program: the shell then takes it for a script.
    fn exec(
        &self,
        _path: &str,
        _args: &[String],
        _env: &[(String, String)],
        _cwd: &str,
        _streams: [Arc<dyn Io>; 3],
    ) -> Result<i32, Errno> {
        Err(Errno::ENOEXEC)
    }

    /// How often Ctrl-C was pressed so far. A foreground task remembers the number it was started
    /// under and stops when it has changed; a background job does not look. (No flag has to be
    /// cleared, so no Ctrl-C can be lost or hit the next command.)
    fn interrupts(&self) -> u64 {
        0
    }

    /// A signal sent to the calling task by [`Sys::kill`] that ends it, if there is one.
    fn pending_signal(&self) -> Option<u8> {
        None
    }

    /// Sends a signal; 0 only asks whether the task is there.
    ///
    /// # Errors
    /// As `kill(2)`.
    fn kill(&self, _pid: u32, _signal: u8) -> Result<(), Errno> {
        Err(Errno::ENOSYS)
    }

    // --- clock and machine -------------------------------------------------------------------------

    /// Nanoseconds since boot.
    fn monotonic_ns(&self) -> u64;

    /// Nanoseconds since 1970-01-01 00:00 UTC.
    fn realtime_ns(&self) -> u64;

    /// Sleeps.
    ///
    /// # Errors
    /// `EINTR` when Ctrl-C or a signal came before the time was over.
    fn sleep_ns(&self, ns: u64) -> Result<(), Errno>;

    /// Names of the system.
    fn uname(&self) -> Uname;

    /// Switches the machine off or restarts it; returns only when that was not possible.
    ///
    /// # Errors
    /// As `reboot(2)`.
    fn power(&self, _power: Power) -> Result<(), Errno> {
        Err(Errno::ENOSYS)
    }
}
