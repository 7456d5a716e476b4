//! The short way of a filter that asks for numbers alone, of a record that is registers alone: nothing of the record
//! need be in memory. Everything that it looks at is in registers of its own while it runs.

use super::{ACCEPT, Step, Test};
use crate::fetch::Plain;
use a64::Registers;

/// A filter's steps, all of numbers in one word.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a>(pub(super) &'a [Step]);

impl Numbers<'_> {
    /// Shall the record be written that starts with `head` and goes on with these registers?
    #[inline(never)]
    pub fn accept(self, head: &[u64], plain: Plain<'_>, regs: Registers<'_>) -> bool {
        let mut at = 0;
        // Every jump goes forward, so this ends.
        while let Some(Step { test: Test::Range(range), if_true, if_false }) = self.0.get(usize::from(at)) {
            let index = range.word();
            let word = match head.get(index) {
                Some(word) => *word,
                None => plain.get(regs, index - head.len()),
            };
            at = if range.holds(word) { *if_true } else { *if_false };
        }
        at == ACCEPT
    }
}
