//! Simulation from the word to the registers: each row starts at an encoded instruction.

use a64::encode::regs::{X0, X3, X5, X30};
use a64::encode::{self, Gpr};
use a64::{Class, Cond, Fault, Insn, Memory, UserRegs, classify};

const PC: u64 = 0xffff_8000_8012_3454;

/// Eight bytes at one address; everything else is unmapped.
struct Literal {
    at: u64,
    bytes: u64,
}

impl Memory for Literal {
    fn read_u32(&self, addr: u64) -> Result<u32, Fault> {
        self.read_u64(addr).map(|bytes| bytes as u32)
    }
    fn read_u64(&self, addr: u64) -> Result<u64, Fault> {
        if addr == self.at { Ok(self.bytes) } else { Err(Fault { addr }) }
    }
}

const NOTHING: Literal = Literal { at: 1, bytes: 0 };

/// Registers that all differ, so that a wrong one shows.
fn registers() -> UserRegs {
    let mut regs = UserRegs { sp: 0x5005, pc: PC, pstate: 0x6000_03c5, ..UserRegs::default() };
    for (n, x) in regs.x.iter_mut().enumerate() {
        *x = 0x1111_0000_0000_0000 * (n as u64 % 15) + n as u64;
    }
    regs
}

fn run_with(word: Insn, regs: &mut UserRegs, memory: &dyn Memory) -> Result<(), Fault> {
    let pc = regs.pc;
    match classify(word) {
        Class::Simulate(sim) => sim.at(pc).run(regs, memory),
        other => panic!("{word:?} is {other:?}"),
    }
}

/// Runs `word` on `before`; gives what it left.
fn run(word: Insn, before: UserRegs) -> UserRegs {
    let mut regs = before;
    assert_eq!(run_with(word, &mut regs, &NOTHING), Ok(()));
    regs
}

/// Nothing but the PC may differ.
fn assert_goes(word: Insn, before: UserRegs, target: u64) {
    assert_eq!(run(word, before), UserRegs { pc: target, ..before }, "{word:?}");
}

#[test]
fn branches_reach_their_edges() {
    for offset in [0, 4, -4, encode::B_RANGE - 4, -encode::B_RANGE] {
        let target = PC.wrapping_add_signed(offset);
        assert_goes(encode::b(offset).unwrap(), registers(), target);
        let mut after = registers();
        after.x[30] = PC + 4;
        after.pc = target;
        assert_eq!(run(encode::bl(offset).unwrap(), registers()), after);
    }
}

#[test]
fn a_branch_wraps_around_the_address_space() {
    let low = UserRegs { pc: 4, ..registers() };
    assert_goes(encode::b(-8).unwrap(), low, u64::MAX - 3);
    let high = UserRegs { pc: u64::MAX - 3, ..registers() };
    assert_goes(encode::b_cond(Cond::Al, 8).unwrap(), high, 4);
    assert_goes(encode::nop(), high, 0);
}

/// Whether a condition holds for N, Z, C, V.
type Holds = fn(bool, bool, bool, bool) -> bool;

#[test]
fn every_condition_for_all_flags() {
    // A second truth table, one closure a pair, so that the crate's own is not compared with itself.
    let pairs: [Holds; 8] = [
        |_, z, _, _| z,
        |_, _, c, _| c,
        |n, _, _, _| n,
        |_, _, _, v| v,
        |_, z, c, _| c & !z,
        |n, _, _, v| n == v,
        |n, z, _, v| n == v && !z,
        |_, _, _, _| true,
    ];
    for code in 0..16u32 {
        for nzcv in 0..16u8 {
            let (n, z, c, v) = (nzcv & 8 != 0, nzcv & 4 != 0, nzcv & 2 != 0, nzcv & 1 != 0);
            let taken = pairs[code as usize / 2](n, z, c, v) != (code & 1 != 0 && code != 15);
            let mut before = registers();
            before.set_nzcv(nzcv);
            let target = if taken { PC - 64 } else { PC + 4 };
            let word = encode::b_cond(Cond::from_bits(code), -64).unwrap();
            assert_goes(word, before, target);
            assert_goes(Insn(word.0 | 1 << 4), before, target); // bc.cond
        }
    }
}

#[test]
fn compare_and_branch_looks_at_its_width() {
    let (far, next) = (PC + 0x100, PC + 4);
    // value, zero as x, zero as w
    for (value, zero_x, zero_w) in [
        (0, true, true),
        (1, false, false),
        (1 << 32, false, true),
        (1 << 31, false, false),
        (u64::MAX, false, false),
    ] {
        let mut before = registers();
        before.x[5] = value;
        for (wide, zero) in [(1 << 31, zero_x), (0, zero_w)] {
            let cbz = Insn(encode::cbz(X5, 0x100).unwrap().0 & 0x7fff_ffff | wide);
            let cbnz = Insn(encode::cbnz(X5, 0x100).unwrap().0 & 0x7fff_ffff | wide);
            assert_goes(cbz, before, if zero { far } else { next });
            assert_goes(cbnz, before, if zero { next } else { far });
        }
    }
    // Register 31 is the zero register, not sp.
    assert_goes(encode::cbz(Gpr::ZR, 0x100).unwrap(), registers(), far);
    assert_goes(encode::cbnz(Gpr::ZR, 0x100).unwrap(), registers(), next);
}

#[test]
fn test_and_branch_looks_at_each_bit() {
    for bit in 0..64 {
        for value in [0, u64::MAX, 1 << bit, !(1 << bit)] {
            let mut before = registers();
            before.x[3] = value;
            let set = value >> bit & 1 != 0;
            let tbz = encode::tbz(X3, bit, -encode::TB_RANGE).unwrap();
            let tbnz = encode::tbnz(X3, bit, encode::TB_RANGE - 4).unwrap();
            assert_goes(tbz, before, if set { PC + 4 } else { PC - 0x8000 });
            assert_goes(tbnz, before, if set { PC + 0x7ffc } else { PC + 4 });
        }
    }
}

#[test]
fn register_branches_read_before_they_write() {
    let before = registers();
    assert_goes(encode::br(X5), before, before.x[5]);
    assert_goes(encode::ret(), before, before.x[30]);
    assert_goes(Insn(0xd65f_03e0), before, 0); // ret xzr
    assert_goes(Insn(0xd61f_03e0), before, 0); // br xzr
    let mut after = before;
    after.x[30] = PC + 4;
    after.pc = before.x[30];
    assert_eq!(run(encode::blr(X30), before), after);
    after.pc = before.x[5];
    assert_eq!(run(encode::blr(X5), before), after);
}

#[test]
fn addresses() {
    for offset in [0, 1, -1, encode::ADR_RANGE - 1, -encode::ADR_RANGE] {
        let mut after = registers();
        after.x[3] = PC.wrapping_add_signed(offset);
        after.pc = PC + 4;
        assert_eq!(run(encode::adr(X3, offset).unwrap(), registers()), after);
    }
    for target in [PC, PC & !0xfff, PC + 0x1000, PC - 0x1000, PC + 0x7fff_0000, PC - 0x8000_0000] {
        let mut after = registers();
        after.x[3] = target & !0xfff;
        after.pc = PC + 4;
        assert_eq!(run(encode::adrp(X3, PC, target).unwrap(), registers()), after);
    }
    // Rd = 31 is the zero register: neither sp nor anything else changes.
    assert_goes(encode::adr(Gpr::ZR, 8).unwrap(), registers(), PC + 4);
}

#[test]
fn literals_are_extended_as_their_form_says() {
    let memory = Literal { at: PC - 0x100, bytes: 0xfedc_ba98_8765_4321 };
    let rows = [
        (encode::ldr_literal(X3, -0x100), 0xfedc_ba98_8765_4321),
        (encode::ldr_w_literal(X3, -0x100), 0x8765_4321),
        (encode::ldrsw_literal(X3, -0x100), 0xffff_ffff_8765_4321),
    ];
    for (word, value) in rows {
        let mut regs = registers();
        assert_eq!(run_with(word.unwrap(), &mut regs, &memory), Ok(()));
        let mut after = registers();
        after.x[3] = value;
        after.pc = PC + 4;
        assert_eq!(regs, after);
    }
    let mut regs = registers();
    let discarded = encode::ldr_literal(Gpr::ZR, -0x100).unwrap();
    assert_eq!(run_with(discarded, &mut regs, &memory), Ok(()));
    assert_eq!(regs, UserRegs { pc: PC + 4, ..registers() });
}

#[test]
fn a_fault_changes_nothing() {
    for target in [X3, Gpr::ZR] {
        for word in [
            encode::ldr_literal(target, 8),
            encode::ldr_w_literal(target, 8),
            encode::ldrsw_literal(target, 8),
        ] {
            let mut regs = registers();
            assert_eq!(run_with(word.unwrap(), &mut regs, &NOTHING), Err(Fault { addr: PC + 8 }));
            assert_eq!(regs, registers());
        }
    }
}

#[test]
fn interrupt_masks_are_those_of_the_saved_state() {
    let before = registers(); // all four masked, mode 5, Z and C
    let mut after = before;
    after.x[0] = 0x3c0;
    after.pc = PC + 4;
    assert_eq!(run(encode::mrs(X0, a64::SysReg::DAIF), before), after);

    let clear_i = run(Insn(0xd503_42ff), before); // msr daifclr, #2
    assert_eq!(clear_i, UserRegs { pstate: 0x6000_0345, pc: PC + 4, ..before });
    let set_i = run(Insn(0xd503_42df), UserRegs { pc: PC, ..clear_i }); // msr daifset, #2
    assert_eq!(set_i, UserRegs { pc: PC + 4, ..before });

    let mut other = before;
    other.x[5] = !0x80;
    let written = run(encode::msr(a64::SysReg::DAIF, X5), other);
    assert_eq!(written, UserRegs { pstate: 0x6000_0345, pc: PC + 4, ..other });
    let zero = run(encode::msr(a64::SysReg::DAIF, Gpr::ZR), before);
    assert_eq!(zero.pstate, 0x6000_0005);
}

#[test]
fn every_simulation_clears_btype() {
    let before = UserRegs { pstate: 0x6000_0fc5, ..registers() };
    for word in
        [encode::nop(), encode::ret(), encode::br(X5), encode::b(8).unwrap(), encode::adr(X0, 0).unwrap()]
    {
        assert_eq!(run(word, before).pstate, 0x6000_03c5, "{word:?}");
    }
}

#[test]
fn what_is_kept_for_a_probe_is_small() {
    assert!(size_of::<a64::SimOp>() <= 24);
}
