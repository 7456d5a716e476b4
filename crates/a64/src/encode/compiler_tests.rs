//! Words for compilers: what an assembler gives for the text that our disassembler prints.

use std::format;
use std::string::ToString;

use super::arith::{
    Sf::{W, X},
    add, add_i, add_lsl, and, and_i, asr, asr_i, bitmask, cmn_i, cmp, cmp_i, csel, eor, eor_i, extr, lsl,
    lsl_i, lsr, lsr_i, madd, movn_w, msub, mul, mvn, orr, orr_i, rev, rev16, sbfm, sdiv, sign_extend, sub,
    sub_i, subs, subs_i, tst, tst_i, ubfm, udiv, umaddl, umulh, zero_extend,
};
use super::regs::{X1, X2, X3, X4, X29, X30};
use super::sized::{
    AtomicOp, Bytes,
    Extend::{Sign, Zero},
    atomic, casal, ldxr, load, load_at, load_near, stlxr, store, store_at, store_near, stxr,
};
use super::{EncodeError, Gpr, cbnz_w, cbz_w};
use crate::cond::Cond;
use crate::disasm;
use crate::insn::Insn;

#[test]
fn words_and_their_texts() {
    let expected = [
        (Ok(add(W, X1, X2, X3)), 0x0b03_0041, "add w1, w2, w3"),
        (Ok(add(X, X1, X2, X30)), 0x8b1e_0041, "add x1, x2, x30"),
        (add_lsl(X, X1, X2, X3, 63), 0x8b03_fc41, "add x1, x2, x3, lsl #63"),
        (add_lsl(W, X1, X2, X3, 31), 0x0b03_7c41, "add w1, w2, w3, lsl #31"),
        (Ok(sub(X, X1, X2, X3)), 0xcb03_0041, "sub x1, x2, x3"),
        (Ok(sub(W, X1, Gpr::ZR, X3)), 0x4b03_03e1, "neg w1, w3"),
        (Ok(subs(X, X1, X2, X3)), 0xeb03_0041, "subs x1, x2, x3"),
        (Ok(cmp(X, X1, X2)), 0xeb02_003f, "cmp x1, x2"),
        (Ok(cmp(W, X1, X2)), 0x6b02_003f, "cmp w1, w2"),
        (Ok(and(X, X1, X2, X3)), 0x8a03_0041, "and x1, x2, x3"),
        (Ok(tst(W, X1, X2)), 0x6a02_003f, "tst w1, w2"),
        (Ok(orr(X, X1, X2, X3)), 0xaa03_0041, "orr x1, x2, x3"),
        (Ok(orr(W, X1, Gpr::ZR, X3)), 0x2a03_03e1, "mov w1, w3"),
        (Ok(eor(X, X1, X2, X3)), 0xca03_0041, "eor x1, x2, x3"),
        (Ok(eor(W, X1, X2, X3)), 0x4a03_0041, "eor w1, w2, w3"),
        (Ok(mvn(X, X1, X2)), 0xaa22_03e1, "mvn x1, x2"),
        (Ok(lsl(X, X1, X2, X3)), 0x9ac3_2041, "lsl x1, x2, x3"),
        (Ok(lsr(W, X1, X2, X3)), 0x1ac3_2441, "lsr w1, w2, w3"),
        (Ok(asr(X, X1, X2, X3)), 0x9ac3_2841, "asr x1, x2, x3"),
        (Ok(udiv(X, X1, X2, X3)), 0x9ac3_0841, "udiv x1, x2, x3"),
        (Ok(sdiv(W, X1, X2, X3)), 0x1ac3_0c41, "sdiv w1, w2, w3"),
        (Ok(madd(X, X1, X2, X3, X4)), 0x9b03_1041, "madd x1, x2, x3, x4"),
        (Ok(mul(W, X1, X2, X3)), 0x1b03_7c41, "mul w1, w2, w3"),
        (Ok(msub(X, X1, X2, X3, X4)), 0x9b03_9041, "msub x1, x2, x3, x4"),
        (Ok(umaddl(X1, X2, X3, X4)), 0x9ba3_1041, "umaddl x1, w2, w3, x4"),
        (Ok(umulh(X1, X2, X3)), 0x9bc3_7c41, "umulh x1, x2, x3"),
        (extr(X, X1, X2, X3, 63), 0x93c3_fc41, "extr x1, x2, x3, #63"),
        (extr(W, X1, X2, X3, 5), 0x1383_1441, "extr w1, w2, w3, #5"),
        (Ok(csel(X, X1, X2, X3, Cond::Cc)), 0x9a83_3041, "csel x1, x2, x3, lo"),
        (Ok(rev(X, X1, X2)), 0xdac0_0c41, "rev x1, x2"),
        (Ok(rev(W, X1, X2)), 0x5ac0_0841, "rev w1, w2"),
        (Ok(rev16(W, X1, X2)), 0x5ac0_0441, "rev16 w1, w2"),
        (ubfm(X, X1, X2, 4, 11), 0xd344_2c41, "ubfx x1, x2, #4, #8"),
        (ubfm(X, X1, X2, 60, 7), 0xd37c_1c41, "ubfiz x1, x2, #4, #8"),
        (sbfm(W, X1, X2, 4, 11), 0x1304_2c41, "sbfx w1, w2, #4, #8"),
        (lsl_i(X, X1, X2, 63), 0xd341_0041, "lsl x1, x2, #63"),
        (lsl_i(W, X1, X2, 1), 0x531f_7841, "lsl w1, w2, #1"),
        (lsr_i(X, X1, X2, 63), 0xd37f_fc41, "lsr x1, x2, #63"),
        (lsr_i(W, X1, X2, 31), 0x531f_7c41, "lsr w1, w2, #31"),
        (asr_i(X, X1, X2, 1), 0x9341_fc41, "asr x1, x2, #1"),
        (asr_i(W, X1, X2, 31), 0x131f_7c41, "asr w1, w2, #31"),
        (zero_extend(W, X1, X2, 8), 0x5300_1c41, "uxtb w1, w2"),
        (zero_extend(W, X1, X2, 16), 0x5300_3c41, "uxth w1, w2"),
        (sign_extend(X, X1, X2, 8), 0x9340_1c41, "sxtb x1, w2"),
        (sign_extend(W, X1, X2, 16), 0x1300_3c41, "sxth w1, w2"),
        (sign_extend(X, X1, X2, 32), 0x9340_7c41, "sxtw x1, w2"),
        (add_i(X, X1, Gpr::SP, 4095), 0x913f_ffe1, "add x1, sp, #4095"),
        (add_i(W, X1, X2, 0x5000), 0x1140_1441, "add w1, w2, #5, lsl #12"),
        (sub_i(X, Gpr::SP, Gpr::SP, 512), 0xd108_03ff, "sub sp, sp, #512"),
        (subs_i(X, X1, X2, 1), 0xf100_0441, "subs x1, x2, #1"),
        (cmp_i(X, X1, 7), 0xf100_1c3f, "cmp x1, #7"),
        (cmp_i(W, X1, 0xff_f000), 0x717f_fc3f, "cmp w1, #4095, lsl #12"),
        (cmn_i(X, X1, 5), 0xb100_143f, "cmn x1, #5"),
        (and_i(X, X1, X2, 0xff), 0x9240_1c41, "and x1, x2, #0xff"),
        (and_i(W, X1, X2, 0xffff_fff0), 0x121c_6c41, "and w1, w2, #0xfffffff0"),
        (orr_i(X, X1, X2, 0x8000_0000_0000_0000), 0xb241_0041, "orr x1, x2, #0x8000000000000000"),
        (eor_i(X, X1, X2, 0x5555_5555_5555_5555), 0xd200_f041, "eor x1, x2, #0x5555555555555555"),
        (tst_i(X, X1, 0xff00_0000_0000_000f), 0xf248_2c3f, "tst x1, #0xff0000000000000f"),
        (movn_w(X1, 5, 16), 0x12a0_00a1, "mov w1, #-327681"),
        (cbz_w(X1, 8), 0x3400_0041, "cbz w1, 0x1008"),
        (cbnz_w(X30, -8), 0x35ff_ffde, "cbnz w30, 0xff8"),
        (load(Bytes::B, Zero, X1, X2, 4095), 0x397f_fc41, "ldrb w1, [x2, #4095]"),
        (load(Bytes::H, Zero, X1, X2, 8190), 0x797f_fc41, "ldrh w1, [x2, #8190]"),
        (load(Bytes::W, Zero, X1, X2, 16380), 0xb97f_fc41, "ldr w1, [x2, #16380]"),
        (load(Bytes::X, Zero, X1, Gpr::SP, 32760), 0xf97f_ffe1, "ldr x1, [sp, #32760]"),
        (load(Bytes::B, Sign, X1, X2, 1), 0x3980_0441, "ldrsb x1, [x2, #1]"),
        (load(Bytes::H, Sign, X1, X2, 2), 0x7980_0441, "ldrsh x1, [x2, #2]"),
        (load(Bytes::W, Sign, X1, X2, 4), 0xb980_0441, "ldrsw x1, [x2, #4]"),
        (load(Bytes::X, Sign, X1, X2, 8), 0xf940_0441, "ldr x1, [x2, #8]"),
        (store(Bytes::B, X1, X2, 1), 0x3900_0441, "strb w1, [x2, #1]"),
        (store(Bytes::H, X1, X2, 2), 0x7900_0441, "strh w1, [x2, #2]"),
        (store(Bytes::W, Gpr::ZR, X2, 4), 0xb900_045f, "str wzr, [x2, #4]"),
        (store(Bytes::X, X1, Gpr::SP, 8), 0xf900_07e1, "str x1, [sp, #8]"),
        (load_near(Bytes::B, Zero, X1, X2, -256), 0x3850_0041, "ldurb w1, [x2, #-256]"),
        (load_near(Bytes::H, Sign, X1, X2, -1), 0x789f_f041, "ldursh x1, [x2, #-1]"),
        (load_near(Bytes::W, Sign, X1, X2, 255), 0xb88f_f041, "ldursw x1, [x2, #255]"),
        (load_near(Bytes::X, Zero, X1, X29, -8), 0xf85f_83a1, "ldur x1, [x29, #-8]"),
        (store_near(Bytes::B, X1, X2, -256), 0x3810_0041, "sturb w1, [x2, #-256]"),
        (store_near(Bytes::H, X1, X2, -1), 0x781f_f041, "sturh w1, [x2, #-1]"),
        (store_near(Bytes::W, X1, X2, 255), 0xb80f_f041, "stur w1, [x2, #255]"),
        (store_near(Bytes::X, Gpr::ZR, X29, -8), 0xf81f_83bf, "stur xzr, [x29, #-8]"),
        (Ok(load_at(Bytes::B, Sign, X1, X2, X3)), 0x38a3_6841, "ldrsb x1, [x2, x3]"),
        (Ok(load_at(Bytes::H, Zero, X1, X2, X3)), 0x7863_6841, "ldrh w1, [x2, x3]"),
        (Ok(load_at(Bytes::X, Zero, X1, Gpr::SP, X3)), 0xf863_6be1, "ldr x1, [sp, x3]"),
        (Ok(store_at(Bytes::B, X1, X2, X3)), 0x3823_6841, "strb w1, [x2, x3]"),
        (Ok(store_at(Bytes::X, X1, X2, X3)), 0xf823_6841, "str x1, [x2, x3]"),
        (Ok(atomic(AtomicOp::Add, Bytes::X, true, X1, X2, X3)), 0xf8e1_0062, "ldaddal x1, x2, [x3]"),
        (Ok(atomic(AtomicOp::Add, Bytes::W, false, X1, Gpr::ZR, X3)), 0xb821_007f, "stadd w1, [x3]"),
        (Ok(atomic(AtomicOp::Clear, Bytes::X, false, X1, Gpr::ZR, X3)), 0xf821_107f, "stclr x1, [x3]"),
        (Ok(atomic(AtomicOp::Eor, Bytes::W, true, X1, X2, X3)), 0xb8e1_2062, "ldeoral w1, w2, [x3]"),
        (Ok(atomic(AtomicOp::Set, Bytes::X, true, X1, X2, X3)), 0xf8e1_3062, "ldsetal x1, x2, [x3]"),
        (Ok(atomic(AtomicOp::Swap, Bytes::W, true, X1, X2, X3)), 0xb8e1_8062, "swpal w1, w2, [x3]"),
        (Ok(casal(Bytes::X, X1, X2, X3)), 0xc8e1_fc62, "casal x1, x2, [x3]"),
        (Ok(casal(Bytes::W, X1, X2, X3)), 0x88e1_fc62, "casal w1, w2, [x3]"),
        (Ok(ldxr(Bytes::X, X1, X2)), 0xc85f_7c41, "ldxr x1, [x2]"),
        (Ok(ldxr(Bytes::W, X1, X2)), 0x885f_7c41, "ldxr w1, [x2]"),
        (Ok(stxr(Bytes::X, X1, X2, X3)), 0xc801_7c62, "stxr w1, x2, [x3]"),
        (Ok(stlxr(Bytes::W, X1, X2, X3)), 0x8801_fc62, "stlxr w1, w2, [x3]"),
    ];
    for (word, want, text) in expected {
        assert_eq!(word, Ok(Insn(want)), "{text}");
        assert_eq!(disasm::at(Insn(want), 0x1000).to_string(), text);
    }
}

/// All there are, made by the definition: 5,334 of 64 bits, 1,302 of 32.
#[test]
fn every_logical_immediate_and_nothing_else() {
    let mut all = std::collections::BTreeSet::new();
    for size in [2u32, 4, 8, 16, 32, 64] {
        for ones in 1..size {
            for rotation in 0..size {
                let run = u64::MAX >> (64 - ones);
                let mask = u64::MAX >> (64 - size);
                let element = (run >> rotation | run.checked_shl(size - rotation).unwrap_or(0)) & mask;
                let value = (0..64 / size).fold(0, |value, n| value | element << (n * size));
                all.insert(value);
            }
        }
    }
    assert_eq!(all.len(), 5334);
    for &value in &all {
        let word = and_i(X, X1, X2, value).unwrap();
        assert_eq!(disasm::at(word, 0).to_string(), format!("and x1, x2, #{value:#x}"));
        // Its neighbours are immediates only if they are in the list.
        for near in [value ^ 1, value ^ 1 << 63, value.wrapping_add(1), !value] {
            assert_eq!(bitmask(X, near).is_some(), all.contains(&near), "{near:#x}");
        }
    }
    let halves = all.iter().filter(|value| *value >> 32 == *value & 0xffff_ffff);
    let narrow: std::vec::Vec<u64> = halves.map(|value| value & 0xffff_ffff).collect();
    assert_eq!(narrow.len(), 1302);
    for value in narrow {
        let word = orr_i(W, X1, X2, value).unwrap();
        assert_eq!(disasm::at(word, 0).to_string(), format!("orr w1, w2, #{value:#x}"));
    }
    for value in [0, u64::MAX, 5, 0x1_0001_0000] {
        assert_eq!(eor_i(X, X1, X2, value), Err(EncodeError::Mask { value }));
    }
    assert_eq!(bitmask(W, 0xffff_ffff), None);
    assert_eq!(bitmask(W, 0x1_0000_0000), None);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(lsl_i(W, X1, X2, 32).is_err() && lsl_i(X, X1, X2, 64).is_err());
    assert!(lsr_i(W, X1, X2, 32).is_err() && asr_i(X, X1, X2, 64).is_err());
    assert!(add_lsl(W, X1, X2, X3, 32).is_err() && extr(W, X1, X2, X3, 32).is_err());
    assert!(ubfm(W, X1, X2, 0, 32).is_err() && sbfm(X, X1, X2, 64, 0).is_err());
    assert!(zero_extend(X, X1, X2, 0).is_err() && sign_extend(W, X1, X2, 33).is_err());
    assert!(add_i(X, X1, X2, 0x1001).is_err() && cmp_i(X, X1, 0x100_0000).is_err());
    assert!(movn_w(X1, 0, 32).is_err());
    assert!(load(Bytes::W, Zero, X1, X2, 2).is_err() && load(Bytes::X, Zero, X1, X2, 32768).is_err());
    assert!(load(Bytes::B, Zero, X1, X2, -1).is_err() && store(Bytes::H, X1, X2, -2).is_err());
    assert!(load_near(Bytes::X, Sign, X1, X2, 256).is_err());
    assert!(store_near(Bytes::X, X1, X2, -257).is_err());
}
