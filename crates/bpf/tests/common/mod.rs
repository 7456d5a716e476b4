//! What the tests share: a sandbox, and numbers that are the same each time.

#![allow(dead_code, reason = "each test program uses a part")]

use bpf::interp::Trap;
use bpf::sandbox::Sandbox;
use bpf::text;

/// Helper 1 adds its arguments.
fn helpers(number: i32, args: [u64; 5]) -> Option<u64> {
    (number == 1).then(|| args.iter().copied().fold(0, u64::wrapping_add))
}

/// A sandbox around a copy of `memory`.
pub(crate) fn sandbox(memory: &[u8]) -> Sandbox<'static> {
    Sandbox::new(memory.to_vec(), &helpers, 1000)
}

/// Runs a program, given as text: its result, and its memory then.
pub(crate) fn run_text(source: &str, memory: &[u8]) -> (Result<u64, Trap>, Vec<u8>) {
    let program = text::parse(source, &text::NoNames).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let mut sandbox = sandbox(memory);
    (sandbox.run(&program), sandbox.memory().to_vec())
}

/// Xorshift64* (Vigna 2016).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 32) % n
    }

    /// Numbers near which mistakes are made, and others.
    pub(crate) fn telling(&mut self) -> u64 {
        const TELLING: [u64; 8] =
            [0, 1, u64::MAX, 1 << 63, i64::MAX as u64, 0x8000_0000, 0xffff_ffff, 0xffff_ffff_8000_0000];
        match self.below(3) {
            0 => TELLING[self.below(8) as usize],
            1 => self.below(256),
            _ => self.next(),
        }
    }
}
