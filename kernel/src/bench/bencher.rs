//! Counting: the loop, and what is subtracted.

use crate::arch::{cpu, pmu};
use core::arch::asm;

/// One row.
pub(crate) struct Bench {
    /// `<mechanism>/<case>`.
    pub(crate) name: &'static str,
    /// Measures it, by one call of the bencher's methods.
    pub(crate) run: fn(&mut Bencher) -> BenchResult,
}

/// Why a row cannot be measured here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skip(pub(crate) &'static str);

/// What a row returns.
pub(crate) type BenchResult = Result<(), Skip>;

/// Operations, and what they cost together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) ops: u64,
    pub(crate) insns: u64,
}

impl Measured {
    /// Instructions per operation in tenths, rounded.
    pub(crate) fn insns_per_op_tenths(self) -> u64 {
        let ops = u128::from(self.ops.max(1));
        ((u128::from(self.insns) * 10 + ops / 2) / ops) as u64
    }
}

/// How often a loop is measured; the least counts. The first finds caches of the code under test cold (a lookup that
/// is remembered, a page that is touched), and any may meet an interrupt.
const ROUNDS: usize = 3;

/// What a row's function measures with.
#[derive(Default)]
pub(crate) struct Bencher {
    measured: Measured,
    migrated: bool,
}

impl Bencher {
    /// `ops` times `op`; the loop itself is subtracted.
    pub(crate) fn iter(&mut self, ops: u64, op: impl FnMut()) {
        self.iter_over(ops, || {}, op);
    }

    /// What `ops` times `op` cost more while what `change` returns exists: a probe, an event that is on.
    pub(crate) fn extra<T>(
        &mut self,
        ops: u64,
        mut op: impl FnMut(),
        change: impl FnOnce() -> Result<T, Skip>,
    ) -> BenchResult {
        let cpu = cpu::id();
        let mut least = || (0..ROUNDS).map(|_| count_loop(ops, &mut op)).min().unwrap_or(0);
        let without = least();
        let changed = change()?;
        let with = least();
        drop(changed);
        self.migrated |= cpu::id() != cpu;
        self.measured = Measured { ops, insns: with.saturating_sub(without) };
        Ok(())
    }

    /// `ops` times `op`, less what as many times `base` cost: what `op` has that `base` has not.
    pub(crate) fn iter_over(&mut self, ops: u64, mut base: impl FnMut(), mut op: impl FnMut()) {
        let cpu = cpu::id();
        let least_of = |op: &mut dyn FnMut() -> u64| (0..ROUNDS).map(|_| op()).min().unwrap_or(0);
        let without = least_of(&mut || count_loop(ops, &mut base));
        let with = least_of(&mut || count_loop(ops, &mut op));
        self.migrated |= cpu::id() != cpu;
        self.measured = Measured { ops, insns: with.saturating_sub(without) };
    }

    /// `op` once, which is `ops` operations.
    pub(crate) fn once(&mut self, ops: u64, op: impl FnOnce()) {
        let cpu = cpu::id();
        let mut op = Some(op);
        let without = count_loop(1, &mut || {});
        let with = count_loop(1, &mut || op.take().map_or((), |op| op()));
        self.migrated |= cpu::id() != cpu;
        self.measured = Measured { ops, insns: with.saturating_sub(without) };
    }

    /// What was measured last.
    pub(super) fn measured(&self) -> Measured {
        self.measured
    }

    /// What was counted by other means.
    pub(crate) fn record(&mut self, ops: u64, insns: u64) {
        self.measured = Measured { ops, insns };
    }
}

/// Instructions of `ops` rounds of a loop around `op`, which is compiled into it. How many rounds there will be is
/// hidden from the optimiser: it can neither unroll the loop nor drop it, also if there is nothing inside, and
/// each round costs two instructions (`sub`, `cbnz`) and `op`.
///
/// `cargo xtask profile` shows what was executed between the two readings of the last call; so the operation itself is
/// measured after what is subtracted.
#[inline(never)]
fn count_loop(ops: u64, op: &mut impl FnMut()) -> u64 {
    let mut left = ops;
    let before = pmu::instructions();
    while left != 0 {
        op();
        // SAFETY: counts down, in a register.
        unsafe { asm!("sub {0}, {0}, #1", inout(reg) left, options(nomem, nostack, preserves_flags)) };
    }
    pmu::between(before, pmu::instructions())
}

/// Measures one row.
pub(crate) fn measure(bench: &Bench) -> Result<Measured, Skip> {
    pmu::init();
    if !pmu::counts_instructions() {
        return Err(Skip("this CPU does not count instructions; QEMU does under -icount"));
    }
    let mut bencher = Bencher::default();
    (bench.run)(&mut bencher)?;
    if bencher.migrated {
        return Err(Skip("moved to another CPU while counting"));
    }
    Ok(bencher.measured)
}
