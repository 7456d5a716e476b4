//! What a task is.

use super::events;
use super::run_queue;
use super::switch::Context;
use super::wait::WaitQueue;
use crate::arch::thread::{self, ThreadHead};
use crate::mm::Stack;
use crate::sync::{Link, Linked, SpinLock};
use crate::tracepoint::trace;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::cell::UnsafeCell;
use core::fmt;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Length of a task's name with its final 0, as Linux's TASK_COMM_LEN.
pub(crate) const COMM_LEN: usize = 16;

/// A counted reference to a task.
pub(crate) type TaskRef = Arc<Task>;

/// How urgent a task is, in Linux's numbers: lower is more urgent.
///
/// The most urgent runnable task of a CPU runs; equals take turns. 100 to 139 are the nice levels −20 to 19, below 100
/// are the levels that Linux calls real-time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prio(u8);

impl Prio {
    /// How many levels there are.
    pub(crate) const LEVELS: usize = 64;
    const LEAST: u8 = 139;
    const MOST: u8 = Self::LEAST + 1 - Self::LEVELS as u8;

    /// For workers that everybody waits for.
    pub(crate) const HIGH: Self = Self(98);
    /// An ordinary task, nice 0.
    pub(crate) const NORMAL: Self = Self(120);
    /// Runs when nobody else wants to.
    pub(crate) const LOW: Self = Self(Self::LEAST);

    /// The priority with Linux's number `n`, if there is one.
    pub(crate) const fn new(n: u8) -> Option<Self> {
        if n >= Self::MOST && n <= Self::LEAST { Some(Self(n)) } else { None }
    }

    /// Nice level −20 to 19; others are brought into that range.
    pub(crate) const fn nice(nice: i8) -> Self {
        let nice = if nice < -20 {
            -20
        } else if nice > 19 {
            19
        } else {
            nice
        };
        Self((Self::NORMAL.0 as i8).wrapping_add(nice) as u8)
    }

    /// Linux's number.
    pub(crate) const fn number(self) -> u8 {
        self.0
    }

    /// The run queue's list: 0 is the most urgent.
    pub(super) fn level(self) -> usize {
        usize::from(self.0 - Self::MOST)
    }
}

/// What a task does.
///
/// ```text
///   Running ──sleep──▶ Sleeping / Blocked / Idle ──wake──▶ Running ──exit──▶ Dead
/// ```
///
/// Running includes waiting for a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Runs or wants to.
    Running = 0,
    /// Waits; a kill ends the wait.
    Sleeping = 1,
    /// Waits for something that comes for certain.
    Blocked = 2,
    /// Has ended.
    Dead = 3,
    /// A worker without work. As Blocked, but nobody need wonder what it waits for.
    Idle = 4,
}

impl State {
    /// Linux's letter in `ps`.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Running => 'R',
            Self::Sleeping => 'S',
            Self::Blocked => 'D',
            Self::Dead => 'X',
            Self::Idle => 'I',
        }
    }

    fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Running,
            1 => Self::Sleeping,
            2 => Self::Blocked,
            4 => Self::Idle,
            _ => Self::Dead,
        }
    }
}

/// Where a task stands with the run queues. Changed under the lock of the queue of CPU `task.cpu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Place {
    /// On none: asleep, new or dead.
    Off = 0,
    /// Waits on its CPU's queue, or is that CPU's running task.
    On = 1,
    /// On its way to the queue of CPU `task.cpu`; whoever carries it will put it there.
    Moving = 2,
}

/// A task: a stack, and where it stands.
///
/// The first field is what SP_EL0 points to. Fields that interrupt handlers and tracers read are atomics.
#[repr(C)]
pub(crate) struct Task {
    pub(super) head: ThreadHead,
    pub(super) context: UnsafeCell<Context>,
    pub(super) queue_link: Link<Task>,
    state: AtomicU8,
    place: AtomicU8,
    prio: AtomicU8,
    pub(super) cpu: AtomicU32,
    pub(super) affinity: AtomicU32,
    pid: u32,
    parent: u32,
    comm: [AtomicU64; COMM_LEN / 8],
    stack: TaskStack,
    killed: AtomicBool,
    is_idle: bool,
    pub(super) voluntary: AtomicU64,
    pub(super) involuntary: AtomicU64,
    pub(super) ran_ns: AtomicU64,
    pub(super) since_ns: AtomicU64,
    /// Since when it waits for a CPU, while that is measured; 0: not known.
    pub(super) queued_ns: AtomicU64,
    pub(super) run_delay_ns: AtomicU64,
    pub(super) slice_left_ns: AtomicU64,
    pub(super) started_ns: u64,
    pub(super) entry: SpinLock<Option<Entry>>,
    pub(super) exit_code: AtomicI32,
    pub(super) reaped: AtomicBool,
    pub(super) exited: WaitQueue,
    local: SpinLock<Option<Arc<dyn Any + Send + Sync>>>,
    /// What tracers keep per task, theirs alone: see `tracer`.
    pub(crate) trace: AtomicPtr<()>,
}

/// What a task runs.
pub(crate) type Entry = Box<dyn FnOnce() + Send>;

/// A task's own stack, or the one that a CPU booted on.
pub(super) enum TaskStack {
    Own(Stack),
    Boot { base: usize, top: usize },
}

// SAFETY: `context` is touched by the CPU that switches from or to the task alone, under its run queue's lock;
// `queue_link` under that lock too.
unsafe impl Sync for Task {}
// SAFETY: as above; a task that does not run is plain data.
unsafe impl Send for Task {}

// SAFETY: `queue_link` is the one link, used by run queues alone.
unsafe impl Linked for Task {
    fn link(&self) -> &Link<Self> {
        &self.queue_link
    }
}

/// What a new task is to be.
pub(super) struct Plan<'a> {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) name: &'a str,
    pub(super) prio: Prio,
    pub(super) cpu: usize,
    pub(super) affinity: u32,
    pub(super) stack: TaskStack,
    pub(super) idle: bool,
    pub(super) entry: Option<Entry>,
}

/// At most 15 bytes of a name, cut between characters, and zeros.
fn comm(name: &str) -> [u64; COMM_LEN / 8] {
    let mut end = name.len().min(COMM_LEN - 1);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let mut comm = [0; COMM_LEN];
    comm[..end].copy_from_slice(&name.as_bytes()[..end]);
    let [low, high] = [comm.first_chunk(), comm.last_chunk()];
    [low, high].map(|half| half.map_or(0, |bytes| u64::from_le_bytes(*bytes)))
}

impl Task {
    pub(super) fn new(plan: Plan<'_>) -> Self {
        let top = match &plan.stack {
            TaskStack::Own(stack) => stack.top(),
            TaskStack::Boot { top, .. } => *top,
        };
        let task = Self {
            // An idle task is never preempted: it looks for itself. A new task begins inside the scheduler, which
            // has interrupts masked and no count.
            head: ThreadHead::new(u32::from(plan.idle)),
            context: UnsafeCell::new(Context::first(top)),
            queue_link: Link::new(),
            state: AtomicU8::new(if plan.idle { State::Running } else { State::Blocked } as u8),
            place: AtomicU8::new(Place::Off as u8),
            prio: AtomicU8::new(plan.prio.0),
            cpu: AtomicU32::new(plan.cpu as u32),
            affinity: AtomicU32::new(plan.affinity),
            pid: plan.pid,
            parent: plan.parent,
            comm: [const { AtomicU64::new(0) }; COMM_LEN / 8],
            stack: plan.stack,
            killed: AtomicBool::new(false),
            is_idle: plan.idle,
            voluntary: AtomicU64::new(0),
            involuntary: AtomicU64::new(0),
            ran_ns: AtomicU64::new(0),
            since_ns: AtomicU64::new(0),
            queued_ns: AtomicU64::new(0),
            run_delay_ns: AtomicU64::new(0),
            slice_left_ns: AtomicU64::new(run_queue::SLICE_NS),
            started_ns: crate::time::now_ns(),
            entry: SpinLock::new(plan.entry),
            exit_code: AtomicI32::new(0),
            reaped: AtomicBool::new(false),
            exited: WaitQueue::new(),
            local: SpinLock::new(None),
            trace: AtomicPtr::new(core::ptr::null_mut()),
        };
        task.store_comm(comm(plan.name));
        task
    }

    /// The task's number; 0 for the idle tasks.
    #[inline(always)]
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The number of the task that made this one.
    pub(crate) fn parent(&self) -> u32 {
        self.parent
    }

    /// The name, filled up with zeros. Readable anywhere; while it is changed the two halves may differ in age.
    #[inline(always)]
    pub(crate) fn comm(&self) -> [u8; COMM_LEN] {
        let [a, b] = &self.comm;
        let (a, b) = (a.load(Ordering::Relaxed).to_ne_bytes(), b.load(Ordering::Relaxed).to_ne_bytes());
        let mut comm = [0; COMM_LEN];
        let (low, high) = comm.split_at_mut(COMM_LEN / 2);
        low.copy_from_slice(&a);
        high.copy_from_slice(&b);
        comm
    }

    /// The same as two little-endian words.
    #[inline(always)]
    pub(crate) fn comm_words(&self) -> [u64; COMM_LEN / 8] {
        let [a, b] = &self.comm;
        [u64::from_le(a.load(Ordering::Relaxed)), u64::from_le(b.load(Ordering::Relaxed))]
    }

    /// Names the task: at most 15 bytes of `name`, cut between characters.
    pub(crate) fn set_comm(&self, name: &str) {
        let comm = comm(name);
        trace!(events::task_rename(self, &comm));
        self.store_comm(comm);
    }

    fn store_comm(&self, comm: [u64; COMM_LEN / 8]) {
        for (word, half) in self.comm.iter().zip(comm) {
            word.store(half, Ordering::Relaxed);
        }
    }

    /// The name as text.
    pub(crate) fn name(&self) -> Name {
        Name(self.comm())
    }

    /// What the task does.
    pub(crate) fn state(&self) -> State {
        State::from_bits(self.state.load(Ordering::Relaxed))
    }

    pub(super) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub(super) fn place(&self) -> Place {
        match self.place.load(Ordering::Relaxed) {
            0 => Place::Off,
            1 => Place::On,
            _ => Place::Moving,
        }
    }

    pub(super) fn set_place(&self, place: Place) {
        self.place.store(place as u8, Ordering::Relaxed);
    }

    /// The CPU it runs on, waits for, or ran on last.
    pub(crate) fn cpu(&self) -> usize {
        self.cpu.load(Ordering::Relaxed) as usize
    }

    /// How urgent it is.
    #[inline(always)]
    pub(crate) fn prio(&self) -> Prio {
        Prio(self.prio.load(Ordering::Relaxed))
    }

    pub(super) fn store_prio(&self, prio: Prio) {
        self.prio.store(prio.0, Ordering::Relaxed);
    }

    /// The CPUs it may run on, as a mask.
    pub(crate) fn affinity(&self) -> u32 {
        self.affinity.load(Ordering::Relaxed)
    }

    /// True for a CPU's idle task.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// True when somebody asked the task to end. Loops and long waits look at it.
    pub(crate) fn interrupted(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Asks the task to end: its interruptible waits return EINTR from now on.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        run_queue::wake_from(self, &[State::Sleeping]);
    }

    /// Wakes the task out of an interruptible wait, if it is in one, to look at what it waits for again.
    pub(crate) fn nudge(&self) {
        run_queue::wake_from(self, &[State::Sleeping]);
    }

    /// How often it gave its CPU up, and how often it was taken.
    pub(crate) fn switches(&self) -> (u64, u64) {
        (self.voluntary.load(Ordering::Relaxed), self.involuntary.load(Ordering::Relaxed))
    }

    /// Nanoseconds it ran, up to its last switch.
    pub(crate) fn ran_ns(&self) -> u64 {
        self.ran_ns.load(Ordering::Relaxed)
    }

    /// When it got its CPU, for the task that runs.
    pub(crate) fn runs_since_ns(&self) -> u64 {
        self.since_ns.load(Ordering::Relaxed)
    }

    /// When it was made.
    pub(crate) fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// The addresses of its stack.
    pub(crate) fn stack(&self) -> core::ops::Range<usize> {
        match &self.stack {
            TaskStack::Own(stack) => stack.base()..stack.top(),
            TaskStack::Boot { base, top } => *base..*top,
        }
    }

    /// Where a task that does not run will go on: for backtraces of other tasks. Stale as soon as it runs.
    pub(crate) fn saved_context(&self) -> Context {
        // SAFETY: plain words; a task that runs meanwhile makes them stale, not invalid.
        unsafe { self.context.get().read_volatile() }
    }

    /// What some room keeps with this task (its files, say).
    pub(crate) fn local(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.local.lock().clone()
    }

    /// Sets what [`Task::local`] gives; it is dropped when the task exits.
    pub(crate) fn set_local(&self, value: Option<Arc<dyn Any + Send + Sync>>) {
        let old = core::mem::replace(&mut *self.local.lock(), value);
        drop(old);
    }
}

/// The running task. Not `Send`, so it means the same task wherever it is used.
#[derive(Clone, Copy)]
pub(crate) struct Current(*const Task);

/// The running task.
#[inline(always)]
pub(crate) fn current() -> Current {
    Current(core::ptr::from_ref(thread::current()).cast())
}

impl Current {
    #[inline(always)]
    pub(super) fn as_ptr(self) -> *const Task {
        self.0
    }
}

impl Deref for Current {
    type Target = Task;

    #[inline(always)]
    fn deref(&self) -> &Task {
        // SAFETY: SP_EL0 points to the running task's head, its first field; it lives at least as long as it runs.
        unsafe { &*self.0 }
    }
}

/// A task's name, as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name([u8; COMM_LEN]);

impl Name {
    /// The text up to the first 0.
    pub(crate) fn as_str(&self) -> &str {
        let len = self.0.iter().position(|&byte| byte == 0).unwrap_or(COMM_LEN);
        // Two halves of different age may cut a character.
        core::str::from_utf8(&self.0[..len]).unwrap_or("?")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name(), self.pid)
    }
}
