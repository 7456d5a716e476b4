//! What is known, as text: for the log of a refusal.
//!
//! ```text
//!   R0=map_value_or_null(counts) R1=ctx() R2=0..255 R10=fp0 fp-8=7 fp-16=mm0000??
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::Fail;
use super::explore::Verifier;
use super::marks::NONE;
use super::stack::{Byte, Slot};
use super::value::{Number, Target, Value};
use super::why::{Rejection, Turn};
use crate::helper::HelperNames;
use crate::text::Shown;

/// Branches of a path that are shown.
const STEPS: usize = 24;

impl Verifier<'_> {
    /// What kind of value that is, as Linux calls it.
    pub(super) fn kind_of(&self, value: &Value) -> String {
        let Value::Pointer(pointer) = value else {
            return String::from(if matches!(value, Value::Nothing) { "?" } else { "scalar" });
        };
        let name = match pointer.to {
            Target::Context => "ctx",
            Target::Stack(_) => "fp",
            Target::Map(_) => "map_ptr",
            Target::Value(_) => "map_value",
            Target::Key(_) => "map_key",
            Target::Memory(_) => "mem",
            Target::Record(_) => "ringbuf_mem",
            Target::Kernel(ty) => {
                return format!("ptr_{}", self.input.types.name(ty).unwrap_or("?"));
            }
            Target::Function(_) => "func",
        };
        format!("{name}{}", if pointer.null { "_or_null" } else { "" })
    }

    fn show(&self, value: &Value) -> String {
        let pointer = match value {
            Value::Nothing => return String::from("?"),
            Value::Number(number) => return show_number(number),
            Value::Pointer(pointer) => pointer,
        };
        let off = match pointer.fixed() {
            Some(off) => format!("{off:+}"),
            None => {
                let (least, most) = pointer.off.signed_bounds();
                format!("+({least}..{most})")
            }
        };
        let off = if pointer.fixed() == Some(0) { String::new() } else { off };
        let kind = self.kind_of(value);
        let name = |map: u32| {
            let def = self.maps.get(map as usize).map(|map| map.def);
            match def {
                Some(def) if !def.name.is_empty() => def.name.clone(),
                Some(def) => String::from(def.kind.name()),
                None => map.to_string(),
            }
        };
        match pointer.to {
            Target::Stack(frame) => {
                let off = if off.is_empty() { String::from("0") } else { off };
                format!(
                    "fp{off}{}",
                    if usize::from(frame) == self.state().top() { "" } else { " of a caller" }
                )
            }
            Target::Map(map) | Target::Value(map) | Target::Key(map) => format!("{kind}({}){off}", name(map)),
            Target::Memory(len) | Target::Record(len) => format!("{kind}({len} bytes){off}"),
            Target::Context => format!("{kind}(){off}"),
            Target::Kernel(_) => format!("{kind}{off}"),
            Target::Function(at) => format!("{kind}({at})"),
        }
    }

    /// The registers and the stack of the function that runs.
    fn show_state(&self) -> String {
        let frame = self.state().frame();
        let mut text = String::new();
        for (n, value) in frame.regs.iter().enumerate() {
            if *value != Value::Nothing {
                let space = if text.is_empty() { "" } else { " " };
                // A String takes everything.
                let _ = write!(text, "{space}R{n}={}", self.show(value));
            }
        }
        for (n, slot) in frame.slots.iter().enumerate() {
            if slot.bytes.iter().any(|byte| *byte != Byte::Nothing) {
                let _ = write!(text, " fp-{}={}", (n + 1) * 8, self.show_slot(slot));
            }
        }
        for reference in &self.state().refs {
            let _ = write!(text, " ref(id={},insn={})", reference.id, reference.at);
        }
        if self.state().lock.is_some() {
            text.push_str(" locked");
        }
        text
    }

    fn show_slot(&self, slot: &Slot) -> String {
        if slot.kept() == (0, 8)
            && let Some(value) = slot.kept_value()
        {
            return self.show(value);
        }
        let byte = |byte: &Byte| match byte {
            Byte::Nothing => '?',
            Byte::Any => 'm',
            Byte::Zero => '0',
            Byte::Kept => 's',
        };
        slot.bytes.iter().map(byte).collect()
    }

    fn show_insn(&self, at: usize) -> String {
        let op = self.input.program.op(at);
        op.map_or(String::new(), |op| Shown { op: &op, names: &HelperNames }.to_string())
    }

    /// The log of a refusal.
    pub(super) fn reject(&self, fail: Fail) -> Rejection {
        let at = match fail.at {
            super::Where::Here => Some(self.state().at),
            super::Where::Insn(at) => Some(at),
            super::Where::Whole => None,
        };
        let here = fail.at == super::Where::Here;
        let mut path = Vec::new();
        let (mut step, mut left_out) = (self.path.trail, 0);
        while step != NONE && here {
            let Some((before, what)) = self.trail.get(step as usize) else { break };
            if path.len() < STEPS {
                let how = match what.turn {
                    Turn::Taken => "taken",
                    Turn::NotTaken => "not taken",
                    Turn::Called => "called",
                    Turn::Callback => "calls its function",
                };
                path.push(format!("{}: {}  ({how})", what.at, self.show_insn(what.at as usize)));
            } else {
                left_out += 1;
            }
            step = *before;
        }
        path.reverse();
        Rejection {
            rule: fail.rule,
            reason: fail.reason,
            at,
            insn: at.map_or(String::new(), |at| self.show_insn(at)),
            path,
            path_left_out: left_out,
            registers: if here { self.show_state() } else { String::new() },
            processed: self.processed.min(self.input.limits.insns),
        }
    }
}

/// A number: what it is, or its bounds.
fn show_number(number: &Number) -> String {
    if let Some(n) = number.n.as_constant() {
        return if n > 1 << 63 { format!("{}", n as i64) } else { format!("{n}") };
    }
    let ((least, most), (smin, smax)) = (number.n.bounds(), number.n.signed_bounds());
    match (least == 0 && most == u64::MAX, smin == i64::MIN && smax == i64::MAX) {
        (true, true) => String::from("scalar"),
        (true, false) => format!("{smin}..{smax}"),
        _ => format!("{least}..{most}"),
    }
}
