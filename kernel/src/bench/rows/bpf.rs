//! BPF programs.

use crate::bench::{Bench, BenchResult, Bencher, Skip};
use ::bpf::sandbox::{NO_HELPERS, Sandbox};
use ::bpf::text::{self, NoNames};

pub(super) const BENCHES: &[Bench] = &[Bench { name: "bpf/interp-alu", run: interp_alu }];

/// How often the loop is run, how many instructions it has, and how many are around it.
const TURNS: u64 = 1000;
const IN_LOOP: u64 = 11;
const AROUND: u64 = 3;

const ALU: &str = "
    r0 = 0
    r2 = 1000
  again:
    r0 += r2
    r0 ^= 5
    r3 = r0
    r3 <<= 3
    r0 -= r3
    w3 += 7
    r4 = r3
    r4 &= 255
    r0 |= r4
    r2 -= 1
    if r2 != 0 goto again
    exit
";

/// Arithmetic in a loop, interpreted; per BPF instruction.
fn interp_alu(b: &mut Bencher) -> BenchResult {
    let program = text::parse(ALU, &NoNames).map_err(|_| Skip("the program cannot be read"))?;
    let mut sandbox = Sandbox::new(alloc::vec::Vec::new(), NO_HELPERS, 2 * TURNS);
    let mut result = Ok(0);
    b.once(TURNS * IN_LOOP + AROUND, || result = sandbox.run(&program));
    result.map(|_| ()).map_err(|_| Skip("the program did not come to its end"))
}
