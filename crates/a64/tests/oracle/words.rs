//! The words that are compared.

use a64::Insn;

/// A small generator (xorshift64*), seeded, so that a failure is the same at every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Random {
        Random(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// A register number: 0 and 31 are as likely as all others together.
    fn register(&mut self) -> u32 {
        let draw = self.next();
        match draw & 3 {
            0 => 0,
            1 => 31,
            _ => draw >> 8 & 31,
        }
    }
}

/// Every value of bits 31..10, twice.
pub(crate) fn every_opcode() -> impl Iterator<Item = Insn> {
    let mut random = Random::new();
    (0..2 << 22)
        .map(move |count: u64| count as u32)
        .map(move |top| Insn(top << 10 | random.register() << 5 | random.register()))
}

/// Every system instruction: bits 22..5, and three values of Rt.
pub(crate) fn every_system_instruction() -> impl Iterator<Item = Insn> {
    (0..1u32 << 18).flat_map(|middle| [0, 7, 31].map(|rt| Insn(0xd500_0000 | middle << 5 | rt)))
}

/// Words of no order.
pub(crate) fn random(count: usize) -> impl Iterator<Item = Insn> {
    let mut random = Random::new();
    (0..count).map(move |_| Insn(random.next()))
}
