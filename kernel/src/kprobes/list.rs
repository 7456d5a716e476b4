//! What is registered, for those who show it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use a64::Insn;

use super::point::Flavour;
use super::register::{LOCK, enabled};
use super::table;
use crate::sync::PreemptGuard;
use crate::text::OwnedWord;

/// A registered handler, for the list of probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The probed address.
    pub(crate) addr: usize,
    /// Whether the handler is called.
    pub(crate) armed: bool,
    /// What it calls itself.
    pub(crate) name: String,
    /// Whether it is there for the function's return.
    pub(crate) is_return: bool,
    /// How a hit executes the word.
    pub(crate) flavour: Flavour,
}

/// All registered handlers, by address.
pub(crate) fn list() -> Vec<Listed> {
    let lock = LOCK.lock();
    let mut all = Vec::new();
    table::for_each(&lock, |point| {
        all.extend(point.entries(&lock).iter().map(|entry| Listed {
            addr: point.addr() as usize,
            armed: entry.is_armed(),
            name: entry.handler().name().into(),
            is_return: entry.handler().is_return(),
            flavour: point.flavour(&lock),
        }));
    });
    all.sort_by_key(|listed| listed.addr);
    all
}

/// The word that was compiled at `addr`, if there is a probe.
pub(crate) fn original(addr: usize) -> Option<Insn> {
    let _pinned = PreemptGuard::new();
    table::lookup(addr as u64).map(|point| point.original())
}

/// For `text`: whose word is it?
pub(super) fn owner(addr: usize) -> Option<OwnedWord> {
    let lock = LOCK.lock();
    if !enabled() {
        return None;
    }
    let point = table::find(&lock, addr as u64).filter(|point| !point.is_at_site())?;
    let entry = point.entries(&lock).iter().find(|entry| entry.is_armed())?;
    Some(OwnedWord {
        original: point.original(),
        owner: format!("kprobe {} ({})", entry.handler().name(), point.flavour(&lock).name()),
    })
}
