//! A system for the shell to run on in tests: a file system in memory, the host's threads, bounded pipes.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of this file")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sh::{
    Ctx, DirEntry, Errno, FileKind, Io, OpenFlags, Power, Program, Programs, Shell, Stat, Sys, Task, Uname,
};

/// Bytes a pipe holds, as in Linux.
const PIPE_BYTES: usize = 64 << 10;
/// How often a waiting task looks for Ctrl-C.
const POLL: Duration = Duration::from_millis(2);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Content = Arc<Mutex<Vec<u8>>>;

/// What a name stands for.
#[derive(Clone)]
enum Node {
    Dir,
    File(Content, u32),
    Null,
    Zero,
    /// A control file that takes numbers and refuses the rest, and counts writes.
    Control(Content),
}

#[derive(Default)]
struct Tasks {
    ended: BTreeMap<u32, i32>,
}

/// The system.
pub struct Fake {
    nodes: Mutex<BTreeMap<String, Node>>,
    tasks: Arc<(Mutex<Tasks>, Condvar)>,
    next_pid: AtomicU32,
    interrupts: Arc<AtomicU64>,
    signals: Mutex<BTreeSet<u32>>,
    start: Instant,
    /// Tasks that may be started before `spawn` fails.
    pub spawns_left: AtomicUsize,
    pub powered: Mutex<Option<Power>>,
    /// Questions about Ctrl-C and signals that are answered with no.
    steps_left: AtomicU64,
}

std::thread_local! {
    static PID: std::cell::Cell<u32> = const { std::cell::Cell::new(1) };
}

impl Fake {
    pub fn new() -> Arc<Self> {
        let nodes = BTreeMap::from([
            ("/".to_owned(), Node::Dir),
            ("/dev".to_owned(), Node::Dir),
            ("/dev/null".to_owned(), Node::Null),
            ("/dev/zero".to_owned(), Node::Zero),
            ("/tmp".to_owned(), Node::Dir),
            ("/proc".to_owned(), Node::Dir),
            ("/sys".to_owned(), Node::Dir),
            ("/sys/control".to_owned(), Node::Control(Content::default())),
        ]);
        Arc::new(Self {
            nodes: Mutex::new(nodes),
            tasks: Arc::default(),
            next_pid: AtomicU32::new(2),
            interrupts: Arc::default(),
            signals: Mutex::default(),
            start: Instant::now(),
            spawns_left: AtomicUsize::new(usize::MAX),
            powered: Mutex::default(),
            steps_left: AtomicU64::new(u64::MAX),
        })
    }

    pub fn put(&self, path: &str, text: &[u8], mode: u32) {
        let mut nodes = lock(&self.nodes);
        let mut at = 1;
        while let Some(next) = path[at..].find('/') {
            nodes.entry(path[..at + next].to_owned()).or_insert(Node::Dir);
            at += next + 1;
        }
        nodes.insert(path.to_owned(), Node::File(Arc::new(Mutex::new(text.to_vec())), mode));
    }

    pub fn contents(&self, path: &str) -> Option<String> {
        match lock(&self.nodes).get(path) {
            Some(Node::File(content, _) | Node::Control(content)) => {
                Some(String::from_utf8_lossy(&lock(content)).into_owned())
            }
            _ => None,
        }
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.interrupts.fetch_add(1, Ordering::SeqCst);
    }

    /// Bounds what can be done from now on: when the steps are used up, Ctrl-C is pressed and every task gets a
    /// signal.
    pub fn allow_steps(&self, steps: u64) {
        self.steps_left.store(steps, Ordering::SeqCst);
    }

    /// Counts a step; true when there are none left.
    fn step(&self) -> bool {
        let left = self.steps_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left == Ok(1) {
            self.interrupt();
        }
        left.is_err()
    }

    fn node(&self, path: &str) -> Result<Node, Errno> {
        let path = walk(path);
        let nodes = lock(&self.nodes);
        if let Some(node) = nodes.get(&path) {
            return Ok(node.clone());
        }
        // A file in the middle of a path is another error than a name that is not there.
        let mut parent = path.as_str();
        while let Some((above, _)) = parent.rsplit_once('/').filter(|(above, _)| !above.is_empty()) {
            parent = above;
            match nodes.get(parent) {
                Some(Node::Dir) => return Err(Errno::ENOENT),
                Some(_) => return Err(Errno::ENOTDIR),
                None => {}
            }
        }
        Err(Errno::ENOENT)
    }
}

/// Takes `.` and `..` out of a path.
fn walk(path: &str) -> String {
    assert!(path.starts_with('/'), "the shell must give absolute paths: {path}");
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

struct File {
    content: Content,
    at: Mutex<usize>,
    flags: OpenFlags,
}

impl Io for File {
    fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        if !self.flags.read {
            return Err(Errno::EBADF);
        }
        let content = lock(&self.content);
        let mut at = lock(&self.at);
        let n = buf.len().min(content.len().saturating_sub(*at));
        buf[..n].copy_from_slice(&content[*at..*at + n]);
        *at += n;
        Ok(n)
    }
    fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        if !self.flags.write {
            return Err(Errno::EBADF);
        }
        let mut content = lock(&self.content);
        let mut at = lock(&self.at);
        if self.flags.append {
            *at = content.len();
        }
        let end = *at + buf.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[*at..end].copy_from_slice(buf);
        *at = end;
        Ok(buf.len())
    }
}

struct Device {
    zero: bool,
}

impl Io for Device {
    fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        buf.fill(0);
        Ok(if self.zero { buf.len() } else { 0 })
    }
    fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        Ok(buf.len())
    }
}

/// Takes a number a line, as a control file does.
struct Control {
    content: Content,
    at: Mutex<usize>,
}

impl Io for Control {
    fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        let content = lock(&self.content);
        let mut at = lock(&self.at);
        let n = buf.len().min(content.len().saturating_sub(*at));
        buf[..n].copy_from_slice(&content[*at..*at + n]);
        *at += n;
        Ok(n)
    }
    fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        let text = std::str::from_utf8(buf).map_err(|_| Errno::EINVAL)?;
        let number: u64 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
        lock(&self.content).extend_from_slice(format!("[{number}]\n").as_bytes());
        Ok(buf.len())
    }
}

#[derive(Default)]
struct PipeState {
    bytes: std::collections::VecDeque<u8>,
    readers: usize,
    writers: usize,
}

struct Pipe {
    state: Mutex<PipeState>,
    changed: Condvar,
    interrupts: Arc<AtomicU64>,
}

struct PipeEnd {
    pipe: Arc<Pipe>,
    writer: bool,
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let mut state = lock(&self.pipe.state);
        if self.writer {
            state.writers -= 1;
        } else {
            state.readers -= 1;
        }
        self.pipe.changed.notify_all();
    }
}

impl PipeEnd {
    /// Waits for a change; `EINTR` after a Ctrl-C.
    fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, PipeState>,
        before: u64,
    ) -> Result<MutexGuard<'a, PipeState>, Errno> {
        let (state, _) = self.pipe.changed.wait_timeout(state, POLL).unwrap_or_else(PoisonError::into_inner);
        if self.pipe.interrupts.load(Ordering::SeqCst) != before { Err(Errno::EINTR) } else { Ok(state) }
    }
}

impl Io for PipeEnd {
    fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        if self.writer {
            return Err(Errno::EBADF);
        }
        let before = self.pipe.interrupts.load(Ordering::SeqCst);
        let mut state = lock(&self.pipe.state);
        while state.bytes.is_empty() && state.writers > 0 {
            state = self.wait(state, before)?;
        }
        let n = buf.len().min(state.bytes.len());
        for (to, from) in buf.iter_mut().zip(state.bytes.drain(..n)) {
            *to = from;
        }
        self.pipe.changed.notify_all();
        Ok(n)
    }
    fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        if !self.writer {
            return Err(Errno::EBADF);
        }
        let before = self.pipe.interrupts.load(Ordering::SeqCst);
        let mut state = lock(&self.pipe.state);
        loop {
            if state.readers == 0 {
                return Err(Errno::EPIPE);
            }
            let n = buf.len().min(PIPE_BYTES - state.bytes.len());
            if n > 0 {
                state.bytes.extend(&buf[..n]);
                self.pipe.changed.notify_all();
                return Ok(n);
            }
            state = self.wait(state, before)?;
        }
    }
}

struct Thread {
    pid: u32,
    tasks: Arc<(Mutex<Tasks>, Condvar)>,
    interrupts: Arc<AtomicU64>,
}

impl Task for Thread {
    fn pid(&self) -> u32 {
        self.pid
    }
    fn wait(&self) -> Result<i32, Errno> {
        let before = self.interrupts.load(Ordering::SeqCst);
        let mut tasks = lock(&self.tasks.0);
        loop {
            if let Some(status) = tasks.ended.get(&self.pid) {
                return Ok(*status);
            }
            (tasks, _) = self.tasks.1.wait_timeout(tasks, POLL).unwrap_or_else(PoisonError::into_inner);
            if self.interrupts.load(Ordering::SeqCst) != before {
                return Err(Errno::EINTR);
            }
        }
    }
    fn try_wait(&self) -> Option<i32> {
        lock(&self.tasks.0).ended.get(&self.pid).copied()
    }
}

impl Sys for Fake {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<dyn Io>, Errno> {
        let node = match self.node(path) {
            Err(Errno::ENOENT) if flags.create => {
                let path = walk(path);
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                if !parent.is_empty() && !matches!(self.node(parent)?, Node::Dir) {
                    return Err(Errno::ENOTDIR);
                }
                let node = Node::File(Content::default(), 0o644);
                lock(&self.nodes).insert(path, node.clone());
                node
            }
            other => other?,
        };
        Ok(match node {
            Node::Dir if flags.write => return Err(Errno::EISDIR),
            Node::Dir => Arc::new(Directory),
            Node::Null => Arc::new(Device { zero: false }),
            Node::Zero => Arc::new(Device { zero: true }),
            Node::Control(content) => Arc::new(Control { content, at: Mutex::new(0) }),
            Node::File(_, mode) if flags.write && mode & 0o200 == 0 => return Err(Errno::EACCES),
            Node::File(content, _) => {
                if flags.truncate {
                    lock(&content).clear();
                }
                Arc::new(File { content, at: Mutex::new(0), flags })
            }
        })
    }

    fn stat(&self, path: &str) -> Result<Stat, Errno> {
        let (kind, mode, size, nlink, rdev) = match self.node(path)? {
            Node::Dir => (FileKind::Dir, 0o755, 0, 2, (0, 0)),
            Node::File(content, mode) => (FileKind::File, mode, lock(&content).len() as u64, 1, (0, 0)),
            Node::Control(_) => (FileKind::File, 0o640, 0, 1, (0, 0)),
            Node::Null => (FileKind::Char, 0o666, 0, 1, (1, 3)),
            Node::Zero => (FileKind::Char, 0o666, 0, 1, (1, 5)),
        };
        Ok(Stat { kind, mode, nlink, size, mtime_s: 86_400, rdev })
    }

    fn read_dir(&self, path: &str) -> Result<Vec<DirEntry>, Errno> {
        if !matches!(self.node(path)?, Node::Dir) {
            return Err(Errno::ENOTDIR);
        }
        let mut base = walk(path);
        if base != "/" {
            base.push('/');
        }
        let nodes = lock(&self.nodes);
        let below = nodes.iter().filter_map(|(path, node)| {
            let name = path.strip_prefix(&base)?;
            (!name.is_empty() && !name.contains('/')).then(|| DirEntry {
                name: name.to_owned(),
                kind: match node {
                    Node::Dir => FileKind::Dir,
                    Node::File(..) | Node::Control(_) => FileKind::File,
                    Node::Null | Node::Zero => FileKind::Char,
                },
            })
        });
        // Any order but the sorted one.
        let mut entries: Vec<DirEntry> = below.collect();
        entries.reverse();
        Ok(entries)
    }

    fn mkdir(&self, path: &str) -> Result<(), Errno> {
        let path = walk(path);
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if !parent.is_empty() && !matches!(self.node(parent)?, Node::Dir) {
            return Err(Errno::ENOTDIR);
        }
        if self.node(&path).is_ok() {
            return Err(Errno::EEXIST);
        }
        lock(&self.nodes).insert(path, Node::Dir);
        Ok(())
    }

    fn unlink(&self, path: &str) -> Result<(), Errno> {
        if matches!(self.node(path)?, Node::Dir) {
            return Err(Errno::EISDIR);
        }
        lock(&self.nodes).remove(&walk(path));
        Ok(())
    }

    fn rmdir(&self, path: &str) -> Result<(), Errno> {
        if !matches!(self.node(path)?, Node::Dir) {
            return Err(Errno::ENOTDIR);
        }
        if !self.read_dir(path)?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        lock(&self.nodes).remove(&walk(path));
        Ok(())
    }

    fn pipe(&self) -> Result<(Arc<dyn Io>, Arc<dyn Io>), Errno> {
        let pipe = Arc::new(Pipe {
            state: Mutex::new(PipeState { readers: 1, writers: 1, ..PipeState::default() }),
            changed: Condvar::new(),
            interrupts: self.interrupts.clone(),
        });
        let reader = PipeEnd { pipe: pipe.clone(), writer: false };
        Ok((Arc::new(reader), Arc::new(PipeEnd { pipe, writer: true })))
    }

    fn spawn(&self, _name: &str, body: Box<dyn FnOnce() -> i32 + Send>) -> Result<Box<dyn Task>, Errno> {
        let left = self.spawns_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_err() {
            return Err(Errno::EAGAIN);
        }
        let pid = self.next_pid.fetch_add(1, Ordering::SeqCst);
        let tasks = self.tasks.clone();
        std::thread::Builder::new()
            .spawn(move || {
                PID.set(pid);
                let status = body();
                lock(&tasks.0).ended.insert(pid, status);
                tasks.1.notify_all();
            })
            .map_err(|_| Errno::EAGAIN)?;
        Ok(Box::new(Thread { pid, tasks: self.tasks.clone(), interrupts: self.interrupts.clone() }))
    }

    fn pid(&self) -> u32 {
        PID.get()
    }

    fn interrupts(&self) -> u64 {
        self.step();
        self.interrupts.load(Ordering::SeqCst)
    }

    fn pending_signal(&self) -> Option<u8> {
        (self.step() || lock(&self.signals).contains(&PID.get())).then_some(15)
    }

    fn kill(&self, pid: u32, signal: u8) -> Result<(), Errno> {
        if pid >= self.next_pid.load(Ordering::SeqCst) || lock(&self.tasks.0).ended.contains_key(&pid) {
            return Err(Errno::ESRCH);
        }
        if signal != 0 {
            lock(&self.signals).insert(pid);
        }
        Ok(())
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn realtime_ns(&self) -> u64 {
        // 2026-11-20 09:44:03.123456789 UTC
        1_795_167_843_123_456_789
    }

    fn sleep_ns(&self, ns: u64) -> Result<(), Errno> {
        let before = self.interrupts();
        let end = Instant::now() + Duration::from_nanos(ns);
        while Instant::now() < end {
            std::thread::sleep(POLL.min(end - Instant::now().min(end)));
            if self.interrupts() != before || self.pending_signal().is_some() {
                return Err(Errno::EINTR);
            }
        }
        Ok(())
    }

    fn uname(&self) -> Uname {
        Uname {
            sysname: "Trapline".into(),
            nodename: "fake".into(),
            release: "0.1.0".into(),
            version: "#1".into(),
            machine: "aarch64".into(),
        }
    }

    fn power(&self, power: Power) -> Result<(), Errno> {
        *lock(&self.powered) = Some(power);
        Ok(())
    }
}

struct Directory;

impl Io for Directory {
    fn read(&self, _: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
    fn write(&self, _: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }
}

/// A stream that keeps what is written to it.
#[derive(Default)]
pub struct Sink {
    pub bytes: Mutex<Vec<u8>>,
    pub terminal: bool,
}

impl Io for Sink {
    fn read(&self, _: &mut [u8]) -> Result<usize, Errno> {
        Ok(0)
    }
    fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        lock(&self.bytes).extend_from_slice(buf);
        Ok(buf.len())
    }
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl Sink {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.bytes)).into_owned()
    }
}

/// A shell on a fake system, and what it prints.
pub struct Bench {
    pub sys: Arc<Fake>,
    pub shell: Shell,
    pub out: Arc<Sink>,
    pub err: Arc<Sink>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Fake::new(), &[], false)
    }

    pub fn with(sys: Arc<Fake>, programs: &[&'static [Program]], terminal: bool) -> Self {
        let out = Arc::new(Sink { terminal, ..Sink::default() });
        let err = Arc::new(Sink::default());
        let input = Arc::new(Sink::default());
        let ctx = Ctx::new(sys.clone(), Programs::with(programs), input, out.clone(), err.clone());
        Self { sys, shell: Shell::new(ctx), out, err }
    }
}

/// What a script did.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub out: String,
    pub err: String,
    pub status: i32,
}

/// Runs a script on a fresh system.
pub fn run(script: &str) -> Outcome {
    run_on(&mut Bench::new(), script)
}

/// How long a script may take before Ctrl-C is pressed: a hang must not hang the tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a script.
pub fn run_on(bench: &mut Bench, script: &str) -> Outcome {
    lock(&bench.out.bytes).clear();
    lock(&bench.err.bytes).clear();
    let (done, running) = std::sync::mpsc::channel::<()>();
    let sys = bench.sys.clone();
    let watchdog = std::thread::spawn(move || {
        if running.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            sys.interrupt();
        }
    });
    let status = bench.shell.run_text(script);
    drop(done);
    watchdog.join().expect("the watchdog ends");
    bench.shell.ctx.flush();
    Outcome { out: bench.out.text(), err: bench.err.text(), status }
}
