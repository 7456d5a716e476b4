//! The scheduler: who runs on this CPU, and how a task gets onto a CPU.
//!
//! Each CPU has a queue: a list per priority level and a bit per list that is not empty. The first task of the most
//! urgent list runs; equals take turns by slices; the idle task runs when there is none.
//!
//! ```text
//!   bitmap 0…0100100        level 2: ─▶ T ⇄ T       the running task is on no list, but counted
//!                           level 5: ─▶ T
//! ```
//!
//! **Sleeping and waking.** A sleeper sets its state, looks once more whether it must sleep, and calls `schedule`. A
//! waker makes the reason go away and looks at the state. Each side has a full barrier between its two steps, so at
//! least one sees the other: no wake-up is lost. What `schedule` and a waker decide, they decide under the lock of
//! the queue of the CPU that `task.cpu` names:
//!
//! | the waker finds | and does |
//! |---|---|
//! | Running | nothing |
//! | asleep, but still On or Moving (it has not yet got to `schedule`) | sets Running |
//! | asleep and Off | sets Running and Moving, chooses a CPU, puts it on that queue |
//!
//! `task.cpu` changes under the old CPU's lock only, while the task is Moving. Never are two queues locked at once.
//!
//! **Switching.** The queue's lock is taken by the task that leaves and released by the task that arrives, on the same
//! CPU. So whoever holds a queue's lock and finds a task Off knows that its stack is no longer in use.

use super::switch::task_switch;
use super::tcb::{Place, Prio, State, current};
use super::{Task, events, life, stats};
use crate::arch::{self, thread};
use crate::irq::{self, Ipi};
use crate::sync::{
    IrqGuard, List, Pinned, SpinGuard, SpinLock, head, online_cpus, per_cpu, preempt_point, quiesce,
};
use crate::time;
use crate::tracepoint::trace;
use core::ptr::null;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// How long a task runs while equals wait.
pub(crate) const SLICE_NS: u64 = 4 * time::NS_PER_MS;

const _: () = assert!(Prio::LEVELS <= u64::BITS as usize, "a bit per level");

struct Queue {
    lists: [List<Task>; Prio::LEVELS],
    /// Bit n: list n is not empty.
    bitmap: u64,
    running: *const Task,
    idle: *const Task,
    /// The slice's end is set on the timer.
    slice_armed: bool,
}

// SAFETY: the pointers are to tasks, which are Sync.
unsafe impl Send for Queue {}

struct RunQueue {
    queue: SpinLock<Queue>,
    /// Tasks on the lists plus the running one, the idle task not counted.
    load: AtomicU32,
    switches: AtomicU64,
}

per_cpu! {
    static RUN_QUEUE: RunQueue = RunQueue {
        queue: SpinLock::new(Queue {
            lists: [const { List::new() }; Prio::LEVELS],
            bitmap: 0,
            running: null(),
            idle: null(),
            slice_armed: false,
        }),
        load: AtomicU32::new(0),
        switches: AtomicU64::new(0),
    };
}

impl Queue {
    /// # Safety
    /// The task is on no list, and alive until it is taken off.
    unsafe fn push(&mut self, task: *const Task, first: bool) {
        // SAFETY: promised.
        unsafe {
            let level = (*task).prio().level();
            if let Some(list) = self.lists.get_mut(level) {
                if first {
                    list.push_front(task)
                } else {
                    list.push_back(task)
                }
                self.bitmap |= 1 << level;
            }
        }
    }

    /// # Safety
    /// The task is on a list of this queue, by its present priority.
    unsafe fn remove(&mut self, task: *const Task) {
        // SAFETY: promised.
        unsafe {
            let level = (*task).prio().level();
            if let Some(list) = self.lists.get_mut(level) {
                list.remove(task);
                if list.is_empty() {
                    self.bitmap &= !(1 << level);
                }
            }
        }
    }

    fn pop(&mut self) -> Option<*const Task> {
        let level = self.bitmap.trailing_zeros() as usize;
        let list = self.lists.get_mut(level)?;
        let task = list.pop_front();
        if list.is_empty() {
            self.bitmap &= !(1 << level);
        }
        task
    }

    /// True when somebody waits at the level of `task`.
    fn has_equals(&self, task: &Task) -> bool {
        self.bitmap & (1 << task.prio().level()) != 0
    }

    fn running(&self) -> Option<&Task> {
        // SAFETY: the running task lives; the lock keeps it the running one.
        unsafe { self.running.as_ref() }
    }

    /// Sets the end of the running task's slice if an equal waits.
    fn arm_slice(&mut self, now: u64, here: &impl Pinned) {
        let Some(task) = self.running() else { return };
        let wanted = !task.is_idle() && self.has_equals(task);
        if wanted && !self.slice_armed {
            let end = task.since_ns.load(Ordering::Relaxed) + task.slice_left_ns.load(Ordering::Relaxed);
            time::set_slice(Some(end.max(now + 1)), here);
        } else if !wanted && self.slice_armed {
            time::set_slice(None, here);
        }
        self.slice_armed = wanted;
    }
}

fn on(cpu: usize) -> &'static RunQueue {
    RUN_QUEUE.on(cpu)
}

/// Makes `idle` the idle task of CPU `cpu`, which will run it first.
pub(super) fn adopt_idle(cpu: usize, idle: *const Task) {
    let mut queue = on(cpu).queue.lock();
    queue.idle = idle;
    queue.running = idle;
}

/// The idle tasks of all CPUs.
pub(crate) fn idle_tasks() -> impl Iterator<Item = &'static Task> {
    (0..arch::MAX_CPUS).filter_map(|cpu| {
        let idle = on(cpu).queue.lock().idle;
        // SAFETY: an idle task is never freed.
        unsafe { idle.as_ref() }
    })
}

/// Gives this CPU to whoever deserves it. `preempted`: the running task wants to go on, whatever its state says.
/// Not traced: while it has not yet masked interrupts, a callback that ends would call it again.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
pub(super) fn switch(preempted: bool) {
    let here = IrqGuard::new();
    let me = arch::cpu::id();
    let run_queue = RUN_QUEUE.this_cpu(&here);
    let mut queue = run_queue.queue.lock();
    let prev_ref = current();
    let prev: &Task = &prev_ref;
    prev.head.need_resched.store(0, Ordering::Relaxed);
    // Nobody calls the scheduler from inside a reader.
    quiesce::note(&here);

    let now = time::local_clock_ns();
    let ran = now.saturating_sub(prev.since_ns.load(Ordering::Relaxed));
    prev.ran_ns.store(prev.ran_ns.load(Ordering::Relaxed) + ran, Ordering::Relaxed);
    prev.since_ns.store(now, Ordering::Relaxed);
    if !prev.is_idle() {
        leave(prev, &mut queue, run_queue, ran, preempted, me);
    }
    let next = queue.pop().unwrap_or(queue.idle);
    if core::ptr::eq(next, prev) {
        queue.arm_slice(now, &here);
        return;
    }
    let counter = if preempted { &prev.involuntary } else { &prev.voluntary };
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    run_queue.switches.store(run_queue.switches.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    queue.running = next;
    // SAFETY: queued tasks live.
    let next_ref = unsafe { &*next };
    next_ref.since_ns.store(now, Ordering::Relaxed);
    stats::chosen(next_ref, now);
    if core::mem::take(&mut queue.slice_armed) {
        // That was the end of prev's slice.
        time::set_slice(None, &here);
    }
    queue.arm_slice(now, &here);
    trace!(events::sched_switch(preempted, prev, next_ref));
    // Released by `arrive`, in the other task.
    core::mem::forget(queue);
    // SAFETY: interrupts are masked, prev runs here, and next was on this queue, or is this CPU's idle task.
    let left = unsafe { task_switch(prev_ref.as_ptr(), next) };
    // SAFETY: that is what `task_switch` returned.
    unsafe { arrive(left) };
    drop(here);
}

/// Where the task that leaves this CPU goes.
fn leave(prev: &Task, queue: &mut Queue, run_queue: &RunQueue, ran: u64, preempted: bool, me: usize) {
    let left = prev.slice_left_ns.load(Ordering::Relaxed).saturating_sub(ran);
    // Who gave way goes to the end with a new slice; who was preempted goes on with the rest of it.
    let first = preempted && left > 0;
    prev.slice_left_ns.store(if first { left } else { SLICE_NS }, Ordering::Relaxed);
    if prev.state() == State::Sleeping && prev.interrupted() {
        prev.set_state(State::Running);
    }
    let stays = preempted || prev.state() == State::Running;
    if stays && prev.affinity() & 1 << me != 0 {
        // SAFETY: the running task is on no list.
        unsafe { queue.push(prev, first) };
        stats::queued(prev);
        return;
    }
    run_queue.load.fetch_sub(1, Ordering::Relaxed);
    prev.set_place(if stays { Place::Moving } else { Place::Off });
}

/// The second half of a switch, in the task that arrives.
///
/// # Safety
/// Called once after each `task_switch`, with what it returned, interrupts still masked.
pub(super) unsafe fn arrive(left: *const Task) {
    // SAFETY: interrupts are masked.
    let here = unsafe { crate::sync::CpuPin::assume() };
    let run_queue = RUN_QUEUE.this_cpu(&here);
    // SAFETY: the task that left is alive: as long as the lock is held nobody can make it run, and end, elsewhere.
    let (place, dead) = unsafe { ((*left).place(), (*left).state() == State::Dead) };
    let target = (place == Place::Moving).then(|| {
        // SAFETY: as above.
        let task = unsafe { &*left };
        let target = choose_cpu(task);
        move_to(task, target);
        target
    });
    // SAFETY: taken by `switch` on this CPU, whose guard was forgotten.
    unsafe { run_queue.queue.force_unlock() };
    if let Some(target) = target {
        // SAFETY: Moving: nobody else puts it anywhere, and it lives.
        unsafe { put(left, target) };
    } else if place == Place::Off && dead {
        // SAFETY: it is off its CPU for good, and this is the one place that sees that.
        unsafe { life::reap(left) };
    }
}

/// Puts a Moving task on the queue of `cpu`, and sees to it that it runs when it should.
///
/// # Safety
/// The task is Moving to `cpu`, by this caller, and alive.
unsafe fn put(task: *const Task, cpu: usize) {
    // SAFETY: promised.
    let task = unsafe { &*task };
    let run_queue = on(cpu);
    let mut queue = run_queue.queue.lock();
    let here = arch::cpu::id();
    // SAFETY: Moving, so on no list.
    unsafe { queue.push(task, false) };
    stats::queued(task);
    task.set_place(Place::On);
    run_queue.load.fetch_add(1, Ordering::Relaxed);
    let Some(running) = queue.running() else { return };
    let more_urgent = running.is_idle() || task.prio() < running.prio();
    let equal = !more_urgent && task.prio() == running.prio();
    if more_urgent {
        running.head.need_resched.store(1, Ordering::Relaxed);
    }
    if cpu == here {
        if equal {
            let irq = IrqGuard::new();
            queue.arm_slice(time::local_clock_ns(), &irq);
        }
    } else if more_urgent || (equal && !queue.slice_armed) {
        drop(queue);
        irq::send_ipi(cpu, Ipi::Reschedule);
    }
}

/// Says where a task that is Moving goes.
fn move_to(task: &Task, cpu: usize) {
    if task.cpu() != cpu {
        trace!(events::sched_migrate_task(task, cpu));
        task.cpu.store(cpu as u32, Ordering::Relaxed);
    }
}

/// The CPU for a task that is to run: where it ran if that idles, else one that idles, else the least loaded.
fn choose_cpu(task: &Task) -> usize {
    let last = task.cpu();
    let online = online_cpus();
    let allowed = match task.affinity() & online {
        0 => online,
        allowed => allowed,
    };
    let load = |cpu: usize| on(cpu).load.load(Ordering::Relaxed);
    let mut best = if allowed & 1 << last != 0 { last } else { allowed.trailing_zeros() as usize };
    for cpu in (0..arch::MAX_CPUS).filter(|cpu| allowed & 1 << cpu != 0) {
        if load(cpu) < load(best) {
            best = cpu;
        }
    }
    best
}

/// The queue of the CPU that `task.cpu` names, locked.
fn lock_queue_of(task: &Task) -> (usize, SpinGuard<'static, Queue>) {
    loop {
        let cpu = task.cpu();
        let queue = on(cpu).queue.lock();
        if task.cpu() == cpu {
            return (cpu, queue);
        }
    }
}

/// Wakes `task` if its state is one of `from`; true when it was asleep. The caller lets the scheduler look
/// afterwards ([`look`]).
pub(super) fn wake_quietly(task: &Task, from: &[State]) -> bool {
    wake(task, from, false)
}

/// Puts a new task on a queue for the first time.
pub(super) fn start(task: &Task) {
    wake(task, &[State::Blocked], true);
    look();
}

fn wake(task: &Task, from: &[State], is_new: bool) -> bool {
    // The reason to sleep went away before this call: that store, then the load of the state.
    fence(Ordering::SeqCst);
    let (_, queue) = lock_queue_of(task);
    if !from.contains(&task.state()) {
        return false;
    }
    if !is_new {
        trace!(events::sched_waking(task));
    }
    task.set_state(State::Running);
    if task.place() != Place::Off {
        trace!(events::sched_wakeup(task));
        return true;
    }
    let target = choose_cpu(task);
    task.set_place(Place::Moving);
    move_to(task, target);
    // Before it is on the queue, so that it is told before the switch to it.
    if is_new {
        trace!(events::sched_wakeup_new(task));
    } else {
        trace!(events::sched_wakeup(task));
    }
    drop(queue);
    // SAFETY: this caller made it Moving; a task that sleeps does not die.
    unsafe { put(task, target) };
    true
}

/// Wakes `task` and lets the scheduler look.
pub(super) fn wake_from(task: &Task, from: &[State]) -> bool {
    let woken = wake_quietly(task, from);
    look();
    woken
}

/// Lets a more urgent task that was just put on this CPU's queue run: now, or as soon as that is allowed.
pub(super) fn look() {
    let head = head();
    if head.need_resched.load(Ordering::Relaxed) == 0 || head.count() & thread::HARDIRQ_MASK != 0 {
        return;
    }
    if arch::daif::irqs_masked() {
        // Whoever unmasks interrupts meets this one.
        irq::send_ipi(arch::cpu::id(), Ipi::Reschedule);
    } else {
        preempt_point();
    }
}

/// The slice of this CPU's running task is over.
pub(crate) fn slice_expired() {
    let here = IrqGuard::new();
    let mut queue = RUN_QUEUE.this_cpu(&here).queue.lock();
    queue.slice_armed = false;
    if let Some(running) = queue.running()
        && queue.has_equals(running)
    {
        running.slice_left_ns.store(0, Ordering::Relaxed);
        running.head.need_resched.store(1, Ordering::Relaxed);
    }
}

/// The reschedule interrupt: somebody put a task on this CPU's queue.
pub(super) fn handle_reschedule_ipi() {
    let here = IrqGuard::new();
    let now = time::local_clock_ns();
    RUN_QUEUE.this_cpu(&here).queue.lock().arm_slice(now, &here);
}

/// Changes how urgent `task` is.
pub(super) fn set_prio(task: &Task, prio: Prio) {
    {
        let (cpu, mut queue) = lock_queue_of(task);
        if task.queue_link.is_linked() {
            // SAFETY: linked, and this is its queue; it lives while it is queued.
            unsafe {
                queue.remove(task);
                task.store_prio(prio);
                queue.push(task, false);
            }
        } else {
            task.store_prio(prio);
        }
        // The order may have changed: let that CPU choose again.
        if let Some(running) = queue.running() {
            running.head.need_resched.store(1, Ordering::Relaxed);
        }
        if cpu != arch::cpu::id() {
            irq::send_ipi(cpu, Ipi::Reschedule);
        }
    }
    look();
}

/// Moves `task` to a CPU of `mask`, if it is on another.
pub(super) fn set_affinity(task: &Task, mask: u32) {
    let mut carried = None;
    {
        let (cpu, mut queue) = lock_queue_of(task);
        task.affinity.store(mask, Ordering::Relaxed);
        if mask & 1 << cpu == 0 {
            if task.queue_link.is_linked() {
                // SAFETY: linked, and this is its queue.
                unsafe { queue.remove(task) };
                on(cpu).load.fetch_sub(1, Ordering::Relaxed);
                task.set_place(Place::Moving);
                let target = choose_cpu(task);
                move_to(task, target);
                carried = Some(target);
            } else if task.place() == Place::On {
                // It runs there: its own scheduler moves it.
                task.head.need_resched.store(1, Ordering::Relaxed);
                if cpu != arch::cpu::id() {
                    irq::send_ipi(cpu, Ipi::Reschedule);
                }
            }
        }
    }
    if let Some(target) = carried {
        // SAFETY: made Moving here, so nobody else carries it; it wants to run, so it does not die.
        unsafe { put(task, target) };
    }
    look();
}

/// For a CPU that idles: takes a waiting task from the CPU with the most. True when it got one.
pub(super) fn steal() -> bool {
    let me = arch::cpu::id();
    let victim = (0..arch::MAX_CPUS)
        .filter(|&cpu| cpu != me && online_cpus() & 1 << cpu != 0)
        .map(|cpu| (on(cpu).load.load(Ordering::Relaxed), cpu))
        .max();
    let Some((2.., victim)) = victim else { return false };
    let Some(mut queue) = on(victim).queue.try_lock() else { return false };
    let mut waiting = queue.bitmap;
    while waiting != 0 {
        let level = waiting.trailing_zeros() as usize;
        waiting &= waiting - 1;
        let found = queue.lists.get(level).and_then(|list| list.iter().find(|t| t.affinity() & 1 << me != 0));
        if let Some(task) = found.map(core::ptr::from_ref) {
            // SAFETY: on a list of this queue, and alive.
            unsafe {
                queue.remove(task);
                (*task).set_place(Place::Moving);
                move_to(&*task, me);
            }
            on(victim).load.fetch_sub(1, Ordering::Relaxed);
            drop(queue);
            // SAFETY: made Moving here; it wants to run, so it does not die.
            unsafe { put(task, me) };
            return true;
        }
    }
    false
}

/// What one CPU's scheduler did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuStats {
    /// Tasks that run or want to, the idle task not counted.
    pub(crate) load: u32,
    /// Switches from one task to another since boot.
    pub(crate) switches: u64,
    /// Nanoseconds in the idle task, up to its last switch.
    pub(crate) idle_ns: u64,
}

/// The counts of CPU `cpu`.
pub(crate) fn cpu_stats(cpu: usize) -> CpuStats {
    let run_queue = on(cpu);
    let idle_ns = {
        let queue = run_queue.queue.lock();
        // SAFETY: an idle task is never freed.
        unsafe { queue.idle.as_ref() }.map_or(0, |idle| {
            // Counted at its end; a CPU with nothing to do may not have switched for long.
            let idles_now = core::ptr::eq(queue.running, idle);
            let since = idle.since_ns.load(Ordering::Relaxed);
            idle.ran_ns() + if idles_now { time::now_ns().saturating_sub(since) } else { 0 }
        })
    };
    CpuStats {
        load: run_queue.load.load(Ordering::Relaxed),
        switches: run_queue.switches.load(Ordering::Relaxed),
        idle_ns,
    }
}
