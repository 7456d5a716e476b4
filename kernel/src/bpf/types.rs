//! The kernel's types as programs may ask for them: CO-RE relocations, typed pointers.
//!
//! What there is, is what the compiler told of the arguments of functions and of what they point to
//! ([`ktypes`]): structs with their fields by name, without the paths before them. Enumerations are the integers
//! that they are stored as, and what has data besides is of a size and no more.

use ::bpf::types::{Member, Shape, TypeId, Types};
use tracecore::typetab::{self, TypeTable};

use crate::ktypes;

/// The types of this kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kernel;

fn table() -> &'static TypeTable<'static> {
    ktypes::table()
}

fn inner(ty: TypeId) -> typetab::TypeId {
    typetab::TypeId(ty.0)
}

impl Types for Kernel {
    fn named(&self, name: &str, visit: &mut dyn FnMut(TypeId)) {
        for number in 0..table().count() {
            if let Some(typetab::Shape::Record(record)) = table().shape(typetab::TypeId(number))
                && record.name == name
            {
                visit(TypeId(number));
            }
        }
    }

    fn shape(&self, ty: TypeId) -> Option<Shape> {
        Some(match table().shape(inner(ty))? {
            typetab::Shape::Opaque { .. } | typetab::Shape::Text { .. } => Shape::Opaque,
            typetab::Shape::Int { signed, .. } => Shape::Int { signed },
            typetab::Shape::Bool | typetab::Shape::Char => Shape::Int { signed: false },
            typetab::Shape::Pointer { to } => Shape::Pointer { to: TypeId(to.0) },
            typetab::Shape::Array { of, count } => Shape::Array { of: TypeId(of.0), count },
            typetab::Shape::Record(_) => Shape::Struct,
        })
    }

    fn name(&self, ty: TypeId) -> Option<&str> {
        match table().shape(inner(ty))? {
            typetab::Shape::Record(record) => Some(record.name),
            _ => Some(""),
        }
    }

    fn size(&self, ty: TypeId) -> Option<u64> {
        table().size(inner(ty))
    }

    fn members(&self, ty: TypeId, visit: &mut dyn FnMut(Member<'_>)) {
        let Some(typetab::Shape::Record(record)) = table().shape(inner(ty)) else { return };
        for field in record.fields() {
            if let Some(bit_offset) = field.offset.checked_mul(8) {
                visit(Member { name: field.name, ty: TypeId(field.ty.0), bit_offset, bits: 0 });
            }
        }
    }

    fn values(&self, _: TypeId, _: &mut dyn FnMut(&str, i64)) {}
}
