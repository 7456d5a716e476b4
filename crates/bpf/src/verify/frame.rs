//! Accesses of the stack: within the frame, at multiples of the size, of what was written.
//!
//! Where an offset is only known within bounds, a load needs all of the bytes between them, and a store may have changed any of
//! them and has written none for certain.

use alloc::format;
use alloc::string::String;

use super::explore::Verifier;
use super::mem::{FAR, Way, check_aligned};
use super::stack::{BadLoad, Byte, Slot, Slots, pieces, place, slot_mut};
use super::value::{Number, Pointer, Target, Value};
use super::why::Rule;
use super::{Fail, Result};
use crate::interp::FRAME_BYTES;
use crate::op::{Reg, Size};

impl Verifier<'_> {
    /// The least and the greatest offset at which the stack is accessed; all of that lies in the frame.
    pub(super) fn stack_range(
        &mut self,
        reg: Reg,
        pointer: &Pointer,
        frame: usize,
        off: i64,
        len: i64,
        way: Way,
    ) -> Result<(i64, i64)> {
        let (least, most) = pointer.off.signed_bounds();
        let (from, last) = (i128::from(least) + i128::from(off), i128::from(most) + i128::from(off));
        let number = reg.number();
        if from < -i128::from(FRAME_BYTES) || last + i128::from(len) > 0 {
            let verb = if way.writes() { "write to" } else { "read from" };
            let reason = if most >= FAR || least <= -FAR {
                format!("invalid unbounded variable-offset {verb} stack R{number}")
            } else if pointer.fixed().is_none() {
                format!(
                    "invalid variable-offset {verb} stack R{number} min_off={from} max_off={last} size={len}"
                )
            } else {
                format!("invalid {verb} stack R{number} off={from} size={len}")
            };
            return Err(Fail::here(Rule::Bounds, reason));
        }
        let (from, last) = (from as i64, last as i64);
        if len > 0 {
            self.note_depth(frame, from.unsigned_abs() as u32);
        }
        Ok((from, last))
    }

    fn note_depth(&mut self, frame: usize, bytes: u32) {
        let Some(function) = self.state().frames.get(frame).map(|frame| frame.function) else { return };
        match self.depths.iter_mut().find(|(of, _)| *of == function) {
            Some((_, depth)) => *depth = (*depth).max(bytes),
            None => self.depths.push((function, bytes)),
        }
    }

    pub(super) fn load_stack(
        &mut self,
        reg: Reg,
        pointer: &Pointer,
        frame: usize,
        off: i16,
        size: Size,
        signed: bool,
    ) -> Result<Value> {
        let len = size.bytes() as i64;
        check_aligned(pointer, off, size)?;
        let (from, last) = self.stack_range(reg, pointer, frame, off.into(), len, Way::Load)?;
        if from != last {
            self.check_written(frame, from, last + len, Way::Load, reg)?;
            return Ok(Value::Number(Number::loaded(size, signed)));
        }
        let Some((n, byte)) = place(from) else { return Ok(Value::UNKNOWN) };
        let slot = self.slot(frame, n);
        let loaded = slot.load(byte, size, signed).map_err(|bad| match bad {
            BadLoad::Unwritten(n) => {
                Fail::here(Rule::Written, format!("invalid read from stack off {from}+{n} size {len}"))
            }
            BadLoad::PartOfPointer => Fail::here(
                Rule::Pointer,
                format!("invalid size of register fill: a part of an address at {from}"),
            ),
        })?;
        self.slot_read(frame, n);
        Ok(loaded)
    }

    fn slot(&self, frame: usize, n: usize) -> Slot {
        let slots = self.state().frames.get(frame).map(|frame| &frame.slots);
        slots.and_then(|slots| slots.get(n)).copied().unwrap_or(Slot::EMPTY)
    }

    /// A slot has been read.
    fn slot_read(&mut self, frame: usize, n: usize) {
        if self.slot(frame, n).untouched {
            self.marks.read(self.path.node, frame, n);
        }
    }

    /// Have all bytes from one offset to another been written? They count as read.
    pub(super) fn check_written(
        &mut self,
        frame: usize,
        from: i64,
        to: i64,
        way: Way,
        reg: Reg,
    ) -> Result<()> {
        let len = (to - from).max(0) as usize;
        let mut done = 0;
        for (n, byte, here) in pieces(from, len) {
            let bytes = self.slot(frame, n).bytes;
            let missing = bytes.iter().skip(byte).take(here).position(|byte| *byte == Byte::Nothing);
            if let Some(missing) = missing {
                let at = done + missing;
                let indirect = if way.helper() { "indirect " } else { "" };
                let reason =
                    format!("invalid {indirect}read from stack R{} off {from}+{at} size {len}", reg.number());
                return Err(Fail::here(Rule::Written, reason));
            }
            done += here;
            self.slot_read(frame, n);
        }
        Ok(())
    }

    pub(super) fn store_stack(
        &mut self,
        reg: Reg,
        pointer: &Pointer,
        frame: usize,
        off: i16,
        size: Size,
        value: Value,
    ) -> Result<()> {
        let len = size.bytes();
        check_aligned(pointer, off, size)?;
        let (from, last) = self.stack_range(reg, pointer, frame, off.into(), len as i64, Way::Store)?;
        if let Value::Pointer(Pointer { to: Target::Stack(of), .. }) = value
            && usize::from(of) > frame
        {
            let reason = String::from("cannot spill pointers to stack into stack frame of the caller");
            return Err(Fail::here(Rule::Pointer, reason));
        }
        if from != last {
            self.may_write(frame, from, last + len as i64);
            return Ok(());
        }
        let Some((n, byte)) = place(from) else { return Ok(()) };
        let slots = self.slots_mut(frame);
        let slot = slot_mut(slots, n);
        match value {
            Value::Pointer(_) if size != Size::Dw => slot.write(byte, len, Byte::Any),
            Value::Nothing => slot.write(byte, len, Byte::Any),
            Value::Pointer(_) => slot.keep(byte, len, value),
            Value::Number(number) => slot.keep(byte, len, Value::Number(number.truncated(size, false))),
        }
        Ok(())
    }

    fn slots_mut(&mut self, frame: usize) -> &mut Slots {
        let frames = &mut self.path.state.frames;
        let frame = frame.min(frames.len().saturating_sub(1));
        &mut alloc::rc::Rc::make_mut(&mut frames[frame]).slots
    }

    /// Some of these bytes may be written, nobody knows which: of those that were written nothing is known any more.
    fn may_write(&mut self, frame: usize, from: i64, to: i64) {
        let slots = self.slots_mut(frame);
        for (n, byte, here) in pieces(from, (to - from).max(0) as usize) {
            if let Some(slot) = slots.get_mut(n) {
                slot.forget();
                for byte in slot.bytes.iter_mut().skip(byte).take(here) {
                    if *byte != Byte::Nothing {
                        *byte = Byte::Any;
                    }
                }
            }
        }
    }

    /// A helper writes all of these bytes.
    pub(super) fn written_by_helper(&mut self, frame: usize, from: i64, len: i64) {
        let slots = self.slots_mut(frame);
        for (n, byte, here) in pieces(from, len.max(0) as usize) {
            slot_mut(slots, n).write(byte, here, Byte::Any);
        }
    }

    /// A helper may write these bytes, which were all written before.
    pub(super) fn maybe_written_by_helper(&mut self, frame: usize, from: i64, to: i64) {
        self.may_write(frame, from, to);
    }
}
