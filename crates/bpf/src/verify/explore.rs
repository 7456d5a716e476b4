//! The walk along every path.
//!
//! ```text
//!   step ─▶ step ─▶ branch ─▶ step ─▶ where paths meet ─▶ covered by a remembered state? ─▶ the path ends here
//!                     │                       │
//!                     └── the other way       └── no: remember this one, go on
//!                         is looked at later
//! ```
//!
//! Paths are followed to their end before the ones that branched off are taken up, the last one first. A loop is walked as often
//! as it runs, as far as nobody can tell its rounds apart; one whose round brings nothing new goes on for ever and is
//! refused. What a helper calls back is walked until its rounds bring nothing new: there numbers that nobody needed are forgotten
//! between two rounds.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::chunks::{Chunks, filled};
use super::flow::Flow;
use super::marks::{Deps, Marks, NONE};
use super::prune::{How, covers};
use super::state::{Frame, Role, State};
use super::value::{Number, Pointer, Target, Value};
use super::why::{Rule, Step, Turn};
use super::{Fail, Input, MapRef, Result, Scalar};
use crate::helper::Callback;
use crate::kind::Start;
use crate::map::MapDef;
use crate::op::{Op, Reg};

/// A path that has not come to its end.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) state: State,
    /// The last remembered state on it.
    pub(super) node: u32,
    /// The last branch on it.
    pub(super) trail: u32,
    /// Jumps and instructions since something was remembered.
    jumps: u32,
    insns: u32,
    /// Bytes that were counted for it.
    bytes: usize,
}

/// What an instruction does with memory: the same on each path, or it cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Nothing yet.
    None,
    /// It accesses the context; in the program that comes out, with this offset.
    Context(i16),
    /// It loads through a pointer of the kernel's.
    Kernel,
    /// It accesses something else.
    Other,
}

/// Where the walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There.
    At(usize),
    /// This path is at its end.
    End,
}

/// A map, as it is known here.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapUse<'a> {
    pub(super) def: &'a MapDef,
    /// How the program names it; not at all if it comes out of a map of maps.
    pub(super) name: Option<MapRef>,
}

/// The walk.
pub(super) struct Verifier<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) flow: Flow,
    pub(super) path: Path,
    pending: Vec<Path>,
    pending_bytes: usize,
    pub(super) marks: Marks,
    /// For each slot the states that were remembered there.
    remembered: BTreeMap<usize, Vec<u32>>,
    pub(super) trail: Chunks<(u32, Step)>,
    pub(super) reached: Vec<bool>,
    pub(super) uses: Vec<Use>,
    pub(super) maps: Vec<MapUse<'a>>,
    pub(super) helpers: BTreeSet<i32>,
    last_id: u32,
    /// Bytes of stack that functions use.
    pub(super) depths: Vec<(usize, u32)>,
    /// Who calls whom.
    pub(super) calls: BTreeSet<(usize, usize)>,
    /// Functions of timers: with the map they belong to, in the order in which they were found.
    pub(super) timers: Vec<(usize, u32)>,
    pub(super) context_bytes: u32,
    pub(super) processed: usize,
}

/// Jumps and instructions that have to lie between two remembered states, so that there are not too many of them.
const JUMPS_BETWEEN: u32 = 2;
const INSNS_BETWEEN: u32 = 8;
/// How often a state may be of no use before it is no longer compared with, beside three times for each use.
const MISSES: u32 = 3;
const MISSES_OF_CALLBACK: u32 = 64;

impl<'a> Verifier<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Result<Self> {
        let slots = input.program.slots().len();
        let path =
            Path { state: State::new(start(input)), node: NONE, trail: NONE, jumps: 0, insns: 0, bytes: 0 };
        Ok(Self {
            input,
            flow: Flow::new(input.program)?,
            path,
            pending: Vec::new(),
            pending_bytes: 0,
            marks: Marks::default(),
            remembered: BTreeMap::new(),
            trail: Chunks::default(),
            reached: filled(slots, false)?,
            uses: filled(slots, Use::None)?,
            maps: Vec::new(),
            helpers: BTreeSet::new(),
            last_id: 0,
            depths: Vec::new(),
            calls: BTreeSet::new(),
            timers: Vec::new(),
            context_bytes: 0,
            processed: 0,
        })
    }

    pub(super) fn state(&self) -> &State {
        &self.path.state
    }

    pub(super) fn state_mut(&mut self) -> &mut State {
        &mut self.path.state
    }

    /// A new identity.
    pub(super) fn fresh_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// Follows every path.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut timers = 0;
        loop {
            self.run_pending()?;
            let Some((function, map)) = self.timers.get(timers).copied() else { return Ok(()) };
            timers += 1;
            self.path.state = State::new(timer_frame(function, map));
            (self.path.node, self.path.trail) = (NONE, NONE);
        }
    }

    fn run_pending(&mut self) -> Result<()> {
        loop {
            self.run_path()?;
            let Some(path) = self.pending.pop() else { return Ok(()) };
            self.pending_bytes = self.pending_bytes.saturating_sub(path.bytes);
            self.path = path;
        }
    }

    /// Follows a path to its end.
    fn run_path(&mut self) -> Result<()> {
        loop {
            let at = self.path.state.at;
            let Some(insn) = self.flow.insn(at).copied() else {
                return Err(Fail::at(at, Rule::Structure, format!("no instruction at {at}")));
            };
            self.processed += 1;
            if self.processed > self.input.limits.insns {
                let limit = self.input.limits.insns;
                let reason =
                    format!("BPF program is too large. Processed {} insn, at most {limit}", limit + 1);
                return Err(Fail::here(Rule::Complexity, reason));
            }
            if insn.meets && self.is_covered(at, insn.calls_back)? {
                return Ok(());
            }
            if let Some(reached) = self.reached.get_mut(at) {
                *reached = true;
            }
            self.path.insns += 1;
            if matches!(insn.op, Op::Ja { .. } | Op::Jump { .. } | Op::Call(_)) {
                self.path.jumps += 1;
            }
            match self.step(at, &insn)? {
                Next::At(next) => self.path.state.at = next,
                Next::End => {
                    self.end();
                    return Ok(());
                }
            }
        }
    }

    /// The path that is followed is at its end.
    fn end(&mut self) {
        let mut node = self.path.node;
        while let Some(here) = self.marks.node_mut(node) {
            here.pending = here.pending.saturating_sub(1);
            if here.pending > 0 {
                return;
            }
            let parent = here.parent;
            self.marks.done(node);
            node = parent;
        }
    }

    /// Another path, that will be followed later, begins with `state`.
    pub(super) fn push(&mut self, state: State, turn: Turn) -> Result<()> {
        if self.pending.len() >= self.input.limits.branches {
            let reason = format!("The sequence of {} jumps is too complex.", self.input.limits.branches);
            return Err(Fail::here(Rule::Complexity, reason));
        }
        let bytes = state.bytes();
        self.pending_bytes += bytes;
        self.check_memory()?;
        if let Some(node) = self.marks.node_mut(self.path.node) {
            node.pending += 1;
        }
        let trail = self.step_of(turn)?;
        let Path { node, jumps, insns, .. } = self.path;
        self.pending.push(Path { state, node, trail, jumps, insns, bytes });
        Ok(())
    }

    /// Notes what happened here on the path that is followed.
    pub(super) fn turn(&mut self, turn: Turn) -> Result<()> {
        self.path.trail = self.step_of(turn)?;
        Ok(())
    }

    fn step_of(&mut self, turn: Turn) -> Result<u32> {
        let at = self.path.state.at as u32;
        Ok(self.trail.push((self.path.trail, Step { at, turn }))?)
    }

    fn check_memory(&self) -> Result<()> {
        let steps = self.trail.len() * size_of::<(u32, Step)>();
        let nodes = self.marks.nodes.len() * size_of::<super::marks::Node>();
        let limit = self.input.limits.memory;
        if self.marks.bytes + self.pending_bytes + steps + nodes > limit {
            let reason = format!("what is to be remembered of it takes more than {limit} bytes");
            return Err(Fail::here(Rule::Complexity, reason));
        }
        Ok(())
    }

    /// Registers that nobody will read are forgotten.
    fn forget_dead(&mut self) {
        let state = &mut self.path.state;
        for n in 0..state.frames.len() {
            let at = match state.frames.get(n + 1) {
                None => state.at,
                Some(above) if above.role == Role::Called => above.call_at + 1,
                Some(above) => above.call_at,
            };
            let dead = |reg: usize| !self.flow.is_live(at, reg);
            let frame = &mut state.frames[n];
            let regs = &frame.regs[..Reg::R10.index()];
            if regs.iter().enumerate().any(|(reg, value)| *value != Value::Nothing && dead(reg)) {
                let frame = Rc::make_mut(frame);
                for (reg, value) in frame.regs.iter_mut().enumerate().take(Reg::R10.index()) {
                    if dead(reg) {
                        *value = Value::Nothing;
                    }
                }
            }
        }
    }

    /// Where paths meet: does a remembered state cover this one? If none does, this one is remembered, perhaps.
    fn is_covered(&mut self, at: usize, calls_back: bool) -> Result<bool> {
        self.forget_dead();
        if self.look_for_cover(at, calls_back)? {
            return Ok(true);
        }
        if calls_back && self.state().frame().rounds > 0 && self.widen(at) && self.look_for_cover(at, true)? {
            return Ok(true);
        }
        let enough = self.path.jumps >= JUMPS_BETWEEN && self.path.insns >= INSNS_BETWEEN;
        if !calls_back && !enough {
            return Ok(false);
        }
        let limit = if calls_back { MISSES_OF_CALLBACK } else { MISSES };
        let list = self.remembered.remove(&at).unwrap_or_default();
        let mut kept = Vec::with_capacity(list.len() + 1);
        for n in list {
            let Some(node) = self.marks.node_mut(n) else { continue };
            node.misses += 1;
            if node.misses > limit + 3 * node.hits {
                self.marks.forget(n);
            } else {
                kept.push(n);
            }
        }
        let node = self.marks.remember(self.path.node, &mut self.path.state)?;
        kept.push(node);
        self.remembered.insert(at, kept);
        self.check_memory()?;
        (self.path.node, self.path.jumps, self.path.insns) = (node, 0, 0);
        Ok(false)
    }

    fn look_for_cover(&mut self, at: usize, calls_back: bool) -> Result<bool> {
        let count = self.remembered.get(&at).map_or(0, Vec::len);
        // The last one is the most like this one.
        for n in (0..count).rev() {
            let Some(node) = self.remembered.get(&at).and_then(|list| list.get(n)).copied() else { continue };
            let Some(here) = self.marks.node(node) else { continue };
            let (under_way, waits) = (here.pending > 0, here.waits);
            let how = match (under_way, calls_back) {
                (true, false) => How::Equal,
                (true, true) => How::Within,
                (false, _) if waits != NONE => How::Within,
                (false, _) => How::Marked,
            };
            if !covers(here, &self.path.state, how) {
                continue;
            }
            if how == How::Equal {
                let reason = format!("infinite loop detected at insn {at}");
                return Err(Fail::here(Rule::Loop, reason));
            }
            let root = if under_way { node } else { waits };
            self.marks.ends_at(self.path.node, &self.path.state, node, root != NONE);
            if root != NONE {
                self.marks.wait(self.path.node, root);
            }
            if let Some(here) = self.marks.node_mut(node) {
                here.hits += 1;
            }
            self.end();
            return Ok(true);
        }
        Ok(false)
    }

    /// Between two rounds of a callback: forgets numbers that changed and that nobody needed. Did it forget any?
    fn widen(&mut self, at: usize) -> bool {
        let list = self.remembered.get(&at).map_or(&[][..], Vec::as_slice);
        let last = list.iter().rev().filter_map(|n| self.marks.node(*n)).find(|node| {
            node.pending > 0
                && node.state.as_ref().is_some_and(|old| old.frames.len() == self.path.state.frames.len())
        });
        let Some(node) = last else { return false };
        let Some(old) = &node.state else { return false };
        let mut widened = false;
        let state = &mut self.path.state;
        for (frame, old) in state.frames.iter_mut().zip(&old.frames) {
            let changed = |old: &Value, new: &Value| match (old, new) {
                (Value::Number(old), Value::Number(new)) => {
                    !new.n.is_within(&old.n) && !old.deps.meets(node.precise)
                }
                _ => false,
            };
            let slots = frame.slots.iter().zip(&old.slots);
            let any = frame.regs.iter().zip(&old.regs).any(|(new, old)| changed(old, new))
                || slots.clone().any(|(new, old)| {
                    old.kept() == new.kept()
                        && old.kept_value().zip(new.kept_value()).is_some_and(|(old, new)| changed(old, new))
                });
            if !any {
                continue;
            }
            widened = true;
            let frame = Rc::make_mut(frame);
            for (new, old) in frame.regs.iter_mut().zip(&old.regs) {
                if changed(old, new) {
                    *new = Value::UNKNOWN;
                }
            }
            for (new, old) in frame.slots.iter_mut().zip(&old.slots) {
                let same = old.kept() == new.kept();
                if let (true, Some(old), Some(new)) = (same, old.kept_value(), new.kept_value_mut())
                    && changed(old, new)
                {
                    *new = Value::UNKNOWN;
                }
            }
        }
        widened
    }

    /// Numbers of the last checkpoint are needed exactly.
    pub(super) fn demand(&mut self, deps: Deps) {
        if !deps.is_empty() {
            self.marks.demand(self.path.node, deps);
        }
    }

    /// This number is needed exactly.
    pub(super) fn demand_number(&mut self, number: &Number) {
        self.demand(number.deps);
    }

    /// What a register holds, which has to be something.
    pub(super) fn read(&self, reg: Reg) -> Result<Value> {
        match self.state().reg(reg) {
            Value::Nothing => Err(Fail::here(Rule::Written, format!("R{} !read_ok", reg.number()))),
            value => Ok(*value),
        }
    }

    /// The map of an immediate.
    pub(super) fn map(&mut self, name: MapRef) -> Result<u32> {
        if let Some(n) = self.maps.iter().position(|map| map.name == Some(name)) {
            return Ok(n as u32);
        }
        let Some(def) = self.input.maps.def(name) else {
            let reason = match name {
                MapRef::Fd(fd) => format!("fd {fd} is not pointing to valid bpf_map"),
                MapRef::Index(n) => format!("there is no map number {n}"),
            };
            return Err(Fail::here(Rule::Map, reason));
        };
        self.maps.push(MapUse { def, name: Some(name) });
        Ok(self.maps.len() as u32 - 1)
    }

    /// What kind of map that is; every target names one that there is.
    pub(super) fn def(&self, map: u32) -> Result<&'a MapDef> {
        match self.maps.get(map as usize) {
            Some(map) => Ok(map.def),
            None => Err(Fail::here(Rule::Map, format!("there is no map number {map}"))),
        }
    }
}

/// What is known when the program begins.
fn start(input: &Input<'_>) -> Frame {
    let mut frame = Frame::new(0, 0, 0, Role::Program);
    let (r1, r2) = match input.context.start {
        Start::Context => (Value::pointer(Target::Context), Value::Nothing),
        Start::Memory(len) => (Value::pointer(Target::Memory(len)), Value::constant(len.into())),
        Start::SomeMemory => {
            let most = Scalar::range(0, crate::kind::MAX_MEMORY.into()).unwrap_or(Scalar::UNKNOWN);
            (Value::pointer(Target::Context), Value::Number(Number::of(most)))
        }
    };
    frame.regs[1] = r1;
    frame.regs[2] = r2;
    frame
}

/// What is known when a timer's function begins.
fn timer_frame(function: usize, map: u32) -> Frame {
    let mut frame = Frame::new(0, function, 0, Role::Callback(Callback::Timer, 0));
    frame.regs[1] = Value::pointer(Target::Map(map));
    frame.regs[2] = Value::pointer(Target::Key(map));
    frame.regs[3] = Value::Pointer(Pointer::new(Target::Value(map)));
    frame
}
