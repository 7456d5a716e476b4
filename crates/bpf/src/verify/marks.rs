//! What of a remembered state the paths behind it really needed.
//!
//! ```text
//!   checkpoint A ── r6 = 1, r7 = 5, [fp-8] ──▶ r6 += r7 ──▶ checkpoint B ── [r2 + r6] read ──▶ …
//!      precise r6, r7 ◀──────── r6 of B comes from r6 and r7 of A ◀──────── r6 is needed exactly
//! ```
//!
//! Another path that comes to A need not look at what is behind it if it brings nothing new. That a number differs is nothing new
//! if no access and no branch ever depended on it, and that a slot of the stack differs if nobody read it. So every number carries
//! the numbers of the last checkpoint that it was computed from ([`Deps`]); when one is needed exactly, they are, and in
//! turn those of the checkpoint before. Reads of slots are told backwards in the same way. (Linux walks the instructions
//! backwards for that; here nothing has to be remembered of them.)
//!
//! A path that ends at A since A covers it needs what A needed. While A's own paths are not at their end that is not known yet:
//! such [`Edge`]s are kept until it is, and followed until nothing changes.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::chunks::Chunks;
use super::state::State;
use super::value::Value;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Numbers of a checkpoint: a bit each, the last bit for all that are left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Deps(u128);

impl Deps {
    pub(super) const NONE: Self = Self(0);
    const LAST: usize = 127;

    fn var(n: usize) -> Self {
        Self(1 << n.min(Self::LAST))
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The numbers of its bits.
    fn vars(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let n = (left != 0).then_some(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(n)
        })
    }
}

/// A remembered state.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) parent: u32,
    /// What was known; forgotten when nothing is compared with it any more.
    pub(super) state: Option<State>,
    /// How many paths that come from here have not come to their end.
    pub(super) pending: u32,
    /// How often it ended a path, and how often not.
    pub(super) hits: u32,
    pub(super) misses: u32,
    /// The node above it whose paths have to end before what is marked here is all.
    pub(super) waits: u32,
    /// For each frame the slots that somebody read.
    live: Vec<u64>,
    /// For each frame the slots that nobody wrote since the parent.
    untouched: Vec<u64>,
    /// The numbers that somebody needed.
    pub(super) precise: Deps,
    /// For each number those of the parent that it comes from.
    from: Vec<Deps>,
    /// Bytes that its state takes.
    pub(super) bytes: usize,
}

impl Node {
    /// Did somebody read this slot?
    pub(super) fn is_live(&self, frame: usize, slot: usize) -> bool {
        self.live.get(frame).is_some_and(|slots| slots >> slot & 1 != 0)
    }
}

/// A path that has ended at a node.
#[derive(Debug)]
struct Edge {
    from: u32,
    to: u32,
    /// Numbers of `to` and those at the end of the path that were in their place.
    numbers: Vec<(Deps, Deps)>,
    /// For each frame the slots that nobody wrote on the path.
    untouched: Vec<u64>,
}

/// All remembered states, and who needed what.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) nodes: Chunks<Node>,
    edges: Vec<Edge>,
    /// Nodes that others wait for, with those.
    waiting: Vec<(u32, Vec<u32>)>,
    /// Bytes of all states.
    pub(super) bytes: usize,
}

/// For each frame the slots that nobody wrote since the last checkpoint.
fn untouched(state: &State) -> Vec<u64> {
    let mask = |slots: &[super::stack::Slot]| {
        slots.iter().enumerate().fold(0, |all, (n, slot)| all | u64::from(slot.untouched) << n)
    };
    state.frames.iter().map(|frame| mask(&frame.slots)).collect()
}

impl Marks {
    pub(super) fn node(&self, n: u32) -> Option<&Node> {
        self.nodes.get(n as usize)
    }

    pub(super) fn node_mut(&mut self, n: u32) -> Option<&mut Node> {
        self.nodes.get_mut(n as usize)
    }

    /// Remembers a state: its numbers are numbered anew.
    pub(super) fn remember(&mut self, parent: u32, state: &mut State) -> Result<u32, TryReserveError> {
        let untouched = untouched(state);
        let mut from: Vec<Deps> = Vec::new();
        for frame in &mut state.frames {
            // Frames below the one that runs seldom change: then they stay shared.
            let mut next = from.len();
            let same = frame.slots.iter().all(|slot| slot.untouched)
                && frame.values().all(|value| match value {
                    Value::Number(number) if number.is_tracked() => {
                        let own = Deps::var(next);
                        next += 1;
                        number.deps == own
                    }
                    Value::Number(number) => number.deps.is_empty(),
                    _ => true,
                });
            let mut renumber = |number: &super::value::Number| {
                if !number.is_tracked() {
                    return Deps::NONE;
                }
                from.push(number.deps);
                Deps::var(from.len() - 1)
            };
            if same {
                for value in frame.values() {
                    if let Value::Number(number) = value {
                        renumber(number);
                    }
                }
                continue;
            }
            let frame = alloc::rc::Rc::make_mut(frame);
            for slot in &mut frame.slots {
                slot.untouched = true;
            }
            for value in frame.values_mut() {
                if let Value::Number(number) = value {
                    number.deps = renumber(number);
                }
            }
        }
        if let Some((last, rest)) = from.get(Deps::LAST..).and_then(<[Deps]>::split_first) {
            let all = rest.iter().fold(*last, |all, deps| all.union(*deps));
            from.truncate(Deps::LAST);
            from.push(all);
        }
        let bytes = state.bytes();
        self.bytes += bytes;
        let node = Node {
            parent,
            state: Some(state.clone()),
            pending: 1,
            hits: 0,
            misses: 0,
            waits: NONE,
            live: state.frames.iter().map(|_| 0).collect(),
            untouched,
            precise: Deps::NONE,
            from,
            bytes,
        };
        self.nodes.push(node)
    }

    /// Forgets the state of a node, not what it needed.
    pub(super) fn forget(&mut self, n: u32) {
        if let Some(node) = self.node_mut(n)
            && node.state.take().is_some()
        {
            let bytes = node.bytes;
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// A slot was read that nobody wrote since `node`.
    pub(super) fn read(&mut self, mut node: u32, frame: usize, slot: usize) {
        while let Some(here) = self.node_mut(node) {
            let Some(live) = here.live.get_mut(frame) else { return };
            if *live >> slot & 1 != 0 {
                return;
            }
            *live |= 1 << slot;
            if here.untouched.get(frame).is_none_or(|slots| slots >> slot & 1 == 0) {
                return;
            }
            node = here.parent;
        }
    }

    /// Numbers of `node` are needed exactly.
    pub(super) fn demand(&mut self, mut node: u32, mut deps: Deps) {
        while let Some(here) = self.node_mut(node) {
            let new = deps.without(here.precise);
            if new.is_empty() {
                return;
            }
            here.precise = here.precise.union(new);
            let from = |n: usize| here.from.get(n).copied().unwrap_or_default();
            deps = new.vars().fold(Deps::NONE, |all, n| all.union(from(n)));
            node = here.parent;
        }
    }

    /// A path ends at a node that covers it: it needs what that needs. `keep` if that is not all yet.
    pub(super) fn ends_at(&mut self, from: u32, state: &State, to: u32, keep: bool) {
        let Some(old) = self.node(to).and_then(|node| node.state.as_ref()) else { return };
        let mut numbers = Vec::new();
        for (old, new) in old.frames.iter().zip(&state.frames) {
            let registers = old.regs.iter().zip(&new.regs);
            let slots = old.slots.iter().zip(&new.slots);
            let kept = slots.filter_map(|(old, new)| Some((old.kept_value()?, new.kept_value()?)));
            for pair in registers.chain(kept) {
                if let (Value::Number(old), Value::Number(new)) = pair
                    && !old.deps.is_empty()
                    && !new.deps.is_empty()
                {
                    numbers.push((old.deps, new.deps));
                }
            }
        }
        let edge = Edge { from, to, numbers, untouched: untouched(state) };
        self.follow(&edge);
        if keep {
            self.edges.push(edge);
        }
    }

    fn follow(&mut self, edge: &Edge) {
        let Some(to) = self.node(edge.to) else { return };
        let precise = to.precise;
        let needed = edge.numbers.iter().filter(|(old, _)| old.meets(precise));
        let deps = needed.fold(Deps::NONE, |all, (_, new)| all.union(*new));
        let slots: Vec<u64> = to.live.iter().zip(&edge.untouched).map(|(live, free)| live & free).collect();
        self.demand(edge.from, deps);
        for (frame, slots) in slots.into_iter().enumerate() {
            (0..u64::BITS as usize)
                .filter(|n| slots >> n & 1 != 0)
                .for_each(|n| self.read(edge.from, frame, n));
        }
    }

    /// What is marked at the nodes from `node` up to `root` is not all before `root` is done.
    pub(super) fn wait(&mut self, mut node: u32, root: u32) {
        let at = match self.waiting.iter().position(|(of, _)| *of == root) {
            Some(at) => at,
            None => {
                self.waiting.push((root, Vec::new()));
                self.waiting.len() - 1
            }
        };
        while node != root
            && let Some(here) = self.node_mut(node)
        {
            // Nodes are numbered as they come, so the one further up has the smaller number.
            if here.waits == NONE || here.waits > root {
                here.waits = root;
                if let Some((_, list)) = self.waiting.get_mut(at) {
                    list.push(node);
                }
            }
            node = self.node(node).map_or(NONE, |here| here.parent);
        }
    }

    /// All paths that come from `node` are at their end.
    pub(super) fn done(&mut self, node: u32) {
        let Some(at) = self.waiting.iter().position(|(of, _)| *of == node) else { return };
        let (_, list) = self.waiting.swap_remove(at);
        let above = self.node(node).map_or(NONE, |here| here.waits);
        if above != NONE {
            // It waits itself: so do they all.
            for n in list {
                if let Some(here) = self.node_mut(n)
                    && here.waits == node
                {
                    here.waits = above;
                    match self.waiting.iter_mut().find(|(of, _)| *of == above) {
                        Some((_, others)) => others.push(n),
                        None => self.waiting.push((above, [n].into())),
                    }
                }
            }
            return;
        }
        let edges = core::mem::take(&mut self.edges);
        loop {
            let sum = |marks: &Self| {
                let count = |node: &Node| {
                    let live: u32 = node.live.iter().map(|slots| slots.count_ones()).sum();
                    u64::from(live + node.precise.0.count_ones())
                };
                edges.iter().filter_map(|edge| marks.node(edge.to)).map(count).sum::<u64>()
            };
            let before = sum(self);
            edges.iter().for_each(|edge| self.follow(edge));
            if sum(self) == before {
                break;
            }
        }
        for n in list {
            if let Some(here) = self.node_mut(n)
                && here.waits == node
            {
                here.waits = NONE;
            }
        }
        // What ends at nodes that wait for others is needed again.
        self.edges = edges;
        let waits =
            |marks: &Self, n| marks.node(n).is_some_and(|node| node.waits != NONE || node.pending > 0);
        let mut edges = core::mem::take(&mut self.edges);
        edges.retain(|edge| waits(self, edge.to));
        self.edges = edges;
    }
}
