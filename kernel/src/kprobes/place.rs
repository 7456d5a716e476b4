//! May this word be probed, and how does it execute?

use a64::classify::exclusive::{self, REGION_WORDS};
use a64::{Class, Insn, Reason, Sim, classify};
use tracecore::errno::Errno;

use crate::ksyms;
use crate::text::ranges::Region;
use crate::text::{self, PatchError};

/// Why an address cannot be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not the address of a word.
    Unaligned,
    /// Not code of the kernel.
    NotText,
    /// Not in any function: a literal, or padding.
    NoFunction,
    /// In a range in which nothing is probed.
    Range(&'static str),
    /// A word of a function's patchable entry that ftrace changes.
    FtraceSite,
    /// A branch on a static key.
    StaticKeySite,
    /// Between a load-exclusive and its store-exclusive.
    Exclusive,
    /// The word itself.
    Insn(Reason),
    /// The function's entry cannot be patched.
    Site(Errno),
    /// All slots are taken.
    NoSlot,
    /// No memory.
    NoMemory,
    /// The text is not what it should be.
    Text(PatchError),
}

impl Refusal {
    /// The error number for a user: Linux's, where Linux has the case.
    pub(crate) fn errno(self) -> Errno {
        match self {
            Self::NoSlot => Errno::ENOSPC,
            Self::NoMemory => Errno::ENOMEM,
            Self::Text(e) => e.errno(),
            Self::Site(e) => e,
            _ => Errno::EINVAL,
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unaligned => f.write_str("not the address of an instruction"),
            Self::NotText => f.write_str("not kernel code"),
            Self::NoFunction => f.write_str("not inside a function"),
            Self::Range(why) => f.write_str(why),
            Self::FtraceSite => f.write_str("the word belongs to the function's patchable entry"),
            Self::StaticKeySite => f.write_str("the word is a branch on a static key"),
            Self::Exclusive => {
                f.write_str("between a load-exclusive and its store-exclusive, which would then always fail")
            }
            Self::Insn(reason) => reason.fmt(f),
            Self::Site(e) => write!(f, "the function's entry: {}", e.strerror()),
            Self::NoSlot => f.write_str("all slots are taken"),
            Self::NoMemory => f.write_str("no memory"),
            Self::Text(e) => e.fmt(f),
        }
    }
}

/// How a probed word executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Execution {
    /// In a slot.
    Step,
    /// On the saved registers.
    Simulate(Sim),
}

/// Looks at the word at `addr` as it is in memory: the word and how it would execute under a probe.
pub(crate) fn check(addr: usize) -> Result<(Insn, Execution), Refusal> {
    if !addr.is_multiple_of(4) {
        return Err(Refusal::Unaligned);
    }
    let region = Region::of(addr).ok_or(Refusal::NotText)?;
    if let Some(why) = region.refusal() {
        return Err(Refusal::Range(why));
    }
    // The entry's first word is an ordinary `mov`; the others are a literal and the place of the BL.
    if crate::ftrace::site_of(addr).is_some_and(|site| addr != site.function) {
        return Err(Refusal::FtraceSite);
    }
    if crate::jump_label::is_site(addr) {
        return Err(Refusal::StaticKeySite);
    }
    // Between functions lie literals and padding, which only look like code.
    if !ksyms::by_addr(addr).is_some_and(|symbol| symbol.is_text()) {
        return Err(Refusal::NoFunction);
    }
    let insn = original(addr).ok_or(Refusal::NotText)?;
    match classify(insn) {
        Class::Reject(reason) => Err(Refusal::Insn(reason)),
        _ if in_exclusive_region(addr) => Err(Refusal::Exclusive),
        Class::Step { .. } => Ok((insn, Execution::Step)),
        Class::Simulate(sim) => Ok((insn, Execution::Simulate(sim))),
    }
}

/// Where a probe on `addr` goes: the word of an entry that is ftrace's is the same place as the function's first.
pub(super) fn moved(addr: usize) -> usize {
    crate::ftrace::site_of_branch(addr).map_or(addr, |site| site.function)
}

/// The word at `addr` without what probes have put there.
fn original(addr: usize) -> Option<Insn> {
    super::list::original(addr).or_else(|| text::read_word(addr))
}

fn in_exclusive_region(addr: usize) -> bool {
    let Some(function) = ksyms::by_addr(addr) else { return false };
    let (start, end) = (function.start as usize, (function.start + function.size) as usize);
    let from = start.max(addr.saturating_sub(4 * REGION_WORDS)).next_multiple_of(4);
    let to = end.min(addr + 4 * REGION_WORDS + 4);
    let mut words = [Insn(0); 2 * REGION_WORDS + 1];
    let mut len = 0;
    for at in (from..to).step_by(4) {
        let (Some(slot), Some(word)) = (words.get_mut(len), original(at)) else { break };
        *slot = word;
        len += 1;
    }
    exclusive::region_conflict(&words[..len], (addr - from) / 4)
}
