//! Words against what an assembler gives for the same text, and the edges of every range.

use super::regs::{X0, X1, X8, X9, X16, X19, X29, X30};
use super::system::{Barrier, hints};
use super::{
    ADR_RANGE, B_RANGE, EncodeError, Gpr, IMM19_RANGE, TB_RANGE, add_imm, adr, adrp, b, b_cond, b_to, bl,
    blr, br, brk, cbnz, cbz, dmb, dsb, eret, hint, hlt, hvc, isb, ldp, ldp_post, ldr, ldr_literal,
    ldr_w_literal, ldrsw_literal, mov, mov_imm, mov_sp, movk, movn, movz, mrs, msr, nop, ret, smc, stp,
    stp_pre, str, sub_imm, svc, tbnz, tbz,
};
use crate::cond::Cond;
use crate::insn::Insn;
use crate::sysreg::SysReg;

#[test]
fn words_without_a_limit() {
    let expected = [
        (nop(), 0xd503_201f),
        (mov(X9, X30), 0xaa1e_03e9),
        (mov_sp(X29, Gpr::SP), 0x9100_03fd),
        (br(X16), 0xd61f_0200),
        (blr(X8), 0xd63f_0100),
        (ret(), 0xd65f_03c0),
        (eret(), 0xd69f_03e0),
        (brk(4), 0xd420_0080),
        (brk(0xffff), 0xd43f_ffe0),
        (hlt(0xf000), 0xd45e_0000),
        (svc(0), 0xd400_0001),
        (hvc(1), 0xd400_0022),
        (smc(0), 0xd400_0003),
        (isb(), 0xd503_3fdf),
        (dsb(Barrier::Ish), 0xd503_3b9f),
        (dsb(Barrier::IshSt), 0xd503_3a9f),
        (dmb(Barrier::IshLd), 0xd503_39bf),
        (dmb(Barrier::Sy), 0xd503_3fbf),
        (mrs(X0, SysReg::TPIDR_EL1), 0xd538_d080),
        (msr(SysReg::SP_EL0, X1), 0xd518_4101),
        (msr(SysReg::MDSCR_EL1, X0), 0xd510_0240),
        (mrs(X0, SysReg::DAIF), 0xd53b_4220),
    ];
    for (word, want) in expected {
        assert_eq!(word, Insn(want));
    }
    let four = [0xd29b_de00, 0xf2b7_ddc0, 0xf2d9_9980, 0xf2f5_5540].map(Insn);
    assert_eq!(mov_imm(X0, 0xaaaa_cccc_beee_def0), four);
}

#[test]
fn words_with_a_limit() {
    let expected = [
        (b(8), 0x1400_0002),
        (b(-4), 0x17ff_ffff),
        (bl(-8), 0x97ff_fffe),
        (b_to(0xffff_8000_8000_1000, 0xffff_8000_8000_0ff0), 0x17ff_fffc),
        (b_cond(Cond::Ne, 16), 0x5400_0081),
        (cbz(X1, 8), 0xb400_0041),
        (cbnz(X30, -8), 0xb5ff_ffde),
        (tbz(X0, 3, 8), 0x3618_0040),
        (tbnz(X0, 63, -4), 0xb7ff_ffe0),
        (adr(X0, -1), 0x10ff_ffe0 | 3 << 29),
        (adrp(X0, 0x1fff, 0x3004), 0xd000_0000),
        (ldr_literal(X16, 8), 0x5800_0050),
        (ldr_w_literal(X0, -4), 0x18ff_ffe0),
        (ldrsw_literal(X1, 4), 0x9800_0021),
        (ldp(X0, X1, Gpr::SP, 16), 0xa941_07e0),
        (ldp_post(X29, X30, Gpr::SP, 32), 0xa8c2_7bfd),
        (stp(X0, X1, X19, -512), 0xa920_0660),
        (stp_pre(X29, X30, Gpr::SP, -32), 0xa9be_7bfd),
        (ldr(X0, X1, 32760), 0xf97f_fc20),
        (str(X0, Gpr::SP, 8), 0xf900_07e0),
        (movz(X0, 0x1234, 16), 0xd2a2_4680),
        (movk(X0, 0x1234, 48), 0xf2e2_4680),
        (movn(X0, 0, 0), 0x9280_0000),
        (add_imm(X0, Gpr::SP, 16), 0x9100_43e0),
        (add_imm(X0, X1, 0x5000), 0x9140_1420),
        (sub_imm(Gpr::SP, Gpr::SP, 272), 0xd104_43ff),
        (hint(hints::BTI_C), 0xd503_245f),
        (hint(hints::YIELD), 0xd503_203f),
    ];
    for (i, (word, want)) in expected.into_iter().enumerate() {
        assert_eq!(word, Ok(Insn(want)), "row {i}");
    }
}

type Make = fn(i64) -> Result<Insn, EncodeError>;

#[test]
fn the_edges_of_every_branch() {
    let forms: [(Make, i64); 9] = [
        (b, B_RANGE),
        (bl, B_RANGE),
        (|o| b_cond(Cond::Eq, o), IMM19_RANGE),
        (|o| cbz(X0, o), IMM19_RANGE),
        (|o| cbnz(X0, o), IMM19_RANGE),
        (|o| ldr_literal(X0, o), IMM19_RANGE),
        (|o| tbz(X0, 0, o), TB_RANGE),
        (|o| tbnz(X0, 0, o), TB_RANGE),
        (|o| adrp(X0, 0, o.cast_unsigned()), 1 << 32),
    ];
    for (i, (make, range)) in forms.into_iter().enumerate() {
        let step = if range == 1 << 32 { 4096 } else { 4 };
        assert!(make(-range).is_ok() && make(range - step).is_ok(), "form {i}");
        let (min, max) = (-range, range - step);
        for value in [range, -range - step, range * 2] {
            assert_eq!(make(value), Err(EncodeError::Range { value, min, max }), "form {i}");
        }
        if step == 4 {
            assert_eq!(make(2), Err(EncodeError::Unaligned { value: 2, align: 4 }), "form {i}");
        }
    }
    assert!(adr(X0, ADR_RANGE - 1).is_ok() && adr(X0, -ADR_RANGE).is_ok());
    assert!(adr(X0, ADR_RANGE).is_err() && adr(X0, -ADR_RANGE - 1).is_err());
}

#[test]
fn immediates_that_do_not_fit_are_refused() {
    assert!(movz(X0, 1, 8).is_err() && movz(X0, 1, 64).is_err());
    assert!(tbz(X0, 64, 0).is_err());
    assert!(hint(128).is_err());
    assert!(add_imm(X0, X0, 0x1001).is_err() && add_imm(X0, X0, 0x100_0000).is_err());
    assert!(ldp(X0, X1, X0, 512).is_err() && ldp(X0, X1, X0, 4).is_err());
    assert!(ldr(X0, X1, 32768).is_err() && str(X0, X1, 4).is_err());
    assert_eq!(Gpr::new(32), None);
}
