//! What a program will be given, as far as it is known when the program is loaded: the section says to what it will be attached.
//!
//! | attached to | fields |
//! |---|---|
//! | instructions, entries, returns | registers: the same everywhere (`bpf::kind`) |
//! | `tp/GROUP/EVENT` | those of the event's `format`, from the eighth byte on |
//! | `raw_tp/NAME` | the tracepoint's arguments, as numbers |
//! | `tp_btf/NAME` | the same, those that are addresses with the types of what is there |
//! | `fentry/FUNCTION` | x0, x1, … as far as arguments of the function are in them |
//! | `fexit/`, `fmod_ret/` | the same, and behind them x0 of the return |
//!
//! What such a program was verified for it can be attached to, and to nothing else: see [`same`].

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use ::bpf::kind::{Attach, Context, Field, Gives, MAX_ARGS, Section};
use ::bpf::types::TypeId;
use tracecore::errno::Errno;
use tracecore::typetab::{Function, Outcome, Place, Shape};

use super::{Refused, target, tracepoint};
use crate::bpf::prog::Prog;
use crate::ktypes;
use crate::tracepoint::Tracepoint;

/// What the program of a section is given.
///
/// # Errors
/// ENOENT: there is nothing of this name. EINVAL: it cannot be attached so.
pub(crate) fn of(section: &Section<'_>) -> Result<Context, Refused> {
    let (attach, target) = (section.attach, section.target);
    Ok(match attach {
        Attach::Tracepoint if !target.is_empty() => record(tracepoint::find(target)?)?,
        Attach::RawTracepoint if !target.is_empty() => {
            Context::arguments(attach, &vec![Gives::Number; words_of(tracepoint::find(target)?).len()], None)
        }
        Attach::TpBtf => Context::arguments(attach, &words_of(tracepoint::find(target)?), None),
        Attach::Fentry | Attach::Fexit | Attach::FmodRet => {
            let function = target::instruction(target)? as u64;
            let Some(known) = ktypes::table().function(function) else {
                let why = format!("nothing is known of the arguments of `{target}`");
                return Err(Refused::new(Errno::EINVAL, why));
            };
            let result = match known.result {
                Outcome::Value(ty) => gives(ty.0),
                Outcome::Unknown | Outcome::Nothing => Gives::Number,
            };
            Context::arguments(attach, &registers_of(&known), Some(result))
        }
        _ => Context::of(attach),
    })
}

/// Is `here` what the program was verified for? `find` gives the address of what a section names.
///
/// # Errors
/// EINVAL: it was verified for something else.
pub(super) fn same(
    prog: &Prog,
    here: usize,
    find: impl Fn(&str) -> Result<usize, Refused>,
) -> Result<(), Refused> {
    let target = Section::parse(&prog.parts().section).map_or("", |section| section.target);
    if !target.is_empty() && find(target).is_ok_and(|there| there == here) {
        return Ok(());
    }
    let what = if target.is_empty() { "nothing in particular" } else { target };
    Err(Refused::new(Errno::EINVAL, format!("the program was verified for {what}")))
}

/// The record of an event.
fn record(point: &Tracepoint) -> Result<Context, Refused> {
    let event = point.event().ok_or_else(|| {
        Refused::new(Errno::EINVAL, format!("the tracepoint `{}` has no record", point.name()))
    })?;
    let class = event.class().describe(point.system(), point.name()).map_err(|_| Errno::EINVAL)?;
    let fields = class.fields.iter().filter(|field| field.size > 0);
    Ok(Context::record_of(
        fields
            .map(|field| Field::number(field.name.clone(), field.offset.into(), field.size.into()))
            .collect(),
    ))
}

/// What the arguments of a tracepoint are.
fn words_of(point: &Tracepoint) -> Vec<Gives> {
    let known = ktypes::table().function(point.raw().addr() as u64);
    known.and_then(|known| known.as_words()).map_or_else(
        || vec![Gives::Number; MAX_ARGS],
        |known| known.params().map(|param| gives(param.ty.0)).collect(),
    )
}

/// What the registers of a function's arguments hold, up to the last that holds one.
pub(super) fn registers_of(known: &Function<'_>) -> Vec<Gives> {
    let mut all = Vec::new();
    let mut put = |register: u8, gives| {
        let at = usize::from(register);
        if all.len() <= at {
            all.resize(at + 1, Gives::Number);
        }
        if let Some(slot) = all.get_mut(at) {
            *slot = gives;
        }
    };
    for param in known.params() {
        match param.place {
            Place::Register(x) => put(x, gives(param.ty.0)),
            Place::Pair(low, high) => {
                put(low, Gives::Number);
                put(high, Gives::Number);
            }
            Place::Memory(x) => put(x, Gives::Pointer(TypeId(param.ty.0))),
        }
    }
    all
}

/// A value of this type.
fn gives(ty: u32) -> Gives {
    match ktypes::table().core_shape(tracecore::typetab::TypeId(ty)) {
        Some(Shape::Pointer { to }) => Gives::Pointer(TypeId(to.0)),
        _ => Gives::Number,
    }
}
