//! Compiled programs do what they say: the proofs on the machine.

use super::checked;
use crate::selftest::{Test, TestCtx, TestResult, check_eq};
use ::bpf::text::{self, NoNames};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[Test { name: "first", run: first }];

fn first(t: &mut TestCtx<'_>) -> TestResult {
    let program = text::parse("r0 = 6; r0 *= 7; exit", &NoNames);
    check_eq!(t, program.map(|program| checked::run_text(&program, &[], 100)), Ok(Ok(42)));
    Ok(())
}
