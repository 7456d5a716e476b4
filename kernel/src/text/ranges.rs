//! What lies where in the image, and what of it may be probed.

use core::ops::Range;

/// Part of the image, as `linker.ld` lays it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// Image header, boot code, vectors.
    Boot,
    /// Exception entry and exit.
    Entry,
    /// Code marked `noinstr!`.
    Noinstr,
    /// All other code.
    Text,
    /// Slots.
    Slots,
    /// Compiled programs.
    Programs,
}

impl Region {
    /// The regions in which no probe may lie, and why.
    pub(crate) const REFUSED: [(Self, &'static str); 5] = [
        (Self::Boot, "boot code and exception vectors"),
        (Self::Entry, "exception entry: a probe there would recurse before anything is saved"),
        (Self::Noinstr, "marked noinstr: it runs while a probe is being handled"),
        (Self::Slots, "slots belong to probes"),
        (Self::Programs, "a compiled program"),
    ];

    /// Its addresses.
    pub(crate) fn range(self) -> Range<usize> {
        let at = |symbol: *const u8| symbol.addr();
        match self {
            Self::Boot => crate::arch::mmu::KIMAGE_VADDR..at(&raw const __entry_text_start),
            Self::Entry => at(&raw const __entry_text_start)..at(&raw const __entry_text_end),
            Self::Noinstr => at(&raw const __noinstr_text_start)..at(&raw const __noinstr_text_end),
            Self::Text => at(&raw const __text_start)..at(&raw const __text_end),
            Self::Slots => at(&raw const __xol_start)..at(&raw const __xol_end),
            Self::Programs => at(&raw const __programs_start)..at(&raw const __programs_end),
        }
    }

    /// Where an address lies; nothing for what is not code.
    pub(crate) fn of(addr: usize) -> Option<Self> {
        [Self::Text, Self::Noinstr, Self::Entry, Self::Slots, Self::Programs, Self::Boot]
            .into_iter()
            .find(|region| region.range().contains(&addr))
    }

    /// Why no probe may lie here, if none may.
    pub(crate) fn refusal(self) -> Option<&'static str> {
        Self::REFUSED.iter().find(|(region, _)| *region == self).map(|(_, why)| *why)
    }
}

/// Is this an address of code that `text` may write: all but slots and programs?
pub(crate) fn is_text(addr: usize) -> bool {
    (crate::arch::mmu::KIMAGE_VADDR..(&raw const __text_end).addr()).contains(&addr)
}

/// Where a task goes on that is preempted at `pc`, with `lr` in x30, if not there: with the address of a callback in hand it
/// loads that again (`ftrace/entry.S`).
pub(crate) fn restart_of(pc: usize, lr: usize) -> Option<usize> {
    let at = |symbol: *const u8| symbol.addr();
    let masking = (at(&raw const __ftrace_mask_start)..at(&raw const __ftrace_mask_end)).contains(&pc);
    [
        (&raw const __ftrace_call_start, &raw const __ftrace_call_end, &raw const __ftrace_call_again),
        (
            &raw const __ftrace_direct_call_start,
            &raw const __ftrace_direct_call_end,
            &raw const __ftrace_direct_call_again,
        ),
    ]
    .into_iter()
    .find(|(start, end, _)| if masking { lr == at(*end) } else { (at(*start)..at(*end)).contains(&pc) })
    .map(|(_, _, again)| at(again))
}

/// Is this where a traced function's trampoline is about to be entered, with its address in hand (`ftrace/entry.S`)?
pub(crate) fn is_before_trampoline(pc: usize) -> bool {
    ((&raw const __ftrace_direct_call_end).addr()..(&raw const __ftrace_direct_end).addr()).contains(&pc)
}

unsafe extern "C" {
    static __ftrace_direct_end: u8;
    static __ftrace_call_start: u8;
    static __ftrace_call_end: u8;
    static __ftrace_call_again: u8;
    static __ftrace_direct_call_start: u8;
    static __ftrace_direct_call_end: u8;
    static __ftrace_direct_call_again: u8;
    static __ftrace_mask_start: u8;
    static __ftrace_mask_end: u8;
    static __entry_text_start: u8;
    static __entry_text_end: u8;
    static __noinstr_text_start: u8;
    static __noinstr_text_end: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __xol_start: u8;
    static __xol_end: u8;
    static __programs_start: u8;
    static __programs_end: u8;
}
