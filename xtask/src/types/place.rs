//! Where an argument is when its function begins.
//!
//! ```text
//!   DW_OP_reg3                                    in x3                        Place::Register
//!   DW_OP_breg3 0, DW_OP_stack_value              the value of x3
//!   DW_OP_reg0, DW_OP_piece 8, DW_OP_reg1, …      a pair of words              Place::Pair
//!   DW_OP_breg3 0                                 in memory, x3 has its address  Place::Memory
//!   DW_OP_entry_value(DW_OP_reg3) later on        was in x3 at the entry
//! ```
//!
//! Everything else is not known: a value that was computed, a place on the stack, one of which a part is gone.

use std::ops::RangeInclusive;

use anyhow::Result;
use gimli::{AttributeValue, Expression, Operation};
use tracecore::typetab::Place;

use super::{Reader, Unit};

/// Registers that arguments are passed in.
const ARGUMENT_REGISTERS: u8 = 8;
/// Bits of a register.
const WORD_BITS: u64 = 64;

/// The place that `location` says for a function's entry: for `entry`, the address of its first instruction and that of
/// the first one that the compiler has not put there for a tracer.
pub(super) fn at_entry<'e>(
    unit: &Unit<'e>,
    location: AttributeValue<Reader<'e>>,
    entry: &RangeInclusive<u64>,
) -> Result<Option<Place>> {
    if let AttributeValue::Exprloc(expression) = location {
        return place(unit, expression);
    }
    let Some(mut list) = unit.dwarf.attr_locations(&unit.inner, location)? else { return Ok(None) };
    let mut from_later = None;
    while let Some(found) = list.next()? {
        if found.range.begin <= *entry.end() && found.range.end > *entry.start() {
            return place(unit, found.data);
        }
        if from_later.is_none() {
            from_later = entry_value(unit, found.data)?;
        }
    }
    Ok(from_later)
}

fn place<'e>(unit: &Unit<'e>, expression: Expression<Reader<'e>>) -> Result<Option<Place>> {
    if let found @ Some(_) = entry_value(unit, expression)? {
        return Ok(found);
    }
    let mut operations = Vec::new();
    let mut all = expression.operations(unit.inner.encoding());
    while let Some(operation) = all.next()? {
        operations.push(operation);
    }
    let found = match operations.as_slice() {
        [Operation::Register { register }] => argument(*register).map(Place::Register),
        [Operation::RegisterOffset { register, offset: 0, .. }, Operation::StackValue] => {
            argument(*register).map(Place::Register)
        }
        // A truth value is one bit of what was passed.
        [
            Operation::RegisterOffset { register, offset: 0, .. },
            Operation::UnsignedConstant { value: 1 },
            Operation::And,
            Operation::StackValue,
        ] => argument(*register).map(Place::Register),
        [Operation::RegisterOffset { register, offset: 0, .. }] => argument(*register).map(Place::Memory),
        [
            Operation::Register { register: low },
            Operation::Piece { size_in_bits: WORD_BITS, bit_offset: None },
            Operation::Register { register: high },
            Operation::Piece { size_in_bits: ..=WORD_BITS, bit_offset: None },
        ] => match (argument(*low), argument(*high)) {
            (Some(low), Some(high)) => Some(Place::Pair(low, high)),
            _ => None,
        },
        _ => None,
    };
    Ok(found)
}

/// The register that had the value at the entry, where an expression says so.
fn entry_value<'e>(unit: &Unit<'e>, expression: Expression<Reader<'e>>) -> Result<Option<Place>> {
    let mut operations = expression.operations(unit.inner.encoding());
    let Some(Operation::EntryValue { expression }) = operations.next()? else { return Ok(None) };
    if !matches!(operations.next()?, Some(Operation::StackValue)) || operations.next()?.is_some() {
        return Ok(None);
    }
    let mut inner = Expression(expression).operations(unit.inner.encoding());
    match inner.next()? {
        Some(Operation::Register { register }) => Ok(argument(register).map(Place::Register)),
        _ => Ok(None),
    }
}

/// x0 to x7 (DWARF for the Arm 64-bit Architecture: their numbers are their own).
fn argument(register: gimli::Register) -> Option<u8> {
    u8::try_from(register.0).ok().filter(|x| *x < ARGUMENT_REGISTERS)
}
