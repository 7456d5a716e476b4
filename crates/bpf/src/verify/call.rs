//! Calls of helpers: each argument against the prototype, the map against the helper, and what the call leaves.
//!
//! ```text
//!   r1 … r5 ─▶ argument by argument ─▶ map and helper fit? ─▶ given back, written ─▶ r1 … r5 gone, r0 ─▶ callbacks
//! ```
//!
//! What each argument has to be is in `args`.

use alloc::format;
use alloc::string::String;

use super::explore::{MapUse, Next, Verifier};
use super::state::Reference;
use super::value::{Number, Pointer, Target, Value};
use super::why::Rule;
use super::{Fail, Result, Scalar};
use crate::helper::{self, Arg, Proto, Ret, Special};
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
    pub(super) reserve: u32,
    /// The reference that is given back.
    pub(super) released: u32,
    /// The greatest size of memory that is written.
    pub(super) greatest: u64,
    /// Bytes of the stack that are written: frame, offset, length.
    pub(super) written: [Option<(usize, i64, i64)>; 2],
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
pub(super) fn argument(n: usize) -> Reg {
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
