//! The class of a probe's event, from its definition.

use super::{Announced, Class, Field, HEADER_LEN, LineStyle, Piece, Shown};
use crate::probe::{Arg, Definition, Style, Type};
use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

/// Where the arguments of a probe start: behind the header and the address.
pub const PROBE_ARGS_AT: usize = HEADER_LEN + 8;
/// Where the arguments of a return probe start: behind the header, the function and the return address.
pub const RETURN_ARGS_AT: usize = HEADER_LEN + 16;

/// The class of the event that `probe` defines. Probes that [join](crate::probe::join) it have the same.
pub fn probe_class(id: u16, probe: &Definition) -> Class {
    let address = |name, offset| Field::new("unsigned long", name, offset, 8, false);
    let literal = |text| Piece::Literal(Cow::Borrowed(text));
    let symbol = |field, shown| Piece::Value { field, shown, count: None, named: false };
    let mut fields = Vec::with_capacity(probe.args.len() + 2);
    let mut pieces = Vec::with_capacity(probe.args.len() + 5);
    let (announced, mut at) = if probe.is_return() {
        fields.extend([address("__probe_func", 8), address("__probe_ret_ip", 16)]);
        // Announced in the order of the fields, shown as the way that the return took.
        pieces.extend([
            literal("("),
            symbol(1, Shown::Symbol),
            literal(" <- "),
            symbol(0, Shown::SymbolName),
            literal(")"),
        ]);
        let values = ", REC->__probe_func, REC->__probe_ret_ip";
        (Announced::Named { format: "(%lx <- %lx)", values }, RETURN_ARGS_AT)
    } else {
        fields.push(address("__probe_ip", 8));
        pieces.extend([literal("("), symbol(0, Shown::Symbol), literal(")")]);
        (Announced::Named { format: "(%lx)", values: ", REC->__probe_ip" }, PROBE_ARGS_AT)
    };
    for arg in &probe.args {
        let field = fields.len() as u16;
        let count = arg.count.map(|count| count as u16);
        pieces.push(Piece::Value { field, shown: shown(arg), count, named: true });
        fields.push(argument_field(arg, at as u16));
        at += arg.size();
    }
    Class {
        id,
        system: probe.group.clone().into(),
        name: probe.event.clone().into(),
        fields,
        announced,
        pieces,
        style: LineStyle::Named,
    }
}

fn argument_field(arg: &Arg, offset: u16) -> Field {
    let ty = arg.ty.field_type();
    // The brackets of an array of texts are part of the type; those of other arrays follow the name.
    let (ty, suffix) = match arg.count {
        None => (ty.into(), ""),
        Some(count) if arg.ty.is_text() => (format!("{ty}[{count}]").into(), ""),
        Some(_) => (ty.into(), "[]"),
    };
    Field {
        ty,
        name: arg.name.clone().into(),
        suffix: suffix.into(),
        offset,
        size: arg.size() as u16,
        signed: arg.ty.is_signed(),
    }
}

fn shown(arg: &Arg) -> Shown {
    match arg.ty {
        Type::Int(_, Style::Hex) => Shown::Hex,
        Type::Int(..) => Shown::Decimal,
        Type::Char => Shown::Char,
        Type::Symbol => Shown::Symbol,
        Type::SymbolString | Type::String { .. } => Shown::Text,
    }
}
