//! Words to test, by group: fixed bits from the architecture's tables (Arm ARM C4.1), the rest random.
//!
//! What cannot run in the area is left out, here and nowhere else: words that name SP where a test of its own has it
//! (group `stack`), accesses without privilege (the kernel's memory is not for EL0), write-back to a register that is also
//! data (constrained unpredictable), and extensions that a CPU may lack.

use core::arch::asm;

use a64::decode::decode;
use a64::{Class, Insn, UserRegs, classify};

use super::{CODE_WORDS, LITERAL_WORDS, NZCV, TESTED, area};
use crate::workload::Random;

/// A kind of instructions.
pub(super) struct Group {
    pub(super) name: &'static str,
    /// Whether all of its words fault, or none.
    pub(super) faults: bool,
    templates: &'static [fn(&mut Random, usize) -> Generated],
}

pub(super) const GROUPS: &[Group] = &[
    Group {
        name: "immediates",
        faults: false,
        templates: &[add_immediate, logical_immediate, move_wide, bit_field, extract],
    },
    Group {
        name: "registers",
        faults: false,
        templates: &[
            logical_shifted,
            add_shifted,
            add_extended,
            add_carry,
            compare_conditionally,
            select,
            one_source,
            two_sources,
            three_sources,
        ],
    },
    Group {
        name: "branches",
        faults: false,
        templates: &[branch, branch_conditionally, compare_and_branch, test_and_branch, branch_register],
    },
    Group { name: "pc_relative", faults: false, templates: &[address, literal] },
    Group {
        name: "memory",
        faults: false,
        templates: &[unsigned_offset, signed_offset, register_offset, pair, ordered],
    },
    Group { name: "atomics", faults: false, templates: &[atomic, ordered] },
    Group { name: "stack", faults: false, templates: &[move_stack, push] },
    Group { name: "system", faults: false, templates: &[plain, masks, by_address] },
    Group {
        name: "faults",
        faults: true,
        templates: &[
            |r, n| unsigned_offset(r, n).astray(),
            |r, n| signed_offset(r, n).astray(),
            |r, n| pair(r, n).astray(),
        ],
    },
];

/// A word, and what its registers must be for it.
pub(super) struct Generated {
    pub(super) insn: Insn,
    /// Points into the scratch memory.
    base: Option<u8>,
    /// Is a small number.
    index: Option<u8>,
    /// Points to a breakpoint of the area.
    target: Option<u8>,
    /// The base points to no memory.
    astray: bool,
}

impl Group {
    /// A word for place `n`.
    pub(super) fn generate(&self, random: &mut Random, n: usize) -> Generated {
        loop {
            let template = self.templates[random.below(self.templates.len() as u64) as usize];
            let generated = template(random, n);
            let insn = generated.insn;
            if decode(insn).is_some() && !matches!(classify(insn), Class::Reject(_)) && !prefetch(&generated)
            {
                return generated;
            }
        }
    }
}

/// A prefetch from nowhere does not fault.
fn prefetch(generated: &Generated) -> bool {
    generated.astray && matches!(classify(generated.insn), Class::Step { may_fault: false })
}

impl Generated {
    fn plain(insn: u32) -> Self {
        Self { insn: Insn(insn), base: None, index: None, target: None, astray: false }
    }

    fn with_base(self, base: u32) -> Self {
        Self { base: Some(base as u8), ..self }
    }

    fn with_index(self, index: u32) -> Self {
        Self { index: Some(index as u8), ..self }
    }

    fn with_target(self, target: u32) -> Self {
        Self { target: Some(target as u8), ..self }
    }

    fn astray(self) -> Self {
        Self { astray: true, ..self }
    }

    /// Registers for a run: numbers of all kinds, and what the word needs.
    pub(super) fn registers(&self, random: &mut Random, middle: u64) -> UserRegs {
        let mut regs = UserRegs::default();
        for x in &mut regs.x {
            *x = match random.below(8) {
                0 => 0,
                1 => 1,
                2 => u64::MAX,
                3 => random.below(64),
                4 => 1 << random.below(64),
                5 => u64::from(random.next() as u32),
                _ => random.next(),
            };
        }
        regs.pstate = random.next() & NZCV;
        if let Some(index) = self.index {
            regs.set_x(index, random.below(16));
        }
        if let Some(base) = self.base {
            let nowhere = [0, 0x1000, 1 << 50, 0xffff_0000_0000_0000];
            regs.set_x(
                base,
                match self.astray {
                    true => nowhere[random.below(nowhere.len() as u64) as usize] + 512,
                    false => middle + 16 * random.below(8),
                },
            );
        }
        if let Some(target) = self.target {
            regs.set_x(target, area() as u64 + 8 * random.below(TESTED as u64 + 1));
        }
        regs
    }
}

/// Puts random bits where `mask` has ones.
fn word(random: &mut Random, fixed: u32, mask: u32) -> u32 {
    fixed | random.next() as u32 & mask
}

const fn field(insn: u32, lo: u32, width: u32) -> u32 {
    insn >> lo & ((1 << width) - 1)
}

const fn rd(insn: u32) -> u32 {
    field(insn, 0, 5)
}

const fn rn(insn: u32) -> u32 {
    field(insn, 5, 5)
}

/// Repeats until the word is one that is wanted.
fn until(random: &mut Random, fixed: u32, mask: u32, wanted: impl Fn(u32) -> bool) -> u32 {
    loop {
        let insn = word(random, fixed, mask);
        if wanted(insn) {
            return insn;
        }
    }
}

fn add_immediate(random: &mut Random, _: usize) -> Generated {
    // 31 is SP, but as the destination of the forms that set flags.
    let no_sp = |i: u32| rn(i) != 31 && (rd(i) != 31 || field(i, 29, 1) == 1);
    Generated::plain(until(random, 0x1100_0000, 0xe07f_ffff, no_sp))
}

fn logical_immediate(random: &mut Random, _: usize) -> Generated {
    let no_sp = |i: u32| rd(i) != 31 || field(i, 29, 2) == 3;
    Generated::plain(until(random, 0x1200_0000, 0xe07f_ffff, no_sp))
}

fn move_wide(random: &mut Random, _: usize) -> Generated {
    Generated::plain(word(random, 0x1280_0000, 0xe07f_ffff))
}

fn bit_field(random: &mut Random, _: usize) -> Generated {
    Generated::plain(word(random, 0x1300_0000, 0xe07f_ffff))
}

fn extract(random: &mut Random, _: usize) -> Generated {
    Generated::plain(word(random, 0x1380_0000, 0x805f_ffff))
}

fn logical_shifted(random: &mut Random, _: usize) -> Generated {
    Generated::plain(word(random, 0x0a00_0000, 0xe0ff_ffff))
}

fn add_shifted(random: &mut Random, _: usize) -> Generated {
    Generated::plain(word(random, 0x0b00_0000, 0xe0df_ffff))
}

fn add_extended(random: &mut Random, _: usize) -> Generated {
    let no_sp = |i: u32| rn(i) != 31 && (rd(i) != 31 || field(i, 29, 1) == 1);
    Generated::plain(until(random, 0x0b20_0000, 0xe01f_ffff, no_sp))
}

fn add_carry(random: &mut Random, _: usize) -> Generated {
    Generated::plain(word(random, 0x1a00_0000, 0xe01f_03ff))
}

fn compare_conditionally(random: &mut Random, _: usize) -> Generated {
    Generated::plain(word(random, 0x3a40_0000, 0xc01f_fbef))
}

fn select(random: &mut Random, _: usize) -> Generated {
    Generated::plain(word(random, 0x1a80_0000, 0xc01f_f7ff))
}

/// `rbit` to `cls`: what every CPU has.
fn one_source(random: &mut Random, _: usize) -> Generated {
    Generated::plain(until(random, 0x5ac0_0000, 0x8000_1fff, |i| field(i, 10, 3) <= 5))
}

/// Division, shifts, checksums.
fn two_sources(random: &mut Random, _: usize) -> Generated {
    let has = |i: u32| matches!(field(i, 10, 6), 2 | 3 | 8..=11 | 16..=23);
    Generated::plain(until(random, 0x1ac0_0000, 0x801f_ffff, has))
}

/// Multiplication.
fn three_sources(random: &mut Random, _: usize) -> Generated {
    Generated::plain(until(random, 0x1b00_0000, 0x80ff_ffff, |i| {
        matches!(field(i, 21, 3), 0 | 1 | 2 | 5 | 6)
    }))
}

/// Words from place `n` to a breakpoint of the area, which are the even ones.
fn to_a_breakpoint(random: &mut Random, n: usize) -> u32 {
    let target = 2 * random.below(TESTED as u64 + 1) as i64;
    (target - (2 * n as i64 + 1)) as u32
}

fn branch(random: &mut Random, n: usize) -> Generated {
    let offset = to_a_breakpoint(random, n) & 0x03ff_ffff;
    Generated::plain(word(random, 0x1400_0000, 1 << 31) | offset)
}

fn branch_conditionally(random: &mut Random, n: usize) -> Generated {
    let offset = to_a_breakpoint(random, n) & 0x7_ffff;
    Generated::plain(word(random, 0x5400_0000, 0xf) | offset << 5)
}

fn compare_and_branch(random: &mut Random, n: usize) -> Generated {
    let offset = to_a_breakpoint(random, n) & 0x7_ffff;
    Generated::plain(word(random, 0x3400_0000, 0x8100_001f) | offset << 5)
}

fn test_and_branch(random: &mut Random, n: usize) -> Generated {
    let offset = to_a_breakpoint(random, n) & 0x3fff;
    Generated::plain(word(random, 0x3600_0000, 0x81f8_001f) | offset << 5)
}

fn branch_register(random: &mut Random, _: usize) -> Generated {
    // br, blr, ret
    let insn = until(random, 0xd61f_0000, 0x0060_03e0, |i| rn(i) != 31 && field(i, 21, 2) != 3);
    Generated::plain(insn).with_target(rn(insn))
}

fn address(random: &mut Random, _: usize) -> Generated {
    Generated::plain(word(random, 0x1000_0000, 0xe0ff_ffff))
}

/// `ldr` of a word, a signed word and a double word, and `prfm`, from the literals behind the code.
fn literal(random: &mut Random, n: usize) -> Generated {
    let at = CODE_WORDS as u64 + random.below(LITERAL_WORDS as u64 - 1);
    let offset = (at as i64 - (2 * n as i64 + 1)) as u32 & 0x7_ffff;
    Generated::plain(word(random, 0x1800_0000, 0xc000_001f) | offset << 5)
}

fn unsigned_offset(random: &mut Random, _: usize) -> Generated {
    let insn = until(random, 0x3900_0000, 0xc0c0_7fff, |i| rn(i) != 31);
    Generated::plain(insn).with_base(rn(insn))
}

/// Unscaled, post-indexed, pre-indexed.
fn signed_offset(random: &mut Random, _: usize) -> Generated {
    let wanted = |i: u32| match field(i, 10, 2) {
        0b00 => rn(i) != 31,
        0b10 => false,
        _ => rn(i) != 31 && rn(i) != rd(i),
    };
    let insn = until(random, 0x3800_0000, 0xc0df_ffff, wanted);
    Generated::plain(insn).with_base(rn(insn))
}

fn register_offset(random: &mut Random, _: usize) -> Generated {
    let rm = |i: u32| field(i, 16, 5);
    let insn = until(random, 0x3820_4800, 0xc0df_b3ff, |i| rn(i) != 31 && rm(i) != rn(i));
    Generated::plain(insn).with_base(rn(insn)).with_index(rm(insn))
}

fn pair(random: &mut Random, _: usize) -> Generated {
    let rt2 = |i: u32| field(i, 10, 5);
    let near = |i: u32| matches!(field(i, 15, 7), 0..=24 | 104..=127);
    let wanted = |i: u32| {
        let writes_back = field(i, 23, 1) == 1;
        // opc 01 without L stores a tag.
        let known = matches!(field(i, 30, 2), 0 | 2) || field(i, 30, 2) == 1 && field(i, 22, 1) == 1;
        let apart = rd(i) != rt2(i) && (!writes_back || rn(i) != rd(i) && rn(i) != rt2(i));
        known && near(i) && apart && rn(i) != 31
    };
    let insn = until(random, 0x2800_0000, 0xc1ff_ffff, wanted);
    Generated::plain(insn).with_base(rn(insn))
}

/// `ldar`, `stlr`.
fn ordered(random: &mut Random, _: usize) -> Generated {
    let insn = until(random, 0x089f_fc00, 0xc040_03ff, |i| rn(i) != 31);
    Generated::plain(insn).with_base(rn(insn))
}

/// The single-instruction atomics of FEAT_LSE; without it, ordered accesses.
fn atomic(random: &mut Random, n: usize) -> Generated {
    if !has_lse() {
        return ordered(random, n);
    }
    let insn = match random.below(3) {
        // ldadd, ldclr, …, and swp, which is opc 0 of the other half
        0 => until(random, 0x3820_0000, 0xc0df_f3ff, |i| {
            rn(i) != 31 && (field(i, 15, 1) == 0 || field(i, 12, 3) == 0)
        }),
        1 => until(random, 0x08a0_7c00, 0xc05f_83ff, |i| rn(i) != 31),
        // casp: pairs of registers that begin with an even one
        _ => until(random, 0x0820_7c00, 0x405f_83ff, |i| {
            rn(i) != 31 && rd(i) & 1 == 0 && field(i, 16, 1) == 0 && rd(i) != 30 && field(i, 16, 5) != 30
        }),
    };
    Generated::plain(insn).with_base(rn(insn))
}

fn has_lse() -> bool {
    let isar0: u64;
    // SAFETY: reads an identification register.
    unsafe { asm!("mrs {}, id_aa64isar0_el1", out(reg) isar0, options(nomem, nostack, preserves_flags)) };
    isar0 >> 20 & 0xf != 0
}

/// `add sp, sp, #…`, `sub sp, sp, #…`: SP stays aligned to 16, as the CPU asks for.
fn move_stack(random: &mut Random, _: usize) -> Generated {
    Generated::plain(word(random, 0x9100_03ff, 0x400f_c000) & !(0xf << 10))
}

/// Stores that move SP down by a multiple of 16.
fn push(random: &mut Random, _: usize) -> Generated {
    let down = 1 + random.below(15) as u32;
    if random.below(2) == 0 {
        let imm7 = (2 * down).wrapping_neg() & 0x7f;
        Generated::plain(word(random, 0xa980_03e0, 0x0000_7c1f) | imm7 << 15)
    } else {
        let imm9 = (16 * down).wrapping_neg() & 0x1ff;
        Generated::plain(word(random, 0xf800_0fe0, 0x1f) | imm9 << 12)
    }
}

/// Hints, barriers, flags, and registers that stay as they are.
fn plain(random: &mut Random, _: usize) -> Generated {
    const WORDS: [(u32, u32); 19] = [
        (0xd503_201f, 0),      // nop
        (0xd503_203f, 0),      // yield
        (0xd503_205f, 0),      // wfe
        (0xd503_209f, 0),      // sev
        (0xd503_20bf, 0),      // sevl
        (0xd503_229f, 0),      // csdb
        (0xd503_241f, 0x00c0), // bti
        (0xd503_3f5f, 0),      // clrex
        (0xd503_309f, 0x0f00), // dsb
        (0xd503_30bf, 0x0f00), // dmb
        (0xd503_3fdf, 0),      // isb
        (0xd53b_4200, 0x1f),   // mrs xt, nzcv
        (0xd51b_4200, 0x1f),   // msr nzcv, xt
        (0xd538_0000, 0x1f),   // mrs xt, midr_el1
        (0xd538_4240, 0x1f),   // mrs xt, currentel
        (0xd538_4100, 0x1f),   // mrs xt, sp_el0
        (0xd538_4200, 0x1f),   // mrs xt, spsel
        (0xd53b_0020, 0x1f),   // mrs xt, ctr_el0
        (0xd53b_d060, 0x1f),   // mrs xt, tpidrro_el0
    ];
    let (fixed, mask) = WORDS[random.below(WORDS.len() as u64) as usize];
    Generated::plain(word(random, fixed, mask))
}

/// Interrupt masks: read, written, set, cleared.
fn masks(random: &mut Random, _: usize) -> Generated {
    let (fixed, mask) = match random.below(4) {
        0 => (0xd53b_4220, 0x1f),
        1 => (0xd51b_4220, 0x1f),
        2 => (0xd503_40df, 0x0f00),
        _ => (0xd503_40ff, 0x0f00),
    };
    Generated::plain(word(random, fixed, mask))
}

/// Cache maintenance by address, `dc zva` among it, and address translation.
fn by_address(random: &mut Random, _: usize) -> Generated {
    const WORDS: [u32; 6] = [
        0xd50b_7b20, // dc cvau
        0xd50b_7a20, // dc cvac
        0xd50b_7e20, // dc civac
        0xd50b_7420, // dc zva
        0xd50b_7520, // ic ivau
        0xd508_7800, // at s1e1r
    ];
    let insn = WORDS[random.below(WORDS.len() as u64) as usize];
    let base = random.below(31) as u32;
    Generated::plain(insn | base).with_base(base)
}
