//! CO-RE: a program that was compiled against one layout, run on a kernel with another.
//!
//! The compiler knows that an instruction holds, say, the offset of `item->len`. It writes down which: the type, the steps
//! (`0:1`: element 0, its second member) and what is asked. The loader asks the same of the kernel's types, by *name*, and
//! writes the answer into the instruction.
//!
//! ```text
//!   program's BTF        struct WorkItem { u64 id; u32 len; … }           0:1 = item[0].len, offset 8
//!   kernel's types       struct WorkItem { … u32 len at 16 … }            the same names: offset 16
//!                                                  r2 = *(u32 *)(r1 + 8)  becomes  r2 = *(u32 *)(r1 + 16)
//! ```
//!
//! | asked | kind | without such a member or type |
//! |---|---|---|
//! | offset, size, sign, shifts of a bit field | 0, 1, 3, 4, 5 | the instruction becomes a call that is always refused: it must not be reached |
//! | is there such a member | 2 | 0 |
//! | number of a type, here and there | 6, 7 | 6 is always known; 7: as the first |
//! | is there such a type, does it match | 8, 12 | 0 |
//! | size of a type | 9 | as the first |
//! | is there such a value; its number | 10, 11 | 0; as the first |
//!
//! Names end at three underscores (`task___old` is a `task`), members of unnamed structs count as those of the struct around
//! them, and a kernel with several types of that name is fine as long as all give one answer. The rules are libbpf's
//! (`relo_core.c`); a struct around a single member of its own size (`AtomicU64`) is also taken for that member.

mod access;
mod patch;

use alloc::format;
use alloc::string::{String, ToString};

pub use patch::POISON;

use super::{Btf, Kind};
use crate::insn::Insn;
use crate::types::{Shape, TypeId, Types};
use access::Local;

/// The questions, with their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Offset,
    Size,
    Exists,
    Signed,
    ShiftLeft,
    ShiftRight,
    LocalType,
    KernelType,
    TypeExists,
    TypeSize,
    ValueExists,
    Value,
    TypeMatches,
}

impl Question {
    const ALL: [Self; 13] = [
        Self::Offset,
        Self::Size,
        Self::Exists,
        Self::Signed,
        Self::ShiftLeft,
        Self::ShiftRight,
        Self::LocalType,
        Self::KernelType,
        Self::TypeExists,
        Self::TypeSize,
        Self::ValueExists,
        Self::Value,
        Self::TypeMatches,
    ];

    fn is_of_type(self) -> bool {
        matches!(
            self,
            Self::LocalType | Self::KernelType | Self::TypeExists | Self::TypeSize | Self::TypeMatches
        )
    }

    fn is_of_value(self) -> bool {
        matches!(self, Self::ValueExists | Self::Value)
    }
}

/// Where an access ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    bit_offset: u64,
    /// Width of a bit field, else 0.
    bits: u32,
    /// Bytes of the type there.
    size: u64,
    /// A member, not an element.
    member: bool,
    signed: bool,
    pointer: bool,
    integer: bool,
}

/// What one side has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Place(Place),
    Type { number: u32, size: Option<u64> },
    Value(i64),
}

/// An answer, and what it does to the size of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    value: u64,
    /// It must be what stands in the instruction now.
    validate: bool,
    /// The bytes that a load or store at this offset has, if that is of interest.
    access: Option<u64>,
}

/// What became of a relocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The instruction holds the kernel's answer.
    Patched,
    /// There is none; the instruction is one that no verifier lets pass, and this is why.
    Poisoned(String),
}

/// Carries out one relocation at the front of `slots`.
///
/// # Errors
/// What is wrong with it: the program or the compiler, never the kernel.
pub fn relocate(
    slots: &mut [Insn],
    local: &Btf,
    ty: u32,
    access: &str,
    kind: u32,
    types: &dyn Types,
) -> Result<Done, String> {
    let question =
        *Question::ALL.get(kind as usize).ok_or_else(|| format!("a CO-RE relocation of kind {kind}"))?;
    let spec = Local::parse(local, ty, access, question)?;
    let before = answer(question, Some(&spec.side)).map_err(|why| format!("{}: {why}", spec.text(local)))?;
    if question == Question::LocalType {
        return patch::patch(slots, before, before);
    }
    let after = match in_kernel(question, local, &spec, types)? {
        Ok(side) => answer(question, side.as_ref()),
        Err(several) => return Err(format!("{}: {several}", spec.text(local))),
    };
    match after {
        Ok(after) => match resized(&spec.side, before, after) {
            Ok(()) => patch::patch(slots, before, after),
            Err(why) => patch::poison_access(slots, before, after, format!("{}: {why}", spec.text(local))),
        },
        Err(_) => Ok(Done::Poisoned(patch::poison(slots, &spec.text(local)))),
    }
}

/// What the kernel says: nothing, one thing, or (the inner error) several.
fn in_kernel(
    question: Question,
    local: &Btf,
    spec: &Local<'_>,
    types: &dyn Types,
) -> Result<Result<Option<Side>, &'static str>, String> {
    let name = essential(local.name_of(spec.root));
    if name.is_empty() {
        return Err("a CO-RE relocation of a type without a name".to_string());
    }
    let (mut found, mut ambiguous) = (None::<Side>, false);
    types.named(name, &mut |candidate| {
        if !same_kind(local, spec.root, types, candidate) {
            return;
        }
        let Some(side) = spec.find(local, types, candidate, question) else { return };
        match found {
            None => found = Some(side),
            // Two types of one name are as good as one, if all that is asked is the same.
            Some(first) => ambiguous |= answer(question, Some(&first)) != answer(question, Some(&side)),
        }
    });
    Ok(if ambiguous { Err("several types of the kernel have this name, and differ") } else { Ok(found) })
}

/// The name that counts: what comes before `___`.
fn essential(name: &str) -> &str {
    match name.rfind("___") {
        Some(at) if at > 0 => name.get(..at).unwrap_or(name),
        _ => name,
    }
}

/// Are they both structs, both enumerations …?
fn same_kind(local: &Btf, root: u32, types: &dyn Types, candidate: TypeId) -> bool {
    let Some((_, kind)) = local.resolve(root) else { return false };
    match (kind, types.shape(candidate)) {
        (Kind::Composite { union: false, .. }, Some(Shape::Struct))
        | (Kind::Composite { union: true, .. }, Some(Shape::Union))
        | (Kind::Enum { .. }, Some(Shape::Enum { .. }))
        | (Kind::Int { .. }, Some(Shape::Int { .. }))
        | (Kind::Ptr(_), Some(Shape::Pointer { .. }))
        | (Kind::Array { .. }, Some(Shape::Array { .. }))
        | (Kind::Float(_), Some(Shape::Float))
        | (Kind::Proto { .. } | Kind::Func { .. }, Some(Shape::Function))
        | (Kind::Fwd { .. }, Some(Shape::Struct | Shape::Union))
        // A kernel's table may know no more than the size of what is there.
        | (_, Some(Shape::Opaque)) => true,
        _ => false,
    }
}

/// No such thing, and the question has no answer then.
const MISSING: &str = "there is no such thing";

/// The answer of one side.
fn answer(question: Question, side: Option<&Side>) -> Result<Answer, &'static str> {
    let plain = |value| Ok(Answer { value, validate: true, access: None });
    match (question, side) {
        (Question::Exists | Question::TypeExists | Question::TypeMatches | Question::ValueExists, side) => {
            plain(u64::from(side.is_some()))
        }
        (Question::LocalType | Question::KernelType, Some(Side::Type { number, .. })) => {
            plain(u64::from(*number))
        }
        (Question::TypeSize, Some(Side::Type { size: Some(size), .. })) => plain(*size),
        (Question::Value, Some(Side::Value(value))) => plain(value.cast_unsigned()),
        (_, Some(Side::Place(place))) => of_place(question, place),
        _ => Err(MISSING),
    }
}

/// The answers about a member: for a bit field, about the aligned integer that contains it.
fn of_place(question: Question, place: &Place) -> Result<Answer, &'static str> {
    let field = place.bits > 0;
    let (mut offset, mut size) = (place.bit_offset / 8, place.size);
    if field {
        let bits = u64::from(place.bits);
        if !matches!(size, 1 | 2 | 4 | 8) {
            return Err("a bit field of a strange type");
        }
        offset = offset / size * size;
        while place.bit_offset + bits - offset * 8 > size * 8 {
            if size >= 8 {
                return Err("a bit field that no load of 8 bytes contains");
            }
            size *= 2;
            offset = place.bit_offset / 8 / size * size;
        }
    }
    let bits = if field { u64::from(place.bits) } else { size.saturating_mul(8) };
    let shift = |shift: Option<u64>| shift.filter(|shift| *shift < 64).ok_or("a member of more than 8 bytes");
    let (value, access) = match question {
        Question::Offset => (offset, (!field).then_some(size)),
        Question::Size => (size, None),
        Question::Signed if place.member => (u64::from(place.signed), None),
        Question::ShiftLeft if place.member => {
            (shift(64_u64.checked_sub((place.bit_offset - offset * 8).saturating_add(bits)))?, None)
        }
        Question::ShiftRight if place.member => (shift(64_u64.checked_sub(bits))?, None),
        _ => return Err("a question that cannot be asked of an element"),
    };
    let validate = !field || matches!(question, Question::Signed | Question::ShiftRight);
    Ok(Answer { value, validate, access })
}

/// May a load or store of the first size be one of the second?
fn resized(local: &Side, before: Answer, after: Answer) -> Result<(), &'static str> {
    let Side::Place(local) = local else { return Ok(()) };
    if before.access == after.access || local.pointer || (local.integer && !local.signed) {
        return Ok(());
    }
    Err("the kernel's has another size, and its sign would be lost")
}
