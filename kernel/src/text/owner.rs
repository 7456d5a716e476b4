//! Who changed a word of text.
//!
//! The rooms that change text know their own words; each registers a function that answers for an address. So nothing
//! is kept twice, and a change costs nothing here.

use a64::Insn;
use alloc::string::String;
use tracecore::errno::Errno;

use crate::sync::Once;

/// What is known of a word that somebody may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedWord {
    /// What was compiled.
    pub(crate) original: Insn,
    /// Whose it is, in words (`kprobe first`, `ftrace site`).
    pub(crate) owner: String,
}

/// Answers for an address.
pub(crate) type Resolver = fn(usize) -> Option<OwnedWord>;

const RESOLVERS: usize = 8;
static RESOLVER: [Once<Resolver>; RESOLVERS] = [const { Once::new() }; RESOLVERS];

/// Adds a room that changes text.
///
/// # Errors
/// ENOSPC when there is no place for another room.
pub(crate) fn register_owner(resolver: Resolver) -> Result<(), Errno> {
    RESOLVER.iter().find_map(|slot| slot.set(resolver).ok()).ok_or(Errno::ENOSPC)
}

/// Who owns the word at `addr`; the room that changed it last registered last and is asked first.
pub(crate) fn owner_of(addr: usize) -> Option<OwnedWord> {
    RESOLVER.iter().rev().filter_map(Once::get).find_map(|resolver| resolver(addr))
}
