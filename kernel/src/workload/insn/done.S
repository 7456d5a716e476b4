// Leaves the assembler as it was found.
    .arch_extension nolse
    .arch_extension nosimd
    .arch_extension nofp
    .popsection
    .purgem INSN
    .purgem INSN_END
    .purgem ASTRAY
