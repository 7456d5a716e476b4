//! Calls of helpers: each argument against the prototype, the map against the helper, and what the call leaves.
//!
//! ```text
//!   r1 … r5 ─▶ argument by argument ─▶ map and helper fit? ─▶ given back, written ─▶ r1 … r5 gone, r0 ─▶ callbacks
//! ```
//!
//! A helper that takes memory and its size is held to the greatest size that the number may be.

use alloc::format;
use alloc::string::String;

use super::explore::{MapUse, Next, Verifier};
use super::mem::{FAR, Way};
use super::state::Reference;
use super::value::{Number, Pointer, Target, Value};
use super::why::Rule;
use super::{Fail, Result, Scalar};
use crate::helper::{self, Arg, Proto, Ret, Special};
use crate::kind::{MAX_MEMORY, Start};
use crate::map::{MapKind, flag};
use crate::op::Reg;

/// What the arguments of a call have said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    pub(super) map: Option<u32>,
    pub(super) function: Option<usize>,
    /// The map whose value has the timer.
    pub(super) timer: Option<u32>,
    pub(super) data: Option<Value>,
    /// How much is to be reserved.
    reserve: u32,
    /// The reference that is given back.
    released: u32,
    /// The greatest size of memory that is written.
    greatest: u64,
    /// Bytes of the stack that are written: frame, offset, length.
    written: [Option<(usize, i64, i64)>; 2],
    /// The value whose lock it is.
    pub(super) lock: Option<(u32, u32)>,
}

/// Names of helpers that return how much they have written.
const TELL_LENGTH: &[&str] =
    &["get_stack", "get_task_stack", "probe_read_str", "probe_read_user_str", "probe_read_kernel_str"];
/// The greatest error number that a helper returns, negative.
const MAX_ERRNO: i64 = 4095;

/// Do a kind of map and a helper fit?
fn fits(kind: MapKind, helper: &str) -> bool {
    let only = |names: &[&str]| names.contains(&helper);
    match kind {
        MapKind::Hash | MapKind::LruHash | MapKind::Array => only(&[
            "map_lookup_elem",
            "map_update_elem",
            "map_delete_elem",
            "for_each_map_elem",
            "timer_init",
        ]),
        MapKind::PercpuHash | MapKind::PercpuArray | MapKind::LruPercpuHash => only(&[
            "map_lookup_elem",
            "map_update_elem",
            "map_delete_elem",
            "map_lookup_percpu_elem",
            "for_each_map_elem",
        ]),
        MapKind::LpmTrie => only(&["map_lookup_elem", "map_update_elem", "map_delete_elem"]),
        MapKind::ArrayOfMaps | MapKind::HashOfMaps => only(&["map_lookup_elem"]),
        MapKind::ProgArray => only(&["tail_call"]),
        MapKind::PerfEventArray => only(&["perf_event_output"]),
        MapKind::StackTrace => only(&["get_stackid"]),
        MapKind::Queue | MapKind::Stack => only(&["map_push_elem", "map_pop_elem", "map_peek_elem"]),
        MapKind::BloomFilter => only(&["map_push_elem", "map_peek_elem"]),
        MapKind::RingBuf => only(&["ringbuf_output", "ringbuf_reserve", "ringbuf_query"]),
    }
}

/// The register of argument `n`, from 0.
fn argument(n: usize) -> Reg {
    Reg::new(n as u8 + 1).unwrap_or(Reg::R1)
}

impl Verifier<'_> {
    /// `call number`
    pub(super) fn call_helper(&mut self, at: usize, number: i32) -> Result<Next> {
        let Some(proto) = helper::by_number(number) else {
            return Err(Fail::here(Rule::Helper, format!("invalid func unknown#{number}")));
        };
        let name = proto.name;
        if !proto.programs.has(self.input.context.attach) {
            let attach = self.input.context.attach.name();
            let reason = format!("program of this type ({attach}) cannot use helper bpf_{name}#{number}");
            return Err(Fail::here(Rule::Helper, reason));
        }
        if self.state().lock.is_some() && proto.special != Special::Unlock {
            let reason = match proto.special {
                Special::Lock => "Acquiring another lock while already holding a lock is not allowed",
                _ => "function calls are not allowed while holding a lock",
            };
            return Err(Fail::here(Rule::Lock, format!("{reason}: bpf_{name}")));
        }
        let mut given = Given::default();
        for (n, arg) in proto.args.iter().enumerate() {
            if *arg == Arg::None {
                break;
            }
            // Compilers write as many as the text in the format has.
            if *arg == Arg::Format {
                continue;
            }
            let next = proto.args.get(n + 1).copied().unwrap_or(Arg::None);
            self.check_argument(proto, argument(n), *arg, next, &mut given)?;
        }
        self.check_map(proto, &given)?;
        self.helpers.insert(number);
        match proto.special {
            Special::Lock => self.state_mut().lock = given.lock,
            Special::Unlock => self.unlock(&given)?,
            Special::TailCall => self.check_nothing_held("tail_call would lead to reference leak")?,
            Special::Calls(callback) => self.call_back(at, callback, &given)?,
            Special::None => {}
        }
        if given.released != 0 {
            self.state_mut().release(given.released);
        }
        for (frame, from, len) in given.written.into_iter().flatten() {
            self.written_by_helper(frame, from, len);
        }
        let result = self.result_of(at, proto, &given)?;
        self.state_mut().clobber();
        self.state_mut().set(Reg::R0, result);
        Ok(Next::At(at + 1))
    }

    fn unlock(&mut self, given: &Given) -> Result<()> {
        let held = self.state().lock;
        match (held, given.lock) {
            (Some(held), Some(lock)) if held == lock => {
                self.state_mut().lock = None;
                Ok(())
            }
            (Some(_), _) => Err(Fail::here(Rule::Lock, String::from("bpf_spin_unlock of different lock"))),
            (None, _) => Err(Fail::here(Rule::Lock, String::from("bpf_spin_unlock without taking a lock"))),
        }
    }

    fn check_argument(
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

    fn check_map(&self, proto: &Proto, given: &Given) -> Result<()> {
        let Some(map) = given.map else { return Ok(()) };
        let def = self.def(map)?;
        if !fits(def.kind, proto.name) {
            let reason = format!(
                "cannot pass map_type {} ({}) into func bpf_{}#{}",
                def.kind as u32,
                def.kind.name(),
                proto.name,
                proto.number
            );
            return Err(Fail::here(Rule::Map, reason));
        }
        let writes = ["map_update_elem", "map_delete_elem", "map_push_elem", "map_pop_elem"];
        if def.flags & flag::RDONLY_PROG != 0 && writes.contains(&proto.name) {
            return Err(Fail::here(Rule::ReadOnly, String::from("write into map forbidden")));
        }
        // What is looked up there cannot be written either, which each access finds.
        Ok(())
    }

    /// Nothing has to be given back, and no lock is held.
    pub(super) fn check_nothing_held(&self, otherwise: &str) -> Result<()> {
        if self.state().lock.is_some() {
            let reason = format!("{otherwise}: a lock is held");
            return Err(Fail::here(Rule::Lock, reason));
        }
        match self.state().refs.first() {
            Some(reference) => {
                let reason = format!(
                    "{otherwise}: Unreleased reference id={} alloc_insn={}",
                    reference.id, reference.at
                );
                Err(Fail::here(Rule::Reference, reason))
            }
            None => Ok(()),
        }
    }

    /// What the call leaves in r0.
    fn result_of(&mut self, at: usize, proto: &Proto, given: &Given) -> Result<Value> {
        Ok(match proto.ret {
            Ret::Number => {
                let bounds = if TELL_LENGTH.contains(&proto.name) {
                    Some((-MAX_ERRNO, given.greatest.min(i64::MAX as u64) as i64))
                } else if proto.name == "get_smp_processor_id" {
                    Some((0, i64::from(self.input.cpus.saturating_sub(1))))
                } else {
                    None
                };
                number_between(bounds)
            }
            Ret::Between(least, most) => number_between(Some((least, most))),
            Ret::Nothing => Value::Nothing,
            Ret::Value => {
                let Some(map) = given.map else { return Ok(Value::UNKNOWN) };
                let def = self.def(map)?;
                let to = match &def.inner {
                    Some(inner) if def.kind.holds_maps() => Target::Map(self.inner_map(inner)),
                    _ => Target::Value(map),
                };
                let id = self.fresh_id();
                Value::Pointer(Pointer { null: true, id, ..Pointer::new(to) })
            }
            Ret::Record => {
                let (id, held) = (self.fresh_id(), self.fresh_id());
                self.state_mut().refs.push(Reference { id: held, at });
                let to = Target::Record(given.reserve);
                Value::Pointer(Pointer { null: true, id, held, ..Pointer::new(to) })
            }
            Ret::Task => {
                let mut task = None;
                self.input.types.named("task_struct", &mut |ty| task = task.or(Some(ty)));
                let mut own = None;
                self.input.types.named("Task", &mut |ty| own = own.or(Some(ty)));
                match task.or(own) {
                    Some(ty) => Value::pointer(Target::Kernel(ty)),
                    None => Value::UNKNOWN,
                }
            }
        })
    }
}

impl<'a> Verifier<'a> {
    /// The map that comes out of a map of maps: one for each definition.
    fn inner_map(&mut self, def: &'a crate::map::MapDef) -> u32 {
        match self.maps.iter().position(|map| map.name.is_none() && core::ptr::eq(map.def, def)) {
            Some(n) => n as u32,
            None => {
                self.maps.push(MapUse { def, name: None });
                self.maps.len() as u32 - 1
            }
        }
    }
}

fn number_between(bounds: Option<(i64, i64)>) -> Value {
    let scalar = bounds.and_then(|(least, most)| Scalar::signed_range(least, most));
    Value::Number(Number::of(scalar.unwrap_or(Scalar::UNKNOWN)))
}
