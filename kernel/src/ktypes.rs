//! What the compiler knew of the kernel's functions and types: names and places of arguments, fields of structs.
//!
//! The table is appended to the image behind the symbols (`cargo xtask`), in the format of `tracecore::typetab`, and read in
//! place. It is looked at when somebody asks for the first time: a kernel that nobody asks has not spent an instruction.

use tracecore::typetab::TypeTable;

use crate::{arch, ksyms};

static TYPES: spin::once::Once<TypeTable<'static>, arch::mmu::Yield> = spin::once::Once::new();

/// The table; without a good one, one of nothing.
pub(crate) fn table() -> &'static TypeTable<'static> {
    TYPES.call_once(|| {
        TypeTable::parse(ksyms::behind()).unwrap_or_else(|e| {
            log::warn!("ktypes: {e}: arguments have no names");
            TypeTable::EMPTY
        })
    })
}
