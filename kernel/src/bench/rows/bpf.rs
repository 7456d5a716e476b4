//! BPF programs.

use core::sync::atomic::AtomicU64;

use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::bpf::jit::{self, Image};
use crate::sync::PreemptGuard;
use ::bpf::interp::Code;
use ::bpf::jit::Env;
use ::bpf::op::Imm64;
use ::bpf::sandbox::{NO_HELPERS, Sandbox};
use ::bpf::text::{self, NoNames};
use ::bpf::types::NoTypes;
use ::bpf::verify::Limits;
use ::bpf::verify::case::Case;
use ::bpf::{Program, fuzz};

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "bpf/interp-alu", run: interp_alu },
    Bench { name: "bpf/jit-alu", run: jit_alu },
    Bench { name: "bpf/jit-mem", run: jit_mem },
    Bench { name: "bpf/jit-compile-per-insn", run: jit_compile },
    Bench { name: "bpf/verify-per-insn", run: verify_per_insn },
];

/// How often the loops are run, how many instructions they have, and how many are around them.
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

const MEM: &str = "
    r0 = 0
    r2 = 1000
  again:
    r3 = *(u64 *)(r1 + 0)
    r4 = *(u32 *)(r1 + 8)
    *(u64 *)(r10 - 8) = r3
    r0 += r4
    *(u16 *)(r1 + 12) = r0
    r5 = *(u64 *)(r10 - 8)
    r3 = *(s8 *)(r1 + 13)
    r0 += r5
    *(u64 *)(r1 + 16) = r0
    r2 -= 1
    if r2 != 0 goto again
    exit
";

fn parse(text: &str) -> Result<Program, Skip> {
    text::parse(text, &NoNames).map_err(|_| Skip("the program cannot be read"))
}

/// Arithmetic in a loop, interpreted; per BPF instruction.
fn interp_alu(b: &mut Bencher) -> BenchResult {
    let code = Code::new(&parse(ALU)?);
    let mut sandbox = Sandbox::new(alloc::vec::Vec::new(), NO_HELPERS, 2 * TURNS);
    let mut result = Ok(0);
    b.once(TURNS * IN_LOOP + AROUND, || result = sandbox.run_code(&code));
    result.map(|_| ()).map_err(|_| Skip("the program did not come to its end"))
}

/// Nothing is called.
struct Nothing;

impl Env for Nothing {
    fn helper(&self, number: i32) -> Option<u64> {
        // Any address will do for what is compiled and not run.
        (number == 1).then_some(Image::call as *const () as u64)
    }

    fn address(&self, _: Imm64) -> Option<u64> {
        None
    }
}

/// A loop, compiled.
fn run_loop(b: &mut Bencher, text: &str) -> BenchResult {
    let memory = [const { AtomicU64::new(3) }; 4];
    let image = Image::new(&parse(text)?, &Nothing, &jit::options(), "bpf_prog_bench")
        .map_err(|_| Skip("the program cannot be compiled"))?;
    let at = memory.as_ptr().expose_provenance() as u64;
    let _here = PreemptGuard::new();
    b.once(TURNS * IN_LOOP + AROUND, || {
        // SAFETY: it accesses the 24 bytes that it is given.
        core::hint::black_box(unsafe { image.call([at, 0, 0, 0, 0]) });
    });
    Ok(())
}

/// The same arithmetic, compiled; per BPF instruction.
fn jit_alu(b: &mut Bencher) -> BenchResult {
    run_loop(b, ALU)
}

/// Loads and stores, compiled; per BPF instruction.
fn jit_mem(b: &mut Bencher) -> BenchResult {
    run_loop(b, MEM)
}

/// Compiling random programs; per BPF instruction.
fn jit_compile(b: &mut Bencher) -> BenchResult {
    let programs: alloc::vec::Vec<Program> = (0..20).map(fuzz::program).collect();
    let insns = programs.iter().map(|program| program.ops().count() as u64).sum();
    let mut words = 0;
    b.once(insns, || {
        words = 0;
        for program in &programs {
            words += ::bpf::jit::compile(program, &Nothing, &jit::options()).map_or(0, |c| c.words.len());
        }
    });
    if words > 0 { Ok(()) } else { Err(Skip("nothing was compiled")) }
}

/// What the verifier is measured with: a lookup, a null check, a bounded index and two branches in each round of a loop.
const VERIFIED: &str = "kprobe hash:8:8:16:name=counts -- \
    r6 = r1; r7 = 0; \
    again: r1 = *(u64 *)(r6 + 8); r1 &= 15; *(u64 *)(r10 - 8) = r1; r2 = r10; r2 += -8; \
    r1 = map[counts]; call map_lookup_elem; if r0 == 0 goto next; \
    r1 = *(u64 *)(r6 + 0); if r1 > 7 goto next; r0 += r1; r1 = *(u8 *)(r0 + 0); *(u8 *)(r0 + 0) = r7; \
    next: r7 += 1; r8 = r7; r8 <<= 3; if r7 < 200 goto again; \
    r0 = 0; exit";

/// A program verified; per instruction that the verifier looks at.
fn verify_per_insn(b: &mut Bencher) -> BenchResult {
    let case = Case::parse(VERIFIED).map_err(|_| Skip("the program cannot be read"))?;
    let verify = || case.verify(&NoTypes, 1, Limits::default());
    let Ok(verified) = verify() else { return Err(Skip("the program is refused")) };
    let mut result = verify();
    b.once(verified.processed as u64, || result = verify());
    result.map(|_| ()).map_err(|_| Skip("the program is refused"))
}
