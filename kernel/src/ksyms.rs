//! The kernel's own symbols: every function and variable of the image, both ways.
//!
//! The table is appended to the image after the link (`cargo xtask`), at `__ksyms_start`, in the format of
//! `tracecore::symtab`. It is read in place: a lookup allocates nothing and takes no lock, so it may be used in any
//! context. Programs that are compiled while the kernel runs come and go beside it (`text::programs`).

use tracecore::symtab::{BLOB_ALIGN, Symbol, Symtab};

use crate::boot;
use crate::text::programs;

static SYMTAB: spin::once::Once<Symtab<'static>, crate::arch::mmu::Yield> = spin::once::Once::new();

/// What the build has appended to the image: the symbols, and more behind them.
fn appended() -> &'static [u8] {
    unsafe extern "C" {
        static __ksyms_start: u8;
    }
    let start = &raw const __ksyms_start;
    let image = &boot::info().image;
    let end = crate::arch::mmu::KIMAGE_VADDR + image.len();
    // SAFETY: `mmu::init` mapped all of the image, read-only for this part, and nobody writes it.
    unsafe { core::slice::from_raw_parts(start, end - start.addr()) }
}

/// What stands behind the symbols.
pub(crate) fn behind() -> &'static [u8] {
    let blob = appended();
    Symtab::blob_len(blob)
        .ok()
        .and_then(|len| blob.get(len.next_multiple_of(BLOB_ALIGN)..))
        .unwrap_or_default()
}

/// Checks the table. Once, at boot. Without a good one the kernel runs on, with no names.
pub(crate) fn init() {
    match Symtab::parse(appended()) {
        Ok(table) => {
            SYMTAB.call_once(|| table);
        }
        Err(e) => log::warn!("ksyms: {e:?}: addresses have no names"),
    }
}

/// The table, if there is one.
pub(crate) fn table() -> Option<&'static Symtab<'static>> {
    SYMTAB.get()
}

/// The symbol that `addr` lies in.
pub(crate) fn by_addr(addr: usize) -> Option<Symbol<'static>> {
    programs::find(addr).map(program).or_else(|| table()?.by_addr(addr as u64))
}

/// The symbol that is called exactly `name`.
pub(crate) fn by_name(name: &str) -> Option<Symbol<'static>> {
    table()?.by_name(name).or_else(|| programs::all().find(|found| found.name == name).map(program))
}

/// A compiled program as a symbol.
pub(crate) fn program(found: programs::Found) -> Symbol<'static> {
    let programs::Found { start, words, name } = found;
    Symbol { name, start: start as u64, size: 4 * words as u64, kind: b't' }
}
