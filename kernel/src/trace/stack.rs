//! Records of who called: a backtrace from the frame records, into the ring.

use tracecore::event::STACK_ID;

use super::buffer;
use crate::ftrace::{FtraceRegs, Hit};
use crate::unwind::{self, MAX_FRAMES};

/// Words before the addresses: the header, and how many there are.
const HEAD_WORDS: usize = 2;

/// Records the traced function and its callers.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
pub(super) fn of_function(hit: &Hit<'_>, regs: &FtraceRegs) {
    record(hit, regs, 0);
}

/// Records the callers of the traced function.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
pub(super) fn of_caller(hit: &Hit<'_>, regs: &FtraceRegs) {
    record(hit, regs, 1);
}

#[inline(always)]
fn record(hit: &Hit<'_>, regs: &FtraceRegs, skipped: usize) {
    let mut words = [0; HEAD_WORDS + MAX_FRAMES];
    let (mut seen, mut kept) = (0, 0);
    unwind::walk(regs.frame(), false, |frame| {
        seen += 1;
        if seen > skipped
            && let Some(word) = words.get_mut(HEAD_WORDS + kept)
        {
            *word = frame.lookup_pc();
            kept += 1;
        }
        true
    });
    words[0] = buffer::header_before_guard(STACK_ID);
    words[1] = kept as u64;
    // A record that is not taken is counted by the ring.
    let _ = buffer::write_words(hit, words.get(..HEAD_WORDS + kept).unwrap_or_default());
}
