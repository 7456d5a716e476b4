//! The steps of an access: on the program's side by number, on the kernel's by name.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::super::{Btf, DEPTH_MAX, Kind, Member};
use super::{Place, Question, Side, essential};
use crate::types::{Shape, TypeId, Types};

/// The most steps of an access, as libbpf has it.
const STEPS_MAX: usize = 64;

/// One step on the program's side. Unnamed members are no step of their own.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    /// To an element: the first step, and one within each array.
    Element { index: u32 },
    /// To a member.
    Member { name: &'a str, ty: u32 },
}

/// An access on the program's side.
pub(super) struct Local<'a> {
    /// The type at which it begins, behind modifiers.
    pub(super) root: u32,
    steps: Vec<Step<'a>>,
    value: &'a str,
    pub(super) side: Side,
}

impl<'a> Local<'a> {
    /// Reads an access of the program.
    pub(super) fn parse(btf: &'a Btf, ty: u32, access: &str, question: Question) -> Result<Self, String> {
        let wrong = |what: &str| format!("the CO-RE access {access:?} to type [{ty}]: {what}");
        let mut numbers = Vec::new();
        for number in access.split(':') {
            if numbers.len() >= STEPS_MAX {
                return Err(wrong("too many steps"));
            }
            numbers.push(number.parse::<u32>().map_err(|_| wrong("not numbers"))?);
        }
        let (root, _) = btf.skip_modifiers(ty).ok_or_else(|| wrong("no such type"))?;
        let mut local = Self {
            root,
            steps: Vec::new(),
            value: "",
            side: Side::Type { number: root, size: btf.size_of(root) },
        };
        let kind = btf.resolve(root).map(|(_, kind)| kind).ok_or_else(|| wrong("no such type"))?;
        if question.is_of_type() {
            return if numbers == [0] { Ok(local) } else { Err(wrong("a type has no parts")) };
        }
        if question.is_of_value() {
            let (Kind::Enum { values, .. }, [nth]) = (kind, &numbers[..]) else {
                return Err(wrong("not a value of an enumeration"));
            };
            let value = btf.values_of(values).get(*nth as usize).ok_or_else(|| wrong("no such value"))?;
            (local.value, local.side) = (btf.string(value.name), Side::Value(value.value));
            return Ok(local);
        }
        local.walk(btf, &numbers).map_err(wrong)?;
        Ok(local)
    }

    fn walk(&mut self, btf: &'a Btf, numbers: &[u32]) -> Result<(), &'static str> {
        let bits = |index: u32, ty: u32| btf.size_of(ty)?.checked_mul(u64::from(index))?.checked_mul(8);
        let (first, rest) = numbers.split_first().ok_or("no steps")?;
        let mut at = bits(*first, self.root).ok_or("a type without a size")?;
        self.steps.push(Step::Element { index: *first });
        let (mut ty, mut member, mut last_of_struct) = (self.root, None::<Member>, false);
        for index in rest {
            match btf.resolve(ty).ok_or("no such type")?.1 {
                Kind::Composite { members, .. } => {
                    let all = btf.members_of(members);
                    let found = *all.get(*index as usize).ok_or("no such member")?;
                    at = at.checked_add(u64::from(found.bit_offset)).ok_or("too far")?;
                    let name = btf.string(found.name);
                    if !name.is_empty() {
                        self.steps.push(Step::Member { name, ty: found.ty });
                    }
                    (ty, member) = (found.ty, Some(found));
                    last_of_struct = *index as usize + 1 == all.len();
                }
                Kind::Array { of, count } => {
                    let flexible = last_of_struct && *count <= 1;
                    if !flexible && index >= count {
                        return Err("no such element");
                    }
                    let more = bits(*index, *of).ok_or("a type without a size")?;
                    at = at.checked_add(more).ok_or("too far")?;
                    self.steps.push(Step::Element { index: *index });
                    (ty, member, last_of_struct) = (*of, None, false);
                }
                _ => return Err("a step into something that has no parts"),
            }
        }
        let kind = btf.resolve(ty).ok_or("no such type")?.1;
        self.side = Side::Place(Place {
            bit_offset: at,
            bits: member.map_or(0, |member| u32::from(member.bits)),
            size: btf.size_of(ty).unwrap_or(0),
            member: member.is_some(),
            signed: matches!(kind, Kind::Int { signed: true, .. } | Kind::Enum { signed: true, .. }),
            pointer: matches!(kind, Kind::Ptr(_)),
            integer: matches!(kind, Kind::Int { .. }),
        });
        Ok(())
    }

    /// The access as one would write it: `struct WorkItem.len`.
    pub(super) fn text(&self, btf: &Btf) -> String {
        let keyword = match btf.resolve(self.root).map(|(_, kind)| kind) {
            Some(Kind::Composite { union: false, .. }) => "struct ",
            Some(Kind::Composite { union: true, .. }) => "union ",
            Some(Kind::Enum { .. }) => "enum ",
            _ => "",
        };
        let mut text = format!("{keyword}{}", btf.name_of(self.root));
        for (nth, step) in self.steps.iter().enumerate() {
            let written = match step {
                Step::Element { index: 0 } if nth == 0 => Ok(()),
                Step::Element { index } => write!(text, "[{index}]"),
                Step::Member { name, .. } => write!(text, ".{name}"),
            };
            // Writing to a string cannot fail.
            debug_assert!(written.is_ok());
        }
        if !self.value.is_empty() {
            text.push_str("::");
            text.push_str(self.value);
        }
        text
    }

    /// The same access in a type of the kernel; `None` if it has no such thing.
    pub(super) fn find(
        &self,
        btf: &Btf,
        types: &dyn Types,
        root: TypeId,
        question: Question,
    ) -> Option<Side> {
        match self.side {
            Side::Type { .. } => {
                let matches =
                    question != Question::TypeMatches || alike(btf, self.root, types, root, DEPTH_MAX);
                matches.then(|| Side::Type { number: root.0, size: types.size(root) })
            }
            Side::Value(_) => {
                let (name, mut found) = (essential(self.value), None);
                types.values(root, &mut |other, value| {
                    if essential(other) == name {
                        found = found.or(Some(Side::Value(value)));
                    }
                });
                found
            }
            Side::Place(_) => self.find_place(btf, types, root),
        }
    }

    fn find_place(&self, btf: &Btf, types: &dyn Types, root: TypeId) -> Option<Side> {
        let (mut ty, mut at, mut width, mut member, mut last) = (root, 0_u64, 0, false, false);
        for (nth, step) in self.steps.iter().enumerate() {
            match step {
                Step::Element { index } => {
                    if nth > 0 {
                        let (of, count) = array(types, ty)?;
                        if u64::from(*index) >= count && !(last && count <= 1) {
                            return None;
                        }
                        ty = of;
                    }
                    let size = types.size(ty)?;
                    at = at.checked_add(size.checked_mul(u64::from(*index))?.checked_mul(8)?)?;
                    (width, member, last) = (0, false, false);
                }
                Step::Member { name, ty: local } => {
                    let found = member_of(types, ty, name, DEPTH_MAX)?;
                    if !compatible(btf, *local, types, found.ty, DEPTH_MAX) {
                        return None;
                    }
                    at = at.checked_add(found.bit_offset)?;
                    (ty, width, member, last) = (found.ty, found.bits, true, found.last);
                }
            }
        }
        let shape = types.shape(unwrapped(types, ty))?;
        Some(Side::Place(Place {
            bit_offset: at,
            bits: width,
            size: types.size(ty).unwrap_or(0),
            member,
            signed: matches!(shape, Shape::Int { signed: true } | Shape::Enum { signed: true }),
            pointer: matches!(shape, Shape::Pointer { .. }),
            integer: matches!(shape, Shape::Int { .. }),
        }))
    }
}

/// A member that was found by name.
struct Found {
    ty: TypeId,
    bit_offset: u64,
    bits: u32,
    /// Nothing follows it.
    last: bool,
}

/// The member of a name, also within unnamed structs and unions.
fn member_of(types: &dyn Types, ty: TypeId, name: &str, depth: usize) -> Option<Found> {
    let depth = depth.checked_sub(1)?;
    let (mut found, mut unnamed) = (None, Vec::new());
    types.members(ty, &mut |member| {
        if let Some(Found { last, .. }) = &mut found {
            *last = false;
        } else if member.name == name {
            found =
                Some(Found { ty: member.ty, bit_offset: member.bit_offset, bits: member.bits, last: true });
        } else if member.name.is_empty() {
            unnamed.push((member.ty, member.bit_offset));
        }
    });
    found.or_else(|| {
        unnamed.into_iter().find_map(|(ty, bit_offset)| {
            let inner = member_of(types, ty, name, depth)?;
            Some(Found { bit_offset: inner.bit_offset.checked_add(bit_offset)?, ..inner })
        })
    })
}

/// What a struct around a single member of its own size contains, and that in its turn.
fn unwrapped(types: &dyn Types, mut ty: TypeId) -> TypeId {
    for _ in 0..DEPTH_MAX {
        let (mut count, mut inner) = (0, None);
        if types.shape(ty) == Some(Shape::Struct) {
            types.members(ty, &mut |member| {
                count += 1;
                inner = (member.bit_offset == 0 && member.bits == 0).then_some(member.ty);
            });
        }
        match inner {
            Some(inner) if count == 1 && types.size(inner) == types.size(ty) => ty = inner,
            _ => return ty,
        }
    }
    ty
}

fn array(types: &dyn Types, ty: TypeId) -> Option<(TypeId, u64)> {
    match types.shape(ty)? {
        Shape::Array { of, count } => Some((of, count)),
        _ => match types.shape(unwrapped(types, ty))? {
            Shape::Array { of, count } => Some((of, count)),
            _ => None,
        },
    }
}

/// May the kernel's member be taken for the program's?
fn compatible(btf: &Btf, local: u32, types: &dyn Types, kernel: TypeId, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let (Some((number, kind)), Some(shape)) = (btf.resolve(local), types.shape(kernel)) else { return false };
    let inner = unwrapped(types, kernel);
    match (kind, shape) {
        (_, Shape::Opaque)
        | (Kind::Composite { .. }, Shape::Struct | Shape::Union)
        | (Kind::Ptr(_), Shape::Pointer { .. })
        | (Kind::Float(_), Shape::Float)
        // A byte is also what Rust has for a truth value, and four of them for a character.
        | (Kind::Int { .. }, Shape::Int { .. })
        | (Kind::Proto { .. }, Shape::Function) => true,
        (Kind::Enum { .. }, Shape::Enum { .. }) => {
            let (ours, theirs) = (essential(btf.name_of(number)), types.name(kernel).unwrap_or_default());
            ours.is_empty() || theirs.is_empty() || ours == essential(theirs)
        }
        // Of an enumeration, a table may only know how it is stored.
        (Kind::Enum { .. }, Shape::Int { .. }) => true,
        (Kind::Array { of, .. }, Shape::Array { of: theirs, .. }) => {
            compatible(btf, *of, types, theirs, depth)
        }
        (_, Shape::Struct) if inner != kernel => compatible(btf, local, types, inner, depth),
        _ => false,
    }
}

/// Does the kernel's type have everything that the program's has, of the same kinds?
fn alike(btf: &Btf, local: u32, types: &dyn Types, kernel: TypeId, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    let Some((_, kind)) = btf.resolve(local) else { return false };
    match kind {
        Kind::Composite { members, .. } => btf.members_of(members).iter().all(|member| {
            let name = btf.string(member.name);
            name.is_empty()
                || member_of(types, kernel, name, DEPTH_MAX).is_some_and(|found| {
                    compatible(btf, member.ty, types, found.ty, depth)
                        && (found.bits > 0) == (member.bits > 0)
                })
        }),
        Kind::Enum { values, .. } => btf.values_of(values).iter().all(|value| {
            let mut found = false;
            types.values(kernel, &mut |name, _| found |= name == btf.string(value.name));
            found
        }),
        _ => compatible(btf, local, types, kernel, depth),
    }
}
