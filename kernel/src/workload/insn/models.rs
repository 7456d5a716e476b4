//! What each `insn_*` function must return, computed in Rust.
//!
//! A model knows the meaning of the instructions, not how the assembly is laid out: where a function depends on
//! addresses, the model takes them from the symbols.

use super::flags::{Nzcv, adc, add, logic_flags, sbc, sub};
use super::{insn_adr, insn_adr_size, insn_adrp, insn_adrp_size};

fn sext32(value: u64) -> u64 {
    value as u32 as i32 as i64 as u64
}

fn low32(value: u64) -> u64 {
    value & 0xffff_ffff
}

/// How the functions bring values together.
trait Mix {
    /// `self` exclusive-or `value` rotated right.
    fn mix(self, value: Self, rotate: u32) -> Self;
}

impl Mix for u64 {
    fn mix(self, value: Self, rotate: u32) -> Self {
        self ^ value.rotate_right(rotate)
    }
}

/// `first` mixed with each of `rest`, rotated by one, two, … bits.
fn fold(first: u64, rest: &[u64]) -> u64 {
    (1..).zip(rest).fold(first, |sum, (rotate, value)| sum.mix(*value, rotate))
}

// ---- branch.S

pub(super) fn b(a: u64, b: u64) -> u64 {
    a.wrapping_add(1).wrapping_add(b).rotate_right(7).wrapping_add(2)
}

pub(super) fn b_cond_taken(a: u64, b: u64) -> u64 {
    a.wrapping_add(4).wrapping_add(b << 1)
}

pub(super) fn b_cond_not(a: u64, b: u64) -> u64 {
    a.wrapping_add(3).wrapping_add(b << 2).rotate_right(13).wrapping_add(1)
}

pub(super) fn b_cond_all(a: u64, b: u64) -> u64 {
    let taken = [
        a == b,
        a != b,
        a >= b,
        a < b,
        (a.wrapping_sub(b) as i64) < 0,
        (a.wrapping_sub(b) as i64) >= 0,
        (a as i64).overflowing_sub(b as i64).1,
        !(a as i64).overflowing_sub(b as i64).1,
        a > b,
        a <= b,
        a as i64 >= b as i64,
        (a as i64) < b as i64,
        a as i64 > b as i64,
        a as i64 <= b as i64,
    ];
    a.wrapping_add(taken.iter().fold(1, |bits, taken| bits << 1 | u64::from(!taken)))
}

pub(super) fn bl(a: u64, b: u64) -> u64 {
    a.wrapping_add(b).wrapping_add(5)
}

pub(super) fn bl_back(a: u64, b: u64) -> u64 {
    (a ^ b).wrapping_add(6)
}

pub(super) fn blr(a: u64, b: u64) -> u64 {
    a.wrapping_add(b << 3).wrapping_add(7)
}

pub(super) fn blr_x30(a: u64, b: u64) -> u64 {
    a.wrapping_sub(b).wrapping_add(8)
}

pub(super) fn br(a: u64, b: u64) -> u64 {
    (a.wrapping_add(1) ^ b).rotate_right(9).wrapping_add(4)
}

pub(super) fn ret(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

pub(super) fn ret_reg(a: u64, b: u64) -> u64 {
    a.mix(b, 3)
}

/// One bit for each of `a`, its low half, `b` and its low half: set where it is not zero.
fn nonzero_bits(a: u64, b: u64) -> u64 {
    [a, low32(a), b, low32(b)].iter().rev().fold(0, |bits, value| bits << 1 | u64::from(*value != 0))
}

pub(super) fn cbz(a: u64, b: u64) -> u64 {
    a.wrapping_add(nonzero_bits(a, b) + 16)
}

pub(super) fn cbnz(a: u64, b: u64) -> u64 {
    a.wrapping_add((nonzero_bits(a, b) ^ 15) + 3 * 16)
}

/// The bits of `a` that are tested, below a one.
fn tested_bits(a: u64) -> u64 {
    [0, 5, 31, 32, 63].iter().fold(1, |bits, bit| bits << 1 | a >> bit & 1)
}

pub(super) fn tbz(a: u64, b: u64) -> u64 {
    b.wrapping_add(tested_bits(a) + 64)
}

pub(super) fn tbnz(a: u64, b: u64) -> u64 {
    b.wrapping_add((tested_bits(a) ^ 31) + 2 * 64)
}

pub(super) fn tail_b(a: u64, b: u64) -> u64 {
    ret(a.wrapping_add(11), b)
}

pub(super) fn tail_b_cond(a: u64, b: u64) -> u64 {
    ret(a.wrapping_add(12), b)
}

pub(super) fn tail_br(a: u64, b: u64) -> u64 {
    ret(a.wrapping_add(13), b)
}

// ---- pcrel.S

pub(super) fn adr(a: u64, _: u64) -> u64 {
    let entry = insn_adr as *const () as u64;
    let end = entry + insn_adr_size;
    (a.wrapping_add(entry) ^ end.rotate_right(5)).wrapping_add((entry + 3) << 1)
}

pub(super) fn adrp(a: u64, _: u64) -> u64 {
    let entry = insn_adrp as *const () as u64;
    a.wrapping_add(entry) ^ (&raw const insn_adrp_size as u64).rotate_right(5)
}

const LIT_X_BEFORE: u64 = 0x0123_4567_89ab_cdef;
const LIT_W_BEFORE: u64 = 0x89ab_cdef;
const LIT_SW_BEFORE: u64 = 0xfedc_ba98;
const LIT_X_BEHIND: u64 = 0xf0e1_d2c3_b4a5_9687;
const LIT_SW_BEHIND: u64 = 0x7654_3210;
const LIT_Q_BEHIND: [u64; 2] = [0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00];

pub(super) fn ldr_lit64(a: u64, _: u64) -> u64 {
    a.wrapping_add(LIT_X_BEFORE) ^ LIT_X_BEHIND
}

pub(super) fn ldr_lit32(a: u64, _: u64) -> u64 {
    a.wrapping_add(LIT_W_BEFORE) ^ LIT_SW_BEHIND
}

pub(super) fn ldrsw_lit(a: u64, _: u64) -> u64 {
    a.wrapping_add(sext32(LIT_SW_BEFORE)) ^ sext32(LIT_SW_BEHIND)
}

pub(super) fn prfm_lit(a: u64, b: u64) -> u64 {
    a.wrapping_add(b).wrapping_add(3)
}

pub(super) fn ldr_lit_fp(a: u64, _: u64) -> u64 {
    let x = a.wrapping_add(LIT_W_BEFORE) ^ LIT_X_BEFORE;
    x.wrapping_add(LIT_Q_BEHIND[0]) ^ LIT_Q_BEHIND[1].rotate_right(3)
}

// ---- data.S

pub(super) fn mov_wide(a: u64, _: u64) -> u64 {
    let x = a.wrapping_add(0x1234_0000_5678_0000) ^ !(0xff << 32);
    x.wrapping_add(0x8000_4321).wrapping_add(0xffff_ffef)
}

pub(super) fn add_imm(a: u64, b: u64) -> u64 {
    let w = b as u32;
    let x = a.wrapping_add(0xabc).wrapping_sub(0x12_3000);
    x.wrapping_add(u64::from(w.wrapping_add(0xff_f000))).wrapping_add(u64::from(w.wrapping_sub(1)) << 8)
}

pub(super) fn add_extended(a: u64, b: u64) -> u64 {
    let x2 = a.wrapping_add((b as i8 as i64 as u64) << 2);
    let x3 = x2.wrapping_sub(b & 0xffff);
    let x4 = x3.wrapping_add(sext32(b) << 1);
    x4.wrapping_add(low32(a.wrapping_sub((b & 0xff) << 3)))
}

pub(super) fn adds_subs(a: u64, b: u64) -> u64 {
    let (x2, x3) = add(a, b, 64);
    let (x4, x5) = sub(a, b << 1, 64);
    let (x6, x7) = add(a, 0x7ff, 32);
    let (x8, x9) = sub(a, b, 32);
    let (_, x10) = add(a, (b as i64 >> 3) as u64, 64);
    let x = x2.mix(x4, 4).wrapping_add(x6).wrapping_add(x8 << 5);
    x ^ x3.bits() ^ x5.bits() << 4 ^ x7.bits() << 8 ^ x9.bits() << 12 ^ x10.bits() << 16
}

pub(super) fn adc_sbc(a: u64, b: u64) -> u64 {
    let (x2, flags) = add(a, b, 64);
    let (x3, _) = adc(a, b, flags);
    let (x4, flags) = sbc(b, a, flags);
    let (x5, _) = sbc(0, b, flags);
    let (x6, flags) = adc(a, 0, flags);
    let x = x2.wrapping_add(x3 << 1).mix(x4, 2) ^ x5;
    x.mix(x6, 3) ^ flags.bits() << 28
}

pub(super) fn logic(a: u64, b: u64) -> u64 {
    let x4 = a | (b as i64 >> 7) as u64;
    let x5 = a | !b.rotate_right(9);
    let x = (a & b << 3).wrapping_add(a & !(b >> 5)).mix(x4, 1).mix(x5, 2).mix(a ^ b, 3);
    let x = x.wrapping_add(low32(!(a ^ b))).mix(a & 0xff00_ff00_ff00_ff00, 4);
    x.wrapping_add(low32(b | 0x8000_0001)).wrapping_add(b ^ 0x7ffe)
}

pub(super) fn ands_bics(a: u64, b: u64) -> u64 {
    let x2 = a & b;
    let x4 = a & !b;
    let x6 = a & 0xf0f0_f0f0;
    let flags = [logic_flags(x2, 64), logic_flags(x4, 64), logic_flags(x6, 32), logic_flags(b & 1, 64)];
    let x = x2.mix(x4, 1).wrapping_add(x6 << 2);
    flags.iter().enumerate().fold(x, |x, (i, flags)| x ^ flags.bits() << 28 >> (4 * i))
}

pub(super) fn bitfield(a: u64, b: u64) -> u64 {
    let x2 = a >> 9 & 0x1f_ffff;
    let x3 = ((a << 48) as i64 >> 53) as u64;
    let x4 = (b & 0x1_ffff) << 13;
    let x5 = a & !(0xffff << 24) | (b & 0xffff) << 24;
    let x5 = x5 & !0xff | b >> 40 & 0xff;
    let x6 = low32(b as i8 as i64 as u64);
    let x7 = b & 0xffff;
    let x8 = sext32(a);
    let x9 = (b as i64 >> 17) as u64;
    let x10 = low32(a << 5);
    let x11 = b >> 33;
    let x12 = b >> 23 | a << 41;
    let x = (x2.wrapping_add(x3).wrapping_add(x4) ^ x5).wrapping_add(x6).wrapping_add(x7 << 3);
    let x = (x ^ x8.rotate_right(11)).wrapping_add(x9);
    (x ^ x10 << 7).wrapping_add(x11) ^ x12
}

pub(super) fn shift_var(a: u64, b: u64) -> u64 {
    let x2 = a << (b & 63);
    let x3 = low32(a) >> (b & 31);
    let x4 = (a as i64 >> (b & 63)) as u64;
    let x5 = a.rotate_right((b & 63) as u32);
    (x2.wrapping_add(x3) ^ x4.rotate_right(1)).wrapping_add(x5)
}

pub(super) fn bits(a: u64, b: u64) -> u64 {
    let in_each = |value: u64, bytes: usize| {
        let mut all = value.to_be_bytes();
        all.chunks_mut(bytes).for_each(<[u8]>::reverse);
        u64::from_be_bytes(all)
    };
    let sign_bits = (b as i64 ^ b as i64 >> 63).leading_zeros() - 1;
    let x = u64::from(a.leading_zeros()).wrapping_add(u64::from(sign_bits) << 8) ^ a.reverse_bits();
    let x = x.wrapping_add(b.swap_bytes()) ^ in_each(a, 2).rotate_right(1);
    x.wrapping_add(in_each(b, 4)) ^ u64::from((a as u32).swap_bytes())
}

pub(super) fn mul_div(a: u64, b: u64) -> u64 {
    let (sa, sb) = (a as i64, b as i64);
    let (wa, wb) = (a as i32, b as i32);
    let x2 = a.wrapping_mul(b).wrapping_add(a);
    let x3 = b.wrapping_sub(a.wrapping_mul(b));
    let x4 = ((u128::from(a) * u128::from(b)) >> 64) as u64;
    let x5 = ((i128::from(sa) * i128::from(sb)) >> 64) as u64;
    let x6 = a.wrapping_add(low32(a) * low32(b));
    let x7 = b.wrapping_sub((i64::from(wa) * i64::from(wb)) as u64);
    let x8 = a.checked_div(b).unwrap_or(0);
    let x9 = if sb == 0 { 0 } else { sa.wrapping_div(sb) as u64 };
    let x10 = if wb == 0 { 0 } else { u64::from(wa.wrapping_div(wb) as u32) };
    let x = (x2.mix(x3, 1) ^ x4).mix(x5, 2);
    let x = (x ^ x6.rotate_right(3)).wrapping_add(x7) ^ x8;
    x.mix(x9, 4) ^ x10
}

pub(super) fn csel(a: u64, b: u64) -> u64 {
    let (_, flags) = sub(a, b, 64);
    let x2 = if a > b { a } else { b };
    let x3 = if (a as i64) < b as i64 { a } else { b.wrapping_add(1) };
    let x4 = if a == b { a } else { !b };
    let x5 = if flags.v { a } else { b.wrapping_neg() };
    let x6 = u64::from(a as i64 > b as i64);
    let x7 = if a <= b { 0xffff_ffff } else { 0 };
    let x = (x2.mix(x3, 1) ^ x4.rotate_right(2)).mix(x5, 3);
    (x ^ x6).wrapping_add(x7)
}

pub(super) fn ccmp(a: u64, b: u64) -> u64 {
    let first = if a != b { sub(a, 7, 64).1 } else { Nzcv { z: true, ..Nzcv::default() } };
    let second =
        if first.n == first.v { add(b, a, 64).1 } else { Nzcv { n: true, v: true, ..Nzcv::default() } };
    a.wrapping_add(first.bits() << 28) ^ second.bits() << 24
}

// ---- memory.S

pub(super) fn ldp_stp(a: u64, b: u64) -> u64 {
    fold(a, &[b, b, a, sext32(a), sext32(b), low32(a), low32(b)])
}

pub(super) fn ldnp_stnp(a: u64, b: u64) -> u64 {
    fold(a, &[b, low32(b), low32(a)])
}

/// Sixteen bytes of memory that hold `a` and `b`.
struct Memory([u8; 16]);

impl Memory {
    fn new(a: u64, b: u64) -> Self {
        Self((u128::from(b) << 64 | u128::from(a)).to_le_bytes())
    }

    fn load(&self, at: usize, bytes: usize) -> u64 {
        self.0.iter().skip(at).take(bytes).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn store(&mut self, at: usize, bytes: usize, value: u64) {
        self.0.iter_mut().skip(at).take(bytes).zip(value.to_le_bytes()).for_each(|(to, byte)| *to = byte);
    }
}

pub(super) fn ldst_sizes(a: u64, b: u64) -> u64 {
    let mut m = Memory::new(a, b);
    m.store(3, 1, b);
    m.store(6, 2, b);
    m.store(12, 4, a);
    let rest = [
        m.load(3, 1) as i8 as i64 as u64,
        u64::from(m.load(6, 1) as i8 as i32 as u32),
        m.load(2, 2),
        m.load(6, 2) as i16 as i64 as u64,
        u64::from(m.load(14, 2) as i16 as i32 as u32),
        sext32(m.load(12, 4)),
        m.load(4, 4),
        m.load(8, 8),
    ];
    fold(m.load(1, 1), &rest)
}

pub(super) fn ldst_unscaled(a: u64, b: u64) -> u64 {
    let mut m = Memory::new(a, b);
    m.store(1, 4, b);
    let (x2, x3, x4) = (m.load(3, 8), sext32(m.load(6, 4)), m.load(13, 2));
    m.store(15, 1, a);
    fold(x2, &[x3, x4, m.load(7, 8)])
}

pub(super) fn ldst_register(a: u64, b: u64) -> u64 {
    let index = (a & 3) as usize;
    // The stack holds a, b, b, a.
    let mut low = Memory::new(a, b);
    let mut high = Memory::new(b, a);
    let doublewords = [a, b, b, a];
    let at = |i: usize| doublewords.get(i).copied().unwrap_or_default();
    let (x2, x3, x4, x5) = (at(index), low.load(index * 4, 4), low.load(index, 1), at(3 - index));
    low.store(index, 1, b);
    // From offset 24 down by a word each: the third lies at 12, in the lower half.
    match 24 - index * 4 {
        word @ 16.. => high.store(word - 16, 4, a),
        word => low.store(word, 4, a),
    }
    fold(x2, &[x3, x4, x5, low.load(0, 8), low.load(8, 8), high.load(0, 8)])
}

pub(super) fn ldst_writeback(a: u64, b: u64) -> u64 {
    fold(low32(a) & !0xff | b & 0xff, &[b, b, sext32(a)])
}

pub(super) fn stack_pointer(a: u64, b: u64) -> u64 {
    let x6 = (64 + (a & 16)).wrapping_sub(b & 255);
    a.wrapping_add(48).wrapping_add(x6 << 8)
}

pub(super) fn ldar_stlr(a: u64, b: u64) -> u64 {
    let after = a & !0xff | b & 0xff;
    fold(a, &[after & 0xffff, low32(after)])
}

pub(super) fn ldxr_stxr(a: u64, b: u64) -> u64 {
    fold(a.wrapping_add(b), &[a])
}

pub(super) fn ldaxp_stlxp(a: u64, b: u64) -> u64 {
    fold(a ^ b, &[a])
}

pub(super) fn casal(a: u64, b: u64) -> u64 {
    fold(a, &[b, b])
}

pub(super) fn lse(a: u64, b: u64) -> u64 {
    let added = a.wrapping_add(b);
    let set = added | b;
    let cleared = set & !a;
    fold(a, &[added, set, cleared, cleared ^ b, added])
}

// ---- system.S

pub(super) fn mrs(a: u64, b: u64) -> u64 {
    a.wrapping_add(4).wrapping_add(sub(a.wrapping_add(4), b, 64).1.bits() << 28)
}

pub(super) fn msr(a: u64, b: u64) -> u64 {
    let was = sub(a, b, 64).1;
    let flags = Nzcv { n: !was.n, z: !was.z, c: !was.c, v: !was.v };
    let x3 = if flags.z { a } else { b };
    let x4 = if flags.n { a } else { b.wrapping_add(1) };
    let x5 = if flags.c { a } else { !b };
    let x6 = if flags.v { a } else { b.wrapping_neg() };
    fold(x3, &[x4, x5, x6])
}

pub(super) fn daif(a: u64, _: u64) -> u64 {
    a.wrapping_add(1)
}

pub(super) fn hint(a: u64, b: u64) -> u64 {
    let x = a.wrapping_add(1).wrapping_add(b).rotate_right(1);
    x.wrapping_add(2).rotate_right(2).wrapping_add(3)
}

pub(super) fn bti_pac(a: u64, b: u64) -> u64 {
    a.wrapping_add(1).wrapping_add(b).rotate_right(3).wrapping_add(2)
}

/// The barriers stand between the same arithmetic as the hints.
pub(super) fn barriers(a: u64, b: u64) -> u64 {
    hint(a, b)
}

pub(super) fn cache(a: u64, b: u64) -> u64 {
    a.wrapping_add(b).wrapping_add(1)
}

pub(super) fn fp(a: u64, b: u64) -> u64 {
    let (x, y) = (a & 0xffff, b & 0xffff);
    (a.wrapping_add(b) ^ (x * y + x).rotate_right(8)).wrapping_add(u64::from(x > y))
}
