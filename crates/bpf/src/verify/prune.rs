//! Does a remembered state cover the one that a path has come to?
//!
//! | | numbers | slots of the stack |
//! |---|---|---|
//! | [`How::Marked`] | those that were needed: within the old ones; the others: any | those that were read |
//! | [`How::Within`] | within the old ones | all that the old one has |
//! | [`How::Equal`] | the same | the same |
//!
//! *Marked* is for states whose paths have all come to their end: what they needed is known. *Within* is for those that a
//! callback comes back to: behind them lies what lies behind this one. *Equal* finds a loop that goes on for ever. What nobody
//! wrote covers everything, since nobody can have read it.
//!
//! Identities are compared up to their names: where two old values are copies of each other, the new ones must be.

use alloc::vec::Vec;

use super::marks::Node;
use super::stack::{Byte, SLOT, Slot};
use super::state::{Frame, State};
use super::value::{Number, Pointer, Value};

/// How much has to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// What was needed.
    Marked,
    /// All that is known in the old one.
    Within,
    /// All.
    Equal,
}

struct Compare<'a> {
    how: How,
    node: &'a Node,
    /// Old identities and the new ones in their place.
    ids: Vec<(u32, u32)>,
}

/// Does the state of a node cover another one?
pub(super) fn covers(node: &Node, new: &State, how: How) -> bool {
    let Some(old) = &node.state else { return false };
    if old.frames.len() != new.frames.len() || old.refs.len() != new.refs.len() {
        return false;
    }
    let mut compare = Compare { how, node, ids: Vec::new() };
    let lock = match (old.lock, new.lock) {
        (None, None) => true,
        (Some((old_map, old)), Some((new_map, new))) => old_map == new_map && compare.same_id(old, new),
        _ => false,
    };
    lock && old.refs.iter().zip(&new.refs).all(|(old, new)| compare.same_id(old.id, new.id))
        && old.frames.iter().zip(&new.frames).enumerate().all(|(n, (old, new))| compare.frame(n, old, new))
}

impl Compare<'_> {
    fn same_id(&mut self, old: u32, new: u32) -> bool {
        if old == 0 {
            // Nobody learned of a copy; for equality there must be none.
            return self.how != How::Equal || new == 0;
        }
        match self.ids.iter().find(|(has, other)| *has == old || *other == new) {
            Some(pair) => *pair == (old, new),
            None => {
                self.ids.push((old, new));
                new != 0
            }
        }
    }

    fn frame(&mut self, n: usize, old: &Frame, new: &Frame) -> bool {
        let place = |frame: &Frame| (frame.function, frame.call_at, frame.role);
        // More rounds behind are fewer before.
        if place(old) != place(new)
            || old.rounds > new.rounds
            || self.how == How::Equal && old.rounds != new.rounds
        {
            return false;
        }
        if !old.regs.iter().zip(&new.regs).all(|(old, new)| self.value(old, new)) {
            return false;
        }
        let slots = old.slots.len().max(if self.how == How::Equal { new.slots.len() } else { 0 });
        let at = |frame: &Frame, n: usize| frame.slots.get(n).copied().unwrap_or(Slot::EMPTY);
        (0..slots).all(|slot| {
            let skipped = self.how == How::Marked && !self.node.is_live(n, slot);
            skipped || self.slot(&at(old, slot), &at(new, slot))
        })
    }

    fn value(&mut self, old: &Value, new: &Value) -> bool {
        match (old, new) {
            (Value::Nothing, new) => self.how != How::Equal || *new == Value::Nothing,
            (Value::Number(old), Value::Number(new)) => self.number(old, new),
            (Value::Pointer(old), Value::Pointer(new)) => self.pointer(old, new),
            _ => false,
        }
    }

    fn number(&mut self, old: &Number, new: &Number) -> bool {
        match self.how {
            How::Marked if !old.deps.meets(self.node.precise) => true,
            How::Equal => old.n == new.n && self.same_id(old.id, new.id),
            How::Marked | How::Within => new.n.is_within(&old.n) && self.same_id(old.id, new.id),
        }
    }

    fn pointer(&mut self, old: &Pointer, new: &Pointer) -> bool {
        let offset = if self.how == How::Equal { old.off == new.off } else { new.off.is_within(&old.off) };
        offset
            && old.to == new.to
            && old.null == new.null
            && self.same_id(old.id, new.id)
            && (old.held == 0) == (new.held == 0)
            && (old.held == 0 || self.same_id(old.held, new.held))
    }

    fn slot(&mut self, old: &Slot, new: &Slot) -> bool {
        if let Some(value) = old.kept_value() {
            match new.kept_value() {
                Some(other) if old.kept() == new.kept() => {
                    if !self.value(value, other) {
                        return false;
                    }
                }
                // Bytes stand for a number of which nothing is known, or nothing has to be.
                _ => {
                    let Value::Number(number) = value else { return false };
                    let any = match self.how {
                        How::Marked => !number.deps.meets(self.node.precise) || !number.is_tracked(),
                        How::Within => !number.is_tracked(),
                        How::Equal => false,
                    };
                    if !any || new.has_pointer() {
                        return false;
                    }
                }
            }
        }
        (0..SLOT).all(|n| self.byte(old, new, n))
    }

    fn byte(&self, old: &Slot, new: &Slot, n: usize) -> bool {
        let has = |slot: &Slot| slot.bytes.get(n).copied().unwrap_or(Byte::Nothing);
        let zero = match new.kept_value() {
            Some(Value::Number(number)) => number.n.as_constant() == Some(0) && number.deps.is_empty(),
            _ => false,
        };
        match (has(old), has(new)) {
            (Byte::Nothing, new) => self.how != How::Equal || new == Byte::Nothing,
            (_, Byte::Nothing) => false,
            (Byte::Any, Byte::Kept) => self.how != How::Equal && !new.has_pointer(),
            (Byte::Any, new) => self.how != How::Equal || new == Byte::Any,
            (Byte::Zero, Byte::Zero) | (Byte::Kept, Byte::Any | Byte::Zero | Byte::Kept) => true,
            (Byte::Zero, Byte::Kept) => zero,
            (Byte::Zero, Byte::Any) => false,
        }
    }
}
