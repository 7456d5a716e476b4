//! BTF, seen as a table of types: modifiers are looked through.

use super::{Btf, Kind};
use crate::types::{Member, Shape, TypeId, Types};

impl Types for Btf {
    fn named(&self, name: &str, visit: &mut dyn FnMut(TypeId)) {
        for (ty, found) in self.types() {
            let counts = !matches!(
                found.kind,
                Kind::Void | Kind::Fwd { .. } | Kind::Var { .. } | Kind::Section { .. } | Kind::DeclTag(_)
            );
            if counts && self.string(found.name) == name {
                visit(TypeId(ty));
            }
        }
    }

    fn shape(&self, ty: TypeId) -> Option<Shape> {
        Some(match self.resolve(ty.0)?.1 {
            Kind::Void => Shape::Void,
            Kind::Int { signed, .. } => Shape::Int { signed: *signed },
            Kind::Ptr(to) => Shape::Pointer { to: TypeId(*to) },
            Kind::Array { of, count } => Shape::Array { of: TypeId(*of), count: u64::from(*count) },
            Kind::Composite { union: false, .. } => Shape::Struct,
            Kind::Composite { union: true, .. } => Shape::Union,
            Kind::Enum { signed, .. } => Shape::Enum { signed: *signed },
            Kind::Float(_) => Shape::Float,
            Kind::Proto { .. } | Kind::Func { .. } => Shape::Function,
            Kind::Fwd { .. } => Shape::Opaque,
            Kind::Typedef(_)
            | Kind::Modifier(_)
            | Kind::Var { .. }
            | Kind::Section { .. }
            | Kind::DeclTag(_) => {
                return None;
            }
        })
    }

    fn name(&self, ty: TypeId) -> Option<&str> {
        let (ty, _) = self.resolve(ty.0)?;
        Some(self.name_of(ty))
    }

    fn size(&self, ty: TypeId) -> Option<u64> {
        self.size_of(ty.0)
    }

    fn members(&self, ty: TypeId, visit: &mut dyn FnMut(Member<'_>)) {
        if let Some((_, Kind::Composite { members, .. })) = self.resolve(ty.0) {
            for member in self.members_of(members) {
                visit(Member {
                    name: self.string(member.name),
                    ty: TypeId(member.ty),
                    bit_offset: u64::from(member.bit_offset),
                    bits: u32::from(member.bits),
                });
            }
        }
    }

    fn values(&self, ty: TypeId, visit: &mut dyn FnMut(&str, i64)) {
        if let Some((_, Kind::Enum { values, .. })) = self.resolve(ty.0) {
            for value in self.values_of(values) {
                visit(self.string(value.name), value.value);
            }
        }
    }
}
