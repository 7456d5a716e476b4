//! The class of an event that is declared in code: its fields and the text of its `format` file.

use super::{Announced, Class, Field, LineStyle, Piece, PrintError, Printf};
use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

/// The class of such an event, still without an id.
///
/// # Errors
/// What is wrong with the text.
pub fn declared_class(
    system: &'static str,
    name: &'static str,
    fields: Vec<Field>,
    print: &'static str,
) -> Result<Class, PrintError> {
    let program = Printf::parse(print, &fields)?;
    Ok(Class {
        id: 0,
        system: Cow::Borrowed(system),
        name: Cow::Borrowed(name),
        fields,
        announced: Announced::Text(Cow::Borrowed(print)),
        pieces: vec![Piece::Printf(program)],
        style: LineStyle::Named,
    })
}
