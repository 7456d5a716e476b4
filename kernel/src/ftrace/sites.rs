//! The table of sites.

use a64::{Insn, encode};
use alloc::string::String;
use tracecore::errno::Errno;

use crate::text::{self, OwnedWord, Transaction};

/// What a site's literal names while nobody traces.
#[repr(C, align(8))]
#[derive(Debug)]
struct Ops {
    /// Called by the entry path; none while nothing can be registered.
    callback: Option<fn()>,
}

static NOP_OPS: Ops = Ops { callback: None };

/// `mov x9, x30`: keeps the caller's return address while BL overwrites x30.
const MOV_X9_X30: Insn = Insn(0xaa1e_03e9);

/// A patchable function entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// The function's symbol.
    pub(crate) function: usize,
}

impl Site {
    /// The first word that a probe may have: behind the two words of the entry.
    pub(crate) fn after(self) -> usize {
        self.function + 8
    }

    /// The words of the site: address, as compiled, as it is when ready.
    fn words(self) -> [(usize, Insn, Insn); 4] {
        let nop = encode::nop();
        let literal = (&raw const NOP_OPS).expose_provenance() as u64;
        [
            (self.function - 8, nop, Insn(literal as u32)),
            (self.function - 4, nop, Insn((literal >> 32) as u32)),
            (self.function, nop, MOV_X9_X30),
            (self.function + 4, nop, nop),
        ]
    }
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

/// The site that the word at `addr` belongs to.
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
    let mut batch = Transaction::with_capacity(entries().len() * 3).map_err(|e| e.errno())?;
    for site in sites() {
        for (addr, compiled, ready) in site.words() {
            if compiled != ready {
                batch.push(addr, compiled, ready).map_err(|e| e.errno())?;
            }
        }
    }
    if let Err(e) = batch.commit() {
        log::error!("ftrace: {e}");
        return Err(e.errno());
    }
    text::register_owner(owner)?;
    Ok(entries().len())
}

fn owner(addr: usize) -> Option<OwnedWord> {
    let site = site_of(addr)?;
    let (_, original, _) = site.words().into_iter().find(|(word, ..)| *word == addr)?;
    Some(OwnedWord { original, owner: String::from("ftrace site") })
}
