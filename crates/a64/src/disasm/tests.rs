//! Texts that readers know, one for each way of writing. The word-by-word comparison is in `tests/`.

use super::at;
use crate::insn::Insn;
use core::fmt::Write;
use std::string::ToString;

/// The address of every word here.
const PC: u64 = 0xffff_8000_8000_1000;

#[test]
fn texts() {
    let expected = [
        (0xd503_201f, "nop"),
        (0x9100_43e0, "add x0, sp, #16"),
        (0x9140_0420, "add x0, x1, #1, lsl #12"),
        (0xaa1e_03e9, "mov x9, x30"),
        (0x9100_03fd, "mov x29, sp"),
        (0xd2a2_4680, "mov x0, #305397760"),
        (0x9280_000f, "mov x15, #-1"),
        (0x1280_0000, "mov w0, #-1"),
        (0xf2e0_0020, "movk x0, #1, lsl #48"),
        (0xd2e0_0000, "movz x0, #0, lsl #48"),
        (0xb200_f3e0, "mov x0, #6148914691236517205"),
        (0xb240_0fe1, "orr x1, xzr, #0xf"),
        (0xf240_1c3f, "tst x1, #0xff"),
        (0xd343_8c20, "ubfx x0, x1, #3, #33"),
        (0xd37d_f020, "lsl x0, x1, #3"),
        (0xd343_fc20, "lsr x0, x1, #3"),
        (0x9340_7c20, "sxtw x0, w1"),
        (0x5300_1c20, "uxtb w0, w1"),
        (0x1ac1_2000, "lsl w0, w0, w1"),
        (0xeb02_003f, "cmp x1, x2"),
        (0xcb02_03e1, "neg x1, x2"),
        (0xaa22_0fe1, "mvn x1, x2, lsl #3"),
        (0x8b21_4c41, "add x1, x2, w1, uxtw #3"),
        (0x8b21_6fe1, "add x1, sp, x1, lsl #3"),
        (0x1a9f_17e0, "cset w0, eq"),
        (0xfa41_0844, "ccmp x2, #1, #4, eq"),
        (0x9b02_7c20, "mul x0, x1, x2"),
        (0xdac0_0c20, "rev x0, x1"),
        (0x9400_000a, "bl 0xffff800080001028"),
        (0x54ff_ff81, "b.ne 0xffff800080000ff0"),
        (0x3618_0040, "tbz w0, #3, 0xffff800080001008"),
        (0xb718_0040, "tbnz x0, #35, 0xffff800080001008"),
        (0xd65f_03c0, "ret"),
        (0xd65f_0120, "ret x9"),
        (0xd63f_0100, "blr x8"),
        (0xd420_0080, "brk #0x4"),
        (0xd400_0001, "svc #0"),
        (0x9000_0000, "adrp x0, 0xffff800080001000"),
        (0x10ff_ffe1, "adr x1, 0xffff800080000ffc"),
        (0x5800_0041, "ldr x1, 0xffff800080001008"),
        (0xf940_0420, "ldr x0, [x1, #8]"),
        (0xf940_0020, "ldr x0, [x1]"),
        (0xf840_8420, "ldr x0, [x1], #8"),
        (0xa9be_7bfd, "stp x29, x30, [sp, #-32]!"),
        (0xf861_7820, "ldr x0, [x1, x1, lsl #3]"),
        (0xb861_d820, "ldr w0, [x1, w1, sxtw #2]"),
        (0xf820_0041, "ldadd x0, x1, [x2]"),
        (0x38e0_0041, "ldaddalb w0, w1, [x2]"),
        (0xf820_005f, "stadd x0, [x2]"),
        (0xc8e0_fc41, "casal x0, x1, [x2]"),
        (0x485f_fc20, "ldaxrh w0, [x1]"),
        (0xd538_4101, "mrs x1, sp_el0"),
        (0xd503_42df, "msr daifset, #2"),
        (0xd503_3b9f, "dsb ish"),
        (0xd503_3fdf, "isb"),
        (0xd50b_7b20, "dc cvau, x0"),
        (0xd508_871f, "tlbi vmalle1"),
        (0xd503_245f, "bti c"),
        (0xd503_233f, "paciasp"),
        (0x0000_0000, "udf #0"),
        (0xd580_0000, ".inst 0xd5800000"),
    ];
    for (word, text) in expected {
        assert_eq!(at(Insn(word), PC).to_string(), text, "{word:#010x}");
    }
}

#[test]
fn the_symboliser_is_given_every_address() {
    let symboliser = |address: u64, out: &mut dyn Write| match address == PC + 8 {
        true => out.write_str(" <work_add+0x8>"),
        false => Ok(()),
    };
    let text = |word| at(Insn(word), PC).with_symbols(&symboliser).to_string();
    assert_eq!(text(0x1400_0002), "b 0xffff800080001008 <work_add+0x8>");
    assert_eq!(text(0x1400_0003), "b 0xffff80008000100c");
    assert_eq!(text(0xb400_0041), "cbz x1, 0xffff800080001008 <work_add+0x8>");
    assert_eq!(text(0xd503_201f), "nop");
}

#[test]
fn without_aliases_the_architecture_speaks() {
    let text = |word| at(Insn(word), PC).without_aliases().to_string();
    assert_eq!(text(0xaa1e_03e9), "orr x9, xzr, x30");
    assert_eq!(text(0xd343_fc20), "ubfm x0, x1, #3, #63");
    assert_eq!(text(0xd280_0020), "movz x0, #1");
}
