//! What is encoded is decoded, classified and simulated as it was meant, for random operands.

use a64::decode::{Operand, decode};
use a64::encode::{self, EncodeError, Gpr};
use a64::{Class, Cond, Fault, Insn, Memory, Sim, UserRegs, classify};

/// A seeded generator (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// An offset of any magnitude: as many are within a short reach as within a long one.
    fn offset(&mut self) -> i64 {
        let bits = self.next() % 40;
        let sign = if self.next() & 1 == 0 { 1 } else { -1 };
        (self.next() & ((1 << bits) - 1)).cast_signed() * sign
    }

    fn register(&mut self) -> Gpr {
        Gpr::new((self.next() >> 8) as u8 & 31).unwrap()
    }
}

struct Nothing;

impl Memory for Nothing {
    fn read_u32(&self, addr: u64) -> Result<u32, Fault> {
        Err(Fault { addr })
    }
    fn read_u64(&self, addr: u64) -> Result<u64, Fault> {
        Err(Fault { addr })
    }
}

/// Checks that an encoding is refused exactly where the offset does not fit, and otherwise decodes to it.
fn check(made: Result<Insn, EncodeError>, offset: i64, reach: i64, scale: i64, name: &str) -> Option<Insn> {
    let fits = offset % scale == 0 && (-reach..=reach - scale).contains(&offset);
    assert_eq!(made.is_ok(), fits, "{name} {offset}");
    let insn = made.ok()?;
    let decoded = decode(insn).expect(name);
    assert_eq!(decoded.mnemonic(), name);
    assert!(decoded.operands().any(|operand| operand == Operand::Label(offset)), "{name} {offset} {insn:?}");
    Some(insn)
}

#[test]
fn offsets_go_through() {
    let mut random = Random(1);
    for _ in 0..200_000 {
        let offset = match random.next() & 7 {
            0 => random.offset(),
            _ => random.offset() & !3,
        };
        let (rt, bit) = (random.register(), (random.next() >> 20) as u32 & 63);
        let cond = Cond::from_bits(random.next() as u32 & 15);
        if let Some(insn) = check(encode::b(offset), offset, encode::B_RANGE, 4, "b") {
            assert_eq!(classify(insn), Class::Simulate(Sim::Jump { offset }));
        }
        if let Some(insn) = check(encode::bl(offset), offset, encode::B_RANGE, 4, "bl") {
            assert_eq!(classify(insn), Class::Simulate(Sim::Call { offset }));
        }
        if let Some(insn) = check(encode::b_cond(cond, offset), offset, encode::IMM19_RANGE, 4, "b.") {
            assert_eq!(classify(insn), Class::Simulate(Sim::JumpIf { offset, table: cond.table() }));
        }
        check(encode::cbz(rt, offset), offset, encode::IMM19_RANGE, 4, "cbz");
        check(encode::cbnz(rt, offset), offset, encode::IMM19_RANGE, 4, "cbnz");
        check(encode::ldr_literal(rt, offset), offset, encode::IMM19_RANGE, 4, "ldr");
        check(encode::ldrsw_literal(rt, offset), offset, encode::IMM19_RANGE, 4, "ldrsw");
        check(encode::adr(rt, offset), offset, encode::ADR_RANGE, 1, "adr");
        if let Some(insn) = check(encode::tbz(rt, bit, offset), offset, encode::TB_RANGE, 4, "tbz") {
            let (rt, mask) = (rt.number(), 1 << bit);
            assert_eq!(
                classify(insn),
                Class::Simulate(Sim::JumpIfBits { offset, rt, mask, when_clear: true })
            );
        }
    }
}

#[test]
fn a_branch_between_two_addresses_arrives() {
    let mut random = Random(2);
    let mut arrived = 0;
    for _ in 0..100_000 {
        let from = random.next() & !3;
        let to = from.wrapping_add_signed(random.offset() & !3);
        let Ok(insn) = encode::b_to(from, to) else { continue };
        let Class::Simulate(sim) = classify(insn) else { panic!("{insn:?}") };
        let mut regs = UserRegs { pc: from, ..UserRegs::default() };
        sim.at(from).run(&mut regs, &Nothing).unwrap();
        assert_eq!(regs.pc, to);
        arrived += 1;
    }
    assert!(arrived > 10_000);
}

#[test]
fn pages_go_through() {
    let mut random = Random(3);
    for _ in 0..100_000 {
        let (from, rd) = (random.next() & !3, random.register());
        let to = from.wrapping_add_signed(random.offset());
        let insn = encode::adrp(rd, from, to);
        let pages = (to & !0xfff).wrapping_sub(from & !0xfff).cast_signed();
        assert_eq!(insn.is_ok(), (-(1 << 32)..1 << 32).contains(&pages));
        let Ok(insn) = insn else { continue };
        let Class::Simulate(sim) = classify(insn) else { panic!("{insn:?}") };
        let mut regs = UserRegs { pc: from, ..UserRegs::default() };
        sim.at(from).run(&mut regs, &Nothing).unwrap();
        assert_eq!(regs.x(rd.number()), if rd == Gpr::ZR { 0 } else { to & !0xfff });
    }
}

/// Four words build any value: followed by hand, the moves give it back.
#[test]
fn four_moves_build_any_value() {
    let mut random = Random(4);
    for _ in 0..10_000 {
        let (value, rd) = (random.next(), random.register());
        let mut built = u64::MAX;
        for insn in encode::mov_imm(rd, value) {
            let decoded = decode(insn).unwrap();
            let mut operands = decoded.operands();
            assert_eq!(operands.next(), Some(Operand::Gpr { n: rd.number(), wide: true, sp: false }));
            let Some(Operand::ShiftedImm { value, amount, .. }) = operands.next() else { panic!("{insn:?}") };
            let part = u64::from(value) << amount;
            built = match decoded.mnemonic() {
                "movz" => part,
                "movk" => built & !(0xffff << amount) | part,
                other => panic!("{other}"),
            };
        }
        assert_eq!(built, value);
    }
}

#[test]
fn loads_and_stores_go_through() {
    let mut random = Random(5);
    for _ in 0..50_000 {
        let offset = random.offset() >> 20;
        let (rt, rt2, rn) = (random.register(), random.register(), random.register());
        for (made, name) in
            [(encode::stp(rt, rt2, rn, offset), "stp"), (encode::ldp(rt, rt2, rn, offset), "ldp")]
        {
            assert_eq!(made.is_ok(), offset % 8 == 0 && (-512..=504).contains(&offset), "{name} {offset}");
            let Ok(insn) = made else { continue };
            let decoded = decode(insn).unwrap();
            assert_eq!(decoded.mnemonic(), name);
            let text = format!("{:?}", decoded.operands().last().unwrap());
            let shown = if offset == 0 { "None".to_string() } else { format!("Imm({offset})") };
            assert!(text.contains(&shown) && text.contains(&format!("base: {}", rn.number())), "{text}");
            assert_eq!(classify(insn), Class::Step { may_fault: true });
        }
    }
}
