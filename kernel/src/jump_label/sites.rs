//! The jump table, read once at boot.
//!
//! The table lies in `.rodata`, in the order in which the linker met the code. [`init`] makes an index in memory:
//!
//! ```text
//!   sites     K1 a  K1 d  K2 b  K2 c  K2 e …     by key, then address: a key's sites are a run
//!   by_code     0     2     3     1     4 …      by address: whose is this word?
//! ```
//!
//! and each key is told where its run is, so that a flip searches nothing.

use core::sync::atomic::Ordering;

use a64::{Insn, encode};
use alloc::format;
use alloc::vec::Vec;
use tracecore::errno::Errno;
use tracecore::keys;

use super::key::{self, StaticKey};
use crate::sync::Once;
use crate::text::{self, OwnedWord, Patch, Transaction};

/// An entry as `static_branch!` writes it.
#[repr(C, align(8))]
struct Entry {
    code: i32,
    target: i32,
    key: i64,
}

const _: () = assert!(size_of::<Entry>() as u64 == keys::ENTRY_BYTES);

/// A site, ready to be flipped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    at: keys::Site,
    branch: Insn,
}

impl Site {
    /// What belongs there while the key is `on`.
    fn word(&self, on: bool) -> Insn {
        if self.at.jumps(on) { self.branch } else { encode::nop() }
    }

    /// The change that makes the key `on`.
    pub(super) fn patch(&self, on: bool) -> Patch {
        Patch { addr: self.at.code as usize, expected: self.word(!on), new: self.word(on) }
    }

    fn key(&self) -> &'static StaticKey {
        // SAFETY: `static_branch!` writes the address of a `static` of this type, and nobody else fills the section.
        unsafe { &*core::ptr::with_exposed_provenance::<StaticKey>(self.at.key as usize) }
    }
}

/// A key's part of the sites: begin in the low half, length in the high half.
pub(super) struct Run;

impl Run {
    /// Above this is the length.
    pub(super) const LEN_SHIFT: u32 = 32;
}

struct Index {
    sites: Vec<Site>,
    by_code: Vec<u32>,
}

static INDEX: Once<Index> = Once::new();

fn table() -> &'static [Entry] {
    unsafe extern "C" {
        static __jump_table_start: Entry;
        static __jump_table_end: Entry;
    }
    let (start, end) = (&raw const __jump_table_start, &raw const __jump_table_end);
    // SAFETY: the linker script gathers the entries, 16 aligned bytes each, between the two symbols.
    unsafe { core::slice::from_raw_parts(start, (end.addr() - start.addr()) / size_of::<Entry>()) }
}

/// Sorts the table and patches the sites of keys that are on. Once, at boot. Returns how many sites there are.
///
/// # Errors
/// ENOMEM; EINVAL for a branch that is too far for B; those of the transaction, which changes nothing then.
pub(crate) fn init() -> Result<usize, Errno> {
    let _flipping = key::lock().map_err(key::Refusal::errno)?;
    let mut at = Vec::new();
    at.try_reserve_exact(table().len()).map_err(|_| Errno::ENOMEM)?;
    at.extend(table().iter().map(|entry| {
        let place = (&raw const *entry).addr() as u64;
        keys::Site::of_entry(place, entry.code, entry.target, entry.key)
    }));
    keys::sort(&mut at);

    let (mut sites, mut by_code) = (Vec::new(), Vec::new());
    sites.try_reserve_exact(at.len()).map_err(|_| Errno::ENOMEM)?;
    by_code.try_reserve_exact(at.len()).map_err(|_| Errno::ENOMEM)?;
    for at in at {
        let branch = encode::b(at.offset()).map_err(|_| Errno::EINVAL)?;
        by_code.push(sites.len() as u32);
        sites.push(Site { at, branch });
    }
    by_code.sort_unstable_by_key(|i| sites.get(*i as usize).map(|site: &Site| site.at.code));

    let mut batch = Transaction::with_capacity(sites.len()).map_err(|e| e.errno())?;
    for site in sites.iter().filter(|site| site.key().is_enabled()) {
        let patch = site.patch(true);
        batch.push(patch.addr, patch.expected, patch.new).map_err(|e| e.errno())?;
    }
    if let Err(e) = batch.commit() {
        log::error!("jump_label: {e}");
        return Err(e.errno());
    }
    let mut begin = 0u64;
    for run in sites.chunk_by(|a, b| a.at.key == b.at.key) {
        let len = run.len() as u64;
        if let Some(site) = run.first() {
            site.key().run.store(len << Run::LEN_SHIFT | begin, Ordering::Relaxed);
        }
        begin += len;
    }
    INDEX.set(Index { sites, by_code }).map_err(|_| Errno::EBUSY)?;
    text::register_owner(owner)?;
    Ok(table().len())
}

fn index() -> &'static [Site] {
    INDEX.get().map_or(&[], |index| &index.sites)
}

/// The sites of `key`; none before `init`.
pub(super) fn of(key: &StaticKey) -> &'static [Site] {
    let run = key.run.load(Ordering::Relaxed);
    let (begin, len) = (run as u32 as usize, (run >> Run::LEN_SHIFT) as usize);
    index().get(begin..begin + len).unwrap_or_default()
}

fn site_at(addr: usize) -> Option<&'static Site> {
    let index = INDEX.get()?;
    let site = |i: &u32| index.sites.get(*i as usize);
    let found =
        index.by_code.binary_search_by_key(&Some(addr as u64), |i| site(i).map(|s| s.at.code)).ok()?;
    index.by_code.get(found).and_then(site)
}

/// Is the word at `addr` a branch on a key?
pub(crate) fn is_site(addr: usize) -> bool {
    site_at(addr).is_some()
}

fn owner(addr: usize) -> Option<OwnedWord> {
    let site = site_at(addr)?;
    Some(OwnedWord { original: site.word(false), owner: format!("static key {}", site.key().name()) })
}

/// Every key that some code branches on.
pub(crate) fn keys() -> impl Iterator<Item = &'static StaticKey> {
    index().chunk_by(|a, b| a.at.key == b.at.key).filter_map(|run| run.first()).map(Site::key)
}

/// A site, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SiteInfo {
    /// Address of the instruction.
    pub(crate) code: usize,
    /// Where its branch goes.
    pub(crate) target: usize,
    /// In line is what is done when the key is on.
    pub(crate) likely: bool,
}

impl StaticKey {
    /// Where code branches on it, by address.
    pub(crate) fn sites(&self) -> impl ExactSizeIterator<Item = SiteInfo> {
        of(self).iter().map(|site| SiteInfo {
            code: site.at.code as usize,
            target: site.at.target as usize,
            likely: site.at.likely,
        })
    }
}
