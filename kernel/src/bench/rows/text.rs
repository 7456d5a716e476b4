//! Patching text: with all checks, cache maintenance and synchronisation.

use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::ftrace;
use crate::text::{self, Patch, Transaction};
use a64::Insn;

pub(super) const BENCHES: &[Bench] =
    &[Bench { name: "text/patch-1", run: patch_1 }, Bench { name: "text/patch-1000", run: patch_1000 }];

/// Two words that may be exchanged while they are executed, and that do nothing.
const NOP: Insn = Insn(0xd503_201f);
const ISB: Insn = Insn(0xd503_3fdf);

/// Words that nobody uses: the second of a function's entry, while it is not traced.
fn idle_words() -> impl Iterator<Item = usize> {
    ftrace::sites().map(|site| site.function + 4).filter(|addr| text::read_word(*addr) == Some(NOP))
}

/// One word to another, each time the other way.
fn patch_1(b: &mut Bencher) -> BenchResult {
    let addr = idle_words().next().ok_or(Skip("no function's entry is idle"))?;
    let (mut expected, mut new) = (NOP, ISB);
    let mut failed = false;
    b.iter(1000, || {
        failed |= text::commit(&mut [Patch { addr, expected, new }]).is_err();
        (expected, new) = (new, expected);
    });
    if failed { Err(Skip("a patch failed")) } else { Ok(()) }
}

/// A thousand words, spread over the kernel's functions, in one transaction; per word.
fn patch_1000(b: &mut Bencher) -> BenchResult {
    const WORDS: usize = 1000;
    let batch = |expected, new| {
        let mut batch = Transaction::with_capacity(WORDS)?;
        let words = ftrace::sites().map(|site| site.function + 4);
        for addr in words.filter(|addr| text::read_word(*addr) == Some(expected)).take(WORDS) {
            batch.push(addr, expected, new)?;
        }
        Ok(batch)
    };
    let failed = |_: text::PatchError| Skip("a patch failed");
    if idle_words().take(WORDS).count() < WORDS {
        return Err(Skip("there are less than a thousand functions"));
    }
    let there = batch(NOP, ISB).map_err(failed)?;
    let mut result = Ok(());
    b.once(WORDS as u64, || result = there.commit());
    result.map_err(failed)?;
    batch(ISB, NOP).and_then(Transaction::commit).map_err(failed)
}
