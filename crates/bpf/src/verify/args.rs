//! Arguments of helpers: each register against what the prototype wants there.
//!
//! Memory is looked at together with the size behind it, keys and values together with the map in r1. A helper that takes memory
//! and its size is held to the greatest size that the number may be.

use alloc::format;
use alloc::string::String;

use super::call::{Given, argument};
use super::explore::Verifier;
use super::mem::{FAR, Way};
use super::value::{Pointer, Target, Value};
use super::why::Rule;
use super::{Fail, Result};
use crate::helper::{Arg, Proto};
use crate::kind::{MAX_MEMORY, Start};
use crate::map::MapKind;
use crate::op::Reg;

impl Verifier<'_> {
    pub(super) fn check_argument(
        &mut self,
        proto: &Proto,
        reg: Reg,
        arg: Arg,
        next: Arg,
        given: &mut Given,
    ) -> Result<()> {
        let value = self.read(reg)?;
        let number = reg.number();
        match arg {
            Arg::None | Arg::Format => {}
            // Whatever it is, it is nothing that anything here depends on.
            Arg::Any => {}
            Arg::Map => match value {
                Value::Pointer(Pointer { to: Target::Map(map), null: false, .. }) => {
                    // A timer and the map that is said to have it.
                    if given.timer.is_some_and(|of| of != map) {
                        let reason = format!("R{number} is not the map of the timer");
                        return Err(Fail::here(Rule::Argument, reason));
                    }
                    given.map = Some(map);
                }
                _ => return self.wants(reg, "map_ptr"),
            },
            Arg::Key => {
                let len = self.map_size(given, |def| def.key_size)?;
                self.helper_memory(reg, len, Way::HelperReads, true, given)?;
            }
            Arg::Value { null } => {
                if !(null && value.is(0)) {
                    let len = self.map_size(given, |def| def.value_size)?;
                    self.helper_memory(reg, len, Way::HelperReads, true, given)?;
                } else {
                    self.demand_value(&value);
                }
            }
            Arg::OutValue => {
                let kind = given.map.map(|map| self.def(map)).transpose()?.map(|def| def.kind);
                // A bloom filter is asked about a value, and writes nothing.
                let way =
                    if kind == Some(MapKind::BloomFilter) { Way::HelperReads } else { Way::HelperWrites };
                let len = self.map_size(given, |def| def.value_size)?;
                self.helper_memory(reg, len, way, true, given)?;
            }
            Arg::Mem { null } | Arg::Out { null } => {
                let Arg::Size { zero } = next else { return Ok(()) };
                let size_reg = argument(usize::from(number));
                let way = if matches!(arg, Arg::Out { .. }) { Way::HelperWrites } else { Way::HelperReads };
                self.sized_memory(reg, size_reg, null, zero, way, given)?;
            }
            // Looked at with the memory before it.
            Arg::Size { .. } => {}
            Arg::OutU64 => self.helper_memory(reg, 8, Way::HelperWrites, true, given)?,
            Arg::Reserve => {
                let Value::Number(size) = value else { return self.wants(reg, "scalar") };
                let Some(size) = size.n.as_constant() else {
                    return Err(Fail::here(Rule::Argument, format!("R{number} is not a known constant")));
                };
                self.demand_value(&value);
                // The ring's length word has 30 bits for it.
                match u32::try_from(size) {
                    Ok(size) if size < 1 << 30 => given.reserve = size,
                    _ => {
                        let reason = format!("R{number} unreasonable size to reserve: {size}");
                        return Err(Fail::here(Rule::Bounds, reason));
                    }
                }
            }
            Arg::Record => match value {
                Value::Pointer(pointer) if pointer.held != 0 && !pointer.null => {
                    if pointer.fixed() != Some(0) {
                        let reason = format!("R{number} must have zero offset when passed to release func");
                        return Err(Fail::here(Rule::Reference, reason));
                    }
                    given.released = pointer.held;
                }
                Value::Pointer(Pointer { to: Target::Record(_), .. }) => {
                    return self.wants(reg, "ringbuf_mem");
                }
                _ => {
                    let is = self.kind_of(&value);
                    let reason = format!(
                        "R{number} type={is} expected=ringbuf_mem: only what was reserved is released"
                    );
                    return Err(Fail::here(Rule::Reference, reason));
                }
            },
            Arg::Ctx => match value {
                Value::Pointer(Pointer { to: Target::Context, null: false, off, .. }) => {
                    if off.as_constant() != Some(0) {
                        let reason = format!("dereference of modified ctx ptr R{number}");
                        return Err(Fail::here(Rule::Context, reason));
                    }
                }
                _ => return self.wants(reg, "ctx"),
            },
            Arg::Func => match value {
                Value::Pointer(Pointer { to: Target::Function(function), .. }) => {
                    given.function = Some(function as usize);
                }
                _ => return self.wants(reg, "func"),
            },
            Arg::FuncData => match value {
                Value::Pointer(Pointer { to: Target::Stack(_), .. }) => given.data = Some(value),
                _ if value.is(0) => {
                    self.demand_value(&value);
                    given.data = Some(value);
                }
                _ => return self.wants(reg, "fp"),
            },
            Arg::Lock => given.lock = Some(self.special_field(reg, "spin_lock")?),
            Arg::Timer => given.timer = Some(self.special_field(reg, "timer")?.0),
            Arg::Text => self.check_text(proto, reg, &value)?,
            Arg::Task => match value {
                Value::Pointer(Pointer { to: Target::Kernel(_), null: false, .. }) => {}
                _ => return self.wants(reg, "ptr_task_struct"),
            },
        }
        Ok(())
    }

    /// A refusal: something else is wanted.
    fn wants(&self, reg: Reg, what: &str) -> Result<()> {
        let is = self.read(reg).map(|value| self.kind_of(&value))?;
        let null = is.ends_with("_or_null");
        let rule = if null { Rule::Null } else { Rule::Argument };
        Err(Fail::here(rule, format!("R{} type={is} expected={what}", reg.number())))
    }

    fn demand_value(&mut self, value: &Value) {
        if let Value::Number(number) = value {
            self.demand_number(number);
        }
    }

    fn map_size(&self, given: &Given, size: impl Fn(&crate::map::MapDef) -> u32) -> Result<u64> {
        let Some(map) = given.map else {
            return Err(Fail::here(Rule::Argument, String::from("there is no map to access map->key")));
        };
        Ok(size(self.def(map)?).into())
    }

    /// The map and offset in a value of a lock or timer: the map, and which value of it.
    fn special_field(&self, reg: Reg, name: &str) -> Result<(u32, u32)> {
        let number = reg.number();
        let bad = |reason| Err(Fail::here(Rule::Argument, reason));
        let value = self.read(reg)?;
        let Value::Pointer(pointer) = value else {
            return bad(format!("R{number} type={} expected=map_value", self.kind_of(&value)));
        };
        let (Target::Value(map), false) = (pointer.to, pointer.null) else {
            let rule = if pointer.null { Rule::Null } else { Rule::Argument };
            let is = self.kind_of(&value);
            return Err(Fail::here(rule, format!("R{number} type={is} expected=map_value")));
        };
        let special = self.def(map)?.special;
        let field = if name == "timer" { special.timer } else { special.spin_lock };
        let Some(field) = field else { return bad(format!("map has no valid bpf_{name}")) };
        match pointer.fixed() {
            Some(off) if off == i64::from(field) => Ok((map, pointer.id)),
            Some(off) => bad(format!("off {off} doesn't point to 'struct bpf_{name}' that is at {field}")),
            None => bad(format!(
                "R{number} doesn't have constant offset. bpf_{name} has to be at the constant offset"
            )),
        }
    }

    /// Memory and its size.
    fn sized_memory(
        &mut self,
        reg: Reg,
        size_reg: Reg,
        null: bool,
        zero: bool,
        way: Way,
        given: &mut Given,
    ) -> Result<()> {
        let value = self.read(reg)?;
        let size = self.read(size_reg)?;
        let Value::Number(size) = size else { return self.wants(size_reg, "scalar") };
        let number = size_reg.number();
        self.demand_number(&size);
        let ((least, most), (smin, _)) = (size.n.bounds(), size.n.signed_bounds());
        if smin < 0 {
            let reason = format!("R{number} min value is negative, either use unsigned or 'var &= const'");
            return Err(Fail::here(Rule::Bounds, reason));
        }
        if least == 0 && !zero {
            let reason = format!("R{number} invalid zero-sized read: u64=[{least},{most}]");
            return Err(Fail::here(Rule::Bounds, reason));
        }
        if most >= FAR as u64 {
            let reason =
                format!("R{number} unbounded memory access, use 'var &= const' or 'if (var < const)'");
            return Err(Fail::here(Rule::Bounds, reason));
        }
        if way == Way::HelperWrites {
            given.greatest = most;
        }
        if null && value.is(0) {
            self.demand_value(&value);
            if most == 0 {
                return Ok(());
            }
            let reason = format!("R{} is 0, but R{number} may be up to {most}", reg.number());
            return Err(Fail::here(Rule::Argument, reason));
        }
        self.helper_memory(reg, most, way, least == most, given)
    }

    /// Memory of a length, for a helper to read or to write; `exactly` so much, or less.
    fn helper_memory(
        &mut self,
        reg: Reg,
        len: u64,
        way: Way,
        exactly: bool,
        given: &mut Given,
    ) -> Result<()> {
        let value = self.read(reg)?;
        let pointer = match value {
            Value::Pointer(pointer) if !pointer.null => pointer,
            _ => return self.wants(reg, "fp, map_key, map_value, mem, ringbuf_mem"),
        };
        let len = len.min(FAR as u64) as i64;
        match pointer.to {
            Target::Stack(frame) => {
                let frame = usize::from(frame);
                let (from, last) = self.stack_range(reg, &pointer, frame, 0, len, way)?;
                let fixed = from == last && exactly;
                if way == Way::HelperWrites && fixed {
                    let place = given.written.iter_mut().find(|place| place.is_none());
                    if let Some(place) = place {
                        *place = Some((frame, from, len));
                    }
                    return Ok(());
                }
                self.check_written(frame, from, last + len, way, reg)?;
                if way == Way::HelperWrites {
                    self.maybe_written_by_helper(frame, from, last + len);
                }
                Ok(())
            }
            Target::Value(_) | Target::Key(_) | Target::Memory(_) | Target::Record(_) => {
                self.check_region(reg, &pointer, 0, len, way)
            }
            Target::Context if self.input.context.start == Start::SomeMemory => {
                let end = pointer.fixed().and_then(|from| from.checked_add(len)).unwrap_or(-1);
                match u32::try_from(end) {
                    Ok(end) if pointer.fixed() >= Some(0) && end <= MAX_MEMORY => {
                        self.context_bytes = self.context_bytes.max(end);
                        Ok(())
                    }
                    _ => {
                        let reason =
                            format!("R{} memory of {len} bytes is not within the context", reg.number());
                        Err(Fail::here(Rule::Bounds, reason))
                    }
                }
            }
            _ => self.wants(reg, "fp, map_key, map_value, mem, ringbuf_mem"),
        }
    }

    /// Text that ends with a zero, in a value that never changes.
    fn check_text(&self, proto: &Proto, reg: Reg, value: &Value) -> Result<()> {
        let number = reg.number();
        let bad = |reason| Err(Fail::here(Rule::Argument, reason));
        let Value::Pointer(Pointer { to: Target::Value(map), null: false, off, .. }) = value else {
            return bad(format!("R{number} type={} expected=map_value", self.kind_of(value)));
        };
        let Some(bytes) = self.constant_value(*map) else {
            return bad(format!(
                "R{number} does not point to a readonly map: bpf_{} wants a constant text",
                proto.name
            ));
        };
        let from = off.as_constant().and_then(|off| usize::try_from(off).ok());
        let Some(text) = from.and_then(|from| bytes.get(from..)) else {
            return bad(format!("R{number} is not a constant address"));
        };
        if text.contains(&0) { Ok(()) } else { bad(format!("R{number} is a text without a zero at its end")) }
    }
}
