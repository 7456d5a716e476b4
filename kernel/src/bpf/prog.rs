//! Programs: loaded, numbered, run, and freed when nobody holds them any more.
//!
//! ```text
//!   load ──▶ Arc<Prog> ──held by──▶ a pin in /sys/fs/bpf, links, program arrays, whoever runs it
//!              │    ▲
//!     last one lets go: number free at once ──quiet point──▶ code, maps and memory freed
//!              ▼
//!   Prog::run   per CPU: is it running here?  ─yes─▶ a miss, counted in recursion_misses
//!                                             ─no──▶ record on top, code, record away
//! ```
//!
//! A program that a probe runs may be hit again by what it does itself: its helper, the map that it updates. The second one
//! does not run, and is counted; that is Linux's rule for programs at functions, and here it is for all.
//!
//! The counts of runs and their time are taken while [`STATS`] is on, as with Linux's `kernel.bpf_stats_enabled`: two reads of
//! the clock would cost more than many a program.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};

use ::bpf::btf::Btf;
use ::bpf::btf::ext::Line;
use ::bpf::kind::Attach;
use ::bpf::op::{Callee, Op};
use ::bpf::program::{Program, TAG_BYTES};

use super::jit::Image;
use super::maps;
use super::run::{Running, Way};
use crate::arch::{MAX_CPUS, cpu};
use crate::jump_label::{StaticKey, static_branch_unlikely};
use crate::sync::{Pinned, quiesce};
use crate::task::Mutex;
use crate::time::now_ns;

/// Are runs counted and timed?
pub(crate) static STATS: StaticKey = StaticKey::new("bpf_stats_enabled", false);

/// The most programs at a time.
pub(crate) const PROGS_MAX: usize = 4096;
/// Bytes of a name, as Linux keeps it.
pub(crate) const NAME_MAX: usize = 15;

/// A program as the machine runs it: r1 to r5, and r0.
pub(crate) type Entry = extern "C" fn(u64, u64, u64, u64, u64) -> u64;

/// What runs a program.
pub(crate) enum Engine {
    /// Its own code: where it is entered, and who keeps it there.
    Code(Entry, Box<dyn Any + Send + Sync>),
    /// Nobody has verified it: it is run in a sandbox only, never by a probe.
    Sandbox,
}

impl Engine {
    /// The code of a compiled program.
    pub(crate) fn code(image: Image) -> Self {
        let entry = core::ptr::with_exposed_provenance::<()>(image.entry());
        // SAFETY: the compiler makes functions of this type, and the words stay as long as the image, which stays here.
        let entry = unsafe { core::mem::transmute::<*const (), Entry>(entry) };
        Self::Code(entry, Box::new(image))
    }

    fn entry(&self) -> Option<Entry> {
        if let Self::Code(entry, _) = self { Some(*entry) } else { None }
    }
}

/// What a program is made of, until it is numbered.
pub(crate) struct Parts {
    /// Its name, cut to [`NAME_MAX`].
    pub(crate) name: String,
    /// How it may be attached.
    pub(crate) attach: Attach,
    /// The section that it came from: to what it wants to be attached.
    pub(crate) section: String,
    /// Does its licence allow all helpers?
    pub(crate) gpl: bool,
    /// Linux's tag of the program as it was given.
    pub(crate) tag: [u8; TAG_BYTES],
    /// Its instructions, as they are run.
    pub(crate) program: Program,
    /// What runs it.
    pub(crate) engine: Engine,
    /// What it needs as long as it is there: its maps by their places.
    pub(crate) maps: Vec<Arc<maps::Entry>>,
    /// Bytes of context, or of the memory in its place, that it may access.
    pub(crate) context_bytes: u32,
    /// Types and lines of its source.
    pub(crate) btf: Option<Arc<Btf>>,
    /// Lines by slot.
    pub(crate) lines: Vec<(usize, Line)>,
}

/// What a CPU counts of a program. A cache line for each.
#[derive(Default)]
#[repr(align(64))]
struct OnCpu {
    active: AtomicU32,
    misses: AtomicU64,
    runs: AtomicU64,
    time_ns: AtomicU64,
}

/// A program.
pub(crate) struct Prog {
    id: u32,
    parts: Option<Box<Parts>>,
    entry: Option<Entry>,
    /// Its helpers may ask for the running record.
    asks: bool,
    loaded_ns: u64,
    on_cpu: Box<[OnCpu; MAX_CPUS]>,
}

/// What was counted of a program, on all CPUs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// How often it ran, while that was counted.
    pub(crate) run_cnt: u64,
    /// How long, in nanoseconds.
    pub(crate) run_time_ns: u64,
    /// How often it did not run, because it was running there.
    pub(crate) recursion_misses: u64,
}

/// All programs.
struct Registry {
    last: u32,
    by_id: BTreeMap<u32, Weak<Prog>>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { last: 0, by_id: BTreeMap::new() });
/// How many were loaded, and how many of them are freed.
static LOADED: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

/// How many programs were loaded since boot, and how many of them are freed.
pub(crate) fn totals() -> (u64, u64) {
    (LOADED.load(Ordering::Relaxed), FREED.load(Ordering::Relaxed))
}

/// There are [`PROGS_MAX`] programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Prog {
    /// Numbers a program. It is there for as long as somebody holds what is given back.
    pub(crate) fn register(parts: Parts) -> Result<Arc<Self>, TooMany> {
        let entry = parts.engine.entry();
        let asks = asks(&parts.program);
        let mut registry = REGISTRY.lock();
        if registry.by_id.len() >= PROGS_MAX {
            return Err(TooMany);
        }
        registry.last += 1;
        let prog = Arc::new(Self {
            id: registry.last,
            parts: Some(Box::new(parts)),
            entry,
            asks,
            loaded_ns: now_ns(),
            on_cpu: Box::default(),
        });
        registry.by_id.insert(prog.id, Arc::downgrade(&prog));
        LOADED.fetch_add(1, Ordering::Relaxed);
        Ok(prog)
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// What it is made of.
    pub(crate) fn parts(&self) -> &Parts {
        // Only `drop` takes them out.
        self.parts.as_ref().unwrap_or_else(|| unreachable!("a program that was dropped"))
    }

    /// When it was loaded, on the clock since boot.
    pub(crate) fn loaded_ns(&self) -> u64 {
        self.loaded_ns
    }

    /// Runs it with `ctx` in r1, unless it is running on this CPU already; then the result is 0. Way, cookie and function are only
    /// found if somebody may ask for them.
    ///
    /// A program that nobody has verified is not run either.
    #[inline(always)]
    pub(crate) fn run<'h>(
        &self,
        ctx: u64,
        pinned: &impl Pinned,
        hit: impl FnOnce() -> (Way<'h>, u64, u64),
    ) -> u64 {
        if self.asks {
            let (way, cookie, ip) = hit();
            let running = Running { prog: self, way, ctx, cookie, ip };
            return self.run_with(&running, 0, pinned).unwrap_or(0);
        }
        self.guarded(|entry, mine| enter(entry, mine, ctx, 0)).unwrap_or(0)
    }

    /// The same with what stands in r2, and `None` when it did not run.
    #[inline(always)]
    pub(crate) fn run_with(&self, running: &Running<'_>, r2: u64, pinned: &impl Pinned) -> Option<u64> {
        self.guarded(|entry, mine| running.on_top(pinned, || enter(entry, mine, running.ctx, r2)))
    }

    /// Runs `f` with the program's code, unless it is running on this CPU.
    #[inline(always)]
    fn guarded(&self, f: impl FnOnce(Entry, &OnCpu) -> u64) -> Option<u64> {
        let entry = self.entry?;
        let mine = self.on_cpu.get(cpu::id())?;
        // What nests on this CPU is done before this one goes on: a load and a store are enough.
        if mine.active.load(Ordering::Relaxed) != 0 {
            add(&mine.misses, 1);
            return None;
        }
        mine.active.store(1, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let result = f(entry, mine);
        compiler_fence(Ordering::SeqCst);
        mine.active.store(0, Ordering::Relaxed);
        Some(result)
    }

    /// What was counted.
    pub(crate) fn counts(&self) -> Counts {
        let sum = |of: fn(&OnCpu) -> &AtomicU64| {
            self.on_cpu.iter().map(|cpu| of(cpu).load(Ordering::Relaxed)).sum()
        };
        Counts {
            run_cnt: sum(|cpu| &cpu.runs),
            run_time_ns: sum(|cpu| &cpu.time_ns),
            recursion_misses: sum(|cpu| &cpu.misses),
        }
    }
}

/// Enters the code of a program that was found not to run here.
#[inline(always)]
fn enter(entry: Entry, mine: &OnCpu, ctx: u64, r2: u64) -> u64 {
    if static_branch_unlikely!(STATS) {
        let begin = now_ns();
        let result = entry(ctx, r2, 0, 0, 0);
        add(&mine.time_ns, now_ns().saturating_sub(begin));
        add(&mine.runs, 1);
        return result;
    }
    entry(ctx, r2, 0, 0, 0)
}

/// Helpers that do not ask who calls them, nor call anybody who does: `map_lookup_elem`, `map_update_elem`, `map_delete_elem`,
/// `ktime_get_ns`, `get_smp_processor_id`, `get_current_pid_tgid`.
const QUIET: [i32; 6] = [1, 2, 3, 5, 8, 14];

/// May one of its helpers ask for the running record, which then has to be there?
fn asks(program: &Program) -> bool {
    let asks = |op: Op| matches!(op, Op::Call(Callee::Helper(number)) if !QUIET.contains(&number));
    program.ops().any(|(_, op)| asks(op))
}

/// Adds to a count of this CPU. An interrupt in between that counts as well is another program's, or a miss of this one, which
/// has a count of its own: only misses may nest in misses, so those are added at once.
#[inline(always)]
fn add(count: &AtomicU64, n: u64) {
    count.fetch_add(n, Ordering::Relaxed);
}

impl Drop for Prog {
    fn drop(&mut self) {
        let (id, parts) = (self.id, self.parts.take());
        // Somebody may still run it, or look at it in a table that he reads without a lock.
        quiesce::defer(Box::new(move || {
            REGISTRY.lock().by_id.remove(&id);
            drop(parts);
            FREED.fetch_add(1, Ordering::Relaxed);
        }));
    }
}

impl fmt::Debug for Prog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prog({}, {:?})", self.id, self.parts().name)
    }
}

/// The program of a number.
pub(crate) fn by_id(id: u32) -> Option<Arc<Prog>> {
    REGISTRY.lock().by_id.get(&id).and_then(Weak::upgrade)
}

/// All programs, by number.
pub(crate) fn all() -> Vec<Arc<Prog>> {
    REGISTRY.lock().by_id.values().filter_map(Weak::upgrade).collect()
}
