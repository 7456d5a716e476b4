//! Programs at samples: every so often, on each CPU, with the registers of what was interrupted.
//!
//! ```text
//!   perf_event/99   each CPU: a timer ─▶ interrupt ─▶ due ─▶ program       r1 = registers, period, address
//!                                 ▲                    │
//!                                 └── + 1/99 s ────────┘
//! ```
//!
//! The number behind the slash is how often in a second; [`DEFAULT_HZ`] without one. A CPU that idles is sampled, too: it was
//! interrupted in its idle loop. What comes late is not made up for: turns that had gone by are counted.
//!
//! What a program reads is Linux's `struct bpf_perf_event_data`: the registers, the period in nanoseconds, and an address, which
//! samples of a clock do not have. It is copied together for each sample; the registers are those of the exception, all of them.
//!
//! Detaching goes round the CPUs: where it comes by no callback is under way, for these run with interrupts masked, and none
//! arms its timer again.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ::bpf::kind::PT_REGS_BYTES;
use tracecore::errno::Errno;
use tracecore::misses::Cause;

use super::{Attachment, Hooked, Refused, Wanted};
use crate::arch::{MAX_CPUS, cpu};
use crate::bpf::prog::Prog;
use crate::bpf::run::Way;
use crate::irq;
use crate::sync::{self, CpuPin};
use crate::time::{TimerNode, now_ns};

/// How often a CPU is sampled in a second, unless the target says it.
const DEFAULT_HZ: u64 = 100;
/// And at most.
const MAX_HZ: u64 = 10_000;
const NS_PER_S: u64 = 1_000_000_000;

/// Words of a program's context: registers, period, address.
const WORDS: usize = PT_REGS_BYTES as usize / 8 + 2;

/// The timer of a CPU, and whose it is. The timer is first: its address is that of this.
#[repr(C)]
struct Node {
    timer: TimerNode,
    of: *const Shared,
    due_ns: AtomicU64,
}

// SAFETY: `of` is a shared reference in all but name, to what owns the node.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

struct Shared {
    hooked: Hooked,
    period_ns: u64,
    stopped: AtomicBool,
    /// Turns that had gone by when their interrupt came.
    late: AtomicU64,
    nodes: Vec<Node>,
}

/// The interrupt of a node's timer.
///
/// # Safety
/// `timer` is that of a [`Node`], whose owner lives.
unsafe fn due(timer: *const TimerNode) {
    // SAFETY: promised.
    let node = unsafe { &*timer.cast::<Node>() };
    // SAFETY: the nodes lie in what they name.
    let shared = unsafe { &*node.of };
    // SAFETY: this is an interrupt.
    let pin = unsafe { CpuPin::assume() };
    if shared.stopped.load(Ordering::Relaxed) {
        return;
    }
    irq::interrupted(&pin, |regs| {
        let mut context = [0; WORDS];
        let user = regs.user();
        for (to, from) in context.iter_mut().zip(user.x.iter().chain([&user.sp, &user.pc, &user.pstate])) {
            *to = *from;
        }
        if let Some(period) = context.get_mut(WORDS - 2) {
            *period = shared.period_ns;
        }
        shared.hooked.run(Way::Regs(regs), context.as_ptr(), regs.pc(), &pin);
    });
    let (was_due, now) = (node.due_ns.load(Ordering::Relaxed), now_ns());
    let gone_by = now.saturating_sub(was_due) / shared.period_ns;
    shared.late.fetch_add(gone_by, Ordering::Relaxed);
    node.arm(was_due + (gone_by + 1) * shared.period_ns);
}

impl Node {
    fn arm(&self, due_ns: u64) {
        self.due_ns.store(due_ns, Ordering::Relaxed);
        // SAFETY: the node stays where it is until it was cancelled on its CPU and can be armed no more.
        unsafe { self.timer.arm(due_ns) };
    }
}

struct AtSamples(Box<Shared>);

impl Drop for AtSamples {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
        self.0.on_each(|node| {
            node.timer.cancel();
        });
    }
}

impl Shared {
    /// Does something with each CPU's node, on this CPU, with interrupts masked.
    fn on_each(&self, f: impl Fn(&Node) + Sync) {
        sync::on_each_cpu(&|| {
            self.nodes.get(cpu::id()).inspect(|node| f(node));
        });
    }
}

impl Attachment for AtSamples {
    fn hooked(&self) -> &Hooked {
        &self.0.hooked
    }

    fn flavour(&self) -> &'static str {
        "timer"
    }

    fn places(&self) -> usize {
        cpu::online()
    }

    fn at(&self) -> Vec<(u64, u64)> {
        Vec::new()
    }

    fn missed(&self) -> Vec<(Cause, u64)> {
        vec![(Cause::Late, self.0.late.load(Ordering::Relaxed))]
    }
}

/// `perf_event/…`.
pub(super) fn at_samples(prog: &Arc<Prog>, wanted: Wanted<'_>) -> Result<Box<dyn Attachment>, Refused> {
    let hz = if wanted.target.is_empty() { Some(DEFAULT_HZ) } else { wanted.target.parse().ok() };
    let Some(hz) = hz.filter(|hz| (1..=MAX_HZ).contains(hz)) else {
        let why = format!("`{}`: samples in a second are a number up to {MAX_HZ}", wanted.target);
        return Err(Refused::new(Errno::EINVAL, why));
    };
    let cookie = wanted.cookies.first().copied().unwrap_or(0);
    let mut shared = Box::new(Shared {
        hooked: Hooked::new(prog, cookie),
        period_ns: NS_PER_S / hz,
        stopped: AtomicBool::new(false),
        late: AtomicU64::new(0),
        nodes: Vec::new(),
    });
    shared.nodes.try_reserve_exact(MAX_CPUS).map_err(|_| Errno::ENOMEM)?;
    let of = core::ptr::from_ref::<Shared>(&shared);
    let node = || Node { timer: TimerNode::new(due), of, due_ns: AtomicU64::new(0) };
    shared.nodes.extend((0..MAX_CPUS).map(|_| node()));
    shared.on_each(|node| node.arm(now_ns() + shared.period_ns));
    Ok(Box::new(AtSamples(shared)))
}
