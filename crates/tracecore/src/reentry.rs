//! The re-entry state machine of kprobes: what one CPU must remember between the exceptions of a hit.
//!
//! A hit is not one event but up to three: a BRK at the probe, a second BRK behind the word in its slot if handlers
//! want to be called there, or a fault of that word. In between other probes may be hit, by what the handlers call and by what handles the
//! fault. The machine answers two questions for each exception: *run handlers or count a miss?* and *whose slot is
//! this, and what was masked before it?*
//!
//! ```text
//!                     ┌────── 3 diverted / 4 simulated, boosted ────────┐
//!                     │                                                 │
//!              1 hit  │            2 handlers done         5 step done, │
//!   ┌────────┐     ┌──┴───────┐     ┌──────────┐           fault     ┌──▼─────┐
//!   │  idle  ├────▶│ handlers ├────▶│ stepping ├────────────────────▶│  idle  │
//!   └────────┘     └──┬────▲──┘     └────┬─────┘                     └────────┘
//!                     │    │             │ 6 post handlers: handlers again, then idle
//!            7 hit in │    │ 8 its step  ▼
//!           a handler │    │ or fault    (a word in a slot runs with everything masked and is no BRK:
//!           = a miss  │    │              nothing can be hit in here)
//!                  ┌──▼────┴──┐
//!                  │ stepping │ without handlers, the outer ones wait; 9 a hit in there, after a fault, is
//!                  │  nested  │ a miss in a handler again: (7), as deep as it likes
//!                  └──────────┘
//! ```
//!
//! Why two words and one saved mask are enough at any depth: handlers run with all exceptions masked, and a hit
//! inside them runs no handlers, so at most one probe's handlers are under way. A slot holds one word, so between
//! `begin_step` and `end_step` no other step can begin: a nested hit comes from a handler, before the outer step
//! has begun or after it has ended, and a fault ends the step before anything handles it. Nothing is ever stacked,
//! so nothing can overflow, and a hit in the handler of a hit in a handler is one more miss, never fatal.
//!
//! # Handlers that may be nested in
//!
//! Some handlers see to it themselves that they are not called in their own midst: BPF programs, each of which is protected for
//! itself. They are *open*: what they call may be hit, and if the handlers of that are open as well, they run. So of two
//! programs where one's path hits the other, both run. The outer ones are remembered by who nests, on the stack, and put back;
//! this takes stack, so there is a bound, [`MAX_NESTED`], behind which a hit is a miss again. In handlers that are not open
//! nothing is nested, and those that are not open are not run in the midst of others.
//!
//! A probe's number says how it is: its low three bits are 0, or [`OPEN`]. While open handlers are under way they tell the depth.
//! Steps are no different: a nested probe's word goes to its slot when its handlers have returned, which is before the outer
//! probe's does.
//!
//! A boosted word is in its slot, too, but nothing waits for it: it ends in a branch, and is masked no more than the
//! code that was hit. What is hit by an interrupt in there is a hit like any other.
//!
//! The test drives the machine through every nesting of these events up to a depth.
//!
//! The words are atomic only because a CPU's own state is reached through a shared reference; `Relaxed` accesses
//! are plain loads and stores, and no other CPU looks.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Set in the number of a probe whose handlers are open.
pub const OPEN: u64 = 1;
/// Open handlers that can be under way at once on a CPU.
pub const MAX_NESTED: u64 = 4;
/// The bits of a probe's number that are not its own.
const DEPTH: u64 = 7;

/// What was under way when open handlers were nested in it.
#[derive(Debug)]
#[must_use = "it is put back when the nested handlers have returned"]
pub struct Outer(u64);

impl Outer {
    /// Nothing was.
    pub const NOBODY: Self = Self(0);
}

/// What to do at a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHit {
    /// Run the handlers, then call [`Reentry::handlers_done`].
    RunHandlers,
    /// Handlers of another probe are under way on this CPU: count a miss and run none.
    Miss,
}

/// One CPU's state. A probe is known by a number that is not zero, such as its address.
#[derive(Debug, Default)]
pub struct Reentry {
    /// The probe whose handlers are running, or 0.
    handling: AtomicU64,
    /// The probe whose word is in its slot, or 0.
    stepping: AtomicU64,
    /// What the interrupted code had masked, while stepping.
    saved_mask: AtomicU64,
}

impl Reentry {
    /// An idle CPU.
    pub const fn new() -> Self {
        Self { handling: AtomicU64::new(0), stepping: AtomicU64::new(0), saved_mask: AtomicU64::new(0) }
    }

    /// (1, 7) A BRK at `probe`.
    #[inline(always)]
    pub fn hit(&self, probe: u64) -> OnHit {
        if self.handling.load(Relaxed) != 0 {
            return OnHit::Miss;
        }
        self.handling.store(probe, Relaxed);
        OnHit::RunHandlers
    }

    /// (2, 3, 4) The handlers have returned.
    #[inline(always)]
    pub fn handlers_done(&self) {
        self.handling.store(0, Relaxed);
    }

    /// May handlers run in the midst of those that are under way? Both have to be open, and there is a bound.
    #[inline(always)]
    pub fn may_nest(&self, probe: u64) -> bool {
        probe & DEPTH != 0 && (1..MAX_NESTED).contains(&(self.handling.load(Relaxed) & DEPTH))
    }

    /// After [`OnHit::Miss`]: begins to run handlers in the midst of others, if they may. [`Reentry::unnest`] ends it.
    #[inline(always)]
    pub fn nest(&self, probe: u64) -> Option<Outer> {
        let outer = self.handling.load(Relaxed);
        if !self.may_nest(probe) {
            return None;
        }
        self.handling.store((probe & !DEPTH) | ((outer & DEPTH) + 1), Relaxed);
        Some(Outer(outer))
    }

    /// The nested handlers have returned.
    #[inline(always)]
    pub fn unnest(&self, outer: Outer) {
        self.handling.store(outer.0, Relaxed);
    }

    /// (2, 7) The word of `probe` goes to its slot; `mask` is what the interrupted code had masked.
    #[inline(always)]
    pub fn begin_step(&self, probe: u64, mask: u64) {
        self.stepping.store(probe, Relaxed);
        self.saved_mask.store(mask, Relaxed);
    }

    /// The probe whose word is in its slot. An exception that is not from that slot is none of ours.
    #[inline(always)]
    pub fn stepping(&self) -> Option<u64> {
        match self.stepping.load(Relaxed) {
            0 => None,
            probe => Some(probe),
        }
    }

    /// (5, 8) The word has executed, or it has faulted: the mask to put back.
    #[inline(always)]
    pub fn end_step(&self) -> u64 {
        self.stepping.store(0, Relaxed);
        self.saved_mask.load(Relaxed)
    }

    /// (6) The word has executed and `probe` has post handlers. They run unless this hit was a miss; then
    /// [`Reentry::handlers_done`] follows.
    #[inline(always)]
    pub fn begin_post(&self, probe: u64) -> OnHit {
        self.hit(probe)
    }

    /// Are handlers under way?
    #[inline(always)]
    pub fn is_handling(&self) -> bool {
        self.handling.load(Relaxed) != 0
    }

    /// Is nothing under way?
    pub fn is_idle(&self) -> bool {
        self.handling.load(Relaxed) == 0 && self.stepping.load(Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec;
    use std::vec::Vec;

    /// How a probed word executes.
    #[derive(Clone, Debug)]
    enum Run {
        Step,
        /// The word faults in its slot, and what handles the fault runs into these probes.
        Fault(Vec<Hit>),
        Simulate,
    }

    /// One hit and all that happens inside.
    #[derive(Clone, Debug)]
    struct Hit {
        pre: Vec<Hit>,
        diverts: bool,
        run: Run,
        post: Option<Vec<Hit>>,
    }

    /// All shapes of a hit up to a depth. Inside a hit there is nothing, or one hit of any smaller shape, or two.
    fn shapes(depth: u32) -> Vec<Hit> {
        let inner = if depth == 0 { Vec::new() } else { shapes(depth - 1) };
        let mut insides: Vec<Vec<Hit>> = vec![Vec::new()];
        insides.extend(inner.iter().map(|hit| vec![hit.clone()]));
        if let (Some(first), Some(last)) = (inner.first(), inner.last()) {
            insides.push(vec![first.clone(), last.clone()]);
        }
        let none = Vec::new();
        let mut all = Vec::new();
        for inside in &insides {
            // The inside may be in any of the three places that run code.
            for place in 0..3 {
                let at = |n| if place == n { inside.clone() } else { none.clone() };
                for diverts in [false, true] {
                    for run in [Run::Step, Run::Fault(at(1)), Run::Simulate] {
                        for post in [None, Some(at(2))] {
                            all.push(Hit { pre: at(0), diverts, run: run.clone(), post: post.clone() });
                        }
                    }
                }
            }
        }
        all
    }

    /// A CPU that does at each exception what the kernel does, and checks what it was told.
    #[derive(Default)]
    struct Cpu {
        state: Reentry,
        /// What is masked now; code that was entered by an exception has all of it.
        mask: u64,
        next: u64,
        hits: u64,
        ran: u64,
        missed: u64,
        /// Probes whose handlers are running, by the model's own account.
        handlers: u64,
        in_slot: bool,
    }

    const ALL_MASKED: u64 = 0x3c0;

    impl Cpu {
        fn hit(&mut self, hit: &Hit) {
            self.next += 1;
            let probe = self.next;
            let interrupted = self.mask;
            self.mask = ALL_MASKED;
            self.hits += 1;
            assert!(!self.in_slot, "no probe is hit in a slot");
            let verdict = self.state.hit(probe);
            assert_eq!(verdict == OnHit::RunHandlers, self.handlers == 0, "exactly nested hits are misses");
            if verdict == OnHit::RunHandlers {
                self.ran += 1;
                self.handlers += 1;
                hit.pre.iter().for_each(|inner| self.hit(inner));
                self.handlers -= 1;
                self.state.handlers_done();
                if hit.diverts {
                    self.mask = interrupted;
                    return;
                }
            } else {
                self.missed += 1;
            }
            match &hit.run {
                Run::Step => {
                    self.step(probe, interrupted);
                    self.post(probe, hit);
                }
                Run::Fault(handler) => {
                    self.step(probe, interrupted);
                    assert_eq!(self.mask, interrupted, "a fault finds the mask as without a probe");
                    handler.iter().for_each(|inner| self.hit(inner));
                }
                Run::Simulate => self.post(probe, hit),
            }
            self.mask = interrupted;
        }

        fn step(&mut self, probe: u64, interrupted: u64) {
            assert_eq!(self.state.stepping(), None, "steps do not nest");
            self.state.begin_step(probe, interrupted);
            self.in_slot = true;
            assert_eq!(self.state.stepping(), Some(probe));
            self.in_slot = false;
            self.mask = self.state.end_step();
            assert_eq!(self.mask, interrupted, "the mask that this hit interrupted");
            assert_eq!(self.state.stepping(), None);
        }

        fn post(&mut self, probe: u64, hit: &Hit) {
            let Some(post) = &hit.post else { return };
            let verdict = self.state.begin_post(probe);
            assert_eq!(verdict == OnHit::RunHandlers, self.handlers == 0);
            if verdict == OnHit::RunHandlers {
                self.mask = ALL_MASKED;
                self.handlers += 1;
                post.iter().for_each(|inner| self.hit(inner));
                self.handlers -= 1;
                self.state.handlers_done();
            }
        }
    }

    fn run(hits: &[Hit]) {
        let mut cpu = Cpu { mask: 0x80, ..Cpu::default() };
        hits.iter().for_each(|hit| cpu.hit(hit));
        assert!(cpu.state.is_idle(), "{hits:?}");
        assert_eq!(cpu.mask, 0x80);
        assert_eq!(cpu.hits, cpu.ran + cpu.missed, "every hit is run or missed: {hits:?}");
    }

    #[test]
    fn every_nesting_keeps_account() {
        let shapes = shapes(2);
        assert!(shapes.len() > 40_000, "{}", shapes.len());
        for shape in &shapes {
            run(std::slice::from_ref(shape));
        }
        // And one after the other: nothing is left behind that the next one would meet.
        for pair in shapes.windows(2).step_by(7) {
            run(pair);
        }
    }

    #[test]
    fn nesting_has_no_limit() {
        let leaf = Hit { pre: Vec::new(), diverts: false, run: Run::Step, post: None };
        let mut deep = leaf.clone();
        for depth in 0..100 {
            deep = match depth % 2 {
                0 => Hit { pre: vec![deep, leaf.clone()], ..leaf.clone() },
                _ => Hit { run: Run::Fault(vec![deep, leaf.clone()]), ..leaf.clone() },
            };
        }
        run(&[deep]);
    }

    #[test]
    fn open_handlers_nest_to_a_bound() {
        let state = Reentry::new();
        let open = |n: u64| n << 3 | OPEN;
        assert_eq!(state.hit(open(1)), OnHit::RunHandlers);
        let mut outers = Vec::new();
        for n in 2..=MAX_NESTED {
            assert_eq!(state.hit(open(n)), OnHit::Miss);
            assert!(state.may_nest(open(n)));
            assert!(state.nest(8 * n).is_none(), "closed handlers do not run in the midst of others");
            outers.push(state.nest(open(n)).unwrap());
        }
        assert!(state.nest(open(9)).is_none() && !state.may_nest(open(9)), "the bound");
        while let Some(outer) = outers.pop() {
            assert!(state.is_handling());
            state.unnest(outer);
            assert!(state.may_nest(open(9)));
        }
        state.handlers_done();
        assert!(state.is_idle());
        assert_eq!(state.hit(8), OnHit::RunHandlers);
        assert!(state.nest(open(1)).is_none(), "nothing is nested in closed handlers");
    }

    #[test]
    fn a_break_that_is_nobodys_is_told() {
        let state = Box::new(Reentry::new());
        assert_eq!(state.stepping(), None);
        assert!(state.is_idle());
        assert_eq!(state.hit(5), OnHit::RunHandlers);
        assert!(!state.is_idle());
        assert_eq!(state.hit(6), OnHit::Miss);
        assert_eq!(state.stepping(), None, "in handlers there is no slot");
    }
}
