//! The transaction: all words or none.
//!
//! # Which words may change while they are executed
//!
//! Arm ARM B2.2.5 ("Concurrent modification and execution of instructions"): if the word before and the word after
//! the change are both one of B, BL, BRK, HVC, ISB, NOP, SMC, SVC, then a CPU that executes there sees the one or the
//! other. For every other pair anything may happen, so no CPU may be there: the machine is stopped, once for
//! the whole batch.
//!
//! # One page of the batch
//!
//! | step | why |
//! |---|---|
//! | store the batch's literals, each 8 bytes at once; `dsb ishst` | a branch that the batch writes finds its literal there |
//! | map the page at the fixmap, writable, not executable | text itself is never writable |
//! | store each word, `dc cvau` | aligned 32-bit stores are single-copy atomic (B2.2.1) |
//! | `dsb ish` | the words have reached the point at which instruction fetch looks |
//! | `ic ivau` each word, `dsb ish`, `isb` | no instruction cache keeps the old words |
//! | unmap, `tlbi vaae1is` | the alias is gone |
//!
//! In the end every other CPU takes an interrupt, which is a context synchronisation event: when `commit` returns, no
//! CPU executes an old word any more.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use a64::Insn;
use tracecore::errno::Errno;

use super::ranges;
use crate::arch::mmu::Alias;
use crate::arch::{PAGE_SIZE, cache, cpu, mmu};
use crate::sync::{self, PreemptLock, PreemptLockGuard};

/// A change of one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Address of the word.
    pub(crate) addr: usize,
    /// What must be there.
    pub(crate) expected: Insn,
    /// What shall be there.
    pub(crate) new: Insn,
}

/// A change of 8 bytes that lie among the code and are read as data, never executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Literal {
    addr: usize,
    expected: u64,
    new: u64,
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchError {
    /// Not a word address of kernel text.
    NotText {
        /// The address.
        addr: usize,
    },
    /// A word is not what the caller thought.
    Unexpected {
        /// The address.
        addr: usize,
        /// What the caller thought.
        expected: Insn,
        /// What is there.
        found: Insn,
    },
    /// A literal is not what the caller thought.
    UnexpectedLiteral {
        /// The address.
        addr: usize,
        /// What the caller thought.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// Two changes of the same word.
    Twice {
        /// The address.
        addr: usize,
    },
    /// No memory for the batch.
    NoMemory,
    /// Called with interrupts masked, where CPUs cannot be synchronised.
    Context,
}

impl PatchError {
    /// The error number for a user.
    pub(crate) fn errno(self) -> Errno {
        match self {
            Self::NotText { .. } | Self::Twice { .. } => Errno::EINVAL,
            Self::Unexpected { .. } | Self::UnexpectedLiteral { .. } => Errno::EILSEQ,
            Self::NoMemory => Errno::ENOMEM,
            Self::Context => Errno::EWOULDBLOCK,
        }
    }
}

impl core::fmt::Display for PatchError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotText { addr } => write!(f, "{addr:#x} is not a word of kernel text"),
            Self::Unexpected { addr, expected, found } => {
                write!(f, "{addr:#x} holds {:#010x}, not {:#010x}", found.0, expected.0)
            }
            Self::UnexpectedLiteral { addr, expected, found } => {
                write!(f, "{addr:#x} holds {found:#018x}, not {expected:#018x}")
            }
            Self::Twice { addr } => write!(f, "{addr:#x} is changed twice"),
            Self::NoMemory => f.write_str("no memory for the batch"),
            Self::Context => f.write_str("text is not patched with interrupts masked"),
        }
    }
}

/// A batch of changes, built up.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    patches: Vec<Patch>,
    literals: Vec<Literal>,
}

impl Transaction {
    /// An empty batch with room for `n` changes.
    pub(crate) fn with_capacity(n: usize) -> Result<Self, PatchError> {
        Self::with_room(n, 0)
    }

    /// The same, with room for some literals.
    pub(crate) fn with_room(changes: usize, literals: usize) -> Result<Self, PatchError> {
        let mut batch = Self::default();
        batch.patches.try_reserve_exact(changes).map_err(|_| PatchError::NoMemory)?;
        batch.literals.try_reserve_exact(literals).map_err(|_| PatchError::NoMemory)?;
        Ok(batch)
    }

    /// Adds a change.
    pub(crate) fn push(&mut self, addr: usize, expected: Insn, new: Insn) -> Result<(), PatchError> {
        self.patches.try_reserve(1).map_err(|_| PatchError::NoMemory)?;
        self.patches.push(Patch { addr, expected, new });
        Ok(())
    }

    /// Adds a change of an aligned 8-byte literal. All literals of a batch are changed before its words.
    pub(crate) fn push_literal(&mut self, addr: usize, expected: u64, new: u64) -> Result<(), PatchError> {
        self.literals.try_reserve(1).map_err(|_| PatchError::NoMemory)?;
        self.literals.push(Literal { addr, expected, new });
        Ok(())
    }

    /// Is there nothing to change?
    pub(crate) fn is_empty(&self) -> bool {
        self.patches.is_empty() && self.literals.is_empty()
    }

    /// Makes all changes, or none.
    pub(crate) fn commit(mut self) -> Result<(), PatchError> {
        if !self.literals.is_sorted_by_key(|literal| literal.addr) {
            self.literals.sort_unstable_by_key(|literal| literal.addr);
        }
        commit_all(&mut self.patches, &self.literals)
    }
}

/// May `insn` be on either side of a change while it is executed?
const fn live(insn: Insn) -> bool {
    insn.matches(0x7c00_0000, 0x1400_0000) // B, BL
        || matches!(insn.0, 0xd503_201f | 0xd503_3fdf) // NOP, ISB SY
        || insn.matches(0xffe0_001f, 0xd420_0000) // BRK
        || (insn.matches(0xffe0_001c, 0xd400_0000) && insn.0 & 3 != 0) // SVC, HVC, SMC
}

/// The word at a text address, as instruction fetch would have it.
pub(crate) fn read_word(addr: usize) -> Option<Insn> {
    if !addr.is_multiple_of(4) || !ranges::is_text(addr) {
        return None;
    }
    // SAFETY: text, and aligned.
    Some(unsafe { load(addr) })
}

/// The word at an address of the programs.
pub(super) fn read_filled(addr: usize) -> Option<Insn> {
    let inside = addr.is_multiple_of(4) && ranges::Region::Programs.range().contains(&addr);
    // SAFETY: executable memory of the image, and aligned.
    inside.then(|| unsafe { load(addr) })
}

/// # Safety
/// `addr` is the address of a word of text.
#[inline(always)]
unsafe fn load(addr: usize) -> Insn {
    // SAFETY: text is mapped and readable, the address is aligned; atomic, since others may write it.
    Insn(unsafe { AtomicU32::from_ptr(core::ptr::with_exposed_provenance_mut(addr)) }.load(Ordering::Relaxed))
}

/// The literal at an address.
fn read_literal(addr: usize) -> Option<u64> {
    if !addr.is_multiple_of(8) || !ranges::is_text(addr) || !ranges::is_text(addr + 4) {
        return None;
    }
    // SAFETY: as in `read_word`, for 8 bytes.
    Some(unsafe { AtomicU64::from_ptr(core::ptr::with_exposed_provenance_mut(addr)) }.load(Ordering::Relaxed))
}

/// Makes all changes of `patches`, or none; sorts them by address. For a few changes on the caller's stack.
pub(crate) fn commit(patches: &mut [Patch]) -> Result<(), PatchError> {
    commit_all(patches, &[])
}

/// Makes all changes, or none: first the literals, which are sorted, then the words.
fn commit_all(patches: &mut [Patch], literals: &[Literal]) -> Result<(), PatchError> {
    if crate::arch::daif::irqs_masked() && cpu::online() > 1 {
        return Err(PatchError::Context);
    }
    if !patches.is_sorted_by_key(|patch| patch.addr) {
        patches.sort_unstable_by_key(|patch| patch.addr);
    }
    let writer = Writer::lock();
    let live = writer.check(patches)?;
    if !literals.is_empty() {
        writer.check_literals(literals)?;
        writer.write_literals(literals);
    }
    if patches.is_empty() {
        return Ok(());
    }
    if live {
        writer.write(patches);
        if cpu::online() > 1 {
            // An interrupt's entry and return are context synchronisation events; `isb` says what it is for.
            sync::on_each_cpu(&cache::isb);
            // QEMU 7.2 drops its translation of a word before it stores the new one: a CPU that translates in between
            // goes on with the old word. A second store drops that translation too. A real machine does not need it.
            writer.write(patches);
        }
    } else {
        sync::stop_machine(|| writer.write(patches));
    }
    Ok(())
}

/// Fills executable memory that no CPU can be executing (a slot not yet handed out).
pub(super) fn fill(addr: usize, words: &[Insn]) {
    Writer::lock().write_run(addr, words.iter().copied());
}

/// Changes one word of a slot that CPUs may be executing. The word before and the one after are a branch and a
/// breakpoint, so each CPU sees the one or the other; when this returns, the new one.
pub(super) fn rewrite(addr: usize, word: Insn) {
    let writer = Writer::lock();
    writer.write_run(addr, core::iter::once(word));
    if cpu::online() > 1 {
        sync::on_each_cpu(&cache::isb);
        // As in `commit`.
        writer.write_run(addr, core::iter::once(word));
    }
}

/// The right to write text; one at a time.
struct Writer {
    _lock: PreemptLockGuard<'static, ()>,
}

static WRITER: PreemptLock<()> = PreemptLock::new(());

impl Writer {
    fn lock() -> Self {
        Self { _lock: WRITER.lock() }
    }

    /// Is everything text, once, and as expected? Sorted words are all text if the first and the last are. Says whether
    /// all may be changed while they are executed.
    fn check(&self, patches: &[Patch]) -> Result<bool, PatchError> {
        for addr in patches.first().into_iter().chain(patches.last()).map(|patch| patch.addr) {
            if !ranges::is_text(addr) {
                return Err(PatchError::NotText { addr });
            }
        }
        let mut all_live = true;
        let mut before = 0;
        for &Patch { addr, expected, new } in patches {
            if !addr.is_multiple_of(4) {
                return Err(PatchError::NotText { addr });
            }
            if addr == before {
                return Err(PatchError::Twice { addr });
            }
            // SAFETY: aligned, and between two words of text.
            let found = unsafe { load(addr) };
            if found != expected {
                return Err(PatchError::Unexpected { addr, expected, found });
            }
            all_live &= live(expected) && live(new);
            before = addr;
        }
        Ok(all_live)
    }

    #[inline(never)]
    fn check_literals(&self, literals: &[Literal]) -> Result<(), PatchError> {
        let mut before = 0;
        for &Literal { addr, expected, .. } in literals {
            let found = read_literal(addr).ok_or(PatchError::NotText { addr })?;
            if addr == before {
                return Err(PatchError::Twice { addr });
            }
            if found != expected {
                return Err(PatchError::UnexpectedLiteral { addr, expected, found });
            }
            before = addr;
        }
        Ok(())
    }

    /// Writes checked, sorted literals, page by page. They are data: no instruction cache has to know, and who reads one
    /// sees the old or the new.
    #[inline(never)]
    fn write_literals(&self, literals: &[Literal]) {
        for page in literals.chunk_by(|a, b| a.addr / PAGE_SIZE == b.addr / PAGE_SIZE) {
            let Some(alias) = page.first().and_then(|first| self.alias(first.addr)) else { continue };
            for literal in page {
                let at = core::ptr::with_exposed_provenance_mut(alias.at(literal.addr));
                // SAFETY: the alias maps the literal's page, writable, and it is aligned; atomic, since CPUs read it.
                unsafe { AtomicU64::from_ptr(at) }.store(literal.new, Ordering::Release);
            }
        }
        cache::stores_done();
    }

    /// Writes checked, sorted changes, page by page.
    fn write(&self, patches: &[Patch]) {
        for page in patches.chunk_by(|a, b| a.addr / PAGE_SIZE == b.addr / PAGE_SIZE) {
            let Some(alias) = page.first().and_then(|first| self.alias(first.addr)) else { continue };
            // A word lies within one line of any cache.
            for patch in page {
                store(&alias, patch.addr, patch.new);
                cache::clean_word(alias.at(patch.addr));
            }
            cache::complete();
            for patch in page {
                cache::forget_word(patch.addr);
            }
            cache::complete_code();
        }
    }

    /// Writes words side by side within one page.
    fn write_run(&self, addr: usize, words: impl ExactSizeIterator<Item = Insn>) {
        let len = words.len() * 4;
        let Some(alias) = self.alias(addr) else { return };
        for (i, word) in words.enumerate() {
            store(&alias, addr + 4 * i, word);
        }
        cache::sync_icache(alias.at(addr), addr, len);
    }

    fn alias(&self, addr: usize) -> Option<Alias> {
        // SAFETY: holding `self` makes this the only user of the fixmap page; what is written is checked text or a
        // free slot. The alias exists since boot made its tables.
        unsafe { Alias::map(0, mmu::image_phys(addr)) }
    }
}

fn store(alias: &Alias, addr: usize, word: Insn) {
    // SAFETY: the alias maps the page of `addr`, writable, and words are aligned; atomic, since CPUs fetch it.
    unsafe { AtomicU32::from_ptr(core::ptr::with_exposed_provenance_mut(alias.at(addr))) }
        .store(word.0, Ordering::Relaxed);
}
