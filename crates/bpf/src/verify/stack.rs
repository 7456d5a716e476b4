//! The stack of a function: slots of eight bytes, downwards from r10.
//!
//! ```text
//!   r10 - 16   ? ? ? ? ? ? ? ?      nothing was written
//!   r10 - 8    S S S S m m 0 0      S: the low half of what a register held   m: anything   0: zero
//! ```
//!
//! Each byte is known to be written or not. What a register held is kept as it was, number or pointer, for as long as the bytes lie
//! there together, and comes back when exactly they are loaded (or the low ones of a number). A store over a part of them
//! leaves the others as bytes.

use alloc::vec::Vec;

use super::marks::Deps;
use super::value::{Number, Value};
use crate::interp::FRAME_BYTES;
use crate::op::Size;

/// Bytes of a slot.
pub(super) const SLOT: usize = 8;
/// Slots of a frame.
pub(super) const SLOTS: usize = FRAME_BYTES as usize / SLOT;

/// What is known of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Byte {
    /// Nobody has written it.
    Nothing,
    /// It was written.
    Any,
    /// It is zero.
    Zero,
    /// It is a part of the slot's value.
    Kept,
}

/// Eight bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slot {
    pub(super) bytes: [Byte; SLOT],
    /// What the kept bytes are, all of them.
    pub(super) value: Value,
    /// Where the kept bytes begin.
    from: u8,
    /// How many there are.
    size: u8,
    /// Has nothing been written over all of it since the last checkpoint?
    pub(super) untouched: bool,
}

/// Why a load from the stack cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadLoad {
    /// This byte of those that are read was not written.
    Unwritten(usize),
    /// It is a part of a pointer.
    PartOfPointer,
}

impl Slot {
    pub(super) const EMPTY: Self =
        Self { bytes: [Byte::Nothing; SLOT], value: Value::Nothing, from: 0, size: 0, untouched: false };

    /// Where the kept bytes begin and how many there are.
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.from.into(), self.size.into())
    }

    /// What was kept, if anything was.
    pub(super) fn kept_value(&self) -> Option<&Value> {
        (self.size > 0).then_some(&self.value)
    }

    /// The same, to be changed.
    pub(super) fn kept_value_mut(&mut self) -> Option<&mut Value> {
        (self.size > 0).then_some(&mut self.value)
    }

    /// Is what was kept a pointer?
    pub(super) fn has_pointer(&self) -> bool {
        matches!(self.kept_value(), Some(Value::Pointer(_)))
    }

    /// The kept bytes are only bytes from now on.
    pub(super) fn forget(&mut self) {
        // A zero that an older one was the reason for is one only as long as it is kept: bytes do not know their reasons.
        let zero = matches!(self.kept_value(), Some(Value::Number(number))
            if number.n.as_constant() == Some(0) && number.deps.is_empty());
        let left = if zero { Byte::Zero } else { Byte::Any };
        for byte in &mut self.bytes {
            if *byte == Byte::Kept {
                *byte = left;
            }
        }
        (self.value, self.from, self.size) = (Value::Nothing, 0, 0);
    }

    /// Writes `bytes` of it.
    pub(super) fn write(&mut self, from: usize, len: usize, byte: Byte) {
        let (kept_from, kept) = self.kept();
        if kept > 0 && from < kept_from + kept && kept_from < from + len {
            self.forget();
        }
        self.bytes.iter_mut().skip(from).take(len).for_each(|to| *to = byte);
        if from == 0 && len >= SLOT {
            self.untouched = false;
        }
    }

    /// Keeps a value in some bytes.
    pub(super) fn keep(&mut self, from: usize, len: usize, value: Value) {
        // Only one value is kept: another one's bytes stay as bytes.
        self.forget();
        self.write(from, len, Byte::Kept);
        (self.value, self.from, self.size) = (value, from as u8, len as u8);
    }

    /// What a load of some bytes gives.
    pub(super) fn load(&self, from: usize, size: Size, signed: bool) -> Result<Value, BadLoad> {
        let len = size.bytes();
        let (kept_from, kept) = self.kept();
        let touches = kept > 0 && from < kept_from + kept && kept_from < from + len;
        if touches {
            match &self.value {
                Value::Number(number) if from == kept_from && len <= kept => {
                    return Ok(Value::Number(number.truncated(size, signed)));
                }
                Value::Pointer(_) if (from, len) == (kept_from, kept) => return Ok(self.value),
                Value::Pointer(_) => return Err(BadLoad::PartOfPointer),
                Value::Number(_) | Value::Nothing => {}
            }
        }
        let all = self.bytes.iter().enumerate().skip(from).take(len);
        if let Some((n, _)) = all.clone().find(|(_, byte)| **byte == Byte::Nothing) {
            return Err(BadLoad::Unwritten(n - from));
        }
        let kept_zero = match &self.value {
            Value::Number(number) if touches && number.n.as_constant() == Some(0) => Some(number.deps),
            _ => None,
        };
        let zero =
            all.clone().all(|(_, byte)| *byte == Byte::Zero || *byte == Byte::Kept && kept_zero.is_some());
        if zero {
            let deps = kept_zero.unwrap_or(Deps::NONE);
            return Ok(Value::Number(Number { deps, ..Number::constant(0) }));
        }
        Ok(Value::Number(Number::loaded(size, signed)))
    }
}

/// The slots that were ever written; the first one is that below r10.
pub(super) type Slots = Vec<Slot>;

/// The slot and the byte in it at an offset from r10, which must lie in the frame.
pub(super) fn place(off: i64) -> Option<(usize, usize)> {
    let below = usize::try_from(off.checked_neg()?).ok()?;
    if below == 0 || below > FRAME_BYTES as usize {
        return None;
    }
    Some(((below - 1) / SLOT, (SLOTS * SLOT - below) % SLOT))
}

/// The slot with this index, made if there is none.
pub(super) fn slot_mut(slots: &mut Slots, n: usize) -> &mut Slot {
    if slots.len() <= n {
        slots.resize(n + 1, Slot::EMPTY);
    }
    &mut slots[n]
}

/// The slots and bytes of `len` bytes at an offset.
pub(super) fn pieces(off: i64, len: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let left = len.checked_sub(done).filter(|left| *left > 0)?;
        let (slot, from) = place(off.checked_add(done as i64)?)?;
        let here = left.min(SLOT - from);
        done += here;
        Some((slot, from, here))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::value::Target;

    #[test]
    fn places() {
        assert_eq!((place(-8), place(-1), place(-4)), (Some((0, 0)), Some((0, 7)), Some((0, 4))));
        assert_eq!((place(-9), place(-512)), (Some((1, 7)), Some((SLOTS - 1, 0))));
        assert_eq!((place(0), place(8), place(-513), place(i64::MIN)), (None, None, None, None));
        assert_eq!(pieces(-12, 10).collect::<Vec<_>>(), [(1, 4, 4), (0, 0, 6)]);
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut slot = Slot::EMPTY;
        assert_eq!(slot.load(0, Size::Dw, false), Err(BadLoad::Unwritten(0)));
        let pointer = Value::pointer(Target::Context);
        slot.keep(0, 8, pointer);
        assert_eq!(slot.load(0, Size::Dw, false), Ok(pointer));
        assert_eq!(slot.load(0, Size::W, false), Err(BadLoad::PartOfPointer));
        slot.write(7, 1, Byte::Zero);
        assert_eq!(slot.load(0, Size::Dw, false), Ok(Value::UNKNOWN));
        assert_eq!(slot.load(7, Size::B, false), Ok(Value::constant(0)));
        slot.keep(4, 4, Value::constant(0x1ff));
        assert_eq!(slot.load(4, Size::W, false), Ok(Value::constant(0x1ff)));
        assert_eq!(slot.load(4, Size::B, true), Ok(Value::constant(u64::MAX)));
        assert!(matches!(slot.load(5, Size::B, false), Ok(Value::Number(n)) if n.n.bounds() == (0, 255)));
        slot.keep(0, 4, Value::constant(0));
        assert_eq!(slot.load(2, Size::H, false), Ok(Value::constant(0)));
        assert!(matches!(slot.load(0, Size::Dw, false), Ok(Value::Number(n)) if n.n.as_constant().is_none()));
    }
}
