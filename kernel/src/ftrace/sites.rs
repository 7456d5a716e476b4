//! The table of sites, and the words of one.

use a64::{Insn, encode};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use tracecore::errno::Errno;

use super::ops::Ops;
use crate::text::{self, OwnedWord, PatchError, Transaction};

/// `mov x9, x30`: keeps the caller's return address while BL overwrites x30.
const MOV_X9_X30: Insn = Insn(0xaa1e_03e9);
const NOPS: u64 = (encode::nop().0 as u64) << 32 | encode::nop().0 as u64;

/// A patchable function entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    /// The function's symbol.
    pub(crate) function: usize,
}

impl Site {
    /// The first word that a probe may have: behind the two words of the entry.
    pub(crate) fn after(self) -> usize {
        self.function + 8
    }

    /// Its number: its place among all sites, from 0.
    pub(crate) fn number(self) -> Option<usize> {
        index(self)
    }

    /// Where the ops' address is.
    fn literal_at(self) -> usize {
        self.function - 8
    }

    /// The word that is a NOP or the branch.
    pub(crate) fn branch_at(self) -> usize {
        self.function + 4
    }

    /// The branch to a trampoline.
    pub(super) fn branch_to(self, target: usize) -> Result<Insn, PatchError> {
        encode::bl_to(self.branch_at() as u64, target as u64)
            .map_err(|_| PatchError::NotText { addr: self.branch_at() })
    }

    /// Is the branch taken?
    pub(crate) fn is_on(self) -> bool {
        text::read_word(self.branch_at()).is_some_and(|word| word != encode::nop())
    }

    /// Adds to a batch that the site names `to` instead of `from`.
    pub(super) fn name(
        self,
        batch: &mut Transaction,
        from: &'static Ops,
        to: &'static Ops,
    ) -> Result<(), PatchError> {
        batch.push_literal(self.literal_at(), address_of(from), address_of(to))
    }

    /// Adds to a batch that the site's word changes: a NOP or a branch before and after.
    pub(super) fn rebranch(self, batch: &mut Transaction, from: Insn, to: Insn) -> Result<(), PatchError> {
        batch.push(self.branch_at(), from, to)
    }
}

fn address_of(ops: &'static Ops) -> u64 {
    core::ptr::from_ref(ops).expose_provenance() as u64
}

/// The addresses of the first NOPs, sorted by the linker.
fn entries() -> &'static [usize] {
    unsafe extern "C" {
        static __patchable_function_entries_start: usize;
        static __patchable_function_entries_end: usize;
    }
    let start = &raw const __patchable_function_entries_start;
    let end = &raw const __patchable_function_entries_end;
    // SAFETY: the linker script gathers the section, words of 8 bytes, between the two symbols.
    unsafe { core::slice::from_raw_parts(start, (end.addr() - start.addr()) / size_of::<usize>()) }
}

/// All sites, by address.
pub(crate) fn sites() -> impl ExactSizeIterator<Item = Site> {
    entries().iter().map(|first| Site { function: first + 8 })
}

/// How many there are.
pub(super) fn count() -> usize {
    entries().len()
}

/// The site of this number.
pub(super) fn nth(n: usize) -> Option<Site> {
    entries().get(n).map(|first| Site { function: first + 8 })
}

/// The number of a site.
pub(super) fn index(site: Site) -> Option<usize> {
    entries().binary_search(&site.function.wrapping_sub(8)).ok()
}

/// The site whose branch is the word at `addr`.
pub(crate) fn site_of_branch(addr: usize) -> Option<Site> {
    let site = Site { function: addr.checked_sub(4)? };
    index(site).map(|_| site)
}

/// The site that the word at `addr` belongs to. Not compiled into its callers: they would compare what is no address when
/// there is none, in whatever register that lies.
#[inline(never)]
pub(crate) fn site_of(addr: usize) -> Option<Site> {
    let at = entries().partition_point(|first| *first <= addr).checked_sub(1)?;
    let first = *entries().get(at)?;
    (addr < first + 16).then_some(Site { function: first + 8 })
}

/// Makes every site ready. Once, at boot, while one CPU runs. Returns how many there are.
///
/// # Errors
/// Those of the transaction: a site that does not hold four NOPs is a bug of the build, and none is changed then.
pub(crate) fn init() -> Result<usize, Errno> {
    let mut batch = Transaction::with_capacity(count()).map_err(PatchError::errno)?;
    for site in sites() {
        batch
            .push_literal(site.literal_at(), NOPS, address_of(Ops::nop()))
            .and_then(|()| batch.push(site.function, encode::nop(), MOV_X9_X30))
            .map_err(PatchError::errno)?;
    }
    if let Err(e) = batch.commit() {
        log::error!("ftrace: {e}");
        return Err(e.errno());
    }
    text::register_owner(owner)?;
    Ok(count())
}

fn owner(addr: usize) -> Option<OwnedWord> {
    let site = site_of(addr)?;
    let owner = match super::ops::listeners(site) {
        ops if ops.is_empty() => String::from("ftrace site"),
        ops => format!("ftrace {}", ops.iter().map(|ops| ops.name()).collect::<Vec<_>>().join(", ")),
    };
    Some(OwnedWord { original: encode::nop(), owner })
}
